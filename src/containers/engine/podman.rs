//! Podman, and CRI-O, with which it shares containers/storage: names in
//! GRAPHROOT/DRIVER-containers/containers.json, processes in the state of an OCI runtime, in
//! CRI-O's own state file, and in podman's pidfile.

#![forbid(unsafe_code)]

use super::learn::{add, settings};
use super::oci::{begins_ids, is_id, is_long, read, strings};
use super::places::{Place, below_run, expand, in_run};
use super::records::{Kind, Root};
use super::{Containers, Engine, Found};
use crate::base::json::{Refused, Value, elements, select};
use crate::base::text::{find, join};
use crate::containers::world::World;
use std::rc::Rc;

/// Containers with --rm are in the volatile list.
const LISTS: [&[u8]; 2] = [b"containers.json", b"volatile-containers.json"];
/// Where the runtimes keep their state.
const PLACES: [Place; 3] = [
    ("podman", Kind::Runtime, "runc"),
    ("podman", Kind::Runtime, "crun"),
    ("podman", Kind::Runtime, "youki"),
];
/// The configuration of containers-storage.conf(5); with more of its kind, of podman 6.
const CONFIGS: [&str; 3] = ["storage.conf", "storage.conf.d/*", "storage.rootful.conf.d/*"];

/// Adds every container in a world's storage.
pub(crate) fn list(world: &World<'_>, _: &Engine, out: &mut Containers<'_>) {
    let stores = stores(world);
    let roots: Rc<[Root]> = places(world, &stores).into();
    for store in &stores {
        world.watch(store);
        for list in LISTS {
            let mut named = Vec::new();
            read(world, &join(store, list), &mut |text| {
                named = names_in(text)?;
                Ok(())
            });
            // A pod's ID is nobody's name.
            let may_be_pod = out.needle.is_some_and(|needle| {
                let is_known = |(id, name): &Named| id.starts_with(needle) || name == needle;
                begins_ids(Some(needle)) && !named.iter().any(is_known)
            });
            for (id, name) in &named {
                let pod = if may_be_pod { pod_of(world, store, id) } else { None };
                let unnamed = Found::unnamed("podman", id, &roots);
                out.add_given(&Found { name, pod: pod.as_deref(), ..unnamed }, "crio");
            }
        }
    }
    // What no store knows is its runtime's own.
}

/// Returns where the runtimes keep their state, then the stores.
pub(crate) fn roots(world: &World<'_>) -> Vec<Root> {
    places(world, &stores(world))
}

/// Returns the ID of the pod that a container is in, as its specification tells: by the path of its
/// cgroup, else, as where the pod has no cgroup, by an annotation, which CRI-O has, too.
fn pod_of(world: &World<'_>, store: &[u8], id: &[u8]) -> Option<Vec<u8>> {
    const KEYS: [&str; 2] = ["linux cgroupsPath", "annotations io.kubernetes.cri-o.SandboxID"];
    if !is_id(id) {
        return None;
    }
    let config = [store, b"/", id, b"/userdata/config.json"].concat();
    let told = strings(world, &config, &KEYS);
    let annotated = Some(&told[1][..]).filter(|pod| is_long(pod) && *pod != id);
    pod_in(&told[0], id).or(annotated).map(<[u8]>::to_vec)
}

/// Returns the ID of the pod in a cgroupsPath of podman's:
/// `machine-libpod_pod_POD.slice:libpod:ID`, or `/libpod_parent/POD/libpod-ID`.
pub fn pod_in<'a>(cgroups_path: &'a [u8], id: &[u8]) -> Option<&'a [u8]> {
    let mut parts = cgroups_path.split(|byte| !byte.is_ascii_alphanumeric());
    parts.find(|part| is_long(part) && *part != id)
}

/// Returns the places of the records of all containers in these stores.
fn places(world: &World<'_>, stores: &[Vec<u8>]) -> Vec<Root> {
    let mut roots = below_run(world, &PLACES);
    for store in stores {
        roots.push(Root::new("podman", Kind::Userdata, store.clone()));
    }
    roots
}

/// An ID and a name.
pub type Named = (Vec<u8>, Vec<u8>);

/// Returns the ID and each name of the containers in a list.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn names_in(text: &[u8]) -> Result<Vec<Named>, Refused> {
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
fn stores(world: &World<'_>) -> Vec<Vec<u8>> {
    let is_roots = world.user_of().is_none();
    let (run, own) = match is_roots {
        true => ("containers/storage", Some(b"/root/.config/containers".to_vec())),
        false => ("containers", world.config(b"containers")),
    };
    let mut roots = in_run(world, run);
    roots.extend(world.data(b"containers/storage"));
    // Which of these counts depends on the version.
    let mut directories: Vec<&[u8]> = vec![b"/usr/share/containers", b"/etc/containers"];
    directories.extend(own.as_deref());
    for (at, directory) in directories.iter().enumerate() {
        let keys: &[&str] = match is_roots || at >= 2 {
            true => &["graphroot", "runroot"],
            false => &["rootless_storage_path"],
        };
        for pattern in CONFIGS {
            for config in &expand(world, directory, pattern) {
                for path in settings(world, config, b"storage", keys) {
                    add(world, &mut roots, &expanded(world, path));
                }
            }
        }
    }
    let mut stores = Vec::new();
    for root in &roots {
        stores.append(&mut expand(world, root, "*-containers"));
    }
    stores
}

/// Returns a configured path with what it may have of `$HOME`, `$USER` and `$UID`.
fn expanded(world: &World<'_>, mut path: Vec<u8>) -> Vec<u8> {
    let Some(user) = world.user_of() else { return path };
    let uid = user.uid.to_string();
    for (name, value) in [
        (&b"$HOME"[..], user.home.as_deref().unwrap_or_default()),
        (b"$USER", user.name.as_deref().unwrap_or_default()),
        (b"$UID", uid.as_bytes()),
    ] {
        let mut at = 0;
        while let Some(found) = find(&path[at..], name) {
            at += found;
            path = [&path[..at], value, &path[at + name.len()..]].concat();
            at += value.len();
        }
    }
    path
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
    fn a_cgroup_tells_the_pod() {
        let (pod, id) = ("ab".repeat(32), "cd".repeat(32));
        for path in [
            format!("machine-libpod_pod_{pod}.slice:libpod:{id}"),
            format!("/libpod_parent/{pod}/libpod-{id}"),
            format!("user-libpod_pod_{pod}.slice:libpod:{id}"),
        ] {
            assert_eq!(pod_in(path.as_bytes(), id.as_bytes()), Some(pod.as_bytes()), "{path}");
        }
        let alone = format!("/libpod_parent/libpod-{id}");
        assert_eq!(pod_in(alone.as_bytes(), id.as_bytes()), None);
    }
}
