//! Directories that were walked to, held for the next question.

#![forbid(unsafe_code)]

use rustix::fd::OwnedFd;
use std::cell::RefCell;
use std::mem;
use std::rc::Rc;

/// As many are held: few, because of ulimit -n 64.
const MOST: usize = 8;

/// A directory that counts, or that is believed.
#[derive(Clone)]
pub(super) struct Directory {
    pub(super) fd: Rc<OwnedFd>,
    /// Whether others may put things there, as in /tmp.
    pub(super) is_shared: bool,
}

/// Directories that count, by the paths that were asked for, the latest last.
#[derive(Default)]
pub(super) struct HeldDirectories(RefCell<Vec<(Vec<u8>, Directory)>>);

impl HeldDirectories {
    pub(super) fn at(&self, path: &[u8]) -> Option<Directory> {
        let mut held = self.0.borrow_mut();
        let at = held.iter().position(|(known, _)| known == path)?;
        let found = held.remove(at);
        let directory = found.1.clone();
        held.push(found);
        Some(directory)
    }

    pub(super) fn hold(&self, path: &[u8], directory: &Directory) {
        if self.at(path).is_some() {
            return;
        }
        let mut held = self.0.borrow_mut();
        if held.len() == MOST {
            held.remove(0);
        }
        held.push((path.to_vec(), directory.clone()));
    }

    /// Forgets them without closing them: in a reader, where their numbers may be other files' by
    /// now.
    pub(super) fn forget(&self) {
        mem::forget(self.0.take());
    }
}
