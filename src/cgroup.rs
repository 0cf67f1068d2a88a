//! Control groups: which processes a directory holds, which directory a path or unit means, which processes carry an ID.
//!
//! A cgroup's name is no secret and no proof: whoever owns the directory above chose it. That owner is returned with each answer.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, Names, below, both, keep, last, split};
use crate::error::{Error, Result};
use crate::host::{Host, names_in};
use crate::netns::NetNs;
use crate::process::{Process, all_pids, cgroup_paths, is_dead, is_gone, parse_pid};
use crate::root::{Links, reopen};
use crate::text::{append, text};
use rustix::fs::{FileType, OFlags, fstat, fstatfs};
use rustix::io::Errno;

/// CGROUP2_SUPER_MAGIC and CGROUP_SUPER_MAGIC, linux/magic.h.
const MAGICS: [u64; 2] = [0x6367_7270, 0x0027_e0eb];
/// The length of an ID.
const ID: usize = 64;
/// Deeper trees than this are somebody's joke.
const MAX_DEPTH: usize = 32;

/// A process of a cgroup with the namespace it is in, both held.
#[derive(Debug)]
pub struct Member {
    /// The process.
    pub process: Process,
    /// Its network namespace.
    pub netns: NetNs,
    /// The uid that could have put it there: an owner other than root of the directory or, for a container, of the one above.
    pub owner: u32,
}

/// The mounted hierarchies: `/sys/fs/cgroup` where that is cgroup2, else the directories in it, those that hold every process first.
pub fn hierarchies(host: &Host) -> Names {
    const TOP: &[u8] = b"/sys/fs/cgroup";
    if is_cgroup(host, TOP) {
        return &[TOP];
    }
    let mut found = Vec::new();
    for path in host.entries(TOP) {
        if is_cgroup(host, path) {
            let holds_all = matches!(last(path), b"systemd" | b"unified");
            found.insert(if holds_all { 0 } else { found.len() }, *path);
        }
    }
    found.leak()
}

/// Whether `path` is a directory of a cgroup hierarchy.
pub fn is_cgroup(host: &Host, path: &[u8]) -> bool {
    let kind = host.locate(path, Links::Follow).and_then(fstatfs).map(|fs| fs.f_type as u64);
    host.unless(path, kind).is_some_and(|kind| MAGICS.contains(&kind))
}

/// The directories of all hierarchies whose name satisfies `wanted`. Below those, and below what `closed` tells, nothing is searched.
pub fn search(host: &Host, wanted: &dyn Fn(&[u8]) -> bool, closed: &dyn Fn(&[u8]) -> bool) -> Names {
    let mut found = Vec::new();
    for top in hierarchies(host) {
        let mut open: Vec<(usize, Bytes)> = vec![(0, top)];
        while let Some((depth, dir)) = open.pop() {
            for name in children(host, dir) {
                let path = below(dir, name);
                if wanted(name) {
                    found.push(path);
                } else if depth < MAX_DEPTH && !closed(name) {
                    open.push((depth + 1, path));
                }
            }
        }
    }
    found.leak()
}

/// The child groups of a directory; a group without any is not listed, its link count tells.
fn children(host: &Host, dir: &[u8]) -> Names {
    let listed = host.locate(dir, Links::Keep).and_then(|located| {
        if fstat(&located)?.st_nlink <= 2 {
            return Ok(&[][..]);
        }
        let fd = reopen(&located, OFlags::RDONLY | OFlags::DIRECTORY)?;
        names_in(&fd, Some(FileType::Directory))
    });
    match listed {
        // It was removed since it was opened.
        Err(Errno::NODEV) => &[],
        listed => host.unless(dir, listed).unwrap_or_default(),
    }
}

/// The cgroup directories that the user means: a path, a line of /proc/PID/cgroup, or a systemd unit.
///
/// # Errors
/// Where there is none.
pub fn directories(host: &Host, text: &[u8]) -> Result<Names> {
    let none = || Error::new(text!("no cgroup \"{}\"", text));
    if !text.contains(&b'/') {
        let found = search(host, &|name| name == text, &|_| false);
        let missing =
            || none().remedy(b"name a directory below /sys/fs/cgroup, a path of /proc/PID/cgroup or a unit that runs");
        return if found.is_empty() { Err(missing()) } else { Ok(found) };
    }
    let path = cgroup_paths(text).next().filter(|_| !text.starts_with(b"/")).unwrap_or(text);
    if path.starts_with(b"/") {
        if is_cgroup(host, path) {
            return Ok(vec![keep(path)].leak());
        }
        let found = in_hierarchies(host, path);
        if !found.is_empty() {
            return Ok(found);
        }
    }
    match crate::host::is_directory(host, path) {
        true => Err(Error::of(path, "is a directory, but not of a cgroup hierarchy")),
        false => Err(none()),
    }
}

