//! Looking up entries of /run/netns: our pins, those of `ip netns`, and the symlinks that the old
//! recipe leaves there.

#![forbid(unsafe_code)]

use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::base::text::{join, last, line_after, number};
use crate::host::Host;
use crate::host::process::{Process, is_dead, is_gone, parse_pid};
use crate::host::root::Symlink;
use crate::kernel::netns::NetNs;
use crate::sys::fd::{file_type, read_link};
use rustix::fd::OwnedFd;
use rustix::fs::{FileType, OFlags, fstat};
use rustix::io::Errno;

/// By how much clocks of a second's and a tick's resolution may differ.
const SLACK_SECONDS: i64 = 2;

/// Returns the directory of pins: /run/netns, which /var/run/netns usually is; where /var/run is a
/// directory of its own, `ip netns` uses that.
pub(crate) fn directory(host: &Host) -> &'static [u8] {
    let var_run = host.resolve(b"/var/run", Symlink::NoFollow);
    match var_run.and_then(file_type) {
        Ok(FileType::Directory) => b"/var/run/netns",
        _ => b"/run/netns",
    }
}

/// Returns the names in the directory, sorted.
///
/// # Errors
/// Where the machine fails, as [`Host::entries`] tells.
pub(crate) fn names(host: &Host) -> Result<Vec<Vec<u8>>> {
    let paths = host.entries(directory(host))?;
    Ok(paths.iter().map(|path| last(path).to_vec()).collect())
}

/// Opens the entry `name`; None where there is none.
///
/// # Errors
/// Where the entry is no network namespace, or a symlink to a process that is not the one it was
/// made for.
pub(crate) fn open(host: &Host, name: &[u8]) -> Result<Option<NetNs>> {
    if name.contains(&b'/') || name == b"." || name == b".." {
        return Ok(None);
    }
    let path = join(directory(host), name);
    let resolved = host.readable(&path, host.resolve(&path, Symlink::NoFollow))?;
    let Some(resolved) = resolved else { return Ok(None) };
    let kind = file_type(&resolved).map_err(|e| Error::cannot_at("open", &path, e))?;
    match kind {
        FileType::Symlink => follow(host, &resolved, &path),
        _ => NetNs::of_file(&resolved, &path),
    }
    .map(Some)
}

/// Opens what is at the end of a symlink. One into /proc must not be older than the process, or its
/// pid was reused since.
fn follow(host: &Host, link: &OwnedFd, path: &[u8]) -> Result<NetNs> {
    let cannot = |e| Error::cannot_at("follow the symbolic link", path, e);
    let target = read_link(link, b"").map_err(cannot)?;
    let failed = |e| {
        if !is_gone(e) {
            return cannot(e);
        }
        Error::of(path, format_args!("is a dangling symbolic link to {}", quoted(&target)))
            .with_remedy("its process has exited; remove the link")
    };
    let Some(pid) = process_of(&target) else {
        let resolved = host.resolve(path, Symlink::Follow).map_err(failed)?;
        return NetNs::of_file(&resolved, path);
    };
    let process = Process::open(host, pid).map_err(failed)?;
    let stat = process.stat().map_err(failed)?;
    if is_dead(stat.state) {
        return Err(failed(Errno::SRCH));
    }
    let started = started(host, stat.start)?;
    if started > fstat(link).map_err(failed)?.st_mtime + SLACK_SECONDS {
        let process = format!("process {pid}, which is younger: the pid was reused");
        return Err(Error::of(path, format_args!("is a symbolic link to {process}"))
            .with_remedy("remove the link"));
    }
    process.netns().map_err(failed)
}

/// Returns N of `/proc/N/ns/net`.
pub fn process_of(path: &[u8]) -> Option<u32> {
    parse_pid(path.strip_prefix(b"/proc/")?.strip_suffix(b"/ns/net")?)
}

/// Returns when a process of this start time began, in seconds since 1970: by btime of
/// proc_stat(5).
fn started(host: &Host, ticks: u64) -> Result<i64> {
    // USER_HZ, which is 100 wherever Linux containers run.
    const TICKS_PER_SECOND: u64 = 100;
    let file = host.open_proc(b"stat", OFlags::RDONLY);
    let text = file.and_then(|file| host.buffer.read_all(file, 4095, 1 << 24));
    let text = text.map_err(|e| Error::cannot("read /proc/stat", e))?;
    let boot = line_after(&text, b"btime ").and_then(number);
    let boot = boot.ok_or_else(|| Error::new("/proc/stat has no btime"))?;
    Ok((boot + ticks / TICKS_PER_SECOND) as i64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;
    use std::time::SystemTime;

    #[test]
    fn only_links_to_a_process_have_an_age_to_compare() {
        assert_eq!(process_of(b"/proc/3456/ns/net"), Some(3456));
        let others =
            [&b"/proc/self/ns/net"[..], b"/proc/3456/ns/mnt", b"/run/docker/netns/x", b"3456"];
        for other in others {
            assert_eq!(process_of(other), None);
        }
    }

    #[test]
    fn a_process_started_in_the_past() {
        let host = Host::own(Console::default());
        let own = Process::open(&host, std::process::id()).unwrap();
        let started = started(&host, own.stat().unwrap().start).unwrap();
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
        assert!(started <= now + SLACK_SECONDS && now - started < 24 * 3600);
    }
}
