//! Pins: names in /run/netns that keep a network namespace, as `ip netns` makes them.
//!
//! A pin is an empty file with the namespace bound onto it. What is created, bound and checked is held by descriptors; only the
//! directory entry itself is looked up by name. Others write to the directory without its lock (`ip netns` creates and binds
//! outside of it), so the lock orders our own runs, and what it cannot order is decided by what is found in the entry.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, join};
use crate::container::unknown_pin;
use crate::error::{Error, Result, is_denied};
use crate::host::Host;
use crate::mounts::{self, mount_id};
use crate::netns::NetNs;
use crate::pinned;
use crate::root::{Links, fd_path, type_name};
use crate::text::{quoted, shown};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{
    AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, fchmod, flock, fstat, mkdirat, openat, stat, unlinkat,
};
use rustix::io::{Errno, retry_on_intr};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_bind, mount_change, unmount};
use std::cell::Cell;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long to wait for the directory's lock. Any user can hold it for ever.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long before the next attempt.
const PAUSE: Duration = Duration::from_millis(20);
/// How long `ip netns add` may take from creating a file to binding onto it.
const AT_WORK_SECONDS: u64 = 2;
/// The mode of our files, by which a dead run's are known; `ip netns` makes its own with 0.
const OURS: Mode = Mode::RUSR;

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
        _ if String::from_utf8_lossy(name).contains(char::is_control) => "has a control character",
        _ => return Ok(()),
    };
    Err(Error::new(format!("pin name {} {fault}", quoted(name))))
}

/// Gives `netns` the name `name`; tells whether it did not have it yet.
///
/// # Errors
/// Where the name is another namespace's or another file's, or the kernel refuses. The directory's entries are as before then.
pub fn pin(host: &Host, netns: &NetNs, name: &[u8]) -> Result<bool> {
    valid_name(name)?;
    Pins::open(host)?.add(netns, name)
}

/// The directory of pins, ready for new ones.
pub struct Pins<'a> {
    directory: Directory<'a>,
    /// Whether somebody was told that the host does not see them.
    is_told: Cell<bool>,
}

impl<'a> Pins<'a> {
    /// Makes it, locks it and makes it a shared mount, as far as that is needed and possible.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn open(host: &'a Host) -> Result<Pins<'a>> {
        Ok(Pins { directory: Directory::open(host, true)?.shared()?, is_told: Cell::new(in_hosts_mounts(host)) })
    }

    /// As [`pin`].
    ///
    /// # Errors
    /// As [`pin`].
    pub fn add(&self, netns: &NetNs, name: &[u8]) -> Result<bool> {
        valid_name(name)?;
        let made = self.directory.pin(netns, name)?;
        if made && !self.is_told.replace(true) {
            let text = "is seen only in this mount namespace, which is not the host's";
            self.directory.host.console.note(format_args!("pin {} {text}", quoted(name)));
        }
        Ok(made)
    }
}

/// Removes the pin `name`, all layers of it, or what the old recipe or a dead run left in its place.
///
/// # Errors
/// Where there is none, or something that may be somebody's.
pub fn unpin(host: &Host, name: &[u8]) -> Result<()> {
    let unknown = || unknown_pin(host, name, &pinned::names(host));
    if name.is_empty() || name.contains(&b'/') || matches!(name, b"." | b"..") {
        return Err(unknown());
    }
    let directory = match host.locate(pinned::directory(host), Links::Follow) {
        Err(Errno::NOENT) => return Err(unknown()),
        _ => Directory::open(host, false)?,
    };
    if directory.remove(name)? { Ok(()) } else { Err(unknown()) }
}

/// The directory of pins, locked if that was possible.
struct Directory<'a> {
    host: &'a Host,
    path: &'static [u8],
    /// Its topmost mount.
    fd: OwnedFd,
    /// Holds the lock, which is one of the inode, whichever mount it was opened in.
    lock: Option<OwnedFd>,
}

/// What stands under a name.
enum Entry {
    Absent,
    Symlink,
    Namespace(OwnedFd, NetNs),
    /// Empty and not mounted on.
    Empty(Stat),
    Other(String),
}

