//! A machine of root's: containers of every engine that is here, really running, stopped, paused and
//! pinned, and the files of those that cannot be, in directories and namespaces of its own.

#![forbid(unsafe_code)]

use super::actors::Actor;
use crate::util::{
    ALONE, PATIENCE, USER, ask, binary, finish, has, process_number, skip, tell, test_name,
};
use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::gettid;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

const STAGE: &str = include_str!("stage.sh");
const SETUP: &str = include_str!("setup.sh");
const SWEEP: &str = include_str!("sweep.sh");

/// As in `util::process_number`, by which names in a pid namespace are others' than those outside.
const INSIDE: &str = "NETNS_ENTER_TEST_INSIDE";
/// A file that ends a soak when it is there.
const STOP: &str = "NETNS_ENTER_SOAK_STOP";
/// A directory of root's that no user can enter.
pub const DIR: &str = "/run/ne";
/// The home directory of the user who adds things.
pub const HOME: &str = "/home/ne-ann";
/// A part of the set-up, and the programs that it needs.
type Part = (&'static str, &'static [&'static str]);
/// All parts; the last two need no engine.
const PARTS: &[Part] = &[
    ("docker", &["docker", "dockerd", "containerd", "runc", "tar"]),
    ("ctr", &["containerd", "ctr", "runc"]),
    ("podman", &["podman", "conmon", "runc", "tar"]),
    ("runc", &["runc"]),
    ("crun", &["crun"]),
    ("lxc", &["lxc-start", "lxc-info", "lxc-stop"]),
    ("files", &[]),
    ("rest", &["ip"]),
];

/// Returns what the names of everything that this test makes begin with, and digits that those IDs
/// have that are in the names of cgroups.
fn names(number: u32) -> (String, String) {
    let tag = u64::from(number).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 0xa000_0000_0000_0000;
    (format!("ne-t-i{number}i"), format!("{tag:016x}"))
}

/// Runs the calling test, from where it calls this, in a second process of the test program: in pid,
/// mount and network namespaces of its own, with empty /run, /var/lib, /tmp and the like. Returns true
/// there; false where that has succeeded.
pub fn is_on_stage() -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    let number = u32::try_from(gettid().as_raw_nonzero().get()).expect("a thread");
    let (prefix, tag) = names(number);
    // In a session of its own, so that no signal of a terminal ends it.
    let mut sweeper = Command::new("setsid");
    sweeper.args(["sh", "-c", SWEEP, "sh", &prefix, &tag]).stdin(Stdio::piped());
    let mut sweeper = sweeper.spawn().expect("a sweeper");
    let test = test_name().expect("a test");
    let mut command = Command::new("unshare");
    command.args(["--pid", "--mount", "--net", "--ipc", "--uts", "--fork", "--kill-child"]);
    command.args(["--mount-proc", "--propagation", "private", "sh", "-c"]);
    command.arg(format!("{ALONE}{STAGE}")).arg("sh");
    command.arg(std::env::current_exe().expect("a program")).arg(binary());
    let stop = std::env::var(STOP).unwrap_or_default();
    command.arg(Path::new(&stop).parent().unwrap_or(Path::new("")));
    command.args([&test, "--exact", "--nocapture", "--include-ignored", "--test-threads=2"]);
    command.env(INSIDE, number.to_string());
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("unshare");
    let mut printed = String::new();
    let read = child.stdout.take().expect("a pipe").read_to_string(&mut printed);
    let status = child.wait();
    drop(sweeper.stdin.take());
    let _ = sweeper.wait();
    for reason in printed.lines().filter_map(|line| line.split("lacks|").nth(1)) {
        skip(reason);
    }
    let has_passed = read.is_ok() && status.as_ref().is_ok_and(|status| status.success());
    assert!(has_passed && printed.contains("1 passed"), "it failed inside: {status:?}\n{printed}");
    false
}

/// A container of root's, a unit or a pin.
#[derive(Clone, Debug)]
pub struct Row {
    pub engine: String,
    pub name: String,
    pub id: String,
    pub state: State,
    /// Its process; where it does not run, that which is still recorded.
    pub pid: Option<u32>,
    pub cgroup: String,
    pub file: String,
    pub words: Vec<String>,
}

/// How a container is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Running,
    Stopped,
    /// It runs, and its root does what it likes.
    Acting,
    Unit,
    NoUnit,
    Pin,
    NoPin,
}

