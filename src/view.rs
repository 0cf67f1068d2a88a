//! What COMMAND sees of the namespace besides being in it: the views of `--sys` and `--dns`.
//!
//! Both are mounts in a mount namespace of COMMAND's own, which is a slave of the caller's: what the host mounts later still
//! appears in it, nothing of ours shows anywhere else, and all of it ends with COMMAND. What comes from the target is read before
//! anything is changed.

#![forbid(unsafe_code)]

mod dns;
mod sysfs;

use crate::bytes::{Bytes, both};
use crate::cli::Args;
use crate::console::Console;
use crate::error::{Error, Result, is_absent, is_denied};
use crate::host::Host;
use crate::mounts;
use crate::netns::id_at;
use crate::root::{Links, fd_path};
use crate::sys;
use crate::target::Found;
use crate::text::{shown, text};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::CWD;
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_bind_recursive, mount_change};
use rustix::process::{chdir, getcwd};
use std::ffi::{CStr, CString};

/// A descriptor that is left to the exec to close.
type Fd = BorrowedFd<'static>;
/// What the kernel said.
type Called<T> = std::result::Result<T, Errno>;

/// What to show, read and ready.
pub struct View {
    sys: bool,
    dns: Option<dns::Files>,
}

/// What is being done, for the message if it fails.
struct Step {
    action: Bytes,
    /// What to do then, if it is known.
    remedy: Bytes,
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
        let mut step = Step { action: b"look up the working directory", remedy: b"" };
        // The mounts are the caller's, whichever machine the target is looked up on.
        self.make(&Host::own(console), &mut step).map_err(|e| {
            let remedy: &[u8] = match e {
                e if is_denied(e) => b"--sys and --dns need root, or a rootless container of your own",
                Errno::OVERFLOW => b"your uid has no mapping in the user namespace",
                _ => step.remedy,
            };
            let error = Error::cannot(step.action, e);
            if remedy.is_empty() { error } else { error.remedy(shown(remedy)) }
        })
    }

    fn make(&self, own: &Host, step: &mut Step) -> Called<()> {
        let working = working_directory()?;
        step.action = b"make a mount namespace";
        sys::unshare_mounts()?;
        step.action = b"make \"/\" a slave mount";
        step.remedy = b"in a chroot, \"/\" must be a mount: mount --rbind DIR DIR before chroot DIR";
        mount_change(c"/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
        step.remedy = b"";
        if self.sys {
            step.action = b"mount a sysfs on \"/sys\"";
            sysfs::show(own)?;
        }
        if let Some(files) = self.dns {
            dns::show(own, files, step)?;
        }
        // It may be covered now.
        if let Some(path) = working {
            step.action = b"enter the working directory as COMMAND is to see it";
            step.remedy = both(path.to_bytes(), b" is another's: cd / first");
            chdir(&*path)?;
        }
        Ok(())
    }
}

/// The path of the working directory, where that leads to it. It does not if the directory was removed, is outside of our root, or is
/// covered already; and it may not be one that we may go.
fn working_directory() -> Called<Option<CString>> {
    let same = |path: CString| {
        let (by_path, itself) = (id_at(CWD, path.to_bytes())?, id_at(CWD, b".")?);
        Ok((by_path == itself).then_some(path))
    };
    match getcwd(Vec::new()).and_then(same) {
        Err(e) if is_absent(e) || is_denied(e) => Ok(None),
        path => path,
    }
}

/// What is mounted below a directory that is about to be covered.
struct Below(Vec<(Bytes, Fd)>);

impl Below {
    fn hold(own: &Host, directory: Fd) -> Called<Below> {
        let mut held = Vec::new();
        for point in mounts::below(mounts::read(own)?, directory)? {
            match locate(own, point, Links::Keep) {
                Err(Errno::NOENT) => {} // hidden by another mount
                mount => held.push((*point, mount?)),
            }
        }
        Ok(Below(held))
    }

    /// Binds the mounts, with what is mounted on them, to where they were, now that the directory is another.
    fn bind_back(&self, own: &Host) -> Called<()> {
        for (point, mount) in &self.0 {
            match locate(own, point, Links::Keep).and_then(|place| bind(*mount, place)) {
                Err(Errno::NOENT) => own.console.note(text!("nothing to mount \"{}\" on again", point)),
                bound => bound?,
            }
        }
        Ok(())
    }
}

fn locate(own: &Host, path: &[u8], links: Links) -> Called<Fd> {
    own.locate(path, links).map(kept)
}

fn kept(fd: OwnedFd) -> Fd {
    let fd: &'static OwnedFd = Box::leak(Box::new(fd));
    fd.as_fd()
}

/// Mounts a new file system of this kind on what `place` holds.
fn mount_new(kind: &CStr, place: Fd, flags: MountFlags, data: &CStr) -> Called<()> {
    mount(kind, fd_path(place), kind, flags, data)
}

/// Mounts what `from` holds, with all that is mounted below it, on what `to` holds.
fn bind(from: Fd, to: Fd) -> Called<()> {
    mount_bind_recursive(fd_path(from), fd_path(to))
}
