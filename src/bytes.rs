//! Names and paths, which live as long as the process.
//!
//! The process becomes another program within milliseconds, so names are never freed and can be copied freely.

#![forbid(unsafe_code)]

/// A name or path of any bytes.
pub type Bytes = &'static [u8];

/// Keeps bytes or text.
pub fn keep(bytes: impl Into<Vec<u8>>) -> Bytes {
    bytes.into().leak()
}

/// The parts one after the other.
pub fn join(parts: &[&[u8]]) -> Bytes {
    parts.concat().leak()
}

/// Whether `text` has `part` in it.
pub fn contains(text: &[u8], part: &[u8]) -> bool {
    let Some((first, rest)) = part.split_first() else { return true };
    let mut from = 0;
    while let Some(at) = text[from..].iter().position(|b| b == first) {
        from += at + 1;
        if text[from..].starts_with(rest) {
            return true;
        }
    }
    false
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
