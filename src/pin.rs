//! Pins: names in /run/netns that keep a network namespace, as `ip netns` makes them.
//!
//! A pin is an empty file with the namespace bound onto it. What is created, bound and checked is held by descriptors; only the
//! directory entry itself is looked up by name. Others write to the directory without its lock (`ip netns` creates and binds
//! outside of it), so the lock orders our own runs, and what it cannot order is decided by what is found in the entry.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, below};
use crate::error::{Error, Result, is_denied};
use crate::host::Host;
use crate::mounts::{self, mount_id};
use crate::netns::{NetNs, id_at, id_of};
use crate::pinned;
use crate::root::{ITSELF, Links, c_string, create_at, fd_path, open_at, open_directory, type_name};
use crate::suggest::unknown;
use crate::text::{Part, text};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, FileType, FlockOperation, Mode, OFlags, Stat, fchmod, flock, fstat, mkdirat, unlinkat};
use rustix::io::{Errno, retry_on_intr};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::thread::{Timespec, nanosleep};
use std::cell::Cell;

/// How often to try to get the directory's lock, for 5 seconds in all. Any user can hold it for ever.
const ATTEMPTS: u32 = 250;
/// How long before the next attempt.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
/// How long `ip netns add` may take from creating a file to binding onto it.
const AT_WORK_SECONDS: u64 = 2;
/// The mode of our files, by which a dead run's are known; `ip netns` makes its own with 0.
const OURS: Mode = Mode::RUSR;
const LOCKED: &str = "is locked by another process";

/// What the kernel said.
type Called<T> = std::result::Result<T, Errno>;

/// Whether `name` can be that of a new pin.
///
/// # Errors
/// What is wrong with it.
pub fn valid_name(name: &[u8]) -> Result<()> {
    let fault = match name {
        [] => "is empty",
        b"." | b".." => "is a directory",
        [b'-', ..] => "begins with -",
        _ if name.contains(&b'/') => "has a /",
        _ if name.len() > 255 => "is longer than 255 bytes",
        _ if has_control(name) => "has a control character",
        _ => return Ok(()),
    };
    Err(Error::new(text!("pin name \"{}\" {}", name, fault)))
}

/// Whether a character of UTF-8 that is a control character is in `name`, whatever else is.
fn has_control(name: &[u8]) -> bool {
    // Those beyond ASCII are U+0080 to U+009F, and 0xc2 begins a character wherever it stands.
    name.iter().any(u8::is_ascii_control) || name.windows(2).any(|two| matches!(two, [0xc2, 0x80..=0x9f]))
}

/// Gives `netns` the name `name`; tells whether it did not have it yet.
///
/// # Errors
/// Where the name is another namespace's or another file's, or the kernel refuses. The directory's entries are as before then.
pub fn pin(host: &Host, netns: &NetNs, name: &[u8]) -> Result<bool> {
    Pins::open(host)?.add(netns, name)
}

/// Removes the pin `name`, all layers of it, or what the old recipe or a dead run left in its place.
///
/// # Errors
/// Where there is none, or something that may be somebody's.
pub fn unpin(host: &Host, name: &[u8]) -> Result<()> {
    let is_name = !(name.is_empty() || name.contains(&b'/') || matches!(name, b"." | b".."));
    if is_name
        && host.locate(pinned::directory(host), Links::Follow).err() != Some(Errno::NOENT)
        && Pins::locked(host, false)?.place(name).remove()?
    {
        return Ok(());
    }
    Err(unknown(host, "pin", name, &[], pinned::names(host)))
}

/// The directory of pins, locked if that was possible.
pub struct Pins<'a> {
    host: &'a Host,
    path: &'static [u8],
    /// Its topmost mount.
    fd: OwnedFd,
    /// Holds the lock, which is one of the inode, whichever mount it was opened in.
    lock: Option<OwnedFd>,
    /// Whether somebody was told that the host does not see them.
    is_told: Cell<bool>,
}

/// What stands under a name.
enum Entry {
    Absent,
    Symlink,
    Namespace(OwnedFd, NetNs),
    /// Empty and not mounted on.
    Empty(Age),
    Other(FileType),
}

/// Whose an empty file may be.
enum Age {
    /// Nobody's any more.
    Stray,
    /// Another program's, which may be about to bind onto it.
    Fresh,
}