impl Row {
    fn parse(line: &str) -> Row {
        let fields: Vec<&str> = line.split('|').collect();
        let [engine, name, id, state, pid, cgroup, file, words] = fields[..] else {
            panic!("no row: {line}")
        };
        let state = match state {
            "running" => State::Running,
            "stopped" => State::Stopped,
            "acting" => State::Acting,
            "unit" => State::Unit,
            "nounit" => State::NoUnit,
            "pin" => State::Pin,
            "nopin" => State::NoPin,
            other => panic!("no state: {other}"),
        };
        let words = words.split_whitespace().map(str::to_owned).collect();
        Row {
            engine: engine.into(),
            name: name.into(),
            id: id.into(),
            state,
            pid: pid.parse().ok(),
            cgroup: cgroup.into(),
            file: file.into(),
            words,
        }
    }

    pub fn is_container(&self) -> bool {
        matches!(self.state, State::Running | State::Stopped | State::Acting)
    }

    pub fn has_engines_id(&self) -> bool {
        self.id.len() == 64 && self.id.bytes().all(|byte| byte.is_ascii_hexdigit())
    }
}

/// The machine; it ends with the value.
pub struct Machine {
    pub prefix: String,
    pub rows: Vec<Row>,
    /// The user's shells, each in a cgroup that is the user's: `.0` is its path in a hierarchy.
    pub users: Vec<(String, Actor)>,
    /// What containers' roots do, by the container's name.
    pub acting: Vec<(String, Actor)>,
    daemon: Option<Child>,
}

