//! A name of what an engine has prepared a network namespace for and in which nothing runs yet, or
//! nothing ever does.

#![forbid(unsafe_code)]

use super::Target;
use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::containers::engine::prepared;
use crate::containers::name::{label, spelled};
use crate::containers::word::Word;
use crate::containers::world::World;
use crate::host::root::Symlink;
use crate::host::{Host, mountinfo, namespaces};
use crate::kernel::netns::{Home, NetNs};
use crate::kernel::sock::Netlink;
use std::net::IpAddr;

/// Finds the namespace that was prepared for what `name` means in root's world, among those that
/// are mounted; None where there is none, or nothing proves that it is this one.
///
/// # Errors
/// Where there are several, or the machine refuses to be looked at.
pub(super) fn find(host: &Host, name: &[u8]) -> Result<Option<Target>> {
    let (root, word) = (World::root(host), Word::parse(name));
    let mut meant = prepared(&root);
    host.check()?;
    meant.retain(|one| {
        let is_engines = word.engine.is_none_or(|engine| one.container.is_of(engine));
        (is_engines && word.is_exactly(&one.container)) || word.text == spelled(&one.container)
    });
    if meant.is_empty() {
        return Ok(None);
    }
    let (home, netlink) = (Home::own()?, Netlink::default());
    let mut found: Option<(NetNs, String)> = None;
    for (inode, path) in mountinfo::nsfs(host) {
        if !meant.iter().any(|one| one.may_be_at(&path)) {
            continue;
        }
        let Some(netns) = open(host, inode, &path)? else { continue };
        let Some(there) = home.within(&netns, || addresses(&netlink))? else { continue };
        let mut its = meant.iter().filter(|one| one.may_be_at(&path));
        let Some(one) = its.find(|one| one.is_proven(&|ip| there.contains(ip))) else { continue };
        // Whoever runs there can take any address.
        if one.is_known_by_address() && has_processes(host, &netns) {
            continue;
        }
        match &found {
            Some((known, _)) if known.id == netns.id => {}
            Some((known, _)) => {
                let several = [known.id.ino, netns.id.ino].map(|inode| format!("--inode {inode}"));
                let message = format!(
                    "{} is ambiguous: two network namespaces were prepared for it",
                    quoted(name)
                );
                return Err(
                    Error::new(message).with_remedy(format!("say {}", several.join(" or ")))
                );
            }
            None => found = Some((netns, label(&one.container))),
        }
    }
    let Some((netns, label)) = found else { return Ok(None) };
    host.console.note(format_args!("no process of {label} is known, only its network namespace"));
    Ok(Some(Target::new(netns, label, None)))
}

/// Tells whether a process or thread is in a namespace.
fn has_processes(host: &Host, netns: &NetNs) -> bool {
    let all = namespaces::all(host);
    all.iter().any(|one| one.id == netns.id && (one.pid.is_some() || one.thread.is_some()))
}

/// Opens what is mounted at a path, unless that is the host's own namespace or hidden.
fn open(host: &Host, inode: u64, path: &[u8]) -> Result<Option<NetNs>> {
    let resolved = host.readable(path, host.resolve(path, Symlink::NoFollow));
    let Some(resolved) = resolved else { return Ok(None) };
    if host.check_answers(&resolved, path).is_err() {
        return Ok(None);
    }
    match NetNs::of_file(&resolved, path) {
        Err(error) if error.errno().is_none() => Ok(None),
        opened => Ok(Some(opened?).filter(|netns| netns.id.ino == inode && !host.is_hosts(netns))),
    }
}

/// Returns the addresses in the namespace that we are in.
fn addresses(netlink: &Netlink) -> Result<Vec<IpAddr>> {
    let mut found = Vec::new();
    for interface in netlink.all_interfaces()? {
        found.extend(interface.addresses.iter().map(|address| address.ip));
    }
    Ok(found)
}
