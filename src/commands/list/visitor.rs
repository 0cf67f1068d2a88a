//! Looking at the interfaces of one namespace after the other, and at where their other ends are.

#![forbid(unsafe_code)]

use super::entry::{Detail, Entry, Link, LinkPeer};
use crate::base::error::Result;
use crate::host::Host;
use crate::kernel::netns::{Home, NetNs, NsId};
use crate::kernel::nsid::nsid_of;
use crate::kernel::rtnetlink::{Interface, Peer};
use crate::kernel::sock::Netlink;
use std::cell::Cell;

/// What is kept from one namespace to the next that we visit to look at its interfaces.
pub(super) struct Visitor<'h> {
    pub(super) host: &'h Host,
    /// The caller's namespace.
    pub(super) home: Home,
    home_interfaces: Vec<Interface>,
    netlink: Netlink,
    pub(super) detail: Detail,
    /// The entry in which the last peer was found; those of its neighbours are often there, too.
    last: Cell<usize>,
}

impl<'h> Visitor<'h> {
    /// Looks at the caller's own namespace.
    ///
    /// # Errors
    /// Where that fails.
    pub(super) fn new(host: &'h Host, detail: Detail) -> Result<Visitor<'h>> {
        let (home, netlink) = (Home::own()?, Netlink::default());
        let home_interfaces = netlink.interfaces()?;
        Ok(Visitor { host, home, home_interfaces, netlink, detail, last: Cell::new(0) })
    }

    /// Returns the interfaces of the namespace of entry `at`, in which we are.
    ///
    /// # Errors
    /// As [`Netlink::interfaces`].
    pub(super) fn links(&self, entries: &[Entry], at: usize) -> Result<Vec<Link>> {
        let here = entries[at].group.namespace.id;
        let read;
        let interfaces = if here == self.home.id() {
            &self.home_interfaces
        } else {
            read = self.netlink.interfaces()?;
            &read
        };
        let known = self.known_nsids(entries, at, interfaces)?;
        let mut links = Vec::new();
        for interface in interfaces {
            let peer = interface.peer.map(|peer| self.resolve(peer, here, interfaces, &known));
            links.push(Link::new(interface, peer));
        }
        Ok(links)
    }

    /// Resolves the other end of an interface of the namespace `here`, which has these interfaces
    /// and knows these numbers of others.
    fn resolve(
        &self,
        peer: Peer,
        here: NsId,
        interfaces: &[Interface],
        known: &[(i32, NsId)],
    ) -> LinkPeer {
        let there = match peer.nsid {
            None => Some(here),
            Some(nsid) => known.iter().find(|(known, _)| *known == nsid).map(|(_, id)| *id),
        };
        let beside = match there {
            Some(id) if id == here => interfaces,
            Some(id) if id == self.home.id() => &self.home_interfaces,
            _ => &[],
        };
        let other = beside.iter().find(|other| other.index == peer.index);
        let name = other.map(|other| other.name.clone());
        LinkPeer { inode: there.map(|id| id.ino), index: peer.index, name }
    }

    /// Returns which namespaces are meant by the numbers that the one we are in, of entry `at`, has
    /// for those of its interfaces' peers. [`Detail::Brief`] needs no more than the caller's.
    fn known_nsids(
        &self,
        entries: &[Entry],
        at: usize,
        interfaces: &[Interface],
    ) -> Result<Vec<(i32, NsId)>> {
        let mut unknown: Vec<i32> = Vec::new();
        for nsid in interfaces.iter().filter_map(|interface| interface.peer?.nsid) {
            if nsid >= 0 && !unknown.contains(&nsid) {
                unknown.push(nsid);
            }
        }
        let mut known = Vec::new();
        if unknown.is_empty() {
            return Ok(known);
        }
        self.ask_nsid(self.home.netns(), &mut unknown, &mut known)?;
        if self.detail == Detail::Brief {
            return Ok(known);
        }
        // First that in which the last one was found; then one down, one up, two down …, as those
        // made together are often linked together.
        for step in 0..=2 * entries.len() {
            if unknown.is_empty() {
                break;
            }
            let other = match step {
                0 => self.last.get(),
                _ if step % 2 == 1 => at.wrapping_sub(step / 2 + 1),
                _ => at + step / 2,
            };
            let Some(entry) = entries.get(other) else { continue };
            let Some(netns) = entry.group.namespace.open(self.host) else { continue };
            if self.ask_nsid(&netns, &mut unknown, &mut known)? {
                self.last.set(other);
            }
        }
        Ok(known)
    }

    /// Asks the namespace we are in for its number of `netns`, moves that from `unknown` to
    /// `known`, and tells whether it was among those.
    fn ask_nsid(
        &self,
        netns: &NetNs,
        unknown: &mut Vec<i32>,
        known: &mut Vec<(i32, NsId)>,
    ) -> Result<bool> {
        let Some(nsid) = nsid_of(&self.netlink, netns)? else { return Ok(false) };
        let Some(found) = unknown.iter().position(|other| *other == nsid) else { return Ok(false) };
        unknown.swap_remove(found);
        known.push((nsid, netns.id));
        Ok(true)
    }
}
