//! Evidence by cgroups, where nothing records a container's process: who is in the cgroup that its
//! engine has made for it, came there from outside and is the first of a pid namespace, is the
//! container's init, unless it may be a runtime at work.
//!
//! Whoever starts a container is in its cgroup, too, and for a moment as the first of the new pid
//! namespace with the network namespace of the host. So the init must be in another network
//! namespace than the host's and than its parent's, and run another program than its parent, which
//! must be the container's keeper. What is seen is collected here; what follows from it is decided
//! by [`first_of`] and [`judge`], which look at nothing.

#![forbid(unsafe_code)]

use super::place::is_of_others;
use super::thread::{has_other_threads, hold, is_hidden};
use crate::base::error::is_denied;
use crate::base::text::number;
use crate::containers::verdict::{Doubt, Held, Refusal, Verdict, Why};
use crate::containers::world::World;
use crate::host::Host;
use crate::host::cgroup::{self, is_containers};
use crate::host::process::{Process, Stat, is_dead, is_gone};
use crate::kernel::netns::{NsId, id_of, id_unasked};
use crate::sys::nsfs::parent_userns;
use rustix::fs::{OFlags, fstat};
use rustix::io::{self, Errno};

/// Younger processes than this may still be starting a container.
const YOUNG_SECONDS: u64 = 10;

/// A living process of the cgroup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Member {
    pid: u32,
    parent: u32,
    start: u64,
    /// Its pid namespace.
    pid_ns: NsId,
}

/// What is known of a member whose parent is not one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Outermost {
    pid: u32,
    /// It is pid 1 of a pid namespace that is not ours.
    is_first: bool,
    /// Its parent is the container's keeper, and it is of a world in which that counts.
    is_kept: bool,
    /// Its pid namespace lies in another one that is not ours.
    is_inner: bool,
    /// It is in the cgroup in each hierarchy that has it.
    is_everywhere: bool,
    /// It may be meant, for all that can be seen: it is not in the host's network namespace, and
    /// is no monitor.
    may_be_meant: bool,
}

/// What is seen of the init.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Init {
    pid: u32,
    /// Parent, pid namespace and cgroup were the same before and after its namespace was opened.
    is_same: bool,
    /// A process of the cgroup outside of its pid namespace.
    outside: Option<u32>,
    is_hosts: bool,
    /// It is in one that another than root has made, and its container is root's.
    is_others: bool,
    /// It is in its parent's network namespace, or the parent cannot be seen.
    is_parents: bool,
    /// It runs the file that its parent runs.
    runs_parents: bool,
    /// Its parent is the keeper of the container.
    is_kept: bool,
    is_young: bool,
}

/// Finds the one init among those that came into the cgroup from outside.
fn first_of(outermost: &[Outermost]) -> Result<u32, Doubt> {
    let torn = outermost.iter().find(|member| !member.is_everywhere);
    if let Some(Outermost { pid, .. }) = torn {
        return Err(Doubt::Contradiction { pid: *pid });
    }
    let mut first = outermost.iter().filter(|member| member.is_first).map(|member| member.pid);
    match (first.next(), first.next()) {
        (Some(pid), None) => Ok(pid),
        (Some(one), Some(two)) => Err(Doubt::SeveralFirst { pids: [one, two] }),
        (None, _) => {
            let meant = outermost.iter().find(|member| member.may_be_meant);
            Err(Doubt::NoFirst { meant: meant.map(|member| member.pid) })
        }
    }
}

/// Decides whether what looks like an init is one.
fn judge(init: &Init) -> Result<(), Refusal> {
    let pid = init.pid;
    let doubt = match init {
        Init { is_same: false, .. } => return Err(Doubt::Changing.into()),
        Init { outside: Some(pid), .. } => return Err(Doubt::Outside { pid: *pid }.into()),
        Init { is_hosts: true, .. } => Doubt::OfHost { pid },
        Init { is_others: true, .. } => Doubt::OfOther { pid },
        Init { is_parents: true, .. } => Doubt::OfParent { pid },
        Init { runs_parents: true, .. } => Doubt::RunsParents { pid },
        Init { is_kept: false, .. } => return Err(Doubt::NotKept { pid }.into()),
        _ => return Ok(()),
    };
    Err(if init.is_young { Refusal::Starting } else { doubt.into() })
}

