//! `--veth`: the namespace at the other end of a veth or netkit interface of our own namespace.

#![forbid(unsafe_code)]

use super::Target;
use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::host::Host;
use crate::host::namespaces;
use crate::kernel::netns::NetNs;
use crate::kernel::nsid::nsid_of;
use crate::kernel::rtnetlink::Interface;
use crate::kernel::sock::Netlink;

/// Finds the namespace at the other end of the interface that `word` means.
///
/// # Errors
/// Where there is no such interface, it has no other end, or nothing that may be looked at holds
/// the namespace of that.
pub(super) fn resolve(host: &Host, word: &[u8]) -> Result<Target> {
    let (home, netlink) = (NetNs::own()?, Netlink::default());
    let Some(interface) = find(&netlink, word)? else {
        let word = quoted(word);
        return Err(Error::new(format!("no interface {word} in this network namespace"))
            .with_remedy("ip -br link shows the interfaces"));
    };
    let name = quoted(&interface.name);
    let Some(peer) = interface.peer else {
        return Err(Error::new(format!("interface {name} has no other end")).with_remedy(
            "only veth and netkit interfaces have one, and kernels before 4.1 do not tell it",
        ));
    };
    let label = format!("the other end of {name}");
    let Some(nsid) = peer.nsid else { return Ok(Target::new(home, label, None)) };
    for namespace in namespaces::all(host)? {
        let Some((netns, process)) = namespace.open_with_holder(host)? else { continue };
        if nsid_of(&netlink, &netns)? != Some(nsid) {
            continue;
        }
        // The number may have been another namespace's when the interface was looked at. While this
        // one is held, it stays.
        let is_same =
            |again: Interface| (again.index, again.peer) == (interface.index, interface.peer);
        if !find(&netlink, &interface.name)?.is_some_and(is_same) {
            return Err(Error::new(format!("{label} has moved while it was looked for"))
                .with_remedy("try again"));
        }
        return Ok(Target::new(netns, label, process));
    }
    let unread = host.but_unread();
    Err(Error::new(format!(
        "{label} is in a network namespace that no process, thread or mount holds{unread}"
    )))
}

/// Returns the interface of our own namespace that has this name, or that `ip link` shows so.
fn find(netlink: &Netlink, word: &[u8]) -> Result<Option<Interface>> {
    let mut interfaces = netlink.interfaces()?;
    // No name has a colon, but any may have an @.
    let name = word.strip_suffix(b":").unwrap_or(word);
    let bare = name.iter().rposition(|byte| *byte == b'@').map_or(name, |at| &name[..at]);
    let at = |name: &[u8]| interfaces.iter().position(|interface| interface.name == name);
    let found = at(name).or_else(|| at(bare));
    Ok(found.map(|at| interfaces.swap_remove(at)))
}
