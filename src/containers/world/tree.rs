//! Files of a world: what nobody but its author, and root, can have written.
//!
//! A file counts if it and every directory above it belong to the author and can be written by
//! nobody else but groups of the system. A place that the author's own configuration names counts
//! whoever can write there.
//!
//! What lies on a mount that may not answer is read by a reader, which is not waited for for long.

#![forbid(unsafe_code)]

use super::judge::{Judge, Standing};
use super::walk::{Astray, Rule, Walker};
use crate::base::error::{describe, is_absent};
use crate::base::text::lines;
use crate::host::{File, Host, MAX_FILE, Unreadable, read_held, visit_names};
use crate::kernel::netns::{NsId, id_unasked};
use crate::sys::fd::{name_of, open_directory};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Stat, StatxFlags, statx};
use rustix::io::{self, Errno};
use std::cell::{Cell, RefCell};

/// The files of one world on a machine.
pub(super) struct Tree<'h> {
    walker: Walker<'h>,
    /// Directories of cgroups that were judged, sorted by their paths.
    pub(super) judged: RefCell<Vec<(Vec<u8>, bool)>>,
    /// Places that count though others can write there.
    believed: RefCell<Vec<Vec<u8>>>,
    /// The most names of a directory that are looked at, for a reader of what a user made.
    most_names: Cell<usize>,
    /// How often something that may be there could not be read.
    misses: Cell<usize>,
}

impl<'h> Tree<'h> {
    /// Returns the tree of a machine, of which nothing has been looked at.
    pub(super) fn new(host: &'h Host, judge: Judge) -> Tree<'h> {
        let most_names = Cell::new(usize::MAX);
        let (judged, believed, misses) = (RefCell::default(), RefCell::default(), Cell::new(0));
        Tree { walker: Walker::new(host, judge), judged, believed, most_names, misses }
    }

    /// Makes this the tree of a reader, whose descriptors were closed: it may wait for mounts, and
    /// looks at no more than so many names of a directory.
    pub(super) fn become_readers(&self, most_names: usize) {
        self.walker.become_readers();
        self.most_names.set(most_names);
    }

    pub(super) fn host(&self) -> &'h Host {
        self.walker.host
    }

    pub(super) fn judge(&self) -> Judge {
        self.walker.judge
    }

    /// Returns how often something that may be there could not be read: each time counts, also
    /// where the host remembers the same failure already.
    pub(super) fn misses(&self) -> usize {
        self.misses.get()
    }

    /// Remembers why a path was not read.
    pub(super) fn remember(&self, path: &[u8], reason: &str) {
        self.count_miss();
        self.host().remember(path, reason);
    }

    fn count_miss(&self) {
        self.misses.set(self.misses.get() + 1);
    }

    /// Lets a place count that the author's configuration names, with a note where others can write
    /// there.
    pub(super) fn believe(&self, path: &[u8]) {
        if self.rule(path) == Rule::Believed {
            return;
        }
        let Some(writers) = self.writers(path) else { return };
        let who = String::from_utf8_lossy(&writers);
        let text = format!("is where the configuration says, but {who} can write there");
        self.host().console.note_of(path, text);
        self.believed.borrow_mut().push(path.to_vec());
    }

    /// Returns who besides the author can write to a place, in words; None where nobody can, or
    /// where it cannot be looked at (remembered).
    fn writers(&self, path: &[u8]) -> Option<Vec<u8>> {
        match self.walker.walk(path, Rule::Judged) {
            Ok(_) => None,
            Err(Astray::Foreign(standing)) => {
                Some(standing.writers(self.judge().root_uid).into_bytes())
            }
            Err(astray) => self.ask(astray, path, &|| self.writers(path)),
        }
    }

