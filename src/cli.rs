//! The command line: the text of `--help`, whose lines are the parser's table of options, too; the man page and the completions
//! are checked against it by a test.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, decimal, split};
use crate::error::{Error, Result};
use crate::ip::{self, Ip};
use crate::pin::valid_name;
use crate::process::parse_pid;
use crate::set::Set;
use crate::sys::Argv;
use crate::text::{quoted, text};
use lexopt::{Arg, Error as Misuse, Parser};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

/// The text of `--help`. Each line with `--` after six columns is an option's: its short spelling or blanks, its long one, what its
/// value is called, if it takes one, and after two blanks or more what it does.
pub const HELP: &str = "\
Usage: netns-enter [OPTION]... TARGET [OPTION]... [--] [COMMAND [ARG]...]
       netns-enter --all [OPTION]... [--] COMMAND [ARG]...
       netns-enter --list [--json] [TARGET]
       netns-enter --unpin NAME...
       netns-enter --pin-all

Enter the network namespace of a process, container or pod and become COMMAND
($SHELL without one) there, with all else as it is here. With --pin and no
COMMAND nothing is run.

TARGET, one of:
  NAME                     a container, a pod or an entry of /run/netns;
                           with a leading / or . a namespace file
  -p, --pid PID            a process or thread
  -c, --container NAME|ID  NAME, ID, ENGINE:NAME or NAMESPACE/POD
  -n, --netns NAME         an entry of /run/netns
  -f, --file PATH          any network namespace file
  -s, --state FILE         an OCI runtime's state.json or status
  -g, --cgroup PATH        a cgroup's processes, or a systemd unit's
  -i, --inode N            its inode: 4026532253 or net:[4026532253]
  -a, --addr IP            whoever has this IPv4 or IPv6 address
      --veth IFACE         the other end of this veth or netkit

Options, before or after TARGET:
      --pin NAME           keep the namespace as /run/netns/NAME first
      --pin-all            pin all running containers as ENGINE-NAME
      --unpin NAME...      remove these pins; takes no TARGET
  -l, --list               list all network namespaces, or TARGET's
      --json               list them as JSON
      --all                run COMMAND in all containers and pins in turn
      --sys                COMMAND sees the namespace's /sys/class/net
      --dns                COMMAND resolves names as TARGET does
      --host-root DIR      the host is the one mounted at DIR
  -q, --quiet              no notes
  -v, --verbose            tell on stderr how TARGET was found
  -h, --help               print this and exit
  -V, --version            print the version and exit

Exit status: COMMAND's own; 125 netns-enter failed and ran nothing;
126 COMMAND cannot be executed; 127 COMMAND not found.

Examples:
  netns-enter web tcpdump -ni eth0
  netns-enter --pid 3456 -- ip addr
  netns-enter shop/cart-7d9f -- ss -tnp
  netns-enter web --pin web
";

/// The text of `--version`.
pub const VERSION: &str = concat!("netns-enter ", env!("CARGO_PKG_VERSION"), "\n");

/// What an option is, to the parser; in the order of [`HELP`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Pid,
    Container,
    Netns,
    File,
    State,
    Cgroup,
    Inode,
    Addr,
    Veth,
    Pin,
    PinAll,
    Unpin,
    List,
    Json,
    All,
    Sys,
    Dns,
    HostRoot,
    Quiet,
    Verbose,
    Help,
    Version,
}

const KINDS: [Kind; 22] = [
    Kind::Pid,
    Kind::Container,
    Kind::Netns,
    Kind::File,
    Kind::State,
    Kind::Cgroup,
    Kind::Inode,
    Kind::Addr,
    Kind::Veth,
    Kind::Pin,
    Kind::PinAll,
    Kind::Unpin,
    Kind::List,
    Kind::Json,
    Kind::All,
    Kind::Sys,
    Kind::Dns,
    Kind::HostRoot,
    Kind::Quiet,
    Kind::Verbose,
    Kind::Help,
    Kind::Version,
];

/// The options that say what to do, no two of which go together.
const ACTIONS: [Kind; 5] = [Kind::Pin, Kind::PinAll, Kind::Unpin, Kind::List, Kind::All];

