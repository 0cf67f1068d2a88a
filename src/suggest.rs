//! What a word that names nothing may have been meant to be.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, contains, keep, split};
use crate::container::spelled;
use crate::engine::Container;
use crate::error::Error;
use crate::host::Host;
use crate::text::{append, text};

/// As many names are offered.
const MOST: usize = 5;

/// The failure of a word that is the name of none of these; `what` as in "container or pin".
pub fn unknown(host: &Host, what: &str, word: &[u8], containers: &[&Container], pins: &[Bytes]) -> Error {
    if let Some(unread) = host.unread() {
        let message = text!("{} \"{}\" not found; not all of the host could be read: {}", what, word, unread);
        return Error::new(message).remedy(b"needs root");
    }
    let near = near(word, containers, pins);
    let question = if near.is_empty() { b"" } else { text!("; did you mean {}?", near) };
    let error = Error::new(text!("no {} \"{}\"{}", what, word, question));
    match what != "pin" && word.iter().all(u8::is_ascii_digit) {
        true => error.remedy(text!("for a process say --pid {}", word)),
        false => error,
    }
}

fn near(word: &[u8], containers: &[&Container], pins: &[Bytes]) -> Bytes {
    // What stands before the name proper, as in `docker:/web`.
    let text = split(word, b':').last().unwrap_or(word);
    let mut list = Vec::new();
    let mut room = MOST;
    let mut offer = |item: Bytes| {
        if room > 0 && !list.ends_with(item) {
            room -= 1;
            append(&mut list, b", ", item);
        }
    };
    for container in containers {
        if is_near(container.name, text) {
            offer(spelled(container));
        }
    }
    for pin in pins {
        if is_near(pin, word) {
            offer(text!("pin {}", pin));
        }
    }
    keep(list)
}

/// Whether a name may have been meant: two edits away or less, or one contains the other.
fn is_near(name: &[u8], word: &[u8]) -> bool {
    const LEAST: usize = 3;
    let has = |a: &[u8], b: &[u8]| b.len() >= LEAST && contains(a, b);
    let last = split(name, b'/').last().unwrap_or(name);
    has(name, word) || has(word, name) || is_close(name, word) || is_close(last, word)
}

fn is_close(a: &[u8], b: &[u8]) -> bool {
    let (shorter, longer) = (a.len().min(b.len()), a.len().max(b.len()));
    (2..=LONG).contains(&shorter) && longer - shorter <= 2 && distance(a, b) <= 2.min(shorter - 1)
}

/// Longer words are close to none: that would be slow to find out, and of no use.
const LONG: usize = 128;

/// Levenshtein distance of words of about [`LONG`] bytes at most.
fn distance(a: &[u8], b: &[u8]) -> usize {
    let mut row: [usize; LONG + 3] = std::array::from_fn(|at| at);
    for x in a {
        let mut diagonal = row[0];
        row[0] += 1;
        let mut left = row[0];
        for (y, cell) in b.iter().zip(&mut row[1..]) {
            left = (diagonal + usize::from(x != y)).min(left.min(*cell) + 1);
            diagonal = std::mem::replace(cell, left);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn near_names() {
        for (name, word, near) in [
            ("web", "wbe", true),
            ("web-1", "web", true),
            ("shop/cart", "crat", true),
            ("db", "web", false),
            ("a", "b", false),
        ] {
            assert_eq!(is_near(name.as_bytes(), word.as_bytes()), near, "{name} {word}");
        }
    }
}
