//! The command line: one table of options, the text of `--help` made of it, and the parser, whose
//! result is a [`Command`] that holds only what it may have.

#![forbid(unsafe_code)]

pub mod help;
pub mod options;
pub mod parse;
mod value;

use crate::target::TargetSpec;
use crate::view::Views;

/// A whole command line, understood.
#[derive(Debug, PartialEq, Eq)]
pub struct Invocation {
    /// What to do.
    pub command: Command,
    /// `--host-root`: where the host is mounted, if that is not the caller's own root.
    pub host_root: Option<Vec<u8>>,
    /// `--quiet`
    pub quiet: bool,
    /// `--verbose`
    pub verbose: bool,
}

/// What to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Command {
    /// `--help`: print the help.
    Help,
    /// `--version`: print the version.
    Version,
    /// Enter TARGET and become COMMAND or a shell there.
    Enter {
        /// What to enter.
        target: TargetSpec,
        /// `--wait`: whether to wait for it.
        wait: Option<Wait>,
        /// `--pin`: the name under which to keep the namespace first.
        pin: Option<Vec<u8>>,
        /// `--sys` and `--dns`
        views: Views,
        /// What to become.
        exec: Exec,
    },
    /// `--pin` without COMMAND: keep the namespace of TARGET under a name, and no more.
    Pin {
        /// What to keep.
        target: TargetSpec,
        /// `--wait`: whether to wait for it.
        wait: Option<Wait>,
        /// The pin's name.
        name: Vec<u8>,
    },
    /// `--pin-all`: pin every running container.
    PinAll,
    /// `--unpin`: remove pins.
    Unpin {
        /// Their names, one or more.
        names: Vec<Vec<u8>>,
    },
    /// `--list`: list network namespaces.
    List {
        /// The one to list; all without it.
        target: Option<TargetSpec>,
        /// How to print them.
        format: Format,
        /// `--deep`: look also for what only descriptors, sockets and other mounts hold, and tell
        /// who holds what.
        deep: bool,
    },
    /// `--all`: run COMMAND in every container and pin.
    All {
        /// `--sys` and `--dns`
        views: Views,
        /// Where COMMAND starts among the arguments, the program's name counted.
        command: usize,
    },
}

/// How long to wait for a target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    /// `--wait`
    ForEver,
    /// `--wait=SECONDS`
    Seconds(u32),
}

/// What to become in the namespace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exec {
    /// COMMAND, which starts at this index of the arguments, the program's name counted.
    Argument(usize),
    /// `$SHELL`, or /bin/sh.
    Shell,
}

/// How a list is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// An aligned table.
    Table,
    /// `--json`
    Json,
    /// `--tree`
    Tree,
}