/// An option.
#[derive(Debug)]
pub struct Opt {
    /// Its short spelling, or two blanks.
    pub short: &'static [u8],
    /// Its long spelling.
    pub long: &'static [u8],
    /// What its value is called; empty if it takes none.
    pub value: &'static [u8],
    kind: Kind,
}

/// The options in the order of [`HELP`].
#[derive(Debug)]
pub struct Options {
    rest: &'static [u8],
    count: usize,
}

/// All options.
pub fn options() -> Options {
    Options { rest: HELP.as_bytes(), count: 0 }
}

impl Iterator for Options {
    type Item = Opt;

    fn next(&mut self) -> Option<Opt> {
        loop {
            let end = self.rest.iter().position(|b| *b == b'\n')?;
            let line = &self.rest[..end];
            self.rest = &self.rest[end + 1..];
            if let Some(spelling) = line.get(6..).filter(|spelling| spelling.starts_with(b"--")) {
                let mut words = split(spelling, b' ');
                let kind = *KINDS.get(self.count)?;
                self.count += 1;
                return Some(Opt { short: &line[2..4], long: words.next()?, value: words.next()?, kind });
            }
        }
    }
}

impl Kind {
    /// The option's long spelling.
    fn name(self) -> &'static [u8] {
        options().find(|opt| opt.kind == self).map_or(b"", |opt| opt.long)
    }
}

/// nsenter's spellings of `--pid`.
pub const ALIASES: [&str; 2] = ["-t", "--target"];

/// What names the namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A bare word: container, pod or pin.
    Name(Bytes),
    /// `--pid`
    Pid(u32),
    /// `--container`
    Container(Bytes),
    /// `--netns`
    Netns(Bytes),
    /// `--file`
    File(Bytes),
    /// `--state`
    State(Bytes),
    /// `--cgroup`
    Cgroup(Bytes),
    /// `--inode`
    Inode(u64),
    /// `--addr`
    Addr(Ip),
    /// `--veth`
    Veth(Bytes),
}

/// What to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Action {
    /// Enter TARGET and run COMMAND.
    #[default]
    Enter,
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// `--unpin`: remove these pins.
    Unpin,
    /// `--list`
    List,
    /// `--all`: run COMMAND in all of them.
    All,
    /// `--pin-all`
    PinAll,
}

/// Everything that was asked for.
#[derive(Debug, Default)]
pub struct Args {
    /// What to do.
    pub action: Action,
    /// What to enter.
    pub target: Option<Target>,
    /// Where COMMAND starts among the arguments.
    pub command: Option<usize>,
    /// `--pin`
    pub pin: Option<Bytes>,
    /// The names after `--unpin`.
    pub unpin: Vec<Bytes>,
    /// `--json`
    pub json: bool,
    /// `--sys`
    pub sys: bool,
    /// `--dns`
    pub dns: bool,
    /// `--host-root`
    pub host_root: Option<Bytes>,
    /// `--quiet`
    pub quiet: bool,
    /// `--verbose`
    pub verbose: bool,
}

/// Reads the command line up to the first word of COMMAND.
///
/// # Errors
/// Misuse, in words, with the remedy.
pub fn parse(argv: Argv) -> Result<Box<Args>> {
    parse_words(argv.words(), argv.count())
}

/// As [`parse`], of the words after the program's name; `count` has that name counted in.
///
/// # Errors
/// As [`parse`].
pub fn parse_words<'a>(words: impl Iterator<Item = &'a OsStr>, count: usize) -> Result<Box<Args>> {
    let mut list: Vec<OsString> = Vec::new();
    for word in words {
        list.push(word.to_owned());
    }
    let parser = Parser::from_args(list);
    let mut reading = Reading { parser, count, args: Box::default(), given: Set::default(), target: None };
    reading.parser.set_short_equals(false);
    reading.read()?;
    Ok(reading.args)
}

/// A command line that is being read.
struct Reading {
    parser: Parser,
    /// How many words there are, the program's name included.
    count: usize,
    args: Box<Args>,
    /// The kinds of the options so far.
    given: Set,
    /// How the target is spelled: its option, empty for a bare word, and its value.
    target: Option<(Bytes, Bytes)>,
}

