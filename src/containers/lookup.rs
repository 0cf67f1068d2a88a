//! Which container a word means, and whether it runs.
//!
//! A lookup is of one world: its engines are asked for names, the kernel for evidence, and the
//! answer is one container in one namespace, or a refusal that lists what there is. What follows
//! from the verdicts is decided by [`choose`], which looks at nothing.

#![forbid(unsafe_code)]

use super::engine::oci::is_long;
use super::engine::{self, Container, Containers};
use super::evidence::verify_each;
use super::name::{label, pod_or_name, short_id, spelled_pod};
use super::verdict::{Doubt, Held, Refusal, Verdict, Why};
use super::word::Word;
use super::world::{Caller, User, World};
use crate::base::error::{Error, Outlook, Result};
use crate::base::escape::{quoted, shown};
use crate::host::Host;
use crate::host::process::Process;
use crate::kernel::netns::{NetNs, NsId};

/// The result of looking a word up.
#[derive(Debug)]
pub(crate) enum Lookup {
    /// The one that is meant.
    Running(Running),
    /// It is known and does not run: the finished message.
    NotRunning(Error),
    /// No engine knows the word.
    Unknown,
}

/// A container that runs.
#[derive(Debug)]
pub(crate) struct Running {
    /// What it is called. In a box, as it is handed on from one result to the next.
    pub(crate) container: Box<Container>,
    /// Its process, held; where the first thread of that has ended, another one.
    pub(crate) process: Process,
    /// Its network namespace.
    pub(crate) netns: NetNs,
}

/// Returns the worlds that the caller asks, in their order: root root's alone, a user first the
/// user's own and then root's as far as it can be read.
///
/// # Errors
/// Where it cannot be told who the caller is.
pub(crate) fn worlds(host: &Host) -> Result<Vec<World<'_>>> {
    let root = World::root(host);
    if root.caller.is_root {
        return Ok(vec![root]);
    }
    Ok(vec![World::user(host, User::caller(host)?), root])
}

/// Looks up a word in one world.
///
/// # Errors
/// Where it is ambiguous, or what it means is starting or not proven.
pub(crate) fn find_in(world: &World<'_>, word: &Word<'_>) -> Result<Lookup> {
    if is_long(word.text) {
        // That needs no enumeration: every runtime has its record under the ID itself.
        let found = engine::by_id(world, word.engine, word.text);
        if !found.is_empty() {
            return decide(world, word, &found);
        }
    }
    for enumerate in [engine::list as Enumerate, engine::scan] {
        let mut known = known(world, enumerate, word.engine, Some(word.needle()))?;
        for is_meant in [Word::is_exactly, Word::is_prefix] {
            if known.iter().any(|container| is_meant(word, container)) {
                known.retain(|container| is_meant(word, container));
                return decide(world, word, &known);
            }
        }
    }
    Ok(Lookup::Unknown)
}

/// Takes the one of these containers that is meant. Who waits for one that does not run yet asks
/// about the same ones again.
fn decide(world: &World<'_>, word: &Word<'_>, candidates: &[Container]) -> Result<Lookup> {
    // A reader is not listened to for so long.
    let is_reader = world.user_of().is_some() && world.caller.is_root;
    loop {
        let decided = decide_now(world, word, candidates);
        let is_absent = match &decided {
            Ok(lookup) => matches!(lookup, Lookup::NotRunning(_)),
            Err(error) => error.outlook() == Outlook::Absent,
        };
        if !is_absent || is_reader || !world.host.linger() {
            return decided;
        }
    }
}

/// Asks the kernel about the containers that a word may mean, and takes the one that is meant.
fn decide_now(world: &World<'_>, word: &Word<'_>, candidates: &[Container]) -> Result<Lookup> {
    let host = world.host;
    let (states, mut verdicts) = verify_all(world, candidates);
    host.check()?;
    let (at, other) = match choose(candidates, &states) {
        Choice::One { at, other } => (at, other),
        Choice::Ambiguous(several) => {
            let hosts = host.netns_id();
            return Err(ambiguous(word.text, candidates, &states, &several, hosts));
        }
    };
    let (container, label) = (&candidates[at], label(&candidates[at]));
    let Held { process, netns, note, .. } = match verdicts.swap_remove(at) {
        Ok(held) => held,
        Err(refusal) => return refused(host, word, container, &label, refusal),
    };
    if let Some(other) = other {
        let other = super::name::label(&candidates[other]);
        host.console.note(format_args!("{other} is not running: this is {label}"));
    }
    if let Some(note) = note {
        host.console.note(format_args!("{label} {note}"));
    }
    Ok(Lookup::Running(Running { container: Box::new(container.clone()), process, netns }))
}

