//! `--list`: every network namespace with its containers, its pins and its addresses.
//!
//! What is known of the namespaces is collected first, as data; then one function for each format
//! renders it.

#![forbid(unsafe_code)]

mod collect;
mod encoding;
mod entry;
pub(crate) mod group;
mod prepared;
mod render;
mod userns;
mod visitor;

use crate::base::console;
use crate::base::error::Result;
use crate::cli::Format;
use crate::host::Host;
use crate::kernel::cookie;
use crate::target::Target;

/// Prints all namespaces, or only that of `target`; after a `deep` look with all that keeps them.
///
/// # Errors
/// Where the interfaces cannot be asked for, or standard output cannot be written.
pub(crate) fn list(host: &Host, target: Option<&Target>, format: Format, deep: bool) -> Result<()> {
    let listing = collect::listing(host, target, render::detail(format), deep)?;
    console::print(render::render(format, &listing).as_bytes())?;
    host.note_unread();
    if target.is_none() && cookie::is_list_short() {
        let note =
            "outside the initial pid namespace the kernel does not list all network namespaces";
        host.console.note(note);
    }
    Ok(())
}
