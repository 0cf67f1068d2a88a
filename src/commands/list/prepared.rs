//! Names for namespaces in which nothing runs: what engines have prepared them for.

#![forbid(unsafe_code)]

use super::entry::Entry;
use crate::base::error::Result;
use crate::containers::engine::prepared;
use crate::containers::world::World;
use crate::host::Host;
use std::net::IpAddr;

/// Finds out what was prepared for whom among the entries, whose interfaces are known by now.
///
/// # Errors
/// Where the machine refuses to be looked at.
pub(super) fn name(host: &Host, entries: &mut [Entry]) -> Result<()> {
    let mut all = None;
    for entry in entries {
        let namespace = &entry.group.namespace;
        let is_left = namespace.pid.is_none() && namespace.thread.is_none();
        if !is_left || !entry.group.containers.is_empty() || entry.group.is_host {
            continue;
        }
        let has = |ip: &IpAddr| {
            let mut links = entry.interfaces.iter().flatten();
            links.any(|link| link.addresses.iter().any(|address| address.ip == *ip))
        };
        for one in all.get_or_insert_with(|| prepared(&World::root(host))) {
            let is_its =
                namespace.mounts.iter().any(|path| one.may_be_at(path)) && one.is_proven(&has);
            if is_its && !entry.prepared.contains(&one.container) {
                entry.prepared.push(one.container.clone());
            }
        }
    }
    host.check()
}
