//! `--cgroup`: the processes of a cgroup, if they share one namespace.
//!
//! A path means what it says, whoever made it. A unit is one of root's world, the nearest to the
//! top: who means a user's or a container's names its path. Where processes of root's are in
//! it, those in network namespaces of users' making, as cron's jobs may be, change nothing.

#![forbid(unsafe_code)]

use super::Target;
use crate::base::error::{Error, Result};
use crate::base::escape::{quoted, shown};
use crate::base::text::join;
use crate::containers::engine;
use crate::containers::evidence::thread::hold;
use crate::containers::verdict::Held;
use crate::containers::world::World;
use crate::host::Host;
use crate::host::cgroup::{
    directories, hierarchies, in_hierarchies, is_containers, is_monitor, pids, visit_children,
};
use crate::host::process::{Process, diagnose, is_gone};
use crate::host::root::Symlink;
use crate::kernel::netns::NsId;
use crate::sys::fd::{fd_path, read_link};
use rustix::fs::{Stat, getxattr};
use rustix::io::{self, Errno};

/// As many namespaces are listed.
const MOST_LISTED: usize = 10;
/// So often is looked again where the processes have changed meanwhile.
const ATTEMPTS: u32 = 5;

/// Finds the namespace of the processes in the cgroup or unit that `text` means.
///
/// # Errors
/// Where there is no such cgroup, it has no processes, or these are in several namespaces.
pub(super) fn resolve(host: &Host, text: &[u8]) -> Result<Target> {
    if text.contains(&b'/') {
        return of_directories(host, &directories(host, text)?, text, None);
    }
    let none = || {
        let directory = "a directory below /sys/fs/cgroup, a path of /proc/PID/cgroup";
        Error::new(format!("no cgroup {}{}", quoted(text), host.but_unread()))
            .absent()
            .with_remedy(format!("name {directory} or a unit that runs"))
    };
    unit(host, text)?.ok_or_else(none)
}

/// Finds the namespace of a unit of root's world, if `name` ends as a unit does and there is one.
///
/// # Errors
/// As [`resolve`].
pub(super) fn of_unit(host: &Host, name: &[u8]) -> Result<Option<Target>> {
    if is_unit(name) { unit(host, name) } else { Ok(None) }
}

/// Tells whether a word can be the name of a unit that has processes.
pub(super) fn is_unit(word: &[u8]) -> bool {
    ends_as_unit(word) && !word.contains(&b'/')
}

/// Tells whether a word ends as a unit does that has processes: systemd.unit(5).
pub(super) fn ends_as_unit(word: &[u8]) -> bool {
    const KINDS: [&[u8]; 6] = [b".service", b".scope", b".slice", b".socket", b".mount", b".swap"];
    KINDS.iter().any(|kind| word.len() > kind.len() && word.ends_with(kind))
}

fn unit(host: &Host, name: &[u8]) -> Result<Option<Target>> {
    let world = World::root(host);
    let paths = nearest(&world, name);
    match &paths[..] {
        [] => Ok(None),
        [path] => {
            let directories = in_hierarchies(host, path);
            let unit = Unit { world: &world, name, directories: &directories };
            of_directories(host, &directories, name, Some(&unit)).map(Some)
        }
        _ => {
            let mut named = Vec::new();
            for path in &paths {
                named.push(shown(path).to_string());
            }
            let message = format!("{} is ambiguous: several cgroups are called so", quoted(name));
            let remedy = format!("say --cgroup {}", named.join(" or "));
            Err(Error::new(message).unclear().with_remedy(remedy))
        }
    }
}

/// A unit of root's, by its name.
struct Unit<'a> {
    world: &'a World<'a>,
    name: &'a [u8],
    /// Those of its cgroup, one in each hierarchy.
    directories: &'a [Vec<u8>],
}

