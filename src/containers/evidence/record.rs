//! Evidence by records: does a living process fit what a runtime recorded?
//!
//! The process is held first; then what was recorded of it is compared with what it is. What is
//! seen is collected by [`see`]; what follows from it is decided by [`judge`], which looks at
//! nothing.

#![forbid(unsafe_code)]

use super::cgroup::{groups, is_within};
use super::place::{Place, place_of};
use super::thread::{has_other_threads, hold, is_hidden};
use crate::containers::engine::Record;
use crate::containers::verdict::{Difference, Doubt, Held, Refusal, Verdict, Why};
use crate::containers::world::World;
use crate::host::Host;
use crate::host::cgroup::above;
use crate::host::process::{Process, is_dead, is_gone};
use crate::host::root::Symlink;
use rustix::fs::{fstat, fstatfs};
use rustix::io::{self, Errno};

/// What is seen of a process that a record names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Observed {
    /// The record's file was written before the machine was started last.
    is_old: bool,
    life: Life,
    /// The start time.
    start: u64,
    /// Start times are shifted by our time namespace.
    shifted: bool,
    /// It was started after the record's file was written.
    is_younger: bool,
    /// It is in the host's network namespace.
    is_hosts: bool,
    place: Place,
    /// The inode of its pidfd, where the kernel has one for each process.
    pidfd: Option<u64>,
    /// Whether it is in a cgroup that is recorded; None where that cannot be told.
    is_inside: Option<bool>,
}

/// Whether a process lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Life {
    Alive,
    /// There is none of this pid.
    Gone,
    Zombie,
    /// Its first thread has ended, and the others are in several network namespaces.
    Apart,
    Unreadable(Errno),
}

/// Decides what a record and what is seen of its process prove.
pub(super) fn judge(record: &Record, seen: &Observed) -> Result<(), Refusal> {
    let pid = record.pid;
    let is_dated = record.start.is_some() || record.pidfd_inode.is_some();
    if seen.is_old && is_dated {
        return Err(Refusal::NotRunning(Why::BeforeBoot { file: record.file.clone() }));
    }
    let reused = |by| Err(Refusal::NotRunning(Why::Reused { pid, by }));
    let has_start = matches!(seen.life, Life::Alive | Life::Zombie | Life::Apart);
    if let Some(recorded) = record.start.filter(|start| has_start && *start != seen.start) {
        let (found, shifted) = (seen.start, seen.shifted);
        return reused(Difference::Start { recorded, found, shifted });
    }
    match seen.life {
        Life::Alive => {}
        Life::Gone => return Err(Refusal::NotRunning(Why::Ended)),
        Life::Zombie => return Err(Refusal::NotRunning(Why::Zombie { pid })),
        Life::Apart => return Err(Doubt::Threads { pid }.into()),
        Life::Unreadable(errno) => return Err(Doubt::Unreadable { pid, errno }.into()),
    }
    match (record.start, record.pidfd_inode, seen.pidfd, seen.is_inside) {
        (Some(_), ..) => {}
        (_, Some(recorded), Some(found), _) if recorded == found => {}
        (_, Some(recorded), Some(found), _) => {
            return reused(Difference::Pidfd { recorded, found });
        }
        _ if seen.is_younger => return reused(Difference::Age),
        (.., Some(true)) => {}
        (.., Some(false)) => return reused(Difference::Cgroup),
        (.., None) => {
            let (file, is_hosts) = (record.file.clone(), seen.is_hosts);
            return Err(Doubt::Unproven { pid, file, is_hosts }.into());
        }
    }
    match seen.place {
        Place::Fits => Ok(()),
        Place::Before => Err(Refusal::Starting),
        Place::Astray if seen.is_hosts => Err(Doubt::OfHost { pid }.into()),
        Place::Astray => Err(Doubt::OfOther { pid }.into()),
    }
}

