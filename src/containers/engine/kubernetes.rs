//! Kubernetes: the kubelet's links in /var/log/containers name every container of a node, whatever
//! runs it.
//!
//! Pods are also named by the annotations and names that the engines' own modules read.

#![forbid(unsafe_code)]

use super::{Container, Containers, Source};
use crate::containers::world::World;

const LOGS: &[u8] = b"/var/log/containers";
/// The kubelet cuts long names, and the ID with them; shorter rests than this could be another
/// container's.
const MIN_ID: usize = 12;

/// Adds every container that has a log.
pub(crate) fn list(world: &World<'_>, needle: Option<&[u8]>, out: &mut Containers) {
    if world.user_of().is_some() {
        return;
    }
    for log in world.entries(LOGS) {
        let is_wanted = needle.is_none_or(|needle| contains(&log, needle));
        if let Some((name, id)) = parse(&log).filter(|_| is_wanted) {
            out.add(Container { name, ..Container::unnamed("k8s", &id, Source::Anywhere) });
        }
    }
}

/// Tells whether a needle is somewhere in a name.
pub(super) fn contains(name: &[u8], needle: &[u8]) -> bool {
    needle.is_empty() || name.windows(needle.len()).any(|part| part == needle)
}

/// Returns `NAMESPACE/POD/CONTAINER` and the ID, perhaps cut, of `POD_NAMESPACE_CONTAINER-ID.log`.
pub fn parse(log: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut fields = log.strip_suffix(b".log")?.split(|byte| *byte == b'_');
    let (pod, namespace, rest) = (fields.next()?, fields.next()?, fields.next()?);
    let dash = rest.iter().rposition(|byte| *byte == b'-')?;
    let (container, id) = (&rest[..dash], &rest[dash + 1..]);
    let parts = [namespace, pod, container];
    let is_id = id.len() >= MIN_ID && id.iter().all(u8::is_ascii_hexdigit);
    let is_name = fields.next().is_none() && parts.iter().all(|part| !part.is_empty());
    (is_id && is_name).then(|| (parts.join(&b'/'), id.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_named_after_pod_namespace_container_and_id() {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let parsed = |log: &str| parse(log.as_bytes()).map(|(name, id)| (text(name), text(id)));
        let found = parsed("cart-7d9f_shop_app-x-0123456789ab.log");
        assert_eq!(found, Some(("shop/cart-7d9f/app-x".into(), "0123456789ab".into())));
        for other in [
            "cart_shop_app-0123456.log",
            "cart_shop_app-0123456789ab",
            "cart_shop.log",
            "_s_a-0123456789ab.log",
            "a_b_c-01_3abcdef.log",
        ] {
            assert_eq!(parsed(other), None, "{other}");
        }
    }
}
