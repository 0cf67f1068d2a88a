//! Containers that only a runtime's record tells of.

#![forbid(unsafe_code)]

use super::kubernetes::contains;
use super::oci::{begins_ids, is_long};
use super::records::{Kind, Root, gvisor_ids};
use super::{Container, Containers, Roots, Source};
use crate::containers::world::World;
use std::rc::Rc;

/// Adds the containers of which each of an engine's places has a record: for one that has no names.
pub(super) fn list(world: &World<'_>, roots: Roots, needle: Option<&[u8]>, out: &mut Containers) {
    for root in roots(world) {
        add_recorded(world, &[root].into(), needle, out);
    }
}

/// Adds the containers of which a place has a record, under their IDs alone: for those that no file
/// names. All of their records are in `roots`.
pub(super) fn add_recorded(
    world: &World<'_>,
    roots: &Rc<[Root]>,
    needle: Option<&[u8]>,
    out: &mut Containers,
) {
    for root in roots.iter() {
        if root.kind == Kind::CgroupParent {
            continue;
        }
        for name in world.entries(&root.path) {
            let id = match root.kind {
                Kind::Gvisor | Kind::GvisorAlone => gvisor_ids(&name).map(|(id, _)| id),
                _ => Some(&name[..]),
            };
            let Some(id) = id.filter(|id| needle.is_none_or(|needle| contains(id, needle))) else {
                continue;
            };
            let source = Source::Files { directory: Vec::new(), roots: roots.clone() };
            let namespace = root.namespace.clone();
            out.add(Container { namespace, ..Container::unnamed(root.word, id, source) });
        }
    }
}

/// As [`add_recorded`], of IDs that an engine made up: 64 digits.
pub(super) fn add_recorded_ids(
    world: &World<'_>,
    roots: &Rc<[Root]>,
    needle: Option<&[u8]>,
    out: &mut Containers,
) {
    if !begins_ids(needle) {
        return;
    }
    let mut all = Containers::default();
    add_recorded(world, roots, needle, &mut all);
    for container in all.into_list() {
        if is_long(&container.id) {
            out.add(container);
        }
    }
}
