//! Descriptors: opening files by descriptors, and the names by which the kernel knows them.
//!
//! All descriptors of ours are close-on-exec: COMMAND must not find any.

#![forbid(unsafe_code)]

use rustix::fd::{AsFd, AsRawFd, OwnedFd};
use rustix::fs::{
    CWD, FileType, Mode, OFlags, RawDir, ResolveFlags, fstat, openat, openat2, readlinkat_raw,
};
use rustix::io::{self, retry_on_intr};
use std::ffi::CString;
use std::mem::MaybeUninit;

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

/// Opens what is there as far as `limits` let the path lead: openat2(2).
///
/// # Errors
/// The errno of openat2(2).
pub fn open_within(
    dir: impl AsFd,
    path: &[u8],
    flags: OFlags,
    limits: ResolveFlags,
) -> io::Result<OwnedFd> {
    let dir = dir.as_fd();
    retry_on_intr(|| openat2(dir, path, flags | OFlags::CLOEXEC, Mode::empty(), limits))
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
pub fn fd_path(fd: impl AsFd) -> CString {
    let path = format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd());
    // It has no NUL, which is all that can fail.
    CString::new(path).unwrap_or_default()
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
    // No symlink says more than PATH_MAX, linux/limits.h.
    let mut buffer = [const { MaybeUninit::uninit() }; 4096];
    let (target, _) = readlinkat_raw(dir.as_fd(), path, &mut buffer[..])?;
    Ok(target.to_vec())
}

/// Shows a directory's names to `visitor`, without `.` and `..`, while that returns true.
///
/// # Errors
/// The errno of getdents64(2).
pub fn visit_names(
    dir: impl AsFd,
    visitor: &mut dyn FnMut(&[u8], FileType) -> bool,
) -> io::Result<()> {
    let mut buffer = [const { MaybeUninit::uninit() }; 8 * 1024];
    let mut entries = RawDir::new(dir.as_fd(), &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." && !visitor(name, entry.file_type()) {
            break;
        }
    }
    Ok(())
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
