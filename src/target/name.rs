//! A bare word: a container, a pod or a pin. Both a container and a pin are fine where they are one
//! namespace.

#![forbid(unsafe_code)]

use super::Target;
use super::container::of_running;
use super::pin::of_pin;
use super::suggest::unknown;
use crate::base::error::{Error, Result};
use crate::base::escape::{quoted, shown};
use crate::containers::lookup::{self, Lookup};
use crate::containers::name::label;
use crate::host::Host;
use crate::pin::lookup as pins;

/// Finds the namespace that a bare word means.
///
/// # Errors
/// Where there is none, the container does not run, or there is any doubt which one is meant.
pub(super) fn resolve(host: &Host, name: &[u8]) -> Result<Target> {
    let pin = pins::open(host, name);
    let found = lookup::find(host, name)?;
    let pin = match pin {
        // What the old recipe leaves behind must not hide the container.
        Err(error) if error.errno().is_none() && matches!(found, Lookup::Running(_)) => {
            host.console.note(error.message());
            None
        }
        pin => pin?,
    };
    match (found, pin) {
        (Lookup::Running(running), Some(pin)) if pin.id != running.netns.id => {
            let (label, word) = (label(&running.container), quoted(name));
            let (there, here) = (running.netns.id.ino, pin.id.ino);
            let message =
                format!("{word} is ambiguous: {label} is in {there}, pin {word} in {here}");
            let word = shown(name);
            Err(Error::new(message).with_remedy(format!("say -c {word} or -n {word}")))
        }
        (Lookup::Running(running), _) => Ok(of_running(running)),
        (Lookup::Stopped(error), Some(netns)) => {
            host.console.note(format_args!("{}: this is its pin", error.message()));
            Ok(of_pin(netns, name))
        }
        (Lookup::Stopped(error), None) => Err(error),
        (Lookup::Unknown, Some(netns)) => Ok(of_pin(netns, name)),
        (Lookup::Unknown, None) => {
            let (containers, pins) = (lookup::all(host, None)?, pins::names(host)?);
            Err(unknown(host, "container or pin", name, &containers, &pins))
        }
    }
}
