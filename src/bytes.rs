//! Names and paths, which live as long as the process.
//!
//! The process becomes another program within milliseconds, so names are never freed and can be copied freely.

#![forbid(unsafe_code)]

/// A name or path of any bytes.
pub type Bytes = &'static [u8];

/// Several of them.
pub type Names = &'static [Bytes];

/// Keeps bytes or text.
pub fn keep(bytes: impl Into<Vec<u8>>) -> Bytes {
    bytes.into().leak()
}

/// The path of `name` in a directory.
pub fn below(directory: &[u8], name: &[u8]) -> Bytes {
    join(&[directory, b"/", name])
}

/// One after the other.
pub fn both(first: &[u8], second: &[u8]) -> Bytes {
    join(&[first, second])
}

/// The parts one after the other.
pub fn join(parts: &[&[u8]]) -> Bytes {
    parts.concat().leak()
}

/// The last component of a path.
pub fn last(path: Bytes) -> Bytes {
    let slash = path.iter().rposition(|byte| *byte == b'/');
    slash.map_or(path, |slash| &path[slash + 1..])
}

/// Whether `text` has `part` in it.
pub fn contains(text: &[u8], part: &[u8]) -> bool {
    find(text, part).is_some()
}

/// Where `text` has `part` in it first.
pub fn find(text: &[u8], part: &[u8]) -> Option<usize> {
    let Some((first, rest)) = part.split_first() else { return Some(0) };
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|b| b == first) {
        from += at + 1;
        if text[from..].starts_with(rest) {
            return Some(from - 1);
        }
    }
    None
}

/// The parts of `text` between its bytes `at`, one more than it has of those.
pub fn split(text: &[u8], at: u8) -> Split<'_> {
    Split { rest: Some(text), at }
}

/// What [`split`] gives. Not the library's, which is compiled anew for every caller.
#[derive(Clone, Debug)]
pub struct Split<'a> {
    rest: Option<&'a [u8]>,
    at: u8,
}

impl<'a> Iterator for Split<'a> {
    type Item = &'a [u8];

    #[inline(never)]
    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.rest?;
        let end = rest.iter().position(|byte| *byte == self.at);
        self.rest = end.map(|end| &rest[end + 1..]);
        Some(&rest[..end.unwrap_or(rest.len())])
    }
}

/// What follows `key` in the first line that begins with it.
pub fn line_after<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    split(text, b'\n').find_map(|line| line.strip_prefix(key))
}

/// The number that decimal digits, and nothing else, mean. None also where it is too large.
pub fn decimal(digits: &[u8]) -> Option<u64> {
    let mut number: u64 = 0;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number = number.checked_mul(10)?.checked_add(u64::from(digit))?;
    }
    Some(number).filter(|_| !digits.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_may_be_empty() {
        for text in [&b""[..], b":", b"a", b"a:b", ":a::b:".as_bytes()] {
            let want: Vec<&[u8]> = text.split(|b| *b == b':').collect();
            assert_eq!(split(text, b':').collect::<Vec<_>>(), want);
        }
        assert_eq!(line_after(b"ab 1\nb 2\nb 3", b"b "), Some(&b"2"[..]));
        assert_eq!(line_after(b"ab 1", b"b "), None);
    }

    #[test]
    fn numbers_are_digits() {
        let numbers = [("0", 0), ("007", 7), ("18446744073709551615", u64::MAX)];
        for (text, number) in numbers {
            assert_eq!(decimal(text.as_bytes()), Some(number));
        }
        for text in ["", "+1", "-1", " 1", "1\n", "1.0", "18446744073709551616", "99999999999999999999"] {
            assert_eq!(decimal(text.as_bytes()), None, "{text:?}");
        }
    }
}
