//! Every network namespace that can be reached: through a process, a thread, or a mount.
//!
//! Processes come and go while /proc is walked. What is noted of a namespace is therefore a hint, too: it is opened again through
//! whatever held it, and compared.

#![forbid(unsafe_code)]

use crate::bytes::Bytes;
use crate::cgroup::excuse_process;
use crate::console::give_up;
use crate::error::{Error, is_denied};
use crate::host::{Host, each_name};
use crate::mounts;
use crate::netns::{NetNs, NsId, id_at};
use crate::process::{Process, is_gone, parse_pid};
use crate::root::{Links, c_string, open_at};
use crate::text::{MOST_DIGITS, digits, text};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, OFlags, fstat, statat};
use rustix::io::Errno;

/// A network namespace, and what held it when we looked.
#[derive(Debug)]
pub struct Namespace {
    /// Its identity.
    pub id: NsId,
    /// The lowest pid in it; None where no process is.
    pub pid: Option<u32>,
    /// The highest pid in it: where both have gone, a third process may be left.
    last: u32,
    /// The lowest id of a thread that is in it while its process is not.
    pub thread: Option<u32>,
    /// How many processes are in it.
    pub processes: u32,
    /// Where it is mounted, as `host` calls the paths.
    pub mounts: Vec<Bytes>,
}

/// What keeps a namespace.
#[derive(Clone, Copy, Debug)]
pub enum Holder {
    /// A process.
    Process(u32),
    /// A thread whose process is in another namespace, or has exited but for its threads.
    Thread(u32),
    /// A mount at this path.
    Mount(Bytes),
}

/// An open namespace, and the process or thread by which it was opened.
pub type Held = (NetNs, Option<Process>);

/// All of them, sorted by inode, each once. What the caller may not look at is left to [`Host::unread`].
pub fn all(host: &Host) -> Vec<Box<Namespace>> {
    let mut found: Vec<Box<Namespace>> = Vec::new();
    visit(host, &mut |id, holder| {
        let at = match found.binary_search_by_key(&id, |known| known.id) {
            Ok(at) => at,
            Err(at) => {
                found.insert(at, Namespace::new(id));
                at
            }
        };
        found[at].add(holder);
        false
    });
    found
}

/// Opens the namespace with this inode; None where nothing that can be looked at holds it.
pub fn by_inode(host: &Host, inode: u64) -> Option<Held> {
    let mut found = None;
    visit(host, &mut |id, holder| {
        if id.ino == inode {
            found = holder.open(host, id);
        }
        found.is_some()
    });
    found
}

impl Namespace {
    /// One that nothing is known to hold.
    pub fn new(id: NsId) -> Box<Namespace> {
        Box::new(Namespace { id, pid: None, last: 0, thread: None, processes: 0, mounts: Vec::new() })
    }

    fn add(&mut self, holder: Holder) {
        match holder {
            Holder::Process(pid) => {
                self.pid = Some(self.pid.map_or(pid, |first| first.min(pid)));
                self.last = self.last.max(pid);
                self.processes += 1;
            }
            Holder::Thread(tid) => self.thread = Some(self.thread.map_or(tid, |first| first.min(tid))),
            Holder::Mount(path) if self.mounts.contains(&path) => {}
            Holder::Mount(path) => self.mounts.push(path),
        }
    }

    /// Opens it; None where it has vanished meanwhile.
    pub fn open(&self, host: &Host) -> Option<NetNs> {
        self.hold(host).map(|(netns, _)| netns)
    }

    /// As [`Namespace::open`], with the process or thread it was opened by.
    pub fn hold(&self, host: &Host) -> Option<Held> {
        let last = Some(self.last).filter(|_| self.processes > 1);
        let tasks = [self.pid, last, self.thread].into_iter().flatten().map(Holder::Process);
        let mut holders = tasks.chain(self.mounts.iter().map(|path| Holder::Mount(path)));
        let held = holders.find_map(|holder| holder.open(host, self.id));
        if held.is_none() && self.processes > 2 { by_inode(host, self.id.ino) } else { held }
    }
}

impl Holder {
    /// Opens the namespace if this still holds it.
    fn open(self, host: &Host, id: NsId) -> Option<Held> {
        let (opened, process) = match self {
            Holder::Process(pid) | Holder::Thread(pid) => {
                match Process::hold(host, pid).and_then(|process| Ok((process.netns()?, Some(process)))) {
                    Err(e) if is_denied(e) => return None,
                    held => held.map_err(|e| excuse_process(host, pid, e)).ok()?,
                }
            }
            Holder::Mount(path) => {
                let located = host.unless(path, host.locate(path, Links::Keep))?;
                match NetNs::of_file(&located, path) {
                    Ok(netns) => (netns, None),
                    Err(error) if error.errno.is_some() => give_up(&error),
                    Err(_) => return None,
                }
            }
        };
        (opened.id == id).then_some((opened, process))
    }
}

/// Is shown a namespace and one that holds it; true ends the walk.
type Visitor<'v> = &'v mut dyn FnMut(NsId, Holder) -> bool;

