//! Every container that runs: for what lists, pins or visits them all.

#![forbid(unsafe_code)]

use super::engine::{self, Container, Containers};
use super::evidence::verify_each;
use super::lookup::worlds;
use super::name::{label, spelled};
use super::verdict::{Doubt, Held, Refusal, Verdict};
use super::world::World;
use crate::base::error::Result;
use crate::host::Host;
use crate::host::process::{Process, unless_gone};
use crate::kernel::netns::{NetNs, NsId};
use rustix::io;

/// A container that ran when it was looked at, with nothing of it held: there may be thousands.
#[derive(Debug)]
pub(crate) struct RunningContainer {
    /// What it is called. In a box, as it is moved from one list to the next.
    pub(crate) container: Box<Container>,
    /// Its process; where the first thread of that has ended, another one.
    pub(crate) pid: u32,
    /// When that started, as field 22 of its stat says.
    pub(crate) start: u64,
    /// Its network namespace.
    pub(crate) netns: NsId,
}

/// Returns every container that runs in the worlds that the caller asks, each once: for root those
/// of root's. What is wrong with one is a note and does not hide the others.
///
/// # Errors
/// Where the machine refuses to be looked at.
pub(crate) fn running(host: &Host) -> Result<Vec<RunningContainer>> {
    let mut found = Vec::new();
    for world in &worlds(host)? {
        running_in(world, &mut found)?;
    }
    Ok(found)
}

/// Adds every container that runs in one world.
///
/// # Errors
/// As [`running`].
pub(crate) fn running_in(world: &World<'_>, found: &mut Vec<RunningContainer>) -> Result<()> {
    let mut known = Containers::default();
    engine::list(world, None, &mut known);
    engine::scan(world, None, &mut known);
    let known = known.into_list();
    verify_each(world, &known, &mut |at, verdict| add(world.host, &known[at], verdict, found));
    world.host.check()
}

/// Adds a container if it runs. Notes what is wrong with it.
fn add(host: &Host, container: &Container, verdict: Verdict, found: &mut Vec<RunningContainer>) {
    match verdict {
        Ok(Held { process, start, netns, .. }) => {
            let (pid, netns) = (process.pid, netns.id);
            // What runs a container may name it, too, in a place of its own.
            let is_same = |known: &RunningContainer| {
                (known.pid, known.start) == (pid, start) && known.container.id == container.id
            };
            let container = Box::new(container.clone());
            match found.iter_mut().find(|known| is_same(known)) {
                None => found.push(RunningContainer { container, pid, start, netns }),
                Some(known) if known.container.is_nameless() && !container.is_nameless() => {
                    (known.container, known.netns) = (container, netns);
                }
                Some(_) => {}
            }
        }
        // What could not be read is remembered.
        Err(Refusal::NotRunning(_) | Refusal::NoRecord { .. }) => {}
        Err(Refusal::NotProven(Doubt::Unreadable { errno, .. })) => {
            host.remember_unread(&spelled(container), errno);
        }
        Err(refusal) => {
            let error = refusal.into_error(host, &label(container), &container.id);
            host.console.note(error.message());
        }
    }
}

impl RunningContainer {
    /// Opens its process and namespace again; None where it has ended.
    ///
    /// # Errors
    /// Where the machine refuses to be looked at.
    pub(crate) fn reopen(&self, host: &Host) -> Result<Option<(NetNs, Process)>> {
        let opened = unless_gone(host, self.pid, self.open_if_same(host));
        host.check()?;
        Ok(opened.flatten())
    }

    fn open_if_same(&self, host: &Host) -> io::Result<Option<(NetNs, Process)>> {
        let process = Process::open(host, self.pid)?;
        let stat = process.stat()?;
        let netns = process.netns()?;
        let is_same = stat.start == self.start && netns.id == self.netns;
        Ok(is_same.then_some((netns, process)))
    }
}
