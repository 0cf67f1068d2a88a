//! `--addr`: the namespace that has an address, IP or MAC, on one of its interfaces.
//!
//! Each namespace is held while it is asked, and the one that answers is entered by the same
//! descriptor.

#![forbid(unsafe_code)]

use super::{Target, not_found};
use crate::base::console;
use crate::base::error::{Error, Result};
use crate::base::text::{number, parts, unbracketed};
use crate::containers::lookup::is_root;
use crate::containers::name::{listed, spelled};
use crate::containers::running::running;
use crate::host::Host;
use crate::host::namespaces::{self, Namespace, Opened};
use crate::host::opener::Opener;
use crate::kernel::fork;
use crate::kernel::link::Interface;
use crate::kernel::netns::{Home, INITIAL_USERNS, NetNs};
use crate::kernel::sock::Netlink;
use crate::sys::stdio::write_all;
use rustix::io::Errno;
use std::cell::OnceCell;
use std::fmt::{self, Display, Formatter};
use std::net::IpAddr;

/// An address of an interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Addr {
    /// An IPv4 or IPv6 address.
    Ip(IpAddr),
    /// A MAC address as `ip link` prints it.
    Mac(String),
}

impl Addr {
    /// Reads a MAC address, or an IP address in brackets or not, with the length of its prefix or
    /// not.
    pub(crate) fn parse(text: &[u8]) -> Option<Addr> {
        if let Some(mac) = mac(text, b':').or_else(|| mac(text, b'-')) {
            return Some(Addr::Mac(mac));
        }
        let mut parts = text.splitn(2, |byte| *byte == b'/');
        let bare = unbracketed(parts.next()?, b"[");
        let ip = std::str::from_utf8(bare).ok()?.parse().ok()?;
        let longest = match ip {
            IpAddr::V4(_) => 32,
            IpAddr::V6(_) => 128,
        };
        let prefix = parts.next().map_or(Some(0), number)?;
        // As servers that listen for both kinds write an IPv4 address: ::ffff:10.244.3.7.
        (prefix <= longest).then_some(Addr::Ip(ip.to_canonical()))
    }

    fn is_of(&self, interface: &Interface) -> bool {
        match self {
            Addr::Ip(ip) => interface.addresses.iter().any(|address| address.ip == *ip),
            Addr::Mac(mac) => interface.mac == *mac,
        }
    }
}

impl Display for Addr {
    /// Writes it as `ip` prints it.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Addr::Ip(ip) => write!(out, "{ip}"),
            Addr::Mac(mac) => write!(out, "{mac}"),
        }
    }
}

/// Reads six pairs of hexadecimal digits with these separators: no IP address is written so.
fn mac(text: &[u8], separator: u8) -> Option<String> {
    let is_octet = |part: &[u8]| part.len() == 2 && part.iter().all(u8::is_ascii_hexdigit);
    if parts(text, separator).count() != 6 || !parts(text, separator).all(is_octet) {
        return None;
    }
    Some(String::from_utf8_lossy(text).replace('-', ":").to_ascii_lowercase())
}

/// As many holders of an address are listed.
const MOST_LISTED: usize = 10;

/// Finds the one namespace that has this address on an interface. Those that the machine's own user
/// namespace owns come first, and users' count only where none of these has it.
///
/// # Errors
/// Where none has it, or several.
pub(super) fn resolve(host: &Host, addr: &Addr) -> Result<Target> {
    let (all, kept) = (namespaces::all(host), OnceCell::new());
    let opener = Opener::new(host);
    let mut search =
        Search { host, addr, opener, home: Home::own()?, netlink: Netlink::default(), found: None };
    let (mut holders, mut is_users) = (Vec::new(), false);
    // Any user can take any address, so it is not waited for among users'. Who waits looks again
    // and again, and for what runs.
    let waits = host.watch.is_some();
    let whose: &[bool] = if waits { &[true] } else { &[true, false] };
    for are_machines in whose {
        search.among(&all, *are_machines, &mut holders)?;
        if holders.len() < 2 && !waits {
            if kept.get().is_none() {
                let _ = kept.set(kept_otherwise(host, &all)?);
            }
            search.among(kept.get().map_or(&[], Vec::as_slice), *are_machines, &mut holders)?;
        }
        if !holders.is_empty() {
            is_users = !*are_machines;
            break;
        }
    }
    if holders.len() > 1 {
        return Err(several(host, addr, &holders)?);
    }
    let Some((netns, process)) = search.found else {
        let absent = format!("no network namespace has address {addr}");
        let remedy = "netns-enter --list shows all addresses";
        return Err(not_found(host, &format!("address {addr}"), absent, remedy));
    };
    if is_users && is_root(host) {
        let whose = "belongs to a user namespace, in which any user can take any address";
        host.console.note(format_args!("the network namespace that has {addr} {whose}"));
    }
    if let Some(unread) = host.unread() {
        host.console
            .note(format_args!("not all of the host could be searched for {addr}: {unread}"));
    }
    Ok(Target::new(netns, format!("the holder of {addr}"), process))
}

/// A search for the namespaces that have an address.
struct Search<'h> {
    host: &'h Host,
    addr: &'h Addr,
    opener: Opener<'h>,
    home: Home,
    netlink: Netlink,
    /// The first that has it.
    found: Option<Opened>,
}

