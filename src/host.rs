//! The machine that is looked at: its file tree, its /proc, and what of both could not be read.
//!
//! Usually our own; with `--host-root` the one mounted at a directory. Files found here are other programs' and sometimes other
//! people's, so they are located before they are opened, must be regular and small, and failures are told apart: what is absent is
//! absent, what is denied becomes a note, what is odd hides only itself, and anything else ends the program there and then, because a
//! lookup that ran out of memory could take an ambiguous name for a unique one.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, Names, below, both, keep};
use crate::console::{Console, give_up};
use crate::content::{Content, read_file};
use crate::error::{Error, Result, describe, is_absent, is_denied};
use crate::netns::{NsId, id_at};
use crate::root::{Links, Root, file_type, name_of, open_at, open_directory, read_link, reopen, type_name};
use crate::text::{number, quoted, text};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, FileType, OFlags, PROC_SUPER_MAGIC, RawDir, fstat, fstatfs};
use rustix::io::Errno;
use std::cell::{Cell, RefCell};
use std::mem::MaybeUninit;

/// No engine's state comes near this; it bounds what a hostile file can cost.
const MAX_FILE: usize = 16 << 20;

/// A machine.
pub struct Host {
    /// Where notes go.
    pub console: Console,
    root: Root,
    /// A procfs that is not ours.
    proc: Option<OwnedFd>,
    unread: RefCell<Vec<Bytes>>,
    /// How many processes were denied beside those remembered one by one.
    pub unread_processes: Cell<usize>,
}

/// A file's content and who could have written it.
pub struct File {
    /// All of it.
    pub bytes: Content,
    /// The owner's uid.
    pub owner: u32,
}

impl Host {
    /// This machine, as our own mount namespace shows it.
    pub fn own(console: Console) -> Host {
        Host { console, root: Root::Own, proc: None, unread: RefCell::default(), unread_processes: Cell::new(0) }
    }

    /// The machine whose `/` is mounted at `dir`.
    ///
    /// # Errors
    /// Where `dir` is no directory or `dir/proc` no procfs.
    pub fn mounted_at(dir: &[u8], console: Console) -> Result<Host> {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        let root = open_at(CWD, dir, flags).map_err(|e| Error::cannot(text!("open \"{}\"", dir), e))?;
        let no_proc = |cause: &[u8]| {
            let proc = both(dir, b"/proc");
            Error::new(text!("\"{}\" is not a mounted procfs: {}", proc, cause))
                .remedy(b"mount the host's / recursively: its /proc is needed")
        };
        let proc = open_at(root.as_fd(), b"proc", flags).map_err(|e| no_proc(describe(e)))?;
        if fstatfs(&proc).map_err(|e| no_proc(describe(e)))?.f_type as u64 != PROC_SUPER_MAGIC as u64 {
            return Err(no_proc(b"another file system"));
        }
        Ok(Host { root: Root::Directory(root), proc: Some(proc), ..Host::own(console) })
    }

    /// Whether paths mean what they mean to the caller.
    pub fn is_own(&self) -> bool {
        self.proc.is_none()
    }

    /// Its file tree.
    pub fn root(&self) -> &Root {
        &self.root
    }

