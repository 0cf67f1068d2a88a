//! Looking up entries of /run/netns: our pins, those of `ip netns`, and the symlinks that the old
//! recipe leaves there.

#![forbid(unsafe_code)]

use crate::base::error::{Error, Result, is_absent};
use crate::base::escape::quoted;
use crate::base::text::{join, last};
use crate::host::Host;
use crate::host::process::{Process, is_dead, is_gone, parse_pid};
use crate::host::root::{Root, Symlink};
use crate::kernel::netns::{NetNs, id_at, id_of};
use crate::sys::fd::{file_type, name_of, open_within, read_link};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, OFlags, ResolveFlags, fstat};
use rustix::io::{self, Errno};
use std::time::SystemTime;

/// By how much clocks of a second's and a tick's resolution may differ.
const SLACK_SECONDS: i64 = 2;
const REMEDY: &str = "remove the link; to keep a namespace: netns-enter --pid PID --pin NAME";

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
pub(crate) fn names(host: &Host) -> Vec<Vec<u8>> {
    let mut names = host.entries(directory(host));
    for name in &mut names {
        *name = last(name).to_vec();
    }
    names
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
    host.watch_above(&path);
    let resolved = host.readable(&path, host.resolve(&path, Symlink::NoFollow));
    let Some(resolved) = resolved else { return Ok(None) };
    host.mind_mounts();
    host.check_answers(&resolved, &path)?;
    let kind = file_type(&resolved).map_err(|e| Error::cannot_at("open", &path, e))?;
    match kind {
        FileType::Symlink => follow(host, &resolved, &path),
        _ => NetNs::of_file(&resolved, &path),
    }
    .map(Some)
}

/// Tells whether a path is spelled as one of an entry is.
pub(crate) fn is_entry(path: &[u8]) -> bool {
    let directories = [&b"/run/netns/"[..], b"/var/run/netns/"];
    let name = directories.iter().find_map(|directory| path.strip_prefix(*directory));
    name.is_some_and(|name| !name.contains(&b'/'))
}

/// Tells whether nothing stands under a name that [`open`] has not opened, or what may have been
/// mounted on: an empty file.
pub(crate) fn is_vacant(host: &Host, name: &[u8]) -> bool {
    let path = join(directory(host), name);
    let resolved = match host.resolve(&path, Symlink::NoFollow) {
        Ok(resolved) if host.check_answers(&resolved, &path).is_err() => return false,
        resolved => resolved,
    };
    match resolved.and_then(fstat) {
        Ok(stat) => {
            let kind = FileType::from_raw_mode(stat.st_mode);
            kind == FileType::RegularFile && stat.st_size == 0
        }
        Err(e) => is_absent(e),
    }
}

/// Opens what is at the end of a symlink. One to a process must not be older than that, or its pid
/// was reused since.
///
/// # Errors
/// Where it leads to no network namespace, or to one that it may not have been made for.
pub(crate) fn follow(host: &Host, link: &OwnedFd, path: &[u8]) -> Result<NetNs> {
    let target = read_link(link, b"").map_err(|e| cannot_follow(path, b"", e))?;
    if let Some(netns) = of_process(host, link, &target, path)? {
        return Ok(netns);
    }
    match resolve_outside_proc(host, path) {
        Err(Errno::LOOP) => {
            let link = format!("is a symbolic link to {}", quoted(&target));
            let fault = "which leads into /proc, but not as /proc/PID/ns/net does, or in a loop";
            Err(Error::of(path, format_args!("{link}, {fault}")).with_remedy(REMEDY))
        }
        resolved => {
            let file = resolved.map_err(|e| cannot_follow(path, &target, e))?;
            host.check_answers(&file, path)?;
            NetNs::of_file(&file, path)
        }
    }
}

/// Opens the namespace of the process that a symlink with this target leads to, unless the process
/// is younger than the link; None where it is not spelled as a link to a process is.
///
/// # Errors
/// Where the process is another one, or gone.
pub(crate) fn of_process(
    host: &Host,
    link: &OwnedFd,
    target: &[u8],
    path: &[u8],
) -> Result<Option<NetNs>> {
    let Some(pid) = process_of(target) else { return Ok(None) };
    let failed = |e| cannot_follow(path, target, e);
    let look = || {
        let process = Process::open(host, pid)?;
        let stat = process.stat()?;
        let is_alive = !is_dead(stat.state);
        is_alive.then_some((process, stat.start, fstat(link)?.st_mtime)).ok_or(Errno::SRCH)
    };
    let (process, start, made) = look().map_err(failed)?;
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    if made > now as i64 + SLACK_SECONDS {
        let process = format!("process {pid}, and was made when the clock was ahead");
        return Err(Error::of(path, format_args!("is a symbolic link to {process}"))
            .with_remedy("which process it was made for cannot be told: remove the link"));
    }
    if host.began(start)? > made + SLACK_SECONDS {
        let process = format!("process {pid}, which is younger: the pid was reused");
        return Err(Error::of(path, format_args!("is a symbolic link to {process}"))
            .absent()
            .with_remedy("remove the link"));
    }
    process.netns().map_err(failed).map(Some)
}

