//! Which container a word means, and whether it runs.
//!
//! Engines are asked for names, their runtimes' records are checked against the kernel, and the answer is one container in one
//! namespace or a refusal that lists what there is.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, keep, split};
use crate::cgroup;
use crate::cgroup::Member;
use crate::engine::{self, Base, Container, Containers, ENGINES, Evidence, Init};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::netns::{NetNs, NsId};
use crate::process::{Process, diagnose, is_dead, is_gone};
use crate::text::{append, number, text};
use rustix::io::Errno;
use rustix::process::geteuid;

/// Overflow uids, which stand for any uid that is not mapped: proc(5), /proc/sys/kernel/overflowuid; and for "unknown".
const NOBODYS: [u32; 2] = [65534, u32::MAX];
/// IDs shortened further than this are not taken for IDs.
const MIN_PREFIX: usize = 4;

/// A container whose init process is alive and proven.
#[derive(Debug)]
pub struct Running {
    /// What it is called.
    pub container: &'static Container,
    /// Its init process, held.
    pub process: Process,
    /// Its network namespace.
    pub netns: NetNs,
    /// Another user whose word it is; their own namespace, then.
    pub said_by: Option<u32>,
}

/// A container that ran when it was looked at, with nothing of it held: there may be thousands.
#[derive(Clone, Copy, Debug)]
pub struct Seen {
    /// What it is called.
    pub container: &'static Container,
    /// Its init process.
    pub pid: u32,
    /// When that started, as field 22 of its stat says.
    pub start: u64,
    /// Its network namespace.
    pub netns: NsId,
}

/// What became of looking a word up.
#[derive(Debug)]
pub enum Outcome {
    /// The one that is meant, where several all share one namespace.
    Running(Box<Running>),
    /// It is known and does not run: the finished message.
    Stopped(Error),
    /// No engine knows the word.
    Unknown,
}

/// A word that names a container, taken apart.
#[derive(Debug, PartialEq, Eq)]
struct Wanted<'a> {
    /// Only this engine's.
    engine: Option<&'static str>,
    /// Name or ID.
    text: &'a [u8],
}

impl Wanted<'_> {
    /// Whether the container is of the engine that was named, if one was.
    fn is_of(&self, container: &Container) -> bool {
        self.engine.is_none_or(|engine| engine == container.engine)
    }
}

/// Containers that a word may mean.
type Hits = Vec<&'static Container>;

/// Those for which `is_one` holds.
fn only(containers: &[&'static Container], is_one: &dyn Fn(&Container) -> bool) -> Hits {
    containers.iter().copied().filter(|container| is_one(container)).collect()
}

/// Looks up `word` among all engines of `host`.
///
/// # Errors
/// Where it is ambiguous, unproven or somebody else's claim.
pub fn find(host: &Host, word: &[u8]) -> Result<Outcome> {
    let wanted = wanted(word);
    if is_full_id(wanted.text) {
        let found = by_full_id(host, &wanted)?;
        if !matches!(found, Outcome::Unknown) {
            return Ok(found);
        }
    }
    let known = all(host, Some(needle(wanted.text)));
    for means in [is_called, has_prefix] {
        let hits = only(&known, &|container| wanted.is_of(container) && means(container, wanted.text));
        if !hits.is_empty() {
            return decide(host, word, hits);
        }
    }
    let could_be_id = wanted.text.len() >= 12 && wanted.text.iter().all(u8::is_ascii_hexdigit);
    if could_be_id && wanted.engine.is_none() {
        return by_cgroup(host, wanted.text);
    }
    Ok(Outcome::Unknown)
}

/// Every container that any engine names, once.
pub fn all(host: &Host, needle: Option<&[u8]>) -> Hits {
    let mut found = Containers::default();
    for base in engine::bases(host) {
        for engine in ENGINES {
            (engine.each)(host, base, needle, &mut found);
        }
    }
    found.list()
}

/// Takes a pasted name apart: `ENGINE:NAME`, `/NAME`, `RUNTIME://ID`, `pod/NAME`.
fn wanted(word: &[u8]) -> Wanted<'_> {
    for scheme in [&b"docker://"[..], b"containerd://", b"cri-o://"] {
        if let Some(id) = word.strip_prefix(scheme) {
            return Wanted { engine: None, text: id };
        }
    }
    if let Some(text) = word.strip_prefix(b"pod/") {
        return Wanted { engine: Some("k8s"), text };
    }
    if let Some(text) = word.strip_prefix(b"/") {
        return Wanted { engine: Some("docker"), text };
    }
    if let Some(colon) = word.iter().position(|b| *b == b':') {
        let text = &word[colon + 1..];
        for engine in ENGINES {
            if let Some(engine) = engine.words.iter().find(|engine| engine.as_bytes() == &word[..colon]) {
                return Wanted { engine: Some(engine), text: text.strip_prefix(b"/").unwrap_or(text) };
            }
        }
    }
    Wanted { engine: None, text: word }
}

