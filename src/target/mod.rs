//! From what the user named to one open namespace: one file for each kind of target.

#![forbid(unsafe_code)]

pub(crate) mod addr;
mod cgroup;
mod container;
mod file;
mod hint;
mod inode;
mod name;
mod pid;
mod pin;
mod prepared;
mod state;
pub(crate) mod suggest;
mod veth;

use crate::base::error::{Error, MORE_RIGHTS, Result};
use crate::containers::lookup::is_root;
use crate::host::Host;
use crate::host::process::Process;
use crate::kernel::netns::NetNs;
use addr::Addr;

/// What the user named, as the command line says it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TargetSpec {
    /// A bare word: container, pod or pin.
    Name(Vec<u8>),
    /// `--pid`
    Pid(u32),
    /// `--pid PID:INODE`
    Process {
        /// Its pid.
        pid: u32,
        /// That of its pidfd, or of its network namespace.
        inode: u64,
    },
    /// `--container`
    Container(Vec<u8>),
    /// `--netns`
    Netns(Vec<u8>),
    /// `--file`
    File(Vec<u8>),
    /// `--state`
    State(Vec<u8>),
    /// `--cgroup`
    Cgroup(Vec<u8>),
    /// `--inode`
    Inode(u64),
    /// `--inode id:N`
    Cookie(u64),
    /// `--addr`
    Addr(Addr),
    /// `--veth`
    Veth(Vec<u8>),
}

/// What a [`TargetSpec`] resolves to: all that entering, pinning and looking need.
#[derive(Debug)]
pub(crate) struct Target {
    /// The namespace, verified and open.
    pub(crate) netns: NetNs,
    /// How messages call what was named, as in `process 3456`; escaped.
    pub(crate) label: String,
    /// The process by which it was found, held.
    pub(crate) process: Option<Process>,
    /// The process that the user named, which is not held.
    pub(crate) pid: Option<u32>,
    /// The pin by which it was found, a name in /run/netns.
    pub(crate) pin: Option<Vec<u8>>,
}

impl Target {
    /// Makes a target that is neither a pin nor a pid the user named.
    pub(crate) fn new(netns: NetNs, label: String, process: Option<Process>) -> Target {
        Target { netns, label, process, pid: None, pin: None }
    }
}

/// Finds the one namespace that `spec` means on `host`.
///
/// # Errors
/// Where there is none, more than one, or any doubt.
pub(crate) fn resolve(host: &Host, spec: &TargetSpec) -> Result<Target> {
    let found = match spec {
        TargetSpec::Pid(pid) => pid::resolve(host, *pid),
        TargetSpec::Process { pid, inode } => pid::with_inode(host, *pid, *inode),
        TargetSpec::Name(name) => name::resolve(host, name),
        TargetSpec::Container(name) => container::resolve(host, name),
        TargetSpec::Netns(name) => pin::resolve(host, name),
        TargetSpec::File(path) => file::resolve(host, path),
        TargetSpec::State(path) => state::resolve(host, path),
        TargetSpec::Cgroup(text) => cgroup::resolve(host, text),
        TargetSpec::Inode(inode) => inode::resolve(host, *inode),
        TargetSpec::Cookie(cookie) => inode::resolve_cookie(host, *cookie),
        TargetSpec::Addr(addr) => addr::resolve(host, addr),
        TargetSpec::Veth(word) => veth::resolve(host, word),
    };
    host.check()?;
    let target = found?;
    let by = target.process.as_ref().map(|process| format!(", by process {}", process.pid));
    if matches!(spec, TargetSpec::Name(_) | TargetSpec::Container(_)) {
        host.note_unread();
    }
    let (label, inode, by) = (&target.label, target.netns.id.ino, by.unwrap_or_default());
    host.console.tell(format_args!("{label} is in network namespace {inode}{by}"));
    Ok(target)
}

/// Makes the failure of what was not found: `absent`, with a remedy for that; for a caller who may
/// look at little no more than that `what` was not found.
fn not_found(host: &Host, what: &str, absent: String, remedy: &str) -> Error {
    let unread = host.but_unread();
    if unread.is_empty() || is_root(host) {
        return Error::new(absent + &unread).absent().with_remedy(remedy);
    }
    Error::new(format!("{what} not found{unread}")).absent().with_remedy(MORE_RIGHTS)
}
