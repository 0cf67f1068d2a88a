//! Control groups: which processes a directory holds, and which directories a path or unit means.
//!
//! A cgroup's name is no secret and no proof: whoever owns the directory above chose it. That owner
//! is told with each process that is found in one.

#![forbid(unsafe_code)]

use super::process::{Process, cgroup_paths, is_dead, parse_pid, unless_gone};
use super::root::Symlink;
use super::{Host, visit_names};
use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::base::text::{join, last, lines, list};
use crate::kernel::netns::NetNs;
use crate::sys::fd::{open_directory, reopen};
use rustix::fs::{FileType, OFlags, fstat, fstatfs};
use rustix::io::Errno;

/// CGROUP2_SUPER_MAGIC and CGROUP_SUPER_MAGIC, linux/magic.h.
const MAGICS: [u64; 2] = [0x6367_7270, 0x0027_e0eb];
/// Deeper trees than this are somebody's joke.
const MAX_DEPTH: usize = 32;

/// A process of a cgroup and the namespace it is in, both held open.
#[derive(Debug)]
pub(crate) struct Member {
    /// The process.
    pub(crate) process: Process,
    /// Its network namespace.
    pub(crate) netns: NetNs,
    /// The uid that could have put it there: an owner other than root of the directory or, for a
    /// container, of the one above.
    pub(crate) owner: u32,
}

/// Returns the mounted hierarchies: `/sys/fs/cgroup` where that is cgroup2, else the directories in
/// it, those that hold every process first.
///
/// # Errors
/// Where the machine fails, as [`Host::readable`] tells.
pub(crate) fn hierarchies(host: &Host) -> Result<Vec<Vec<u8>>> {
    const TOP: &[u8] = b"/sys/fs/cgroup";
    if is_cgroup(host, TOP)? {
        return Ok(vec![TOP.to_vec()]);
    }
    let mut found = Vec::new();
    for path in host.entries(TOP)? {
        if is_cgroup(host, &path)? {
            let holds_all = matches!(last(&path), b"systemd" | b"unified");
            found.insert(if holds_all { 0 } else { found.len() }, path);
        }
    }
    Ok(found)
}

/// Tells whether `path` is a directory of a cgroup hierarchy.
///
/// # Errors
/// Those of [`hierarchies`].
pub(crate) fn is_cgroup(host: &Host, path: &[u8]) -> Result<bool> {
    let kind = host.resolve(path, Symlink::Follow).and_then(fstatfs).map(|fs| fs.f_type as u64);
    Ok(host.readable(path, kind)?.is_some_and(|kind| MAGICS.contains(&kind)))
}

/// Returns the directories of all hierarchies whose name satisfies `wanted`. Below those, and below
/// names that satisfy `closed`, nothing is searched.
///
/// # Errors
/// Those of [`hierarchies`].
pub(crate) fn search(
    host: &Host,
    wanted: &dyn Fn(&[u8]) -> bool,
    closed: &dyn Fn(&[u8]) -> bool,
) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for top in hierarchies(host)? {
        let mut open = vec![(0, top)];
        while let Some((depth, dir)) = open.pop() {
            visit_children(host, &dir, &mut |name| {
                if wanted(name) {
                    found.push(join(&dir, name));
                } else if depth < MAX_DEPTH && !closed(name) {
                    open.push((depth + 1, join(&dir, name)));
                }
            })?;
        }
    }
    Ok(found)
}

/// Shows the names of a directory's child groups to `visitor`.
fn visit_children(host: &Host, dir: &[u8], visitor: &mut dyn FnMut(&[u8])) -> Result<()> {
    let listed = host.resolve(dir, Symlink::NoFollow).and_then(|group| {
        // A group is linked twice, and once for each child: one without any need not be listed.
        if fstat(&group)?.st_nlink <= 2 {
            return Ok(());
        }
        visit_names(&open_directory(&group)?, &mut |name, kind| {
            if kind == FileType::Directory {
                visitor(name);
            }
            true
        })
    });
    match listed {
        // It was removed since it was opened.
        Err(Errno::NODEV) => {}
        listed => _ = host.readable(dir, listed)?,
    }
    Ok(())
}

