//! The C entry point. Not Rust's own: that ignores SIGPIPE and fills closed descriptors, and COMMAND would inherit both.

#![no_main]
#![allow(unsafe_code)]

use netns_enter::sys::{self, Allocator, Argv};
use std::ffi::{c_char, c_int};

#[global_allocator]
static ALLOCATOR: Allocator = Allocator::new();

/// Called by libc's start-up code.
#[unsafe(no_mangle)]
extern "C" fn main(argc: c_int, argv: *const *const c_char) -> c_int {
    ALLOCATOR.start();
    // SAFETY: these are the kernel's arguments, as C promises them to main.
    let argv = unsafe { Argv::new(argc, argv) };
    c_int::from(netns_enter::run::main(argv))
}

/// What libc's start-up code calls with what main returned. In place of libc's own, which flushes streams that the program never opened, by
/// code that would be most of what it takes of libc.
#[unsafe(no_mangle)]
extern "C" fn exit(status: c_int) -> ! {
    sys::exit(status as u8)
}
