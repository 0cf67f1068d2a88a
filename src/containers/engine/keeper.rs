//! Who keeps a container: the process that waits for its end, and says whose end that is.
//!
//! Where nothing records a container's process, its cgroup alone does not prove it: root of another
//! container that has the host's cgroups makes one of any name, and moves its own processes there.
//! It cannot give them a parent of root's that names the container.

#![forbid(unsafe_code)]

use super::{Container, lxc};
use crate::base::text::{last, parts};
use crate::containers::world::World;
use crate::host::process::{Process, unless_gone};

/// Tells whether the parent of a process is the keeper of this container. In a user's world it need
/// not be: all that may be in a cgroup there is the user's.
///
/// A keeper has the ID among its words: containerd-shim-runc-v2 -id ID, conmon -c ID, and runc or
/// crun themselves while they start a container; the shim of containerd before 1.2 as the end of a
/// path (runtime/v1/shim/client/client.go). What LXC's has is told in [`lxc`].
pub(crate) fn is_kept(world: &World<'_>, container: &Container, process: &Process) -> bool {
    let host = world.host;
    if world.user_of().is_some() {
        return true;
    }
    let Some(stat) = unless_gone(host, process.pid, process.stat()) else { return false };
    let parent = unless_gone(host, stat.parent, Process::open(host, stat.parent));
    let Some(parent) = parent.filter(|parent| world.has_process_in_any_cgroup(parent)) else {
        return false;
    };
    if lxc::runs(container) {
        return lxc::is_monitor_of(world, &parent, container);
    }
    let words = unless_gone(host, parent.pid, parent.read(host, "cmdline"));
    words.is_some_and(|words| parts(&words, 0).any(|word| last(word) == container.id))
}
