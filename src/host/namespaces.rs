//! Every network namespace that can be reached: through a process, a thread, or a mount; by the
//! kernel's own list; and by a deep look through all else that keeps one.
//!
//! Processes come and go while /proc is walked. What is noted of a namespace is therefore a hint,
//! too: it is opened again through whatever held it, and compared.

#![forbid(unsafe_code)]

use super::deep;
use super::holders::Holder;
pub(crate) use super::holders::Opened;
use super::process::{is_gone, parse_pid, pass_over, unless_gone};
use super::procfs::ProcDir;
use super::root::Symlink;
use super::{Host, mountinfo, visit_names};
use crate::base::error::{Error, Result, is_denied};
use crate::base::text::join;
use crate::kernel::cookie;
use crate::kernel::netns::{Home, NetNs, NsId};
use crate::sys::fd::open_at;
use rustix::fs::{CWD, OFlags, fstat};
use rustix::io::{self, Errno};
use std::io::Write;

/// A network namespace, and what held it when /proc was walked.
#[derive(Debug)]
pub(crate) struct Namespace {
    /// Its identity.
    pub(crate) id: NsId,
    /// The lowest pid in it; None where no process is.
    pub(crate) pid: Option<u32>,
    /// The highest pid in it: where both have gone, a third process may be left.
    last: u32,
    /// The lowest id of a thread that is in it while its process is not.
    pub(crate) thread: Option<u32>,
    /// How many processes are in it.
    pub(crate) processes: u32,
    /// Where it is mounted, as paths are called on the host.
    pub(crate) mounts: Vec<Vec<u8>>,
    /// Its cookie, where that was met.
    pub(crate) cookie: Option<u64>,
    /// All that keeps it, after a deep look.
    pub(crate) holders: Vec<Holder>,
}

/// Returns all network namespaces, sorted, each once. What the caller may not look at is left to
/// [`Host::unread`], where the machine fails to [`Host::check`].
pub(crate) fn all(host: &Host) -> Vec<Namespace> {
    shallow(host, false)
}

/// Returns all network namespaces as [`all`] does, after a deep look and with all that keeps them,
/// or as far as it takes to find what keeps the one with the inode `wanted`;
/// and the open files of /proc/PID/net of which none of these is the namespace, together as far as
/// they are of one process's.
///
/// # Errors
/// As [`Home::within`].
pub(crate) fn all_with_holders(
    host: &Host,
    wanted: Option<u64>,
) -> Result<(Vec<Namespace>, Vec<Vec<Holder>>)> {
    let mut found = shallow(host, true);
    let home = Home::own()?;
    let device = home.id().dev;
    for (ino, path) in mountinfo::nsfs(host) {
        let namespace = place(&mut found, NsId { ino, dev: device });
        if !namespace.mounts.contains(&path) {
            // Another mount hides it.
            namespace.holders.push(Holder::Mount(path));
        }
    }
    let mut files = Vec::new();
    deep::look(host, wanted, &mut |ino, cookie, holder| match holder {
        Holder::File { .. } => files.push((ino, holder)),
        holder => {
            let namespace = place(&mut found, NsId { ino, dev: device });
            namespace.cookie = namespace.cookie.or(cookie);
            namespace.holders.push(holder);
        }
    });
    let unknown = place_files(host, &home, &mut found, files)?;
    Ok((found, unknown))
}

/// Finds of which namespace each file of /proc/PID/net is, by its inode, which is another one in
/// each namespace. Returns those of none.
fn place_files(
    host: &Host,
    home: &Home,
    found: &mut [Namespace],
    files: Vec<(u64, Holder)>,
) -> Result<Vec<Vec<Holder>>> {
    // More names than root's programs have open are not looked for in each namespace.
    const MOST_NAMES: usize = 64;
    let mut unknown: Vec<Vec<Holder>> = Vec::new();
    let mut names: Vec<(Vec<u8>, Vec<Option<u64>>)> = Vec::new();
    for (inode, holder) in files {
        let Holder::File { path, .. } = &holder else { continue };
        let Some((directory, name)) = deep::split_at_net(path) else { continue };
        if names.len() < MOST_NAMES && names.iter().all(|(known, _)| known != name) {
            let mut inodes = Vec::with_capacity(found.len());
            for namespace in found.iter() {
                inodes.push(namespace.inode_of(host, home, name)?);
            }
            names.push((name.to_vec(), inodes));
        }
        let inodes = names.iter().find(|(known, _)| known == name).map(|(_, inodes)| inodes);
        let at = inodes.and_then(|all| all.iter().position(|known| *known == Some(inode)));
        // All of a group are of one directory.
        let is_beside = |group: &&mut Vec<Holder>| {
            let first = group.first();
            matches!(first, Some(Holder::File { path, .. }) if path.starts_with(directory))
        };
        match (at, unknown.iter_mut().rev().find(is_beside)) {
            (Some(at), _) => found[at].holders.push(holder),
            (None, Some(group)) => group.push(holder),
            (None, None) => unknown.push(vec![holder]),
        }
    }
    Ok(unknown)
}