impl<'a> Pins<'a> {
    /// Makes it, locks it and makes it a shared mount, as far as that is needed and possible.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn open(host: &'a Host) -> Result<Box<Pins<'a>>> {
        let mut pins = Pins::locked(host, true)?;
        pins.share()?;
        pins.is_told.set(in_hosts_mounts(host));
        Ok(pins)
    }

    /// As [`pin`].
    ///
    /// # Errors
    /// As [`pin`].
    pub fn add(&self, netns: &NetNs, name: &[u8]) -> Result<bool> {
        valid_name(name)?;
        let made = self.place(name).pin(netns)?;
        if made && !self.is_told.replace(true) {
            let text = "is seen only in this mount namespace, which is not the host's";
            self.host.console.note(text!("pin \"{}\" {}", name, text));
        }
        Ok(made)
    }

    fn locked(host: &'a Host, create: bool) -> Result<Box<Pins<'a>>> {
        let path = pinned::directory(host);
        let cannot_open = |e| refused(Error::cannot_at("open", path, e));
        let first = match open_path(host, path) {
            Err(Errno::NOENT) if create => make_directory(host, path).and_then(|()| open_path(host, path)),
            result => result,
        };
        let first = first.map_err(cannot_open)?;
        let lock = if lock(&first).map_err(|e| Error::cannot_at("lock", path, e))? {
            Some(first)
        } else {
            host.console.note_of(path, LOCKED);
            None
        };
        // While we waited, it may have become a mount.
        let fd = open_path(host, path).map_err(cannot_open)?;
        Ok(Box::new(Pins { host, path, fd, lock, is_told: Cell::new(true) }))
    }

    /// Makes it a shared mount in a peer group of its own, unless it is one or that would do harm.
    fn share(&mut self) -> Result<()> {
        let action = text!("make \"{}\" a shared mount", self.path);
        match self.try_share() {
            Ok(true) => Ok(()),
            Ok(false) => Err(self.no_lock(action)),
            Err(e) => Err(refused(Error::cannot(action, e))),
        }
    }

    /// As [`Pins::share`]; false where that is for who has the lock.
    ///
    /// In the group of /run every pin would be mounted twice. Over entries that others have mounted without a mount here, theirs
    /// could not be reached any more; out of the group of /run, hidden twins of theirs could not be unmounted any more.
    fn try_share(&mut self) -> Called<bool> {
        let mounts = mounts::all(self.host);
        let own = mount_id(self.fd.as_fd())?;
        let above = mount_id(open_at(self.fd.as_fd(), b"..", OFlags::PATH)?.as_fd())?;
        let is_mount = own != above;
        if !mounts::below(mounts, self.fd.as_fd())?.is_empty() {
            return Ok(true);
        }
        let group = |id| mounts.iter().find(|mount| mount.id == id).and_then(|mount| mount.group);
        // Also the state that a run leaves which is killed half-way, and iproute2 before 7.0.
        if is_mount && group(own).is_some() && group(own) != group(above) {
            return Ok(true);
        }
        if self.lock.is_none() {
            return Ok(is_mount);
        }
        let place = fd_path(&self.fd);
        if !is_mount {
            mount_bind(place, place)?;
            self.fd = open_path(self.host, self.path)?;
        }
        let place = fd_path(&self.fd);
        let changed = mount_change(place, MountPropagationFlags::PRIVATE)
            .and_then(|()| mount_change(place, MountPropagationFlags::SHARED));
        if changed.is_err() && !is_mount {
            let _ = detach(&self.fd);
        }
        changed.map(|()| true)
    }

    fn place(&self, name: &[u8]) -> Place<'_> {
        let path = below(self.path, name);
        Place { pins: self, path, name: &path[path.len() - name.len()..] }
    }

    fn no_lock(&self, action: Bytes) -> Error {
        Error::new(text!("cannot {}: \"{}\" {}", action, self.path, LOCKED))
            .remedy(text!("to see which: fuser -v {}", self.path))
    }
}

/// An entry of the directory, or room for one.
struct Place<'a> {
    pins: &'a Pins<'a>,
    name: Bytes,
    /// Of the directory and the name, for messages.
    path: Bytes,
}