/// What a file that mentions the container must contain: the longest part, as files hold a pod's namespace and name apart.
fn needle(text: &[u8]) -> &[u8] {
    let mut longest: &[u8] = b"";
    for part in split(text, b'/') {
        if part.len() >= longest.len() {
            longest = part;
        }
    }
    longest
}

/// Whether `text` is the container's ID or name, or for Kubernetes `NAMESPACE/POD` or `POD` of it.
fn is_called(container: &Container, text: &[u8]) -> bool {
    let pod = pod_or_name(container);
    let slash = pod.iter().position(|b| *b == b'/');
    let is_pod = || pod == text || slash.is_some_and(|at| &pod[at + 1..] == text);
    container.id == text || container.name == text || (container.engine == "k8s" && is_pod())
}

/// Whether `text` is the beginning of the container's ID.
fn has_prefix(container: &Container, text: &[u8]) -> bool {
    text.len() >= MIN_PREFIX && container.id.starts_with(text)
}

fn is_full_id(text: &[u8]) -> bool {
    text.len() == 64 && text.iter().all(u8::is_ascii_hexdigit)
}

/// Whether a record by `owner` is another user's word.
fn is_foreign(owner: u32) -> bool {
    owner != 0 && owner != geteuid().as_raw()
}

/// Full IDs need no enumeration: every runtime has its record under the ID itself.
fn by_full_id(host: &Host, wanted: &Wanted<'_>) -> Result<Outcome> {
    let id = keep(wanted.text);
    let mut found: Hits = Vec::new();
    for base in engine::bases(host) {
        for engine in ENGINES.iter().filter(|e| wanted.engine.is_none_or(|word| e.words.contains(&word))) {
            let mut inits = Vec::new();
            (engine.state)(host, base, id, &mut inits);
            for init in inits {
                // A runtime's record is the same one whichever engine's directory led to it.
                let same = |c: &&Container| matches!(c.evidence, Evidence::Init(i) if (i.pid, i.start) == (init.pid, init.start));
                if !found.iter().any(same) {
                    found.push(Container::keep(engine.words[0], id, Evidence::Init(init), init.owner));
                }
            }
        }
    }
    if found.is_empty() {
        // A name that some engine knows for it is better than none.
        found = only(&all(host, Some(id)), &|container| wanted.is_of(container) && container.id == id);
    }
    if found.is_empty() { by_cgroup(host, id) } else { decide(host, id, found) }
}

/// The last resort for an ID that no runtime has a record of.
fn by_cgroup(host: &Host, id: &[u8]) -> Result<Outcome> {
    let Some(member) = cgroup::init_by_id(host, id, cgroup::Nested::Counts)? else { return Ok(Outcome::Unknown) };
    let container = Container::keep("cgroup", keep(id), Evidence::Anywhere, member.owner);
    Ok(said(host, accept(member, container)?))
}