/// Walks over /proc and our mounts, and asks for the kernel's list.
fn shallow(host: &Host, keeps_holders: bool) -> Vec<Namespace> {
    let mut found: Vec<Namespace> = Vec::new();
    visit(host, &mut |id, holder| {
        place(&mut found, id).add(holder, keeps_holders);
        true
    });
    add_listed(host, &mut found);
    found
}

/// Returns the namespace with this identity out of a sorted list, into which it is put.
fn place(found: &mut Vec<Namespace>, id: NsId) -> &mut Namespace {
    let at = found.binary_search_by_key(&id, |known| known.id).unwrap_or_else(|at| {
        found.insert(at, Namespace::new(id));
        at
    });
    &mut found[at]
}

/// Adds what the kernel lists, opened by its cookie alone: Linux 6.19.
fn add_listed(host: &Host, found: &mut Vec<Namespace>) {
    let listed = cookie::visit_all(&mut |cookie| {
        // What we may not see, or what has gone, is not opened.
        if let Some(netns) = host.readable(b"/proc", cookie::open(cookie)).flatten() {
            place(found, netns.id).cookie = Some(cookie);
        }
        true
    });
    if let Err(e) = listed {
        host.fail(Error::cannot("list the network namespaces", e));
    }
}

/// Opens the namespace with this inode; None where nothing that can be looked at holds it.
pub(crate) fn by_inode(host: &Host, inode: u64) -> Option<Opened> {
    let mut found = None;
    visit(host, &mut |id, holder| {
        if id.ino == inode {
            found = holder.open(host, id);
        }
        found.is_none()
    });
    found
}

impl Namespace {
    /// Makes a namespace that nothing is known to hold.
    pub(crate) fn new(id: NsId) -> Namespace {
        Namespace {
            id,
            pid: None,
            last: 0,
            thread: None,
            processes: 0,
            mounts: Vec::new(),
            cookie: None,
            holders: Vec::new(),
        }
    }

    fn add(&mut self, holder: Holder, keeps_holders: bool) {
        let lower = |known: Option<u32>, new| Some(known.map_or(new, |known| known.min(new)));
        match &holder {
            Holder::Process(pid) => {
                self.pid = lower(self.pid, *pid);
                self.last = self.last.max(*pid);
                self.processes += 1;
            }
            Holder::Thread(tid) => self.thread = lower(self.thread, *tid),
            Holder::Mount(path) if !self.mounts.contains(path) => self.mounts.push(path.clone()),
            _ => return,
        }
        if keeps_holders {
            self.holders.push(holder);
        }
    }

    /// Tells whether neither a process, a thread nor a mount that can be seen here holds it.
    pub(crate) fn is_left(&self) -> bool {
        self.pid.is_none() && self.thread.is_none() && self.mounts.is_empty()
    }

    /// Tells whether a mount holds it that cannot be seen here.
    pub(crate) fn is_held_by_mount(&self) -> bool {
        let is_mount = |holder: &Holder| {
            matches!(holder, Holder::Mount(path) if !self.mounts.contains(path))
                || matches!(holder, Holder::ForeignMount { .. })
        };
        self.holders.iter().any(is_mount)
    }

    /// Returns the inode that the file `name` of /proc/PID/net has in this namespace.
    fn inode_of(&self, host: &Host, home: &Home, name: &[u8]) -> Result<Option<u64>> {
        let inode = |file| fstat(file).map(|stat| stat.st_ino);
        if let Some(pid) = self.pid.or(self.thread) {
            let path = join(format!("{pid}/net").as_bytes(), name);
            return Ok(unless_gone(host, pid, host.open_proc(&path, OFlags::PATH).and_then(inode)));
        }
        let Some(netns) = self.open(host) else { return Ok(None) };
        let path = join(b"/proc/self/net", name);
        let here = || Ok(host.readable(&path, open_at(CWD, &path, OFlags::PATH).and_then(inode)));
        Ok(home.within(&netns, here)?.flatten())
    }

