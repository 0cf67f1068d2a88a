//! Other people's bytes, made fit to be shown.
//!
//! Names of containers, files and interfaces may hold terminal escapes or no UTF-8 at all. What is
//! shown to a person has control characters, those that end a line for some or turn the order of
//! others, and invalid bytes as `\xNN`; a backslash itself is not doubled. In JSON control
//! characters are JSON's own escapes, and invalid bytes become the text `\xNN`.

#![forbid(unsafe_code)]

use std::fmt::{self, Display, Formatter, Write};

/// Shows bytes as text for a person.
pub fn shown(bytes: &[u8]) -> Shown<'_> {
    shown_without(bytes, |_| false)
}

/// Shows bytes as [`shown`] does, with those characters escaped, too, that would end them where
/// they stand.
pub fn shown_without(bytes: &[u8], ends: fn(char) -> bool) -> Shown<'_> {
    Shown(bytes, ends)
}

/// Shows bytes as text for a person, in double quotes.
pub fn quoted(bytes: &[u8]) -> Quoted<'_> {
    Quoted(bytes)
}

/// Shows bytes as a JSON string.
pub fn json(bytes: &[u8]) -> Json<'_> {
    Json(bytes)
}

/// What [`shown`] returns.
#[derive(Clone, Copy)]
pub struct Shown<'a>(&'a [u8], fn(char) -> bool);

/// What [`quoted`] returns.
#[derive(Clone, Copy)]
pub struct Quoted<'a>(&'a [u8]);

/// What [`json`] returns.
#[derive(Clone, Copy)]
pub struct Json<'a>(&'a [u8]);

impl Display for Shown<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() || misleads(c) || (self.1)(c) {
                    escape(out, "\\x", c.encode_utf8(&mut [0; 4]).as_bytes())?;
                } else {
                    out.write_char(c)?;
                }
            }
            escape(out, "\\x", chunk.invalid())?;
        }
        Ok(())
    }
}

impl Display for Quoted<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "\"{}\"", shown(self.0))
    }
}

impl Display for Json<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        out.write_char('"')?;
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                match c {
                    '"' | '\\' => write!(out, "\\{c}")?,
                    // Those beyond ASCII are U+0080 to U+009F.
                    c if c.is_control() => write!(out, "\\u{:04x}", u32::from(c))?,
                    c => out.write_char(c)?,
                }
            }
            escape(out, "\\\\x", chunk.invalid())?;
        }
        out.write_char('"')
    }
}

/// Tells whether a character ends a line for some, or turns the order of those around it: Unicode,
/// Bidi_Control and the line and paragraph separators.
fn misleads(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

fn escape(out: &mut Formatter<'_>, prefix: &str, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(out, "{prefix}{byte:02x}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_unchanged() {
        assert_eq!(shown("web é \\ \"x\"".as_bytes()).to_string(), "web é \\ \"x\"");
    }

    #[test]
    fn controls_and_invalid_utf8_are_hex() {
        let text = shown("a\x1b[2Jb\n\u{9b}".as_bytes()).to_string();
        assert_eq!(text, "a\\x1b[2Jb\\x0a\\xc2\\x9b");
        assert_eq!(quoted(b"\xff\xc3x").to_string(), "\"\\xff\\xc3x\"");
        let text = shown("a\u{2028}b\u{202e}c\u{2069}".as_bytes()).to_string();
        assert_eq!(text, "a\\xe2\\x80\\xa8b\\xe2\\x80\\xaec\\xe2\\x81\\xa9");
    }

    #[test]
    fn what_would_end_a_word_is_hex() {
        let text = shown_without("a b\u{3000}[c\n".as_bytes(), char::is_whitespace).to_string();
        assert_eq!(text, "a\\x20b\\xe3\\x80\\x80[c\\x0a");
    }

    #[test]
    fn json_strings_are_valid_whatever_is_in_them() {
        let text = |bytes: &[u8]| json(bytes).to_string();
        assert_eq!(text("web é".as_bytes()), "\"web é\"");
        assert_eq!(text(b"a\"b\\c\n\x1b[2J\x7f"), r#""a\"b\\c\u000a\u001b[2J\u007f""#);
        assert_eq!(text("\u{9b}\u{a0}".as_bytes()), "\"\\u009b\u{a0}\"");
        assert_eq!(text(b"\xff\xc3x"), r#""\\xff\\xc3x""#);
        assert_eq!(text(b""), "\"\"");
    }
}
