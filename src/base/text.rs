//! Small questions to text that other programs wrote: numbers, lines, components of paths.

#![forbid(unsafe_code)]

use std::fmt::Display;

/// Returns the number that decimal digits, and nothing else, mean; None also where it is too large.
pub fn number(digits: &[u8]) -> Option<u64> {
    let mut number: u64 = 0;
    for digit in digits {
        let digit = char::from(*digit).to_digit(10)?;
        number = number.checked_mul(10)?.checked_add(digit.into())?;
    }
    (!digits.is_empty()).then_some(number)
}

/// Returns what is between the separators of a text; all of it where there is none.
pub fn parts(text: &[u8], separator: u8) -> impl Iterator<Item = &[u8]> {
    text.split(move |byte| *byte == separator)
}

/// Returns the lines of a text, without their ends.
pub fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    parts(text, b'\n')
}

/// Returns what follows `key` in the first line that begins with it.
pub fn line_after<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    lines(text).find_map(|line| line.strip_prefix(key))
}

/// Returns where a part of a text, which is not empty, begins.
pub fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    text.windows(part.len()).position(|window| window == part)
}

/// Tells whether a part is somewhere in a text.
pub fn contains(text: &[u8], part: &[u8]) -> bool {
    part.is_empty() || find(text, part).is_some()
}

/// Returns what follows `before` and stands before `]`, or the whole text.
pub fn unbracketed<'a>(text: &'a [u8], before: &[u8]) -> &'a [u8] {
    text.strip_prefix(before).and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(text)
}

/// Returns the path of `name` in a directory.
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    [directory, b"/", name].concat()
}

/// Returns the last component of a path.
pub fn last(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or(path)
}

/// Returns the items in words, `separator` between them.
pub fn list(items: impl IntoIterator<Item = impl Display>, separator: &str) -> String {
    let mut text = String::new();
    for item in items {
        append(&mut text, separator, &item);
    }
    text
}

/// Adds an item to others, `separator` between them.
pub fn append(text: &mut String, separator: &str, item: &dyn Display) {
    let before = if text.is_empty() { "" } else { separator };
    *text += &format!("{before}{item}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_digits() {
        let numbers = [("0", 0), ("007", 7), ("18446744073709551615", u64::MAX)];
        for (text, value) in numbers {
            assert_eq!(number(text.as_bytes()), Some(value));
        }
        let others = ["", "+1", "-1", " 1", "1\n", "1.0", "18446744073709551616"];
        for text in others {
            assert_eq!(number(text.as_bytes()), None, "{text:?}");
        }
    }

    #[test]
    fn parts_are_found_wherever_they_are() {
        for (text, part, at) in
            [("aab", "ab", Some(1)), ("ab", "abc", None), ("", "a", None), ("aaab", "aab", Some(1))]
        {
            assert_eq!(find(text.as_bytes(), part.as_bytes()), at, "{text:?} {part:?}");
            assert_eq!(contains(text.as_bytes(), part.as_bytes()), at.is_some(), "{text:?}");
        }
        assert!(contains(b"x", b"") && contains(b"", b""));
    }

    #[test]
    fn lines_and_components() {
        assert_eq!(line_after(b"ab 1\nb 2\nb 3", b"b "), Some(&b"2"[..]));
        assert_eq!(line_after(b"ab 1", b"b "), None);
        assert_eq!([last(b"/a/b"), last(b"b"), last(b"a/")], [&b"b"[..], b"b", b""]);
        assert_eq!(list([1, 2], ", "), "1, 2");
    }
}