    /// Opens the namespace; None where it has vanished meanwhile.
    pub(crate) fn open(&self, host: &Host) -> Option<NetNs> {
        self.open_with_holder(host).map(|(netns, _)| netns)
    }

    /// Opens the namespace and the process or thread that holds it; None where it has vanished
    /// meanwhile.
    pub(crate) fn open_with_holder(&self, host: &Host) -> Option<Opened> {
        let last = Some(self.last).filter(|_| self.processes > 1);
        let tasks = [self.pid, last, self.thread].into_iter().flatten().map(Holder::Process);
        let mounts = self.mounts.iter().map(|path| Holder::Mount(path.clone()));
        // By its inode alone it is not looked for: another namespace may have that by now.
        let opened = tasks.chain(mounts).find_map(|holder| holder.open(host, self.id));
        let by_cookie = || {
            let netns = host.readable(b"/proc", cookie::open(self.cookie?)).flatten();
            Some((netns.filter(|netns| netns.id == self.id)?, None))
        };
        let by_others = || {
            let mut others = self.holders.iter().filter(|holder| !holder.is_plain());
            others.find_map(|holder| holder.open(host, self.id))
        };
        opened.or_else(by_cookie).or_else(by_others)
    }
}

/// Is shown a namespace and one that holds it; false ends the walk.
type Visitor<'v> = &'v mut dyn FnMut(NsId, Holder) -> bool;

/// Shows every holder of a network namespace, processes by ascending pid first. A path is shown
/// once for each time it is mounted on.
fn visit(host: &Host, visitor: Visitor<'_>) {
    let mut walk = Walk { host, denied: Vec::new(), path: Vec::with_capacity(64) };
    if !walk.all(visitor) {
        return;
    }
    for (inode, path) in mountinfo::nsfs(host) {
        let resolved = host.resolve(&path, Symlink::NoFollow).and_then(fstat);
        let Some(stat) = host.readable(&path, resolved) else { continue };
        // Another mount may hide it.
        if stat.st_ino == inode && !visitor(NsId::new(&stat), Holder::Mount(path)) {
            break;
        }
    }
}

/// A walk over /proc. It opens nothing but directories and keeps one buffer: there may be tens of
/// thousands of processes. Each step tells whether the walk goes on.
struct Walk<'h> {
    host: &'h Host,
    denied: Vec<Denied>,
    /// Of a file below a task's directory.
    path: Vec<u8>,
}

/// A process that may not be looked at, or whose threads may not.
struct Denied {
    pid: u32,
    /// Its own namespace, where only the threads are missing.
    own: Option<NsId>,
    errno: Errno,
}

