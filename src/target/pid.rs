//! `--pid`: the namespace of a process that the user vouches for, the one path without an
//! expectation.

#![forbid(unsafe_code)]

use super::Target;
use crate::base::error::Result;
use crate::host::Host;
use crate::host::process::diagnose;
use crate::kernel::netns::NetNs;
use rustix::fs::OFlags;

/// Opens the namespace of process `pid`.
///
/// # Errors
/// Where there is no such process, or it may not be looked at.
pub(super) fn resolve(host: &Host, pid: u32) -> Result<Target> {
    let path = format!("{pid}/ns/net");
    let netns = host
        .open_proc(path.as_bytes(), OFlags::RDONLY)
        .and_then(NetNs::of_link)
        .map_err(|e| diagnose(host, pid, e))?;
    let mut target = Target::new(netns, format!("process {pid}"), None);
    target.pid = Some(pid);
    Ok(target)
}
