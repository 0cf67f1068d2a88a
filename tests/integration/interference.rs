//! Non-interference: whatever a user adds, or a container's root, what root gets for a word of root's
//! world stays the same to the byte, and is found by the same system calls.
//!
//! There is a machine of root's, a table of questions about it, each way to name each container, and a
//! table of additions, each done by a process of a real uid or by a container's root. After each addition
//! by itself and after sets of them, by chance, the questions are asked again. In `make test` some of the
//! additions are tried and every container is asked for by its name, with some other questions; in
//! `make soak` all of them.

#![forbid(unsafe_code)]

mod actors; // a user's shells, and containers whose root acts
mod additions; // what these can do
mod machine; // root's containers
mod questions; // the ways to name them, and what an answer is

use crate::chance::{self, Dice, SEED};
use crate::util::{lacks, tell};
use additions::{ADDITIONS, Addition, Scene};
use machine::{Machine, State, hierarchies, is_on_stage};
use questions::{Answer, Asker, Question, Rule, of_users, questions, unknown};
use std::collections::BTreeSet;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::scope;
use std::time::{Duration, Instant};

/// As many additions are in a set.
const SET: usize = 5;
/// Of so many additions, and as many sets, some are tried in `make test`, which is to take a minute.
const FEW: usize = 10;
/// Of so many questions one is asked there, beside those by names.
const SHARE: usize = 4;
/// What is in the kind of each addition that is tried; without it all are.
const KIND: &str = "NETNS_ENTER_TEST_KIND";
/// As many questions are under way at a time.
const ASKERS: usize = 2;
/// As many wrong answers to one set are shown.
const SHOWN: usize = 4;
/// How long a soak is to take; without it the sets are few.
const SECONDS: &str = "NETNS_ENTER_SOAK_SECONDS";
/// A file that ends a soak when it is there.
const STOP: &str = "NETNS_ENTER_SOAK_STOP";

/// What is needed beside engines, which may be missing.
const NEEDS: [&str; 7] = ["unshare", "setpriv", "mount", "ip", "busybox", "strace", "perl"];

#[test]
fn what_others_add_changes_no_answer() {
    if lacks(&NEEDS) || !is_on_stage() {
        return;
    }
    let seed = chance::seed();
    let mut search = Search::start(seed);
    search.each_alone();
    if std::env::var_os(KIND).is_none() {
        (0..FEW).for_each(|set| search.set(set));
    }
    search.report();
}

/// A hundred users, each with a thousand containers, cost a word of root's not one system call.
#[test]
fn a_hundred_users_cost_nothing() {
    if lacks(&NEEDS) || !is_on_stage() {
        return;
    }
    let machine = Machine::of_files();
    let traced = |question: &Question| question.rule == Rule::SameCalls;
    let mut all = questions(&machine);
    all.retain(traced);
    for asker in [Asker::HostRoot, Asker::WithoutCgroups] {
        let again =
            all.iter().filter(|question| question.asker == Asker::Root && question.args.len() == 1);
        let again: Vec<Question> =
            again.map(|question| Question { asker, ..question.clone() }).collect();
        all.extend(again);
    }
    let trace_all = || {
        let traced = Mutex::new(vec![None; all.len()]);
        in_parallel(all.len(), &|at, log| {
            let found = all[at].trace(&machine.prefix, log);
            traced.lock().expect("no panic")[at] = Some(found);
        });
        traced.into_inner().expect("no panic")
    };
    let before = trace_all();
    machine.add_users(100, 1000);
    let after = trace_all();
    for ((question, before), after) in all.iter().zip(before).zip(after) {
        let ((was, calls), (is, now)) = (before.expect("an answer"), after.expect("an answer"));
        assert_eq!(was, is, "{question}");
        if let Some(what) = different_calls(question, &[calls], &now) {
            // Others may be at work on this machine for a moment.
            let again = question.trace(&machine.prefix, &format!("{}/trace", machine::DIR)).1;
            assert!(different_calls(question, &[now], &again).is_some(), "{what}");
        }
    }
    // They are there.
    let ask = Question {
        asker: Asker::Root,
        args: vec![format!("crun:{}-ghost@2007", machine.prefix)],
        ..all[0].clone()
    };
    let answer = ask.ask(&machine.prefix);
    assert!(answer.is_refusal() && answer.stderr.contains("2007"), "{ask}: {answer}");
    tell(&format!("interference: {} questions with a hundred users\n", all.len()));
}

