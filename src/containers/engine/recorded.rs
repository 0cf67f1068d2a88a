//! Containers that only a runtime's record tells of.

#![forbid(unsafe_code)]

use super::oci::{begins_ids, is_long};
use super::records::{Kind, Root, gvisor_ids};
use super::{Containers, Engine, Found};
use crate::containers::world::World;
use std::rc::Rc;

/// Adds the containers of which each of an engine's places has a record: for one that has no names.
pub(super) fn list(world: &World<'_>, engine: &Engine, out: &mut Containers<'_>) {
    for root in (engine.roots)(world) {
        add_recorded(world, &[root].into(), &|_| true, out);
    }
}

/// Adds the containers of which a place has a record, under their IDs alone, if these are meant:
/// for those that no file names. All of their records are in `roots`.
pub(super) fn add_recorded(
    world: &World<'_>,
    roots: &Rc<[Root]>,
    is_meant: &dyn Fn(&[u8]) -> bool,
    out: &mut Containers<'_>,
) {
    for root in roots.iter() {
        if root.kind == Kind::CgroupParent {
            continue;
        }
        for name in &world.entries(&root.path) {
            let id = match root.kind {
                Kind::Gvisor | Kind::GvisorAlone => gvisor_ids(name).map(|(id, _)| id),
                _ => Some(&name[..]),
            };
            if let Some(id) = id.filter(|id| is_meant(id)) {
                out.add(&Found::unnamed(root.word, id, roots));
            }
        }
    }
}

/// As [`add_recorded`], of IDs that an engine made up: 64 digits.
pub(super) fn add_recorded_ids(world: &World<'_>, roots: &Rc<[Root]>, out: &mut Containers<'_>) {
    if begins_ids(out.needle) {
        add_recorded(world, roots, &is_long, out);
    }
}
