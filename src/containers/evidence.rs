//! Whether the kernel agrees with what is recorded of a container's init process, and whose word it
//! is.
//!
//! A record names a pid, and pids are used again. So the process is held first, and then what was
//! recorded of it is compared with what it is: its start time, its network namespace, or its
//! cgroup.

#![forbid(unsafe_code)]

use super::engine::{Container, ENGINES, Place, Record, Source, oci, places};
use super::init::{Nested, init_by_id, init_of, names_id};
use super::name::label;
use super::word::is_full_id;
use crate::base::error::{Error, Result};
use crate::base::escape::{quoted, shown};
use crate::host::Host;
use crate::host::cgroup::Member;
use crate::host::process::{Process, cgroup_paths, diagnose, is_dead, is_gone};
use crate::kernel::netns::NetNs;
use rustix::io::{self, Errno};
use rustix::process::geteuid;
use std::borrow::Cow;
use std::rc::Rc;
use std::slice;

/// The uids that are nobody's: the one that stands for every uid that is not mapped (proc(5),
/// /proc/sys/kernel/overflowuid), and the one that means "unknown".
const UNMAPPED: [u32; 2] = [65534, u32::MAX];

/// What the kernel says of a container that an engine names, or of a record of its init process.
#[derive(Debug)]
pub(crate) enum Verdict<T> {
    /// It runs: this is its init process, or all of them.
    Running(T),
    /// It does not run.
    NotRunning(Reason),
    /// A process of this pid is alive, but nothing recorded in `file` tells whether it is the one.
    NotProven { pid: u32, file: Vec<u8> },
    /// The process may be the one and cannot be looked at.
    Unreadable { pid: u32, errno: Errno },
    /// Nothing is recorded of its init process.
    NoRecord,
}

/// Why a container does not run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reason {
    /// Its process has exited, and nobody has the pid.
    Ended,
    /// Another process has its pid. Start times are in clock ticks since boot.
    Reused {
        pid: u32,
        recorded: u64,
        found: u64,
        /// We are in a time namespace, so that the time found is not that of the host's clock.
        shifted: bool,
    },
}

/// A container whose init process is alive and verified.
#[derive(Debug)]
pub(crate) struct Running {
    /// What it is called.
    pub(crate) container: Rc<Container>,
    /// Its init process, held.
    pub(crate) process: Process,
    /// Its network namespace.
    pub(crate) netns: NetNs,
    /// The other user whose claim it is, about a namespace of their own.
    pub(crate) claimed_by: Option<u32>,
}

impl<T> Verdict<T> {
    /// Tells whether it certainly does not run.
    pub(super) fn is_stopped(&self) -> bool {
        matches!(self, Verdict::NotRunning(_) | Verdict::NoRecord)
    }

    /// Tells whether no process was found and no reason for that: a cgroup may still show one.
    fn is_unexplained(&self) -> bool {
        matches!(self, Verdict::NotRunning(Reason::Ended) | Verdict::NoRecord)
    }

    /// Returns what runs.
    ///
    /// # Errors
    /// Where nothing does, or nothing that is proven; `label` is what messages call the container.
    pub(crate) fn into_running(self, host: &Host, label: &str) -> Result<T> {
        Err(match self {
            Verdict::Running(running) => return Ok(running),
            Verdict::NotRunning(Reason::Reused { pid, recorded, found, shifted }) => {
                let shifted =
                    if shifted { "; we are in a time namespace, which shifts it" } else { "" };
                Error::new(format!(
                    "{label} is not running: its pid {pid} was reused \
                     (recorded start {recorded}, found {found}{shifted})"
                ))
            }
            Verdict::NotRunning(Reason::Ended) | Verdict::NoRecord => {
                Error::new(format!("{label} is not running"))
            }
            Verdict::NotProven { pid, file } => Error::new(format!(
                "{label}: nothing proves that process {pid} is still the one recorded in {}",
                quoted(&file)
            ))
            .with_remedy(format!("if it is: --pid {pid}")),
            Verdict::Unreadable { pid, errno } => diagnose(host, pid, errno),
        })
    }
}

