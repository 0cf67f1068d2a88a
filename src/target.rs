//! From what the user named to one open namespace.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, keep};
use crate::cgroup::{self, Member};
use crate::cli::Target;
use crate::container::{self, Outcome, Proof};
use crate::engine::{Init, oci};
use crate::error::{Error, Result};
use crate::find;
use crate::host::Host;
use crate::namespaces;
use crate::netns::NetNs;
use crate::pinned;
use crate::process::{Process, diagnose};
use crate::root::Links;
use crate::suggest::unknown;
use crate::text::{quoted, text};
use rustix::fs::OFlags;
use std::os::unix::ffi::OsStrExt;

/// What a target resolves to: all that entering, pinning and looking need.
#[derive(Debug)]
pub struct Found {
    /// The namespace, verified and open.
    pub netns: NetNs,
    /// How messages call what was named, as in `process 3456`.
    pub label: Bytes,
    /// The process it was found by, held.
    pub process: Option<Process>,
    /// The pin it was found by, a name in /run/netns.
    pub pin: Option<Bytes>,
}

/// Finds the one namespace that `target` means on `host`.
///
/// # Errors
/// Where there is none, more than one, or any doubt.
pub fn resolve(host: &Host, target: &Target) -> Result<Found> {
    let found = match target {
        Target::Pid(pid) => by_pid(host, *pid),
        Target::Name(name) => by_name(host, name.as_bytes()),
        Target::Container(name) => by_container(host, name.as_bytes()),
        Target::Netns(name) => by_pin(host, name.as_bytes()),
        Target::File(path) => by_file(host, path.as_bytes()),
        Target::State(path) => by_state(host, path.as_bytes()),
        Target::Cgroup(path) => by_cgroup(host, path.as_bytes()),
        Target::Inode(inode) => by_inode(host, *inode),
        Target::Addr(ip) => find::by_addr(host, *ip),
        Target::Veth(name) => find::by_veth(host, name.as_bytes()),
    }?;
    let by = found.process.as_ref().map_or(&b""[..], |process| text!(", by process {}", process.pid));
    host.console.tell(text!("{} is in network namespace {}{}", found.label, found.netns.id.ino, by));
    Ok(found)
}

/// The one path without an expectation: the user vouches for the pid.
fn by_pid(host: &Host, pid: u32) -> Result<Found> {
    let netns = host
        .open_proc(text!("{}/ns/net", pid), OFlags::RDONLY)
        .and_then(NetNs::of_link)
        .map_err(|e| diagnose(host, pid, e))?;
    Ok(Found { netns, label: text!("process {}", pid), process: None, pin: None })
}

/// A bare word: both a container and a pin are fine where they are one namespace.
fn by_name(host: &Host, name: &[u8]) -> Result<Found> {
    let pin = pinned::open(host, name);
    match (container::find(host, name)?, pin) {
        (Outcome::Running(running), Ok(Some(pin))) if pin.id != running.netns.id => Err(Error::new(text!(
            "\"{}\" is ambiguous: {} is in {}, pin \"{}\" in {}",
            name,
            container::label(running.container),
            running.netns.id.ino,
            name,
            pin.id.ino
        ))
        .remedy(text!("say -c {} or -n {}", name, name))),
        (_, Err(error)) if error.errno.is_some() => Err(error),
        (Outcome::Running(running), Err(error)) => {
            // What the old recipe leaves behind must not hide the container.
            host.console.note(error.message);
            Ok(of_running(running))
        }
        (Outcome::Running(running), Ok(_)) => Ok(of_running(running)),
        (Outcome::Stopped(error), Ok(Some(netns))) => {
            host.console.note(text!("{}: this is its pin", error.message));
            Ok(of_pin(netns, name))
        }
        (_, Ok(Some(netns))) => Ok(of_pin(netns, name)),
        (_, Err(error)) => Err(error),
        (Outcome::Stopped(error), Ok(None)) => Err(error),
        (Outcome::Unknown, Ok(None)) => {
            Err(unknown(host, "container or pin", name, &container::all(host, None), &pinned::names(host)))
        }
    }
}

fn by_container(host: &Host, name: &[u8]) -> Result<Found> {
    match container::find(host, name)? {
        Outcome::Running(running) => Ok(of_running(running)),
        Outcome::Stopped(error) => Err(error),
        Outcome::Unknown => Err(unknown(host, "container", name, &container::all(host, None), &[])),
    }
}

fn of_running(running: container::Running) -> Found {
    let label = container::label(running.container);
    Found { netns: running.netns, label, process: Some(running.process), pin: None }
}

fn by_pin(host: &Host, name: &[u8]) -> Result<Found> {
    match pinned::open(host, name)? {
        Some(netns) => Ok(of_pin(netns, name)),
        None => Err(unknown(host, "pin", name, &[], &pinned::names(host))),
    }
}

fn of_pin(netns: NetNs, name: &[u8]) -> Found {
    Found { netns, label: text!("pin \"{}\"", name), process: None, pin: Some(keep(name)) }
}

fn by_file(host: &Host, path: &[u8]) -> Result<Found> {
    let located = host.locate(path, Links::Follow).map_err(|e| Error::cannot(text!("open \"{}\"", path), e))?;
    Ok(Found { netns: NetNs::of_file(&located, path)?, label: quoted(path), process: None, pin: None })
}

fn by_state(host: &Host, path: &[u8]) -> Result<Found> {
    let (record, owner) = oci::read_named(host, path)?;
    let label = text!("container of \"{}\"", path);
    let init = Init { start: record.start, ..Init::bare(record.pid, owner, keep(path)) };
    match container::prove(host, &init, label, record.id.unwrap_or_default())? {
        Proof::Alive(member) => of_member(host, member, label),
        Proof::Gone(reason) => Err(Error::new(text!("{} is not running{}", label, reason))),
    }
}

fn by_cgroup(host: &Host, text: &[u8]) -> Result<Found> {
    let dirs = cgroup::directories(host, text)?;
    let label = text!("cgroup \"{}\"", text);
    let mut members = cgroup::members(host, &dirs)?;
    if members.len() > 1 {
        return Err(cgroup::several(text, &members));
    }
    match members.pop() {
        Some(member) => of_member(host, member, label),
        None => Err(Error::new(text!("{} has no processes{}", label, host.but_unread()))),
    }
}

fn of_member(host: &Host, member: Member, label: Bytes) -> Result<Found> {
    container::trust(host, &member, label)?;
    Ok(Found { netns: member.netns, label, process: Some(member.process), pin: None })
}

/// The namespace with this inode, held by a process, a thread or a mount.
fn by_inode(host: &Host, inode: u64) -> Result<Found> {
    let label = text!("network namespace {}", inode);
    if let Some((netns, process)) = namespaces::by_inode(host, inode) {
        return Ok(Found { netns, label, process, pin: None });
    }
    Err(Error::new(text!("no {}{}", label, host.but_unread()))
        .remedy(b"lsns -t net and readlink /proc/PID/ns/net show inodes"))
}
