//! The list as JSON: one object on a line for each namespace. Its fields are an interface; they are
//! only ever added to.

#![forbid(unsafe_code)]

use crate::base::escape::json;
use crate::commands::list::entry::{Entry, Link, Listing, Neighbour};
use crate::containers::engine::Container;
use crate::host::holders::Holder;
use std::fmt::Display;

/// Renders the array.
pub(super) fn render(listing: &Listing) -> String {
    let mut out = Writer("[".to_owned());
    for entry in &listing.entries {
        object(&mut out, entry, listing.unknown.is_some());
    }
    for unknown in listing.unknown.iter().flatten() {
        out.begin(
            "\n{\"inode\":null,\"pid\":null,\"processes\":0,\"host\":false,\"containers\":[]",
        );
        out.end(",\"unit\":null,\"command\":null,\"cookie\":null,\"pins\":[]");
        holders(&mut out, &unknown.holders);
        out.end(",\"interfaces\":[]}");
    }
    out.0 + "\n]\n"
}

fn object(out: &mut Writer, entry: &Entry, has_holders: bool) {
    let namespace = &entry.group.namespace;
    out.begin("\n{");
    out.member("inode", &entry.inode());
    out.member("pid", or_null(&entry.pid));
    out.member("processes", &namespace.processes);
    out.member("host", &entry.group.is_host);
    out.begin("\"containers\":[");
    for running in &entry.group.containers {
        container(out, &running.container, &running.pid);
    }
    for prepared in &entry.prepared {
        container(out, prepared, &"null");
    }
    out.end("]");
    out.member("unit", or_null(&entry.unit.as_deref().map(json)));
    out.member("command", or_null(&entry.command.as_deref().map(json)));
    out.member("cookie", or_null(&namespace.cookie));
    out.begin("\"pins\":[");
    for path in &namespace.mounts {
        out.value(&json(path));
    }
    out.end("]");
    if has_holders {
        holders(out, &namespace.holders);
    }
    out.begin("\"interfaces\":[");
    for link in entry.interfaces.iter().flatten() {
        interface(out, link);
    }
    out.end("]}");
}

fn holders(out: &mut Writer, holders: &[Holder]) {
    out.begin("\"holders\":[");
    for holder in holders {
        let (kind, pid, fd, path) = holder.parts();
        out.begin("{");
        out.member("kind", &json(kind.as_bytes()));
        out.member("pid", or_null(&pid));
        out.member("fd", or_null(&fd));
        out.member("path", or_null(&path.map(json)));
        out.end("}");
    }
    out.end("]");
}

fn container(out: &mut Writer, container: &Container, pid: &dyn Display) {
    out.begin("{");
    out.member("engine", &json(container.engine.as_bytes()));
    out.member("name", &json(&container.name));
    out.member("id", &json(&container.id));
    out.member("pid", pid);
    out.member("claimed_by", or_null(&container.claimed_by));
    out.end("}");
}

fn interface(out: &mut Writer, link: &Link) {
    out.begin("{");
    out.member("name", &json(&link.name));
    out.member("index", &link.index);
    out.member("kind", or_null(&link.kind.as_deref().map(json)));
    out.member("state", &json(&link.state));
    out.member("mtu", &link.mtu);
    out.member("master", or_null(&link.master));
    neighbour(out, "parent", link.parent());
    out.member("remote", or_null(&link.remote.map(|ip| format!("\"{ip}\""))));
    out.member("mac", &json(&link.mac));
    out.begin("\"addresses\":[");
    for address in &link.addresses {
        out.value(&format_args!("\"{address}\""));
    }
    out.end("]");
    neighbour(out, "peer", link.peer());
    out.end("}");
}

fn neighbour(out: &mut Writer, member: &str, neighbour: Option<&Neighbour>) {
    match neighbour {
        Some(neighbour) => {
            out.begin(&format!("\"{member}\":{{"));
            out.member("inode", or_null(&neighbour.inode));
            out.member("index", &neighbour.index);
            out.member("name", or_null(&neighbour.name.as_deref().map(json)));
            out.end("}");
        }
        None => out.member(member, &"null"),
    }
}

fn or_null<T: Display>(value: &Option<T>) -> &dyn Display {
    match value {
        Some(value) => value,
        None => &"null",
    }
}

/// What was written so far.
struct Writer(String);

impl Writer {
    /// Begins an object or array, which ends with what [`Writer::end`] is given.
    fn begin(&mut self, text: &str) {
        if !self.0.ends_with(['[', '{']) {
            self.0.push(',');
        }
        self.0 += text;
    }

    fn end(&mut self, text: &str) {
        self.0 += text;
    }

    fn value(&mut self, value: &dyn Display) {
        self.begin(&value.to_string());
    }

    fn member(&mut self, name: &str, value: &dyn Display) {
        self.begin(&format!("\"{name}\":{value}"));
    }
}
