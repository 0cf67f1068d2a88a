//! The way to a file, walked by descriptors, and whether all on it is of one author.
//!
//! Symlinks are followed component by component, so that what was judged is what is opened. Where a
//! directory is the author's and no sticky one, nobody else can put or replace anything in it.
//! What is found is held and not opened: it may be a device or a FIFO, whoever made it.
//!
//! Where the way comes to a mount that may not answer (network, FUSE), nothing on that is touched.

#![forbid(unsafe_code)]

use super::held::{Directory, HeldDirectories};
use super::judge::{Judge, Standing};
use crate::base::error::is_absent;
use crate::base::text::join;
use crate::host::Host;
use crate::host::mounts::Kind;
use crate::host::root::Root;
use crate::sys::fd::{ITSELF, open_at, open_within, read_link};
use rustix::fd::OwnedFd;
use rustix::fs::{
    AtFlags, CWD, FileType, OFlags, PROC_SUPER_MAGIC, ResolveFlags, Stat, StatxFlags, fstat,
    fstatfs, statx,
};
use rustix::io::{self, Errno};
use std::borrow::Cow;
use std::cell::Cell;
use std::rc::Rc;

/// As many symlinks are followed on the way to a file as the kernel does: path_resolution(7).
const MOST_LINKS: u32 = 40;

/// Whether what is on the way must be the author's.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    Judged,
    /// It is a place that the author's configuration names.
    Believed,
}

/// Why a way was not walked to its end.
pub(super) enum Astray {
    /// There is no way, or the kernel refuses.
    Errno(Errno),
    /// Somebody else could have put something in the way.
    Foreign(Standing),
    /// The rest of the way is on the mount with this id, which may not answer.
    Slow(u64),
}

impl From<Errno> for Astray {
    fn from(errno: Errno) -> Astray {
        Astray::Errno(errno)
    }
}

type Result<T> = std::result::Result<T, Astray>;

/// Walks on a machine for one world.
pub(super) struct Walker<'h> {
    pub(super) host: &'h Host,
    pub(super) judge: Judge,
    /// Whether this process may wait for a mount, as nobody waits for it.
    is_reader: Cell<bool>,
    /// The directories that were judged last.
    held: HeldDirectories,
}

