//! Namespaces known by what is in them: an address, or the other end of an interface of ours.
//!
//! Each namespace is held while it is asked, and the one that answers is entered by the same descriptor.

#![forbid(unsafe_code)]

use crate::child;
use crate::console;
use crate::container;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::ip::{self, Ip};
use crate::namespaces::{self, Held, Namespace};
use crate::netlink::{Interface, interfaces, nsid_of};
use crate::netns::{NetNs, host_id, within};
use crate::target::Found;
use crate::text::{append, number, text};
use rustix::fd::AsFd;
use rustix::io::Errno;

/// As many holders of an address are listed.
const MOST_LISTED: usize = 10;

/// The one namespace that has this address on an interface.
///
/// # Errors
/// Where none has it, or several.
pub fn by_addr(host: &Host, ip: Ip) -> Result<Box<Found>> {
    let home = NetNs::own()?;
    let mut first: Option<Held> = None;
    let all = namespaces::all(host);
    let mut holders: Vec<&Namespace> = Vec::new();
    for namespace in &all {
        let Some(held) = namespace.hold(host) else { continue };
        match has_address(&held.0, &home, ip)? {
            Some(true) => {
                first = first.or(Some(held));
                holders.push(namespace);
            }
            Some(false) => {}
            None => host.excuse(text!("network namespace {}", namespace.id.ino), Errno::PERM),
        }
    }
    if holders.len() > 1 {
        return Err(several(host, ip, &holders));
    }
    let unread = host.unread();
    let Some((netns, process)) = first else {
        return Err(Error::new(text!("no network namespace has address {}{}", ip::text(ip), host.but_unread()))
            .remedy(b"netns-enter --list shows all addresses"));
    };
    if let Some(unread) = unread {
        host.console.note(text!("not all of the host could be searched for {}: {}", ip::text(ip), unread));
    }
    Ok(Found::new(netns, text!("the holder of {}", ip::text(ip)), process))
}

/// The namespace at the other end of a veth or netkit interface of our own namespace.
///
/// # Errors
/// Where there is no such interface, it has no other end, or nothing that may be looked at holds the namespace of that.
pub fn by_veth(host: &Host, word: &[u8]) -> Result<Box<Found>> {
    let home = NetNs::own()?;
    let Some(interface) = find_interface(word)? else {
        return Err(Error::new(text!("no interface \"{}\" in this network namespace", word))
            .remedy(b"ip -br link shows the interfaces"));
    };
    let Some(peer) = interface.peer else {
        return Err(Error::new(text!("interface \"{}\" has no other end", interface.name))
            .remedy(b"only veth and netkit interfaces have one, and kernels before 4.1 do not tell it"));
    };
    let label = text!("the other end of \"{}\"", interface.name);
    let Some(nsid) = peer.nsid else { return Ok(Found::new(home, label, None)) };
    for namespace in namespaces::all(host) {
        let Some((netns, process)) = namespace.hold(host) else { continue };
        if nsid_of(netns.as_fd())? != Some(nsid) {
            continue;
        }
        // The number may have been another namespace's when the interface was looked at. While this one is held, it stays.
        let again = find_interface(interface.name)?;
        if again.is_none_or(|again| (again.index, again.peer) != (interface.index, interface.peer)) {
            return Err(Error::new(text!("{} has moved while it was looked for", label)).remedy(b"try again"));
        }
        return Ok(Found::new(netns, label, process));
    }
    let unread = host.but_unread();
    Err(Error::new(text!("{} is in a network namespace that no process, thread or mount holds{}", label, unread)))
}

/// The interface of our own namespace that has this name, or that `ip link` shows so.
fn find_interface(word: &[u8]) -> Result<Option<&'static Interface>> {
    let interfaces = interfaces()?;
    // No name has a colon, but any may have an @.
    let name = word.strip_suffix(b":").unwrap_or(word);
    let bare = name.iter().rposition(|b| *b == b'@').map_or(name, |at| &name[..at]);
    let named = |name: &[u8]| interfaces.iter().find(|interface| interface.name == name);
    Ok(named(name).or_else(|| named(bare)).map(|interface| &**interface))
}

/// Whether a namespace has this address; None where it may not be looked into.
fn has_address(netns: &NetNs, home: &NetNs, ip: Ip) -> Result<Option<bool>> {
    match within(netns, home, || holds(ip))? {
        None if netns.userns_to_join(b"").is_ok() => ask_child(netns, ip).map(Some),
        answer => Ok(answer),
    }
}

fn holds(ip: Ip) -> Result<bool> {
    Ok(interfaces()?.iter().flat_map(|interface| &interface.addresses).any(|address| address.ip == ip))
}

/// As [`has_address`], where a user namespace of ours must be joined: from there is no way back, so a child goes.
fn ask_child(netns: &NetNs, ip: Ip) -> Result<bool> {
    let whose = text!("inode {}", netns.id.ino);
    let told = child::ask(&|report| match netns.enter(whose).and_then(|()| holds(ip)) {
        Ok(has) => drop(console::write_all(report.as_fd(), &[u8::from(has)])),
        Err(error) => console::report(&error),
    })?;
    match *told {
        [has] => Ok(has == 1),
        _ => Err(Error::new(text!("the network namespace of {} could not be searched", whose))),
    }
}

/// The refusal of an address that several namespaces have.
fn several(host: &Host, ip: Ip, holders: &[&Namespace]) -> Error {
    // Names are a help here: what cannot be proven has none.
    let containers = container::running(host);
    let mut list = Vec::new();
    for holder in &holders[..holders.len().min(MOST_LISTED)] {
        let mut item = number(holder.id.ino).to_vec();
        if host_id(host) == Some(holder.id) {
            item.extend_from_slice(b" (host)");
        }
        for seen in containers.iter().filter(|seen| seen.netns == holder.id) {
            append(&mut item, b" ", container::spelled(seen.container));
        }
        if let Some(pid) = holder.pid.or(holder.thread) {
            append(&mut item, b" ", text!("pid {}", pid));
        }
        append(&mut list, b", ", &item);
    }
    if holders.len() > MOST_LISTED {
        append(&mut list, b", ", text!("and {} more", holders.len() - MOST_LISTED));
    }
    Error::new(text!("{} network namespaces have address {}: {}", holders.len(), ip::text(ip), list))
        .remedy(text!("say --inode {}, or another of these", holders[0].id.ino))
}
