//! Other people's bytes, made fit to print.
//!
//! Names of containers, files and interfaces may hold terminal escapes or no UTF-8 at all. What is shown to a person has
//! control characters and invalid bytes as `\xNN`; a backslash itself is not doubled.

#![forbid(unsafe_code)]

use std::fmt;
use std::os::unix::ffi::OsStrExt;

/// Shows bytes escaped.
pub struct Shown<'a>(&'a [u8]);

/// `bytes`, escaped when formatted.
pub fn shown<B: AsBytes + ?Sized>(bytes: &B) -> Shown<'_> {
    Shown(bytes.as_bytes())
}

/// `bytes`, escaped and in double quotes.
pub fn quoted<B: AsBytes + ?Sized>(bytes: &B) -> String {
    quote(bytes.as_bytes())
}

fn quote(bytes: &[u8]) -> String {
    format!("\"{}\"", shown(bytes))
}

/// The two hexadecimal digits of a byte.
pub fn hex(byte: u8) -> [u8; 2] {
    [byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)])
}

/// What can be shown.
pub trait AsBytes {
    /// The raw bytes.
    fn as_bytes(&self) -> &[u8];
}

impl AsBytes for [u8] {
    fn as_bytes(&self) -> &[u8] {
        self
    }
}

impl<B: AsBytes + ?Sized> AsBytes for &B {
    fn as_bytes(&self) -> &[u8] {
        (**self).as_bytes()
    }
}

impl AsBytes for Vec<u8> {
    fn as_bytes(&self) -> &[u8] {
        self
    }
}

impl AsBytes for str {
    fn as_bytes(&self) -> &[u8] {
        self.as_bytes()
    }
}

impl AsBytes for String {
    fn as_bytes(&self) -> &[u8] {
        self.as_str().as_bytes()
    }
}

impl AsBytes for std::ffi::OsStr {
    fn as_bytes(&self) -> &[u8] {
        OsStrExt::as_bytes(self)
    }
}

impl AsBytes for std::ffi::OsString {
    fn as_bytes(&self) -> &[u8] {
        OsStrExt::as_bytes(self.as_os_str())
    }
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() {
                    escape(f, c.encode_utf8(&mut [0; 4]).as_bytes())?;
                } else {
                    fmt::Write::write_char(f, c)?;
                }
            }
            escape(f, chunk.invalid())?;
        }
        Ok(())
    }
}

/// Appends an item to a list in words.
pub fn append(list: &mut String, separator: &str, item: &str) {
    if !list.is_empty() {
        list.push_str(separator);
    }
    list.push_str(item);
}

/// Appends `bytes` as a JSON string. Bytes that are no UTF-8 become the text `\xNN`, control characters JSON's own escapes.
pub fn json(out: &mut Vec<u8>, bytes: &[u8]) {
    let escaped = |out: &mut Vec<u8>, prefix: &[u8], byte: u8| {
        out.extend_from_slice(prefix);
        out.extend_from_slice(&hex(byte));
    };
    out.push(b'"');
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
                // Those above 0x7f end at 0x9f.
                c if c.is_control() => escaped(out, b"\\u00", c as u8),
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        for byte in chunk.invalid() {
            escaped(out, b"\\\\x", *byte);
        }
    }
    out.push(b'"');
}

fn escape(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    for byte in bytes {
        f.write_str("\\x")?;
        for digit in hex(*byte) {
            fmt::Write::write_char(f, char::from(digit))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_is_unchanged() {
        assert_eq!(shown("web é \\ \"x\"").to_string(), "web é \\ \"x\"");
    }

    #[test]
    fn controls_and_invalid_utf8_are_hex() {
        assert_eq!(shown("a\x1b[2Jb\n\u{9b}").to_string(), "a\\x1b[2Jb\\x0a\\xc2\\x9b");
        assert_eq!(quoted(&b"\xff\xc3x"[..]), "\"\\xff\\xc3x\"");
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
