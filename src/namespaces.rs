//! Every network namespace that can be reached: through a process, a thread, or a mount.
//!
//! Processes come and go while /proc is walked. What is noted of a namespace is therefore a hint, too: it is opened again through
//! whatever held it, and compared.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, join};
use crate::error::{Error, Result, is_denied};
use crate::host::{Host, each_name};
use crate::mounts;
use crate::netns::{NetNs, NsId};
use crate::process::{Process, is_gone, parse_pid};
use crate::root::Links;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Mode, OFlags, fstat, openat, statat};
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

/// All of them, sorted by inode, each once.
///
/// # Errors
/// Where /proc or the mounts cannot be read. What the caller may not look at is left to [`Host::unread`].
pub fn all(host: &Host) -> Result<Vec<Namespace>> {
    let mut found: Vec<Namespace> = Vec::new();
    visit(host, &mut |id, holder| {
        let at = match found.binary_search_by_key(&id, |known| known.id) {
            Ok(at) => at,
            Err(at) => {
                found.insert(at, Namespace::new(id));
                at
            }
        };
        found[at].add(holder);
        Ok(false)
    })?;
    Ok(found)
}

/// Opens the namespace with this inode; None where nothing that can be looked at holds it.
///
/// # Errors
/// As [`all`].
pub fn by_inode(host: &Host, inode: u64) -> Result<Option<Held>> {
    let mut found = None;
    visit(host, &mut |id, holder| {
        if id.ino == inode {
            found = holder.open(host, id)?;
        }
        Ok(found.is_some())
    })?;
    Ok(found)
}

impl Namespace {
    /// One that nothing is known to hold.
    pub fn new(id: NsId) -> Namespace {
        Namespace { id, pid: None, last: 0, thread: None, processes: 0, mounts: Vec::new() }
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
    ///
    /// # Errors
    /// Where the machine, rather than its having vanished, is the reason.
    pub fn open(&self, host: &Host) -> Result<Option<NetNs>> {
        Ok(self.hold(host)?.map(|(netns, _)| netns))
    }

    /// As [`Namespace::open`], with the process or thread it was opened by.
    ///
    /// # Errors
    /// As [`Namespace::open`].
    pub fn hold(&self, host: &Host) -> Result<Option<Held>> {
        let last = Some(self.last).filter(|_| self.processes > 1);
        for task in [self.pid, last, self.thread].into_iter().flatten() {
            if let Some(held) = Holder::Process(task).open(host, self.id)? {
                return Ok(Some(held));
            }
        }
        for path in &self.mounts {
            if let Some(held) = Holder::Mount(path).open(host, self.id)? {
                return Ok(Some(held));
            }
        }
        if self.processes > 2 { by_inode(host, self.id.ino) } else { Ok(None) }
    }
}

impl Holder {
    /// Opens the namespace if this still holds it.
    fn open(self, host: &Host, id: NsId) -> Result<Option<Held>> {
        let (opened, process) = match self {
            Holder::Process(pid) | Holder::Thread(pid) => {
                let cannot = |e| Error::cannot(format_args!("open the network namespace of process {pid}"), e);
                let gone = |e| is_gone(e) || is_denied(e);
                let process = match Process::hold(host, pid) {
                    Ok(Some(process)) => process,
                    Ok(None) => return Ok(None),
                    Err(e) if gone(e) => return Ok(None),
                    Err(e) => return Err(cannot(e)),
                };
                match process.netns() {
                    Ok(netns) => (netns, Some(process)),
                    Err(e) if gone(e) => return Ok(None),
                    Err(e) => return Err(cannot(e)),
                }
            }
            Holder::Mount(path) => {
                let located = match host.locate(path, Links::Keep) {
                    Ok(located) => located,
                    Err(e) => return host.excuse(path, e).map(|()| None),
                };
                match NetNs::of_file(located, path) {
                    Ok(netns) => (netns, None),
                    Err(error) if error.errno.is_some() => return Err(error),
                    Err(_) => return Ok(None),
                }
            }
        };
        Ok((opened.id == id).then_some((opened, process)))
    }
}

/// Is shown a namespace and one that holds it; true ends the walk.
type Visitor<'v> = &'v mut dyn FnMut(NsId, Holder) -> Result<bool>;

/// Shows every holder of a network namespace, processes by ascending pid first. A path is shown once for each time it is mounted on.
fn visit(host: &Host, show: Visitor<'_>) -> Result<()> {
    let mut walk = Walk { host, denied: 0, path: Vec::with_capacity(64) };
    let ended = walk.processes(show)?;
    host.unread_processes.set(walk.denied.saturating_sub(1));
    if ended {
        return Ok(());
    }
    for (inode, path) in mounts::nsfs(host)? {
        // Another mount may hide it.
        match host.locate(path, Links::Keep).and_then(fstat) {
            Ok(stat) if stat.st_ino == inode => {
                if show(NsId { ino: inode, dev: stat.st_dev }, Holder::Mount(path))? {
                    break;
                }
            }
            Ok(_) => {}
            Err(e) => host.excuse(path, e)?,
        }
    }
    Ok(())
}

/// A walk over /proc. It opens nothing but directories and keeps one buffer: there may be tens of thousands of processes.
struct Walk<'h> {
    host: &'h Host,
    denied: usize,
    path: Vec<u8>,
}

