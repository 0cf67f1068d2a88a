//! What keeps a network namespace, and opening the namespace by it.

#![forbid(unsafe_code)]

use super::Host;
use super::process::{Process, unless_gone};
use super::root::{Root, Symlink};
use crate::base::error::is_denied;
use crate::base::escape::shown;
use crate::kernel::handover::open_apart;
use crate::kernel::netns::{NetNs, NsId, id_unasked, own_id};
use crate::sys::fd::{ITSELF, open_at, reopen};
use crate::sys::libc::netns_cookie;
use crate::sys::nsfs::netns_of_socket;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{CWD, OFlags};
use rustix::io::{self, Errno};
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

/// What keeps a network namespace. Pids are those of the host's /proc.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Holder {
    /// A process that is in it.
    Process(u32),
    /// A thread that is in it, while its process is in another namespace or has exited but for its
    /// threads.
    Thread(u32),
    /// A mount at this path, as paths are called on the host.
    Mount(Vec<u8>),
    /// A mount at this path of another mount namespace: that of a process, or one that a descriptor
    /// of the process keeps.
    ForeignMount { pid: u32, fd: Option<u32>, path: Vec<u8> },
    /// A process's descriptor of it.
    Descriptor { pid: u32, fd: u32 },
    /// A process's socket that was made in it.
    Socket { pid: u32, fd: u32 },
    /// A process's open file of /proc/PID/net, by what that was called. The kernel tells nobody of
    /// which namespace that is.
    File { pid: u32, fd: u32, path: Vec<u8> },
}

/// An open namespace, and the process or thread that is in it by which it was opened.
pub(crate) type Opened = (NetNs, Option<Process>);

impl Holder {
    /// Tells whether it is one that is found without a deep look.
    pub(super) fn is_plain(&self) -> bool {
        matches!(self, Holder::Process(_) | Holder::Thread(_) | Holder::Mount(_))
    }

    /// Returns the word for its kind, a process, a descriptor and a path, as far as it has these.
    pub(crate) fn parts(&self) -> (&'static str, Option<u32>, Option<u32>, Option<&[u8]>) {
        match self {
            Holder::Process(pid) => ("process", Some(*pid), None, None),
            Holder::Thread(tid) => ("thread", Some(*tid), None, None),
            Holder::Mount(path) => ("mount", None, None, Some(path)),
            Holder::ForeignMount { pid, fd, path } => ("mount", Some(*pid), *fd, Some(path)),
            Holder::Descriptor { pid, fd } => ("fd", Some(*pid), Some(*fd), None),
            Holder::Socket { pid, fd } => ("socket", Some(*pid), Some(*fd), None),
            Holder::File { pid, fd, path } => ("procfile", Some(*pid), Some(*fd), Some(path)),
        }
    }

    /// Returns how it is told in a list: `COMM PID fd N`, and the path of a mount.
    pub(crate) fn told(&self, host: &Host) -> String {
        let (kind, pid, fd, path) = self.parts();
        let mut words = Vec::new();
        if let Some(pid) = pid {
            words.push(comm(host, pid));
            words.push(pid.to_string());
        }
        words.extend(fd.map(|fd| format!("fd {fd}")));
        words.extend(path.filter(|_| kind == "mount").map(|path| format!("mount {}", shown(path))));
        words.join(" ")
    }

    /// Opens the namespace if this still holds it. A file of /proc/PID/net does not let it be
    /// opened.
    pub(crate) fn open(&self, host: &Host, id: NsId) -> Option<Opened> {
        let resolved = match self {
            Holder::Process(pid) | Holder::Thread(pid) => {
                return open_task(host, *pid).filter(|(netns, _)| netns.id == id);
            }
            Holder::Mount(path) => host.readable(path, host.resolve(path, Symlink::NoFollow))?,
            Holder::Descriptor { pid, fd } => {
                unless_gone(host, *pid, open_descriptor(host, *pid, *fd))?
            }
            Holder::Socket { .. } | Holder::ForeignMount { .. } => self.open_apart(host)?,
            Holder::File { .. } => return None,
        };
        let (.., path) = self.parts();
        let path = path.unwrap_or(b"/proc");
        // Of what is another file by now, not even the file system is asked.
        if host.readable(path, id_unasked(&resolved))? != id {
            return None;
        }
        match NetNs::of_file(&resolved, path) {
            Ok(netns) => Some((netns, None)).filter(|(netns, _)| netns.id == id),
            Err(error) => {
                if error.errno().is_some() {
                    host.fail(error);
                }
                None
            }
        }
    }

    /// Holds it by a reader: a file system on the way may not answer, nor may one whose file is in
    /// the place of a socket by now, when that is closed; and of another mount namespace there is
    /// no way back.
    fn open_apart(&self, host: &Host) -> Option<OwnedFd> {
        let open = || match self {
            Holder::Socket { pid, fd } => open_socket(host, *pid, *fd),
            Holder::ForeignMount { pid, fd, path } => open_foreign(host, *pid, *fd, path),
            _ => Err(Errno::NOENT),
        };
        match open_apart(&host.descriptors(), host.mounts.patience()?, &open) {
            Ok(Some(opened)) => host.readable(b"/proc", opened.map_err(absent_if_gone)),
            Ok(None) => {
                host.mounts.hurry();
                host.remember(self.told(host).as_bytes(), "a file system does not answer");
                None
            }
            Err(error) => {
                host.fail(error);
                None
            }
        }
    }
}

