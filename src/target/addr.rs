//! `--addr`: the namespace that has an address on one of its interfaces.
//!
//! Each namespace is held while it is asked, and the one that answers is entered by the same
//! descriptor.

#![forbid(unsafe_code)]

use super::{Target, not_found};
use crate::base::console;
use crate::base::error::{Error, Result};
use crate::containers::lookup::is_root;
use crate::containers::name::{listed, spelled};
use crate::containers::running::running;
use crate::host::Host;
use crate::host::namespaces::{self, Namespace};
use crate::kernel::fork;
use crate::kernel::link::Interface;
use crate::kernel::netns::{Home, NetNs};
use crate::kernel::sock::Netlink;
use crate::sys::stdio::write_all;
use rustix::io::Errno;
use std::net::IpAddr;

/// As many holders of an address are listed.
const MOST_LISTED: usize = 10;
/// The inode of the initial user namespace, by which that is told where pid 1 may not be read:
/// PROC_USER_INIT_INO, linux/proc_ns.h.
const INITIAL: u64 = 0xefff_fffd;

/// Finds the one namespace that has this address on an interface. Those that the machine's own user
/// namespace owns come first, and users' count only where none of these has it.
///
/// # Errors
/// Where none has it, or several.
pub(super) fn resolve(host: &Host, ip: IpAddr) -> Result<Target> {
    let all = namespaces::all(host);
    let machines = host.stat_proc("1/ns/user").map_or(INITIAL, |id| id.ino);
    let (home, netlink) = (Home::own()?, Netlink::default());
    let (mut first, mut holders, mut is_users) = (None, Vec::new(), false);
    for are_machines in [true, false] {
        for namespace in &all {
            let Some(opened) = namespace.open_with_holder(host) else { continue };
            let is_machines = match opened.0.owner() {
                Ok(owner) => owner.ino == machines,
                // Where it is owned from above our own user namespace, or the kernel does not tell,
                // it is no user's.
                Err(Errno::PERM | Errno::NOTTY | Errno::NOSYS) => true,
                Err(e) => return Err(Error::cannot("ask who owns a network namespace", e)),
            };
            if is_machines != are_machines {
                continue;
            }
            match has_address(&netlink, &opened.0, &home, ip)? {
                Some(true) => {
                    holders.push(namespace);
                    first.get_or_insert(opened);
                }
                Some(false) => {}
                None => {
                    let name = format!("network namespace {}", namespace.id.ino);
                    host.remember_unread(name.as_bytes(), Errno::PERM);
                }
            }
        }
        if first.is_some() {
            is_users = !are_machines;
            break;
        }
    }
    if holders.len() > 1 {
        return Err(several(host, ip, &holders)?);
    }
    let Some((netns, process)) = first else {
        let absent = format!("no network namespace has address {ip}");
        let remedy = "netns-enter --list shows all addresses";
        return Err(not_found(host, &format!("address {ip}"), absent, remedy));
    };
    if is_users && is_root(host) {
        let whose = "belongs to a user namespace, in which any user can take any address";
        host.console.note(format_args!("the network namespace that has {ip} {whose}"));
    }
    if let Some(unread) = host.unread() {
        host.console.note(format_args!("not all of the host could be searched for {ip}: {unread}"));
    }
    Ok(Target::new(netns, format!("the holder of {ip}"), process))
}

/// Tells whether a namespace has this address; None where it may not be looked into.
fn has_address(netlink: &Netlink, netns: &NetNs, home: &Home, ip: IpAddr) -> Result<Option<bool>> {
    match home.within(netns, || is_here(netlink, ip))? {
        None if home.lets_child_go_to(netns) => is_there(netlink, netns, ip).map(Some),
        answer => Ok(answer),
    }
}

/// Tells whether the namespace we are in has this address.
fn is_here(netlink: &Netlink, ip: IpAddr) -> Result<bool> {
    let interfaces = netlink.interfaces()?;
    let has = |one: &Interface| one.addresses.iter().any(|address| address.ip == ip);
    Ok(interfaces.iter().any(has))
}

/// Tells whether a namespace has this address from which there is no way back: a child goes.
fn is_there(netlink: &Netlink, netns: &NetNs, ip: IpAddr) -> Result<bool> {
    let whose = format!("inode {}", netns.id.ino);
    let answer = fork::query(&|pipe| {
        match netns.enter(&whose).and_then(|()| is_here(netlink, ip)) {
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
fn several(host: &Host, ip: IpAddr, holders: &[&Namespace]) -> Result<Error> {
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
    Ok(Error::new(format!("{count} network namespaces have address {ip}: {items}"))
        .with_remedy(format!("say --inode {}, or another of these", other.id.ino)))
}
