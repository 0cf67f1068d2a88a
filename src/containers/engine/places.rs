//! Where things are, by patterns.

#![forbid(unsafe_code)]

use super::records::{Kind, Root};
use crate::base::text::{join, parts};
use crate::containers::world::World;

/// Returns the paths below a directory that a pattern means: in a component with one `*`, which
/// stands for any text, those that are there; any other need not be. To root a component that
/// cannot be listed stands for itself, so that who looks below it meets the failure, too.
pub(super) fn expand(world: &World<'_>, top: &[u8], pattern: &str) -> Vec<Vec<u8>> {
    let mut paths = vec![top.to_vec()];
    for part in parts(pattern.as_bytes(), b'/') {
        let star = part.iter().position(|byte| *byte == b'*');
        let mut longer = Vec::new();
        for path in &paths {
            let Some(star) = star else {
                longer.push(join(path, part));
                continue;
            };
            let misses = world.misses();
            for name in &world.entries(path) {
                if name.starts_with(&part[..star]) && name.ends_with(&part[star + 1..]) {
                    longer.push(join(path, name));
                }
            }
            if world.caller.is_root && world.misses() != misses {
                longer.push(join(path, part));
            }
        }
        paths = longer;
    }
    paths
}

/// Returns the paths that a pattern means below `/run`, or a user's directories for what lives no
/// longer than the machine runs. As [`expand`].
pub(super) fn in_run(world: &World<'_>, pattern: &str) -> Vec<Vec<u8>> {
    let mut paths = Vec::new();
    for run in &world.run_directories() {
        paths.append(&mut expand(world, run, pattern));
    }
    paths
}

/// A place as [`in_run`]: the word of whose containers are recorded there, how, and its pattern.
/// One that ends in `*` has a directory for each of containerd's namespaces.
pub(super) type Place = (&'static str, Kind, &'static str);

/// Returns the places of these rows.
pub(super) fn below_run(world: &World<'_>, places: &[Place]) -> Vec<Root> {
    let mut roots = Vec::new();
    for (word, kind, pattern) in places {
        for path in in_run(world, pattern) {
            let is_namespaced = pattern.ends_with('*');
            roots.push(Root { word, kind: *kind, path, is_namespaced });
        }
    }
    roots
}
