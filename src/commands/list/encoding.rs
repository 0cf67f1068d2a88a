//! Interfaces as bytes, for a pipe between two processes of this program.
//!
//! A report is one record after the other: the place of an entry, and its links. Numbers have 64
//! bits in the machine's order; bytes come after their length, what may be missing after 0 or 1.

#![forbid(unsafe_code)]

use super::entry::{Link, LinkPeer};
use crate::kernel::rtnetlink::Address;
use std::borrow::Cow;
use std::iter;
use std::net::IpAddr;

/// Encodes the links of the entry at place `at`.
pub(super) fn encode(at: usize, links: &[Link]) -> Vec<u8> {
    let mut out = Writer(Vec::new());
    out.number(at as u64);
    out.number(links.len() as u64);
    for link in links {
        out.link(link);
    }
    out.0
}

/// Decodes the whole records at the beginning of a report.
pub(super) fn decode(report: &[u8]) -> impl Iterator<Item = (usize, Vec<Link>)> {
    let mut rest = Reader(report);
    iter::from_fn(move || {
        let at = rest.number()?.try_into().ok()?;
        Some((at, rest.list(Reader::link)?))
    })
}

struct Writer(Vec<u8>);

impl Writer {
    fn number(&mut self, number: u64) {
        self.0.extend_from_slice(&number.to_ne_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.number(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn link(&mut self, link: &Link) {
        self.bytes(&link.name);
        self.number(link.index.into());
        self.bytes(link.state.as_bytes());
        self.bytes(link.mac.as_bytes());
        self.number(link.wants_address.into());
        self.number(link.addresses.len() as u64);
        for address in &link.addresses {
            self.address(address);
        }
        self.number(link.peer.is_some().into());
        if let Some(peer) = &link.peer {
            self.peer(peer);
        }
    }

    fn address(&mut self, address: &Address) {
        match address.ip {
            IpAddr::V4(ip) => self.bytes(&ip.octets()),
            IpAddr::V6(ip) => self.bytes(&ip.octets()),
        }
        self.number(address.prefix.into());
    }

    fn peer(&mut self, peer: &LinkPeer) {
        self.number(peer.inode.is_some().into());
        self.number(peer.inode.unwrap_or_default());
        self.number(peer.index.into());
        self.number(peer.name.is_some().into());
        self.bytes(peer.name.as_deref().unwrap_or_default());
    }
}

/// What is left of a report. Everything read from it is None where it ends too early.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u64> {
        self.take(8)?.try_into().ok().map(u64::from_ne_bytes)
    }

    fn small<T: TryFrom<u64>>(&mut self) -> Option<T> {
        self.number()?.try_into().ok()
    }

    fn flag(&mut self) -> Option<bool> {
        Some(self.number()? != 0)
    }

    fn bytes(&mut self) -> Option<&'a [u8]> {
        let length = self.small()?;
        self.take(length)
    }

    fn text(&mut self) -> Option<String> {
        String::from_utf8(self.bytes()?.to_vec()).ok()
    }

    fn list<T>(&mut self, item: fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.number()?;
        (0..count).map(|_| item(self)).collect()
    }

    fn link(&mut self) -> Option<Link> {
        Some(Link {
            name: self.bytes()?.to_vec(),
            index: self.small()?,
            state: Cow::Owned(self.text()?),
            mac: self.text()?,
            wants_address: self.flag()?,
            addresses: self.list(Reader::address)?,
            peer: if self.flag()? { Some(self.peer()?) } else { None },
        })
    }

    fn address(&mut self) -> Option<Address> {
        let octets = self.bytes()?;
        let ip = match <[u8; 4]>::try_from(octets) {
            Ok(octets) => IpAddr::from(octets),
            Err(_) => IpAddr::from(<[u8; 16]>::try_from(octets).ok()?),
        };
        Some(Address { ip, prefix: self.small()? })
    }

    fn peer(&mut self) -> Option<LinkPeer> {
        let has_inode = self.flag()?;
        let inode = self.number().map(|inode| has_inode.then_some(inode))?;
        let index = self.small()?;
        let has_name = self.flag()?;
        let name = self.bytes().map(|name| has_name.then(|| name.to_vec()))?;
        Some(LinkPeer { inode, index, name })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(addresses: &[&str], peer: Option<LinkPeer>) -> Link {
        let address = |ip: &&str| Address { ip: ip.parse().unwrap(), prefix: 24 };
        Link {
            name: b"eth\xff0".to_vec(),
            index: u32::MAX,
            state: Cow::Borrowed("UP"),
            mac: "02:00:00:00:00:01".to_owned(),
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
            link(&["::1"], peer(Some(0), Some(b""))),
        ];
        vec![(3, links), (usize::MAX, Vec::new()), (0, vec![link(&[], peer(None, Some(b"x")))])]
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let mut report = Vec::new();
        for (at, links) in reported() {
            report.extend_from_slice(&encode(at, &links));
        }
        assert_eq!(decode(&report).collect::<Vec<_>>(), reported());
        assert_eq!(decode(b"").count(), 0);
    }

    #[test]
    fn a_report_that_ends_too_early_has_its_whole_records() {
        let all = reported();
        let whole = encode(all[0].0, &all[0].1);
        let second = encode(all[2].0, &all[2].1);
        let report = [&whole[..], &second].concat();
        for end in 0..report.len() {
            let records: Vec<_> = decode(&report[..end]).collect();
            assert_eq!(records, all[..usize::from(end >= whole.len())], "{end}");
        }
    }
}
