//! Who keeps a container: the process that waits for its end, and says whose end that is.
//!
//! Where nothing records a container's process, its cgroup alone does not prove it: root of another
//! container that has the host's cgroups makes one of any name, and moves its own processes there.
//! It cannot give them a parent of root's that names the container.

#![forbid(unsafe_code)]

use super::{Container, lxc};
use crate::base::text::{last, parts};
use crate::containers::world::World;
use crate::host::process::Process;
use rustix::io;

/// Tells whether the parent of a process is the keeper of this container. In a user's world it need
/// not be: all that may be in a cgroup there is the user's.
///
/// A keeper has the ID among its words: see [`names`]. What LXC's has is told in [`lxc`].
///
/// # Errors
/// Where that cannot be told.
pub(crate) fn is_kept(
    world: &World<'_>,
    container: &Container,
    process: &Process,
) -> io::Result<bool> {
    let host = world.host;
    if world.user_of().is_some() {
        return Ok(true);
    }
    let parent = match process.stat()?.parent {
        // One that our pid namespace does not have.
        0 => return Ok(false),
        parent => Process::open(host, parent)?,
    };
    if !world.has_keeper(&parent)? {
        return Ok(false);
    }
    if lxc::runs(container) {
        return lxc::is_monitor_of(world, &parent, container);
    }
    Ok(names(&parent.read(host, "cmdline")?, &container.id))
}

/// Tells whether a command line names this ID where a keeper's does: after an option of
/// containerd-shim-runc-v2, conmon or conmon-rs; at the end of the path that containerd's shim had
/// before that (runtime/v1/shim/client/client.go), or as the first word of docker's; at the end of
/// a runtime's that starts the container. Another word may be the same by chance, as a namespace of
/// containerd's is.
fn names(command_line: &[u8], id: &[u8]) -> bool {
    const OPTIONS: [&[u8]; 6] = [b"-id", b"--id", b"-c", b"--cid", b"-u", b"--cuuid"];
    const STARTS: [&[u8]; 2] = [b"create", b"run"];
    let words: Vec<&[u8]> = parts(command_line, 0).collect();
    words.get(1) == Some(&id)
        || (words.last() == Some(&id) && words.iter().any(|word| STARTS.contains(word)))
        || words.windows(2).any(|two| {
            (OPTIONS.contains(&two[0]) && two[1] == id)
                || (two[0] == b"-workdir" && last(two[1]) == id)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keeper_names_the_id_where_keepers_do() {
        let named = |line: &str, id: &str| names(line.replace(' ', "\0").as_bytes(), id.as_bytes());
        let shim = "/usr/bin/containerd-shim-runc-v2 -namespace moby -id ab12 -address /run/x.sock";
        let first = "containerd-shim -namespace moby -workdir /var/lib/x/moby/ab12 -address /x";
        let conmon = "/usr/bin/conmon --api-version 1 -c ab12 -u ab12 -r /usr/bin/crun -n web";
        let old = "docker-containerd-shim ab12 /var/run/docker/libcontainerd/ab12 docker-runc";
        let runtime = "runc --root /run/x create --bundle /run/b --pid-file /run/p ab12";
        for line in [shim, first, conmon, old, runtime] {
            assert!(named(line, "ab12"), "{line}");
            for other in ["ab1", "moby", "crun", "x.sock", "web", "1", ""] {
                assert!(!named(line, other), "{line}: {other}");
            }
        }
    }
}