impl<'h> Walker<'h> {
    pub(super) fn new(host: &'h Host, judge: Judge) -> Walker<'h> {
        Walker { host, judge, is_reader: Cell::new(false), held: HeldDirectories::default() }
    }

    /// Makes this the walker of a reader, whose descriptors were closed.
    pub(super) fn become_readers(&self) {
        self.is_reader.set(true);
        self.held.forget();
    }

    /// Finds a file: an O_PATH descriptor of it, whatever it is but a symlink. Only the way to it
    /// is certain: the caller judges the file itself.
    pub(super) fn file(&self, path: &[u8], rule: Rule) -> Result<(OwnedFd, Stat)> {
        let mut path = Cow::Borrowed(path);
        for _ in 0..=MOST_LINKS {
            let (parent, name) = split(&path);
            let is_relative = !path.starts_with(b"/");
            if is_relative || matches!(name, b"" | b"." | b"..") || path.contains(&0) {
                return Err(Errno::NOENT.into());
            }
            if let Some(found) = self.file_below_held(parent, name, rule)? {
                return Ok(found);
            }
            let directory = self.walk(parent, rule)?;
            let entry = self.step(&directory, name, rule)?;
            let stat = fstat(&entry)?;
            let standing = Standing::with(&entry, &stat);
            let kind = standing.kind();
            let is_foreign = match (rule, directory.is_shared) {
                (Rule::Believed, _) => false,
                (Rule::Judged, false) => kind != FileType::Symlink && !self.judge.counts(&standing),
                (Rule::Judged, true) => {
                    let is_one = kind == FileType::RegularFile && stat.st_nlink == 1;
                    !is_one || !self.may_be_in(&directory, &standing)
                }
            };
            if is_foreign {
                return Err(Astray::Foreign(standing));
            }
            if kind != FileType::Symlink {
                return Ok((entry, stat));
            }
            let target = target_of(&entry)?;
            let is_absolute = target.starts_with(b"/");
            path = Cow::Owned(if is_absolute { target } else { join(parent, &target) });
        }
        Err(Errno::LOOP.into())
    }

    /// Finds `parent/name` by three system calls where the directory above `parent` is held: the
    /// way to each of a thousand containers' files. None where that takes a closer look.
    fn file_below_held(
        &self,
        parent: &[u8],
        name: &[u8],
        rule: Rule,
    ) -> io::Result<Option<(OwnedFd, Stat)>> {
        let (above, middle) = split(parent);
        let is_plain = rule == Rule::Judged && !matches!(middle, b"" | b"." | b"..");
        let Some(held) = self.held.at(above).filter(|held| is_plain && !held.is_shared) else {
            return Ok(None);
        };
        // It may be a mount of one that does not answer, which is not asked then.
        let flags = AtFlags::SYMLINK_NOFOLLOW | AtFlags::NO_AUTOMOUNT | AtFlags::STATX_DONT_SYNC;
        let wanted = StatxFlags::TYPE | StatxFlags::MODE | StatxFlags::UID | StatxFlags::GID;
        let standing = match statx(&*held.fd, middle, flags, wanted) {
            Ok(stat) => Standing::from(&stat),
            Err(e) if is_absent(e) && self.host.watch.is_none() => return Err(e),
            Err(_) => return Ok(None),
        };
        // Nobody else can put another directory in its place meanwhile.
        let is_sure = standing.kind() == FileType::Directory && self.judge.counts(&standing);
        if !is_sure || standing.is_writable_by_group() || self.judge.is_shared(&standing) {
            return Ok(None);
        }
        let plain = ResolveFlags::NO_XDEV | ResolveFlags::NO_SYMLINKS;
        let path = join(middle, name);
        let file = match open_within(&*held.fd, &path, ITSELF, plain) {
            Err(Errno::LOOP | Errno::XDEV | Errno::NOSYS | Errno::PERM) => return Ok(None),
            Err(Errno::NOENT) if self.host.watch.is_some() => return Ok(None),
            file => file?,
        };
        let stat = fstat(&file)?;
        let is_link = FileType::from_raw_mode(stat.st_mode) == FileType::Symlink;
        Ok((!is_link).then_some((file, stat)))
    }

    /// Walks to a directory.
    pub(super) fn walk(&self, path: &[u8], rule: Rule) -> Result<Directory> {
        if path.contains(&0) || !(path.is_empty() || path.starts_with(b"/")) {
            return Err(Errno::NOENT.into());
        }
        let (mut at, start) = match self.nearest_held(path, rule) {
            Some(held) => held,
            None => (self.root(rule)?, 0),
        };
        let mut way = Way { text: Cow::Borrowed(path), position: start, is_plain: true, links: 0 };
        while let Some(name) = way.next() {
            if name == b".." && self.is_root(&at)? {
                continue;
            }
            let entry = self.step(&at, name, rule)?;
            let standing = Standing::of(&entry)?;
            match standing.kind() {
                FileType::Symlink if rule == Rule::Judged && at.is_shared => {
                    return Err(Astray::Foreign(standing));
                }
                FileType::Symlink => {
                    way.count_link()?;
                    let target = target_of(&entry)?;
                    if target.starts_with(b"/") {
                        at = self.root(rule)?;
                    }
                    way.follow(&target);
                }
                FileType::Directory => {
                    let is_shared = self.is_shared(&at, standing, rule)?;
                    at = Directory { fd: Rc::new(entry), is_shared };
                    if let (Rule::Judged, Some(walked)) = (rule, way.walked()) {
                        self.held.hold(walked, &at);
                    }
                }
                _ => return Err(Errno::NOTDIR.into()),
            }
        }
        if rule == Rule::Judged {
            self.held.hold(path, &at);
        }
        Ok(at)
    }

    /// Tells whether a directory that stands so in another is shared.
    ///
    /// # Errors
    /// Where it is somebody else's.
    fn is_shared(&self, top: &Directory, standing: Standing, rule: Rule) -> Result<bool> {
        match rule {
            Rule::Believed => Ok(false),
            Rule::Judged if self.may_be_in(top, &standing) => Ok(false),
            Rule::Judged if self.judge.is_shared(&standing) => Ok(true),
            Rule::Judged => Err(Astray::Foreign(standing)),
        }
    }

    /// Tells whether what stands so counts in this directory.
    fn may_be_in(&self, directory: &Directory, standing: &Standing) -> bool {
        let may_be_shared = !directory.is_shared || self.judge.counts_in_shared(standing);
        may_be_shared && self.judge.counts(standing)
    }

    /// Opens the entry `name` itself. Where there is none, and somebody waits, it is looked for
    /// again once the directory is watched.
    fn step(&self, top: &Directory, name: &[u8], rule: Rule) -> Result<OwnedFd> {
        match self.step_once(top, name, rule) {
            Err(Astray::Errno(Errno::NOENT)) if self.host.watch(&*top.fd) => {
                self.step_once(top, name, rule)
            }
            entry => entry,
        }
    }

    fn step_once(&self, top: &Directory, name: &[u8], rule: Rule) -> Result<OwnedFd> {
        let is_reader = self.is_reader.get();
        // What is mounted when it is wanted is mounted for one who wants a directory.
        let directory = match is_reader {
            true => entry_of(top, name, ITSELF | OFlags::DIRECTORY),
            false => Err(Errno::NOTDIR),
        };
        let (entry, may_be_mount) = match directory {
            Err(Errno::NOTDIR) => entry_of(top, name, ITSELF)?,
            entry => entry?,
        };
        if !may_be_mount {
            return Ok(entry);
        }
        let (mount, kind) = self.host.mounts.of(self.host, &entry, is_reader)?;
        match kind {
            Kind::Users(uid) if rule == Rule::Judged && !self.judge.is_author(uid) => {
                // Whatever it says of itself.
                let standing = Standing { uid, gid: uid, mode: 0o040_700, has_acl: false };
                Err(Astray::Foreign(standing))
            }
            _ if is_reader || kind == Kind::Prompt => Ok(entry),
            _ => Err(Astray::Slow(mount)),
        }
    }

    /// Returns the machine's `/`.
    fn root(&self, rule: Rule) -> Result<Directory> {
        if let Some(held) = self.held.at(b"") {
            return Ok(held);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let fd = match self.host.root() {
            Root::Own => open_at(CWD, b"/", flags),
            Root::Directory(fd) => open_at(fd, b".", flags),
        }?;
        let standing = Standing::of(&fd)?;
        let root = Directory { fd: Rc::new(fd), is_shared: false };
        if rule == Rule::Judged {
            if !self.judge.counts(&standing) {
                return Err(Astray::Foreign(standing));
            }
            self.held.hold(b"", &root);
        }
        Ok(root)
    }

    /// Tells whether a directory is the machine's `/`, above which there is nothing.
    fn is_root(&self, directory: &Directory) -> io::Result<bool> {
        let Root::Directory(root) = self.host.root() else { return Ok(false) };
        let (own, roots) = (fstat(&*directory.fd)?, fstat(root)?);
        Ok((own.st_dev, own.st_ino) == (roots.st_dev, roots.st_ino))
    }

    /// Returns the longest part of the way that is held, and where in the path it ends.
    fn nearest_held(&self, path: &[u8], rule: Rule) -> Option<(Directory, usize)> {
        let mut end = path.len();
        while rule == Rule::Judged && end > 0 {
            if let Some(directory) = self.held.at(&path[..end]) {
                return Some((directory, end));
            }
            end = path[..end].iter().rposition(|byte| *byte == b'/').unwrap_or(0);
        }
        None
    }
}

/// Reads a symlink. Where a link of a process's in /proc leads to is no path of the machine's,
/// though it may read like one.
fn target_of(link: &OwnedFd) -> io::Result<Vec<u8>> {
    let target = read_link(link, b"")?;
    if target.starts_with(b"/") && fstatfs(link)?.f_type == PROC_SUPER_MAGIC {
        return Err(Errno::LOOP);
    }
    Ok(target)
}

/// A path that is walked, with the targets of symlinks on it in their place.
struct Way<'p> {
    text: Cow<'p, [u8]>,
    /// How far it was walked.
    position: usize,
    /// Neither a symlink nor `..` was on it: so what is walked is held by its path, too.
    is_plain: bool,
    /// How many symlinks were on it.
    links: u32,
}

impl Way<'_> {
    /// Takes the next component.
    fn next(&mut self) -> Option<&[u8]> {
        let (from, end) = component(&self.text, self.position)?;
        self.position = end;
        let name = &self.text[from..end];
        self.is_plain &= name != b"..";
        Some(name)
    }

