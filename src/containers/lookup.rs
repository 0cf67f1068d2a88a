//! Which container a word means, and whether it runs.
//!
//! Engines are asked for names, their runtimes' records are checked against the kernel, and the
//! answer is one container in one namespace or a refusal that lists what there is.

#![forbid(unsafe_code)]

use super::engine::{Container, Containers, ENGINES, Record, Source, places};
use super::evidence::{
    Running, Verdict, accept, by_records, by_records_or_cgroups, is_foreign, may_be_unrecorded,
    note_claim,
};
use super::init::{Nested, ids, init_by_id};
pub(crate) use super::name::pod_or_name;
use super::name::{label, spelled};
use super::word::{Word, has_prefix, is_called, is_full_id};
use crate::base::error::{Error, Result};
use crate::base::escape::{quoted, shown};
use crate::base::text::list;
use crate::host::Host;
use crate::host::process::{Process, unless_gone};
use crate::kernel::netns::{NetNs, NsId};
use rustix::io;
use std::rc::Rc;

/// The result of looking a word up.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// The one that is meant, where several all share one namespace.
    Running(Running),
    /// It is known and does not run: the finished message.
    Stopped(Error),
    /// No engine knows the word.
    Unknown,
}

/// A container that ran when it was looked at, with nothing of it held: there may be thousands.
#[derive(Clone, Debug)]
pub(crate) struct RunningContainer {
    /// What it is called.
    pub(crate) container: Rc<Container>,
    /// Its init process.
    pub(crate) pid: u32,
    /// When that started, as field 22 of its stat says.
    pub(crate) start: u64,
    /// Its network namespace.
    pub(crate) netns: NsId,
}

/// Looks up `word` among all engines of `host`.
///
/// # Errors
/// Where it is ambiguous, unproven or somebody else's claim.
pub(crate) fn find(host: &Host, word: &[u8]) -> Result<Lookup> {
    let wanted = Word::parse(word);
    if is_full_id(wanted.text) {
        let found = by_full_id(host, &wanted)?;
        if !matches!(found, Lookup::Unknown) {
            return Ok(found);
        }
    }
    let mut known = all(host, Some(wanted.needle()))?;
    known.retain(|container| wanted.is_of(container));
    for is_meant in [is_called, has_prefix] {
        if known.iter().any(|container| is_meant(container, wanted.text)) {
            known.retain(|container| is_meant(container, wanted.text));
            return decide(host, word, known);
        }
    }
    if wanted.could_be_id() && wanted.engine.is_none() {
        return by_cgroup(host, wanted.text);
    }
    Ok(Lookup::Unknown)
}

/// Returns every container that any engine names, once. With a needle, those whose files do not
/// contain it may be missing.
///
/// # Errors
/// Where the machine refuses to be looked at.
pub(crate) fn all(host: &Host, needle: Option<&[u8]>) -> Result<Vec<Container>> {
    let mut found = Containers::default();
    for place in &places(host)? {
        for engine in ENGINES {
            (engine.list)(host, place, needle, &mut found)?;
        }
    }
    Ok(found.into_list())
}

/// Looks up a full ID. That needs no enumeration: every runtime has its record under the ID itself.
fn by_full_id(host: &Host, wanted: &Word<'_>) -> Result<Lookup> {
    let id = wanted.text;
    let mut found: Vec<Container> = Vec::new();
    for place in &places(host)? {
        for engine in ENGINES {
            if wanted.engine.is_some_and(|word| !engine.words.contains(&word)) {
                continue;
            }
            for record in (engine.records)(host, place, id)? {
                // A runtime's record is the same one whichever engine's directory led to it.
                let is_same = |known: &Container| match &known.source {
                    Source::Record(old) => (old.pid, old.start) == (record.pid, record.start),
                    _ => false,
                };
                if !found.iter().any(is_same) {
                    let owner = record.owner;
                    let source = Source::Record(record);
                    found.push(Container::unnamed(engine.words[0], id, source, owner));
                }
            }
        }
    }
    if found.is_empty() {
        // A name that some engine knows for it is better than none.
        found = all(host, Some(id))?;
        found.retain(|container| wanted.is_of(container) && container.id == id);
    }
    if found.is_empty() { by_cgroup(host, id) } else { decide(host, id, found) }
}

/// Looks up an ID that no runtime has a record of, in the cgroup paths of all processes: the last
/// resort.
fn by_cgroup(host: &Host, id: &[u8]) -> Result<Lookup> {
    let Some(member) = init_by_id(host, id, Nested::Counts)? else { return Ok(Lookup::Unknown) };
    let container = Container::unnamed("cgroup", id, Source::Anywhere, member.owner);
    Ok(meant(host, accept(member, &Rc::new(container))?))
}

