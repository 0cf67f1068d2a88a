//! OCI runtimes used directly: a container's name is its ID, and its directory is all there is.

#![forbid(unsafe_code)]

use super::oci;
use super::{Base, Containers, Evidence, Init};
use crate::bytes::{Bytes, below};
use crate::host::Host;
use crate::root::Links;
use rustix::fs::{FileType, fstat};

/// Every container in the runtimes' default roots.
pub fn each(host: &Host, base: &Base, _needle: Option<&[u8]>, out: &mut Containers) {
    for (engine, dir) in roots(base) {
        for id in host.entries(dir) {
            let path = below(dir, id);
            let Some(stat) = host.unless(path, host.locate(path, Links::Keep).and_then(fstat)) else { continue };
            if FileType::from_raw_mode(stat.st_mode) != FileType::Directory {
                continue;
            }
            let owner = base.writer(stat.st_uid);
            out.add(engine, id, id, Evidence::Oci(vec![dir].leak()), owner);
        }
    }
}

/// The record of an ID in any of the roots.
pub fn state(host: &Host, base: &Base, id: &[u8], out: &mut Vec<&'static Init>) {
    for (_, dir) in roots(base) {
        out.extend(oci::init(host, base, dir, id));
    }
}

/// Each runtime's root below `/run`, or the user's; crun follows XDG_RUNTIME_DIR for root, too.
fn roots(base: &Base) -> Vec<(&'static str, Bytes)> {
    let mut roots = Vec::new();
    for word in ["runc", "crun", "youki"] {
        roots.push((word, below(base.run, word.as_bytes())));
    }
    if base.owner == 0 {
        roots.push(("crun", &b"/run/user/0/crun"[..]));
    }
    roots
}
