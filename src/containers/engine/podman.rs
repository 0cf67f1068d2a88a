//! Podman, and CRI-O, with which it shares containers/storage: names in
//! GRAPHROOT/DRIVER-containers/containers.json, processes in the state of an OCI runtime, and
//! CRI-O's own state file.

#![forbid(unsafe_code)]

use super::{Container, Containers, Place, Record, Source, k8s_name, oci, runtimes};
use crate::base::error::Result;
use crate::base::json::{Refused, Value, elements, select};
use crate::base::text::{join, lines};
use crate::host::Host;
use std::rc::Rc;

/// Containers with --rm are in the volatile list.
const LISTS: [&[u8]; 2] = [b"containers.json", b"volatile-containers.json"];

/// Adds every container in a place's storage.
pub(crate) fn list(
    host: &Host,
    place: &Place,
    _needle: Option<&[u8]>,
    out: &mut Containers,
) -> Result<()> {
    let roots: Rc<[Vec<u8>]> = runtimes::roots(place).into();
    for store in stores(host, place)? {
        for list in LISTS {
            let read = oci::read(host, place, &join(&store, list), names_in)?;
            let Some((named, owner)) = read else { continue };
            for (id, name) in named {
                let (engine, name, source) = match k8s_name::parse(&name) {
                    Some(pod) => ("k8s", pod, Source::Anywhere),
                    None => ("podman", name, Source::Oci(roots.clone())),
                };
                out.add(Container { engine, name, id, source, owner: place.writer(owner) });
            }
        }
    }
    Ok(())
}

/// Returns the runtime's record of a full ID, else CRI-O's.
pub(crate) fn records(host: &Host, place: &Place, id: &[u8]) -> Result<Vec<Record>> {
    // Below, the ID is part of the directory, which oci::record does not check.
    if !oci::is_id(id) {
        return Ok(Vec::new());
    }
    for root in runtimes::roots(place) {
        if let Some(record) = oci::record(host, place, &root, id)? {
            return Ok(vec![record]);
        }
    }
    for store in stores(host, place)? {
        if let Some(record) = oci::record(host, place, &join(&store, id), b"userdata")? {
            return Ok(vec![record]);
        }
    }
    Ok(Vec::new())
}

/// An ID and a name.
pub type Named = (Vec<u8>, Vec<u8>);

/// Returns the ID and each name of the containers in a list.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn names_in(text: &[u8]) -> std::result::Result<Vec<Named>, Refused> {
    let mut named = Vec::new();
    elements(text, &mut |container| {
        let Some(container) = container.nested() else { return Ok(()) };
        let mut found = [const { Value::Null }; 2];
        select(container, &["id", "names"], &mut found)?;
        let (Some(id), Some(names)) = (found[0].string(), found[1].nested()) else { return Ok(()) };
        elements(names, &mut |name| {
            named.extend(name.string().map(|name| (id.to_vec(), name.to_vec())));
            Ok(())
        })
    })?;
    Ok(named)
}

/// Returns the directories DRIVER-containers of every graph root and run root.
fn stores(host: &Host, place: &Place) -> Result<Vec<Vec<u8>>> {
    let mut roots: Vec<Vec<u8>> = place.data(b"containers/storage").into_iter().collect();
    if place.owner == 0 {
        roots.push(b"/run/containers/storage".to_vec());
        let configured = configured(host)?.filter(|root| !roots.contains(root));
        roots.extend(configured);
    } else {
        roots.push(join(&place.run, b"containers"));
    }
    let mut found = Vec::new();
    for root in roots {
        let entries = host.entries(&root)?;
        found.extend(entries.into_iter().filter(|path| path.ends_with(b"-containers")));
    }
    Ok(found)
}

/// Returns the graph root that containers-storage.conf(5) moves the storage to.
fn configured(host: &Host) -> Result<Option<Vec<u8>>> {
    let Some(file) = host.file(b"/etc/containers/storage.conf")? else { return Ok(None) };
    let root = graphroot(&file.bytes).filter(|root| root.starts_with(b"/"));
    Ok(root.map(<[u8]>::to_vec))
}

/// Returns the value of a line `graphroot = "…"`.
pub fn graphroot(text: &[u8]) -> Option<&[u8]> {
    lines(text).find_map(|line| {
        let value = line.trim_ascii().strip_prefix(b"graphroot")?;
        let value = value.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
        let (quote, rest) =
            value.split_first().filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
        let end = rest.iter().position(|byte| byte == quote)?;
        Some(&rest[..end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_gives_ids_and_names() {
        let text = br#"[{"id":"a1","names":["web","www"],"metadata":"{\"name\":\"x\"}"},
            {"id":"a2"},{"names":["y"]}]"#;
        let named = names_in(text).unwrap();
        let expected = ["web", "www"].map(|name| (b"a1".to_vec(), name.as_bytes().to_vec()));
        assert_eq!(named, expected);
        assert_eq!(names_in(br#"{"id":"a1"}"#), Err(Refused::Malformed));
        let twice = br#"[{"id":"a1","id":"a2","names":[]}]"#;
        assert_eq!(names_in(twice), Err(Refused::Duplicate));
    }

    #[test]
    fn storage_may_be_moved() {
        let text = b"[storage]\n# graphroot = \"/no\"\n graphroot=\"/data/c\" # x\n";
        assert_eq!(graphroot(text), Some(&b"/data/c"[..]));
        assert_eq!(graphroot(b"[storage]\ngraphroot = '/d'\n"), Some(&b"/d"[..]));
        for other in ["", "graphroot", "graphroot = ", "graphroot = \"/x", "graphroots = \"/x\""] {
            assert_eq!(graphroot(other.as_bytes()), None, "{other}");
        }
    }
}
