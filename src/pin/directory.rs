//! The directory of pins: made, locked and shared as far as a pin needs it.

#![forbid(unsafe_code)]

use super::lock::{self, Lock};
use super::{lookup, with_remedy_for_denial};
use crate::base::error::{Error, Result};
use crate::base::escape::{quoted, shown};
use crate::host::Host;
use crate::host::mountinfo::{self, Mount, mount_id};
use crate::host::root::Symlink;
use crate::sys::fd::{fd_path, open_at, open_directory};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, fchmod, mkdirat};
use rustix::io::{self, Errno, retry_on_intr};
use rustix::mount::{
    MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount as unmount_path,
};
use std::fmt::Display;

/// The directory of pins, locked if that was possible.
pub(super) struct Directory {
    pub(super) path: &'static [u8],
    /// The directory in its topmost mount.
    pub(super) fd: OwnedFd,
    /// The lock, which is one of the inode, whichever mount it was opened in.
    pub(super) lock: Lock,
    /// Whether it lies in another mount namespace than ours, if [`Directory::share`] was asked.
    pub(super) is_foreign: bool,
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
        let lock = lock::take(host, opened).map_err(|e| Error::cannot_at("lock", path, e))?;
        if let Lock::Others(whose) = &lock {
            host.console.note_of(path, whose);
        }
        // During the wait it may have become a mount.
        let fd = open_path(host, path).map_err(cannot_open)?;
        Ok(Directory { path, fd, lock, is_foreign: false })
    }

    /// Tells whether no other run of ours is at work in the directory.
    pub(super) fn is_locked(&self) -> bool {
        matches!(self.lock, Lock::Own(_))
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
            Err(e) => Err(self.refused(Error::cannot(action, e))),
        }
    }

    /// Shares the directory as [`Directory::share`] does; false where that is for who has the lock.
    ///
    /// In the group of /run every pin would be mounted twice. Over entries that others have mounted
    /// without a mount here, theirs could not be reached any more; out of the group of /run, hidden
    /// twins of theirs could not be unmounted any more.
    fn try_share(&mut self, host: &Host, mounts: &[Mount]) -> io::Result<bool> {
        let own = mount_id(&self.fd)?;
        self.is_foreign = mounts.iter().all(|mount| mount.id != own);
        let above = mount_id(&open_at(&self.fd, b"..", OFlags::PATH)?)?;
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
        let whose = match &self.lock {
            Lock::Own(_) => "",
            Lock::Others(whose) => whose,
        };
        Error::new(format!("cannot {action}: {} {whose}", quoted(self.path)))
            .with_remedy(format!("to see which: fuser -v {}", shown(self.path)))
    }

    /// Adds to what mount(2) refused why it did, where that is known.
    pub(super) fn refused(&self, error: Error) -> Error {
        if error.errno() != Some(Errno::INVAL) || !self.is_foreign {
            return with_remedy_for_denial(error);
        }
        error.with_remedy(format!(
            "{} is in another mount namespace, and mount(2) works in its caller's alone: \
             mount the host's / here, or pin from there",
            quoted(self.path)
        ))
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
