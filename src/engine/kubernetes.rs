//! Kubernetes: the kubelet's links in /var/log/containers name every container of a node, whatever runs it.
//!
//! Pods are also named by the annotations and names that the engines' own modules read.

#![forbid(unsafe_code)]

use super::{Base, Containers, Evidence};
use crate::bytes::{Bytes, below, keep, last, split};
use crate::host::Host;
use crate::root::Links;

const LOGS: &[u8] = b"/var/log/containers";
/// The kubelet cuts long names, and the ID with them; shorter rests than this could be another container's.
const MIN_ID: usize = 12;

/// Every container that has a log.
pub fn each(host: &Host, base: &Base, _needle: Option<&[u8]>, out: &mut Containers) {
    if base.owner != 0 {
        return;
    }
    let Some(owner) = host.owner_of(LOGS, Links::Follow) else { return };
    for log in host.entries(LOGS) {
        if let Some((name, id)) = parse(last(log)) {
            out.add("k8s", name, id, Evidence::Anywhere, owner);
        }
    }
}

/// `NAMESPACE/POD/CONTAINER` and the ID, perhaps cut, of `POD_NAMESPACE_CONTAINER-ID.log`.
pub fn parse(log: &[u8]) -> Option<(Bytes, Bytes)> {
    let mut fields = split(log.strip_suffix(b".log")?, b'_');
    let (pod, namespace, rest) = (fields.next()?, fields.next()?, fields.next()?);
    let dash = rest.iter().rposition(|b| *b == b'-')?;
    let (container, id) = (&rest[..dash], &rest[dash + 1..]);
    let is_id = id.len() >= MIN_ID && id.iter().all(u8::is_ascii_hexdigit);
    let is_name = fields.next().is_none() && [pod, namespace, container].iter().all(|part| !part.is_empty());
    (is_id && is_name).then(|| (below(below(namespace, pod), container), keep(id)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_are_named_after_pod_namespace_container_and_id() {
        let parsed = |log: &str| {
            parse(log.as_bytes()).map(|(name, id)| {
                (String::from_utf8_lossy(name).into_owned(), String::from_utf8_lossy(id).into_owned())
            })
        };
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
