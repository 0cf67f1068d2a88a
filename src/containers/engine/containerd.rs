//! containerd: one bundle for each task, whose annotations name pods and nerdctl's containers;
//! processes in the state of the OCI runtime that the bundle's options tell.

#![forbid(unsafe_code)]

use super::learn::{Daemon, Places, Tells, settings};
use super::oci::{mentions, read};
use super::places::{expand, in_run};
use super::recorded::add_recorded;
use super::records::{Kind, Root};
use super::{Containers, Engine, Found};
use crate::base::json::{Refused, Value, select};
use crate::base::text::{join, last};
use crate::containers::world::World;
use std::rc::Rc;
use std::slice::from_ref;

/// containerd's own service.
pub(super) static DAEMON: Daemon = Daemon {
    name: b"containerd",
    pid_files: &[],
    units: &[b"/system.slice/containerd.service"],
    config_options: &[b"--config", b"-c"],
    settings: &[(b"--state", "state", Tells::State)],
    read_config: |world, path, keys| settings(world, path, b"", keys),
    list_of,
};
/// The namespace of Docker's containers, which Docker names.
pub(super) const DOCKERS: &[u8] = b"moby";
/// Where the daemons and distributions keep their tasks.
const STATES: &[&[u8]] = &[
    b"/run/containerd",
    b"/run/docker/containerd/daemon",
    b"/run/snap.docker/containerd/daemon",
    b"/run/k3s/containerd",
    b"/var/snap/microk8s/common/run/containerd",
    b"/run/k0s/containerd",
];
/// Where in a state directory the bundles are, by namespace; of containerd 1.x last.
const TASKS: [&[u8]; 2] = [b"io.containerd.runtime.v2.task", b"io.containerd.runtime.v1.linux"];

/// Adds every task of every namespace but Docker's.
pub(crate) fn list(world: &World<'_>, _: &Engine, out: &mut Containers<'_>) {
    list_states(world, &states(world), out)
}

/// Adds the tasks of a containerd with this command line.
fn list_of(world: &World<'_>, line: &[u8], out: &mut Containers<'_>) {
    let mut places = places(world);
    let known = places.states.len();
    places.add_command_line(world, &DAEMON, line);
    list_states(world, &places.states[known..], out)
}

/// Returns, by namespace, where the runtimes keep their state, and the bundles.
pub(crate) fn roots(world: &World<'_>) -> Vec<Root> {
    let bundles = bundles(world, &states(world));
    let mut roots = Vec::new();
    for namespace in &namespaces(world, &bundles) {
        roots.append(&mut places_of(world, namespace, &bundles));
    }
    roots
}

/// Returns the state directories of this world's containerds.
pub(super) fn states(world: &World<'_>) -> Vec<Vec<u8>> {
    places(world).states
}

fn places(world: &World<'_>) -> Places {
    let mut places = Places::default();
    if world.user_of().is_some() {
        places.states = in_run(world, "containerd");
    } else {
        places.states.extend(STATES.iter().map(|state| state.to_vec()));
        places.add_config(world, &DAEMON, b"/etc/containerd/config.toml");
        places.ask_daemons(world, &DAEMON);
    }
    places
}

/// Returns the directories of bundles, by namespace, in state directories.
pub(super) fn tasks(states: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for state in states {
        for tasks in TASKS {
            all.push(join(state, tasks));
        }
    }
    all
}

/// Returns the directories of the bundles of each namespace.
fn bundles(world: &World<'_>, states: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut bundles = Vec::new();
    for tasks in &tasks(states) {
        bundles.append(&mut expand(world, tasks, "*"));
    }
    bundles
}

