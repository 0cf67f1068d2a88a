//! What is asked about root's containers, by whom, and what an answer is.

#![forbid(unsafe_code)]

use super::machine::{DIR, HOME, Machine, Row, State, hierarchies};
use crate::util::{USER, widen_path};
use std::fmt;
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// After so long a question counts as one that hangs.
const HANGS: Duration = Duration::from_secs(60);

/// COMMAND: prints the namespace that it runs in.
const COMMAND: [&str; 2] = ["/run/ne/bin/readlink", "/proc/self/ns/net"];

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Asker {
    Root,
    /// Root in a cgroup namespace.
    InCgroup,
    /// Root with the environment and in the cgroup of the user's, as after su.
    AfterSu,
    /// Root that keeps the namespace: a pin is made, entered and removed.
    Pinning,
    /// With --host-root, of a directory that has all.
    HostRoot,
    /// Of one without cgroups.
    WithoutCgroups,
}

/// What the answer must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// The same as before, to the byte.
    Same,
    /// The same by the same system calls.
    SameCalls,
    /// 125 and nothing executed, or a namespace of the user's making.
    Refused,
}

#[derive(Clone, Debug)]
pub struct Question {
    pub asker: Asker,
    pub args: Vec<String>,
    pub rule: Rule,
    /// The row it is about, by its name.
    pub about: String,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: netns-enter {}", self.asker, self.args.join(" "))
    }
}

/// What came of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// None where it did not end.
    pub status: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Answer { status, stdout, stderr } = self;
        write!(f, "{status:?} {stdout:?} {stderr:?}")
    }
}

impl Answer {
    /// Returns it without the notes of who holds the lock on the directory of pins: to make one is no
    /// mere question.
    pub fn without_lock(&self) -> Answer {
        let lines =
            self.stderr.lines().filter(|line| !line.contains("/run/netns\" is locked by process"));
        Answer { stderr: lines.map(|line| format!("{line}\n")).collect(), ..self.clone() }
    }

    /// Tells whether it is the same but for the reason why nothing was executed.
    pub fn is_like(&self, other: &Answer) -> bool {
        self == other || (self.is_refusal() && other.is_refusal())
    }

    /// Tells whether nothing was executed.
    pub fn is_refusal(&self) -> bool {
        self.status == Some(125) && self.stdout.is_empty()
    }
}

/// Returns every way to name each of root's containers, units and pins, for every asker.
pub fn questions(machine: &Machine) -> Vec<Question> {
    let mut all = Vec::new();
    for row in &machine.rows {
        for args in ways(row) {
            let is_unit = args.iter().any(|arg| arg == "-g") || row.state == State::Unit;
            // For the bare name of a pin alone, which no engine knows, processes are looked through.
            let is_pins = row.state == State::Pin && args.len() == 1;
            let is_traced = !is_unit && !is_pins && row.state != State::Acting;
            let rule = if is_traced { Rule::SameCalls } else { Rule::Same };
            let mut add = |asker, rule| {
                let about = row.name.clone();
                all.push(Question { asker, args: args.clone(), rule, about });
            };
            add(Asker::Root, rule);
            add(Asker::AfterSu, Rule::Same);
            if args.len() == 1 && row.is_container() {
                add(Asker::Pinning, Rule::Same);
            }
            // The path of a cgroup is another one there.
            if !args.iter().any(|arg| arg == "-g") {
                add(Asker::InCgroup, Rule::Same);
            }
            if !args.iter().any(|arg| arg == "-f" || arg == "-s" || arg == "-g") {
                add(Asker::HostRoot, Rule::Same);
                // No unit can be found there.
                add(Asker::WithoutCgroups, if is_unit { Rule::Refused } else { Rule::Same });
            }
        }
    }
    all
}

/// Returns questions about what root does not have.
pub fn unknown(machine: &Machine) -> Vec<Question> {
    let prefix = &machine.prefix;
    let words = [
        format!("{prefix}-ghost"),
        format!("docker:{prefix}-ghost"),
        format!("{prefix}-ghost1"),
        "f".repeat(64),
        "ffffffffffff".to_owned(),
        format!("{prefix}-ghost.service"),
        format!("podman:{prefix}-web@{USER}"),
        format!("crun:{prefix}-web@ne-ann"),
        format!("shop/{prefix}-ghost"),
    ];
    let ask = |word: &String| {
        let (args, about) = (vec![word.clone()], String::new());
        Question { asker: Asker::Root, args, rule: Rule::Refused, about }
    };
    words.iter().map(ask).collect()
}

