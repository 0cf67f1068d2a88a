//! What every room needs: failures and the voice they are told in, text that is escaped, and
//! reading.

#![forbid(unsafe_code)]

pub mod console;
pub mod error;
pub mod escape;
pub mod fields;
pub mod json;
pub mod read;
#[cfg(test)]
pub(crate) mod testing;
pub mod text;
