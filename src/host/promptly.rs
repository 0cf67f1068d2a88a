//! Resolving a path on another machine, where the mounts are the work of somebody else: a
//! container's root can mount a file system that never answers wherever we look.
//!
//! The way is walked by descriptors. Where it comes to a mount that may not answer, a reader walks
//! the rest; one that is silent is not waited for.

#![forbid(unsafe_code)]

use super::Host;
use super::mounts::Kind;
use super::root::{Root, Symlink};
use crate::sys::fd::{ITSELF, file_type, open_at, open_within, read_link};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, OFlags, PROC_SUPER_MAGIC, ResolveFlags, fstatfs};
use rustix::io::{self, Errno};

/// As many symlinks are followed as the kernel does: path_resolution(7).
const MOST_LINKS: u32 = 40;

/// The numbers, in linux/magic.h or the file system's own header, of those that ask another machine
/// or program: FUSE and virtiofs, NFS, SMB (three), 9P, Ceph, AFS (two), Coda, autofs, Lustre,
/// GFS2, OCFS2, vboxsf.
const ASK_OTHERS: [u64; 15] = [
    0x6573_5546,
    0x6969,
    0x517b,
    0xff53_4d42,
    0xfe53_4d42,
    0x0102_1997,
    0x00c3_6400,
    0x5346_414f,
    0x6b41_4653,
    0x7375_7245,
    0x0187,
    0x0bd0_0bd0,
    0x0116_1970,
    0x7461_636f,
    0x786f_4256,
];

impl Host {
    /// Resolves an absolute path below the `/` of another machine to an O_PATH descriptor, which is
    /// on no mount that may not answer, but for that of `/` itself.
    ///
    /// # Errors
    /// As [`Root::resolve`]; ENOTCONN where such a mount is in the way (remembered).
    pub(super) fn resolve_promptly(
        &self,
        root: &OwnedFd,
        path: &[u8],
        symlink: Symlink,
    ) -> io::Result<OwnedFd> {
        let flags = if symlink == Symlink::Follow { OFlags::PATH } else { ITSELF };
        let inside = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS | ResolveFlags::NO_XDEV;
        match open_within(root, path, flags, inside) {
            // There are mounts on the way, or the kernel cannot tell.
            Err(Errno::XDEV | Errno::AGAIN | Errno::NOSYS | Errno::PERM) => {}
            resolved => return resolved,
        }
        match walk(self, root, path, symlink)? {
            Way::Whole(resolved) => Ok(resolved),
            Way::Slow(mount) => {
                let resolve = || {
                    let resolved = Root::resolve(self.root(), path, symlink)?;
                    let kind = fstatfs(&resolved)?.f_type as u64;
                    if ASK_OTHERS.contains(&kind) { Err(Errno::NOTCONN) } else { Ok(resolved) }
                };
                let opened = self.mounts.open(self, mount, path, &resolve);
                let opened = opened.unwrap_or(Err(Errno::NOTCONN));
                if opened.as_ref().err() == Some(&Errno::NOTCONN) {
                    self.remember(path, "its file system may not answer");
                }
                opened
            }
        }
    }
}

/// How far a way leads.
enum Way {
    /// To its end.
    Whole(OwnedFd),
    /// To the mount with this id, which may not answer.
    Slow(u64),
}

