//! The network namespaces that are mounted in other mount namespaces than ours.

#![forbid(unsafe_code)]

use super::report::{Kind, Record};
use super::{FIRST_INODE, Kept, Look};
use crate::base::read::Buffer;
use crate::base::text::{find, join, lines};
use crate::host::holders::{join_mounts, open_descriptor};
use crate::host::mountinfo;
use crate::host::procfs::ProcDir;
use crate::kernel::fork;
use crate::kernel::netns::{NsId, id_of, id_unasked};
use crate::sys::fd::reopen;
use crate::sys::nsfs::{namespace_type, owning_userns, userns_owner};
use crate::sys::stdio::write_all;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::io::{self, Errno};
use rustix::process::geteuid;

/// CLONE_NEWNS and CLONE_NEWNET, linux/sched.h.
const NEWNS: u32 = 0x2_0000;
const NEWNET: u32 = 0x4000_0000;

/// The most bytes of a mount namespace's mountinfo.
const MOST: usize = 256 << 20;

impl Look<'_> {
    /// Tells of the mounts of the mount namespace of a task, if it is root's and was not met yet.
    pub(super) fn mount_namespace(
        &mut self,
        dir: &ProcDir,
        task: &[u8],
        pid: u32,
    ) -> io::Result<()> {
        let path = join(task, b"ns/mnt");
        let id = NsId::new(&dir.stat(&path)?);
        if self.is_known(id) {
            return Ok(());
        }
        let namespace = dir.open(&path, OFlags::RDONLY)?;
        if id_of(&namespace)? != id || !self.is_roots(&namespace)? {
            return Ok(());
        }
        let opened = dir.open(&join(task, b"mountinfo"), OFlags::RDONLY);
        let file = opened.map_err(mountinfo::gone_if_left)?;
        let text = self.host.buffer.read_all(file, 64 << 10, MOST)?;
        self.mounts(&text, Kind::Mount, pid, 0);
        self.add(id);
        Ok(())
    }

    /// Tells whether a mount namespace was looked at.
    fn is_known(&self, id: NsId) -> bool {
        self.spaces.binary_search(&id).is_ok()
    }

    /// Remembers that one was looked at. Where that has failed, another task may still let it.
    fn add(&mut self, id: NsId) {
        if let Err(at) = self.spaces.binary_search(&id) {
            self.spaces.insert(at, id);
        }
    }

    /// Tells whether a mount namespace belongs to root or to the caller. Users may have any number
    /// of others, with any number of mounts.
    ///
    /// # Errors
    /// Where the machine does not let it be told.
    fn is_roots(&self, namespace: &OwnedFd) -> io::Result<bool> {
        let owner = match owning_userns(namespace) {
            Err(Errno::PERM | Errno::NOTTY) => return Ok(false),
            owner => owner?,
        };
        let euid = geteuid();
        Ok(self.owners.contains(&id_of(&owner)?)
            || (!euid.is_root() && userns_owner(&owner) == Ok(euid.as_raw())))
    }

    /// Tells of the network namespaces that are mounted by a mountinfo.
    fn mounts(&mut self, text: &[u8], kind: Kind, pid: u32, fd: u32) {
        for line in lines(text) {
            // The others may be many, and are not parsed.
            if find(line, b" - nsfs ").is_none() {
                continue;
            }
            let Some(mount) = mountinfo::parse(line) else { continue };
            let Some(inode) = mountinfo::netns_inode(&mount) else { continue };
            self.tell(&Record { kind, pid, fd, inode, cookie: 0, text: &mount.point });
            if let Err(at) = self.points.binary_search(&mount.point) {
                self.points.insert(at, mount.point);
            }
        }
    }

    /// Looks at a descriptor that has the path of a mounted namespace, or that of a mount which is
    /// no longer there.
    pub(super) fn mounted(&mut self, pid: u32, fd: u32) -> io::Result<()> {
        if self.inode_of(pid, fd)?.is_some_and(|inode| inode < FIRST_INODE) {
            return Ok(());
        }
        let resolved = open_descriptor(self.host, pid, fd)?;
        let id = id_unasked(&resolved)?;
        if id.dev != self.device {
            return Ok(());
        }
        match namespace_type(reopen(&resolved, OFlags::RDONLY)?) {
            Ok(NEWNET) => {
                let record = Record::new(Kind::Descriptor, b"");
                self.tell(&Record { pid, fd, inode: id.ino, ..record });
            }
            Ok(NEWNS) => self.kept.push(Kept { id, pid, fd }),
            Err(Errno::NOTTY) | Ok(_) => {}
            Err(e) => return Err(e),
        }
        Ok(())
    }

    /// Tells of the mounts of mount namespaces that no process is in.
    pub(super) fn kept_mounts(&mut self, proc: &ProcDir) {
        for Kept { id, pid, fd } in std::mem::take(&mut self.kept) {
            if self.is_known(id) {
                continue;
            }
            if let Err(e) = self.look_into(proc, id, pid, fd) {
                self.pass_over(pid, fd, e);
            }
        }
    }

    fn look_into(&mut self, proc: &ProcDir, id: NsId, pid: u32, fd: u32) -> io::Result<()> {
        let resolved = open_descriptor(self.host, pid, fd)?;
        if id_unasked(&resolved)? != id {
            return Ok(());
        }
        let namespace = reopen(&resolved, OFlags::RDONLY)?;
        if !self.is_roots(&namespace)? {
            return Ok(());
        }
        let told = fork::query(&|pipe| {
            let read = || {
                join_mounts(&namespace)?;
                let file = proc.open(b"self/mountinfo", OFlags::RDONLY)?;
                let text = Buffer::default();
                let text = text.read_all(file, 64 << 10, MOST)?;
                write_all(pipe, &text)
            };
            // A mount namespace has a mount at least: where none is told, that failed.
            let _ = read();
        });
        match told {
            Ok(text) if text.is_empty() => return Err(Errno::PERM),
            Ok(text) => {
                self.mounts(&text, Kind::KeptMount, pid, fd);
                self.add(id);
            }
            Err(error) => self.host.fail(error),
        }
        Ok(())
    }
}
