//! `--dns`: the target's resolv.conf and hosts in place of the caller's, and no way around them.
//!
//! A container's root directory holds what the container wants, so its files are copied and never
//! opened but as plain small files: no symlink leads out of it, no device or FIFO is touched. The
//! copies are bound over the entries of /etc, the symlinks themselves where they are symlinks.
//! Since libc asks nscd, and by nsswitch.conf systemd-resolved, over sockets in the file system,
//! which no network namespace stops, their directories are masked, and what nsswitch.conf says of
//! `hosts:` is reduced to `files dns`.

#![forbid(unsafe_code)]

mod source;
mod staging;
mod visitor;

pub(super) use staging::show;

use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::base::text::{join, last};
use crate::host::process::{Process, diagnose, is_gone};
use crate::host::root::{Root, Symlink};
use crate::host::{Host, names_in, namespaces};
use crate::sys::fd::open_directory;
use crate::target::Target;
use rustix::fd::OwnedFd;
use rustix::fs::OFlags;
use rustix::io::Errno;
use source::{Copy, Source};

const RESOLV_CONF: &[u8] = b"resolv.conf";
const HOSTS: &[u8] = b"hosts";
const NSSWITCH: &[u8] = b"nsswitch.conf";

/// A file of /etc, as COMMAND is to see it.
pub(super) struct File {
    name: Vec<u8>,
    copy: Copy,
    /// Whether it is left out where the caller's /etc has none, too.
    is_optional: bool,
}

impl File {
    fn path(&self) -> Vec<u8> {
        join(b"/etc", &self.name)
    }
}

/// Reads the files that tell how `target` resolves names.
///
/// # Errors
/// Where one of them is not to be used, or nobody has any.
pub(super) fn read(host: &Host, target: &Target) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let has_directory = match &target.pin {
        Some(pin) => read_of_pin(host, pin, &mut files)?,
        None => false,
    };
    if !has_directory {
        read_of_process(host, target, &mut files)?;
    }
    if files.iter().all(|file| file.name != NSSWITCH) {
        let ours = Source { root: &Root::Own, whose: String::new(), buffer: &host.buffer };
        if let Some(mut copy) = ours.content(b"/etc/nsswitch.conf")? {
            copy.text = files_and_dns(&copy.text);
            files.push(File { name: NSSWITCH.to_vec(), copy, is_optional: false });
        }
    }
    Ok(files)
}

/// Reads the files in /etc/netns/NAME, which is where `ip netns exec` takes them from; false where
/// there is no such directory.
fn read_of_pin(host: &Host, pin: &[u8], files: &mut Vec<File>) -> Result<bool> {
    let directory = join(b"/etc/netns", pin);
    let names = match host.resolve(&directory, Symlink::Follow) {
        Err(Errno::NOENT) => return Ok(false),
        resolved => resolved.and_then(|resolved| names_in(&open_directory(resolved)?, None)),
    };
    let source = Source { root: host.root(), whose: String::new(), buffer: &host.buffer };
    for name in names.map_err(|e| Error::cannot_at("read", &directory, e))? {
        let path = join(&directory, &name);
        if host.is_directory(&path) {
            continue;
        }
        if let Some(copy) = source.content(&path)? {
            // `ip netns exec` goes on without a place to mount on, too.
            let is_optional = ![RESOLV_CONF, HOSTS, NSSWITCH].contains(&&name[..]);
            files.push(File { name, copy, is_optional });
        }
    }
    Ok(true)
}

/// Reads the files in the root directory of the process by which the target was found, else of the
/// lowest pid in the namespace.
fn read_of_process(host: &Host, target: &Target, files: &mut Vec<File>) -> Result<()> {
    let looked_up;
    let process = match &target.process {
        Some(process) => process,
        None => {
            looked_up = process_in(host, target)?;
            &looked_up
        }
    };
    // Before its user, who may be root only until it has a root directory of its own.
    let root = Root::Directory(root_of(process)?);
    let user = visitor::user_of(host, process)?;
    let label = &target.label;
    let source = Source { root: &root, whose: format!(" of {label}"), buffer: &host.buffer };
    let paths: [&[u8]; 2] = [b"/etc/resolv.conf", b"/etc/hosts"];
    let copies = visitor::read(host, &source, user.as_ref(), &paths)?;
    for (path, copy) in paths.into_iter().zip(copies) {
        let is_optional = copy.is_none();
        if is_optional {
            let path = quoted(path);
            host.console.note(format_args!("{label} has no {path}; COMMAND sees an empty one"));
        }
        let copy = copy.unwrap_or_default();
        files.push(File { name: last(path).to_vec(), copy, is_optional });
    }
    // With its last process a mount namespace is taken apart, and what was a bind mount shows the
    // empty file below. A process gives up its root before its mounts.
    root_of(process)?;
    Ok(())
}

fn root_of(process: &Process) -> Result<OwnedFd> {
    process.open_file("root", OFlags::PATH | OFlags::DIRECTORY).map_err(|e| {
        if is_gone(e) {
            return Error::new(format!("process {} has exited", process.pid));
        }
        Error::cannot(format_args!("open the root directory of process {}", process.pid), e)
            .with_remedy("needs root, or the same user as the process: run it with sudo")
    })
}

/// Opens the process that the user named, else that of the lowest pid in the target's namespace.
fn process_in(host: &Host, target: &Target) -> Result<Process> {
    let process = match target.pid {
        // Its number may have been used again since.
        Some(pid) => match Process::open(host, pid) {
            Ok(process) => {
                Some(process).filter(|p| p.netns().is_ok_and(|netns| netns.id == target.netns.id))
            }
            Err(e) if is_gone(e) => None,
            Err(e) => return Err(diagnose(host, pid, e)),
        },
        None => namespaces::by_inode(host, target.netns.id.ino).and_then(|(_, process)| process),
    };
    host.check()?;
    process.ok_or_else(|| {
        let (label, unread) = (&target.label, host.but_unread());
        let error =
            Error::new(format!("{label} has no process to take /etc/resolv.conf from{unread}"));
        match &target.pin {
            Some(pin) => {
                let path = [b"/etc/netns/", &pin[..], b"/resolv.conf"].concat();
                error.with_remedy(format!("write {}", quoted(&path)))
            }
            None => error,
        }
    })
}

/// Returns an nsswitch.conf(5) with no other sources of host names than hosts and resolv.conf.
fn files_and_dns(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let rest = line.trim_ascii_start().strip_prefix(b"hosts");
        let is_hosts = rest.is_some_and(|rest| rest.trim_ascii_start().starts_with(b":"));
        out.extend_from_slice(if is_hosts { b"hosts: files dns\n" } else { line });
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sources_of_host_names_change() {
        let text = b"# hosts: x\npasswd: files sss\n \
            hosts : mymachines resolve [!UNAVAIL=return] files\nhostsx: a\nhosts:nis";
        let want = b"# hosts: x\npasswd: files sss\n\
            hosts: files dns\nhostsx: a\nhosts: files dns\n";
        assert_eq!(files_and_dns(text), want);
        assert_eq!(files_and_dns(b""), b"");
    }
}
