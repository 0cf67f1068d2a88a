//! Reading a machine's files and directories.
//!
//! A file is resolved before it is opened, and must be regular and small: to open a device has
//! effects, to open a FIFO waits, and a hostile file may be of any size.

#![forbid(unsafe_code)]

use super::Host;
use super::root::Symlink;
use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::base::read::{Buffer, Content};
use crate::base::text::join;
use crate::sys::fd::{file_type, open_directory, reopen, type_name, visit_names};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, OFlags, Stat, fstat};
use rustix::io::{self, Errno};
use std::fmt::Display;

/// The most bytes of a file. No engine's state comes near this.
pub(crate) const MAX_FILE: usize = 16 << 20;

/// A file's content.
pub(crate) struct File<'h> {
    /// All of it.
    pub(crate) bytes: Content<'h>,
}

/// Why a file is not read.
pub(crate) enum Unreadable {
    /// The kernel's reason.
    Errno(Errno),
    /// How it is not the kind of file that an engine writes, in words that follow its name.
    Odd(String),
}

impl Unreadable {
    /// Makes the failure to read `what`, as a message calls it.
    pub(crate) fn into_error(self, what: &dyn Display) -> Error {
        match self {
            Unreadable::Errno(e) => Error::cannot(format_args!("read {what}"), e),
            Unreadable::Odd(fault) => Error::new(format!("{what} {fault}")),
        }
    }
}

impl From<Errno> for Unreadable {
    fn from(errno: Errno) -> Unreadable {
        Unreadable::Errno(errno)
    }
}

impl Host {
    /// Reads a file that the user named.
    ///
    /// # Errors
    /// For whatever reason it cannot be read.
    pub(crate) fn named_file(&self, path: &[u8]) -> Result<File<'_>> {
        self.read_regular(path).map_err(|unreadable| unreadable.into_error(&quoted(path)))
    }

    /// Returns the paths of what is in a directory, sorted, without names that begin with a dot, as
    /// no container's does; none as [`Host::readable`].
    pub(crate) fn entries(&self, directory: &[u8]) -> Vec<Vec<u8>> {
        let mut paths = Vec::new();
        let resolved = self.resolve(directory, Symlink::Follow);
        let listed = resolved.and_then(|resolved| {
            visit_names(open_directory(&resolved)?, &mut |name, _| {
                if !name.starts_with(b".") {
                    paths.push(join(directory, name));
                }
                true
            })
        });
        self.readable(directory, listed);
        paths.sort_unstable();
        paths
    }

    /// Returns the uid of a directory's owner; None where it is no directory, or as
    /// [`Host::readable`].
    pub(crate) fn owner_of(&self, directory: &[u8], symlink: Symlink) -> Option<u32> {
        let stat = self.readable(directory, self.resolve(directory, symlink).and_then(fstat))?;
        let is_directory = |mode| FileType::from_raw_mode(mode) == FileType::Directory;
        is_directory(stat.st_mode).then_some(stat.st_uid)
    }

    /// Tells whether `path` is, or leads to, a directory.
    pub(crate) fn is_directory(&self, path: &[u8]) -> bool {
        let kind = self.resolve(path, Symlink::Follow).and_then(file_type);
        kind == Ok(FileType::Directory)
    }

    fn read_regular(&self, path: &[u8]) -> std::result::Result<File<'_>, Unreadable> {
        read_resolved(&self.buffer, self.resolve(path, Symlink::NoFollow)?, MAX_FILE)
    }
}

/// Reads what an O_PATH descriptor holds if it is regular and has at most `most` bytes, whole MiB.
///
/// # Errors
/// What it is instead, or the errno of open(2) and read(2).
pub(crate) fn read_resolved(
    buffer: &Buffer,
    resolved: OwnedFd,
    most: usize,
) -> std::result::Result<File<'_>, Unreadable> {
    let stat = fstat(&resolved)?;
    read_held(buffer, &resolved, &stat, most)
}

/// Reads what an O_PATH descriptor holds, of which `stat` was asked, as [`read_resolved`] does.
///
/// # Errors
/// Those of [`read_resolved`].
pub(crate) fn read_held<'b>(
    buffer: &'b Buffer,
    held: &OwnedFd,
    stat: &Stat,
    most: usize,
) -> std::result::Result<File<'b>, Unreadable> {
    let kind = FileType::from_raw_mode(stat.st_mode);
    if kind != FileType::RegularFile {
        return Err(Unreadable::Odd(format!("is {}, not a regular file", type_name(kind))));
    }
    let too_large = || Unreadable::Odd(format!("is larger than {} MiB", most >> 20));
    let size = usize::try_from(stat.st_size).ok().filter(|size| *size <= most);
    let size = size.ok_or_else(too_large)?;
    // Somebody's lease on the file would delay an open that may wait.
    let file = reopen(held, OFlags::RDONLY | OFlags::NONBLOCK)?;
    match buffer.read_file(file, size, most) {
        Ok(bytes) => Ok(File { bytes }),
        Err(Errno::FBIG) => Err(too_large()),
        Err(e) => Err(e.into()),
    }
}

/// Returns the names in an open directory, of one type or all, without `.` and `..`.
///
/// # Errors
/// The errno of getdents64(2).
pub(crate) fn names_in(dir: &OwnedFd, only: Option<FileType>) -> io::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    visit_names(dir, &mut |name, kind| {
        if only.is_none_or(|only| kind == only) {
            names.push(name.to_vec());
        }
        true
    })?;
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;

    #[test]
    fn a_file_is_regular_or_odd() {
        let host = Host::own(Console { quiet: true, verbose: false });
        let path = std::env::temp_dir().join(format!("netns-enter-files-{}", std::process::id()));
        std::fs::write(&path, "text").unwrap();
        let bytes = path.as_os_str().as_encoded_bytes();
        assert_eq!(*host.named_file(bytes).unwrap().bytes, *b"text");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(host.named_file(bytes).err().unwrap().errno(), Some(Errno::NOENT));
        let refusal = host.named_file(b"/dev/null").err().unwrap();
        assert_eq!(refusal.message(), "\"/dev/null\" is a device, not a regular file");
        assert_eq!(host.unread(), None);
    }

    #[test]
    fn entries_are_sorted_paths() {
        let host = Host::own(Console::default());
        let dir = std::env::temp_dir().join(format!("netns-enter-entries-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        for name in ["b", "a", ".c"] {
            std::fs::write(dir.join(name), "").unwrap();
        }
        let path = dir.as_os_str().as_encoded_bytes();
        assert!(host.is_directory(path) && host.owner_of(path, Symlink::Follow).is_some());
        assert_eq!(host.entries(path), [join(path, b"a"), join(path, b"b")]);
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(host.entries(path).is_empty());
    }
}
