//! Pins: names in /run/netns that keep a network namespace, as `ip netns` makes them.
//!
//! A pin is an empty file with the namespace bound onto it. What is created, bound and checked is
//! held by descriptors; only the directory entry itself is looked up by name. Others write to the
//! directory without its lock (`ip netns` creates and binds outside of it), so the lock orders our
//! own runs, and what it cannot order is decided by what is found in the entry.

#![forbid(unsafe_code)]

pub mod create;
mod directory;
pub(crate) mod elsewhere;
mod entry;
mod lock;
pub mod lookup;

use crate::base::error::{Error, is_denied};
use std::time::Duration;

/// How long before something is tried again that another process stands in the way of.
const PAUSE: Duration = Duration::from_millis(20);

/// Adds the remedy to a failure, if it is a denial.
fn with_remedy_for_denial(error: Error) -> Error {
    match error.errno() {
        Some(errno) if is_denied(errno) => error.with_remedy("pins need root: run it with sudo"),
        _ => error,
    }
}