impl Walk<'_> {
    fn processes(&mut self, show: Visitor<'_>) -> Result<bool> {
        let cannot = |e| Error::cannot(format_args!("list /proc"), e);
        let proc = self.host.open_proc(".", OFlags::RDONLY | OFlags::DIRECTORY).map_err(cannot)?;
        let mut ended = Ok(false);
        each_name(proc.as_fd(), &mut |name, _| {
            if let Some(pid) = parse_pid(name) {
                ended = self.process(&proc, name, pid, show);
            }
            matches!(ended, Ok(false))
        })
        .map_err(cannot)?;
        ended
    }

    fn process(&mut self, proc: &OwnedFd, name: &[u8], pid: u32, show: Visitor<'_>) -> Result<bool> {
        let denied = self.denied;
        let own = self.look(proc, name)?;
        if let Some(id) = own
            && show(id, Holder::Process(pid))?
        {
            return Ok(true);
        }
        let is_denied = self.denied > denied;
        Ok(!is_denied && self.has_threads(proc, name)? && self.threads(proc, pid, own, show)?)
    }

    /// Whether there are threads but the first: the directory is linked twice, and once for each.
    fn has_threads(&mut self, proc: &OwnedFd, name: &[u8]) -> Result<bool> {
        match statat(proc, self.path(name, b"task"), AtFlags::empty()) {
            Ok(stat) => Ok(stat.st_nlink > 3),
            Err(e) => self.excuse(e).map(|()| false),
        }
    }

    /// Shows the threads that are elsewhere than their process.
    fn threads(&mut self, proc: &OwnedFd, pid: u32, own: Option<NsId>, show: Visitor<'_>) -> Result<bool> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        // The path that was looked at last.
        let tasks = match openat(proc, &self.path[..], flags, Mode::empty()) {
            Ok(tasks) => tasks,
            Err(e) => return self.excuse(e).map(|()| false),
        };
        let mut ended = Ok(false);
        let listed = each_name(tasks.as_fd(), &mut |name, _| {
            if let Some(tid) = parse_pid(name).filter(|tid| *tid != pid) {
                ended = match self.look(&tasks, name) {
                    Ok(Some(id)) if Some(id) != own => show(id, Holder::Thread(tid)),
                    seen => seen.map(|_| false),
                };
            }
            matches!(ended, Ok(false))
        });
        if let Err(e) = listed {
            self.excuse(e)?;
        }
        ended
    }

    /// The network namespace of a task whose directory is `dir/name`; None where it has gone or may not be looked at.
    fn look(&mut self, dir: &OwnedFd, name: &[u8]) -> Result<Option<NsId>> {
        match statat(dir, self.path(name, b"ns/net"), AtFlags::empty()) {
            Ok(stat) => Ok(Some(NsId { ino: stat.st_ino, dev: stat.st_dev })),
            Err(e) => self.excuse(e).map(|()| None),
        }
    }

    fn excuse(&mut self, errno: Errno) -> Result<()> {
        if is_gone(errno) {
            return Ok(());
        }
        if is_denied(errno) {
            self.denied += 1;
            // The first stands for all: there may be thousands.
            if self.denied > 1 {
                return Ok(());
            }
        }
        self.host.excuse(join(&[b"/proc/", &self.path]), errno)
    }

    fn path(&mut self, name: &[u8], rest: &[u8]) -> &[u8] {
        self.path.clear();
        self.path.extend_from_slice(name);
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
        let found = all(&host).unwrap();
        assert!(found.is_sorted_by(|a, b| a.id < b.id));
        let own = found.iter().find(|namespace| namespace.id == own_id().unwrap()).unwrap();
        assert!(own.processes > 0 && own.pid.is_some_and(|pid| pid <= std::process::id() && pid <= own.last));
        assert_eq!(own.open(&host).unwrap().unwrap().id, own.id);
        let (netns, process) = by_inode(&host, own.id.ino).unwrap().unwrap();
        assert!(netns.id == own.id && process.is_some());
        assert!(by_inode(&host, 1).unwrap().is_none());
    }

    #[test]
    fn what_holds_another_namespace_by_now_is_not_taken() {
        let host = Host::own(Default::default());
        let gone = NsId { ino: 1, dev: 1 };
        assert!(Holder::Process(std::process::id()).open(&host, gone).unwrap().is_none());
        assert!(Holder::Mount(b"/proc/version").open(&host, gone).unwrap().is_none());
        let namespace =
            Namespace { id: gone, pid: Some(1), last: 9, thread: None, processes: 3, mounts: vec![b"/nowhere"] };
        assert!(namespace.open(&host).unwrap().is_none());
    }
}
