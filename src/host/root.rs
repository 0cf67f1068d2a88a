//! Opening files below a directory that stands for `/`: the host's mount point in a debug pod, or a
//! container's root.
//!
//! What lies there belongs to somebody else, so absolute symlinks and `..` stay inside and magic
//! links are not followed.

#![forbid(unsafe_code)]

use crate::sys::fd::{ITSELF, file_type, open_at, open_within};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, OFlags, ResolveFlags};
use rustix::io::{self, Errno};

/// Our own `/`, or a directory in its place.
pub(crate) enum Root {
    /// Paths mean what they mean to every program here.
    Own,
    /// Paths resolve inside this directory.
    Directory(OwnedFd),
}

/// What to do with a symlink as last component.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Symlink {
    /// Resolve to what it points to.
    Follow,
    /// Resolve to the link itself.
    NoFollow,
}

impl Root {
    /// Resolves an absolute path to an O_PATH descriptor. Nothing is opened in the sense of a
    /// device or FIFO.
    ///
    /// # Errors
    /// The errno of openat2(2). Before Linux 5.6 any symlink in a [`Root::Directory`] gives ELOOP.
    pub(crate) fn resolve(&self, path: &[u8], symlink: Symlink) -> io::Result<OwnedFd> {
        let flags = match symlink {
            Symlink::Follow => OFlags::PATH,
            Symlink::NoFollow => ITSELF,
        };
        match (self.open(path, flags), self) {
            (Err(Errno::NOSYS | Errno::PERM), Root::Directory(root)) => walk(root, path, symlink),
            (result, _) => result,
        }
    }

    /// Returns the directory that stands for `/`, if one does.
    pub(crate) fn directory(&self) -> Option<BorrowedFd<'_>> {
        match self {
            Root::Own => None,
            Root::Directory(root) => Some(root.as_fd()),
        }
    }

    /// Opens an absolute path.
    ///
    /// # Errors
    /// The errno of openat2(2). In a [`Root::Directory`] ENOSYS before Linux 5.6, and EPERM by
    /// seccomp filters, whatever is there.
    pub(crate) fn open(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let Root::Directory(root) = self else { return open_at(CWD, path, flags) };
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        // EAGAIN: a rename or mount on the host raced with `..`; openat2(2) says to try again.
        for _ in 0..100 {
            match open_within(root, path, flags, inside) {
                Err(Errno::AGAIN) => {}
                result => return result,
            }
        }
        Err(Errno::AGAIN)
    }
}

/// Splits a path that leads through the root directory of a process, `/proc/PID/root/…`, behind it.
/// A link below it must not lead to what our own root has.
pub(crate) fn split_at_process_root(path: &[u8]) -> Option<(&[u8], &[u8])> {
    const PROC: &[u8] = b"/proc/";
    const LINK: &[u8] = b"/root";
    let below = path.strip_prefix(PROC)?;
    let at = below.windows(LINK.len() + 1).position(|part| part == b"/root/")?;
    Some(path.split_at(PROC.len() + at + LINK.len()))
}

/// Resolves a path one component at a time, refusing every symlink and `..` on the way.
fn walk(root: impl AsFd, path: &[u8], symlink: Symlink) -> io::Result<OwnedFd> {
    let mut at = open_at(root, b".", ITSELF)?;
    let mut is_link = false;
    for component in path.split(|byte| *byte == b'/') {
        if matches!(component, b"" | b".") {
            continue;
        }
        if is_link || component == b".." {
            return Err(Errno::LOOP);
        }
        at = open_at(&at, component, ITSELF)?;
        is_link = file_type(&at)? == FileType::Symlink;
    }
    if is_link && symlink == Symlink::Follow { Err(Errno::LOOP) } else { Ok(at) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::fd_path;
    use std::os::unix::fs::symlink;
    use std::path::PathBuf;

    fn tree(name: &str) -> (PathBuf, OwnedFd) {
        let name = format!("netns-enter-root-{name}-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(dir.join("etc")).unwrap();
        std::fs::write(dir.join("etc/passwd"), "inside").unwrap();
        symlink("/etc/passwd", dir.join("absolute")).unwrap();
        symlink("../../../../etc/passwd", dir.join("dots")).unwrap();
        let path = dir.as_os_str().as_encoded_bytes();
        let root = open_at(CWD, path, OFlags::PATH | OFlags::DIRECTORY).unwrap();
        (dir, root)
    }

    fn content(fd: OwnedFd) -> String {
        std::fs::read_to_string(fd_path(&fd).to_str().unwrap()).unwrap()
    }

    #[test]
    fn links_stay_inside() {
        let (dir, root) = tree("inside");
        let root = Root::Directory(root);
        for path in [&b"/etc/passwd"[..], b"/absolute", b"/dots", b"/../../etc/passwd"] {
            assert_eq!(content(root.resolve(path, Symlink::Follow).unwrap()), "inside");
        }
        let link = root.resolve(b"/absolute", Symlink::NoFollow).unwrap();
        assert_eq!(file_type(&link).unwrap(), FileType::Symlink);
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn a_process_has_a_root_directory() {
        let split = |path: &'static str| {
            let text = |part| std::str::from_utf8(part).unwrap();
            split_at_process_root(path.as_bytes()).map(|(root, rest)| (text(root), text(rest)))
        };
        assert_eq!(split("/proc/7/root/run/x"), Some(("/proc/7/root", "/run/x")));
        assert_eq!(split("/proc/7/task/8/root/x"), Some(("/proc/7/task/8/root", "/x")));
        assert_eq!(split("/proc/7/root/proc/8/root/x"), Some(("/proc/7/root", "/proc/8/root/x")));
        for path in ["/proc/7/root", "/proc/7/ns/net", "/run/root/x", "/proc/7/rooted/x", "/"] {
            assert_eq!(split(path), None, "{path}");
        }
    }

    #[test]
    fn without_openat2_links_are_refused() {
        let (dir, root) = tree("walk");
        let walk = |path, symlink| walk(&root, path, symlink);
        assert_eq!(content(walk(b"//etc/./passwd", Symlink::Follow).unwrap()), "inside");
        assert_eq!(walk(b"/absolute", Symlink::Follow).unwrap_err(), Errno::LOOP);
        assert_eq!(walk(b"/../etc", Symlink::Follow).unwrap_err(), Errno::LOOP);
        assert!(walk(b"/absolute", Symlink::NoFollow).is_ok());
        assert_eq!(walk(b"/missing", Symlink::NoFollow).unwrap_err(), Errno::NOENT);
        std::fs::remove_dir_all(dir).unwrap();
    }
}
