//! Whether the kernel agrees that a container runs, and which process it is.
//!
//! Names, IDs and pids out of files are claims. There are three kinds of evidence for them, rows of
//! one table in the order in which they are asked. The first of which there is any decides: what it
//! does not bear out is not taken from the next.

#![forbid(unsafe_code)]

mod cgroup;
mod place;
mod record;
pub(crate) mod thread;

use super::engine::{self, Container, Record, Records};
use super::name::label;
use super::verdict::{Doubt, Refusal, Verdict, Why};
use super::world::World;
use crate::base::escape::{quoted, shown};
use crate::base::text::list;
use crate::host::process::Process;
use std::time::Duration;

/// So often, and with so long a pause between, a doubt is looked at again that may pass: for a
/// whole of 200 ms.
const ATTEMPTS: u32 = 10;
/// The pause.
const PAUSE: Duration = Duration::from_millis(20);

/// A container with what is recorded of it.
struct Case<'w> {
    world: &'w World<'w>,
    container: &'w Container,
    records: &'w Records,
}

/// A kind of evidence.
struct Kind {
    /// As `--verbose` calls it.
    name: &'static str,
    /// Returns the verdict; None where there is no evidence of this kind.
    ask: fn(&Case<'_>) -> Option<Verdict>,
}

/// The kinds of evidence, in their order. Beside each, what of its sources makes it evidence that
/// the process has come to its final network namespace.
static KINDS: [Kind; 3] = [
    // runc libcontainer/process_linux.go, initProcess.start: updateState at procReady, long after
    // stage 1 of nsenter/nsexec.c has unshared or joined the namespace. crun
    // src/libcrun/container.c, libcrun_container_run_internal: write_container_status after
    // libcrun_run_linux_container, which waits for the child's namespaces. CRI-O internal/oci,
    // ContainerState.SetInitPid: after both.
    Kind { name: "a record with a start time", ask: by_start },
    // containerd cmd/containerd-shim-runc-v2/process, InitPidFile, and conmon's pidfile: written
    // by the runtime after its own record. gVisor runsc/sandbox/sandbox.go,
    // createSandboxProcess: born in its namespace. machined src/machine/machine.c,
    // machine_save: nspawn registers after barrier #3 of run_container. youki alone writes a
    // pid file while its init is still in the host's namespace
    // (crates/libcontainer/src/process/container_main_process.rs), so only its state.json
    // counts.
    Kind { name: "a record of a pid", ask: by_pid },
    // crun src/libcrun/cgroup.c, libcrun_cgroup_preenter: a child is born in the cgroup before it
    // joins. lxc src/lxc/start.c, lxc_spawn: with a user namespace the child unshares when its ids
    // are mapped. Both run their parent's program in their parent's namespace then. runc's stage 2
    // is born in the final one. runc exec, lxc-attach and the like are outside of the pid
    // namespace for milliseconds.
    Kind { name: "its cgroup", ask: by_cgroup },
];

fn by_start(case: &Case<'_>) -> Option<Verdict> {
    case.by_records(&|record| record.start.is_some())
}

fn by_pid(case: &Case<'_>) -> Option<Verdict> {
    case.by_records(&|record| record.start.is_none())
}

fn by_cgroup(case: &Case<'_>) -> Option<Verdict> {
    Some(case.by_cgroup())
}

impl Case<'_> {
    /// Asks the records of one kind.
    fn by_records(&self, is_of_kind: &dyn Fn(&Record) -> bool) -> Option<Verdict> {
        let mut verdicts = Vec::new();
        for record in self.records.found.iter().filter(|record| is_of_kind(record)) {
            tell(self.world, &label(self.container), record);
            verdicts.push(record::verify(self.world, record));
        }
        record::combine(verdicts)
    }

