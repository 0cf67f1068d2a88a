//! Writing to descriptors, and to the caller's standard output and error.
//!
//! Where the caller closed descriptor 1 or 2, a file of ours may have landed there. All our
//! descriptors are close-on-exec and the caller's are not, so that flag tells them apart: what has
//! it is never written to.

#![forbid(unsafe_code)]

use super::libc::exit;
use super::signal::Disposition;
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::{self, Errno, FdFlags, fcntl_getfd, retry_on_intr, write};
use rustix::process::{Resource, Signal, getrlimit};

/// Writes all of `bytes` to a descriptor of ours.
///
/// # Errors
/// The errno of write(2); EFBIG, and no signal, where RLIMIT_FSIZE is reached.
pub fn write_all(fd: impl AsFd, bytes: &[u8]) -> io::Result<()> {
    if getrlimit(Resource::Fsize).current.is_none() {
        return write_whole(fd.as_fd(), bytes);
    }
    let before = Disposition::ignore(Signal::XFSZ, true);
    let written = write_whole(fd.as_fd(), bytes);
    before.restore();
    written
}

fn write_whole(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let n = retry_on_intr(|| write(fd, bytes))?;
        bytes = &bytes[n..];
    }
    Ok(())
}

/// Writes all of `bytes` to a standard descriptor, in one write where possible, so that the lines
/// of concurrent runs do not mix.
///
/// # Errors
/// The errno of write(2); EBADF also where the descriptor is not the caller's.
pub fn write_to_callers(fd: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    if fcntl_getfd(fd)?.contains(FdFlags::CLOEXEC) {
        return Err(Errno::BADF);
    }
    write_all(fd, bytes)
}

/// Ends the program without allocating, as a failure of its own.
pub fn die_out_of_memory() -> ! {
    // Nobody is left to be told of a failure to write.
    let _ = write_to_callers(rustix::stdio::stderr(), b"netns-enter: out of memory\n");
    exit(125)
}
