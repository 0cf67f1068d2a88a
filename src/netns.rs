//! A network namespace, held open: recognised by its inode and entered with setns(2).
//!
//! The descriptor that was verified is the one that is entered, pinned and looked at; nothing is looked up twice.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, contains};
use crate::console::give_up;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::root::{c_string, file_type, name_of, open_at, reopen, type_name};
use crate::sys;
use crate::text::text;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{AtFlags, CWD, OFlags, PROC_SUPER_MAGIC, Stat, fstat, fstatfs, statat};
use rustix::io::Errno;
use rustix::process::geteuid;
use rustix::thread::{
    CapabilitySet, LinkNameSpaceType, capabilities, configure_capability_in_ambient_set, move_into_link_name_space,
    set_capabilities,
};
use std::num::NonZeroU64;

/// NSFS_MAGIC, linux/magic.h: what holds namespaces since Linux 3.19. Before, procfs did.
const NSFS_MAGIC: u64 = 0x6e73_6673;
/// The CLONE_NEW* flags of linux/sched.h, by which NS_GET_NSTYPE answers, as the links in /proc/PID/ns are called.
const KINDS: [(u32, &str); 8] = [
    (0x80, "time"),
    (0x2_0000, "mnt"),
    (0x200_0000, "cgroup"),
    (0x400_0000, "uts"),
    (0x800_0000, "ipc"),
    (0x1000_0000, "user"),
    (0x2000_0000, "pid"),
    (0x4000_0000, "net"),
];

/// What tells one namespace from another while either is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NsId {
    /// The number in `net:[4026532253]`.
    pub ino: u64,
    /// The device of nsfs. No device is 0, so that an identity or the lack of one is two words.
    dev: NonZeroU64,
}

impl NsId {
    /// Of what stat(2) tells.
    pub fn new(stat: &Stat) -> NsId {
        NsId { ino: stat.st_ino, dev: NonZeroU64::new(stat.st_dev).unwrap_or(NonZeroU64::MAX) }
    }
}

/// An open network namespace. One pointer, since it is handed from one module to the next all the way to COMMAND.
#[derive(Debug)]
pub struct NetNs(Box<Held>);

/// What a [`NetNs`] holds.
#[derive(Debug)]
pub struct Held {
    fd: OwnedFd,
    /// Its identity.
    pub id: NsId,
}

impl std::ops::Deref for NetNs {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.0
    }
}

impl NetNs {
    /// Takes what a `/proc/PID/ns/net` link led to, which is of the right kind by its path.
    ///
    /// # Errors
    /// The errno of fstat(2).
    pub fn of_link(fd: OwnedFd) -> std::result::Result<NetNs, Errno> {
        let id = id_of(fd.as_fd())?;
        Ok(NetNs(Box::new(Held { fd, id })))
    }

    /// The namespace we are in.
    ///
    /// # Errors
    /// Where /proc does not show it.
    pub fn own() -> Result<NetNs> {
        open_at(CWD, b"/proc/self/ns/net", OFlags::RDONLY)
            .and_then(NetNs::of_link)
            .map_err(|e| Error::cannot(b"open our own network namespace", e))
    }

    /// Opens a located (O_PATH) file if it is a network namespace; `path` is for messages.
    ///
    /// # Errors
    /// What it is instead.
    pub fn of_file(located: &OwnedFd, path: &[u8]) -> Result<NetNs> {
        match verified(located) {
            Ok(Ok(netns)) => Ok(netns),
            Ok(Err(fault)) => Err(Error::of(path, fault)),
            Err(e) => Err(Error::cannot_at("open", path, e)),
        }
    }

    /// Whether it is the namespace we are in.
    ///
    /// # Errors
    /// The errno of stat(2).
    pub fn is_own(&self) -> std::result::Result<bool, Errno> {
        Ok(own_id()? == self.id)
    }

    /// Whether it is the namespace of pid 1 on `host`, or our own where pid 1 may not be read.
    pub fn is_hosts(&self, host: &Host) -> bool {
        host_id(host).is_some_and(|id| id == self.id)
    }

