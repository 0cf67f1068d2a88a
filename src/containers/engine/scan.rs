//! Daemons that only /proc tells of: those of root's that run with a configuration of their own.

#![forbid(unsafe_code)]

use super::learn::command_line;
use super::{Containers, containerd, docker};
use crate::base::error::Result;
use crate::containers::world::World;
use crate::host::process::all_pids;
use rustix::fs::OFlags;
use rustix::io::{read, retry_on_intr};

/// Adds the containers of daemons that only /proc tells of. As [`super::scan`].
pub(super) fn scan(
    world: &World<'_>,
    only: Option<&str>,
    needle: Option<&[u8]>,
    out: &mut Containers,
) -> Result<()> {
    if world.user_of().is_some() || !world.caller.is_root {
        return Ok(());
    }
    let mut buffer = [0; 16];
    for pid in all_pids(world.host)? {
        let path = format!("{pid}/comm");
        let comm = world.host.open_proc(path.as_bytes(), OFlags::RDONLY);
        let count = comm.and_then(|comm| retry_on_intr(|| read(&comm, &mut buffer)));
        // Who has gone is no daemon's, and who hides is not root's.
        let comm = buffer.get(..count.unwrap_or_default()).unwrap_or_default().trim_ascii_end();
        if comm == docker::DAEMON.name {
            if let Some(line) = command_line(world, pid, &docker::DAEMON)? {
                docker::list_of(world, &line, only, needle, out)?;
            }
        } else if comm == containerd::DAEMON.name {
            if let Some(line) = command_line(world, pid, &containerd::DAEMON)? {
                containerd::list_of(world, &line, only, needle, out)?;
            }
        }
    }
    Ok(())
}