/// Users from 2000 on: a record for each word, more files, and a list of podman's.
const CLAIMS: &str = r#"
my ($users, $containers, $files, @words) = @ARGV;
open(my $passwd, ">>", "/etc/passwd") or die $!;
sub put { my ($path, $text) = @_; open(my $file, ">", $path) or die "$path: $!"; print $file $text; close $file }
for my $uid (2000 .. 1999 + $users) {
    print $passwd "user$uid:x:$uid:$uid\::/home/user$uid:/bin/sh\n";
    my ($run, $home) = ("/run/user/$uid", "/home/user$uid");
    my $store = "$home/.local/share/containers/storage/overlay-containers";
    my @made = ($run, "$run/crun", $home);
    mkdir $_ for @made;
    for (split m{/}, $store) { $at = $_ eq "" ? "" : "$at/$_"; if ($at ne "" && !-d $at) { mkdir $at; push @made, $at } }
    $at = "";
    for my $word (@words, map { "c$_" } 1 .. $files) {
        mkdir "$run/crun/$word";
        put("$run/crun/$word/status", "{\"pid\":$$,\"process-start-time\":1}");
        push @made, "$run/crun/$word", "$run/crun/$word/status";
    }
    my $n = 0;
    put("$store/containers.json", "[" . join(",", map { sprintf("{\"id\":\"%032x%032x\",\"names\":[\"%s\"]}", $uid, $n++, $words[$n] // "c$n") } 1 .. $containers) . "]");
    chown $uid, $uid, @made, "$store/containers.json";
}
"#;

/// Where processes of the user's may be that a systemd or an administrator has delegated.
fn delegated(prefix: &str) -> [String; 3] {
    [
        format!("/user.slice/user-{USER}.slice/user@{USER}.service/{prefix}"),
        format!("/{prefix}-d"),
        format!("/system.slice/{prefix}-u.service"),
    ]
}

/// Returns the tops of the hierarchies that processes can be in without more ado.
pub fn hierarchies() -> Vec<String> {
    let top = "/sys/fs/cgroup";
    if Path::new(top).join("cgroup.procs").exists() {
        return vec![top.to_owned()];
    }
    let all = ["pids", "systemd", "freezer", "unified"].map(|name| format!("{top}/{name}"));
    all.into_iter().filter(|top| Path::new(top).join("cgroup.procs").exists()).collect()
}

impl Machine {
    /// Starts all that can be started here.
    pub fn start() -> Machine {
        Machine::of(PARTS)
    }

    /// Starts what needs no engine.
    pub fn of_files() -> Machine {
        Machine::of(&PARTS[PARTS.len() - 2..])
    }

    fn of(parts: &[Part]) -> Machine {
        let (prefix, tag) = names(process_number());
        let mut machine =
            Machine { prefix, rows: vec![], users: vec![], acting: vec![], daemon: None };
        machine.make_user();
        let rows = machine.make_roots(parts, &tag);
        for line in rows.lines() {
            match line.split_once('|') {
                Some(("row", row)) => machine.rows.push(Row::parse(row)),
                Some(("lacks", _)) => tell_outside(line),
                _ => panic!("no row: {line}"),
            }
        }
        for row in machine.rows.iter().filter(|row| row.state == State::Acting) {
            let short = row.name.trim_start_matches(&machine.prefix).trim_start_matches('-');
            let actor = Actor::in_container(&format!("{DIR}/todo/{short}"), row.pid);
            machine.acting.push((row.name.clone(), actor));
        }
        machine.make_views();
        machine
    }

    fn make_user(&mut self) {
        let line = format!("ne-ann:x:{USER}:{USER}::{HOME}:/bin/sh\n");
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd") + &line;
        fs::write("/etc/passwd", passwd).expect("/etc/passwd");
        for file in ["/etc/subuid", "/etc/subgid"] {
            fs::write(file, "root:200000:65536\nne-ann:300000:65536\n").expect("subordinate IDs");
        }
        for dir in [HOME.to_owned(), format!("/run/user/{USER}")] {
            fs::create_dir_all(&dir).expect("a directory");
            std::os::unix::fs::chown(&dir, Some(USER), Some(USER)).expect("chown");
        }
        for (at, path) in delegated(&self.prefix).into_iter().enumerate() {
            for top in hierarchies() {
                let dir = format!("{top}{path}");
                fs::create_dir_all(format!("{dir}/own")).expect("a cgroup");
                // As systemd delegates.
                for name in
                    ["", "/cgroup.procs", "/tasks", "/cgroup.subtree_control", "/cgroup.threads"]
                {
                    for dir in [format!("{dir}{name}"), format!("{dir}/own{name}")] {
                        let is_there = Path::new(&dir).exists();
                        let chown =
                            |dir: &str| std::os::unix::fs::chown(dir, Some(USER), Some(USER));
                        is_there.then(|| chown(&dir).expect("chown"));
                    }
                }
            }
            let home = format!("{path}/own");
            self.users.push((path, Actor::user(&format!("{DIR}/user{at}"), &home)));
        }
        let up = self.users[0].0.clone();
        // The one in user.slice is below a directory that is the user's, too.
        for top in hierarchies() {
            let above = Path::new(&format!("{top}{up}")).parent().map(Path::to_owned);
            std::os::unix::fs::chown(above.expect("a directory"), Some(USER), Some(USER))
                .expect("chown");
        }
    }

    /// Makes root's containers, parts side by side; returns the rows.
    fn make_roots(&mut self, parts: &[Part], tag: &str) -> String {
        let setup = |part: &str| {
            let mut shell = Command::new("sh");
            shell.args(["-euc", &format!("exec 3>&1 >&2\n{SETUP}\n{part}")]);
            shell.env("P", &self.prefix).env("R", DIR).env("TAG", tag);
            finish(shell)
        };
        setup("root $R/root").succeeds();
        let is_meant = |part: &&Part| {
            let missing = part.1.iter().find(|program| !has(program));
            if let Some(program) = missing {
                tell_outside(&format!("lacks|{program} is not installed: no {}", part.0));
            }
            missing.is_none()
        };
        let parts: Vec<&Part> = parts.iter().filter(is_meant).collect();
        if parts.iter().any(|part| part.1.contains(&"containerd")) {
            let log = fs::File::create(format!("{DIR}/containerd.log")).expect("a log");
            let mut containerd = Command::new("containerd");
            containerd.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
            self.daemon = Some(containerd.spawn().expect("containerd"));
            let end = Instant::now() + PATIENCE;
            while ask(&["ctr", "version"]).is_err() {
                assert!(Instant::now() < end, "containerd does not start");
                sleep(Duration::from_millis(50));
            }
        }
        scope(|threads| {
            let run = |part: &&Part| {
                let name = part.0;
                threads.spawn(move || (name, setup(&format!("part_{name}"))))
            };
            let running: Vec<_> = parts.iter().map(run).collect();
            let ended = running.into_iter().map(|thread| thread.join().expect("a part"));
            ended
                .map(|(name, output)| {
                    if !output.status.success() {
                        tell(&format!("part {name}:\n{}\n", output.dump()));
                        tell_outside(&format!("lacks|not all of {name} works here"));
                    }
                    output.stdout
                })
                .collect()
        })
    }

    /// Makes directories for --host-root: one with all of the machine, one without cgroups.
    fn make_views(&self) {
        let script = "mount -t tmpfs none /mnt
            mkdir -p /mnt/a /mnt/b && mount --rbind / /mnt/a
            for dir in proc run etc var/lib var/log home tmp; do
                mkdir -p /mnt/b/$dir && mount --bind /$dir /mnt/b/$dir
            done
            mount --rbind /run /mnt/b/run
            for top in \"$@\"; do mkdir -p \"$top/$0-caller\"; done";
        let mut shell = Command::new("sh");
        finish(shell.args(["-euc", script, &self.prefix]).args(hierarchies())).succeeds();
    }

    /// Adds users with sessions, each of whom claims so many containers, root's among them.
    pub fn add_users(&self, count: u32, containers: u32) {
        let files = if super::additions::is_soak() { containers } else { 50 };
        let names =
            self.rows.iter().filter(|row| row.is_container()).map(|row| row.name.replace('/', "_"));
        let ids = self.rows.iter().filter(|row| row.has_engines_id()).map(|row| row.id.clone());
        let words: Vec<String> =
            names.chain(ids).chain([format!("{}-ghost", self.prefix)]).collect();
        let mut perl = Command::new("perl");
        perl.args(["-e", CLAIMS, &count.to_string(), &containers.to_string(), &files.to_string()]);
        finish(perl.args(words)).succeeds();
    }

    /// Returns the container, unit or pin of this name, without the prefix.
    pub fn row(&self, name: &str) -> Option<&Row> {
        let full = format!("{}-{name}", self.prefix);
        self.rows.iter().find(|row| row.name == full)
    }

    /// Takes away all that users and containers' roots have added.
    pub fn reset(&mut self) {
        // Some are in cgroups without a path: 4096 bytes are the most.
        for (pid, text) in processes() {
            if text.is_err()
                || text.is_ok_and(|text| text.contains(&format!("{}/own/", self.prefix)))
            {
                kill(pid);
            }
        }
        let keep: Vec<u32> = self.users.iter().map(|(_, actor)| actor.pid).collect();
        for (path, _) in &self.users {
            clear_cgroup(path, &format!("{path}/own"), &keep);
        }
        for (name, actor) in &self.acting {
            let row = self.rows.iter().find(|row| row.name == *name).expect("a row");
            clear_cgroup(&row.cgroup, &row.cgroup, &[actor.pid]);
        }
        // What a privileged container's root has made elsewhere.
        for row in self.rows.iter().filter(|row| row.state == State::Stopped) {
            let (id, name) = (&row.id, &row.name);
            for path in [
                format!("/docker/{id}"),
                format!("/system.slice/docker-{id}.scope"),
                format!("/lxc.payload.{name}"),
                format!("/lxc/{name}"),
            ] {
                clear_cgroup(&path, &path, &[]);
                for top in hierarchies() {
                    let _ = fs::remove_dir(format!("{top}{path}"));
                }
            }
        }
        for dir in [&format!("/run/user/{USER}")[..], HOME, "/tmp", "/var/tmp", "/run/lock"] {
            unmount_below(dir);
            clear_directory(Path::new(dir));
        }
        for (_, actor) in self.users.iter_mut().chain(&mut self.acting) {
            actor.reset();
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        let _ = ask(&["docker", "unpause", &format!("{}-paused", self.prefix)]);
        let _ = self.daemon.as_mut().map(Child::kill);
        // The rest ends with pid 1 of this namespace; what is left is the sweeper's.
    }
}

/// Says something to the process outside, which skips by it.
fn tell_outside(line: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stdout(), "{line}");
}

/// Ends the processes at and below a cgroup but those to keep, and removes what is below it but `home`.
fn clear_cgroup(path: &str, home: &str, keep: &[u32]) {
    let end = Instant::now() + PATIENCE;
    for top in hierarchies() {
        let dir = format!("{top}{path}");
        if !Path::new(&dir).exists() {
            continue;
        }
        let is_left = || {
            for pid in pids_below(&dir) {
                if !keep.contains(&pid) {
                    kill(pid);
                }
            }
            // By names that are not paths, as those may be too long.
            let home = format!("{top}{home}");
            let found = ask(&[
                "find",
                &dir,
                "-mindepth",
                "1",
                "-depth",
                "-type",
                "d",
                "!",
                "-path",
                &home,
                "-delete",
            ]);
            found.is_err()
        };
        while is_left() {
            assert!(Instant::now() < end, "{dir} is not cleared");
            sleep(Duration::from_millis(2));
        }
    }
}

/// Returns the processes at and below a cgroup's directory, as far as it has a path.
pub fn pids_below(dir: &str) -> Vec<u32> {
    let procs = groups(Path::new(dir)).into_iter().map(|group| group.join("cgroup.procs"));
    let texts = procs.filter_map(|procs| fs::read_to_string(procs).ok());
    let pids = texts
        .flat_map(|text| text.lines().filter_map(|pid| pid.parse().ok()).collect::<Vec<u32>>());
    pids.filter(|pid| *pid != 0).collect()
}

/// Returns a cgroup and those below it, the innermost first.
fn groups(dir: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            found.extend(groups(&entry.path()));
        }
    }
    found.push(dir.to_owned());
    found
}

pub fn kill(pid: u32) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::KILL);
    }
}

/// Returns each process with its cgroups, unless these cannot be told.
fn processes() -> Vec<(u32, Result<String, ()>)> {
    let names = fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok());
    let pids = names.filter_map(|name| name.parse().ok());
    let too_long = |e: &std::io::Error| e.raw_os_error() == Some(Errno::NAMETOOLONG.raw_os_error());
    pids.filter_map(|pid: u32| match fs::read_to_string(format!("/proc/{pid}/cgroup")) {
        Ok(text) => Some((pid, Ok(text))),
        Err(e) if too_long(&e) => Some((pid, Err(()))),
        Err(_) => None,
    })
    .collect()
}

fn unmount_below(dir: &str) {
    let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
    let fuse = mounts.lines().filter(|line| line.contains(" - fuse "));
    let points = fuse.filter_map(|line| line.split(' ').nth(4));
    for point in points.filter(|point| point.starts_with(dir)) {
        let _ = ask(&["umount", "-l", point]);
    }
}

fn clear_directory(dir: &Path) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let is_dir = entry.file_type().is_ok_and(|kind| kind.is_dir());
        let _ = match is_dir {
            true => fs::remove_dir_all(entry.path()),
            false => fs::remove_file(entry.path()),
        };
    }
}