    fn by_cgroup(&self) -> Verdict {
        let Records { places, is_partial, .. } = self.records;
        // A record that could not be read may say otherwise than the cgroup.
        if *is_partial {
            return Err(Refusal::NoRecord { places: places.clone() });
        }
        let Some(paths) = engine::cgroups(self.world, self.container) else {
            return Err(Doubt::Unowned.into());
        };
        if !self.world.has_cgroups() {
            // Where nothing is that could record it, nothing says that it does not run either.
            return Err(match places.iter().any(|place| self.world.is_directory(place)) {
                true => Refusal::NotRunning(Why::NotRecorded),
                false => Doubt::NoCgroups.into(),
            });
        }
        // What has records is seen by them.
        if places.is_empty() && self.world.host.watch.is_some() {
            paths.iter().for_each(|path| self.world.watch_cgroup(path));
        }
        let is_kept = |process: &Process| engine::is_kept(self.world, self.container, process);
        let held = cgroup::verify(self.world, &paths, &is_kept)?;
        // Meanwhile the cgroup may have become another's, whose process this is: as long as that
        // lives, it is whose it is now.
        let Some(again) = engine::cgroups(self.world, self.container) else {
            return Err(Doubt::Unowned.into());
        };
        if engine::is_anothers(self.world, self.container, &held.process) {
            return Err(Doubt::Unowned.into());
        }
        let is_alive = held.process.stat().is_ok_and(|stat| stat.start == held.start);
        if again != paths || !is_alive {
            return Err(Doubt::Changing.into());
        }
        let paths = list(paths.iter().map(|path| quoted(path)), ", ");
        self.world.host.console.tell(format_args!(
            "{}: pid {}, start time {}, the first one in cgroup {paths}",
            label(self.container),
            held.process.pid,
            held.start
        ));
        Ok(held)
    }
}

/// Asks the kernel whether each of these containers runs, and hands on the verdicts as they come.
/// Where one is in doubt that may be clear in a moment, it is asked again, all of them for 200 ms
/// together.
pub(crate) fn verify_each(
    world: &World<'_>,
    containers: &[Container],
    verdict_of: &mut dyn FnMut(usize, Verdict),
) {
    let mut open: Vec<usize> = (0..containers.len()).collect();
    for attempt in 1..=ATTEMPTS {
        let mut doubtful = Vec::new();
        for at in open {
            let verdict = verify(world, &containers[at]);
            let may_pass = matches!(&verdict, Err(Refusal::NotProven(doubt)) if doubt.may_pass());
            if may_pass && attempt < ATTEMPTS {
                doubtful.push(at);
            } else {
                verdict_of(at, verdict);
            }
        }
        if doubtful.is_empty() {
            break;
        }
        open = doubtful;
        world.host.pause(PAUSE);
    }
}

/// Returns the verdict on a container; asks again by its record if one has appeared meanwhile.
fn verify(world: &World<'_>, container: &Container) -> Verdict {
    let mut records = engine::records(world, container);
    loop {
        let case = Case { world, container, records: &records };
        let mut verdict = None;
        for kind in &KINDS {
            verdict = (kind.ask)(&case);
            if verdict.is_some() {
                world.host.console.tell(format_args!(
                    "{}: the evidence is {}",
                    label(container),
                    kind.name
                ));
                break;
            }
        }
        let verdict = verdict.unwrap_or(Err(Refusal::NotRunning(Why::NotRecorded)));
        // By the time the cgroup has told who it is, a record may tell better.
        if records.found.is_empty() && verdict.is_ok() {
            records = engine::records(world, container);
            if !records.found.is_empty() || records.is_partial {
                continue;
            }
        }
        return verdict;
    }
}

/// Asks the kernel whether one record, by itself, still holds.
pub(crate) fn verify_record(world: &World<'_>, label: &str, record: &Record) -> Verdict {
    tell(world, label, record);
    record::verify(world, record)
}

/// Tells what is recorded, for `--verbose`.
fn tell(world: &World<'_>, label: &str, record: &Record) {
    let start = record.start.map_or("not recorded".to_string(), |start| start.to_string());
    let (id, pid, file) = (shown(&record.id), record.pid, quoted(&record.file));
    let text = format!("{label}: ID {id}, pid {pid}, start time {start}, by {file}");
    world.host.console.tell(text);
}