/// Takes the one running container among those that a word may mean; another user's word counts only where there is no other.
fn decide(host: &Host, word: &[u8], mut hits: Hits) -> Result<Outcome> {
    let ours = only(&hits, &|hit| !is_foreign(hit.owner));
    if !ours.is_empty() {
        hits = ours;
    }
    let mut running: Found = Vec::new();
    let mut stopped: Vec<(&Container, Bytes)> = Vec::new();
    for hit in hits {
        let before = running.len();
        let reason = check_thoroughly(host, hit, &mut running)?;
        if running.len() == before {
            stopped.push((hit, reason));
        }
    }
    // The old attempts of a pod's container, or of anything else of one engine, give way to the one that runs.
    let same_name = |a: &Container, b: &Container| a.engine == b.engine && a.name == b.name;
    stopped.retain(|(s, _)| !running.iter().any(|r| same_name(r.container, s)));
    let is_clear = match running.first() {
        None => stopped.iter().all(|(s, _)| same_name(s, stopped[0].0)),
        // A pod's sandbox has often exited or never existed while its containers run.
        Some(first) => running.iter().all(|r| {
            let of_pod = |s: &Container| s.engine == "k8s" && pod_or_name(r.container) == pod_or_name(s);
            r.netns.id == first.netns.id && stopped.iter().all(|(s, _)| of_pod(s))
        }),
    };
    if !is_clear {
        return Err(ambiguous(word, &running, &stopped));
    }
    if running.is_empty() {
        let (container, reason) = &stopped[0];
        return Ok(Outcome::Stopped(Error::new(text!("{} is not running{}", label(container), reason))));
    }
    let found = running.swap_remove(0);
    if let Evidence::Init(Init { sandbox: Some(sandbox), .. }) = found.container.evidence {
        host.console.note(text!("{} {}", label(found.container), sandbox.note));
    }
    Ok(said(host, found))
}

fn said(host: &Host, running: Box<Running>) -> Outcome {
    if running.said_by.is_some() {
        note_owner(host, running.said_by, label(running.container));
    }
    Outcome::Running(running)
}

/// The name of a container's pod, or its own.
pub fn pod_or_name(container: &Container) -> Bytes {
    let second = container.name.iter().enumerate().filter(|(_, b)| **b == b'/').nth(1);
    match second {
        Some((end, _)) if container.engine == "k8s" => &container.name[..end],
        _ => container.name,
    }
}

fn ambiguous(word: &[u8], running: &[Box<Running>], stopped: &[(&Container, Bytes)]) -> Error {
    let (mut list, mut remedy, mut names, mut is_distinct) = (Vec::new(), Vec::new(), Vec::new(), true);
    let mut add = |container: &Container, state| {
        let name = spelled(container);
        is_distinct &= !names.contains(&name);
        names.push(name);
        append(&mut remedy, b" or ", name);
        let short = &container.id[..container.id.len().min(12)];
        append(&mut list, b", ", text!("{} {} {}", name, short, state));
    };
    running.iter().for_each(|running| add(running.container, text!("pid {}", running.process.pid)));
    stopped.iter().for_each(|(container, _)| add(container, b"not running"));
    let remedy = match running.first() {
        Some(first) if !is_distinct => text!("say more of the ID, or --pid {}", first.process.pid),
        _ => text!("say {}", remedy),
    };
    Error::new(text!("\"{}\" is ambiguous: {}", word, list)).remedy(remedy)
}

/// How a container is named on a command line.
pub fn spelled(container: &Container) -> Bytes {
    text!("{}:{}", container.engine, container.name)
}

/// How messages call a container.
pub fn label(container: &Container) -> Bytes {
    text!("container \"{}\" ({})", container.name, container.engine)
}

/// Those of a container's processes, or of several containers', that have been proven.
type Found = Vec<Box<Running>>;

/// Checks a container's records against the kernel and adds what they prove, more than one where two records under one ID are both
/// alive. Where that is nothing, returns what is known of the reason, to follow "is not running".
///
/// # Errors
/// Where a living process cannot be proven to be the container's, or the record is another user's word.
fn check(host: &Host, container: &'static Container, found: &mut Found) -> Result<Bytes> {
    let label = label(container);
    let before = found.len();
    let mut reason: Bytes = b"";
    let mut alive: Vec<Box<Member>> = Vec::new();
    if let Evidence::Cgroup(dir) = container.evidence {
        alive.extend(cgroup::init_of(host, dir)?);
    }
    for init in records(host, container) {
        let (id, start) = (container.id, init.start.map_or(&b"not recorded"[..], number));
        host.console.tell(text!("{}: ID {}, pid {}, start time {}, by \"{}\"", label, id, init.pid, start, init.file));
        alive.extend(prove(host, init, label, id, &mut reason)?);
    }
    for member in alive {
        let pid = member.process.pid;
        let new = accept(member, container)?;
        if found[before..].iter().all(|known| known.process.pid != pid) {
            found.push(new);
        }
    }
    Ok(reason)
}