    /// Enters the namespace; `whose` is for messages, as in "process 3456".
    ///
    /// An unprivileged caller first joins the user namespace that owns it, if that is the caller's own creation.
    ///
    /// # Errors
    /// Where the kernel refuses, with what is missing; nothing has changed then that matters to a process about to end.
    pub fn enter(&self, whose: &[u8]) -> Result<()> {
        match self.set() {
            Ok(()) => Ok(()),
            // Who is in it already needs no right. Asked only now: the first look at /proc/self costs as much as all else here.
            Err(Errno::PERM) if self.is_own().unwrap_or(false) => Ok(()),
            Err(Errno::PERM) => self.enter_by_userns(whose),
            Err(e) => Err(cannot_enter(whose, e)),
        }
    }

    /// Enters it with the rights we have: setns(2).
    ///
    /// # Errors
    /// The errno; EPERM without CAP_SYS_ADMIN in the user namespace that owns it and in our own.
    pub fn set(&self) -> std::result::Result<(), Errno> {
        move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
    }

    /// The user namespace by which an unprivileged caller may enter this one: it owns this one, and the caller made it.
    ///
    /// # Errors
    /// Where there is none, with what is missing.
    pub fn userns_to_join(&self, whose: &[u8]) -> Result<OwnedFd> {
        let refused = |who: Bytes| {
            cannot_enter(whose, Errno::PERM).remedy(text!("needs root, or the same user as the container ({})", who))
        };
        let cannot = |e| cannot_enter(whose, e);
        let own = id_at(CWD, b"/proc/self/ns/user").map_err(cannot)?.ino;
        let userns = match sys::owning_userns(&self.fd) {
            Ok(userns) => userns,
            Err(Errno::NOTTY) => return Err(refused(b"without root this needs Linux 4.9")),
            Err(_) => return Err(refused(b"CAP_SYS_ADMIN in a user namespace outside your own")),
        };
        let owning = id_of(userns.as_fd()).map_err(cannot)?.ino;
        let euid = geteuid();
        if euid.is_root() || owning == own {
            return Err(refused(text!("CAP_SYS_ADMIN in user namespace {}", owning)));
        }
        match sys::userns_owner(&userns) {
            Ok(uid) if uid == euid.as_raw() => Ok(userns),
            Ok(uid) => Err(cannot(Errno::PERM).remedy(text!(
                "needs root: user namespace {} belongs to uid {}, not to you",
                owning,
                uid
            ))),
            Err(_) => Err(refused(b"without root this needs Linux 4.11")),
        }
    }

    /// Joins the owning user namespace, then this one, and sees to it that the rights this gives outlive exec.
    fn enter_by_userns(&self, whose: &[u8]) -> Result<()> {
        let userns = self.userns_to_join(whose)?;
        let ino = id_of(userns.as_fd()).map_err(|e| cannot_enter(whose, e))?.ino;
        move_into_link_name_space(userns.as_fd(), Some(LinkNameSpaceType::User))
            .map_err(|e| Error::cannot(text!("join user namespace {} of {}", ino, whose), e))?;
        self.set().map_err(|e| cannot_enter(whose, e))?;
        if !geteuid().is_root() {
            keep_capabilities().map_err(|e| {
                Error::cannot(text!("keep the capabilities of user namespace {}", ino), e)
                    .remedy(b"ambient capabilities need Linux 4.3")
            })?;
        }
        Ok(())
    }

