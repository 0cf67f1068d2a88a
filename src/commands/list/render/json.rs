//! The list as JSON: one object on a line for each namespace. Its fields are an interface; they are
//! only ever added to.

#![forbid(unsafe_code)]

use crate::base::escape::json;
use crate::commands::list::entry::{Entry, Link, LinkPeer, Listing};
use crate::containers::running::RunningContainer;
use std::fmt::{self, Display, Formatter};

/// Renders the array.
pub(super) fn render(listing: &Listing) -> String {
    let entries = listing.entries.iter().map(|entry| format_with(|out| object(out, entry)));
    format!("[{}\n]\n", separated(entries))
}

fn object(out: &mut Formatter<'_>, entry: &Entry) -> fmt::Result {
    let namespace = &entry.group.namespace;
    write!(out, "\n{{\"inode\":{}", entry.inode())?;
    write!(out, ",\"pid\":{}", or_null(entry.pid))?;
    write!(out, ",\"processes\":{}", namespace.processes)?;
    write!(out, ",\"host\":{}", entry.group.is_host)?;
    let containers = entry.group.containers.iter();
    let containers = containers.map(|one| format_with(|out| container(out, one)));
    write!(out, ",\"containers\":[{}]", separated(containers))?;
    write!(out, ",\"unit\":{}", string_or_null(&entry.unit))?;
    write!(out, ",\"command\":{}", string_or_null(&entry.command))?;
    write!(out, ",\"pins\":[{}]", separated(namespace.mounts.iter().map(|path| json(path))))?;
    let interfaces = entry.interfaces.iter().flatten();
    let interfaces = interfaces.map(|link| format_with(|out| interface(out, link)));
    write!(out, ",\"interfaces\":[{}]}}", separated(interfaces))
}

fn container(out: &mut Formatter<'_>, running: &RunningContainer) -> fmt::Result {
    let container = &running.container;
    write!(out, "{{\"engine\":{}", json(container.engine.as_bytes()))?;
    write!(out, ",\"name\":{}", json(&container.name))?;
    write!(out, ",\"id\":{}", json(&container.id))?;
    write!(out, ",\"pid\":{}", running.pid)?;
    write!(out, ",\"claimed_by\":{}}}", or_null(container.claimed_by))
}

fn interface(out: &mut Formatter<'_>, link: &Link) -> fmt::Result {
    write!(out, "{{\"name\":{}", json(&link.name))?;
    write!(out, ",\"index\":{}", link.index)?;
    write!(out, ",\"state\":{}", json(link.state.as_bytes()))?;
    write!(out, ",\"mac\":{}", json(link.mac.as_bytes()))?;
    let addresses = link.addresses.iter();
    let addresses = addresses.map(|address| format_with(move |out| write!(out, "\"{address}\"")));
    write!(out, ",\"addresses\":[{}]", separated(addresses))?;
    let peer = link.peer.as_ref().map(|end| format_with(|out| peer(out, end)));
    write!(out, ",\"peer\":{}}}", or_null(peer))
}

fn peer(out: &mut Formatter<'_>, peer: &LinkPeer) -> fmt::Result {
    write!(out, "{{\"inode\":{}", or_null(peer.inode))?;
    write!(out, ",\"index\":{}", peer.index)?;
    write!(out, ",\"name\":{}}}", string_or_null(&peer.name))
}

fn string_or_null(bytes: &Option<Vec<u8>>) -> impl Display + '_ {
    or_null(bytes.as_ref().map(|bytes| json(bytes)))
}

fn or_null<T: Display>(value: Option<T>) -> impl Display {
    format_with(move |out| match &value {
        Some(value) => value.fmt(out),
        None => out.write_str("null"),
    })
}

/// Shows items with commas between them.
fn separated<T: Display>(items: impl Iterator<Item = T> + Clone) -> impl Display {
    format_with(move |out| {
        items.clone().enumerate().try_for_each(|(n, item)| {
            let comma = if n == 0 { "" } else { "," };
            write!(out, "{comma}{item}")
        })
    })
}

/// Shows what a function writes.
fn format_with(write: impl Fn(&mut Formatter<'_>) -> fmt::Result) -> impl Display {
    Shown(write)
}

struct Shown<F>(F);

impl<F: Fn(&mut Formatter<'_>) -> fmt::Result> Display for Shown<F> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        (self.0)(out)
    }
}
