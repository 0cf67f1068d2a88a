//! From what the user named to one open namespace.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, keep};
use crate::cgroup::{self, Member};
use crate::cli::Target;
use crate::container::{self, Outcome, Running};
use crate::engine::oci;
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

impl Found {
    /// What was found, but not as a pin.
    pub fn new(netns: NetNs, label: Bytes, process: Option<Process>) -> Box<Found> {
        Box::new(Found { netns, label, process, pin: None })
    }
}

/// Finds the one namespace that `target` means on `host`.
///
/// # Errors
/// Where there is none, more than one, or any doubt.
pub fn resolve(host: &Host, target: &Target) -> Result<Box<Found>> {
    let found = match target {
        Target::Pid(pid) => by_pid(host, *pid),
        Target::Name(name) => by_name(host, name),
        Target::Container(name) => by_container(host, name),
        Target::Netns(name) => by_pin(host, name),
        Target::File(path) => by_file(host, path),
        Target::State(path) => by_state(host, path),
        Target::Cgroup(path) => by_cgroup(host, path),
        Target::Inode(inode) => by_inode(host, *inode),
        Target::Addr(ip) => find::by_addr(host, ip),
        Target::Veth(name) => find::by_veth(host, name),
    }?;
    let by = found.process.as_ref().map_or(&b""[..], |process| text!(", by process {}", process.pid));
    host.console.tell(text!("{} is in network namespace {}{}", found.label, found.netns.id.ino, by));
    Ok(found)
}

/// The one path without an expectation: the user vouches for the pid.
fn by_pid(host: &Host, pid: u32) -> Result<Box<Found>> {
    let netns = host
        .open_proc(text!("{}/ns/net", pid), OFlags::RDONLY)
        .and_then(NetNs::of_link)
        .map_err(|e| diagnose(host, pid, e))?;
    Ok(Found::new(netns, text!("process {}", pid), None))
}

/// A bare word: both a container and a pin are fine where they are one namespace.
fn by_name(host: &Host, name: &[u8]) -> Result<Box<Found>> {
    let pin = pinned::open(host, name);
    let outcome = container::find(host, name)?;
    let pin = match pin {
        // What the old recipe leaves behind must not hide the container.
        Err(error) if error.errno.is_none() && matches!(outcome, Outcome::Running(_)) => {
            host.console.note(error.message);
            None
        }
        pin => pin?,
    };
    match (outcome, pin) {
        (Outcome::Running(running), Some(pin)) if pin.id != running.netns.id => {
            let (label, there, here) = (container::label(running.container), running.netns.id.ino, pin.id.ino);
            let message = text!("\"{}\" is ambiguous: {} is in {}, pin \"{}\" in {}", name, label, there, name, here);
            Err(Error::new(message).remedy(text!("say -c {} or -n {}", name, name)))
        }
        (Outcome::Running(running), _) => Ok(of_running(*running)),
        (outcome, Some(netns)) => {
            if let Outcome::Stopped(error) = outcome {
                host.console.note(text!("{}: this is its pin", error.message));
            }
            Ok(of_pin(netns, name))
        }
        (Outcome::Stopped(error), None) => Err(error),
        (Outcome::Unknown, None) => {
            Err(unknown(host, "container or pin", name, &container::all(host, None), pinned::names(host)))
        }
    }
}

fn by_container(host: &Host, name: &[u8]) -> Result<Box<Found>> {
    match container::find(host, name)? {
        Outcome::Running(running) => Ok(of_running(*running)),
        Outcome::Stopped(error) => Err(error),
        Outcome::Unknown => Err(unknown(host, "container", name, &container::all(host, None), &[])),
    }
}

fn of_running(running: Running) -> Box<Found> {
    Found::new(running.netns, container::label(running.container), Some(running.process))
}

fn by_pin(host: &Host, name: &[u8]) -> Result<Box<Found>> {
    match pinned::open(host, name)? {
        Some(netns) => Ok(of_pin(netns, name)),
        None => Err(unknown(host, "pin", name, &[], pinned::names(host))),
    }
}

fn of_pin(netns: NetNs, name: &[u8]) -> Box<Found> {
    let mut found = Found::new(netns, text!("pin \"{}\"", name), None);
    found.pin = Some(keep(name));
    found
}

fn by_file(host: &Host, path: &[u8]) -> Result<Box<Found>> {
    let located = host.locate(path, Links::Follow).map_err(|e| Error::cannot(text!("open \"{}\"", path), e))?;
    Ok(Found::new(NetNs::of_file(&located, path)?, quoted(path), None))
}

fn by_state(host: &Host, path: &[u8]) -> Result<Box<Found>> {
    let init = oci::read_named(host, path)?;
    let label = text!("container of \"{}\"", path);
    let mut reason: Bytes = b"";
    match container::prove(host, init, label, init.id, &mut reason)? {
        Some(member) => of_member(host, member, label),
        None => Err(Error::new(text!("{} is not running{}", label, reason))),
    }
}

fn by_cgroup(host: &Host, text: &[u8]) -> Result<Box<Found>> {
    let dirs = cgroup::directories(host, text)?;
    let label = text!("cgroup \"{}\"", text);
    let mut members = cgroup::members(host, dirs)?;
    if members.len() > 1 {
        return Err(cgroup::several(text, &members));
    }
    match members.pop() {
        Some(member) => of_member(host, member, label),
        None => Err(Error::new(text!("{} has no processes{}", label, host.but_unread()))),
    }
}

fn of_member(host: &Host, member: Box<Member>, label: Bytes) -> Result<Box<Found>> {
    container::trust(host, &member, label)?;
    Ok(Found::new(member.netns, label, Some(member.process)))
}

/// The namespace with this inode, held by a process, a thread or a mount.
fn by_inode(host: &Host, inode: u64) -> Result<Box<Found>> {
    let label = text!("network namespace {}", inode);
    if let Some((netns, process)) = namespaces::by_inode(host, inode) {
        return Ok(Found::new(netns, label, process));
    }
    Err(Error::new(text!("no {}{}", label, host.but_unread()))
        .remedy(b"lsns -t net and readlink /proc/PID/ns/net show inodes"))
}
