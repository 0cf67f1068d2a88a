//! `--container`: a container by its name or ID.

#![forbid(unsafe_code)]

use super::suggest::no_container;
use super::{Target, prepared};
use crate::base::error::Result;
use crate::containers::find::find;
use crate::containers::lookup::{Lookup, Running};
use crate::containers::name::label;
use crate::host::Host;

/// Finds the namespace of the container that `name` means.
///
/// # Errors
/// Where there is none, it does not run, or there is any doubt which one it is.
pub(super) fn resolve(host: &Host, name: &[u8]) -> Result<Target> {
    match find(host, name)? {
        Lookup::Running(running) => Ok(of_running(running)),
        Lookup::NotRunning(error) => prepared::find(host, name)?.ok_or(error),
        Lookup::Unknown => match prepared::find(host, name)? {
            Some(target) => Ok(target),
            None => Err(no_container(host, "container", name, &[])?),
        },
    }
}

/// Makes a target of a container that runs.
pub(super) fn of_running(running: Running) -> Target {
    Target::new(running.netns, label(&running.container), Some(running.process))
}