/// Shows every holder of a network namespace, processes by ascending pid first. A path is shown once for each time it is mounted on.
fn visit(host: &Host, show: Visitor<'_>) {
    let ended = Walk { host, denied: Vec::new(), path: Vec::with_capacity(64) }.all(show);
    if ended.unwrap_or_else(|e| give_up(&Error::cannot(b"list /proc", e))) {
        return;
    }
    for (inode, path) in mounts::nsfs(host) {
        // Another mount may hide it.
        if let Some(stat) = host.unless(path, host.locate(path, Links::Keep).and_then(fstat))
            && stat.st_ino == inode
            && show(NsId::new(&stat), Holder::Mount(path))
        {
            break;
        }
    }
}

/// A walk over /proc. It opens nothing but directories and keeps one buffer: there may be tens of thousands of processes.
struct Walk<'h> {
    host: &'h Host,
    /// Processes that may not be looked at, or whose threads may not; with the namespace of those that were shown.
    denied: Vec<(u32, Option<NsId>, Errno)>,
    path: Vec<u8>,
}

impl Walk<'_> {
    fn all(&mut self, show: Visitor<'_>) -> Result<bool, Errno> {
        let proc = self.host.open_proc(b".", OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut ended = false;
        each_name(proc.as_fd(), &mut |name, _| {
            ended = parse_pid(name).is_some_and(|pid| self.process(&proc, pid, show));
            !ended
        })?;
        // Even root is denied a process that is about to exit: at the second look it has gone.
        for (pid, own, _) in std::mem::take(&mut self.denied) {
            ended = ended
                || match own {
                    None => self.process(&proc, pid, show),
                    own => self.threads(&proc, pid, own, show),
                };
        }
        if let Some((pid, _, errno)) = self.denied.first() {
            // The first stands for all: there may be thousands.
            self.host.excuse(text!("/proc/{}/ns/net", pid), *errno);
            self.host.unread_processes.set(self.denied.len() - 1);
        }
        Ok(ended)
    }

    fn process(&mut self, proc: &OwnedFd, pid: u32, show: Visitor<'_>) -> bool {
        let own = match self.look(proc, pid) {
            Ok(own) => Some(own),
            // It may have exited but for its threads.
            Err(e) if is_gone(e) => None,
            Err(e) => return self.excuse(pid, None, e),
        };
        own.is_some_and(|id| show(id, Holder::Process(pid))) || self.threads(proc, pid, own, show)
    }

    /// Shows the threads that are elsewhere than their process.
    fn threads(&mut self, proc: &OwnedFd, pid: u32, own: Option<NsId>, show: Visitor<'_>) -> bool {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY;
        let mut ended = false;
        let listed = statat(proc, c_string(&[self.path(pid, b"task")]), AtFlags::empty()).and_then(|stat| {
            // The directory is linked twice, and once for each thread: usually there is one.
            if stat.st_nlink <= 3 {
                return Ok(());
            }
            let tasks = open_at(proc.as_fd(), &self.path, flags)?;
            each_name(tasks.as_fd(), &mut |name, _| {
                let Some(tid) = parse_pid(name).filter(|tid| *tid != pid) else { return true };
                ended = match self.look(&tasks, tid) {
                    Ok(id) => Some(id) != own && show(id, Holder::Thread(tid)),
                    Err(e) => self.excuse(pid, own, e),
                };
                !ended
            })
        });
        ended || listed.is_err_and(|e| self.excuse(pid, own, e))
    }

    /// Remembers who is denied, for a second look; the walk goes on.
    fn excuse(&mut self, pid: u32, own: Option<NsId>, errno: Errno) -> bool {
        if !is_denied(errno) {
            excuse_process(self.host, pid, errno);
        } else if self.denied.last().is_none_or(|(last, ..)| *last != pid) {
            self.denied.push((pid, own, errno));
        }
        false
    }

    /// The network namespace of a task whose directory is in `dir`.
    fn look(&mut self, dir: &OwnedFd, pid: u32) -> Result<NsId, Errno> {
        id_at(dir.as_fd(), self.path(pid, b"ns/net"))
    }

    fn path(&mut self, pid: u32, rest: &[u8]) -> &[u8] {
        self.path.clear();
        self.path.extend_from_slice(digits(pid.into(), &mut [0; MOST_DIGITS]));
        self.path.push(b'/');
        self.path.extend_from_slice(rest);
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::own_id;

    #[test]
    fn our_own_is_found_once_and_opens() {
        let host = Host::own(Default::default());
        let found = all(&host);
        assert!(found.is_sorted_by(|a, b| a.id < b.id));
        let own = found.iter().find(|namespace| namespace.id == own_id().unwrap()).unwrap();
        assert!(own.processes > 0 && own.pid.is_some_and(|pid| pid <= std::process::id() && pid <= own.last));
        assert_eq!(own.open(&host).unwrap().id, own.id);
        let (netns, process) = by_inode(&host, own.id.ino).unwrap();
        assert!(netns.id == own.id && process.is_some());
        assert!(by_inode(&host, 1).is_none());
    }

    #[test]
    fn what_holds_another_namespace_by_now_is_not_taken() {
        let host = Host::own(Default::default());
        let mut gone = own_id().unwrap();
        gone.ino = 1;
        assert!(Holder::Process(std::process::id()).open(&host, gone).is_none());
        assert!(Holder::Mount(b"/proc/version").open(&host, gone).is_none());
        let namespace =
            Namespace { id: gone, pid: Some(1), last: 9, thread: None, processes: 3, mounts: vec![b"/nowhere"] };
        assert!(namespace.open(&host).is_none());
    }
}