impl Walk<'_> {
    /// Shows all processes and threads.
    fn all(&mut self, visitor: Visitor<'_>) -> bool {
        let mut goes_on = true;
        let listed = self.host.proc_dir(b".", OFlags::RDONLY).and_then(|proc| {
            visit_names(&proc, &mut |name, _| {
                if let Some(pid) = parse_pid(name) {
                    goes_on = self.process(&proc, pid, visitor);
                }
                goes_on
            })?;
            // Even root is denied a process that is about to exit: at the second look it has gone.
            for Denied { pid, own, .. } in std::mem::take(&mut self.denied) {
                goes_on = goes_on
                    && match own {
                        None => self.process(&proc, pid, visitor),
                        own => self.threads(&proc, pid, own, visitor),
                    };
            }
            Ok(())
        });
        if let Err(e) = listed {
            self.host.fail(Error::cannot("list /proc", e));
        }
        if let Some(Denied { pid, errno, .. }) = self.denied.first() {
            // The first stands for all: there may be thousands.
            self.host.remember_unread(format!("/proc/{pid}/ns/net").as_bytes(), *errno);
            self.host.unread_processes.set(self.denied.len() - 1);
        }
        goes_on
    }

    /// Shows a process, then its threads.
    fn process(&mut self, proc: &ProcDir, pid: u32, visitor: Visitor<'_>) -> bool {
        let own = match self.netns_of(proc, pid) {
            Ok(own) => Some(own),
            // It may have exited but for its threads.
            Err(e) if is_gone(e) => None,
            Err(e) => return self.pass_over(pid, None, e),
        };
        let goes_on = own.is_none_or(|id| visitor(id, Holder::Process(pid)));
        goes_on && self.threads(proc, pid, own, visitor)
    }

    /// Shows the threads that are elsewhere than their process.
    fn threads(
        &mut self,
        proc: &ProcDir,
        pid: u32,
        own: Option<NsId>,
        visitor: Visitor<'_>,
    ) -> bool {
        let mut goes_on = true;
        let listed = self.other_threads(proc, pid).and_then(|tasks| {
            let Some(tasks) = tasks else { return Ok(()) };
            visit_names(&tasks, &mut |name, _| {
                let Some(tid) = parse_pid(name).filter(|tid| *tid != pid) else { return true };
                goes_on = match self.netns_of(&tasks, tid) {
                    Ok(id) if Some(id) == own => true,
                    Ok(id) => visitor(id, Holder::Thread(tid)),
                    Err(e) => self.pass_over(pid, own, e),
                };
                goes_on
            })
        });
        match listed {
            Err(e) if goes_on => self.pass_over(pid, own, e),
            _ => goes_on,
        }
    }

    /// Opens the directory of a process's threads, if it has more than one.
    fn other_threads(&mut self, proc: &ProcDir, pid: u32) -> io::Result<Option<ProcDir>> {
        let path = self.path_of(pid, "task");
        // The directory is linked twice, and once for each thread: usually there is one.
        if proc.stat(path)?.st_nlink <= 3 {
            return Ok(None);
        }
        proc.directory(path, OFlags::RDONLY).map(Some)
    }

    /// Goes on without a process that met a failure. Who is denied is remembered for a second look.
    fn pass_over(&mut self, pid: u32, own: Option<NsId>, errno: Errno) -> bool {
        if !is_denied(errno) {
            pass_over(self.host, pid, errno);
        } else if self.denied.last().is_none_or(|last| last.pid != pid) {
            self.denied.push(Denied { pid, own, errno });
        }
        true
    }

    /// Returns the network namespace of a task whose directory is in `dir`.
    fn netns_of(&mut self, dir: &ProcDir, pid: u32) -> io::Result<NsId> {
        dir.stat(self.path_of(pid, "ns/net")).map(|stat| NsId::new(&stat))
    }

    /// Returns the path of a file of a task, in the one buffer.
    fn path_of(&mut self, pid: u32, file: &str) -> &[u8] {
        self.path.clear();
        // Writing to memory does not fail.
        let _ = write!(self.path, "{pid}/{file}");
        &self.path
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;
    use crate::kernel::netns::own_id;

    #[test]
    fn our_own_is_found_once_and_opens() {
        let host = Host::own(Console::default());
        let found = all(&host);
        assert!(found.is_sorted_by(|a, b| a.id < b.id));
        let own = found.iter().find(|namespace| namespace.id == own_id().unwrap()).unwrap();
        let pid = std::process::id();
        assert!(own.processes > 0);
        assert!(own.pid.is_some_and(|first| first <= pid && pid <= own.last));
        assert_eq!(own.open(&host).unwrap().id, own.id);
        let (netns, process) = by_inode(&host, own.id.ino).unwrap();
        assert!(netns.id == own.id && process.is_some());
        assert!(by_inode(&host, 1).is_none());
    }

    #[test]
    fn what_holds_another_namespace_by_now_is_not_taken() {
        let host = Host::own(Console::default());
        let gone = NsId { ino: 1, ..own_id().unwrap() };
        assert!(Holder::Process(std::process::id()).open(&host, gone).is_none());
        assert!(Holder::Mount(b"/proc/version".to_vec()).open(&host, gone).is_none());
        let mounts = vec![b"/nowhere".to_vec()];
        let namespace =
            Namespace { pid: Some(1), last: 9, processes: 3, mounts, ..Namespace::new(gone) };
        assert!(namespace.open(&host).is_none());
        // Nor is who is in it where all that held it have ended: it may be another one by now.
        let last = (i32::MAX as u32) - 1;
        let all_ended =
            Namespace { pid: Some(last), last, processes: 3, ..Namespace::new(own_id().unwrap()) };
        assert!(all_ended.open(&host).is_none());
    }
}
