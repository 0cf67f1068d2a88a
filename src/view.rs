//! What COMMAND sees of the namespace besides being in it: the views of `--sys` and `--dns`.
//!
//! Both are mounts in a mount namespace of COMMAND's own, which is a slave of the caller's: what the host mounts later still
//! appears in it, nothing of ours shows anywhere else, and all of it ends with COMMAND. What comes from the target is read before
//! anything is changed.

#![forbid(unsafe_code)]

mod dns;
mod sysfs;

use crate::bytes::Bytes;
use crate::cli::Args;
use crate::console::Console;
use crate::error::{Error, Result, is_absent, is_denied};
use crate::host::Host;
use crate::mounts;
use crate::root::{Links, fd_path};
use crate::sys;
use crate::target::Found;
use crate::text::quoted;
use rustix::fd::OwnedFd;
use rustix::fs::stat;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};
use rustix::process::{chdir, getcwd};
use std::ffi::{CStr, CString};
use std::fmt::Display;

/// What to show, read and ready.
pub struct View {
    sys: bool,
    dns: Option<Vec<dns::File>>,
}

impl View {
    /// Reads what `args` want shown of `found`.
    ///
    /// # Errors
    /// Where the target's files are not fit to be used, or there is nobody to take them from.
    pub fn prepare(host: &Host, found: &Found, args: &Args) -> Result<View> {
        let dns = if args.dns { Some(dns::read(host, found, args)?) } else { None };
        Ok(View { sys: args.sys, dns })
    }

    /// Makes the mounts. To be called in the network namespace, and of a process that is about to end or to become COMMAND.
    ///
    /// # Errors
    /// Where the kernel refuses; other processes have seen nothing of it.
    pub fn show(&self, console: Console) -> Result<()> {
        if !self.sys && self.dns.is_none() {
            return Ok(());
        }
        let working = working_directory().map_err(|e| Error::cannot("look up the working directory", e))?;
        sys::unshare_mounts().map_err(|e| refused("make a mount namespace", e))?;
        mount_change(c"/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC).map_err(|e| {
            let error = refused("make \"/\" a slave mount", e);
            let remedy = "in a chroot, \"/\" must be a mount: mount --rbind DIR DIR before chroot DIR";
            if e == Errno::INVAL { error.remedy(remedy) } else { error }
        })?;
        // The mounts are the caller's, whichever machine the target is looked up on.
        let own = Host::own(console);
        if self.sys {
            sysfs::show(&own)?;
        }
        if let Some(files) = &self.dns {
            dns::show(&own, files)?;
        }
        // It may be covered now.
        if let Some(path) = working {
            chdir(&*path).map_err(|e| {
                Error::cannot(format_args!("enter {} as COMMAND is to see it", quoted(path.to_bytes())), e)
                    .remedy("start from another directory: cd /")
            })?;
        }
        Ok(())
    }
}

/// The path of the working directory, where that leads to it. It does not if the directory was removed, is outside of our root, or is
/// covered already; and it may not be one that we may go.
fn working_directory() -> std::result::Result<Option<CString>, Errno> {
    let same = |path: CString| {
        let (by_path, itself) = (stat(&*path)?, stat(c".")?);
        Ok(((by_path.st_dev, by_path.st_ino) == (itself.st_dev, itself.st_ino)).then_some(path))
    };
    match getcwd(Vec::new()).and_then(same) {
        Err(e) if is_absent(e) || is_denied(e) => Ok(None),
        path => path,
    }
}

/// What is mounted below a directory that is about to be covered.
struct Below(Vec<(Bytes, OwnedFd)>);

impl Below {
    fn hold(own: &Host, directory: &OwnedFd) -> Result<Below> {
        let cannot = |e| Error::cannot("look at what is mounted", e);
        let mut held = Vec::new();
        for point in mounts::below(&mounts::all(own)?, directory).map_err(cannot)? {
            match own.locate(point, Links::Keep) {
                Ok(mount) => held.push((point, mount)),
                Err(Errno::NOENT) => {} // hidden by another mount
                Err(e) => return Err(cannot(e)),
            }
        }
        Ok(Below(held))
    }

    /// Binds the mounts, with what is mounted on them, to where they were, now that the directory is another.
    fn bind_back(&self, own: &Host) -> Result<()> {
        for (point, mount) in &self.0 {
            match own.locate(point, Links::Keep).and_then(|place| bind(mount, &place)) {
                Err(Errno::NOENT) => own.console.note(format_args!("nothing to mount {} on again", quoted(point))),
                bound => bound.map_err(|e| refused(format_args!("mount {} again", quoted(point)), e))?,
            }
        }
        Ok(())
    }
}

/// A directory that is to be mounted on.
fn directory(own: &Host, path: &[u8]) -> Result<OwnedFd> {
    own.locate(path, Links::Follow).map_err(|e| Error::cannot(format_args!("open {}", quoted(path)), e))
}

/// Mounts a new file system of this kind on what `place` holds.
fn mount_new(kind: &CStr, place: &OwnedFd, flags: MountFlags, data: &CStr) -> std::result::Result<(), Errno> {
    mount(kind, fd_path(place), kind, flags, data)
}

/// Mounts what `from` holds, with all that is mounted below it, on what `to` holds.
fn bind(from: &OwnedFd, to: &OwnedFd) -> std::result::Result<(), Errno> {
    mount_bind_recursive(fd_path(from), fd_path(to))
}

fn refused(action: impl Display, errno: Errno) -> Error {
    let error = Error::cannot(action, errno);
    if is_denied(errno) {
        error.remedy("--sys and --dns need root, or a rootless container of your own")
    } else {
        error
    }
}
