//! Signals: what they do, which are blocked, and dying of one.

#![allow(unsafe_code)]

use super::libc::exit;
use rustix::process::Signal;
use std::ffi::{c_int, c_ulong};
use std::ptr::null_mut;

unsafe extern "C" {
    fn sigprocmask(how: c_int, new: *const SignalSet, old: *mut SignalSet) -> c_int;
    fn signal(number: c_int, handler: usize) -> usize;
    fn raise(number: c_int) -> c_int;
}

/// What a signal did, to be restored.
#[derive(Clone, Copy)]
pub struct Disposition {
    signal: Signal,
    handler: usize,
}

impl Disposition {
    /// Lets `signal` do nothing (true), or what it does by default; returns what it did before.
    pub fn ignore(signal: Signal, ignore: bool) -> Disposition {
        Disposition { signal, handler: usize::from(ignore) }.restore()
    }

    /// Lets the signal do this again; returns what it did meanwhile.
    pub fn restore(self) -> Disposition {
        // SAFETY: a handler is SIG_DFL (0), SIG_IGN (1), or what this function returned before.
        let handler = unsafe { signal(self.signal.as_raw(), self.handler) };
        Disposition { handler, ..self }
    }
}

/// A sigset_t, the same in musl and glibc: a bit for each signal, the first for number 1.
type SignalSet = [c_ulong; WORDS];
const WORDS: usize = 1024 / c_ulong::BITS as usize;

/// The signals that were blocked, to be restored.
pub struct SignalMask(SignalSet);

impl SignalMask {
    /// Lets these signals wait: sigprocmask(2). Returns which were blocked before.
    pub fn block(signals: &[Signal]) -> SignalMask {
        const SIG_BLOCK: c_int = 0;
        let mut new: SignalSet = [0; WORDS];
        for signal in signals {
            new[0] |= 1 << (signal.as_raw() - 1);
        }
        let mut old = SignalMask([0; WORDS]);
        // SAFETY: both are of sigset_t's size; the kernel reads the one and libc writes the other.
        unsafe { sigprocmask(SIG_BLOCK, &raw const new, &raw mut old.0) };
        old
    }

    /// Lets signals come again that were not blocked before; those that waited come now.
    pub fn restore(&self) {
        const SIG_SETMASK: c_int = 2;
        // SAFETY: the set is what sigprocmask wrote, and the old one is not asked for.
        unsafe { sigprocmask(SIG_SETMASK, &raw const self.0, null_mut()) };
    }
}

/// Ends the program by a signal, as if it had not been ignored; where it is blocked, with the
/// status that shells give for it.
pub fn die_of(number: i32) -> ! {
    // SAFETY: no handler is installed.
    unsafe {
        signal(number, 0);
        raise(number);
    }
    exit(128_u8.wrapping_add(number as u8))
}