/// As [`check`], and where no runtime has a record of the ID, by the cgroup paths of all processes.
fn check_thoroughly(host: &Host, container: &'static Container, found: &mut Found) -> Result<Bytes> {
    let before = found.len();
    let reason = check(host, container, found)?;
    if is_unrecorded(container, &found[before..], reason)
        && let Some(member) = cgroup::init_by_id(host, container.id, cgroup::Nested::Ignored)?
    {
        found.push(accept(member, container)?);
    }
    Ok(reason)
}

/// Whether nothing is known of it but its ID.
fn is_unrecorded(container: &Container, found: &[Box<Running>], reason: Bytes) -> bool {
    found.is_empty() && reason.is_empty() && is_full_id(container.id)
}

/// Every container that runs, each once. What is wrong with one is a note and does not hide the others.
pub fn running(host: &Host) -> Vec<&'static Seen> {
    let mut seen: Vec<&'static Seen> = Vec::new();
    let mut unrecorded: Hits = Vec::new();
    for container in all(host, None) {
        if see(host, container, check, &mut seen) {
            unrecorded.push(container);
        }
    }
    // Most of those have been stopped, and one look at all processes tells.
    let ids = if unrecorded.is_empty() { &[] } else { cgroup::ids(host) };
    for container in unrecorded {
        if ids.contains(&container.id) {
            see(host, container, check_thoroughly, &mut seen);
        }
    }
    seen
}

/// One of the two ways to check.
type Check = fn(&Host, &'static Container, &mut Found) -> Result<Bytes>;

/// Adds what a check finds; tells whether nothing is known of the container but its ID.
fn see(host: &Host, container: &'static Container, check: Check, seen: &mut Vec<&'static Seen>) -> bool {
    let mut found = Vec::new();
    match check(host, container, &mut found) {
        Ok(reason) => {
            for running in &found {
                if let Some(stat) = cgroup::unless_gone(host, running.process.pid, running.process.stat()) {
                    let (pid, netns) = (running.process.pid, running.netns.id);
                    seen.push(Box::leak(Box::new(Seen { container, pid, start: stat.start, netns })));
                }
            }
            return is_unrecorded(container, &found, reason);
        }
        Err(error) => match error.errno {
            Some(errno) => host.excuse(spelled(container), errno),
            None => host.console.note(error.message),
        },
    }
    false
}

impl Seen {
    /// Holds its process and namespace again; None where it has ended.
    pub fn hold(&self, host: &Host) -> Option<(NetNs, Process)> {
        let held = Process::hold(host, self.pid).and_then(|process| {
            let stat = process.stat()?;
            let netns = process.netns()?;
            let is_it = stat.start == self.start && netns.id == self.netns;
            Ok(is_it.then_some((netns, process)))
        });
        held.unwrap_or_else(|e| {
            cgroup::excuse_process(host, self.pid, e);
            None
        })
    }
}

fn records(host: &Host, container: &Container) -> &'static [&'static Init] {
    let mut found = Vec::new();
    match container.evidence {
        Evidence::Init(init) => found.push(init),
        Evidence::Oci(dirs) => {
            let base = Base { owner: container.owner, run: b"", home: None };
            engine::oci::inits(host, &base, dirs, container.id, &mut found);
        }
        Evidence::Anywhere => {
            for base in engine::bases(host) {
                ENGINES.iter().for_each(|engine| (engine.state)(host, base, container.id, &mut found));
            }
        }
        Evidence::Cgroup(_) => {}
    }
    found.leak()
}

/// Holds the recorded process and compares what was recorded with what it is; None where it is no more, with what is known of the
/// reason. `label` is for messages; `id` is the ID its cgroup has, empty where none is known.
///
/// # Errors
/// Where it is alive but nothing recorded proves that it is the one.
pub fn prove(host: &Host, init: &Init, label: &[u8], id: &[u8], reason: &mut Bytes) -> Result<Option<Box<Member>>> {
    let held = Process::hold(host, init.pid).and_then(|process| {
        let stat = process.stat()?;
        if let Some(start) = init.start.filter(|start| *start != stat.start) {
            let shifted = if host.in_time_namespace() { "; we are in a time namespace, which shifts it" } else { "" };
            let (pid, found) = (init.pid, stat.start);
            *reason = text!(": its pid {} was reused (recorded start {}, found {}{})", pid, start, found, shifted);
            return Err(Errno::SRCH);
        }
        if is_dead(stat.state) {
            return Err(Errno::SRCH);
        }
        Ok(Box::new(Member { netns: process.netns()?, process, owner: init.owner }))
    });
    match held {
        Ok(member) if is_proven(&member, init, id) => Ok(Some(member)),
        Ok(_) => {
            let (pid, file) = (init.pid, init.file);
            Err(Error::new(text!(
                "{}: nothing proves that process {} is still the one recorded in \"{}\"",
                label,
                pid,
                file
            ))
            .remedy(text!("if it is: --pid {}", pid)))
        }
        Err(e) if is_gone(e) => Ok(None),
        Err(e) => Err(diagnose(host, init.pid, e)),
    }
}

