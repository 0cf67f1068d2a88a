//! `--sys`: a sysfs of the target's network namespace over /sys, with all that was mounted below
//! it.

#![forbid(unsafe_code)]

use super::mount_new;
use super::submounts::Submounts;
use crate::host::Host;
use crate::host::root::Symlink;
use crate::sys::fd::fd_path;
use rustix::fs::fstatfs;
use rustix::io::{self, Errno};
use rustix::mount::{MountFlags, mount_remount};

/// ST_RDONLY of statfs(2), for the mount as for the whole file system.
const READ_ONLY: u64 = 1;

/// Mounts the sysfs; the caller is in that network namespace and in a mount namespace of its own.
///
/// # Errors
/// Where there is no /sys, or the kernel refuses.
pub(super) fn show(own: &Host) -> io::Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let covered = own.resolve(b"/sys", Symlink::Follow)?;
    let is_read_only = fstatfs(&covered)?.f_flags as u64 & READ_ONLY != 0;
    let submounts = Submounts::below(own, &covered)?;
    match mount_new(c"sysfs", &covered, flags, c"") {
        // It is there already, and the kernel does not mount it on itself.
        Err(Errno::BUSY) => {
            mount_new(c"tmpfs", &covered, flags, c"")?;
            mount_new(c"sysfs", &covered, flags, c"")?;
        }
        mounted => mounted?,
    }
    submounts.bind_back(own)?;
    if is_read_only {
        // MS_RDONLY of a new mount is for all mounts of this namespace's sysfs, other people's too;
        // this is for ours alone.
        let ours = own.resolve(b"/sys", Symlink::Follow)?;
        mount_remount(fd_path(&ours), MountFlags::BIND | MountFlags::RDONLY | flags, c"")?;
    }
    Ok(())
}
