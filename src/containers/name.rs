//! What containers are called: on a command line, in messages and in lists.

#![forbid(unsafe_code)]

use super::engine::Container;
use crate::base::escape::quoted;

/// Returns how a container is named on a command line, `ENGINE:NAME`: raw bytes.
pub(crate) fn spelled(container: &Container) -> Vec<u8> {
    [container.engine.as_bytes(), b":", &container.name].concat()
}

/// Returns how messages call a container.
pub(crate) fn label(container: &Container) -> String {
    format!("container {} ({})", quoted(&container.name), container.engine)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::engine::Source;

    #[test]
    fn pods_have_names_of_two_parts() {
        let called = |engine, name: &[u8]| {
            let container = Container::unnamed(engine, name, Source::Anywhere, 0);
            pod_or_name(&container).to_vec()
        };
        assert_eq!(called("k8s", b"shop/cart/app"), b"shop/cart");
        assert_eq!(called("k8s", b"shop/cart"), b"shop/cart");
        assert_eq!(called("runc", b"a/b/c"), b"a/b/c");
    }

    #[test]
    fn labels_are_escaped_and_command_lines_are_not() {
        let container = Container::unnamed("runc", b"a\nb", Source::Anywhere, 0);
        assert_eq!(label(&container), "container \"a\\x0ab\" (runc)");
        assert_eq!(spelled(&container), b"runc:a\nb");
    }
}
