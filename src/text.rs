//! Text for people, made of a template and of other people's bytes.
//!
//! Names of containers, files and interfaces may hold terminal escapes or no UTF-8 at all. What is shown to a person has
//! control characters and invalid bytes as `\xNN`; a backslash itself is not doubled, so that text made of text stays as it is.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, keep, split};
use crate::error::describe;
use rustix::io::Errno;
use std::os::unix::ffi::OsStrExt;

/// The template with each `{}` in it replaced by a [`Part`], escaped.
///
/// In place of `format!`, whose code for each of a hundred messages is twice as much, and which leaves it to the author to escape.
macro_rules! text {
    ($template:literal $(, $part:expr)* $(,)?) => {{
        const PARTS: &[&str] = &[$(stringify!($part)),*];
        const { assert!($crate::text::holes($template) == PARTS.len(), "one part for each hole") };
        text!(@fill $template $(, $crate::text::Part::part(&$part))*)
    }};
    // Most have one or two, which need no memory to be handed over.
    (@fill $template:literal, $part:expr) => { $crate::text::fill_one($template, $part) };
    (@fill $template:literal, $first:expr, $second:expr) => { $crate::text::fill_two($template, $first, $second) };
    (@fill $template:literal $(, $part:expr)*) => { $crate::text::fill($template, &[$($part),*]) };
}
pub(crate) use text;

/// How many parts a template wants.
pub const fn holes(template: &str) -> usize {
    let (mut holes, mut at) = (0, 0);
    while at < template.len() {
        holes += (template.as_bytes()[at] == b'{') as usize;
        at += 1;
    }
    holes
}

/// What `text!` does.
pub fn fill(template: &str, parts: &[&[u8]]) -> Bytes {
    let mut text = Vec::new();
    let mut parts = parts.iter();
    for piece in split(template.as_bytes(), b'{') {
        let rest = piece.strip_prefix(b"}");
        if rest.is_some() {
            put(&mut text, parts.next().copied().unwrap_or_default(), Style::Plain);
        }
        text.extend_from_slice(rest.unwrap_or(piece));
    }
    keep(text)
}

/// [`fill`] for one part.
#[inline(never)]
pub fn fill_one(template: &str, part: &[u8]) -> Bytes {
    fill(template, &[part])
}

/// [`fill`] for two parts.
#[inline(never)]
pub fn fill_two(template: &str, first: &[u8], second: &[u8]) -> Bytes {
    fill(template, &[first, second])
}

/// `bytes`, escaped.
pub fn shown(bytes: &[u8]) -> Bytes {
    fill_one("{}", bytes)
}

/// `bytes`, escaped and in double quotes.
pub fn quoted(bytes: &[u8]) -> Bytes {
    fill_one("\"{}\"", bytes)
}

/// What can be part of a text.
pub trait Part {
    /// The bytes of it.
    fn part(&self) -> &[u8];
}

impl<P: Part + ?Sized> Part for &P {
    fn part(&self) -> &[u8] {
        (**self).part()
    }
}

impl Part for [u8] {
    fn part(&self) -> &[u8] {
        self
    }
}

impl<const N: usize> Part for [u8; N] {
    fn part(&self) -> &[u8] {
        self
    }
}

impl Part for Vec<u8> {
    fn part(&self) -> &[u8] {
        self
    }
}

