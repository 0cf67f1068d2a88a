//! Containers: what engines call them, which one a word means, and whether the kernel agrees with
//! what is recorded of them.

#![forbid(unsafe_code)]

pub mod engine;
pub(crate) mod evidence;
mod init;
pub(crate) mod lookup;
pub(crate) mod name;
mod word;
