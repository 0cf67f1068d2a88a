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
use crate::text::{append, number, shown, text};
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
    Running(Running),
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
    /// Those of the engine that was named, if one was.
    fn of_engine(&self, mut known: Hits) -> Hits {
        known.retain(|container| self.engine.is_none_or(|engine| engine == container.engine));
        known
    }
}

/// Containers that a word may mean.
type Hits = Vec<&'static Container>;

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
    let known = wanted.of_engine(all(host, Some(needle(wanted.text))));
    let exact = |c: &Container| c.id == wanted.text || is_named(c, wanted.text);
    let prefixed = |c: &Container| wanted.text.len() >= MIN_PREFIX && c.id.starts_with(wanted.text);
    for matches in [&exact as &dyn Fn(&Container) -> bool, &prefixed] {
        let mut hits = known.clone();
        hits.retain(|c| matches(c));
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
            (engine.each)(host, &base, needle, &mut found);
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
        let engine = ENGINES.iter().flat_map(|e| e.words).find(|e| e.as_bytes() == &word[..colon]);
        if let Some(engine) = engine {
            let text = &word[colon + 1..];
            return Wanted { engine: Some(engine), text: text.strip_prefix(b"/").unwrap_or(text) };
        }
    }
    Wanted { engine: None, text: word }
}

/// What a file that mentions the container must contain: the longest part, as files hold a pod's namespace and name apart.
fn needle(text: &[u8]) -> &[u8] {
    split(text, b'/').max_by_key(|part| part.len()).unwrap_or(text)
}