/// Returns how each of these containers stands, and the verdicts. There may be more attempts at a
/// pod than descriptors: of those that run the first one alone is held, and has a verdict.
fn verify_all(world: &World<'_>, candidates: &[Container]) -> (Vec<State>, Vec<Verdict>) {
    let mut states = vec![State::NoRecord; candidates.len()];
    let mut verdicts: Vec<Verdict> = Vec::new();
    verdicts.resize_with(candidates.len(), || Err(Doubt::Changing.into()));
    let mut first = candidates.len();
    verify_each(world, candidates, &mut |at, verdict| {
        states[at] = State::of(&verdict);
        let is_running = matches!(states[at], State::Running { .. });
        if is_running && at > first {
            return;
        }
        if is_running {
            if let Some(held) = verdicts.get_mut(first) {
                *held = Err(Doubt::Changing.into());
            }
            first = at;
        }
        verdicts[at] = verdict;
    });
    (states, verdicts)
}

/// Makes the result of a lookup of what no process is taken for.
fn refused(
    host: &Host,
    word: &Word<'_>,
    container: &Container,
    label: &str,
    refusal: Refusal,
) -> Result<Lookup> {
    let is_stopped = matches!(refusal, Refusal::NotRunning(_));
    let is_starting = refusal == Refusal::Starting;
    host.mind_start(is_starting);
    let mut error = refusal.into_error(host, label, &container.id);
    if is_starting && host.watch.is_none() {
        error = error.with_remedy(format!("to wait for it: netns-enter --wait {}", typed(word)));
    }
    if is_stopped { Ok(Lookup::NotRunning(error)) } else { Err(error) }
}

/// A verdict without what is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running { pid: u32, start: u64, netns: NsId },
    NotRunning { says_why: bool },
    NoRecord,
    Starting,
    NotProven,
}

impl State {
    fn of(verdict: &Verdict) -> State {
        match verdict {
            Ok(Held { process, start, netns, .. }) => {
                State::Running { pid: process.pid, start: *start, netns: netns.id }
            }
            Err(Refusal::NotRunning(why)) => {
                State::NotRunning { says_why: !matches!(why, Why::NotRecorded | Why::Ended) }
            }
            Err(Refusal::NoRecord { .. }) => State::NoRecord,
            Err(Refusal::Starting) => State::Starting,
            Err(Refusal::NotProven(_)) => State::NotProven,
        }
    }
}

/// What a word means, by indices of the candidates.
#[derive(Debug, PartialEq, Eq)]
enum Choice {
    /// This one, whatever its state; `other`: it runs, and another engine's has the name and does
    /// not.
    One {
        at: usize,
        other: Option<usize>,
    },
    Ambiguous(Vec<usize>),
}

impl Choice {
    fn only(at: usize) -> Choice {
        Choice::One { at, other: None }
    }
}

/// Takes the one that is meant among several. One that runs goes before those that do not; two that
/// run are one only where they are one process, or in one namespace of one pod.
fn choose(candidates: &[Container], states: &[State]) -> Choice {
    let (mut running, mut open) = (Vec::new(), Vec::new());
    for (at, state) in states.iter().enumerate() {
        match *state {
            State::Running { pid, start, netns } => {
                let is_one = |known: &usize| match states[*known] {
                    State::Running { pid: other, start: since, netns: there } => {
                        let is_pods = is_of_one_pod(&candidates[*known], &candidates[at]);
                        (pid, start) == (other, since) || (is_pods && netns == there)
                    }
                    _ => false,
                };
                if !running.iter().any(is_one) {
                    running.push(at);
                }
            }
            State::Starting | State::NotProven => open.push(at),
            State::NotRunning { .. } | State::NoRecord => {}
        }
    }
    let first_with = |wanted: &dyn Fn(usize) -> bool| (0..states.len()).find(|at| wanted(*at));
    if let Some(&first) = running.first() {
        let meant = &candidates[first];
        // Of a pod that runs, what else of it is only starting does not matter.
        open.retain(|at| !is_of_one_pod(meant, &candidates[*at]));
        running.append(&mut open);
        if running.len() > 1 {
            return Choice::Ambiguous(running);
        }
        let is_stopped = |at: usize| !matches!(states[at], State::Running { .. });
        let other = first_with(&|at| is_stopped(at) && candidates[at].engine != meant.engine);
        return Choice::One { at: first, other };
    }
    if let [first, others @ ..] = &open[..] {
        let is_pods = |at: &usize| is_of_one_pod(&candidates[*first], &candidates[*at]);
        if !others.iter().all(is_pods) {
            return Choice::Ambiguous(open);
        }
        // What starts will be clear in a moment.
        let starting = first_with(&|at| states[at] == State::Starting);
        return Choice::only(starting.unwrap_or(*first));
    }
    let no_record = first_with(&|at| states[at] == State::NoRecord);
    let says_why = || first_with(&|at| states[at] == State::NotRunning { says_why: true });
    Choice::only(no_record.or_else(says_why).unwrap_or(0))
}

