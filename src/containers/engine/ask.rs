//! Asking all engines for the records of one ID.

#![forbid(unsafe_code)]

use super::look::look;
use super::records::{Kind, Record, Records, Root};
use super::{Container, ENGINES, Engine, Source, runtimes};
use crate::base::text::{join, last};
use crate::containers::world::World;

/// Returns what was recorded of a container's first process, and where it was looked for.
pub(crate) fn of(world: &World<'_>, container: &Container) -> Records {
    let mut found = Records::default();
    match &container.source {
        Source::Records(known) => {
            found.places = known.iter().map(|record| record.file.clone()).collect();
            found.found = known.to_vec();
        }
        Source::Files { roots, .. } => look(world, roots, &container.id, &mut found),
        Source::Anywhere => look(world, &all_roots(world, &|_| true), &container.id, &mut found),
    }
    found
}

/// Returns the places of the engines that are meant, each once.
pub(super) fn all_roots(world: &World<'_>, is_meant: &dyn Fn(&Engine) -> bool) -> Vec<Root> {
    let mut all: Vec<Root> = Vec::new();
    for engine in ENGINES.iter().filter(|engine| is_meant(engine)) {
        let mut roots = (engine.roots)(world);
        roots.retain(|root| !all.iter().any(|known| known.is_at(root)));
        all.append(&mut roots);
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
    let mut roots = all_roots(world, &is_meant);
    roots.retain(|root| only.is_none_or(|word| root.word == word));
    let mut containers: Vec<Container> = Vec::new();
    let mut at = 0;
    while at < roots.len() {
        // What one engine has in one namespace is about one container.
        let is_same =
            |root: &&Root| (root.word, &root.namespace) == (roots[at].word, &roots[at].namespace);
        let is_done = roots[..at].iter().any(|root| is_same(&root));
        if !is_done {
            let of_one: Vec<Root> = roots[at..].iter().filter(is_same).cloned().collect();
            let mut records = Records::default();
            look(world, &of_one, id, &mut records);
            let word = match records.found.first() {
                Some(record) => word_of(world, &of_one, record),
                None => roots[at].word,
            };
            if !records.found.is_empty() && only.is_none_or(|only| only == word) {
                let source = Source::Records(records.found.into());
                let namespace = roots[at].namespace.clone();
                let unnamed = Container::unnamed(word, id, source);
                containers.push(Container { namespace, ..unnamed });
            }
        }
        at += 1;
    }
    containers
}

/// Returns the word of whose container a record of an engine's is: where podman has stores and none
/// knows the ID, the runtime's that recorded it.
fn word_of(world: &World<'_>, roots: &[Root], record: &Record) -> &'static str {
    let word = roots[0].word;
    let stores = roots.iter().filter(|root| root.kind == Kind::Userdata);
    if word != "podman" {
        return word;
    }
    for store in stores {
        if world.is_directory(&join(&store.path, &record.id)) {
            return word;
        }
    }
    let place = roots.iter().find(|root| record.file.starts_with(&root.path));
    let is_its = |word: &&&str| place.is_some_and(|place| last(&place.path) == word.as_bytes());
    runtimes::WORDS.iter().find(is_its).copied().unwrap_or(word)
}
