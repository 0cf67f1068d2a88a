//! The machine below Rust: system calls that safe Rust does not offer, the allocator, descriptors,
//! and the caller's standard output and error.
//!
//! All `unsafe` of the program is in this room and in the C entry point.

pub mod alloc;
pub mod child;
pub mod clock;
pub mod fd;
pub mod libc;
pub mod nsfs;
pub mod signal;
pub mod stdio;