/// For as long as `make soak` says: the first wrong answer ends it.
#[test]
#[ignore = "make soak"]
fn soak() {
    if lacks(&NEEDS) || !is_on_stage() {
        return;
    }
    let seconds = std::env::var(SECONDS).ok().and_then(|seconds| seconds.parse().ok());
    let end = Instant::now() + Duration::from_secs(seconds.unwrap_or(600));
    let stop = std::env::var(STOP).unwrap_or_default();
    let stop = stop.rsplit('/').next().filter(|name| !name.is_empty());
    let is_over = || {
        let is_stopped =
            stop.is_some_and(|name| fs::exists(format!("/run/ne/outside/{name}")).unwrap_or(false));
        is_stopped || Instant::now() > end
    };
    let mut search = Search::start(chance::seed());
    search.each_alone();
    let mut told = Instant::now();
    let mut set = 0;
    while search.wrong.is_empty() && !is_over() {
        search.set(set);
        set += 1;
        if told.elapsed() > Duration::from_secs(30) {
            told = Instant::now();
            search.progress();
        }
    }
    search.report();
}

/// A question with what was answered when nothing had been added.
struct Asked {
    question: Question,
    answer: Answer,
    /// The system calls, where they are compared: as often as they have differed by themselves.
    calls: Vec<Vec<String>>,
}

/// The search for an addition that changes an answer.
struct Search {
    seed: u64,
    machine: Machine,
    asked: Vec<Asked>,
    unknown: Vec<Question>,
    /// The additions that can be made here.
    possible: Vec<&'static Addition>,
    sets: usize,
    count: AtomicUsize,
    traced: AtomicUsize,
    drifts: usize,
    kinds: BTreeSet<&'static str>,
    wrong: Vec<String>,
    begin: Instant,
}

/// An answer that is not what it was.
struct Difference {
    at: usize,
    /// What is wrong with it.
    what: String,
}

impl Search {
    /// Makes the machine, and asks everything once.
    fn start(seed: u64) -> Search {
        let begin = Instant::now();
        tell(&format!("interference: {SEED}={seed}\n"));
        let machine = Machine::start();
        tell(&format!("interference: {} rows in {:?}\n", machine.rows.len(), begin.elapsed()));
        let (mut possible, mut missing) = (vec![], vec![]);
        for addition in ADDITIONS {
            match addition.lacks(&machine) {
                None => possible.push(addition),
                Some(need) => missing.push(format!("{} ({need})", addition.kind)),
            }
        }
        if !missing.is_empty() {
            tell(&format!("interference: not added: {}\n", missing.join(", ")));
        }
        let unknown = unknown(&machine);
        let mut search = Search {
            seed,
            machine,
            asked: vec![],
            unknown,
            possible,
            sets: 0,
            count: AtomicUsize::new(0),
            traced: AtomicUsize::new(0),
            drifts: 0,
            kinds: BTreeSet::new(),
            wrong: vec![],
            begin,
        };
        let mut all = questions(&search.machine);
        let mut dice = Dice::new(seed, u64::MAX - 1);
        all.retain(|question| question.is_name() || additions::is_soak() || dice.once_in(SHARE));
        let asked = Mutex::new(Vec::new());
        in_parallel(all.len(), &|at, _| {
            let question = all[at].clone();
            let answer = question.ask(&search.machine.prefix);
            asked.lock().expect("no panic").push((at, Asked { question, answer, calls: vec![] }));
        });
        let mut asked = asked.into_inner().expect("no panic");
        asked.sort_by_key(|(at, _)| *at);
        search.asked = asked.into_iter().map(|(_, asked)| asked).collect();
        search.check_machine();
        let count = search.asked.len();
        tell(&format!("interference: {count} questions asked at {:?}\n", begin.elapsed()));
        search
    }

