//! `--cgroup`: the processes of a cgroup, if they share one namespace.

#![forbid(unsafe_code)]

use super::{Target, of_member};
use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::host::Host;
use crate::host::cgroup::{directories, members, several};

/// Finds the namespace of the processes in the cgroup or unit that `text` means.
///
/// # Errors
/// Where there is no such cgroup, it has no processes, or these are in several namespaces.
pub(super) fn resolve(host: &Host, text: &[u8]) -> Result<Target> {
    let dirs = directories(host, text)?;
    let label = format!("cgroup {}", quoted(text));
    let mut members = members(host, &dirs)?;
    if members.len() > 1 {
        return Err(several(text, &members));
    }
    match members.pop() {
        Some(member) => of_member(host, member, label),
        None => Err(Error::new(format!("{label} has no processes{}", host.but_unread()))),
    }
}
