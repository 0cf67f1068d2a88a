//! `--all`: COMMAND in one namespace after the other, each time in a process of its own.

#![forbid(unsafe_code)]

use super::enter::become_command;
use super::list::group::{self, Group};
use super::note_left_out;
use crate::base::console::{print, report};
use crate::base::error::{Error, FAILED, Result};
use crate::base::escape::shown;
use crate::base::text::list;
use crate::cli::Exec;
use crate::containers::running::running;
use crate::host::Host;
use crate::pin::lookup;
use crate::sys::libc::{Argv, exit, fork};
use crate::sys::signal::{Disposition, SignalMask, die_of};
use crate::target::Target;
use crate::view::Views;
use rustix::io::retry_on_intr;
use rustix::process::{Resource, Rlimit, Signal, WaitOptions, setrlimit, waitpid};
use std::convert::Infallible;

/// How COMMAND ended.
enum Ended {
    Status(u8),
    Signal(i32),
}

/// Runs COMMAND in each namespace that has a container or a pin, but never in the host's, and notes
/// at the end where it failed. Returns the first exit status that is not 0. Where COMMAND dies of a
/// signal, so does the program.
///
/// # Errors
/// Where the namespaces cannot be listed, a heading cannot be printed, or no process can be made.
pub(super) fn all(host: &Host, views: Views, argv: Argv, command: usize) -> Result<u8> {
    let directory = lookup::directory(host);
    let groups = group::all(host, running(host)?)?;
    host.note_unread();
    let mut failed: Vec<(String, u8)> = Vec::new();
    for mut group in groups {
        let (title, inode) = (title(&group, directory), group.namespace.id.ino);
        if group.is_host {
            if !group.containers.is_empty() {
                let text = format!("left out, in the host's network namespace: {title}");
                host.console.note(text);
            }
            continue;
        }
        if title.is_empty() {
            continue;
        }
        let Some(target) = open(host, &mut group, directory)? else {
            host.console.note(format!("{title}: network namespace {inode} has vanished"));
            failed.push((title, FAILED));
            continue;
        };
        if !host.console.quiet {
            print(format!("==> {} {inode} <==\n", target.label).as_bytes())?;
        }
        let exec = Exec::Argument(command);
        match run(|| become_command(host, &target, None, views, argv, exec))? {
            Ended::Status(0) => {}
            Ended::Status(status) => failed.push((target.label, status)),
            Ended::Signal(signal) => {
                note_failed(host, &failed);
                die(signal);
            }
        }
    }
    note_failed(host, &failed);
    note_left_out(host);
    Ok(failed.first().map_or(0, |(_, status)| *status))
}

/// Notes where COMMAND failed.
fn note_failed(host: &Host, failed: &[(String, u8)]) {
    if !failed.is_empty() {
        let items = failed.iter().map(|(label, status)| format!("{label} ({status})"));
        host.console.note(format!("COMMAND failed in: {}", list(items, ", ")));
    }
}

/// Returns what COMMAND's heading says of a namespace: the names of its containers, else its pins.
/// Empty where it has neither, and is not to be visited.
fn title(group: &Group, directory: &[u8]) -> String {
    let names = group.names();
    if names.is_empty() {
        return list(group.pins(directory).into_iter().map(shown), " ");
    }
    list(names.iter().map(|name| shown(name)), " ")
}

/// Opens a namespace that is to be visited; returns None where it, or all that it was to be visited
/// for, has vanished meanwhile.
fn open(host: &Host, group: &mut Group, directory: &[u8]) -> Result<Option<Target>> {
    let Some((netns, process)) = group.open(host)? else { return Ok(None) };
    // Without the containers that have ended.
    let label = title(group, directory);
    if label.is_empty() {
        return Ok(None);
    }
    let mut target = Target::new(netns, label, process);
    if group.containers.is_empty() {
        target.pin = group.first_pin(directory).map(<[u8]>::to_vec);
    }
    Ok(Some(target))
}

/// Runs COMMAND in a child, which `become_command` makes it, and waits for its end.
fn run(become_command: impl FnOnce() -> Result<Infallible>) -> Result<Ended> {
    let cannot = |e| Error::cannot("run COMMAND in a process of its own", e);
    // Where it is ignored, children leave no status.
    let children = Disposition::ignore(Signal::CHILD, false);
    // What the terminal sends is for COMMAND from its first instruction on. What comes before the
    // parent and the child are ready for it waits.
    let mask = SignalMask::block(&[Signal::INT, Signal::QUIT]);
    let Some(child) = fork().map_err(cannot)? else {
        children.restore();
        mask.restore();
        let Err(error) = become_command();
        report(&error);
        exit(error.status());
    };
    let others = [Signal::INT, Signal::QUIT].map(|signal| Disposition::ignore(signal, true));
    mask.restore();
    let ended = retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
    for disposition in others.iter().chain([&children]) {
        disposition.restore();
    }
    let Some((_, ended)) = ended.map_err(cannot)? else { return Ok(Ended::Status(FAILED)) };
    Ok(match ended.terminating_signal() {
        Some(signal) => Ended::Signal(signal),
        None => Ended::Status(ended.exit_status().map_or(FAILED, |status| status as u8)),
    })
}

/// Dies of the signal that COMMAND died of.
fn die(signal: i32) -> ! {
    // COMMAND has left a core file if one was wanted.
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: None });
    die_of(signal)
}
