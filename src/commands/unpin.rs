//! `--unpin`: removes pins.

#![forbid(unsafe_code)]

use crate::base::console::report;
use crate::base::error::Result;
use crate::host::Host;
use crate::pin::{create, lookup};
use crate::target::suggest::unknown;

/// Removes every pin that can be removed. Of several failures, all but the last are reported here.
///
/// # Errors
/// The last failure.
pub(super) fn unpin(host: &Host, names: &[Vec<u8>]) -> Result<()> {
    let mut result = Ok(());
    for name in names {
        if let Err(error) = remove(host, name) {
            if let Err(earlier) = std::mem::replace(&mut result, Err(error)) {
                report(&earlier);
            }
        }
    }
    result
}

fn remove(host: &Host, name: &[u8]) -> Result<()> {
    if create::unpin(host, name)? {
        return Ok(());
    }
    Err(unknown(host, "pin", name, &[], &lookup::names(host)?))
}