impl Reading {
    fn read(&mut self) -> Result<()> {
        loop {
            // lexopt swallows `--` without a word, but what follows it is COMMAND and never TARGET.
            if self.parser.try_raw_args().is_some_and(|raw| raw.peek() == Some(OsStr::new("--"))) {
                self.after_dashes();
                break;
            }
            let Some(arg) = self.parser.next().map_err(unwanted_value)? else { break };
            if let Arg::Value(word) = arg {
                if self.has(Kind::Unpin) {
                    self.args.unpin.push(leak(word));
                    continue;
                }
                if self.target.is_some() || self.has(Kind::All) {
                    self.args.command = Some(self.count - self.remaining() - 1);
                    break;
                }
                self.bare_target(leak(word))?;
                continue;
            }
            let opt = find(&arg).ok_or_else(|| no_option(&arg))?;
            match opt.kind {
                // These win over all else, be it wrong.
                Kind::Help | Kind::Version => {
                    self.args.action = if opt.kind == Kind::Help { Action::Help } else { Action::Version };
                    return Ok(());
                }
                _ => self.option(&opt)?,
            }
        }
        self.finish()
    }

    fn has(&self, kind: Kind) -> bool {
        self.given.has(kind as usize)
    }

    fn remaining(&mut self) -> usize {
        self.parser.try_raw_args().map_or(0, |raw| raw.as_slice().len())
    }

    fn after_dashes(&mut self) {
        let after = self.remaining() - 1;
        if !self.has(Kind::Unpin) {
            self.args.command = (after > 0).then(|| self.count - after);
        } else if let Some(mut raw) = self.parser.try_raw_args() {
            raw.next();
            self.args.unpin.extend(raw.map(leak));
        }
    }

    fn option(&mut self, opt: &Opt) -> Result<()> {
        if !self.given.add(opt.kind as usize) {
            return Err(usage(text!("{} is given twice", opt.long)));
        }
        if opt.value.is_empty() || opt.kind == Kind::Unpin {
            return Ok(());
        }
        let value = self.value(opt)?;
        match opt.kind {
            Kind::Pin => {
                valid_name(value)?;
                self.args.pin = Some(value);
            }
            Kind::HostRoot => self.args.host_root = Some(value),
            _ => {
                if let Some(first) = self.target {
                    return Err(second_target(first, opt, value));
                }
                self.target = Some((opt.long, value));
                self.args.target = Some(option_target(opt.kind, value)?);
            }
        }
        Ok(())
    }

    fn value(&mut self, opt: &Opt) -> Result<Bytes> {
        let attached = self.parser.optional_value();
        let value = attached.or_else(|| self.parser.try_raw_args()?.next()).map_or(&b"--"[..], leak);
        // No pin has such a name: it is nsenter's -n, before another option or at the end.
        let is_bare = opt.kind == Kind::Netns && value.starts_with(b"-");
        let (fault, name) = match value {
            _ if is_bare => (" needs a value, ", opt.value),
            b"--" => (" needs a value, ", opt.value),
            b"" => (" is given an empty value", &b""[..]),
            _ => return Ok(value),
        };
        let error = usage(text!("{}{}{}", opt.long, fault, name));
        Err(if is_bare { error.remedy(NETNS) } else { error })
    }

    fn bare_target(&mut self, word: Bytes) -> Result<()> {
        let target = match word {
            [] => return Err(usage(b"the target is empty")),
            [b'/' | b'.', ..] => Target::File(word),
            _ => Target::Name(word),
        };
        self.target = Some((b"", word));
        self.args.target = Some(target);
        Ok(())
    }

    /// Finds out what is to be done, by the one option that says so, and whether that goes together with the others.
    fn finish(&mut self) -> Result<()> {
        for set in [&[Kind::Quiet, Kind::Verbose][..], &ACTIONS] {
            let mut found = set.iter().filter(|kind| self.has(**kind));
            if let (Some(one), Some(other)) = (found.next(), found.next()) {
                let (one, other) = (one.name(), other.name());
                return Err(usage(text!("{} and {} contradict each other", one, other)));
            }
        }
        self.args.quiet = self.has(Kind::Quiet);
        self.args.verbose = self.has(Kind::Verbose);
        self.args.json = self.has(Kind::Json);
        self.args.sys = self.has(Kind::Sys);
        self.args.dns = self.has(Kind::Dns);
        let kind = ACTIONS.into_iter().find(|kind| self.has(*kind)).unwrap_or(Kind::Pin);
        self.args.action = match kind {
            Kind::PinAll => Action::PinAll,
            Kind::Unpin => Action::Unpin,
            Kind::List => Action::List,
            Kind::All => Action::All,
            _ => Action::Enter,
        };
        self.check(kind)
    }

