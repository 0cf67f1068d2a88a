//! containers/storage, which Podman and CRI-O share: names in GRAPHROOT/DRIVER-containers/containers.json, processes in the
//! state of an OCI runtime, and CRI-O's own state file.

#![forbid(unsafe_code)]

use super::oci::{self, parsed};
use super::{Base, Containers, Evidence, Init, k8s_name, runtimes};
use crate::bytes::{Bytes, Names, below, keep, split};
use crate::host::Host;
use crate::json::{Refused, Value, elements, select};

/// Containers with --rm are in the volatile list.
const LISTS: Names = &[b"containers.json", b"volatile-containers.json"];

/// Every container in a base's storage.
pub fn each(host: &Host, base: &Base, _needle: Option<&[u8]>, out: &mut Containers) {
    let dirs = runtimes::roots(base);
    for dir in stores(host, base) {
        for list in LISTS {
            let mut named = Vec::new();
            let owner = parsed(host, base, below(dir, list), &mut |text| {
                named = names_in(text)?;
                Ok(())
            });
            for (id, name) in named {
                let (engine, name, evidence) = match k8s_name::parse(name) {
                    Some(pod) => ("k8s", pod, Evidence::Anywhere),
                    None => ("podman", name, Evidence::Oci(dirs)),
                };
                out.add(engine, name, id, evidence, base.writer(owner.unwrap_or(u32::MAX)));
            }
        }
    }
}

/// The runtime's record of a full ID, else CRI-O's.
pub fn state(host: &Host, base: &Base, id: &[u8], out: &mut Vec<&'static Init>) {
    // Below, the ID is part of the directory, which oci::init does not check.
    if !oci::is_id(id) {
        return;
    }
    let by_runtime = runtimes::roots(base).iter().find_map(|dir| oci::init(host, base, dir, id));
    let by_crio = || stores(host, base).iter().find_map(|dir| oci::init(host, base, below(dir, id), b"userdata"));
    out.extend(by_runtime.or_else(by_crio));
}

/// An ID and a name.
pub type Named = (Bytes, Bytes);

/// The ID and each name of the containers in a list.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn names_in(text: &[u8]) -> Result<Vec<Named>, Refused> {
    let mut named = Vec::new();
    elements(text, &mut |container| {
        let Some(container) = container.nested() else { return Ok(()) };
        let mut found = [Value::Null; 2];
        select(container, &["id", "names"], &mut found)?;
        let (Some(id), Some(names)) = (found[0].string(), found[1].nested()) else { return Ok(()) };
        let id = keep(id);
        elements(names, &mut |name| {
            named.extend(name.string().map(|name| (id, keep(name))));
            Ok(())
        })
    })?;
    Ok(named)
}

/// The directories DRIVER-containers of every graph root and run root.
fn stores(host: &Host, base: &Base) -> Names {
    let mut roots = vec![];
    roots.extend(base.data(b"containers/storage"));
    if base.owner == 0 {
        roots.push(b"/run/containers/storage");
        let configured = configured(host).filter(|root| !roots.contains(root));
        roots.extend(configured);
    } else {
        roots.push(below(base.run, b"containers"));
    }
    let mut found = Vec::new();
    for root in roots {
        for directory in host.entries(root) {
            if directory.ends_with(b"-containers") {
                found.push(*directory);
            }
        }
    }
    found.leak()
}

/// The graph root that containers-storage.conf(5) moves the storage to.
fn configured(host: &Host) -> Option<Bytes> {
    let file = host.file(b"/etc/containers/storage.conf")?;
    graphroot(&file.bytes).filter(|root| root.starts_with(b"/")).map(keep)
}

/// The value of a line `graphroot = "…"`.
pub fn graphroot(text: &[u8]) -> Option<&[u8]> {
    split(text, b'\n').find_map(|line| {
        let value =
            line.trim_ascii().strip_prefix(b"graphroot")?.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
        let end = value.get(1..)?.iter().position(|b| *b == value[0])?;
        matches!(value[0], b'"' | b'\'').then(|| &value[1..=end])
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_gives_ids_and_names() {
        let text = br#"[{"id":"a1","names":["web","www"],"metadata":"{\"name\":\"x\"}"},{"id":"a2"},{"names":["y"]}]"#;
        let named = names_in(text).unwrap();
        assert_eq!(named, [(&b"a1"[..], &b"web"[..]), (&b"a1"[..], &b"www"[..])]);
        assert_eq!(names_in(br#"{"id":"a1"}"#), Err(Refused::Malformed));
        assert_eq!(names_in(br#"[{"id":"a1","id":"a2","names":[]}]"#), Err(Refused::Duplicate));
    }

    #[test]
    fn storage_may_be_moved() {
        assert_eq!(graphroot(b"[storage]\n# graphroot = \"/no\"\n graphroot=\"/data/c\" # x\n"), Some(&b"/data/c"[..]));
        assert_eq!(graphroot(b"[storage]\ngraphroot = '/d'\n"), Some(&b"/d"[..]));
        for other in ["", "graphroot", "graphroot = ", "graphroot = \"/x", "graphroots = \"/x\""] {
            assert_eq!(graphroot(other.as_bytes()), None, "{other}");
        }
    }
}