impl Search<'_> {
    /// Adds those of these that have the address to its holders, of the machine's or of users'.
    ///
    /// # Errors
    /// Where one cannot be looked into as the machine refuses.
    fn among<'n>(
        &mut self,
        namespaces: &'n [Namespace],
        are_machines: bool,
        holders: &mut Vec<&'n Namespace>,
    ) -> Result<()> {
        for namespace in namespaces {
            let Some(opened) = self.opener.open(namespace) else { continue };
            if is_machines(self.host, &opened.0)? != are_machines {
                continue;
            }
            match has_address(&self.netlink, &opened.0, &self.home, self.addr)? {
                Some(true) => {
                    holders.push(namespace);
                    self.found.get_or_insert(opened);
                }
                Some(false) => {}
                None => {
                    let name = format!("network namespace {}", namespace.id.ino);
                    self.host.remember_unread(name.as_bytes(), Errno::PERM);
                }
            }
        }
        Ok(())
    }
}

/// Returns the namespaces beside these that a descriptor, a socket or a mount elsewhere keeps.
///
/// # Errors
/// Where the machine refuses.
fn kept_otherwise(host: &Host, all: &[Namespace]) -> Result<Vec<Namespace>> {
    // A deep look asks who owns mount namespaces, too.
    if NetNs::own()?.owner() == Err(Errno::NOSYS) {
        return Ok(Vec::new());
    }
    let mut kept = namespaces::all_with_holders(host, None)?.0;
    kept.retain(|namespace| all.iter().all(|known| known.id != namespace.id));
    Ok(kept)
}

/// Tells whether the machine's own user namespace owns a network namespace.
///
/// # Errors
/// Where the machine refuses.
pub(super) fn is_machines(host: &Host, netns: &NetNs) -> Result<bool> {
    let machines = host.stat_proc("1/ns/user").map_or(INITIAL_USERNS, |id| id.ino);
    match netns.owner() {
        Ok(owner) => Ok(owner.ino == machines),
        // Where it is owned from above our own user namespace, or the kernel does not tell, it is
        // no user's.
        Err(Errno::PERM | Errno::NOTTY | Errno::NOSYS) => Ok(true),
        Err(e) => Err(Error::cannot("ask who owns a network namespace", e)),
    }
}

/// Tells whether a namespace has this address; None where it may not be looked into.
fn has_address(netlink: &Netlink, netns: &NetNs, home: &Home, addr: &Addr) -> Result<Option<bool>> {
    match home.within(netns, || is_here(netlink, addr))? {
        None if home.lets_child_go_to(netns) => is_there(netlink, netns, addr).map(Some),
        answer => Ok(answer),
    }
}

/// Tells whether the namespace we are in has this address.
fn is_here(netlink: &Netlink, addr: &Addr) -> Result<bool> {
    Ok(netlink.interfaces()?.iter().any(|interface| addr.is_of(interface)))
}

/// Tells whether a namespace has this address from which there is no way back: a child goes.
fn is_there(netlink: &Netlink, netns: &NetNs, addr: &Addr) -> Result<bool> {
    let whose = format!("inode {}", netns.id.ino);
    let answer = fork::query(&|pipe| {
        match netns.enter(&whose).and_then(|()| is_here(netlink, addr)) {
            // Without an answer the parent fails.
            Ok(has) => _ = write_all(pipe, &[u8::from(has)]),
            Err(error) => console::report(&error),
        }
    })?;
    match answer[..] {
        [has] => Ok(has == 1),
        _ => Err(Error::new(format!("the network namespace of {whose} could not be searched"))),
    }
}

/// Makes the refusal of an address that several namespaces have.
///
/// # Errors
/// Where the containers in them cannot be found.
fn several(host: &Host, addr: &Addr, holders: &[&Namespace]) -> Result<Error> {
    // Names are a help here: what cannot be proven has none.
    let containers = running(host)?;
    let hosts = host.netns_id();
    let mut items = Vec::new();
    for holder in holders.iter().take(MOST_LISTED) {
        let mut item = holder.id.ino.to_string();
        if hosts == Some(holder.id) {
            item += " (host)";
        }
        for running in containers.iter().filter(|running| running.netns == holder.id) {
            item += &format!(" {}", listed(&spelled(&running.container)));
        }
        if let Some(pid) = holder.pid.or(holder.thread) {
            item += &format!(" pid {pid}");
        }
        items.push(item);
    }
    if holders.len() > MOST_LISTED {
        items.push(format!("and {} more", holders.len() - MOST_LISTED));
    }
    // The host's is hardly what was looked for.
    let other = holders.iter().find(|holder| hosts != Some(holder.id)).unwrap_or(&holders[0]);
    let (count, items) = (holders.len(), items.join(", "));
    Ok(Error::new(format!("{count} network namespaces have address {addr}: {items}"))
        .with_remedy(format!("say --inode {}, or another of these", other.id.ino)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_tools_print_them() {
        let shown = |text: &str| Addr::parse(text.as_bytes()).map(|addr| addr.to_string());
        for (text, expected) in [
            ("02:42:ac:11:00:02", "02:42:ac:11:00:02"),
            ("02-42-AC-11-00-02", "02:42:ac:11:00:02"),
            ("::ffff:10.244.3.7", "10.244.3.7"),
            ("::ffff:10.244.3.7/120", "10.244.3.7"),
            ("[FD00::1]/64", "fd00::1"),
            // Eight parts are IPv6, be they of two digits.
            ("02:42:ac:11:00:02:00:01", "2:42:ac:11:0:2:0:1"),
        ] {
            assert_eq!(shown(text).as_deref(), Some(expected), "{text}");
        }
        for text in [
            "02:42:ac:11:00",
            "02:42:ac:11:00:02:03",
            "02:42:ac:11:00-02",
            "2:42:ac:11:0:2",
            "02:42:ac:11:00:0g",
            "02:42:ac:11:00:02/48",
            "024:2:ac:11:00:02",
            "+2:42:ac:11:00:02",
            "0242.ac11.0002",
            "-----",
            "",
        ] {
            assert_eq!(shown(text), None, "{text}");
        }
    }
}