    /// What a path of our mount namespace is called on this machine; None where it lies outside.
    ///
    /// # Errors
    /// The errno of readlink(2).
    pub fn called<'a>(&self, path: &'a [u8]) -> std::result::Result<Option<&'a [u8]>, Errno> {
        let Root::Directory(root) = &self.root else { return Ok(Some(path)) };
        let top = name_of(root)?;
        let top = top.strip_suffix(b"/").unwrap_or(top);
        Ok(path.strip_prefix(top).filter(|rest| rest.starts_with(b"/")))
    }

    /// An O_PATH descriptor of an absolute path on this machine.
    ///
    /// # Errors
    /// The errno, as [`Root::locate`].
    pub fn locate(&self, path: &[u8], links: Links) -> std::result::Result<OwnedFd, Errno> {
        // Paths may come out of a user's JSON, and EINVAL would end root's lookups: no file has such a name.
        if path.contains(&0) {
            return Err(Errno::NOENT);
        }
        self.root.locate(path, links)
    }

    /// Opens `path` below this machine's /proc.
    ///
    /// # Errors
    /// The errno of openat(2).
    pub fn open_proc(&self, path: &[u8], flags: OFlags) -> std::result::Result<OwnedFd, Errno> {
        match &self.proc {
            Some(proc) => open_at(proc.as_fd(), path, flags),
            None => open_at(CWD, both(b"/proc/", path), flags),
        }
    }

    /// The identity of what `path` below this machine's /proc leads to.
    ///
    /// # Errors
    /// The errno of stat(2).
    pub fn stat_proc(&self, path: &str) -> std::result::Result<NsId, Errno> {
        match &self.proc {
            Some(proc) => id_at(proc.as_fd(), path.as_bytes()),
            None => id_at(CWD, both(b"/proc/", path.as_bytes())),
        }
    }

    /// Whether /proc numbers processes as the kernel does elsewhere for us: it may be of another pid namespace.
    pub fn has_our_pids(&self) -> bool {
        let own = match &self.proc {
            Some(proc) => read_link(proc.as_fd(), c"self"),
            None => read_link(CWD, c"/proc/self"),
        };
        own.is_ok_and(|own| own == number(std::process::id().into()))
    }

    /// Whether our clocks, and so the start times we read, are shifted: time_namespaces(7).
    pub fn in_time_namespace(&self) -> bool {
        const INITIAL: u64 = 0xefff_fffa; // PROC_TIME_INIT_INO, linux/proc_ns.h
        id_at(CWD, b"/proc/self/ns/time").is_ok_and(|time| time.ino != INITIAL)
    }

    /// A file that may be there: None where it is absent, may not be read (remembered) or is no file of an engine's (a note).
    pub fn file(&self, path: &[u8]) -> Option<Box<File>> {
        self.unless_odd(path, self.read_regular(path))
    }

    /// As [`Host::file`], opened without being located first, which is a third less work where there are thousands. Not for a file that
    /// another than root may have put there: to open a device has effects.
    pub fn file_of_roots(&self, path: &[u8]) -> Option<Box<File>> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::NOCTTY;
        match self.root.open(path, flags) {
            Ok(file) => self.unless_odd(path, read_if_regular(file, MAX_FILE, false)),
            Err(Errno::NOENT) => None,
            Err(_) => self.file(path),
        }
    }

    fn unless_odd(&self, path: &[u8], read: std::result::Result<Box<File>, Unreadable>) -> Option<Box<File>> {
        match read {
            Ok(file) => return Some(file),
            Err(Unreadable::Errno(e)) => self.excuse(path, e),
            Err(Unreadable::Odd(reason)) => self.console.note_of(path, reason),
        }
        None
    }

    /// A file that the user named.
    ///
    /// # Errors
    /// For whatever reason it cannot be read.
    pub fn named_file(&self, path: &[u8]) -> Result<Box<File>> {
        self.read_regular(path).map_err(|unreadable| unreadable.of(quoted(path)))
    }

    fn read_regular(&self, path: &[u8]) -> std::result::Result<Box<File>, Unreadable> {
        let located = self.locate(path, Links::Keep)?;
        read_located(located, MAX_FILE)
    }

    /// The paths of what is in a directory, sorted, without names that begin with a dot, as no container's does; none where it is absent
    /// or may not be read (remembered).
    pub fn entries(&self, path: &[u8]) -> Names {
        let mut names = Vec::new();
        let mut add = |name: &[u8], _| {
            if !name.starts_with(b".") {
                names.push(keep(name));
            }
            true
        };
        let read = self.locate(path, Links::Follow);
        let read = read.and_then(|located| each_name(open_directory(&located)?.as_fd(), &mut add));
        self.unless(path, read);
        names.sort_unstable();
        // Sorted first: paths take longer to compare.
        for name in &mut names {
            *name = below(path, name);
        }
        names.leak()
    }

    /// The owner's uid of a directory; None where there is none or it may not be looked at (remembered).
    pub fn owner_of(&self, directory: &[u8], links: Links) -> Option<u32> {
        let stat = self.unless(directory, self.locate(directory, links).and_then(fstat))?;
        (FileType::from_raw_mode(stat.st_mode) == FileType::Directory).then_some(stat.st_uid)
    }

    /// What was asked of `path`, unless that met a failure that can be excused.
    pub fn unless<T>(&self, path: &[u8], result: std::result::Result<T, Errno>) -> Option<T> {
        result.map_err(|e| self.excuse(path, e)).ok()
    }

    /// Accepts a failure that does not make a lookup wrong, and remembers it where it makes the lookup incomplete. Any other one ends
    /// the program.
    pub fn excuse(&self, path: &[u8], errno: Errno) {
        if is_absent(errno) {
            return;
        }
        if !is_denied(errno) {
            give_up(&Error::cannot_at("read", path, errno));
        }
        let denied = text!("\"{}\": {}", path, describe(errno));
        let mut unread = self.unread.borrow_mut();
        if !unread.contains(&denied) {
            unread.push(denied);
        }
    }

    /// What a message that something was not found ends with.
    pub fn but_unread(&self) -> Bytes {
        self.unread().map_or(b"", |unread| text!("; not all of the host could be read: {}", unread))
    }

    /// A note of what was denied so far, where anything was.
    pub fn note_unread(&self) {
        if let Some(unread) = self.unread() {
            self.console.note(text!("not all of the host could be read: {}", unread));
        }
    }

    /// What was denied so far, the first with its reason, for "not all of the host could be read".
    pub fn unread(&self) -> Option<Bytes> {
        let unread = self.unread.borrow();
        let first = unread.first()?;
        Some(match unread.len() - 1 + self.unread_processes.get() {
            0 => first,
            more => text!("{} (and {} more)", first, more),
        })
    }
}

