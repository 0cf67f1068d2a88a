//! containerd: one bundle for each task, whose annotations name pods and nerdctl's containers; processes in the state of the OCI
//! runtime that the bundle's options tell.

#![forbid(unsafe_code)]

use super::oci::{self, mentions, parsed};
use super::{Base, Containers, Evidence, Init};
use crate::bytes::{Bytes, Names, below, join, keep, last};
use crate::host::Host;
use crate::json::{Refused, Value, select};

/// Where the daemons and distributions keep their tasks.
const STATES: &[Bytes] = &[
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

/// Every task of every namespace but Docker's.
pub fn each(host: &Host, base: &Base, needle: Option<&[u8]>, out: &mut Containers) {
    for tasks in namespaces(host, base) {
        let nerdctls = nerdctl_names(host, base, last(tasks));
        for bundle in host.entries(tasks) {
            let id = last(bundle);
            let given = nerdctls.iter().find(|(of, _)| *of == id);
            let (mut engine, mut name) = given.map_or(("containerd", id), |(_, name)| ("nerdctl", *name));
            let owner = parsed(host, base, below(bundle, b"config.json"), &mut |text| {
                if mentions(text, id, needle)
                    && let Some(named) = name_in(text)?
                    && (given.is_none() || named.0 == "k8s")
                {
                    (engine, name) = named;
                }
                Ok(())
            });
            let dir = runtime_root(host, base, bundle, last(tasks));
            let evidence = Evidence::Oci(vec![dir].leak());
            out.add(engine, name, id, evidence, base.writer(owner.unwrap_or(0)));
        }
    }
}

/// The runtime's records of an ID, in any namespace but Docker's.
pub fn state(host: &Host, base: &Base, id: &[u8], out: &mut Vec<&'static Init>) {
    for tasks in namespaces(host, base) {
        let dir = runtime_root(host, base, below(tasks, id), last(tasks));
        out.extend(oci::init(host, base, dir, id));
    }
}

/// The task directories, each called like its namespace.
fn namespaces(host: &Host, base: &Base) -> Names {
    let own = [below(base.run, b"containerd")];
    let states = if base.owner == 0 { STATES } else { &own };
    let mut found = Vec::new();
    for state in states {
        for tasks in host.entries(below(state, b"io.containerd.runtime.v2.task")) {
            if last(tasks) != DOCKERS {
                found.push(*tasks);
            }
        }
    }
    found.leak()
}

/// Where the runtime of a bundle keeps its state.
fn runtime_root(host: &Host, base: &Base, bundle: &[u8], namespace: &[u8]) -> Bytes {
    let mut root: Bytes = b"";
    parsed(host, base, below(bundle, b"options.json"), &mut |text| {
        let mut found = [Value::Null];
        select(text, &["root"], &mut found)?;
        root = found[0].string().map_or(b"", keep);
        Ok(())
    });
    if !root.starts_with(b"/") {
        root = DEFAULT_ROOT;
    }
    // A rootless containerd sees its own directory at this path.
    if base.owner != 0
        && let Some(rest) = root.strip_prefix(b"/run/").filter(|rest| rest.starts_with(b"containerd/"))
    {
        root = below(base.run, rest);
    }
    below(root, namespace)
}

/// The IDs of the containers of a namespace, with the names that nerdctl keeps for them.
fn nerdctl_names(host: &Host, base: &Base, namespace: &[u8]) -> Vec<(Bytes, Bytes)> {
    let mut found = Vec::new();
    let Some(top) = base.data(b"nerdctl") else { return found };
    for hash in host.entries(top) {
        for name in host.entries(join(&[hash, b"/names/", namespace])) {
            // Empty after a crash of nerdctl, and then no container's.
            if let Some(file) = host.file(name) {
                found.push((keep(file.bytes.trim_ascii()), last(name)));
            }
        }
    }
    found
}

/// The engine and name that a bundle's annotations tell.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn name_in(text: &[u8]) -> Result<Option<(&'static str, Bytes)>, Refused> {
    const KEYS: [&str; 5] = [
        "annotations io.kubernetes.cri.sandbox-namespace",
        "annotations io.kubernetes.cri.sandbox-name",
        "annotations io.kubernetes.cri.container-type",
        "annotations io.kubernetes.cri.container-name",
        "annotations nerdctl/name",
    ];
    let mut found = [Value::Null; KEYS.len()];
    select(text, &KEYS, &mut found)?;
    let [namespace, pod, kind, container, nerdctl] = found.map(Value::string);
    if let (Some(namespace), Some(pod)) = (namespace, pod) {
        let pod = below(namespace, pod);
        let container = container.filter(|_| kind != Some(b"sandbox"));
        return Ok(Some(("k8s", container.map_or(pod, |container| below(pod, container)))));
    }
    Ok(nerdctl.map(|name| ("nerdctl", keep(name))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(annotations: &str) -> Option<(&'static str, String)> {
        let text = format!(r#"{{"process":{{"env":["x=y"]}},"annotations":{{{annotations}}}}}"#);
        name_in(text.as_bytes()).unwrap().map(|(engine, name)| (engine, String::from_utf8_lossy(name).into_owned()))
    }

    #[test]
    fn annotations_name_pods_and_nerdctls() {
        let pod = r#""io.kubernetes.cri.sandbox-namespace":"shop","io.kubernetes.cri.sandbox-name":"cart""#;
        assert_eq!(named(pod), Some(("k8s", "shop/cart".into())));
        let app =
            format!(r#"{pod},"io.kubernetes.cri.container-type":"container","io.kubernetes.cri.container-name":"app""#);
        assert_eq!(named(&app), Some(("k8s", "shop/cart/app".into())));
        let sandbox = app.replace(r#"type":"container""#, r#"type":"sandbox""#);
        assert_eq!(named(&sandbox), Some(("k8s", "shop/cart".into())));
        assert_eq!(named(r#""nerdctl/name":"web""#), Some(("nerdctl", "web".into())));
        assert_eq!(named(""), None);
    }
}
