//! Opening files below a directory that stands for `/`: the host's mount point in a debug pod, or a container's root.
//!
//! What lies there belongs to somebody else, so absolute symlinks and `..` stay inside and magic links are not followed.

#![forbid(unsafe_code)]

use crate::bytes::keep;
use rustix::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, Mode, OFlags, ResolveFlags, fstat, openat, openat2};
use rustix::io::Errno;
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
        let mut flags = OFlags::PATH | OFlags::CLOEXEC;
        if links == Links::Keep {
            flags |= OFlags::NOFOLLOW;
        }
        match self {
            Root::Own => openat(CWD, path, flags, Mode::empty()),
            Root::Directory(root) => {
                // EAGAIN: a rename or mount somewhere on the host raced with `..`; openat2(2) says to try again.
                for _ in 0..100 {
                    let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
                    match openat2(root, path, flags, Mode::empty(), inside) {
                        Err(Errno::AGAIN) => {}
                        Err(Errno::NOSYS | Errno::PERM) => return walk(root.as_fd(), path, links),
                        result => return result,
                    }
                }
                Err(Errno::AGAIN)
            }
        }
    }
}

/// What openat2 does, one component at a time, refusing every symlink and `..` on the way.
fn walk(root: BorrowedFd<'_>, path: &[u8], links: Links) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    let mut at = openat(root, c".", flags, Mode::empty())?;
    let mut components = path.split(|b| *b == b'/').filter(|c| !c.is_empty() && c != b".").peekable();
    while let Some(component) = components.next() {
        if component == b".." {
            return Err(Errno::LOOP);
        }
        at = openat(&at, component, flags, Mode::empty())?;
        let keep = links == Links::Keep && components.peek().is_none();
        if !keep && file_type(&at)? == FileType::Symlink {
            return Err(Errno::LOOP);
        }
    }
    Ok(at)
}

/// Opens anew, for reading, the file that `located` holds; no path is looked up a second time.
///
/// # Errors
/// The errno of open(2).
pub fn reopen(located: impl AsFd, flags: OFlags) -> Result<OwnedFd, Errno> {
    openat(CWD, fd_path(located), flags | OFlags::CLOEXEC, Mode::empty())
}

/// `/proc/self/fd/N`: the path that means an open file whatever happens to its names.
pub fn fd_path(fd: impl AsFd) -> &'static CStr {
    own_path("fd", fd)
}

/// `/proc/self/DIR/N` of an open file.
pub fn own_path(dir: &str, fd: impl AsFd) -> &'static CStr {
    let path = keep(format!("/proc/self/{dir}/{}\0", fd.as_fd().as_raw_fd()));
    CStr::from_bytes_with_nul(path).unwrap_or_default()
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
