//! Opening every namespace that was found, also where those that held it have ended since.

#![forbid(unsafe_code)]

use super::Host;
use super::holders::Opened;
use super::namespaces::{self, Namespace};
use std::cell::OnceCell;

/// Opens namespaces of which all that was noted may have gone since: processes that start others
/// and end, as daemons do. A second look, made when one is first missed, finds who holds them by
/// then.
pub(crate) struct Opener<'h> {
    host: &'h Host,
    again: OnceCell<Vec<Namespace>>,
}

impl<'h> Opener<'h> {
    /// Makes one that has not looked.
    pub(crate) fn new(host: &'h Host) -> Opener<'h> {
        Opener { host, again: OnceCell::new() }
    }

    /// Opens the namespace as [`Namespace::open_with_holder`] does.
    pub(crate) fn open(&self, namespace: &Namespace) -> Option<Opened> {
        namespace.open_with_holder(self.host).or_else(|| {
            let again = self.again.get_or_init(|| namespaces::all(self.host));
            let at = again.binary_search_by_key(&namespace.id, |known| known.id).ok()?;
            again[at].open_with_holder(self.host)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;
    use crate::kernel::netns::{NsId, own_id};

    #[test]
    fn who_holds_it_by_now_is_found() {
        let host = Host::own(Console::default());
        let own = own_id().unwrap();
        let opener = Opener::new(&host);
        // As if whoever was in it had ended since.
        let namespace = Namespace::new(own);
        assert!(namespace.open(&host).is_none());
        let (netns, process) = opener.open(&namespace).unwrap();
        assert!(netns.id == own && process.is_some());
        assert!(opener.open(&Namespace::new(NsId { ino: 1, ..own })).is_none());
    }
}