/// Makes the doubt about a process that could not be looked at.
fn unseen(pid: u32, errno: Errno) -> Doubt {
    if is_gone(errno) { Doubt::Changing } else { Doubt::Unreadable { pid, errno } }
}

/// Holds the init among the processes of the one of these cgroups that has any. The paths are from
/// the top of a hierarchy, as a container's engine or its files tell them. `is_kept` tells whether
/// the parent of a process is the keeper of the container.
pub(super) fn verify(
    world: &World<'_>,
    paths: &[Vec<u8>],
    is_kept: &dyn Fn(&Process) -> io::Result<bool>,
) -> Verdict {
    let mut found: Option<(&[u8], usize, Vec<u32>)> = None;
    for path in paths {
        let directories = groups(world, path);
        let (pids, is_whole) = cgroup::pids(world.host, &directories);
        if !is_whole || (!pids.is_empty() && !world.host.has_our_pids()) {
            return Err(Doubt::Hidden.into());
        }
        match &found {
            _ if pids.is_empty() => {}
            // Proxmox VE has the processes in a group inside that of the container.
            Some((outer, ..)) if rest_below(path, outer).is_some() => {}
            Some((inner, _, known)) if rest_below(inner, path).is_none() => {
                return Err(Doubt::TwoGroups { pids: [known[0], pids[0]] }.into());
            }
            _ => found = Some((path, directories.len(), pids)),
        }
    }
    match found {
        Some((path, hierarchies, pids)) => {
            Group { world, path, hierarchies, is_kept }.verdict(&pids)
        }
        None => Err(Refusal::NotRunning(Why::NotRecorded)),
    }
}

/// A cgroup whose processes are looked at.
struct Group<'w> {
    world: &'w World<'w>,
    path: &'w [u8],
    /// In so many hierarchies the cgroup exists.
    hierarchies: usize,
    is_kept: &'w dyn Fn(&Process) -> io::Result<bool>,
}

