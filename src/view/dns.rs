//! `--dns`: the target's resolv.conf and hosts in place of the caller's, and no way around them.
//!
//! A container's root directory holds what the container wants, so its files are copied and never opened but as plain small files:
//! no symlink leads out of it, no device or FIFO is touched. The copies are bound over the entries of /etc, the symlinks themselves
//! where they are symlinks. Since libc asks nscd, and by nsswitch.conf systemd-resolved, over sockets in the file system, which no
//! network namespace stops, their directories are masked and `hosts:` is reduced to `files dns`.

#![forbid(unsafe_code)]

use super::{Below, Called, Fd, Step, bind, kept, mount_new};
use crate::bytes::{Bytes, join, keep};
use crate::cli::{Args, Target};
use crate::error::{Error, Result, is_absent};
use crate::host::{Host, is_directory, names_in, read_located};
use crate::namespaces;
use crate::process::{Process, diagnose, is_gone};
use crate::root::{Links, Root, fd_path};
use crate::target::Found;
use crate::text::quoted;
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC, fstatfs, mkdirat, openat};
use rustix::io::{Errno, retry_on_intr, write};
use rustix::mount::{MountFlags, UnmountFlags, unmount};
use rustix::process::umask;
use std::ffi::CStr;

/// The most that is copied of any file.
const MOST: usize = 1 << 20;
/// SYSFS_MAGIC, linux/magic.h.
const SYSFS_MAGIC: u64 = 0x6265_6572;
/// Where libc finds systemd-resolved and nscd. /var/run may be a directory of its own.
const SOCKETS: [&[u8]; 4] = [b"/run/systemd/resolve", b"/run/nscd", b"/var/run/systemd/resolve", b"/var/run/nscd"];
/// The name of an empty directory.
const EMPTY: &CStr = c"empty";
const NSSWITCH: &CStr = c"nsswitch.conf";

/// A file of /etc, as COMMAND is to see it.
pub struct File {
    name: &'static CStr,
    text: Bytes,
    /// Whether it is left out where the caller's /etc has none, too.
    optional: bool,
}

/// Reads the files that tell how `found` resolves names.
///
/// # Errors
/// Where one of them is not to be used, or nobody has any.
pub fn read(host: &Host, found: &Found, args: &Args) -> Result<Vec<File>> {
    let of_pin = match found.pin {
        Some(pin) => of_pin(host, pin)?,
        None => None,
    };
    let mut files = match of_pin {
        Some(files) => files,
        None => of_process(host, found, args)?,
    };
    if !files.iter().any(|file| file.name == NSSWITCH)
        && let Some(text) = content(&Root::Own, b"/etc/nsswitch.conf", "")?
    {
        files.push(File { name: NSSWITCH, text: files_and_dns(text), optional: false });
    }
    Ok(files)
}

/// The files in /etc/netns/NAME, which is where `ip netns exec` takes them from.
fn of_pin(host: &Host, pin: &[u8]) -> Result<Option<Vec<File>>> {
    let directory = join(&[b"/etc/netns/", pin]);
    let cannot = |e| Error::cannot(format_args!("read {}", quoted(directory)), e);
    let names = match host.locate(directory, Links::Follow) {
        Err(Errno::NOENT) => return Ok(None),
        located => located
            .and_then(|at| openat(at, c".", OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()))
            .and_then(names_in)
            .map_err(cannot)?,
    };
    let mut files = Vec::new();
    for name in names {
        let path = join(&[directory, b"/", name]);
        if is_directory(host, path) {
            continue;
        }
        if let Some(text) = content(host.root(), path, "")? {
            // `ip netns exec` goes on without a place to mount on, too.
            let optional = !matches!(name, b"resolv.conf" | b"hosts" | b"nsswitch.conf");
            let name = CStr::from_bytes_with_nul(join(&[name, b"\0"])).unwrap_or_default();
            files.push(File { name, text, optional });
        }
    }
    Ok(Some(files))
}

