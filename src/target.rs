//! From what the user named to one open namespace.

#![forbid(unsafe_code)]

use crate::cli::Target;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::netns::NetNs;
use crate::process::{Process, diagnose};
use rustix::fs::OFlags;

/// What a target resolves to: all that entering, pinning and looking need.
#[derive(Debug)]
pub struct Found {
    /// The namespace, verified and open.
    pub netns: NetNs,
    /// How messages call what was named, as in `process 3456`.
    pub label: String,
    /// The process it was found by, held.
    pub process: Option<Process>,
}

/// Finds the one namespace that `target` means on `host`.
///
/// # Errors
/// Where there is none, more than one, or any doubt.
pub fn resolve(host: &Host, target: &Target) -> Result<Found> {
    match target {
        Target::Pid(pid) => by_pid(host, *pid),
        _ => Err(Error::new("not yet")),
    }
}

/// The one path without an expectation: the user vouches for the pid.
fn by_pid(host: &Host, pid: u32) -> Result<Found> {
    let netns = host
        .open_proc(&format!("{pid}/ns/net"), OFlags::RDONLY)
        .and_then(NetNs::of_link)
        .map_err(|e| diagnose(host, pid, e))?;
    Ok(Found { netns, label: format!("process {pid}"), process: None })
}
