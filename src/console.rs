//! The program's own voice: errors, notes and the few things written to standard output.
//!
//! Where the caller closed descriptor 1 or 2, a file of ours may have landed there. All our descriptors are close-on-exec and
//! the caller's standard ones are not, so that flag tells them apart: what has it is never written to.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, both};
use crate::error::{Error, Result};
use crate::sys::exit;
use crate::text::{Part, text};
use rustix::fd::BorrowedFd;
use rustix::io::{Errno, FdFlags, fcntl_getfd, retry_on_intr, write};

/// How much to say on standard error.
#[derive(Clone, Copy, Default)]
pub struct Console {
    /// No notes.
    pub quiet: bool,
    /// Tell how TARGET was found.
    pub verbose: bool,
}

impl Console {
    /// Something the user should know though nothing failed.
    pub fn note(&self, text: Bytes) {
        if !self.quiet {
            say(text!("netns-enter: note: {}\n", text));
        }
    }

    /// As [`Console::note`], of one object: `"OBJECT" TEXT`.
    pub fn note_of(&self, object: &[u8], text: impl Part) {
        self.note(text!("\"{}\" {}", object, text));
    }

    /// A step on the way to the namespace, for `--verbose`.
    pub fn tell(&self, text: Bytes) {
        if self.verbose {
            say(text!("netns-enter: {}\n", text));
        }
    }
}

/// Prints a failure, and its remedy on a second line.
pub fn report(error: &Error) {
    let text = text!("netns-enter: {}\n", error.message);
    say(match error.remedy {
        None => text,
        Some(remedy) => both(text, text!("netns-enter: {}\n", remedy)),
    });
}

/// Ends the program for a failure of the machine rather than of what was looked for: no memory, no descriptor, no /proc. Nobody who
/// called could do better than pass it on, since what is found without the missing part may be the wrong thing.
pub fn give_up(error: &Error) -> ! {
    report(error);
    exit(error.status)
}

/// Writes to standard output, all or an error.
///
/// # Errors
/// The errno of write(2); EBADF also where descriptor 1 is not the caller's.
pub fn print(text: &[u8]) -> Result<()> {
    write_to_callers(rustix::stdio::stdout(), text).map_err(|e| Error::cannot(b"write to standard output", e))
}

/// One write where possible, so that lines of concurrent runs do not mix. Nobody is left to be told of a failure.
pub fn say(text: &[u8]) {
    let _ = write_to_callers(rustix::stdio::stderr(), text);
}

fn write_to_callers(fd: BorrowedFd<'_>, bytes: &[u8]) -> std::result::Result<(), Errno> {
    if fcntl_getfd(fd)?.contains(FdFlags::CLOEXEC) {
        return Err(Errno::BADF);
    }
    write_all(fd, bytes)
}

/// Writes all of `bytes` to a descriptor of ours.
///
/// # Errors
/// The errno of write(2).
pub fn write_all(fd: BorrowedFd<'_>, mut bytes: &[u8]) -> std::result::Result<(), Errno> {
    while !bytes.is_empty() {
        let n = retry_on_intr(|| write(fd, bytes))?;
        bytes = &bytes[n..];
    }
    Ok(())
}
