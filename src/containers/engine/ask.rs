//! Asking all engines for the records of one ID.

#![forbid(unsafe_code)]

use super::look::look;
use super::records::{Records, Root};
use super::{Container, ENGINES, Engine, Source};
use crate::base::error::Result;
use crate::containers::world::World;

/// Returns what was recorded of a container's first process. As [`super::records`].
pub(super) fn of(world: &World<'_>, container: &Container) -> Result<Records> {
    let mut found = Records::default();
    match &container.source {
        Source::Records(known) => {
            found.places = known.iter().map(|record| record.file.clone()).collect();
            found.found = known.to_vec();
        }
        Source::Files { roots, .. } => look(world, roots, &container.id, &mut found)?,
        Source::Anywhere => look(world, &all_roots(world, &|_| true)?, &container.id, &mut found)?,
    }
    Ok(found)
}

/// Returns the places of the engines that are meant, each once.
pub(super) fn all_roots(
    world: &World<'_>,
    is_meant: &dyn Fn(&Engine) -> bool,
) -> Result<Vec<Root>> {
    let mut all: Vec<Root> = Vec::new();
    for engine in ENGINES.iter().filter(|engine| is_meant(engine)) {
        let mut roots = Vec::new();
        (engine.roots)(world, &mut roots)?;
        roots.retain(|root| !all.iter().any(|known| known.is_at(root)));
        all.append(&mut roots);
    }
    Ok(all)
}

/// Returns the containers of a full ID of which a process is recorded. As [`super::by_id`].
pub(super) fn by_id(world: &World<'_>, only: Option<&str>, id: &[u8]) -> Result<Vec<Container>> {
    let is_meant = |engine: &Engine| only.is_none_or(|word| engine.words.contains(&word));
    let mut roots = all_roots(world, &is_meant)?;
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
            look(world, &of_one, id, &mut records)?;
            if !records.found.is_empty() {
                let source = Source::Records(records.found.into());
                let namespace = roots[at].namespace.clone();
                let unnamed = Container::unnamed(roots[at].word, id, source);
                containers.push(Container { namespace, ..unnamed });
            }
        }
        at += 1;
    }
    Ok(containers)
}
