//! Cgroups of a world: those whose names only its author can have given.
//!
//! Whoever owns a cgroup's directory chooses the names below it and moves processes there.
//! `Delegate=` plays no part. What lies below a container's cgroup is that container's world,
//! whoever owns it; so evidence asks for exact paths, and never searches for a name.

#![forbid(unsafe_code)]

use super::World;
use super::judge::Standing;
use crate::base::error::is_absent;
use crate::base::text::{join, lines};
use crate::host::cgroup;
use crate::host::mountinfo::{self, mount_id};
use crate::host::mounts::with_id;
use crate::host::process::{Process, unless_gone};
use crate::host::root::Symlink;
use crate::kernel::netns::id_at;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, fstat, statat};
use rustix::io::{self, Errno};

/// Which directories on the way to a cgroup must be the author's.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    /// Those that give names: all above it.
    Above,
    /// It, too: nobody else can move a process there.
    Whole,
}

impl World<'_> {
    /// Returns the directories that `path`, from the top of a hierarchy, means, one in each
    /// hierarchy that is mounted whole, if its name is the word of this world's author: every
    /// directory above it is the author's or root's. Its own owner may be the container's root,
    /// whom its engine gave it to.
    pub(crate) fn cgroup(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        for top in self.hierarchies() {
            if self.counts(top, path, Way::Above) == Some(true) {
                found.push([top, path].concat());
            }
        }
        found
    }

    /// Watches the cgroup at `path`, from the top of a hierarchy, or what is there of its way.
    pub(crate) fn watch_cgroup(&self, path: &[u8]) {
        for top in self.hierarchies() {
            self.host.watch_path(&[top, path].concat());
        }
    }

    /// Tells whether nobody but this world's author and root can move a process to `path`, in any
    /// hierarchy that has it, and one has.
    pub(crate) fn has_cgroup(&self, path: &[u8]) -> bool {
        let mut is_there = false;
        for top in self.hierarchies() {
            match self.counts(top, path, Way::Whole) {
                Some(true) => is_there = true,
                Some(false) => return false,
                None => {}
            }
        }
        is_there
    }

    /// Tells whether cgroups can be told by their paths here at all.
    pub(crate) fn has_cgroups(&self) -> bool {
        !self.hierarchies().is_empty()
    }

    /// Returns the cgroup paths of a process from the top of each hierarchy; None where it has
    /// gone, or where they cannot be told from here. A path of a removed group ends in "
    /// (deleted)", as does that of a group that somebody called so.
    pub(crate) fn cgroup_paths(&self, process: &Process) -> Option<Vec<Vec<u8>>> {
        // It must be parsed before the buffer is used again.
        let depths = self.depths();
        let read = process.read(self.host, "cgroup");
        let text = unless_gone(self.host, process.pid, read)?;
        let mut paths = Vec::new();
        for (hierarchy, path) in lines(&text).filter_map(hierarchy_and_path) {
            let Some(depths) = &depths else {
                paths.push(path.to_vec());
                continue;
            };
            let (_, depth) = depths.iter().find(|(known, _)| known == hierarchy)?;
            let (steps, rest) = steps_up(path);
            // With fewer it shares directories with us whose names nobody tells.
            if steps != *depth {
                return None;
            }
            paths.push(if rest.is_empty() { b"/" } else { rest }.to_vec());
        }
        (depths.is_none() || !paths.is_empty()).then_some(paths)
    }

    /// Returns how many steps it is up from our cgroup namespace to the top, by hierarchy, as the
    /// paths of the machine's pid 1 tell: nothing where they may not be read, None outside of a
    /// cgroup namespace.
    fn depths(&self) -> Option<Vec<(Vec<u8>, usize)>> {
        if !is_in_cgroup_namespace() {
            return None;
        }
        let mut depths = Vec::new();
        let first = Process::open(self.host, 1).and_then(|first| first.read(self.host, "cgroup"));
        if let Some(text) = unless_gone(self.host, 1, first) {
            for (hierarchy, path) in lines(&text).filter_map(hierarchy_and_path) {
                depths.push((hierarchy.to_vec(), steps_up(path).0));
            }
        }
        Some(depths)
    }

    /// Returns the hierarchies that are mounted whole, each once.
    fn hierarchies(&self) -> &[Vec<u8>] {
        self.hierarchies.get_or_init(|| {
            let depths = self.depths();
            let (mut whole, mut devices) = (Vec::new(), Vec::new());
            for top in cgroup::hierarchies(self.host) {
                let opened = self.host.resolve(&top, Symlink::Follow).and_then(|fd| {
                    let is_whole = match &depths {
                        None => is_top(&fd)?,
                        Some(depths) => self.is_top_of_machine(&fd, depths)?,
                    };
                    Ok((is_whole, fstat(&fd)?.st_dev))
                });
                let Some((true, device)) = self.host.readable(&top, opened) else { continue };
                // Of v1 `cpu` is a link to `cpu,cpuacct`.
                if !devices.contains(&device) {
                    devices.push(device);
                    whole.push(top);
                }
            }
            whole
        })
    }

    /// Tells, from inside a cgroup namespace, whether a hierarchy's mount shows all of the
    /// machine's: what of it is mounted is as many steps above us as its top is.
    fn is_top_of_machine(&self, top: &OwnedFd, depths: &[(Vec<u8>, usize)]) -> io::Result<bool> {
        let line = with_id(self.host, mount_id(top)?)?;
        let mount = mountinfo::parse(&line).ok_or(Errno::NOENT)?;
        let (steps, rest) = steps_up(&mount.root);
        let is_top = matches!(rest, b"" | b"/");
        Ok(is_top && depths.iter().any(|(_, depth)| *depth == steps))
    }

    /// Tells whether the way from the top of a hierarchy to `path` is the author's; None where
    /// there is none, or it cannot be looked at.
    fn counts(&self, top: &[u8], path: &[u8], way: Way) -> Option<bool> {
        self.host.readable(top, self.counts_from(top, path, way))
    }

    fn counts_from(&self, top: &[u8], path: &[u8], way: Way) -> io::Result<bool> {
        let mut directory = top.to_vec();
        for name in path.split(|byte| *byte == b'/').filter(|name| !name.is_empty()) {
            if !self.is_authors(&directory)? || matches!(name, b"." | b"..") {
                return Ok(false);
            }
            directory = join(&directory, name);
        }
        match way {
            Way::Above if directory.len() > top.len() => self.standing_of(&directory).map(|_| true),
            _ => self.is_authors(&directory),
        }
    }

    /// Tells whether nobody but the author and root can put something into a directory, if that is
    /// so of those above it. One above a thousand containers is judged once: nobody else can put
    /// another in its place.
    fn is_authors(&self, directory: &[u8]) -> io::Result<bool> {
        let mut judged = self.tree.judged.borrow_mut();
        match judged.binary_search_by(|(known, _)| known[..].cmp(directory)) {
            Ok(at) => Ok(judged[at].1),
            Err(at) => {
                let is_authors = self.tree.judge().counts(&self.standing_of(directory)?);
                judged.insert(at, (directory.to_vec(), is_authors));
                Ok(is_authors)
            }
        }
    }

    fn standing_of(&self, directory: &[u8]) -> io::Result<Standing> {
        // The top of a hierarchy may be a symlink: of v1 `cpu` is one.
        Standing::of(&self.host.resolve(&join(directory, b"."), Symlink::Follow)?)
    }
}

