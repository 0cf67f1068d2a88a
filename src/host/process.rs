//! One process: a descriptor of its /proc directory, which never means another process.
//!
//! Once the process is gone, everything looked up through the descriptor fails with ESRCH or
//! ENOENT, even where its pid lives again (fs/proc/base.c, pid_revalidate). So what is read through
//! one descriptor is about one process, without a pidfd and on every kernel.

#![forbid(unsafe_code)]

use super::procfs::ProcDir;
use super::{Host, names_in, visit_names};
use crate::base::error::{Error, MORE_RIGHTS};
use crate::base::read::{Buffer, Content};
use crate::base::text::{line_after, lines, number};
use crate::kernel::netns::NetNs;
use rustix::fd::OwnedFd;
use rustix::fs::{OFlags, fstat, fstatfs, readlinkat};
use rustix::io::{self, Errno};
use rustix::net::{SocketAddrUnix, getsockname};
use rustix::process::{
    Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open, test_kill_process,
};

/// The largest pid the kernel gives out: PID_MAX_LIMIT, linux/threads.h.
pub const MAX_PID: u32 = 4_194_304;

/// A process or thread, alive when it was opened.
#[derive(Debug)]
pub(crate) struct Process {
    /// Its id in the pid namespace of the host's /proc.
    pub(crate) pid: u32,
    dir: ProcDir,
}

/// What /proc/PID/stat says, proc_pid_stat(5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Field 3: one letter.
    pub state: u8,
    /// Field 4.
    pub parent: u32,
    /// Field 20.
    pub threads: u32,
    /// Field 22: clock ticks from boot to the start of the process, shifted by the reader's time
    /// namespace.
    pub start: u64,
}

impl Process {
    /// Opens process `pid`.
    ///
    /// # Errors
    /// The errno of openat(2): ENOENT or ESRCH where there is no such process, see [`is_gone`].
    pub(crate) fn open(host: &Host, pid: u32) -> io::Result<Process> {
        let dir = host.proc_dir(pid.to_string().as_bytes(), OFlags::PATH)?;
        Ok(Process { pid, dir })
    }

    /// Opens a file of the process.
    ///
    /// # Errors
    /// The errno of openat(2): ESRCH or ENOENT where the process is gone.
    pub(crate) fn open_file(&self, name: &str, flags: OFlags) -> io::Result<OwnedFd> {
        self.dir.open(name.as_bytes(), flags)
    }

    /// Reads a file of the process whole, to the host's buffer.
    ///
    /// # Errors
    /// As [`Process::open_file`].
    pub(crate) fn read<'h>(&self, host: &'h Host, name: &str) -> io::Result<Content<'h>> {
        const MOST: usize = 1 << 20;
        host.buffer.read_all(self.open_file(name, OFlags::RDONLY)?, 4095, MOST)
    }

    /// Reads its status line.
    ///
    /// # Errors
    /// As [`Process::open_file`].
    pub(crate) fn stat(&self) -> io::Result<Stat> {
        // A buffer of its own gives its memory back, as nothing is kept of what is read.
        let buffer = Buffer::default();
        let line = buffer.read_all(self.open_file("stat", OFlags::RDONLY)?, 1023, 1 << 16)?;
        parse_stat(&line).ok_or(Errno::SRCH)
    }

    /// Opens its network namespace.
    ///
    /// # Errors
    /// As [`Process::open_file`]; ENOENT also where it is a zombie.
    pub(crate) fn netns(&self) -> io::Result<NetNs> {
        NetNs::of_link(self.open_file("ns/net", OFlags::RDONLY)?)
    }

    /// Reads its pids from the namespace of /proc down to its own: NSpid of proc_pid_status(5),
    /// Linux 4.1. There are none before that.
    ///
    /// # Errors
    /// As [`Process::open_file`].
    pub(crate) fn nested_pids(&self, host: &Host) -> io::Result<Vec<u32>> {
        Ok(parse_nspid(&self.read(host, "status")?))
    }

    /// Returns the addresses of its sockets that are names of the kernel's and no files: unix(7).
    ///
    /// # Errors
    /// As [`Process::open_file`]; ENOSYS before Linux 5.6, which has no pidfd_getfd(2).
    pub(crate) fn abstract_addresses(&self) -> io::Result<Vec<Vec<u8>>> {
        let pidfd = self.pidfd()?;
        // As long as this can be read, the pid is its own.
        let descriptors = self.open_file("fd", OFlags::RDONLY | OFlags::DIRECTORY)?;
        let mut found = Vec::new();
        for name in names_in(&descriptors, None)? {
            let link = readlinkat(&descriptors, &name[..], Vec::new())?;
            let number = number(&name).and_then(|number| i32::try_from(number).ok());
            let Some(number) = number.filter(|_| link.to_bytes().starts_with(b"socket:")) else {
                continue;
            };
            let socket = pidfd_getfd(&pidfd, number, PidfdGetfdFlags::empty())?;
            let address = SocketAddrUnix::try_from(getsockname(&socket)?);
            let name = address.as_ref().ok().and_then(SocketAddrUnix::abstract_name);
            found.extend(name.map(<[u8]>::to_vec));
        }
        Ok(found)
    }

    /// Returns the inode of its pidfd, by which it is told from all others of this boot:
    /// pidfd_open(2), Linux 6.9. None where there is no such inode, it is a mere thread, or pids
    /// are not as we count them.
    pub(crate) fn pidfd_inode(&self, host: &Host) -> Option<u64> {
        /// PID_FS_MAGIC, linux/magic.h. Before, all pidfds had one inode.
        const MAGIC: u64 = 0x5049_4446;
        if !host.has_our_pids() {
            return None;
        }
        let pidfd = self.pidfd().ok()?;
        let inode = fstat(&pidfd).ok()?.st_ino;
        let is_pidfs = fstatfs(&pidfd).ok()?.f_type as u64 == MAGIC;
        // As long as what we hold is there, the pid is its own.
        self.stat().ok().filter(|_| is_pidfs).map(|_| inode)
    }

    fn pidfd(&self) -> io::Result<OwnedFd> {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw).ok_or(Errno::SRCH)?;
        pidfd_open(pid, PidfdFlags::empty())
    }

    /// Returns its effective uid, as the owner of its /proc directory tells it; 0 also for a
    /// process that must not be dumped.
    ///
    /// # Errors
    /// The errno of fstat(2).
    pub(crate) fn owner(&self) -> io::Result<u32> {
        Ok(fstat(&self.dir)?.st_uid)
    }
}

