//! Kubernetes: the kubelet's links in /var/log/containers name every container of a node, whatever
//! runs it.
//!
//! Pods are also named by the annotations and names that the engines' own modules read.

#![forbid(unsafe_code)]

use super::ask::all_roots;
use super::{Containers, Engine, Found};
use crate::base::text::parts;
use crate::containers::world::World;
use std::rc::Rc;

const LOGS: &[u8] = b"/var/log/containers";
/// The kubelet cuts long names, and the ID with them; shorter rests than this could be another
/// container's.
const MIN_ID: usize = 12;

/// Adds every container that has a log. Which engine runs it is not known: it may be recorded in
/// all engines' places.
pub(crate) fn list(world: &World<'_>, _: &Engine, out: &mut Containers<'_>) {
    if world.user_of().is_some() {
        return;
    }
    let logs = world.entries(LOGS);
    if !logs.iter().any(|log| out.wants(log)) {
        return;
    }
    let roots: Rc<[_]> = all_roots(world, &|engine| engine.has_pods).into();
    for log in &logs {
        if let Some((name, id)) = parse(log) {
            out.add(&Found { name: &name, ..Found::unnamed("k8s", &id, &roots) });
        }
    }
}

/// Returns `NAMESPACE/POD/CONTAINER` and the ID, perhaps cut, of `POD_NAMESPACE_CONTAINER-ID.log`.
pub fn parse(log: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut fields = parts(log.strip_suffix(b".log")?, b'_');
    let (pod, namespace, rest) = (fields.next()?, fields.next()?, fields.next()?);
    let dash = rest.iter().rposition(|byte| *byte == b'-')?;
    let (container, id) = (&rest[..dash], &rest[dash + 1..]);
    let name = [namespace, pod, container];
    let is_id = id.len() >= MIN_ID && id.iter().all(u8::is_ascii_hexdigit);
    let is_name = fields.next().is_none() && name.iter().all(|part| !part.is_empty());
    (is_id && is_name).then(|| (name.join(&b'/'), id.to_vec()))
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
