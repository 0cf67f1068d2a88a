//! OCI runtimes used directly: a container's name is its ID, and its directory is all there is.

#![forbid(unsafe_code)]

use super::places::{Place, below_run};
use super::records::{Kind, Root};
use crate::base::text::join;
use crate::containers::world::World;

/// The runtimes, by their words.
pub(crate) const WORDS: &[&str] = &["runc", "crun", "youki"];
/// Their roots.
const PLACES: [Place; 3] = [
    ("runc", Kind::Runtime, "runc"),
    ("crun", Kind::Runtime, "crun"),
    ("youki", Kind::Runtime, "youki"),
];

/// Returns the root of each of the runtimes: below `/run`, or the user's.
pub(crate) fn roots(world: &World<'_>) -> Vec<Root> {
    let mut roots = below_run(world, &PLACES);
    let mut add = |word, path| roots.push(Root::new(word, Kind::Runtime, path));
    match world.user_of() {
        // crun follows XDG_RUNTIME_DIR for root, too.
        None => add("crun", b"/run/user/0/crun".to_vec()),
        Some(user) => {
            if let Some(home) = &user.home {
                add("youki", join(home, b".youki/run"));
            }
            add("youki", format!("/tmp/youki-{}", user.uid).into_bytes());
        }
    }
    roots
}
