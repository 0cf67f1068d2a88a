//! `--pin-all`: a pin for each running container that has a network namespace of its own.

#![forbid(unsafe_code)]

use super::note_left_out;
use crate::base::console::print;
use crate::base::error::{Error, FAILED, Result};
use crate::base::escape::quoted;
use crate::containers::engine::Container;
use crate::containers::name::{label, pod_or_name};
use crate::containers::running::running;
use crate::host::Host;
use crate::kernel::netns::NetNs;
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
    let mut pins = None;
    let mut status = 0;
    for running in running(host)?.iter().filter(|running| Some(running.netns) != hosts) {
        // Without a container there is no need for the directory.
        let pins = match &mut pins {
            Some(pins) => pins,
            None => pins.insert(Pins::open(host)?),
        };
        let container = &running.container;
        let netns = running.reopen(host)?.map(|(netns, _)| netns);
        let mut is_untold = false;
        let made = pin(pins, container, netns, &mut |name| {
            print(&[name, b"\n"].concat()).inspect_err(|_| is_untold = true)
        });
        match made {
            Err(error) if is_untold => return Err(error),
            Err(error) => {
                host.console.note(error.message());
                status = FAILED;
            }
            Ok(()) => {}
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

/// Pins a container's namespace, unless it is pinned already; `announce` is told the name first.
fn pin(
    pins: &mut Pins<'_>,
    container: &Container,
    netns: Option<NetNs>,
    announce: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<()> {
    let name = name_for(container);
    if !is_plain(&name) {
        let fault = match name.contains(&b' ') {
            true => "has a blank",
            false => "has other characters than letters, digits and ._@:+-",
        };
        return Err(Error::new(format!("pin name {} {fault}", quoted(&name))));
    }
    match netns {
        Some(netns) => pins.add(&netns, &name, &mut || announce(&name)).map(drop),
        None => {
            let fault = "has ended meanwhile, or may not be looked at";
            Err(Error::new(format!("{} {fault}", label(container))))
        }
    }
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
