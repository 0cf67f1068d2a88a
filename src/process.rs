//! One process, held: a descriptor of its /proc directory that never means another process.
//!
//! After the process is gone, everything looked up through the descriptor fails with ESRCH or ENOENT, even when its pid lives
//! again (fs/proc/base.c, pid_revalidate); so what is read through one descriptor is about one process, without a pidfd and on
//! every kernel.

#![forbid(unsafe_code)]

use crate::bytes::{Names, decimal, keep, line_after, split};
use crate::console::give_up;
use crate::content::{Content, read_all};
use crate::error::Error;
use crate::host::{Host, each_name};
use crate::netns::NetNs;
use crate::root::open_at;
use crate::text::{number, text};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{OFlags, fstat};
use rustix::io::Errno;
use rustix::process::{Pid, test_kill_process};

/// The largest pid the kernel gives out: PID_MAX_LIMIT, linux/threads.h.
pub const MAX_PID: u32 = 4_194_304;

/// A process or thread, alive when it was opened.
#[derive(Debug)]
pub struct Process(Box<Held>);

/// What a [`Process`] holds.
#[derive(Debug)]
pub struct Held {
    /// Its id in the pid namespace of the host's /proc.
    pub pid: u32,
    dir: OwnedFd,
}

impl std::ops::Deref for Process {
    type Target = Held;

    fn deref(&self) -> &Held {
        &self.0
    }
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
    /// Field 22: clock ticks from boot to the start of the process, shifted by the reader's time namespace.
    pub start: u64,
}

impl Process {
    /// Holds process `pid`.
    ///
    /// # Errors
    /// The errno of open(2) on its directory: ENOENT or ESRCH where there is none, see [`is_gone`].
    pub fn hold(host: &Host, pid: u32) -> Result<Process, Errno> {
        let dir = host.open_proc(number(pid.into()), OFlags::PATH | OFlags::DIRECTORY)?;
        Ok(Process(Box::new(Held { pid, dir })))
    }

    /// Opens a file of the process.
    ///
    /// # Errors
    /// The errno of openat(2): ESRCH or ENOENT when the process is gone.
    pub fn open(&self, name: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
        open_at(self.dir.as_fd(), name.as_bytes(), flags)
    }

    /// All of a file of the process.
    ///
    /// # Errors
    /// As [`Process::open`].
    pub fn read(&self, name: &str) -> Result<Content, Errno> {
        const MOST: usize = 1 << 20;
        read_all(self.open(name, OFlags::RDONLY)?, 4095, MOST)
    }

    /// Its status line.
    ///
    /// # Errors
    /// As [`Process::open`].
    pub fn stat(&self) -> Result<Box<Stat>, Errno> {
        parse_stat(&self.read("stat")?).map(Box::new).ok_or(Errno::SRCH)
    }

    /// Its network namespace.
    ///
    /// # Errors
    /// As [`Process::open`]; ENOENT also when it is a zombie.
    pub fn netns(&self) -> Result<NetNs, Errno> {
        NetNs::of_link(self.open("ns/net", OFlags::RDONLY)?)
    }

    /// Its cgroup paths as the reader's cgroup namespace shows them, one for each hierarchy: proc_pid_cgroup(5).
    ///
    /// # Errors
    /// As [`Process::open`].
    pub fn cgroups(&self) -> Result<Names, Errno> {
        let mut paths = Vec::new();
        for path in cgroup_paths(&self.read("cgroup")?) {
            paths.push(keep(path));
        }
        Ok(paths.leak())
    }

    /// Its pids from the namespace of /proc down to its own: NSpid of proc_pid_status(5), Linux 4.1. Empty before that.
    ///
    /// # Errors
    /// As [`Process::open`].
    pub fn nested_pids(&self) -> Result<&'static [u32], Errno> {
        Ok(parse_nspid(&self.read("status")?))
    }

    /// Its effective uid, as the owner of its /proc directory tells it; 0 also for a process that must not be dumped.
    ///
    /// # Errors
    /// The errno of fstat(2).
    pub fn owner(&self) -> Result<u32, Errno> {
        Ok(fstat(&self.dir)?.st_uid)
    }
}

/// Whether an errno met below /proc/PID says that the process is no longer there.
pub fn is_gone(errno: Errno) -> bool {
    matches!(errno, Errno::NOENT | Errno::SRCH)
}

/// Whether a process in this state has left its namespaces: zombie or dead.
pub fn is_dead(state: u8) -> bool {
    matches!(state, b'Z' | b'X' | b'x')
}

