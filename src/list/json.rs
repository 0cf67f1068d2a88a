//! The list as JSON: one object on a line for each namespace. Its fields are an interface; they are only ever added to.

#![forbid(unsafe_code)]

use super::{Line, Row};
use crate::bytes::Bytes;
use crate::netlink::{Interface, Peer};
use crate::netns::NsId;
use crate::text;

/// The array.
pub fn text(rows: &[Row], lines: &[Box<Line>]) -> Vec<u8> {
    let mut out = vec![b'['];
    for line in lines {
        let row = &rows[line.row];
        open(&mut out, b"\n{");
        number(&mut out, "inode", Some(row.namespace.id.ino));
        number(&mut out, "pid", line.pid.map(u64::from));
        number(&mut out, "processes", Some(u64::from(row.namespace.processes)));
        raw(&mut out, "host", if row.is_host { b"true" } else { b"false" });
        raw(&mut out, "containers", b"[");
        for seen in &row.containers {
            open(&mut out, b"{");
            string(&mut out, "engine", Some(seen.container.engine.as_bytes()));
            string(&mut out, "name", Some(seen.container.name));
            string(&mut out, "id", Some(seen.container.id));
            number(&mut out, "pid", Some(u64::from(seen.pid)));
            out.push(b'}');
        }
        out.push(b']');
        string(&mut out, "unit", line.unit);
        string(&mut out, "command", line.command);
        raw(&mut out, "pins", b"[");
        for path in &row.namespace.mounts {
            item(&mut out, path);
        }
        out.push(b']');
        raw(&mut out, "interfaces", b"[");
        out.extend_from_slice(line.interfaces.unwrap_or_default());
        out.extend_from_slice(b"]}");
    }
    out.extend_from_slice(b"\n]\n");
    out
}

/// Adds an object to a list of them; with the peer go its namespace and its name, where they are known.
pub fn interface(out: &mut Vec<u8>, interface: &Interface, peer: Option<(Peer, Option<NsId>, Option<Bytes>)>) {
    open(out, b"{");
    string(out, "name", Some(interface.name));
    number(out, "index", Some(u64::from(interface.index)));
    string(out, "state", Some(interface.state.as_bytes()));
    string(out, "mac", Some(interface.mac));
    raw(out, "addresses", b"[");
    for address in &interface.addresses {
        item(out, address.text());
    }
    out.push(b']');
    match peer {
        None => raw(out, "peer", b"null"),
        Some((peer, place, name)) => {
            raw(out, "peer", b"{");
            number(out, "inode", place.map(|id| id.ino));
            number(out, "index", Some(u64::from(peer.index)));
            string(out, "name", name);
            out.push(b'}');
        }
    }
    out.push(b'}');
}

/// Begins something, with a comma unless it is the first of its list or comes after its key.
fn open(out: &mut Vec<u8>, text: &[u8]) {
    if !matches!(out.last(), None | Some(b'[' | b'{' | b':')) {
        out.push(b',');
    }
    out.extend_from_slice(text);
}

/// An element of an array of strings.
fn item(out: &mut Vec<u8>, bytes: &[u8]) {
    open(out, b"");
    text::json(out, bytes);
}

/// A field whose value is, or begins with, this.
#[inline(never)]
fn raw(out: &mut Vec<u8>, key: &str, value: &[u8]) {
    item(out, key.as_bytes());
    out.push(b':');
    out.extend_from_slice(value);
}

#[inline(never)]
fn number(out: &mut Vec<u8>, key: &str, number: Option<u64>) {
    match number {
        Some(number) => raw(out, key, text::number(number)),
        None => raw(out, key, b"null"),
    }
}

#[inline(never)]
fn string(out: &mut Vec<u8>, key: &str, bytes: Option<&[u8]>) {
    match bytes {
        Some(bytes) => {
            raw(out, key, b"");
            item(out, bytes);
        }
        None => raw(out, key, b"null"),
    }
}