/// Tells, outside of a cgroup namespace, whether a directory is the top of a hierarchy:
/// kernel/cgroup/cgroup.c has cgroup.events in all groups but that, cgroup-v1.c release_agent in
/// that alone.
fn is_top(directory: &OwnedFd) -> io::Result<bool> {
    let has = |name: &str| match statat(directory, name, AtFlags::empty()) {
        Ok(_) => Ok(true),
        Err(e) if is_absent(e) => Ok(false),
        Err(e) => Err(e),
    };
    Ok(has("release_agent")? || (has("cgroup.controllers")? && !has("cgroup.events")?))
}

/// Tells whether cgroup paths are told us from another root than the hierarchy's:
/// cgroup_namespaces(7).
fn is_in_cgroup_namespace() -> bool {
    // PROC_CGROUP_INIT_INO, linux/proc_ns.h; before Linux 4.6 there is no such namespace.
    const INITIAL: u64 = 0xefff_fffb;
    id_at(CWD, b"/proc/self/ns/cgroup").is_ok_and(|own| own.ino != INITIAL)
}

/// Splits a line of /proc/PID/cgroup: its hierarchy, as numbered and named, and the path.
fn hierarchy_and_path(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colons = || line.iter().enumerate().filter(|(_, byte)| **byte == b':');
    let (second, _) = colons().nth(1)?;
    Some((&line[..second], &line[second + 1..]))
}

