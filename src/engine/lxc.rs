//! LXC, Incus and LXD: no pid is on disk, but each container's processes are in cgroups called `lxc.payload.NAME`.

#![forbid(unsafe_code)]

use super::{Base, Containers, Evidence};
use crate::bytes::{Bytes, below, last};
use crate::cgroup;
use crate::host::{Host, is_directory};

/// An engine's word and a directory in which it keeps its containers.
type Home = (&'static str, Bytes);

/// Whose containers a name may be, by the directories that keep them.
const HOMES: &[Home] = &[
    ("incus", b"/var/lib/incus/containers"),
    ("lxd", b"/var/lib/lxd/containers"),
    ("lxd", b"/var/snap/lxd/common/lxd/containers"),
    LXC,
];
const LXC: Home = ("lxc", b"/var/lib/lxc");
const PAYLOAD: &[u8] = b"lxc.payload.";

/// Every running container by its cgroup (LXC inside another container is that one's own affair), then those that only have a directory.
pub fn each(host: &Host, base: &Base, _needle: Option<&[u8]>, out: &mut Containers) {
    if base.owner != 0 {
        return;
    }
    let mut seen = Vec::new();
    for dir in cgroup::search(host, &|name| name.starts_with(PAYLOAD), &cgroup::is_container) {
        let name = &last(dir)[PAYLOAD.len()..];
        let (engine, home) = home_of(host, name);
        let directory = below(home, name);
        // The hierarchies show each container once; the first found are the best.
        if name.is_empty() || seen.contains(&directory) {
            continue;
        }
        seen.push(directory);
        let owner = cgroup::owner_above(host, std::slice::from_ref(dir));
        out.add(engine, name, name, Evidence::Cgroup(dir), owner);
    }
    for (engine, home) in HOMES {
        for directory in host.entries(home) {
            if !seen.contains(directory) && is_directory(host, directory) {
                let name = last(directory);
                out.add(engine, name, name, Evidence::Oci(&[]), 0);
            }
        }
    }
}

/// Whose container a payload is, by the directory that keeps it; LXC's, where none does.
///
/// LXC appends a number where a cgroup of the name was left over. Nothing on disk tells `web-1`, the second try at `web`, from a container
/// of that name, so the name is what the cgroup says.
fn home_of(host: &Host, name: &[u8]) -> Home {
    let keeps = |(_, home): &&Home| is_directory(host, below(home, name));
    *HOMES.iter().find(keeps).unwrap_or(&LXC)
}
