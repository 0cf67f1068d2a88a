//! The list as JSON: one object on a line for each namespace. Its fields are an interface; they are only ever added to.

#![forbid(unsafe_code)]

use super::{Line, Row};
use crate::bytes::Bytes;
use crate::netlink::{Interface, Peer};
use crate::netns::NsId;
use crate::text;

/// The array.
pub fn text(rows: &[Row], lines: &[Line]) -> Vec<u8> {
    let mut out = vec![b'['];
    for (n, line) in lines.iter().enumerate() {
        let row = &rows[line.row];
        put(&mut out, if n == 0 { "\n{\"inode\":" } else { ",\n{\"inode\":" });
        number(&mut out, Some(row.namespace.id.ino));
        put(&mut out, ",\"pid\":");
        number(&mut out, line.pid.map(u64::from));
        put(&mut out, ",\"processes\":");
        number(&mut out, Some(u64::from(row.namespace.processes)));
        put(&mut out, if row.is_host { ",\"host\":true" } else { ",\"host\":false" });
        put(&mut out, ",\"containers\":[");
        for (n, seen) in row.containers.iter().enumerate() {
            put(&mut out, if n == 0 { "{\"engine\":" } else { ",{\"engine\":" });
            string(&mut out, Some(seen.container.engine.as_bytes()));
            put(&mut out, ",\"name\":");
            string(&mut out, Some(seen.container.name));
            put(&mut out, ",\"id\":");
            string(&mut out, Some(seen.container.id));
            put(&mut out, ",\"pid\":");
            number(&mut out, Some(u64::from(seen.pid)));
            put(&mut out, "}");
        }
        put(&mut out, "],\"unit\":");
        string(&mut out, line.unit);
        put(&mut out, ",\"command\":");
        string(&mut out, line.command);
        put(&mut out, ",\"pins\":");
        strings(&mut out, &row.namespace.mounts);
        put(&mut out, ",\"interfaces\":[");
        out.extend_from_slice(line.interfaces.unwrap_or_default());
        put(&mut out, "]}");
    }
    put(&mut out, "\n]\n");
    out
}

/// Adds an object to a list of them; with the peer go its namespace and its name, where they are known.
pub fn interface(out: &mut Vec<u8>, interface: &Interface, peer: Option<(Peer, Option<NsId>, Option<Bytes>)>) {
    put(out, if out.is_empty() { "{\"name\":" } else { ",{\"name\":" });
    string(out, Some(interface.name));
    put(out, ",\"index\":");
    number(out, Some(u64::from(interface.index)));
    put(out, ",\"state\":");
    string(out, Some(interface.state.as_bytes()));
    put(out, ",\"mac\":");
    string(out, Some(interface.mac.as_bytes()));
    put(out, ",\"addresses\":[");
    for (n, address) in interface.addresses.iter().enumerate() {
        put(out, if n == 0 { "" } else { "," });
        string(out, Some(address.to_string().as_bytes()));
    }
    put(out, "],\"peer\":");
    match peer {
        None => put(out, "null"),
        Some((peer, place, name)) => {
            put(out, "{\"inode\":");
            number(out, place.map(|id| id.ino));
            put(out, ",\"index\":");
            number(out, Some(u64::from(peer.index)));
            put(out, ",\"name\":");
            string(out, name);
            put(out, "}");
        }
    }
    put(out, "}");
}

#[inline(never)]
fn put(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(text.as_bytes());
}

#[inline(never)]
fn number(out: &mut Vec<u8>, number: Option<u64>) {
    match number {
        Some(number) => put(out, &number.to_string()),
        None => put(out, "null"),
    }
}

#[inline(never)]
fn string(out: &mut Vec<u8>, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => text::json(out, bytes),
        None => put(out, "null"),
    }
}

fn strings(out: &mut Vec<u8>, list: &[Bytes]) {
    put(out, "[");
    for (n, bytes) in list.iter().enumerate() {
        put(out, if n == 0 { "" } else { "," });
        string(out, Some(bytes));
    }
    put(out, "]");
}