/// Walks a path one component at a time. `..` and absolute symlinks stay inside.
fn walk(host: &Host, root: &OwnedFd, path: &[u8], symlink: Symlink) -> io::Result<Way> {
    let mut links = 0;
    // The directories on the way, and what is left of it, the last component first.
    let mut way = vec![open_at(root, b".", ITSELF)?];
    let mut left: Vec<Vec<u8>> = Vec::new();
    let add = |left: &mut Vec<Vec<u8>>, path: &[u8]| {
        left.extend(path.rsplit(|byte| *byte == b'/').map(<[u8]>::to_vec));
    };
    add(&mut left, path);
    while let Some(name) = left.pop() {
        let Some(top) = way.last() else { return Err(Errno::NOENT) };
        match &*name {
            b"" | b"." => continue,
            b".." => {
                if way.len() > 1 {
                    way.pop();
                }
                continue;
            }
            _ => {}
        }
        let entry = match open_within(top, &name, ITSELF, ResolveFlags::NO_XDEV) {
            Err(Errno::XDEV | Errno::NOSYS | Errno::PERM) => {
                // To open the root of a mount asks nothing of the file system.
                let entry = open_at(top, &name, ITSELF)?;
                match host.mounts.of(host, &entry, false)? {
                    (_, Kind::Prompt) => entry,
                    (mount, _) => return Ok(Way::Slow(mount)),
                }
            }
            entry => entry?,
        };
        let is_last = left.iter().all(|name| name.is_empty() || name == b".");
        if file_type(&entry)? != FileType::Symlink || (is_last && symlink == Symlink::NoFollow) {
            way.push(entry);
            continue;
        }
        links += 1;
        // The kernel's own links lead anywhere.
        if links > MOST_LINKS || fstatfs(&entry)?.f_type == PROC_SUPER_MAGIC {
            return Err(Errno::LOOP);
        }
        let target = read_link(&entry, b"")?;
        if target.starts_with(b"/") {
            way.truncate(1);
        }
        add(&mut left, &target);
    }
    way.pop().map(Way::Whole).ok_or(Errno::NOENT)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;
    use crate::base::testing::Scratch;
    use crate::kernel::netns::{id_at, id_of};
    use rustix::fs::CWD;
    use std::os::unix::fs::symlink;

    #[test]
    fn the_way_stays_inside() {
        let scratch = Scratch::new();
        std::fs::create_dir_all(scratch.at("a/b")).unwrap();
        scratch.file("a/b/file", "");
        symlink("/a/../a/./b", scratch.at("absolute")).unwrap();
        symlink("../../../a/b", scratch.at("a/dots")).unwrap();
        symlink("loop", scratch.at("loop")).unwrap();
        let root = open_at(CWD, &scratch.path(""), OFlags::PATH | OFlags::DIRECTORY).unwrap();
        let host = Host::own(Console { quiet: true, verbose: false });
        let walked = |path: &[u8], symlink| match walk(&host, &root, path, symlink) {
            Ok(Way::Whole(resolved)) => id_of(resolved),
            Ok(Way::Slow(_)) => Err(Errno::NOTCONN),
            Err(e) => Err(e),
        };
        let file = id_at(CWD, &scratch.path("a/b/file"));
        for path in [&b"/a/b/file"[..], b"/absolute/file", b"//a/dots/../b/./file", b"/../a/b/file"]
        {
            assert_eq!(walked(path, Symlink::Follow), file, "{path:?}");
            assert_eq!(walked(path, Symlink::NoFollow), file, "{path:?}");
        }
        assert_eq!(walked(b"/a/dots", Symlink::Follow), id_at(CWD, &scratch.path("a/b")));
        assert_ne!(walked(b"/a/dots", Symlink::NoFollow), id_at(CWD, &scratch.path("a/b")));
        assert_eq!(walked(b"/", Symlink::Follow), id_of(&root));
        assert_eq!(walked(b"/loop", Symlink::Follow), Err(Errno::LOOP));
        assert_eq!(walked(b"/a/none", Symlink::Follow), Err(Errno::NOENT));
        assert_eq!(walked(b"/a/b/file/x", Symlink::Follow), Err(Errno::NOTDIR));
        let top = open_at(CWD, b"/", OFlags::PATH | OFlags::DIRECTORY).unwrap();
        let link = walk(&host, &top, b"/proc/self/ns/net", Symlink::Follow);
        assert_eq!(link.err(), Some(Errno::LOOP));
    }
}
