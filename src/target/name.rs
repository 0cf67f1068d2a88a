//! A bare word: a container, a pod or a pin, else a unit of root's world. Both a container and a
//! pin are fine where they are one namespace.

#![forbid(unsafe_code)]

use super::container::of_running;
use super::pin::{explain, of_pin};
use super::suggest::no_container;
use super::{Target, cgroup, prepared};
use crate::base::error::{Error, Result};
use crate::base::escape::{quoted, shown};
use crate::containers::find::find;
use crate::containers::lookup::{Lookup, Running};
use crate::containers::name::label;
use crate::host::Host;
use crate::kernel::netns::NetNs;
use crate::pin::lookup as pins;

/// Finds the namespace that a bare word means.
///
/// # Errors
/// Where there is none, the container does not run, or there is any doubt which one is meant.
pub(super) fn resolve(host: &Host, name: &[u8]) -> Result<Target> {
    let pin = pins::open(host, name);
    if matches!(pin, Ok(Some(_))) {
        host.mounts.hurry();
    }
    let found = find(host, name)?;
    let pin = usable(host, name, pin, &found)?;
    match (found, pin) {
        (Lookup::Running(running), Some(pin)) if pin.id != running.netns.id => {
            Err(ambiguous(name, &running, &pin))
        }
        (Lookup::Running(running), _) => Ok(of_running(running)),
        (Lookup::NotRunning(error), Some(netns)) => {
            host.console.note(format_args!("{}: this is its pin", error.message()));
            Ok(of_pin(netns, name))
        }
        (Lookup::NotRunning(error), None) => prepared::find(host, name)?.ok_or(error),
        (Lookup::Unknown, Some(netns)) => Ok(of_pin(netns, name)),
        (Lookup::Unknown, None) => match of_another_kind(host, name)? {
            Some(target) => Ok(target),
            None => Err(unknown(host, name)?),
        },
    }
}

/// Returns the pin that a word may mean; None also where what has its name cannot be entered and is
/// left out for the container that runs.
///
/// # Errors
/// Why it cannot be entered.
fn usable(
    host: &Host,
    name: &[u8],
    pin: Result<Option<NetNs>>,
    found: &Lookup,
) -> Result<Option<NetNs>> {
    match pin {
        // What the old recipe leaves behind must not hide the container.
        Err(error) if error.errno().is_none() && matches!(found, Lookup::Running(_)) => {
            host.console.note(error.message());
            Ok(None)
        }
        Err(error) if !host.is_one_look_of_many() => {
            explain(host, name, Some(error))?;
            Ok(None)
        }
        pin => pin,
    }
}

/// Makes the refusal of a word that is a container's in one namespace and a pin's in another.
fn ambiguous(name: &[u8], running: &Running, pin: &NetNs) -> Error {
    let (label, word) = (label(&running.container), quoted(name));
    let (there, here) = (running.netns.id.ino, pin.id.ino);
    let message = format!("{word} is ambiguous: {label} is in {there}, pin {word} in {here}");
    let word = shown(name);
    Error::new(message).unclear().with_remedy(format!("say -c {word} or -n {word}"))
}

/// Makes the failure of a word that nothing is called by.
///
/// # Errors
/// What more is known of why that is so; where the machine refuses.
fn unknown(host: &Host, name: &[u8]) -> Result<Error> {
    if !host.is_one_look_of_many() {
        explain(host, name, None)?;
    }
    let error = no_container(host, "container or pin", name, &pins::names(host))?;
    Ok(match cgroup::is_unit(name) {
        true => error.with_remedy(
            "no unit of the system is called so; for a user's or a container's say --cgroup PATH",
        ),
        false => error,
    })
}

/// Finds what a word means that is no container that runs, and no pin.
fn of_another_kind(host: &Host, name: &[u8]) -> Result<Option<Target>> {
    match prepared::find(host, name)? {
        None => cgroup::of_unit(host, name),
        found => Ok(found),
    }
}
