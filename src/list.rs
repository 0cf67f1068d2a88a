//! `--list`: every network namespace with its containers, its pins and its addresses.

#![forbid(unsafe_code)]

mod json;
mod look;
mod rootless;
mod table;

use crate::bytes::{Bytes, Names, both, join, keep};
use crate::cgroup::{unit_in, unless_gone};
use crate::console;
use crate::container::{self, Seen};
use crate::error::Result;
use crate::host::Host;
use crate::namespaces::{self, Held, Namespace};
use crate::netns::{host_id, within};
use crate::pinned;
use crate::process::Process;
use crate::target::Found;
use look::Look;
pub use table::listed;

/// A network namespace and whose it is.
#[derive(Debug)]
pub struct Row {
    /// The namespace.
    pub namespace: Box<Namespace>,
    /// Whether it is the host's own.
    pub is_host: bool,
    /// The containers in it, by engine and name.
    pub containers: Vec<&'static Seen>,
}

/// What is printed of a row.
struct Line {
    /// Which row it is.
    row: usize,
    /// The process or thread by which the namespace was opened.
    pid: Option<u32>,
    unit: Option<Bytes>,
    command: Option<Bytes>,
    /// The interfaces, in the form they are printed in; None where they may not be looked at.
    interfaces: Option<Bytes>,
}

/// Every network namespace, by inode.
pub fn rows(host: &Host) -> Vec<Row> {
    // Before the namespaces: a container that runs all the time is then in one of them.
    let containers = container::running(host);
    let hosts = host_id(host);
    let mut rows: Vec<Row> = Vec::new();
    for namespace in namespaces::all(host) {
        rows.push(Row { is_host: hosts == Some(namespace.id), namespace, containers: Vec::new() });
    }
    for seen in containers {
        if let Ok(at) = rows.binary_search_by_key(&seen.netns, |row| row.namespace.id) {
            let list = &mut rows[at].containers;
            let after = |known: &&&Seen| known.container.cmp_name(seen.container).is_le();
            list.insert(list.iter().take_while(after).count(), seen);
        }
    }
    rows
}

/// Prints all namespaces, or only that of `target`, as a table or as JSON.
///
/// # Errors
/// Where the interfaces cannot be asked for, or standard output cannot be written.
pub fn list(host: &Host, target: Option<&Found>, as_json: bool) -> Result<()> {
    let mut rows = rows(host);
    let wanted = target.map(|found| found.netns.id);
    if let Some(id) = wanted.filter(|id| rows.iter().all(|row| row.namespace.id != *id)) {
        // It is held by nothing that the walk finds, such as a file in another mount namespace.
        rows.push(Row { namespace: Namespace::new(id), is_host: false, containers: Vec::new() });
    }
    let look = Look::new(host, as_json)?;
    let mut lines = Vec::new();
    for at in 0..rows.len() {
        if wanted.is_some_and(|id| id != rows[at].namespace.id) {
            continue;
        }
        let held = rows[at].hold(host);
        let netns = match (&held, target) {
            (Some((netns, _)), _) => netns,
            (None, Some(found)) => &found.netns,
            // It has vanished.
            (None, None) => continue,
        };
        let process = held.as_ref().and_then(|(_, process)| process.as_ref());
        let mut line = Line::of(host, at, process, as_json || rows[at].containers.is_empty());
        line.interfaces = within(netns, look.home(), || look.at(&rows, at))?;
        lines.push(line);
    }
    rootless::look(&look, &rows, &mut lines)?;
    let text = if as_json { json::text(&rows, &lines) } else { table::text(host, &rows, &lines) };
    console::print(&text)?;
    host.note_unread();
    Ok(())
}

impl Row {
    /// Opens the namespace, by its first container's process where there is one, and forgets containers that have ended. None where
    /// it has vanished meanwhile.
    pub fn hold(&mut self, host: &Host) -> Option<Held> {
        let mut first = None;
        self.containers.retain(|seen| match seen.hold(host) {
            Some((netns, process)) => {
                first.get_or_insert((netns, Some(process)));
                true
            }
            None => false,
        });
        first.or_else(|| self.namespace.hold(host))
    }

    /// What its containers can be called as TARGET; a pod's share its name.
    pub fn names(&self) -> Names {
        let mut names: Vec<Bytes> = Vec::new();
        for Seen { container, .. } in &self.containers {
            let name = join(&[container.engine.as_bytes(), b":", container::pod_or_name(container)]);
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names.leak()
    }

    /// Its names in /run/netns but those that engines give; where no process is left, every path at which it is mounted.
    pub fn pins(&self, host: &Host) -> Names {
        let directory = both(pinned::directory(host), b"/");
        let is_left = self.namespace.pid.is_none() && self.namespace.thread.is_none();
        let mut pins = Vec::new();
        for path in &self.namespace.mounts {
            let name = path.strip_prefix(directory).filter(|name| !name.contains(&b'/'));
            match name {
                Some(name) if is_left || !is_engines(name) => pins.push(name),
                None if is_left => pins.push(path),
                _ => {}
            }
        }
        pins.leak()
    }
}

impl Line {
    fn of(host: &Host, row: usize, process: Option<&Process>, with_names: bool) -> Box<Line> {
        let mut line = Box::new(Line {
            row,
            pid: process.map(|process| process.pid),
            unit: None,
            command: None,
            interfaces: None,
        });
        if let Some(process) = process.filter(|_| with_names) {
            let paths = unless_gone(host, process.pid, process.cgroups()).unwrap_or_default();
            line.unit = paths.iter().find_map(|path| unit_in(path));
            let command = unless_gone(host, process.pid, process.read("comm"));
            line.command = command.map(|text| keep(text.strip_suffix(b"\n").unwrap_or(&text)));
        }
        line
    }
}

/// Whether a name in /run/netns is what CNI plugins, containerd, CRI-O or podman call theirs.
fn is_engines(name: &[u8]) -> bool {
    let is_uuid = name.len() == 36
        && name.iter().enumerate().all(|(at, b)| match at {
            8 | 13 | 18 | 23 => *b == b'-',
            _ => b.is_ascii_hexdigit(),
        });
    is_uuid || name.starts_with(b"cni-") || name.starts_with(b"netns-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_names_are_known() {
        for name in ["cni-0a1b", "netns-3f", "3b241101-e2bb-4255-8caf-4136c566a962"] {
            assert!(is_engines(name.as_bytes()), "{name}");
        }
        for name in ["web", "cni", "3b241101-e2bb-4255-8caf-4136c566a96", "3b241101-e2bb-4255-8caf-4136c566a96g"] {
            assert!(!is_engines(name.as_bytes()), "{name}");
        }
    }
}
