//! The parser: from the words of the command line to a [`Command`], or to what is wrong with them.

#![forbid(unsafe_code)]

use super::options::{self, Kind, OPTIONS, Opt, TargetKind, find};
use super::value::{habit, names_one_process, seconds, target_spec};
use super::{Command, Exec, Format, Invocation, Wait};
use crate::base::error::{Error, Result};
use crate::base::escape::{quoted, shown};
use crate::pin::create::valid_name;
use crate::sys::libc::Argv;
use crate::target::TargetSpec;
use crate::view::Views;
use lexopt::{Arg, Parser};
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

/// The options that say what to do, no two of which go together.
const ACTIONS: &[Kind] = &[Kind::Pin, Kind::PinAll, Kind::Unpin, Kind::List, Kind::All];

/// How a list is printed.
const FORMATS: &[Kind] = &[Kind::Json, Kind::Tree];

/// The answer to the habit of nsenter, whose -n takes no value.
const NOT_NSENTERS: &str = "-n takes a name here; the network namespace is always meant";

/// Reads the command line up to the first word of COMMAND.
///
/// # Errors
/// Misuse, in words, with the remedy.
pub fn parse(argv: Argv) -> Result<Invocation> {
    parse_words(argv.words())
}

/// Reads the words after the program's name as [`parse`] does.
///
/// # Errors
/// As [`parse`].
pub fn parse_words<'a>(words: impl Iterator<Item = &'a OsStr>) -> Result<Invocation> {
    let mut parser = Parser::from_args(words);
    parser.set_short_equals(false);
    let count = parser.try_raw_args().map_or(0, |raw| raw.as_slice().len());
    let reading = Reading {
        parser,
        count,
        given: Vec::new(),
        target: None,
        pin: None,
        wait: None,
        host_root: None,
        names: Vec::new(),
        command: None,
    };
    reading.read()
}

/// A command line that is being read.
struct Reading {
    parser: Parser,
    /// How many words there are.
    count: usize,
    /// The options so far.
    given: Vec<Kind>,
    target: Option<NamedTarget>,
    /// The value of `--pin`.
    pin: Option<Vec<u8>>,
    wait: Option<Wait>,
    host_root: Option<Vec<u8>>,
    /// The names after `--unpin`.
    names: Vec<Vec<u8>>,
    /// Where COMMAND starts among the arguments, the program's name counted.
    command: Option<usize>,
}

/// A target, and how messages spell it.
struct NamedTarget {
    spec: TargetSpec,
    spelling: String,
}

impl Reading {
    fn read(mut self) -> Result<Invocation> {
        loop {
            // lexopt swallows `--` without a word, but what follows it is COMMAND and never TARGET.
            if let Some(mut raw) = self.parser.try_raw_args() {
                if raw.peek() == Some(OsStr::new("--")) {
                    raw.next();
                    let length = raw.as_slice().len();
                    if self.given.contains(&Kind::Unpin) {
                        self.names.extend(raw.map(OsString::into_vec));
                    } else if length > 0 {
                        self.command = Some(self.count + 1 - length);
                    }
                    break;
                }
            }
            let Some(arg) = self.parser.next().map_err(unwanted_value)? else { break };
            if let Arg::Value(word) = arg {
                if self.has(Kind::Unpin) {
                    self.names.push(word.into_vec());
                } else if self.target.is_none() && !self.has(Kind::All) {
                    self.target = Some(bare_target(word.into_vec())?);
                } else {
                    self.command = Some(self.count - self.remaining());
                    break;
                }
                continue;
            }
            let opt = find(&arg).ok_or_else(|| invalid_option(&arg))?;
            match opt.kind {
                // These win over all else, be it wrong.
                Kind::Help => return Ok(alone(Command::Help)),
                Kind::Version => return Ok(alone(Command::Version)),
                _ => self.option(opt)?,
            }
        }
        self.finish()
    }

    /// Returns how many words have not been read.
    fn remaining(&mut self) -> usize {
        self.parser.try_raw_args().map_or(0, |raw| raw.as_slice().len())
    }

    fn has(&self, kind: Kind) -> bool {
        self.given.contains(&kind)
    }

