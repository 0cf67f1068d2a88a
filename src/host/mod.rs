//! The machine that is looked at: its file tree, its processes, and what of both could not be read.
//!
//! Usually our own; with `--host-root` the one mounted at a directory. What is found here belongs
//! to other programs and sometimes to other people, so failures are told apart: what is absent is
//! absent, what is denied is remembered for a note, what is odd hides only itself. Any other
//! failure is kept, and nothing is found until [`Host::check`] has told that there was none:
//! without memory, for one, an ambiguous name could seem to be unique.

#![forbid(unsafe_code)]

pub(crate) mod cgroup;
mod deep;
mod files;
pub(crate) mod holders;
pub mod mountinfo;
pub(crate) mod mounts;
pub(crate) mod namespaces;
pub(crate) mod opener;
pub mod process;
pub(crate) mod procfs;
mod promptly;
pub(crate) mod root;
pub(crate) mod vrf;
pub(crate) mod watch;

pub(crate) use crate::sys::fd::visit_names;
pub(crate) use files::{File, MAX_FILE, Unreadable, names_in, read_held, read_resolved};

use crate::base::console::Console;
use crate::base::error::{Error, Result, describe, is_absent, is_denied};
use crate::base::escape::quoted;
use crate::base::read::Buffer;
use crate::base::text::{join, line_after, number};
use crate::kernel::netns::{NetNs, NsId, id_at, id_unasked, own_id};
use crate::sys::fd::{ITSELF, name_of, open_at, read_link};
use mountinfo::mount_id;
use mounts::{Kind, Mounts};
use process::parse_pid;
use procfs::ProcDir;
use root::{Root, Symlink};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, OFlags, PROC_SUPER_MAGIC, fstatfs};
use rustix::io::{self, Errno};
use std::cell::{Cell, RefCell};
use watch::Watch;

/// A machine.
pub(crate) struct Host {
    /// Where notes go.
    pub(crate) console: Console,
    /// Where files are read to, one after the other.
    pub(crate) buffer: Buffer,
    /// What it takes to wait, where somebody does.
    pub(crate) watch: Option<Watch>,
    /// Its mounts that may not answer.
    pub(crate) mounts: Mounts,
    root: Root,
    /// The machine's procfs, where that is not ours.
    proc: Option<ProcDir>,
    /// The paths that were denied, each with the reason.
    unread: RefCell<Vec<String>>,
    /// The first failure that could make a lookup wrong.
    fault: RefCell<Option<Error>>,
    /// How many processes and sockets were denied beside those remembered one by one.
    pub(crate) unread_processes: Cell<usize>,
}

impl Host {
    /// Returns this machine, as our own mount namespace shows it.
    pub(crate) fn own(console: Console) -> Host {
        Host::new(console, Root::Own, None)
    }

    fn new(console: Console, root: Root, proc: Option<ProcDir>) -> Host {
        Host {
            console,
            buffer: Buffer::default(),
            watch: None,
            mounts: Mounts::default(),
            root,
            proc,
            unread: RefCell::default(),
            fault: RefCell::default(),
            unread_processes: Cell::new(0),
        }
    }

