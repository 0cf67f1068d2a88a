//! `--veth`: the namespace at the other end of a veth or netkit interface.

#![forbid(unsafe_code)]

use super::addr::is_machines;
use super::{Target, not_found};
use crate::base::error::{Error, MORE_RIGHTS, Result};
use crate::base::escape::quoted;
use crate::base::text::number;
use crate::host::Host;
use crate::host::holders::Opened;
use crate::host::namespaces;
use crate::host::opener::Opener;
use crate::kernel::link::Interface;
use crate::kernel::netns::{Home, NetNs};
use crate::kernel::nsid::nsid_of;
use crate::kernel::sock::Netlink;
use rustix::fs::OFlags;
use rustix::io::Errno;

/// Finds the namespace at the other end of the interface that `word` means: one of the caller's
/// namespace, or with `--host-root` of the host's.
///
/// # Errors
/// Where there is no such interface, it has no other end, or nothing that may be looked at holds
/// the namespace of that.
pub(super) fn resolve(host: &Host, word: &[u8]) -> Result<Target> {
    let home = Home::own()?;
    let cannot = |e| Error::cannot("look for interfaces in the host's network namespace", e);
    let (here, whose) = if host.is_own() {
        (NetNs::own()?, "this network namespace")
    } else {
        let hosts = host.open_proc(b"1/ns/net", OFlags::RDONLY).and_then(NetNs::of_link);
        (hosts.map_err(cannot)?, "the host's network namespace")
    };
    let found = home.within(&here, || other_end(host, word, whose))?;
    let (label, end) = found.ok_or_else(|| cannot(Errno::PERM).with_remedy(MORE_RIGHTS))?;
    let (netns, process) = end.unwrap_or((here, None));
    Ok(Target::new(netns, label, process))
}

/// Finds the other end of an interface of the namespace we are in, which messages call `here`.
/// Returns its label, and its namespace where that is another one.
fn other_end(host: &Host, word: &[u8], here: &str) -> Result<(String, Option<Opened>)> {
    let netlink = Netlink::default();
    let Some(interface) = find(&netlink, word)? else {
        return Err(Error::new(format!("no interface {} in {here}", quoted(word)))
            .absent()
            .with_remedy("ip -br link shows the interfaces"));
    };
    let name = quoted(&interface.name);
    let Some(peer) = interface.peer else {
        return Err(Error::new(format!("interface {name} has no other end")).with_remedy(
            "only veth, netkit and vxcan interfaces have one, which kernels before 4.1 do not tell",
        ));
    };
    let label = format!("the other end of {name}");
    let Some(nsid) = peer.nsid else {
        // Both ends are made in one namespace, and then one is moved.
        return match host.watch {
            Some(_) => Err(Error::new(format!("{label} is in {here}, too")).absent()),
            None => Ok((label, None)),
        };
    };
    let opener = Opener::new(host);
    for namespace in namespaces::all(host) {
        let Some(opened) = opener.open(&namespace) else { continue };
        if nsid_of(&netlink, &opened.0)? != Some(nsid) {
            continue;
        }
        // The number may have been another namespace's when the interface was looked at. While this
        // one is held, it stays.
        let is_same =
            |again: Interface| (again.index, again.peer) == (interface.index, interface.peer);
        if !find(&netlink, &interface.name)?.is_some_and(is_same) {
            return Err(Error::new(format!("{label} has moved while it was looked for"))
                .absent()
                .with_remedy("try again"));
        }
        if host.watch.is_some() && !is_machines(host, &opened.0)? {
            let whose = "is in a network namespace of a user's, and such are not waited for";
            return Err(Error::new(format!("{label} {whose}")).absent());
        }
        return Ok((label, Some(opened)));
    }
    let holders = "a network namespace that no process, thread or mount holds";
    let absent = format!("{label} is in {holders}");
    Err(not_found(host, &label, absent, "a descriptor or a socket may hold it"))
}

/// Returns the interface of the namespace we are in that has this name, or that `ip link` shows so,
/// or else that has this number.
fn find(netlink: &Netlink, word: &[u8]) -> Result<Option<Interface>> {
    let mut interfaces = netlink.all_interfaces()?;
    // No name has a colon, but any may have an @.
    let name = word.strip_suffix(b":").unwrap_or(word);
    let bare = name.iter().rposition(|byte| *byte == b'@').map_or(name, |at| &name[..at]);
    let at = |name: &[u8]| interfaces.iter().position(|interface| interface.name == name);
    let by_number = || {
        let index = number(name)?;
        interfaces.iter().position(|interface| u64::from(interface.index) == index)
    };
    let found = at(name).or_else(|| at(bare)).or_else(by_number);
    Ok(found.map(|at| interfaces.swap_remove(at)))
}
