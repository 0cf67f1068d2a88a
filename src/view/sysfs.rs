//! `--sys`: a sysfs of the target's network namespace over /sys, with all that was mounted below it.

#![forbid(unsafe_code)]

use super::{Below, directory, mount_new, refused};
use crate::error::Result;
use crate::host::Host;
use crate::root::fd_path;
use rustix::fs::{StatVfsMountFlags, fstatvfs};
use rustix::io::Errno;
use rustix::mount::{MountFlags, mount_remount};

/// Mounts it; the caller is in that network namespace and in a mount namespace of its own.
///
/// # Errors
/// Where there is no /sys, or the kernel refuses.
pub fn show(own: &Host) -> Result<()> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    let cannot = |e| refused("mount a sysfs on \"/sys\"", e);
    let covered = directory(own, b"/sys")?;
    let is_read_only = fstatvfs(&covered).map_err(cannot)?.f_flag.contains(StatVfsMountFlags::RDONLY);
    let below = Below::hold(own, &covered)?;
    let mut mounted = mount_new(c"sysfs", &covered, flags, c"");
    if mounted == Err(Errno::BUSY) {
        // It is there already, which the kernel does not mount on itself.
        mounted = mount_new(c"tmpfs", &covered, flags, c"").and_then(|()| mount_new(c"sysfs", &covered, flags, c""));
    }
    mounted.map_err(cannot)?;
    below.bind_back(own)?;
    if is_read_only {
        // MS_RDONLY of a new mount is for all mounts of this namespace's sysfs, other people's too; this is for ours alone.
        let ours = directory(own, b"/sys")?;
        mount_remount(fd_path(&ours), MountFlags::BIND | MountFlags::RDONLY | flags, c"").map_err(cannot)?;
    }
    Ok(())
}
