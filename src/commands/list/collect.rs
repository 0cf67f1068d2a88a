//! Finding out all that a list shows.

#![forbid(unsafe_code)]

use super::entry::{Detail, Entry, Listing, Unknown};
use super::group::{self, Group};
use super::prepared;
use super::userns;
use super::visitor::Visitor;
use crate::base::error::Result;
use crate::containers::claims;
use crate::containers::running::{RunningContainer, running};
use crate::containers::world::World;
use crate::host::Host;
use crate::host::holders::Holder;
use crate::host::namespaces::{self, Namespace};
use crate::kernel::cookie;
use crate::pin::lookup;
use crate::target::Target;

/// Collects all namespaces, or only that of `target`; after a `deep` look with all that keeps them.
///
/// # Errors
/// Where the interfaces cannot be asked for, or the machine refuses.
pub(super) fn listing(
    host: &Host,
    target: Option<&Target>,
    detail: Detail,
    deep: bool,
) -> Result<Listing> {
    // Root's, or the caller's; for root then what users say.
    let mut containers = running(host)?;
    containers.append(&mut claims::list(host)?);
    let (namespaces, unknown) = match deep {
        true => namespaces::all_with_holders(host, None)?,
        false => (namespaces::all(host), Vec::new()),
    };
    let mut entries = all(host, namespaces, containers, target, detail)?;
    let visitor = Visitor::new(host, detail)?;
    visit(&visitor, target, &mut entries, deep)?;
    userns::visit(&visitor, &mut entries)?;
    prepared::name(host, &mut entries)?;
    host.check()?;
    entries.retain(|entry| entry.is_listed);
    let mut known_by_files = Vec::new();
    for holders in unknown.into_iter().filter(|_| target.is_none()) {
        known_by_files.push(Unknown { held_by: held_by(host, &holders), holders });
    }
    let (home, pin_directory) = (visitor.home.id().ino, lookup::directory(host));
    let only = target.map(|target| target.netns.id.ino);
    Ok(Listing { entries, only, home, pin_directory, unknown: deep.then_some(known_by_files) })
}

/// Tells who holds a namespace that nothing else explains.
fn held_by(host: &Host, holders: &[Holder]) -> String {
    match holders.first() {
        Some(holder) => format!("held by {}", holder.told(host)),
        None => "no holder found".to_owned(),
    }
}

/// Puts the containers into the namespaces, and sees to it that the one of `target` is there.
fn all(
    host: &Host,
    namespaces: Vec<Namespace>,
    containers: Vec<RunningContainer>,
    target: Option<&Target>,
    detail: Detail,
) -> Result<Vec<Entry>> {
    let wanted = target.map(|target| target.netns.id);
    let mut is_found = wanted.is_none();
    let mut entries = Vec::new();
    for group in group::all(host, namespaces, containers)? {
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
fn visit(
    visitor: &Visitor<'_>,
    target: Option<&Target>,
    entries: &mut [Entry],
    deep: bool,
) -> Result<()> {
    let root = World::root(visitor.host);
    for at in 0..entries.len() {
        if !entries[at].is_listed {
            continue;
        }
        let opened = entries[at].group.open(visitor.host)?;
        if deep && entries[at].group.namespace.is_left() {
            let holders = &entries[at].group.namespace.holders;
            entries[at].held_by = Some(held_by(visitor.host, holders));
        }
        let netns = match (&opened, target) {
            (Some((netns, _)), _) => netns,
            (None, Some(target)) if target.netns.id == entries[at].group.namespace.id => {
                &target.netns
            }
            (None, _) => {
                // It has vanished; or it is held, but not so that it can be opened.
                entries[at].is_listed = entries[at].group.namespace.is_held_by_mount();
                continue;
            }
        };
        if visitor.detail == Detail::Full {
            entries[at].group.namespace.cookie = cookie::of(&visitor.home, netns)?;
        }
        if let Some((_, Some(process))) = &opened {
            entries[at].describe(&root, process, visitor.detail);
        }
        entries[at].interfaces = visitor.home.within(netns, || visitor.links(entries, at))?;
    }
    Ok(())
}
