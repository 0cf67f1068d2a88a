//! `--state`: the container whose state an OCI runtime recorded in a file.

#![forbid(unsafe_code)]

use super::{Target, of_member};
use crate::base::error::Result;
use crate::base::escape::quoted;
use crate::containers::engine::oci;
use crate::containers::evidence::verify;
use crate::host::Host;

/// Finds the namespace of the process that is recorded in the file at `path`.
///
/// # Errors
/// Where it records none, the process is no more, or nothing proves that it is still the one.
pub(super) fn resolve(host: &Host, path: &[u8]) -> Result<Target> {
    let record = oci::read_named(host, path)?;
    let label = format!("container of {}", quoted(path));
    let member = verify(host, &record, &record.id).into_running(host, &label)?;
    of_member(host, member, label)
}
