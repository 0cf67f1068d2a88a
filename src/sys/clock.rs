//! Waiting by a call that may fail: std's ends the process where a seccomp filter refuses it. And
//! the time that a processor took.

#![allow(unsafe_code)]

use rustix::thread::{Timespec, nanosleep};
use std::ffi::c_int;
use std::time::Duration;

unsafe extern "C" {
    fn getrusage(whose: c_int, usage: *mut [i64; USAGE]) -> c_int;
}

/// No struct rusage is larger: two times of 16 bytes each, and 14 numbers; in musl twice as many.
const USAGE: usize = 40;

/// Waits for so long: nanosleep(2). For less, down to nothing, where a signal comes or a seccomp
/// filter refuses it; so whoever waits for something counts the attempts.
pub fn pause(time: Duration) {
    let (tv_sec, tv_nsec) = (time.as_secs() as i64, time.subsec_nanos().into());
    let _ = nanosleep(&Timespec { tv_sec, tv_nsec });
}

/// Returns the processor time that this process and the children that it waited for have taken:
/// getrusage(2).
pub fn processor_time() -> Duration {
    const RUSAGE_SELF: c_int = 0;
    const RUSAGE_CHILDREN: c_int = -1;
    let mut time = Duration::ZERO;
    for whose in [RUSAGE_SELF, RUSAGE_CHILDREN] {
        let mut usage = [0; USAGE];
        // SAFETY: it has room for a struct rusage and its alignment.
        unsafe { getrusage(whose, &raw mut usage) };
        // In user mode and in the kernel, each as seconds and microseconds.
        let [user, user_micros, system, system_micros, ..] = usage;
        time += Duration::from_secs((user + system) as u64);
        time += Duration::from_micros((user_micros + system_micros) as u64);
    }
    time
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_works_takes_time() {
        let before = processor_time();
        while processor_time() < before + Duration::from_millis(20) {}
        assert!(processor_time() < Duration::from_secs(24 * 3600));
    }
}
