//! The command line: one table of options, which feeds the parser and `--help`; the man page and the completions are checked
//! against it by a test.

#![forbid(unsafe_code)]

use crate::bytes::decimal;
use crate::error::{Error, Result};
use crate::pin::valid_name;
use crate::process::parse_pid;
use crate::sys::Argv;
use crate::text::{quoted, shown};
use lexopt::{Arg, Parser};
use std::ffi::{OsStr, OsString};
use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;

/// What an option is, to the parser.
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

/// One row of the table.
#[derive(Debug)]
pub struct Opt {
    /// Its short spellings.
    pub shorts: &'static [char],
    /// Its long spellings, the proper one first.
    pub longs: &'static [&'static str],
    /// What its value is called, if it takes one.
    pub value: Option<&'static str>,
    /// One line for `--help`.
    pub help: &'static str,
    kind: Kind,
}

macro_rules! opt {
    ($kind:ident, $shorts:expr, $longs:expr, $value:expr, $help:expr) => {
        Opt { shorts: &$shorts, longs: &$longs, value: $value, help: $help, kind: Kind::$kind }
    };
}

/// The options that name a target; exactly one of them, or a bare NAME, must be given.
pub const TARGETS: &[Opt] = &[
    opt!(Pid, ['p', 't'], ["pid", "target"], Some("PID"), "a process or thread"),
    opt!(Container, ['c'], ["container"], Some("NAME|ID"), "NAME, ID, ENGINE:NAME or NAMESPACE/POD"),
    opt!(Netns, ['n'], ["netns"], Some("NAME"), "an entry of /run/netns"),
    opt!(File, ['f'], ["file"], Some("PATH"), "any network namespace file"),
    opt!(State, ['s'], ["state"], Some("FILE"), "an OCI runtime's state.json or status"),
    opt!(Cgroup, ['g'], ["cgroup"], Some("PATH"), "a cgroup's processes, or a systemd unit's"),
    opt!(Inode, ['i'], ["inode"], Some("N"), "its inode: 4026532253 or net:[4026532253]"),
    opt!(Addr, ['a'], ["addr"], Some("IP"), "whoever has this IPv4 or IPv6 address"),
    opt!(Veth, [], ["veth"], Some("IFACE"), "the other end of this veth or netkit"),
];

/// The options that say what else to do.
pub const MODIFIERS: &[Opt] = &[
    opt!(Pin, [], ["pin"], Some("NAME"), "keep the namespace as /run/netns/NAME first"),
    opt!(PinAll, [], ["pin-all"], None, "pin all running containers as ENGINE-NAME"),
    opt!(Unpin, [], ["unpin"], Some("NAME..."), "remove these pins; takes no TARGET"),
    opt!(List, ['l'], ["list"], None, "list all network namespaces, or TARGET's"),
    opt!(Json, [], ["json"], None, "list them as JSON"),
    opt!(All, [], ["all"], None, "run COMMAND in all containers and pins in turn"),
    opt!(Sys, [], ["sys"], None, "COMMAND sees the namespace's /sys/class/net"),
    opt!(Dns, [], ["dns"], None, "COMMAND resolves names as TARGET does"),
    opt!(HostRoot, [], ["host-root"], Some("DIR"), "the host is the one mounted at DIR"),
    opt!(Quiet, ['q'], ["quiet"], None, "no notes"),
    opt!(Verbose, ['v'], ["verbose"], None, "tell on stderr how TARGET was found"),
    opt!(Help, ['h'], ["help"], None, "print this and exit"),
    opt!(Version, ['V'], ["version"], None, "print the version and exit"),
];

const HEAD: &str = "\
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
";

const TAIL: &str = "
Exit status: COMMAND's own; 125 netns-enter failed and ran nothing;
126 COMMAND cannot be executed; 127 COMMAND not found.

Examples:
  netns-enter web tcpdump -ni eth0
  netns-enter --pid 3456 -- ip addr
  netns-enter shop/cart-7d9f -- ss -tnp
  netns-enter web --pin web
";

/// What names the namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A bare word: container, pod or pin.
    Name(OsString),
    /// `--pid`
    Pid(u32),
    /// `--container`
    Container(OsString),
    /// `--netns`
    Netns(OsString),
    /// `--file`
    File(OsString),
    /// `--state`
    State(OsString),
    /// `--cgroup`
    Cgroup(OsString),
    /// `--inode`
    Inode(u64),
    /// `--addr`
    Addr(IpAddr),
    /// `--veth`
    Veth(OsString),
}