/// Returns the cgroup directories that the user means: a path, a line of /proc/PID/cgroup, or a
/// systemd unit.
///
/// # Errors
/// Where there is none, and those of [`hierarchies`].
pub(crate) fn directories(host: &Host, text: &[u8]) -> Result<Vec<Vec<u8>>> {
    let none = || Error::new(format!("no cgroup {}", quoted(text)));
    if !text.contains(&b'/') {
        let found = search(host, &|name| name == text, &|_| false)?;
        if found.is_empty() {
            let directory = "a directory below /sys/fs/cgroup, a path of /proc/PID/cgroup";
            return Err(none().with_remedy(format!("name {directory} or a unit that runs")));
        }
        return Ok(found);
    }
    let path = cgroup_paths(text).next().filter(|_| !text.starts_with(b"/")).unwrap_or(text);
    if path.starts_with(b"/") {
        if is_cgroup(host, path)? {
            return Ok(vec![path.to_vec()]);
        }
        let found = in_hierarchies(host, path)?;
        if !found.is_empty() {
            return Ok(found);
        }
    }
    Err(match host.is_directory(path) {
        true => Error::of(path, "is a directory, but not of a cgroup hierarchy"),
        false => none(),
    })
}

/// Returns the directories that `path`, from the top of a hierarchy, means in each of them.
///
/// # Errors
/// Those of [`hierarchies`].
pub(crate) fn in_hierarchies(host: &Host, path: &[u8]) -> Result<Vec<Vec<u8>>> {
    let mut found = Vec::new();
    for top in hierarchies(host)? {
        let dir = [&top, path].concat();
        if is_cgroup(host, &dir)? {
            found.push(dir);
        }
    }
    Ok(found)
}

/// Returns one process for each network namespace among the processes at or below `dirs`.
///
/// # Errors
/// Those of [`held_members`].
pub(crate) fn members(host: &Host, dirs: &[Vec<u8>]) -> Result<Vec<Member>> {
    // Who owns the directory itself can put processes of theirs there, too.
    let owner = match first_owner(host, dirs.iter().map(Vec::as_slice))? {
        0 => owner_above(host, dirs)?,
        owner => owner,
    };
    held_members(host, dirs, owner, &|_, found, new| {
        Ok(found.iter().all(|member| member.netns.id != new.netns.id))
    })
}

/// Tells from the pids listed, sorted, the members found so far and a new one whether that is to be
/// held open, too.
pub(crate) type Wanted<'w> = &'w dyn Fn(&[u32], &[Member], &Member) -> Result<bool>;

/// Returns the wanted processes at or below `dirs`, held open; `owner` is noted as theirs.
///
/// The directories are read again when the processes are held: a pid that is listed twice and alive
/// both times is the same process.
///
/// # Errors
/// Where /proc is of another pid namespace, those of `wanted`, and those of [`hierarchies`].
pub(crate) fn held_members(
    host: &Host,
    dirs: &[Vec<u8>],
    owner: u32,
    wanted: Wanted<'_>,
) -> Result<Vec<Member>> {
    // The kernel numbers them for us, and leaves out those that our pid namespace does not have.
    if !host.has_our_pids() {
        let fault = "/proc is of another pid namespace than we are";
        return Err(Error::new(format!("the processes of a cgroup cannot be told: {fault}"))
            .with_remedy("in a container say --pid=host or hostPID: true"));
    }
    let listed = pids(host, dirs)?;
    let mut found = Vec::new();
    for pid in &listed {
        if let Some(member) = member(host, *pid, owner)? {
            if wanted(&listed, &found, &member)? {
                found.push(member);
            }
        }
    }
    let still = pids(host, dirs)?;
    let mut held = Vec::new();
    for member in found {
        let pid = member.process.pid;
        if still.contains(&pid) && unless_gone(host, pid, member.process.stat())?.is_some() {
            held.push(member);
        }
    }
    Ok(held)
}

/// Holds a living process and its namespace open; None where it has gone meanwhile.
///
/// # Errors
/// Where the machine fails, as [`unless_gone`] tells.
pub(crate) fn member(host: &Host, pid: u32, owner: u32) -> Result<Option<Member>> {
    let opened = Process::open(host, pid).and_then(|process| {
        if is_dead(process.stat()?.state) {
            return Err(Errno::SRCH);
        }
        let netns = process.netns()?;
        Ok(Member { process, netns, owner })
    });
    unless_gone(host, pid, opened)
}

