//! The list as a table: aligned, nothing cut off, and no blanks in a column but NAME and the last.

#![forbid(unsafe_code)]

use crate::base::escape::shown;
use crate::base::text::list;
use crate::commands::list::entry::{Entry, Link, Listing};
use crate::kernel::rtnetlink::{Address, is_link_local};
use std::iter;

const HEAD: [&str; 6] = ["INODE", "PID", "PROCS", "NAME", "PINNED", "ADDRESSES"];
const GAP: usize = 2;

/// The cells of a line.
type Row = [String; HEAD.len()];

/// Renders the table.
pub(super) fn render(listing: &Listing) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    rows.extend(listing.entries.iter().map(|entry| row(listing, entry)));
    let mut widths = [0; HEAD.len()];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for row in &rows {
        for (column, cell) in row.iter().enumerate() {
            text += cell;
            if column + 1 == HEAD.len() {
                text.push('\n');
            } else {
                // Not by a width in a format, which has 16 bits.
                let blanks = widths[column] - cell.chars().count() + GAP;
                text.extend(iter::repeat_n(' ', blanks));
            }
        }
    }
    text
}

fn row(listing: &Listing, entry: &Entry) -> Row {
    let pins = entry.group.pins(listing.pin_directory);
    let cells = [
        entry.inode().to_string(),
        entry.pid.map(|pid| pid.to_string()).unwrap_or_default(),
        entry.group.namespace.processes.to_string(),
        name(entry),
        // A name may have blanks, its column none.
        list(pins.iter().map(|pin| shown(pin)), ",").replace(' ', "\\x20"),
        match &entry.interfaces {
            Some(links) => addresses(links, listing.home),
            // Where they could not be read, nothing is claimed of them.
            None => "?".to_owned(),
        },
    ];
    cells.map(|cell| if cell.is_empty() { "-".to_owned() } else { cell })
}

fn name(entry: &Entry) -> String {
    let names = entry.group.names();
    let containers = names.iter().map(|name| shown(name).to_string());
    let host = entry.group.is_host.then(|| "(host)".to_owned());
    let owners = list(host.into_iter().chain(containers), " ");
    match (&entry.unit, &entry.command) {
        _ if !owners.is_empty() => owners,
        (Some(unit), _) => shown(unit).to_string(),
        (None, Some(command)) => format!("[{}]", shown(command)),
        (None, None) => String::new(),
    }
}

/// Returns `eth0@veth2d6e7a2 172.17.0.2/16` and so on: the interfaces with those addresses that
/// mean something elsewhere, or `-` where there should be one, and with the names of those peers
/// that are in namespace `home`.
fn addresses(links: &[Link], home: u64) -> String {
    let means_something = |address: &&Address| {
        let ip = address.ip;
        !ip.is_loopback() && !is_link_local(ip)
    };
    let mut words = Vec::new();
    for link in links {
        let mut addresses = link.addresses.iter().filter(means_something).peekable();
        if addresses.peek().is_some() {
            words.push(named(link, home));
            words.extend(addresses.map(Address::to_string));
        } else if link.wants_address {
            words.extend([named(link, home), "-".to_owned()]);
        }
    }
    list(words, " ")
}

fn named(link: &Link, home: u64) -> String {
    let peer = link.peer.as_ref().filter(|peer| peer.inode == Some(home));
    match peer.and_then(|peer| peer.name.as_ref()) {
        Some(peer) => format!("{}@{}", shown(&link.name), shown(peer)),
        None => shown(&link.name).to_string(),
    }
}
