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
use crate::error::{Error, Result, is_denied};
use crate::host::Host;
use crate::mounts;
use crate::root::{Links, fd_path};
use crate::sys;
use crate::target::Found;
use crate::text::quoted;
use rustix::fd::OwnedFd;
use rustix::io::Errno;
use rustix::mount::{MountPropagationFlags, mount_bind_recursive, mount_change};
use rustix::process::{chdir, getcwd};

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
        let directory = getcwd(Vec::new());
        sys::unshare_mounts().map_err(|e| refused("make a mount namespace", e))?;
        mount_change(c"/", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC).map_err(|e| match e {
            Errno::INVAL => Error::cannot("make \"/\" a slave mount", e)
                .remedy("in a chroot \"/\" must be a mount: mount --rbind DIR DIR before chroot DIR"),
            e => refused("make \"/\" a slave mount", e),
        })?;
        // The mounts are the caller's, whichever machine the target is looked up on.
        let own = Host::own(console);
        if self.sys {
            sysfs::show(&own)?;
        }
        if let Some(files) = &self.dns {
            dns::show(&own, files)?;
        }
        match directory {
            Ok(path) => return_to(path.as_bytes()),
            // Removed since it was entered, and so in no mount of ours.
            Err(_) => Ok(()),
        }
    }
}

/// Enters the working directory once more, by its path: it may be covered now.
fn return_to(path: &[u8]) -> Result<()> {
    if !path.starts_with(b"/") {
        return Ok(()); // Outside our root, as getcwd(2) puts it: "(unreachable)".
    }
    match chdir(path) {
        Err(e @ (Errno::NOENT | Errno::NOTDIR)) => {
            Err(Error::cannot(format_args!("enter {} again, as COMMAND is to see it", quoted(path)), e)
                .remedy("start in another directory: cd /"))
        }
        // A directory whose parents may not be searched is none of those that we cover.
        _ => Ok(()),
    }
}

/// What is mounted below a directory that is about to be covered.
struct Below(Vec<(Bytes, OwnedFd)>);

impl Below {
    /// Holds the mounts below `directory`.
    fn hold(own: &Host, directory: &OwnedFd, path: &[u8]) -> Result<Below> {
        let cannot = |e| Error::cannot(format_args!("look at the mounts below {}", quoted(path)), e);
        let points = mounts::below(&mounts::all(own)?, directory).map_err(cannot)?;
        let mut held = Vec::new();
        for point in points {
            match own.locate(point, Links::Keep) {
                Ok(mount) => held.push((point, mount)),
                Err(Errno::NOENT) => {} // hidden by another mount
                Err(e) => return Err(cannot(e)),
            }
        }
        Ok(Below(held))
    }

    /// Binds them to where they were, but for those that are `replaced`, now that the directory is another.
    fn bind_back(&self, own: &Host, replaced: &dyn Fn(&[u8]) -> bool) -> Result<()> {
        for (point, mount) in &self.0 {
            if replaced(point) {
                continue;
            }
            let action = format!("mount {} again", quoted(point));
            match own.locate(point, Links::Keep) {
                Ok(place) => mount_bind_recursive(fd_path(mount), fd_path(&place)).map_err(|e| refused(&action, e))?,
                Err(Errno::NOENT) => own.console.note(format_args!("cannot {action}: it is not there")),
                Err(e) => return Err(Error::cannot(action, e)),
            }
        }
        Ok(())
    }
}

fn refused(action: &str, errno: Errno) -> Error {
    let error = Error::cannot(action, errno);
    if is_denied(errno) {
        error.remedy("--sys and --dns need root, or a rootless container of your own")
    } else {
        error
    }
}

/// A directory that a view is to be mounted on.
fn place(own: &Host, path: &[u8]) -> Result<OwnedFd> {
    own.locate(path, Links::Follow).map_err(|e| Error::cannot(format_args!("open {}", quoted(path)), e))
}