impl Part for str {
    fn part(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Part for std::ffi::OsStr {
    fn part(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Part for std::ffi::OsString {
    fn part(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl Part for u64 {
    fn part(&self) -> &[u8] {
        number(*self)
    }
}

impl Part for u32 {
    fn part(&self) -> &[u8] {
        number(u64::from(*self))
    }
}

impl Part for usize {
    fn part(&self) -> &[u8] {
        number(*self as u64)
    }
}

impl Part for Errno {
    fn part(&self) -> &[u8] {
        describe(*self)
    }
}

/// A number in decimal digits.
pub fn number(number: u64) -> Bytes {
    keep(digits(number, &mut [0; MOST_DIGITS]))
}

/// As many digits as a number has at most.
pub const MOST_DIGITS: usize = 20;

/// As [`number`], in a place of the caller's.
pub fn digits(mut number: u64, place: &mut [u8; MOST_DIGITS]) -> &[u8] {
    let mut first = MOST_DIGITS;
    loop {
        first -= 1;
        place[first] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            return &place[first..];
        }
    }
}

/// The two hexadecimal digits of a byte.
pub fn hex(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)])
}

/// Appends an item to a list in words.
pub fn append(list: &mut Vec<u8>, separator: &[u8], item: &[u8]) {
    if !list.is_empty() {
        list.extend_from_slice(separator);
    }
    list.extend_from_slice(item);
}

/// Appends `bytes` as a JSON string. Bytes that are no UTF-8 become the text `\xNN`, control characters JSON's own escapes.
pub fn json(text: &mut Vec<u8>, bytes: &[u8]) {
    text.push(b'"');
    put(text, bytes, Style::Json);
    text.push(b'"');
}

/// Whom text is escaped for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Style {
    Plain,
    Json,
}

fn put(text: &mut Vec<u8>, bytes: &[u8], style: Style) {
    let json = style == Style::Json;
    for chunk in bytes.utf8_chunks() {
        let mut valid = chunk.valid().as_bytes();
        while !valid.is_empty() {
            // Of control characters, those from 0x80 to 0x9f have two bytes, the last of which is their number.
            let (len, control) = match *valid {
                [byte @ (..=0x1f | 0x7f), ..] => (1, Some(byte)),
                [0xc2, byte @ ..=0x9f, ..] => (2, Some(byte)),
                _ => (1, None),
            };
            let (this, rest) = valid.split_at(len);
            match control {
                None if json && matches!(this, b"\"" | b"\\") => text.extend_from_slice(&[b'\\', this[0]]),
                None => text.push(this[0]),
                Some(byte) if json => escape(text, b"\\u00", &[byte]),
                Some(_) => escape(text, b"\\x", this),
            }
            valid = rest;
        }
        escape(text, if json { b"\\\\x" } else { b"\\x" }, chunk.invalid());
    }
}

fn escape(text: &mut Vec<u8>, prefix: &[u8], bytes: &[u8]) {
    for byte in bytes {
        text.extend_from_slice(prefix);
        text.extend_from_slice(&hex(*byte));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    #[test]
    fn plain_text_is_unchanged() {
        assert_eq!(shown("web é \\ \"x\"".as_bytes()), "web é \\ \"x\"".as_bytes());
    }

    #[test]
    fn controls_and_invalid_utf8_are_hex() {
        assert_eq!(shown("a\x1b[2Jb\n\u{9b}".as_bytes()), b"a\\x1b[2Jb\\x0a\\xc2\\x9b");
        assert_eq!(quoted(b"\xff\xc3x"), b"\"\\xff\\xc3x\"");
    }

    #[test]
    fn templates_take_parts_of_every_kind() {
        let (name, id) = (OsStr::new("a\nb"), u64::MAX);
        assert_eq!(text!("no part"), b"no part");
        assert_eq!(
            text!("{}: \"{}\" {}{}", "é", name, id, &b"!"[..]),
            "é: \"a\\x0ab\" 18446744073709551615!".as_bytes()
        );
        assert_eq!(text!("{}", text!("\"{}\"", b"\x1b\\")), b"\"\\x1b\\\"");
        assert_eq!([number(0), number(10)], [&b"0"[..], b"10"]);
    }

    #[test]
    fn json_strings_are_valid_whatever_is_in_them() {
        let text = |bytes: &[u8]| {
            let mut out = Vec::new();
            json(&mut out, bytes);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text("web é".as_bytes()), "\"web é\"");
        assert_eq!(text(b"a\"b\\c\n\x1b[2J\x7f"), r#""a\"b\\c\u000a\u001b[2J\u007f""#);
        assert_eq!(text("\u{9b}\u{a0}".as_bytes()), "\"\\u009b\u{a0}\"");
        assert_eq!(text(b"\xff\xc3x"), r#""\\xff\\xc3x""#);
        assert_eq!(text(b""), "\"\"");
    }
}