    /// The answers that there are without additions must be what the machine is.
    fn check_machine(&self) {
        for Asked { question, answer, .. } in &self.asked {
            let row =
                self.machine.rows.iter().find(|row| row.name == question.about).expect("a row");
            let netns = row.pid.map(crate::util::ns_of).unwrap_or_default();
            let is_right = match row.state {
                _ if question.asker == Asker::Pinning => true,
                _ if question.rule == Rule::Refused => answer.is_refusal(),
                State::Running | State::Acting | State::Unit => {
                    answer.status == Some(0) && answer.stdout.trim() == netns
                }
                _ => true,
            };
            let is_right =
                is_right || question.asker == Asker::WithoutCgroups && answer.is_refusal();
            if !is_right {
                tell(&format!("interference: at first {question}: {answer}, not {netns}\n"));
            }
        }
    }

    /// Tries each addition by itself.
    fn each_alone(&mut self) {
        let (kind, count) = (std::env::var(KIND).ok(), self.possible.len());
        let mut dice = Dice::new(self.seed, u64::MAX);
        for at in 0..count {
            let addition = self.possible[at];
            let is_tried = match &kind {
                Some(kind) => addition.kind.contains(kind),
                None => additions::is_soak() || dice.below(count) < FEW,
            };
            if !is_tried {
                continue;
            }
            let dice = Dice::new(self.seed, 1_000_000 + at as u64);
            self.kinds.insert(addition.kind);
            self.try_set(&[addition], dice, true);
        }
    }

    /// Tries a set of additions, which is one of chance.
    fn set(&mut self, number: usize) {
        let mut dice = Dice::new(self.seed, number as u64);
        let mut set: Vec<&'static Addition> = Vec::new();
        for _ in 0..SET {
            set.push(*dice.pick(&self.possible));
        }
        // Where a file system does not answer nothing can be put any more.
        set.sort_by_key(|addition| addition.is_last());
        self.sets += 1;
        self.try_set(&set, dice, false);
    }

