//! The list as a table: aligned, nothing cut off, and no blanks in any column but NAME and the last.

#![forbid(unsafe_code)]

use super::{Line, Row};
use crate::bytes::{Bytes, keep};
use crate::host::Host;
use crate::text::{append, number, shown, text};

const HEAD: [Bytes; 6] = [b"INODE", b"PID", b"PROCS", b"NAME", b"PINNED", b"ADDRESSES"];
const GAP: usize = 2;

/// The table.
pub fn text(host: &Host, rows: &[Row], lines: &[Box<Line>]) -> Vec<u8> {
    let mut table = Table::default();
    for name in HEAD {
        table.add(name);
    }
    for line in lines {
        let row = &rows[line.row];
        table.add(number(row.namespace.id.ino));
        table.add(line.pid.map_or(b"", |pid| number(pid.into())));
        table.add(number(row.namespace.processes.into()));
        table.add(name(row, line));
        table.add(without_blanks(listed(row.pins(host), b",")));
        // Where they could not be read, nothing is claimed of them.
        table.add(shown(line.interfaces.unwrap_or(b"?")));
    }
    table.text()
}

/// Cells, row by row.
#[derive(Default)]
struct Table {
    cells: Vec<Bytes>,
    widths: [usize; HEAD.len()],
}

impl Table {
    #[inline(never)]
    fn add(&mut self, cell: Bytes) {
        let cell = if cell.is_empty() { b"-" } else { cell };
        let width = &mut self.widths[self.cells.len() % HEAD.len()];
        *width = width_of(cell).max(*width);
        self.cells.push(cell);
    }

    fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for (n, cell) in self.cells.iter().enumerate() {
            text.extend_from_slice(cell);
            let column = n % HEAD.len();
            if column + 1 == HEAD.len() {
                text.push(b'\n');
            } else {
                text.resize(text.len() + self.widths[column] + GAP - width_of(cell), b' ');
            }
        }
        text
    }
}

/// A name may have blanks, its column none.
fn without_blanks(text: &[u8]) -> Bytes {
    let mut cell = Vec::new();
    for byte in text {
        match byte {
            b' ' => cell.extend_from_slice(b"\\x20"),
            byte => cell.push(*byte),
        }
    }
    keep(cell)
}

/// How many characters that is. Each has one byte that does not continue another.
#[inline(never)]
fn width_of(cell: &[u8]) -> usize {
    cell.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

fn name(row: &Row, line: &Line) -> Bytes {
    let containers = listed(row.names(), b" ");
    if row.is_host {
        let gap = if containers.is_empty() { "" } else { " " };
        return text!("(host){}{}", gap, containers);
    }
    match (line.unit, line.command) {
        _ if !containers.is_empty() => containers,
        (Some(unit), _) => shown(unit),
        (None, Some(command)) => text!("[{}]", command),
        (None, None) => b"",
    }
}

/// Names, escaped.
pub fn listed(names: &[Bytes], separator: &[u8]) -> Bytes {
    let mut text = Vec::new();
    for name in names {
        append(&mut text, separator, shown(name));
    }
    keep(text)
}