/// A command line, understood.
#[derive(Debug)]
pub enum Invocation {
    /// `--help`
    Help,
    /// `--version`
    Version,
    /// Enter TARGET and run COMMAND.
    Enter(Args),
    /// `--unpin`: remove these pins.
    Unpin(Args),
    /// `--list`
    List(Args),
    /// `--all`: run COMMAND in all of them.
    All(Args),
    /// `--pin-all`
    PinAll(Args),
}

/// Everything that was asked for.
#[derive(Debug, Default)]
pub struct Args {
    /// What to enter.
    pub target: Option<Target>,
    /// Where COMMAND starts among the arguments.
    pub command: Option<usize>,
    /// `--pin`
    pub pin: Option<OsString>,
    /// The names after `--unpin`.
    pub unpin: Vec<OsString>,
    /// `--json`
    pub json: bool,
    /// `--sys`
    pub sys: bool,
    /// `--dns`
    pub dns: bool,
    /// `--host-root`
    pub host_root: Option<OsString>,
    /// `--quiet`
    pub quiet: bool,
    /// `--verbose`
    pub verbose: bool,
}

/// Reads the command line up to the first word of COMMAND.
///
/// # Errors
/// Misuse, in words, with the remedy.
pub fn parse(argv: Argv) -> Result<Invocation> {
    parse_words(argv.iter().skip(1), argv.count())
}

/// As [`parse`], of the words after the program's name; `count` has that name counted in.
///
/// # Errors
/// As [`parse`].
pub fn parse_words<'a>(words: impl Iterator<Item = &'a OsStr>, count: usize) -> Result<Invocation> {
    let mut parser = Parser::from_args(words);
    parser.set_short_equals(false);
    let mut args = Args::default();
    let mut given: Vec<Kind> = Vec::new();
    loop {
        // lexopt swallows `--` without a word, but what follows it is COMMAND and never TARGET.
        if parser.try_raw_args().is_some_and(|raw| raw.peek() == Some(OsStr::new("--"))) {
            let after = remaining(&mut parser) - 1;
            if given.contains(&Kind::Unpin) {
                args.unpin.extend(parser.raw_args().map_err(misuse)?.skip(1));
                break;
            }
            args.command = (after > 0).then(|| count - after);
            break;
        }
        let Some(arg) = parser.next().map_err(misuse)? else { break };
        if let Arg::Value(word) = arg {
            if given.contains(&Kind::Unpin) {
                args.unpin.push(word);
                continue;
            }
            if args.target.is_some() || given.contains(&Kind::All) {
                args.command = Some(count - remaining(&mut parser) - 1);
                break;
            }
            args.target = Some(bare_target(word)?);
            continue;
        }
        let opt = find(&arg).ok_or_else(|| misuse(arg.unexpected()))?;
        if given.contains(&opt.kind) {
            return Err(usage(format!("--{} is given twice", opt.longs[0])));
        }
        given.push(opt.kind);
        match opt.kind {
            Kind::Help => return Ok(Invocation::Help),
            Kind::Version => return Ok(Invocation::Version),
            Kind::Quiet => args.quiet = true,
            Kind::Verbose => args.verbose = true,
            Kind::Sys => args.sys = true,
            Kind::Dns => args.dns = true,
            Kind::Pin => args.pin = Some(pin_name(value(&mut parser, opt)?)?),
            Kind::Json => args.json = true,
            Kind::Unpin | Kind::List | Kind::All | Kind::PinAll => {}
            Kind::HostRoot => args.host_root = Some(value(&mut parser, opt)?),
            target => {
                let value = value(&mut parser, opt)?;
                if let Some(first) = &args.target {
                    return Err(second_target(first, target, &value));
                }
                args.target = Some(option_target(target, value)?);
            }
        }
    }
    if args.quiet && args.verbose {
        return Err(usage("--quiet and --verbose contradict each other"));
    }
    invocation(&given, args)
}

