//! A network namespace, held open: told from others by its inode and entered with setns(2).
//!
//! The descriptor that was verified is the one that is entered, pinned and looked into; nothing is
//! looked up twice.

#![forbid(unsafe_code)]

use crate::base::error::{Error, Result};
use crate::base::escape::shown;
use crate::sys::fd::{file_type, name_of, open_at, reopen, type_name};
use crate::sys::nsfs::{namespace_type, owning_userns, parent_userns, userns_owner};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{
    AtFlags, CWD, FileType, OFlags, PROC_SUPER_MAGIC, Stat, StatxFlags, fstat, fstatfs, makedev,
    statat, statx,
};
use rustix::io::{self, Errno};
use rustix::process::geteuid;
use rustix::thread::{
    CapabilitySet, LinkNameSpaceType, capabilities, configure_capability_in_ambient_set,
    move_into_link_name_space, set_capabilities,
};

/// NSFS_MAGIC, linux/magic.h: what holds namespaces since Linux 3.19. Before, procfs did.
const NSFS_MAGIC: u64 = 0x6e73_6673;

/// The CLONE_NEW* flags of linux/sched.h, by which NS_GET_NSTYPE answers, and the words for them in
/// labels such as `net:[N]`.
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

/// What a file is that a namespace was, or is to be, mounted on.
const EMPTY: &str = "is an empty file: its mount is in another mount namespace, or gone";

/// The identity of a namespace, unique while that is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NsId {
    /// The number in `net:[4026532253]`.
    pub ino: u64,
    /// The device of nsfs.
    pub dev: u64,
}

impl NsId {
    /// Takes the identity from what stat(2) tells.
    pub(crate) fn new(stat: &Stat) -> NsId {
        NsId { ino: stat.st_ino, dev: stat.st_dev }
    }
}

/// An open network namespace.
#[derive(Debug)]
pub struct NetNs {
    fd: OwnedFd,
    /// Its identity.
    pub id: NsId,
}

impl NetNs {
    /// Takes what a `/proc/PID/ns/net` link led to, which is of the right kind by its path.
    ///
    /// # Errors
    /// The errno of fstat(2).
    pub fn of_link(fd: OwnedFd) -> io::Result<NetNs> {
        let id = id_of(&fd)?;
        Ok(NetNs { fd, id })
    }

    /// Opens the namespace we are in.
    ///
    /// # Errors
    /// Where /proc does not show it.
    pub(crate) fn own() -> Result<NetNs> {
        open_at(CWD, b"/proc/self/ns/net", OFlags::RDONLY)
            .and_then(NetNs::of_link)
            .map_err(|e| Error::cannot("open our own network namespace", e))
    }

    /// Opens what an O_PATH descriptor holds, if it is a network namespace; `path` is for messages.
    ///
    /// # Errors
    /// What it is instead. Has an errno where that could not be told.
    pub(crate) fn of_file(resolved: &OwnedFd, path: &[u8]) -> Result<NetNs> {
        let cannot = |e| Error::cannot_at("open", path, e);
        let look = || Ok((file_type(resolved)?, fstatfs(resolved)?.f_type, name_of(resolved)?));
        let (file, magic, label) = look().map_err(cannot)?;
        // A file on disk has a path that starts with a slash here; only a namespace has `net:[N]`.
        let is_bound = label.starts_with(b"/");
        let is_labelled = !is_bound && label.windows(2).any(|part| part == b":[");
        if magic as u64 != NSFS_MAGIC && !(magic == PROC_SUPER_MAGIC && is_labelled) {
            let size = fstat(resolved).map_err(cannot)?.st_size;
            // What a pseudo file has in it its size does not tell.
            let is_empty = magic != PROC_SUPER_MAGIC && size == 0;
            return Err(match file {
                FileType::RegularFile if is_empty => Error::of(path, EMPTY).absent(),
                file => Error::of(path, format!("is not a namespace but {}", type_name(file))),
            });
        }
        let fd = reopen(resolved, OFlags::RDONLY).map_err(cannot)?;
        // What is bound to a path is called by that path, so its kind must come from the kernel.
        // Where that does not tell, before 4.11, a bound namespace is left to the check of
        // setns(2).
        let kind = match namespace_type(&fd) {
            Ok(flag) => word_for(flag).as_bytes(),
            Err(Errno::NOTTY | Errno::NOSYS | Errno::PERM) if is_bound => b"net",
            Err(Errno::NOTTY | Errno::NOSYS | Errno::PERM) => {
                label.split(|byte| *byte == b':').next().unwrap_or_default()
            }
            Err(e) => return Err(cannot(e)),
        };
        if kind != b"net" {
            let article = if kind.starts_with(b"i") { "an" } else { "a" };
            let kind = shown(kind);
            let fault = format!("is {article} {kind} namespace, not a network namespace");
            return Err(Error::of(path, fault));
        }
        NetNs::of_link(fd).map_err(cannot)
    }