/// Checks a container's records against the kernel. It may run more than once: two records under
/// one ID may both be of living processes.
///
/// # Errors
/// Where what is found is a claim of another user's about a namespace that is not theirs, or in
/// several namespaces; and where the machine refuses to be looked at.
pub(super) fn by_records(host: &Host, container: &Rc<Container>) -> Result<Verdict<Vec<Running>>> {
    let label = label(container);
    let mut alive = Vec::new();
    if let Source::Cgroup(dir) = &container.source {
        alive.extend(init_of(host, dir)?);
    }
    let mut reason = None;
    for record in records(host, container)?.iter() {
        tell(host, &label, &container.id, record);
        match verify(host, record, &container.id) {
            Verdict::Running(member) => alive.push(member),
            // That its pid was reused tells more than that it has ended.
            Verdict::NotRunning(Reason::Ended) => _ = reason.get_or_insert(Reason::Ended),
            Verdict::NotRunning(reused) => reason = Some(reused),
            Verdict::NoRecord => {}
            Verdict::NotProven { pid, file } => return Ok(Verdict::NotProven { pid, file }),
            Verdict::Unreadable { pid, errno } => return Ok(Verdict::Unreadable { pid, errno }),
        }
    }
    let mut running: Vec<Running> = Vec::new();
    for member in alive {
        let new = accept(member, container)?;
        if running.iter().all(|known| known.process.pid != new.process.pid) {
            running.push(new);
        }
    }
    Ok(match reason {
        _ if !running.is_empty() => Verdict::Running(running),
        Some(reason) => Verdict::NotRunning(reason),
        None => Verdict::NoRecord,
    })
}

/// As [`by_records`], and where no runtime knows a process of its ID, by the cgroup paths of all
/// processes.
///
/// # Errors
/// As [`by_records`].
pub(super) fn by_records_or_cgroups(
    host: &Host,
    container: &Rc<Container>,
) -> Result<Verdict<Vec<Running>>> {
    let verdict = by_records(host, container)?;
    if may_be_unrecorded(container, &verdict) {
        if let Some(member) = init_by_id(host, &container.id, Nested::Ignored)? {
            return Ok(Verdict::Running(vec![accept(member, container)?]));
        }
    }
    Ok(verdict)
}

/// Tells whether a container that no record shows to run may be found by its ID in the cgroup paths
/// of processes.
pub(super) fn may_be_unrecorded<T>(container: &Container, verdict: &Verdict<T>) -> bool {
    verdict.is_unexplained() && is_full_id(&container.id)
}

/// Tells what is recorded, for `--verbose`.
fn tell(host: &Host, label: &str, id: &[u8], record: &Record) {
    let start = record.start.map_or("not recorded".to_string(), |start| start.to_string());
    let (id, pid, file) = (shown(id), record.pid, quoted(&record.file));
    host.console.tell(format_args!("{label}: ID {id}, pid {pid}, start time {start}, by {file}"));
}

/// Returns all that is recorded of the container's init process.
fn records<'c>(host: &Host, container: &'c Container) -> Result<Cow<'c, [Record]>> {
    match &container.source {
        Source::Record(record) => Ok(slice::from_ref(record).into()),
        Source::Oci(dirs) => {
            let place = Place { owner: container.owner, run: Vec::new(), home: None };
            Ok(oci::records(host, &place, dirs, &container.id)?.into())
        }
        Source::Anywhere => {
            let mut found = Vec::new();
            for place in &places(host)? {
                for engine in ENGINES {
                    found.extend((engine.records)(host, place, &container.id)?);
                }
            }
            Ok(found.into())
        }
        Source::Cgroup(_) => Ok(Cow::default()),
    }
}

/// Holds the recorded process and compares what was recorded with what it is. `id` is the ID that
/// its cgroup has; empty where none is known.
pub(crate) fn verify(host: &Host, record: &Record, id: &[u8]) -> Verdict<Member> {
    match compare(host, record, id) {
        Ok(verdict) => verdict,
        Err(errno) if is_gone(errno) => Verdict::NotRunning(Reason::Ended),
        Err(errno) => Verdict::Unreadable { pid: record.pid, errno },
    }
}

/// As [`verify`], with what the kernel refused as an errno.
fn compare(host: &Host, record: &Record, id: &[u8]) -> io::Result<Verdict<Member>> {
    let pid = record.pid;
    let process = Process::open(host, pid)?;
    let stat = process.stat()?;
    if let Some(recorded) = record.start.filter(|start| *start != stat.start) {
        let (found, shifted) = (stat.start, host.in_time_namespace());
        return Ok(Verdict::NotRunning(Reason::Reused { pid, recorded, found, shifted }));
    }
    if is_dead(stat.state) {
        return Ok(Verdict::NotRunning(Reason::Ended));
    }
    let netns = process.netns()?;
    let member = Member { process, netns, owner: record.owner };
    Ok(match is_proven(host, &member, record, id) {
        true => Verdict::Running(member),
        false => Verdict::NotProven { pid, file: record.file.clone() },
    })
}

/// Tells whether a living process is the recorded one: by its start time, which was compared, its
/// namespace or its cgroup.
fn is_proven(host: &Host, member: &Member, record: &Record, id: &[u8]) -> bool {
    let of_sandbox = record.sandbox.as_ref().map_or(&b""[..], |sandbox| &sandbox.id);
    let is_its = |path: &[u8]| names_id(path, id) || names_id(path, of_sandbox);
    record.start.is_some()
        || record.inode == Some(member.netns.id.ino)
        || member.process.read(host, "cgroup").is_ok_and(|text| cgroup_paths(&text).any(is_its))
}

