//! Tests of the whole program on real processes, namespaces and engines. All of them need root; what else one needs and does
//! not find, it skips by name.

#![forbid(unsafe_code)]

mod all;
mod binary;
mod boot;
mod completions;
mod corpora;
mod dist;
mod engines;
mod faults;
mod lab;
mod list;
mod live;
mod machine;
mod mission;
mod net;
mod outlive;
mod pins;
mod status;
mod transparency;
mod trees;
mod unprivileged;
mod util;
mod views;
mod wrong;