/// Whether `text` is the container's name, or for Kubernetes `NAMESPACE/POD` or `POD` of it.
fn is_named(container: &Container, text: &[u8]) -> bool {
    let pod = pod_or_name(container);
    let slash = pod.iter().position(|b| *b == b'/');
    let is_pod = || pod == text || slash.is_some_and(|at| &pod[at + 1..] == text);
    container.name == text || (container.engine == "k8s" && is_pod())
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
            (engine.state)(host, &base, id, &mut inits);
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
        found = wanted.of_engine(all(host, Some(id)));
        found.retain(|c| c.id == id);
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
    if hits.iter().any(|hit| !is_foreign(hit.owner)) {
        hits.retain(|hit| !is_foreign(hit.owner));
    }
    let mut running: Vec<Running> = Vec::new();
    let mut stopped: Vec<(&Container, Bytes)> = Vec::new();
    for hit in hits {
        match check_thoroughly(host, hit)? {
            Verdict::Running(found) => running.extend(found),
            Verdict::Stopped(reason) => stopped.push((hit, reason)),
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

fn said(host: &Host, running: Running) -> Outcome {
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

fn ambiguous(word: &[u8], running: &[Running], stopped: &[(&Container, Bytes)]) -> Error {
    let alive = running.iter().map(|r| (r.container, text!("pid {}", r.process.pid)));
    let candidates: Vec<_> = alive.chain(stopped.iter().map(|(c, _)| (*c, &b"not running"[..]))).collect();
    let (mut list, mut remedy, mut is_distinct) = (Vec::new(), Vec::new(), true);
    for (at, (container, state)) in candidates.iter().enumerate() {
        let name = spelled(container);
        is_distinct &= candidates[..at].iter().all(|(other, _)| spelled(other) != name);
        append(&mut remedy, b" or ", name);
        let short = shown(&container.id[..container.id.len().min(12)]);
        append(&mut list, b", ", text!("{} {} {}", name, short, state));
    }
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

/// Whether a container runs.
#[derive(Debug)]
pub enum Verdict {
    /// It does; more than one where two records under one ID are both alive.
    Running(Vec<Running>),
    /// It does not; what is known of the reason, to follow "is not running".
    Stopped(Bytes),
}

/// Checks a container's records against the kernel.
///
/// # Errors
/// Where a living process cannot be proven to be the container's, or the record is another user's word.
pub fn check(host: &Host, container: &'static Container) -> Result<Verdict> {
    let label = label(container);
    let mut alive: Vec<Member> = Vec::new();
    let mut known: Bytes = b"";
    if let Evidence::Cgroup(dir) = container.evidence {
        alive.extend(cgroup::init_of(host, dir)?);
    }
    for init in records(host, container) {
        let start = init.start.map_or(&b"not recorded"[..], number);
        host.console.tell(text!(
            "{}: ID {}, pid {}, start time {}, by \"{}\"",
            label,
            container.id,
            init.pid,
            start,
            init.file
        ));
        match prove(host, init, label, container.id)? {
            Proof::Alive(member) => alive.push(member),
            Proof::Gone(reason) if known.is_empty() => known = reason,
            Proof::Gone(_) => {}
        }
    }
    let mut running: Vec<Running> = Vec::new();
    for member in alive {
        let running_already = running.iter().any(|r| r.process.pid == member.process.pid);
        let new = accept(member, container)?;
        if !running_already {
            running.push(new);
        }
    }
    Ok(if running.is_empty() { Verdict::Stopped(known) } else { Verdict::Running(running) })
}

/// Every container that runs, each once. What is wrong with one is a note and does not hide the others.
pub fn running(host: &Host) -> Vec<Seen> {
    let mut found: Vec<Seen> = Vec::new();
    let mut unrecorded: Hits = Vec::new();
    for container in all(host, None) {
        let verdict = check(host, container);
        if is_unrecorded(container, &verdict) {
            unrecorded.push(container);
        } else {
            add(host, container, verdict, &mut found);
        }
    }
    // Most of those have been stopped, and one look at all processes tells.
    let ids = if unrecorded.is_empty() { Vec::new() } else { cgroup::ids(host) };
    for container in unrecorded.iter().filter(|container| ids.contains(&container.id)) {
        add(host, container, check_thoroughly(host, container), &mut found);
    }
    found
}

fn add(host: &Host, container: &'static Container, verdict: Result<Verdict>, found: &mut Vec<Seen>) {
    match verdict {
        Ok(Verdict::Stopped(_)) => {}
        Ok(Verdict::Running(running)) => {
            for Running { process, netns, .. } in running {
                if let Some(stat) = cgroup::unless_gone(host, &process, process.stat()) {
                    found.push(Seen { container, pid: process.pid, start: stat.start, netns: netns.id });
                }
            }
        }
        Err(error) => match error.errno {
            Some(errno) => host.excuse(&[container.engine.as_bytes(), b":", container.name].concat(), errno),
            None => host.console.note(error.message),
        },
    }
}

impl Seen {
    /// Holds its process and namespace again; None where it has ended.
    pub fn hold(&self, host: &Host) -> Option<(NetNs, Process)> {
        let held = Process::hold(host, self.pid).and_then(|process| {
            let Some(process) = process else { return Ok(None) };
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

/// As [`check`], and where no runtime has a record of the ID, by the cgroup paths of all processes.
fn check_thoroughly(host: &Host, container: &'static Container) -> Result<Verdict> {
    let verdict = check(host, container);
    if !is_unrecorded(container, &verdict) {
        return verdict;
    }
    let Some(member) = cgroup::init_by_id(host, container.id, cgroup::Nested::Ignored)? else { return verdict };
    Ok(Verdict::Running(vec![accept(member, container)?]))
}

/// Whether nothing is known of it but its ID.
fn is_unrecorded(container: &Container, verdict: &Result<Verdict>) -> bool {
    matches!(verdict, Ok(Verdict::Stopped(reason)) if reason.is_empty()) && is_full_id(container.id)
}

fn records(host: &Host, container: &Container) -> Vec<&'static Init> {
    let mut found = Vec::new();
    match container.evidence {
        Evidence::Init(init) => found.push(init),
        Evidence::Oci(dirs) => {
            let base = Base { owner: container.owner, run: b"", home: None };
            found.extend(dirs.iter().filter_map(|dir| engine::oci::init(host, &base, dir, container.id)));
        }
        Evidence::Anywhere => {
            for base in engine::bases(host) {
                ENGINES.iter().for_each(|engine| (engine.state)(host, &base, container.id, &mut found));
            }
        }
        Evidence::Cgroup(_) => {}
    }
    found
}

/// What the kernel says to a record.
pub enum Proof {
    /// The recorded process, held, with its namespace and who could have recorded it.
    Alive(Member),
    /// It is no more; what follows "is not running".
    Gone(Bytes),
}

/// Holds the recorded process and compares what was recorded with what it is. `label` is for messages; `id` is the ID its cgroup has,
/// empty where none is known.
///
/// # Errors
/// Where it is alive but nothing recorded proves that it is the one.
pub fn prove(host: &Host, init: &Init, label: &[u8], id: &[u8]) -> Result<Proof> {
    let seen = Process::hold(host, init.pid).and_then(|process| {
        let Some(process) = process else { return Err(Errno::SRCH) };
        Ok((process.stat()?, process))
    });
    let gone = |e| match is_gone(e) {
        true => Ok(Proof::Gone(b"")),
        false => Err(diagnose(host, init.pid, e)),
    };
    let (stat, process) = match seen {
        Ok(seen) => seen,
        Err(e) => return gone(e),
    };
    if let Some(start) = init.start.filter(|start| *start != stat.start) {
        let shifted = if host.in_time_namespace() { "; we are in a time namespace, which shifts it" } else { "" };
        return Ok(Proof::Gone(text!(
            ": its pid {} was reused (recorded start {}, found {}{})",
            init.pid,
            start,
            stat.start,
            shifted
        )));
    }
    if is_dead(stat.state) {
        return gone(Errno::SRCH);
    }
    let netns = match process.netns() {
        Ok(netns) => netns,
        Err(e) => return gone(e),
    };
    let ids = [id, init.sandbox.map_or(b"", |sandbox| sandbox.id)];
    let is_its = |path: &Bytes| ids.iter().any(|id| cgroup::names_id(path, id));
    let by_cgroup = || process.cgroups().is_ok_and(|paths| paths.iter().any(is_its));
    let proven = init.start.is_some() || init.inode == Some(netns.id.ino) || by_cgroup();
    if !proven {
        return Err(Error::new(text!(
            "{}: nothing proves that process {} is still the one recorded in \"{}\"",
            label,
            init.pid,
            init.file
        ))
        .remedy(text!("if it is: --pid {}", init.pid)));
    }
    Ok(Proof::Alive(Member { process, netns, owner: init.owner }))
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
fn accept(member: Member, container: &'static Container) -> Result<Running> {
    let owner = if member.owner == 0 { container.owner } else { member.owner };
    let said_by = if is_foreign(owner) { sayer(owner, &member.netns, label(container))? } else { None };
    Ok(Running { container, process: member.process, netns: member.netns, said_by })
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
            assert!(is_named(&c, name.as_bytes()), "{name}");
        }
        for name in ["app", "shop", "cart/app", "shop/car"] {
            assert!(!is_named(&c, name.as_bytes()), "{name}");
        }
        assert!(!is_named(&container("runc", "a/b"), b"b"));
        assert_eq!(pod_or_name(&c), b"shop/cart");
        assert_eq!(pod_or_name(&container("k8s", "shop/cart")), b"shop/cart");
        assert_eq!(pod_or_name(&container("runc", "a/b/c")), b"a/b/c");
    }
}
