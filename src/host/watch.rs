//! Events for `--wait`: a look that comes to a directory asks for its events first and reads it
//! then, so that no later change is missed. So exactly what was looked at is watched, and no room
//! needs a list of its own of what to watch.

#![forbid(unsafe_code)]

use super::Host;
use super::root::Symlink;
use crate::base::error::is_absent;
use crate::kernel::fork::wait_until;
use crate::kernel::inotify::Inotify;
use crate::sys::clock::{pause, processor_time};
use rustix::event::{PollFd, PollFlags};
use rustix::fd::{AsFd, BorrowedFd};
use std::cell::Cell;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// Without an event the next look comes no sooner than this.
const SHORTEST: Duration = Duration::from_millis(200);
/// Nor later than this, however much processor time a look takes.
const LONGEST: Duration = Duration::from_secs(60);
/// Without an event the next look comes after so many times the processor time of the last one:
/// looks take a thousandth of a processor.
const IDLE: u32 = 1000;
/// After an event it comes no sooner than after so many times that.
const BUSY: u32 = 4;
/// The same while a start is under way, whose end would else be missed for as long as the next look
/// takes.
const STARTING: u32 = 25;
/// So often at most a look is repeated in part, as it takes memory that it does not give back.
const MOST_ROUNDS: u32 = 100;

/// Returns when the next look comes after one of this processor time: the soonest after an event,
/// and the latest without.
pub(crate) fn pace(now: Instant, cost: Duration) -> (Instant, Instant) {
    (now + cost * BUSY, now + (cost * IDLE).clamp(SHORTEST, LONGEST))
}

/// What is wanted of a look while somebody waits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// The answer at once: other looks will follow, or what was found is entered.
    #[default]
    Now,
    /// An answer that may take its time: see [`Host::linger`]. At once where a start is under way.
    Patience,
    /// The same of the process that is to enter, and also where a start is under way.
    Entry,
    /// The last look, when the time is over: all that may help whoever has waited in vain.
    Last,
}

/// What a look is told that somebody waits for, and what it has found out for that.
#[derive(Default)]
pub(crate) struct Watch {
    /// The events; None where there are none to be had.
    events: Option<Rc<Inotify>>,
    /// When nobody waits any more, if that is limited.
    end: Option<Instant>,
    /// What is wanted of the look.
    wanted: Wanted,
    /// The processor time that this process had used when the look began.
    used_before: Duration,
    /// What the look has found out.
    findings: Cell<Findings>,
    /// None before the look is repeated in part.
    rounds: Cell<Option<Rounds>>,
}

/// What a look has found out for who waits, beside what it looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Findings {
    /// A mount could change what was found.
    pub(crate) minds_mounts: bool,
    /// What is meant is starting.
    pub(crate) is_starting: bool,
    /// The look has waited itself, and the next one is due.
    pub(crate) is_due: bool,
}

/// How far a look is that is repeated in part.
#[derive(Clone, Copy)]
struct Rounds {
    /// How often it was repeated.
    count: u32,
    /// When the whole look had ended.
    ended: Instant,
    /// Its processor time.
    cost: Duration,
    /// For how long the repetitions have put off the next whole look.
    rest: Duration,
    /// The processor time of the look and its repetitions, when the last of these began.
    cost_before: Duration,
}

impl Rounds {
    /// Returns until when another round may wait for an event.
    fn until(&self, is_starting: bool) -> Instant {
        let (soonest, latest) = pace(self.ended, self.cost);
        let soonest = if is_starting { self.ended + self.cost * STARTING } else { soonest };
        // What has happened is for a whole look to find, too.
        if self.count == 0 { latest } else { latest.min(soonest + self.rest) }
    }
}

impl Watch {
    /// Makes what a look needs that asks for these events, and whose waiting comes to this end.
    pub(crate) fn new(events: &Option<Rc<Inotify>>, end: Option<Instant>, wanted: Wanted) -> Watch {
        // A child has used none yet.
        let used_before = match wanted {
            Wanted::Entry => processor_time(),
            _ => Duration::ZERO,
        };
        Watch { events: events.clone(), end, wanted, used_before, ..Watch::default() }
    }

    /// Returns the descriptor that the events come from.
    pub(crate) fn events(&self) -> Option<BorrowedFd<'_>> {
        self.events.as_ref().map(|events| events.as_fd())
    }

    /// Returns what the look has found out until now.
    pub(crate) fn findings(&self) -> Findings {
        self.findings.get()
    }

    /// Says that the next look is due.
    fn set_due(&self) {
        self.findings.set(Findings { is_due: true, ..self.findings() });
    }

    /// Returns the processor time that the look has taken until now.
    fn cost(&self) -> Duration {
        processor_time().saturating_sub(self.used_before)
    }

    /// Tells whether the look may wait itself for what it found not to run.
    fn may_linger(&self) -> bool {
        let Findings { minds_mounts, is_starting, .. } = self.findings();
        let is_wanted = match self.wanted {
            Wanted::Patience => !is_starting,
            Wanted::Entry => true,
            Wanted::Now | Wanted::Last => false,
        };
        is_wanted && !minds_mounts
    }

    /// Begins another round; returns until when it may wait for an event. None where there were
    /// enough.
    fn begin_round(&self) -> Option<Instant> {
        let cost = self.cost();
        let rounds = match self.rounds.get() {
            None => {
                let (ended, nothing) = (Instant::now(), Duration::ZERO);
                Rounds { count: 0, ended, cost, rest: nothing, cost_before: nothing }
            }
            Some(rounds) => {
                let rest = BUSY * cost.saturating_sub(rounds.cost_before);
                // A record is written in several steps, each an event: a few are looked at at once.
                if cost > 2 * rounds.cost {
                    pause(rest);
                }
                Rounds { count: rounds.count + 1, rest: rounds.rest + rest, ..rounds }
            }
        };
        self.rounds.set(Some(rounds));
        let until = rounds.until(self.findings().is_starting);
        let until = self.end.map_or(until, |end| until.min(end));
        (rounds.count != MOST_ROUNDS).then_some(until)
    }

    /// Notes what the look has cost before it is repeated.
    fn end_round(&self) {
        let cost_before = self.cost();
        self.rounds.set(self.rounds.get().map(|rounds| Rounds { cost_before, ..rounds }));
    }
}

