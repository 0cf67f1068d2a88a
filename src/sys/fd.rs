//! Descriptors: opening files by descriptors, and the names by which the kernel knows them.
//!
//! All descriptors of ours are close-on-exec: COMMAND must not find any.

#![forbid(unsafe_code)]

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat, readlinkat};
use rustix::io::{self, retry_on_intr};

/// Holds a directory's entry itself, be it a symlink, without opening it in the sense of a device
/// or FIFO.
pub const ITSELF: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW);

/// Opens what is there: openat(2).
///
/// # Errors
/// The errno of openat(2).
pub fn open_at(dir: impl AsFd, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    create_at(dir, path, flags, Mode::empty())
}

/// Opens a file as [`open_at`] does; what `flags` want created gets `mode`.
///
/// # Errors
/// The errno of openat(2).
pub fn create_at(dir: impl AsFd, path: &[u8], flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
    let dir = dir.as_fd();
    retry_on_intr(|| openat(dir, path, flags | OFlags::CLOEXEC, mode))
}

/// Opens anew the file that an O_PATH descriptor holds; no path is looked up a second time.
///
/// # Errors
/// The errno of open(2).
pub fn reopen(resolved: impl AsFd, flags: OFlags) -> io::Result<OwnedFd> {
    open_at(CWD, fd_path(&resolved).as_bytes(), flags)
}

/// Opens anew, to be listed or locked, the directory that an O_PATH descriptor holds.
///
/// # Errors
/// The errno of openat(2).
pub fn open_directory(resolved: impl AsFd) -> io::Result<OwnedFd> {
    open_at(resolved, b".", OFlags::RDONLY | OFlags::DIRECTORY)
}

/// Returns `/proc/self/fd/N`: the path that means an open file whatever happens to its names.
pub fn fd_path(fd: impl AsFd) -> String {
    format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd())
}

/// Returns what an open file is called now; its label, where it is a namespace.
///
/// # Errors
/// The errno of readlink(2).
pub fn name_of(fd: impl AsFd) -> io::Result<Vec<u8>> {
    read_link(CWD, fd_path(&fd).as_bytes())
}

/// Returns what a symlink says.
///
/// # Errors
/// The errno of readlinkat(2).
pub fn read_link(dir: impl AsFd, path: &[u8]) -> io::Result<Vec<u8>> {
    readlinkat(dir, path, Vec::new()).map(|target| target.into_bytes())
}

/// Returns the type of an open file.
///
/// # Errors
/// The errno of fstat(2).
pub fn file_type(fd: impl AsFd) -> io::Result<FileType> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode))
}

/// Returns how a message calls a file of type `kind`.
pub fn type_name(kind: FileType) -> &'static str {
    match kind {
        FileType::RegularFile => "a regular file",
        FileType::Directory => "a directory",
        FileType::Symlink => "a symbolic link",
        FileType::Fifo => "a FIFO",
        FileType::Socket => "a socket",
        FileType::CharacterDevice | FileType::BlockDevice => "a device",
        FileType::Unknown => "something else",
    }
}