/// Takes a descriptor or process that is gone for an absence.
fn absent_if_gone(errno: Errno) -> Errno {
    if matches!(errno, Errno::BADF | Errno::SRCH) { Errno::NOENT } else { errno }
}

/// Returns the name that a process has in /proc/PID/comm, as it is shown.
fn comm(host: &Host, pid: u32) -> String {
    let text = Process::open(host, pid).and_then(|process| process.read(host, "comm"));
    text.map_or("-".to_owned(), |text| shown(text.trim_ascii()).to_string())
}

/// Opens the namespace of a process or thread; None where that has gone or may not be looked at.
fn open_task(host: &Host, pid: u32) -> Option<Opened> {
    let opened = Process::open(host, pid).and_then(|process| Ok((process.netns()?, Some(process))));
    match opened {
        Err(e) if is_denied(e) => None,
        opened => unless_gone(host, pid, opened),
    }
}

/// Holds what a process's descriptor leads to; nothing is opened in the sense of a device or FIFO.
///
/// # Errors
/// The errno: ENOENT where the process or the descriptor is gone.
pub(super) fn open_descriptor(host: &Host, pid: u32, fd: u32) -> io::Result<OwnedFd> {
    host.open_proc(format!("{pid}/fd/{fd}").as_bytes(), OFlags::PATH)
}

fn open_socket(host: &Host, pid: u32, fd: u32) -> io::Result<OwnedFd> {
    if !host.has_our_pids() {
        return Err(Errno::PERM);
    }
    let socket = fetch(&open_pidfd(pid)?, fd)?;
    // What is none by now is not asked: it may answer anything.
    match netns_cookie(&socket) {
        Err(Errno::NOTSOCK) => Err(Errno::NOENT),
        _ => netns_of_socket(socket),
    }
}

/// Opens the pidfd of a process, as our own pid namespace numbers it, by which its descriptors are
/// fetched.
///
/// # Errors
/// The errno of pidfd_open(2), Linux 5.3.
pub(super) fn open_pidfd(pid: u32) -> io::Result<OwnedFd> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
    pidfd_open(pid, PidfdFlags::empty())
}

/// Fetches a process's descriptor: pidfd_getfd(2), Linux 5.6.
///
/// # Errors
/// The errno.
pub(super) fn fetch(pidfd: &OwnedFd, fd: u32) -> io::Result<OwnedFd> {
    let fd = i32::try_from(fd).map_err(|_| Errno::BADF)?;
    pidfd_getfd(pidfd, fd, PidfdGetfdFlags::empty())
}

/// Holds what is at a path of another mount namespace, in a process that may stay there.
fn open_foreign(host: &Host, pid: u32, fd: Option<u32>, path: &[u8]) -> io::Result<OwnedFd> {
    match fd {
        None => {
            let flags = OFlags::PATH | OFlags::DIRECTORY;
            let root = host.open_proc(format!("{pid}/root").as_bytes(), flags)?;
            Root::Directory(root).resolve(path, Symlink::NoFollow)
        }
        Some(fd) => {
            let resolved = open_descriptor(host, pid, fd)?;
            // What is another file by now, perhaps a device, is not opened.
            if id_unasked(&resolved)?.dev != own_id()?.dev {
                return Err(Errno::NOENT);
            }
            join_mounts(&reopen(resolved, OFlags::RDONLY)?)?;
            open_at(CWD, path, ITSELF)
        }
    }
}

/// Joins the mount namespace that a descriptor holds.
///
/// # Errors
/// The errno of setns(2): EINVAL where it is of another kind.
pub(super) fn join_mounts(namespace: impl AsFd) -> io::Result<()> {
    move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Mount))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;
    use crate::kernel::netns::own_id;
    use crate::sys::fd::name_of;
    use rustix::fd::AsRawFd;
    use rustix::pipe::pipe;

    fn holders(file: &OwnedFd) -> [Holder; 1] {
        let (pid, fd) = (std::process::id(), file.as_raw_fd() as u32);
        [Holder::Descriptor { pid, fd }]
    }

    #[test]
    fn a_descriptor_opens_what_it_is_said_to_be_and_nothing_else() {
        let host = Host::own(Console { quiet: true, verbose: false });
        let own = own_id().unwrap();
        let other = NsId { ino: own.ino + 1, ..own };
        let net = open_at(CWD, b"/proc/self/ns/net", OFlags::RDONLY).unwrap();
        assert_eq!(name_of(&net).unwrap(), format!("net:[{}]", own.ino).as_bytes());
        for holder in holders(&net) {
            assert_eq!(holder.open(&host, own).unwrap().0.id, own);
            assert!(holder.open(&host, other).is_none());
        }
        let files = [
            open_at(CWD, b"/proc/self/ns/uts", OFlags::RDONLY).unwrap(),
            open_at(CWD, b"/dev/null", OFlags::RDONLY).unwrap(),
            pipe().unwrap().0,
        ];
        for holder in files.iter().flat_map(holders) {
            assert!(holder.open(&host, own).is_none(), "{holder:?}");
        }
        // To open one that is a device by now may do anything.
        let (null, pid) = (files[1].as_raw_fd() as u32, std::process::id());
        assert_eq!(open_foreign(&host, pid, Some(null), b"/").unwrap_err(), Errno::NOENT);
        for pid in [std::process::id(), 4_194_304] {
            assert!(Holder::Descriptor { pid, fd: 1 << 20 }.open(&host, own).is_none());
        }
        assert!(host.check().is_ok() && host.unread().is_none());
    }
}
