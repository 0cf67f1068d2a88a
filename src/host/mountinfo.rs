//! /proc/PID/mountinfo, proc_pid_mountinfo(5): what is mounted where.

#![forbid(unsafe_code)]

use super::Host;
use crate::base::error::{Error, Result};
use crate::base::read::Buffer;
use crate::base::text::{line_after, lines, number};
use crate::sys::fd::{name_of, open_at};
use rustix::fd::{AsRawFd, OwnedFd};
use rustix::fs::{CWD, OFlags};
use rustix::io::{self, Errno};

/// One line of mountinfo.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    /// The mount's id.
    pub id: u64,
    /// The id of the mount it is mounted on.
    pub parent: u64,
    /// What of the file system is mounted; `net:[N]` for a namespace.
    pub root: Vec<u8>,
    /// Where it is mounted.
    pub point: Vec<u8>,
    /// Its peer group, if it is a shared mount.
    pub group: Option<u64>,
    /// The file system's type.
    pub kind: Vec<u8>,
}

/// Returns the mounts of the mount namespace in which the machine's `/` is, in the order they were
/// made.
///
/// # Errors
/// Where mountinfo cannot be read.
pub(crate) fn all(host: &Host) -> Result<Vec<Mount>> {
    read(host).map_err(|e| Error::cannot("read /proc/self/mountinfo", e))
}

/// Returns the mounts as [`all`] does.
///
/// # Errors
/// The errno of open(2) and read(2).
pub(crate) fn read(host: &Host) -> io::Result<Vec<Mount>> {
    let open = |path: &[u8]| host.open_proc(path, OFlags::RDONLY);
    let of = |file| read_file(host, file, 256 << 20);
    let Some(root) = host.directory() else { return of(open(b"self/mountinfo")?) };
    // DIR may lead into another mount namespace, as /proc/PID/root does. Of a pid namespace that is
    // not above ours the procfs does not know us.
    let id = mount_id(root)?;
    match open(b"self/mountinfo").and_then(of) {
        Err(e) if e != Errno::NOENT => Err(e),
        Ok(mounts) if mounts.iter().any(|mount| mount.id == id) => Ok(mounts),
        _ => of(open(b"1/mountinfo")?),
    }
}

/// Returns the mounts of another mount namespace, whose mountinfo `file` is.
///
/// # Errors
/// The errno of read(2); EFBIG if that is more than `most` bytes.
pub(crate) fn read_file(host: &Host, file: OwnedFd, most: usize) -> io::Result<Vec<Mount>> {
    let text = host.buffer.read_all(file, 64 << 10, most)?;
    // A Vec that grows among other allocations leaves its old memory behind.
    let mut mounts = Vec::with_capacity(lines(&text).count());
    for line in lines(&text) {
        if let Some(mount) = parse(line) {
            mounts.push(mount);
        }
    }
    Ok(mounts)
}

/// Returns why the mountinfo of a process could not be opened: EINVAL is that of one which has left
/// its mount namespace, since it ends (mounts_open_common, fs/proc_namespace.c).
pub(crate) fn gone_if_left(errno: Errno) -> Errno {
    if errno == Errno::INVAL { Errno::SRCH } else { errno }
}

/// Returns the inode of each network namespace that is mounted somewhere, and where, as paths are
/// called on `host`.
pub(crate) fn nsfs(host: &Host) -> Vec<(u64, Vec<u8>)> {
    let mut found = Vec::new();
    let mounts = all(host).unwrap_or_else(|error| {
        host.fail(error);
        Vec::new()
    });
    for mount in &mounts {
        let Some(inode) = netns_inode(mount) else { continue };
        match host.path_inside(&mount.point) {
            Ok(path) => found.extend(path.map(|path| (inode, path.to_vec()))),
            Err(e) => host.fail(Error::cannot("name the mounts of the host", e)),
        }
    }
    found
}

/// Returns the inode of the network namespace that is mounted, if one is.
pub(crate) fn netns_inode(mount: &Mount) -> Option<u64> {
    // Before Linux 3.19 namespaces were files of procfs.
    let is_namespace = matches!(&*mount.kind, b"nsfs" | b"proc");
    let label = mount.root.strip_prefix(b"net:[").filter(|_| is_namespace)?;
    number(label.strip_suffix(b"]")?)
}

