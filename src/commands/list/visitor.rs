//! Looking at the interfaces of one namespace after the other, and at where their other ends are.

#![forbid(unsafe_code)]

use super::entry::{Detail, Entry, Link, Neighbour};
use crate::base::error::Result;
use crate::host::Host;
use crate::kernel::link::Interface;
use crate::kernel::netns::{Home, NetNs, NsId};
use crate::kernel::nsid::nsid_of;
use crate::kernel::sock::Netlink;
use std::cell::Cell;

/// As many entries beside one are asked for the namespaces of its peers in any case.
const NEAR: usize = 8;
/// As many questions in vain are asked beyond those, for each entry: a user can have any number of
/// peers where they are not found, or far away.
const VAIN: usize = 16;

/// The numbers that a namespace has for those of its interfaces' neighbours, and which namespaces
/// they mean, as far as that is known: sorted.
type Known = [(u32, Option<NsId>)];

/// What is kept from one namespace to the next that we visit to look at its interfaces.
pub(super) struct Visitor<'h> {
    pub(super) host: &'h Host,
    /// The caller's namespace.
    pub(super) home: Home,
    home_interfaces: Vec<Interface>,
    netlink: Netlink,
    pub(super) detail: Detail,
    search: Search,
}

/// Where the namespaces of peers are looked for.
#[derive(Default)]
struct Search {
    /// The entry in which the last was found; those of its neighbours are often there, too.
    last: Cell<usize>,
    /// How many entries were asked in vain so far.
    vain: Cell<usize>,
}

impl<'h> Visitor<'h> {
    /// Looks at the caller's own namespace.
    ///
    /// # Errors
    /// Where that fails.
    pub(super) fn new(host: &'h Host, detail: Detail) -> Result<Visitor<'h>> {
        let (home, netlink) = (Home::own()?, Netlink::default());
        let home_interfaces = netlink.interfaces()?;
        Ok(Visitor { host, home, home_interfaces, netlink, detail, search: Search::default() })
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
            let neighbour = self.neighbour(interface, here, interfaces, &known);
            links.push(Link::new(interface, neighbour));
        }
        Ok(links)
    }

    /// Returns what an interface of the namespace `here` refers to, which has these interfaces and
    /// knows these numbers of others.
    fn neighbour(
        &self,
        interface: &Interface,
        here: NsId,
        interfaces: &[Interface],
        known: &Known,
    ) -> Option<Neighbour> {
        let link = interface.peer.or(interface.parent)?;
        let there = match link.nsid {
            None => Some(here),
            Some(nsid) => place(known, nsid).and_then(|at| known[at].1),
        };
        let beside = match there {
            Some(id) if id == here => interfaces,
            Some(id) if id == self.home.id() => &self.home_interfaces,
            _ => &[],
        };
        let other = beside.binary_search_by_key(&link.index, |other| other.index);
        let name = other.ok().map(|at| beside[at].name.clone());
        let inode = there.map(|id| id.ino);
        Some(Neighbour { is_peer: interface.peer.is_some(), inode, index: link.index, name })
    }

    /// Returns which namespaces are meant by the numbers that the one we are in, of entry `at`, has
    /// for those of its interfaces' neighbours. [`Detail::Brief`] needs no more than the caller's.
    fn known_nsids(
        &self,
        entries: &[Entry],
        at: usize,
        interfaces: &[Interface],
    ) -> Result<Vec<(u32, Option<NsId>)>> {
        let mut nsids: Vec<u32> = Vec::new();
        for interface in interfaces {
            let link = interface.peer.or(interface.parent);
            nsids.extend(link.and_then(|link| u32::try_from(link.nsid?).ok()));
        }
        nsids.sort_unstable();
        nsids.dedup();
        let mut known: Vec<_> = nsids.into_iter().map(|nsid| (nsid, None)).collect();
        let mut wanted = known.len();
        if wanted == 0 {
            return Ok(known);
        }
        wanted -= usize::from(self.ask_nsid(self.home.netns(), &mut known)?);
        if self.detail == Detail::Brief {
            return Ok(known);
        }
        self.search.visit(at, entries.len(), &mut wanted, &mut |other| match entries[other]
            .group
            .namespace
            .open(self.host)
        {
            Some(netns) => self.ask_nsid(&netns, &mut known),
            None => Ok(false),
        })?;
        Ok(known)
    }

    /// Asks the namespace we are in for its number of `netns`; tells whether that is one of those
    /// that were not known.
    fn ask_nsid(&self, netns: &NetNs, known: &mut Known) -> Result<bool> {
        let nsid = nsid_of(&self.netlink, netns)?;
        let Some(at) = nsid.and_then(|nsid| place(known, nsid)) else { return Ok(false) };
        Ok(known[at].1.replace(netns.id).is_none())
    }
}

/// Returns where a number is.
fn place(known: &Known, nsid: i32) -> Option<usize> {
    known.binary_search_by_key(&i64::from(nsid), |(nsid, _)| i64::from(*nsid)).ok()
}

impl Search {
    /// Asks one of `count` entries after the other until as many as `wanted` have said yes: first
    /// that in which the last one was found; then, from `at`, one down, one up, two down …, as
    /// those made together are often linked together.
    fn visit(
        &self,
        at: usize,
        count: usize,
        wanted: &mut usize,
        ask: &mut dyn FnMut(usize) -> Result<bool>,
    ) -> Result<()> {
        for step in 0..=2 * count {
            let is_enough = step > NEAR && self.vain.get() > VAIN * count;
            if *wanted == 0 || is_enough {
                break;
            }
            let other = match step {
                0 => self.last.get(),
                _ if step % 2 == 1 => at.wrapping_sub(step / 2 + 1),
                _ => at + step / 2,
            };
            if other >= count {
                continue;
            }
            if ask(other)? {
                *wanted -= 1;
                self.last.set(other);
            } else {
                self.vain.set(self.vain.get() + 1);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns how many questions are asked for all of these entries, and how many have an answer,
    /// where the peer of each is as many entries further on, if there is one.
    fn asked(count: usize, away: usize) -> (usize, usize) {
        let search = Search::default();
        let (mut asked, mut found) = (0, 0);
        for at in 0..count {
            let mut wanted = 1;
            search
                .visit(at, count, &mut wanted, &mut |other| {
                    assert!(other < count);
                    asked += 1;
                    Ok(other == at + away)
                })
                .unwrap();
            found += 1 - wanted;
        }
        (asked, found)
    }

    #[test]
    fn a_peer_is_looked_for_everywhere() {
        let search = Search::default();
        for there in [3, 9, 0] {
            let mut seen = [0; 10];
            let ask = &mut |other: usize| {
                seen[other] += 1;
                Ok(other == there)
            };
            search.visit(2, 10, &mut 1, ask).unwrap();
            assert_eq!((seen[there], search.last.get()), (1, there));
        }
        assert_eq!(asked(20, 19).1, 1);
    }

    /// A user has any number of namespaces, with peers that only a descriptor holds or far away.
    #[test]
    fn not_everything_is_asked_for_each_of_many() {
        for away in [usize::MAX / 2, 500] {
            let (asked, _) = asked(1000, away);
            assert!(asked <= 1000 * (VAIN + NEAR + 3), "{asked}");
        }
        assert_eq!(asked(1000, 3).1, 997);
    }
}
