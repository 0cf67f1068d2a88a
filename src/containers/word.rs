//! A word that names a container, as people type and paste it.

#![forbid(unsafe_code)]

use super::engine::oci::is_long;
use super::engine::{Container, ENGINES};
use super::name::pod_or_name;

/// An ID may be shortened to so many digits, and no further.
pub(crate) const MIN_PREFIX: usize = 4;

/// What stands before a name or an ID as Kubernetes and nerdctl write it, and the engine if one is
/// meant.
const BEFORE: &[(&[u8], Option<&str>)] = &[
    (b"docker://", None),
    (b"containerd://", None),
    (b"cri-o://", None),
    (b"k8s://", Some("k8s")),
    (b"pod/", Some("k8s")),
    (b"/", Some("docker")),
];

/// A word that names a container, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Word<'a> {
    /// The only engine whose container is meant, if one was named.
    pub(crate) engine: Option<&'static str>,
    /// Name or ID.
    pub(crate) text: &'a [u8],
    /// The name and the user of `ENGINE:NAME@USER`, which may be a name as a whole, too.
    pub(crate) of_user: Option<(&'a [u8], &'a [u8])>,
}

impl<'a> Word<'a> {
    /// Takes a pasted name apart: `ENGINE:NAME`, `ENGINE:NAME@USER`, `/NAME`, `RUNTIME://ID`,
    /// `k8s://NAMESPACE/POD`, `pod/NAME`.
    pub(crate) fn parse(word: &'a [u8]) -> Word<'a> {
        let plain = |engine, text| Word { engine, text, of_user: None };
        for (before, engine) in BEFORE {
            if let Some(text) = word.strip_prefix(*before) {
                return plain(*engine, text);
            }
        }
        let Some(colon) = word.iter().position(|byte| *byte == b':') else {
            return plain(None, word);
        };
        let (before, text) = (&word[..colon], &word[colon + 1..]);
        let mut words = ENGINES.iter().flat_map(|engine| engine.words);
        let Some(engine) = words.find(|engine| engine.as_bytes() == before) else {
            return plain(None, word);
        };
        let text = text.strip_prefix(b"/").unwrap_or(text);
        Word { of_user: split_user(text), ..plain(Some(engine), text) }
    }

    /// Returns the word for what a user calls so in their own world.
    pub(crate) fn without_user(&self, name: &'a [u8]) -> Word<'a> {
        Word { text: name, of_user: None, ..*self }
    }

    /// Returns what a file that mentions the container must contain: the longest part, as files
    /// hold a pod's namespace and name apart.
    pub(crate) fn needle(&self) -> &'a [u8] {
        // Of two equally long parts the last.
        self.text.split(|byte| *byte == b'/').max_by_key(|part| part.len()).unwrap_or_default()
    }

    /// Tells whether the word is a container's name, its ID or its pod's, or for Kubernetes
    /// `NAMESPACE/POD` or `POD` of it.
    pub(crate) fn is_exactly(&self, container: &Container) -> bool {
        let text = self.text;
        container.id == text
            || container.name == text
            || container.pod.as_deref() == Some(text)
            || self.is_its_pod(container)
    }

    /// Tells whether the word is the name of the pod that the container is in.
    fn is_its_pod(&self, container: &Container) -> bool {
        let pod = pod_or_name(container);
        let slash = pod.iter().position(|byte| *byte == b'/');
        let is_pod = pod == self.text || slash.is_some_and(|at| &pod[at + 1..] == self.text);
        container.engine == "k8s" && is_pod
    }

    /// Tells whether the word is the beginning of a container's ID or its pod's, one that an engine
    /// made: never of a name that somebody chose.
    pub(crate) fn is_prefix(&self, container: &Container) -> bool {
        self.text.len() >= MIN_PREFIX && self.begins_id(container)
    }

    /// Tells whether the word would be such a prefix were it not too short.
    pub(crate) fn is_short_prefix(&self, container: &Container) -> bool {
        (1..MIN_PREFIX).contains(&self.text.len()) && self.begins_id(container)
    }

    fn begins_id(&self, container: &Container) -> bool {
        let begins = |id: &[u8]| is_long(id) && id.starts_with(self.text);
        begins(&container.id) || container.pod.as_deref().is_some_and(begins)
    }
}

/// Splits `NAME@USER`.
fn split_user(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().rposition(|byte| *byte == b'@')?;
    let (name, user) = (&text[..at], &text[at + 1..]);
    (!name.is_empty() && !user.is_empty()).then_some((name, user))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::engine::Source;

    fn container(engine: &'static str, name: &str, id: &str) -> Container {
        let new = Container::unnamed(engine, id.as_bytes(), Source::Anywhere);
        Container { name: name.as_bytes().to_vec(), ..new }
    }

    fn word(text: &str) -> Word<'_> {
        Word::parse(text.as_bytes())
    }