/// Why a file is not read.
pub enum Unreadable {
    /// The kernel's reason.
    Errno(Errno),
    /// Not the kind of file that an engine writes.
    Odd(Bytes),
}

impl Unreadable {
    /// The failure to read `what`, as a message calls it.
    pub fn of(self, what: &[u8]) -> Error {
        match self {
            Unreadable::Errno(e) => Error::cannot(text!("read {}", what), e),
            Unreadable::Odd(reason) => Error::new(text!("{} {}", what, reason)),
        }
    }
}

impl From<Errno> for Unreadable {
    fn from(errno: Errno) -> Unreadable {
        Unreadable::Errno(errno)
    }
}

/// Reads a located (O_PATH) file if it is regular and has at most `most` bytes, whole MiB.
///
/// # Errors
/// What it is instead, or the errno of open(2) and read(2).
pub fn read_located(located: OwnedFd, most: usize) -> std::result::Result<Box<File>, Unreadable> {
    read_if_regular(located, most, true)
}

/// As [`read_located`], of a file that may be open already.
fn read_if_regular(file: OwnedFd, most: usize, reopened: bool) -> std::result::Result<Box<File>, Unreadable> {
    let stat = fstat(&file)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => {}
        kind => return Err(Unreadable::Odd(text!("is {}, not a regular file", type_name(kind)))),
    }
    let read = if stat.st_size > most as i64 {
        Err(Errno::FBIG)
    } else {
        // Somebody's lease on the file would delay an open that may wait.
        let file = if reopened { reopen(&file, OFlags::RDONLY | OFlags::NONBLOCK)? } else { file };
        read_file(file, stat.st_size as usize, most)
    };
    match read {
        Err(Errno::FBIG) => Err(Unreadable::Odd(text!("is larger than {} MiB", most >> 20))),
        read => Ok(Box::new(File { bytes: read?, owner: stat.st_uid })),
    }
}

/// The names in an open directory, of one type or all, without `.` and `..`.
///
/// # Errors
/// The errno of getdents64(2).
pub fn names_in(dir: &OwnedFd, only: Option<FileType>) -> std::result::Result<Names, Errno> {
    let mut names = Vec::new();
    each_name(dir.as_fd(), &mut |name, kind| {
        if only.is_none_or(|only| kind == only) {
            names.push(keep(name));
        }
        true
    })?;
    Ok(names.leak())
}

/// Shows the names in an open directory, without `.` and `..`, while `show` is true.
///
/// # Errors
/// The errno of getdents64(2).
pub fn each_name(dir: BorrowedFd<'_>, show: &mut dyn FnMut(&[u8], FileType) -> bool) -> std::result::Result<(), Errno> {
    let mut buffer = [const { MaybeUninit::uninit() }; 8 * 1024];
    let mut entries = RawDir::new(dir, &mut buffer);
    while let Some(entry) = entries.next() {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." && !show(name, entry.file_type()) {
            break;
        }
    }
    Ok(())
}

/// Whether `path` on `host` is a directory.
pub fn is_directory(host: &Host, path: &[u8]) -> bool {
    host.locate(path, Links::Follow).is_ok_and(|fd| file_type(&fd) == Ok(FileType::Directory))
}
