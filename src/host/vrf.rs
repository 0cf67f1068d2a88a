//! The VRF that this process is in: a device of its network namespace, to which a program of its
//! cgroup binds each socket that is made there. `ip vrf exec NAME` makes that cgroup, vrf/NAME
//! below the caller's: ip-vrf(8). In another namespace the device is another one, or none.

#![forbid(unsafe_code)]

use super::{Host, mountinfo};
use crate::base::error::{Error, Result, is_absent, is_denied};
use crate::base::escape::quoted;
use crate::base::text::{contains, find, join, line_after};
use crate::kernel::netns::NetNs;
use crate::sys::fd::open_at;
use rustix::fs::{CWD, OFlags};
use rustix::io::{self, Errno, write};

/// What the path of such a cgroup has in it; the device's name follows.
const VRF: &[u8] = b"/vrf/";

/// Leaves the VRF, if this process is in one and `netns` is not its own namespace, for the cgroup
/// from which that was entered.
///
/// # Errors
/// Where that is not possible.
pub(crate) fn leave(host: &Host, netns: &NetNs) -> Result<()> {
    let cannot = |e| Error::cannot("tell the VRF that we are in", e);
    let Some(cgroup) = own_cgroup(host).map_err(cannot)? else { return Ok(()) };
    let Some(end) = find(&cgroup, VRF) else { return Ok(()) };
    if netns.is_own().map_err(cannot)? {
        return Ok(());
    }
    move_to(host, &cgroup[..end]).map_err(|e| {
        let device = quoted(&cgroup[end + VRF.len()..]);
        Error::cannot(format_args!("leave VRF {device}, a device of our own network namespace"), e)
            .with_remedy("leave it before: ip vrf exec default netns-enter ...")
    })
}

/// Returns the path of our cgroup of version 2. In three system calls, as every entry makes them.
fn own_cgroup(host: &Host) -> io::Result<Option<Vec<u8>>> {
    let file = match open_at(CWD, b"/proc/self/cgroup", OFlags::RDONLY) {
        Err(e) if is_absent(e) || is_denied(e) => return Ok(None),
        file => file?,
    };
    let mut content = host.buffer.reserve(4 << 10);
    // What the kernel has it gives at once, if there is room: fs/seq_file.c.
    loop {
        content.read_once(&file)?;
        if !content.is_full() {
            return Ok(line_after(&content, b"0::").map(<[u8]>::to_vec));
        }
        content.grow();
    }
}

/// Moves this process to another cgroup of version 2, wherever that is mounted.
fn move_to(host: &Host, cgroup: &[u8]) -> io::Result<()> {
    let mut failure = Errno::NOENT;
    // DIR of --host-root may be another machine's.
    for mount in mountinfo::read(&Host::own(host.console))? {
        // A part of the hierarchy has other paths.
        if *mount.kind != *b"cgroup2" || mount.root != b"/" || contains(cgroup, b"/..") {
            continue;
        }
        let procs = join(&[mount.point, cgroup.to_vec()].concat(), b"cgroup.procs");
        let moved = open_at(CWD, &procs, OFlags::WRONLY).and_then(|procs| write(procs, b"0"));
        match moved {
            Ok(_) if !own_cgroup(host)?.is_some_and(|own| contains(&own, VRF)) => return Ok(()),
            Ok(_) => {}
            Err(e) => failure = e,
        }
    }
    Err(failure)
}