/// Counts the `/..` at the beginning of a path, and returns what follows them.
fn steps_up(mut path: &[u8]) -> (usize, &[u8]) {
    let mut steps = 0;
    while let Some(rest) = path.strip_prefix(b"/..").filter(|rest| matches!(rest, [] | [b'/', ..]))
    {
        (steps, path) = (steps + 1, rest);
    }
    (steps, path)
}

#[cfg(test)]
mod tests {
    use super::super::judge::Judge;
    use super::super::tree::Tree;
    use super::*;
    use crate::base::console::Console;
    use crate::base::testing::{alone, is_root};
    use crate::host::Host;
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::fs::{PermissionsExt, chown};
    use std::path::PathBuf;
    use std::process::Command;

    #[test]
    fn lines_split_at_two_colons() {
        assert_eq!(hierarchy_and_path(b"4:memory:/a:b"), Some((&b"4:memory"[..], &b"/a:b"[..])));
        assert_eq!(
            hierarchy_and_path(b"0::/x (deleted)"),
            Some((&b"0:"[..], &b"/x (deleted)"[..]))
        );
        assert_eq!(hierarchy_and_path(b"x:y"), None);
    }

    #[test]
    fn steps_up_are_whole_components() {
        assert_eq!(steps_up(b"/../../a"), (2, &b"/a"[..]));
        assert_eq!(steps_up(b"/.."), (1, &b""[..]));
        assert_eq!(steps_up(b"/..a"), (0, &b"/..a"[..]));
        assert_eq!(steps_up(b"/a/../b"), (0, &b"/a/../b"[..]));
    }

    /// Returns root's world on this machine, and a hierarchy in which cgroups can be made.
    fn world_and_top(host: &Host) -> Option<(World<'_>, Vec<u8>)> {
        let world = World::root(host);
        let tops = world.hierarchies().to_vec();
        let top =
            tops.into_iter().find(|top| top.ends_with(b"/unified") || !top.ends_with(b"memory"));
        top.filter(|_| is_root()).map(|top| (world, top))
    }

    /// Cgroups that go with the test.
    struct Groups(Vec<PathBuf>);

    impl Groups {
        fn make(&mut self, top: &[u8], path: &str) -> Option<PathBuf> {
            let group = PathBuf::from(OsStr::from_bytes(&[top, path.as_bytes()].concat()));
            std::fs::create_dir(&group).ok()?;
            self.0.push(group.clone());
            Some(group)
        }
    }

    impl Drop for Groups {
        fn drop(&mut self) {
            while let Some(group) = self.0.pop() {
                let _ = std::fs::remove_dir(group);
            }
        }
    }

