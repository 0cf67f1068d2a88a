//! Waiting for TARGET: look for it, and look again when something has changed in what was looked
//! at, or after a while.
//!
//! Each look is a child's, since the program's allocator takes nothing back. What a child answers
//! is a hint: TARGET is resolved anew before it is entered.

#![forbid(unsafe_code)]

use super::enter;
use crate::base::console::Console;
use crate::base::error::{Error, Outlook, Result, describe};
use crate::base::escape::quoted;
use crate::cli::Wait;
use crate::host::Host;
use crate::host::watch::{Findings, Wanted, Watch, pace};
use crate::kernel::fork::{PATIENCE, glance, wait_until};
use crate::kernel::inotify::{Inotify, drain};
use crate::kernel::sock::changes;
use crate::sys::clock::{pause, processor_time};
use crate::sys::fd::open_at;
use crate::target::{Target, TargetSpec, resolve};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, OFlags};
use std::ops::ControlFlow;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What is in doubt for so long stays in doubt.
const DOUBT: Duration = Duration::from_secs(2);
/// So often this process itself waits for what is starting, as that takes memory that it does not
/// give back.
const MOST_STARTS: u32 = 16;

/// Waits until what `spec` means is there and runs, and finds it as [`enter::find`] does.
///
/// # Errors
/// As there, where it is not to be expected that it passes, or `wait` has passed.
pub(super) fn find(host: &mut Host, spec: &TargetSpec, wait: Wait) -> Result<Target> {
    let end = match wait {
        Wait::ForEver => None,
        Wait::Seconds(seconds) => Some(Instant::now() + Duration::from_secs(seconds.into())),
    };
    let events = Events::about(spec, host.console);
    let mut waiting = Waiting::new(spec, end, &events);
    loop {
        let look = waiting.look(host)?;
        let outlook = match waiting.own_look(&look) {
            None => look.answer.outlook,
            Some(wanted) => match waiting.find_here(host, wanted, look.ended) {
                ControlFlow::Break(found) => {
                    if let (Ok(_), Some(directories)) = (&found, &events.directories) {
                        directories.leave_behind();
                    }
                    return found;
                }
                ControlFlow::Continue(outlook) => outlook,
            },
        };
        waiting.note_doubt(outlook, look.ended);
        if waiting.is_first {
            host.console.announce(format_args!("waiting for {}", called(spec)));
            waiting.is_first = false;
            continue;
        }
        // A look that has waited for events has taken them, too.
        let is_due = host.watch.as_ref().is_some_and(|watch| watch.findings().is_due);
        if !is_due && !look.answer.findings.is_due {
            waiting.wait_for_event(&look)?;
        }
    }
}

/// How it stands with the waiting for a target.
struct Waiting<'w> {
    spec: &'w TargetSpec,
    /// When nobody waits any more, if that is limited.
    end: Option<Instant>,
    events: &'w Events,
    /// What is polled for these; made once, as no memory is given back.
    waited: Vec<PollFd<'w>>,
    /// The processor time that had been used when the last look ended.
    used: Duration,
    /// Nothing was said of the waiting yet.
    is_first: bool,
    /// How often this process itself has waited for what is starting.
    starts: u32,
    /// Since when every look has left it in doubt.
    doubted_since: Option<Instant>,
}

/// What came of a look in a child.
struct Look {
    answer: Answer,
    /// When it ended.
    ended: Instant,
    /// The processor time of it, and of what this process has done itself since the last one.
    cost: Duration,
}

