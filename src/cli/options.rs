//! The table of options: what the parser takes and `--help` prints. The manual and the completions
//! are checked against it by a test.

#![forbid(unsafe_code)]

use lexopt::Arg;
use std::fmt::{self, Display, Formatter};

/// An option of the command line.
#[derive(Debug)]
pub struct Opt {
    /// What it is to the parser.
    pub kind: Kind,
    /// Its short spelling, without the dash.
    pub short: Option<char>,
    /// Its long spelling, without the dashes.
    pub long: &'static str,
    /// What its value is called, if it takes one.
    pub value: Option<&'static str>,
    /// What it does: one line of `--help`.
    pub help: &'static str,
}

/// What an option is to the parser.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It names a namespace.
    Target(TargetKind),
    /// `--pin`
    Pin,
    /// `--pin-all`
    PinAll,
    /// `--unpin`. Its names are the words after it that are no options.
    Unpin,
    /// `--wait`. Its value is optional, and attached to it by `=`.
    Wait,
    /// `--list`
    List,
    /// `--json`
    Json,
    /// `--tree`
    Tree,
    /// `--deep`
    Deep,
    /// `--all`
    All,
    /// `--sys`
    Sys,
    /// `--dns`
    Dns,
    /// `--host-root`
    HostRoot,
    /// `--quiet`
    Quiet,
    /// `--verbose`
    Verbose,
    /// `--help`
    Help,
    /// `--version`
    Version,
}

/// The ways to name a namespace by an option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetKind {
    /// `--pid`
    Pid,
    /// `--container`
    Container,
    /// `--netns`
    Netns,
    /// `--file`
    File,
    /// `--state`
    State,
    /// `--cgroup`
    Cgroup,
    /// `--inode`
    Inode,
    /// `--addr`
    Addr,
    /// `--veth`
    Veth,
}

/// All options, in the order of `--help`.
pub static OPTIONS: &[Opt] = &[
    Opt {
        kind: Kind::Target(TargetKind::Pid),
        short: Some('p'),
        long: "pid",
        value: Some("PID[:INODE]"),
        help: "a process or thread; also -t, --target",
    },
    Opt {
        kind: Kind::Target(TargetKind::Container),
        short: Some('c'),
        long: "container",
        value: Some("NAME|ID"),
        help: "NAME, ID, ENGINE:NAME or NAMESPACE/POD",
    },
    Opt {
        kind: Kind::Target(TargetKind::Netns),
        short: Some('n'),
        long: "netns",
        value: Some("NAME"),
        help: "an entry of /run/netns",
    },
    Opt {
        kind: Kind::Target(TargetKind::File),
        short: Some('f'),
        long: "file",
        value: Some("PATH"),
        help: "any network namespace file",
    },
    Opt {
        kind: Kind::Target(TargetKind::State),
        short: Some('s'),
        long: "state",
        value: Some("FILE"),
        help: "an OCI runtime's state.json or status",
    },
    Opt {
        kind: Kind::Target(TargetKind::Cgroup),
        short: Some('g'),
        long: "cgroup",
        value: Some("PATH"),
        help: "a cgroup's processes, or a systemd unit's",
    },
    Opt {
        kind: Kind::Target(TargetKind::Inode),
        short: Some('i'),
        long: "inode",
        value: Some("N"),
        help: "its inode, net:[4026532253], or id:N",
    },
    Opt {
        kind: Kind::Target(TargetKind::Addr),
        short: Some('a'),
        long: "addr",
        value: Some("IP"),
        help: "whoever has this IP or MAC address",
    },
    Opt {
        kind: Kind::Target(TargetKind::Veth),
        short: None,
        long: "veth",
        value: Some("IFACE"),
        help: "the other end of this veth, by name or index",
    },
    Opt {
        kind: Kind::Pin,
        short: None,
        long: "pin",
        value: Some("NAME"),
        help: "keep the namespace as /run/netns/NAME first",
    },
    Opt {
        kind: Kind::PinAll,
        short: None,
        long: "pin-all",
        value: None,
        help: "pin all running containers as ENGINE-NAME",
    },
    Opt {
        kind: Kind::Unpin,
        short: None,
        long: "unpin",
        value: Some("NAME..."),
        help: "remove these pins; takes no TARGET",
    },
    Opt {
        kind: Kind::Wait,
        short: None,
        long: "wait",
        value: Some("SECONDS"),
        help: "wait for TARGET to be there and to run",
    },
    Opt {
        kind: Kind::List,
        short: Some('l'),
        long: "list",
        value: None,
        help: "list all network namespaces, or TARGET's",
    },
    Opt { kind: Kind::Json, short: None, long: "json", value: None, help: "list them as JSON" },
    Opt {
        kind: Kind::Tree,
        short: None,
        long: "tree",
        value: None,
        help: "draw them with what links them",
    },
    Opt {
        kind: Kind::Deep,
        short: None,
        long: "deep",
        value: None,
        help: "list also what only descriptors or sockets hold",
    },
    Opt {
        kind: Kind::All,
        short: None,
        long: "all",
        value: None,
        help: "run COMMAND in all containers and pins in turn",
    },
    Opt {
        kind: Kind::Sys,
        short: None,
        long: "sys",
        value: None,
        help: "COMMAND sees the namespace's /sys/class/net",
    },
    Opt {
        kind: Kind::Dns,
        short: None,
        long: "dns",
        value: None,
        help: "COMMAND resolves names as TARGET does",
    },
    Opt {
        kind: Kind::HostRoot,
        short: None,
        long: "host-root",
        value: Some("DIR"),
        help: "the host is the one mounted at DIR",
    },
    Opt { kind: Kind::Quiet, short: Some('q'), long: "quiet", value: None, help: "no notes" },
    Opt {
        kind: Kind::Verbose,
        short: Some('v'),
        long: "verbose",
        value: None,
        help: "tell on stderr how TARGET was found",
    },
    Opt {
        kind: Kind::Help,
        short: Some('h'),
        long: "help",
        value: None,
        help: "print this and exit",
    },
    Opt {
        kind: Kind::Version,
        short: Some('V'),
        long: "version",
        value: None,
        help: "print the version and exit",
    },
];