    #[test]
    fn a_cgroups_name_is_the_word_of_who_owns_what_is_above() {
        let host = Host::own(Console { quiet: true, verbose: false });
        let Some((mut world, top)) = world_and_top(&host) else { return };
        let own = format!("/netns-enter-unit-{}", std::process::id());
        let path = |rest: &str| format!("{own}{rest}");
        let mut groups = Groups(Vec::new());
        // Where cgroups are mounted read-only.
        let Some(first) = groups.make(&top, &own) else { return };
        for rest in ["/roots", "/users", "/roots/a", "/users/a", "/users/a/b (deleted)"] {
            groups.make(&top, &path(rest)).unwrap();
        }
        let users = PathBuf::from(OsStr::from_bytes(&[&top, path("/users").as_bytes()].concat()));
        chown(&users, Some(1000), Some(1000)).unwrap();
        let named = |world: &World<'_>, path: &str| world.cgroup(path.as_bytes());
        let has = |world: &World<'_>, path: &str| world.has_cgroup(path.as_bytes());
        for rest in ["/roots", "/roots/a", "//roots//a/", "/users"] {
            let path = path(rest);
            assert_eq!(named(&world, &path), [[&top, path.as_bytes()].concat()], "{rest}");
            assert_eq!(has(&world, &path), rest != "/users", "{rest}");
        }
        let others =
            ["/users/a", "/users/a/b", "/users/a/b (deleted)", "/roots/../roots", "/./roots"];
        for rest in others.into_iter().chain(["/roots/cgroup.procs", "/absent", "/roots\0"]) {
            assert_eq!(named(&world, &path(rest)).len(), 0, "{rest}");
            assert!(!has(&world, &path(rest)), "{rest}");
        }
        assert!(!named(&world, "/").is_empty() && has(&world, "/"));
        // In the user's own world what the user and root have named.
        let judge = |uid| Judge { root_uid: 0, user: Some((uid, uid)) };
        world.tree = Tree::new(&host, judge(1000));
        for rest in ["/users/a", "/users/a/b (deleted)", "/roots/a"] {
            assert_eq!(named(&world, &path(rest)).len(), 1, "{rest}");
        }
        world.tree = Tree::new(&host, judge(1001));
        assert!(named(&world, &path("/users/a")).is_empty());
        world.tree = Tree::new(&host, Judge { root_uid: 0, user: None });
        assert_eq!(named(&world, &path("/roots")).len(), 1);
        std::fs::set_permissions(&first, PermissionsExt::from_mode(0o777)).unwrap();
        // A directory is judged once.
        assert_eq!(named(&world, &path("/roots")).len(), 1);
        world.tree = Tree::new(&host, Judge { root_uid: 0, user: None });
        assert!(named(&world, &path("/roots")).is_empty());
        assert_eq!(host.unread(), None);
    }

    #[test]
    fn in_a_cgroup_namespace_paths_are_completed() {
        let host = Host::own(Console { quiet: true, verbose: false });
        let Some((_, top)) = world_and_top(&host) else { return };
        let own = format!("/netns-enter-unit-ns-{}", std::process::id());
        let mut groups = Groups(Vec::new());
        let Some(outer) = groups.make(&top, &own) else { return };
        let inner = groups.make(&top, &format!("{own}/inner")).unwrap();
        let beside = groups.make(&top, &format!("{own}/beside")).unwrap();
        let elsewhere = groups.make(&top, &format!("{own}-2")).unwrap();
        let mut sleepers = Vec::new();
        for group in [&beside, &elsewhere] {
            let sleeper = Command::new("sleep").arg("60").spawn().unwrap();
            std::fs::write(group.join("cgroup.procs"), sleeper.id().to_string()).unwrap();
            sleepers.push(sleeper);
        }
        let ids: Vec<String> = sleepers.iter().map(|sleeper| sleeper.id().to_string()).collect();
        let before = format!(
            "export BESIDE={} ELSEWHERE={} OUTSIDE='{}'; echo $$ >{}/cgroup.procs; \
             exec unshare -C \"$0\" \"$@\"",
            ids[0],
            ids[1],
            own,
            inner.display()
        );
        alone("containers::world::cgroups::tests::in_a_namespace::completed", &before);
        for mut sleeper in sleepers {
            sleeper.kill().unwrap();
            sleeper.wait().unwrap();
        }
        assert!(outer.exists());
    }

    mod in_a_namespace {
        use super::*;

        #[test]
        #[ignore = "run by in_a_cgroup_namespace_paths_are_completed"]
        fn completed() {
            let host = Host::own(Console { quiet: true, verbose: false });
            let world = World::root(&host);
            assert!(is_in_cgroup_namespace());
            let variable = |name| std::env::var(name).unwrap();
            let paths = |pid: u32| {
                let process = Process::open(&host, pid).unwrap();
                world.cgroup_paths(&process)
            };
            let own = variable("OUTSIDE");
            let found = paths(variable("ELSEWHERE").parse().unwrap());
            let there = format!("{own}-2").into_bytes();
            // On v1 another hierarchy may have us below a directory that it has, too.
            assert!(found.is_none_or(|paths| paths.contains(&there)));
            // Nobody tells what is called so that we share.
            assert_eq!(paths(variable("BESIDE").parse().unwrap()), None);
            assert_eq!(paths(std::process::id()), None);
            assert!(world.has_cgroups());
            assert!(!world.cgroup(&there).is_empty());
        }
    }
}
