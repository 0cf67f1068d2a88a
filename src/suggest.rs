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
    let text = word.rsplit(|b| *b == b':').next().unwrap_or(word);
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
    distance(a, b) <= 2.min(a.len().min(b.len()).saturating_sub(1))
}

/// Levenshtein distance; as good as infinite for long words, where it would be slow and of no use.
fn distance(a: &[u8], b: &[u8]) -> usize {
    const LONG: usize = 128;
    if a.len() > LONG || b.len() > LONG || a.len().abs_diff(b.len()) > 2 || a.len().min(b.len()) < 2 {
        return usize::MAX;
    }
    let mut row = Vec::new();
    for j in 0..=b.len() {
        row.push(j);
    }
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(x != y);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(diagonal + 1).min(row[j] + 1);
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
