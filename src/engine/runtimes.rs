//! OCI runtimes used directly: a container's name is its ID, and its directory is all there is.

#![forbid(unsafe_code)]

use super::oci;
use super::{Base, Containers, Evidence, Init};
use crate::bytes::{Names, below, last};
use crate::host::Host;
use crate::root::Links;
use std::slice::from_ref;

/// The runtimes, of which one has a second root for the system.
const WORDS: &[&str] = &["runc", "crun", "youki", "crun"];

/// Every container in the runtimes' default roots.
pub fn each(host: &Host, base: &Base, _needle: Option<&[u8]>, out: &mut Containers) {
    for (dir, engine) in roots(base).iter().zip(WORDS) {
        for entry in host.entries(dir) {
            if let Some(owner) = host.owner_of(entry, Links::Keep) {
                let id = last(entry);
                out.add(engine, id, id, Evidence::Oci(from_ref(dir)), base.writer(owner));
            }
        }
    }
}

/// The record of an ID in any of the roots.
pub fn state(host: &Host, base: &Base, id: &[u8], out: &mut Vec<&'static Init>) {
    oci::inits(host, base, roots(base), id, out);
}

/// The root of each of the runtimes: below `/run`, or the user's.
pub fn roots(base: &Base) -> Names {
    let mut roots = Vec::new();
    for word in &WORDS[..3] {
        roots.push(below(base.run, word.as_bytes()));
    }
    // crun follows XDG_RUNTIME_DIR for root, too.
    if base.owner == 0 {
        roots.push(b"/run/user/0/crun");
    }
    roots.leak()
}
