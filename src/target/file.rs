//! `--file`: any file that is a network namespace.

#![forbid(unsafe_code)]

use super::Target;
use crate::base::error::{Error, Result};
use crate::base::escape::{quoted, shown};
use crate::host::Host;
use crate::host::root::{Root, Symlink, split_at_process_root};
use crate::kernel::netns::NetNs;
use crate::pin::lookup;
use crate::sys::fd::{file_type, open_at, read_link};
use rustix::fd::OwnedFd;
use rustix::fs::{CWD, FileType, OFlags};
use rustix::io::{self, Errno};

/// Opens the namespace at `path`.
///
/// # Errors
/// Where there is none, or the path is a symlink to a process that is not the one it was made for.
pub(super) fn resolve(host: &Host, path: &[u8]) -> Result<Target> {
    host.watch_above(path);
    host.mind_mounts();
    Ok(Target::new(open(host, path)?, quoted(path).to_string(), None))
}

fn open(host: &Host, path: &[u8]) -> Result<NetNs> {
    let cannot = |e| {
        let error = Error::cannot_at("open", path, e);
        match e {
            // docker inspect has names so.
            Errno::NOENT if path.starts_with(b"/") && !path[1..].contains(&b'/') => error
                .absent()
                .with_remedy(format!("if it is a container's name: -c {}", shown(path))),
            Errno::NOENT => error.absent(),
            _ => error,
        }
    };
    if let (Root::Own, Some((root, rest))) = (host.root(), split_at_process_root(path)) {
        let file = below_process(root, rest).map_err(|e| match e {
            Errno::LOOP => {
                let fault = "leads through a link in the /proc of that process, or in a loop";
                Error::of(path, fault).with_remedy("if you know a process in it: --pid PID")
            }
            e => cannot(e),
        })?;
        return NetNs::of_file(&file, path);
    }
    let file = host.resolve(path, Symlink::NoFollow).map_err(cannot)?;
    let is_entry = lookup::is_entry(path);
    if is_entry {
        host.check_answers(&file, path)?;
    }
    if file_type(&file).map_err(cannot)? != FileType::Symlink {
        return NetNs::of_file(&file, path);
    }
    if is_entry {
        return lookup::follow(host, &file, path);
    }
    // What may not be read is said by who follows it.
    let target = read_link(&file, b"").unwrap_or_default();
    if let Some(netns) = lookup::of_process(host, &file, &target, path)? {
        return Ok(netns);
    }
    let file = host.resolve(path, Symlink::Follow).map_err(cannot)?;
    NetNs::of_file(&file, path)
}

/// Resolves a path below the root directory of a process, in which links of its own stay. Those in
/// its /proc are not followed.
fn below_process(root: &[u8], rest: &[u8]) -> io::Result<OwnedFd> {
    let directory = open_at(CWD, root, OFlags::PATH | OFlags::DIRECTORY)?;
    Root::Directory(directory).resolve(rest, Symlink::Follow)
}