    /// Tells whether the kernel says that it is a network namespace: Linux 4.11.
    pub(crate) fn is_network(&self) -> bool {
        namespace_type(&self.fd).is_ok_and(|flag| word_for(flag) == "net")
    }

    /// Tells whether it is the namespace we are in.
    ///
    /// # Errors
    /// The errno of stat(2).
    pub(crate) fn is_own(&self) -> io::Result<bool> {
        Ok(own_id()? == self.id)
    }

    /// Enters the namespace; `whose` is for messages, as in "process 3456".
    ///
    /// An unprivileged caller first joins the user namespace that owns it, if that is of the
    /// caller's own making.
    ///
    /// # Errors
    /// Where the kernel refuses, with what is missing. A process that goes on must not have called
    /// this: it may be in another user namespace by then.
    pub(crate) fn enter(&self, whose: &str) -> Result<()> {
        match self.set() {
            Ok(()) => Ok(()),
            // Who is in it already needs no right. Asked only now: the first look at /proc/self
            // costs as much as all else here.
            Err(Errno::PERM) if self.is_own().unwrap_or(false) => Ok(()),
            Err(Errno::PERM) => self.enter_by_userns(whose),
            Err(e) => Err(cannot_enter(whose, e)),
        }
    }

    /// Enters it with the rights we have: setns(2).
    ///
    /// # Errors
    /// The errno; EPERM without CAP_SYS_ADMIN in the user namespace that owns it and in our own.
    pub(crate) fn set(&self) -> io::Result<()> {
        move_into_link_name_space(self.fd.as_fd(), Some(LinkNameSpaceType::Network))
    }

    /// Opens the user namespace by which an unprivileged caller may enter this one: it owns this
    /// one, and the caller made it.
    ///
    /// # Errors
    /// Where there is none, with what is missing.
    pub(crate) fn userns_to_join(&self, whose: &str) -> Result<OwnedFd> {
        let cannot = |e| cannot_enter(whose, e);
        let refused = |lack: &str| {
            let who = format!("needs root, or the same user as the container ({lack})");
            let how = match geteuid().is_root() {
                true => "a container gets that by --privileged or --cap-add SYS_ADMIN",
                false => "run it with sudo",
            };
            let remedy = format!("{who}: {how}");
            cannot(Errno::PERM).with_remedy(remedy)
        };
        let own = id_at(CWD, b"/proc/self/ns/user").map_err(cannot)?.ino;
        let userns = match owning_userns(&self.fd) {
            Ok(userns) => userns,
            Err(Errno::NOTTY) => return Err(refused("without root this needs Linux 4.9")),
            Err(_) => return Err(refused("CAP_SYS_ADMIN in a user namespace outside your own")),
        };
        let owning = id_of(&userns).map_err(cannot)?.ino;
        let euid = geteuid();
        if euid.is_root() || owning == own {
            return Err(refused(&format!("CAP_SYS_ADMIN in user namespace {owning}")));
        }
        match userns_owner(&userns) {
            Ok(uid) if uid == euid.as_raw() => Ok(userns),
            Ok(uid) => {
                let whose = format!("user namespace {owning} belongs to uid {uid}, not to you");
                let remedy = format!("needs root: {whose}; run it with sudo");
                Err(cannot(Errno::PERM).with_remedy(remedy))
            }
            Err(_) => Err(refused("without root this needs Linux 4.11")),
        }
    }

