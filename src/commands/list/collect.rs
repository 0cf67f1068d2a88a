//! Finding out all that a list shows.

#![forbid(unsafe_code)]

use super::entry::{Detail, Entry, Listing};
use super::group::{self, Group};
use super::userns;
use super::visitor::Visitor;
use crate::base::error::Result;
use crate::containers::claims;
use crate::containers::running::running;
use crate::containers::world::World;
use crate::host::Host;
use crate::host::namespaces::Namespace;
use crate::pin::lookup;
use crate::target::Target;

/// Collects all namespaces, or only that of `target`.
///
/// # Errors
/// Where the interfaces cannot be asked for, or the machine refuses.
pub(super) fn listing(host: &Host, target: Option<&Target>, detail: Detail) -> Result<Listing> {
    let mut entries = all(host, target, detail)?;
    let visitor = Visitor::new(host, detail)?;
    visit(&visitor, target, &mut entries)?;
    userns::visit(&visitor, &mut entries)?;
    host.check()?;
    entries.retain(|entry| entry.is_listed);
    let (home, pin_directory) = (visitor.home.id().ino, lookup::directory(host));
    let only = target.map(|target| target.netns.id.ino);
    Ok(Listing { entries, only, home, pin_directory })
}

/// Finds the namespaces and the containers in them.
fn all(host: &Host, target: Option<&Target>, detail: Detail) -> Result<Vec<Entry>> {
    // Root's, or the caller's; for root then what users say.
    let mut containers = running(host)?;
    containers.append(&mut claims::list(host)?);
    let wanted = target.map(|target| target.netns.id);
    let mut is_found = wanted.is_none();
    let mut entries = Vec::new();
    for group in group::all(host, containers)? {
        let is_wanted = wanted.is_none_or(|id| id == group.namespace.id);
        is_found |= is_wanted;
        entries.push(Entry::new(group, is_wanted || detail == Detail::Surroundings));
    }
    if let Some(id) = wanted.filter(|_| !is_found) {
        // It is held by nothing that the walk finds, such as a file in another mount namespace.
        let namespace = Namespace::new(id);
        let group = Group { namespace, is_host: false, containers: Vec::new() };
        let place = entries.partition_point(|entry: &Entry| entry.group.namespace.id < id);
        entries.insert(place, Entry::new(group, true));
    }
    Ok(entries)
}

/// Looks at each namespace that is to be shown, as far as it can be entered from here.
fn visit(visitor: &Visitor<'_>, target: Option<&Target>, entries: &mut [Entry]) -> Result<()> {
    let root = World::root(visitor.host);
    for at in 0..entries.len() {
        if !entries[at].is_listed {
            continue;
        }
        let opened = entries[at].group.open(visitor.host)?;
        let netns = match (&opened, target) {
            (Some((netns, _)), _) => netns,
            (None, Some(target)) if target.netns.id == entries[at].group.namespace.id => {
                &target.netns
            }
            (None, _) => {
                // It has vanished.
                entries[at].is_listed = false;
                continue;
            }
        };
        if let Some((_, Some(process))) = &opened {
            entries[at].describe(&root, process, visitor.detail);
        }
        entries[at].interfaces = visitor.home.within(netns, || visitor.links(entries, at))?;
    }
    Ok(())
}