impl<'a> Directory<'a> {
    fn open(host: &'a Host, create: bool) -> Result<Directory<'a>> {
        let path = pinned::directory(host);
        let first = match open_directory(host, path) {
            Err(Errno::NOENT) if create => make_directory(host, path).and_then(|()| open_directory(host, path)),
            result => result,
        };
        let first = first.map_err(|e| refused(format_args!("open {}", quoted(path)), e))?;
        let locked = lock(&first).map_err(|e| Error::cannot(format_args!("lock {}", quoted(path)), e))?;
        if !locked {
            host.console.note(format_args!("{} is locked by another process", quoted(path)));
        }
        // While we waited, it may have become a mount.
        let fd = open_directory(host, path).map_err(|e| refused(format_args!("open {}", quoted(path)), e))?;
        Ok(Directory { host, path, fd, lock: locked.then_some(first) })
    }

    /// Makes it a shared mount in a peer group of its own, unless it is one or that would do harm.
    ///
    /// In the group of /run every pin would be mounted twice. Over entries that others have mounted without a mount here, theirs
    /// could not be reached any more; out of the group of /run, hidden twins of theirs could not be unmounted any more.
    fn shared(mut self) -> Result<Directory<'a>> {
        let mounts = mounts::all(self.host);
        let action = format!("make {} a shared mount", quoted(self.path));
        let cannot = |e| refused(format_args!("{action}"), e);
        let own = mount_id(&self.fd).map_err(cannot)?;
        let above = openat(&self.fd, c"..", OFlags::PATH | OFlags::CLOEXEC, Mode::empty()).and_then(|fd| mount_id(&fd));
        let above = above.map_err(cannot)?;
        let is_mount = own != above;
        if !mounts::below(&mounts, &self.fd).map_err(cannot)?.is_empty() {
            return Ok(self);
        }
        let group = |id| mounts.iter().find(|mount| mount.id == id).and_then(|mount| mount.group);
        // Also the state that a run leaves which is killed half-way, and iproute2 before 7.0.
        if is_mount && group(own).is_some() && group(own) != group(above) {
            return Ok(self);
        }
        if self.lock.is_none() {
            return if is_mount { Ok(self) } else { Err(self.no_lock(&action)) };
        }
        let place = fd_path(&self.fd);
        if !is_mount {
            mount_bind(place, place).map_err(cannot)?;
            self.fd = open_directory(self.host, self.path).map_err(cannot)?;
        }
        let place = fd_path(&self.fd);
        let changed = [MountPropagationFlags::PRIVATE, MountPropagationFlags::SHARED]
            .into_iter()
            .try_for_each(|kind| mount_change(place, kind));
        if changed.is_err() && !is_mount {
            let _ = unmount(place, UnmountFlags::DETACH);
        }
        changed.map_err(cannot)?;
        Ok(self)
    }

    fn pin(&self, netns: &NetNs, name: &[u8]) -> Result<bool> {
        let file = match self.create(name) {
            Ok(file) => file,
            Err(Errno::EXIST) => match self.adopt(netns, name)? {
                Some(file) => file,
                None => return Ok(false),
            },
            Err(e) => return Err(refused(format_args!("create {}", self.quoted(name)), e)),
        };
        // The umask may have taken the mode by which the file is known for ours.
        let bound = retry_on_intr(|| fchmod(&file, OURS))
            .and_then(|()| retry_on_intr(|| mount_bind(fd_path(netns), fd_path(&file))))
            .map_err(|e| refused(format_args!("pin the namespace to {}", self.quoted(name)), e))
            .and_then(|()| self.verify(netns, name));
        if bound.is_err() {
            self.undo(netns, name, &file);
        }
        bound.map(|()| true)
    }

