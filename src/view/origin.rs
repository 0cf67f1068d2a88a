//! The way back to the mount namespace that we come from, for what was done there and must be taken
//! back.

#![forbid(unsafe_code)]

use crate::kernel::netns::{id_at, id_of};
use crate::sys::fd::open_at;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, OFlags};
use rustix::io;
use rustix::process::{chroot, fchdir};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

const OWN: &[u8] = b"/proc/self/ns/mnt";

/// A mount namespace, and what was `/` in it.
pub(crate) struct Origin {
    mounts: OwnedFd,
    root: OwnedFd,
}

impl Origin {
    /// Opens those we have.
    ///
    /// # Errors
    /// The errno of openat(2).
    pub(crate) fn open() -> io::Result<Origin> {
        let mounts = open_at(CWD, OWN, OFlags::RDONLY)?;
        let root = open_at(CWD, b"/", OFlags::PATH | OFlags::DIRECTORY)?;
        Ok(Origin { mounts, root })
    }

    /// Comes back, if we are in another mount namespace. The working directory is `/` then.
    ///
    /// # Errors
    /// The errno of setns(2), which wants CAP_SYS_CHROOT, too, or chroot(2).
    pub(crate) fn come_back(&self) -> io::Result<()> {
        if id_at(CWD, OWN) == id_of(&self.mounts) {
            return Ok(());
        }
        move_into_link_name_space(self.mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
        // setns(2) took us to the namespace's own root, and /proc may be mounted in ours alone.
        fchdir(&self.root)?;
        chroot(c".")
    }
}
