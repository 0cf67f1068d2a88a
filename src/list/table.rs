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
    let mut table = Table::default();
    for name in HEAD {
        table.add(name.into());
    }
    for line in lines {
        let row = &rows[line.row];
        table.add(decimal(row.namespace.id.ino));
        table.add(line.pid.map_or_else(String::new, |pid| decimal(pid.into())));
        table.add(decimal(row.namespace.processes.into()));
        table.add(name(row, line));
        table.add(without_blanks(&listed(&row.pins(host), ",")));
        // Where they could not be read, nothing is claimed of them.
        table.add(shown(line.interfaces.unwrap_or(b"?")).to_string());
    }
    table.text()
}

/// Cells, row by row.
#[derive(Default)]
struct Table {
    cells: Vec<String>,
    widths: [usize; HEAD.len()],
}

impl Table {
    #[inline(never)]
    fn add(&mut self, mut cell: String) {
        if cell.is_empty() {
            cell.push('-');
        }
        let width = &mut self.widths[self.cells.len() % HEAD.len()];
        *width = width_of(&cell).max(*width);
        self.cells.push(cell);
    }

    fn text(&self) -> Vec<u8> {
        let mut text = Vec::new();
        for (n, cell) in self.cells.iter().enumerate() {
            text.extend_from_slice(cell.as_bytes());
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

fn decimal(number: u64) -> String {
    number.to_string()
}

/// A name may have blanks, its column none.
fn without_blanks(text: &str) -> String {
    let mut cell = String::new();
    for c in text.chars() {
        match c {
            ' ' => cell += "\\x20",
            c => cell.push(c),
        }
    }
    cell
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
