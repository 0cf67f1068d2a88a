//! Interfaces as fields, for a pipe between two processes of this program.
//!
//! A report is one record after the other: the place of an entry, the number of its links, and
//! these.

#![forbid(unsafe_code)]

use super::entry::{Link, LinkPeer};
use crate::base::fields::{Fields, put, put_number};
use crate::kernel::rtnetlink::Address;
use std::net::IpAddr;

/// Encodes the links of the entry at place `at`.
pub(super) fn encode(at: usize, links: &[Link]) -> Vec<u8> {
    let mut report = Vec::new();
    put_number(&mut report, at as u64);
    put_number(&mut report, links.len() as u64);
    let none = LinkPeer { inode: None, index: 0, name: None };
    for link in links {
        put_number(&mut report, link.index.into());
        put_number(&mut report, link.wants_address.into());
        let peer = link.peer.as_ref().unwrap_or(&none);
        put_number(&mut report, link.peer.is_some().into());
        put_number(&mut report, peer.index.into());
        put_number(&mut report, peer.inode.is_some().into());
        put_number(&mut report, peer.inode.unwrap_or_default());
        put_number(&mut report, link.addresses.len() as u64);
        put(&mut report, &link.name);
        put(&mut report, &link.state);
        put(&mut report, &link.mac);
        // No interface has an empty name.
        put(&mut report, peer.name.as_deref().unwrap_or_default());
        for address in &link.addresses {
            match address.ip {
                IpAddr::V4(ip) => put(&mut report, &ip.octets()),
                IpAddr::V6(ip) => put(&mut report, &ip.octets()),
            }
            put_number(&mut report, address.prefix.into());
        }
    }
    report
}

/// Decodes the next record; None where there is no other whole one.
pub(super) fn decode(fields: &mut Fields<'_>) -> Option<(usize, Vec<Link>)> {
    let (at, count) = (fields.number()?, fields.number()?);
    let mut links = Vec::new();
    for _ in 0..count {
        links.push(link(fields)?);
    }
    Some((at as usize, links))
}

fn link(fields: &mut Fields<'_>) -> Option<Link> {
    let (index, wants_address) = (fields.number()?, fields.number()?);
    let (has_peer, peers_index) = (fields.number()?, fields.number()?);
    let (has_inode, inode, count) = (fields.number()?, fields.number()?, fields.number()?);
    let (name, state, mac) = (fields.take()?, fields.take()?, fields.take()?);
    let peers_name = fields.take()?;
    let mut addresses = Vec::new();
    for _ in 0..count {
        let octets = fields.take()?;
        let prefix = fields.number()?;
        let ip = match <[u8; 4]>::try_from(octets) {
            Ok(octets) => IpAddr::from(octets),
            Err(_) => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
        };
        addresses.push(Address { ip, prefix: prefix as u8 });
    }
    let peer = LinkPeer {
        inode: (has_inode != 0).then_some(inode),
        index: peers_index as u32,
        name: (!peers_name.is_empty()).then(|| peers_name.to_vec()),
    };
    Some(Link {
        name: name.to_vec(),
        index: index as u32,
        state: state.to_vec(),
        mac: mac.to_vec(),
        wants_address: wants_address != 0,
        addresses,
        peer: (has_peer != 0).then_some(peer),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(addresses: &[&str], peer: Option<LinkPeer>) -> Link {
        let address = |ip: &&str| Address { ip: ip.parse().unwrap(), prefix: 24 };
        Link {
            name: b"eth\xff0".to_vec(),
            index: u32::MAX,
            state: b"UP".to_vec(),
            mac: b"02:00:00:00:00:01".to_vec(),
            wants_address: peer.is_some(),
            addresses: addresses.iter().map(address).collect(),
            peer,
        }
    }

    fn reported() -> Vec<(usize, Vec<Link>)> {
        let peer = |inode, name: Option<&[u8]>| {
            Some(LinkPeer { inode, index: 7, name: name.map(<[u8]>::to_vec) })
        };
        let links = vec![
            link(&[], None),
            link(&["10.0.0.5", "fd00::7", "::ffff:10.0.0.5"], peer(None, None)),
            link(&["127.0.0.1"], peer(Some(u64::MAX), Some(b"veth0"))),
            link(&["::1"], peer(Some(0), Some(b"\xff"))),
        ];
        vec![(3, links), (usize::MAX, Vec::new()), (0, vec![link(&[], peer(None, Some(b"x")))])]
    }

    fn decoded(report: &[u8]) -> Vec<(usize, Vec<Link>)> {
        let mut fields = Fields(report);
        std::iter::from_fn(|| decode(&mut fields)).collect()
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let mut report = Vec::new();
        for (at, links) in reported() {
            report.extend_from_slice(&encode(at, &links));
        }
        assert_eq!(decoded(&report), reported());
        assert_eq!(decoded(b""), []);
    }

    #[test]
    fn a_report_that_ends_too_early_has_its_whole_records() {
        let all = reported();
        let whole = encode(all[0].0, &all[0].1);
        let second = encode(all[2].0, &all[2].1);
        let report = [&whole[..], &second].concat();
        for end in 0..report.len() {
            let records = decoded(&report[..end]);
            assert_eq!(records, all[..usize::from(end >= whole.len())], "{end}");
        }
    }
}
