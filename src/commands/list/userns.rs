//! Namespaces from which there is no way back: those that the caller may enter only through the
//! user namespace that owns them, and from a user namespace of the caller's own all that lie in it.
//!
//! A child goes there for all the network namespaces of one user namespace, and reports by a pipe.

#![forbid(unsafe_code)]

use super::encoding;
use super::entry::Entry;
use super::visitor::Visitor;
use crate::base::error::{Error, Result};
use crate::base::fields::Fields;
use crate::kernel::fork;
use crate::sys::stdio::write_all;
use rustix::fd::OwnedFd;
use rustix::io::Errno;

/// Looks at the interfaces that could not be looked at from here.
///
/// # Errors
/// Where the machine rather than a lack of rights is the reason.
pub(super) fn visit(visitor: &Visitor<'_>, entries: &mut [Entry]) -> Result<()> {
    for at in 0..entries.len() {
        if !entries[at].lacks_interfaces() {
            continue;
        }
        let Some(netns) = entries[at].group.namespace.open(visitor.host) else { continue };
        if visitor.home.lets_child_go_to(&netns) {
            drop(netns);
            visit_in_child(visitor, entries, at)?;
        }
        if entries[at].lacks_interfaces() {
            let link = format!("net:[{}]", entries[at].inode());
            visitor.host.remember_unread(link.as_bytes(), Errno::PERM);
        }
    }
    Ok(())
}

/// Asks a child for the interfaces of entry `first` and of all later ones to which that can go on.
fn visit_in_child(visitor: &Visitor<'_>, entries: &mut [Entry], first: usize) -> Result<()> {
    let report = fork::query(&|pipe| {
        // What could not be told is missed, and said to be unreadable.
        let _ = report(visitor, entries, first, pipe);
    })?;
    let mut fields = Fields(&report);
    while let Some((at, links)) = encoding::decode(&mut fields) {
        if let Some(entry) = entries.get_mut(at) {
            entry.interfaces = Some(links);
        }
    }
    Ok(())
}

/// Goes to entry `first`, by the user namespace that owns it where that is needed, and writes the
/// interfaces of each entry that can be entered from there.
fn report(visitor: &Visitor<'_>, entries: &[Entry], first: usize, pipe: &OwnedFd) -> Result<()> {
    let mut is_there = false;
    for (at, entry) in entries.iter().enumerate().skip(first) {
        if !entry.lacks_interfaces() {
            continue;
        }
        let Some(netns) = entry.group.namespace.open(visitor.host) else { continue };
        if !is_there {
            netns.enter("a container")?;
            is_there = true;
        } else if netns.set().is_err() {
            continue;
        }
        let record = encoding::encode(at, &visitor.links(entries, at)?);
        // The parent does not learn of it, but that something is missing.
        visitor.host.check()?;
        write_all(pipe, &record).map_err(|e| Error::cannot("write to a pipe", e))?;
    }
    Ok(())
}
