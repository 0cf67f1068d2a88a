//! Docker: names in DATA-ROOT/containers/ID/config.v2.json, processes in the runtime's state below
//! EXEC-ROOT.

#![forbid(unsafe_code)]

use super::oci::{self, mentions};
use super::{Container, Containers, Place, Record, Source, k8s_name};
use crate::base::error::Result;
use crate::base::json::{Refused, Value, select};
use crate::base::text::{join, last};
use crate::host::Host;
use std::rc::Rc;

/// Adds every container of a place's data-roots.
pub(crate) fn list(
    host: &Host,
    place: &Place,
    needle: Option<&[u8]>,
    out: &mut Containers,
) -> Result<()> {
    let Roots { mut data, oci } = Roots::of(host, place)?;
    // With userns-remap each mapping has a data-root of its own inside, UID.GID.
    let mut mapped = Vec::new();
    for root in &data {
        mapped.extend(host.entries(root)?.into_iter().filter(|path| is_mapping(last(path))));
    }
    data.extend(mapped);
    let oci: Rc<[Vec<u8>]> = oci.into();
    // One for all: there may be a thousand.
    let mut file = Vec::new();
    for root in data {
        for directory in host.entries(&join(&root, b"containers"))? {
            file.clear();
            file.extend_from_slice(&directory);
            file.extend_from_slice(b"/config.v2.json");
            let id = last(&directory);
            let found = oci::read(host, place, &file, |text| {
                // A cheap search first: strict parsing of all takes its time.
                if mentions(text, id, needle) { name_in(text, id) } else { Ok(None) }
            })?;
            let Some((Some(name), owner)) = found else { continue };
            let (engine, name) = match k8s_name::parse(&name) {
                Some(pod) => ("k8s", pod),
                None => ("docker", name),
            };
            let (source, owner) = (Source::Oci(oci.clone()), place.writer(owner));
            out.add(Container { engine, name, id: id.to_vec(), source, owner });
        }
    }
    Ok(())
}

/// Returns the runtime's record of a full ID.
pub(crate) fn records(host: &Host, place: &Place, id: &[u8]) -> Result<Vec<Record>> {
    oci::records(host, place, &Roots::of(host, place)?.oci, id)
}

/// Returns the name that a config.v2.json gives the container whose directory it is in.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn name_in(text: &[u8], id: &[u8]) -> std::result::Result<Option<Vec<u8>>, Refused> {
    let mut found = [const { Value::Null }; 2];
    select(text, &["ID", "Name"], &mut found)?;
    let name = found[1].string().filter(|_| found[0].string() == Some(id));
    Ok(name.map(|name| name.strip_prefix(b"/").unwrap_or(name).to_vec()))
}

fn is_mapping(name: &[u8]) -> bool {
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let mut parts = name.split(|byte| *byte == b'.');
    parts.clone().count() == 2 && parts.all(is_number)
}

/// Where dockerd keeps its files.
struct Roots {
    data: Vec<Vec<u8>>,
    /// Below each exec-root: where the runtime keeps its state, whichever runtime it is.
    oci: Vec<Vec<u8>>,
}

impl Roots {
    fn of(host: &Host, place: &Place) -> Result<Roots> {
        let mut data: Vec<Vec<u8>> = place.data(b"docker").into_iter().collect();
        let mut exec = vec![join(&place.run, b"docker")];
        if place.owner == 0 {
            data.push(b"/var/snap/docker/common/var-lib-docker".to_vec());
            exec.push(b"/run/snap.docker".to_vec());
        }
        if let Some(config) = place.config(b"docker/daemon.json") {
            if let Some((configured, _)) = oci::read(host, place, &config, configured)? {
                let [data_root, graph, exec_root] = configured;
                add(&mut data, data_root);
                add(&mut data, graph);
                add(&mut exec, exec_root);
            }
        }
        let oci = exec.iter().map(|root| join(root, b"runtime-runc/moby")).collect();
        Ok(Roots { data, oci })
    }
}

/// Returns what a daemon.json sets of data-root, graph (its old name) and exec-root.
fn configured(text: &[u8]) -> std::result::Result<[Option<Vec<u8>>; 3], Refused> {
    let mut found = [const { Value::Null }; 3];
    select(text, &["data-root", "graph", "exec-root"], &mut found)?;
    Ok(found.map(|value| value.string().map(<[u8]>::to_vec)))
}

/// Adds a configured directory unless it is there already.
fn add(directories: &mut Vec<Vec<u8>>, configured: Option<Vec<u8>>) {
    let configured =
        configured.filter(|path| path.starts_with(b"/") && !directories.contains(path));
    directories.extend(configured);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_top_level_one_of_the_right_container() {
        let text = br#"{"ID":"b1","Config":{"Labels":{"Name":"/victim","ID":"x"}},
            "NetworkSettings":{"Service":{"Name":"/y"}},"Name":"/web"}"#;
        assert_eq!(name_in(text, b"b1"), Ok(Some(b"web".to_vec())));
        assert_eq!(name_in(text, b"b2"), Ok(None));
        let twice = br#"{"ID":"b1","Name":"/a","Name":"/b"}"#;
        assert_eq!(name_in(twice, b"b1"), Err(Refused::Duplicate));
    }

    #[test]
    fn mappings_are_two_numbers() {
        assert!(is_mapping(b"100000.100000"));
        for other in ["containers", "1", "1.", ".1", "1.2.3", "a.1"] {
            assert!(!is_mapping(other.as_bytes()), "{other}");
        }
    }
}
