//! Network namespaces that engines have made and in which no process need be: a pod's before
//! anything of it runs, and those that docker keeps for itself.

#![forbid(unsafe_code)]

use super::{Container, Source};
use crate::base::text::last;
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
        match self.addresses.is_empty() {
            true => path == self.file,
            // /var/run may be /run.
            false => self.file.is_empty() || last(path) == last(&self.file),
        }
    }

    /// Tells whether a namespace that it may be is it, by the addresses there.
    pub(crate) fn is_proven(&self, has: &dyn Fn(&IpAddr) -> bool) -> bool {
        self.addresses.is_empty() || self.addresses.iter().any(has)
    }
}