fn ways(row: &Row) -> Vec<Vec<String>> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let (name, id) = (&row.name[..], &row.id[..]);
    let mut ways: Vec<Vec<String>> = vec![words(&[name])];
    match row.state {
        State::Unit => {
            ways.extend([words(&["-g", name]), words(&["-g", &row.cgroup])]);
            return ways;
        }
        // An unknown word, unless it is said what it is.
        State::NoUnit => return vec![words(&["-g", name])],
        State::Pin => {
            let file = format!("/run/netns/{name}");
            ways.extend([words(&["-n", name]), words(&["-f", &file])]);
            return ways;
        }
        State::NoPin => return vec![words(&["-n", name])],
        State::Running | State::Stopped | State::Acting => {}
    }
    ways.push(words(&["-c", name]));
    ways.push(words(&["-c", &format!("{}:{name}", row.engine)]));
    if row.has_engines_id() {
        ways.extend([words(&[id]), words(&["-c", &id[..12]]), words(&[&id[..8]])]);
    }
    ways.extend(row.words.iter().map(|word| words(&["-c", word])));
    if !row.file.is_empty() {
        ways.push(words(&["-s", &row.file]));
    }
    if row.state == State::Running {
        let file = format!("/proc/{}/ns/net", row.pid.expect("a process"));
        ways.push(words(&["-f", &file]));
        // Who is in no cgroup of its own is with others.
        if row.cgroup.len() > 1 && row.cgroup.contains("ne-t-") || row.cgroup.contains(id) {
            ways.push(words(&["-g", &row.cgroup]));
        }
    }
    ways
}

impl Question {
    /// Tells whether root asks it by the plain name.
    pub fn is_name(&self) -> bool {
        self.asker == Asker::Root && self.args.len() == 1 && self.args[0] == self.about
    }

    /// Returns the command that asks it, behind `before`.
    fn command(&self, before: &[&str]) -> Command {
        let program = format!("{DIR}/bin/netns-enter");
        let mut words: Vec<String> = before.iter().map(|word| (*word).to_owned()).collect();
        words.push(program);
        match self.asker {
            Asker::HostRoot => words.extend(["--host-root".into(), "/mnt/a".into()]),
            Asker::WithoutCgroups => words.extend(["--host-root".into(), "/mnt/b".into()]),
            _ => {}
        }
        words.extend(self.args.iter().cloned());
        if self.asker == Asker::Pinning {
            let pin = "\"$@\" --pin \"$0\"; program=$1; \"$program\" -n \"$0\" /run/ne/bin/readlink /proc/self/ns/net; exec \"$program\" --unpin \"$0\"";
            // Two rows may have one ID, and are asked about at the same time.
            let name = format!("ne-t-{}-{}", self.about, self.args[0]).replace('/', "_");
            let mut shell = Command::new("sh");
            shell.args(["-c", pin, &name]).args(&words);
            return shell;
        }
        words.extend(["--".to_owned()].into_iter().chain(COMMAND.map(str::to_owned)));
        let mut command = match self.asker {
            Asker::InCgroup | Asker::AfterSu => {
                let (group, last) = match self.asker {
                    Asker::InCgroup => ("$prefix-caller".to_owned(), "unshare -C "),
                    // Its limits stay, too.
                    _ => (
                        format!("user.slice/user-{USER}.slice/user@{USER}.service/$prefix/own"),
                        "prlimit --nofile=64 --fsize=0 ",
                    ),
                };
                let move_in = format!(
                    "for top in $tops; do echo $$ >$top/{group}/cgroup.procs; done; exec {last}\"$@\""
                );
                let mut shell = Command::new("sh");
                shell.args(["-c", &move_in, "sh"]).args(&words);
                shell.env("tops", hierarchies().join(" "));
                shell
            }
            _ => {
                let mut plain = Command::new(&words[0]);
                plain.args(&words[1..]);
                plain
            }
        };
        widen_path(&mut command);
        command.current_dir("/");
        if self.asker == Asker::AfterSu {
            let run = format!("/run/user/{USER}");
            command.env("HOME", HOME).env("USER", "ne-ann").env("LOGNAME", "ne-ann");
            command.env("XDG_RUNTIME_DIR", run).env("SUDO_UID", USER.to_string());
            command.env("XDG_DATA_HOME", format!("{HOME}/.local/share"));
            command.env("XDG_CONFIG_HOME", format!("{HOME}/.config"));
            command.env("DOCKER_CONFIG", format!("{HOME}/.docker"));
        }
        command
    }

