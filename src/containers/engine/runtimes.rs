//! OCI runtimes used directly: a container's name is its ID, and its directory is all there is.

#![forbid(unsafe_code)]

use super::records::{Kind, Root};
use crate::base::text::join;
use crate::containers::world::World;

/// The runtimes, by their words.
pub(crate) const WORDS: &[&str] = &["runc", "crun", "youki"];

/// Returns the root of each of the runtimes: below `/run`, or the user's.
pub(crate) fn roots(world: &World<'_>) -> Vec<Root> {
    let mut roots = Vec::new();
    for run in world.run_directories() {
        for word in WORDS {
            roots.push(Root::new(word, Kind::Runtime, join(&run, word.as_bytes())));
        }
    }
    match world.user_of() {
        // crun follows XDG_RUNTIME_DIR for root, too.
        None => roots.push(Root::new("crun", Kind::Runtime, b"/run/user/0/crun".to_vec())),
        Some(user) => {
            let at_home = user.home.as_ref().map(|home| join(home, b".youki/run"));
            let in_tmp = format!("/tmp/youki-{}", user.uid).into_bytes();
            for path in at_home.into_iter().chain([in_tmp]) {
                roots.push(Root::new("youki", Kind::Runtime, path));
            }
        }
    }
    roots
}
