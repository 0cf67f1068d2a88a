//! What a word that names nothing may have been meant to be.

#![forbid(unsafe_code)]

use super::hint::{hint, where_to_look};
use crate::base::error::{Error, MORE_RIGHTS, Result};
use crate::base::escape::{quoted, shown};
use crate::base::text::last;
use crate::containers::claims;
use crate::containers::engine::Container;
use crate::containers::lookup::{all_in, is_root, worlds};
use crate::containers::name::{listed, spelled};
use crate::containers::word::{MIN_PREFIX, Word};
use crate::host::Host;
use crate::pin::lookup;

/// As many names are offered.
const MOST: usize = 5;
/// Longer words are close to none: that would be slow to find out, and of no use.
const LONG: usize = 128;

/// Makes the failure of a word that is no container's name, nor that of one of these pins: with
/// what may have been meant. Of users' containers root is told only here, after all else.
///
/// # Errors
/// Where the machine refuses to be looked at.
pub(super) fn no_container(
    host: &Host,
    what: &str,
    word: &[u8],
    pins: &[Vec<u8>],
) -> Result<Error> {
    if host.is_one_look_of_many() {
        return Ok(not_found(host, what, word, &[]));
    }
    let parsed = Word::parse(word);
    let mut containers = Vec::new();
    for world in &worlds(host)? {
        containers.append(&mut all_in(world, parsed.engine)?);
    }
    let pins = if parsed.engine.is_none() { pins } else { &[] };
    let mut names = near(parsed.text, word, &containers, pins);
    if names.len() < MOST && is_root(host) {
        let users = claims::suggest(host, parsed.engine, &|container| {
            is_near(&container.name, parsed.text)
        })?;
        for name in users.iter().take(MOST - names.len()) {
            names.push(listed(name));
        }
    }
    let error = not_found(host, what, word, &names);
    // One digit is the beginning of many, and what is meant by it is something else.
    if word.len() > 1 && containers.iter().any(|container| parsed.is_short_prefix(container)) {
        let remedy = format!("an ID needs at least {MIN_PREFIX} digits");
        return Ok(error.with_remedy(remedy));
    }
    Ok(match (error.remedy(), hint(host, word)) {
        (None, Some(hint)) => error.with_remedy(hint),
        (None, None) if names.is_empty() => error.with_remedy(where_to_look(host)),
        _ => error,
    })
}

/// Makes the failure of a word that is no pin's name.
pub(crate) fn no_pin(host: &Host, word: &[u8]) -> Error {
    let pins = lookup::names(host);
    not_found(host, "pin", word, &near(word, word, &[], &pins))
}

fn not_found(host: &Host, what: &str, word: &[u8], names: &[String]) -> Error {
    let name = quoted(word);
    let question = match names.is_empty() {
        true => String::new(),
        false => format!("; did you mean {}?", names.join(", ")),
    };
    let Some(unread) = host.unread() else {
        return Error::new(format!("no {what} {name}{question}")).absent();
    };
    let missing = format!("not all of the host could be read: {unread}");
    let error = Error::new(format!("{what} {name} not found; {missing}{question}")).absent();
    if is_root(host) { error } else { error.with_remedy(MORE_RIGHTS) }
}

/// Returns the names that a word may have been meant to be, as they are shown; `text` is the word
/// without what stands before the name proper, as in `docker:/web`.
fn near(text: &[u8], word: &[u8], containers: &[Container], pins: &[Vec<u8>]) -> Vec<String> {
    let mut names: Vec<String> = Vec::new();
    let mut add = |name: String| {
        // Several of one name stand side by side.
        if names.len() < MOST && names.last() != Some(&name) {
            names.push(name);
        }
    };
    for container in containers {
        if is_near(&container.name, text) {
            add(listed(&spelled(container)));
        }
    }
    for pin in pins {
        if is_near(pin, word) {
            add(format!("pin {}", shown(pin)));
        }
    }
    names
}

/// Tells whether a name may have been meant: two edits away or less, or one contains the other.
fn is_near(name: &[u8], word: &[u8]) -> bool {
    contains(name, word)
        || contains(word, name)
        || is_close(name, word)
        || is_close(last(name), word)
}

/// Tells whether `part`, if it is no mere letter or two, is in `text`.
fn contains(text: &[u8], part: &[u8]) -> bool {
    const LEAST: usize = 3;
    part.len() >= LEAST && text.windows(part.len()).any(|window| window == part)
}

fn is_close(a: &[u8], b: &[u8]) -> bool {
    let (shorter, longer) = (a.len().min(b.len()), a.len().max(b.len()));
    (2..=LONG).contains(&shorter) && longer - shorter <= 2 && distance(a, b) <= 2.min(shorter - 1)
}

/// Returns the Levenshtein distance of words of about [`LONG`] bytes at most.
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
