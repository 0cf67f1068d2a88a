//! libcni's cache: what plugins have set up in a network namespace, and for whom. Written by
//! containerd, CRI-O, nerdctl and podman, whatever becomes of the container: libcni/api.go.

#![forbid(unsafe_code)]

use super::prepared::Prepared;
use crate::base::json::{Refused, Value, elements, select};
use crate::base::text::{join, parts};
use crate::containers::world::World;
use std::net::IpAddr;

/// The cache, and that of libcni before 0.8.
const PLACES: [&[u8]; 2] = [b"/var/lib/cni/results", b"/var/lib/cni/cache/results"];

/// Adds what the cache of a world tells of namespaces.
pub(super) fn add_prepared(world: &World<'_>, out: &mut Vec<Prepared>) {
    for place in PLACES {
        for name in world.entries(place) {
            out.extend(world.parsed(&join(place, &name), &mut parse).flatten());
        }
    }
}

/// Parses a file; None where it does not say whose addresses it is about, or that they are in a
/// process's namespace, which is no mount and has gone with the process.
fn parse(text: &[u8]) -> Result<Option<Prepared>, Refused> {
    let keys = ["containerId", "netns", "cniArgs", "result ips"];
    let mut found = [const { Value::Null }; 4];
    select(text, &keys, &mut found)?;
    let (Some(id), Some(ips)) = (found[0].string(), found[3].nested()) else { return Ok(None) };
    let mut addresses: Vec<IpAddr> = Vec::new();
    elements(ips, &mut |one| {
        let mut address = [Value::Null];
        select(one.nested().unwrap_or(b"{}"), &["address"], &mut address)?;
        let bare = address[0].string().and_then(|text| parts(text, b'/').next());
        addresses
            .extend(bare.and_then(|bare| std::str::from_utf8(bare).ok()?.parse::<IpAddr>().ok()));
        Ok(())
    })?;
    let (mut pod, mut namespace) = (Vec::new(), Vec::new());
    elements(found[2].nested().unwrap_or(b"[]"), &mut |pair| {
        let mut words = Vec::new();
        elements(pair.nested().unwrap_or(b"[]"), &mut |word| {
            words.push(word.string().unwrap_or_default().to_vec());
            Ok(())
        })?;
        if let [key, value] = &mut words[..] {
            match &key[..] {
                b"K8S_POD_NAME" => pod = std::mem::take(value),
                b"K8S_POD_NAMESPACE" => namespace = std::mem::take(value),
                _ => {}
            }
        }
        Ok(())
    })?;
    let file = found[1].string().unwrap_or_default();
    if addresses.is_empty() || id.is_empty() || file.starts_with(b"/proc/") {
        return Ok(None);
    }
    Ok(Some(match pod.is_empty() || namespace.is_empty() {
        true => Prepared::new("cni", id, id, file, addresses),
        false => Prepared::new("k8s", &join(&namespace, &pod), id, file, addresses),
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pod_has_its_name_and_its_addresses() {
        let text = br#"{"kind":"cniCacheV1","containerId":"b146","netns":"/var/run/netns/cni-1",
            "cniArgs":[["IgnoreUnknown","1"],["K8S_POD_NAMESPACE","shop"],["K8S_POD_NAME","cart"]],
            "result":{"ips":[{"address":"10.244.3.7/24","gateway":"10.244.3.1"},
            {"address":"fd00::7/64"}]}}"#;
        let cart = parse(text).unwrap().unwrap();
        assert_eq!((cart.container.engine, &cart.container.name[..]), ("k8s", &b"shop/cart"[..]));
        assert!(cart.may_be_at(b"/run/netns/cni-1") && !cart.may_be_at(b"/run/netns/cni-2"));
        for (ip, is_its) in [("10.244.3.7", true), ("fd00::7", true), ("10.244.3.1", false)] {
            let ip: IpAddr = ip.parse().unwrap();
            assert_eq!(cart.is_proven(&|its| *its == ip), is_its, "{ip}");
        }
    }

    #[test]
    fn what_is_no_pods_has_its_id() {
        let text = br#"{"containerId":"b146","result":{"ips":[{"address":"10.4.0.2/24"}]}}"#;
        let one = parse(text).unwrap().unwrap();
        assert_eq!((one.container.engine, &one.container.name[..]), ("cni", &b"b146"[..]));
        assert!(one.may_be_at(b"/run/netns/cni-1") && one.is_known_by_address());
    }

    #[test]
    fn a_processs_namespace_is_no_mount() {
        let text = |file| {
            format!(
                r#"{{"containerId":"b146","netns":"{file}",
                "result":{{"ips":[{{"address":"10.4.0.2/24"}}]}}}}"#
            )
        };
        assert_eq!(parse(text("/proc/7/ns/net").as_bytes()), Ok(None));
        assert!(parse(text("/run/netns/b").as_bytes()).unwrap().is_some());
    }

    #[test]
    fn without_an_address_nothing_is_proven() {
        for text in [
            r#"{"containerId":"b146","result":{"ips":[]}}"#,
            r#"{"containerId":"b146","result":{"ips":[{"address":7},{},7]}}"#,
            r#"{"containerId":"","result":{"ips":[{"address":"10.4.0.2/24"}]}}"#,
            r#"{"containerId":"b146"}"#,
            r#"{"ips":[{"address":"10.4.0.2/24"}]}"#,
        ] {
            assert_eq!(parse(text.as_bytes()), Ok(None), "{text}");
        }
        let twice = br#"{"containerId":"a","containerId":"b","result":{"ips":[]}}"#;
        assert_eq!(parse(twice), Err(Refused::Duplicate));
    }
}
