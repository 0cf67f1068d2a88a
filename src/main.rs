//! The C entry point. Not Rust's own: that ignores SIGPIPE and fills closed descriptors, and
//! COMMAND would inherit both.

#![no_main]
#![allow(unsafe_code)]

use netns_enter::sys::alloc::Allocator;
use netns_enter::sys::libc::{Argv, exit};
use std::ffi::{c_char, c_int};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator::new();

/// Called by libc's start-up code.
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    // SAFETY: these are the kernel's arguments, as C promises them to main.
    let argv = unsafe { Argv::new(argc, argv) };
    exit(netns_enter::commands::main(argv))
}