    fn create(&self, name: &[u8]) -> std::result::Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        retry_on_intr(|| openat(&self.fd, name, flags, OURS))
    }

    /// Takes what exists under the name: None where it is this namespace already, a dead run's file to bind onto otherwise.
    fn adopt(&self, netns: &NetNs, name: &[u8]) -> Result<Option<OwnedFd>> {
        let path = || self.quoted(name);
        match self.entry(name)? {
            Entry::Namespace(_, there) if there.id == netns.id => Ok(None),
            Entry::Namespace(_, there) => Err(holds_another(name, &there)),
            Entry::Symlink => {
                Err(Error::new(format!("{} is a symbolic link, not a pin", path())).remedy(replace(name)))
            }
            Entry::Other(what) => Err(Error::new(format!("{} is not a pin but {what}", path()))),
            Entry::Absent => Err(Error::new(format!("{} vanished while it was looked at", path())).remedy("try again")),
            Entry::Empty(stat) => {
                self.is_stray(name, &stat)?;
                let cannot = |e| refused(format_args!("open {}", path()), e);
                let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
                openat(&self.fd, name, flags, Mode::empty()).map(Some).map_err(cannot)
            }
        }
    }

    /// Whether an empty file is nobody's any more.
    fn is_stray(&self, name: &[u8], stat: &Stat) -> Result<()> {
        if self.lock.is_none() {
            return Err(self.no_lock(&format!("use the empty file {}", self.quoted(name))));
        }
        let is_ours = Mode::from_raw_mode(stat.st_mode) == OURS;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if is_ours || now.abs_diff(stat.st_ctime as u64) > AT_WORK_SECONDS {
            return Ok(());
        }
        let message = format!("{} is an empty file that another program may be about to make a pin", self.quoted(name));
        Err(Error::new(message).remedy(format!("try again in {} seconds", AT_WORK_SECONDS + 1)))
    }

    fn verify(&self, netns: &NetNs, name: &[u8]) -> Result<()> {
        match self.entry(name)? {
            Entry::Namespace(_, there) if there.id == netns.id => Ok(()),
            Entry::Namespace(_, there) => Err(holds_another(name, &there)),
            _ => Err(Error::new(format!("{} was removed while it was made", self.quoted(name)))),
        }
    }

    /// Takes back what a failed pin has done, and nothing that another did in its place meanwhile.
    fn undo(&self, netns: &NetNs, name: &[u8], file: &OwnedFd) {
        if let Ok(top) = self.locate(name)
            && same_file(&top, netns)
        {
            let _ = unmount(fd_path(&top), UnmountFlags::DETACH);
        }
        if self.locate(name).is_ok_and(|top| same_file(&top, file)) {
            let _ = unlinkat(&self.fd, name, AtFlags::empty());
        }
    }

    /// Removes an entry; false where there is none.
    fn remove(&self, name: &[u8]) -> Result<bool> {
        let cannot = |action: &str, e| refused(format_args!("{action} {}", self.quoted(name)), e);
        let unlink = || match unlinkat(&self.fd, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::BUSY) => Err(cannot("remove", Errno::BUSY)
                .remedy(format!("it is mounted once more, hidden below the mount of {}", shown(self.path)))),
            Err(e) => Err(cannot("remove", e)),
        };
        let mut was_pin = false;
        loop {
            match self.entry(name)? {
                Entry::Absent => return Ok(was_pin),
                Entry::Symlink => return unlink(),
                // The descriptor says which mount, so nothing is followed and nothing else is hit.
                Entry::Namespace(top, _) => {
                    let done = retry_on_intr(|| unmount(fd_path(&top), UnmountFlags::DETACH));
                    // EINVAL: not mounted any more, as somebody else was faster; or locked by the kernel, and still there.
                    let is_gone = || mount_id(&top) != self.locate(name).and_then(|fd| mount_id(&fd));
                    match done {
                        Err(Errno::INVAL) if is_gone() => {}
                        done => done.map_err(|e| cannot("unmount", e))?,
                    }
                    was_pin = true;
                }
                Entry::Empty(_) if was_pin => return unlink(),
                Entry::Empty(stat) => {
                    self.is_stray(name, &stat)?;
                    return unlink();
                }
                Entry::Other(what) => {
                    return Err(Error::new(format!("{} is not a pin but {what}", self.quoted(name))));
                }
            }
        }
    }

    fn entry(&self, name: &[u8]) -> Result<Entry> {
        let cannot = |e| refused(format_args!("open {}", self.quoted(name)), e);
        let located = match self.locate(name) {
            Err(Errno::NOENT) => return Ok(Entry::Absent),
            located => located.map_err(cannot)?,
        };
        let stat = fstat(&located).map_err(cannot)?;
        let kind = FileType::from_raw_mode(stat.st_mode);
        let is_mounted = mount_id(&located).map_err(cannot)? != mount_id(&self.fd).map_err(cannot)?;
        Ok(match kind {
            FileType::Symlink => Entry::Symlink,
            FileType::RegularFile if is_mounted => {
                let netns = NetNs::of_file(&located, self.path_of(name))?;
                Entry::Namespace(located, netns)
            }
            FileType::RegularFile if stat.st_size == 0 => Entry::Empty(stat),
            kind => Entry::Other(type_name(kind).into()),
        })
    }

    fn locate(&self, name: &[u8]) -> std::result::Result<OwnedFd, Errno> {
        retry_on_intr(|| openat(&self.fd, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()))
    }

    fn path_of(&self, name: &[u8]) -> Bytes {
        join(&[self.path, b"/", name])
    }

    fn quoted(&self, name: &[u8]) -> String {
        quoted(&self.path_of(name))
    }

    fn no_lock(&self, action: &str) -> Error {
        Error::new(format!("cannot {action}: {} is locked by another process", quoted(self.path)))
            .remedy(format!("to see which: fuser -v {}", shown(self.path)))
    }
}

