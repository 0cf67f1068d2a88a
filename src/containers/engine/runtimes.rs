//! OCI runtimes used directly: a container's name is its ID, and its directory is all there is.

#![forbid(unsafe_code)]

use super::{Container, Containers, Place, Record, Source, oci};
use crate::base::error::Result;
use crate::base::text::{join, last};
use crate::host::Host;
use crate::host::root::Symlink;
use std::rc::Rc;

/// Adds every container in the runtimes' default roots.
pub(crate) fn list(
    host: &Host,
    place: &Place,
    _needle: Option<&[u8]>,
    out: &mut Containers,
) -> Result<()> {
    for (engine, root) in named_roots(place) {
        let directories = host.entries(&root)?;
        let root: Rc<[Vec<u8>]> = Rc::new([root]);
        for directory in directories {
            if let Some(owner) = host.owner_of(&directory, Symlink::NoFollow)? {
                let (source, owner) = (Source::Oci(root.clone()), place.writer(owner));
                out.add(Container::unnamed(engine, last(&directory), source, owner));
            }
        }
    }
    Ok(())
}

/// Returns the records of an ID in any of the roots.
pub(crate) fn records(host: &Host, place: &Place, id: &[u8]) -> Result<Vec<Record>> {
    oci::records(host, place, &roots(place), id)
}

/// Returns the root of each of the runtimes: below `/run`, or the user's.
pub(crate) fn roots(place: &Place) -> Vec<Vec<u8>> {
    named_roots(place).into_iter().map(|(_, root)| root).collect()
}

/// Returns each runtime with its root.
fn named_roots(place: &Place) -> Vec<(&'static str, Vec<u8>)> {
    let mut roots = Vec::new();
    for word in ["runc", "crun", "youki"] {
        roots.push((word, join(&place.run, word.as_bytes())));
    }
    // crun follows XDG_RUNTIME_DIR for root, too.
    if place.owner == 0 {
        roots.push(("crun", b"/run/user/0/crun".to_vec()));
    }
    roots
}