/// Makes the error of a symlink that cannot be followed.
fn cannot_follow(path: &[u8], target: &[u8], errno: Errno) -> Error {
    if !is_gone(errno) {
        return Error::cannot_at("follow the symbolic link", path, errno);
    }
    Error::of(path, format_args!("is a dangling symbolic link to {}", quoted(target)))
        .absent()
        .with_remedy("what it was made for is gone; remove the link")
}

/// Returns N of `/proc/N/ns/net`, spelled in no other way.
pub fn process_of(path: &[u8]) -> Option<u32> {
    let digits = path.strip_prefix(b"/proc/")?.strip_suffix(b"/ns/net")?;
    parse_pid(digits).filter(|_| !digits.starts_with(b"0"))
}

/// Resolves a symlink that leads to a file, be it through other links. Whose a process's link in
/// /proc is cannot be told, so none of these is followed.
///
/// # Errors
/// ELOOP where it leads through such a link; that of openat2(2).
fn resolve_outside_proc(host: &Host, path: &[u8]) -> io::Result<OwnedFd> {
    let Root::Own = host.root() else {
        // There none is followed anyway.
        return host.resolve(path, Symlink::Follow);
    };
    match open_within(CWD, path, OFlags::PATH, ResolveFlags::NO_MAGICLINKS) {
        // Before Linux 5.6, or by a seccomp filter.
        Err(Errno::NOSYS | Errno::PERM) => {
            let resolved = host.resolve(path, Symlink::Follow)?;
            if is_at_its_path(&resolved) { Ok(resolved) } else { Err(Errno::LOOP) }
        }
        resolved => resolved,
    }
}

/// Tells whether a file is what its path in our mount namespace, outside /proc, leads to.
fn is_at_its_path(file: &OwnedFd) -> bool {
    let Ok(path) = name_of(file) else { return false };
    let is_path = path.starts_with(b"/") && !path.starts_with(b"/proc/");
    is_path && id_at(CWD, &path).is_ok_and(|id| id_of(file) == Ok(id))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;

    #[test]
    fn only_links_to_a_process_have_an_age_to_compare() {
        assert_eq!(process_of(b"/proc/3456/ns/net"), Some(3456));
        let others = [
            &b"/proc/self/ns/net"[..],
            b"/proc/3456/ns/mnt",
            b"/proc/3456/./ns/net",
            b"/proc/03456/ns/net",
            b"//proc/3456/ns/net",
            b"/run/docker/netns/x",
            b"3456",
        ];
        for other in others {
            assert_eq!(process_of(other), None);
        }
    }

    #[test]
    fn only_files_outside_proc_are_at_their_path() {
        let open = |path: &[u8]| crate::sys::fd::open_at(CWD, path, OFlags::PATH).unwrap();
        assert!(is_at_its_path(&open(b"/proc/self/root/etc")) && is_at_its_path(&open(b"/etc")));
        for path in [&b"/proc/self/ns/net"[..], b"/proc/self/status", b"/proc/version"] {
            assert!(!is_at_its_path(&open(path)), "{path:?}");
        }
        let host = Host::own(Console::default());
        for path in [&b"/proc/self/ns/net"[..], b"/proc/self/root/etc"] {
            assert_eq!(resolve_outside_proc(&host, path).unwrap_err(), Errno::LOOP);
        }
        assert!(resolve_outside_proc(&host, b"/etc").is_ok());
        assert_eq!(resolve_outside_proc(&host, b"/nowhere").unwrap_err(), Errno::NOENT);
    }

    #[test]
    fn a_process_started_in_the_past() {
        let host = Host::own(Console::default());
        let own = Process::open(&host, std::process::id()).unwrap();
        let started = host.began(own.stat().unwrap().start).unwrap();
        let now = SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs() as i64;
        assert!(started <= now + SLACK_SECONDS && now - started < 24 * 3600);
    }
}