/// Makes the refusal of a group whose processes are in several network namespaces.
pub(crate) fn several(of: &[u8], members: &[Member]) -> Error {
    let mut first_of_each: Vec<&Member> = Vec::new();
    for member in members {
        if first_of_each.iter().all(|known| known.netns.id != member.netns.id) {
            first_of_each.push(member);
        }
    }
    let count = first_of_each.len();
    let name = |member: &&Member| format!("{} pid {}", member.netns.id.ino, member.process.pid);
    let namespaces = list(first_of_each.iter().map(name), ", ");
    let of = quoted(of);
    let message = format!("the processes of {of} are in {count} network namespaces: {namespaces}");
    Error::new(message).with_remedy(format!("say --pid {}", members[0].process.pid))
}

/// Returns the systemd unit that a cgroup path is of: its innermost service or scope.
pub(crate) fn unit_in(path: &[u8]) -> Option<&[u8]> {
    let is_unit = |part: &&[u8]| part.ends_with(b".service") || part.ends_with(b".scope");
    path.rsplit(|byte| *byte == b'/').find(is_unit)
}

/// Returns the pids listed at and below `dirs`, sorted, each once.
///
/// # Errors
/// Those of [`hierarchies`].
pub(crate) fn pids(host: &Host, dirs: &[Vec<u8>]) -> Result<Vec<u32>> {
    let mut found = Vec::new();
    let mut open = dirs.to_vec();
    while let Some(dir) = open.pop() {
        add_pids(host, &join(&dir, b"cgroup.procs"), &mut found)?;
        visit_children(host, &dir, &mut |name| open.push(join(&dir, name)))?;
    }
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

/// Adds the pids that one file lists.
fn add_pids(host: &Host, path: &[u8], found: &mut Vec<u32>) -> Result<()> {
    const MOST: usize = 64 << 20;
    let file = host.resolve(path, Symlink::NoFollow).and_then(|fd| reopen(&fd, OFlags::RDONLY));
    match file.and_then(|file| host.buffer.read_all(file, 4095, MOST)) {
        Ok(text) => found.extend(lines(&text).filter_map(parse_pid)),
        // A threaded group's processes are listed in the group above; a removed one's nowhere.
        Err(Errno::OPNOTSUPP | Errno::NODEV) => {}
        Err(e) => host.remember_unread(path, e)?,
    }
    Ok(())
}

/// Returns who could create one of `dirs`: the first owner other than root of a directory above.
/// Nobody, u32::MAX, where that has gone or may not be looked at.
///
/// # Errors
/// Those of [`hierarchies`].
pub(crate) fn owner_above(host: &Host, dirs: &[Vec<u8>]) -> Result<u32> {
    first_owner(host, dirs.iter().map(|dir| above(dir)))
}

/// Returns the path of the directory that a directory is in.
fn above(dir: &[u8]) -> &[u8] {
    let slash = dir.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    &dir[..slash.max(1)]
}

/// Returns the first owner other than root of a directory.
fn first_owner<'a>(host: &Host, dirs: impl Iterator<Item = &'a [u8]>) -> Result<u32> {
    for dir in dirs {
        let stat = host.readable(dir, host.resolve(dir, Symlink::Follow).and_then(fstat))?;
        let owner = stat.map_or(u32::MAX, |stat| stat.st_uid);
        if owner != 0 {
            return Ok(owner);
        }
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;

    #[test]
    fn units_are_services_and_scopes() {
        assert_eq!(unit_in(b"/system.slice/nginx.service"), Some(&b"nginx.service"[..]));
        let path = b"/user.slice/user@0.service/app.slice/a.scope/x";
        assert_eq!(unit_in(path), Some(&b"a.scope"[..]));
        assert_eq!(unit_in(b"/system.slice"), None);
    }

    #[test]
    fn pids_are_listed_once_and_sorted() {
        let host = Host::own(Console::default());
        let name = format!("netns-enter-pids-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(dir.join("child")).unwrap();
        std::fs::write(dir.join("cgroup.procs"), "70\n3\n70\n").unwrap();
        std::fs::write(dir.join("child/cgroup.procs"), "5\n0\n3\n").unwrap();
        let path = dir.as_os_str().as_encoded_bytes();
        let dirs = [path.to_vec(), join(path, b"child"), join(path, b"absent")];
        assert_eq!(pids(&host, &dirs).unwrap(), [3, 5, 70]);
        std::fs::remove_dir_all(&dir).unwrap();
        assert!(pids(&host, &dirs).unwrap().is_empty());
    }

    #[test]
    fn the_directory_above_is_a_path() {
        assert_eq!([above(b"/a/b"), above(b"/a")], [&b"/a"[..], b"/"]);
    }
}
