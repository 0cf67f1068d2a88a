//! Container engines: what each calls its containers, and what its runtime recorded of their first process.
//!
//! An engine answers two questions from files alone: [`Engine::each`], every container it knows, running or not; and
//! [`Engine::state`], the recorded init process of a full ID. What a record is worth is for [`crate::container`] to say.

#![forbid(unsafe_code)]

use crate::error::Result;
use crate::host::Host;

/// Whose engines are looked at: root's, or a user's rootless ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Base {
    /// Whose files these are: 0 for the system's.
    pub owner: u32,
    /// `/run`, or `/run/user/UID`.
    pub run: Vec<u8>,
    /// The user's home directory; None for the system's engines and where it is unknown.
    pub home: Option<Vec<u8>>,
}

/// A container, as its engine names it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The engine's word, as in `ENGINE:NAME`.
    pub engine: &'static str,
    /// Its name; for a pod `NAMESPACE/POD`, for a container in one `NAMESPACE/POD/CONTAINER`.
    pub name: Vec<u8>,
    /// Its full ID.
    pub id: Vec<u8>,
    /// Where to learn of its init process.
    pub evidence: Evidence,
    /// The uid that could have written the name: the file's owner, or the base's.
    pub owner: u32,
}

/// Where a container's init process is recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Below one of these directories, by ID, in the form of an OCI runtime.
    Oci(Vec<Vec<u8>>),
    /// Here.
    Init(Init),
    /// The processes of this cgroup directory: its init is the container's.
    Cgroup(Vec<u8>),
    /// Wherever any engine records this ID.
    Anywhere,
}

/// What a runtime recorded of a container's init process: a hint until the kernel confirms it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Init {
    /// Its pid on the host.
    pub pid: u32,
    /// Its start time in clock ticks, field 22 of /proc/PID/stat, where the runtime records one.
    pub start: Option<u64>,
    /// The inode of its network namespace, where that is recorded.
    pub inode: Option<u64>,
    /// The uid that could have written the record.
    pub owner: u32,
    /// The record's path.
    pub file: Vec<u8>,
}

/// One row of the table of engines.
pub struct Engine {
    /// The words it gives containers, as in `ENGINE:NAME`.
    pub words: &'static [&'static str],
    /// Adds every container of a base. With a needle, those whose files do not contain it may be left out unparsed.
    pub each: fn(&Host, &Base, Option<&[u8]>, &mut Vec<Container>) -> Result<()>,
    /// The records of a container by its full ID.
    pub state: fn(&Host, &Base, &[u8]) -> Result<Vec<Init>>,
}
