//! The list as a table: aligned, nothing cut off, and no blanks in a column but NAME and the last.

#![forbid(unsafe_code)]

use crate::base::escape::{shown, shown_without};
use crate::commands::list::entry::{Entry, Link, Listing};
use crate::containers::name::{listed, spelled_pod};
use crate::kernel::link::Address;

const HEAD: [&str; 6] = ["INODE", "PID", "PROCS", "NAME", "PINNED", "ADDRESSES"];
const GAP: usize = 2;

/// Renders the table.
pub(super) fn render(listing: &Listing) -> String {
    let mut rows = vec![HEAD.map(str::to_owned)];
    for entry in &listing.entries {
        rows.push(row(listing, entry));
    }
    for unknown in listing.unknown.iter().flatten() {
        rows.push(["-", "-", "0", &*unknown.held_by, "-", "?"].map(str::to_owned));
    }
    // But for the last column, which has no blanks after it.
    for column in 0..HEAD.len() - 1 {
        let length = |row: &[String; HEAD.len()]| row[column].chars().count();
        let width = rows.iter().map(length).max().unwrap_or_default() + GAP;
        for row in &mut rows {
            let blanks = width - length(row);
            row[column] += &" ".repeat(blanks);
        }
    }
    let mut text = String::new();
    for row in &rows {
        text += &row.concat();
        text.push('\n');
    }
    text
}

/// Returns the cells of a line.
fn row(listing: &Listing, entry: &Entry) -> [String; HEAD.len()] {
    let mut cells = [
        entry.inode().to_string(),
        entry.pid.map(|pid| pid.to_string()).unwrap_or_default(),
        entry.group.namespace.processes.to_string(),
        name(entry),
        entry.group.pins(listing.pin_directory).join(","),
        match &entry.interfaces {
            Some(links) => addresses(links, listing.home),
            // Where they could not be read, nothing is claimed of them.
            None => "?".to_owned(),
        },
    ];
    for cell in &mut cells {
        if cell.is_empty() {
            cell.push('-');
        }
    }
    cells
}

/// Returns what is in a namespace; nothing where that is not known.
pub(super) fn name(entry: &Entry) -> String {
    let mut owners = entry.group.names();
    owners.extend(entry.prepared.iter().map(|container| listed(&spelled_pod(container))));
    if entry.group.is_host {
        owners.insert(0, "(host)".to_owned());
    }
    match (&entry.unit, &entry.command) {
        _ if !owners.is_empty() => owners.join(" "),
        (Some(unit), _) => shown(unit).to_string(),
        (None, Some(command)) => {
            format!("[{}]", shown_without(command, |c| matches!(c, '[' | ']')))
        }
        (None, None) => entry.held_by.clone().unwrap_or_default(),
    }
}

/// Returns `eth0@veth2d6e7a2 172.17.0.2/16` and so on: the interfaces with those addresses that
/// mean something elsewhere, or `-` where there should be one, and with the names of those peers
/// that are in namespace `home`.
fn addresses(links: &[Link], home: u64) -> String {
    let mut words = Vec::new();
    for link in links {
        let before = words.len();
        words.push(named(link, home));
        words.extend(link.outer_addresses().map(Address::to_string));
        if words.len() == before + 1 {
            // The loopback and the ports of a bridge have none as a rule.
            match link.is_loopback || link.master.is_some() {
                true => words.truncate(before),
                false => words.push("-".to_owned()),
            }
        }
    }
    words.join(" ")
}

fn named(link: &Link, home: u64) -> String {
    let peer = link.peer().filter(|peer| peer.inode == Some(home));
    match peer.and_then(|peer| peer.name.as_ref()) {
        Some(peer) => format!("{}@{}", shown(&link.name), shown(peer)),
        None => shown(&link.name).to_string(),
    }
}
