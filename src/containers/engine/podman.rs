//! Podman, and CRI-O, with which it shares containers/storage: names in
//! GRAPHROOT/DRIVER-containers/containers.json, processes in the state of an OCI runtime, in
//! CRI-O's own state file, and in podman's pidfile.

#![forbid(unsafe_code)]

use super::kubernetes::contains;
use super::learn::{add, setting};
use super::oci::{begins_ids, is_id, is_long, read, strings};
use super::records::{Kind, Root};
use super::{Container, Containers, Source, k8s_name, runtimes};
use crate::base::json::{Refused, Value, elements, select};
use crate::base::text::join;
use crate::containers::world::World;
use std::rc::Rc;

/// Containers with --rm are in the volatile list.
const LISTS: [&[u8]; 2] = [b"containers.json", b"volatile-containers.json"];
/// Where containers-storage.conf(5) is, for root; which of these counts depends on the version.
const CONFIGS: [&[u8]; 3] = [
    b"/usr/share/containers/storage.conf",
    b"/etc/containers/storage.conf",
    b"/root/.config/containers/storage.conf",
];
/// Directories beside it with more of its kind, of podman 6.
const DROP_INS: [&[u8]; 3] = [b".d", b".rootful.conf.d", b".conf.d"];

/// Adds every container in a world's storage.
pub(crate) fn list(world: &World<'_>, needle: Option<&[u8]>, out: &mut Containers) {
    let stores = stores(world);
    let roots: Rc<[Root]> = places(world, &stores).into();
    for store in &stores {
        for list in LISTS {
            let mut named = Vec::new();
            // A pod's ID is nobody's name.
            let mut may_be_pod = false;
            let is_named = |id: &[u8], name: &[u8]| {
                needle.is_none_or(|needle| id.starts_with(needle) || contains(name, needle))
            };
            read(world, &join(store, list), &mut |text| {
                let is_id = |(id, name): &Named| {
                    needle.is_some_and(|needle| id.starts_with(needle) || name == needle)
                };
                named = names_in(text, &is_named)?;
                may_be_pod = needle.is_some() && begins_ids(needle) && !named.iter().any(is_id);
                if may_be_pod {
                    named = names_in(text, &|_, _| true)?;
                }
                Ok(())
            });
            for (id, name) in named {
                let is_meant = |pod: &Vec<u8>| needle.is_some_and(|needle| pod.starts_with(needle));
                let pod = if may_be_pod { pod_of(world, store, &id) } else { None };
                let pod = pod.filter(is_meant);
                if pod.is_some() || is_named(&id, &name) {
                    out.add(container(store, id, &name, pod, &roots));
                }
            }
        }
    }
    // What no store knows is its runtime's own.
}

/// Returns where the runtimes keep their state, then the stores.
pub(crate) fn roots(world: &World<'_>) -> Vec<Root> {
    places(world, &stores(world))
}

fn container(
    store: &[u8],
    id: Vec<u8>,
    name: &[u8],
    pod: Option<Vec<u8>>,
    roots: &Rc<[Root]>,
) -> Container {
    let source = Source::Files { directory: join(store, &id), roots: roots.clone() };
    let unnamed = Container::unnamed("podman", &id, source);
    match k8s_name::parse(name) {
        Some(name) => Container { engine: "k8s", runs_on: "crio", name, pod, ..unnamed },
        None => Container { name: name.to_vec(), pod, ..unnamed },
    }
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
    let mut roots = Vec::new();
    for run in world.run_directories() {
        for runtime in runtimes::WORDS {
            roots.push(Root::new("podman", Kind::Runtime, join(&run, runtime.as_bytes())));
        }
    }
    roots.extend(stores.iter().map(|store| Root::new("podman", Kind::Userdata, store.clone())));
    roots
}

/// An ID and a name.
pub type Named = (Vec<u8>, Vec<u8>);

