//! containerd: one bundle for each task, whose annotations name pods and nerdctl's containers; processes in the state of the OCI
//! runtime that the bundle's options tell.

#![forbid(unsafe_code)]

use super::oci::{self, parsed};
use super::{Base, Containers, Evidence, Init};
use crate::bytes::{Bytes, contains, join, keep};
use crate::host::Host;
use crate::json::{Refused, Value, select};

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

/// Every task of every namespace but Docker's.
pub fn each(host: &Host, base: &Base, needle: Option<&[u8]>, out: &mut Containers) {
    for (tasks, namespace) in namespaces(host, base) {
        let nerdctls = nerdctl_names(host, base, namespace);
        for id in oci::ids(host, tasks) {
            let bundle = join(&[tasks, b"/", id]);
            let config = join(&[bundle, b"/config.json"]);
            let mentioned = |text: &[u8]| needle.is_none_or(|n| id.starts_with(n) || contains(text, n));
            let named = parsed(host, config, |text| if mentioned(text) { name_in(text) } else { Ok(None) });
            let (named, owner) = named.map_or((None, 0), |(named, owner)| (named, owner));
            let given = nerdctls.iter().find(|(of, _)| *of == id).map(|(_, name)| *name);
            let (engine, name) = match (named, given) {
                (Some(("k8s", name)), _) => ("k8s", name),
                (_, Some(name)) => ("nerdctl", name),
                (Some(named), None) => named,
                (None, None) => ("containerd", id),
            };
            let dir = runtime_root(host, base, bundle, namespace);
            let evidence = Evidence::Oci(vec![dir].leak());
            out.add(engine, name, id, evidence, base.writer(owner));
        }
    }
}

/// The runtime's records of an ID, in any namespace but Docker's.
pub fn state(host: &Host, base: &Base, id: &[u8], out: &mut Vec<&'static Init>) {
    for (tasks, namespace) in namespaces(host, base) {
        let dir = runtime_root(host, base, join(&[tasks, b"/", id]), namespace);
        out.extend(oci::init(host, base, dir, id));
    }
}

/// The task directories, with the namespace of each.
fn namespaces(host: &Host, base: &Base) -> Vec<(Bytes, Bytes)> {
    let states = match base.owner {
        0 => STATES.to_vec(),
        _ => vec![join(&[base.run, &b"/containerd"[..]])],
    };
    let mut found = Vec::new();
    for state in states {
        let tasks = join(&[state, b"/io.containerd.runtime.v2.task"]);
        for namespace in oci::ids(host, tasks).into_iter().filter(|name| *name != DOCKERS) {
            found.push((join(&[tasks, b"/", namespace]), namespace));
        }
    }
    found
}

/// Where the runtime of a bundle keeps its state.
fn runtime_root(host: &Host, base: &Base, bundle: &[u8], namespace: &[u8]) -> Bytes {
    let options = join(&[bundle, b"/options.json"]);
    let told = parsed(host, options, |text| {
        let [root] = select(text, [&["root"]])?;
        Ok(root.and_then(Value::string).map(keep))
    });
    let root = told.and_then(|(root, _)| root).filter(|root| root.starts_with(b"/")).unwrap_or(keep(DEFAULT_ROOT));
    // A rootless containerd sees its own directory at this path.
    let root = match root.strip_prefix(b"/run/").filter(|below| below.starts_with(b"containerd/")) {
        Some(below) if base.owner != 0 => join(&[base.run, &b"/"[..], below]),
        _ => root,
    };
    join(&[root, b"/", namespace])
}

/// The IDs of the containers of a namespace, with the names that nerdctl keeps for them.
fn nerdctl_names(host: &Host, base: &Base, namespace: &[u8]) -> Vec<(Bytes, Bytes)> {
    let top = match (&base.home, base.owner) {
        (_, 0) => &b"/var/lib/nerdctl"[..],
        (Some(home), _) => join(&[home, &b"/.local/share/nerdctl"[..]]),
        (None, _) => return Vec::new(),
    };
    let mut found = Vec::new();
    for hash in host.entries(top) {
        let dir = join(&[top, b"/", hash, b"/names/", namespace]);
        for name in host.entries(dir) {
            let file = host.file(join(&[dir, b"/", name]));
            // Empty after a crash of nerdctl.
            let id = file.map_or(&b""[..], |file| keep(file.bytes.trim_ascii()));
            if !id.is_empty() {
                found.push((id, name));
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
    let found = select(
        text,
        [
            &["annotations", "io.kubernetes.cri.sandbox-namespace"],
            &["annotations", "io.kubernetes.cri.sandbox-name"],
            &["annotations", "io.kubernetes.cri.container-type"],
            &["annotations", "io.kubernetes.cri.container-name"],
            &["annotations", "nerdctl/name"],
        ],
    )?;
    let [namespace, pod, kind, container, nerdctl] = found.map(|value| value.and_then(Value::string));
    let pod = match (namespace, pod, container) {
        (Some(namespace), Some(pod), None) => Some(join(&[namespace, b"/", pod])),
        (Some(namespace), Some(pod), Some(_)) if kind == Some(b"sandbox") => Some(join(&[namespace, b"/", pod])),
        (Some(namespace), Some(pod), Some(container)) => Some(join(&[namespace, b"/", pod, b"/", container])),
        _ => None,
    };
    let nerdctl = nerdctl.map(|name| ("nerdctl", keep(name)));
    Ok(pod.map(|pod| ("k8s", pod)).or(nerdctl))
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
