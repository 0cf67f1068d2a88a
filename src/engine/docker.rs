//! Docker: names in DATA-ROOT/containers/ID/config.v2.json, processes in the runtime state below EXEC-ROOT.

#![forbid(unsafe_code)]

use super::oci::{self, parsed};
use super::{Base, Containers, Evidence, Init, k8s_name};
use crate::bytes::{Bytes, contains, join, keep, split};
use crate::host::Host;
use crate::json::{Refused, Value, select};

/// Every container of a base's data-roots.
pub fn each(host: &Host, base: &Base, needle: Option<&[u8]>, out: &mut Containers) {
    let places = Places::of(host, base);
    for root in &places.data {
        containers(host, base, &places, root, needle, out);
        // With userns-remap each mapping has a data-root of its own inside, UID.GID.
        for name in host.entries(root).iter().filter(|name| is_mapping(name)) {
            containers(host, base, &places, join(&[root, &b"/"[..], name]), needle, out);
        }
    }
}

/// The runtime's record of a full ID.
pub fn state(host: &Host, base: &Base, id: &[u8], out: &mut Vec<&'static Init>) {
    for dir in Places::of(host, base).oci() {
        out.extend(oci::init(host, base, dir, id));
    }
}

fn containers(host: &Host, base: &Base, places: &Places, root: &[u8], needle: Option<&[u8]>, out: &mut Containers) {
    let dir = join(&[root, b"/containers"]);
    let oci: &'static [Bytes] = places.oci().leak();
    for id in oci::ids(host, dir) {
        let path = join(&[dir, b"/", id, b"/config.v2.json"]);
        // A cheap search first: with a thousand containers strict parsing of all takes its time.
        let mentioned = |text: &[u8]| needle.is_none_or(|n| id.starts_with(n) || contains(text, n));
        let name = parsed(host, path, |text| if mentioned(text) { name_in(text, id) } else { Ok(None) });
        if let Some((Some(name), owner)) = name {
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
    let [found_id, name] = select(text, [&["ID"], &["Name"]])?;
    let matches = found_id.and_then(Value::string).is_some_and(|found| found == id);
    let name = name.and_then(Value::string).filter(|_| matches);
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
        let (mut places, config) = match (&base.home, base.owner) {
            (_, 0) => (
                Places {
                    data: vec![&b"/var/lib/docker"[..], &b"/var/snap/docker/common/var-lib-docker"[..]],
                    exec: vec![&b"/run/docker"[..], &b"/run/snap.docker"[..]],
                },
                Some(&b"/etc/docker/daemon.json"[..]),
            ),
            (Some(home), _) => (
                Places {
                    data: vec![join(&[home, &b"/.local/share/docker"[..]])],
                    exec: vec![join(&[base.run, &b"/docker"[..]])],
                },
                Some(join(&[home, &b"/.config/docker/daemon.json"[..]])),
            ),
            (None, _) => (Places { data: vec![], exec: vec![join(&[base.run, &b"/docker"[..]])] }, None),
        };
        if let Some(config) = config {
            places.add_configured(host, config);
        }
        places
    }

    fn add_configured(&mut self, host: &Host, config: &[u8]) {
        let read = parsed(host, config, |text| {
            let found = select(text, [&["data-root"], &["graph"], &["exec-root"]])?;
            Ok(found.map(|value| value.and_then(Value::string).map(keep)))
        });
        let Some(([data, graph, exec], _)) = read else { return };
        self.data.extend(data.into_iter().chain(graph).filter(|path| path.starts_with(b"/")));
        self.exec.extend(exec.filter(|path| path.starts_with(b"/")));
        for list in [&mut self.data, &mut self.exec] {
            list.sort();
            list.dedup();
        }
    }

    /// Where the runtime keeps its state, whichever runtime it is.
    fn oci(&self) -> Vec<Bytes> {
        self.exec.iter().map(|exec| join(&[exec, &b"/runtime-runc/moby"[..]])).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