    /// Opens the machine whose `/` is mounted at `dir`.
    ///
    /// # Errors
    /// Where `dir` is no directory or `dir/proc` no procfs.
    pub(crate) fn mounted_at(dir: &[u8], console: Console) -> Result<Host> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let root = open_at(CWD, dir, flags).map_err(|e| Error::cannot_at("open", dir, e))?;
        let no_proc = |cause: &str| {
            let fault = format!("is not a mounted procfs: {cause}");
            Error::of(&join(dir, b"proc"), fault)
                .with_remedy("mount the host's / recursively: its /proc is needed")
        };
        // A link would lead out of DIR, into our own /proc.
        let opened = open_at(&root, b"proc", flags | OFlags::NOFOLLOW)
            .and_then(|proc| Ok((fstatfs(&proc)?.f_type, ProcDir::others(proc)?)));
        let (kind, proc) = opened.map_err(|e| no_proc(&describe(e)))?;
        if kind as u64 != PROC_SUPER_MAGIC as u64 {
            return Err(no_proc("another file system"));
        }
        Ok(Host::new(console, Root::Directory(root), Some(proc)))
    }

    /// Tells whether paths mean what they mean to the caller.
    pub(crate) fn is_own(&self) -> bool {
        self.proc.is_none()
    }

    /// Returns its file tree.
    pub(crate) fn root(&self) -> &Root {
        &self.root
    }

    /// Returns the directory at which `/` of this machine is, where that is not ours.
    pub(crate) fn directory(&self) -> Option<&OwnedFd> {
        match &self.root {
            Root::Own => None,
            Root::Directory(root) => Some(root),
        }
    }

    /// Returns what this machine calls a path of [`mountinfo`]; None where it lies outside.
    ///
    /// # Errors
    /// The errno of readlink(2).
    pub(crate) fn path_inside<'p>(&self, path: &'p [u8]) -> io::Result<Option<&'p [u8]>> {
        let Some(root) = self.directory() else { return Ok(Some(path)) };
        let top = name_of(root)?;
        let top = top.strip_suffix(b"/").unwrap_or(&top);
        Ok(path.strip_prefix(top).filter(|rest| rest.starts_with(b"/")))
    }

    /// Resolves an absolute path on this machine to an O_PATH descriptor.
    ///
    /// # Errors
    /// As [`Root::resolve`]; ENOENT for a path that no file can have, ENOTCONN where a mount of
    /// another machine may not answer.
    pub(crate) fn resolve(&self, path: &[u8], symlink: Symlink) -> io::Result<OwnedFd> {
        // Paths may come out of a user's JSON, and EINVAL would end root's lookups.
        if path.contains(&0) {
            return Err(Errno::NOENT);
        }
        match &self.root {
            Root::Own => self.root.resolve(path, symlink),
            Root::Directory(root) => self.resolve_promptly(root, path, symlink),
        }
    }

    /// Opens `path` below this machine's /proc.
    ///
    /// # Errors
    /// The errno of openat(2); EXDEV where another machine's root has mounted over it.
    pub(crate) fn open_proc(&self, path: &[u8], flags: OFlags) -> io::Result<OwnedFd> {
        match &self.proc {
            Some(proc) => proc.open(path, flags),
            None => open_at(CWD, &join(b"/proc", path), flags),
        }
    }

    /// Opens a directory below this machine's /proc, or that itself.
    ///
    /// # Errors
    /// Those of [`Host::open_proc`].
    pub(crate) fn proc_dir(&self, path: &[u8], flags: OFlags) -> io::Result<ProcDir> {
        match &self.proc {
            Some(proc) => proc.directory(path, flags),
            None => self.open_proc(path, flags | OFlags::DIRECTORY).map(ProcDir::own),
        }
    }

    /// Opens a file of /proc that says the same in all of a kernel's. LXCFS mounts its own over
    /// these, where ours is as good.
    ///
    /// # Errors
    /// The errno of openat(2).
    pub(crate) fn open_clock(&self, name: &str) -> io::Result<OwnedFd> {
        match self.open_proc(name.as_bytes(), OFlags::RDONLY) {
            Err(Errno::XDEV) => open_at(CWD, &join(b"/proc", name.as_bytes()), OFlags::RDONLY),
            opened => opened,
        }
    }

    /// Returns the identity of what `path` below this machine's /proc leads to.
    ///
    /// # Errors
    /// The errno of stat(2); as [`Host::open_proc`].
    pub(crate) fn stat_proc(&self, path: &str) -> io::Result<NsId> {
        match &self.proc {
            Some(proc) => proc.stat(path.as_bytes()).map(|stat| NsId::new(&stat)),
            None => id_at(CWD, &join(b"/proc", path.as_bytes())),
        }
    }

    /// Returns the network namespace of the machine's pid 1. Where that may not be read, it is that
    /// of kthreadd, which never leaves it; in a pid namespace that has no kthreadd, our own.
    pub(crate) fn netns_id(&self) -> Option<NsId> {
        if let Ok(first) = self.stat_proc("1/ns/net") {
            return Some(first);
        }
        self.kthreadds_netns().or_else(|| own_id().ok())
    }

    /// As [`Host::netns_id`], in two system calls, for a note: our own where pid 1 may not be read.
    pub(crate) fn likely_netns_id(&self) -> Option<NsId> {
        self.stat_proc("1/ns/net").or_else(|_| own_id()).ok()
    }

    fn kthreadds_netns(&self) -> Option<NsId> {
        // A thread of the kernel's runs no file; a process that has ended, too, but it has no
        // namespace either.
        let program = self.open_proc(b"2/exe", OFlags::PATH);
        let runs_nothing = program.err() == Some(Errno::NOENT);
        runs_nothing.then(|| self.stat_proc("2/ns/net").ok()).flatten()
    }

    /// Tells whether a namespace is that of [`Host::netns_id`].
    pub(crate) fn is_hosts(&self, netns: &NetNs) -> bool {
        self.netns_id() == Some(netns.id)
    }

    /// Tells whether /proc numbers processes as the kernel does elsewhere for us: it may be of
    /// another pid namespace.
    pub(crate) fn has_our_pids(&self) -> bool {
        let own = self.open_proc(b"self", ITSELF).and_then(|own| read_link(own, b""));
        own.is_ok_and(|own| parse_pid(&own) == Some(std::process::id()))
    }

    /// Returns when the machine was started, in seconds since 1970: btime of proc_stat(5).
    ///
    /// # Errors
    /// Where /proc/stat cannot be read or does not tell.
    pub(crate) fn boot_time(&self) -> Result<u64> {
        let file = self.open_clock("stat");
        let text = file.and_then(|file| self.buffer.read_all(file, 4095, 1 << 24));
        let text = text.map_err(|e| Error::cannot("read /proc/stat", e))?;
        let boot = line_after(&text, b"btime ").and_then(number);
        boot.ok_or_else(|| Error::new("/proc/stat has no btime"))
    }

    /// Tells whether our clocks, and so the start times we read, are shifted: time_namespaces(7).
    pub(crate) fn in_time_namespace(&self) -> bool {
        // PROC_TIME_INIT_INO, linux/proc_ns.h
        const INITIAL: u64 = 0xefff_fffa;
        id_at(CWD, b"/proc/self/ns/time").is_ok_and(|time| time.ino != INITIAL)
    }

    /// Returns when a process of this start time, in clock ticks, began, in seconds since 1970.
    ///
    /// # Errors
    /// Those of [`Host::boot_time`].
    pub(crate) fn began(&self, ticks: u64) -> Result<i64> {
        // USER_HZ, which is 100 wherever Linux containers run.
        const TICKS_PER_SECOND: u64 = 100;
        Ok((self.boot_time()? + ticks / TICKS_PER_SECOND) as i64)
    }

    /// Refuses a file on a mount that need not answer: who asks it anything may wait for ever. What
    /// is a namespace is told by its device, and its mount not looked at.
    ///
    /// # Errors
    /// Where it is such a file; the errno of statx(2) or of reading /proc/self.
    pub(crate) fn check_answers(&self, file: &OwnedFd, path: &[u8]) -> Result<()> {
        let look = || {
            if id_unasked(file)?.dev == own_id()?.dev {
                return Ok(true);
            }
            match mount_id(file) {
                // A user's process may not read what would tell.
                Err(e) if is_denied(e) => Ok(true),
                _ => Ok(matches!(self.mounts.of(self, file, false)?, (_, Kind::Prompt))),
            }
        };
        match look().map_err(|e| Error::cannot_at("open", path, e))? {
            true => Ok(()),
            false => Err(Error::of(path, "is on a file system that may not answer")),
        }
    }

    /// Returns what was asked of `path`; None where that failed: an absence is passed over, a
    /// denial remembered, anything else kept for [`Host::check`].
    pub(crate) fn readable<T>(&self, path: &[u8], result: io::Result<T>) -> Option<T> {
        result.map_err(|e| self.remember_unread(path, e)).ok()
    }

    /// Remembers a failure that makes a lookup incomplete: a denial. An absence is none, and any
    /// other failure could make a lookup wrong: [`Host::check`] tells it.
    pub(crate) fn remember_unread(&self, path: &[u8], errno: Errno) {
        if is_denied(errno) {
            self.remember(path, &describe(errno));
        } else if !is_absent(errno) {
            self.fail(Error::cannot_at("read", path, errno));
        }
    }

    /// Keeps a failure that could make a lookup wrong, so that none comes to its end.
    pub(crate) fn fail(&self, error: Error) {
        self.fault.borrow_mut().get_or_insert(error);
    }

    /// Ends a lookup: what was found counts only if nothing failed meanwhile. The next check knows
    /// nothing of it.
    ///
    /// # Errors
    /// The first failure that could have made it wrong.
    pub(crate) fn check(&self) -> Result<()> {
        self.fault.take().map_or(Ok(()), Err)
    }

    /// Remembers why `path` was not read, for a note and for what is not found.
    pub(crate) fn remember(&self, path: &[u8], reason: &str) {
        let known = format!("{}: ", quoted(path));
        // The first reason is the one.
        if !self.unread.borrow().iter().any(|unread| unread.starts_with(&known)) {
            self.add_unread(format!("{known}{reason}"));
        }
    }

    /// Takes out what was remembered, for a process that reports to another.
    pub(crate) fn take_unread(&self) -> Vec<String> {
        self.unread_processes.set(0);
        self.unread.take()
    }

    /// Remembers what another process did.
    pub(crate) fn add_unread(&self, unread: String) {
        // Of thousands no more are compared: their number is all that is ever told.
        const COMPARED: usize = 256;
        let mut all = self.unread.borrow_mut();
        if all.iter().take(COMPARED).all(|known| *known != unread) {
            all.push(unread);
        }
    }

    /// Returns the descriptors without which a child of ours cannot look at the machine.
    pub(crate) fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let proc = self.proc.as_ref().map(AsFd::as_fd);
        let events = self.watch.as_ref().and_then(Watch::events);
        self.root.directory().into_iter().chain(proc).chain(events).collect()
    }

    /// Returns what a message that something was not found ends with: nothing, or what was denied.
    pub(crate) fn but_unread(&self) -> String {
        match self.unread() {
            Some(unread) => format!("; not all of the host could be read: {unread}"),
            None => String::new(),
        }
    }

    /// Notes what was denied so far, where anything was, once.
    pub(crate) fn note_unread(&self) {
        if let Some(unread) = self.unread() {
            self.console.note(format_args!("not all of the host could be read: {unread}"));
            self.take_unread();
        }
    }

    /// Returns what was denied so far, the first with its reason; None where nothing was.
    pub(crate) fn unread(&self) -> Option<String> {
        let unread = self.unread.borrow();
        let first = unread.first()?;
        Some(match unread.len() - 1 + self.unread_processes.get() {
            0 => first.clone(),
            more => format!("{first} (and {more} more)"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_denied_is_remembered() {
        let host = Host::own(Console::default());
        host.remember_unread(b"/a", Errno::NOENT);
        assert_eq!((host.unread(), host.but_unread()), (None, String::new()));
        for path in [&b"/b\x1b"[..], b"/b\x1b", b"/c"] {
            host.remember_unread(path, Errno::ACCESS);
        }
        let denied = describe(Errno::ACCESS);
        assert_eq!(host.unread(), Some(format!("\"/b\\x1b\": {denied} (and 1 more)")));
        assert!(host.check().is_ok());
        host.remember_unread(b"/d", Errno::MFILE);
        host.remember_unread(b"/e", Errno::IO);
        let failure = host.check().unwrap_err();
        assert_eq!(failure.errno(), Some(Errno::MFILE));
    }

    #[test]
    fn a_path_that_no_file_can_have_is_absent() {
        let host = Host::own(Console::default());
        assert_eq!(host.resolve(b"/etc\0", Symlink::Follow).unwrap_err(), Errno::NOENT);
        assert!(host.entries(b"/etc\0").is_empty());
    }
}