impl Place<'_> {
    fn pin(&self, netns: &NetNs) -> Result<bool> {
        let file = match self.open(OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL) {
            Err(Errno::EXIST) => match self.adopt(netns)? {
                Some(file) => file,
                None => return Ok(false),
            },
            created => created.map_err(|e| self.cannot("create", e))?,
        };
        let bound =
            bind(netns, &file).map_err(|e| self.cannot("pin the namespace to", e)).and_then(|()| self.verify(netns));
        if bound.is_err() {
            self.undo(netns, &file);
        }
        bound.map(|()| true)
    }

    /// Takes what exists under the name: None where it is this namespace already, a dead run's file to bind onto otherwise.
    fn adopt(&self, netns: &NetNs) -> Result<Option<OwnedFd>> {
        match self.entry()? {
            Entry::Namespace(_, there) => self.is_same(&there, netns).map(|()| None),
            Entry::Symlink => Err(self.error("is a symbolic link, not a pin").remedy(self.replace())),
            Entry::Other(kind) => Err(self.no_pin(kind)),
            Entry::Absent => Err(self.error("vanished while it was looked at").remedy(b"try again")),
            Entry::Empty(age) => {
                self.is_stray(&age)?;
                self.open(OFlags::RDONLY | OFlags::NONBLOCK).map(Some).map_err(|e| self.cannot("open", e))
            }
        }
    }

    fn verify(&self, netns: &NetNs) -> Result<()> {
        match self.entry()? {
            Entry::Namespace(_, there) => self.is_same(&there, netns),
            _ => Err(self.error("was removed while it was made")),
        }
    }

    fn is_same(&self, there: &NetNs, netns: &NetNs) -> Result<()> {
        if there.id == netns.id {
            return Ok(());
        }
        let message = text!("pin \"{}\" holds another namespace ({})", self.name, there.id.ino);
        Err(Error::new(message).remedy(self.replace()))
    }

    /// Whether an empty file may be used or removed.
    fn is_stray(&self, age: &Age) -> Result<()> {
        if self.pins.lock.is_none() {
            return Err(self.pins.no_lock(text!("use the empty file \"{}\"", self.path)));
        }
        match age {
            Age::Stray => Ok(()),
            Age::Fresh => Err(self
                .error("is an empty file that another program may be about to make a pin")
                .remedy(text!("try again in {} seconds", AT_WORK_SECONDS + 1))),
        }
    }

    /// Takes back what a failed pin has done, and nothing that another did in its place meanwhile.
    fn undo(&self, netns: &NetNs, file: &OwnedFd) {
        if let Some(top) = self.locate_same(netns.as_fd()) {
            let _ = detach(&top);
        }
        if self.locate_same(file.as_fd()).is_some() {
            let _ = self.unlink();
        }
    }

    /// What stands under the name, if that is the file `fd`.
    fn locate_same(&self, fd: BorrowedFd<'_>) -> Option<OwnedFd> {
        let top = self.locate().ok()?;
        same_file(top.as_fd(), fd).then_some(top)
    }

    /// Removes the entry; false where there is none.
    fn remove(&self) -> Result<bool> {
        let mut was_pin = false;
        loop {
            match self.entry()? {
                Entry::Absent => return Ok(was_pin),
                // The descriptor says which mount, so nothing is followed and nothing else is hit.
                Entry::Namespace(top, _) => {
                    match detach(&top) {
                        // Not mounted any more, as somebody else was faster; or locked by the kernel, and still there.
                        Err(Errno::INVAL) if self.is_gone(&top) => {}
                        done => done.map_err(|e| self.cannot("unmount", e))?,
                    }
                    was_pin = true;
                    continue;
                }
                Entry::Empty(age) if !was_pin => self.is_stray(&age)?,
                Entry::Empty(_) | Entry::Symlink => {}
                Entry::Other(kind) => return Err(self.no_pin(kind)),
            }
            return match self.unlink() {
                Ok(()) | Err(Errno::NOENT) => Ok(true),
                Err(Errno::BUSY) => Err(self
                    .cannot("remove", Errno::BUSY)
                    .remedy(text!("it is mounted once more, hidden below the mount of {}", self.pins.path))),
                Err(e) => Err(self.cannot("remove", e)),
            };
        }
    }

    /// Whether the mount that `top` was opened in is no longer what stands under the name.
    fn is_gone(&self, top: &OwnedFd) -> bool {
        mount_id(top.as_fd()) != self.locate().and_then(|fd| mount_id(fd.as_fd()))
    }

    fn entry(&self) -> Result<Entry> {
        self.look().unwrap_or_else(|e| Err(self.cannot("open", e)))
    }

    fn look(&self) -> Called<Result<Entry>> {
        let located = match self.locate() {
            Err(Errno::NOENT) => return Ok(Ok(Entry::Absent)),
            located => located?,
        };
        let stat = fstat(&located)?;
        let is_mounted = mount_id(located.as_fd())? != mount_id(self.pins.fd.as_fd())?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => Ok(Entry::Symlink),
            FileType::RegularFile if is_mounted => {
                NetNs::of_file(&located, self.path).map(|netns| Entry::Namespace(located, netns))
            }
            FileType::RegularFile if stat.st_size == 0 => Ok(Entry::Empty(age_of(&stat)?)),
            kind => Ok(Entry::Other(kind)),
        })
    }

    fn locate(&self) -> Called<OwnedFd> {
        open_at(self.pins.fd.as_fd(), self.name, ITSELF)
    }

    fn open(&self, flags: OFlags) -> Called<OwnedFd> {
        create_at(self.pins.fd.as_fd(), self.name, flags | OFlags::NOFOLLOW, OURS)
    }

    fn unlink(&self) -> Called<()> {
        unlinkat(&self.pins.fd, c_string(&[self.name]), AtFlags::empty())
    }

    fn error(&self, fault: impl Part) -> Error {
        Error::of(self.path, fault)
    }

    fn no_pin(&self, kind: FileType) -> Error {
        self.error(text!("is not a pin but {}", type_name(kind)))
    }

    fn cannot(&self, verb: &str, errno: Errno) -> Error {
        refused(Error::cannot_at(verb, self.path, errno))
    }

    fn replace(&self) -> Bytes {
        text!("to replace it: netns-enter --unpin {}", self.name)
    }
}