/// nsenter's spellings of `--pid`.
pub const ALIASES: [&str; 2] = ["-t", "--target"];

impl Display for Opt {
    /// Shows the long spelling.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "--{}", self.long)
    }
}

/// Returns the option that is spelled so.
pub(super) fn find(arg: &Arg<'_>) -> Option<&'static Opt> {
    OPTIONS.iter().find(|opt| match *arg {
        // The aliases.
        Arg::Short('t') | Arg::Long("target") => opt.kind == Kind::Target(TargetKind::Pid),
        Arg::Short(short) => opt.short == Some(short),
        Arg::Long(long) => opt.long == long,
        Arg::Value(_) => false,
    })
}

/// Returns the option that a long spelling is one letter off, or the beginning of.
pub(super) fn near(long: &str) -> Option<&'static Opt> {
    const LEAST: usize = 3;
    let is_near = |opt: &&Opt| {
        let is_start = long.len() >= LEAST && opt.long.starts_with(long);
        is_start || is_letter_off(opt.long.as_bytes(), long.as_bytes())
    };
    OPTIONS.iter().find(is_near)
}

/// Tells whether one letter was left out, put in, put in another's place or in its neighbour's.
fn is_letter_off(a: &[u8], b: &[u8]) -> bool {
    let before = a.iter().zip(b).take_while(|(a, b)| a == b).count();
    let (a, b) = (&a[before..], &b[before..]);
    let after = a.iter().rev().zip(b.iter().rev()).take_while(|(a, b)| a == b).count();
    match (&a[..a.len() - after], &b[..b.len() - after]) {
        ([a, b], [c, d]) => (a, b) == (d, c),
        (a, b) => a.len() < 2 && b.len() < 2,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_option_is_called_what_it_is() {
        for opt in OPTIONS {
            let kind = match opt.kind {
                Kind::Target(kind) => format!("{kind:?}"),
                kind => format!("{kind:?}"),
            };
            assert_eq!(opt.long.replace('-', ""), kind.to_lowercase());
            assert!(opt.short.is_none_or(|short| short.is_ascii_alphabetic()), "{opt:?}");
            let is_in_capitals =
                |value: &str| value.chars().all(|c| c.is_ascii_uppercase() || "|.[]:".contains(c));
            assert!(opt.value.is_none_or(is_in_capitals), "{opt:?}");
        }
    }

    #[test]
    fn targets_and_few_others_have_values() {
        for opt in OPTIONS {
            let others = [Kind::Pin, Kind::Unpin, Kind::Wait, Kind::HostRoot];
            let has_value = matches!(opt.kind, Kind::Target(_)) || others.contains(&opt.kind);
            assert_eq!(opt.value.is_some(), has_value, "{opt:?}");
        }
    }

    #[test]
    fn a_letter_off_is_near() {
        let near = |long| near(long).map(|opt| opt.long);
        for (long, meant) in [
            ("conatiner", "container"),
            ("containers", "container"),
            ("lis", "list"),
            ("lsit", "list"),
            ("pjd", "pid"),
            ("verb", "verbose"),
            ("pinall", "pin-all"),
        ] {
            assert_eq!(near(long), Some(meant), "{long}");
        }
        for long in ["", "x", "mount", "contrainers", "pidfile"] {
            assert_eq!(near(long), None, "{long}");
        }
    }

    #[test]
    fn every_spelling_is_found_and_no_other() {
        let kind = |arg: Arg<'_>| find(&arg).map(|found| found.kind);
        for opt in OPTIONS {
            assert_eq!(kind(Arg::Long(opt.long)), Some(opt.kind));
            if let Some(short) = opt.short {
                assert_eq!(kind(Arg::Short(short)), Some(opt.kind));
            }
        }
        for alias in ALIASES {
            let arg = match alias.strip_prefix("--") {
                Some(long) => Arg::Long(long),
                None => Arg::Short(alias.chars().nth(1).unwrap()),
            };
            assert_eq!(kind(arg), Some(Kind::Target(TargetKind::Pid)));
        }
        for arg in [
            Arg::Long(""),
            Arg::Long("pi"),
            Arg::Long("pid PID"),
            Arg::Short('-'),
            Arg::Short(','),
            Arg::Short(' '),
        ] {
            assert!(find(&arg).is_none(), "{arg:?}");
        }
    }
}
