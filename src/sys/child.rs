//! Children that COMMAND must not notice: made so that no signal tells of their end, and with
//! nothing open but what they need.

#![allow(unsafe_code)]

use super::fd::{open_at, visit_names};
use super::libc::{exit, fork, last_errno};
use rustix::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use rustix::fs::{CWD, OFlags};
use rustix::io::{self, Errno, retry_on_intr};
use rustix::process::{Pid, WaitOptions, waitpid};
use std::ffi::{c_int, c_long};

unsafe extern "C" {
    pub(super) fn syscall(number: c_long, ...) -> c_long;
}

/// Goes on as two processes as [`fork`] does; but the child's end sends no SIGCHLD, which would
/// still wait for COMMAND if the caller blocks it. Returns None in the child.
///
/// # Errors
/// The errno of clone(2).
pub fn fork_silently() -> io::Result<Option<Pid>> {
    #[cfg(target_arch = "x86_64")]
    const SYS_CLONE: c_long = 56;
    // asm-generic/unistd.h
    #[cfg(not(target_arch = "x86_64"))]
    const SYS_CLONE: c_long = 220;
    if !cfg!(any(target_arch = "x86_64", target_arch = "aarch64")) {
        return fork();
    }
    let none: c_long = 0;
    // SAFETY: as in fork; without CLONE_VM the child has a copy of our stack. libc does not learn
    // the child's thread id, which nothing asks for that a child of ours calls.
    match unsafe { syscall(SYS_CLONE, none, none, none, none, none) } {
        // qemu's user mode knows no child without a signal, and a seccomp filter may not, either.
        -1 => match last_errno() {
            Errno::INVAL | Errno::NOSYS | Errno::PERM => fork(),
            errno => Err(errno),
        },
        pid => Ok(Pid::from_raw(pid as c_int)),
    }
}

/// Waits for a child, whatever it sends at its end: waitpid(2), __WALL. Returns false where
/// `options` forbid to wait and it has not ended.
///
/// # Errors
/// ECHILD where it is no child of ours, or the caller ignores SIGCHLD.
pub fn wait_for(child: Pid, options: WaitOptions) -> io::Result<bool> {
    // linux/wait.h
    const WALL: u32 = 0x4000_0000;
    let options = options | WaitOptions::from_bits_retain(WALL);
    Ok(retry_on_intr(|| waitpid(Some(child), options))?.is_some())
}

/// Ends this process with `act`, for which only these descriptors stay open.
pub fn end_with(kept: &[BorrowedFd<'_>], act: &dyn Fn()) -> ! {
    if close_all_but(kept).is_ok() {
        act();
    }
    exit(0)
}

/// Closes all other descriptors: close_range(2), Linux 5.9; before, those that /proc lists. What
/// owned them is never dropped, as the process ends by [`exit`].
fn close_all_but(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    // The same on every architecture.
    const SYS_CLOSE_RANGE: c_long = 436;
    let no_flags: c_long = 0;
    let mut first = 0;
    loop {
        let mut end = RawFd::MAX;
        for fd in kept.iter().map(AsRawFd::as_raw_fd).filter(|fd| *fd >= first) {
            end = end.min(fd);
        }
        let (from, to) = (c_long::from(first), c_long::from(end) - 1);
        // SAFETY: nothing that this process still uses owns one of these.
        if from <= to && unsafe { syscall(SYS_CLOSE_RANGE, from, to, no_flags) } == -1 {
            return close_listed(kept);
        }
        if end == RawFd::MAX {
            return Ok(());
        }
        first = end + 1;
    }
}

fn close_listed(kept: &[BorrowedFd<'_>]) -> io::Result<()> {
    let listed = open_at(CWD, b"/proc/self/fd", OFlags::RDONLY)?;
    visit_names(&listed, &mut |name, _| {
        // Each is called by its number.
        let number = name.iter().fold(0, |number, digit| 10 * number + RawFd::from(digit - b'0'));
        if number != listed.as_raw_fd() && kept.iter().all(|fd| fd.as_raw_fd() != number) {
            // SAFETY: as in close_all_but; the number was listed, and closed by nobody since.
            drop(unsafe { OwnedFd::from_raw_fd(number) });
        }
        true
    })
}
