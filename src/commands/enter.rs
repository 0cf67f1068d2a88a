//! Entering a namespace and becoming COMMAND there; with `--pin`, after it was pinned or instead.

#![forbid(unsafe_code)]

use crate::base::console::Console;
use crate::base::error::{Error, NOT_EXECUTABLE, NOT_FOUND, Result, describe};
use crate::base::escape::quoted;
use crate::cli::Exec;
use crate::containers::lookup::is_root;
use crate::host::{Host, vrf};
use crate::pin::create::{Made, Pins};
use crate::sys::libc::{self, Argv};
use crate::target::{Target, TargetSpec, resolve};
use crate::view::origin::Origin;
use crate::view::{View, Views};
use rustix::io::Errno;
use rustix::stdio::stdin;
use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::io::IsTerminal;
use std::os::unix::ffi::OsStringExt;

/// Finds what `spec` means, and notes where that is the host's own.
///
/// # Errors
/// As [`resolve`].
pub(super) fn find(host: &Host, spec: &TargetSpec) -> Result<Target> {
    let target = resolve(host, spec)?;
    if host.likely_netns_id() == Some(target.netns.id) {
        host.console.note(format_args!("{} uses the host's network namespace", target.label));
    }
    Ok(target)
}

/// Pins and enters what was found, and becomes COMMAND there. All that can fail before anything was
/// changed comes first. Returns only on failure.
///
/// # Errors
/// Where anything fails. A pin stays where COMMAND alone was not to be run.
pub(super) fn become_command(
    host: &Host,
    target: &Target,
    pin: Option<&[u8]>,
    views: Views,
    argv: Argv,
    exec: Exec,
) -> Result<Infallible> {
    let view = View::prepare(host, target, views)?;
    let pin = match pin {
        Some(name) => Some(KeptPin::make(host, target, name, &view)?),
        None => None,
    };
    let entered = leave_vrf(host, target)
        .and_then(|()| target.netns.enter(&target.label))
        .and_then(|()| view.show(host.console));
    if let Err(error) = entered {
        if let Some(pin) = &pin {
            pin.take_back();
        }
        return Err(error);
    }
    Err(match exec {
        Exec::Argument(index) => cannot_run(argv.get(index), argv.exec(index)),
        Exec::Shell => {
            note_where(host.console, target);
            let shell = shell();
            cannot_run(&shell, libc::exec(&shell))
        }
    })
}

/// Leaves the VRF of our own namespace: COMMAND's sockets would be bound to its device. Who is not
/// root may not be able to, and is told.
fn leave_vrf(host: &Host, target: &Target) -> Result<()> {
    match vrf::leave(host, &target.netns) {
        Err(error) if !is_root(host) => {
            host.console.note(error.message());
            Ok(())
        }
        left => left,
    }
}

/// A pin that comes before COMMAND, and what is needed to take it back where nothing can be run.
/// The directory stays locked until then: who finds the pin meanwhile may rely on it.
struct KeptPin<'h> {
    console: Console,
    pins: Pins<'h>,
    /// None where the name was the namespace's before.
    made: Option<Made>,
    /// Where it was made, if COMMAND is to see other mounts.
    origin: Option<Origin>,
}

impl<'h> KeptPin<'h> {
    fn make(host: &'h Host, target: &Target, name: &[u8], view: &View) -> Result<KeptPin<'h>> {
        let cannot = |e| Error::cannot("open our own mount namespace", e);
        let origin = match view.is_empty() {
            true => None,
            false => Some(Origin::open().map_err(cannot)?),
        };
        let mut pins = Pins::open(host)?;
        let made = pins.add(&target.netns, name, &mut || Ok(()))?;
        Ok(KeptPin { console: host.console, pins, made, origin })
    }

    fn take_back(&self) {
        let Some(made) = &self.made else { return };
        let back = self.origin.as_ref().map_or(Ok(()), Origin::come_back);
        let back = back.map_err(|e| Error::cannot("come back to our own mount namespace", e));
        if let Err(error) = back.and_then(|()| self.pins.take_back(made)) {
            let name = quoted(&made.name);
            self.console.note(format_args!("pin {name} stays: {}", error.message()));
        }
    }
}

/// Says at a terminal where a shell is: it looks like any other.
fn note_where(console: Console, target: &Target) {
    if stdin().is_terminal() {
        let label = &target.label;
        console.note(format_args!("in the network namespace of {label}; exit leaves it"));
    }
}

fn cannot_run(command: &CStr, errno: Errno) -> Error {
    let message = format!("cannot run {}: {}", quoted(command.to_bytes()), describe(errno));
    let error = Error::new(message).with_status(NOT_EXECUTABLE);
    match errno {
        Errno::NOENT if command.to_bytes().contains(&b' ') => error
            .with_status(NOT_FOUND)
            .with_remedy("COMMAND and each argument are words of their own; a line is for sh -c"),
        Errno::NOENT => error.with_status(NOT_FOUND),
        Errno::NOEXEC => error.with_remedy(
            "a script needs a first line such as #!/bin/sh, a binary this machine's format",
        ),
        _ => error,
    }
}

/// Returns `$SHELL`, or `/bin/sh` where that is unset or empty.
fn shell() -> CString {
    let chosen = libc::variable("SHELL").and_then(|shell| CString::new(shell.into_vec()).ok());
    chosen.unwrap_or_else(|| c"/bin/sh".into())
}
