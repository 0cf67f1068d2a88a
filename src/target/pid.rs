//! `--pid`: the namespace of a process that the user vouches for, the one path without an
//! expectation; with an inode, only if the process is the one that was meant.

#![forbid(unsafe_code)]

use super::Target;
use crate::base::error::{Error, Result};
use crate::host::Host;
use crate::host::process::{Process, diagnose};
use crate::kernel::netns::NetNs;
use rustix::fs::OFlags;

/// Opens the namespace of process `pid`.
///
/// # Errors
/// Where there is no such process, or it may not be looked at.
pub(super) fn resolve(host: &Host, pid: u32) -> Result<Target> {
    let path = format!("{pid}/ns/net");
    let netns = host
        .open_proc(path.as_bytes(), OFlags::RDONLY)
        .and_then(NetNs::of_link)
        .map_err(|e| diagnose(host, pid, e))?;
    let mut target = Target::new(netns, format!("process {pid}"), None);
    target.pid = Some(pid);
    Ok(target)
}

/// Opens the namespace of process `pid` if `inode` is that of its pidfd, as `getino -p` prints it,
/// or of the namespace itself.
///
/// # Errors
/// Those of [`resolve`]; where the inode is neither.
pub(super) fn with_inode(host: &Host, pid: u32, inode: u64) -> Result<Target> {
    let held = Process::open(host, pid).and_then(|process| Ok((process.netns()?, process)));
    let (netns, process) = held.map_err(|e| diagnose(host, pid, e))?;
    if netns.id.ino != inode {
        let pidfd = process.pidfd_inode(host);
        if pidfd != Some(inode) {
            let pidfd = match pidfd {
                Some(pidfd) => format!("its pidfd has inode {pidfd}"),
                None => "its pidfd has no inode of its own here (Linux 6.9)".to_owned(),
            };
            let found = format!("{pidfd}, its network namespace {}", netns.id.ino);
            return Err(Error::new(format!("process {pid} is not {pid}:{inode}: {found}"))
                .with_remedy("the pid may have been reused: look for the process again"));
        }
    }
    let mut target = Target::new(netns, format!("process {pid}"), Some(process));
    target.pid = Some(pid);
    Ok(target)
}