/// Accepts another user's claim only about a namespace of that user's own, and says so.
///
/// # Errors
/// Where the namespace is somebody else's.
pub(crate) fn check_claim(host: &Host, member: &Member, label: &str) -> Result<()> {
    note_claim(host, claimant(member.owner, &member.netns, label)?, label);
    Ok(())
}

/// Notes whose claim it is, where it is another user's.
pub(super) fn note_claim(host: &Host, claimed_by: Option<u32>, label: &str) {
    if let Some(uid) = claimed_by {
        host.console.note(format_args!("{label} is what uid {uid} says"));
    }
}

/// Makes a verified process that of a container. Whoever could have written either the record or
/// the name claims it.
///
/// # Errors
/// Where that is another user, and the namespace is not theirs.
pub(super) fn accept(member: Member, container: &Rc<Container>) -> Result<Running> {
    let owner = if member.owner == 0 { container.owner } else { member.owner };
    let claimed_by = claimant(owner, &member.netns, &label(container))?;
    let container = Rc::clone(container);
    Ok(Running { container, process: member.process, netns: member.netns, claimed_by })
}

/// Returns the user to be named, where `owner` is another than root and us.
fn claimant(owner: u32, netns: &NetNs, label: &str) -> Result<Option<u32>> {
    if !is_foreign(owner) {
        return Ok(None);
    }
    if UNMAPPED.contains(&owner) || !netns.is_of_user(owner) {
        let fault = format!("network namespace {} is not of that user", netns.id.ino);
        return Err(Error::new(format!("{label} is only what uid {owner} says, and {fault}"))
            .with_remedy("if you know better: --pid PID"));
    }
    Ok(Some(owner))
}

/// Tells whether what `owner` wrote is another user's claim.
pub(super) fn is_foreign(owner: u32) -> bool {
    owner != 0 && owner != geteuid().as_raw()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;

    fn message(verdict: Verdict<Member>) -> String {
        let host = Host::own(Console::default());
        verdict.into_running(&host, "container \"web\" (runc)").unwrap_err().message().to_string()
    }

    #[test]
    fn a_record_holds_only_for_the_process_that_was_recorded() {
        let host = Host::own(Console::default());
        let own = Process::open(&host, std::process::id()).unwrap();
        let start = own.stat().unwrap().start;
        let record = Record { pid: own.pid, start: Some(start), ..Record::default() };
        assert!(matches!(verify(&host, &record, b""), Verdict::Running(_)));

        let inode = Some(own.netns().unwrap().id.ino);
        let record = Record { pid: own.pid, inode, ..Record::default() };
        assert!(matches!(verify(&host, &record, b""), Verdict::Running(_)));

        let record = Record { pid: own.pid, start: Some(start + 1), ..Record::default() };
        let Verdict::NotRunning(reason) = verify(&host, &record, b"") else { panic!() };
        let shifted = host.in_time_namespace();
        let reused = Reason::Reused { pid: own.pid, recorded: start + 1, found: start, shifted };
        assert_eq!(reason, reused);

        let file = b"/run/x".to_vec();
        let record = Record { pid: own.pid, inode: Some(1), file, ..Record::default() };
        assert!(
            matches!(verify(&host, &record, b""), Verdict::NotProven { pid, .. } if pid == own.pid)
        );

        let record = Record { pid: u32::MAX, start: Some(1), ..Record::default() };
        assert!(matches!(verify(&host, &record, b""), Verdict::NotRunning(Reason::Ended)));
    }

    #[test]
    fn what_does_not_run_is_told_with_the_reason() {
        let stopped = "container \"web\" (runc) is not running";
        assert_eq!(message(Verdict::NoRecord), stopped);
        assert_eq!(message(Verdict::NotRunning(Reason::Ended)), stopped);
        let reused = |shifted| Reason::Reused { pid: 7, recorded: 8, found: 9, shifted };
        assert_eq!(
            message(Verdict::NotRunning(reused(false))),
            format!("{stopped}: its pid 7 was reused (recorded start 8, found 9)")
        );
        assert_eq!(
            message(Verdict::NotRunning(reused(true))),
            format!(
                "{stopped}: its pid 7 was reused (recorded start 8, found 9; \
                 we are in a time namespace, which shifts it)"
            )
        );
        assert_eq!(
            message(Verdict::NotProven { pid: 7, file: b"/a\x1bb".to_vec() }),
            "container \"web\" (runc): nothing proves that process 7 is still the one recorded in \
             \"/a\\x1bb\""
        );
    }
}
