//! Daemons that only /proc tells of: those of root's that run with a configuration of their own.

#![forbid(unsafe_code)]

use super::learn::{Daemon, command_line};
use super::{Containers, ENGINES};
use crate::containers::world::World;
use crate::host::process::{all_pids, unless_gone};
use rustix::fs::OFlags;
use rustix::io::{read, retry_on_intr};

/// Adds the containers, of any engine, of the daemons of root's that run and whose places nothing
/// else told: /proc is looked through. For a word that is still unknown, and for what lists all.
pub(crate) fn scan(world: &World<'_>, only: Option<&str>, out: &mut Containers<'_>) {
    let engines = ENGINES.iter().filter(|engine| only.is_none_or(|word| engine.answers_to(word)));
    let daemons: Vec<&Daemon> = engines.filter_map(|engine| engine.daemon).collect();
    if world.user_of().is_some() || !world.caller.is_root || daemons.is_empty() {
        return;
    }
    let mut buffer = [0; 16];
    for pid in all_pids(world.host) {
        let path = format!("{pid}/comm");
        let comm = world.host.open_proc(path.as_bytes(), OFlags::RDONLY);
        let count = comm.and_then(|comm| retry_on_intr(|| read(&comm, &mut buffer)));
        let Some(count) = unless_gone(world.host, pid, count) else { continue };
        let comm = buffer[..count].trim_ascii_end();
        let Some(daemon) = daemons.iter().find(|daemon| daemon.name == comm) else { continue };
        if let Some(line) = command_line(world, pid, daemon) {
            (daemon.list_of)(world, &line, out);
        }
    }
}
