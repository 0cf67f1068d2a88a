//! The deep look for network namespaces: what processes' descriptors, sockets and open files keep,
//! and the mounts of other mount namespaces.
//!
//! It is a reader's work. Readlink tells of a descriptor what it is, and asks no file system; but
//! what was a socket then may be the file of a program that does not answer when it is fetched, and
//! to close that would wait for ever.

#![forbid(unsafe_code)]

mod mounts;
mod processes;
mod report;

use super::holders::{Holder, fetch, open_pidfd};
use super::process::{parse_pid, pass_over};
use super::procfs::ProcDir;
use super::{Host, mountinfo, visit_names};
use crate::base::error::{describe, is_denied};
use crate::base::text::{join, last, line_after, number};
use crate::kernel::cookie;
use crate::kernel::fork;
use crate::kernel::netns::{INITIAL_USERNS, NsId, id_at, id_of, own_id};
use crate::sys::fd::{ITSELF, read_link};
use crate::sys::libc::netns_cookie;
use crate::sys::nsfs::netns_of_socket;
use crate::sys::stdio::write_all;
use report::{Kind, Record, decode};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, OFlags};
use rustix::io::{self, Errno};
use std::time::{Duration, Instant};

/// After so many bytes, hundreds of thousands of holders, or so long a time nothing more is looked
/// at: users may hold any number.
const MOST: usize = 16 << 20;
const LONGEST: Duration = Duration::from_secs(5);
/// As many bytes are told at once.
const PIECE: usize = 16 << 10;
/// The inodes of namespaces and of files below /proc/PID/net are not below this one:
/// PROC_DYNAMIC_FIRST, fs/proc/generic.c.
const FIRST_INODE: u64 = 0xf000_0000;

/// What a [`look`] shows: the inode of a namespace, for [`Holder::File`] that of the file; its
/// cookie, where that is known; and what keeps it.
pub(super) type Hear<'a> = &'a mut dyn FnMut(u64, Option<u64>, Holder);

/// Shows what keeps network namespaces beside the processes and threads that are in them and the
/// mounts of our mount namespace. What may not be looked at is left to [`Host::unread`], where the
/// machine fails to [`Host::check`]. Where one inode is wanted this ends at the first descriptor or
/// socket of it.
pub(super) fn look(host: &Host, wanted: Option<u64>, hear: Hear<'_>) {
    let Some(patience) = host.mounts.patience() else { return };
    let parent = own_pid(host);
    let told = fork::ask(2 * MOST, &host.descriptors(), patience, &|pipe| {
        host.take_unread();
        let mut look = Look::new(host, pipe, parent, wanted);
        look.all();
        look.end();
    });
    match told {
        Ok(Some(told)) if decode(host, &told, hear).is_some() => {}
        Ok(_) => host.remember(b"/proc/PID/fd", "not all of them could be read"),
        Err(error) => host.fail(error),
    }
}

/// A mount namespace that a process's descriptor keeps.
struct Kept {
    id: NsId,
    pid: u32,
    fd: u32,
}

/// A reader's look.
struct Look<'h> {
    host: &'h Host,
    pipe: &'h OwnedFd,
    report: Vec<u8>,
    /// Our own processes, of which nothing is told.
    own: [Option<u32>; 2],
    has_our_pids: bool,
    /// The device of nsfs.
    device: u64,
    /// The user namespaces of the machine and of the caller.
    owners: Vec<NsId>,
    /// The mount namespaces that were met, sorted.
    spaces: Vec<NsId>,
    kept: Vec<Kept>,
    /// Where namespaces are mounted, sorted: so descriptors that were opened there are called.
    points: Vec<Vec<u8>>,
    /// Which namespaces the cookies mean that sockets tell, sorted; None where that is denied.
    cookies: Vec<(u64, Option<u64>)>,
    /// The processes that were denied, and why.
    denied: Vec<(u32, Errno)>,
    /// How many sockets and mount namespaces were denied.
    denied_sockets: usize,
    /// Processes of others than the caller, and the descriptor from which on they have their turn
    /// last: they may have any number.
    others: Vec<(u32, u32)>,
    /// When the look is broken off, and whether it was.
    end: Instant,
    is_over: bool,
    /// The inode that alone is wanted, and whether what holds it was found.
    wanted: Option<u64>,
    is_found: bool,
    /// How many bytes were told.
    told: usize,
}