    /// Whether the action, that of `kind`, has what it takes and nothing else.
    fn check(&self, kind: Kind) -> Result<()> {
        let args = &*self.args;
        let action = args.action;
        let has_command = args.command.is_some();
        if args.json && action != Action::List {
            return Err(usage(b"--json is for --list"));
        }
        if matches!(action, Action::Unpin | Action::All | Action::PinAll)
            && let Some(target) = self.target
        {
            return Err(usage(text!("{} takes no target: {}", kind.name(), spelled(target))));
        }
        if matches!(action, Action::List | Action::PinAll) && has_command {
            return Err(usage(text!("{} runs no COMMAND", kind.name())));
        }
        let runs = action == Action::All || action == Action::Enter && (has_command || args.pin.is_none());
        if (args.sys || args.dns) && !runs {
            return Err(usage(b"--sys and --dns are for a COMMAND, and none is run"));
        }
        match action {
            Action::Unpin if args.unpin.is_empty() => Err(usage(b"--unpin needs a name")),
            Action::All if !has_command => Err(usage(b"--all needs a COMMAND")),
            Action::Enter if args.target.is_none() => Err(no_target(has_command)),
            _ => Ok(()),
        }
    }
}

fn find(arg: &Arg<'_>) -> Option<Opt> {
    options().find(|opt| match *arg {
        // nsenter's spellings of --pid.
        Arg::Short('t') | Arg::Long("target") => opt.kind == Kind::Pid,
        Arg::Short(short) => opt.short[0] == b'-' && char::from(opt.short[1]) == short,
        Arg::Long(long) => opt.long[2..] == *long.as_bytes(),
        Arg::Value(_) => false,
    })
}

fn option_target(kind: Kind, value: Bytes) -> Result<Target> {
    Ok(match kind {
        Kind::Pid => Target::Pid(parse_pid(value).ok_or_else(|| bad_pid(value))?),
        Kind::Inode => Target::Inode(parse_inode(value).ok_or_else(|| bad_inode(value))?),
        Kind::Addr => Target::Addr(parse_addr(value).ok_or_else(|| bad_addr(value))?),
        Kind::Veth => Target::Veth(value),
        Kind::Container => Target::Container(value),
        Kind::Netns => Target::Netns(value),
        Kind::State => Target::State(value),
        Kind::Cgroup => Target::Cgroup(value),
        // The others have no target for a value.
        _ => Target::File(value),
    })
}

fn parse_inode(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"net:[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(text);
    decimal(digits)
}

/// An address, in brackets or not, with the length of its prefix or not.
fn parse_addr(text: &[u8]) -> Option<Ip> {
    let slash = text.iter().position(|b| *b == b'/');
    let (bare, prefix) = slash.map_or((text, &b"0"[..]), |slash| (&text[..slash], &text[slash + 1..]));
    let bare = bare.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(bare);
    let ip = ip::parse(bare)?;
    (decimal(prefix)? <= 8 * ip.len() as u64).then_some(ip)
}

/// A word, for good.
fn leak(word: OsString) -> Bytes {
    word.into_vec().leak()
}

fn usage(message: Bytes) -> Error {
    Error::new(message).remedy(b"for help: netns-enter --help")
}

fn no_option(arg: &Arg<'_>) -> Error {
    let mut utf8 = [0; 4];
    let (dashes, name) = match arg {
        Arg::Long(long) => ("--", *long),
        Arg::Short(short) => ("-", &*short.encode_utf8(&mut utf8)),
        Arg::Value(_) => ("", ""),
    };
    usage(text!("invalid option '{}{}'", dashes, name))
}

/// The only thing that lexopt itself minds.
fn unwanted_value(misuse: Misuse) -> Error {
    match misuse {
        Misuse::UnexpectedValue { option, value } => {
            usage(text!("unexpected argument for option '{}': \"{}\"", option.as_str(), value))
        }
        _ => usage(b"invalid arguments"),
    }
}

fn bad_pid(value: &[u8]) -> Error {
    invalid("pid", value, b"a pid is a number from 1 to 4194304; for a container say -c NAME")
}

