//! Control groups: which processes a directory holds, and which directories a path means.
//!
//! A cgroup's name is no secret and no proof: whoever owns the directory above chose it. Whose word
//! that is, is for [`crate::containers::world`] to say.

#![forbid(unsafe_code)]

use super::process::{Process, cgroup_paths, parse_pid};
use super::root::Symlink;
use super::{Host, visit_names};
use crate::base::error::{Error, Result, is_absent};
use crate::base::escape::quoted;
use crate::base::text::{join, last, lines};
use crate::sys::fd::{name_of, open_directory, reopen};
use rustix::fs::{FileType, OFlags, Stat, fstat, fstatfs};
use rustix::io::{self, Errno};

/// CGROUP2_SUPER_MAGIC and CGROUP_SUPER_MAGIC, linux/magic.h.
const MAGICS: [u64; 2] = [0x6367_7270, 0x0027_e0eb];

/// Programs that start, watch or connect a container from outside, as their files are called. They
/// are in the cgroup of its unit, but never the container.
const MONITORS: &[&str] = &[
    "conmon",
    "conmonrs",
    "containerd-shim",
    "containerd-shim-kata-v2",
    "containerd-shim-runc-v1",
    "containerd-shim-runc-v2",
    "containerd-shim-runsc-v1",
    "docker-containerd-shim",
    "libvirt_lxc",
    "pasta",
    "pasta.avx2",
    "rootlessport",
    "slirp4netns",
    "systemd-nspawn",
];

/// Returns the mounted hierarchies: `/sys/fs/cgroup` where that is cgroup2, else the directories in
/// it, those that hold every process first.
pub(crate) fn hierarchies(host: &Host) -> Vec<Vec<u8>> {
    const TOP: &[u8] = b"/sys/fs/cgroup";
    if is_cgroup(host, TOP) {
        return vec![TOP.to_vec()];
    }
    let mut found = Vec::new();
    for path in host.entries(TOP) {
        if is_cgroup(host, &path) {
            let holds_all = matches!(last(&path), b"systemd" | b"unified");
            found.insert(if holds_all { 0 } else { found.len() }, path);
        }
    }
    found
}

/// Tells whether `path` is a directory of a cgroup hierarchy.
pub(crate) fn is_cgroup(host: &Host, path: &[u8]) -> bool {
    let kind = host.resolve(path, Symlink::Follow).and_then(fstatfs).map(|fs| fs.f_type as u64);
    host.readable(path, kind).is_some_and(|kind| MAGICS.contains(&kind))
}