    /// Counts a symlink.
    ///
    /// # Errors
    /// ELOOP where there are too many.
    fn count_link(&mut self) -> io::Result<()> {
        self.links += 1;
        if self.links > MOST_LINKS { Err(Errno::LOOP) } else { Ok(()) }
    }

    /// Puts the target of a symlink in its place.
    fn follow(&mut self, target: &[u8]) {
        self.text = Cow::Owned([target, b"/", &self.text[self.position..]].concat());
        (self.position, self.is_plain) = (0, false);
    }

    /// Returns the path of what it was walked to, if that can be held by it.
    fn walked(&self) -> Option<&[u8]> {
        self.is_plain.then(|| &self.text[..self.position])
    }
}

/// Opens the entry `name` itself, and tells whether it may be where a mount begins. To open the
/// root of one asks nothing of the file system.
fn entry_of(top: &Directory, name: &[u8], flags: OFlags) -> io::Result<(OwnedFd, bool)> {
    let inside = ResolveFlags::NO_XDEV;
    match open_within(&*top.fd, name, flags, inside) {
        // A mount, or the kernel cannot tell.
        Err(Errno::XDEV | Errno::NOSYS | Errno::PERM) => {
            open_at(&*top.fd, name, flags).map(|entry| (entry, true))
        }
        opened => opened.map(|entry| (entry, false)),
    }
}

/// Splits a path into its directory and its last component.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => (&path[..at], &path[at + 1..]),
        None => (b"", path),
    }
}

/// Returns where the next component of a path, from `position` on, begins and ends.
fn component(path: &[u8], position: usize) -> Option<(usize, usize)> {
    let mut from = position;
    loop {
        from += path[from..].iter().position(|byte| *byte != b'/')?;
        let length = path[from..].iter().position(|byte| *byte == b'/');
        let end = length.map_or(path.len(), |length| from + length);
        if &path[from..end] != b"." {
            return Some((from, end));
        }
        from = end;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn components_are_what_is_between_slashes() {
        let path = b"//a/./.b/..//.";
        let mut found = Vec::new();
        let mut position = 0;
        while let Some((from, end)) = component(path, position) {
            found.push(&path[from..end]);
            position = end;
        }
        assert_eq!(found, [&b"a"[..], b".b", b".."]);
        assert_eq!([split(b"/a/b"), split(b"a")], [(&b"/a"[..], &b"b"[..]), (b"", b"a")]);
    }
}