/// Tells whether an errno met below /proc/PID says that the process is no longer there.
pub(crate) fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::SRCH)
}

/// Tells whether a process in this state has left its namespaces: zombie or dead.
pub(crate) fn is_dead(state: u8) -> bool {
    matches!(state, b'Z' | b'X' | b'x')
}

/// Returns what was asked of a process; None where it has gone meanwhile, or may not be looked at,
/// as [`Host::remember_unread`] has it: a process overlooked for any other reason could make one
/// namespace of two.
pub(crate) fn unless_gone<T>(host: &Host, pid: u32, result: io::Result<T>) -> Option<T> {
    result.map_err(|e| pass_over(host, pid, e)).ok()
}

/// Goes on without a process that met a failure.
pub(crate) fn pass_over(host: &Host, pid: u32, errno: Errno) {
    if !is_gone(errno) {
        host.remember_unread(format!("/proc/{pid}").as_bytes(), errno);
    }
}

/// Makes the failure to open the network namespace of `pid`, with the reason and what to do.
pub(crate) fn diagnose(host: &Host, pid: u32, errno: Errno) -> Error {
    let cannot =
        || Error::cannot(format_args!("open the network namespace of process {pid}"), errno);
    match errno {
        Errno::ACCESS | Errno::PERM => {
            let who = "needs root, or the same user as the process";
            return cannot().with_remedy(format!("{who}: {MORE_RIGHTS}"));
        }
        errno if !is_gone(errno) => return cannot(),
        _ => {}
    }
    match Process::open(host, pid).and_then(|process| process.stat()) {
        Ok(stat) if is_dead(stat.state) && stat.threads > 1 => {
            Error::new(format!("the main thread of process {pid} has exited"))
                .with_remedy(format!("name one of its threads: ls /proc/{pid}/task"))
        }
        Ok(stat) if is_dead(stat.state) => {
            Error::new(format!("process {pid} has exited and waits to be reaped")).absent()
        }
        Ok(_) => cannot().with_remedy("this kernel may lack network namespaces (CONFIG_NET_NS)"),
        Err(_) if host.open_proc(b"self", OFlags::PATH).is_err() => {
            Error::new("/proc is not mounted").with_remedy("mount -t proc proc /proc")
        }
        Err(_) if host.is_own() && exists(pid) => {
            let message =
                format!("process {pid} is hidden from you (/proc is mounted with hidepid)");
            Error::new(message).with_remedy("needs root: run it with sudo")
        }
        Err(_) => Error::new(format!("no process {pid}")).absent(),
    }
}

/// Tells whether there is a process, without /proc: EPERM from kill(2) says so, too.
fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM)))
}