impl Unit<'_> {
    /// Tells whether a process in its cgroup is its own, and not of a container whose root has
    /// moved it there: it is of no container, or of the one that the unit is called by. A container
    /// may share the machine's pids and users; then its root directory tells it from a unit. Only
    /// in a cgroup of systemd's making may processes have another root directory, too.
    fn owns(&self, process: &Process) -> io::Result<bool> {
        if self.world.is_of_machine(process)? {
            return Ok(self.is_systemds() || self.world.has_machines_root(process)?);
        }
        match engine::recorded_as(self.world, process) {
            Some(id) => Ok(is_called_by(self.name, id)),
            None => Ok(self.is_systemds() && self.world.is_managers_child(process)?),
        }
    }

    /// Tells whether systemd has made the cgroup for the unit as it runs now: both have the number
    /// of this run, which nobody else knows while nothing runs. systemd:src/core/unit.c,
    /// unit_export_invocation_id, and src/core/cgroup.c, cgroup_xattr_apply. Before version 236
    /// nobody tells.
    fn is_systemds(&self) -> bool {
        let (world, host) = (self.world, self.world.host);
        let link = [&b"/run/systemd/units/invocation:"[..], self.name].concat();
        let target = host.resolve(&link, Symlink::NoFollow).and_then(|link| read_link(&link, b""));
        let Some(invocation) = host.readable(&link, target) else {
            return world.is_directory(b"/run/systemd/system")
                && world.is_absent(b"/run/systemd/units");
        };
        self.directories.iter().any(|directory| {
            let number = |name| {
                let mut number = [0; 64];
                let directory = host.resolve(directory, Symlink::NoFollow)?;
                let length = getxattr(fd_path(&directory), name, &mut number)?;
                Ok::<_, Errno>(number[..length].to_vec())
            };
            [c"trusted.invocation_id", c"user.invocation_id"]
                .iter()
                .any(|name| number(*name).as_deref() == Ok(&invocation[..]))
        })
    }

    /// Tells whether a process in its cgroup is in a network namespace of a user's making.
    fn is_users(&self, host: &Host, pid: u32) -> io::Result<bool> {
        Process::open(host, pid).and_then(|process| self.world.is_where_users_are(&process))
    }

    /// Tells whether a process in its cgroup has no user's uid.
    fn has_roots_uids(&self, host: &Host, pid: u32) -> bool {
        let asked = Process::open(host, pid).and_then(|process| self.world.is_users(&process));
        asked.is_ok_and(|is_users| !is_users)
    }
}

/// Tells whether a unit is the scope in which an engine runs the container with this ID. From
/// systemd 262 on a machine's has its name alone.
fn is_called_by(unit: &[u8], id: &[u8]) -> bool {
    const ENGINES: [&[u8]; 10] = [
        b"",
        b"docker-",
        b"libpod-",
        b"crio-",
        b"cri-containerd-",
        b"nerdctl-",
        b"runc-",
        b"crun-",
        b"youki-",
        b"machine-",
    ];
    let called = unit.strip_suffix(b".scope").and_then(|called| called.strip_suffix(id));
    called.is_some_and(|engine| ENGINES.contains(&engine))
}

/// Returns the paths of root's cgroups of this name that are nearest to the top. Looks in slices
/// alone: below a unit or a container names are not root's.
fn nearest(world: &World<'_>, name: &[u8]) -> Vec<Vec<u8>> {
    let host = world.host;
    let root_uid = world.caller.root_uid;
    let counts = |stat: &Stat| stat.st_uid == root_uid && stat.st_mode & 0o022 == 0;
    let tops = hierarchies(host);
    let mut level: Vec<(&[u8], Vec<u8>)> = Vec::new();
    for top in &tops {
        level.push((top, Vec::new()));
    }
    while !level.is_empty() {
        let (mut found, mut next) = (Vec::new(), Vec::new());
        for (top, path) in &level {
            let directory = [*top, path].concat();
            let listed = visit_children(host, &directory, &counts, &mut |child| {
                let path = join(path, child);
                if child == name && !found.contains(&path) {
                    found.push(path);
                } else if child.ends_with(b".slice") && !is_containers(child) {
                    next.push((*top, path));
                }
            });
            host.readable(&directory, listed);
        }
        let mut roots = Vec::new();
        for path in found {
            if is_roots(world, name, &path) {
                roots.push(path);
            }
        }
        if !roots.is_empty() {
            return roots;
        }
        level = next;
    }
    Vec::new()
}