/// Decides what the records of one kind prove together; None where there is none.
pub(super) fn combine(verdicts: Vec<Verdict>) -> Option<Verdict> {
    let mut best: Option<Verdict> = None;
    for verdict in verdicts {
        match (&best, &verdict) {
            (Some(Ok(known)), Ok(held)) if known.process.pid != held.process.pid => {
                let pids = [known.process.pid, held.process.pid];
                return Some(Err(Doubt::TwoRecords { pids }.into()));
            }
            (Some(Ok(_)), _) => {}
            (Some(Err(known)), Err(refusal)) if weight(refusal) <= weight(known) => {}
            _ => best = Some(verdict),
        }
    }
    best
}

/// Orders what is told where no record holds: that one may hold before why one does not, and of
/// reasons the one that says most.
fn weight(refusal: &Refusal) -> u32 {
    match refusal {
        Refusal::NotRunning(Why::NotRecorded | Why::Ended) => 0,
        Refusal::NotRunning(Why::BeforeBoot { .. }) => 1,
        Refusal::NotRunning(Why::Zombie { .. }) => 2,
        Refusal::NotRunning(Why::Reused { .. }) => 3,
        Refusal::NotProven(_) | Refusal::NoRecord { .. } => 4,
        Refusal::Starting => 5,
    }
}

/// Rules on a record.
pub(super) fn verify(world: &World<'_>, record: &Record) -> Verdict {
    let (seen, held) = see(world, record);
    judge(record, &seen)?;
    let Some(mut held) = held else { return Err(Doubt::Changing.into()) };
    held.note = record.sandbox.as_ref().map(|sandbox| sandbox.note);
    Ok(held)
}

/// Holds the process that a record names and looks at what the record can be compared with.
fn see(world: &World<'_>, record: &Record) -> (Observed, Option<Held>) {
    let host = world.host;
    let mut seen = Observed {
        is_old: false,
        life: Life::Gone,
        start: 0,
        shifted: false,
        is_younger: false,
        is_hosts: false,
        place: Place::Fits,
        pidfd: None,
        is_inside: None,
    };
    let held = match hold_recorded(host, record, &mut seen) {
        Ok(Some(held)) => held,
        Ok(None) => return (seen, None),
        Err(e) => {
            if !is_gone(e) || is_hidden(world, record.pid) {
                seen.life = Life::Unreadable(e);
            }
            return (seen, None);
        }
    };
    seen.is_hosts = host.is_hosts(&held.netns);
    // Root reads nothing beside a file that a user wrote.
    if world.user_of().is_none() || !world.caller.is_root {
        seen.place = place_of(world, record, &held, seen.is_hosts);
    }
    if record.start.is_some() {
        seen.is_old = is_older_than_boot(host, &record.file);
    } else if record.pidfd_inode.is_some() {
        seen.pidfd = held.process.pidfd_inode(host);
        seen.is_old = is_older_than_boot(host, &record.file);
    }
    if record.start.is_none() {
        seen.is_younger = is_younger(host, seen.start, &record.file);
    }
    if record.start.is_none() && !(record.cgroups.is_empty() && record.unit.is_empty()) {
        seen.is_inside = is_inside(world, &held.process, record);
    }
    (seen, Some(held))
}

fn hold_recorded(host: &Host, record: &Record, seen: &mut Observed) -> io::Result<Option<Held>> {
    let process = Process::open(host, record.pid)?;
    let stat = process.stat()?;
    seen.start = stat.start;
    seen.life =
        if is_dead(stat.state) && !has_other_threads(&stat) { Life::Zombie } else { Life::Alive };
    if record.start.is_some_and(|start| start != stat.start) {
        seen.shifted = host.in_time_namespace();
        return Ok(None);
    }
    if seen.life == Life::Zombie {
        return Ok(None);
    }
    match hold(host, process) {
        Ok(None) => {
            seen.life = Life::Apart;
            Ok(None)
        }
        Err(e) if is_gone(e) => {
            seen.life = Life::Gone;
            Err(e)
        }
        held => held,
    }
}

