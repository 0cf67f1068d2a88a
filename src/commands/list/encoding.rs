//! Interfaces as fields, for a pipe between two processes of this program.
//!
//! A report is one record after the other: the place of an entry, the number of its links, and
//! these.

#![forbid(unsafe_code)]

use super::entry::{Link, Neighbour};
use crate::base::fields::{Fields, put, put_number};
use crate::kernel::link::Address;
use std::net::IpAddr;

/// Encodes the links of the entry at place `at`.
pub(super) fn encode(at: usize, links: &[Link]) -> Vec<u8> {
    let mut report = Vec::new();
    put_number(&mut report, at as u64);
    put_number(&mut report, links.len() as u64);
    for link in links {
        put_number(&mut report, link.index.into());
        put_number(&mut report, link.mtu.into());
        put_number(&mut report, link.is_loopback.into());
        // No interface has the number 0.
        put_number(&mut report, link.master.unwrap_or_default().into());
        // No interface has an empty name, and no kind is called so.
        put(&mut report, &link.name);
        put(&mut report, link.kind.as_deref().unwrap_or_default());
        put(&mut report, &link.state);
        put(&mut report, &link.mac);
        put_neighbour(&mut report, &link.neighbour);
        put_ip(&mut report, link.remote);
        put_number(&mut report, link.addresses.len() as u64);
        for address in &link.addresses {
            put_ip(&mut report, Some(address.ip));
            put_number(&mut report, address.prefix.into());
        }
    }
    report
}

fn put_neighbour(report: &mut Vec<u8>, neighbour: &Option<Neighbour>) {
    let none = Neighbour { is_peer: false, inode: None, index: 0, name: None };
    let one = neighbour.as_ref().unwrap_or(&none);
    put_number(report, one.index.into());
    put_number(report, one.is_peer.into());
    put_number(report, one.inode.is_some().into());
    put_number(report, one.inode.unwrap_or_default());
    put(report, one.name.as_deref().unwrap_or_default());
}

fn put_ip(report: &mut Vec<u8>, ip: Option<IpAddr>) {
    match ip {
        Some(IpAddr::V4(ip)) => put(report, &ip.octets()),
        Some(IpAddr::V6(ip)) => put(report, &ip.octets()),
        None => put(report, b""),
    }
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
    let (index, mtu) = (fields.number()? as u32, fields.number()? as u32);
    let (is_loopback, master) = (fields.number()? != 0, fields.number()? as u32);
    let (name, kind) = (fields.take()?.to_vec(), fields.take()?.to_vec());
    let (state, mac) = (fields.take()?.to_vec(), fields.take()?.to_vec());
    let (neighbour, remote) = (neighbour(fields)?, ip(fields.take()?));
    let count = fields.number()?;
    let mut addresses = Vec::new();
    for _ in 0..count {
        addresses.push(Address { ip: ip(fields.take()?)?, prefix: fields.number()? as u8 });
    }
    Some(Link {
        name,
        index,
        kind: some(kind),
        state,
        mtu,
        mac,
        is_loopback,
        master: (master != 0).then_some(master),
        addresses,
        neighbour,
        remote,
    })
}

fn neighbour(fields: &mut Fields<'_>) -> Option<Option<Neighbour>> {
    let (index, is_peer) = (fields.number()? as u32, fields.number()? != 0);
    let (has_inode, inode) = (fields.number()? != 0, fields.number()?);
    let (inode, name) = (has_inode.then_some(inode), some(fields.take()?.to_vec()));
    Some((index != 0).then_some(Neighbour { is_peer, inode, index, name }))
}

/// Takes a text, of which an empty one is none.
fn some(text: Vec<u8>) -> Option<Vec<u8>> {
    (!text.is_empty()).then_some(text)
}

fn ip(octets: &[u8]) -> Option<IpAddr> {
    match <[u8; 4]>::try_from(octets) {
        Ok(octets) => Some(IpAddr::from(octets)),
        Err(_) => Some(IpAddr::from(<[u8; 16]>::try_from(octets).ok()?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(addresses: &[&str], peer: Option<Neighbour>) -> Link {
        let address = |ip: &&str| Address { ip: ip.parse().unwrap(), prefix: 24 };
        Link {
            name: b"eth\xff0".to_vec(),
            index: u32::MAX,
            kind: peer.is_some().then(|| b"veth".to_vec()),
            state: b"UP".to_vec(),
            mtu: 1450,
            mac: b"02:00:00:00:00:01".to_vec(),
            is_loopback: peer.is_none(),
            master: peer.as_ref().map(|peer| peer.index),
            addresses: addresses.iter().map(address).collect(),
            neighbour: peer,
            remote: None,
        }
    }

    fn reported() -> Vec<(usize, Vec<Link>)> {
        let peer = |inode, name: Option<&[u8]>| {
            Some(Neighbour { is_peer: true, inode, index: 7, name: name.map(<[u8]>::to_vec) })
        };
        let mut on_another = link(&["192.0.2.9"], None);
        on_another.neighbour = peer(Some(7), None);
        on_another.neighbour.as_mut().unwrap().is_peer = false;
        on_another.remote = Some("10.0.0.6".parse().unwrap());
        let links = vec![
            link(&[], None),
            link(&["10.0.0.5", "fd00::7", "::ffff:10.0.0.5"], peer(None, None)),
            link(&["127.0.0.1"], peer(Some(u64::MAX), Some(b"veth0"))),
            link(&["::1"], peer(Some(0), Some(b"\xff"))),
            on_another,
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
