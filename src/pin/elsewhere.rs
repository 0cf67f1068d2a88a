//! Entries of /run/netns that our own does not show: below other mounts, or in the mount namespaces
//! of other processes, as those of snaps, of units with PrivateMounts= and of containers.
//!
//! /proc/PID/mountinfo tells of them and asks no file system. It is a hint: what is entered is
//! opened and compared. Whose word an entry is, is for who asks to say.

#![forbid(unsafe_code)]

use super::lookup;
use crate::base::error::{Error, Result, is_denied};
use crate::base::escape::{quoted, shown};
use crate::base::text::join;
use crate::host::Host;
use crate::host::mountinfo::{self, Mount, mount_id, netns_inode};
use crate::host::mounts::{may_not_answer, with_id};
use crate::host::process::{Process, all_pids, is_gone, unless_gone};
use crate::host::root::{Root, Symlink};
use crate::kernel::fork;
use crate::kernel::netns::{NetNs, NsId, id_of};
use crate::sys::stdio::write_all;
use rustix::fs::OFlags;
use rustix::io::{self, Errno};
use std::fmt::{self, Display, Formatter};

/// An entry in the mount namespace of another process.
pub(crate) struct Foreign {
    /// A process there, held.
    process: Process,
    /// Its name in /proc/PID/comm.
    comm: Vec<u8>,
    /// Its effective uid.
    pub(crate) uid: u32,
    /// What of a network namespace is mounted there.
    pub(crate) inode: u64,
    /// Its path, as the process calls it.
    path: Vec<u8>,
    /// Whether there is a mount on the way that may not answer.
    is_slow: bool,
}

impl Display for Foreign {
    /// Shows the process, and whose it is where that is not root.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "process {} {}", self.process.pid, shown(&self.comm))?;
        match self.uid {
            0 => Ok(()),
            uid => write!(out, " of uid {uid}"),
        }
    }
}

impl Foreign {
    /// Opens the namespace; None where the process has gone, or has another one there meanwhile, or
    /// hidden below other mounts.
    ///
    /// # Errors
    /// Where the machine refuses.
    pub(crate) fn open(&self, host: &Host) -> Result<Option<NetNs>> {
        let opened = self.process.open_file("root", OFlags::PATH | OFlags::DIRECTORY);
        let Some(root) = unless_gone(host, self.process.pid, opened) else { return Ok(None) };
        let root = Root::Directory(root);
        let path = self.path_for_us();
        if self.is_slow {
            let kept: Vec<_> = root.directory().into_iter().collect();
            let look = |report: &_| {
                // Whether there is something does not matter, but that this is told.
                let _ = root.resolve(&self.path, Symlink::NoFollow);
                let _ = write_all(report, b"+");
            };
            if fork::ask(1, &kept, fork::PATIENCE, &look)?.is_none() {
                host.remember(&path, "its file system does not answer");
                return Ok(None);
            }
        }
        let resolved = host.readable(&path, root.resolve(&self.path, Symlink::NoFollow));
        let Some(resolved) = resolved else { return Ok(None) };
        match NetNs::of_file(&resolved, &path) {
            Err(error) if error.errno().is_none() => Ok(None),
            opened => opened.map(|netns| Some(netns).filter(|netns| netns.id.ino == self.inode)),
        }
    }

    /// Returns the words that name it as TARGET.
    pub(crate) fn words(&self, host: &Host) -> String {
        match host.is_own() {
            true => format!("--file {}", shown(&self.path_for_us())),
            // With --host-root no link of a process's is followed.
            false => format!("--inode {}", self.inode),
        }
    }

    fn path_for_us(&self) -> Vec<u8> {
        [format!("/proc/{}/root", self.process.pid).as_bytes(), &self.path].concat()
    }
}

/// A search for the entries of one name, which looks at each mount namespace once.
pub(crate) struct Search<'h> {
    host: &'h Host,
    /// Where an entry can be.
    paths: [Vec<u8>; 2],
    /// The mount namespaces that were looked at, and our own.
    seen: Vec<NsId>,
}

