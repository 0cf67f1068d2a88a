//! The names that cri-dockerd and CRI-O give the containers of pods.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, below, split};

/// `NAMESPACE/POD/CONTAINER` of `k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT`, `NAMESPACE/POD` of a sandbox: container `POD`, or none.
pub fn parse(name: &[u8]) -> Option<Bytes> {
    let mut fields = Vec::new();
    for field in split(name.strip_prefix(b"k8s_")?, b'_') {
        fields.push(field);
    }
    let (container, pod, namespace) = match fields[..] {
        // cri-dockerd appends a field of its own where a name is taken.
        [container, pod, namespace, _uid, _attempt] | [container, pod, namespace, _uid, _attempt, _] => {
            (Some(container).filter(|c| *c != b"POD"), pod, namespace)
        }
        [pod, namespace, _uid, _attempt] => (None, pod, namespace),
        _ => return None,
    };
    if namespace.is_empty() || pod.is_empty() || container.is_some_and(<[u8]>::is_empty) {
        return None;
    }
    let pod = below(namespace, pod);
    Some(container.map_or(pod, |container| below(pod, container)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_in_kubernetes_order() {
        let parsed = |name: &str| parse(name.as_bytes()).map(|name| String::from_utf8_lossy(name).into_owned());
        assert_eq!(parsed("k8s_app_cart-7d9f_shop_0a1b_0").as_deref(), Some("shop/cart-7d9f/app"));
        assert_eq!(parsed("k8s_app_cart-7d9f_shop_0a1b_0_deadbeef").as_deref(), Some("shop/cart-7d9f/app"));
        assert_eq!(parsed("k8s_POD_cart-7d9f_shop_0a1b_0").as_deref(), Some("shop/cart-7d9f"));
        assert_eq!(parsed("k8s_cart-7d9f_shop_0a1b_0").as_deref(), Some("shop/cart-7d9f"));
        for other in ["web", "k8s_a", "k8s___", "k8s_app__shop_u_0"] {
            assert_eq!(parsed(other), None, "{other}");
        }
    }
}