/// What is to be done, by the one option that says so; to enter TARGET where none does.
fn invocation(given: &[Kind], args: Args) -> Result<Invocation> {
    let mut actions = MODIFIERS.iter().filter(|opt| given.contains(&opt.kind) && opt.kind.is_action());
    let (action, other) = (actions.next(), actions.next());
    let name = action.map_or("", |opt| opt.longs[0]);
    if let Some(other) = other {
        return Err(usage(format!("--{name} and --{} contradict each other", other.longs[0])));
    }
    let action = action.map(|opt| opt.kind);
    if args.json && action != Some(Kind::List) {
        return Err(usage("--json is for --list"));
    }
    if matches!(action, Some(Kind::Unpin | Kind::All | Kind::PinAll))
        && let Some(target) = &args.target
    {
        return Err(usage(format!("--{name} takes no target: {}", spelled(target))));
    }
    if matches!(action, Some(Kind::List | Kind::PinAll)) && args.command.is_some() {
        return Err(usage(format!("--{name} runs no COMMAND")));
    }
    let runs = match action {
        None | Some(Kind::All) => true,
        action => action == Some(Kind::Pin) && args.command.is_some(),
    };
    if (args.sys || args.dns) && !runs {
        return Err(usage("--sys and --dns are for a COMMAND, and none is run"));
    }
    match action {
        Some(Kind::Unpin) if args.unpin.is_empty() => Err(usage("--unpin needs a name")),
        Some(Kind::Unpin) => Ok(Invocation::Unpin(args)),
        Some(Kind::List) => Ok(Invocation::List(args)),
        Some(Kind::PinAll) => Ok(Invocation::PinAll(args)),
        Some(Kind::All) if args.command.is_none() => Err(usage("--all needs a COMMAND")),
        Some(Kind::All) => Ok(Invocation::All(args)),
        _ if args.target.is_none() => Err(no_target(args.command.is_some())),
        _ => Ok(Invocation::Enter(args)),
    }
}

impl Kind {
    /// Whether it says what to do; no two of these go together.
    fn is_action(self) -> bool {
        matches!(self, Kind::Pin | Kind::PinAll | Kind::Unpin | Kind::List | Kind::All)
    }
}

fn pin_name(name: OsString) -> Result<OsString> {
    valid_name(name.as_bytes()).map(|()| name)
}

fn remaining(parser: &mut Parser) -> usize {
    parser.try_raw_args().map_or(0, |raw| raw.as_slice().len())
}

