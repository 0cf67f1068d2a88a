//! The program's own voice: errors, notes and the few things written to standard output.

#![forbid(unsafe_code)]

use super::error::{Error, Result};
use super::escape::quoted;
use crate::sys::stdio::write_to_callers;
use std::fmt::Display;

/// How much to say on standard error.
#[derive(Clone, Copy, Debug, Default)]
pub struct Console {
    /// No notes.
    pub quiet: bool,
    /// Tell how TARGET was found.
    pub verbose: bool,
}

impl Console {
    /// Says something the user should know though nothing failed.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            say(&format_args!("note: {text}"));
        }
    }

    /// Says what the program does now, where that takes its time.
    pub fn announce(&self, text: impl Display) {
        if !self.quiet {
            say(&text);
        }
    }

    /// Notes something of one object: `"OBJECT" TEXT`.
    pub fn note_of(&self, object: &[u8], text: impl Display) {
        self.note(format_args!("{} {text}", quoted(object)));
    }

    /// Tells a step on the way to the namespace, for `--verbose`.
    pub fn tell(&self, text: impl Display) {
        if self.verbose {
            say(&text);
        }
    }
}

/// Prints a failure, and its remedy on a second line.
pub fn report(error: &Error) {
    let message = error.message();
    match error.remedy() {
        Some(remedy) => say(&format_args!("{message}\nnetns-enter: {remedy}")),
        None => say(&message),
    }
}

/// Writes to standard output, all or an error.
///
/// # Errors
/// Where it cannot be written, or descriptor 1 is not the caller's.
pub fn print(text: &[u8]) -> Result<()> {
    write_to_callers(rustix::stdio::stdout(), text)
        .map_err(|e| Error::cannot("write to standard output", e))
}

fn say(text: &dyn Display) {
    let line = format!("netns-enter: {text}\n");
    // Nobody is left to be told of a failure.
    let _ = write_to_callers(rustix::stdio::stderr(), line.as_bytes());
}
