//! `--pin-all`: a pin for each running container that has a network namespace of its own.

#![forbid(unsafe_code)]

use super::note_left_out;
use crate::base::console::print;
use crate::base::error::{Error, FAILED, Result};
use crate::base::escape::quoted;
use crate::containers::engine::Container;
use crate::containers::engine::oci::is_long;
use crate::containers::name::{label, pod_or_name};
use crate::containers::running::{RunningContainer, running};
use crate::host::Host;
use crate::pin::create::{Pins, is_plain};
use crate::sys::signal::Disposition;
use rustix::io::Errno;
use rustix::process::Signal;
use rustix::thread::{CapabilitySet, capabilities};

/// Makes the pins, and prints the name of each on a line when it is taken, before the namespace is
/// mounted there: what uses the output knows of every pin. Returns the exit status: a pin that
/// cannot be made is a note and does not end the run.
///
/// # Errors
/// Where no pin can be made at all: the containers cannot be found, or /run/netns cannot be used.
/// Where a name cannot be printed; that pin and those after it are not made.
pub(super) fn pin_all(host: &Host) -> Result<u8> {
    refuse_without_rights()?;
    // A reader of names who goes away is a failure to tell, and no end between name and pin.
    Disposition::ignore(Signal::PIPE, true);
    let hosts = host.netns_id();
    let mut running = running(host)?;
    running.retain(|running| Some(running.netns) != hosts);
    let mut status = 0;
    // Without a container there is no need for the directory.
    if !running.is_empty() {
        let mut pins = Pins::open(host)?;
        for running in &running {
            if !pin(host, &mut pins, running)? {
                status = FAILED;
            }
        }
    }
    host.note_unread();
    note_left_out(host);
    Ok(status)
}

/// Refuses a caller who may mount nothing, before anything is looked at.
fn refuse_without_rights() -> Result<()> {
    match capabilities(None) {
        Ok(sets) if !sets.effective.contains(CapabilitySet::SYS_ADMIN) => {
            let error = Error::cannot("pin anything", Errno::PERM);
            Err(error.with_remedy("pins need root: run it with sudo"))
        }
        // Where that cannot be told, mount(2) tells.
        _ => Ok(()),
    }
}

/// Pins a container's namespace, unless it is pinned already; false, and a note, where it cannot be
/// pinned.
///
/// # Errors
/// Where the machine fails, or the name cannot be printed.
fn pin(host: &Host, pins: &mut Pins<'_>, running: &RunningContainer) -> Result<bool> {
    let container = &running.container;
    let name = name_for(container);
    let is_nameless = container.is_nameless() && is_long(&container.id);
    let unread = host.unread().filter(|_| is_nameless);
    let fault = match (unread, is_plain(&name), running.reopen(host)?) {
        (Some(unread), ..) => format!(
            "{} is not pinned: its name may be in what could not be read: {unread}",
            label(container)
        ),
        (None, false, _) => {
            let fault = match name.contains(&b' ') {
                true => "has a blank",
                false => "has other characters than letters, digits and ._@:+-",
            };
            format!("pin name {} {fault}", quoted(&name))
        }
        (None, true, None) => {
            let fault = "has ended meanwhile, or may not be looked at";
            format!("{} {fault}", label(&running.container))
        }
        (None, true, Some((netns, _))) => {
            let mut is_told = true;
            let made = pins.add(&netns, &name, &mut || {
                print(&[&name[..], b"\n"].concat()).inspect_err(|_| is_told = false)
            });
            match made {
                Ok(_) => return Ok(true),
                Err(error) if is_told => error.message().to_owned(),
                Err(error) => return Err(error),
            }
        }
    };
    host.console.note(fault);
    Ok(false)
}

/// Returns ENGINE-NAME; for all containers of a pod k8s-NAMESPACE_POD.
fn name_for(container: &Container) -> Vec<u8> {
    let mut name = [container.engine.as_bytes(), b"-", pod_or_name(container)].concat();
    if container.engine == "k8s" {
        for byte in name.iter_mut().filter(|byte| **byte == b'/') {
            *byte = b'_';
        }
    }
    name
}