impl Group<'_> {
    fn verdict(&self, pids: &[u32]) -> Verdict {
        let members = self.members(pids)?;
        let is_member = |pid| members.binary_search_by_key(&pid, |member| member.pid).is_ok();
        let mut outermost = Vec::new();
        for member in members.iter().filter(|member| !is_member(member.parent)) {
            outermost.push(self.outermost(member).map_err(|e| unseen(member.pid, e))?);
        }
        let hidden = pids.iter().find(|pid| outermost.is_empty() && is_hidden(self.world, **pid));
        if let Some(pid) = hidden {
            return Err(Doubt::Unreadable { pid: *pid, errno: Errno::NOENT }.into());
        }
        // Root's engines start their containers from our pid namespace. What another container's
        // root put here is that container's.
        let is_roots = self.world.user_of().is_none();
        if outermost.is_empty() || (is_roots && outermost.iter().all(|member| member.is_inner)) {
            return Err(Refusal::NotRunning(Why::NotRecorded));
        }
        // Who is kept is the container whatever others have put beside it.
        let mut kept = outermost.iter().filter(|member| member.is_first && member.is_kept);
        let is_proven = kept.next().is_some() && kept.next().is_none();
        outermost.retain(|member| !is_proven || (member.is_first && member.is_kept));
        let first = first_of(&outermost)?;
        let first = members.iter().find(|member| member.pid == first).ok_or(Doubt::Changing)?;
        let outside = if is_proven { None } else { self.outside(first, &members)? };
        let (init, held) = self.init(first, outside).map_err(|e| unseen(first.pid, e))?;
        match held {
            Some(held) => judge(&init).map(|()| held),
            None => Err(Doubt::Threads { pid: first.pid }.into()),
        }
    }

    /// Returns the members that live, by ascending pid.
    fn members(&self, pids: &[u32]) -> Result<Vec<Member>, Doubt> {
        let mut members = Vec::with_capacity(pids.len());
        for pid in pids {
            match self.member(*pid) {
                Ok(member) => members.push(member),
                Err(e) if is_gone(e) => {}
                Err(e) => return Err(unseen(*pid, e)),
            }
        }
        Ok(members)
    }

    fn member(&self, pid: u32) -> io::Result<Member> {
        let process = Process::open(self.world.host, pid)?;
        let stat = process.stat()?;
        if is_dead(stat.state) && !has_other_threads(&stat) {
            return Err(Errno::SRCH);
        }
        let Stat { parent, start, .. } = stat;
        Ok(Member { pid, parent, start, pid_ns: pid_ns(&process)? })
    }

    fn outermost(&self, member: &Member) -> io::Result<Outermost> {
        let (host, pid) = (self.world.host, member.pid);
        let process = self.open(member)?;
        let pids = process.nested_pids(host)?;
        let (is_first, is_inner) = (is_first(&pids), pids.len() > 2);
        let may_be_meant = !is_first
            && process.netns().is_ok_and(|netns| !host.is_hosts(&netns))
            && !cgroup::is_monitor(host, &process);
        let is_everywhere = self.is_everywhere(&process)?;
        let is_kept = self.world.user_of().is_none() && is_first && (self.is_kept)(&process)?;
        Ok(Outermost { pid, is_first, is_kept, is_inner, is_everywhere, may_be_meant })
    }

    /// Tells whether a process is in the cgroup, or below it, in each hierarchy that has it.
    fn is_everywhere(&self, process: &Process) -> io::Result<bool> {
        let paths = self.world.cgroup_paths(process).ok_or(Errno::SRCH)?;
        let is_below = |path: &&Vec<u8>| rest_below(path, self.path).is_some();
        Ok(paths.iter().filter(is_below).count() >= self.hierarchies)
    }

    /// Returns a member that is neither in the pid namespace of the first one nor in one below.
    fn outside(&self, first: &Member, members: &[Member]) -> Result<Option<u32>, Doubt> {
        let mut inside = vec![first.pid_ns];
        for member in members {
            if inside.contains(&member.pid_ns) {
                continue;
            }
            match self.open(member).and_then(|process| is_nested(&process, first.pid_ns)) {
                Ok(true) => inside.push(member.pid_ns),
                Ok(false) => return Ok(Some(member.pid)),
                Err(e) if is_gone(e) => {}
                Err(e) => return Err(unseen(member.pid, e)),
            }
        }
        Ok(None)
    }

    /// Opens the namespace of the init, and looks at it and its parent before and after. There is
    /// none where its threads are in several namespaces.
    fn init(&self, first: &Member, outside: Option<u32>) -> io::Result<(Init, Option<Held>)> {
        let (host, pid) = (self.world.host, first.pid);
        let process = self.open(first)?;
        let before = Surroundings::of(host, &process)?;
        let held = hold(host, self.open(first)?)?;
        let is_kept = (self.is_kept)(&process)?;
        // That it was there all the time, the descriptor tells.
        let after = Surroundings::of(host, &process)?;
        let is_first = is_first(&process.nested_pids(host)?) && pid_ns(&process)? == first.pid_ns;
        let is_same = before == after && is_first && self.is_everywhere(&process)?;
        let netns = held.as_ref().map(|held| held.netns.id);
        let init = Init {
            pid,
            is_same,
            outside,
            is_hosts: host.netns_id().is_none_or(|hosts| netns == Some(hosts)),
            is_others: self.is_where_others_are(held.as_ref()),
            is_parents: after.netns.is_none_or(|parents| netns == Some(parents)),
            runs_parents: after.own_program == after.program,
            is_kept,
            is_young: age_seconds(host, first.start)? < YOUNG_SECONDS,
        };
        Ok((init, held))
    }

    fn is_where_others_are(&self, held: Option<&Held>) -> bool {
        let is_roots = self.world.user_of().is_none();
        held.is_some_and(|held| is_roots && is_of_others(self.world, held))
    }

    /// Opens a member anew.
    fn open(&self, member: &Member) -> io::Result<Process> {
        let process = Process::open(self.world.host, member.pid)?;
        let is_it = process.stat()?.start == member.start;
        if is_it { Ok(process) } else { Err(Errno::SRCH) }
    }
}

/// What may change around a process while a container is started.
#[derive(Debug, PartialEq, Eq)]
struct Surroundings {
    parent: u32,
    /// The parent's network namespace.
    netns: Option<NsId>,
    /// The file that the parent runs.
    program: Option<NsId>,
    /// The file that the process runs itself.
    own_program: Option<NsId>,
}