    /// Adds, asks, takes away.
    fn try_set(&mut self, set: &[&'static Addition], mut dice: Dice, is_alone: bool) {
        let chosen = self.chosen(&mut dice, is_alone);
        let prefix = self.machine.prefix.clone();
        self.trace_first(&chosen);
        // The machine is another's as long as the scene is.
        let mut scene = Scene::new(&mut self.machine, dice.clone(), is_alone);
        for addition in set {
            scene.add(addition);
        }
        let (acted, has_reused, log) = (scene.acted.clone(), scene.has_reused, scene.log.clone());
        let has_made = scene.has_made;
        let (asked, count, traced) = (&self.asked, &self.count, &self.traced);
        let own = Own::of(scene.machine, &acted);
        let found = Mutex::new(Vec::new());
        let unknown: &[Question] = if is_alone { &self.unknown } else { &[] };
        let ask = |at: usize, log: &str| {
            if at >= chosen.len() {
                let question = &unknown[at - chosen.len()];
                let answer = question.ask(&prefix);
                count.fetch_add(1, Ordering::Relaxed);
                if !own.is_refused(&answer) {
                    let what = format!(
                        "{question}\n    gets  {answer}, which is not 125 nor a namespace of that user"
                    );
                    found.lock().expect("no panic").push(Difference { at: usize::MAX, what });
                }
                return;
            }
            let (at, is_traced) = chosen[at];
            let Asked { question, answer: before, calls } = &asked[at];
            let (answer, now) = match is_traced {
                true => question.trace(&prefix, log),
                false => (question.ask(&prefix), vec![]),
            };
            let answer = match question.asker {
                Asker::Pinning => answer.without_lock(),
                _ => answer,
            };
            count.fetch_add(1, Ordering::Relaxed);
            // The kernel gives pids out again, whoever takes them.
            let is_reused = |answer: &Answer| {
                has_reused
                    || answer.stderr.contains("its pid") && answer.stderr.contains("was reused")
            };
            let is_same = match () {
                () if acted.contains(&question.about) => {
                    own.may_be(&question.about, before, &answer)
                }
                () if question.rule == Rule::Refused => own.is_refused(&answer),
                () if is_reused(&answer) || is_reused(before) => answer.is_like(before),
                () => answer == *before,
            };
            let what = if !is_same {
                format!("{question}\n    was   {before}\n    gets  {answer}")
            } else if is_traced
                && !has_made
                && !is_reused(&answer)
                && !acted.contains(&question.about)
            {
                traced.fetch_add(1, Ordering::Relaxed);
                let mut now = now;
                let mut what = different_calls(question, calls, &now);
                // Others may be at work on this machine for a moment.
                for _ in 0..3 {
                    if what.is_some() {
                        now = question.trace(&prefix, log).1;
                        what = different_calls(question, calls, &now);
                    }
                }
                match what {
                    None => return,
                    Some(what) => what,
                }
            } else {
                return;
            };
            found.lock().expect("no panic").push(Difference { at, what });
        };
        in_parallel(chosen.len() + unknown.len(), &ask);
        scene.end();
        let found = found.into_inner().expect("no panic");
        let kinds: Vec<&str> = set.iter().map(|addition| addition.kind).collect();
        let mut wrong = Vec::new();
        for Difference { at, what } in found {
            match at != usize::MAX && self.has_drifted(at) {
                true => self.drifts += 1,
                false => wrong.push(what),
            }
        }
        if let Some(more) = wrong.len().checked_sub(1) {
            // One tells as much as all of a kind.
            let shown =
                wrong.iter().take(SHOWN).map(|what| format!("  {what}\n")).collect::<String>();
            let more = (more + 1).saturating_sub(SHOWN);
            let set = kinds.join(" + ");
            let text = format!("after {set}:\n{shown}  and {more} more, by\n{}", indented(&log));
            tell(&format!("interference: WRONG {text}\n"));
            self.wrong.push(text);
        }
    }

    /// Asks for the system calls of those questions that will be asked for them, and have not been.
    fn trace_first(&mut self, chosen: &[(usize, bool)]) {
        let is_new = |at: &usize| self.asked[*at].calls.is_empty();
        let new: Vec<usize> = chosen
            .iter()
            .filter(|(_, is_traced)| *is_traced)
            .map(|(at, _)| *at)
            .filter(is_new)
            .collect();
        let traced = Mutex::new(Vec::new());
        in_parallel(new.len(), &|at, log| {
            let calls = self.asked[new[at]].question.trace(&self.machine.prefix, log).1;
            traced.lock().expect("no panic").push((new[at], calls));
        });
        for (at, calls) in traced.into_inner().expect("no panic") {
            self.asked[at].calls.push(calls);
        }
    }

    /// Returns which questions are asked, and whether their system calls are compared.
    fn chosen(&self, dice: &mut Dice, is_alone: bool) -> Vec<(usize, bool)> {
        let all = additions::is_soak();
        let mut chosen = Vec::new();
        for (at, asked) in self.asked.iter().enumerate() {
            let question = &asked.question;
            let often = if is_alone { 12 } else { 40 } / SHARE;
            if all || question.is_name() || dice.once_in(often) {
                let is_traced =
                    question.rule == Rule::SameCalls && dice.once_in(if all { 20 } else { 12 });
                chosen.push((at, is_traced));
            }
        }
        chosen
    }

    /// Tells whether an answer is another one by now without any addition, and takes it as it is.
    fn has_drifted(&mut self, at: usize) -> bool {
        let log = format!("{}/trace", machine::DIR);
        let Asked { question, answer, calls } = &mut self.asked[at];
        let (now, made) = match question.rule {
            Rule::SameCalls if !calls.is_empty() => question.trace(&self.machine.prefix, &log),
            _ => (question.ask(&self.machine.prefix), vec![]),
        };
        let has_drifted = now != *answer || (!calls.is_empty() && !calls.contains(&made));
        if has_drifted {
            let what = different_calls(question, calls, &made).unwrap_or_default();
            tell(&format!("interference: {question} has drifted: {answer} {now} {what}\n"));
            *answer = now;
            if !calls.is_empty() {
                calls.push(made);
            }
        }
        has_drifted
    }

    fn progress(&self) {
        let (count, traced) =
            (self.count.load(Ordering::Relaxed), self.traced.load(Ordering::Relaxed));
        tell(&format!(
            "interference: {} kinds, {} sets, {count} questions ({traced} by their system calls), {} drifts, {} wrong, seed {}, {:?}\n",
            self.kinds.len(),
            self.sets,
            self.drifts,
            self.wrong.len(),
            self.seed,
            self.begin.elapsed()
        ));
    }

    #[track_caller]
    fn report(self) {
        self.progress();
        let count = self.wrong.len();
        assert!(
            self.wrong.is_empty(),
            "{count} wrong answers; {SEED}={}; the first:\n{}",
            self.seed,
            self.wrong[0]
        );
    }
}

/// Calls `ask` with each number below `count`, and a file for system calls.
fn in_parallel(count: usize, ask: &(dyn Fn(usize, &str) + Sync)) {
    let next = AtomicUsize::new(0);
    scope(|threads| {
        for asker in 0..ASKERS {
            let next = &next;
            threads.spawn(move || {
                let log = format!("{}/trace{asker}", machine::DIR);
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        return;
                    }
                    ask(at, &log);
                }
            });
        }
    });
}