fn bad_inode(value: &[u8]) -> Error {
    invalid("inode", value, b"an inode is a number as in net:[4026532253]; readlink /proc/PID/ns/net prints it")
}

fn bad_addr(value: &[u8]) -> Error {
    let remedy = b"an address is one as 10.244.3.7 or fd00::7, without a zone (%eth0) and without a port";
    invalid("address", value, remedy)
}

fn invalid(what: &str, value: &[u8], remedy: Bytes) -> Error {
    Error::new(text!("invalid {} \"{}\"", what, value)).remedy(remedy)
}

fn no_target(has_command: bool) -> Error {
    let remedy = b"name a container, --pid PID, or see netns-enter --help";
    let error = Error::new(if has_command { &b"no target before --"[..] } else { b"no target" });
    error.remedy(remedy)
}

/// For the habit of nsenter, whose -n takes no value.
const NETNS: Bytes = b"-n takes a name here; the network namespace is always meant";

/// Two targets; the likely reason is a habit from nsenter, whose -n takes no value.
fn second_target(first: (Bytes, Bytes), opt: &Opt, value: Bytes) -> Error {
    let (option, remedy) = match opt.kind {
        Kind::Netns => (opt.short, NETNS),
        _ => (opt.long, &b"options and the one TARGET stand before COMMAND; what follows -- is not interpreted"[..]),
    };
    Error::new(text!("two targets: {} and {} {}", spelled(first), option, value)).remedy(remedy)
}