/// Tells whether a cgroup itself belongs to root: the directories above do. One whose processes are
/// all a container's, whose root has made it there, or in a user namespace of a user's does not.
fn is_roots(world: &World<'_>, name: &[u8], path: &[u8]) -> bool {
    let host = world.host;
    let found = in_hierarchies(host, path);
    let owner = |directory: &Vec<u8>| host.owner_of(directory, Symlink::NoFollow);
    if found.is_empty() || !found.iter().all(|at| owner(at) == Some(world.caller.root_uid)) {
        return false;
    }
    let pids = pids(host, &found).0;
    let unit = Unit { world, name, directories: &found };
    let may_be_own = |pid: &u32| {
        match Process::open(host, *pid).and_then(|process| unit.owns(&process)) {
            Ok(is_own) => is_own,
            // Who may not be looked at is told of later.
            Err(e) => !is_gone(e),
        }
    };
    pids.is_empty() || pids.iter().any(may_be_own)
}

/// Finds the namespace that all processes at and below `dirs` share, but for the monitors of
/// containers. Of a unit one of them must be its own.
fn of_directories(
    host: &Host,
    dirs: &[Vec<u8>],
    text: &[u8],
    unit: Option<&Unit<'_>>,
) -> Result<Target> {
    let label = format!("cgroup {}", quoted(text));
    for _ in 0..ATTEMPTS {
        if let Some(held) = shared(host, dirs, &label, unit)? {
            return Ok(Target::new(held.netns, label, Some(held.process)));
        }
    }
    Err(Error::new(format!("the processes of {label} changed while they were looked at"))
        .unclear()
        .with_remedy("try again"))
}

/// Holds the first of the processes, if they share its namespace; None where they have changed
/// meanwhile.
fn shared(
    host: &Host,
    dirs: &[Vec<u8>],
    label: &str,
    unit: Option<&Unit<'_>>,
) -> Result<Option<Held>> {
    let seen = Members::look_at(host, &list_pids(host, dirs, label)?, label, unit)?;
    // A pid that is listed twice and alive both times is the same process.
    let still = list_pids(host, dirs, label)?;
    if seen.namespaces.len() > 1 {
        return Err(several(label, &seen.namespaces, host.netns_id()));
    }
    let is_still =
        |held: &Held| still.binary_search(&held.process.pid).is_ok() && held.process.stat().is_ok();
    match seen.held {
        None if seen.has_monitors => {
            let fault = "has no processes but what watches a container from outside";
            Err(Error::new(format!("{label} {fault}"))
                .absent()
                .with_remedy("say the name of the container: netns-enter --list shows it"))
        }
        None if still.is_empty() => {
            Err(Error::new(format!("{label} has no processes{}", host.but_unread())).absent())
        }
        // A unit's own processes may have ended, and left those that others have put beside them.
        held => {
            let held = held.filter(|held| seen.has_own && is_still(held));
            if held.is_some() && seen.leaves_out {
                let what = "what users run in network namespaces of their own is left out";
                host.console.note(format_args!("{label}: {what}"));
            }
            Ok(held)
        }
    }
}

/// Returns the pids of a cgroup's processes.
fn list_pids(host: &Host, dirs: &[Vec<u8>], label: &str) -> Result<Vec<u32>> {
    let (listed, is_whole) = pids(host, dirs);
    if is_whole && (listed.is_empty() || host.has_our_pids()) {
        return Ok(listed);
    }
    Err(match host.unread() {
        Some(unread) => cannot_look(label, &unread),
        None => cannot_look(label, "/proc is of another pid namespace than they are")
            .with_remedy("in a container say --pid=host or hostPID: true"),
    })
}

fn cannot_look(label: &str, fault: &str) -> Error {
    Error::new(format!("the processes of {label} cannot all be looked at: {fault}"))
}

/// The processes of a cgroup, as far as they were looked at.
#[derive(Default)]
struct Members {
    /// Each of their namespaces, with one of them.
    namespaces: Vec<(NsId, u32)>,
    /// The first of all.
    held: Option<Held>,
    has_monitors: bool,
    /// One is the unit's own, if a unit is meant.
    has_own: bool,
    /// Others are in namespaces of users' making, beside root's in a unit of root's.
    leaves_out: bool,
}

