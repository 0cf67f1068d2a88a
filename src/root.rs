//! Opening files below a directory that stands for `/`: the host's mount point in a debug pod, or a container's root.
//!
//! What lies there belongs to somebody else, so absolute symlinks and `..` stay inside and magic links are not followed.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, keep, split};
use crate::text::{MOST_DIGITS, digits};
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2, readlinkat};
use rustix::io::{Errno, retry_on_intr};
use std::ffi::CStr;

/// Our own `/`, or a directory in its place.
pub enum Root {
    /// Paths mean what they mean to every program here.
    Own,
    /// Paths resolve inside this directory.
    Directory(OwnedFd),
}

/// What to do with a symlink as last component.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// Open what it points to.
    Follow,
    /// Open the link itself.
    Keep,
}

impl Root {
    /// An O_PATH descriptor of the absolute `path`. Nothing is opened in the sense of a device or FIFO.
    ///
    /// # Errors
    /// The errno of openat2(2). On kernels before 5.6 any symlink inside a [`Root::Directory`] gives ELOOP.
    pub fn locate(&self, path: &[u8], links: Links) -> Result<OwnedFd, Errno> {
        let flags = if links == Links::Keep { ITSELF } else { OFlags::PATH };
        match (self.open(path, flags), self) {
            (Err(Errno::NOSYS | Errno::PERM), Root::Directory(root)) => walk(root.as_fd(), path, links),
            (result, _) => result,
        }
    }