fn indented(scripts: &[String]) -> String {
    scripts.iter().flat_map(|script| script.lines()).map(|line| format!("    {line}\n")).collect()
}

/// Tells in what the system calls differ from those made before.
fn different_calls(question: &Question, before: &[Vec<String>], now: &[String]) -> Option<String> {
    let theirs = of_users(now);
    if !theirs.is_empty() {
        return Some(format!("{question}\n    looks at what is a user's: {}", theirs[0]));
    }
    if before.iter().any(|calls| calls == now) {
        return None;
    }
    let nearest = before.first().map_or(&[][..], |calls| calls);
    let at = nearest.iter().zip(now).take_while(|(before, now)| before == now).count();
    let of = |calls: &[String]| calls.get(at).cloned().unwrap_or_default();
    let (was, gets) = (of(nearest), of(now));
    Some(format!(
        "{question}\n    system call {at} of {} was   {was}\n    is, of {},   {gets}",
        nearest.len(),
        now.len()
    ))
}

/// The network namespaces that are somebody's own.
struct Own {
    /// Of processes below a user's cgroup.
    users: BTreeSet<String>,
    /// Of processes below the cgroup of a container whose root has acted, by its name.
    containers: Vec<(String, BTreeSet<String>)>,
    hosts: String,
}

impl Own {
    fn of(machine: &Machine, acted: &BTreeSet<String>) -> Own {
        let rows = machine.rows.iter().filter(|row| acted.contains(&row.name));
        let containers =
            rows.map(|row| (row.name.clone(), namespaces_below(&row.cgroup))).collect();
        let users = machine.users.iter().flat_map(|(path, _)| namespaces_below(path)).collect();
        Own { users, containers, hosts: crate::util::ns_of(1) }
    }

    /// Tells whether an answer about a container is one that its own root may have brought about.
    fn may_be(&self, about: &str, before: &Answer, answer: &Answer) -> bool {
        let own = self.containers.iter().find(|(name, _)| name == about);
        let is_own = own.is_some_and(|(_, own)| own.contains(answer.stdout.trim()));
        answer == before
            || answer.is_refusal()
            || (answer.status == Some(0) && is_own && answer.stdout.trim() != self.hosts)
    }

    /// Tells whether an answer about a word of nobody's is none, or a namespace of the user's making.
    fn is_refused(&self, answer: &Answer) -> bool {
        let netns = answer.stdout.trim();
        let is_ours = answer.stderr.lines().all(|line| line.starts_with("netns-enter: "));
        is_ours && answer.is_refusal()
            || (answer.status == Some(0) && netns != self.hosts && self.users.contains(netns))
    }
}

/// Returns the network namespaces of the processes below a cgroup.
fn namespaces_below(path: &str) -> BTreeSet<String> {
    let pids =
        hierarchies().into_iter().flat_map(|top| machine::pids_below(&format!("{top}{path}")));
    pids.map(crate::util::ns_of).filter(|netns| !netns.is_empty()).collect()
}
