//! What is mounted below a directory that a view covers, and is to be seen there again.

#![forbid(unsafe_code)]

use super::bind;
use crate::base::escape::quoted;
use crate::host::root::Symlink;
use crate::host::{Host, mountinfo};
use rustix::fd::OwnedFd;
use rustix::io::{self, Errno};

/// The mounts right below a directory, each with its path.
pub(super) struct Submounts(Vec<(Vec<u8>, OwnedFd)>);

impl Submounts {
    /// Opens (O_PATH) the mounts below `directory`, which is about to be covered.
    ///
    /// # Errors
    /// The errno of reading /proc/self/mountinfo, or of opening one that is not hidden by another.
    pub(super) fn below(own: &Host, directory: &OwnedFd) -> io::Result<Submounts> {
        let mut mounts = Vec::new();
        for point in mountinfo::below(&mountinfo::read(own)?, directory)? {
            match own.resolve(&point, Symlink::NoFollow) {
                Err(Errno::NOENT) => {} // hidden by another mount
                mount => mounts.push((point, mount?)),
            }
        }
        Ok(Submounts(mounts))
    }

    /// Binds the mounts, with what is mounted on them, to where they were, now that the directory
    /// is another. One whose place is missing there is a note.
    ///
    /// # Errors
    /// The errno of mount(2).
    pub(super) fn bind_back(&self, own: &Host) -> io::Result<()> {
        for (point, mount) in &self.0 {
            match own.resolve(point, Symlink::NoFollow).and_then(|place| bind(mount, &place)) {
                Err(Errno::NOENT) => {
                    own.console.note(format_args!("nothing to mount {} on again", quoted(point)));
                }
                bound => bound?,
            }
        }
        Ok(())
    }
}