/// By its start time, which was compared, its namespace or its cgroup.
fn is_proven(member: &Member, init: &Init, id: &[u8]) -> bool {
    let ids = [id, init.sandbox.map_or(b"", |sandbox| sandbox.id)];
    let is_its = |path: &Bytes| ids.iter().any(|id| cgroup::names_id(path, id));
    init.start.is_some()
        || init.inode == Some(member.netns.id.ino)
        || member.process.cgroups().is_ok_and(|paths| paths.iter().any(is_its))
}

/// Accepts another user's word only about a namespace of that user's own, and says so.
///
/// # Errors
/// Where the namespace is somebody else's.
pub fn trust(host: &Host, member: &Member, label: &[u8]) -> Result<()> {
    note_owner(host, sayer(member.owner, &member.netns, label)?, label);
    Ok(())
}

/// The container that a proven process is of. Who could have written either the record or the name is whose word it is.
fn accept(member: Box<Member>, container: &'static Container) -> Result<Box<Running>> {
    let owner = if member.owner == 0 { container.owner } else { member.owner };
    let said_by = sayer(owner, &member.netns, label(container))?;
    Ok(Box::new(Running { container, process: member.process, netns: member.netns, said_by }))
}

/// The other user who is to be named.
fn sayer(owner: u32, netns: &NetNs, label: &[u8]) -> Result<Option<u32>> {
    if !is_foreign(owner) {
        return Ok(None);
    }
    if NOBODYS.contains(&owner) || !netns.is_of_user(owner) {
        return Err(Error::new(text!(
            "{} is only what uid {} says, and network namespace {} is not of that user",
            label,
            owner,
            netns.id.ino
        ))
        .remedy(b"if you know better: --pid PID"));
    }
    Ok(Some(owner))
}

fn note_owner(host: &Host, said_by: Option<u32>, label: &[u8]) {
    if let Some(uid) = said_by {
        host.console.note(text!("{} is what uid {} says", label, uid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn container(engine: &'static str, name: &str) -> Container {
        Container { engine, name: keep(name.as_bytes()), id: b"x", evidence: Evidence::Anywhere, owner: 0 }
    }

    #[test]
    fn pasted_forms() {
        let form = |word: &'static str| {
            let w = wanted(word.as_bytes());
            (w.engine, std::str::from_utf8(w.text).unwrap())
        };
        assert_eq!(form("web"), (None, "web"));
        assert_eq!(form("/web"), (Some("docker"), "web"));
        assert_eq!(form("docker:web"), (Some("docker"), "web"));
        assert_eq!(form("docker:/web"), (Some("docker"), "web"));
        assert_eq!(form("docker://b146"), (None, "b146"));
        assert_eq!(form("cri-o://b146"), (None, "b146"));
        assert_eq!(form("pod/cart"), (Some("k8s"), "cart"));
        assert_eq!(form("k8s:shop/cart"), (Some("k8s"), "shop/cart"));
        assert_eq!(form("nope:web"), (None, "nope:web"));
    }

    #[test]
    fn pods_have_short_names() {
        let c = container("k8s", "shop/cart/app");
        for name in ["shop/cart/app", "shop/cart", "cart"] {
            assert!(is_called(&c, name.as_bytes()), "{name}");
        }
        for name in ["app", "shop", "cart/app", "shop/car"] {
            assert!(!is_called(&c, name.as_bytes()), "{name}");
        }
        assert!(!is_called(&container("runc", "a/b"), b"b"));
        assert_eq!(pod_or_name(&c), b"shop/cart");
        assert_eq!(pod_or_name(&container("k8s", "shop/cart")), b"shop/cart");
        assert_eq!(pod_or_name(&container("runc", "a/b/c")), b"a/b/c");
    }
}