/// Tells whether two containers are in one pod.
fn is_of_one_pod(a: &Container, b: &Container) -> bool {
    let is_k8s = a.engine == "k8s" && b.engine == "k8s";
    (is_k8s && pod_or_name(a) == pod_or_name(b)) || (a.pod.is_some() && a.pod == b.pod)
}

/// Makes the refusal of a word that means several. The remedy names each so that it is the only one
/// called so: by name, by ID or by process.
fn ambiguous(
    word: &[u8],
    candidates: &[Container],
    states: &[State],
    several: &[usize],
    hosts: Option<NsId>,
) -> Error {
    let (mut items, mut names, mut ids, mut pids) = (vec![], vec![], vec![], vec![]);
    for at in several {
        let container = &candidates[*at];
        let name = shown(&spelled_pod(container)).to_string();
        let id = shown(short_id(&container.id)).to_string();
        let state = match states[*at] {
            State::Running { pid, netns, .. } => {
                if Some(netns) != hosts {
                    pids.push(format!("--pid {pid}"));
                }
                format!("pid {pid}")
            }
            State::Starting => "starting".to_string(),
            _ => "not proven".to_string(),
        };
        items.push(format!("{name} {id} {state}"));
        names.push(name);
        ids.push(id);
    }
    let is_clear = |words: &[String]| {
        words.iter().enumerate().all(|(at, word)| !words[..at].contains(word) && !word.is_empty())
    };
    let words = if is_clear(&names) {
        names
    } else if is_clear(&ids) {
        ids
    } else if !pids.is_empty() {
        pids
    } else {
        vec!["--pid PID".to_string()]
    };
    let remedy = words.join(" or ");
    let message = format!("{} is ambiguous: {}", quoted(word), items.join(", "));
    Error::new(message).unclear().with_remedy(format!("say {remedy}"))
}

/// Returns how a word is typed again, as far as it matters.
fn typed(word: &Word<'_>) -> String {
    let text = shown(word.text);
    match word.engine {
        Some(engine) => format!("{engine}:{text}"),
        None => text.to_string(),
    }
}

/// Returns every container that a world's engines name, or those of one engine, for what a word may
/// have been meant to be.
///
/// # Errors
/// Where the machine refuses.
pub(crate) fn all_in(world: &World<'_>, only: Option<&str>) -> Result<Vec<Container>> {
    let mut all = known(world, engine::list, only, None)?;
    all.append(&mut known(world, engine::scan, only, None)?);
    Ok(all)
}

/// Finds containers of a world, or those of one engine.
type Enumerate = fn(&World<'_>, Option<&str>, &mut Containers<'_>);

/// Returns the containers that are found so, of no other engine if one is named.
fn known(
    world: &World<'_>,
    enumerate: Enumerate,
    only: Option<&str>,
    needle: Option<&[u8]>,
) -> Result<Vec<Container>> {
    let mut known = Containers::with(needle);
    enumerate(world, only, &mut known);
    world.host.check()?;
    let mut known = known.into_list();
    known.retain(|container| only.is_none_or(|word| container.is_of(word)));
    Ok(known)
}