/// Tells whether a process is in a cgroup that is recorded, or that of the unit; None where that
/// cannot be told.
fn is_inside(world: &World<'_>, process: &Process, record: &Record) -> Option<bool> {
    let paths = world.cgroup_paths(process)?;
    let is_in = |group: &&[u8]| paths.iter().any(|path| is_within(path, group));
    let of_unit = || paths.iter().filter_map(|path| unit_path(path, &record.unit)).find(is_in);
    let recorded = record.cgroups.iter().map(Vec::as_slice).find(is_in).or_else(of_unit);
    let Some(group) = recorded else { return world.has_cgroups().then_some(false) };
    // A user's word is not more than that: what it is about is for who asks to judge. A cgroup of
    // this path that is another's proves nothing.
    let is_claim = world.user_of().is_some() && world.caller.is_root;
    let is_its = record.unit.is_empty() || is_units(group);
    let is_proof = is_claim || (is_its && !groups(world, group).is_empty());
    is_proof.then_some(true)
}

/// Returns the cgroup that is called like a unit and that a path leads to, or below it.
fn unit_path<'p>(path: &'p [u8], unit: &[u8]) -> Option<&'p [u8]> {
    let mut end = 0;
    path.split(|byte| *byte == b'/').find(|part| {
        end += part.len() + 1;
        *part == unit && !unit.is_empty()
    })?;
    Some(&path[..end - 1])
}

/// Tells whether systemd has a unit of root's in this cgroup: below slices alone, which are no
/// user's.
fn is_units(group: &[u8]) -> bool {
    let is_slice = |part: &[u8]| part.ends_with(b".slice") && part != b"user.slice";
    above(group)[1..].split(|byte| *byte == b'/').all(is_slice)
}

/// Tells whether a process of this start time was started after a file was written. In a time
/// namespace of our own nobody tells.
fn is_younger(host: &Host, start: u64, file: &[u8]) -> bool {
    /// btime and start times are rounded.
    const SLACK_SECONDS: i64 = 2;
    let written = host.resolve(file, Symlink::Follow).and_then(|file| Ok(fstat(file)?.st_mtime));
    let Some(written) = host.readable(file, written) else { return false };
    match host.began(start) {
        Ok(began) => began > written + SLACK_SECONDS && !host.in_time_namespace(),
        Err(error) => {
            host.fail(error);
            false
        }
    }
}

