//! Reading the files for `--dns`, from our own root directory or from one whose owner is not
//! trusted.

#![forbid(unsafe_code)]

use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::base::read::{Buffer, Content};
use crate::host::read_resolved;
use crate::host::root::{Root, Symlink};
use rustix::fd::OwnedFd;
use rustix::fs::{PROC_SUPER_MAGIC, fstatfs};
use rustix::io::Errno;

/// The most that is copied of any file.
const MOST: usize = 1 << 20;
/// SYSFS_MAGIC, linux/magic.h.
const SYSFS_MAGIC: u64 = 0x6265_6572;

/// A root directory to take files from.
pub(super) struct Source<'a> {
    pub(super) root: &'a Root,
    /// What messages say after a path: ` of LABEL`, or nothing.
    pub(super) whose: String,
    /// What files are read into.
    pub(super) buffer: &'a Buffer,
}

impl<'a> Source<'a> {
    /// Opens (O_PATH) what is at `path`, symlinks followed; None where nothing is. A dangling link
    /// is something.
    ///
    /// # Errors
    /// Where a symlink leads nowhere, or the kernel refuses.
    pub(super) fn resolve(&self, path: &[u8]) -> Result<Option<OwnedFd>> {
        let errno = match self.root.resolve(path, Symlink::Follow) {
            Ok(resolved) => return Ok(Some(resolved)),
            Err(Errno::NOENT) => match self.root.resolve(path, Symlink::NoFollow) {
                Ok(_) => {
                    let what = self.called(path);
                    return Err(Error::new(format!("{what} is a dangling symbolic link")));
                }
                Err(Errno::NOENT) => return Ok(None),
                Err(e) => e,
            },
            Err(e) => e,
        };
        if errno != Errno::LOOP {
            return Err(self.cannot_open(path, errno));
        }
        let what = self.called(path);
        let reason = "it loops, leads out through /proc, or is met by a kernel before 5.6";
        Err(Error::new(format!("cannot follow the symbolic link {what}: {reason}")))
    }

    /// Reads a plain file; None where there is none.
    ///
    /// # Errors
    /// Where it is not a plain file on disk, is too large, or cannot be read.
    pub(super) fn content(&self, path: &[u8]) -> Result<Option<Content<'a>>> {
        let Some(resolved) = self.resolve(path)? else { return Ok(None) };
        // Reading what the kernel makes up may have effects, take away what others wait for, and
        // wait for ever.
        let kind = fstatfs(&resolved).map_err(|e| self.cannot_open(path, e))?.f_type as u64;
        let what = self.called(path);
        if kind == PROC_SUPER_MAGIC as u64 || kind == SYSFS_MAGIC {
            return Err(Error::new(format!("{what} is not a file on disk but the kernel's")));
        }
        match read_resolved(self.buffer, resolved, MOST) {
            Ok(file) => Ok(Some(file.bytes)),
            Err(unreadable) => Err(unreadable.into_error(what)),
        }
    }

    fn cannot_open(&self, path: &[u8], errno: Errno) -> Error {
        Error::cannot(format_args!("open {}", self.called(path)), errno)
    }

    fn called(&self, path: &[u8]) -> String {
        format!("{}{}", quoted(path), self.whose)
    }
}