    /// Joins the owning user namespace, then this one, and sees to it that the rights this gives
    /// outlive exec.
    fn enter_by_userns(&self, whose: &str) -> Result<()> {
        let userns = self.userns_to_join(whose)?;
        let inode = id_of(&userns).map_err(|e| cannot_enter(whose, e))?.ino;
        move_into_link_name_space(userns.as_fd(), Some(LinkNameSpaceType::User)).map_err(|e| {
            Error::cannot(format_args!("join user namespace {inode} of {whose}"), e)
        })?;
        self.set().map_err(|e| cannot_enter(whose, e))?;
        if !geteuid().is_root() {
            keep_capabilities().map_err(|e| {
                let action = format!("keep the capabilities of user namespace {inode}");
                Error::cannot(action, e).with_remedy("ambient capabilities need Linux 4.3")
            })?;
        }
        Ok(())
    }

    /// Returns the identity of the user namespace that owns it: NS_GET_USERNS, Linux 4.9.
    ///
    /// # Errors
    /// EPERM where that is outside our own; ENOTTY before Linux 4.9.
    pub(crate) fn owner(&self) -> io::Result<NsId> {
        owning_userns(&self.fd).and_then(id_of)
    }

    /// Tells whether the user namespace that owns this one was made by `uid`, or lies inside one
    /// that was.
    pub(crate) fn is_of_user(&self, uid: u32) -> bool {
        let mut userns = owning_userns(&self.fd);
        while let Ok(fd) = userns {
            if userns_owner(&fd) == Ok(uid) {
                return true;
            }
            userns = parent_userns(&fd);
        }
        false
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// The namespace that we are in, to come back to from others.
pub struct Home {
    netns: NetNs,
    /// Whether setns(2) leads back here. It does not from a user namespace of the caller's own
    /// making, as that of `unshare -Ur`, which does not own this one.
    has_way_back: bool,
}

impl Home {
    /// Opens the namespace we are in.
    ///
    /// # Errors
    /// As [`NetNs::own`].
    pub fn own() -> Result<Home> {
        let netns = NetNs::own()?;
        let has_way_back = netns.set() != Err(Errno::PERM);
        Ok(Home { netns, has_way_back })
    }

    /// Returns its identity.
    pub(crate) fn id(&self) -> NsId {
        self.netns.id
    }

    /// Returns the namespace.
    pub(crate) fn netns(&self) -> &NetNs {
        &self.netns
    }

    /// Runs `query` in `netns` and comes back; None where we may not go there, or could not come
    /// back.
    ///
    /// # Errors
    /// Those of `query`; where setns(2) fails for any reason but a lack of rights. As the way back
    /// may be what fails, any error must end the run.
    pub fn within<T>(&self, netns: &NetNs, query: impl FnOnce() -> Result<T>) -> Result<Option<T>> {
        if netns.id == self.netns.id {
            return query().map(Some);
        }
        if !self.has_way_back {
            return Ok(None);
        }
        match netns.set() {
            Err(Errno::PERM) => return Ok(None),
            Err(e) => return Err(cannot_enter(&format!("inode {}", netns.id.ino), e)),
            Ok(()) => {}
        }
        let answer = query();
        self.netns.set().map_err(|e| Error::cannot("come back to our own network namespace", e))?;
        answer.map(Some)
    }

    /// Tells whether a child, which need not come back, may go to a namespace to which
    /// [`Home::within`] does not.
    pub(crate) fn lets_child_go_to(&self, netns: &NetNs) -> bool {
        // Whose rights go as far as the user namespace that owns it has no need to join that.
        let has_rights = || {
            capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN))
        };
        (!self.has_way_back && netns.owner().is_ok() && has_rights())
            || netns.userns_to_join("").is_ok()
    }
}

