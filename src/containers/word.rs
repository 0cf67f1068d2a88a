//! A word that names a container, as people type and paste it.

#![forbid(unsafe_code)]

use super::engine::{Container, ENGINES};
use super::name::pod_or_name;

/// IDs shortened further than this are not taken for IDs.
const MIN_PREFIX: usize = 4;
/// The length of a full ID.
const ID: usize = 64;

/// A word that names a container, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Word<'a> {
    /// The only engine whose container is meant, if one was named.
    pub(super) engine: Option<&'static str>,
    /// Name or ID.
    pub(super) text: &'a [u8],
}

impl Word<'_> {
    /// Takes a pasted name apart: `ENGINE:NAME`, `/NAME`, `RUNTIME://ID`, `pod/NAME`.
    pub(super) fn parse(word: &[u8]) -> Word<'_> {
        for scheme in [&b"docker://"[..], b"containerd://", b"cri-o://"] {
            if let Some(id) = word.strip_prefix(scheme) {
                return Word { engine: None, text: id };
            }
        }
        if let Some(text) = word.strip_prefix(b"pod/") {
            return Word { engine: Some("k8s"), text };
        }
        if let Some(text) = word.strip_prefix(b"/") {
            return Word { engine: Some("docker"), text };
        }
        if let Some(colon) = word.iter().position(|byte| *byte == b':') {
            let (before, text) = (&word[..colon], &word[colon + 1..]);
            let mut words = ENGINES.iter().flat_map(|engine| engine.words);
            if let Some(engine) = words.find(|engine| engine.as_bytes() == before) {
                let text = text.strip_prefix(b"/").unwrap_or(text);
                return Word { engine: Some(engine), text };
            }
        }
        Word { engine: None, text: word }
    }

    /// Tells whether the container is of the engine that was named, if one was.
    pub(super) fn is_of(&self, container: &Container) -> bool {
        self.engine.is_none_or(|engine| engine == container.engine)
    }

    /// Returns what a file that mentions the container must contain: the longest part, as files
    /// hold a pod's namespace and name apart.
    pub(super) fn needle(&self) -> &[u8] {
        // Of two equally long parts the last.
        self.text.split(|byte| *byte == b'/').max_by_key(|part| part.len()).unwrap_or_default()
    }

    /// Tells whether the text may be an ID, complete or not, that no engine need know.
    pub(super) fn could_be_id(&self) -> bool {
        self.text.len() >= 12 && self.text.iter().all(u8::is_ascii_hexdigit)
    }
}

/// Tells whether `text` is the container's ID or name, or for Kubernetes `NAMESPACE/POD` or `POD`
/// of it.
pub(super) fn is_called(container: &Container, text: &[u8]) -> bool {
    let pod = pod_or_name(container);
    let slash = pod.iter().position(|byte| *byte == b'/');
    let is_pod = || pod == text || slash.is_some_and(|at| &pod[at + 1..] == text);
    container.id == text || container.name == text || (container.engine == "k8s" && is_pod())
}

/// Tells whether `text` is the beginning of the container's ID.
pub(super) fn has_prefix(container: &Container, text: &[u8]) -> bool {
    text.len() >= MIN_PREFIX && container.id.starts_with(text)
}

/// Tells whether `text` is a full ID: 64 hex digits.
pub(super) fn is_full_id(text: &[u8]) -> bool {
    text.len() == ID && text.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::engine::Source;

    fn container(engine: &'static str, name: &str) -> Container {
        let (name, id) = (name.as_bytes().to_vec(), b"x".to_vec());
        Container { engine, name, id, source: Source::Anywhere, owner: 0 }
    }

    #[test]
    fn pasted_forms() {
        let form = |word: &'static str| {
            let word = Word::parse(word.as_bytes());
            (word.engine, std::str::from_utf8(word.text).unwrap())
        };
        assert_eq!(form("web"), (None, "web"));
        assert_eq!(form("/web"), (Some("docker"), "web"));
        assert_eq!(form("docker:web"), (Some("docker"), "web"));
        assert_eq!(form("docker:/web"), (Some("docker"), "web"));
        assert_eq!(form("docker://b146"), (None, "b146"));
        assert_eq!(form("cri-o://b146"), (None, "b146"));
        assert_eq!(form("pod/cart"), (Some("k8s"), "cart"));
        assert_eq!(form("k8s:shop/cart"), (Some("k8s"), "shop/cart"));
        assert_eq!(form("nope:web"), (None, "nope:web"));
    }

    #[test]
    fn the_longest_part_is_looked_for() {
        let needle = |word: &'static str| {
            let word = Word::parse(word.as_bytes());
            String::from_utf8(word.needle().to_vec()).unwrap()
        };
        assert_eq!(needle("k8s:shop/cart-1"), "cart-1");
        assert_eq!(needle("a-shop/cart"), "a-shop");
        assert_eq!(needle("shop/cart"), "cart");
        assert_eq!(needle(""), "");
    }

    #[test]
    fn pods_have_short_names() {
        let pod = container("k8s", "shop/cart/app");
        for name in ["shop/cart/app", "shop/cart", "cart"] {
            assert!(is_called(&pod, name.as_bytes()), "{name}");
        }
        for name in ["app", "shop", "cart/app", "shop/car"] {
            assert!(!is_called(&pod, name.as_bytes()), "{name}");
        }
        assert!(!is_called(&container("runc", "a/b"), b"b"));
    }
}