/// The files in the root directory of the process that the target was found by, else of the lowest pid in the namespace.
fn of_process(host: &Host, found: &Found, args: &Args) -> Result<Vec<File>> {
    let looked_up;
    let process = match &found.process {
        Some(process) => process,
        None => {
            looked_up = process_in(host, found, args)?;
            &looked_up
        }
    };
    let open_root = || {
        let flags = OFlags::PATH | OFlags::DIRECTORY;
        process.open("root", flags).map_err(|e| match e {
            e if is_gone(e) => Error::new(format!("process {} has exited", process.pid)),
            e => Error::cannot(format_args!("open the root directory of process {}", process.pid), e)
                .remedy("needs root, or the same user as the process"),
        })
    };
    let root = Root::Directory(open_root()?);
    let whose = format!(" of {}", found.label);
    let mut files = Vec::new();
    let has_etc = locate(&root, b"/etc", &whose)?.is_some();
    for (name, path) in [(c"resolv.conf", &b"/etc/resolv.conf"[..]), (c"hosts", b"/etc/hosts")] {
        let text = if has_etc { content(&root, path, &whose)? } else { None };
        if text.is_none() {
            host.console.note(format_args!("{} has no {}; COMMAND sees an empty one", found.label, quoted(path)));
        }
        let optional = text.is_none();
        files.push(File { name, text: text.unwrap_or_default(), optional });
    }
    // With its last process a mount namespace is taken apart, and what was a bind mount shows the empty file below. A process gives
    // up its root before its mounts.
    open_root()?;
    Ok(files)
}

fn process_in(host: &Host, found: &Found, args: &Args) -> Result<Process> {
    let by_pid = |pid| Process::hold(host, pid).map_err(|e| diagnose(host, pid, e));
    let process = match args.target {
        // Its number may have been used again since.
        Some(Target::Pid(pid)) => {
            by_pid(pid)?.filter(|held| held.netns().is_ok_and(|netns| netns.id == found.netns.id))
        }
        _ => namespaces::by_inode(host, found.netns.id.ino).and_then(|(_, process)| process),
    };
    process.ok_or_else(|| {
        let error =
            Error::new(format!("{} has no process to take /etc/resolv.conf from{}", found.label, host.but_unread()));
        match found.pin {
            Some(pin) => error.remedy(format!("write {}", quoted(join(&[b"/etc/netns/", pin, b"/resolv.conf"])))),
            None => error,
        }
    })
}

/// What is at `path`, links followed; None where nothing is, which a dangling link is not.
fn locate(root: &Root, path: &[u8], whose: &str) -> Result<Option<OwnedFd>> {
    let what = || format!("{}{whose}", quoted(path));
    match root.locate(path, Links::Follow) {
        Ok(located) => Ok(Some(located)),
        Err(Errno::NOENT) => match root.locate(path, Links::Keep) {
            Err(Errno::NOENT) => Ok(None),
            Err(e) => Err(Error::cannot(format_args!("open {}", what()), e)),
            Ok(_) => Err(Error::new(format!("{} is a dangling symbolic link", what()))),
        },
        Err(Errno::LOOP) => {
            let reason = "it loops, leads out through /proc, or is met by a kernel before 5.6";
            Err(Error::new(format!("cannot follow the symbolic link {}: {reason}", what())))
        }
        Err(e) => Err(Error::cannot(format_args!("open {}", what()), e)),
    }
}

/// All of a plain file; None where there is none.
fn content(root: &Root, path: &[u8], whose: &str) -> Result<Option<Bytes>> {
    let Some(located) = locate(root, path, whose)? else { return Ok(None) };
    let what = format!("{}{whose}", quoted(path));
    // Reading what the kernel makes up may have effects, take away what others wait for, and wait for ever.
    let kind = fstatfs(&located).map_err(|e| Error::cannot(format_args!("open {what}"), e))?.f_type as u64;
    if kind == PROC_SUPER_MAGIC as u64 || kind == SYSFS_MAGIC {
        return Err(Error::new(format!("{what} is not a file on disk but the kernel's")));
    }
    read_located(located, MOST).map(|file| Some(keep(&file.bytes[..]))).map_err(|unreadable| unreadable.of(&what))
}

