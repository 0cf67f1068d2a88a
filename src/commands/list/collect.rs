//! Finding out all that a list shows.

#![forbid(unsafe_code)]

use super::entry::{Detail, Entry, Listing};
use super::group::{self, Group};
use super::userns;
use super::visitor::Visitor;
use crate::base::error::Result;
use crate::containers::claims;
use crate::containers::running::running;
use crate::host::Host;
use crate::host::namespaces::Namespace;
use crate::kernel::netns::within;
use crate::pin::lookup;
use crate::target::Target;

/// Collects all namespaces, or only that of `target`.
///
/// # Errors
/// Where the interfaces cannot be asked for, or the machine refuses.
pub(super) fn listing(host: &Host, target: Option<&Target>, detail: Detail) -> Result<Listing> {
    let wanted = target.map(|target| target.netns.id);
    let mut entries = Vec::new();
    // Root's, or the caller's; for root then what users say.
    let mut containers = running(host)?;
    containers.extend(claims::list(host)?);
    for group in group::all(host, containers)? {
        let is_listed = wanted.is_none_or(|id| id == group.namespace.id);
        entries.push(Entry::new(group, is_listed));
    }
    if let Some(id) = wanted.filter(|_| entries.iter().all(|entry| !entry.is_listed)) {
        // It is held by nothing that the walk finds, such as a file in another mount namespace.
        let namespace = Namespace::new(id);
        let group = Group { namespace, is_host: false, containers: Vec::new() };
        entries.push(Entry::new(group, true));
    }
    let visitor = Visitor::new(host, detail)?;
    for at in 0..entries.len() {
        if !entries[at].is_listed {
            continue;
        }
        let opened = entries[at].group.open(host)?;
        let netns = match (&opened, target) {
            (Some((netns, _)), _) => netns,
            (None, Some(target)) => &target.netns,
            (None, None) => {
                // It has vanished.
                entries[at].is_listed = false;
                continue;
            }
        };
        if let Some((_, Some(process))) = &opened {
            entries[at].describe(host, process, detail)?;
        }
        entries[at].interfaces = within(netns, &visitor.home, || visitor.links(&entries, at))?;
    }
    userns::visit(&visitor, &mut entries)?;
    entries.retain(|entry| entry.is_listed);
    let (home, pin_directory) = (visitor.home.id.ino, lookup::directory(host));
    Ok(Listing { entries, home, pin_directory })
}
