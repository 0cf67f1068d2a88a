//! `--file`: any file that is a network namespace.

#![forbid(unsafe_code)]

use super::Target;
use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::host::Host;
use crate::host::root::Symlink;
use crate::kernel::netns::NetNs;
use rustix::io::Errno;

/// Opens the namespace at `path`.
///
/// # Errors
/// Where there is none.
pub(super) fn resolve(host: &Host, path: &[u8]) -> Result<Target> {
    host.watch_above(path);
    host.mind_mounts();
    let file = host.resolve(path, Symlink::Follow).map_err(|e| {
        let error = Error::cannot_at("open", path, e);
        if e == Errno::NOENT { error.absent() } else { error }
    })?;
    Ok(Target::new(NetNs::of_file(&file, path)?, quoted(path).to_string(), None))
}