impl<'w> Waiting<'w> {
    fn new(spec: &'w TargetSpec, end: Option<Instant>, events: &'w Events) -> Waiting<'w> {
        let (waited, used) = (events.waited(), processor_time());
        Waiting { spec, end, events, waited, used, is_first: true, starts: 0, doubted_since: None }
    }

    /// Looks in a child.
    ///
    /// # Errors
    /// Where there can be none, or the time is over and it has not answered.
    fn look(&mut self, host: &mut Host) -> Result<Look> {
        self.events.forget();
        self.watch(host, if self.is_first { Wanted::Now } else { Wanted::Patience });
        let end = self.end.map(|end| end + PATIENCE);
        let byte = glance(end, &mut || answer(host, self.spec).to_byte())?;
        let used_before = std::mem::replace(&mut self.used, processor_time());
        let (cost, ended) = (self.used.saturating_sub(used_before), Instant::now());
        if self.is_late(ended) && byte.is_none() {
            return Err(Error::new("the last look did not come to an end in time"));
        }
        // One that was killed has not answered: then this process looks itself, and finds out why.
        let answer = byte.map(Answer::from_byte).unwrap_or_default();
        Ok(Look { answer, ended, cost })
    }

    /// Tells what is wanted of a look of this process itself, if it is to follow this one.
    fn own_look(&mut self, look: &Look) -> Option<Wanted> {
        let Answer { outlook, findings } = look.answer;
        // By the time a child has told that it runs, its command may have begun.
        let is_starting = findings.is_starting && !self.is_first && self.starts < MOST_STARTS;
        self.starts += u32::from(is_starting);
        if self.is_late(look.ended) {
            Some(Wanted::Last)
        } else if is_starting {
            Some(Wanted::Entry)
        } else if outlook == Outlook::Lasting || self.stays_in_doubt(look.ended) {
            Some(Wanted::Now)
        } else {
            None
        }
    }

    /// Looks in this process itself: that ends the waiting, or gives the outlook with which it goes
    /// on. `now` is when the look in the child ended.
    fn find_here(
        &self,
        host: &mut Host,
        wanted: Wanted,
        now: Instant,
    ) -> ControlFlow<Result<Target>, Outlook> {
        self.watch(host, wanted);
        let found = enter::find(host, self.spec);
        let is_last = wanted == Wanted::Last;
        match found.as_ref().map_or_else(Error::outlook, |_| Outlook::Lasting) {
            Outlook::Absent if !is_last => ControlFlow::Continue(Outlook::Absent),
            Outlook::Unclear if !is_last && !self.stays_in_doubt(now) => {
                ControlFlow::Continue(Outlook::Unclear)
            }
            _ => ControlFlow::Break(found),
        }
    }

    /// Waits for an event, or until the next look is due without one.
    fn wait_for_event(&mut self, look: &Look) -> Result<()> {
        let (soonest, mut latest) = pace(look.ended, look.cost);
        let end_of_doubt = self.doubted_since.map(|since| since + DOUBT);
        for time in [self.end, end_of_doubt].into_iter().flatten() {
            latest = latest.min(time);
        }
        // The last of them tells of mounts.
        let is_spared = self.events.mounts.is_some() && !look.answer.findings.minds_mounts;
        let count = self.waited.len() - usize::from(is_spared);
        let is_event = wait_until(&mut self.waited[..count], Some(latest))
            .map_err(|e| Error::cannot("wait for events", e))?;
        if is_event {
            pause(soonest.min(latest).saturating_duration_since(Instant::now()));
        }
        Ok(())
    }

    /// Lets the next look of `host` ask for the events.
    fn watch(&self, host: &mut Host, wanted: Wanted) {
        host.watch = Some(Watch::new(&self.events.directories, self.end, wanted));
    }

    fn is_late(&self, now: Instant) -> bool {
        self.end.is_some_and(|end| end <= now)
    }

    fn stays_in_doubt(&self, now: Instant) -> bool {
        self.doubted_since.is_some_and(|since| since + DOUBT <= now)
    }

    /// Notes since when it is in doubt.
    fn note_doubt(&mut self, outlook: Outlook, now: Instant) {
        let is_unclear = outlook == Outlook::Unclear;
        self.doubted_since = is_unclear.then(|| self.doubted_since.unwrap_or(now));
    }
}

/// What a child answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Answer {
    outlook: Outlook,
    findings: Findings,
}

impl Answer {
    /// Where findings are in the byte; the outlook is below them.
    const MINDS_MOUNTS: u8 = 0x10;
    const IS_STARTING: u8 = 0x20;
    const IS_DUE: u8 = 0x40;

    fn to_byte(self) -> u8 {
        let Findings { minds_mounts, is_starting, is_due } = self.findings;
        let flag = |is_so: bool, flag| if is_so { flag } else { 0 };
        self.outlook as u8
            | flag(minds_mounts, Answer::MINDS_MOUNTS)
            | flag(is_starting, Answer::IS_STARTING)
            | flag(is_due, Answer::IS_DUE)
    }

    fn from_byte(byte: u8) -> Answer {
        let has = |flag| byte & flag != 0;
        let findings = Findings {
            minds_mounts: has(Answer::MINDS_MOUNTS),
            is_starting: has(Answer::IS_STARTING),
            is_due: has(Answer::IS_DUE),
        };
        let passing = [Outlook::Absent, Outlook::Unclear];
        let is_it = |outlook: &Outlook| *outlook as u8 == byte % Answer::MINDS_MOUNTS;
        Answer { outlook: passing.into_iter().find(is_it).unwrap_or_default(), findings }
    }
}