impl Surroundings {
    fn of(host: &Host, process: &Process) -> io::Result<Surroundings> {
        let parent = process.stat()?.parent;
        // One that our pid namespace does not have is 0; one that has ended is found out by the
        // second look.
        let parents = Process::open(host, parent).ok();
        let netns = match parents.as_ref().map(Process::netns) {
            Some(Ok(netns)) => Some(netns.id),
            // Root may be denied a look at this one alone; it is in the host's.
            _ if parent == 1 => host.netns_id(),
            _ => None,
        };
        let program = parents.as_ref().and_then(|parents| program(parents).ok());
        // A zombie with living threads runs nothing that could be compared.
        Ok(Surroundings { parent, netns, program, own_program: program_of(process)? })
    }
}

fn program_of(process: &Process) -> io::Result<Option<NsId>> {
    match program(process) {
        Err(e) if is_denied(e) => Err(e),
        program => Ok(program.ok()),
    }
}

/// Returns the identity of the file that a process runs. A container's file system need not answer.
fn program(process: &Process) -> io::Result<NsId> {
    id_unasked(&process.open_file("exe", OFlags::PATH)?)
}

fn pid_ns(process: &Process) -> io::Result<NsId> {
    Ok(NsId::new(&fstat(process.open_file("ns/pid", OFlags::PATH)?)?))
}

/// Tells whether a process with these pids is pid 1 of a pid namespace of its own. None is before
/// Linux 4.1, whose /proc does not tell.
fn is_first(pids: &[u32]) -> bool {
    pids.len() > 1 && pids.last() == Some(&1)
}

/// Tells whether the pid namespace of a process lies in another one: NS_GET_PARENT, which pid
/// namespaces answer, too. Before Linux 4.9 none is known to.
fn is_nested(process: &Process, outer: NsId) -> io::Result<bool> {
    let mut at = process.open_file("ns/pid", OFlags::RDONLY)?;
    loop {
        if id_of(&at)? == outer {
            return Ok(true);
        }
        match parent_userns(&at) {
            Ok(parent) => at = parent,
            Err(_) => return Ok(false),
        }
    }
}

/// Returns how long a process has been there.
fn age_seconds(host: &Host, start: u64) -> io::Result<u64> {
    // USER_HZ, which is 100 wherever Linux containers run.
    const TICKS_PER_SECOND: u64 = 100;
    let file = host.open_clock("uptime")?;
    let text = host.buffer.read_all(file, 4095, 4096)?;
    let seconds = text.split(|byte| *byte == b'.').next().and_then(number);
    Ok(seconds.map_or(u64::MAX, |now| now.saturating_sub(start / TICKS_PER_SECOND)))
}

/// Returns the directories of a cgroup, one in each hierarchy that has it, if its name is this
/// world's.
pub(super) fn groups(world: &World<'_>, path: &[u8]) -> Vec<Vec<u8>> {
    // The top is nobody's, and that of a removed one is no name.
    if path.len() <= 1 || is_deleted(path) { Vec::new() } else { world.cgroup(path) }
}

/// Tells whether a process with the cgroup path `path` is in `group`, or below it with no other
/// container's between.
pub(super) fn is_within(path: &[u8], group: &[u8]) -> bool {
    rest_below(path, group).is_some_and(|rest| !rest.split(|byte| *byte == b'/').any(is_containers))
}

/// Returns what of a cgroup path lies below a group's.
fn rest_below<'p>(path: &'p [u8], group: &[u8]) -> Option<&'p [u8]> {
    let rest = path.strip_prefix(group).filter(|rest| matches!(rest, [] | [b'/', ..]))?;
    (group.len() > 1 && !is_deleted(path)).then_some(rest)
}

