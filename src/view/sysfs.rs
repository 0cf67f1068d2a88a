//! `--sys`: a sysfs of the target's network namespace over /sys, with all that was mounted below it.

#![forbid(unsafe_code)]

use super::{Below, place, refused};
use crate::error::Result;
use crate::host::Host;
use crate::root::fd_path;
use rustix::fs::{StatVfsMountFlags, fstatvfs};
use rustix::mount::{MountFlags, mount, mount_remount};

/// Mounts it; the caller is in that network namespace and in a mount namespace of its own.
///
/// # Errors
/// Where there is no /sys, or the kernel refuses.
pub fn show(own: &Host) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let cannot = |e| refused("mount a sysfs on \"/sys\"", e);
    let covered = place(own, b"/sys")?;
    let is_read_only = fstatvfs(&covered).map_err(cannot)?.f_flag.contains(StatVfsMountFlags::RDONLY);
    let below = Below::hold(own, &covered, b"/sys")?;
    mount(c"sysfs", fd_path(&covered), c"sysfs", flags, None).map_err(cannot)?;
    below.bind_back(own, &|_| false)?;
    if is_read_only {
        // All mounts of one network namespace's sysfs share what MS_RDONLY sets when one is made; this is of ours alone.
        let ours = place(own, b"/sys")?;
        mount_remount(fd_path(&ours), MountFlags::BIND | MountFlags::RDONLY | flags, c"").map_err(cannot)?;
    }
    Ok(())
}
