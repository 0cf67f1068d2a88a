//! Asking all engines for the records of one ID.

#![forbid(unsafe_code)]

use super::look::look;
use super::records::{Kind, Record, Records, Root, gvisor_ids};
use super::{Container, ENGINES, Engine, Source, lxc, runtimes};
use crate::base::text::{join, last};
use crate::containers::world::World;
use crate::host::process::Process;

/// Returns what was recorded of a container's first process, and where it was looked for.
pub(crate) fn records(world: &World<'_>, container: &Container) -> Records {
    match &container.source {
        Source::Records(known) => Records {
            places: known.iter().map(|record| record.file.clone()).collect(),
            found: known.clone(),
            is_partial: false,
        },
        Source::Files { roots, .. } => look(world, roots, &|_| true, &container.id),
        Source::Anywhere => look(world, &all_roots(world, &|_| true), &|_| true, &container.id),
    }
}

/// Tells whether a process is known to be another container's: a runtime recorded it under another
/// ID, or LXC's monitor is its parent. A container's root may have moved it to any cgroup.
pub(crate) fn is_anothers(world: &World<'_>, container: &Container, process: &Process) -> bool {
    recorded_pids(world).iter().any(|(pid, id)| *pid == process.pid && *id != container.id)
        || (!lxc::runs(container) && lxc::has_monitor(world, process))
}

/// Returns the ID under which a runtime has recorded a process, if one has.
pub(crate) fn recorded_as<'w>(world: &'w World<'_>, process: &Process) -> Option<&'w [u8]> {
    let mut recorded = recorded_pids(world).iter();
    recorded.find(|(pid, _)| *pid == process.pid).map(|(_, id)| &**id)
}

/// Returns the pid and the ID of every record of a world, which are read once.
fn recorded_pids<'w>(world: &'w World<'_>) -> &'w [(u32, Vec<u8>)] {
    world.recorded.get_or_init(|| all_recorded(world))
}

/// Returns the pid and the ID of every record of a world.
fn all_recorded(world: &World<'_>) -> Vec<(u32, Vec<u8>)> {
    let mut all = Vec::new();
    let roots = all_roots(world, &|_| true);
    for root in roots.iter().filter(|root| root.kind != Kind::CgroupParent) {
        for name in world.entries(&root.path) {
            let id = gvisor_ids(&name).map_or(&name[..], |(id, _)| id);
            let records = look(world, &roots, &|it| it.is_at(root), id);
            all.extend(records.found.iter().map(|record| (record.pid, record.id.clone())));
        }
    }
    all
}

/// Returns the places of the engines that are meant, each once.
pub(super) fn all_roots(world: &World<'_>, is_meant: &dyn Fn(&Engine) -> bool) -> Vec<Root> {
    let mut all: Vec<Root> = Vec::new();
    for engine in ENGINES.iter().filter(|engine| is_meant(engine)) {
        for root in (engine.roots)(world) {
            if !all.iter().any(|known| known.is_at(&root)) {
                all.push(root);
            }
        }
    }
    all
}

/// Returns the containers of which a runtime recorded a process under a full ID, each with its
/// records: one for each engine, and for each of containerd's namespaces.
pub(crate) fn by_id(world: &World<'_>, only: Option<&str>, id: &[u8]) -> Vec<Container> {
    // Nobody has the ID of another: mounts that may not answer are asked only where there is need.
    let (found, is_left_out) = world.host.mounts.without(|| recorded(world, only, id));
    if found.is_empty() && is_left_out { recorded(world, only, id) } else { found }
}

fn recorded(world: &World<'_>, only: Option<&str>, id: &[u8]) -> Vec<Container> {
    let is_meant = |engine: &Engine| only.is_none_or(|word| engine.words.contains(&word));
    let roots = all_roots(world, &is_meant);
    let (mut containers, mut asked) = (Vec::new(), Vec::new());
    for root in &roots {
        // What one engine has in one namespace is about one container.
        let of = (root.word, root.namespace());
        if asked.contains(&of) || only.is_some_and(|word| root.word != word) {
            continue;
        }
        asked.push(of);
        let is_its = |root: &Root| (root.word, root.namespace()) == of;
        let found = look(world, &roots, &is_its, id).found;
        let Some(record) = found.first() else { continue };
        let word = match root.word {
            "podman" => podman_or_runtime(world, &roots, record),
            word => word,
        };
        if only.is_none_or(|only| only == word) {
            containers.push(Container::unnamed(word, id, Source::Records(found)));
        }
    }
    containers
}

/// Returns the word of whose container a record of podman's runtimes is: where there are stores and
/// none knows the ID, the runtime's that recorded it.
fn podman_or_runtime(world: &World<'_>, roots: &[Root], record: &Record) -> &'static str {
    let has_it = |root: &Root| {
        root.kind == Kind::Userdata && world.is_directory(&join(&root.path, &record.id))
    };
    if !roots.iter().any(has_it) {
        for word in runtimes::WORDS {
            let is_its = |root: &Root| {
                last(&root.path) == word.as_bytes() && record.file.starts_with(&root.path)
            };
            if roots.iter().any(is_its) {
                return word;
            }
        }
    }
    "podman"
}
