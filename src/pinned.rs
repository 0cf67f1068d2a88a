//! Looking up entries of /run/netns: our pins, those of `ip netns`, and the symlinks that the old recipe leaves there.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, decimal, join};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::netns::NetNs;
use crate::process::{Process, is_dead, parse_pid};
use crate::root::{Links, file_type};
use crate::text::quoted;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{FileType, OFlags, fstat, readlinkat};

/// /run/netns, which /var/run/netns usually is; where /var/run is a directory of its own, `ip netns` uses that.
pub fn directory(host: &Host) -> &'static [u8] {
    let var_run = host.locate(b"/var/run", Links::Keep);
    match var_run.map(|fd| file_type(&fd)) {
        Ok(Ok(FileType::Directory)) => b"/var/run/netns",
        _ => b"/run/netns",
    }
}

/// The names in the directory, sorted.
pub fn names(host: &Host) -> Vec<Bytes> {
    let mut names = host.entries(directory(host));
    names.sort();
    names
}

/// Opens the entry `name`; None where there is none.
///
/// # Errors
/// Where the entry is no network namespace, or a symlink to a process that is not the one it was made for.
pub fn open(host: &Host, name: &[u8]) -> Result<Option<NetNs>> {
    if name.contains(&b'/') || name == b"." || name == b".." {
        return Ok(None);
    }
    let path = join(&[directory(host), b"/", name]);
    let Some(located) = host.unless(path, host.locate(path, Links::Keep)) else { return Ok(None) };
    let cannot = |e| Error::cannot(format_args!("open {}", quoted(&path)), e);
    if file_type(&located).map_err(cannot)? == FileType::Symlink {
        return follow(host, located, path).map(Some);
    }
    NetNs::of_file(&located, path).map(Some)
}

/// Follows a symlink. One into /proc must not be older than the process, or its pid was reused since.
fn follow(host: &Host, link: OwnedFd, path: &[u8]) -> Result<NetNs> {
    let cannot = |e| Error::cannot(format_args!("follow the symbolic link {}", quoted(path)), e);
    let leads_to = readlinkat(link.as_fd(), c"", Vec::new()).map_err(cannot)?.into_bytes();
    let dangling = || {
        Error::new(format!("{} is a dangling symbolic link to {}", quoted(path), quoted(&leads_to)))
            .remedy("its process has exited; remove the link")
    };
    let Some(pid) = process_of(&leads_to) else {
        let located = host.locate(path, Links::Follow).map_err(|e| match e {
            rustix::io::Errno::NOENT => dangling(),
            e => cannot(e),
        })?;
        return NetNs::of_file(&located, path);
    };
    let process = Process::hold(host, pid).map_err(cannot)?.ok_or_else(dangling)?;
    let stat = process.stat().map_err(|_| dangling())?;
    if is_dead(stat.state) {
        return Err(dangling());
    }
    let made = fstat(&link).map_err(cannot)?.st_mtime;
    if started(host, stat.start)? > made + SLACK_SECONDS {
        let message =
            format!("{} is a symbolic link to process {pid}, which is younger: the pid was reused", quoted(path));
        return Err(Error::new(message).remedy("remove the link"));
    }
    process.netns().map_err(cannot)
}

/// What clocks of a second's and a tick's resolution may differ by.
const SLACK_SECONDS: i64 = 2;

/// N of `/proc/N/ns/net`.
pub fn process_of(path: &[u8]) -> Option<u32> {
    parse_pid(path.strip_prefix(b"/proc/")?.strip_suffix(b"/ns/net")?)
}

/// Seconds since 1970 at which a process of this start time began: by btime of proc_stat(5).
fn started(host: &Host, ticks: u64) -> Result<i64> {
    // USER_HZ, which is 100 wherever Linux containers run.
    const TICKS_PER_SECOND: u64 = 100;
    let read = host.open_proc("stat", OFlags::RDONLY).and_then(|fd| crate::content::read_all(fd, 4095, 1 << 24));
    let text = read.map_err(|e| Error::cannot(format_args!("read /proc/stat"), e))?.unwrap_or_default();
    let boot = text.split(|b| *b == b'\n').find_map(|line| line.strip_prefix(b"btime "));
    let boot: Option<i64> = boot.and_then(|digits| decimal(digits)?.try_into().ok());
    let boot = boot.ok_or_else(|| Error::new("/proc/stat has no btime"))?;
    Ok(boot + (ticks / TICKS_PER_SECOND) as i64)
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
        let own = Process::hold(&host, std::process::id()).unwrap().unwrap();
        let started = started(&host, own.stat().unwrap().start).unwrap();
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        assert!(started <= now + SLACK_SECONDS && now - started < 24 * 3600);
    }
}