impl<'h> Look<'h> {
    fn new(
        host: &'h Host,
        pipe: &'h OwnedFd,
        parent: Option<u32>,
        wanted: Option<u64>,
    ) -> Look<'h> {
        let own = host.readable(b"/proc/self/ns/net", own_id());
        let device = own.map_or(0, |id| id.dev);
        let machines = match host.stat_proc("1/ns/user") {
            Err(e) if is_denied(e) => None,
            machines => host.readable(b"/proc/1/ns/user", machines),
        };
        let mut owners = vec![machines.unwrap_or(NsId { ino: INITIAL_USERNS, dev: device })];
        let here = |path: &[u8]| host.readable(path, id_at(CWD, path));
        owners.extend(here(b"/proc/self/ns/user"));
        let mut points: Vec<_> = mountinfo::nsfs(host).into_iter().map(|(_, path)| path).collect();
        points.sort_unstable();
        // A user may not ask for the namespace of a socket, but knows this one.
        let known = own.and_then(|own| Some((cookie::here().ok()?, Some(own.ino))));
        Look {
            host,
            pipe,
            report: Vec::with_capacity(2 * PIECE),
            own: [parent, own_pid(host)],
            has_our_pids: host.has_our_pids(),
            device,
            owners,
            spaces: Vec::from_iter(here(b"/proc/self/ns/mnt")),
            kept: Vec::new(),
            points,
            cookies: Vec::from_iter(known),
            denied: Vec::new(),
            denied_sockets: 0,
            others: Vec::new(),
            end: Instant::now() + LONGEST,
            is_over: false,
            wanted,
            is_found: false,
            told: 0,
        }
    }

    /// Tells what could not be read, and that this is the end.
    fn end(mut self) {
        if let Some((pid, errno)) = self.denied.first() {
            self.host.remember_unread(format!("/proc/{pid}/fd").as_bytes(), *errno);
        }
        if self.is_over {
            self.host.remember(b"/proc/PID/fd", "there are more than can be looked at");
        }
        for unread in self.host.take_unread() {
            self.tell(&Record::new(Kind::Unread, unread.as_bytes()));
        }
        let more = self.denied.len().saturating_sub(1) + self.denied_sockets.saturating_sub(1);
        self.tell(&Record { inode: more as u64, ..Record::new(Kind::MoreUnread, b"") });
        if let Err(error) = self.host.check() {
            self.tell(&Record::new(Kind::Fault, error.message().as_bytes()));
        }
        self.tell(&Record::new(Kind::End, b""));
        self.flush();
    }

    fn tell(&mut self, record: &Record<'_>) {
        record.encode(&mut self.report);
        let may_open = matches!(record.kind, Kind::Descriptor | Kind::Socket);
        self.is_found |= may_open && self.wanted == Some(record.inode);
        if self.report.len() > PIECE {
            self.flush();
        }
    }

    fn flush(&mut self) {
        // Whom it is for misses what cannot be written, and says so.
        let _ = write_all(self.pipe, &self.report);
        self.told += self.report.len();
        self.is_over |= self.told > MOST;
        self.report.clear();
    }

    /// Tells what the descriptors of a task keep, whose directory is `name`, from this one on;
    /// returns whether it has any. Of another's than the caller's more than a few come last.
    fn descriptors(&mut self, dir: &ProcDir, name: &[u8], pid: u32, from: u32) -> io::Result<bool> {
        const FEW: u32 = 16;
        let mut count = 0;
        let listed = dir.directory(&join(name, b"fd"), OFlags::RDONLY)?;
        let (mut has_any, mut pidfd) = (false, None);
        visit_names(&listed, &mut |number_of, _| {
            has_any = true;
            let fd = number(number_of).and_then(|fd| u32::try_from(fd).ok());
            let Some(fd) = fd.filter(|fd| *fd >= from) else { return true };
            count += 1;
            if count % FEW == 0 {
                self.is_over |= Instant::now() > self.end;
                if count == FEW && from == 0 && self.is_callers(dir, name) != Ok(true) {
                    self.others.push((pid, fd));
                    return false;
                }
            }
            if let Err(e) = self.descriptor(&listed, number_of, pid, fd, &mut pidfd) {
                self.pass_over(pid, fd, e);
            }
            !self.is_at_end()
        })?;
        Ok(has_any)
    }

    /// Goes on without a descriptor that met a failure.
    fn pass_over(&mut self, pid: u32, fd: u32, errno: Errno) {
        match errno {
            // It was closed, or is another one by now; or its path is longer than any can be told.
            Errno::BADF | Errno::NOTSOCK | Errno::NAMETOOLONG => {}
            Errno::PERM | Errno::ACCESS | Errno::NOSYS => {
                let path = format!("/proc/{pid}/fd/{fd}");
                // The first stands for all: there may be thousands.
                if self.denied_sockets == 0 {
                    self.host.remember(path.as_bytes(), &describe(errno));
                }
                self.denied_sockets += 1;
            }
            e => pass_over(self.host, pid, e),
        }
    }

    fn descriptor(
        &mut self,
        listed: &ProcDir,
        name: &[u8],
        pid: u32,
        fd: u32,
        pidfd: &mut Option<OwnedFd>,
    ) -> io::Result<()> {
        let link = read_link(listed, name)?;
        let record = |kind, inode| Record { pid, fd, inode, ..Record::new(kind, b"") };
        if link.starts_with(b"socket:[") {
            let (inode, cookie) = self.namespace_of_socket(pid, fd, pidfd)?;
            self.tell(&Record { cookie, ..record(Kind::Socket, inode) });
        } else if let Some(inode) = labelled(&link, b"net:[") {
            self.tell(&record(Kind::Descriptor, inode));
        } else if let Some(ino) = labelled(&link, b"mnt:[") {
            self.kept.push(Kept { id: NsId { ino, dev: self.device }, pid, fd });
        } else if link == b"/" || self.points.binary_search(&link).is_ok() {
            self.mounted(pid, fd)?;
        } else if let Some((directory, file)) = split_at_net(&link) {
            if let Some(inode) = self.inode_of(pid, fd)?.filter(|inode| *inode >= FIRST_INODE) {
                let text = &link[..directory.len() + file.len()];
                self.tell(&Record { text, ..record(Kind::File, inode) });
            }
        }
        Ok(())
    }

    /// Returns the inode and the cookie of the namespace of a process's socket.
    fn namespace_of_socket(
        &mut self,
        pid: u32,
        fd: u32,
        pidfd: &mut Option<OwnedFd>,
    ) -> io::Result<(u64, u64)> {
        if !self.has_our_pids {
            return Err(Errno::PERM);
        }
        let pidfd = match pidfd {
            Some(pidfd) => pidfd,
            None => pidfd.insert(open_pidfd(pid)?),
        };
        let socket = fetch(pidfd, fd)?;
        let ask = || Ok(id_of(netns_of_socket(&socket)?)?.ino);
        let cookie = match netns_cookie(&socket) {
            Err(Errno::NOPROTOOPT) => return Ok((ask()?, 0)),
            cookie => cookie?,
        };
        let known = match self.cookies.binary_search_by_key(&cookie, |(known, _)| *known) {
            Ok(at) => self.cookies[at].1,
            Err(at) => {
                let inode = match ask() {
                    Err(e) if is_denied(e) => None,
                    inode => Some(inode?),
                };
                self.cookies.insert(at, (cookie, inode));
                inode
            }
        };
        Ok((known.ok_or(Errno::PERM)?, cookie))
    }

    /// Returns the inode of a process's open file, which no file system is asked for:
    /// proc_pid_fdinfo(5), Linux 5.14.
    fn inode_of(&self, pid: u32, fd: u32) -> io::Result<Option<u64>> {
        let path = format!("{pid}/fdinfo/{fd}");
        let file = self.host.open_proc(path.as_bytes(), OFlags::RDONLY)?;
        let text = self.host.buffer.read_all(file, 1023, 1 << 20)?;
        Ok(line_after(&text, b"ino:").and_then(|inode| number(inode.trim_ascii())))
    }
}