    #[test]
    fn pasted_forms() {
        let form = |text: &'static str| {
            let word = word(text);
            (word.engine, std::str::from_utf8(word.text).unwrap())
        };
        for (text, expected) in [
            ("web", (None, "web")),
            ("/web", (Some("docker"), "web")),
            ("docker:web", (Some("docker"), "web")),
            ("docker:/web", (Some("docker"), "web")),
            ("docker://b146", (None, "b146")),
            ("containerd://b146", (None, "b146")),
            ("cri-o://b146", (None, "b146")),
            ("pod/cart", (Some("k8s"), "cart")),
            ("k8s://shop/cart", (Some("k8s"), "shop/cart")),
            ("k8s://shop/cart/app", (Some("k8s"), "shop/cart/app")),
            ("k8s:shop/cart", (Some("k8s"), "shop/cart")),
            ("nope:web", (None, "nope:web")),
            ("web@1000", (None, "web@1000")),
            ("containerd:web", (Some("containerd"), "web")),
        ] {
            assert_eq!(form(text), expected, "{text}");
        }
    }

    #[test]
    fn a_user_stands_behind_the_last_at_sign() {
        let of_user = |text| word(text).of_user;
        assert_eq!(of_user("podman:rl@1000"), Some((&b"rl"[..], &b"1000"[..])));
        assert_eq!(of_user("machine:a@b@ann"), Some((&b"a@b"[..], &b"ann"[..])));
        for text in ["rl@1000", "podman:rl", "podman:@1000", "podman:rl@", "docker://rl@1000"] {
            assert_eq!(of_user(text), None, "{text}");
        }
        let rl = word("podman:rl@1000");
        assert_eq!((rl.text, rl.without_user(b"rl").text), (&b"rl@1000"[..], &b"rl"[..]));
    }

    #[test]
    fn the_longest_part_is_looked_for() {
        let needle = |text| String::from_utf8(word(text).needle().to_vec()).unwrap();
        assert_eq!(needle("k8s:shop/cart-1"), "cart-1");
        assert_eq!(needle("a-shop/cart"), "a-shop");
        assert_eq!(needle("shop/cart"), "cart");
        assert_eq!(needle(""), "");
    }

    #[test]
    fn pods_have_short_names() {
        let pod = container("k8s", "shop/cart/app", "x");
        for name in ["shop/cart/app", "shop/cart", "cart"] {
            assert!(word(name).is_exactly(&pod), "{name}");
        }
        for name in ["app", "shop", "cart/app", "shop/car"] {
            assert!(!word(name).is_exactly(&pod), "{name}");
        }
        assert!(!word("b").is_exactly(&container("runc", "a/b", "x")));
    }

    #[test]
    fn only_ids_that_engines_make_are_shortened() {
        let id = "b146".repeat(16);
        let docker = container("docker", "web", &id);
        assert!(word("b146").is_prefix(&docker) && word(&id).is_exactly(&docker));
        for text in ["b14", "", "web", "B146", "b147"] {
            assert!(!word(text).is_prefix(&docker), "{text}");
        }
        assert!(word("b14").is_short_prefix(&docker) && !word("").is_short_prefix(&docker));
        let lxc = container("lxc", "lx10x", "lx10x");
        assert!(!word("lx10").is_prefix(&lxc) && !word("lxc:lx10").is_prefix(&lxc));
        // 64 digits are a name, too, but then all of it was meant to be one.
        let pod = Container { pod: Some("7".repeat(64).into_bytes()), ..docker };
        assert!(word("7777").is_prefix(&pod) && word(&"7".repeat(64)).is_exactly(&pod));
    }

    #[test]
    fn what_runs_a_container_narrows_too() {
        let runs_on = "containerd";
        let pod = Container { runs_on, ..container("k8s", "shop/cart/app", "x") };
        for (text, is) in
            [("containerd:x", true), ("k8s:x", true), ("docker:x", false), ("x", true)]
        {
            let is_of = word(text).engine.is_none_or(|engine| pod.is_of(engine));
            assert_eq!(is_of, is, "{text}");
        }
    }
}
