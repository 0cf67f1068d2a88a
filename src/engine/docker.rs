//! Docker: names in DATA-ROOT/containers/ID/config.v2.json, processes in the runtime state below EXEC-ROOT.

#![forbid(unsafe_code)]

use super::oci::{self, mentions, parsed};
use super::{Base, Containers, Evidence, Init, k8s_name};
use crate::bytes::{Bytes, Names, below, keep, last, split};
use crate::host::Host;
use crate::json::{Refused, Value, select};

/// Every container of a base's data-roots.
pub fn each(host: &Host, base: &Base, needle: Option<&[u8]>, out: &mut Containers) {
    let places = Places::of(host, base);
    for root in &places.data {
        containers(host, base, &places, root, needle, out);
        // With userns-remap each mapping has a data-root of its own inside, UID.GID.
        for root in host.entries(root).iter().filter(|root| is_mapping(last(root))) {
            containers(host, base, &places, root, needle, out);
        }
    }
}

/// The runtime's record of a full ID.
pub fn state(host: &Host, base: &Base, id: &[u8], out: &mut Vec<&'static Init>) {
    oci::inits(host, base, Places::of(host, base).oci(), id, out);
}

fn containers(host: &Host, base: &Base, places: &Places, root: &[u8], needle: Option<&[u8]>, out: &mut Containers) {
    let oci = places.oci();
    for directory in host.entries(below(root, b"containers")) {
        let id = last(directory);
        let mut name = None;
        let owner = parsed(host, below(directory, b"config.v2.json"), &mut |text| {
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
    exec: Vec<Bytes>,
}

impl Places {
    fn of(host: &Host, base: &Base) -> Places {
        let mut places = Places { data: Vec::new(), exec: vec![below(base.run, b"docker")] };
        places.data.extend(base.data(b"docker"));
        if base.owner == 0 {
            places.data.push(b"/var/snap/docker/common/var-lib-docker");
            places.exec.push(b"/run/snap.docker");
        }
        if let Some(config) = base.config(b"docker/daemon.json") {
            places.add_configured(host, config);
        }
        places
    }

    fn add_configured(&mut self, host: &Host, config: &[u8]) {
        let mut told: [Bytes; 3] = [b""; 3];
        parsed(host, config, &mut |text| {
            let mut found = [Value::Null; 3];
            select(text, &["data-root", "graph", "exec-root"], &mut found)?;
            told = found.map(|value| value.string().map_or(&b""[..], keep));
            Ok(())
        });
        for (list, path) in [(&mut self.data, [told[0], told[1]]), (&mut self.exec, [told[2], b""])] {
            for path in path {
                if path.starts_with(b"/") && !list.contains(&path) {
                    list.push(path);
                }
            }
        }
    }

    /// Where the runtime keeps its state, whichever runtime it is.
    fn oci(&self) -> Names {
        let mut dirs = Vec::new();
        for exec in &self.exec {
            dirs.push(below(exec, b"runtime-runc/moby"));
        }
        dirs.leak()
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
