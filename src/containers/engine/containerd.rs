//! containerd: one bundle for each task, whose annotations name pods and nerdctl's containers;
//! processes in the state of the OCI runtime that the bundle's options tell.

#![forbid(unsafe_code)]

use super::kubernetes::contains;
use super::learn::{Daemon, add, command_lines, option, setting};
use super::oci::{mentions, read};
use super::recorded::add_recorded;
use super::records::{Kind, Root};
use super::{Container, Containers, Source};
use crate::base::json::{Refused, Value, select};
use crate::base::text::join;
use crate::containers::world::World;
use std::rc::Rc;

/// containerd's own service.
pub(super) static DAEMON: Daemon = Daemon {
    name: b"containerd",
    pid_files: &[],
    units: &[b"/system.slice/containerd.service"],
    options: &[b"--state", b"--config", b"-c"],
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
pub(crate) fn list(world: &World<'_>, needle: Option<&[u8]>, out: &mut Containers) {
    list_states(world, &states(world), needle, out)
}

/// Adds the tasks of a containerd with this command line.
fn list_of(world: &World<'_>, line: &[u8], needle: Option<&[u8]>, out: &mut Containers) {
    let mut all = states(world);
    let known = all.len();
    add_command_line(world, line, &mut all);
    list_states(world, &all[known..], needle, out)
}

/// Returns, by namespace, where the runtimes keep their state, and the bundles.
pub(crate) fn roots(world: &World<'_>) -> Vec<Root> {
    let namespaces = namespaces(world, &states(world));
    namespaces.iter().flat_map(|namespace| namespace.roots(world)).collect()
}

/// Returns the state directories of this world's containerds.
pub(super) fn states(world: &World<'_>) -> Vec<Vec<u8>> {
    if world.user_of().is_some() {
        let own = world.run_directories();
        return own.iter().map(|run| join(run, b"containerd")).collect();
    }
    let mut states: Vec<Vec<u8>> = STATES.iter().map(|state| state.to_vec()).collect();
    add_config(world, b"/etc/containerd/config.toml", &mut states);
    for line in command_lines(world, &DAEMON) {
        add_command_line(world, &line, &mut states);
    }
    states
}

fn add_command_line(world: &World<'_>, line: &[u8], states: &mut Vec<Vec<u8>>) {
    add(world, states, option(line, b"--state").unwrap_or_default());
    for name in [&b"--config"[..], b"-c"] {
        if let Some(path) = option(line, name) {
            add_config(world, path, states);
        }
    }
}

fn add_config(world: &World<'_>, path: &[u8], states: &mut Vec<Vec<u8>>) {
    let Some(file) = world.file(path) else { return };
    let state = setting(&file.bytes, b"", b"state").unwrap_or_default().to_vec();
    drop(file);
    add(world, states, &state)
}

/// Returns the directories of bundles, by namespace, in state directories.
pub(super) fn task_directories(states: &[Vec<u8>]) -> impl Iterator<Item = Vec<u8>> {
    states.iter().flat_map(|state| TASKS.map(|tasks| join(state, tasks)))
}

/// A namespace of containerd's.
struct Namespace {
    name: Vec<u8>,
    /// Where its bundles are; several where several daemons have a namespace of this name.
    bundles: Vec<Vec<u8>>,
}

impl Namespace {
    /// Returns the places of its records: the runtimes' default roots, whichever daemon it is, then
    /// the bundles, which may tell others.
    fn roots(&self, world: &World<'_>) -> Vec<Root> {
        let mut roots = Vec::new();
        let mut add = |kind, path| {
            let namespace = Some(self.name.clone());
            roots.push(Root { word: "containerd", kind, path, namespace });
        };
        for run in world.run_directories() {
            let of =
                |runtime: &[u8]| [&run[..], b"/containerd/", runtime, b"/", &self.name].concat();
            add(Kind::Runtime, of(b"runc"));
            add(Kind::Gvisor, of(b"runsc"));
        }
        for bundles in &self.bundles {
            add(Kind::Bundle, bundles.clone());
        }
        roots
    }
}

/// Returns the namespaces that have bundles or a runtime's state, but for Docker's.
fn namespaces(world: &World<'_>, states: &[Vec<u8>]) -> Vec<Namespace> {
    let mut found: Vec<Namespace> = Vec::new();
    let mut add = |name: Vec<u8>, bundles: Option<Vec<u8>>| {
        if name == DOCKERS {
            return;
        }
        match found.iter_mut().find(|known| known.name == name) {
            Some(known) => known.bundles.extend(bundles),
            None => found.push(Namespace { name, bundles: bundles.into_iter().collect() }),
        }
    };
    for tasks in task_directories(states) {
        for name in world.entries(&tasks) {
            let bundles = join(&tasks, &name);
            add(name, Some(bundles));
        }
    }
    for run in world.run_directories() {
        for name in world.entries(&join(&run, b"containerd/runc")) {
            add(name, None);
        }
    }
    found
}

fn list_states(world: &World<'_>, states: &[Vec<u8>], needle: Option<&[u8]>, out: &mut Containers) {
    for namespace in namespaces(world, states) {
        let all: Rc<[Root]> = namespace.roots(world).into();
        let mut nerdctls = nerdctl_names(world, &namespace.name, needle);
        for bundles in &namespace.bundles {
            // Another daemon's bundle of the same namespace and ID is another container's.
            let is_its = |root: &&Root| root.kind != Kind::Bundle || root.path == *bundles;
            let roots: Rc<[Root]> = all.iter().filter(is_its).cloned().collect();
            for id in world.entries(bundles) {
                let at = nerdctls.binary_search_by(|(of, _)| of.cmp(&id)).ok();
                let given = at.map(|at| std::mem::take(&mut nerdctls[at].1));
                let directory = join(bundles, &id);
                let named = name_of(world, &directory, &id, needle);
                let is_wanted = needle.is_none_or(|needle| contains(&id, needle));
                let (engine, name) = match (named, given) {
                    (Some(("k8s", pod)), _) => ("k8s", pod),
                    (_, Some(given)) => ("nerdctl", given),
                    (Some(named), None) => named,
                    (None, None) if is_wanted => ("containerd", id.clone()),
                    (None, None) => continue,
                };
                let source = Source::Files { directory, roots: roots.clone() };
                let namespace = Some(namespace.name.clone());
                let unnamed = Container::unnamed("containerd", &id, source);
                out.add(Container { engine, name, namespace, ..unnamed });
            }
        }
        // What nerdctl names and has no task does not run.
        nerdctls.retain(|(_, name)| !name.is_empty());
        for (id, name) in nerdctls {
            let source = Source::Files { directory: Vec::new(), roots: all.clone() };
            let namespace = Some(namespace.name.clone());
            let unnamed = Container::unnamed("containerd", &id, source);
            out.add(Container { engine: "nerdctl", name, namespace, ..unnamed });
        }
        // Each bundle is listed already.
        let states = all.iter().filter(|root| root.kind != Kind::Bundle);
        add_recorded(world, &states.cloned().collect(), needle, out);
    }
}

/// Returns the engine and name that a bundle's annotations tell, if these mention the needle.
fn name_of(
    world: &World<'_>,
    bundle: &[u8],
    id: &[u8],
    needle: Option<&[u8]>,
) -> Option<(&'static str, Vec<u8>)> {
    let mut named = None;
    read(world, &join(bundle, b"config.json"), &mut |text| {
        named = if mentions(text, id, needle) { name_in(text)? } else { None };
        Ok(())
    });
    named
}

/// Returns the IDs of the containers of a namespace, sorted, with the names that nerdctl keeps for
/// them.
fn nerdctl_names(
    world: &World<'_>,
    namespace: &[u8],
    needle: Option<&[u8]>,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut found = Vec::new();
    let Some(top) = world.data(b"nerdctl") else { return found };
    for hash in world.entries(&top) {
        let names = [&top[..], b"/", &hash, b"/names/", namespace].concat();
        for name in world.entries(&names) {
            // Empty after a crash of nerdctl, and then no container's.
            if let Some(file) = world.file(&join(&names, &name)) {
                let id = file.bytes.trim_ascii();
                let has = |needle| contains(id, needle) || contains(&name, needle);
                if !id.is_empty() && needle.is_none_or(has) {
                    found.push((id.to_vec(), name));
                }
            }
        }
    }
    found.sort_unstable();
    found
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