/// Returns the pid that /proc has for us, if it has one.
fn own_pid(host: &Host) -> Option<u32> {
    let own = host.open_proc(b"self", ITSELF).and_then(|own| read_link(own, b""));
    parse_pid(&host.readable(b"/proc/self", own)?)
}

/// Returns the inode in a namespace's label.
fn labelled(link: &[u8], before: &[u8]) -> Option<u64> {
    number(link.strip_prefix(before)?.strip_suffix(b"]")?)
}

/// Splits the path of a file below /proc/PID/net, wherever procfs is mounted, into this directory
/// and the rest, without the word that the kernel adds to them; None for any other path.
pub(super) fn split_at_net(path: &[u8]) -> Option<(&[u8], &[u8])> {
    const NET: &[u8] = b"/net/";
    let path = path.strip_suffix(b" (deleted)").unwrap_or(path);
    let is_processs =
        |at: &usize| path[*at..].starts_with(NET) && parse_pid(last(&path[..*at])).is_some();
    let at = (0..path.len()).find(is_processs)?;
    Some(path.split_at(at + NET.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_net_are_told_by_their_paths() {
        let split = |path: &'static str| split_at_net(path.as_bytes());
        let of_dev = Some((&b"/proc/7/net/"[..], &b"dev"[..]));
        assert_eq!(split("/proc/7/net/dev"), of_dev);
        assert_eq!(split("/proc/7/net/dev (deleted)"), of_dev);
        let of_thread = (&b"/h/7/task/8/net/"[..], &b"stat/rt_cache"[..]);
        assert_eq!(split("/h/7/task/8/net/stat/rt_cache"), Some(of_thread));
        for path in ["/proc/7/ns/net", "/proc/net/dev", "/net/dev", "/proc/7/net", "socket:[7]"] {
            assert_eq!(split(path), None, "{path}");
        }
    }
}
