//! The list as a table: aligned, nothing cut off, and no blanks in any column but NAME and the last.

#![forbid(unsafe_code)]

use super::{Line, Row};
use crate::bytes::Bytes;
use crate::host::Host;
use crate::text::shown;

const HEAD: [&str; 6] = ["INODE", "PID", "PROCS", "NAME", "PINNED", "ADDRESSES"];
const GAP: usize = 2;

/// The table.
pub fn text(host: &Host, rows: &[Row], lines: &[Line]) -> Vec<u8> {
    let mut table = vec![HEAD.map(String::from)];
    for line in lines {
        let row = &rows[line.row];
        table.push([
            row.namespace.id.ino.to_string(),
            line.pid.map_or_else(String::new, |pid| pid.to_string()),
            row.namespace.processes.to_string(),
            name(row, line),
            // A name may have blanks, this column none.
            listed(&row.pins(host), ",").replace(' ', "\\x20"),
            // Where they could not be read, nothing is claimed of them.
            line.interfaces.map_or_else(|| "?".into(), |text| shown(text).to_string()),
        ]);
    }
    let mut widths = [0; HEAD.len()];
    for row in &mut table {
        for (width, cell) in widths.iter_mut().zip(row) {
            if cell.is_empty() {
                cell.push('-');
            }
            *width = width_of(cell).max(*width);
        }
    }
    let mut text = Vec::new();
    for row in &table {
        let mut padding = 0;
        for (cell, width) in row.iter().zip(widths) {
            text.resize(text.len() + padding, b' ');
            text.extend_from_slice(cell.as_bytes());
            padding = width + GAP - width_of(cell);
        }
        text.push(b'\n');
    }
    text
}

#[inline(never)]
fn width_of(cell: &str) -> usize {
    cell.chars().count()
}

fn name(row: &Row, line: &Line) -> String {
    let containers = listed(&row.names(), " ");
    if row.is_host {
        let gap = if containers.is_empty() { "" } else { " " };
        return format!("(host){gap}{containers}");
    }
    match (line.unit, line.command) {
        _ if !containers.is_empty() => containers,
        (Some(unit), _) => shown(unit).to_string(),
        (None, Some(command)) => format!("[{}]", shown(command)),
        (None, None) => String::new(),
    }
}

/// Names, escaped.
pub fn listed(names: &[Bytes], separator: &str) -> String {
    let mut text = String::new();
    for name in names {
        if !text.is_empty() {
            text += separator;
        }
        text += &shown(name).to_string();
    }
    text
}
