//! /proc/self/mountinfo, proc_pid_mountinfo(5): what is mounted where in our mount namespace.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, Names, both, decimal, keep, line_after, split};
use crate::console::give_up;
use crate::content::read_all;
use crate::error::Error;
use crate::host::Host;
use crate::root::{name_of, open_at, own_path};
use rustix::fd::BorrowedFd;
use rustix::fs::{CWD, OFlags};
use rustix::io::Errno;

/// One line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The mount's id.
    pub id: u64,
    /// The id of the mount it is mounted on.
    pub parent: u64,
    /// What of the file system is mounted; `net:[N]` for a namespace.
    pub root: Bytes,
    /// Where, with its escapes resolved.
    pub point: Bytes,
    /// Its peer group, if it is a shared mount.
    pub group: Option<u64>,
    /// The file system's type.
    pub kind: Bytes,
}

/// The mounts of our mount namespace, in the order they were made.
pub fn all(host: &Host) -> &'static [&'static Mount] {
    read(host).unwrap_or_else(|e| give_up(&Error::cannot(b"read /proc/self/mountinfo", e)))
}

/// As [`all`], but with the errno of open(2) and read(2).
///
/// # Errors
/// That one.
pub fn read(host: &Host) -> Result<&'static [&'static Mount], Errno> {
    const MOST: usize = 256 << 20;
    let text = read_all(host.open_proc(b"self/mountinfo", OFlags::RDONLY)?, 64 << 10, MOST)?;
    let mut mounts = Vec::new();
    for line in split(&text, b'\n') {
        if let Some(mount) = parse(line) {
            mounts.push(mount);
        }
    }
    Ok(mounts.leak())
}

/// The inode of each network namespace that is mounted somewhere, and where, as `host` calls it.
pub fn nsfs(host: &Host) -> Vec<(u64, Bytes)> {
    let mut found = Vec::new();
    for mount in all(host).iter().filter(|mount| matches!(mount.kind, b"nsfs" | b"proc")) {
        let inode = mount.root.strip_prefix(b"net:[").and_then(|rest| decimal(rest.strip_suffix(b"]")?));
        let path =
            host.called(mount.point).unwrap_or_else(|e| give_up(&Error::cannot(b"name the mounts of the host", e)));
        found.extend(inode.zip(path));
    }
    found
}

/// Where mounts are made right on the mount that the directory `dir` was opened in, below `dir`. What is mounted on another mount
/// of the same path is hidden by this one.
///
/// # Errors
/// As [`mount_id`].
pub fn below(mounts: &[&Mount], dir: BorrowedFd<'_>) -> Result<Names, Errno> {
    let own = mount_id(dir)?;
    // As our mount namespace calls it, which with --host-root is not how the host does.
    let here = name_of(dir)?;
    let inside = both(here.strip_suffix(b"/").unwrap_or(here), b"/");
    let mut points = Vec::new();
    for mount in mounts {
        if mount.parent == own && mount.point.starts_with(inside) {
            points.push(mount.point);
        }
    }
    Ok(points.leak())
}

/// The mount that a file was opened in: proc_pid_fdinfo(5), Linux 3.15.
///
/// # Errors
/// The errno of reading it; ENOSYS where the kernel does not tell.
pub fn mount_id(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    let info = open_at(CWD, own_path(b"/proc/self/fdinfo/", fd).to_bytes(), OFlags::RDONLY)?;
    let text = read_all(info, 255, 1 << 16)?;
    line_after(&text, b"mnt_id:").and_then(|id| decimal(id.trim_ascii())).ok_or(Errno::NOSYS)
}

/// Parses a line. Optional fields of any number end with a lone `-`.
pub fn parse(line: &[u8]) -> Option<&'static Mount> {
    let mut fields = split(line, b' ');
    let id = decimal(fields.next()?)?;
    let parent = decimal(fields.next()?)?;
    let root = unescape(fields.nth(1)?);
    let point = unescape(fields.next()?);
    let mut group = None;
    // The mount's options, then the optional fields.
    while let Some(field) = fields.next().filter(|field| *field != b"-") {
        group = group.or_else(|| decimal(field.strip_prefix(b"shared:")?));
    }
    let kind = keep(fields.next()?);
    Some(Box::leak(Box::new(Mount { id, parent, root, point, group, kind })))
}

/// Resolves the octal escapes of blanks, newlines and backslashes.
fn unescape(field: &[u8]) -> Bytes {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    loop {
        let byte = match rest {
            [b'\\', high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', tail @ ..] => {
                rest = tail;
                (high & 7) << 6 | (middle & 7) << 3 | low & 7
            }
            [byte, tail @ ..] => {
                rest = tail;
                *byte
            }
            [] => return out.leak(),
        };
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fd::AsFd;

    #[test]
    fn lines_with_and_without_optional_fields() {
        let line = br"36 35 0:4 net:[4026532253] /run/netns/a\040b rw shared:5 master:1 - nsfs nsfs rw";
        let mount = parse(line).unwrap();
        assert_eq!(
            (mount.id, mount.parent, mount.root, mount.point),
            (36, 35, &b"net:[4026532253]"[..], &b"/run/netns/a b"[..])
        );
        assert_eq!((mount.kind, mount.group), (&b"nsfs"[..], Some(5)));
        let private = parse(b"1 0 8:1 / / rw - ext4 /dev/vda rw").unwrap();
        assert_eq!((private.kind, private.group), (&b"ext4"[..], None));
        for broken in [&b""[..], b"1 2 3", b"x 0 8:1 / / rw - ext4 a b", b"1 0 8:1 / / rw shared:1"] {
            assert_eq!(parse(broken), None);
        }
    }

    #[test]
    fn a_descriptor_tells_its_mount() {
        let open = |path: &str| open_at(CWD, path.as_bytes(), OFlags::PATH).unwrap();
        assert_eq!(mount_id(open("/proc/self").as_fd()), mount_id(open("/proc/version").as_fd()));
        assert_ne!(mount_id(open("/proc").as_fd()), mount_id(open("/").as_fd()));
        let all = all(&Host::own(Default::default()));
        assert!(below(all, open("/").as_fd()).unwrap().contains(&&b"/proc"[..]));
        assert!(!below(all, open("/proc").as_fd()).unwrap().contains(&&b"/proc"[..]));
    }

    #[test]
    fn escapes_are_octal() {
        assert_eq!(unescape(br"a\134b\011\777\04"), b"a\\b\t\\777\\04");
    }
}