/// Says why the network namespace of `pid` could not be opened.
pub fn diagnose(host: &Host, pid: u32, errno: Errno) -> Error {
    let open = || Error::cannot(text!("open the network namespace of process {}", pid), errno);
    if !is_gone(errno) {
        let error = open();
        let is_denied = matches!(errno, Errno::ACCESS | Errno::PERM);
        return if is_denied { error.remedy(b"needs root, or the same user as the process") } else { error };
    }
    let it = |before: &str, after: &str| Error::new(text!("{}process {}{}", before, pid, after));
    match Process::hold(host, pid).and_then(|process| process.stat()) {
        Ok(stat) if is_dead(stat.state) && stat.threads > 1 => {
            it("the main thread of ", " has exited").remedy(text!("name one of its threads: ls /proc/{}/task", pid))
        }
        Ok(stat) if is_dead(stat.state) => it("", " has exited and waits to be reaped"),
        Ok(_) => open().remedy(b"this kernel may lack network namespaces (CONFIG_NET_NS)"),
        _ if host.open_proc(b"self", OFlags::PATH).is_err() => {
            Error::new(b"/proc is not mounted").remedy(b"mount -t proc proc /proc")
        }
        _ if host.is_own() && exists(pid) => {
            it("", " is hidden from you (/proc is mounted with hidepid)").remedy(b"needs root")
        }
        _ => it("no ", ""),
    }
}

/// Whether there is a process, told without /proc: EPERM from kill(2) says so, too.
fn exists(pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    pid.is_some_and(|pid| matches!(test_kill_process(pid), Ok(()) | Err(Errno::PERM)))
}

/// A pid as a file or a user spells it: decimal digits only, 1 to [`MAX_PID`].
pub fn parse_pid(digits: &[u8]) -> Option<u32> {
    // No kernel writes more digits; what the user types has none too many.
    let pid = u32::try_from(decimal(digits).filter(|_| digits.len() <= 7)?).ok()?;
    (1..=MAX_PID).contains(&pid).then_some(pid)
}

/// Parses a line of /proc/PID/stat. The name in it may hold blanks, parentheses and newlines: the last `)` ends it.
pub fn parse_stat(line: &[u8]) -> Option<Stat> {
    let end = line.iter().rposition(|b| *b == b')')?;
    let mut fields = split(line[end + 1..].trim_ascii(), b' ');
    // Field 3 comes first here.
    let state = *fields.next()?.first()?;
    let parent = decimal(fields.next()?)?.try_into().ok()?;
    let threads = decimal(fields.nth(20 - 5)?)?.try_into().ok()?;
    let start = decimal(fields.nth(22 - 21)?)?;
    Some(Stat { state, parent, threads, start })
}

/// The path in each line of /proc/PID/cgroup: what follows the second colon, without " (deleted)".
pub fn cgroup_paths(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    split(text, b'\n').filter_map(cgroup_path)
}

fn cgroup_path(line: &[u8]) -> Option<&[u8]> {
    let path = after_colon(after_colon(line)?)?;
    Some(path.strip_suffix(b" (deleted)").unwrap_or(path))
}

fn after_colon(text: &[u8]) -> Option<&[u8]> {
    text.iter().position(|b| *b == b':').map(|at| &text[at + 1..])
}

/// The pids in the line `NSpid:` of /proc/PID/status, the outermost first; none where there is no such line.
pub fn parse_nspid(status: &[u8]) -> &'static [u32] {
    let mut pids = Vec::new();
    for pid in split(line_after(status, b"NSpid:").unwrap_or_default(), b'\t') {
        pids.extend(parse_pid(pid));
    }
    pids.leak()
}

/// The pids of a machine, in the order of its /proc.
pub fn all_pids(host: &Host) -> &'static [u32] {
    let mut pids = Vec::new();
    let listed = host.open_proc(b".", OFlags::RDONLY | OFlags::DIRECTORY).and_then(|proc| {
        each_name(proc.as_fd(), &mut |name, _| {
            pids.extend(parse_pid(name));
            true
        })
    });
    if let Err(e) = listed {
        give_up(&Error::cannot(b"list /proc", e));
    }
    pids.leak()
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let host = Host::own(Default::default());
        let own = Process::hold(&host, std::process::id()).unwrap();
        let stat = own.stat().unwrap();
        assert_eq!(stat.parent, std::os::unix::process::parent_id());
        assert!(stat.threads >= 1 && stat.start > 0 && !is_dead(stat.state));
        assert_eq!(own.nested_pids().unwrap().last(), Some(&std::process::id()));
        assert!(own.netns().unwrap().is_own().unwrap());
    }

    #[test]
    fn cgroup_lines_split_at_two_colons() {
        let text = b"4:memory:/a:b\n1:name=systemd:/x (deleted)\n0::/\n";
        let paths: Vec<&[u8]> = cgroup_paths(text).collect();
        assert_eq!(paths, [&b"/a:b"[..], b"/x", b"/"]);
    }

    #[test]
    fn pids_are_plain_digits_in_range() {
        for (text, pid) in [("1", Some(1)), ("4194304", Some(MAX_PID)), ("0", None), ("4194305", None)] {
            assert_eq!(parse_pid(text.as_bytes()), pid, "{text}");
        }
        for text in ["", "+5", "-5", " 5", "5 ", "5x", "99999999999999999999", "\u{661}"] {
            assert_eq!(parse_pid(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn nspid_lists_the_levels() {
        assert_eq!(parse_nspid(b"Name:\tx\nNSpid:\t5801\t1\nNSpgid:\t1\n"), [5801, 1]);
        assert_eq!(parse_nspid(b"Name:\tx\n"), [0u32; 0]);
    }
}