    /// Reads an option, with its value if it has one.
    fn option(&mut self, opt: &Opt) -> Result<()> {
        if self.has(opt.kind) {
            return Err(usage(format!("{opt} is given twice")));
        }
        self.given.push(opt.kind);
        match opt.kind {
            Kind::Target(kind) => {
                let value = self.value(opt)?;
                if let Some(first) = &self.target {
                    return Err(second_target(first, opt, &value));
                }
                let spelling = format!("{opt} {}", shown(&value));
                self.target = Some(NamedTarget { spec: target_spec(kind, value)?, spelling });
            }
            Kind::Pin => {
                let name = self.value(opt)?;
                valid_name(&name)?;
                self.pin = Some(name);
            }
            Kind::Wait => self.wait = Some(self.wait()?),
            Kind::HostRoot => self.host_root = Some(self.value(opt)?),
            _ => {}
        }
        Ok(())
    }

    /// Reads an option's value: attached to it, or else the next word.
    fn value(&mut self, opt: &Opt) -> Result<Vec<u8>> {
        let attached = self.parser.optional_value();
        let value = attached.or_else(|| self.parser.try_raw_args()?.next());
        // Where the words end, there is as little of a value as before `--`.
        let value = value.map_or(b"--".to_vec(), OsString::into_vec);
        let none = || usage(format!("{opt} needs a value, {}", opt.value.unwrap_or_default()));
        match &*value {
            // No pin has such a name: it is nsenter's -n, before another option or at the end.
            [b'-', ..] if opt.kind == Kind::Target(TargetKind::Netns) => {
                Err(none().with_remedy(NOT_NSENTERS))
            }
            b"--" => Err(none()),
            b"" => Err(usage(format!("{opt} is given an empty value"))),
            _ => Ok(value),
        }
    }

    /// Reads for how long to wait: no word of its own, as TARGET may stand there.
    fn wait(&mut self) -> Result<Wait> {
        if let Some(value) = self.parser.optional_value() {
            return seconds(&value.into_vec()).map(Wait::Seconds);
        }
        let next = self.parser.try_raw_args().and_then(|raw| raw.as_slice().first().cloned());
        let next = next.unwrap_or_default().into_vec();
        if !next.is_empty() && next.iter().all(u8::is_ascii_digit) {
            let next = shown(&next);
            return Err(Error::new(format!("--wait is followed by {next}"))
                .with_remedy(format!("for seconds say --wait={next}")));
        }
        Ok(Wait::ForEver)
    }

    /// Puts together what was read, if it goes together.
    fn finish(self) -> Result<Invocation> {
        self.one_of(&[Kind::Quiet, Kind::Verbose])?;
        let action = self.one_of(ACTIONS)?;
        self.check(action)?;
        let (quiet, verbose, views) =
            (self.has(Kind::Quiet), self.has(Kind::Verbose), self.views());
        let deep = self.has(Kind::Deep);
        let format = match self.one_of(FORMATS)?.map(|format| format.kind) {
            Some(Kind::Json) => Format::Json,
            Some(_) => Format::Tree,
            None => Format::Table,
        };
        let (target, wait) = (self.target.map(|target| target.spec), self.wait);
        let command = match (action.map(|action| action.kind), target, self.command) {
            (Some(Kind::PinAll), ..) => Command::PinAll,
            (Some(Kind::Unpin), ..) => Command::Unpin { names: self.names },
            (Some(Kind::List), target, _) => Command::List { target, format, deep },
            (Some(Kind::All), _, Some(command)) => Command::All { views, command },
            (Some(Kind::All), ..) => return Err(usage("--all needs a COMMAND")),
            (_, None, command) => return Err(no_target(command.is_some())),
            (_, Some(target), command) => match (self.pin, command) {
                (Some(name), None) => Command::Pin { target, wait, name },
                (pin, command) => {
                    let exec = command.map_or(Exec::Shell, Exec::Argument);
                    Command::Enter { target, wait, pin, views, exec }
                }
            },
        };
        Ok(Invocation { command, host_root: self.host_root, quiet, verbose })
    }

