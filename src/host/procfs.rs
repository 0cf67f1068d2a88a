//! Directories of a procfs, and opening what is below them.
//!
//! The procfs of our own mount namespace is what the machine's administrator made of it. That of
//! another machine may be the work of a container's root, who can mount over any part of it, and so
//! let a pid lead into a namespace of ours. There nothing is followed that is mounted: its files
//! can tell of that machine's processes only.

#![forbid(unsafe_code)]

use crate::sys::fd::{ITSELF, file_type, name_of, open_at, open_within, read_link, reopen};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, FileType, OFlags, ResolveFlags, Stat, fstat, statat};
use rustix::io::{self, Errno};

/// So often a link is read again that has changed meanwhile.
const ATTEMPTS: u32 = 8;

/// A directory of a procfs.
#[derive(Debug)]
pub(crate) struct ProcDir {
    fd: OwnedFd,
    /// The device of the procfs, where that is another machine's.
    others: Option<u64>,
}

impl ProcDir {
    /// Takes a directory of our own procfs.
    pub(crate) fn own(fd: OwnedFd) -> ProcDir {
        ProcDir { fd, others: None }
    }

    /// Takes the top of another machine's procfs.
    ///
    /// # Errors
    /// The errno of fstat(2).
    pub(crate) fn others(fd: OwnedFd) -> io::Result<ProcDir> {
        let device = fstat(&fd)?.st_dev;
        Ok(ProcDir { fd, others: Some(device) })
    }

    /// Opens what is at a relative path.
    ///
    /// # Errors
    /// The errno of openat2(2): EXDEV where another machine has something mounted there.
    pub(crate) fn open(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        let Some(device) = self.others else { return open_at(&self.fd, path, flags) };
        match open_unmounted(&self.fd, device, path, flags) {
            Err(Errno::LOOP) if !flags.contains(OFlags::NOFOLLOW) => {
                follow(&self.fd, device, path, flags)
            }
            opened => opened,
        }
    }

    /// Opens a directory of the same procfs.
    ///
    /// # Errors
    /// As [`ProcDir::open`].
    pub(crate) fn directory(&self, path: &[u8], flags: OFlags) -> io::Result<ProcDir> {
        let fd = self.open(path, flags | OFlags::DIRECTORY)?;
        Ok(ProcDir { fd, others: self.others })
    }

    /// Asks what a path leads to: stat(2).
    ///
    /// # Errors
    /// The errno of that; those of [`ProcDir::open`].
    pub(crate) fn stat(&self, path: &[u8]) -> io::Result<Stat> {
        match self.others {
            None => statat(&self.fd, path, AtFlags::empty()),
            Some(_) => fstat(self.open(path, OFlags::PATH)?),
        }
    }
}

impl AsFd for ProcDir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Opens what no mount is in the way of, and no link of the kernel's leads to.
///
/// # Errors
/// The errno of openat2(2): EXDEV where there is a mount, ELOOP where there is such a link.
fn open_unmounted(dir: impl AsFd, device: u64, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let limits = ResolveFlags::NO_XDEV | ResolveFlags::NO_MAGICLINKS;
    match open_within(&dir, path, flags, limits) {
        // Before Linux 5.6, or by a seccomp filter.
        Err(Errno::NOSYS | Errno::PERM) => walk(dir, device, path, flags),
        opened => opened,
    }
}

