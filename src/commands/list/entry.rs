//! What is known of the listed namespaces, before it is rendered in any format.

#![forbid(unsafe_code)]

use super::group::Group;
use crate::base::text::last;
use crate::containers::engine::Container;
use crate::containers::world::World;
use crate::host::cgroup::unit_in;
use crate::host::holders::Holder;
use crate::host::process::{Process, unless_gone};
use crate::kernel::link::{Address, Interface, is_link_local};
use std::net::IpAddr;

/// How much is to be found out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// Only peers in the caller's namespace; unit and command where there is no container.
    Brief,
    /// Peers in any of the namespaces; unit and command of all.
    Full,
    /// As [`Detail::Full`], and all namespaces even where only one is to be shown.
    Surroundings,
}

/// The namespaces, and what their names are relative to.
pub(super) struct Listing {
    /// Sorted by inode.
    pub(super) entries: Vec<Entry>,
    /// The inode of the one that is to be shown, where the others are only its surroundings.
    pub(super) only: Option<u64>,
    /// The inode of the caller's namespace.
    pub(super) home: u64,
    /// The directory of the pins.
    pub(super) pin_directory: &'static [u8],
    /// What only open files of /proc/PID/net keep, of which nobody can tell which it is; None where
    /// no deep look was made.
    pub(super) unknown: Option<Vec<Unknown>>,
}

/// A namespace that only open files of /proc/PID/net keep.
pub(super) struct Unknown {
    /// Who holds the first.
    pub(super) held_by: String,
    pub(super) holders: Vec<Holder>,
}

/// A network namespace, and all that is to be shown of it.
pub(super) struct Entry {
    pub(super) group: Group,
    /// Whether it is to be shown. Peers are looked for in the others, too.
    pub(super) is_listed: bool,
    /// The process or thread by which the namespace was opened.
    pub(super) pid: Option<u32>,
    /// The systemd unit of that process, if that is root's: one that can be named as TARGET.
    pub(super) unit: Option<Vec<u8>>,
    /// The name that the process has in /proc/PID/comm.
    pub(super) command: Option<Vec<u8>>,
    /// Who holds what neither a process nor a pin explains, in words; after a deep look.
    pub(super) held_by: Option<String>,
    /// What it was prepared for, where nothing runs in it.
    pub(super) prepared: Vec<Container>,
    /// The interfaces, in the kernel's order; None where they may not be looked at.
    pub(super) interfaces: Option<Vec<Link>>,
}

/// A network interface.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) name: Vec<u8>,
    pub(super) index: u32,
    /// The kind of a driver in software, as `ip -d link` prints it.
    pub(super) kind: Option<Vec<u8>>,
    /// The operational state, as `ip link` prints it.
    pub(super) state: Vec<u8>,
    /// The size of the largest packet, in bytes.
    pub(super) mtu: u32,
    /// The hardware address, as `ip link` prints it.
    pub(super) mac: Vec<u8>,
    pub(super) is_loopback: bool,
    /// The number of the bridge or bond that it is a port of.
    pub(super) master: Option<u32>,
    pub(super) addresses: Vec<Address>,
    /// The other end of a pair, or what it sits on.
    pub(super) neighbour: Option<Neighbour>,
    /// The address at the other end of a tunnel.
    pub(super) remote: Option<IpAddr>,
}

/// An interface that another one is linked to.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Neighbour {
    /// Whether it is the other end of a pair.
    pub(super) is_peer: bool,
    /// The inode of its namespace, where that was found.
    pub(super) inode: Option<u64>,
    /// Its number in that namespace.
    pub(super) index: u32,
    /// Its name, where it is in the caller's namespace or in that of the other.
    pub(super) name: Option<Vec<u8>>,
}

impl Entry {
    /// Makes an entry of which nothing is known yet but the namespace and its containers.
    pub(super) fn new(group: Group, is_listed: bool) -> Entry {
        Entry {
            group,
            is_listed,
            pid: None,
            unit: None,
            command: None,
            held_by: None,
            prepared: Vec::new(),
            interfaces: None,
        }
    }

    /// Returns the namespace's inode.
    pub(super) fn inode(&self) -> u64 {
        self.group.namespace.id.ino
    }

    /// Tells whether its interfaces are to be shown and were not looked at yet.
    pub(super) fn lacks_interfaces(&self) -> bool {
        self.is_listed && self.interfaces.is_none()
    }

    /// Reads what the process or thread is by which the namespace was opened; `world` is root's.
    pub(super) fn describe(&mut self, world: &World<'_>, process: &Process, detail: Detail) {
        self.pid = Some(process.pid);
        if detail != Detail::Brief || self.group.containers.is_empty() {
            let paths = world.cgroup_paths(process).unwrap_or_default();
            let mut units = paths.iter().filter_map(|path| unit_in(path));
            let unit = units.find(|unit| world.has_cgroup(unit));
            self.unit = unit.map(|unit| last(unit).to_vec());
            let comm = unless_gone(world.host, process.pid, process.read(world.host, "comm"));
            self.command = comm.map(|text| text.strip_suffix(b"\n").unwrap_or(&text).to_vec());
        }
    }
}

impl Link {
    /// Makes a link of what the kernel says of an interface, its neighbour resolved.
    pub(super) fn new(interface: &Interface, neighbour: Option<Neighbour>) -> Link {
        Link {
            name: interface.name.clone(),
            index: interface.index,
            kind: interface.kind.clone(),
            state: interface.state.into(),
            mtu: interface.mtu,
            mac: interface.mac.clone().into_bytes(),
            is_loopback: interface.loopback,
            master: interface.master,
            addresses: interface.addresses.clone(),
            neighbour,
            remote: interface.remote,
        }
    }

    /// Returns the other end of a pair.
    pub(super) fn peer(&self) -> Option<&Neighbour> {
        self.neighbour.as_ref().filter(|neighbour| neighbour.is_peer)
    }

    /// Returns what it sits on.
    pub(super) fn parent(&self) -> Option<&Neighbour> {
        self.neighbour.as_ref().filter(|neighbour| !neighbour.is_peer)
    }

    /// Returns those of its addresses that mean something elsewhere.
    pub(super) fn outer_addresses(&self) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(|one| !one.ip.is_loopback() && !is_link_local(one.ip))
    }
}
