//! What can go wrong, as the user reads it.
//!
//! An [`Error`] is a finished message: the object in quotes, the cause, the kernel's word last, and where a remedy is known a
//! second line with it. Nothing here is matched on by callers but the exit status.

#![forbid(unsafe_code)]

use crate::bytes::Bytes;
use crate::sys::error_text;
use crate::text::{Part, text};
use rustix::io::Errno;

/// netns-enter itself failed and ran nothing (the convention of env(1), timeout(1), chroot(1) and podman).
pub const FAILED: u8 = 125;
/// COMMAND was found but cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// COMMAND was not found.
pub const NOT_FOUND: u8 = 127;

/// A failure, ready to be printed. One pointer, since every result of the program may hold one.
#[derive(Debug)]
pub struct Error(Box<Text>);

/// What an [`Error`] says.
#[derive(Debug)]
pub struct Text {
    /// Exit status: [`FAILED`], [`NOT_EXECUTABLE`] or [`NOT_FOUND`].
    pub status: u8,
    /// Why the machine refused; None where the object is the wrong one.
    pub errno: Option<Errno>,
    /// One line, lower case, no full stop, foreign bytes escaped.
    pub message: Bytes,
    /// What to do about it, for a line of its own.
    pub remedy: Option<Bytes>,
}

/// The result of everything that can end the program.
pub type Result<T> = std::result::Result<T, Error>;

impl std::ops::Deref for Error {
    type Target = Text;

    fn deref(&self) -> &Text {
        &self.0
    }
}

impl Error {
    /// A failure of netns-enter itself.
    pub fn new(message: Bytes) -> Error {
        Error(Box::new(Text { status: FAILED, errno: None, message, remedy: None }))
    }

    /// `cannot ACTION: ERRNO TEXT`, with the hint for that errno if there is one.
    pub fn cannot(action: Bytes, errno: Errno) -> Error {
        let mut error = Error::new(text!("cannot {}: {}", action, errno));
        error.0.errno = Some(errno);
        match HINTS.iter().find(|(e, _)| *e == errno) {
            Some((_, hint)) => error.remedy(hint),
            None => error,
        }
    }

    /// As [`Error::cannot`], of one object: `cannot VERB "OBJECT": ERRNO TEXT`.
    pub fn cannot_at(verb: &str, object: &[u8], errno: Errno) -> Error {
        Error::cannot(text!("{} \"{}\"", verb, object), errno)
    }

    /// `"OBJECT" FAULT`.
    pub fn of(object: &[u8], fault: impl Part) -> Error {
        Error::new(text!("\"{}\" {}", object, fault))
    }

    /// Adds, or replaces, the remedy.
    pub fn remedy(mut self, remedy: Bytes) -> Error {
        self.0.remedy = Some(remedy);
        self
    }

    /// Replaces the exit status.
    pub fn status(mut self, status: u8) -> Error {
        self.0.status = status;
        self
    }
}

/// Remedies that follow from the errno alone, whatever was tried.
const HINTS: &[(Errno, Bytes)] = &[
    (Errno::MFILE, b"raise the limit of open files: ulimit -n 1024"),
    (Errno::NFILE, b"the system's table of open files is full: see /proc/sys/fs/file-nr"),
];

/// libc's text for `errno`.
pub fn describe(errno: Errno) -> Bytes {
    error_text(errno)
}

/// Whether a lookup that met `errno` merely found nothing there: the one failure that is no failure. A loop of symlinks or a name
/// too long for the file system is no place for a file either, and any user can make one where root looks.
pub fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG)
}

/// Whether a lookup that met `errno` may go on with a note. Anything else (ENOMEM, EMFILE, EIO …) could turn an ambiguous name
/// into a unique one.
pub fn is_denied(errno: Errno) -> bool {
    // A user's FUSE mount whose server died is not root's to read, either.
    matches!(errno, Errno::ACCESS | Errno::PERM | Errno::NOTCONN)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::contains;

    #[test]
    fn errno_text_has_no_number() {
        let text = describe(Errno::PERM);
        assert!(!text.is_empty() && !contains(text, b"os error"), "{}", text.escape_ascii());
    }

    #[test]
    fn a_hint_follows_from_the_errno() {
        assert!(Error::cannot_at("open", b"x", Errno::MFILE).remedy.is_some());
        assert!(Error::cannot_at("open", b"x", Errno::NOENT).remedy.is_none());
    }
}