fn open_path(host: &Host, path: &[u8]) -> Called<OwnedFd> {
    open_directory(&host.locate(path, Links::Follow)?)
}

fn make_directory(host: &Host, path: &[u8]) -> Called<()> {
    let parent = path.strip_suffix(b"/netns").unwrap_or(path);
    match mkdirat(host.locate(parent, Links::Follow)?, c"netns", Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        // Whatever the umask: users list the names, too.
        result => result.and_then(|()| fchmod(open_path(host, path)?, Mode::from_raw_mode(0o755))),
    }
}

/// Whether the lock came within so many [`ATTEMPTS`].
fn lock(directory: &OwnedFd) -> Called<bool> {
    for _ in 0..ATTEMPTS {
        match retry_on_intr(|| flock(directory, FlockOperation::NonBlockingLockExclusive)) {
            Err(Errno::WOULDBLOCK) => _ = nanosleep(&PAUSE),
            result => return result.map(|()| true),
        }
    }
    Ok(false)
}

/// Whose an empty file is, told by its mode, or else by how long ago it was made.
fn age_of(stat: &Stat) -> Called<Age> {
    let is_ours = Mode::from_raw_mode(stat.st_mode) == OURS;
    let is_old = now()?.abs_diff(stat.st_ctime as u64) > AT_WORK_SECONDS;
    Ok(if is_ours || is_old { Age::Stray } else { Age::Fresh })
}

/// The time by the clock that stamps files, as a pipe made now has it. libc's clocks would be a KiB of code for this one question.
fn now() -> Called<u64> {
    let (pipe, _) = pipe_with(PipeFlags::CLOEXEC)?;
    Ok(fstat(&pipe)?.st_ctime as u64)
}

/// Binds the namespace onto the file, and gives that the mode by which it is known for ours, of which the umask may have taken some.
fn bind(netns: &NetNs, file: &OwnedFd) -> Called<()> {
    retry_on_intr(|| fchmod(file, OURS))?;
    retry_on_intr(|| mount_bind(fd_path(netns), fd_path(file)))
}

/// Unmounts the mount that `top` was opened in.
fn detach(top: &OwnedFd) -> Called<()> {
    retry_on_intr(|| unmount(fd_path(top), UnmountFlags::DETACH))
}

fn same_file(a: BorrowedFd<'_>, b: BorrowedFd<'_>) -> bool {
    matches!((id_of(a), id_of(b)), (Ok(a), Ok(b)) if a == b)
}

/// Whether our mount namespace is the host's; true where that cannot be told.
fn in_hosts_mounts(host: &Host) -> bool {
    match (id_at(CWD, b"/proc/self/ns/mnt"), host.stat_proc("1/ns/mnt")) {
        (Ok(own), Ok(hosts)) => own.ino == hosts.ino,
        _ => true,
    }
}

fn refused(error: Error) -> Error {
    if error.errno.is_some_and(is_denied) { error.remedy(b"pins need root") } else { error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_could_not_use_are_refused() {
        for name in [&b"web"[..], b"k8s-shop_cart", b"a b", b".x", "é".as_bytes(), b"\xff", &[b'x'; 255]] {
            assert!(valid_name(name).is_ok(), "{name:?}");
        }
        for name in [&b""[..], b".", b"..", b"a/b", b"-x", b"a\nb", b"\x7f", "\u{9b}".as_bytes(), &[b'x'; 256]] {
            assert!(valid_name(name).is_err(), "{name:?}");
        }
    }
}