/// Returns the namespaces that have bundles or a runtime's state, but for Docker's.
fn namespaces(world: &World<'_>, bundles: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut all = bundles.to_vec();
    all.append(&mut in_run(world, "containerd/runc/*"));
    let mut names = Vec::new();
    for path in &all {
        let name = last(path).to_vec();
        if name != DOCKERS && !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// Returns the places of a namespace's records: the runtimes' default roots, whichever daemon it
/// is, then those of the bundles that are its own, which may tell others.
fn places_of(world: &World<'_>, namespace: &[u8], bundles: &[Vec<u8>]) -> Vec<Root> {
    let mut roots = Vec::new();
    let mut add =
        |kind, path| roots.push(Root { word: "containerd", kind, path, is_namespaced: true });
    for run in &world.run_directories() {
        add(Kind::Runtime, [run, &b"/containerd/runc/"[..], namespace].concat());
        add(Kind::Gvisor, [run, &b"/containerd/runsc/"[..], namespace].concat());
    }
    for bundles in bundles.iter().filter(|bundles| last(bundles) == namespace) {
        add(Kind::Bundle, bundles.clone());
    }
    roots
}

fn list_states(world: &World<'_>, states: &[Vec<u8>], out: &mut Containers<'_>) {
    let all = bundles(world, states);
    for namespace in &namespaces(world, &all) {
        let roots: Rc<[Root]> = places_of(world, namespace, &all).into();
        let named = list_nerdctls(world, namespace, &roots, out);
        for bundles in all.iter().filter(|bundles| last(bundles) == namespace) {
            // Another daemon's bundle of the same namespace and ID is another container's.
            let roots: Rc<[Root]> = places_of(world, namespace, from_ref(bundles)).into();
            for id in &world.entries(bundles) {
                if named.binary_search(id).is_ok() {
                    continue;
                }
                let mut named = None;
                let config = [bundles, &b"/"[..], id, b"/config.json"].concat();
                read(world, &config, &mut |text| {
                    named = if mentions(text, id, out.needle) { name_in(text)? } else { None };
                    Ok(())
                });
                let (engine, name) = named.unwrap_or_else(|| ("containerd", id.clone()));
                out.add(&Found { engine, name: &name, ..Found::unnamed("containerd", id, &roots) });
            }
        }
        // Each bundle is listed already.
        add_recorded(world, &places_of(world, namespace, &[]).into(), &|_| true, out);
    }
}

/// Adds the containers that nerdctl names in a namespace, and returns their IDs, sorted. One that
/// has no task does not run.
fn list_nerdctls(
    world: &World<'_>,
    namespace: &[u8],
    roots: &Rc<[Root]>,
    out: &mut Containers<'_>,
) -> Vec<Vec<u8>> {
    let mut ids = Vec::new();
    let Some(top) = world.data(b"nerdctl") else { return ids };
    for names in &expand(world, &top, "*/names") {
        for path in &expand(world, &join(names, namespace), "*") {
            let Some(file) = world.file(path) else { continue };
            let id = file.bytes.trim_ascii();
            // Empty after a crash of nerdctl, and then no container's.
            if !id.is_empty() {
                let unnamed = Found::unnamed("containerd", id, roots);
                out.add(&Found { engine: "nerdctl", name: last(path), ..unnamed });
                ids.push(id.to_vec());
            }
        }
    }
    ids.sort_unstable();
    ids
}

/// Returns the engine and name that a bundle's annotations tell.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn name_in(text: &[u8]) -> Result<Option<(&'static str, Vec<u8>)>, Refused> {
    const KEYS: [&str; 5] = [
        "annotations io.kubernetes.cri.sandbox-namespace",
        "annotations io.kubernetes.cri.sandbox-name",
        "annotations io.kubernetes.cri.container-type",
        "annotations io.kubernetes.cri.container-name",
        "annotations nerdctl/name",
    ];
    let mut found = [const { Value::Null }; KEYS.len()];
    select(text, &KEYS, &mut found)?;
    let [namespace, pod, kind, container, nerdctl] = found.each_ref().map(|value| value.string());
    if let (Some(namespace), Some(pod)) = (namespace, pod) {
        let name = match container.filter(|_| kind != Some(b"sandbox")) {
            Some(container) => [namespace, pod, container].join(&b'/'),
            None => join(namespace, pod),
        };
        return Ok(Some(("k8s", name)));
    }
    Ok(nerdctl.map(|name| ("nerdctl", name.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(annotations: &str) -> Option<(&'static str, String)> {
        let text = format!(r#"{{"process":{{"env":["x=y"]}},"annotations":{{{annotations}}}}}"#);
        let named = name_in(text.as_bytes()).unwrap();
        named.map(|(engine, name)| (engine, String::from_utf8_lossy(&name).into_owned()))
    }

    #[test]
    fn annotations_name_pods_and_nerdctls() {
        let pod = r#""io.kubernetes.cri.sandbox-namespace":"shop",
            "io.kubernetes.cri.sandbox-name":"cart""#;
        assert_eq!(named(pod), Some(("k8s", "shop/cart".into())));
        let app = format!(
            r#"{pod},"io.kubernetes.cri.container-type":"container",
            "io.kubernetes.cri.container-name":"app""#
        );
        assert_eq!(named(&app), Some(("k8s", "shop/cart/app".into())));
        let sandbox = app.replace(r#"type":"container""#, r#"type":"sandbox""#);
        assert_eq!(named(&sandbox), Some(("k8s", "shop/cart".into())));
        assert_eq!(named(r#""nerdctl/name":"web""#), Some(("nerdctl", "web".into())));
        assert_eq!(named(""), None);
    }
}