/// Tells whether the caller is root to this machine.
pub(crate) fn is_root(host: &Host) -> bool {
    Caller::of(host).is_root
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::containers::engine::Source;

    fn container(engine: &'static str, name: &str, id: &str) -> Container {
        let new = Container::unnamed(engine, id.as_bytes(), Source::Anywhere);
        Container { name: name.as_bytes().to_vec(), ..new }
    }

    fn running(pid: u32, ino: u64) -> State {
        State::Running { pid, start: 1, netns: NsId { ino, dev: 4 } }
    }

    const STOPPED: State = State::NotRunning { says_why: false };

    fn only(at: usize) -> Choice {
        Choice::only(at)
    }

    #[test]
    fn one_that_runs_is_meant() {
        let web = [container("docker", "web", "a"), container("podman", "web", "b")];
        assert_eq!(choose(&web[..1], &[running(7, 1)]), only(0));
        let noted = |at, other| Choice::One { at, other: Some(other) };
        assert_eq!(choose(&web, &[STOPPED, running(7, 1)]), noted(1, 0));
        assert_eq!(choose(&web, &[running(7, 1), State::NoRecord]), noted(0, 1));
        // Another attempt of the same engine is nothing to note.
        let twice = [container("lxc", "web", "web"), container("lxc", "web", "web")];
        assert_eq!(choose(&twice, &[STOPPED, running(7, 1)]), only(1));
    }

    #[test]
    fn two_that_run_are_one_only_as_one_process() {
        let web = [container("docker", "web", "a"), container("podman", "web", "a")];
        assert_eq!(choose(&web, &[running(7, 1), running(7, 1)]), only(0));
        let both = Choice::Ambiguous(vec![0, 1]);
        assert_eq!(choose(&web, &[running(7, 1), running(8, 1)]), both);
        // Spelled alike, in two namespaces of containerd.
        let alike = [container("containerd", "a", "a"), container("containerd", "a", "a")];
        assert_eq!(choose(&alike, &[running(7, 1), running(8, 2)]), both);
        assert_eq!(choose(&alike, &[running(7, 1), running(7, 1)]), only(0));
    }

    #[test]
    fn a_rival_that_may_run_makes_it_ambiguous() {
        let web = [container("docker", "web", "a"), container("lxc", "web", "web")];
        for state in [State::Starting, State::NotProven] {
            assert_eq!(choose(&web, &[running(7, 1), state]), Choice::Ambiguous(vec![0, 1]));
            assert_eq!(choose(&web, &[state, running(7, 1)]), Choice::Ambiguous(vec![1, 0]));
            assert_eq!(choose(&web, &[state, state]), Choice::Ambiguous(vec![0, 1]));
            assert_eq!(choose(&web, &[STOPPED, state]), only(1));
        }
    }

    #[test]
    fn a_pod_is_one_by_its_namespace() {
        let pod = [container("k8s", "a/b", "1"), container("k8s", "a/b/c", "2")];
        assert_eq!(choose(&pod, &[running(7, 1), running(8, 1)]), only(0));
        assert_eq!(choose(&pod, &[running(7, 1), running(8, 2)]), Choice::Ambiguous(vec![0, 1]));
        assert_eq!(choose(&pod, &[State::Starting, running(8, 1)]), only(1));
        assert_eq!(choose(&pod, &[State::NotProven, State::Starting]), only(1));
        assert_eq!(choose(&pod, &[STOPPED, STOPPED]), only(0));
        let others = [container("k8s", "a/b", "1"), container("k8s", "z/b", "2")];
        assert_eq!(choose(&others, &[running(7, 1), running(8, 1)]), Choice::Ambiguous(vec![0, 1]));
        let in_pod = |id| Container { pod: Some(b"p".to_vec()), ..container("podman", id, id) };
        let pod = [in_pod("1"), in_pod("2")];
        assert_eq!(choose(&pod, &[running(7, 1), running(8, 1)]), only(0));
        assert_eq!(choose(&pod, &[running(7, 1), running(8, 2)]), Choice::Ambiguous(vec![0, 1]));
    }

    #[test]
    fn not_running_is_said_only_of_what_could_be_looked_at() {
        let web = [container("docker", "web", "a"), container("podman", "web", "b")];
        assert_eq!(choose(&web, &[STOPPED, STOPPED]), only(0));
        let reused = State::NotRunning { says_why: true };
        assert_eq!(choose(&web, &[STOPPED, reused]), only(1));
        assert_eq!(choose(&web, &[STOPPED, State::NoRecord]), only(1));
    }

    fn remedy(candidates: &[Container], states: &[State], hosts: u64) -> (String, String) {
        let hosts = Some(NsId { ino: hosts, dev: 4 });
        let error = ambiguous(b"web", candidates, states, &[0, 1], hosts);
        (error.message().to_string(), error.remedy().unwrap().to_string())
    }

    #[test]
    fn each_remedy_is_of_one_alone() {
        let id = "b146a24e2b7e".to_string() + &"0".repeat(52);
        let other = "2f254bae0e01".to_string() + &"0".repeat(52);
        let states = [running(5271, 1), running(5955, 2)];
        let web = [container("docker", "web", &id), container("podman", "web", &other)];
        let (message, say) = remedy(&web, &states, 9);
        let expected = "\"web\" is ambiguous: docker:web b146a24e2b7e pid 5271, podman:web \
            2f254bae0e01 pid 5955";
        assert_eq!((message.as_str(), say.as_str()), (expected, "say docker:web or podman:web"));
        let web = [container("docker", "web", &id), container("docker", "web", &other)];
        assert_eq!(remedy(&web, &states, 9).1, "say b146a24e2b7e or 2f254bae0e01");
        let web = [container("docker", "web", &id), container("docker", "web", &id)];
        assert_eq!(remedy(&web, &states, 9).1, "say --pid 5271 or --pid 5955");
        // Never a process of the host's network namespace.
        assert_eq!(remedy(&web, &states, 1).1, "say --pid 5955");
        assert_eq!(remedy(&web, &[running(7, 1), State::Starting], 1).1, "say --pid PID");
        let pods = [container("k8s", "a/b/c", &id), container("k8s", "z/b/c", &other)];
        assert_eq!(remedy(&pods, &states, 9).1, "say k8s:a/b or k8s:z/b");
    }
}
