//! `--dns`: the target's resolv.conf and hosts in place of the caller's, and no way around them.
//!
//! A container's root directory holds what the container wants, so its files are copied and never opened but as plain small files:
//! no symlink leads out of it, no device or FIFO is touched. The copies are bound over the entries of /etc, the symlinks themselves
//! where they are symlinks. Since libc asks nscd, and by nsswitch.conf systemd-resolved, over sockets in the file system, which no
//! network namespace stops, their directories are masked and `hosts:` is reduced to `files dns`.

#![forbid(unsafe_code)]

use super::{Below, Called, Fd, Step, bind, kept, mount_new};
use crate::bytes::{Bytes, below, both, join, keep};
use crate::cli::{Args, Target};
use crate::console::write_all;
use crate::error::{Error, Result, is_absent};
use crate::host::{Host, is_directory, names_in, read_located};
use crate::namespaces;
use crate::process::{Process, diagnose, is_gone};
use crate::root::{ITSELF, Links, Root, c_string, create_at, fd_path, open_at, open_directory};
use crate::target::Found;
use crate::text::text;
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{Mode, OFlags, PROC_SUPER_MAGIC, fstatfs, mkdirat};
use rustix::io::Errno;
use rustix::mount::{MountFlags, UnmountFlags, unmount};
use rustix::process::umask;

/// The most that is copied of any file.
const MOST: usize = 1 << 20;
/// SYSFS_MAGIC, linux/magic.h.
const SYSFS_MAGIC: u64 = 0x6265_6572;
/// Where libc finds systemd-resolved and nscd. /var/run may be a directory of its own.
const SOCKETS: [&[u8]; 4] = [b"/run/systemd/resolve", b"/run/nscd", b"/var/run/systemd/resolve", b"/var/run/nscd"];
/// The name of an empty directory.
const EMPTY: Bytes = b"empty";
const NSSWITCH: Bytes = b"nsswitch.conf";

/// Several of them.
pub type Files = &'static [&'static File];

/// A file of /etc, as COMMAND is to see it.
pub struct File {
    name: Bytes,
    text: Bytes,
    /// Whether it is left out where the caller's /etc has none, too.
    optional: bool,
}

impl File {
    fn keep(name: Bytes, text: Bytes, optional: bool) -> &'static File {
        Box::leak(Box::new(File { name, text, optional }))
    }

    fn path(&self) -> Bytes {
        both(b"/etc/", self.name)
    }
}

/// Reads the files that tell how `found` resolves names.
///
/// # Errors
/// Where one of them is not to be used, or nobody has any.
pub fn read(host: &Host, found: &Found, args: &Args) -> Result<Files> {
    let mut files = Vec::new();
    let is_pins = match found.pin {
        Some(pin) => of_pin(host, pin, &mut files)?,
        None => false,
    };
    if !is_pins {
        of_process(host, found, args, &mut files)?;
    }
    let ours = Source { root: &Root::Own, whose: b"" };
    if !files.iter().any(|file| file.name == NSSWITCH)
        && let Some(text) = ours.content(b"/etc/nsswitch.conf")?
    {
        files.push(File::keep(NSSWITCH, files_and_dns(text), false));
    }
    Ok(files.leak())
}

/// Adds the files in /etc/netns/NAME, which is where `ip netns exec` takes them from; false where there is no such directory.
fn of_pin(host: &Host, pin: &[u8], files: &mut Vec<&File>) -> Result<bool> {
    let directory = both(b"/etc/netns/", pin);
    let names = match host.locate(directory, Links::Follow) {
        Err(Errno::NOENT) => return Ok(false),
        located => located.and_then(|located| names_in(&open_directory(&located)?, None)),
    };
    let source = Source { root: host.root(), whose: b"" };
    for name in names.map_err(|e| Error::cannot_at("read", directory, e))? {
        let path = below(directory, name);
        if !is_directory(host, path)
            && let Some(text) = source.content(path)?
        {
            // `ip netns exec` goes on without a place to mount on, too.
            let optional = ![&b"resolv.conf"[..], b"hosts", NSSWITCH].contains(name);
            files.push(File::keep(name, text, optional));
        }
    }
    Ok(true)
}

/// Adds the files in the root directory of the process that the target was found by, else of the lowest pid in the namespace.
fn of_process(host: &Host, found: &Found, args: &Args, files: &mut Vec<&File>) -> Result<()> {
    let looked_up;
    let process = match &found.process {
        Some(process) => process,
        None => {
            looked_up = process_in(host, found, args)?;
            &looked_up
        }
    };
    let root = Root::Directory(root_of(process)?);
    let source = Source { root: &root, whose: text!(" of {}", found.label) };
    let has_etc = source.locate(b"/etc")?.is_some();
    for name in [&b"resolv.conf"[..], b"hosts"] {
        let path = both(b"/etc/", name);
        let text = if has_etc { source.content(path)? } else { None };
        if text.is_none() {
            host.console.note(text!("{} has no \"{}\"; COMMAND sees an empty one", found.label, path));
        }
        files.push(File::keep(name, text.unwrap_or_default(), text.is_none()));
    }
    // With its last process a mount namespace is taken apart, and what was a bind mount shows the empty file below. A process gives
    // up its root before its mounts.
    root_of(process).map(|_| ())
}