/// The inode of the machine's initial user namespace, by which that is told where pid 1 may not be
/// read: PROC_USER_INIT_INO, linux/proc_ns.h.
pub(crate) const INITIAL_USERNS: u64 = 0xefff_fffd;

/// Returns the identity of the namespace we are in.
///
/// # Errors
/// The errno of stat(2).
pub(crate) fn own_id() -> io::Result<NsId> {
    id_at(CWD, b"/proc/self/ns/net")
}

/// Returns the identity of the file or namespace that a descriptor holds.
///
/// # Errors
/// The errno of fstat(2).
pub(crate) fn id_of(fd: impl AsFd) -> io::Result<NsId> {
    fstat(fd).map(|stat| NsId::new(&stat))
}

/// Returns the identity of a file as the kernel knows it, without asking a file system of
/// somebody's that need not answer: FUSE, from Linux 4.20 on.
///
/// # Errors
/// The errno of statx(2) or, before Linux 4.11, of fstat(2).
pub(crate) fn id_unasked(fd: impl AsFd) -> io::Result<NsId> {
    let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
    match statx(&fd, c"", flags, StatxFlags::INO) {
        Err(Errno::NOSYS | Errno::PERM) => id_of(fd),
        stat => stat.map(|stat| NsId {
            ino: stat.stx_ino,
            dev: makedev(stat.stx_dev_major, stat.stx_dev_minor),
        }),
    }
}

/// Returns the identity of what a path leads to.
///
/// # Errors
/// The errno of stat(2).
pub(crate) fn id_at(dir: impl AsFd, path: &[u8]) -> io::Result<NsId> {
    statat(dir.as_fd(), path, AtFlags::empty()).map(|stat| NsId::new(&stat))
}

/// Returns the word for a kind of namespace.
fn word_for(flag: u32) -> &'static str {
    let kind = KINDS.iter().find(|(known, _)| *known == flag);
    kind.map_or("strange", |(_, word)| word)
}

fn cannot_enter(whose: &str, errno: Errno) -> Error {
    let error = Error::cannot(format_args!("enter the network namespace of {whose}"), errno);
    match errno {
        Errno::NOSYS => {
            error.with_remedy("setns(2) needs Linux 3.0, and no seccomp filter against it")
        }
        _ => error,
    }
}

/// Makes the full capabilities that joining a user namespace gave survive exec by a uid that is not
/// 0 there.
fn keep_capabilities() -> io::Result<()> {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::fd::ITSELF;
    use std::fs::File;

    #[test]
    fn our_own_namespaces_answer() {
        let net = File::open("/proc/self/ns/net").unwrap();
        assert_eq!(namespace_type(&net), Ok(0x4000_0000));
        let user = File::open("/proc/self/ns/user").unwrap();
        assert!(userns_owner(&user).is_ok());
        assert_eq!(namespace_type(File::open("/dev/null").unwrap()), Err(Errno::NOTTY));
    }

    #[test]
    fn only_a_network_namespace_is_one() {
        let open = |path: &[u8], flags| {
            let resolved = open_at(CWD, path, flags).unwrap();
            NetNs::of_file(&resolved, path)
        };
        assert!(open(b"/proc/self/ns/net", OFlags::PATH).unwrap().is_own().unwrap());
        for (path, flags, fault) in [
            (&b"/proc/self/ns/user"[..], OFlags::PATH, "is a user namespace"),
            (b"/proc/self/ns/ipc", OFlags::PATH, "is an ipc namespace"),
            (b"/proc/self/ns/net", ITSELF, "is not a namespace but a symbolic link"),
            (b"/proc/version", OFlags::PATH, "is not a namespace but a regular file"),
        ] {
            let error = open(path, flags).unwrap_err();
            assert!(error.message().contains(fault) && error.errno().is_none(), "{error:?}");
        }
    }
}
