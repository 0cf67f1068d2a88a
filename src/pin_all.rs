//! `--pin-all`: a pin for each running container that has a network namespace of its own.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, both, join};
use crate::console;
use crate::container::{self, Seen, pod_or_name};
use crate::error::{Error, FAILED, Result};
use crate::host::Host;
use crate::netns::host_id;
use crate::pin::Pins;
use crate::text::text;

/// Makes the pins and prints those that were not there, a name on a line; returns the exit status.
///
/// # Errors
/// Where the containers cannot be found or /run/netns cannot be used.
pub fn pin_all(host: &Host) -> Result<u8> {
    let hosts = host_id(host);
    let mut pins = None;
    let mut status = 0;
    for seen in container::running(host).iter().filter(|seen| Some(seen.netns) != hosts) {
        let pins = match &pins {
            Some(pins) => pins,
            None => pins.insert(Pins::open(host)?),
        };
        let name = name_for(seen);
        match pin(host, pins, seen, name) {
            Ok(true) => console::print(both(name, b"\n"))?,
            Ok(false) => {}
            Err(error) => {
                host.console.note(error.message);
                status = FAILED;
            }
        }
    }
    host.note_unread();
    Ok(status)
}

fn pin(host: &Host, pins: &Pins<'_>, seen: &Seen, name: Bytes) -> Result<bool> {
    // The output is split at blanks by whoever uses it. Other white space is a control character, which no pin has.
    if name.contains(&b' ') {
        return Err(Error::new(text!("pin name \"{}\" has a blank", name)));
    }
    match seen.hold(host) {
        Some((netns, _)) => pins.add(&netns, name),
        None => Err(Error::new(text!("{} has ended meanwhile", container::label(seen.container)))),
    }
}

/// ENGINE-NAME; for all of a pod k8s-NAMESPACE_POD.
fn name_for(seen: &Seen) -> Bytes {
    let mut name = join(&[seen.container.engine.as_bytes(), b"-", pod_or_name(seen.container)]).to_vec();
    if seen.container.engine == "k8s" {
        for byte in &mut name {
            if *byte == b'/' {
                *byte = b'_';
            }
        }
    }
    name.leak()
}