/// Returns the ID and each name of the containers in a list that are wanted by these.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn names_in(
    text: &[u8],
    is_wanted: &dyn Fn(&[u8], &[u8]) -> bool,
) -> Result<Vec<Named>, Refused> {
    let mut named = Vec::new();
    elements(text, &mut |container| {
        let Some(container) = container.nested() else { return Ok(()) };
        let mut found = [const { Value::Null }; 2];
        select(container, &["id", "names"], &mut found)?;
        let (Some(id), Some(names)) = (found[0].string(), found[1].nested()) else { return Ok(()) };
        elements(names, &mut |name| {
            let name = name.string().filter(|name| is_wanted(id, name));
            named.extend(name.map(|name| (id.to_vec(), name.to_vec())));
            Ok(())
        })
    })?;
    Ok(named)
}

/// Returns the directories DRIVER-containers of every graph root and run root.
fn stores(world: &World<'_>) -> Vec<Vec<u8>> {
    let mut roots: Vec<Vec<u8>> = world.data(b"containers/storage").into_iter().collect();
    match world.user_of() {
        None => roots.push(b"/run/containers/storage".to_vec()),
        Some(_) => roots.extend(world.run_directories().iter().map(|run| join(run, b"containers"))),
    }
    for config in configs(world) {
        let Some(file) = world.file(&config) else { continue };
        let of = |key: &[u8]| setting(&file.bytes, b"storage", key).unwrap_or_default().to_vec();
        let mut told = Vec::new();
        match world.user_of() {
            Some(_) if CONFIGS.contains(&&config[..]) => told.push(of(b"rootless_storage_path")),
            _ => told.extend([of(b"graphroot"), of(b"runroot")]),
        }
        drop(file);
        for path in told {
            add(world, &mut roots, &expanded(world, &path));
        }
    }
    let mut found = Vec::new();
    for root in roots {
        let mut entries = world.entries(&root);
        entries.retain(|name| name.ends_with(b"-containers"));
        found.extend(entries.iter().map(|name| join(&root, name)));
    }
    found
}

/// Returns the paths of the configuration files that may tell where the storage is.
fn configs(world: &World<'_>) -> Vec<Vec<u8>> {
    let mut files: Vec<Vec<u8>> = CONFIGS[..2].iter().map(|path| path.to_vec()).collect();
    match world.user_of() {
        None => files.push(CONFIGS[2].to_vec()),
        Some(_) => files.extend(world.config(b"containers/storage.conf")),
    }
    let mut more = Vec::new();
    for file in &files {
        let stem = file.strip_suffix(b".conf").unwrap_or(file);
        for (at, ending) in DROP_INS.iter().enumerate() {
            let directory = [if at == 0 { file } else { stem }, *ending].concat();
            let names = world.entries(&directory);
            more.extend(names.iter().map(|name| join(&directory, name)));
        }
    }
    files.extend(more);
    files
}

/// Returns a configured path with what it may have of `$HOME`, `$USER` and `$UID`.
fn expanded(world: &World<'_>, path: &[u8]) -> Vec<u8> {
    let Some(user) = world.user_of() else { return path.to_vec() };
    let uid = user.uid.to_string();
    let mut out = Vec::new();
    let mut parts = path.split(|byte| *byte == b'$');
    out.extend_from_slice(parts.next().unwrap_or_default());
    for part in parts {
        let values = [
            (&b"HOME"[..], user.home.as_deref().unwrap_or_default()),
            (b"USER", user.name.as_deref().unwrap_or_default()),
            (b"UID", uid.as_bytes()),
        ];
        let rest = values.iter().find_map(|(name, value)| Some((part.strip_prefix(*name)?, value)));
        let (rest, value) = rest.map_or((part, &b"$"[..]), |(rest, value)| (rest, *value));
        out.extend_from_slice(value);
        out.extend_from_slice(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_gives_ids_and_names() {
        let text = br#"[{"id":"a1","names":["web","www"],"metadata":"{\"name\":\"x\"}"},
            {"id":"a2"},{"names":["y"]}]"#;
        let named = names_in(text, &|_, _| true).unwrap();
        let expected = ["web", "www"].map(|name| (b"a1".to_vec(), name.as_bytes().to_vec()));
        assert_eq!(named, expected);
        assert_eq!(names_in(text, &|_, name| name == b"www").unwrap(), expected[1..]);
        assert_eq!(names_in(br#"{"id":"a1"}"#, &|_, _| true), Err(Refused::Malformed));
        let twice = br#"[{"id":"a1","id":"a2","names":[]}]"#;
        assert_eq!(names_in(twice, &|_, _| true), Err(Refused::Duplicate));
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
