//! containers/storage, which Podman and CRI-O share: names in GRAPHROOT/DRIVER-containers/containers.json, processes in the
//! state of runc or crun, and CRI-O's own state file.

#![forbid(unsafe_code)]

use super::oci::{self, parsed};
use super::{Base, Containers, Evidence, Init, k8s_name};
use crate::bytes::{Bytes, join, keep, split};
use crate::host::Host;
use crate::json::{Refused, Value, elements, select};

/// Every container in a base's storage.
pub fn each(host: &Host, base: &Base, _needle: Option<&[u8]>, out: &mut Containers) {
    let dirs: &'static [Bytes] = runtime_roots(base).leak();
    for dir in stores(host, base) {
        // Containers with --rm are in the volatile list.
        for list in [&b"/containers.json"[..], b"/volatile-containers.json"] {
            let Some((named, owner)) = parsed(host, join(&[dir, list]), names_in) else { continue };
            for (id, name) in named {
                let (engine, name) = k8s_name::parse(name).map_or(("podman", name), |pod| ("k8s", pod));
                let evidence = if engine == "k8s" { Evidence::Anywhere } else { Evidence::Oci(dirs) };
                out.add(engine, name, id, evidence, base.writer(owner));
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
    let by_runtime = runtime_roots(base).into_iter().map(|dir| (dir, id));
    let by_crio = stores(host, base).into_iter().map(|dir| (join(&[dir, b"/", id]), &b"userdata"[..]));
    out.extend(by_runtime.chain(by_crio).find_map(|(dir, name)| oci::init(host, base, dir, name)));
}

/// An ID and a name.
pub type Named = (Bytes, Bytes);

/// The ID and each name of the containers in a list.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn names_in(text: &[u8]) -> Result<Vec<Named>, Refused> {
    let mut found = Vec::new();
    for container in elements(text)? {
        let Some(container) = container.nested() else { continue };
        let [id, names] = select(container, [&["id"], &["names"]])?;
        let Some(id) = id.and_then(Value::string) else { continue };
        let Some(names) = names.and_then(|names| names.nested()) else { continue };
        let names = elements(names)?.into_iter().filter_map(Value::string);
        found.extend(names.map(|name| (keep(id), keep(name))));
    }
    Ok(found)
}

/// The directories DRIVER-containers of every graph root and run root.
fn stores(host: &Host, base: &Base) -> Vec<Bytes> {
    let roots = match (&base.home, base.owner) {
        (_, 0) => vec![
            &b"/var/lib/containers/storage"[..],
            &b"/run/containers/storage"[..],
            configured(host).unwrap_or_default(),
        ],
        (Some(home), _) => {
            vec![join(&[home, &b"/.local/share/containers/storage"[..]]), join(&[base.run, &b"/containers"[..]])]
        }
        (None, _) => vec![join(&[base.run, &b"/containers"[..]])],
    };
    let mut found = Vec::new();
    for root in roots.iter().filter(|root| !root.is_empty()) {
        let names = host.entries(root);
        found.extend(names.iter().filter(|n| n.ends_with(b"-containers")).map(|n| join(&[root, &b"/"[..], n])));
    }
    found.sort();
    found.dedup();
    found
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

fn runtime_roots(base: &Base) -> Vec<Bytes> {
    let mut roots: Vec<Bytes> = [&b"/runc"[..], b"/crun"].iter().map(|name| join(&[base.run, *name])).collect();
    if base.owner == 0 {
        roots.push(&b"/run/user/0/crun"[..]);
    }
    roots
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