impl<'h> Search<'h> {
    /// Prepares a search.
    pub(crate) fn new(host: &'h Host, name: &[u8]) -> Search<'h> {
        let paths = [join(b"/run/netns", name), join(b"/var/run/netns", name)];
        let seen = host.stat_proc("self/ns/mnt").into_iter().collect();
        Search { host, paths, seen }
    }

    /// Shows the entries in the mount namespaces, as far as these were not looked at before, of the
    /// processes that count. Ends after so many mounts: users may have any number.
    pub(crate) fn visit(
        &mut self,
        most_mounts: usize,
        counts: &dyn Fn(&Process) -> bool,
        visitor: &mut dyn FnMut(Foreign),
    ) {
        let mut left = most_mounts;
        for pid in all_pids(self.host) {
            if left == 0 {
                break;
            }
            match self.look_at(pid, counts, &mut left) {
                Ok(found) => found.into_iter().for_each(&mut *visitor),
                // Who may not be looked at has none for the caller.
                Err(e) if is_gone(e) || is_denied(e) => {}
                // Whoever else mounts without end is not read to it.
                Err(Errno::FBIG) if most_mounts != usize::MAX => break,
                Err(e) => self.host.fail(Error::cannot(format!("look at process {pid}"), e)),
            }
        }
    }

    fn look_at(
        &mut self,
        pid: u32,
        counts: &dyn Fn(&Process) -> bool,
        left: &mut usize,
    ) -> io::Result<Option<Foreign>> {
        // The bytes of a file of so many lines, of which each is a mount.
        const MOST: usize = 256 << 20;
        const LINE: usize = 64;
        // To look at a mount namespace is work, however few there are.
        const LEAST: usize = 1 << 8;
        let host = self.host;
        let namespace = host.stat_proc(&format!("{pid}/ns/mnt"))?;
        if self.seen.contains(&namespace) {
            return Ok(None);
        }
        let process = Process::open(host, pid)?;
        if !counts(&process) {
            return Ok(None);
        }
        *left = left.saturating_sub(LEAST);
        let opened = process.open_file("mountinfo", OFlags::RDONLY);
        let file = opened.map_err(mountinfo::gone_if_left)?;
        let mounts = mountinfo::read_file(host, file, left.saturating_mul(LINE).min(MOST))?;
        *left = left.saturating_sub(mounts.len());
        // It may be another process than was looked at first, or have gone elsewhere.
        if id_of(process.open_file("ns/mnt", OFlags::PATH)?)? != namespace {
            return Err(Errno::SRCH);
        }
        // Who has another directory for `/` may not see all of them.
        if mounts.iter().any(|mount| mount.point == b"/") {
            self.seen.push(namespace);
        }
        // The last one is on top.
        let entry = mounts.iter().rev().find_map(|mount| {
            let inode = netns_inode(mount).filter(|_| self.paths.contains(&mount.point))?;
            Some((inode, mount.point.clone()))
        });
        let Some((inode, path)) = entry else { return Ok(None) };
        let is_slow = |mount: &Mount| may_not_answer(&mount.kind) && path.starts_with(&mount.point);
        let is_slow = mounts.iter().any(is_slow);
        let comm = process.read(host, "comm")?.trim_ascii_end().to_vec();
        let uid = process.owner()?;
        Ok(Some(Foreign { process, comm, uid, inode, path, is_slow }))
    }
}

/// Returns why the entry of this name is not to be seen in our own directory, if it is mounted
/// there: because of another mount.
///
/// # Errors
/// Where our mounts cannot be read.
pub(crate) fn hidden(host: &Host, name: &[u8]) -> Result<Option<Error>> {
    let directory = lookup::directory(host);
    let path = join(directory, name);
    let seen = host
        .resolve(&path, Symlink::NoFollow)
        .or_else(|_| host.resolve(directory, Symlink::Follow));
    let Some(top) = seen.ok().and_then(|seen| mount_id(&seen).ok()) else { return Ok(None) };
    let mounts = mountinfo::all(host)?;
    let is_it = |mount: &&Mount| {
        mount.id != top
            && netns_inode(mount).is_some()
            && host.path_inside(&mount.point).ok().flatten() == Some(&path)
    };
    let over = mounts.iter().find(|mount| mount.id == top);
    let (Some(below), Some(over)) = (mounts.iter().rfind(is_it), over) else { return Ok(None) };
    let inode = netns_inode(below).unwrap_or_default();
    let (point, kind) = (quoted(&over.point), shown(&over.kind));
    let fault = format!("is network namespace {inode}, but hidden by the mount on {point}");
    Ok(Some(
        Error::of(&path, format!("{fault} ({kind})"))
            .with_remedy(format!("to uncover it: umount {}", shown(&over.point))),
    ))
}

/// Notes where an entry that is a namespace hides another one, which is mounted on the same file.
pub(crate) fn note_stack(host: &Host, name: &[u8]) {
    let path = join(lookup::directory(host), name);
    let mount = |id| mountinfo::parse(&with_id(host, id).ok()?);
    let below = || {
        let top = host.resolve(&path, Symlink::NoFollow).and_then(|top| mount_id(&top)).ok()?;
        let top = mount(top)?;
        let below = netns_inode(&mount(top.parent)?)?;
        (netns_inode(&top)? != below).then_some(below)
    };
    if let Some(inode) = below() {
        let fault = format!("is mounted on network namespace {inode}, which it hides");
        host.console.note_of(&path, fault);
    }
}