/// The directories that `path`, from the top of a hierarchy, means in each of them.
fn in_hierarchies(host: &Host, path: &[u8]) -> Names {
    let mut found = Vec::new();
    for top in hierarchies(host) {
        let dir = both(top, path);
        if is_cgroup(host, dir) {
            found.push(dir);
        }
    }
    found.leak()
}

/// One member for each network namespace among the processes at or below `dirs`.
///
/// # Errors
/// Where /proc is of another pid namespace.
pub fn members(host: &Host, dirs: &[Bytes]) -> Result<Vec<Box<Member>>> {
    // Who owns the directory itself can put processes of theirs there, too.
    let owner = match first_owner(host, dirs, |dir| dir) {
        0 => owner_above(host, dirs),
        owner => owner,
    };
    held_members(host, dirs, owner, &|_, found, new| found.iter().all(|member| member.netns.id != new.netns.id))
}

/// The init process of the container whose processes are at or below `dir`: pid 1 of a pid namespace of its own.
///
/// # Errors
/// Where several namespaces come into question, or /proc is of another pid namespace.
pub fn init_of(host: &Host, dir: Bytes) -> Result<Option<Box<Member>>> {
    let dirs = [dir];
    let owner = owner_above(host, &dirs);
    let outermost = |listed: &[u32], _: &[Box<Member>], new: &Member| {
        unless_gone(host, new.process.pid, new.process.stat()).is_some_and(|stat| !listed.contains(&stat.parent))
    };
    the_init(host, held_members(host, &dirs, owner, &outermost)?, dir)
}

/// Tells from the pids listed, the members found so far and a new one whether that is to be held, too.
type Wanted<'w> = &'w dyn Fn(&[u32], &[Box<Member>], &Member) -> bool;

/// The wanted processes at or below `dirs`.
///
/// The directories are read again after the processes are held: a pid listed twice, alive both times, is the same process.
fn held_members(host: &Host, dirs: &[Bytes], owner: u32, wanted: Wanted<'_>) -> Result<Vec<Box<Member>>> {
    // The kernel numbers them for us, and leaves out those that our pid namespace does not have.
    if !host.has_our_pids() {
        let error =
            Error::new(b"the processes of a cgroup cannot be told: /proc is of another pid namespace than we are");
        return Err(error.remedy(b"in a container say --pid=host or hostPID: true"));
    }
    let listed = pids(host, dirs);
    let mut found = Vec::new();
    for pid in &listed {
        if let Some(member) = look(host, *pid, owner)
            && wanted(&listed, &found, &member)
        {
            found.push(member);
        }
    }
    let still = pids(host, dirs);
    found.retain(|member| {
        still.contains(&member.process.pid) && unless_gone(host, member.process.pid, member.process.stat()).is_some()
    });
    Ok(found)
}

/// Whether a container inside another one counts. Whoever is root in the outer one chose the inner one's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Nested {
    /// It may be what was asked for.
    Counts,
    /// An engine of the host knows the ID, so it is not inside.
    Ignored,
}

/// The init process of the container that `id` names in the cgroup paths of all processes: as a component or as `…-ID.scope`.
///
/// # Errors
/// Where several namespaces come into question.
pub fn init_by_id(host: &Host, id: &[u8], nested: Nested) -> Result<Option<Box<Member>>> {
    let its_path = |process: &Process| {
        let is_its = |path: &&[u8]| names_id(path, id) && (nested == Nested::Counts || !is_inside_another(path, id));
        paths_of(host, process).iter().copied().find(is_its)
    };
    let mut inits = Vec::new();
    for &pid in all_pids(host) {
        let Some(path) = held(host, pid).and_then(|process| its_path(&process)) else { continue };
        let Some(mut member) = look(host, pid, 0) else { continue };
        // Looked at anew, so asked anew: it must be the process that has the path.
        if its_path(&member.process) != Some(path) {
            continue;
        }
        let Some(stat) = unless_gone(host, member.process.pid, member.process.stat()) else { continue };
        if held(host, stat.parent).is_some_and(|parent| its_path(&parent).is_some()) {
            continue;
        }
        member.owner = owner_of_name(host, path, id, &member.process);
        inits.push(member);
    }
    the_init(host, inits, id)
}

