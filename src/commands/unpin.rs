//! `--unpin`: removes pins.

#![forbid(unsafe_code)]

use crate::base::console::report;
use crate::base::error::Result;
use crate::host::Host;
use crate::pin::create::Pins;
use crate::target::suggest::no_pin;

/// Removes every pin that can be removed, with one wait for the directory. Of several failures, all
/// but the last are reported here.
///
/// # Errors
/// The last failure.
pub(super) fn unpin(host: &Host, names: &[Vec<u8>]) -> Result<()> {
    let pins = Pins::open_existing(host)?;
    let mut result = Ok(());
    for name in names {
        if let Err(error) = remove(host, pins.as_ref(), name) {
            if let Err(earlier) = std::mem::replace(&mut result, Err(error)) {
                report(&earlier);
            }
        }
    }
    result
}

fn remove(host: &Host, pins: Option<&Pins<'_>>, name: &[u8]) -> Result<()> {
    match pins {
        Some(pins) if pins.remove(name)? => Ok(()),
        _ => Err(no_pin(host, name)),
    }
}
