//! Events of directories: inotify(7).

#![forbid(unsafe_code)]

use super::fork::{Holder, keep_open};
use crate::sys::fd::fd_path;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::inotify::{CreateFlags, WatchFlags, add_watch, init};
use rustix::io::{self, Errno, read};
use std::cell::OnceCell;

/// Tells that something came into a directory or left it, or that a file there was written. Which
/// it was is never asked: who waits looks again. A copy that fork(2) makes is the same one.
pub(crate) struct Inotify {
    events: OwnedFd,
    /// Who closes it in our stead: see [`Inotify::leave_behind`].
    holder: OnceCell<Option<Holder>>,
}

impl Inotify {
    /// Makes one that watches nothing.
    ///
    /// # Errors
    /// EMFILE where the user has all that a user may have, or the process its descriptors.
    pub(crate) fn new() -> io::Result<Inotify> {
        let events = init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Inotify { events, holder: OnceCell::new() })
    }

    /// Watches a directory, however often it is said. One that cannot be watched has no events.
    pub(crate) fn add(&self, directory: impl AsFd) {
        let wanted = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::MOVE_SELF
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ONLYDIR;
        let _ = add_watch(&self.events, fd_path(&directory), wanted);
    }

    /// Forgets what has happened until now.
    pub(crate) fn forget(&self) {
        drain(self);
    }

    /// Lets another process close it once this one has become COMMAND, which would else begin some
    /// 15 ms later: fs/notify/mark.c, fsnotify_wait_marks_destroyed.
    pub(crate) fn leave_behind(&self) {
        self.holder.get_or_init(|| keep_open(&[self.as_fd()]));
    }
}

/// Reads what a descriptor has that does not wait: events that were too many are events, too.
pub(crate) fn drain(queue: impl AsFd) {
    let mut buffer = [0; 4096];
    while matches!(read(&queue, &mut buffer), Ok(1..) | Err(Errno::INTR | Errno::NOBUFS)) {}
}

impl AsFd for Inotify {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.events.as_fd()
    }
}