    /// Reads a regular file that counts. Returns None where it is absent, is another's, or cannot
    /// be read (remembered).
    pub(super) fn file(&self, path: &[u8]) -> Option<File<'h>> {
        let rule = self.rule(path);
        match self.walker.file(path, rule) {
            Ok((held, stat)) => self.read(path, &held, &stat, rule),
            Err(astray) => {
                let bytes = self.ask(astray, path, &|| Some(self.file(path)?.bytes.to_vec()))?;
                Some(File { bytes: self.host().buffer.hold(bytes) })
            }
        }
    }

    fn read(&self, path: &[u8], held: &OwnedFd, stat: &Stat, rule: Rule) -> Option<File<'h>> {
        let standing = Standing::with(held, stat);
        if rule == Rule::Judged && !self.judge().counts(&standing) {
            self.remember_open(path, &standing);
            return None;
        }
        match read_held(&self.host().buffer, held, stat, MAX_FILE) {
            Ok(file) => return Some(file),
            Err(Unreadable::Errno(e)) => self.miss(path, e),
            Err(Unreadable::Odd(fault)) => {
                self.host().console.note_of(path, &fault);
                self.remember(path, &fault);
            }
        }
        None
    }

    /// Returns the names in a directory that counts, sorted, without those that begin with a dot,
    /// as no container's does; none where it is absent, is another's, or cannot be read
    /// (remembered).
    pub(super) fn entries(&self, path: &[u8]) -> Vec<Vec<u8>> {
        let mut names = Vec::new();
        match self.walker.walk(path, self.rule(path)) {
            Ok(directory) => {
                let most = self.most_names.get();
                let mut is_cut = false;
                self.host().watch(&*directory.fd);
                let listed = open_directory(&*directory.fd).and_then(|open| {
                    visit_names(&open, &mut |name, _| {
                        is_cut = names.len() == most;
                        if !is_cut && !name.starts_with(b".") {
                            names.push(name.to_vec());
                        }
                        !is_cut
                    })
                });
                if let Err(e) = listed {
                    self.miss(path, e);
                }
                if is_cut {
                    self.remember(path, &format!("it has more than {most} entries"));
                }
            }
            Err(astray) => {
                // No name has a slash.
                let joined = self.ask(astray, path, &|| {
                    let mut joined = Vec::new();
                    for name in self.entries(path) {
                        joined.extend_from_slice(&name);
                        joined.push(b'/');
                    }
                    Some(joined)
                });
                let joined = joined.unwrap_or_default();
                let listed = joined.split(|byte| *byte == b'/').filter(|name| !name.is_empty());
                names.extend(listed.map(<[u8]>::to_vec));
            }
        }
        names.sort_unstable();
        names
    }

    /// Watches a directory that counts, if anybody waits.
    pub(super) fn watch(&self, path: &[u8]) {
        if let Ok(directory) = self.walker.walk(path, self.rule(path)) {
            self.host().watch(&*directory.fd);
        }
    }

    /// Tells whether a path is, or leads to, a directory that counts.
    pub(super) fn is_directory(&self, path: &[u8]) -> bool {
        match self.walker.walk(path, self.rule(path)) {
            Ok(_) => true,
            Err(Astray::Foreign(_)) => false,
            Err(astray) => {
                self.ask(astray, path, &|| self.is_directory(path).then(Vec::new)).is_some()
            }
        }
    }

    /// Tells whether there is nothing at a path: not where it cannot be told what is there
    /// (remembered).
    pub(super) fn is_absent(&self, path: &[u8]) -> bool {
        match self.walker.walk(path, self.rule(path)) {
            Err(Astray::Errno(e)) if is_absent(e) => true,
            Ok(_) | Err(Astray::Foreign(_)) => false,
            Err(astray) => {
                self.ask(astray, path, &|| self.is_absent(path).then(Vec::new)).is_some()
            }
        }
    }

    /// Tells whether an executable, held open, is what stands at its path, which counts and gives
    /// nobody another's rights.
    pub(super) fn is_at_its_path(&self, file: &OwnedFd) -> bool {
        let Some(path) = self.host().readable(b"/proc/self/fd", name_of(file)) else {
            return false;
        };
        let compared = self.walker.file(&path, Rule::Judged).and_then(|(there, found)| {
            let standing = Standing::with(&there, &found);
            let is_same = id_unasked(file)? == NsId::new(&found);
            Ok(is_same && !standing.has_set_id() && self.judge().counts(&standing))
        });
        if let Err(Astray::Errno(e)) = compared {
            self.miss(&path, e);
        }
        matches!(compared, Ok(true))
    }

    /// Tells whether a file, held open and not asked for, is one that the author alone can write,
    /// and a program that gives nobody another's rights.
    ///
    /// # Errors
    /// The errno of statx(2).
    pub(super) fn is_a_program(&self, file: &OwnedFd) -> io::Result<bool> {
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        let wanted = StatxFlags::TYPE | StatxFlags::MODE | StatxFlags::UID | StatxFlags::GID;
        let standing = match statx(file, c"", flags, wanted) {
            // Before Linux 4.11, or by a seccomp filter.
            Err(Errno::NOSYS | Errno::PERM) => Standing::of(file),
            stat => stat.map(|stat| Standing::from(&stat)),
        }?;
        let may_be_run = |standing: &Standing| {
            standing.kind() == FileType::RegularFile && standing.mode & 0o111 != 0
        };
        Ok(may_be_run(&standing) && !standing.has_set_id() && self.judge().counts(&standing))
    }

    /// Remembers what does not count because of its mode alone: else its owner would not know why
    /// nothing in it is found. What is another's is no failure.
    fn remember_open(&self, path: &[u8], standing: &Standing) {
        if self.judge().is_author(standing.uid) && !self.judge().counts(standing) {
            let who = standing.writers(standing.uid);
            self.remember(path, &format!("{who} can write there"));
        }
    }

    /// Goes on where the way to a path was not walked to its end. What is on a mount that may not
    /// answer is a question for a reader; None where there is no answer (remembered).
    fn ask(
        &self,
        astray: Astray,
        path: &[u8],
        question: &dyn Fn() -> Option<Vec<u8>>,
    ) -> Option<Vec<u8>> {
        let mount = match astray {
            Astray::Slow(mount) => mount,
            Astray::Foreign(standing) => {
                self.remember_open(path, &standing);
                return None;
            }
            Astray::Errno(e) => {
                self.miss(path, e);
                return None;
            }
        };
        let host = self.host();
        let asked = host.mounts.ask(host, mount, path, &|| {
            self.become_readers(self.most_names.get());
            host.take_unread();
            let answer = question();
            let unread = match (host.check(), answer) {
                (Err(error), _) => vec![error.message().to_owned()],
                (Ok(()), Some(answer)) => return [&b"+"[..], &answer].concat(),
                (Ok(()), None) => host.take_unread(),
            };
            // One line each: control characters are escaped in messages.
            unread.join("\n").into_bytes()
        });
        let Some(answer) = asked else {
            self.count_miss();
            return None;
        };
        if let Some(found) = answer.strip_prefix(b"+") {
            return Some(found.to_vec());
        }
        for line in lines(&answer).filter(|line| !line.is_empty()) {
            self.count_miss();
            host.add_unread(String::from_utf8_lossy(line).into_owned());
        }
        None
    }

    fn rule(&self, path: &[u8]) -> Rule {
        let is_below = |top: &Vec<u8>| {
            path.strip_prefix(&top[..]).is_some_and(|rest| matches!(rest, [] | [b'/', ..]))
        };
        let is_believed = self.believed.borrow().iter().any(is_below);
        if is_believed { Rule::Believed } else { Rule::Judged }
    }

    /// Goes on after a failure, as [`Host::remember_unread`] does: what fails in a place of root's
    /// could make an ambiguous name a unique one. Where others can write, they could make anything
    /// fail, and it must not hide the rest; a user's world is no more than that user's.
    fn miss(&self, path: &[u8], errno: Errno) {
        let is_limit = matches!(errno, Errno::NOMEM | Errno::MFILE | Errno::NFILE);
        // Of a file with somebody's lease nothing is known until that is given up.
        let is_others = errno == Errno::AGAIN || self.rule(path) == Rule::Believed;
        if self.judge().user.is_some() || (is_others && !is_limit) {
            if !is_absent(errno) {
                self.remember(path, &describe(errno));
            }
        } else {
            if !is_absent(errno) {
                self.count_miss();
            }
            self.host().remember_unread(path, errno);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::users::OVERFLOW;
    use super::*;
    use crate::base::console::Console;
    use crate::base::testing::{Scratch, alone, is_root};
    use crate::sys::fd::{create_at, open_at};
    use rustix::fs::{CWD, FileType, Mode, OFlags, XattrFlags, mknodat, setxattr};
    use rustix::mount::{MountFlags, mount};
    use std::os::unix::ffi::OsStrExt;
    use std::time::Instant;

    const ROOTS: Judge = Judge { root_uid: 0, user: None };

    fn quiet() -> Host {
        Host::own(Console { quiet: true, verbose: false })
    }

    fn text(tree: &Tree<'_>, path: &[u8]) -> Option<String> {
        let file = tree.file(path)?;
        Some(String::from_utf8(file.bytes.to_vec()).unwrap())
    }

    /// Tells what a world that has not looked yet reads at a path.
    fn fresh(judge: Judge, path: &[u8]) -> Option<String> {
        let host = quiet();
        text(&Tree::new(&host, judge), path)
    }

    #[test]
    fn each_miss_counts() {
        if !is_root() {
            return;
        }
        let (scratch, host) = (Scratch::new(), quiet());
        scratch.file("open", "");
        scratch.mode("open", 0o666);
        let tree = Tree::new(&host, ROOTS);
        assert!(tree.file(&scratch.path("none")).is_none() && tree.is_absent(&scratch.path("a/b")));
        assert!(!tree.is_absent(&scratch.path("")) && tree.misses() == 0);
        for misses in 1..=2 {
            assert!(tree.file(&scratch.path("open")).is_none() && tree.misses() == misses);
        }
        assert!(!host.unread().unwrap().contains("more"));
    }

    #[test]
    fn a_file_counts_where_all_above_it_is_roots() {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new();
        scratch.file("a/b/file", "text");
        let path = scratch.path("a/b/file");
        assert_eq!(fresh(ROOTS, &path).as_deref(), Some("text"));
        for name in ["a", "a/b", "a/b/file"] {
            for (uid, gid, mode) in
                [(1000, 0, 0o755), (0, 1000, 0o775), (0, 100, 0o775), (0, 0, 0o757)]
            {
                scratch.owner(name, uid, gid);
                scratch.mode(name, mode);
                assert_eq!(fresh(ROOTS, &path), None, "{name} {uid} {gid} {mode:o}");
            }
            scratch.owner(name, 0, 42);
            scratch.mode(name, 0o775);
            assert_eq!(fresh(ROOTS, &path).as_deref(), Some("text"), "{name}");
        }
        scratch.owner("a/b/file", 1000, 1000);
        let users = Judge { root_uid: 0, user: Some((1000, 1000)) };
        assert_eq!(fresh(users, &path).as_deref(), Some("text"));
        scratch.owner("a", 1001, 1000);
        assert_eq!(fresh(users, &path), None);
    }

    #[test]
    fn symlinks_are_judged_component_by_component() {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new();
        scratch.file("roots/file", "text");
        scratch.file("users/file", "forged");
        scratch.owner("users", 1000, 1000);
        scratch.link(scratch.at("roots"), "absolute");
        scratch.link("roots", "relative");
        scratch.link("roots/../absolute/./file", "file");
        scratch.link("users", "foreign");
        scratch.link("loop", "loop");
        scratch.link("../roots", "users/back");
        for name in ["absolute/file", "relative/file", "file", "relative/../roots//file", "./file"]
        {
            assert_eq!(fresh(ROOTS, &scratch.path(name)).as_deref(), Some("text"), "{name}");
        }
        // However short the way back: a user can turn it elsewhere.
        for name in
            ["foreign/file", "users/back/file", "loop", "loop/file", "users/../file", "roots"]
        {
            assert_eq!(fresh(ROOTS, &scratch.path(name)), None, "{name}");
        }
        let host = quiet();
        let tree = Tree::new(&host, ROOTS);
        assert!(tree.is_directory(&scratch.path("absolute")));
        assert!(!tree.is_directory(&scratch.path("foreign")));
        assert!(!tree.is_directory(&scratch.path("file")));
        assert_eq!(tree.entries(&scratch.path("relative")), [b"file"]);
        assert!(tree.entries(&scratch.path("foreign")).is_empty());
        assert_eq!(host.unread(), None);
    }

    #[test]
    fn an_acl_lets_others_write() {
        if !is_root() {
            return;
        }
        // acl(5), linux/posix_acl_xattr.h: a version, then tag, permissions and id of each entry.
        let acl = |mask: u16| {
            let entry = |tag: u16, permissions: u16, id: u32| {
                [&tag.to_le_bytes()[..], &permissions.to_le_bytes(), &id.to_le_bytes()].concat()
            };
            let none = u32::MAX;
            let entries = [
                entry(0x01, 7, none),
                entry(0x02, 7, 1000),
                entry(0x04, 5, none),
                entry(0x10, mask, none),
                entry(0x20, 5, none),
            ];
            [&2_u32.to_le_bytes()[..], &entries.concat()].concat()
        };
        for name in ["a", "a/b", "a/b/file"] {
            let scratch = Scratch::new();
            scratch.file("a/b/file", "text");
            let path = scratch.path("a/b/file");
            let set = |mask| {
                let (file, acl) = (scratch.at(name), acl(mask));
                setxattr(file, c"system.posix_acl_access", &acl, XattrFlags::empty())
            };
            // Not on every file system.
            if set(5).is_err() {
                return;
            }
            assert_eq!(fresh(ROOTS, &path).as_deref(), Some("text"), "{name}");
            set(7).unwrap();
            assert_eq!(fresh(ROOTS, &path), None, "{name}");
            let host = quiet();
            let tree = Tree::new(&host, ROOTS);
            assert!(tree.is_directory(&scratch.path("")));
            assert_eq!(text(&tree, &path), None);
            assert!(host.unread().unwrap().contains("its ACL names"));
        }
    }

    #[test]
    fn in_a_sticky_directory_only_what_is_roots_alone_counts() {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new();
        scratch.directory("tmp");
        scratch.mode("tmp", 0o1777);
        for name in ["tmp/file", "tmp/two", "tmp/users", "tmp/dir/file", "tmp/udir/file"] {
            scratch.file(name, "text");
        }
        std::fs::hard_link(scratch.at("tmp/two"), scratch.at("tmp/three")).unwrap();
        scratch.owner("tmp/users", 1000, 1000);
        scratch.owner("tmp/udir", 1000, 1000);
        scratch.link("file", "tmp/link");
        scratch.link("dir", "tmp/ldir");
        mknodat(CWD, scratch.at("tmp/fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0)
            .unwrap();
        for name in ["tmp/file", "tmp/dir/file", "tmp/dir/../file"] {
            assert_eq!(fresh(ROOTS, &scratch.path(name)).as_deref(), Some("text"), "{name}");
        }
        let others = ["two", "three", "users", "udir/file", "link", "ldir/file", "fifo"];
        for name in others.map(|name| format!("tmp/{name}")) {
            assert_eq!(fresh(ROOTS, &scratch.path(&name)), None, "{name}");
        }
        // In a user's world only what is that user's or root's; where root cannot be told from
        // others, only the user's.
        let user = |uid| Judge { root_uid: 0, user: Some((uid, uid)) };
        assert_eq!(fresh(user(1000), &scratch.path("tmp/udir/file")).as_deref(), Some("text"));
        assert_eq!(fresh(user(1001), &scratch.path("tmp/udir/file")), None);
        scratch.owner("tmp/udir", OVERFLOW[0], OVERFLOW[0]);
        let inside = Judge { root_uid: OVERFLOW[0], user: Some((0, 0)) };
        assert_eq!(fresh(inside, &scratch.path("tmp/udir/file")), None);
    }

    #[test]
    fn what_was_judged_is_judged_for_files_beside_it_too() {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new();
        for id in ["one", "two", "three"] {
            scratch.file(&format!("containers/{id}/config"), id);
        }
        scratch.owner("containers/two", 1000, 1000);
        scratch.file("elsewhere/config", "four");
        scratch.link(scratch.at("elsewhere"), "containers/four");
        scratch.link("../three/config", "containers/one/link");
        let host = quiet();
        let tree = Tree::new(&host, ROOTS);
        assert_eq!(tree.entries(&scratch.path("containers")).len(), 4);
        let read = |name: &str| text(&tree, &scratch.path(&format!("containers/{name}")));
        for _ in 0..2 {
            assert_eq!(read("one/config").as_deref(), Some("one"));
            assert_eq!(read("one/link").as_deref(), Some("three"));
            assert_eq!(read("two/config"), None);
            assert_eq!(read("four/config").as_deref(), Some("four"));
            for name in
                ["five/config", "one/absent", "../containers/two/config", "one//..", "one/.."]
            {
                assert_eq!(read(name), None, "{name}");
            }
            assert_eq!(read("./one/config").as_deref(), Some("one"));
            assert_eq!(read("/one//config").as_deref(), Some("one"));
        }
        assert_eq!(host.unread(), None);
    }

    #[test]
    fn few_descriptors_are_held() {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new();
        let deep = (0..60).map(|depth| format!("d{depth}/")).collect::<String>();
        scratch.file(&format!("{deep}file"), "text");
        let host = quiet();
        let tree = Tree::new(&host, ROOTS);
        let open = || std::fs::read_dir("/proc/thread-self/fd").unwrap().count();
        let before = open();
        assert!(tree.file(&scratch.path(&format!("{deep}file"))).is_some());
        // Other tests open files meanwhile.
        assert!(open() < before + 30, "{before} {}", open());
    }

    #[test]
    fn what_is_no_plain_file_is_odd_and_told() {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new();
        mknodat(CWD, scratch.at("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        let null = rustix::fs::makedev(1, 3);
        let mode = Mode::from_raw_mode(0o600);
        mknodat(CWD, scratch.at("null"), FileType::CharacterDevice, mode, null).unwrap();
        scratch.file("large", "");
        std::fs::File::options()
            .write(true)
            .open(scratch.at("large"))
            .unwrap()
            .set_len(17 << 20)
            .unwrap();
        scratch.directory("dir");
        let faults =
            [("fifo", "FIFO"), ("null", "device"), ("large", "16 MiB"), ("dir", "directory")];
        for (name, fault) in faults {
            let host = quiet();
            let path = scratch.path(name);
            assert_eq!(text(&Tree::new(&host, ROOTS), &path), None);
            assert!(host.unread().unwrap().contains(fault), "{:?}", host.unread());
        }
        // Whatever that link reads like, it need not lead to our own root.
        let magic = format!("/proc/{}/root/etc/passwd", std::process::id());
        assert_eq!(fresh(ROOTS, magic.as_bytes()), None);
        assert!(fresh(ROOTS, b"/proc/version").is_some());
        for path in
            [&b"/dev/null"[..], b"/proc/self/fd/0", b"/proc/self/ns/net", b"/proc/self/mem/x"]
        {
            assert_eq!(fresh(ROOTS, path), None);
        }
        for path in [&b"/etc\0/passwd"[..], b"/etc/passwd\0", b"", b"/", b"/etc/passwd/x"] {
            let host = quiet();
            let tree = Tree::new(&host, ROOTS);
            assert_eq!(text(&tree, path), None);
            assert!(path == b"/" || path == b"" || tree.entries(path).is_empty());
        }
    }

    #[test]
    fn a_file_that_somebody_has_a_lease_on_is_not_waited_for() {
        // F_SETLEASE, F_WRLCK: linux/fcntl.h
        const LEASE: &str = "import fcntl, sys, time
f = open(sys.argv[1], 'r+')
fcntl.fcntl(f, 1024, 1)
print(1, flush=True)
time.sleep(9)";
        if !is_root() {
            return;
        }
        let scratch = Scratch::new();
        scratch.file("leased", "text");
        let path = scratch.path("leased");
        let file = create_at(CWD, &path, OFlags::WRONLY, Mode::empty()).unwrap();
        let holder = std::process::Command::new("python3")
            .args(["-c", LEASE])
            .arg(scratch.at("leased"))
            .stdout(std::process::Stdio::piped())
            .spawn();
        drop(file);
        let Ok(mut holder) = holder else { return };
        let mut line = String::new();
        let mut out = std::io::BufReader::new(holder.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut out, &mut line).unwrap();
        let (host, start) = (quiet(), Instant::now());
        assert_eq!(text(&Tree::new(&host, ROOTS), &path), None);
        assert!(start.elapsed().as_secs() < 5 && host.unread().is_some());
        holder.kill().unwrap();
        holder.wait().unwrap();
    }

    #[test]
    fn a_place_that_the_configuration_names_is_believed() {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new();
        scratch.file("disk/containers/one", "text");
        scratch.owner("disk", 1000, 1000);
        scratch.link("containers/one", "disk/link");
        scratch.file("disk2/one", "text");
        scratch.owner("disk2", 1000, 1000);
        let host = quiet();
        let tree = Tree::new(&host, ROOTS);
        let path = scratch.path("disk/containers/one");
        assert_eq!(text(&tree, &path), None);
        tree.believe(&scratch.path("disk"));
        tree.believe(&scratch.path("absent"));
        assert_eq!(text(&tree, &path).as_deref(), Some("text"));
        assert_eq!(text(&tree, &scratch.path("disk/link")).as_deref(), Some("text"));
        assert_eq!(tree.entries(&scratch.path("disk/containers")), [b"one"]);
        assert_eq!(text(&tree, &scratch.path("disk2/one")), None);
        // What it is a neighbour of is not.
        assert_eq!(text(&tree, &scratch.path("disk/../disk2/one")).as_deref(), Some("text"));
    }

    #[test]
    fn a_directory_of_roots_that_others_can_write_is_told() {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new();
        scratch.directory("open");
        scratch.mode("open", 0o777);
        scratch.directory("users");
        scratch.owner("users", 1000, 1000);
        let host = quiet();
        let tree = Tree::new(&host, ROOTS);
        assert!(tree.entries(&scratch.path("users")).is_empty());
        assert_eq!(host.unread(), None);
        assert!(tree.entries(&scratch.path("open")).is_empty());
        assert!(host.unread().unwrap().ends_with("everybody can write there"));
    }

    #[test]
    fn a_reader_looks_at_so_many_names() {
        if !is_root() {
            return;
        }
        let scratch = Scratch::new();
        for name in 0..20 {
            scratch.file(&format!("many/{name}"), "");
        }
        let host = quiet();
        let tree = Tree::new(&host, ROOTS);
        tree.become_readers(10);
        assert_eq!(tree.entries(&scratch.path("many")).len(), 10);
        assert!(host.unread().unwrap().contains("more than 10"));
        tree.become_readers(20);
        assert_eq!(tree.entries(&scratch.path("many")).len(), 20);
    }

    #[test]
    fn the_program_that_runs_is_at_its_path() {
        if !is_root() {
            return;
        }
        let host = quiet();
        let tree = Tree::new(&host, ROOTS);
        let shell = open_at(CWD, b"/bin/sh", OFlags::PATH).unwrap();
        assert!(tree.is_at_its_path(&shell));
        let scratch = Scratch::new();
        scratch.file("program", "");
        let program = open_at(CWD, &scratch.path("program"), OFlags::PATH).unwrap();
        assert!(tree.is_at_its_path(&program));
        scratch.owner("program", 1000, 0);
        assert!(!tree.is_at_its_path(&program));
        scratch.owner("program", 0, 0);
        std::fs::rename(scratch.at("program"), scratch.at("old")).unwrap();
        scratch.file("program", "");
        assert!(tree.is_at_its_path(&program));
        std::fs::remove_file(scratch.at("old")).unwrap();
        assert!(!tree.is_at_its_path(&program));
    }

    #[test]
    fn a_machine_at_a_directory() {
        let inner = "containers::world::tree::tests::in_a_mount_namespace::host_root";
        alone(inner, "");
    }

    #[test]
    fn mounts_that_do_not_answer_are_not_touched() {
        let inner = "containers::world::tree::tests::in_a_mount_namespace::dead_mounts";
        alone(inner, "");
    }

    mod in_a_mount_namespace {
        use super::*;

        #[test]
        #[ignore = "run by a_machine_at_a_directory"]
        fn host_root() {
            let scratch = Scratch::new();
            for name in ["etc/passwd", "run/x/file", "data/file", "more/file"] {
                scratch.file(name, "inside");
            }
            scratch.link("/etc/passwd", "absolute");
            scratch.link("../../../../../../../etc/passwd", "dots");
            scratch.link("/run/x", "etc/link");
            scratch.link("/data/../..//data", "run/up");
            scratch.mount_proc();
            scratch.mount("more", |path| {
                mount("tmpfs", path, "tmpfs", MountFlags::empty(), c"mode=755")
            });
            scratch.file("more/file", "mounted");
            scratch.directory("more/dir");
            let host = Host::mounted_at(&scratch.path(""), Console::default()).unwrap();
            let tree = Tree::new(&host, ROOTS);
            let paths =
                ["/etc/passwd", "/absolute", "/dots", "/etc/link/file", "/../../etc/passwd"];
            for path in paths.into_iter().chain(["/run/up/file", "/run/x/../../../data/file"]) {
                assert_eq!(text(&tree, path.as_bytes()).as_deref(), Some("inside"), "{path}");
            }
            for path in ["/more/file", "/more/dir/../file", "/etc/../more/./file"] {
                assert_eq!(text(&tree, path.as_bytes()).as_deref(), Some("mounted"), "{path}");
            }
            assert!(tree.is_directory(b"/more/dir/../.."));
            assert_eq!(tree.entries(b"/run/x/../.."), tree.entries(b"/"));
            // DIR itself is judged, too.
            scratch.owner("", 1000, 0);
            assert_eq!(text(&Tree::new(&host, ROOTS), b"/etc/passwd"), None);
        }

        /// Mounts a FUSE file system whose server, a user's, does not say a word.
        fn mount_mute(scratch: &Scratch, name: &str, uid: u32) -> std::fs::File {
            use std::os::fd::AsRawFd;
            let fuse = std::fs::File::options().read(true).write(true).open("/dev/fuse").unwrap();
            let fd = fuse.as_raw_fd();
            let data = format!("fd={fd},rootmode=40755,user_id={uid},group_id=0,allow_other\0");
            let data = std::ffi::CStr::from_bytes_with_nul(data.as_bytes()).unwrap();
            scratch.mount(name, |path| mount("mute", path, "fuse", MountFlags::empty(), data));
            fuse
        }

        #[test]
        #[ignore = "run by mounts_that_do_not_answer_are_not_touched"]
        fn dead_mounts() {
            if !std::fs::exists("/dev/fuse").unwrap() {
                return;
            }
            let scratch = Scratch::new();
            scratch.file("there/file", "text");
            scratch.directory("mute");
            scratch.directory("containers/mute");
            scratch.directory("users");
            scratch.file("containers/one/config", "text");
            scratch.file("single", "");
            scratch.link("mute/dir", "link");
            let _first = mount_mute(&scratch, "mute", 0);
            let _second = mount_mute(&scratch, "containers/mute", 0);
            let _third = mount_mute(&scratch, "users", 65533);
            let host = quiet();
            let tree = Tree::new(&host, ROOTS);
            // A user's program may say that all is root's.
            let start = Instant::now();
            assert!(!tree.is_directory(&scratch.path("users")));
            assert_eq!(text(&tree, &scratch.path("users/a")), None);
            assert!(start.elapsed().as_millis() < 1000 && host.unread().is_none());
            let start = Instant::now();
            assert!(!tree.is_directory(&scratch.path("mute")));
            assert!((1900..9000).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
            assert!(host.unread().unwrap().contains("does not answer"));
            let start = Instant::now();
            for name in ["mute/a", "mute/a/b", "link/c", "mute/../mute/d"] {
                assert_eq!(text(&tree, &scratch.path(name)), None);
                assert!(tree.entries(&scratch.path(name)).is_empty());
            }
            tree.believe(&scratch.path("mute"));
            assert_eq!(text(&tree, &scratch.path("there/file")).as_deref(), Some("text"));
            assert!(start.elapsed().as_millis() < 1000, "it is asked once: {:?}", start.elapsed());
            // The short way to a container's file does not ask it, either. The second one is not
            // waited for as long as the first.
            assert_eq!(tree.entries(&scratch.path("containers")).len(), 2);
            assert!(text(&tree, &scratch.path("containers/one/config")).is_some());
            let start = Instant::now();
            assert_eq!(text(&tree, &scratch.path("containers/mute/config")), None);
            assert_eq!(text(&tree, &scratch.path("containers/mute/config")), None);
            assert!((200..1900).contains(&start.elapsed().as_millis()), "{:?}", start.elapsed());
            assert!(text(&tree, &scratch.path("containers/one/config")).is_some());
            // Nobody is left of us.
            let children = std::fs::read_to_string("/proc/thread-self/children").unwrap();
            assert_eq!(children, "");
            assert!(scratch.path("").starts_with(std::env::temp_dir().as_os_str().as_bytes()));
        }
    }
}