    /// Returns which of these options was given.
    ///
    /// # Errors
    /// Where that is more than one.
    fn one_of(&self, kinds: &[Kind]) -> Result<Option<&'static Opt>> {
        let is_given = |opt: &&Opt| self.has(opt.kind) && kinds.contains(&opt.kind);
        let mut found = OPTIONS.iter().filter(is_given);
        match (found.next(), found.next()) {
            (Some(one), Some(other)) => {
                Err(usage(format!("{one} and {other} contradict each other")))
            }
            (one, _) => Ok(one),
        }
    }

    /// Checks that the option that says what to do goes together with all else.
    fn check(&self, action: Option<&Opt>) -> Result<()> {
        let kind = action.map(|action| action.kind);
        let may_run = match kind {
            Some(Kind::PinAll | Kind::Unpin | Kind::List) => false,
            Some(Kind::Pin) => self.command.is_some(),
            _ => true,
        };
        let fault = match (action, &self.target) {
            _ if kind != Some(Kind::List) && self.one_of(FORMATS)?.is_some() => {
                "--json and --tree are for --list".to_owned()
            }
            _ if self.has(Kind::Deep) && kind != Some(Kind::List) => {
                "--deep is for --list".to_owned()
            }
            (Some(action), _) if self.has(Kind::Wait) && kind != Some(Kind::Pin) => {
                format!("--wait does not go with {action}")
            }
            (_, Some(target)) if self.has(Kind::Wait) && names_one_process(&target.spec) => {
                let fault =
                    "that names one process or namespace, whose number may be another's later";
                let message = format!("--wait does not go with {}: {fault}", target.spelling);
                return Err(Error::new(message).with_remedy("wait for a name"));
            }
            (Some(action), Some(target)) if !matches!(action.kind, Kind::Pin | Kind::List) => {
                format!("{action} takes no target: {}", target.spelling)
            }
            (Some(action), _) if self.command.is_some() && !may_run => {
                format!("{action} runs no COMMAND")
            }
            _ if !may_run && self.views() != Views::default() => {
                "--sys and --dns are for a COMMAND, and none is run".to_owned()
            }
            _ if kind == Some(Kind::Unpin) && self.names.is_empty() => {
                "--unpin needs a name".to_owned()
            }
            _ => return Ok(()),
        };
        Err(usage(fault))
    }

    fn views(&self) -> Views {
        Views { sys: self.has(Kind::Sys), dns: self.has(Kind::Dns) }
    }
}

/// Returns a command for which nothing else on the command line counts.
fn alone(command: Command) -> Invocation {
    Invocation { command, host_root: None, quiet: false, verbose: false }
}

fn bare_target(word: Vec<u8>) -> Result<NamedTarget> {
    let spelling = quoted(&word).to_string();
    let spec = match &*word {
        [] => return Err(usage("the target is empty")),
        [b'/' | b'.', ..] => TargetSpec::File(word),
        _ => TargetSpec::Name(word),
    };
    Ok(NamedTarget { spec, spelling })
}

/// Makes the failure of a command line that has no meaning.
fn usage(message: impl Into<String>) -> Error {
    Error::new(message).with_remedy("for help: netns-enter --help")
}

fn invalid_option(arg: &Arg<'_>) -> Error {
    let spelling = match arg {
        Arg::Long(long) => format!("--{long}"),
        Arg::Short(short) => format!("-{short}"),
        Arg::Value(word) => word.to_string_lossy().into_owned(),
    };
    let error = usage(format!("invalid option '{}'", shown(spelling.as_bytes())));
    match arg {
        Arg::Long("net" | "network") => error
            .with_remedy("the network namespace is always meant; for a file of it say --file PATH"),
        Arg::Long(long) => match options::near(long) {
            Some(opt) => error.with_remedy(format!("did you mean {opt}?")),
            None => error,
        },
        _ => error,
    }
}

/// Words the only thing that lexopt itself minds.
fn unwanted_value(misuse: lexopt::Error) -> Error {
    let lexopt::Error::UnexpectedValue { option, value } = misuse else {
        return usage("invalid arguments");
    };
    let (option, value) = (option.as_bytes(), value.into_vec());
    let message = format!("unexpected argument for option '{}': {}", shown(option), quoted(&value));
    usage(message)
}

fn no_target(has_command: bool) -> Error {
    let error = Error::new(if has_command { "no target before --" } else { "no target" });
    error.with_remedy("name a container, --pid PID, or see netns-enter --help")
}