    /// Whether the user namespace that owns this one was made by `uid`, or lies inside one that was.
    pub fn is_of_user(&self, uid: u32) -> bool {
        let mut userns = sys::owning_userns(&self.fd);
        while let Ok(fd) = userns {
            if sys::userns_owner(&fd) == Ok(uid) {
                return true;
            }
            userns = sys::parent_userns(&fd);
        }
        false
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Does `look` in `netns` and comes back to `home`, where we are; None where we may not go there.
///
/// Not to come back ends the program at once, with nothing else done in the wrong place.
///
/// # Errors
/// Where setns(2) fails for any other reason, and those of `look`.
pub fn within<T>(netns: &NetNs, home: &NetNs, look: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
    if !go(netns, home)? {
        return Ok(None);
    }
    let seen = look();
    come_back(netns, home);
    seen.map(Some)
}

/// Goes to `netns` from `home`; false where we may not.
fn go(netns: &NetNs, home: &NetNs) -> Result<bool> {
    if netns.id == home.id {
        return Ok(true);
    }
    match netns.set() {
        Err(Errno::PERM) => Ok(false),
        Err(e) => Err(cannot_enter(text!("inode {}", netns.id.ino), e)),
        Ok(()) => Ok(true),
    }
}

fn come_back(netns: &NetNs, home: &NetNs) {
    if netns.id != home.id
        && let Err(e) = home.set()
    {
        give_up(&Error::cannot(b"come back to our own network namespace", e));
    }
}

/// The namespace we are in.
///
/// # Errors
/// The errno of stat(2).
pub fn own_id() -> std::result::Result<NsId, Errno> {
    id_at(CWD, b"/proc/self/ns/net")
}

/// The namespace of pid 1 on `host`, or our own where pid 1 may not be read.
pub fn host_id(host: &Host) -> Option<NsId> {
    host.stat_proc("1/ns/net").or_else(|_| own_id()).ok()
}

/// What `located` holds, opened; or why that is no network namespace.
fn verified(located: &OwnedFd) -> std::result::Result<std::result::Result<NetNs, Bytes>, Errno> {
    let file = file_type(located)?;
    let magic = fstatfs(located)?.f_type as u64;
    let label = name_of(located)?;
    // A file on disk has a path that starts with a slash here; only a namespace has `net:[N]`.
    let is_bound = label.starts_with(b"/");
    let is_namespace = magic == NSFS_MAGIC || (magic == PROC_SUPER_MAGIC as u64 && !is_bound && contains(label, b":["));
    if !is_namespace {
        return Ok(Err(text!("is not a namespace but {}", type_name(file))));
    }
    let fd = reopen(located, OFlags::RDONLY)?;
    // What is bound to a path is called by that path, so its kind must come from the kernel; where that does not tell,
    // before 4.11, a bound namespace is left to the check of setns(2).
    let kind = match sys::namespace_type(&fd) {
        Err(Errno::NOTTY | Errno::NOSYS | Errno::PERM) if is_bound => "net",
        Err(Errno::NOTTY | Errno::NOSYS | Errno::PERM) => kind_name(0, label),
        flag => kind_name(flag?, b""),
    };
    if kind != "net" {
        let an = if kind.starts_with('i') { "an" } else { "a" };
        return Ok(Err(text!("is {} {} namespace, not a network namespace", an, kind)));
    }
    NetNs::of_link(fd).map(Ok)
}

/// How a namespace's kind is called that has this flag or a label such as `net:[N]`.
fn kind_name(flag: u32, label: &[u8]) -> &'static str {
    let is_it = |(known, name): &&(u32, &str)| {
        *known == flag || label.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b":"))
    };
    KINDS.iter().find(is_it).map_or("strange", |(_, name)| name)
}

/// The identity of the file or namespace that a descriptor holds.
///
/// # Errors
/// The errno of fstat(2).
pub fn id_of(fd: BorrowedFd<'_>) -> std::result::Result<NsId, Errno> {
    fstat(fd).map(|stat| NsId::new(&stat))
}

/// The identity of what a path leads to.
///
/// # Errors
/// The errno of stat(2).
pub fn id_at(dir: BorrowedFd<'_>, path: &[u8]) -> std::result::Result<NsId, Errno> {
    statat(dir, c_string(&[path]), AtFlags::empty()).map(|stat| NsId::new(&stat))
}

fn cannot_enter(whose: &[u8], errno: Errno) -> Error {
    let error = Error::cannot(text!("enter the network namespace of {}", whose), errno);
    match errno {
        Errno::NOSYS => error.remedy(b"setns(2) needs Linux 3.0, and no seccomp filter against it"),
        _ => error,
    }
}

/// Makes the full capabilities that joining a user namespace gave survive exec by a uid that is not 0 there.
fn keep_capabilities() -> std::result::Result<(), Errno> {
    let mut sets = capabilities(None)?;
    sets.inheritable = sets.permitted;
    set_capabilities(None, sets)?;
    for bit in 0..u64::BITS {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        if sets.permitted.contains(capability) {
            configure_capability_in_ambient_set(capability, true)?;
        }
    }
    Ok(())
}