/// Takes the one running container among those that a word may mean; another user's claim counts
/// only where there is no other.
fn decide(host: &Host, word: &[u8], mut hits: Vec<Container>) -> Result<Lookup> {
    if hits.iter().any(|hit| !is_foreign(hit.owner)) {
        hits.retain(|hit| !is_foreign(hit.owner));
    }
    let mut running: Vec<Running> = Vec::new();
    let mut stopped: Vec<(Rc<Container>, Error)> = Vec::new();
    for hit in hits.into_iter().map(Rc::new) {
        let verdict = by_records_or_cgroups(host, &hit)?;
        let is_stopped = verdict.is_stopped();
        match verdict.into_running(host, &label(&hit)) {
            Ok(found) => running.extend(found),
            Err(error) if is_stopped => stopped.push((hit, error)),
            Err(error) => return Err(error),
        }
    }
    // The old attempts of a pod's container, or of anything else of one engine, give way to the one
    // that runs.
    let is_namesake = |a: &Container, b: &Container| a.engine == b.engine && a.name == b.name;
    stopped.retain(|(old, _)| !running.iter().any(|new| is_namesake(&new.container, old)));
    let is_clear = match running.first() {
        None => stopped.iter().all(|(container, _)| is_namesake(container, &stopped[0].0)),
        // A pod's sandbox has often exited or never existed while its containers run.
        Some(first) => running.iter().all(|new| {
            let pod = pod_or_name(&new.container);
            let is_of_pod = |old: &Container| old.engine == "k8s" && pod_or_name(old) == pod;
            new.netns.id == first.netns.id && stopped.iter().all(|(old, _)| is_of_pod(old))
        }),
    };
    if !is_clear {
        return Err(ambiguous(word, &running, &stopped));
    }
    if running.is_empty() {
        let (_, error) = stopped.swap_remove(0);
        return Ok(Lookup::Stopped(error));
    }
    let found = running.swap_remove(0);
    if let Source::Record(Record { sandbox: Some(sandbox), .. }) = &found.container.source {
        host.console.note(format_args!("{} {}", label(&found.container), sandbox.note));
    }
    Ok(meant(host, found))
}

/// Makes the one that is meant the result, and notes whose claim it is.
fn meant(host: &Host, running: Running) -> Lookup {
    if running.claimed_by.is_some() {
        note_claim(host, running.claimed_by, &label(&running.container));
    }
    Lookup::Running(running)
}

/// Makes the refusal of a word that means several.
fn ambiguous(word: &[u8], running: &[Running], stopped: &[(Rc<Container>, Error)]) -> Error {
    let states = running.iter().map(|run| (&run.container, format!("pid {}", run.process.pid)));
    let stopped = stopped.iter().map(|(container, _)| (container, "not running".to_string()));
    let (mut items, mut names, mut is_distinct) = (Vec::new(), Vec::new(), true);
    for (container, state) in states.chain(stopped) {
        let name = shown(&spelled(container)).to_string();
        let short = &container.id[..container.id.len().min(12)];
        items.push(format!("{name} {} {state}", shown(short)));
        is_distinct &= !names.contains(&name);
        names.push(name);
    }
    let remedy = match running.first() {
        Some(first) if !is_distinct => {
            format!("say more of the ID, or --pid {}", first.process.pid)
        }
        _ => format!("say {}", list(names, " or ")),
    };
    Error::new(format!("{} is ambiguous: {}", quoted(word), list(items, ", "))).with_remedy(remedy)
}

/// Returns every container that runs, each once. What is wrong with one is a note and does not hide
/// the others.
///
/// # Errors
/// Where the machine refuses to be looked at.
pub(crate) fn running(host: &Host) -> Result<Vec<RunningContainer>> {
    let mut found = Vec::new();
    let mut unrecorded = Vec::new();
    for container in all(host, None)?.into_iter().map(Rc::new) {
        let verdict = by_records(host, &container);
        let is_open = verdict.as_ref().is_ok_and(|verdict| may_be_unrecorded(&container, verdict));
        add(host, &container, verdict, &mut found)?;
        if is_open {
            unrecorded.push(container);
        }
    }
    if unrecorded.is_empty() {
        return Ok(found);
    }
    // Most of those have been stopped, and one look at all processes tells.
    let ids = ids(host)?;
    for container in unrecorded {
        if ids.contains(&container.id) {
            add(host, &container, by_records_or_cgroups(host, &container), &mut found)?;
        }
    }
    Ok(found)
}

/// Adds what runs of a container; notes what is wrong with it.
///
/// # Errors
/// Where the machine refuses to be looked at.
fn add(
    host: &Host,
    container: &Rc<Container>,
    verdict: Result<Verdict<Vec<Running>>>,
    found: &mut Vec<RunningContainer>,
) -> Result<()> {
    let running = match verdict {
        Ok(verdict) if verdict.is_stopped() => return Ok(()),
        Ok(Verdict::Unreadable { errno, .. }) => {
            return host.remember_unread(&spelled(container), errno);
        }
        Ok(verdict) => verdict.into_running(host, &label(container)),
        // The machine refuses, so that others might be missed, too.
        Err(error) if error.errno().is_some() => return Err(error),
        Err(error) => Err(error),
    };
    match running {
        Ok(running) => {
            for Running { container, process, netns, .. } in running {
                if let Some(stat) = unless_gone(host, process.pid, process.stat())? {
                    let (pid, start, netns) = (process.pid, stat.start, netns.id);
                    found.push(RunningContainer { container, pid, start, netns });
                }
            }
        }
        Err(error) => host.console.note(error.message()),
    }
    Ok(())
}

impl RunningContainer {
    /// Opens its process and namespace again; None where it has ended.
    ///
    /// # Errors
    /// Where the machine refuses to be looked at.
    pub(crate) fn reopen(&self, host: &Host) -> Result<Option<(NetNs, Process)>> {
        Ok(unless_gone(host, self.pid, self.open_if_same(host))?.flatten())
    }

    fn open_if_same(&self, host: &Host) -> io::Result<Option<(NetNs, Process)>> {
        let process = Process::open(host, self.pid)?;
        let stat = process.stat()?;
        let netns = process.netns()?;
        let is_same = stat.start == self.start && netns.id == self.netns;
        Ok(is_same.then_some((netns, process)))
    }
}
