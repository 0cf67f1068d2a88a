//! `--netns`: a pin, by its name in /run/netns.

#![forbid(unsafe_code)]

use super::Target;
use super::suggest::no_pin;
use crate::base::error::Result;
use crate::base::escape::quoted;
use crate::host::Host;
use crate::kernel::netns::NetNs;
use crate::pin::lookup;

/// Opens the namespace that the pin `name` holds.
///
/// # Errors
/// Where there is no such pin, or it is none of a namespace.
pub(super) fn resolve(host: &Host, name: &[u8]) -> Result<Target> {
    match lookup::open(host, name)? {
        Some(netns) => Ok(of_pin(netns, name)),
        None => Err(no_pin(host, name)),
    }
}

/// Makes a target of a pin.
pub(super) fn of_pin(netns: NetNs, name: &[u8]) -> Target {
    let mut target = Target::new(netns, format!("pin {}", quoted(name)), None);
    target.pin = Some(name.to_vec());
    target
}