fn spelled((option, value): (Bytes, Bytes)) -> Bytes {
    match option {
        b"" => quoted(value),
        _ => text!("{} {}", option, value),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<(Box<Args>, Vec<String>)> {
        let args = parse_words(words.iter().map(OsStr::new), words.len() + 1)?;
        assert_eq!(args.action, Action::Enter, "{args:?}");
        let command = args.command.map_or(&[][..], |at| &words[at - 1..]);
        let command = command.iter().map(|w| w.to_string()).collect();
        Ok((args, command))
    }

    fn good(words: &[&str], target: Target, command: &[&str]) {
        let (args, found) = parsed(words).unwrap_or_else(|e| panic!("{words:?}: {e:?}"));
        assert_eq!(args.target, Some(target), "{words:?}");
        assert_eq!(found, command, "{words:?}");
    }

    fn bad(words: &[&str]) -> String {
        match parsed(words) {
            Ok(ok) => panic!("{words:?} is taken as {ok:?}"),
            Err(e) => String::from_utf8([e.message, b"\n", e.remedy.unwrap_or_default()].concat()).unwrap(),
        }
    }

    #[test]
    fn command_is_never_interpreted() {
        good(&["--pid", "3456", "--", "ip", "-br", "a"], Target::Pid(3456), &["ip", "-br", "a"]);
        good(&["-p3456", "ip", "--help"], Target::Pid(3456), &["ip", "--help"]);
        good(&["--target=7", "x"], Target::Pid(7), &["x"]);
        good(&["-qp", "7", "ls", "-l"], Target::Pid(7), &["ls", "-l"]);
        good(&["web", "ls", "--", "-x"], Target::Name(b"web"), &["ls", "--", "-x"]);
        good(&["web", "--", "--", "-x"], Target::Name(b"web"), &["--", "-x"]);
        good(&["web", "-q", "--", "a"], Target::Name(b"web"), &["a"]);
        good(&["-q", "web"], Target::Name(b"web"), &[]);
        good(&["web", "--"], Target::Name(b"web"), &[]);
        good(&["./ns"], Target::File(b"./ns"), &[]);
        good(&["-i", "net:[42]"], Target::Inode(42), &[]);
        for (text, ip) in [("10.244.3.7/24", "10.244.3.7"), ("fd00:0::1", "fd00::1"), ("[FD00::1]/64", "fd00::1")] {
            good(&["-a", text], Target::Addr(ip::parse(ip.as_bytes()).unwrap()), &[]);
        }
        let mapped = b"\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01";
        good(&["--addr=::ffff:10.0.0.1"], Target::Addr(mapped), &[]);
        good(&["--veth", "veth2d6e@if21"], Target::Veth(b"veth2d6e@if21"), &[]);
        good(&["web", ""], Target::Name(b"web"), &[""]);
    }

    #[test]
    fn what_follows_two_dashes_is_never_the_target() {
        assert!(bad(&["--", "curl", "x"]).contains("no target"));
        assert!(bad(&["-q", "--", "web"]).contains("no target"));
        assert!(bad(&[]).contains("no target"));
        assert!(bad(&[""]).contains("empty"));
    }

    #[test]
    fn misuse_is_named() {
        for pid in ["0", "-5", "+5", "4194305", "web", " 5", "5 "] {
            assert!(bad(&["--pid", pid]).contains("invalid pid"), "{pid}");
        }
        assert!(bad(&["-p=5"]).contains("invalid pid"));
        assert!(bad(&["--pid", "--", "x"]).contains("needs a value"));
        assert!(bad(&["--pid", ""]).contains("empty"));
        for addr in
            ["10.0.0", "10.0.0.1/33", "10.0.0.1/", "10.0.0.1/+8", "010.0.0.1", "fe80::1%eth0", "[fd00::1]:80", "::/129"]
        {
            assert!(bad(&["-a", addr]).contains("invalid address"), "{addr}");
        }
        assert!(bad(&["-i", "net:[x]"]).contains("invalid inode"));
        assert!(bad(&["--nope", "x"]).contains("--nope"));
        assert!(bad(&["--quiet=x", "web"]).contains("--quiet"));
        assert!(bad(&["-q", "-q", "web"]).contains("twice"));
        assert!(bad(&["-qv", "web"]).contains("contradict"));
        assert!(bad(&["-p", "5", "-c", "web"]).contains("two targets"));
        assert!(bad(&["tcpdump", "-p", "5"]).contains("two targets"));
    }

    #[test]
    fn pins_have_names_and_unpin_nothing_else() {
        good(&["web", "--pin", "x"], Target::Name(b"web"), &[]);
        assert_eq!(parsed(&["--pin=x", "web", "ls"]).unwrap().0.pin, Some(&b"x"[..]));
        for name in ["", ".", "..", "a/b", "-x", "a\nb"] {
            assert!(!bad(&["web", "--pin", name]).is_empty());
        }
        assert!(bad(&["--pin", "x"]).contains("no target"));
        let names = |words: &[&str]| match parse_words(words.iter().map(OsStr::new), words.len() + 1) {
            Ok(args) if args.action == Action::Unpin => args.unpin,
            other => panic!("{other:?}"),
        };
        assert_eq!(names(&["--unpin", "a", "-q", "b", "--", "-c", "--"]), [&b"a"[..], b"b", b"-c", b"--"]);
        assert_eq!(names(&["-q", "--unpin", "a"]), [b"a"]);
        assert!(bad(&["--unpin"]).contains("needs a name"));
        assert!(bad(&["--unpin", "--"]).contains("needs a name"));
        assert!(bad(&["web", "--unpin", "a"]).contains("no target"));
        assert!(bad(&["--unpin", "a", "-p", "5"]).contains("no target"));
        assert!(bad(&["--unpin", "a", "--dns"]).contains("none is run"));
        assert!(bad(&["web", "--sys", "--pin", "b"]).contains("none is run"));
        assert!(bad(&["--unpin", "a", "--pin", "b"]).contains("contradict"));
    }

    #[test]
    fn one_action_and_what_it_takes() {
        let parse = |words: &[&str]| parse_words(words.iter().map(OsStr::new), words.len() + 1);
        for words in [&["--list"][..], &["-l", "--json"], &["--list", "web"], &["web", "-l"], &["-lqp", "5"]] {
            assert!(parse(words).is_ok_and(|args| args.action == Action::List), "{words:?}");
        }
        for (words, command) in [
            (&["--all", "ip", "a"][..], 2),
            (&["--all", "--", "ip"], 3),
            (&["-q", "--all", "--dns", "ip", "--list"], 4),
        ] {
            let Ok(args) = parse(words) else { panic!("{words:?}") };
            assert_eq!((args.action, args.command, &args.target), (Action::All, Some(command), &None));
        }
        assert!(parse(&["--pin-all", "-q"]).is_ok_and(|args| args.action == Action::PinAll));
        for (word, action) in [("-h", Action::Help), ("--version", Action::Version)] {
            assert!(parse(&["--list", word, "--all"]).is_ok_and(|args| args.action == action));
        }
        assert!(bad(&["--all"]).contains("COMMAND"));
        assert!(bad(&["--all", "--"]).contains("COMMAND"));
        assert!(bad(&["-p", "5", "--all", "ip"]).contains("no target"));
        assert!(bad(&["--pin-all", "web"]).contains("no target"));
        assert!(bad(&["--pin-all", "--", "x"]).contains("COMMAND"));
        assert!(bad(&["--list", "web", "ls"]).contains("COMMAND"));
        assert!(bad(&["--json", "web"]).contains("--list"));
        assert!(bad(&["--list", "--dns"]).contains("none is run"));
        for pair in [["--list", "--all"], ["--pin-all", "--unpin"], ["--list", "--pin=x"]] {
            assert!(bad(&pair).contains("contradict"), "{pair:?}");
        }
    }

    #[test]
    fn fingers_used_to_nsenter_get_a_remedy() {
        for words in [
            &["-t", "3456", "-n", "tcpdump"][..],
            &["-t", "3456", "-n", "tcpdump", "-i", "eth0"],
            &["-t", "3456", "-n"],
            &["-t", "3456", "-n", "--", "tcpdump"],
            &["-n", "-t", "3456", "tcpdump"],
        ] {
            let said = bad(words);
            assert!(said.contains("-n takes a name here; the network namespace is always meant"), "{words:?}: {said}");
        }
        assert!(!bad(&["-t"]).contains("-n takes a name"));
    }

    /// After lexopt's own fuzzing: every sentence of up to four words from a nasty vocabulary ends, and COMMAND is a suffix.
    #[test]
    fn every_short_sentence_has_an_answer() {
        let words =
            ["", "-", "--", "---", "-p", "-p5", "5", "--pid", "--pid=5", "-n", "-q", "-qp", "web", "--x", "-=", "é"];
        let mut sentences: Vec<Vec<&str>> = vec![vec![]];
        for _ in 0..4 {
            let longer = sentences.iter().flat_map(|s| words.iter().map(move |w| [&s[..], &[*w]].concat()));
            let longer: Vec<_> = longer.collect();
            for sentence in &longer {
                if let Ok(args) = parse_words(sentence.iter().map(OsStr::new), sentence.len() + 1) {
                    assert_eq!(args.action, Action::Enter);
                    assert!(args.target.is_some());
                    assert!(args.command.is_none_or(|at| at > 1 && at <= sentence.len()), "{sentence:?}");
                }
            }
            sentences = longer;
        }
    }

    #[test]
    fn help_is_narrow() {
        assert!(HELP.lines().all(|line| line.chars().count() < 80), "{HELP}");
    }

    #[test]
    fn every_line_of_an_option_is_understood() {
        let table: Vec<Opt> = options().collect();
        assert_eq!(table.len(), KINDS.len());
        for (at, opt) in table.iter().enumerate() {
            let name = str::from_utf8(opt.long).unwrap();
            assert_eq!(opt.kind as usize, at);
            assert_eq!(name.replace('-', ""), format!("{:?}", opt.kind).to_lowercase());
            assert!(opt.short == b"  " || opt.short[0] == b'-' && opt.short[1].is_ascii_alphabetic(), "{opt:?}");
            assert!(opt.value.iter().all(|b| b.is_ascii_uppercase() || b"|.".contains(b)), "{opt:?}");
        }
        let valued: Vec<Kind> = table.iter().filter(|opt| !opt.value.is_empty()).map(|opt| opt.kind).collect();
        assert_eq!(valued[..9], KINDS[..9]);
        assert_eq!(valued[9..], [Kind::Pin, Kind::Unpin, Kind::HostRoot]);
    }

    #[test]
    fn every_spelling_is_found_and_no_other() {
        for opt in options() {
            let long = str::from_utf8(&opt.long[2..]).unwrap();
            assert_eq!(find(&Arg::Long(long)).map(|found| found.kind), Some(opt.kind));
            let short = char::from(opt.short[1]);
            assert_eq!(find(&Arg::Short(short)).map(|found| found.kind), Some(opt.kind).filter(|_| short != ' '));
        }
        for arg in [Arg::Long(""), Arg::Long("pi"), Arg::Long("pid PID"), Arg::Short('-'), Arg::Short(',')] {
            assert!(find(&arg).is_none(), "{arg:?}");
        }
    }
}
