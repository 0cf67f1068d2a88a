//! What the program takes of libc: its arguments, exec, fork, and what the C library knows.

#![allow(unsafe_code)]

use rustix::fd::{AsFd, AsRawFd};
use rustix::io::{self, Errno};
use rustix::process::Pid;
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::ffi::{CStr, OsStr, OsString, c_char, c_int, c_ulong, c_void};
use std::os::unix::ffi::OsStrExt;

unsafe extern "C" {
    fn execvp(file: *const c_char, argv: *const *const c_char) -> c_int;
    fn getauxval(key: c_ulong) -> c_ulong;
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, len: u32) -> c_int;
    fn getsockopt(fd: c_int, level: c_int, name: c_int, value: *mut c_void, len: *mut u32)
    -> c_int;
    fn _Fork() -> c_int;
    fn strerror(errno: c_int) -> *const c_char;
    fn _exit(status: c_int) -> !;
}

/// The arguments that the kernel gave us. They live as long as the process.
#[derive(Clone, Copy)]
pub struct Argv {
    count: usize,
    first: *const *const c_char,
}

impl Argv {
    /// Takes the two arguments of C's main.
    ///
    /// # Safety
    /// `first` must point to `count` C strings and a null pointer, never changed again.
    pub unsafe fn new(count: c_int, first: *const *const c_char) -> Argv {
        Argv { count: usize::try_from(count).unwrap_or(0), first }
    }

    /// Returns how many arguments there are, the program's name included.
    pub fn count(self) -> usize {
        self.count
    }

    /// Returns all arguments but the program's name.
    pub fn words(self) -> impl Iterator<Item = &'static OsStr> {
        (1..self.count).map(move |index| OsStr::from_bytes(self.get(index).to_bytes()))
    }

    /// Becomes the command that starts at argument `index`, found by PATH. Returns only on failure.
    ///
    /// # Panics
    /// If `index` is not below [`Argv::count`].
    pub fn exec(self, index: usize) -> Errno {
        let file = self.get(index);
        // SAFETY: file is a C string; the rest of argv is a list of C strings that ends with a null
        // pointer, by Argv::new.
        unsafe { execvp(file.as_ptr(), self.first.add(index)) };
        last_errno()
    }

    /// Returns one of them.
    ///
    /// # Panics
    /// If `index` is not below [`Argv::count`].
    pub fn get(self, index: usize) -> &'static CStr {
        assert!(index < self.count);
        // SAFETY: index is in bounds and every entry is a C string that lives for ever, by
        // Argv::new.
        unsafe { CStr::from_ptr(*self.first.add(index)) }
    }
}

/// Becomes `program` without arguments. Returns only on failure.
///
/// Not by std's Command, which resets SIGPIPE and the signal mask: COMMAND is to have the caller's.
pub fn exec(program: &CStr) -> Errno {
    let argv = [program.as_ptr(), std::ptr::null()];
    // SAFETY: both are C strings, and argv ends with a null pointer.
    unsafe { execvp(program.as_ptr(), argv.as_ptr()) };
    last_errno()
}

pub(super) fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Returns a variable of the environment, unless it is empty, which is as good as unset.
pub fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}

/// Returns libc's words for an errno: strerror(3). Not std's, which append "(os error 1)".
pub fn error_text(errno: Errno) -> String {
    // SAFETY: the result is a C string that stays as it is until the next call, and is copied at
    // once.
    let text = unsafe { CStr::from_ptr(strerror(errno.raw_os_error())) };
    text.to_string_lossy().into_owned()
}

/// Tells whether the kernel started us with more rights than the caller has (set-user-ID, file
/// capabilities): getauxval(3), AT_SECURE.
pub fn is_secure_exec() -> bool {
    const AT_SECURE: c_ulong = 23;
    // SAFETY: getauxval only reads the auxiliary vector.
    unsafe { getauxval(AT_SECURE) != 0 }
}

/// Gives this process a mount namespace of its own: unshare(2), CLONE_NEWNS.
///
/// # Errors
/// The errno of unshare(2).
pub fn unshare_mounts() -> io::Result<()> {
    // SAFETY: unsafe because of CLONE_FILES, which is not asked for here.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }
}

/// Ends the program at once, with nothing flushed or run: _exit(2). For main and for forked
/// children.
pub fn exit(status: u8) -> ! {
    // SAFETY: _exit ends the process without running anything.
    unsafe { _exit(c_int::from(status)) }
}

/// Goes on as two processes; returns None in the child. What libc would do for threads is left out,
/// as there are none.
///
/// # Errors
/// The errno of fork(2).
pub fn fork() -> io::Result<Option<Pid>> {
    // SAFETY: the program has one thread, so the child has all of it.
    match unsafe { _Fork() } {
        -1 => Err(last_errno()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Switches on an option of a netlink socket: netlink(7), setsockopt(2).
///
/// # Errors
/// ENOPROTOOPT where the kernel is older than the option.
pub fn set_netlink_option(socket: impl AsFd, option: c_int) -> io::Result<()> {
    const SOL_NETLINK: c_int = 270;
    let on: c_int = 1;
    let (fd, len) = (socket.as_fd().as_raw_fd(), size_of::<c_int>() as u32);
    // SAFETY: the value is a C int of the size that is given.
    match unsafe { setsockopt(fd, SOL_NETLINK, option, (&raw const on).cast(), len) } {
        0 => Ok(()),
        _ => Err(last_errno()),
    }
}

/// Returns the cookie of a socket's network namespace, which is not used again until the machine is
/// restarted: SO_NETNS_COOKIE, Linux 5.14.
///
/// # Errors
/// ENOTSOCK where it is no socket; ENOPROTOOPT before Linux 5.14.
pub fn netns_cookie(socket: impl AsFd) -> io::Result<u64> {
    const SOL_SOCKET: c_int = 1;
    const SO_NETNS_COOKIE: c_int = 71;
    let (mut cookie, mut len) = (0_u64, size_of::<u64>() as u32);
    let (fd, value) = (socket.as_fd().as_raw_fd(), (&raw mut cookie).cast());
    // SAFETY: the value has the size that is given.
    match unsafe { getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, value, &raw mut len) } {
        0 => Ok(cookie),
        _ => Err(last_errno()),
    }
}
