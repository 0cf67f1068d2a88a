//! Whether a process is in a network namespace that may be its container's.
//!
//! A container's root with CAP_SYS_ADMIN may join any namespace of which somebody hands over a
//! descriptor. What it joins that belongs to neither the container nor root is known by that; what
//! is another container's is not.

#![forbid(unsafe_code)]

use crate::base::text::{last, parts};
use crate::containers::engine::{NetnsSpec, Record, netns_spec};
use crate::containers::verdict::Held;
use crate::containers::world::World;
use crate::host::process::{Process, parse_pid, unless_gone};
use crate::host::root::Symlink;
use crate::kernel::netns::{INITIAL_USERNS, NsId, id_of, id_unasked};
use crate::sys::nsfs::{owning_userns, userns_owner};
use rustix::io::{self, Errno};

/// Where a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Where it may belong.
    Fits,
    /// In the host's network namespace, and its specification wants one made: it may still leave.
    Before,
    /// In the host's, or in one that another than root has made, and its specification does not say
    /// so: the container's root may have brought it there.
    Astray,
}

/// Tells where the held process of a record is. What its specification says is read only where that
/// may be in doubt.
pub(super) fn place_of(world: &World<'_>, record: &Record, held: &Held, is_hosts: bool) -> Place {
    let is_others = || world.user_of().is_none() && is_of_others(world, held);
    if !is_hosts && !is_others() {
        return Place::Fits;
    }
    match netns_spec(world, record) {
        Some(Some(NetnsSpec { path: Some(path) })) => {
            let specified = specified(world, &path, held.start);
            let is_there = specified == Ok(held.netns.id);
            let is_namespace = specified.is_ok_and(|it| it.dev == held.netns.id.dev);
            let is_dockers = is_hosts && !is_namespace && is_dockers_host(&path);
            if is_there || is_dockers { Place::Fits } else { Place::Astray }
        }
        Some(None) if is_hosts && !is_apart_by_nspawn(world, held) => Place::Fits,
        Some(None) => Place::Astray,
        // What is not known any more may have wanted one, too.
        _ if is_hosts => Place::Before,
        _ => Place::Astray,
    }
}

/// Tells whether a path is docker's for the host's network namespace, which it mounts in a
/// directory of its own where nobody else may see it: moby daemon/oci_linux.go. A pin may be called
/// so, too.
fn is_dockers_host(path: &[u8]) -> bool {
    let is_pin = path.starts_with(b"/run/netns/") || path.starts_with(b"/var/run/netns/");
    path.ends_with(b"/netns/default") && !is_pin
}

/// Tells whether the held process is in a network namespace that a user namespace owns which
/// another than root has made. The machine's own, in which root is, may be another's: a container
/// that is a machine of its own.
pub(super) fn is_of_others(world: &World<'_>, held: &Held) -> bool {
    let Ok(owner) = owning_userns(&held.netns) else { return false };
    let machines = world.host.stat_proc("1/ns/user").map_or(INITIAL_USERNS, |id| id.ino);
    let is_machines = id_of(&owner).is_ok_and(|owner| owner.ino == machines);
    !is_machines && userns_owner(owner).is_ok_and(|uid| uid != world.caller.root_uid)
}

/// Returns the identity of what a specification's path leads to. That of a process counts only if
/// the process was there when the container started, at `start` in clock ticks since boot: its pid
/// may have been reused since.
fn specified(world: &World<'_>, path: &[u8], start: u64) -> io::Result<NsId> {
    let host = world.host;
    let Some(below) = path.strip_prefix(b"/proc/") else {
        // A link to a process is none of an engine's.
        return host.resolve(path, Symlink::NoFollow).and_then(id_unasked);
    };
    let pid = parts(below, b'/').next().and_then(parse_pid).ok_or(Errno::NOENT)?;
    let process = Process::open(host, pid)?;
    let rest = below.splitn(2, |byte| *byte == b'/').nth(1).unwrap_or_default();
    let id = match rest {
        b"ns/net" => process.netns()?.id,
        _ => return Err(Errno::NOENT),
    };
    if process.stat()?.start <= start { Ok(id) } else { Err(Errno::SRCH) }
}

/// Tells whether systemd-nspawn, of which nothing is written down, was told to give the process a
/// network namespace: systemd-nspawn(1), "Networking Options".
fn is_apart_by_nspawn(world: &World<'_>, held: &Held) -> bool {
    let host = world.host;
    let words = || {
        let parent = Process::open(host, held.process.stat()?.parent)?;
        parent.read(host, "cmdline").map(|words| words.to_vec())
    };
    let Some(words) = unless_gone(host, held.process.pid, words()) else { return false };
    let mut words = parts(&words, 0);
    let is_nspawn = words.next().is_some_and(|program| last(program) == b"systemd-nspawn");
    is_nspawn
        && words.take_while(|word| word.starts_with(b"-")).any(|word| {
            word == b"-n" || word == b"--private-network" || word.starts_with(b"--network-")
        })
}
