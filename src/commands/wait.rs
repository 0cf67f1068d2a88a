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
use std::rc::Rc;
use std::time::{Duration, Instant};

/// What is in doubt for so long stays in doubt.
const DOUBT: Duration = Duration::from_secs(2);
/// So often this process itself waits for what is starting, as that takes memory that it does not
/// give back.
const MOST_STARTS: u32 = 16;

/// Flags of a child's answer, beside the [`Outlook`]: a mount could change what was found.
const MINDS_MOUNTS: u8 = 0x10;
/// The child has waited itself, and the next look is due.
const IS_DUE: u8 = 0x20;
/// What is meant is starting.
const IS_STARTING: u8 = 0x40;

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
    let mut waited = events.waited();
    let mut used = processor_time();
    let mut is_first = true;
    let mut starts = 0;
    let mut doubted_since: Option<Instant> = None;
    loop {
        events.forget();
        let wanted = if is_first { Wanted::Now } else { Wanted::Patience };
        host.watch = Some(Watch::new(&events.directories, end, wanted));
        let answer = glance(end.map(|end| end + PATIENCE), &mut || look(host, spec))?;
        // What this process did itself since the last look is part of the cost.
        let used_before = std::mem::replace(&mut used, processor_time());
        let cost = used.saturating_sub(used_before);
        let now = Instant::now();
        let is_late = end.is_some_and(|end| end <= now);
        if is_late && answer.is_none() {
            return Err(Error::new("the last look did not come to an end in time"));
        }
        let answer = answer.unwrap_or_default();
        let stays_in_doubt = doubted_since.is_some_and(|since| since + DOUBT <= now);
        let mut outlook = outlook_of(answer);
        // By the time a child has told that it runs, its command may have begun.
        let is_starting = answer & IS_STARTING != 0 && !is_first && starts < MOST_STARTS;
        starts += u32::from(is_starting);
        if outlook == Outlook::Lasting || stays_in_doubt || is_late || is_starting {
            let wanted = match is_late {
                true => Wanted::Last,
                false if is_starting => Wanted::Entry,
                false => Wanted::Now,
            };
            host.watch = Some(Watch::new(&events.directories, end, wanted));
            let found = enter::find(host, spec);
            outlook = found.as_ref().map_or_else(Error::outlook, |_| Outlook::Lasting);
            let goes_on = match outlook {
                Outlook::Lasting => false,
                Outlook::Absent => !is_late,
                Outlook::Unclear => !is_late && !stays_in_doubt,
            };
            if !goes_on {
                return found;
            }
        }
        match outlook {
            Outlook::Unclear => _ = doubted_since.get_or_insert(now),
            _ => doubted_since = None,
        }
        if is_first {
            host.console.announce(format_args!("waiting for {}", called(spec)));
            is_first = false;
            continue;
        }
        // A look that has waited for events has taken them, too.
        let is_due = host.watch.as_ref().is_some_and(|watch| watch.findings().is_due);
        if answer & IS_DUE != 0 || is_due {
            continue;
        }
        let (soonest, mut latest) = pace(now, cost);
        for time in [end, doubted_since.map(|since| since + DOUBT)].into_iter().flatten() {
            latest = latest.min(time);
        }
        // The last of them tells of mounts.
        let count =
            waited.len() - usize::from(events.mounts.is_some() && answer & MINDS_MOUNTS == 0);
        wait_for_event(&mut waited[..count], soonest, latest)?;
    }
}

/// Waits for one of these events until `latest`, and after it until `soonest`, if that is sooner.
fn wait_for_event(waited: &mut [PollFd<'_>], soonest: Instant, latest: Instant) -> Result<()> {
    let cannot = |e| Error::cannot("wait for events", e);
    if wait_until(waited, Some(latest)).map_err(cannot)? {
        pause(soonest.min(latest).saturating_duration_since(Instant::now()));
    }
    Ok(())
}

/// Looks once, silently, in a child that ends with it; returns the child's answer. What was found,
/// and any failure that no later look will change, is for the parent to tell.
fn look(host: &mut Host, spec: &TargetSpec) -> u8 {
    host.console = Console { quiet: true, verbose: false };
    let mut answer = match resolve(host, spec) {
        Ok(_) => Outlook::Lasting as u8,
        Err(error) => error.outlook() as u8,
    };
    if let Some(watch) = &host.watch {
        let Findings { minds_mounts, is_starting, is_due } = watch.findings();
        for (is_so, flag) in
            [(minds_mounts, MINDS_MOUNTS), (is_due, IS_DUE), (is_starting, IS_STARTING)]
        {
            if is_so {
                answer |= flag;
            }
        }
    }
    answer
}

/// Returns the outlook in a child's answer. Without one, as when the child was killed, it is
/// [`Outlook::Lasting`], so that the parent looks itself and finds out why.
fn outlook_of(answer: u8) -> Outlook {
    let known = [Outlook::Absent, Outlook::Unclear];
    let is_it =
        |outlook: &Outlook| answer & !(MINDS_MOUNTS | IS_DUE | IS_STARTING) == *outlook as u8;
    known.into_iter().find(is_it).unwrap_or_default()
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
        TargetSpec::Number(number) => format!("network namespace id:{number}"),
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