/// nsswitch.conf(5) with no other sources of host names than hosts and resolv.conf.
fn files_and_dns(text: &[u8]) -> Bytes {
    let mut out = Vec::new();
    for line in text.split_inclusive(|b| *b == b'\n') {
        let is_hosts = line
            .trim_ascii_start()
            .strip_prefix(b"hosts")
            .is_some_and(|rest| rest.trim_ascii_start().first() == Some(&b':'));
        out.extend_from_slice(if is_hosts { b"hosts: files dns\n" } else { line });
    }
    out.leak()
}

/// Shows the files; the caller is in a mount namespace of its own.
///
/// # Errors
/// Where the kernel refuses.
pub fn show(own: &Host, files: &[File], step: &mut Step) -> Called<()> {
    step.action = "mount the target's files on those of \"/etc\"";
    let etc = super::locate(own, b"/etc", Links::Follow)?;
    let below = Below::hold(own, etc)?;
    let mut wanted = Vec::new();
    let mut missing = None;
    for file in files {
        match entry(etc, file.name) {
            Err(Errno::NOENT) if file.optional => {
                if !file.text.is_empty() {
                    let path = join(&[b"/etc/", file.name.to_bytes()]);
                    own.console.note(format_args!("there is no {} to be replaced", quoted(path)));
                }
                continue;
            }
            Err(Errno::NOENT) => missing = Some(file),
            found => _ = found?,
        }
        wanted.push(file);
    }
    // /etc is covered by the copies for a moment: it is the one directory that must be there.
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount_new(c"tmpfs", etc, flags, c"mode=755")?;
    let staged = super::locate(own, b"/etc", Links::Follow)?;
    // COMMAND may run as another user than we do.
    let before = umask(Mode::empty());
    let copies = stage(staged, &wanted);
    umask(before);
    let copies = copies?;
    for path in SOCKETS {
        match super::locate(own, path, Links::Follow) {
            Err(e) if is_absent(e) => {}
            place => bind(entry(staged, EMPTY)?, place?)?,
        }
    }
    let Some(file) = missing else {
        bind_each(&wanted, copies, etc)?;
        // What is bound from it stays.
        return unmount(fd_path(staged), UnmountFlags::DETACH);
    };
    // No entry to mount on, and none can be made that nobody else would see.
    step.action = "mount an overlay on \"/etc\", where a file is missing";
    step.remedy = join(&[b"touch /etc/", file.name.to_bytes()]);
    let layers = join(&[b"lowerdir=", fd_path(copies).to_bytes(), b":", fd_path(etc).to_bytes(), b"\0"]);
    let layers = CStr::from_bytes_with_nul(layers).unwrap_or_default();
    mount_new(c"overlay", etc, MountFlags::RDONLY, layers)?;
    below.bind_back(own)?;
    // Also over what was mounted on an entry before.
    bind_each(&wanted, copies, super::locate(own, b"/etc", Links::Follow)?)
}

fn bind_each(files: &[&File], copies: Fd, etc: Fd) -> Called<()> {
    for file in files {
        bind(entry(copies, file.name)?, entry(etc, file.name)?)?;
    }
    Ok(())
}

/// The entry itself, be it a symlink.
fn entry(directory: Fd, name: &CStr) -> Called<Fd> {
    openat(directory, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()).map(kept)
}

/// Writes the copies into a directory of their own, beside [`EMPTY`].
fn stage(staged: Fd, files: &[&File]) -> Called<Fd> {
    mkdirat(staged, EMPTY, Mode::from_raw_mode(0o755))?;
    mkdirat(staged, c"copies", Mode::from_raw_mode(0o755))?;
    let copies = entry(staged, c"copies")?;
    for file in files {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
        let copy = openat(copies, file.name, flags, Mode::from_raw_mode(0o644)).map(kept)?;
        let mut rest = file.text;
        while !rest.is_empty() {
            rest = &rest[retry_on_intr(|| write(copy, rest))?..];
        }
    }
    Ok(copies)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_sources_of_host_names_change() {
        let text =
            b"# hosts: x\npasswd: files sss\n hosts : mymachines resolve [!UNAVAIL=return] files\nhostsx: a\nhosts:nis";
        let want = b"# hosts: x\npasswd: files sss\nhosts: files dns\nhostsx: a\nhosts: files dns\n";
        assert_eq!(files_and_dns(text), want);
        assert_eq!(files_and_dns(b""), b"");
    }
}
