//! What COMMAND sees of the namespace besides being in it: the views of `--sys` and `--dns`.
//!
//! Both are mounts in a mount namespace of COMMAND's own, which is a slave of the caller's: what
//! the host mounts later still appears in it, nothing of ours shows anywhere else, and all of it
//! ends with COMMAND. What comes from the target is read before anything is changed.

#![forbid(unsafe_code)]

mod dns;
pub(crate) mod origin;
mod submounts;
mod sysfs;

use crate::base::console::Console;
use crate::base::error::{Error, Result, is_absent, is_denied};
use crate::base::escape::shown;
use crate::host::Host;
use crate::kernel::netns::id_at;
use crate::sys::fd::fd_path;
use crate::sys::libc::unshare_mounts;
use crate::target::Target;
use rustix::fd::OwnedFd;
use rustix::fs::CWD;
use rustix::io::{self, Errno};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};
use rustix::process::{chdir, getcwd};
use std::ffi::{CStr, CString};

/// Which views the user wants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Views {
    /// A sysfs of the namespace on /sys.
    pub sys: bool,
    /// The target's resolv.conf and hosts in place of the caller's.
    pub dns: bool,
}

/// What to show, read and ready.
pub(crate) struct View {
    sys: bool,
    dns: Option<Vec<dns::File>>,
}

impl View {
    /// Reads what `views` want shown of `target`.
    ///
    /// # Errors
    /// Where the target's files are not fit to be used, or there is nobody to take them from.
    pub(crate) fn prepare(host: &Host, target: &Target, views: Views) -> Result<View> {
        let dns = if views.dns { Some(dns::read(host, target)?) } else { None };
        Ok(View { sys: views.sys, dns })
    }

    /// Tells whether there is nothing to show.
    pub(crate) fn is_empty(&self) -> bool {
        !self.sys && self.dns.is_none()
    }

    /// Makes the mounts. To be called in the network namespace, by a process that is about to end
    /// or to become COMMAND.
    ///
    /// # Errors
    /// Where the kernel refuses; other processes have seen nothing of it.
    pub(crate) fn show(&self, console: Console) -> Result<()> {
        if self.is_empty() {
            return Ok(());
        }
        // The mounts are the caller's, whichever machine the target is looked up on.
        let own = Host::own(console);
        let working =
            working_directory().map_err(|e| refused("look up the working directory", e, None))?;
        unshare_mounts().map_err(|e| refused("make a mount namespace", e, None))?;
        mount_change("/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC).map_err(
            |e| {
                let remedy =
                    "in a chroot, \"/\" must be a mount: mount --rbind DIR DIR before chroot DIR";
                refused("make \"/\" a slave mount", e, Some(remedy))
            },
        )?;
        if self.sys {
            sysfs::show(&own).map_err(|e| refused("mount a sysfs on \"/sys\"", e, None))?;
        }
        if let Some(files) = &self.dns {
            dns::show(&own, files)?;
        }
        match working {
            Some(path) => enter_again(&path),
            None => Ok(()),
        }
    }
}

/// Makes the failure of a step that the kernel refused; `remedy` is for an errno that has none of
/// its own.
fn refused(action: &str, errno: Errno, remedy: Option<&str>) -> Error {
    let remedy = match errno {
        e if is_denied(e) => Some("--sys and --dns need root, or a rootless container of your own"),
        Errno::OVERFLOW => Some("your uid has no mapping in the user namespace"),
        _ => remedy,
    };
    let error = Error::cannot(action, errno);
    match remedy {
        Some(remedy) => error.with_remedy(remedy),
        None => error,
    }
}

/// Returns the path of the working directory, where that leads to it. It does not if the directory
/// was removed, is outside of our root, or is covered already; and it may not be one that we may
/// go.
fn working_directory() -> io::Result<Option<CString>> {
    let leading_to_it = |path: CString| {
        let (by_path, itself) = (id_at(CWD, path.to_bytes())?, id_at(CWD, b".")?);
        Ok((by_path == itself).then_some(path))
    };
    match getcwd(Vec::new()).and_then(leading_to_it) {
        Err(e) if is_absent(e) || is_denied(e) => Ok(None),
        path => path,
    }
}

/// Enters the working directory by its path: it may be covered now.
fn enter_again(path: &CStr) -> Result<()> {
    chdir(path).map_err(|e| {
        let remedy = format!("{} is another's: cd / first", shown(path.to_bytes()));
        refused("enter the working directory as COMMAND is to see it", e, Some(&remedy))
    })
}

/// Mounts a new file system on what a descriptor holds: mount(2).
fn mount_new(kind: &CStr, place: &OwnedFd, flags: MountFlags, data: &CStr) -> io::Result<()> {
    mount(kind, fd_path(place), kind, flags, data)
}

/// Mounts what `from` holds, with all that is mounted below it, on what `to` holds.
fn bind(from: &OwnedFd, to: &OwnedFd) -> io::Result<()> {
    mount_bind_recursive(fd_path(from), fd_path(to))
}
