//! Containers: what engines call them, which one a word means, and whether the kernel agrees with
//! what is recorded of them.

#![forbid(unsafe_code)]

pub(crate) mod claims;
pub mod engine;
pub(crate) mod evidence;
pub(crate) mod find;
pub(crate) mod lookup;
pub(crate) mod name;
pub(crate) mod running;
pub(crate) mod verdict;
pub(crate) mod word;
pub mod world;
