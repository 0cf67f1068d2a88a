//! The directory of pins: made, locked and shared as far as a pin needs it.

#![forbid(unsafe_code)]

use super::{PAUSE, lookup, with_remedy_for_denial};
use crate::base::error::{Error, Result};
use crate::base::escape::{quoted, shown};
use crate::host::Host;
use crate::host::mountinfo::{self, Mount, mount_id};
use crate::host::root::Symlink;
use crate::sys::fd::{fd_path, open_at, open_directory};
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, Mode, OFlags, fchmod, flock, mkdirat};
use rustix::io::{self, Errno, retry_on_intr};
use rustix::mount::{
    MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount as unmount_path,
};
use std::fmt::Display;
use std::thread::sleep;

/// How often to try to get the lock, for 5 seconds in all. Any user can hold it for ever.
const LOCK_ATTEMPTS: u32 = 250;
const IS_LOCKED: &str = "is locked by another process";

/// The directory of pins, locked if that was possible.
pub(super) struct Directory {
    pub(super) path: &'static [u8],
    /// The directory in its topmost mount.
    pub(super) fd: OwnedFd,
    /// Holds the lock, which is one of the inode, whichever mount it was opened in.
    pub(super) lock: Option<OwnedFd>,
}

impl Directory {
    /// Opens and locks the directory.
    ///
    /// # Errors
    /// Where it does not exist, or the kernel refuses.
    pub(super) fn open(host: &Host) -> Result<Directory> {
        let path = lookup::directory(host);
        Directory::lock(host, path, open_path(host, path))
    }

    /// Opens and locks the directory, and makes it first where it does not exist.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub(super) fn open_or_make(host: &Host) -> Result<Directory> {
        let path = lookup::directory(host);
        let opened = match open_path(host, path) {
            Err(Errno::NOENT) => make(host, path).and_then(|()| open_path(host, path)),
            opened => opened,
        };
        Directory::lock(host, path, opened)
    }

    fn lock(host: &Host, path: &'static [u8], opened: io::Result<OwnedFd>) -> Result<Directory> {
        let cannot_open = |e| with_remedy_for_denial(Error::cannot_at("open", path, e));
        let opened = opened.map_err(cannot_open)?;
        let is_locked = lock(&opened).map_err(|e| Error::cannot_at("lock", path, e))?;
        if !is_locked {
            host.console.note_of(path, IS_LOCKED);
        }
        // During the wait it may have become a mount.
        let fd = open_path(host, path).map_err(cannot_open)?;
        Ok(Directory { path, fd, lock: is_locked.then_some(opened) })
    }

    /// Tells whether no other run of ours is at work in the directory.
    pub(super) fn is_locked(&self) -> bool {
        self.lock.is_some()
    }

    /// Makes the directory a shared mount in a peer group of its own, unless it is one or that
    /// would do harm.
    ///
    /// # Errors
    /// Where that needs the lock, or the kernel refuses.
    pub(super) fn share(&mut self, host: &Host) -> Result<()> {
        let mounts = mountinfo::all(host)?;
        let action = format!("make {} a shared mount", quoted(self.path));
        match self.try_share(host, &mounts) {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.without_lock(action)),
            Err(e) => Err(with_remedy_for_denial(Error::cannot(action, e))),
        }
    }

    /// Shares the directory as [`Directory::share`] does; false where that is for who has the lock.
    ///
    /// In the group of /run every pin would be mounted twice. Over entries that others have mounted
    /// without a mount here, theirs could not be reached any more; out of the group of /run, hidden
    /// twins of theirs could not be unmounted any more.
    fn try_share(&mut self, host: &Host, mounts: &[Mount]) -> io::Result<bool> {
        let own = mount_id(&self.fd)?;
        let above = mount_id(open_at(&self.fd, b"..", OFlags::PATH)?)?;
        let is_mount = own != above;
        if !mountinfo::below(mounts, &self.fd)?.is_empty() {
            return Ok(true);
        }
        let group = |id| mounts.iter().find(|mount| mount.id == id).and_then(|mount| mount.group);
        // So does a run leave it that is killed half-way, and iproute2 before 7.0.
        if is_mount && group(own).is_some() && group(own) != group(above) {
            return Ok(true);
        }
        if !self.is_locked() {
            return Ok(is_mount);
        }
        if !is_mount {
            let place = fd_path(&self.fd);
            mount_bind(&place, &place)?;
            self.fd = open_path(host, self.path)?;
        }
        let place = fd_path(&self.fd);
        let changed = mount_change(&place, MountPropagationFlags::PRIVATE)
            .and_then(|()| mount_change(&place, MountPropagationFlags::SHARED));
        if changed.is_err() && !is_mount {
            // The first failure is the one to tell.
            let _ = unmount(&self.fd);
        }
        changed.map(|()| true)
    }

    /// Makes the refusal of something that only who has the lock may do.
    pub(super) fn without_lock(&self, action: impl Display) -> Error {
        Error::new(format!("cannot {action}: {} {IS_LOCKED}", quoted(self.path)))
            .with_remedy(format!("to see which: fuser -v {}", shown(self.path)))
    }
}

/// Unmounts the mount that a descriptor was opened in, whatever uses it: umount2(2), MNT_DETACH.
///
/// # Errors
/// The errno of umount2(2).
pub(super) fn unmount(top: &OwnedFd) -> io::Result<()> {
    let place = fd_path(top);
    retry_on_intr(|| unmount_path(&place, UnmountFlags::DETACH))
}

fn open_path(host: &Host, path: &[u8]) -> io::Result<OwnedFd> {
    open_directory(host.resolve(path, Symlink::Follow)?)
}

fn make(host: &Host, path: &[u8]) -> io::Result<()> {
    let mode = Mode::from_raw_mode(0o755);
    let parent = path.strip_suffix(b"/netns").unwrap_or(path);
    match mkdirat(host.resolve(parent, Symlink::Follow)?, c"netns", mode) {
        Err(Errno::EXIST) => Ok(()),
        // Whatever the umask: users list the names, too.
        made => made.and_then(|()| fchmod(open_path(host, path)?, mode)),
    }
}

/// Locks the directory; false where another process kept it locked through all attempts.
fn lock(directory: &OwnedFd) -> io::Result<bool> {
    for _ in 0..LOCK_ATTEMPTS {
        match retry_on_intr(|| flock(directory, FlockOperation::NonBlockingLockExclusive)) {
            Err(Errno::WOULDBLOCK) => sleep(PAUSE),
            locked => return locked.map(|()| true),
        }
    }
    Ok(false)
}