fn second_target(first: &NamedTarget, opt: &Opt, value: &[u8]) -> Error {
    const RULE: &str =
        "options and the one TARGET stand before COMMAND; what follows -- is not interpreted";
    let (second, remedy) = match opt.kind {
        // More likely than a second target is the habit of nsenter.
        Kind::Target(TargetKind::Netns) => ("-n".to_owned(), NOT_NSENTERS),
        Kind::Target(kind) => (opt.to_string(), habit(kind, value).unwrap_or(RULE)),
        _ => (opt.to_string(), RULE),
    };
    let message = format!("two targets: {} and {second} {}", first.spelling, shown(value));
    Error::new(message).with_remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::addr::Addr;

    fn parse(words: &[&str]) -> Result<Invocation> {
        parse_words(words.iter().map(OsStr::new))
    }

    /// Returns the target, the pin and COMMAND of a command line that enters or pins.
    fn parsed(words: &[&str]) -> Result<(TargetSpec, Option<Vec<u8>>, Vec<String>)> {
        let (target, pin, exec) = match parse(words)?.command {
            Command::Enter { target, pin, exec, .. } => (target, pin, exec),
            Command::Pin { target, name, .. } => (target, Some(name), Exec::Shell),
            other => panic!("{words:?} is taken as {other:?}"),
        };
        let command = match exec {
            Exec::Argument(at) => &words[at - 1..],
            Exec::Shell => &[],
        };
        Ok((target, pin, command.iter().map(|word| word.to_string()).collect()))
    }

    #[track_caller]
    fn good(words: &[&str], target: TargetSpec, command: &[&str]) {
        let found = parsed(words).unwrap_or_else(|e| panic!("{words:?}: {e:?}"));
        assert_eq!(found.0, target, "{words:?}");
        assert_eq!(found.2, command, "{words:?}");
    }

    fn bad(words: &[&str]) -> String {
        match parse(words) {
            Ok(ok) => panic!("{words:?} is taken as {ok:?}"),
            Err(e) => format!("{}\n{}", e.message(), e.remedy().unwrap_or_default()),
        }
    }

    fn name(name: &str) -> TargetSpec {
        TargetSpec::Name(name.into())
    }

    #[test]
    fn command_is_never_interpreted() {
        good(
            &["--pid", "3456", "--", "ip", "-br", "a"],
            TargetSpec::Pid(3456),
            &["ip", "-br", "a"],
        );
        good(&["-p3456", "ip", "--help"], TargetSpec::Pid(3456), &["ip", "--help"]);
        good(&["--target=7", "x"], TargetSpec::Pid(7), &["x"]);
        let process = TargetSpec::Process { pid: 7, inode: 42 };
        for words in [&["-p", "7:42"][..], &["--target=7:42"], &["-t7:42"]] {
            good(words, process.clone(), &[]);
        }
        good(&["-qp", "7", "ls", "-l"], TargetSpec::Pid(7), &["ls", "-l"]);
        good(&["web", "ls", "--", "-x"], name("web"), &["ls", "--", "-x"]);
        good(&["web", "--", "--", "-x"], name("web"), &["--", "-x"]);
        good(&["web", "-q", "--", "a"], name("web"), &["a"]);
        good(&["-q", "web"], name("web"), &[]);
        good(&["web", "--"], name("web"), &[]);
        good(&["./ns"], TargetSpec::File(b"./ns".into()), &[]);
        good(&["-i", "net:[42]"], TargetSpec::Inode(42), &[]);
        good(&["-i", "id:42"], TargetSpec::Cookie(42), &[]);
        for (text, ip) in [
            ("10.244.3.7/24", "10.244.3.7"),
            ("fd00:0::1", "fd00::1"),
            ("[FD00::1]/64", "fd00::1"),
            ("::ffff:10.0.0.1", "10.0.0.1"),
            ("[::ffff:a00:1]/128", "10.0.0.1"),
            ("::10.0.0.1", "::10.0.0.1"),
        ] {
            let addr = TargetSpec::Addr(Addr::Ip(ip.parse().unwrap()));
            good(&["-a", text], addr.clone(), &[]);
            good(&[&format!("--addr={text}")], addr, &[]);
        }
        let mac = TargetSpec::Addr(Addr::Mac("02:42:ac:11:00:02".into()));
        good(&["-a", "02-42-AC-11-00-02", "ip", "a"], mac, &["ip", "a"]);
        good(&["--veth", "veth2d6e@if21"], TargetSpec::Veth(b"veth2d6e@if21".into()), &[]);
        good(&["web", ""], name("web"), &[""]);
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
        for pid in ["7:", ":7", "7:0", "7:x", "7:42:1", "7:+42", "0:42", "7: 42", ":"] {
            assert!(bad(&["--pid", pid]).contains("write PID:INODE"), "{pid}");
        }
        assert!(bad(&["-p=5"]).contains("invalid pid"));
        assert!(bad(&["--pid", "--", "x"]).contains("needs a value"));
        assert!(bad(&["--pid", ""]).contains("empty"));
        for addr in [
            "10.0.0",
            "10.0.0.1/33",
            "10.0.0.1/",
            "10.0.0.1/+8",
            "10.0.0.1/8/8",
            "010.0.0.1",
            "fe80::1%eth0",
            "[fd00::1]:80",
            "::/129",
        ] {
            assert!(bad(&["-a", addr]).contains("invalid address"), "{addr}");
        }
        assert!(bad(&["-i", "net:[x]"]).contains("invalid inode"));
        assert!(bad(&["--nope", "x"]).contains("--nope"));
        assert!(bad(&["--pid", "0"]).contains("docker inspect prints 0"));
        for words in [&["-it", "web", "sh"][..], &["web", "-it", "sh"], &["exec", "-ti", "web"]] {
            assert!(bad(words).contains("COMMAND has your terminal"), "{words:?}");
        }
        assert!(bad(&["--net", "web"]).contains("always meant"));
        assert!(bad(&["--lits"]).contains("did you mean --list?"));
        assert!(bad(&["--quiet=x", "web"]).contains("--quiet"));
        assert!(bad(&["-q", "-q", "web"]).contains("twice"));
        assert!(bad(&["-qv", "web"]).contains("contradict"));
        assert!(bad(&["-p", "5", "-c", "web"]).contains("two targets"));
        assert!(bad(&["tcpdump", "-p", "5"]).contains("two targets"));
    }

    #[test]
    fn pins_have_names_and_unpin_nothing_else() {
        good(&["web", "--pin", "x"], name("web"), &[]);
        assert_eq!(parsed(&["--pin=x", "web", "ls"]).unwrap().1, Some(b"x".into()));
        for name in ["", ".", "..", "a/b", "-x", "a\nb"] {
            assert!(!bad(&["web", "--pin", name]).is_empty());
        }
        assert!(bad(&["--pin", "x"]).contains("no target"));
        let names = |words: &[&str]| match parse(words).map(|parsed| parsed.command) {
            Ok(Command::Unpin { names }) => names,
            other => panic!("{other:?}"),
        };
        let words = ["--unpin", "a", "-q", "b", "--", "-c", "--"];
        assert_eq!(names(&words), [&b"a"[..], b"b", b"-c", b"--"]);
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
        let command = |words: &[&str]| parse(words).map(|parsed| parsed.command);
        for (words, format, target) in [
            (&["--list"][..], Format::Table, None),
            (&["-l", "--json"], Format::Json, None),
            (&["--tree", "-l"], Format::Tree, None),
            (&["--list", "web", "--tree"], Format::Tree, Some(name("web"))),
            (&["--list", "web"], Format::Table, Some(name("web"))),
            (&["web", "-l"], Format::Table, Some(name("web"))),
            (&["-lqp", "5"], Format::Table, Some(TargetSpec::Pid(5))),
        ] {
            for deep in [false, true] {
                let words = [words, &["--deep"][..usize::from(deep)]].concat();
                let list = Command::List { target: target.clone(), format, deep };
                assert_eq!(command(&words).unwrap(), list, "{words:?}");
            }
        }
        assert!(command(&["web", "--deep"]).is_err());
        for (words, index, dns) in [
            (&["--all", "ip", "a"][..], 2, false),
            (&["--all", "--", "ip"], 3, false),
            (&["-q", "--all", "--dns", "ip", "--list"], 4, true),
        ] {
            let views = Views { sys: false, dns };
            assert_eq!(command(words).unwrap(), Command::All { views, command: index });
        }
        assert_eq!(command(&["--pin-all", "-q"]).unwrap(), Command::PinAll);
        for (word, action) in [("-h", Command::Help), ("--version", Command::Version)] {
            assert_eq!(command(&["--list", word, "--all"]).unwrap(), action);
        }
        assert!(bad(&["--all"]).contains("COMMAND"));
        assert!(bad(&["--all", "--"]).contains("COMMAND"));
        assert!(bad(&["-p", "5", "--all", "ip"]).contains("no target"));
        assert!(bad(&["--pin-all", "web"]).contains("no target"));
        assert!(bad(&["--pin-all", "--", "x"]).contains("COMMAND"));
        assert!(bad(&["--list", "web", "ls"]).contains("COMMAND"));
        assert!(bad(&["--json", "web"]).contains("--list"));
        assert!(bad(&["--tree", "web"]).contains("--list"));
        assert!(bad(&["--list", "--tree", "--json"]).contains("contradict"));
        assert!(bad(&["--list", "--dns"]).contains("none is run"));
        for pair in [["--list", "--all"], ["--pin-all", "--unpin"], ["--list", "--pin=x"]] {
            assert!(bad(&pair).contains("contradict"), "{pair:?}");
        }
    }

    #[test]
    fn only_a_target_that_may_come_is_waited_for() {
        let waits = |words: &[&str]| match parse(words).map(|parsed| parsed.command) {
            Ok(Command::Enter { wait, .. } | Command::Pin { wait, .. }) => wait,
            other => panic!("{words:?}: {other:?}"),
        };
        for words in [
            &["--wait", "web"][..],
            &["web", "--wait", "ls"],
            &["--wait", "-c", "5", "--", "5"],
            &["web", "--wait"],
            &["web", "--wait", "--", "5"],
            &["web", "--wait", "--pin", "x", "--sys", "ls"],
            &["web", "--wait", "--pin", "x"],
            &["-g", "a.service", "--wait"],
            &["-f", "/run/proc/x", "--wait"],
            &["--wait", "5a"],
        ] {
            assert_eq!(waits(words), Some(Wait::ForEver), "{words:?}");
        }
        assert_eq!(waits(&["web"]), None);
        assert_eq!(waits(&["--wait=5", "web"]), Some(Wait::Seconds(5)));
        assert_eq!(waits(&["web", "--wait=86400", "7"]), Some(Wait::Seconds(86_400)));
        good(&["web", "--wait", "ls", "5"], name("web"), &["ls", "5"]);
        for words in [&["--wait", "5", "web"][..], &["web", "--wait", "5"]] {
            assert!(bad(words).contains("for seconds say --wait=5"), "{words:?}");
        }
        for value in ["0", "86401", "", "-1", "+5", "5s", "1.5", "99999999999999999999"] {
            assert!(bad(&[&format!("--wait={value}"), "web"]).contains("whole seconds"), "{value}");
        }
        for words in [
            &["--wait", "-p", "5"][..],
            &["-i", "5", "--wait"],
            &["-s", "/x", "--wait"],
            &["-f", "/proc/5/ns/net", "--wait"],
            &["--wait=5", "//./proc/self/ns/net"],
            &["--wait", "--list", "web"],
            &["--wait", "--all", "ls"],
            &["--wait", "--pin-all"],
            &["--wait", "--unpin", "x"],
        ] {
            assert!(bad(words).contains("--wait does not go with "), "{words:?}");
        }
        assert!(bad(&["--wait", "--wait", "web"]).contains("twice"));
        assert!(bad(&["--wait"]).contains("no target"));
    }

    #[test]
    fn what_goes_with_every_action() {
        let parsed = parse(&["web", "-v", "--host-root", "/host"]).unwrap();
        assert_eq!(parsed.host_root, Some(b"/host".into()));
        assert_eq!((parsed.quiet, parsed.verbose), (false, true));
        assert!(parse(&["--list", "-q"]).unwrap().quiet);
        let views = |words: &[&str]| match parse(words).map(|parsed| parsed.command) {
            Ok(Command::Enter { views, .. }) => views,
            other => panic!("{other:?}"),
        };
        assert_eq!(views(&["web", "--sys"]), Views { sys: true, dns: false });
        assert_eq!(views(&["web", "--dns", "--pin=x", "ls"]), Views { sys: false, dns: true });
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
            assert!(said.contains(NOT_NSENTERS), "{words:?}: {said}");
        }
        assert!(!bad(&["-t"]).contains("-n takes a name"));
    }

    /// After lexopt's own fuzzing: every sentence of up to four words from a nasty vocabulary ends,
    /// and COMMAND is a suffix.
    #[test]
    fn every_short_sentence_has_an_answer() {
        let words = [
            "", "-", "--", "---", "-p", "-p5", "5", "--pid", "--pid=5", "-n", "-q", "-qp", "web",
            "--x", "-=", "é",
        ];
        let mut sentences: Vec<Vec<&str>> = vec![vec![]];
        for _ in 0..4 {
            let longer =
                sentences.iter().flat_map(|s| words.iter().map(move |w| [&s[..], &[*w]].concat()));
            let longer: Vec<_> = longer.collect();
            for sentence in &longer {
                match parse(sentence).map(|parsed| parsed.command) {
                    Ok(Command::Enter { exec: Exec::Argument(at), .. }) => {
                        assert!(at > 1 && at <= sentence.len(), "{sentence:?}");
                    }
                    Ok(Command::Enter { .. }) | Err(_) => {}
                    Ok(other) => panic!("{sentence:?} is taken as {other:?}"),
                }
            }
            sentences = longer;
        }
    }
}
