//! LXC, Incus and LXD: no pid is on disk, but each container's processes are in cgroups called
//! `lxc.payload.NAME`.

#![forbid(unsafe_code)]

use super::{Container, Containers, Place, Source, is_container_cgroup};
use crate::base::error::Result;
use crate::base::text::{join, last};
use crate::host::{Host, cgroup};
use std::rc::Rc;

/// An engine's word and a directory in which it keeps its containers.
type Home = (&'static str, &'static [u8]);

/// Whose containers a name may be, by the directories that keep them.
const HOMES: [Home; 4] = [
    ("incus", b"/var/lib/incus/containers"),
    ("lxd", b"/var/lib/lxd/containers"),
    ("lxd", b"/var/snap/lxd/common/lxd/containers"),
    LXC,
];
const LXC: Home = ("lxc", b"/var/lib/lxc");
const PAYLOAD: &[u8] = b"lxc.payload.";

/// Adds every running container by its cgroup (LXC inside another container is that one's own
/// affair), then those that only have a directory.
pub(crate) fn list(
    host: &Host,
    place: &Place,
    _needle: Option<&[u8]>,
    out: &mut Containers,
) -> Result<()> {
    if place.owner != 0 {
        return Ok(());
    }
    let mut known = Vec::new();
    for group in cgroup::search(host, &|name| name.starts_with(PAYLOAD), &is_container_cgroup)? {
        let name = &last(&group)[PAYLOAD.len()..];
        let (engine, home) = home_of(host, name);
        let directory = join(home, name);
        // The hierarchies show each container once; the first found are the best.
        if name.is_empty() || known.contains(&directory) {
            continue;
        }
        known.push(directory);
        let owner = cgroup::owner_above(host, std::slice::from_ref(&group))?;
        let name = name.to_vec();
        out.add(Container::unnamed(engine, &name, Source::Cgroup(group), owner));
    }
    for (engine, home) in HOMES {
        for directory in host.entries(home)? {
            if !known.contains(&directory) && host.is_directory(&directory) {
                let source = Source::Oci(Rc::default());
                out.add(Container::unnamed(engine, last(&directory), source, 0));
            }
        }
    }
    Ok(())
}

/// Returns whose container a payload is, by the directory that keeps it; LXC's, where none does.
///
/// LXC appends a number where a cgroup of the name was left over. Nothing on disk tells `web-1`,
/// the second try at `web`, from a container of that name, so the name is what the cgroup says.
fn home_of(host: &Host, name: &[u8]) -> Home {
    let keeps = |(_, home): &Home| host.is_directory(&join(home, name));
    HOMES.into_iter().find(keeps).unwrap_or(LXC)
}