/// Shows the names of a directory's child groups to `visitor`, if the directory is one that counts.
///
/// # Errors
/// The errno of opening and listing it.
pub(crate) fn visit_children(
    host: &Host,
    dir: &[u8],
    counts: &dyn Fn(&Stat) -> bool,
    visitor: &mut dyn FnMut(&[u8]),
) -> io::Result<()> {
    let listed = host.resolve(dir, Symlink::NoFollow).and_then(|group| {
        let stat = fstat(&group)?;
        host.watch(&group);
        // A group is linked twice, and once for each child: one without any need not be listed.
        if stat.st_nlink <= 2 || !counts(&stat) {
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
        Err(Errno::NODEV) => Ok(()),
        listed => listed,
    }
}

/// Returns the cgroup directories that the user means by a path, or by a line of /proc/PID/cgroup.
///
/// # Errors
/// Where there is none.
pub(crate) fn directories(host: &Host, text: &[u8]) -> Result<Vec<Vec<u8>>> {
    let path = cgroup_paths(text).next().filter(|_| !text.starts_with(b"/")).unwrap_or(text);
    if path.starts_with(b"/") {
        host.watch_path(path);
        if is_cgroup(host, path) {
            return Ok(vec![path.to_vec()]);
        }
        let found = in_hierarchies(host, path);
        if !found.is_empty() {
            return Ok(found);
        }
    }
    if host.is_directory(path) {
        return Err(Error::of(path, "is a directory, but not of a cgroup hierarchy"));
    }
    let none = Error::new(format!("no cgroup {}", quoted(text))).absent();
    Err(match path.ends_with(b" (deleted)") {
        true => none.with_remedy("the kernel calls a cgroup so that was removed"),
        false => none,
    })
}

/// Returns the directories that `path`, from the top of a hierarchy, means in each of them.
pub(crate) fn in_hierarchies(host: &Host, path: &[u8]) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    for top in &hierarchies(host) {
        let dir = [top, path].concat();
        host.watch_path(&dir);
        if is_cgroup(host, &dir) {
            found.push(dir);
        }
    }
    found
}

/// Returns the path of the systemd service or scope that a cgroup path lies in, if only slices are
/// above that: as a unit is looked for that is named.
pub(crate) fn unit_in(path: &[u8]) -> Option<&[u8]> {
    let mut end = 0;
    for name in path.split(|byte| *byte == b'/').skip(1) {
        end += 1 + name.len();
        if name.ends_with(b".service") || name.ends_with(b".scope") {
            return Some(&path[..end]);
        }
        if !name.ends_with(b".slice") || is_containers(name) {
            break;
        }
    }
    None
}

/// Tells whether a cgroup is called like a container: by 64 hex digits at the end, but for
/// `.scope`, or as LXC and systemd-machined call them.
pub(crate) fn is_containers(name: &[u8]) -> bool {
    const ID: usize = 64;
    let stem = name.strip_suffix(b".scope").unwrap_or(name);
    let has_id = stem.len() >= ID && stem[stem.len() - ID..].iter().all(u8::is_ascii_hexdigit);
    has_id
        || matches!(name, b"lxc" | b"lxc.payload")
        || name.starts_with(b"lxc.payload.")
        || name.starts_with(b"systemd-nspawn@")
        || (name.starts_with(b"machine-") && name.ends_with(b".scope"))
}

/// Returns the pids listed at and below `dirs`, sorted, each once; and whether these are all. They
/// are not where a list may not be read, or has processes that our pid namespace does not have, nor
/// where a path is longer than any that can be opened: who owns a group makes groups of any depth.
pub(crate) fn pids(host: &Host, dirs: &[Vec<u8>]) -> (Vec<u32>, bool) {
    let (mut found, mut is_whole) = (Vec::new(), true);
    let mut open = dirs.to_vec();
    let is_absence = |path: &[u8], errno: Errno| {
        if errno == Errno::NAMETOOLONG {
            let top = dirs.iter().find(|top| path.starts_with(top)).map_or(path, |top| top);
            host.remember(top, "there are cgroups below whose paths are too long to be opened");
            return false;
        }
        host.remember_unread(path, errno);
        is_absent(errno)
    };
    while let Some(dir) = open.pop() {
        host.watch_path(&dir);
        let list = join(&dir, b"cgroup.procs");
        is_whole &= add_pids(host, &list, &mut found).unwrap_or_else(|e| is_absence(&list, e));
        let children = visit_children(host, &dir, &|_| true, &mut |name| {
            open.push(join(&dir, name));
        });
        is_whole &= children.map_or_else(|e| is_absence(&dir, e), |()| true);
    }
    found.sort_unstable();
    found.dedup();
    (found, is_whole)
}

/// Adds the pids that one file lists; tells whether these are all.
fn add_pids(host: &Host, path: &[u8], found: &mut Vec<u32>) -> io::Result<bool> {
    const MOST: usize = 64 << 20;
    let file = host.resolve(path, Symlink::NoFollow).and_then(|fd| reopen(&fd, OFlags::RDONLY));
    match file.and_then(|file| host.buffer.read_all(file, 4095, MOST)) {
        Ok(text) => {
            let mut is_whole = true;
            for line in lines(&text) {
                found.extend(parse_pid(line));
                // The number of who has none in our pid namespace.
                is_whole &= line != b"0";
            }
            Ok(is_whole)
        }
        // A threaded group's processes are listed in the group above; a removed one's nowhere.
        Err(Errno::OPNOTSUPP | Errno::NODEV) => Ok(true),
        Err(e) => Err(e),
    }
}

/// Returns the path of the directory that a directory is in.
pub(crate) fn above(dir: &[u8]) -> &[u8] {
    let slash = dir.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
    &dir[..slash.max(1)]
}

/// Tells whether a process is one of [`MONITORS`], or LXC's.
pub(crate) fn is_monitor(host: &Host, process: &Process) -> bool {
    let program = process.open_file("exe", OFlags::PATH).and_then(name_of).unwrap_or_default();
    let program = program.strip_suffix(b" (deleted)").unwrap_or(&program);
    let name = last(program);
    // lxc/src/lxc/lxccontainer.c, do_lxcapi_start; Incus and LXD use the same.
    let is_lxc = || {
        process.read(host, "cmdline").is_ok_and(|arguments| arguments.starts_with(b"[lxc monitor]"))
    };
    MONITORS.iter().any(|monitor| monitor.as_bytes() == name) || is_lxc()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;

    #[test]
    fn units_are_services_and_scopes() {
        let nginx = &b"/system.slice/nginx.service"[..];
        assert_eq!(unit_in(nginx), Some(nginx));
        for inner in ["a.scope", "x", "docker:web x.service/y"] {
            let path = [nginx, b"/", inner.as_bytes()].concat();
            assert_eq!(unit_in(&path), Some(nginx), "{inner}");
        }
        assert_eq!(unit_in(b"/init.scope"), Some(&b"/init.scope"[..]));
        for path in ["/system.slice", "/", "", "/a/b.service", "/lxc.payload.x.slice/b.service"] {
            assert_eq!(unit_in(path.as_bytes()), None, "{path}");
        }
    }

    #[test]
    fn containers_have_names_of_their_own() {
        let id = "0123456789abcdef".repeat(4);
        for name in [
            &id[..],
            &format!("docker-{id}.scope"),
            &format!("libpod-{id}"),
            "lxc",
            "lxc.payload.web",
            "machine-web.scope",
            "systemd-nspawn@web.service",
        ] {
            assert!(is_containers(name.as_bytes()), "{name}");
        }
        for name in ["system.slice", "machine.slice", "init.scope", "lxc.monitor.web", &id[1..]] {
            assert!(!is_containers(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn pids_are_listed_once_and_sorted() {
        let host = Host::own(Console::default());
        let name = format!("netns-enter-pids-{}", std::process::id());
        let dir = std::env::temp_dir().join(name);
        std::fs::create_dir_all(dir.join("child")).unwrap();
        std::fs::write(dir.join("cgroup.procs"), "70\n3\n70\n").unwrap();
        std::fs::write(dir.join("child/cgroup.procs"), "5\n3\n").unwrap();
        let path = dir.as_os_str().as_encoded_bytes();
        let dirs = [path.to_vec(), join(path, b"child"), join(path, b"absent")];
        assert_eq!(pids(&host, &dirs), (vec![3, 5, 70], true));
        std::fs::write(dir.join("child/cgroup.procs"), "5\n0\n").unwrap();
        assert_eq!(pids(&host, &dirs), (vec![3, 5, 70], false));
        std::fs::remove_dir_all(&dir).unwrap();
        assert_eq!(pids(&host, &dirs), (vec![], true));
    }

    #[test]
    fn the_directory_above_is_a_path() {
        assert_eq!([above(b"/a/b"), above(b"/a")], [&b"/a"[..], b"/"]);
    }

    #[test]
    fn we_are_no_monitor() {
        let host = Host::own(Console::default());
        let own = Process::open(&host, std::process::id()).unwrap();
        assert!(!is_monitor(&host, &own));
    }
}
