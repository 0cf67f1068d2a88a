//! What can go wrong, as the user reads it.
//!
//! An [`Error`] is a finished message: the object in quotes, the cause, the kernel's word last, and
//! where a remedy is known a second line with it.

#![forbid(unsafe_code)]

use super::escape::quoted;
use crate::sys::libc::error_text;
use rustix::io::Errno;
use std::fmt::Display;

/// The exit status where netns-enter itself failed and ran nothing (the convention of env(1),
/// timeout(1), chroot(1) and podman).
pub const FAILED: u8 = 125;
/// The exit status where COMMAND was found but cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The exit status where COMMAND was not found.
pub const NOT_FOUND: u8 = 127;
/// What to do where rights are missing.
pub const MORE_RIGHTS: &str = "run it with sudo (in a container: it needs CAP_SYS_ADMIN)";

/// What may become of a failure, for who waits for what was named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Outlook {
    /// It stays, as far as is known.
    #[default]
    Lasting,
    /// What was named is not there or does not run, and may come.
    Absent,
    /// Several may be meant, or nothing proves that it is the one: that may be clear in a moment.
    Unclear,
}

/// A failure, ready to be printed. In a box, since every result of the program may hold one.
#[derive(Debug)]
pub struct Error(Box<Failure>);

#[derive(Debug)]
struct Failure {
    status: u8,
    outlook: Outlook,
    errno: Option<Errno>,
    message: String,
    remedy: Option<String>,
}

/// The result of everything that can end the program.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Makes a failure of netns-enter itself: one line, lower case, no full stop, other people's
    /// bytes escaped.
    pub fn new(message: impl Into<String>) -> Error {
        let message = message.into();
        let (status, outlook) = (FAILED, Outlook::Lasting);
        Error(Box::new(Failure { status, outlook, errno: None, message, remedy: None }))
    }

    /// Makes `cannot ACTION: ERRNO TEXT`.
    pub fn cannot(action: impl Display, errno: Errno) -> Error {
        let mut error = Error::new(format!("cannot {action}: {}", describe(errno)));
        error.0.errno = Some(errno);
        error
    }

    /// Makes `cannot VERB "OBJECT": ERRNO TEXT`.
    pub fn cannot_at(verb: &str, object: &[u8], errno: Errno) -> Error {
        Error::cannot(format_args!("{verb} {}", quoted(object)), errno)
    }

    /// Makes `"OBJECT" FAULT`.
    pub fn of(object: &[u8], fault: impl Display) -> Error {
        Error::new(format!("{} {fault}", quoted(object)))
    }

    /// Adds, or replaces, what to do about it: a line of its own.
    pub fn with_remedy(mut self, remedy: impl Into<String>) -> Error {
        self.0.remedy = Some(remedy.into());
        self
    }

    /// Replaces the exit status.
    pub fn with_status(mut self, status: u8) -> Error {
        self.0.status = status;
        self
    }

    /// Says what may become of it.
    pub fn with_outlook(mut self, outlook: Outlook) -> Error {
        self.0.outlook = outlook;
        self
    }

    /// Makes it the failure of what may come.
    pub fn absent(self) -> Error {
        self.with_outlook(Outlook::Absent)
    }

    /// Makes it the failure of what may be clear in a moment.
    pub fn unclear(self) -> Error {
        self.with_outlook(Outlook::Unclear)
    }

    /// Returns what may become of it.
    pub fn outlook(&self) -> Outlook {
        self.0.outlook
    }

    /// Returns the exit status: [`FAILED`], [`NOT_EXECUTABLE`] or [`NOT_FOUND`].
    pub fn status(&self) -> u8 {
        self.0.status
    }

    /// Returns why the machine refused; None where the object is the wrong one.
    pub fn errno(&self) -> Option<Errno> {
        self.0.errno
    }

    /// Returns the message without the program's name.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Returns what to do about it, where that is known or follows from the errno.
    pub fn remedy(&self) -> Option<&str> {
        self.0.remedy.as_deref().or_else(|| hint(self.0.errno?))
    }
}

/// Returns the remedy that follows from the errno alone, whatever was tried.
fn hint(errno: Errno) -> Option<&'static str> {
    match errno {
        Errno::MFILE => Some("raise the limit of open files: ulimit -n 1024"),
        Errno::NFILE => Some("the system's table of open files is full: see /proc/sys/fs/file-nr"),
        // Only the procfs of another machine is opened so that there can be one.
        Errno::XDEV => Some("something is mounted over a part of that /proc, and is not followed"),
        _ => None,
    }
}

/// Returns libc's text for `errno`.
pub fn describe(errno: Errno) -> String {
    error_text(errno)
}

/// Tells whether a lookup that met `errno` merely found nothing there: the one failure that is
/// none. A loop of symlinks or a name too long for the file system is no place for a file either.
pub fn is_absent(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NAMETOOLONG)
}

/// Tells whether a lookup that met `errno` may go on with a note. Anything else (ENOMEM, EMFILE,
/// EIO …) could turn an ambiguous name into a unique one.
pub fn is_denied(errno: Errno) -> bool {
    // A FUSE mount whose server died is not root's to read, either.
    matches!(errno, Errno::ACCESS | Errno::PERM | Errno::NOTCONN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errno_text_has_no_number() {
        let text = describe(Errno::PERM);
        assert!(!text.is_empty() && !text.contains("os error"), "{text}");
    }

    #[test]
    fn a_hint_follows_from_the_errno() {
        assert!(Error::cannot_at("open", b"x", Errno::MFILE).remedy().is_some());
        assert!(Error::cannot_at("open", b"x", Errno::NOENT).remedy().is_none());
    }

    #[test]
    fn the_object_is_quoted_and_escaped() {
        assert_eq!(Error::of(b"a\x1bb", "is odd").message(), "\"a\\x1bb\" is odd");
        let error = Error::cannot_at("open", b"x", Errno::NOENT);
        let message = format!("cannot open \"x\": {}", describe(Errno::NOENT));
        assert_eq!((error.message(), error.errno()), (&*message, Some(Errno::NOENT)));
    }
}
