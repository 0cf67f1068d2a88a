//! containerd: one bundle for each task, whose annotations name pods and nerdctl's containers;
//! processes in the state of the OCI runtime that the bundle's options tell.

#![forbid(unsafe_code)]

use super::oci::{self, mentions};
use super::{Container, Containers, Place, Record, Source};
use crate::base::error::Result;
use crate::base::json::{Refused, Value, select};
use crate::base::text::{join, last};
use crate::host::Host;
use std::rc::Rc;

/// Where the daemons and distributions keep their tasks.
const STATES: &[&[u8]] = &[
    b"/run/containerd",
    b"/run/docker/containerd/daemon",
    b"/run/snap.docker/containerd/daemon",
    b"/run/k3s/containerd",
    b"/var/snap/microk8s/common/run/containerd",
    b"/run/k0s/containerd",
];
/// The runtime's root where a bundle does not tell another.
const DEFAULT_ROOT: &[u8] = b"/run/containerd/runc";
/// Docker's namespace: Docker names these.
const DOCKERS: &[u8] = b"moby";

/// Adds every task of every namespace but Docker's.
pub(crate) fn list(
    host: &Host,
    place: &Place,
    needle: Option<&[u8]>,
    out: &mut Containers,
) -> Result<()> {
    for tasks in namespaces(host, place)? {
        let nerdctls = nerdctl_names(host, place, last(&tasks))?;
        for bundle in host.entries(&tasks)? {
            let id = last(&bundle);
            let given = nerdctls.iter().find(|(of, _)| of == id).map(|(_, name)| name);
            let config = join(&bundle, b"config.json");
            let read = oci::read(host, place, &config, |text| {
                if mentions(text, id, needle) { name_in(text) } else { Ok(None) }
            })?;
            let (named, owner) = read.unwrap_or((None, 0));
            let (engine, name) = match (named, given) {
                (Some(("k8s", pod)), _) => ("k8s", pod),
                (_, Some(given)) => ("nerdctl", given.clone()),
                (Some(named), None) => named,
                (None, None) => ("containerd", id.to_vec()),
            };
            let root = runtime_root(host, place, &bundle, last(&tasks))?;
            let source = Source::Oci(Rc::new([root]));
            let owner = place.writer(owner);
            out.add(Container { engine, name, id: id.to_vec(), source, owner });
        }
    }
    Ok(())
}

/// Returns the runtime's records of an ID, in any namespace but Docker's.
pub(crate) fn records(host: &Host, place: &Place, id: &[u8]) -> Result<Vec<Record>> {
    let mut found = Vec::new();
    for tasks in namespaces(host, place)? {
        let root = runtime_root(host, place, &join(&tasks, id), last(&tasks))?;
        found.extend(oci::record(host, place, &root, id)?);
    }
    Ok(found)
}

/// Returns the directories of tasks, each called like its namespace.
fn namespaces(host: &Host, place: &Place) -> Result<Vec<Vec<u8>>> {
    let own = join(&place.run, b"containerd");
    let states = if place.owner == 0 { STATES } else { &[&own[..]] };
    let mut found = Vec::new();
    for state in states {
        let all = host.entries(&join(state, b"io.containerd.runtime.v2.task"))?;
        found.extend(all.into_iter().filter(|tasks| last(tasks) != DOCKERS));
    }
    Ok(found)
}

/// Returns where the runtime of a bundle keeps its state.
fn runtime_root(host: &Host, place: &Place, bundle: &[u8], namespace: &[u8]) -> Result<Vec<u8>> {
    let options = join(bundle, b"options.json");
    let told = oci::read(host, place, &options, |text| {
        let mut found = [Value::Null];
        select(text, &["root"], &mut found)?;
        Ok(found[0].string().map(<[u8]>::to_vec))
    })?;
    let told = told.and_then(|(root, _)| root).filter(|root| root.starts_with(b"/"));
    let root = told.as_deref().unwrap_or(DEFAULT_ROOT);
    // A rootless containerd sees its own directory at this path.
    let inside = root.strip_prefix(b"/run/").filter(|rest| rest.starts_with(b"containerd/"));
    Ok(match inside.filter(|_| place.owner != 0) {
        Some(rest) => [&place.run[..], b"/", rest, b"/", namespace].concat(),
        None => join(root, namespace),
    })
}

/// Returns the IDs of the containers of a namespace, with the names that nerdctl keeps for them.
fn nerdctl_names(host: &Host, place: &Place, namespace: &[u8]) -> Result<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut found = Vec::new();
    let Some(top) = place.data(b"nerdctl") else { return Ok(found) };
    for hash in host.entries(&top)? {
        for path in host.entries(&[&hash[..], b"/names/", namespace].concat())? {
            // Empty after a crash of nerdctl, and then no container's.
            if let Some(file) = host.file(&path)? {
                found.push((file.bytes.trim_ascii().to_vec(), last(&path).to_vec()));
            }
        }
    }
    Ok(found)
}

/// Returns the engine and name that a bundle's annotations tell.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn name_in(text: &[u8]) -> std::result::Result<Option<(&'static str, Vec<u8>)>, Refused> {
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