/// Tells whether a file was written before the machine was started last, so that another boot's
/// pids are in it. What is on a tmpfs was not.
fn is_older_than_boot(host: &Host, file: &[u8]) -> bool {
    /// TMPFS_MAGIC and RAMFS_MAGIC, linux/magic.h.
    const VOLATILE: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    /// btime is rounded, and file systems have clocks of their own.
    const SLACK_SECONDS: u64 = 2;
    let opened = host.resolve(file, Symlink::Follow);
    let asked = opened.and_then(|file| Ok((fstatfs(&file)?.f_type as u64, fstat(&file)?.st_mtime)));
    let Some((kind, written)) = host.readable(file, asked) else { return false };
    if VOLATILE.contains(&kind) {
        return false;
    }
    match host.boot_time() {
        Ok(boot) => u64::try_from(written).unwrap_or(0) + SLACK_SECONDS < boot,
        Err(error) => {
            host.fail(error);
            false
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;

    #[test]
    fn a_unit_is_in_slices() {
        let unit = b"box.service";
        let found = |path: &'static [u8]| unit_path(path, unit);
        for path in [
            &b"/system.slice/box.service"[..],
            b"/machine.slice/box.service/payload",
            b"/system.slice/system-box.slice/box.service/a/box.service",
        ] {
            let group = found(path).unwrap();
            assert!(group.ends_with(unit) && is_units(group) && path.starts_with(group));
        }
        for path in [
            &b"/user.slice/user-1000.slice/box.service"[..],
            b"/docker/1/system.slice/box.service",
            b"/box.service/a.slice/x",
        ] {
            assert!(!is_units(found(path).unwrap()));
        }
        assert_eq!(found(b"/system.slice/box.service.d"), None);
        assert_eq!(unit_path(b"/system.slice/x", b""), None);
    }

    const ALIVE: Observed = Observed {
        is_old: false,
        life: Life::Alive,
        start: 9,
        shifted: false,
        is_younger: false,
        is_hosts: false,
        place: Place::Fits,
        pidfd: None,
        is_inside: None,
    };

    fn started() -> Record {
        Record { pid: 7, start: Some(9), file: b"/run/x".to_vec(), ..Record::default() }
    }

    fn pid_only() -> Record {
        Record { start: None, ..started() }
    }

    fn difference(ruling: Result<(), Refusal>) -> Difference {
        match ruling {
            Err(Refusal::NotRunning(Why::Reused { pid: 7, by })) => by,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_start_time_proves() {
        assert_eq!(judge(&started(), &ALIVE), Ok(()));
        // What else is recorded is not asked then.
        let seen = Observed { is_inside: Some(false), pidfd: Some(1), ..ALIVE };
        assert_eq!(judge(&started(), &seen), Ok(()));
    }

    #[test]
    fn another_start_time_is_another_process() {
        for life in [Life::Alive, Life::Zombie, Life::Apart] {
            let seen = Observed { start: 10, shifted: true, life, ..ALIVE };
            let by = Difference::Start { recorded: 9, found: 10, shifted: true };
            assert_eq!(difference(judge(&started(), &seen)), by);
        }
    }

    #[test]
    fn a_record_of_another_boot_proves_nothing() {
        let seen = Observed { is_old: true, ..ALIVE };
        let old = || Err(Refusal::NotRunning(Why::BeforeBoot { file: b"/run/x".to_vec() }));
        assert_eq!(judge(&started(), &seen), old());
        let by_inode = Record { pidfd_inode: Some(3), ..pid_only() };
        assert_eq!(judge(&by_inode, &Observed { pidfd: Some(3), ..seen }), old());
        // A cgroup is of this boot, whenever the pid was written down.
        assert_eq!(judge(&pid_only(), &Observed { is_inside: Some(true), ..seen }), Ok(()));
    }

    #[test]
    fn who_is_dead_does_not_run() {
        for record in [started(), pid_only()] {
            let ruling = |life| judge(&record, &Observed { life, is_inside: Some(true), ..ALIVE });
            assert_eq!(ruling(Life::Gone), Err(Refusal::NotRunning(Why::Ended)));
            assert_eq!(ruling(Life::Zombie), Err(Refusal::NotRunning(Why::Zombie { pid: 7 })));
            let denied = Doubt::Unreadable { pid: 7, errno: Errno::ACCESS };
            assert_eq!(ruling(Life::Unreadable(Errno::ACCESS)), Err(Refusal::NotProven(denied)));
            assert_eq!(ruling(Life::Apart), Err(Refusal::NotProven(Doubt::Threads { pid: 7 })));
        }
    }

    #[test]
    fn who_wants_a_new_namespace_and_is_in_the_hosts_is_starting() {
        let seen = Observed { is_hosts: true, ..ALIVE };
        let in_place = |place| judge(&started(), &Observed { place, ..seen });
        assert_eq!(in_place(Place::Fits), Ok(()));
        assert_eq!(in_place(Place::Before), Err(Refusal::Starting));
        assert_eq!(in_place(Place::Astray), Err(Doubt::OfHost { pid: 7 }.into()));
        let users = Observed { place: Place::Astray, ..ALIVE };
        assert_eq!(judge(&started(), &users), Err(Doubt::OfOther { pid: 7 }.into()));
    }

    #[test]
    fn a_pid_alone_needs_its_cgroup() {
        let hosts = Observed { is_hosts: true, ..ALIVE };
        let unproven = |is_hosts| Doubt::Unproven { pid: 7, file: b"/run/x".to_vec(), is_hosts };
        assert_eq!(judge(&pid_only(), &ALIVE), Err(Refusal::NotProven(unproven(false))));
        assert_eq!(judge(&pid_only(), &hosts), Err(Refusal::NotProven(unproven(true))));
        let inside = |is| judge(&pid_only(), &Observed { is_inside: Some(is), ..ALIVE });
        assert_eq!(inside(true), Ok(()));
        assert_eq!(difference(inside(false)), Difference::Cgroup);
        let late = Observed { is_inside: Some(true), is_younger: true, ..ALIVE };
        assert_eq!(difference(judge(&pid_only(), &late)), Difference::Age);
    }

    #[test]
    fn the_inode_of_a_pidfd_decides_where_the_kernel_has_one() {
        let record = Record { pidfd_inode: Some(3), ..pid_only() };
        let ruling = |pidfd, is_inside| judge(&record, &Observed { pidfd, is_inside, ..ALIVE });
        assert_eq!(ruling(Some(3), Some(false)), Ok(()));
        let by = Difference::Pidfd { recorded: 3, found: 4 };
        assert_eq!(difference(ruling(Some(4), Some(true))), by);
        assert_eq!(ruling(None, Some(true)), Ok(()));
        assert!(matches!(ruling(None, None), Err(Refusal::NotProven(Doubt::Unproven { .. }))));
    }

    fn own(host: &Host) -> Held {
        let process = Process::open(host, std::process::id()).unwrap();
        let (start, netns) = (process.stat().unwrap().start, process.netns().unwrap());
        Held { process, start, netns, note: None }
    }

    #[test]
    fn one_record_that_holds_is_enough_and_two_processes_are_too_many() {
        let host = Host::own(Console::default());
        let holds = || Ok(own(&host));
        let ended = || Err(Refusal::NotRunning(Why::Ended));
        let zombie = || Err(Refusal::NotRunning(Why::Zombie { pid: 7 }));
        assert!(combine(Vec::new()).is_none());
        assert!(matches!(combine(vec![ended(), holds(), holds()]), Some(Ok(_))));
        let verdict = combine(vec![ended(), zombie(), ended()]);
        assert!(matches!(verdict, Some(Err(Refusal::NotRunning(Why::Zombie { .. })))));
        let verdict = combine(vec![zombie(), Err(Refusal::Starting)]);
        assert!(matches!(verdict, Some(Err(Refusal::Starting))));
        let parent = Process::open(&host, std::os::unix::process::parent_id()).unwrap();
        let other = Held { process: parent, ..own(&host) };
        let verdict = combine(vec![holds(), Ok(other)]);
        assert!(matches!(verdict, Some(Err(Refusal::NotProven(Doubt::TwoRecords { .. })))));
    }

    #[test]
    fn a_living_process_is_seen() {
        let host = Host::own(Console::default());
        let world = World::root(&host);
        let (pid, start) = (std::process::id(), own(&host).start);
        let record = Record { pid, start: Some(start + 1), ..Record::default() };
        let (seen, held) = see(&world, &record);
        assert!(held.is_none() && (seen.life, seen.start) == (Life::Alive, start));
        let record = Record { pid, pidfd_inode: Some(0), ..Record::default() };
        let (seen, held) = see(&world, &record);
        assert!(held.is_some() && seen.pidfd != Some(0) && seen.is_inside.is_none());
        let record = Record { pid: 4_194_304, start: Some(1), ..Record::default() };
        assert_eq!(see(&world, &record).0.life, Life::Gone);
    }

    #[test]
    fn this_boots_files_are_not_old() {
        let host = Host::own(Console::default());
        let path = std::env::temp_dir().join(format!("netns-enter-boot-{}", std::process::id()));
        let file = std::fs::File::create(&path).unwrap();
        let bytes = path.as_os_str().as_encoded_bytes();
        assert!(!is_older_than_boot(&host, bytes));
        file.set_modified(std::time::SystemTime::UNIX_EPOCH).unwrap();
        let kind = fstatfs(&file).unwrap().f_type as u64;
        assert_eq!(is_older_than_boot(&host, bytes), kind != 0x0102_1994);
        std::fs::remove_file(&path).unwrap();
        assert!(!is_older_than_boot(&host, bytes));
    }
}