/// Tells whether a path is that of a removed group, or of one that somebody called so.
fn is_deleted(path: &[u8]) -> bool {
    path.ends_with(b" (deleted)")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;

    const FIRST: Outermost = Outermost {
        pid: 7,
        is_first: true,
        is_kept: false,
        is_inner: false,
        is_everywhere: true,
        may_be_meant: false,
    };
    const OTHER: Outermost = Outermost { pid: 8, is_first: false, may_be_meant: true, ..FIRST };

    #[test]
    fn one_is_the_first_of_a_pid_namespace() {
        assert_eq!(first_of(&[FIRST]), Ok(7));
        // Who came in by exec or attach is told by its pid namespace.
        assert_eq!(first_of(&[OTHER, FIRST]), Ok(7));
        let second = Outermost { pid: 9, ..FIRST };
        assert_eq!(first_of(&[FIRST, second]), Err(Doubt::SeveralFirst { pids: [7, 9] }));
    }

    #[test]
    fn without_a_first_only_who_may_be_meant_is_named() {
        let runtime = Outermost { pid: 6, may_be_meant: false, ..OTHER };
        assert_eq!(first_of(&[runtime]), Err(Doubt::NoFirst { meant: None }));
        assert_eq!(first_of(&[runtime, OTHER]), Err(Doubt::NoFirst { meant: Some(8) }));
        assert_eq!(first_of(&[]), Err(Doubt::NoFirst { meant: None }));
    }

    #[test]
    fn hierarchies_must_agree() {
        let torn = Outermost { is_everywhere: false, ..OTHER };
        assert_eq!(first_of(&[FIRST, torn]), Err(Doubt::Contradiction { pid: 8 }));
    }

    const INIT: Init = Init {
        pid: 7,
        is_same: true,
        outside: None,
        is_hosts: false,
        is_others: false,
        is_parents: false,
        runs_parents: false,
        is_kept: true,
        is_young: false,
    };

    #[test]
    fn an_init_with_a_namespace_of_its_own_is_the_container() {
        assert_eq!(judge(&INIT), Ok(()));
        assert_eq!(judge(&Init { is_young: true, ..INIT }), Ok(()));
    }

    #[test]
    fn who_may_be_a_runtime_is_starting_while_it_is_young() {
        for (init, doubt) in [
            (Init { is_hosts: true, ..INIT }, Doubt::OfHost { pid: 7 }),
            (Init { is_others: true, ..INIT }, Doubt::OfOther { pid: 7 }),
            (Init { is_parents: true, ..INIT }, Doubt::OfParent { pid: 7 }),
            (Init { runs_parents: true, ..INIT }, Doubt::RunsParents { pid: 7 }),
        ] {
            assert_eq!(judge(&init), Err(doubt.into()));
            assert_eq!(judge(&Init { is_young: true, ..init }), Err(Refusal::Starting));
        }
    }

    #[test]
    fn what_changes_or_is_outside_is_a_doubt_at_any_age() {
        for is_young in [false, true] {
            let changing = Init { is_same: false, is_young, ..INIT };
            assert_eq!(judge(&changing), Err(Doubt::Changing.into()));
            let outside = Init { outside: Some(9), is_young, ..INIT };
            assert_eq!(judge(&outside), Err(Doubt::Outside { pid: 9 }.into()));
            let stranger = Init { is_kept: false, is_young, ..INIT };
            assert_eq!(judge(&stranger), Err(Doubt::NotKept { pid: 7 }.into()));
        }
    }

    #[test]
    fn a_process_is_in_its_cgroup_or_below_but_in_no_other_containers() {
        let group = b"/machine.slice/libpod-1.scope";
        let is = |rest: &str| is_within(&[group, rest.as_bytes()].concat(), group);
        for rest in ["", "/container", "/init.scope/x"] {
            assert!(is(rest), "{rest}");
        }
        let inner = format!("/docker/{}", "a".repeat(64));
        for rest in ["x", " (deleted)", "/x (deleted)", "/lxc.payload.y", &inner] {
            assert!(!is(rest), "{rest}");
        }
        assert!(!is_within(b"/x", b"/") && !is_within(b"/x", b""));
        // One that somebody called so, too.
        assert!(!is_within(b"/a (deleted)", b"/a (deleted)"));
    }

    #[test]
    fn our_own_parent_is_seen() {
        let host = Host::own(Console::default());
        let own = Process::open(&host, std::process::id()).unwrap();
        let around = Surroundings::of(&host, &own).unwrap();
        assert_eq!(around.parent, std::os::unix::process::parent_id());
        assert!(around.own_program.is_some() && around == Surroundings::of(&host, &own).unwrap());
        assert!(age_seconds(&host, own.stat().unwrap().start).unwrap() < 3600);
        assert!(is_nested(&own, pid_ns(&own).unwrap()).unwrap());
    }

    #[test]
    fn only_names_that_can_be_one_are_groups() {
        let host = Host::own(Console::default());
        let world = World::root(&host);
        for path in [&b""[..], b"/", b"/a/..", b"/../a", b"/a (deleted)", b"/no/such/group"] {
            assert!(groups(&world, path).is_empty());
        }
    }
}
