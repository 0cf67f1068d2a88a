//! Tests of the whole program on real processes, namespaces and engines. All of them need root; what else one needs and does
//! not find, it skips by name.

#![forbid(unsafe_code)]

mod binary;
mod corpora;
mod engines;
mod faults;
mod lab;
mod live;
mod net;
mod pins;
mod status;
mod transparency;
mod trees;
mod unprivileged;
mod util;
mod wrong;