impl Host {
    /// Waits, in a look that knows what is meant and found that it does not run, for an event that
    /// may have changed that: to look at what is known takes a small part of a whole look. False
    /// where nobody waits so, or a whole look is due.
    pub(crate) fn linger(&self) -> bool {
        let Some(watch) = self.watch.as_ref().filter(|watch| watch.may_linger()) else {
            return false;
        };
        let Some(events) = &watch.events else { return false };
        watch.set_due();
        let Some(until) = watch.begin_round() else { return false };
        let is_event = wait_until(&mut [PollFd::new(&**events, PollFlags::IN)], Some(until));
        events.forget();
        watch.end_round();
        is_event == Ok(true)
    }

    /// Waits so long in a look; where it may take its time, no longer than until an event.
    pub(crate) fn pause(&self, time: Duration) {
        let is_patient = |wanted| matches!(wanted, Wanted::Patience | Wanted::Entry);
        let watch = self.watch.as_ref().filter(|watch| is_patient(watch.wanted));
        let Some((watch, events)) = watch.and_then(|watch| Some((watch, watch.events.as_ref()?)))
        else {
            return pause(time);
        };
        let until = Some(Instant::now() + time);
        if wait_until(&mut [PollFd::new(&**events, PollFlags::IN)], until) == Ok(true) {
            events.forget();
            watch.set_due();
        }
    }

    /// Says that a mount may change what is found, if anybody waits.
    pub(crate) fn mind_mounts(&self) {
        if let Some(watch) = &self.watch {
            watch.findings.set(Findings { minds_mounts: true, ..watch.findings() });
        }
    }

    /// Says whether what is meant is starting, if anybody waits.
    pub(crate) fn mind_start(&self, is_starting: bool) {
        if let Some(watch) = &self.watch {
            watch.findings.set(Findings { is_starting, ..watch.findings() });
        }
    }

    /// Tells whether a look is one of many, which need not say more than that it found nothing.
    pub(crate) fn is_one_look_of_many(&self) -> bool {
        self.watch.as_ref().is_some_and(|watch| watch.wanted != Wanted::Last)
    }

    /// Asks for the events of a directory, if anybody waits for them; tells whether that is so.
    pub(crate) fn watch(&self, directory: impl AsFd) -> bool {
        let events = self.watch.as_ref().and_then(|watch| watch.events.as_ref());
        if let Some(events) = events {
            events.add(directory);
        }
        events.is_some()
    }

    /// As [`Host::watch`], of the directory at a path, or the nearest above it that is there.
    pub(crate) fn watch_path(&self, path: &[u8]) {
        // What comes and goes all the time is not waited for here.
        const ATTEMPTS: u32 = 100;
        if self.watch.is_none() {
            return;
        }
        let (mut at, mut missing) = (path, None);
        for _ in 0..ATTEMPTS {
            match self.resolve(at, Symlink::Follow) {
                Ok(directory) => {
                    self.watch(directory);
                    // It may have come before it was watched.
                    let is_missing = |next: &[u8]| self.resolve(next, Symlink::Follow).is_err();
                    if missing.is_none_or(is_missing) {
                        break;
                    }
                    (at, missing) = (path, None);
                }
                Err(e) if is_absent(e) && at != above(at) => (at, missing) = (above(at), Some(at)),
                Err(_) => break,
            }
        }
    }

    /// As [`Host::watch_path`], of the directory that a file is in.
    pub(crate) fn watch_above(&self, file: &[u8]) {
        self.watch_path(above(file));
    }
}

/// Returns the path of what a path lies in.
fn above(path: &[u8]) -> &[u8] {
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(slash) => &path[..slash.max(1)],
        None => b".",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;
    use crate::base::testing::Scratch;
    use rustix::io::read;

    #[test]
    fn every_path_lies_in_another() {
        for (path, directory) in
            [("/a/b", "/a"), ("/a", "/"), ("/", "/"), ("a/b", "a"), ("a", "."), (".", ".")]
        {
            assert_eq!(above(path.as_bytes()), directory.as_bytes(), "{path}");
        }
    }

    #[test]
    fn what_is_not_there_is_seen_to_come() {
        let scratch = Scratch::new();
        let mut host = Host::own(Console::default());
        assert!(!host.watch(std::fs::File::open("/").unwrap()));
        let events = Rc::new(Inotify::new().unwrap());
        host.watch = Some(Watch::new(&Some(events.clone()), None, Wanted::Now));
        let is_event = || read(&*events, &mut [0_u8; 4096]).is_ok();
        host.watch_path(&scratch.path("a/b/c"));
        assert!(!is_event());
        scratch.file("other", "");
        assert!(is_event());
        std::fs::create_dir_all(scratch.at("a/b/c")).unwrap();
        assert!(is_event());
        host.watch_path(&scratch.path("a/b/c"));
        while is_event() {}
        scratch.file("a/b/c/d", "");
        assert!(is_event());
    }
}