/// Returns the pids of a machine, in the order of its /proc.
pub(crate) fn all_pids(host: &Host) -> Vec<u32> {
    let mut pids = Vec::new();
    let proc = host.proc_dir(b".", OFlags::RDONLY);
    let listed = proc.and_then(|proc| {
        visit_names(&proc, &mut |name, _| {
            pids.extend(parse_pid(name));
            true
        })
    });
    if let Err(e) = listed {
        host.fail(Error::cannot("list /proc", e));
    }
    pids
}

/// Parses a pid as a file or a user spells it: decimal digits only, 1 to [`MAX_PID`].
pub fn parse_pid(digits: &[u8]) -> Option<u32> {
    // No kernel writes more digits; what the user types has none too many.
    let pid = number(digits).filter(|_| digits.len() <= 7)?;
    u32::try_from(pid).ok().filter(|pid| (1..=MAX_PID).contains(pid))
}

/// Parses a line of /proc/PID/stat. The name in it may hold blanks, parentheses and newlines: the
/// last `)` ends it.
pub fn parse_stat(line: &[u8]) -> Option<Stat> {
    let end = line.iter().rposition(|byte| *byte == b')')?;
    // Field 3 is the first of these.
    let mut fields = line[end + 1..].trim_ascii().split(|byte| *byte == b' ');
    let state = *fields.next()?.first()?;
    let parent = number(fields.next()?)?.try_into().ok()?;
    let threads = number(fields.nth(20 - 5)?)?.try_into().ok()?;
    let start = number(fields.nth(22 - 21)?)?;
    Some(Stat { state, parent, threads, start })
}

/// Returns the path in each line of /proc/PID/cgroup, as the reader's cgroup namespace shows it:
/// what follows the second colon. One that ends in " (deleted)" is that of a removed group, or of
/// one that is called so. proc_pid_cgroup(5).
pub fn cgroup_paths(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    lines(text).filter_map(|line| line.splitn(3, |byte| *byte == b':').nth(2))
}

/// Returns the pids in the line `NSpid:` of /proc/PID/status, the outermost first; none where there
/// is no such line.
pub fn parse_nspid(status: &[u8]) -> Vec<u32> {
    let line = line_after(status, b"NSpid:").unwrap_or_default();
    let mut pids = Vec::new();
    for pid in line.split(|byte| *byte == b'\t') {
        pids.extend(parse_pid(pid));
    }
    pids
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;

    #[test]
    fn stat_survives_any_name() {
        let tail = " S 4242 7 7 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 3 0 78331 1000 200 184";
        for name in ["web", "a) S 1 (b", "x\ny", ") ) )", ""] {
            let line = format!("12 ({name}){tail}");
            let stat = Stat { state: b'S', parent: 4242, threads: 3, start: 78331 };
            assert_eq!(parse_stat(line.as_bytes()), Some(stat), "{name}");
        }
        for broken in ["", "12", "12 (x", "12 (x) S 1 2", "12 (x) S a"] {
            assert_eq!(parse_stat(broken.as_bytes()), None, "{broken}");
        }
    }

    #[test]
    fn our_own_stat_is_right() {
        let host = Host::own(Console::default());
        let own = Process::open(&host, std::process::id()).unwrap();
        let stat = own.stat().unwrap();
        assert_eq!(stat.parent, std::os::unix::process::parent_id());
        assert!(stat.threads >= 1 && stat.start > 0 && !is_dead(stat.state));
        assert_eq!(own.nested_pids(&host).unwrap().last(), Some(&std::process::id()));
        assert!(own.netns().unwrap().is_own().unwrap());
        assert!(all_pids(&host).contains(&own.pid));
    }

    #[test]
    fn cgroup_lines_split_at_two_colons() {
        let text = b"4:memory:/a:b\n1:name=systemd:/x (deleted)\n0::/\n";
        let paths: Vec<&[u8]> = cgroup_paths(text).collect();
        assert_eq!(paths, [&b"/a:b"[..], b"/x (deleted)", b"/"]);
    }

    #[test]
    fn pids_are_plain_digits_in_range() {
        let pids = [("1", Some(1)), ("4194304", Some(MAX_PID)), ("0", None), ("4194305", None)];
        for (text, pid) in pids {
            assert_eq!(parse_pid(text.as_bytes()), pid, "{text}");
        }
        for text in ["", "+5", "-5", " 5", "5 ", "5x", "99999999999999999999", "\u{661}"] {
            assert_eq!(parse_pid(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn nspid_lists_the_levels() {
        assert_eq!(parse_nspid(b"Name:\tx\nNSpid:\t5801\t1\nNSpgid:\t1\n"), [5801, 1]);
        assert!(parse_nspid(b"Name:\tx\n").is_empty());
    }
}
