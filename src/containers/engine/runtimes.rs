//! OCI runtimes used directly: a container's name is its ID, and its directory is all there is.

#![forbid(unsafe_code)]

use super::recorded::add_recorded;
use super::records::{Kind, Root};
use super::{Container, Containers, forms};
use crate::base::error::Result;
use crate::base::text::join;
use crate::containers::world::World;

/// Adds every container in the runtimes' default roots.
pub(crate) fn list(world: &World<'_>, needle: Option<&[u8]>, out: &mut Containers) -> Result<()> {
    let mut all = Vec::new();
    roots(world, &mut all)?;
    for root in all {
        add_recorded(world, &[root].into(), needle, out)?;
    }
    Ok(())
}

/// Adds the root of each of the runtimes: below `/run`, or the user's.
pub(crate) fn roots(world: &World<'_>, out: &mut Vec<Root>) -> Result<()> {
    for run in world.run_directories() {
        for word in ["runc", "crun", "youki"] {
            out.push(Root::new(word, Kind::Runtime, join(&run, word.as_bytes())));
        }
    }
    match world.user_of() {
        // crun follows XDG_RUNTIME_DIR for root, too.
        None => out.push(Root::new("crun", Kind::Runtime, b"/run/user/0/crun".to_vec())),
        Some(user) => {
            let at_home = user.home.as_ref().map(|home| join(home, b".youki/run"));
            let in_tmp = format!("/tmp/youki-{}", user.uid).into_bytes();
            for path in at_home.into_iter().chain([in_tmp]) {
                out.push(Root::new("youki", Kind::Runtime, path));
            }
        }
    }
    Ok(())
}

/// Returns the forms that the runtimes use by themselves.
pub(crate) fn cgroups(world: &World<'_>, container: &Container) -> Result<Vec<Vec<u8>>> {
    Ok(forms::of(world, container))
}
