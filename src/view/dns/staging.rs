//! Mounting copies of the target's files on the entries of /etc.
//!
//! The copies are written to a tmpfs that covers /etc for a moment: it is the one directory that
//! must be there.

#![forbid(unsafe_code)]

use super::File;
use crate::base::error::{Result, is_absent};
use crate::base::escape::{quoted, shown};
use crate::host::Host;
use crate::host::root::Symlink;
use crate::sys::fd::{ITSELF, create_at, fd_path, open_at};
use crate::sys::stdio::write_all;
use crate::view::submounts::Submounts;
use crate::view::{bind, mount_new, refused};
use rustix::fd::OwnedFd;
use rustix::fs::{Mode, OFlags, mkdirat};
use rustix::io::{self, Errno};
use rustix::mount::{MountFlags, UnmountFlags, unmount};
use rustix::process::umask;
use std::ffi::CString;

/// Where libc finds systemd-resolved and nscd. /var/run may be a directory of its own.
const SOCKETS: [&[u8]; 4] =
    [b"/run/systemd/resolve", b"/run/nscd", b"/var/run/systemd/resolve", b"/var/run/nscd"];
/// The name of an empty directory beside the copies.
const EMPTY: &[u8] = b"empty";
const COPIES: &[u8] = b"copies";

/// Shows the files to this process; the caller is in a mount namespace of its own.
///
/// # Errors
/// Where the kernel refuses.
pub(in crate::view) fn show(own: &Host, files: &[File]) -> Result<()> {
    let mut missing = None;
    mount(own, files, &mut missing).map_err(|e| match missing {
        None => refused("mount the target's files on those of \"/etc\"", e, None),
        Some(missing) => {
            let remedy = format!("touch {}", shown(&missing.path()));
            refused("mount an overlay on \"/etc\", where a file is missing", e, Some(&remedy))
        }
    })
}

/// Mounts the copies, or where the caller's /etc has no entry for one, which is `missing` then, an
/// overlay that has them.
fn mount<'f>(own: &Host, files: &'f [File], missing: &mut Option<&'f File>) -> io::Result<()> {
    let etc = own.resolve(b"/etc", Symlink::Follow)?;
    let submounts = Submounts::below(own, &etc)?;
    let Replaced { files, missing: no_entry } = replaced(own, &etc, files)?;
    let staged = cover(own, &etc)?;
    let copies = write_copies(&staged, &files)?;
    mask_sockets(own, &staged)?;
    if no_entry.is_none() {
        bind_files(&files, &copies, &etc)?;
        // What is bound from it stays.
        return unmount(fd_path(&staged), UnmountFlags::DETACH);
    }
    // No entry to mount on, and none can be made that nobody else would see.
    *missing = no_entry;
    mount_overlay(&copies, &etc)?;
    submounts.bind_back(own)?;
    // Also over what was mounted on an entry before.
    bind_files(&files, &copies, &own.resolve(b"/etc", Symlink::Follow)?)
}

/// The files that COMMAND is to see in place of others.
struct Replaced<'f> {
    files: Vec<&'f File>,
    /// One of them that the caller's /etc has no entry for.
    missing: Option<&'f File>,
}

/// Selects the files that are to be shown: all but those that are left out where there is nothing
/// to be replaced.
fn replaced<'f>(own: &Host, etc: &OwnedFd, files: &'f [File]) -> io::Result<Replaced<'f>> {
    let mut replaced = Replaced { files: Vec::new(), missing: None };
    for file in files {
        match open_entry(etc, &file.name) {
            Err(Errno::NOENT) if file.is_optional => {
                if !file.copy.text.is_empty() {
                    let path = file.path();
                    own.console.note(format_args!("there is no {} to be replaced", quoted(&path)));
                }
                continue;
            }
            Err(Errno::NOENT) => replaced.missing = Some(file),
            entry => _ = entry?,
        }
        replaced.files.push(file);
    }
    Ok(replaced)
}

/// Covers /etc with an empty tmpfs, and opens (O_PATH) that.
fn cover(own: &Host, etc: &OwnedFd) -> io::Result<OwnedFd> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    mount_new(c"tmpfs", etc, flags, c"mode=755")?;
    own.resolve(b"/etc", Symlink::Follow)
}

/// Writes the copies into a directory of their own, beside [`EMPTY`]; opens (O_PATH) that
/// directory.
fn write_copies(staged: &OwnedFd, files: &[&File]) -> io::Result<OwnedFd> {
    // COMMAND may become another user.
    let before = umask(Mode::empty());
    let copies = write_readable_copies(staged, files);
    umask(before);
    copies
}

fn write_readable_copies(staged: &OwnedFd, files: &[&File]) -> io::Result<OwnedFd> {
    for name in [EMPTY, COPIES] {
        mkdirat(staged, name, Mode::from_raw_mode(0o755))?;
    }
    let copies = open_entry(staged, COPIES)?;
    for file in files {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
        let mode = if file.copy.is_private { 0o600 } else { 0o644 };
        let copy = create_at(&copies, &file.name, flags, Mode::from_raw_mode(mode))?;
        write_all(copy, &file.copy.text)?;
    }
    Ok(copies)
}

/// Hides the sockets of resolvers of the host's.
fn mask_sockets(own: &Host, staged: &OwnedFd) -> io::Result<()> {
    for path in SOCKETS {
        match own.resolve(path, Symlink::Follow) {
            Ok(place) => bind(&open_entry(staged, EMPTY)?, &place)?,
            Err(e) if is_absent(e) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// Mounts an overlay on /etc that has the copies beside what /etc has.
fn mount_overlay(copies: &OwnedFd, etc: &OwnedFd) -> io::Result<()> {
    let (copies, lower) = (fd_path(copies), fd_path(etc));
    let layers = [b"lowerdir=", copies.as_bytes(), b":", lower.as_bytes()].concat();
    let layers = CString::new(layers).map_err(|_| Errno::INVAL)?;
    mount_new(c"overlay", etc, MountFlags::RDONLY, &layers)
}

/// Binds each copy to the entry of its name.
fn bind_files(files: &[&File], copies: &OwnedFd, etc: &OwnedFd) -> io::Result<()> {
    for file in files {
        bind(&open_entry(copies, &file.name)?, &open_entry(etc, &file.name)?)?;
    }
    Ok(())
}

/// Opens (O_PATH) an entry itself, be it a symlink.
fn open_entry(directory: &OwnedFd, name: &[u8]) -> io::Result<OwnedFd> {
    open_at(directory, name, ITSELF)
}
