//! Looking up entries of /run/netns: our pins, those of `ip netns`, and the symlinks that the old recipe leaves there.

#![forbid(unsafe_code)]

use crate::bytes::{Names, below, decimal, last, line_after};
use crate::console::give_up;
use crate::content::read_all;
use crate::error::{Error, Result};
use crate::host::Host;
use crate::netns::NetNs;
use crate::process::{Process, is_dead, is_gone, parse_pid};
use crate::root::{Links, file_type, read_link};
use crate::text::text;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::Errno;

/// /run/netns, which /var/run/netns usually is; where /var/run is a directory of its own, `ip netns` uses that.
pub fn directory(host: &Host) -> &'static [u8] {
    let var_run = host.locate(b"/var/run", Links::Keep);
    match var_run.map(|fd| file_type(&fd)) {
        Ok(Ok(FileType::Directory)) => b"/var/run/netns",
        _ => b"/run/netns",
    }
}

/// The names in the directory, sorted.
pub fn names(host: &Host) -> Names {
    let mut names = Vec::new();
    for path in host.entries(directory(host)) {
        names.push(last(path));
    }
    names.leak()
}

/// Opens the entry `name`; None where there is none.
///
/// # Errors
/// Where the entry is no network namespace, or a symlink to a process that is not the one it was made for.
pub fn open(host: &Host, name: &[u8]) -> Result<Option<NetNs>> {
    if name.contains(&b'/') || name == b"." || name == b".." {
        return Ok(None);
    }
    let path = below(directory(host), name);
    let Some(located) = host.unless(path, host.locate(path, Links::Keep)) else { return Ok(None) };
    match file_type(&located) {
        Ok(FileType::Symlink) => follow(host, &located, path).map(Some),
        Ok(_) => NetNs::of_file(&located, path).map(Some),
        Err(e) => Err(Error::cannot_at("open", path, e)),
    }
}

/// Follows a symlink.
fn follow(host: &Host, link: &OwnedFd, path: &[u8]) -> Result<NetNs> {
    let cannot = |e| Error::cannot_at("follow the symbolic link", path, e);
    let leads_to = read_link(link.as_fd(), c"").map_err(cannot)?;
    match end_of(host, link, path, leads_to) {
        Ok(netns) => netns,
        Err(e) if is_gone(e) => Err(Error::of(path, text!("is a dangling symbolic link to \"{}\"", leads_to))
            .remedy(b"its process has exited; remove the link")),
        Err(e) => Err(cannot(e)),
    }
}

/// What is at the end of a symlink. One into /proc must not be older than the process, or its pid was reused since.
fn end_of(host: &Host, link: &OwnedFd, path: &[u8], leads_to: &[u8]) -> std::result::Result<Result<NetNs>, Errno> {
    let Some(pid) = process_of(leads_to) else {
        return Ok(NetNs::of_file(&host.locate(path, Links::Follow)?, path));
    };
    let process = Process::hold(host, pid)?;
    let stat = process.stat()?;
    if is_dead(stat.state) {
        return Err(Errno::SRCH);
    }
    if started(host, stat.start) > fstat(link)?.st_mtime + SLACK_SECONDS {
        let fault = text!("is a symbolic link to process {}, which is younger: the pid was reused", pid);
        return Ok(Err(Error::of(path, fault).remedy(b"remove the link")));
    }
    process.netns().map(Ok)
}

/// What clocks of a second's and a tick's resolution may differ by.
const SLACK_SECONDS: i64 = 2;

/// N of `/proc/N/ns/net`.
pub fn process_of(path: &[u8]) -> Option<u32> {
    parse_pid(path.strip_prefix(b"/proc/")?.strip_suffix(b"/ns/net")?)
}

/// Seconds since 1970 at which a process of this start time began: by btime of proc_stat(5).
fn started(host: &Host, ticks: u64) -> i64 {
    // USER_HZ, which is 100 wherever Linux containers run.
    const TICKS_PER_SECOND: u64 = 100;
    let read = host.open_proc(b"stat", OFlags::RDONLY).and_then(|fd| read_all(fd, 4095, 1 << 24));
    let boot = read.map(|text| decimal(line_after(&text, b"btime ")?));
    match boot {
        Ok(Some(boot)) => (boot + ticks / TICKS_PER_SECOND) as i64,
        Ok(None) => give_up(&Error::new(b"/proc/stat has no btime")),
        Err(e) => give_up(&Error::cannot(b"read /proc/stat", e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_links_to_a_process_have_an_age_to_compare() {
        assert_eq!(process_of(b"/proc/3456/ns/net"), Some(3456));
        for other in [&b"/proc/self/ns/net"[..], b"/proc/3456/ns/mnt", b"/run/docker/netns/x", b"3456"] {
            assert_eq!(process_of(other), None);
        }
    }

    #[test]
    fn a_process_started_in_the_past() {
        let host = Host::own(Default::default());
        let own = Process::hold(&host, std::process::id()).unwrap();
        let started = started(&host, own.stat().unwrap().start);
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        assert!(started <= now + SLACK_SECONDS && now - started < 24 * 3600);
    }
}