/// Returns where mounts are made right on the mount that the directory `dir` was opened in, below
/// `dir`. What is mounted on another mount of the same path is hidden by this one.
///
/// # Errors
/// Those of [`mount_id`].
pub(crate) fn below(mounts: &[Mount], dir: &OwnedFd) -> io::Result<Vec<Vec<u8>>> {
    let own = mount_id(dir)?;
    // As our mount namespace calls it, which with --host-root is not how the host does.
    let here = name_of(dir)?;
    let here = here.strip_suffix(b"/").unwrap_or(&here);
    let mut below = Vec::new();
    for mount in mounts {
        let rest = mount.point.strip_prefix(here);
        if mount.parent == own && rest.is_some_and(|rest| rest.starts_with(b"/")) {
            below.push(mount.point.clone());
        }
    }
    Ok(below)
}

/// Returns the id of the mount that a file was opened in: proc_pid_fdinfo(5), Linux 3.15.
///
/// # Errors
/// The errno of reading it; ENOSYS where the kernel does not tell.
pub(crate) fn mount_id(fd: &OwnedFd) -> io::Result<u64> {
    let path = format!("/proc/self/fdinfo/{}", fd.as_raw_fd());
    let info = open_at(CWD, path.as_bytes(), OFlags::RDONLY)?;
    let buffer = Buffer::default();
    let text = buffer.read_all(info, 255, 1 << 16)?;
    line_after(&text, b"mnt_id:").and_then(|id| number(id.trim_ascii())).ok_or(Errno::NOSYS)
}

/// Parses a line. Optional fields of any number end with a lone `-`.
pub fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = line.split(|byte| *byte == b' ');
    let id = number(fields.next()?)?;
    let parent = number(fields.next()?)?;
    let root = unescape(fields.nth(1)?);
    let point = unescape(fields.next()?);
    let mut group = None;
    // The mount's options, then the optional fields.
    while let Some(field) = fields.next().filter(|field| *field != b"-") {
        group = group.or_else(|| number(field.strip_prefix(b"shared:")?));
    }
    let kind = fields.next()?.to_vec();
    Some(Mount { id, parent, root, point, group, kind })
}

/// Resolves the octal escapes of blanks, newlines and backslashes.
fn unescape(field: &[u8]) -> Vec<u8> {
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
            [] => return out,
        };
        out.push(byte);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;

    #[test]
    fn lines_with_and_without_optional_fields() {
        let line =
            br"36 35 0:4 net:[4026532253] /run/netns/a\040b rw shared:5 master:1 - nsfs nsfs rw";
        let mount = parse(line).unwrap();
        assert_eq!((mount.id, mount.parent), (36, 35));
        assert_eq!(
            (&*mount.root, &*mount.point),
            (&b"net:[4026532253]"[..], &b"/run/netns/a b"[..])
        );
        assert_eq!((&*mount.kind, mount.group), (&b"nsfs"[..], Some(5)));
        assert_eq!(netns_inode(&mount), Some(4026532253));
        let private = parse(b"1 0 8:1 / / rw - ext4 /dev/vda rw").unwrap();
        assert_eq!((&*private.kind, private.group), (&b"ext4"[..], None));
        assert_eq!(netns_inode(&private), None);
        let broken = [&b""[..], b"1 2 3", b"x 0 8:1 / / rw - ext4 a b", b"1 0 8:1 / / rw shared:1"];
        for line in broken {
            assert_eq!(parse(line), None);
        }
    }

    #[test]
    fn a_descriptor_tells_its_mount() {
        let open = |path: &str| open_at(CWD, path.as_bytes(), OFlags::PATH).unwrap();
        assert_eq!(mount_id(&open("/proc/self")), mount_id(&open("/proc/version")));
        assert_ne!(mount_id(&open("/proc")), mount_id(&open("/")));
        let all = all(&Host::own(Console::default())).unwrap();
        assert!(below(&all, &open("/")).unwrap().contains(&b"/proc".to_vec()));
        assert!(!below(&all, &open("/proc")).unwrap().contains(&b"/proc".to_vec()));
    }

    #[test]
    fn escapes_are_octal() {
        assert_eq!(unescape(br"a\134b\011\777\04"), b"a\\b\t\\777\\04");
    }
}