/// The 64 digits that the cgroup paths of living processes have for names of containers.
pub fn ids(host: &Host) -> Names {
    let mut found: Vec<Bytes> = Vec::new();
    for &pid in all_pids(host) {
        let Some(process) = held(host, pid) else { continue };
        let Some(text) = unless_gone(host, process.pid, process.read("cgroup")) else { continue };
        for component in text.split(|b| matches!(*b, b'/' | b'\n')) {
            let component = component.strip_suffix(b" (deleted)").unwrap_or(component);
            if is_container(component) {
                let name = component.strip_suffix(b".scope").unwrap_or(component);
                let id = &name[name.len() - ID..];
                if !found.contains(&id) {
                    found.push(keep(id));
                }
            }
        }
    }
    found.leak()
}

/// Takes pid 1 of a pid namespace before any other outermost process; several namespaces are too many.
fn the_init(host: &Host, mut candidates: Vec<Box<Member>>, of: &[u8]) -> Result<Option<Box<Member>>> {
    if candidates.iter().any(|member| is_init(host, &member.process)) {
        candidates.retain(|member| is_init(host, &member.process));
    }
    let Some(first) = candidates.first().map(|member| member.netns.id) else { return Ok(None) };
    match candidates.iter().all(|member| member.netns.id == first) {
        true => Ok(Some(candidates.swap_remove(0))),
        false => Err(several(of, &candidates)),
    }
}

/// The refusal of a group whose processes are in several network namespaces.
pub fn several(of: &[u8], members: &[Box<Member>]) -> Error {
    let (mut list, mut ids) = (Vec::new(), Vec::new());
    for member in members {
        if !ids.contains(&member.netns.id) {
            ids.push(member.netns.id);
            append(&mut list, b", ", text!("{} pid {}", member.netns.id.ino, member.process.pid));
        }
    }
    Error::new(text!("the processes of \"{}\" are in {} network namespaces: {}", of, ids.len(), list))
        .remedy(text!("say --pid {}", members[0].process.pid))
}

/// Whether a cgroup path says that it is of container `id`.
pub fn names_id(path: &[u8], id: &[u8]) -> bool {
    let is_monitor =
        |component: &[u8]| component.starts_with(b"lxc.monitor.") || component.windows(6).any(|part| part == b"conmon");
    let is_id = |component: &[u8]| {
        let scope = component.strip_suffix(b".scope").and_then(|scope| scope.strip_suffix(id));
        component == id
            || scope.is_some_and(|prefix| prefix.is_empty() || prefix.ends_with(b"-"))
            || component.strip_suffix(id).is_some_and(|prefix| prefix == b"libpod-" || prefix == b"crio-")
    };
    !id.is_empty() && split(path, b'/').any(|component| is_id(component) && !is_monitor(component))
}

/// The systemd unit that a cgroup path is of: its innermost service or scope.
pub fn unit_in(path: Bytes) -> Option<Bytes> {
    path.rsplit(|b| *b == b'/').find(|part| part.ends_with(b".service") || part.ends_with(b".scope"))
}

/// Whether a cgroup is called like a container: it ends in 64 hex digits, but for `.scope`.
pub fn is_container(component: &[u8]) -> bool {
    let scope = component.strip_suffix(b".scope").unwrap_or(component);
    scope.len() >= ID && scope[scope.len() - ID..].iter().all(u8::is_ascii_hexdigit)
}

fn is_inside_another(path: &[u8], id: &[u8]) -> bool {
    split(path, b'/').take_while(|component| !names_id(component, id)).any(is_container)
}

/// A living process and its namespace; None where it has gone meanwhile.
fn look(host: &Host, pid: u32, owner: u32) -> Option<Box<Member>> {
    let process = held(host, pid)?;
    let seen = process.stat().and_then(|stat| if is_dead(stat.state) { Err(Errno::SRCH) } else { process.netns() });
    let netns = unless_gone(host, process.pid, seen)?;
    Some(Box::new(Member { process, netns, owner }))
}

fn held(host: &Host, pid: u32) -> Option<Process> {
    unless_gone(host, pid, Process::hold(host, pid))
}

/// What was asked of a process; None where it has gone meanwhile or may not be looked at. A member overlooked for any other reason
/// could make one namespace of two, so that ends the program.
pub fn unless_gone<T>(host: &Host, pid: u32, seen: std::result::Result<T, Errno>) -> Option<T> {
    seen.map_err(|e| excuse_process(host, pid, e)).ok()
}

/// As [`Host::excuse`], for anything met below /proc/PID.
pub fn excuse_process(host: &Host, pid: u32, errno: Errno) {
    if !is_gone(errno) {
        host.excuse(text!("/proc/{}", pid), errno);
    }
}

fn paths_of(host: &Host, process: &Process) -> Names {
    unless_gone(host, process.pid, process.cgroups()).unwrap_or_default()
}

