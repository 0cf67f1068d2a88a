//! Waiting by a call that may fail: std's ends the process where a seccomp filter refuses it.

#![forbid(unsafe_code)]

use rustix::thread::{Timespec, nanosleep};
use std::time::Duration;

/// Waits for so long: nanosleep(2). For less, down to nothing, where a signal comes or a seccomp
/// filter refuses it; so whoever waits for something counts the attempts.
pub fn pause(time: Duration) {
    let (tv_sec, tv_nsec) = (time.as_secs() as i64, time.subsec_nanos().into());
    let _ = nanosleep(&Timespec { tv_sec, tv_nsec });
}
