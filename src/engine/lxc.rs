//! LXC, Incus and LXD: no pid is on disk, but each container's processes are in cgroups called `lxc.payload.NAME`.

#![forbid(unsafe_code)]

use super::oci;
use super::{Base, Container, Evidence, Init};
use crate::bytes::{Bytes, join, keep};
use crate::cgroup;
use crate::error::Result;
use crate::host::{Host, is_directory};

/// Whose containers a name may be, by the directories that keep them.
const HOMES: &[(&str, &[u8])] = &[
    ("incus", b"/var/lib/incus/containers"),
    ("lxd", b"/var/lib/lxd/containers"),
    ("lxd", b"/var/snap/lxd/common/lxd/containers"),
    ("lxc", b"/var/lib/lxc"),
];
const PAYLOAD: &[u8] = b"lxc.payload.";

/// Every running container by its cgroup (LXC inside another container is that one's own affair), then those that only have a directory.
///
/// # Errors
/// As [`Host::entries`].
pub fn each(host: &Host, base: &Base, _needle: Option<&[u8]>, out: &mut Vec<Container>) -> Result<()> {
    if base.owner != 0 {
        return Ok(());
    }
    let mut seen: Vec<Bytes> = Vec::new();
    for dir in cgroup::search(host, &|name| name.starts_with(PAYLOAD), &cgroup::is_container)? {
        let component = dir.rsplit(|b| *b == b'/').next().unwrap_or_default();
        let (engine, name) = named(host, &component[PAYLOAD.len()..]);
        // The hierarchies show each container once; the first found are the best.
        if name.is_empty() || seen.contains(&name) {
            continue;
        }
        seen.push(name);
        let owner = cgroup::owner_above(host, std::slice::from_ref(&dir)).unwrap_or(u32::MAX);
        out.push(Container { engine, id: name, name, evidence: Evidence::Cgroup(dir), owner });
    }
    for (engine, home) in HOMES {
        for name in oci::ids(host, home)?.into_iter().filter(|name| !seen.contains(name)) {
            let known = is_directory(host, join(&[home, &b"/"[..], name]));
            if known {
                out.push(Container { engine, id: name, name, evidence: Evidence::Oci(&[]), owner: 0 });
            }
        }
    }
    Ok(())
}

/// Nothing: there is no ID.
///
/// # Errors
/// None.
pub fn state(_: &Host, _: &Base, _: &[u8]) -> Result<Vec<Init>> {
    Ok(Vec::new())
}

/// The engine and name of a payload: LXC appends `-1` to `-999` where a cgroup of the name was left over.
fn named(host: &Host, payload: &[u8]) -> (&'static str, Bytes) {
    let home = |name: &[u8]| HOMES.iter().find(|(_, home)| is_directory(host, join(&[home, &b"/"[..], name])));
    if let Some((engine, _)) = home(payload) {
        return (engine, keep(payload));
    }
    match without_suffix(payload).and_then(|name| Some((home(name)?.0, keep(name)))) {
        Some(found) => found,
        None => ("lxc", keep(payload)),
    }
}

fn without_suffix(payload: &[u8]) -> Option<&[u8]> {
    let dash = payload.iter().rposition(|b| *b == b'-')?;
    let digits = &payload[dash + 1..];
    let is_suffix = (1..=3).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
    is_suffix.then(|| &payload[..dash])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collisions_have_a_number() {
        assert_eq!(without_suffix(b"web-1"), Some(&b"web"[..]));
        for other in [&b"web"[..], b"web-", b"web-1234", b"web-x"] {
            assert_eq!(without_suffix(other), None);
        }
    }
}
