//! Network namespaces that engines have made and in which no process need be: a pod's before
//! anything of it runs, and those that docker keeps for itself.

#![forbid(unsafe_code)]

use super::{Container, Source};
use std::net::IpAddr;

/// A namespace, as its engine's files tell of it.
#[derive(Debug, PartialEq)]
pub(crate) struct Prepared {
    /// What it is for, though no process of that is known.
    pub(crate) container: Container,
    /// Where it is mounted; empty where that is not told.
    file: Vec<u8>,
    /// One of these must be on an interface there; none where the engine's own directory says by
    /// the file what it is.
    addresses: Vec<IpAddr>,
}

impl Prepared {
    pub(super) fn new(
        engine: &'static str,
        name: &[u8],
        id: &[u8],
        file: &[u8],
        addresses: Vec<IpAddr>,
    ) -> Prepared {
        let unnamed = Container::unnamed(engine, id, Source::Anywhere);
        let container = Container { name: name.to_vec(), ..unnamed };
        Prepared { container, file: file.to_vec(), addresses }
    }

    /// Tells whether it may be what is mounted at a path.
    pub(crate) fn may_be_at(&self, path: &[u8]) -> bool {
        match (self.addresses.is_empty(), self.file.is_empty()) {
            (true, _) => path == self.file,
            (false, true) => is_called_by_engines(path),
            (false, false) => in_run(path) == in_run(&self.file),
        }
    }

    /// Tells whether nothing but an address says which namespace it is.
    pub(crate) fn is_known_by_address(&self) -> bool {
        self.file.is_empty()
    }

    /// Tells whether another one has an address of this one.
    fn has_rival(&self, other: &Prepared) -> bool {
        let is_others = |ip: &IpAddr| other.addresses.contains(ip);
        self.container.id != other.container.id && self.addresses.iter().any(is_others)
    }

    /// Tells whether a namespace that it may be is it, by the addresses there.
    pub(crate) fn is_proven(&self, has: &dyn Fn(&IpAddr) -> bool) -> bool {
        self.addresses.is_empty() || self.addresses.iter().any(has)
    }
}

/// Returns those that are not known by an address alone that another one has, too: what was written
/// of one that is gone stays, and its address is given to another.
pub(super) fn without_doubtful(mut all: Vec<Prepared>) -> Vec<Prepared> {
    let has_rival = |one: &Prepared| all.iter().any(|other| one.has_rival(other));
    let is_doubtful = |one: &Prepared| one.is_known_by_address() && has_rival(one);
    let doubtful: Vec<bool> = all.iter().map(is_doubtful).collect();
    let mut doubtful = doubtful.into_iter();
    all.retain(|_| doubtful.next() != Some(true));
    all
}

/// Tells whether a path is one where containerd or CRI-O mounts a pod's namespace: cni-UUID or
/// UUID. Another mount may have any address, too, and is somebody else's.
fn is_called_by_engines(path: &[u8]) -> bool {
    const UUID: usize = 36;
    let Some(name) = in_run(path).strip_prefix(b"/run/netns/") else { return false };
    let is_of_uuid = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    let is_uuid = name.len() == UUID && name.iter().enumerate().all(is_of_uuid);
    is_uuid || name.starts_with(b"cni-")
}

/// Returns a path without the /var before a /run, which may be one with that.
fn in_run(path: &[u8]) -> &[u8] {
    path.strip_prefix(b"/var").filter(|rest| rest.starts_with(b"/run/")).unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_alone_means_no_mount_of_somebody_elses() {
        let names = ["/run/netns/cni-1", "/var/run/netns/7d2c1f5e-93aa-4c05-8d1e-0123456789ab"];
        assert!(names.iter().all(|name| is_called_by_engines(name.as_bytes())));
        let others = [
            "/run/netns/lab",
            "/run/netns/netns-7d2c1f5e-93aa-4c05-8d1e-0123456789ab",
            "/run/netns/7d2c1f5e-93aa-4c05-8d1e-0123456789ag",
            "/run/netns/7d2c1f5e93aa-4c05-8d1e-0123456789ab-",
            "/run/netns/sub/cni-1",
            "/run/docker/netns/cni-1",
            "/srv/cni-1",
        ];
        assert!(!others.iter().any(|name| is_called_by_engines(name.as_bytes())));
    }
}