/// Looks once, silently, in a child that ends with it. What was found, and any failure that no
/// later look will change, is for the parent to tell.
fn answer(host: &mut Host, spec: &TargetSpec) -> Answer {
    host.console = Console { quiet: true, verbose: false };
    let outlook = resolve(host, spec).map_or_else(|error| error.outlook(), |_| Outlook::Lasting);
    let findings = host.watch.as_ref().map(Watch::findings).unwrap_or_default();
    Answer { outlook, findings }
}

/// Returns how messages call what is waited for.
fn called(spec: &TargetSpec) -> String {
    match spec {
        TargetSpec::Name(name) | TargetSpec::Container(name) => {
            format!("container {}", quoted(name))
        }
        TargetSpec::Netns(name) => format!("pin {}", quoted(name)),
        TargetSpec::Cgroup(text) => format!("cgroup {}", quoted(text)),
        TargetSpec::Addr(ip) => format!("address {ip}"),
        TargetSpec::Veth(word) => format!("the other end of {}", quoted(word)),
        TargetSpec::File(path) | TargetSpec::State(path) => quoted(path).to_string(),
        TargetSpec::Pid(pid) | TargetSpec::Process { pid, .. } => format!("process {pid}"),
        TargetSpec::Inode(number) => format!("network namespace {number}"),
        TargetSpec::Cookie(cookie) => format!("network namespace id:{cookie}"),
    }
}

/// What tells that the next look may find more than the last one. Without any of it, time alone
/// decides when that comes.
struct Events {
    /// Of the directories that were looked at.
    directories: Option<Rc<Inotify>>,
    /// Of mounts, which are no events of directories: proc_pid_mountinfo(5).
    mounts: Option<OwnedFd>,
    /// Of interfaces and their addresses.
    links: Option<OwnedFd>,
}

impl Events {
    /// Opens what there is for a kind of target.
    fn about(spec: &TargetSpec, console: Console) -> Events {
        let mut events = Events { directories: None, mounts: None, links: None };
        if let TargetSpec::Addr(_) | TargetSpec::Veth(_) = spec {
            events.links = changes().ok();
            return events;
        }
        match Inotify::new() {
            Ok(directories) => events.directories = Some(Rc::new(directories)),
            Err(e) => {
                let text = "looking again from time to time only, as inotify fails";
                console.note(format_args!("{text}: {}", describe(e)));
            }
        }
        if let TargetSpec::Name(_) | TargetSpec::Netns(_) | TargetSpec::File(_) = spec {
            events.mounts = open_at(CWD, b"/proc/self/mountinfo", OFlags::RDONLY).ok();
        }
        events
    }

    /// Returns what is to be waited for.
    fn waited(&self) -> Vec<PollFd<'_>> {
        let mut waited: Vec<PollFd<'_>> = Vec::new();
        for fd in self.queues() {
            waited.push(PollFd::from_borrowed_fd(fd, PollFlags::IN));
        }
        waited.extend(self.mounts.iter().map(|mounts| PollFd::new(mounts, PollFlags::PRI)));
        waited
    }

    /// Forgets what has happened until now.
    fn forget(&self) {
        self.queues().for_each(drain);
    }

    fn queues(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let links = self.links.iter().map(|links| links.as_fd());
        self.directories.iter().map(|directories| directories.as_fd()).chain(links)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_a_byte_and_back() {
        let mut bytes = Vec::new();
        for outlook in [Outlook::Lasting, Outlook::Absent, Outlook::Unclear] {
            for bits in 0..8 {
                let [minds_mounts, is_starting, is_due] = [1, 2, 4].map(|bit| bits & bit != 0);
                let findings = Findings { minds_mounts, is_starting, is_due };
                let answer = Answer { outlook, findings };
                assert_eq!(Answer::from_byte(answer.to_byte()), answer);
                bytes.push(answer.to_byte());
            }
        }
        for byte in &bytes {
            assert_eq!(Answer::from_byte(*byte).to_byte(), *byte);
        }
        bytes.sort_unstable();
        bytes.dedup();
        assert_eq!(bytes.len(), 24);
        // What is no answer leaves it to the parent to look.
        assert_eq!(Answer::from_byte(0), Answer::default());
        assert_eq!(Answer::from_byte(0x0f).outlook, Outlook::Lasting);
    }
}
