//! `--inode`: the namespace with this inode, held by a process, a thread or a mount.

#![forbid(unsafe_code)]

use super::{Target, not_found};
use crate::base::error::Result;
use crate::host::Host;
use crate::host::namespaces::by_inode;

/// Opens the namespace that has this inode.
///
/// # Errors
/// Where nothing that may be looked at holds it.
pub(super) fn resolve(host: &Host, inode: u64) -> Result<Target> {
    let label = format!("network namespace {inode}");
    match by_inode(host, inode) {
        Some((netns, process)) => Ok(Target::new(netns, label, process)),
        None => {
            let remedy =
                "netns-enter --list, lsns -t net and readlink /proc/PID/ns/net show inodes";
            Err(not_found(host, &label, format!("no {label}"), remedy))
        }
    }
}