fn find(arg: &Arg<'_>) -> Option<&'static Opt> {
    let mut all = TARGETS.iter().chain(MODIFIERS);
    match *arg {
        Arg::Short(short) => all.find(|opt| opt.shorts.contains(&short)),
        Arg::Long(long) => all.find(|opt| opt.longs.contains(&long)),
        Arg::Value(_) => None,
    }
}

fn value(parser: &mut Parser, opt: &Opt) -> Result<OsString> {
    let value = parser.value().map_err(misuse)?;
    if value == "--" {
        return Err(usage(format!("--{} needs a value, {}", opt.longs[0], opt.value.unwrap_or_default())));
    }
    if value.is_empty() {
        return Err(usage(format!("--{} is given an empty value", opt.longs[0])));
    }
    Ok(value)
}

fn bare_target(word: OsString) -> Result<Target> {
    match word.as_bytes().first() {
        None => Err(usage("the target is empty")),
        Some(b'/' | b'.') => Ok(Target::File(word)),
        Some(_) => Ok(Target::Name(word)),
    }
}

fn option_target(kind: Kind, value: OsString) -> Result<Target> {
    Ok(match kind {
        Kind::Pid => Target::Pid(parse_pid(value.as_bytes()).ok_or_else(|| bad_pid(&value))?),
        Kind::Inode => Target::Inode(parse_inode(value.as_bytes()).ok_or_else(|| bad_inode(&value))?),
        Kind::Addr => Target::Addr(parse_addr(value.as_bytes()).ok_or_else(|| bad_addr(&value))?),
        Kind::Veth => Target::Veth(value),
        Kind::Container => Target::Container(value),
        Kind::Netns => Target::Netns(value),
        Kind::File => Target::File(value),
        Kind::State => Target::State(value),
        Kind::Cgroup => Target::Cgroup(value),
        _ => unreachable!("not a target"),
    })
}

fn parse_inode(text: &[u8]) -> Option<u64> {
    let digits = text.strip_prefix(b"net:[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(text);
    decimal(digits)
}

/// An address, in brackets or not, with the length of its prefix or not.
fn parse_addr(text: &[u8]) -> Option<IpAddr> {
    let slash = text.iter().position(|b| *b == b'/');
    let (bare, prefix) = slash.map_or((text, &b"0"[..]), |slash| (&text[..slash], &text[slash + 1..]));
    let bare = bare.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(bare);
    let ip: IpAddr = std::str::from_utf8(bare).ok()?.parse().ok()?;
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    (decimal(prefix)? <= longest).then_some(ip)
}

fn usage(message: impl Into<String>) -> Error {
    Error::new(message).remedy("for help: netns-enter --help")
}

fn misuse(error: lexopt::Error) -> Error {
    usage(shown(&error.to_string()).to_string())
}

fn bad_pid(value: &OsStr) -> Error {
    let remedy = "a pid is a number from 1 to 4194304; for a container say -c NAME";
    Error::new(format!("invalid pid {}", quoted(value))).remedy(remedy)
}

fn bad_inode(value: &OsStr) -> Error {
    let remedy = "an inode is a number as in net:[4026532253]; readlink /proc/PID/ns/net prints it";
    Error::new(format!("invalid inode {}", quoted(value))).remedy(remedy)
}

fn bad_addr(value: &OsStr) -> Error {
    let remedy = "an address is one as 10.244.3.7 or fd00::7, without a zone (%eth0) and without a port";
    Error::new(format!("invalid address {}", quoted(value))).remedy(remedy)
}

fn no_target(has_command: bool) -> Error {
    let remedy = "name a container, --pid PID, or see netns-enter --help";
    let error = Error::new(if has_command { "no target before --" } else { "no target" });
    error.remedy(remedy)
}

/// Two targets; the likely reason is a habit from nsenter, whose -n takes no value.
fn second_target(first: &Target, kind: Kind, value: &OsStr) -> Error {
    if kind == Kind::Netns {
        return Error::new(format!("two targets: {} and -n {}", spelled(first), shown(value)))
            .remedy("-n takes a name here; the network namespace is always meant");
    }
    let option = TARGETS.iter().find(|opt| opt.kind == kind).map_or("", |opt| opt.longs[0]);
    Error::new(format!("two targets: {} and --{option} {}", spelled(first), shown(value)))
        .remedy("options and the one TARGET stand before COMMAND; what follows -- is not interpreted")
}

fn spelled(target: &Target) -> String {
    match target {
        Target::Name(name) => quoted(name),
        Target::Pid(pid) => format!("--pid {pid}"),
        Target::Container(name) => format!("--container {}", shown(name)),
        Target::Netns(name) => format!("--netns {}", shown(name)),
        Target::File(path) => format!("--file {}", shown(path)),
        Target::State(path) => format!("--state {}", shown(path)),
        Target::Cgroup(path) => format!("--cgroup {}", shown(path)),
        Target::Inode(inode) => format!("--inode {inode}"),
        Target::Addr(ip) => format!("--addr {ip}"),
        Target::Veth(name) => format!("--veth {}", shown(name)),
    }
}

/// The text of `--help`.
pub fn help() -> String {
    let mut text = String::from(HEAD);
    TARGETS.iter().for_each(|opt| text += &help_line(opt));
    text += "\nOptions, before or after TARGET:\n";
    MODIFIERS.iter().for_each(|opt| text += &help_line(opt));
    text + TAIL
}

/// The text of `--version`.
pub fn version() -> &'static str {
    concat!("netns-enter ", env!("CARGO_PKG_VERSION"), "\n")
}

fn help_line(opt: &Opt) -> String {
    let short = opt.shorts.first().map_or("    ".into(), |short| format!("-{short}, "));
    let long = match opt.value {
        Some(value) => format!("--{} {value}", opt.longs[0]),
        None => format!("--{}", opt.longs[0]),
    };
    let spelling = format!("  {short}{long}");
    // Two blanks at least part the columns; a spelling that is too long has a line of its own.
    let gap = if spelling.len() > 25 { format!("\n{:27}", "") } else { " ".repeat(27 - spelling.len()) };
    format!("{spelling}{gap}{}\n", opt.help)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(words: &[&str]) -> Result<(Args, Vec<String>)> {
        match parse_words(words.iter().map(OsStr::new), words.len() + 1)? {
            Invocation::Enter(args) => {
                let command = args.command.map_or(&[][..], |at| &words[at - 1..]);
                let command = command.iter().map(|w| w.to_string()).collect();
                Ok((args, command))
            }
            other => panic!("{other:?}"),
        }
    }

    fn good(words: &[&str], target: Target, command: &[&str]) {
        let (args, found) = parsed(words).unwrap_or_else(|e| panic!("{words:?}: {}", e.message));
        assert_eq!(args.target, Some(target), "{words:?}");
        assert_eq!(found, command, "{words:?}");
    }

    fn bad(words: &[&str]) -> String {
        match parsed(words) {
            Ok(ok) => panic!("{words:?} is taken as {ok:?}"),
            Err(e) => format!("{}\n{}", e.message, e.remedy.as_deref().unwrap_or_default()),
        }
    }

    #[test]
    fn command_is_never_interpreted() {
        good(&["--pid", "3456", "--", "ip", "-br", "a"], Target::Pid(3456), &["ip", "-br", "a"]);
        good(&["-p3456", "ip", "--help"], Target::Pid(3456), &["ip", "--help"]);
        good(&["--target=7", "x"], Target::Pid(7), &["x"]);
        good(&["-qp", "7", "ls", "-l"], Target::Pid(7), &["ls", "-l"]);
        good(&["web", "ls", "--", "-x"], Target::Name("web".into()), &["ls", "--", "-x"]);
        good(&["web", "--", "--", "-x"], Target::Name("web".into()), &["--", "-x"]);
        good(&["web", "-q", "--", "a"], Target::Name("web".into()), &["a"]);
        good(&["-q", "web"], Target::Name("web".into()), &[]);
        good(&["web", "--"], Target::Name("web".into()), &[]);
        good(&["./ns"], Target::File("./ns".into()), &[]);
        good(&["-i", "net:[42]"], Target::Inode(42), &[]);
        for (text, ip) in [("10.244.3.7/24", "10.244.3.7"), ("fd00:0::1", "fd00::1"), ("[FD00::1]/64", "fd00::1")] {
            good(&["-a", text], Target::Addr(ip.parse().unwrap()), &[]);
        }
        let mapped = "::ffff:10.0.0.1".parse::<std::net::Ipv6Addr>().unwrap();
        good(&["--addr=::ffff:10.0.0.1"], Target::Addr(mapped.into()), &[]);
        good(&["--veth", "veth2d6e@if21"], Target::Veth("veth2d6e@if21".into()), &[]);
        good(&["web", ""], Target::Name("web".into()), &[""]);
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
        good(&["web", "--pin", "x"], Target::Name("web".into()), &[]);
        assert_eq!(parsed(&["--pin=x", "web", "ls"]).unwrap().0.pin, Some("x".into()));
        for name in ["", ".", "..", "a/b", "-x", "a\nb"] {
            assert!(!bad(&["web", "--pin", name]).is_empty());
        }
        assert!(bad(&["--pin", "x"]).contains("no target"));
        let names = |words: &[&str]| match parse_words(words.iter().map(OsStr::new), words.len() + 1) {
            Ok(Invocation::Unpin(args)) => args.unpin,
            other => panic!("{other:?}"),
        };
        assert_eq!(names(&["--unpin", "a", "-q", "b", "--", "-c", "--"]), ["a", "b", "-c", "--"]);
        assert_eq!(names(&["-q", "--unpin", "a"]), ["a"]);
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
            assert!(matches!(parse(words), Ok(Invocation::List(_))), "{words:?}");
        }
        for (words, command) in [
            (&["--all", "ip", "a"][..], 2),
            (&["--all", "--", "ip"], 3),
            (&["-q", "--all", "--dns", "ip", "--list"], 4),
        ] {
            let Ok(Invocation::All(args)) = parse(words) else { panic!("{words:?}") };
            assert_eq!((args.command, args.target), (Some(command), None));
        }
        assert!(matches!(parse(&["--pin-all", "-q"]), Ok(Invocation::PinAll(_))));
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
        for words in [&["-t", "3456", "-n", "tcpdump"][..], &["-t", "3456", "-n", "tcpdump", "-i", "eth0"]] {
            assert!(bad(words).contains("-n takes a name here; the network namespace is always meant"));
        }
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
                if let Ok(Invocation::Enter(args)) = parse_words(sentence.iter().map(OsStr::new), sentence.len() + 1) {
                    assert!(args.target.is_some());
                    assert!(args.command.is_none_or(|at| at > 1 && at <= sentence.len()), "{sentence:?}");
                }
            }
            sentences = longer;
        }
    }

    #[test]
    fn help_is_narrow_and_complete() {
        let help = help();
        for opt in TARGETS.iter().chain(MODIFIERS) {
            assert!(help.contains(&format!("--{}", opt.longs[0])));
        }
        assert!(help.lines().all(|line| line.chars().count() < 80), "{help}");
    }
}