/// Whether it is pid 1 of a pid namespace of its own.
fn is_init(host: &Host, process: &Process) -> bool {
    let pids = unless_gone(host, process.pid, process.nested_pids()).unwrap_or_default();
    pids.len() > 1 && pids.last() == Some(&1)
}

/// The pids listed at and below `dirs`, sorted.
fn pids(host: &Host, dirs: &[Bytes]) -> Vec<u32> {
    let mut found = Vec::new();
    let mut open: Vec<Bytes> = dirs.to_vec();
    while let Some(dir) = open.pop() {
        list(host, both(dir, b"/cgroup.procs"), &mut found);
        for name in children(host, dir) {
            open.push(below(dir, name));
        }
    }
    found
}

fn list(host: &Host, path: &[u8], found: &mut Vec<u32>) {
    const MOST: usize = 64 << 20;
    let read = host.locate(path, Links::Keep).and_then(|fd| reopen(&fd, OFlags::RDONLY));
    match read.and_then(|fd| crate::content::read_all(fd, 4095, MOST)) {
        Ok(text) => {
            for pid in split(&text, b'\n').filter_map(parse_pid) {
                if let Err(place) = found.binary_search(&pid) {
                    found.insert(place, pid);
                }
            }
        }
        // A threaded group's processes are listed in the group above; a removed one's nowhere.
        Err(Errno::OPNOTSUPP | Errno::NODEV) => {}
        Err(e) => host.excuse(path, e),
    }
}

/// Whoever could create one of `dirs`: the first owner other than root of a directory above. Nobody, u32::MAX, where that has gone or
/// may not be looked at.
pub fn owner_above(host: &Host, dirs: &[Bytes]) -> u32 {
    first_owner(host, dirs, |dir| &dir[..dir.iter().rposition(|b| *b == b'/').unwrap_or(0).max(1)])
}

/// The first owner other than root of what `of` makes of a directory.
fn first_owner(host: &Host, dirs: &[Bytes], of: fn(Bytes) -> Bytes) -> u32 {
    for dir in dirs {
        let dir = of(dir);
        let stat = host.unless(dir, host.locate(dir, Links::Follow).and_then(fstat));
        let owner = stat.map_or(u32::MAX, |stat| stat.st_uid);
        if owner != 0 {
            return owner;
        }
    }
    0
}

/// Whoever could name the component of `path` that names `id`; where no hierarchy shows it, whoever owns the process.
fn owner_of_name(host: &Host, path: &[u8], id: &[u8], process: &Process) -> u32 {
    let mut end = path.len();
    while let Some(slash) = path[..end].iter().rposition(|b| *b == b'/') {
        if names_id(&path[slash + 1..end], id) {
            break;
        }
        end = slash;
    }
    let found = in_hierarchies(host, &path[..end]);
    if found.is_empty() { process.owner().unwrap_or(u32::MAX) } else { owner_above(host, found) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_whole_component_or_ends_a_scope() {
        let id = "b146a24e2b7e5271".repeat(4);
        let id = id.as_bytes();
        let path = |text: &str| text.replace("ID", std::str::from_utf8(id).unwrap()).into_bytes();
        for good in [
            "/docker/ID",
            "/system.slice/docker-ID.scope",
            "/a/libpod-ID.scope/container",
            "/kubepods/pod1/ID",
            "/kubepods.slice/cri-containerd-ID.scope",
            "/libpod_parent/libpod-ID",
            "/crio/crio-ID",
            "/x/ID.scope",
        ] {
            assert!(names_id(&path(good), id), "{good}");
        }
        for bad in [
            "/docker/IDx",
            "/docker/xID",
            "/libpod-conmon-ID.scope",
            "/crio-conmon-ID.scope",
            "/lxc.monitor.ID",
            "/a/conmon-ID.scope",
            "/x_ID.scope",
            "/",
        ] {
            assert!(!names_id(&path(bad), id), "{bad}");
        }
        assert!(!names_id(b"/", b""));
        assert!(is_inside_another(&path(&format!("/docker/{}/docker/ID", "c".repeat(64))), id));
        assert!(!is_inside_another(&path("/docker/ID/x"), id));
    }

    #[test]
    fn units_are_services_and_scopes() {
        assert_eq!(unit_in(b"/system.slice/nginx.service"), Some(&b"nginx.service"[..]));
        assert_eq!(unit_in(b"/user.slice/user@0.service/app.slice/a.scope/x"), Some(&b"a.scope"[..]));
        assert_eq!(unit_in(b"/system.slice"), None);
    }

    #[test]
    fn containers_have_long_names() {
        let id = "0123456789abcdef".repeat(4);
        assert!(is_container(id.as_bytes()));
        assert!(is_container(format!("docker-{id}.scope").as_bytes()));
        assert!(!is_container(b"system.slice"));
    }
}
