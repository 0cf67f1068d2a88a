//! Docker: names in DATA-ROOT/containers/ID/config.v2.json, processes in the runtime state below EXEC-ROOT.

#![forbid(unsafe_code)]

use super::oci::{self, mentions, parsed};
use super::{Base, Containers, Evidence, Init, k8s_name};
use crate::bytes::{Bytes, Names, below, keep, last, split};
use crate::host::Host;
use crate::json::{Refused, Value, select};

/// Every container of a base's data-roots.
pub fn each(host: &Host, base: &Base, needle: Option<&[u8]>, out: &mut Containers) {
    let Places { mut data, oci } = Places::of(host, base);
    for at in 0..data.len() {
        // With userns-remap each mapping has a data-root of its own inside, UID.GID.
        for root in host.entries(data[at]) {
            if is_mapping(last(root)) {
                data.push(*root);
            }
        }
    }
    for root in data {
        for directory in host.entries(below(root, b"containers")) {
            let id = last(directory);
            let mut name = None;
            let owner = parsed(host, base, below(directory, b"config.v2.json"), &mut |text| {
                // A cheap search first: with a thousand containers strict parsing of all takes its time.
                if mentions(text, id, needle) {
                    name = name_in(text, id)?;
                }
                Ok(())
            });
            if let (Some(name), Some(owner)) = (name, owner) {
                let (engine, name) = k8s_name::parse(name).map_or(("docker", name), |pod| ("k8s", pod));
                out.add(engine, name, id, Evidence::Oci(oci), base.writer(owner));
            }
        }
    }
}

/// The runtime's record of a full ID.
pub fn state(host: &Host, base: &Base, id: &[u8], out: &mut Vec<&'static Init>) {
    oci::inits(host, base, Places::of(host, base).oci, id, out);
}

/// The name that a config.v2.json gives the container whose directory it is in.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn name_in(text: &[u8], id: &[u8]) -> Result<Option<Bytes>, Refused> {
    let mut found = [Value::Null; 2];
    select(text, &["ID", "Name"], &mut found)?;
    let name = found[1].string().filter(|_| found[0].string() == Some(id));
    Ok(name.map(|name| keep(name.strip_prefix(b"/").unwrap_or(name))))
}

fn is_mapping(name: &[u8]) -> bool {
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let mut parts = split(name, b'.');
    matches!((parts.next(), parts.next(), parts.next()), (Some(uid), Some(gid), None) if is_number(uid) && is_number(gid))
}

/// Where dockerd keeps its files.
struct Places {
    data: Vec<Bytes>,
    /// Below each exec-root: where the runtime keeps its state, whichever runtime it is.
    oci: Names,
}

impl Places {
    fn of(host: &Host, base: &Base) -> Places {
        let (mut data, mut exec, mut oci) = (Vec::new(), Vec::new(), Vec::new());
        data.extend(base.data(b"docker"));
        exec.push(below(base.run, b"docker"));
        if base.owner == 0 {
            data.push(b"/var/snap/docker/common/var-lib-docker");
            exec.push(b"/run/snap.docker");
        }
        if let Some(config) = base.config(b"docker/daemon.json") {
            parsed(host, base, config, &mut |text| {
                let mut found = [Value::Null; 3];
                select(text, &["data-root", "graph", "exec-root"], &mut found)?;
                add(&mut data, found[0]);
                add(&mut data, found[1]);
                add(&mut exec, found[2]);
                Ok(())
            });
        }
        for exec in exec {
            oci.push(below(exec, b"runtime-runc/moby"));
        }
        Places { data, oci: oci.leak() }
    }
}

/// Adds a configured directory unless it is there already.
fn add(directories: &mut Vec<Bytes>, configured: Value<'_>) {
    let path = configured.string().unwrap_or_default();
    if path.starts_with(b"/") && !directories.contains(&path) {
        directories.push(keep(path));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::contains;

    #[test]
    fn the_name_is_the_top_level_one_of_the_right_container() {
        let text = br#"{"ID":"b1","Config":{"Labels":{"Name":"/victim","ID":"x"}},"NetworkSettings":{"Service":{"Name":"/y"}},"Name":"/web"}"#;
        assert_eq!(name_in(text, b"b1"), Ok(Some(&b"web"[..])));
        assert_eq!(name_in(text, b"b2"), Ok(None));
        assert_eq!(name_in(br#"{"ID":"b1","Name":"/a","Name":"/b"}"#, b"b1"), Err(Refused::Duplicate));
    }

    #[test]
    fn the_cheap_search_finds_every_place() {
        for (text, part, found) in
            [("aab", "ab", true), ("ab", "abc", false), ("", "a", false), ("x", "", true), ("aaab", "aab", true)]
        {
            assert_eq!(contains(text.as_bytes(), part.as_bytes()), found, "{text} {part}");
        }
    }

    #[test]
    fn mappings_are_two_numbers() {
        assert!(is_mapping(b"100000.100000"));
        for other in ["containers", "1", "1.", ".1", "1.2.3", "a.1"] {
            assert!(!is_mapping(other.as_bytes()), "{other}");
        }
    }
}
