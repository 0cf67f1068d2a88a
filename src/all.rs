//! `--all`: COMMAND in one namespace after the other, each time in a process of its own.

#![forbid(unsafe_code)]

use crate::bytes::Bytes;
use crate::console::{self, report};
use crate::error::{Error, FAILED, Result};
use crate::host::Host;
use crate::list::{self, Row};
use crate::pinned;
use crate::sys::{self, Disposition, SignalMask};
use crate::target::Found;
use crate::text::text;
use rustix::io::retry_on_intr;
use rustix::process::{Resource, Rlimit, Signal, WaitOptions, setrlimit, waitpid};

/// What the child does; it returns only on failure.
type Become<'b> = &'b dyn Fn(&Found) -> Result<()>;

/// Runs COMMAND in each namespace that has a container or a pin, but never in the host's; returns the exit status.
/// Where COMMAND dies of a signal, so does the program.
///
/// # Errors
/// Where the namespaces cannot be listed, or no process can be made.
pub fn all(host: &Host, become_command: Become<'_>) -> Result<u8> {
    let mut status = 0;
    let mut rows = list::rows(host);
    host.note_unread();
    for row in &mut rows {
        let title = title(host, row);
        if row.is_host {
            if !row.containers.is_empty() {
                host.console.note(text!("left out, in the host's network namespace: {}", title));
            }
            continue;
        }
        if title.is_empty() {
            continue;
        }
        let inode = row.namespace.id.ino;
        let held = row.hold(host);
        let (title, held) = match (self::title(host, row), held) {
            (now, Some(held)) if !now.is_empty() => (now, held),
            _ => {
                host.console.note(text!("{}: network namespace {} has vanished", title, inode));
                status = if status == 0 { FAILED } else { status };
                continue;
            }
        };
        if !host.console.quiet {
            console::print(text!("==> {} {} <==\n", title, inode))?;
        }
        let pin = if row.containers.is_empty() { pin(host, row) } else { None };
        let found = Found { netns: held.0, label: title, process: held.1, pin };
        let ended = run(&found, become_command)?;
        status = if status == 0 { ended } else { status };
    }
    Ok(status)
}

/// What is asked of a namespace that is to be visited: the names of its containers, else its pins; empty where it has neither.
fn title(host: &Host, row: &Row) -> Bytes {
    let names = row.names();
    list::listed(if names.is_empty() { row.pins(host) } else { names }, b" ")
}

/// Its first name in /run/netns.
fn pin(host: &Host, row: &Row) -> Option<Bytes> {
    let directory = pinned::directory(host);
    let name = row.namespace.mounts.iter().find_map(|path| path.strip_prefix(directory)?.strip_prefix(b"/"));
    name.filter(|name| !name.contains(&b'/'))
}

/// Runs COMMAND in a child; returns its exit status.
fn run(found: &Found, become_command: Become<'_>) -> Result<u8> {
    let cannot = |e| Error::cannot(b"run COMMAND in a process of its own", e);
    // Where it is ignored, children leave no status.
    let children = Disposition::ignore(Signal::CHILD, false);
    // What the terminal sends is for COMMAND from its first instruction on. What comes before each of us is ready for it waits.
    let mask = SignalMask::block(&[Signal::INT, Signal::QUIT]);
    let Some(child) = sys::fork().map_err(cannot)? else {
        children.restore();
        mask.restore();
        let status = match become_command(found) {
            Ok(()) => 0,
            Err(error) => {
                report(&error);
                error.status
            }
        };
        sys::exit(status);
    };
    let others = [Signal::INT, Signal::QUIT].map(|signal| Disposition::ignore(signal, true));
    mask.restore();
    let ended = retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
    for disposition in others.iter().chain([&children]) {
        disposition.restore();
    }
    let Some((_, ended)) = ended.map_err(cannot)? else { return Ok(FAILED) };
    if let Some(signal) = ended.terminating_signal() {
        // COMMAND has left a core file if one was wanted.
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: None });
        sys::die_of(signal);
    }
    Ok(ended.exit_status().map_or(FAILED, |status| status as u8))
}