/// Does what [`open_unmounted`] does, one component at a time. A mount of the same procfs, which
/// has no other processes, is not told from none.
fn walk(dir: impl AsFd, device: u64, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let hold = |dir: BorrowedFd<'_>, name: &[u8]| {
        let held = open_at(dir, name, ITSELF)?;
        if fstat(&held)?.st_dev == device { Ok(held) } else { Err(Errno::XDEV) }
    };
    let is_itself = flags.contains(ITSELF);
    let mut at = hold(dir.as_fd(), b".")?;
    let mut names = path.split(|byte| *byte == b'/').peekable();
    while let Some(name) = names.next() {
        let next = hold(at.as_fd(), name)?;
        let is_last = names.peek().is_none();
        at = match file_type(&next)? {
            FileType::Symlink if is_last && is_itself => next,
            // `self` is the one that is a path.
            FileType::Symlink => {
                let pid = read_link(&next, b"")?;
                let is_pid = pid.iter().all(u8::is_ascii_digit);
                if is_pid { hold(at.as_fd(), &pid)? } else { return Err(Errno::LOOP) }
            }
            _ => next,
        };
    }
    if is_itself { Ok(at) } else { reopen(&at, flags) }
}

/// Follows a link of the kernel's, as those to namespaces are. What was opened is what the link
/// itself says, which is held, and nothing was mounted there when that was done.
fn follow(dir: &OwnedFd, device: u64, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    let (above, name) = slash.map_or((&b"."[..], path), |at| (&path[..at], &path[at + 1..]));
    let above = open_unmounted(dir, device, above, OFlags::PATH | OFlags::DIRECTORY)?;
    for _ in 0..ATTEMPTS {
        let link = open_unmounted(&above, device, name, ITSELF)?;
        let label = read_link(&link, b"")?;
        // Whatever this is by now, to hold it has no effects.
        let opened = open_at(&above, name, OFlags::PATH | flags & OFlags::DIRECTORY)?;
        open_unmounted(&above, device, name, ITSELF)?;
        if name_of(&opened)? == label {
            return if flags.contains(OFlags::PATH) { Ok(opened) } else { reopen(&opened, flags) };
        }
    }
    Err(Errno::XDEV)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::netns::{id_at, id_of, own_id};
    use rustix::fs::CWD;

    /// Our own /proc, as if it were another machine's.
    fn others() -> ProcDir {
        ProcDir::others(open_at(CWD, b"/proc", OFlags::PATH | OFlags::DIRECTORY).unwrap()).unwrap()
    }

    #[test]
    fn where_nothing_is_mounted_all_is_found() {
        let proc = others();
        let own = proc.directory(b"self", OFlags::PATH).unwrap();
        for path in [&b"ns/net"[..], b"ns/user", b"exe", b"root", b"stat", b"task"] {
            let plain = id_at(&own, path).unwrap();
            assert_eq!(id_of(own.open(path, OFlags::PATH).unwrap()), Ok(plain), "{path:?}");
            assert_eq!(own.stat(path).unwrap().st_ino, plain.ino, "{path:?}");
        }
        assert_eq!(id_of(proc.open(b"self/ns/net", OFlags::RDONLY).unwrap()), own_id());
        let link = proc.open(b"self/ns/net", ITSELF).unwrap();
        assert_eq!(file_type(link).unwrap(), FileType::Symlink);
        assert_eq!(proc.open(b"4194304/ns/net", OFlags::RDONLY).unwrap_err(), Errno::NOENT);
    }

    #[test]
    fn without_openat2_the_same_is_found() {
        let proc = others();
        let device = proc.others.unwrap();
        let pid = std::process::id().to_string();
        let own = id_at(&proc, pid.as_bytes());
        for path in ["self", &pid] {
            let walked = walk(&proc, device, path.as_bytes(), OFlags::PATH | OFlags::DIRECTORY);
            assert_eq!(id_of(walked.unwrap()), own, "{path}");
        }
        let walked = |path: &[u8], flags| walk(&proc, device, path, flags);
        assert_eq!(walked(b"self/ns/net", OFlags::PATH).unwrap_err(), Errno::LOOP);
        assert!(walked(b"self/ns/net", ITSELF).is_ok() && walked(b".", OFlags::RDONLY).is_ok());
        assert_eq!(walk(&proc, device + 1, b"stat", OFlags::PATH).unwrap_err(), Errno::XDEV);
    }
}
