//! `--inode`: the namespace with this inode, or this cookie, held by whatever keeps one.

#![forbid(unsafe_code)]

use super::{Target, not_found};
use crate::base::error::{Error, Result};
use crate::base::escape::shown;
use crate::host::Host;
use crate::host::holders::Holder;
use crate::host::namespaces::{Namespace, Opened, all, all_with_holders, by_inode};
use crate::kernel::cookie;
use crate::kernel::netns::Home;

/// Opens the namespace that has this inode.
///
/// # Errors
/// Where nothing that may be looked at holds it.
pub(super) fn resolve(host: &Host, inode: u64) -> Result<Target> {
    let label = format!("network namespace {inode}");
    if let Some((netns, process)) = by_inode(host, inode) {
        return Ok(Target::new(netns, label, process));
    }
    // What was found first may have let it go meanwhile: then all are asked.
    let mut wanted = Some(inode);
    loop {
        let mut found = all_with_holders(host, wanted)?.0.into_iter();
        let Some(namespace) = found.find(|namespace| namespace.id.ino == inode) else {
            let remedy =
                "netns-enter --list --deep, lsns -t net and readlink /proc/PID/ns/net show them";
            return Err(not_found(host, &label, format!("no {label}"), remedy));
        };
        match (namespace.open_with_holder(host), wanted.take()) {
            (Some((netns, process)), _) => return Ok(Target::new(netns, label, process)),
            (None, None) => return Err(not_opened(host, &label, &namespace)),
            (None, Some(_)) => {}
        }
    }
}

/// Opens the namespace that has this cookie, which the kernel gives to no other until the machine
/// is restarted.
///
/// # Errors
/// As [`resolve`].
pub(super) fn resolve_cookie(host: &Host, cookie: u64) -> Result<Target> {
    let label = format!("network namespace id:{cookie}");
    let home = Home::own()?;
    let mut found = with_cookie(host, &home, &all(host), cookie)?;
    if found.is_none() {
        let namespaces = all_with_holders(host, None)?.0;
        found = with_cookie(host, &home, &namespaces, cookie)?;
        let held = namespaces.iter().find(|namespace| namespace.cookie == Some(cookie));
        if let (None, Some(namespace)) = (&found, held) {
            return Err(not_opened(host, &label, namespace));
        }
    }
    let (netns, process) = found.ok_or_else(|| {
        let remedy = "the kernel's own numbers are those of NS_GET_ID, of SO_NETNS_COOKIE and of \
            cookie in --list --json; they need Linux 5.14";
        not_found(host, &label, format!("no {label}"), remedy)
    })?;
    Ok(Target::new(netns, label, process))
}

/// Opens the one of these that has this cookie.
fn with_cookie(
    host: &Host,
    home: &Home,
    namespaces: &[Namespace],
    wanted: u64,
) -> Result<Option<Opened>> {
    for namespace in namespaces {
        if namespace.cookie.is_some_and(|cookie| cookie != wanted) {
            continue;
        }
        if let Some(opened) = namespace.open_with_holder(host) {
            if cookie::of(home, &opened.0)? == Some(wanted) {
                return Ok(Some(opened));
            }
        }
    }
    Ok(None)
}

/// Makes the failure of what is held, but not so that it can be entered.
fn not_opened(host: &Host, label: &str, namespace: &Namespace) -> Error {
    let unread = host.but_unread();
    let Some(holder) = namespace.holders.first() else {
        return Error::new(format!("{label} has just ended{unread}"));
    };
    let told = holder.told(host);
    let error =
        Error::new(format!("{label} cannot be opened through what holds it: {told}{unread}"));
    match holder {
        Holder::Mount(_) => error.with_remedy("another mount hides it: umount that one"),
        Holder::ForeignMount { pid, fd: None, path } => {
            let path = shown(path);
            error.with_remedy(format!("try it yourself: netns-enter --file /proc/{pid}/root{path}"))
        }
        _ => error,
    }
}