    /// Opens the absolute `path`.
    ///
    /// # Errors
    /// The errno of openat2(2); in a [`Root::Directory`] ENOSYS on kernels before 5.6, and EPERM by seccomp filters, whatever is there.
    pub fn open(&self, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
        let Root::Directory(root) = self else { return open_at(CWD, path, flags) };
        let (name, flags) = (c_string(&[path]), flags | OFlags::CLOEXEC);
        // EAGAIN: a rename or mount somewhere on the host raced with `..`; openat2(2) says to try again.
        for _ in 0..100 {
            let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
            match openat2(root, name, flags, Mode::empty(), inside) {
                Err(Errno::AGAIN) => {}
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }
}

/// What openat2 does, one component at a time, refusing every symlink and `..` on the way.
fn walk(root: BorrowedFd<'_>, path: &[u8], links: Links) -> Result<OwnedFd, Errno> {
    let mut at = open_at(root, b".", ITSELF)?;
    let mut is_link = false;
    for component in split(path, b'/') {
        if matches!(component, b"" | b".") {
            continue;
        }
        if is_link || component == b".." {
            return Err(Errno::LOOP);
        }
        at = open_at(at.as_fd(), component, ITSELF)?;
        is_link = file_type(&at)? == FileType::Symlink;
    }
    if is_link && links == Links::Follow { Err(Errno::LOOP) } else { Ok(at) }
}

/// Holds a directory's entry itself, be it a symlink, without opening it in the sense of a device or FIFO.
pub const ITSELF: OFlags = OFlags::PATH.union(OFlags::NOFOLLOW);

/// Opens what is there: openat(2). All descriptors of ours are close-on-exec.
///
/// # Errors
/// The errno of openat(2).
pub fn open_at(dir: BorrowedFd<'_>, path: &[u8], flags: OFlags) -> Result<OwnedFd, Errno> {
    create_at(dir, path, flags, Mode::empty())
}

/// As [`open_at`], and what `flags` want created gets `mode`.
///
/// # Errors
/// As [`open_at`].
pub fn create_at(dir: BorrowedFd<'_>, path: &[u8], flags: OFlags, mode: Mode) -> Result<OwnedFd, Errno> {
    let path = c_string(&[path]);
    retry_on_intr(|| openat(dir, path, flags | OFlags::CLOEXEC, mode))
}

/// Opens anew, for reading, the file that `located` holds; no path is looked up a second time.
///
/// # Errors
/// The errno of open(2).
pub fn reopen(located: impl AsFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    open_at(CWD, fd_path(located).to_bytes(), flags)
}

/// Opens anew, to be listed or locked, the directory that `located` holds.
///
/// # Errors
/// The errno of openat(2).
pub fn open_directory(located: &OwnedFd) -> Result<OwnedFd, Errno> {
    open_at(located.as_fd(), b".", OFlags::RDONLY | OFlags::DIRECTORY)
}

/// `/proc/self/fd/N`: the path that means an open file whatever happens to its names.
pub fn fd_path(fd: impl AsFd) -> &'static CStr {
    own_path(b"/proc/self/fd/", fd.as_fd())
}

/// `DIR/N` of an open file, where DIR, in /proc/self, ends with a slash.
pub fn own_path(dir: &[u8], fd: BorrowedFd<'_>) -> &'static CStr {
    c_string(&[dir, digits(fd.as_raw_fd() as u64, &mut [0; MOST_DIGITS])])
}

/// The parts one after the other, for the kernel. A path with a NUL, which no file has, is an empty one.
pub fn c_string(parts: &[&[u8]]) -> &'static CStr {
    let mut path = parts.concat();
    path.push(0);
    CStr::from_bytes_with_nul(path.leak()).unwrap_or_default()
}

/// What an open file is called now; its label, where it is a namespace.
///
/// # Errors
/// The errno of readlink(2).
pub fn name_of(fd: impl AsFd) -> Result<Bytes, Errno> {
    read_link(CWD, fd_path(fd))
}

/// What a symlink says.
///
/// # Errors
/// The errno of readlinkat(2).
pub fn read_link(dir: BorrowedFd<'_>, path: &CStr) -> Result<Bytes, Errno> {
    readlinkat(dir, path, Vec::new()).map(|target| keep(target.into_bytes()))
}

/// The type of an open file.
///
/// # Errors
/// The errno of fstat(2).
pub fn file_type(fd: impl AsFd) -> Result<FileType, Errno> {
    Ok(FileType::from_raw_mode(fstat(fd)?.st_mode))
}

/// How a message calls a file of type `kind`.
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn tree(name: &str) -> (std::path::PathBuf, Root) {
        let dir = std::env::temp_dir().join(format!("netns-enter-root-{name}-{}", std::process::id()));
        std::fs::create_dir_all(dir.join("etc")).unwrap();
        std::fs::write(dir.join("etc/passwd"), "inside").unwrap();
        symlink("/etc/passwd", dir.join("absolute")).unwrap();
        symlink("../../../../etc/passwd", dir.join("dots")).unwrap();
        let root = openat(CWD, &dir, OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap();
        (dir, Root::Directory(root))
    }

    fn content(fd: OwnedFd) -> String {
        std::fs::read_to_string(fd_path(&fd).to_str().unwrap()).unwrap()
    }

    #[test]
    fn links_stay_inside() {
        let (dir, root) = tree("inside");
        for path in [&b"/etc/passwd"[..], b"/absolute", b"/dots", b"/../../etc/passwd"] {
            assert_eq!(content(root.locate(path, Links::Follow).unwrap()), "inside");
        }
        let link = root.locate(b"/absolute", Links::Keep).unwrap();
        assert_eq!(file_type(&link).unwrap(), FileType::Symlink);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn without_openat2_links_are_refused() {
        let (dir, root) = tree("walk");
        let Root::Directory(fd) = &root else { unreachable!() };
        assert_eq!(content(walk(fd.as_fd(), b"//etc/./passwd", Links::Follow).unwrap()), "inside");
        assert_eq!(walk(fd.as_fd(), b"/absolute", Links::Follow).unwrap_err(), Errno::LOOP);
        assert_eq!(walk(fd.as_fd(), b"/../etc", Links::Follow).unwrap_err(), Errno::LOOP);
        assert!(walk(fd.as_fd(), b"/absolute", Links::Keep).is_ok());
        assert_eq!(walk(fd.as_fd(), b"/missing", Links::Keep).unwrap_err(), Errno::NOENT);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
