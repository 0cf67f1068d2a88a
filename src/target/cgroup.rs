//! `--cgroup`: the processes of a cgroup, if they share one namespace.
//!
//! A path means what it says, whoever made it. A unit is one of root's world, the nearest to the
//! top: who means a user's or a container's names its path.

#![forbid(unsafe_code)]

use super::Target;
use crate::base::error::{Error, Result};
use crate::base::escape::{quoted, shown};
use crate::base::text::{join, list};
use crate::containers::evidence::thread::{Held, has_other_threads, hold};
use crate::containers::world::Caller;
use crate::host::Host;
use crate::host::cgroup::{
    directories, hierarchies, in_hierarchies, is_monitor, pids, visit_children,
};
use crate::host::process::{Process, diagnose, is_dead, is_gone};
use crate::kernel::netns::NsId;
use rustix::fs::Stat;
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
        return of_directories(host, &directories(host, text)?, text);
    }
    let none = || {
        let directory = "a directory below /sys/fs/cgroup, a path of /proc/PID/cgroup";
        Error::new(format!("no cgroup {}{}", quoted(text), host.but_unread()))
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

/// Tells whether a word ends as a unit does that has processes: systemd.unit(5).
pub(super) fn is_unit(word: &[u8]) -> bool {
    const KINDS: [&[u8]; 6] = [b".service", b".scope", b".slice", b".socket", b".mount", b".swap"];
    let is_kind = |kind: &&[u8]| word.len() > kind.len() && word.ends_with(kind);
    KINDS.iter().any(is_kind) && !word.contains(&b'/')
}

fn unit(host: &Host, name: &[u8]) -> Result<Option<Target>> {
    let mut paths = nearest(host, name)?;
    match paths.len() {
        0 => Ok(None),
        1 => {
            let path = paths.swap_remove(0);
            of_directories(host, &in_hierarchies(host, &path)?, name).map(Some)
        }
        _ => {
            let paths = list(paths.iter().map(|path| shown(path)), " or ");
            let message = format!("{} is ambiguous: several cgroups are called so", quoted(name));
            Err(Error::new(message).with_remedy(format!("say --cgroup {paths}")))
        }
    }
}

/// Returns the paths of root's cgroups of this name, from the top of a hierarchy, that are nearest
/// to it. Units are in slices, and what is below a unit is its own affair.
fn nearest(host: &Host, name: &[u8]) -> Result<Vec<Vec<u8>>> {
    let root_uid = Caller::of(host).root_uid;
    let counts = |stat: &Stat| stat.st_uid == root_uid && stat.st_mode & 0o022 == 0;
    let mut level: Vec<(Vec<u8>, Vec<u8>)> =
        hierarchies(host)?.into_iter().map(|top| (top, Vec::new())).collect();
    while !level.is_empty() {
        let (mut found, mut next) = (Vec::new(), Vec::new());
        for (top, path) in &level {
            let directory = [&top[..], path].concat();
            visit_children(host, &directory, &counts, &mut |child| {
                let path = join(path, child);
                if child == name && !found.contains(&path) {
                    found.push(path);
                } else if child.ends_with(b".slice") {
                    next.push((top.clone(), path));
                }
            })?;
        }
        found.retain(|path| is_roots(host, path, root_uid));
        if !found.is_empty() {
            return Ok(found);
        }
        level = next;
    }
    Ok(Vec::new())
}

/// Tells whether a cgroup itself belongs to root: the directories above do.
fn is_roots(host: &Host, path: &[u8], root_uid: u32) -> bool {
    let found = in_hierarchies(host, path).unwrap_or_default();
    let owner = |directory: &Vec<u8>| {
        host.owner_of(directory, crate::host::root::Symlink::NoFollow).unwrap_or_default()
    };
    !found.is_empty() && found.iter().all(|directory| owner(directory) == Some(root_uid))
}

/// Finds the namespace that all processes at and below `dirs` share, but for the monitors of
/// containers.
fn of_directories(host: &Host, dirs: &[Vec<u8>], text: &[u8]) -> Result<Target> {
    let label = format!("cgroup {}", quoted(text));
    for _ in 0..ATTEMPTS {
        let listed = list_pids(host, dirs, &label)?;
        let seen = Seen::of(host, &listed, &label)?;
        // A pid that is listed twice and alive both times is the same process.
        let still = list_pids(host, dirs, &label)?;
        let is_still = |held: &Held| {
            still.binary_search(&held.process.pid).is_ok() && held.process.stat().is_ok()
        };
        match (seen.namespaces.len(), seen.held) {
            (0, _) if seen.monitors > 0 => {
                let fault = "has no processes but what watches a container from outside";
                return Err(Error::new(format!("{label} {fault}"))
                    .with_remedy("say the name of the container: netns-enter --list shows it"));
            }
            (0, _) if still.is_empty() => {
                return Err(Error::new(format!("{label} has no processes{}", host.but_unread())));
            }
            (1, Some(held)) if is_still(&held) => {
                return Ok(Target::new(held.netns, label, Some(held.process)));
            }
            (0 | 1, _) => {}
            _ => return Err(several(&label, &seen.namespaces, host.netns_id())),
        }
    }
    Err(Error::new(format!("the processes of {label} changed while they were looked at"))
        .with_remedy("try again"))
}

/// Returns the pids of a cgroup's processes.
fn list_pids(host: &Host, dirs: &[Vec<u8>], label: &str) -> Result<Vec<u32>> {
    let (listed, is_whole) = pids(host, dirs)?;
    if is_whole && (listed.is_empty() || host.has_our_pids()) {
        return Ok(listed);
    }
    let fault = match host.unread() {
        Some(unread) => unread,
        None => "/proc is of another pid namespace than they are".to_string(),
    };
    Err(Error::new(format!("the processes of {label} cannot all be looked at: {fault}"))
        .with_remedy("in a container say --pid=host or hostPID: true"))
}

/// What is seen of a cgroup's processes.
#[derive(Default)]
struct Seen {
    /// Each of their namespaces, with one of them.
    namespaces: Vec<(NsId, u32)>,
    /// The first of all.
    held: Option<Held>,
    monitors: usize,
}

impl Seen {
    fn of(host: &Host, pids: &[u32], label: &str) -> Result<Seen> {
        let mut seen = Seen::default();
        for pid in pids {
            let held = match seen.hold(host, *pid) {
                Err(e) if is_gone(e) => continue,
                Err(e) => {
                    let why = diagnose(host, *pid, e);
                    let message = format!("the processes of {label} cannot all be looked at");
                    let error = Error::new(format!("{message}: {}", why.message()));
                    return Err(match why.remedy() {
                        Some(remedy) => error.with_remedy(remedy),
                        None => error,
                    });
                }
                Ok(held) => held,
            };
            let Some(held) = held else { continue };
            let id = held.netns.id;
            if seen.namespaces.iter().all(|(known, _)| *known != id) {
                seen.namespaces.push((id, *pid));
            }
            seen.held = seen.held.or(Some(held));
        }
        Ok(seen)
    }

    /// Holds a process; None for a monitor.
    fn hold(&mut self, host: &Host, pid: u32) -> io::Result<Option<Held>> {
        let process = Process::open(host, pid)?;
        let stat = process.stat()?;
        if is_dead(stat.state) && !has_other_threads(&stat) {
            return Err(Errno::SRCH);
        }
        if is_monitor(host, &process) {
            self.monitors += 1;
            return Ok(None);
        }
        // Threads in several namespaces are none of a process that can be told.
        hold(host, process)?.ok_or(Errno::ACCESS).map(Some)
    }
}

/// Makes the refusal of a group whose processes are in several network namespaces, with a line for
/// each; none leads to the host's.
fn several(label: &str, namespaces: &[(NsId, u32)], hosts: Option<NsId>) -> Error {
    let line = |(id, pid): &(NsId, u32)| match Some(*id) == hosts {
        true => format!("{} (host)", id.ino),
        false => format!("{}: say --pid {pid}", id.ino),
    };
    let mut lines: Vec<String> = namespaces.iter().take(MOST_LISTED).map(line).collect();
    if namespaces.len() > MOST_LISTED {
        lines.push(format!("and {} more", namespaces.len() - MOST_LISTED));
    }
    let count = namespaces.len();
    Error::new(format!("the processes of {label} are in {count} network namespaces"))
        .with_remedy(list(lines, "\nnetns-enter: "))
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
        let seen = Seen::of(&host, &[own, 4_194_304], "x").unwrap();
        assert_eq!((seen.namespaces.len(), seen.monitors), (1, 0));
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
