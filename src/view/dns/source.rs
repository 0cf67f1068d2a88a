//! Reading the files for `--dns`, from our own root directory or from one whose owner is not
//! trusted.

#![forbid(unsafe_code)]

use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::base::read::Buffer;
use crate::host::read_resolved;
use crate::host::root::{Root, Symlink};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, fstat, fstatfs};
use rustix::io::Errno;

/// The most that is copied of any file.
const MOST: usize = 1 << 20;

/// File systems whose files the kernel makes up: linux/magic.h and, where that lacks them, the file
/// systems' own sources. To read there may have effects, take away what others wait for, and wait
/// for ever.
const PSEUDO: &[u32] = &[
    0x9fa0,      // proc
    0x9fa1,      // openpromfs
    0x1cd1,      // devpts
    0x0027_e0eb, // cgroup
    0x6367_7270, // cgroup2
    0x0765_5821, // resctrl
    0x0a64_7361, // functionfs
    0x1980_0202, // mqueue
    0x4249_4e4d, // binfmt_misc
    0x4341_5d53, // smackfs
    0x5049_4446, // pidfs
    0x5a3c_69f0, // apparmorfs
    0x6165_676c, // pstore
    0x6265_6570, // configfs
    0x6265_6572, // sysfs
    0x6462_6720, // debugfs
    0x6573_5543, // fusectl
    0x6759_6969, // rpc_pipefs
    0x6c6f_6f70, // binder
    0x6e66_7364, // nfsd
    0x6e73_6673, // nsfs
    0x7363_6673, // securityfs
    0x7472_6163, // tracefs
    0x9584_58f6, // hugetlbfs
    0xabba_1974, // xenfs
    0xcafe_4a11, // bpf
    0xde5e_81e4, // efivarfs
    0xf97c_ff8c, // selinuxfs
];

/// A root directory to take files from.
pub(super) struct Source<'a> {
    pub(super) root: &'a Root,
    /// What messages say after a path: ` of LABEL`, or nothing.
    pub(super) whose: String,
    /// What files are read into.
    pub(super) buffer: &'a Buffer,
}

/// What was read of a file.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Copy {
    pub(super) text: Vec<u8>,
    /// Whether not everybody may read it.
    pub(super) is_private: bool,
}

impl Source<'_> {
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
    pub(super) fn content(&self, path: &[u8]) -> Result<Option<Copy>> {
        let Some(resolved) = self.resolve(path)? else { return Ok(None) };
        let cannot = |e| self.cannot_open(path, e);
        let file_system = fstatfs(&resolved).map_err(cannot)?.f_type as u32;
        let mode = Mode::from_raw_mode(fstat(&resolved).map_err(cannot)?.st_mode);
        let what = self.called(path);
        if PSEUDO.contains(&file_system) {
            return Err(Error::new(format!("{what} is not a file on disk but the kernel's")));
        }
        match read_resolved(self.buffer, resolved, MOST) {
            Ok(file) => {
                Ok(Some(Copy { text: file.bytes.to_vec(), is_private: !mode.contains(Mode::ROTH) }))
            }
            Err(unreadable) => Err(unreadable.into_error(&what)),
        }
    }

    /// Reads a file in /etc as [`Source::content`] does; None also where there is no /etc. One that
    /// is a dangling link is not none.
    ///
    /// # Errors
    /// As [`Source::content`].
    pub(super) fn content_below_etc(&self, path: &[u8]) -> Result<Option<Copy>> {
        match self.resolve(b"/etc")? {
            Some(_) => self.content(path),
            None => Ok(None),
        }
    }

    fn cannot_open(&self, path: &[u8], errno: Errno) -> Error {
        Error::cannot(format_args!("open {}", self.called(path)), errno)
    }

    fn called(&self, path: &[u8]) -> String {
        format!("{}{}", quoted(path), self.whose)
    }
}
