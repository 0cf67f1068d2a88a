//! What containers are called: on a command line, in messages and in lists.

#![forbid(unsafe_code)]

use super::engine::Container;
use super::engine::oci::is_long;
use crate::base::escape::{quoted, shown_without};

/// Returns how a container is named on a command line, `ENGINE:NAME`, and `ENGINE:NAME@USER` where
/// it is what another user says: raw bytes.
pub(crate) fn spelled(container: &Container) -> Vec<u8> {
    [container.engine.as_bytes(), b":", &named(container, &container.name)].concat()
}

/// Returns how a container's pod, or the container, is named on a command line.
pub(crate) fn spelled_pod(container: &Container) -> Vec<u8> {
    [container.engine.as_bytes(), b":", &named(container, pod_or_name(container))].concat()
}

/// Returns a name as it is shown among others: a blank in it would make two of it.
pub(crate) fn listed(name: &[u8]) -> String {
    shown_without(name, char::is_whitespace).to_string()
}

/// Returns how messages call a container.
pub(crate) fn label(container: &Container) -> String {
    let name = named(container, &container.name);
    format!("container {} ({})", quoted(&name), container.engine)
}

/// Returns the name of a container's pod, or its own.
pub(crate) fn pod_or_name(container: &Container) -> &[u8] {
    let name = &container.name;
    let mut slashes = name.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    match slashes.nth(1) {
        Some((end, _)) if container.engine == "k8s" => &name[..end],
        _ => name,
    }
}

/// Returns the part of an ID that engines print: 12 digits of one that they made, else all.
pub(crate) fn short_id(id: &[u8]) -> &[u8] {
    const SHORT: usize = 12;
    if is_long(id) { &id[..SHORT] } else { id }
}

/// Returns a name with the user whose claim it is, if it is one.
fn named(container: &Container, name: &[u8]) -> Vec<u8> {
    match container.claimed_by {
        Some(uid) => [name, format!("@{uid}").as_bytes()].concat(),
        None => name.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::engine::Source;

    #[test]
    fn pods_have_names_of_two_parts() {
        let called = |engine, name: &[u8]| {
            pod_or_name(&Container::unnamed(engine, name, Source::Anywhere)).to_vec()
        };
        assert_eq!(called("k8s", b"shop/cart/app"), b"shop/cart");
        assert_eq!(called("k8s", b"shop/cart"), b"shop/cart");
        assert_eq!(called("runc", b"a/b/c"), b"a/b/c");
    }

    #[test]
    fn labels_are_escaped_and_command_lines_are_not() {
        let container = Container::unnamed("runc", b"a\nb", Source::Anywhere);
        assert_eq!(label(&container), "container \"a\\x0ab\" (runc)");
        assert_eq!(spelled(&container), b"runc:a\nb");
    }

    #[test]
    fn claims_have_their_users_name() {
        let rl = Container::unnamed("podman", b"rl", Source::Anywhere);
        let rl = Container { claimed_by: Some(1000), ..rl };
        assert_eq!(spelled(&rl), b"podman:rl@1000");
        assert_eq!(label(&rl), "container \"rl@1000\" (podman)");
        let pod = Container { engine: "k8s", name: b"shop/cart/app".to_vec(), ..rl };
        assert_eq!(spelled_pod(&pod), b"k8s:shop/cart@1000");
    }

    #[test]
    fn only_ids_that_engines_make_are_shortened() {
        assert_eq!(short_id(&b"b146".repeat(16)), b"b146b146b146");
        assert_eq!(short_id(b"a-name-that-somebody-chose"), b"a-name-that-somebody-chose");
    }
}