fn open_directory(host: &Host, path: &[u8]) -> std::result::Result<OwnedFd, Errno> {
    let located = host.locate(path, Links::Follow)?;
    openat(&located, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

fn make_directory(host: &Host, path: &[u8]) -> std::result::Result<(), Errno> {
    let parent = path.strip_suffix(b"/netns").unwrap_or(path);
    match mkdirat(host.locate(parent, Links::Follow)?, c"netns", Mode::from_raw_mode(0o755)) {
        Err(Errno::EXIST) => Ok(()),
        // Whatever the umask: users list the names, too.
        result => result.and_then(|()| fchmod(open_directory(host, path)?, Mode::from_raw_mode(0o755))),
    }
}

/// Whether the lock came within [`PATIENCE`].
fn lock(directory: &OwnedFd) -> std::result::Result<bool, Errno> {
    let mut attempts = PATIENCE.as_millis() / PAUSE.as_millis();
    loop {
        match retry_on_intr(|| flock(directory, FlockOperation::NonBlockingLockExclusive)) {
            Err(Errno::WOULDBLOCK) if attempts > 0 => {
                attempts -= 1;
                sleep(PAUSE);
            }
            Err(Errno::WOULDBLOCK) => return Ok(false),
            result => return result.map(|()| true),
        }
    }
}

fn same_file(a: impl AsFd, b: impl AsFd) -> bool {
    matches!((fstat(a), fstat(b)), (Ok(a), Ok(b)) if (a.st_dev, a.st_ino) == (b.st_dev, b.st_ino))
}

/// Whether our mount namespace is the host's; true where that cannot be told.
fn in_hosts_mounts(host: &Host) -> bool {
    match (stat(c"/proc/self/ns/mnt"), host.stat_proc("1/ns/mnt")) {
        (Ok(own), Ok(hosts)) => own.st_ino == hosts.ino,
        _ => true,
    }
}

fn holds_another(name: &[u8], there: &NetNs) -> Error {
    Error::new(format!("pin {} holds another namespace ({})", quoted(name), there.id.ino)).remedy(replace(name))
}

fn replace(name: &[u8]) -> String {
    format!("to replace it: netns-enter --unpin {}", shown(name))
}

fn refused(action: std::fmt::Arguments<'_>, errno: Errno) -> Error {
    let error = Error::cannot(action, errno);
    if is_denied(errno) { error.remedy("pins need root") } else { error }
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