impl Members {
    fn look_at(host: &Host, pids: &[u32], label: &str, unit: Option<&Unit<'_>>) -> Result<Members> {
        let mut seen = Members { has_own: unit.is_none(), ..Members::default() };
        let mut users = Vec::new();
        for pid in pids {
            let is_users = unit.map_or(Ok(false), |unit| unit.is_users(host, *pid));
            let added = is_users.and_then(|is_users| match is_users {
                true => {
                    users.push(*pid);
                    Ok(())
                }
                false => seen.add(host, *pid, unit),
            });
            added.or_else(|e| missed(host, *pid, label, e))?;
        }
        let is_roots = |pid: &u32| unit.is_some_and(|unit| unit.has_roots_uids(host, *pid));
        if pids.iter().any(|pid| !users.contains(pid) && is_roots(pid)) {
            seen.leaves_out = !users.is_empty();
            return Ok(seen);
        }
        // The whole unit is a user's, as user@1000.service is.
        for pid in users {
            seen.add(host, pid, unit).or_else(|e| missed(host, pid, label, e))?;
        }
        Ok(seen)
    }

    /// Adds a process, if it is still there.
    fn add(&mut self, host: &Host, pid: u32, unit: Option<&Unit<'_>>) -> io::Result<()> {
        let process = Process::open(host, pid)?;
        if let Some(unit) = unit.filter(|_| !self.has_own) {
            self.has_own = unit.owns(&process)?;
        }
        if is_monitor(host, &process) {
            self.has_monitors = true;
            return Ok(());
        }
        // Threads in several namespaces are none of a process that can be told.
        let held = hold(host, process)?.ok_or(Errno::ACCESS)?;
        let id = held.netns.id;
        if self.namespaces.iter().all(|(known, _)| *known != id) {
            self.namespaces.push((id, pid));
        }
        self.held.get_or_insert(held);
        Ok(())
    }
}

/// Goes on without a process that has gone.
///
/// # Errors
/// Where it is there, but may not be looked at: it could be in another namespace.
fn missed(host: &Host, pid: u32, label: &str, errno: Errno) -> Result<()> {
    if is_gone(errno) {
        return Ok(());
    }
    let why = diagnose(host, pid, errno);
    let error = cannot_look(label, why.message());
    Err(match why.remedy() {
        Some(remedy) => error.with_remedy(remedy),
        None => error,
    })
}

/// Makes the refusal of a group whose processes are in several network namespaces, with a line for
/// each; none leads to the host's.
fn several(label: &str, namespaces: &[(NsId, u32)], hosts: Option<NsId>) -> Error {
    let mut lines = Vec::new();
    for (id, pid) in namespaces.iter().take(MOST_LISTED) {
        lines.push(match Some(*id) == hosts {
            true => format!("{} (host)", id.ino),
            false => format!("{}: say --pid {pid}", id.ino),
        });
    }
    if namespaces.len() > MOST_LISTED {
        lines.push(format!("and {} more", namespaces.len() - MOST_LISTED));
    }
    let count = namespaces.len();
    Error::new(format!("the processes of {label} are in {count} network namespaces"))
        .unclear()
        .with_remedy(lines.join("\nnetns-enter: "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;

    #[test]
    fn each_namespace_has_a_line_and_the_hosts_no_pid() {
        let id = |ino| NsId { ino, dev: 4 };
        let error = several("cgroup \"x\"", &[(id(1), 17), (id(2), 18), (id(3), 19)], Some(id(1)));
        assert_eq!(error.message(), "the processes of cgroup \"x\" are in 3 network namespaces");
        let lines = "1 (host)\nnetns-enter: 2: say --pid 18\nnetns-enter: 3: say --pid 19";
        assert_eq!(error.remedy(), Some(lines));
        let many: Vec<_> = (0..14).map(|ino| (id(ino), 20)).collect();
        assert!(several("x", &many, None).remedy().unwrap().ends_with("and 4 more"));
    }

    #[test]
    fn our_own_process_is_seen() {
        let host = Host::own(Console::default());
        let own = std::process::id();
        let seen = Members::look_at(&host, &[own, 4_194_304], "x", None).unwrap();
        assert_eq!((seen.namespaces.len(), seen.has_monitors), (1, false));
        assert_eq!(seen.held.unwrap().process.pid, own);
    }

    #[test]
    fn only_what_ends_as_a_unit_is_looked_for() {
        let host = Host::own(Console::default());
        for name in [&b"web"[..], b".service", b"a/b.service", b"no-such-unit-anywhere.service"] {
            assert!(of_unit(&host, name).unwrap().is_none());
        }
    }
}
