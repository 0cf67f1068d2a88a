//! The names that cri-dockerd and CRI-O give the containers of pods.

#![forbid(unsafe_code)]

use crate::base::text::parts;

/// Returns `NAMESPACE/POD/CONTAINER` of `k8s_CONTAINER_POD_NAMESPACE_UID_ATTEMPT`, and
/// `NAMESPACE/POD` of a sandbox, whose container is `POD` or missing.
pub fn parse(name: &[u8]) -> Option<Vec<u8>> {
    let fields: Vec<&[u8]> = parts(name.strip_prefix(b"k8s_")?, b'_').collect();
    let parts = match fields[..] {
        [b"POD", pod, namespace, _uid, _attempt]
        // cri-dockerd appends a field of its own where a name is taken.
        | [b"POD", pod, namespace, _uid, _attempt, _]
        | [pod, namespace, _uid, _attempt] => vec![namespace, pod],
        [container, pod, namespace, _uid, _attempt]
        | [container, pod, namespace, _uid, _attempt, _] => vec![namespace, pod, container],
        _ => return None,
    };
    parts.iter().all(|part| !part.is_empty()).then(|| parts.join(&b'/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_in_kubernetes_order() {
        let parsed =
            |name: &str| parse(name.as_bytes()).map(|name| String::from_utf8(name).unwrap());
        for (name, expected) in [
            ("k8s_app_cart-7d9f_shop_0a1b_0", "shop/cart-7d9f/app"),
            ("k8s_app_cart-7d9f_shop_0a1b_0_deadbeef", "shop/cart-7d9f/app"),
            ("k8s_POD_cart-7d9f_shop_0a1b_0", "shop/cart-7d9f"),
            ("k8s_cart-7d9f_shop_0a1b_0", "shop/cart-7d9f"),
        ] {
            assert_eq!(parsed(name).as_deref(), Some(expected), "{name}");
        }
        for other in ["web", "k8s_a", "k8s___", "k8s_app__shop_u_0"] {
            assert_eq!(parsed(other), None, "{other}");
        }
    }
}
