//! A set of small numbers, in one word.

#![forbid(unsafe_code)]

/// Numbers below 32.
#[derive(Clone, Copy, Debug, Default)]
pub struct Set(u32);

impl Set {
    /// All of them.
    pub const ALL: Set = Set(u32::MAX);

    /// Whether it has this number.
    pub fn has(self, number: usize) -> bool {
        self.0 & (1 << number) != 0
    }

    /// Adds a number; false where it was in already.
    pub fn add(&mut self, number: usize) -> bool {
        let new = !self.has(number);
        self.0 |= 1 << number;
        new
    }
}