fn root_of(process: &Process) -> Result<OwnedFd> {
    process.open("root", OFlags::PATH | OFlags::DIRECTORY).map_err(|e| {
        if is_gone(e) {
            return Error::new(text!("process {} has exited", process.pid));
        }
        Error::cannot(text!("open the root directory of process {}", process.pid), e)
            .remedy(b"needs root, or the same user as the process")
    })
}

fn process_in(host: &Host, found: &Found, args: &Args) -> Result<Process> {
    let process = match args.target {
        // Its number may have been used again since.
        Some(Target::Pid(pid)) => match Process::hold(host, pid) {
            Err(e) if !is_gone(e) => return Err(diagnose(host, pid, e)),
            held => held.ok().filter(|held| held.netns().is_ok_and(|netns| netns.id == found.netns.id)),
        },
        _ => namespaces::by_inode(host, found.netns.id.ino).and_then(|(_, process)| process),
    };
    process.ok_or_else(|| {
        let error =
            Error::new(text!("{} has no process to take /etc/resolv.conf from{}", found.label, host.but_unread()));
        match found.pin {
            Some(pin) => error.remedy(text!("write \"{}\"", join(&[b"/etc/netns/", pin, b"/resolv.conf"]))),
            None => error,
        }
    })
}

/// Where files are taken from.
struct Source<'a> {
    root: &'a Root,
    /// What messages call it by, after a path.
    whose: Bytes,
}

impl Source<'_> {
    /// What is at `path`, links followed; None where nothing is, which a dangling link is not.
    fn locate(&self, path: &[u8]) -> Result<Option<OwnedFd>> {
        let errno = match self.root.locate(path, Links::Follow) {
            Ok(located) => return Ok(Some(located)),
            Err(Errno::NOENT) => match self.root.locate(path, Links::Keep) {
                Ok(_) => return Err(Error::new(text!("{} is a dangling symbolic link", self.called(path)))),
                Err(Errno::NOENT) => return Ok(None),
                Err(e) => e,
            },
            Err(e) => e,
        };
        if errno != Errno::LOOP {
            return Err(self.cannot_open(path, errno));
        }
        let reason = "it loops, leads out through /proc, or is met by a kernel before 5.6";
        Err(Error::new(text!("cannot follow the symbolic link {}: {}", self.called(path), reason)))
    }

    /// All of a plain file; None where there is none.
    fn content(&self, path: &[u8]) -> Result<Option<Bytes>> {
        let Some(located) = self.locate(path)? else { return Ok(None) };
        // Reading what the kernel makes up may have effects, take away what others wait for, and wait for ever.
        let kind = fstatfs(&located).map_err(|e| self.cannot_open(path, e))?.f_type as u64;
        let what = self.called(path);
        if kind == PROC_SUPER_MAGIC as u64 || kind == SYSFS_MAGIC {
            return Err(Error::new(text!("{} is not a file on disk but the kernel's", what)));
        }
        read_located(located, MOST).map(|file| Some(keep(&file.bytes[..]))).map_err(|unreadable| unreadable.of(what))
    }

    fn cannot_open(&self, path: &[u8], errno: Errno) -> Error {
        Error::cannot(text!("open {}", self.called(path)), errno)
    }

    fn called(&self, path: &[u8]) -> Bytes {
        text!("\"{}\"{}", path, self.whose)
    }
}

/// nsswitch.conf(5) with no other sources of host names than hosts and resolv.conf.
fn files_and_dns(text: &[u8]) -> Bytes {
    let mut out = Vec::new();
    for line in text.split_inclusive(|b| *b == b'\n') {
        let rest = line.trim_ascii_start().strip_prefix(b"hosts");
        let is_hosts = rest.is_some_and(|rest| rest.trim_ascii_start().starts_with(b":"));
        out.extend_from_slice(if is_hosts { b"hosts: files dns\n" } else { line });
    }
    out.leak()
}

/// Shows the files; the caller is in a mount namespace of its own.
///
/// # Errors
/// Where the kernel refuses.
pub fn show(own: &Host, files: Files, step: &mut Step) -> Called<()> {
    step.action = b"mount the target's files on those of \"/etc\"";
    let etc = super::locate(own, b"/etc", Links::Follow)?;
    let below = Below::hold(own, etc)?;
    let mut wanted = Vec::new();
    let mut missing = None;
    for file in files {
        match entry(etc, file.name) {
            Err(Errno::NOENT) if file.optional => {
                if !file.text.is_empty() {
                    own.console.note(text!("there is no \"{}\" to be replaced", file.path()));
                }
                continue;
            }
            Err(Errno::NOENT) => missing = Some(file),
            found => _ = found?,
        }
        wanted.push(*file);
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
    step.action = b"mount an overlay on \"/etc\", where a file is missing";
    step.remedy = both(b"touch ", file.path());
    let layers = c_string(&[b"lowerdir=", fd_path(copies).to_bytes(), b":", fd_path(etc).to_bytes()]);
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
fn entry(directory: Fd, name: &[u8]) -> Called<Fd> {
    open_at(directory, name, ITSELF).map(kept)
}

/// Writes the copies into a directory of their own, beside [`EMPTY`].
fn stage(staged: Fd, files: &[&File]) -> Called<Fd> {
    for name in [EMPTY, b"copies"] {
        mkdirat(staged, c_string(&[name]), Mode::from_raw_mode(0o755))?;
    }
    let copies = entry(staged, b"copies")?;
    for file in files {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        write_all(create_at(copies, file.name, flags, Mode::from_raw_mode(0o644))?.as_fd(), file.text)?;
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
