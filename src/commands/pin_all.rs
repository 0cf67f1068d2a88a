//! `--pin-all`: a pin for each running container that has a network namespace of its own.

#![forbid(unsafe_code)]

use crate::base::console::print;
use crate::base::error::{Error, FAILED, Result};
use crate::base::escape::quoted;
use crate::containers::engine::Container;
use crate::containers::lookup::running;
use crate::containers::name::{label, pod_or_name};
use crate::host::Host;
use crate::kernel::netns::NetNs;
use crate::pin::create::Pins;

/// Makes the pins, and prints those that were not there, a name on a line. Returns the exit status:
/// a pin that cannot be made is a note and does not end the run.
///
/// # Errors
/// Where the containers cannot be found, /run/netns cannot be used, or a name cannot be printed.
pub(super) fn pin_all(host: &Host) -> Result<u8> {
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
        let name = name_for(container);
        let netns = running.reopen(host)?.map(|(netns, _)| netns);
        match pin(pins, container, netns, &name) {
            Ok(true) => print(&[&*name, b"\n"].concat())?,
            Ok(false) => {}
            Err(error) => {
                host.console.note(error.message());
                status = FAILED;
            }
        }
    }
    host.note_unread();
    Ok(status)
}

/// Pins a container's namespace, if that still exists; tells whether it was not pinned yet.
fn pin(
    pins: &mut Pins<'_>,
    container: &Container,
    netns: Option<NetNs>,
    name: &[u8],
) -> Result<bool> {
    // Who uses the output splits it at blanks. Other white space is a control character, which no
    // pin has.
    if name.contains(&b' ') {
        return Err(Error::new(format!("pin name {} has a blank", quoted(name))));
    }
    match netns {
        Some(netns) => pins.add(&netns, name),
        None => Err(Error::new(format!("{} has ended meanwhile", label(container)))),
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
