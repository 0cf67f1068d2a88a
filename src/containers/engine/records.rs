//! What runtimes record of a container's first process, and the places where they do.
//!
//! A place is a row, its kind says how it has its records: so an engine says where its runtimes
//! are, and reading is the same for all.

#![forbid(unsafe_code)]

use crate::base::text::{find, last};
use std::rc::Rc;

/// A place in which processes are recorded by the IDs of their containers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Root {
    /// The word of whose containers these are.
    pub(crate) word: &'static str,
    /// How.
    pub(crate) kind: Kind,
    /// The directory.
    pub(crate) path: Vec<u8>,
    /// Whether it is one of containerd's namespaces, of its name.
    pub(crate) is_namespaced: bool,
}

/// How a place has its records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `ID/state.json` (runc, youki) or `ID/status` (crun).
    Runtime,
    /// `ID/init.pid`, with the specification in `ID/config.json`: containerd.
    Bundle,
    /// `ID/userdata/state.json` (CRI-O) or `ID/userdata/pidfile` (podman).
    Userdata,
    /// `ID_sandbox:SANDBOX.state`: gVisor.
    Gvisor,
    /// `ID_sandbox:ID.state`: gVisor where each container has a sandbox of its own.
    GvisorAlone,
    /// `ID/state.json` or `ID/persist.json`: Kata Containers.
    Kata,
    /// A file called like the container: machined.
    Machines,
    /// None: below this cgroup a daemon makes those of containers that are not told otherwise.
    CgroupParent,
}

impl Root {
    /// Makes a place of no namespace of containerd's.
    pub(crate) fn new(word: &'static str, kind: Kind, path: Vec<u8>) -> Root {
        Root { word, kind, path, is_namespaced: false }
    }

    /// Returns containerd's namespace whose containers these are.
    pub(super) fn namespace(&self) -> Option<&[u8]> {
        self.is_namespaced.then(|| last(&self.path))
    }

    /// Tells whether it is this place, whoever calls it theirs.
    pub(super) fn is_at(&self, other: &Root) -> bool {
        self.kind == other.kind && self.path == other.path
    }
}

/// What a runtime recorded of a container's first process: a hint until the kernel confirms it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
    /// Its pid on the host.
    pub pid: u32,
    /// Its start time in clock ticks, field 22 of /proc/PID/stat, where the runtime records one.
    pub start: Option<u64>,
    /// The inode of its pidfd, where that is recorded (machined).
    pub pidfd_inode: Option<u64>,
    /// The cgroup paths, from the top of a hierarchy, one of which it is in, or below: where
    /// neither a start time nor a pidfd's inode is recorded.
    pub cgroups: Vec<Vec<u8>>,
    /// The systemd unit that it is in, wherever systemd has that; empty where none is recorded.
    pub unit: Vec<u8>,
    /// Set where the process is a sandbox around the container.
    pub sandbox: Option<Sandbox>,
    /// The record's path.
    pub file: Vec<u8>,
    /// The container's ID as the record or its path tells it; empty where they do not.
    pub id: Vec<u8>,
}

impl Record {
    /// Makes the record of a pid.
    pub(super) fn of(pid: u32) -> Record {
        Record { pid, ..Record::default() }
    }
}

/// The network namespace of a container's specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NetnsSpec {
    /// The file that it was to be taken from; None where it was to be made.
    pub path: Option<Vec<u8>>,
}

/// A virtual machine or kernel of its own that a container runs in.
#[derive(Clone, Debug, PartialEq)]
pub struct Sandbox {
    /// Its ID.
    pub id: Vec<u8>,
    /// What somebody who enters should know, to follow the container's name.
    pub note: &'static str,
}

/// What was found of a container's records.
#[derive(Debug, Default)]
pub(crate) struct Records {
    /// All of them; those with a start time stand alone: no bare pid is asked for beside them.
    pub(crate) found: Rc<[Record]>,
    /// Where they were looked for.
    pub(crate) places: Vec<Vec<u8>>,
    /// Whether one of these places, or a record, could not be read.
    pub(crate) is_partial: bool,
}

/// Returns both IDs in `ID_sandbox:SANDBOX.state`.
pub fn gvisor_ids(file: &[u8]) -> Option<(&[u8], &[u8])> {
    const BETWEEN: &[u8] = b"_sandbox:";
    let stem = file.strip_suffix(b".state")?;
    let end = find(stem, BETWEEN)?;
    let (id, sandbox) = (&stem[..end], &stem[end + BETWEEN.len()..]);
    (!id.is_empty() && !sandbox.is_empty()).then_some((id, sandbox))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_after_container_and_sandbox() {
        assert_eq!(gvisor_ids(b"abc_sandbox:def.state"), Some((&b"abc"[..], &b"def"[..])));
        for other in
            ["abc_sandbox:def.lock", "_sandbox:def.state", "abc_sandbox:.state", "abc.state"]
        {
            assert_eq!(gvisor_ids(other.as_bytes()), None, "{other}");
        }
    }
}
