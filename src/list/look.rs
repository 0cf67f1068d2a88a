//! What is seen of interfaces from inside a namespace, in the form it is printed in.

#![forbid(unsafe_code)]

use super::{Row, json};
use crate::bytes::{Bytes, keep};
use crate::error::Result;
use crate::host::Host;
use crate::ip::{is_link_local, is_loopback};
use crate::netlink::{self, Interface, Peer, nsid_of};
use crate::netns::{NetNs, NsId};
use crate::text::text;
use rustix::fd::AsFd;
use std::cell::Cell;

/// The caller's place, from which others are looked at.
pub struct Look<'h> {
    /// The machine.
    pub host: &'h Host,
    home: NetNs,
    /// The interfaces of the caller's namespace.
    interfaces: &'static [Box<Interface>],
    as_json: bool,
    /// Where the last peer was found; those of its neighbours are often there, too.
    last: Cell<usize>,
}

impl<'h> Look<'h> {
    /// Looks at the caller's own namespace.
    ///
    /// # Errors
    /// Where that fails.
    pub fn new(host: &'h Host, as_json: bool) -> Result<Look<'h>> {
        Ok(Look { host, home: NetNs::own()?, interfaces: netlink::interfaces()?, as_json, last: Cell::new(0) })
    }

    /// The caller's namespace.
    pub fn home(&self) -> &NetNs {
        &self.home
    }

    /// The interfaces of the namespace of row `at`, in which we are.
    ///
    /// # Errors
    /// As [`netlink::interfaces`].
    pub fn at(&self, rows: &[Row], at: usize) -> Result<Bytes> {
        let id = rows[at].namespace.id;
        let interfaces = if id == self.home.id { self.interfaces } else { netlink::interfaces()? };
        let places = self.places(rows, at, interfaces)?;
        let mut text = Vec::new();
        for interface in interfaces {
            let place = interface.peer.and_then(|peer| match peer.nsid {
                None => Some(id),
                Some(nsid) => places.iter().find(|(known, _)| *known == nsid).map(|(_, id)| *id),
            });
            if self.as_json {
                let peer = interface.peer.map(|peer| (peer, place, self.name_of(peer, place, id, interfaces)));
                json::interface(&mut text, interface, peer);
            } else {
                // Only what the caller can see has a name to them.
                let place = place.filter(|place| *place == self.home.id);
                let peer = interface.peer.and_then(|peer| self.name_of(peer, place, id, interfaces));
                brief(&mut text, interface, peer);
            }
        }
        Ok(keep(text))
    }

    /// What the other end of an interface is called, where it is in our namespace or in that which is looked at.
    fn name_of(&self, peer: Peer, place: Option<NsId>, here: NsId, interfaces: &[Box<Interface>]) -> Option<Bytes> {
        let there = match place? {
            id if id == here => interfaces,
            id if id == self.home.id => self.interfaces,
            _ => return None,
        };
        there.iter().find(|interface| interface.index == peer.index).map(|interface| interface.name)
    }

    /// Which namespaces the numbers mean by which the one we are in calls those of its interfaces' other ends. A table needs no more
    /// than the caller's.
    fn places(&self, rows: &[Row], at: usize, interfaces: &[Box<Interface>]) -> Result<Vec<(i32, NsId)>> {
        let mut unknown: Vec<i32> = Vec::new();
        for nsid in interfaces.iter().filter_map(|interface| interface.peer?.nsid) {
            if nsid >= 0 && !unknown.contains(&nsid) {
                unknown.push(nsid);
            }
        }
        let mut places = Vec::new();
        // Ours first, and that in which the last one was found; then the nearest, as those made together are often linked together.
        let mut step = 0;
        while !unknown.is_empty() {
            let other = match step {
                0 => None,
                1 => Some(self.last.get()),
                // One down, one up, two down …
                _ if step % 2 == 0 => Some(at.wrapping_sub(step / 2)),
                _ => Some(at + step / 2),
            };
            if step / 2 > rows.len() || (step > 0 && !self.as_json) {
                break;
            }
            step += 1;
            let opened;
            let netns = match other {
                None => &self.home,
                Some(other) => match rows.get(other) {
                    None => continue,
                    Some(row) => match row.namespace.open(self.host) {
                        None => continue,
                        Some(netns) => {
                            opened = netns;
                            &opened
                        }
                    },
                },
            };
            if let Some(nsid) = nsid_of(netns.as_fd())?
                && let Some(found) = unknown.iter().position(|other| *other == nsid)
            {
                unknown.swap_remove(found);
                places.push((nsid, netns.id));
                self.last.set(other.unwrap_or(self.last.get()));
            }
        }
        Ok(places)
    }
}

/// `eth0@veth2d6e7a2 172.17.0.2/16`, if it has an address that means something elsewhere.
fn brief(text: &mut Vec<u8>, interface: &Interface, peer: Option<Bytes>) {
    let mut is_named = false;
    for address in interface.addresses.iter().filter(|address| !is_loopback(address.ip) && !is_link_local(address.ip)) {
        if !is_named {
            is_named = true;
            let at = if peer.is_some() { "@" } else { "" };
            let separator = if text.is_empty() { "" } else { " " };
            let name = text!("{}{}{}{}", separator, interface.name, at, peer.unwrap_or_default());
            text.extend_from_slice(name);
        }
        text.push(b' ');
        text.extend_from_slice(address.text());
    }
}
