//! `--all`: COMMAND in one namespace after the other, each time in a process of its own.

#![forbid(unsafe_code)]

use super::enter::become_command;
use super::list::group::{self, Group};
use super::note_left_out;
use crate::base::console::{print, report};
use crate::base::error::{Error, FAILED, Result};
use crate::cli::Exec;
use crate::containers::running::running;
use crate::host::{Host, namespaces};
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
    let running = running(host)?;
    let mut groups = group::all(host, namespaces::all(host), running)?;
    host.note_unread();
    let mut failed = Failed::default();
    let exec = Exec::Argument(command);
    let become_command = |target: &Target| become_command(host, target, None, views, argv, exec);
    for group in &mut groups {
        visit(host, group, &become_command, &mut failed)?;
    }
    failed.note(host);
    note_left_out(host);
    Ok(failed.status)
}

/// Runs COMMAND in one namespace.
fn visit(
    host: &Host,
    group: &mut Group,
    become_command: &dyn Fn(&Target) -> Result<Infallible>,
    failed: &mut Failed,
) -> Result<()> {
    let directory = lookup::directory(host);
    let (title, inode) = (title(group, directory), group.namespace.id.ino);
    if group.is_host {
        if !group.containers.is_empty() {
            let text = format!("left out, in the host's network namespace: {title}");
            host.console.note(text);
        }
        return Ok(());
    }
    if title.is_empty() {
        return Ok(());
    }
    let Some(target) = open(host, group, directory)? else {
        host.console.note(format!("{title}: network namespace {inode} has vanished"));
        failed.add(&title, FAILED);
        return Ok(());
    };
    if !host.console.quiet {
        print(format!("==> {} {inode} <==\n", target.label).as_bytes())?;
    }
    match run(&|| become_command(&target))? {
        Ended::Status(status) => failed.add(&target.label, status),
        Ended::Signal(signal) => {
            failed.note(host);
            die(signal);
        }
    }
    Ok(())
}

/// Where COMMAND failed.
#[derive(Default)]
struct Failed {
    /// The first status that is not 0.
    status: u8,
    places: Vec<String>,
}

impl Failed {
    fn add(&mut self, label: &str, status: u8) {
        if status == 0 {
            return;
        }
        if self.status == 0 {
            self.status = status;
        }
        self.places.push(format!("{label} ({status})"));
    }

    fn note(&self, host: &Host) {
        if self.status != 0 {
            host.console.note(format!("COMMAND failed in: {}", self.places.join(", ")));
        }
    }
}

/// Returns what COMMAND's heading says of a namespace: the names of its containers, else its pins.
/// Empty where it has neither, and is not to be visited.
fn title(group: &Group, directory: &[u8]) -> String {
    let names = group.names();
    if names.is_empty() { group.pins(directory).join(" ") } else { names.join(" ") }
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
fn run(become_command: &dyn Fn() -> Result<Infallible>) -> Result<Ended> {
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
