//! Names and paths, which live as long as the process.
//!
//! The process becomes another program within milliseconds, so names are never freed: they can be copied freely, and the binary is
//! a fifth smaller for not having the code that drops them. What files contain is freed.

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