    /// Asks it.
    pub fn ask(&self, prefix: &str) -> Answer {
        self.ask_behind(prefix, &[])
    }

    fn ask_behind(&self, prefix: &str, before: &[&str]) -> Answer {
        let pair = || UnixStream::pair().expect("a pair of sockets");
        let ((out, their_out), (err, their_err)) = (pair(), pair());
        let mut command = self.command(before);
        command.env("prefix", prefix).stdin(Stdio::null());
        command.stdout(OwnedFd::from(their_out)).stderr(OwnedFd::from(their_err));
        let mut child = command.spawn().expect("a process");
        // With its ends of the sockets.
        drop(command);
        let end = Instant::now() + HANGS;
        let (Some(stdout), Some(stderr)) = (read(out, end), read(err, end)) else {
            let _ = child.kill();
            let _ = child.wait();
            return Answer { status: None, stdout: String::new(), stderr: "it hangs".into() };
        };
        let status = child.wait().expect("its end");
        let status = status.code().or(status.signal().map(|signal| 1000 + signal));
        Answer { status, stdout, stderr }
    }

    /// Asks it, and returns the system calls that were made, too.
    pub fn trace(&self, prefix: &str, log: &str) -> (Answer, Vec<String>) {
        let before = ["strace", "-f", "-qq", "-s", "300", "-e", "verbose=none", "-o", log];
        let answer = self.ask_behind(prefix, &before);
        let calls = std::fs::read(log).unwrap_or_default();
        let calls = String::from_utf8_lossy(&calls);
        (answer, calls.lines().map(normal).collect())
    }
}

/// Reads to the end; None where that does not come in time.
fn read(mut from: UnixStream, end: Instant) -> Option<String> {
    let mut bytes = Vec::new();
    let left = end.saturating_duration_since(Instant::now()).max(Duration::from_millis(1));
    from.set_read_timeout(Some(left)).expect("a limit");
    from.read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// Returns a line of strace's without what differs from run to run: process, addresses, and what is read
/// where the file is one that tells of the time.
pub fn normal(line: &str) -> String {
    let line = line.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start();
    let name = line.split('(').next().unwrap_or_default();
    let reads = ["read", "pread64", "readv", "getdents64", "uname"];
    if reads.contains(&name) {
        return line.split([',', ')']).next().unwrap_or_default().to_owned();
    }
    if line.starts_with("readlinkat(AT_FDCWD, \"/proc/self\"") {
        // Its answer is the pid.
        return "readlinkat(AT_FDCWD, \"/proc/self\"".to_owned();
    }
    let own = [
        "brk",
        "mmap",
        "getrandom",
        "getpid",
        "gettid",
        "set_tid_address",
        "arch_prctl",
        "clock_gettime",
        "prlimit64",
        "rseq",
        "set_robust_list",
    ];
    if own.contains(&name) {
        return name.to_owned();
    }
    let mut normal = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("0x") {
        normal.push_str(&rest[..at]);
        normal.push_str("0x");
        rest = rest[at + 2..].trim_start_matches(|c: char| c.is_ascii_hexdigit());
    }
    normal.push_str(rest);
    normal
}

/// Returns the calls that name something that is a user's.
pub fn of_users(calls: &[String]) -> Vec<&String> {
    let user = USER.to_string();
    // Whole components of paths, or what directories in /tmp end with.
    let words = [
        format!("/{user}"),
        format!("\"{user}"),
        format!("-{user}"),
        "ne-ann".into(),
        "\"/tmp".into(),
        "podman-run-".into(),
    ];
    let is_users = |call: &&String| {
        !call.starts_with("execve(") && words.iter().any(|word| call.contains(word))
    };
    calls.iter().filter(is_users).collect()
}
