//! What the tests share: the binary under test and how a run of it may end, throwaway directories,
//! processes, namespaces and cgroups, engines' state files, and skipping.

#![forbid(unsafe_code)]

use netns_enter::cli::options::{ALIASES, OPTIONS};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use rustix::thread::gettid;
use std::borrow::BorrowMut;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take before it counts as hung. No test expects anything of a time; the
/// machine may be slow and shared.
pub const PATIENCE: Duration = Duration::from_secs(300);

/// How long a test of many runs may take.
pub const LONG: Duration = Duration::from_secs(3600);

/// A user whom nobody has, and who is no overflow uid.
pub const USER: u32 = 65533;

/// Returns the binary under test: that of `make`, or cargo's own.
pub fn binary() -> PathBuf {
    let make = std::env::var_os("NETNS_ENTER_BIN").map(PathBuf::from);
    make.unwrap_or_else(|| env!("CARGO_BIN_EXE_netns-enter").into())
}

/// Returns the binary under test, as a command to be extended.
pub fn program() -> Command {
    Command::new(binary())
}

/// Runs netns-enter with these arguments.
pub fn run<S: AsRef<OsStr>>(args: &[S]) -> Output {
    finish(program().args(args))
}

/// Runs a tool of the machine with these arguments.
pub fn tool<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Output {
    finish(Command::new(program).args(args))
}

/// Runs a tool of the machine and returns what it printed, or why it failed.
pub fn ask(words: &[&str]) -> Result<String, String> {
    tool(words[0], &words[1..]).answer()
}

/// Runs a shell script; its arguments are `$1` and so on.
pub fn sh<S: AsRef<OsStr>>(script: &str, args: &[S]) -> Output {
    finish(Command::new("sh").args(["-c", script, "sh"]).args(args))
}

/// Returns a command that runs as that user, without groups and capabilities.
pub fn as_user(uid: u32, words: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.args([format!("--reuid={uid}"), format!("--regid={uid}")]);
    command.args(["--clear-groups", "--inh-caps=-all"]).args(words).current_dir("/");
    command
}

/// Runs a command to its end with nothing on standard input; panics when it hangs.
pub fn finish(command: impl BorrowMut<Command>) -> Output {
    finish_within(PATIENCE, command)
}

/// Runs a command as [`finish`] does, for what is known to take long.
///
/// It is over when the command has ended, even where a daemon that it left holds its output open.
pub fn finish_within(patience: Duration, mut command: impl BorrowMut<Command>) -> Output {
    let command = command.borrow_mut();
    widen_path(command);
    let shown = format!("{command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{shown}: {e}"));
    let mut pipes = (Pipe::new(child.stdout.take()), Pipe::new(child.stderr.take()));
    let end = Instant::now() + patience;
    loop {
        let ended = child.try_wait().unwrap();
        // What it has written it has written before its end.
        pipes.0.drain();
        pipes.1.drain();
        if let Some(status) = ended {
            return Output { shown, status, stdout: pipes.0.text(), stderr: pipes.1.text() };
        }
        if Instant::now() > end {
            let _ = child.kill();
            let status = child.wait().unwrap();
            let output = Output { shown, status, stdout: pipes.0.text(), stderr: pipes.1.text() };
            panic!("still running after {patience:?}: {}", output.dump());
        }
        thread::sleep(Duration::from_millis(2));
    }
}

/// The reading end of a pipe, and what was read.
struct Pipe<R> {
    from: R,
    bytes: Vec<u8>,
}

impl<R: Read + AsFd> Pipe<R> {
    fn new(from: Option<R>) -> Pipe<R> {
        let from = from.expect("a pipe");
        rustix::io::ioctl_fionbio(&from, true).expect("a pipe");
        Pipe { from, bytes: Vec::new() }
    }

    /// Reads what is there now.
    fn drain(&mut self) {
        // WouldBlock says that there is no more yet; what was read before it stays.
        let _ = self.from.read_to_end(&mut self.bytes);
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes).into_owned()
    }
}

/// Sees to it that tools are found where a login without /usr/sbin in its PATH would miss them.
pub fn widen_path(command: &mut Command) {
    let path = std::env::var("PATH").unwrap_or_default();
    if !command.get_envs().any(|(key, _)| key == "PATH") {
        command.env("PATH", format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin"));
    }
}

/// What a finished command left; every assertion on it shows all of it when it fails.
#[derive(Debug)]
pub struct Output {
    /// The command line.
    pub shown: String,
    /// How it ended.
    pub status: ExitStatus,
    /// What it printed.
    pub stdout: String,
    /// What it complained.
    pub stderr: String,
}

impl Output {
    /// Asserts that the command exited with this status.
    #[track_caller]
    pub fn exits(&self, status: i32) -> &Output {
        let is_it = self.status.code() == Some(status);
        assert!(is_it, "expected exit status {status}\n{}", self.dump());
        self
    }

    /// Asserts that the command exited with 0.
    #[track_caller]
    pub fn succeeds(&self) -> &Output {
        self.exits(0)
    }

    /// Asserts that netns-enter failed by itself: 125, nothing printed, and a complaint that has
    /// each of these words.
    #[track_caller]
    pub fn refuses(&self, words: &[&str]) -> &Output {
        self.exits(125).says(words);
        assert!(self.stdout.is_empty(), "something ran\n{}", self.dump());
        let ours = self.stderr.lines().all(|line| line.starts_with("netns-enter: "));
        assert!(ours, "a line is not in our own voice\n{}", self.dump());
        self
    }

    /// Asserts that standard error has each of these words.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> &Output {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not said\n{}", self.dump());
        }
        self
    }

    /// Asserts that standard output, without the blanks around it, is this.
    #[track_caller]
    pub fn prints(&self, text: &str) -> &Output {
        let is_it = self.stdout.trim() == text.trim();
        assert!(is_it, "expected output {text:?}\n{}", self.dump());
        self
    }

    /// Returns what was printed, without the blanks around it; where the command failed, all of it.
    pub fn answer(&self) -> Result<String, String> {
        match self.status.success() {
            true => Ok(self.stdout.trim().to_owned()),
            false => Err(self.dump()),
        }
    }

    /// Returns all there is to know.
    pub fn dump(&self) -> String {
        let end = match self.status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => format!("{:?}", self.status.code()),
        };
        let Output { shown, stdout, stderr, .. } = self;
        format!("{shown}\nended: {end}\nstdout:\n{stdout}\nstderr:\n{stderr}")
    }
}

/// Asserts that `command`, extended by a COMMAND that tells its namespace, runs it in `ns`. Returns
/// what was said on standard error.
#[track_caller]
pub fn command_enters(mut command: Command, ns: &str) -> String {
    assert!(ns.starts_with("net:["), "no namespace to compare with");
    let output = finish(command.args(["--", "readlink", "/proc/self/ns/net"]));
    output.succeeds().prints(ns);
    output.stderr
}

/// Asserts that `command`, extended by a COMMAND, ends with 125, nothing executed, and each of
/// `words` in its message. Returns what was said on standard error.
#[track_caller]
pub fn command_refuses(mut command: Command, words: &[&str]) -> String {
    let scratch = Scratch::new("marker");
    let marker = scratch.path("ran");
    let output = finish(command.args(["--", "touch", &marker]));
    assert!(!Path::new(&marker).exists(), "COMMAND ran\n{}", output.dump());
    output.exits(125).says(words);
    assert!(output.stderr.starts_with("netns-enter: "), "{}", output.dump());
    output.stderr
}

/// Asserts that `netns-enter ARGS` enters `ns`, as [`command_enters`] does.
#[track_caller]
pub fn enters(args: &[&str], ns: &str) -> String {
    let mut command = program();
    command.args(args);
    command_enters(command, ns)
}

/// Asserts that `netns-enter ARGS` refuses, as [`command_refuses`] does.
#[track_caller]
pub fn refuses(args: &[&str], words: &[&str]) -> String {
    let mut command = program();
    command.args(args);
    command_refuses(command, words)
}

/// Waits for something that happens soon; panics when it does not.
#[track_caller]
pub fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "not within {PATIENCE:?}: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Where a second process of the test program runs one test in pid and mount namespaces of its own:
/// the number by which that is known.
const INSIDE: &str = "NETNS_ENTER_TEST_INSIDE";

/// Returns a number below 2²² that no other test process on the machine has: its pid, or where that
/// is of a pid namespace of its own, the ID of the thread that waits for it.
pub fn process_number() -> u32 {
    let inside = std::env::var(INSIDE).ok().and_then(|number| number.parse().ok());
    inside.unwrap_or_else(std::process::id)
}

/// Where the calling test is to go on: in a second process of the test program, which runs that
/// test alone in pid and mount namespaces of its own. False where that has succeeded.
#[track_caller]
pub fn is_inside() -> bool {
    if std::env::var_os(INSIDE).is_some() {
        return true;
    }
    // A shell as pid 1, which reaps what is left behind; two threads, as one would have no name.
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--kill-child", "--mount", "--mount-proc", "sh", "-c"]);
    command.args(["\"$@\"; exit $?", "sh"]).arg(std::env::current_exe().unwrap());
    command.args([&test_name().expect("a test"), "--exact", "--nocapture", "--test-threads=2"]);
    command.env(INSIDE, gettid().as_raw_nonzero().to_string());
    let output = finish_within(LONG, command);
    output.succeeds();
    assert!(output.stdout.contains("1 passed"), "no such test\n{}", output.dump());
    // What the harness here would not show.
    tell(&output.stderr);
    false
}

/// Returns a name that no other run and no other test has: `ne-t-KIND-PID-N`.
pub fn unique(kind: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("ne-t-{kind}-{}-{count}", process_number())
}

/// A directory that everybody may enter and that is gone after the test.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes an empty one; its name tells what for.
    pub fn new(kind: &str) -> Scratch {
        let path = std::env::temp_dir().join(unique(kind));
        fs::create_dir(&path).expect("a scratch directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Scratch(path)
    }

    /// Returns where it is.
    pub fn dir(&self) -> &Path {
        &self.0
    }

    /// Returns a path in it.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).into_os_string().into_string().expect("a plain path")
    }

    /// Writes a file in it, directories on the way too; returns its path.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(Path::new(&path).parent().unwrap()).expect("directories");
        fs::write(&path, bytes).expect("a file");
        path
    }

    /// Makes a symbolic link in it, directories on the way too; returns its path.
    pub fn link(&self, name: &str, to: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(Path::new(&path).parent().unwrap()).expect("directories");
        symlink(to, &path).expect("a link");
        path
    }

    /// Copies the binary under test into it, where any user can reach it; returns the path.
    pub fn copy_of_binary(&self) -> String {
        let copy = self.path("netns-enter");
        fs::copy(binary(), &copy).unwrap();
        make_executable(&copy);
        copy
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Lets everybody execute a file.
pub fn make_executable(path: impl AsRef<Path>) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// A child that dies with the test.
#[derive(Debug)]
pub struct Held(pub Child);

impl Held {
    /// Starts a command that is to be held, with nothing on its standard descriptors but standard
    /// error.
    pub fn start(mut command: impl BorrowMut<Command>) -> Held {
        let command = command.borrow_mut();
        widen_path(command);
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        Held(command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}")))
    }

    /// Returns its pid.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Returns its pid as a word.
    pub fn word(&self) -> String {
        self.pid().to_string()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // With all that it has started, such as the halves of a shell's pipe; but where somebody has
        // waited for it, its number may be another's by now.
        let group = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let looks = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        if let Some(group) = group.filter(|pid| waitid(WaitId::Pid(*pid), looks).is_ok()) {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that sleeps in a network namespace of its own, or where its command put it.
#[derive(Debug)]
pub struct Sleeper {
    held: Held,
    /// Its pid.
    pub pid: u32,
}

impl Sleeper {
    /// Starts one in a new network namespace.
    pub fn start() -> Sleeper {
        Sleeper::apart(Command::new("unshare").args(["-n", "sleep", "3600"]))
    }

    /// Starts one of [`USER`]'s, in a user and a network namespace that this user made.
    pub fn of_user() -> Sleeper {
        Sleeper::apart(as_user(USER, &["unshare", "-Un", "sleep", "3600"]))
    }

    /// Starts one as engines start the first process of a container: pid 1 of a pid namespace, in a
    /// network namespace of its own, and started by another program, which is in neither.
    pub fn first() -> Sleeper {
        Sleeper::child(Command::new("unshare").args(FIRST))
    }

    /// As [`Sleeper::first`], of a program with this name and this as one of its words: a keeper of
    /// the container by which it names it.
    fn kept(name: &str, word: &str) -> Sleeper {
        let mut command = Command::new("unshare");
        command.arg0(name).args(["--pid", "--fork", "--kill-child", "env", "-u", word]);
        Sleeper::child(command.args(["unshare", "--net", "sleep", "3600"]))
    }

    /// As [`Sleeper::first`], of a shim that names this ID.
    pub fn of_shim(id: &str) -> Sleeper {
        Sleeper::kept("/usr/bin/containerd-shim-runc-v2", id)
    }

    /// As [`Sleeper::first`], of LXC's monitor of the container of this name.
    pub fn of_monitor(name: &str) -> Sleeper {
        Sleeper::kept(&format!("[lxc monitor] /var/lib/lxc {name}"), "lxc")
    }

    /// As [`Sleeper::first`], of lxc-start in the foreground, which tells no directory here.
    pub fn of_lxc_start(name: &str) -> Sleeper {
        Sleeper::kept("/usr/bin/lxc-start", name)
    }

    /// Runs a command that has one child, which ends as `sleep` in another network namespace than
    /// ours. The command must see to it that the child ends with it.
    pub fn child(command: impl BorrowMut<Command>) -> Sleeper {
        let held = Held::start(command);
        let mut child = None;
        until("a child asleep in a namespace of its own", || {
            child = children(held.pid()).into_iter().find(|pid| {
                let comm = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
                comm == "sleep\n" && is_elsewhere(*pid)
            });
            child.is_some()
        });
        Sleeper { pid: child.expect("a child"), held }
    }

    /// Runs a command that ends as `sleep` under its own pid, in another network namespace than
    /// ours.
    pub fn apart(command: impl BorrowMut<Command>) -> Sleeper {
        let sleeper = Sleeper::spawn(command);
        until("a namespace of its own", || is_elsewhere(sleeper.pid));
        sleeper
    }

    /// Runs a command that ends as `sleep` under its own pid.
    pub fn spawn(command: impl BorrowMut<Command>) -> Sleeper {
        let held = Held::start(command);
        let comm = format!("/proc/{}/comm", held.pid());
        until("sleep", || fs::read_to_string(&comm).is_ok_and(|comm| comm == "sleep\n"));
        Sleeper { pid: held.pid(), held }
    }

    /// Returns its pid as a word.
    pub fn word(&self) -> String {
        self.pid.to_string()
    }

    /// Returns what readlink says about its network namespace.
    pub fn ns(&self) -> String {
        ns_of(self.pid)
    }

    /// Returns the inode of its network namespace.
    pub fn inode(&self) -> u64 {
        inode_of(self.pid).expect("a live process")
    }

    /// Returns field 22 of its stat.
    pub fn start_time(&self) -> u64 {
        start_time(self.pid)
    }

    /// Ends it and leaves it a zombie.
    pub fn kill(&mut self) {
        self.held.0.kill().expect("a signal");
        until("a zombie", || is_zombie(self.pid));
    }

    /// Ends it for good.
    pub fn reap(&mut self) {
        let _ = self.held.0.kill();
        let _ = self.held.0.wait();
        until("its end", || ns_of(self.pid).is_empty());
    }
}

/// The arguments of unshare(1) for what [`Sleeper::first`] starts.
const FIRST: [&str; 7] = ["--pid", "--fork", "--kill-child", "unshare", "--net", "sleep", "3600"];

/// Returns the children of a process.
pub fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let rest = stat.rsplit(')').next().unwrap_or_default();
        rest.split_whitespace().nth(1) == Some(&parent.to_string())
    };
    let names =
        fs::read_dir("/proc").expect("/proc").filter_map(|entry| Some(entry.ok()?.file_name()));
    names.filter_map(|name| name.to_str()?.parse().ok()).filter(is_child).collect()
}

/// Tells whether a process has ended and nobody has asked how.
pub fn is_zombie(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| stat.contains(") Z "))
}

/// Returns what readlink says about the network namespace of a process; empty when it is gone.
pub fn ns_of(pid: u32) -> String {
    let link = fs::read_link(format!("/proc/{pid}/ns/net")).unwrap_or_default();
    link.to_string_lossy().into_owned()
}

/// Tells whether a process lives in another network namespace than ours.
pub fn is_elsewhere(pid: u32) -> bool {
    let ns = ns_of(pid);
    !ns.is_empty() && ns != own_ns()
}

/// Returns what readlink says about our own network namespace.
pub fn own_ns() -> String {
    ns_of(std::process::id())
}

/// Returns the inode of a process's network namespace.
pub fn inode_of(pid: u32) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/ns/net")).ok().map(|meta| meta.ino())
}

/// Returns the inode in what readlink says about a network namespace.
pub fn inode_in(ns: &str) -> Option<u64> {
    ns.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
}

/// The inode of a process's pidfd; None where all pidfds have one, before Linux 6.9.
pub fn pidfd_inode(pid: u32) -> Option<u64> {
    let open = |pid: u32| {
        let pid = Pid::from_raw(i32::try_from(pid).ok()?)?;
        let pidfd = rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::empty()).ok()?;
        Some(rustix::fs::fstat(pidfd).ok()?.st_ino)
    };
    open(pid).filter(|inode| Some(*inode) != open(std::process::id()))
}

/// Returns field 22 of a process's stat.
pub fn start_time(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a live process");
    let rest = &stat[stat.rfind(')').expect("a name") + 1..];
    rest.split_whitespace().nth(22 - 3).expect("field 22").parse().expect("a number")
}

/// Starts a process of which one thread is alone in a network namespace; returns that thread's ID,
/// too.
pub fn thread_apart() -> (Held, u32) {
    let script = "
import ctypes, threading, time
def away():
    assert ctypes.CDLL(None).unshare(0x40000000) == 0
    time.sleep(3600)
threading.Thread(target=away).start()
time.sleep(3600)";
    let held = Held::start(Command::new("python3").args(["-c", script]));
    let apart = || {
        let tasks = fs::read_dir(format!("/proc/{}/task", held.pid())).into_iter().flatten();
        let mut tids = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
        tids.find(|tid: &u32| is_elsewhere(*tid))
    };
    until("a thread is in another namespace", || apart().is_some());
    let tid = apart().expect("a thread");
    (held, tid)
}

/// A cgroup directory made by hand, below the hierarchy of the pids controller (v1) or the unified
/// one.
pub struct Cgroup(pub PathBuf);

impl Cgroup {
    /// Makes one; `name` may have several components. None where no hierarchy can be written.
    pub fn new(name: &str) -> Option<Cgroup> {
        let mounts = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
        let mounts = mounts.iter().map(Path::new).filter(|m| m.join("cgroup.procs").exists());
        mounts.map(|m| m.join(name)).find(|dir| fs::create_dir_all(dir).is_ok()).map(Cgroup)
    }

    /// Moves a process into it.
    pub fn add(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("a process in the cgroup");
    }

    /// Returns where it is.
    pub fn path(&self) -> &str {
        self.0.to_str().expect("a plain path")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // To the top, so that no directory on the way up stays busy.
        let procs = self.0.ancestors().map(|dir| dir.join("cgroup.procs"));
        let top = procs.filter(|procs| procs.exists()).last();
        let own = fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default();
        for pid in own.lines() {
            let _ = top.as_ref().map(|procs| fs::write(procs, pid));
        }
        // Components of ours above it, too; the mount itself is never empty.
        let mut dir = Some(self.0.as_path());
        while let Some(path) = dir.filter(|dir| fs::remove_dir(dir).is_ok()) {
            dir = path.parent();
        }
    }
}

/// A shell script that unmounts, in a mount namespace of its own, what other tests and the
/// machine's engines have mounted: it vanishes when they remove what it is mounted on, and
/// namespaces that they keep are none of the test's.
pub const ALONE: &str = r#"
mount --make-rprivate /
awk '$5 ~ "^(/var)?/run/." || $5 ~ "^/var/lib/." || $5 ~ "/ne-t-" || / - nsfs / { print $5 }' /proc/self/mountinfo |
    tac | while read -r point; do umount -l "$point" 2>/dev/null || :; done
"#;

/// A shell script for [`apart`]: an empty /run, and an /etc that is a copy, so that users can be
/// made.
pub const OWN_ETC: &str = "mount -t tmpfs none /run
    mount -t tmpfs none /mnt && cp -a /etc/. /mnt && mount --move /mnt /etc";

/// Runs `test` in a thread that has a mount namespace of its own, without what others have mounted
/// and as the shell script `prepare` leaves it.
pub fn apart(prepare: &'static str, test: impl FnOnce() + Send + 'static) {
    let name = test_name().unwrap_or_else(|| "apart".to_owned());
    let apart = move || {
        netns_enter::sys::libc::unshare_mounts().expect("a mount namespace");
        sh(&format!("set -e\n{ALONE}\n{prepare}"), &[""; 0]).succeeds();
        test();
    };
    if let Err(panic) = thread::Builder::new().name(name).spawn(apart).unwrap().join() {
        std::panic::resume_unwind(panic);
    }
}

/// Returns 64 hexadecimal digits as engines make them, different for each call already in the first
/// four.
pub fn container_id() -> String {
    static SERIAL: AtomicU32 = AtomicU32::new(0);
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed).wrapping_add(process_number() << 12);
    // An odd factor permutes the numbers; two letters keep it from ever being all digits.
    let word = serial.wrapping_mul(0x9e37_79b1);
    format!("{word:08x}{}", "a1b2c3d4e5f60789").repeat(3).chars().take(64).collect()
}

/// Returns what runc writes into state.json, as far as anybody looks at it.
pub fn runc_state(id: &str, pid: u32, start: u64) -> String {
    format!(
        "{{\"id\":\"{id}\",\"init_process_pid\":{pid},\"init_process_start\":{start},\
         \"config\":{{\"rootfs\":\"/x\",\"labels\":[\"bundle=/x\"],\
         \"namespaces\":[{{\"type\":\"NEWNET\",\"path\":\"\"}}]}},\
         \"rootless\":false,\"cgroup_paths\":{{}},\
         \"namespace_paths\":{{\"NEWNET\":\"/proc/{pid}/ns/net\"}}}}"
    )
}

/// Returns what docker writes into config.v2.json, with labels that say otherwise before the real
/// keys.
pub fn docker_config(id: &str, name: &str, pid: u32) -> String {
    format!(
        "{{\"StreamConfig\":{{}},\"State\":{{\"Running\":true,\"Pid\":{pid}}},\"ID\":\"{id}\",\
         \"Config\":{{\"Env\":[\"Name=/victim\"],\
         \"Labels\":{{\"Name\":\"/victim\",\"State\":\"x\",\"ID\":\"victim\"}}}},\
         \"Name\":\"/{name}\",\"NetworkSettings\":{{\"SandboxKey\":\"/proc/1/ns/net\"}}}}"
    )
}

/// Makes a root directory with nothing but busybox.
pub fn busybox_root(scratch: &Scratch) -> Result<String, String> {
    let places = ["/usr/bin/busybox", "/bin/busybox"];
    let busybox = places.into_iter().find(|path| Path::new(path).is_file());
    let root = scratch.dir().join("root");
    for dir in ["bin", "proc", "sys", "dev", "etc", "tmp", "var/run"] {
        fs::create_dir_all(root.join(dir)).map_err(|e| e.to_string())?;
    }
    fs::copy(busybox.ok_or("no static busybox")?, root.join("bin/busybox"))
        .map_err(|e| e.to_string())?;
    for applet in ["sh", "sleep", "true"] {
        symlink("busybox", root.join("bin").join(applet)).map_err(|e| e.to_string())?;
    }
    Ok(scratch.path("root"))
}

/// Tells whether a program is on this machine.
pub fn has(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin:/usr/bin:/bin";
    path.split(':').any(|dir| !dir.is_empty() && Path::new(dir).join(program).is_file())
}

/// Tells that all these programs are here and that the tests run as root; else why not.
pub fn has_all(programs: &[&str]) -> Result<(), String> {
    if !fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0) {
        return Err("needs root".to_owned());
    }
    match programs.iter().find(|program| !has(program)) {
        Some(program) => Err(format!("{program} is not installed")),
        None => Ok(()),
    }
}

/// Skips where a program is missing or the tests do not run as root; true then.
#[track_caller]
pub fn lacks(programs: &[&str]) -> bool {
    has_all(programs).map_err(|reason| skip(&reason)).is_err()
}

/// Tells whether the small static build is under test; skips where not.
#[track_caller]
pub fn small_build() -> bool {
    let path = binary();
    let reason = if std::env::var_os("NETNS_ENTER_BIN").is_none() {
        "NETNS_ENTER_BIN names no small build; make test does that".to_owned()
    } else if has_interpreter(&path) {
        format!("{} is not static", path.display())
    } else {
        return true;
    };
    skip(&reason);
    false
}

/// Tells whether a file is a 64-bit program that is linked when it starts: elf(5), PT_INTERP.
fn has_interpreter(path: &Path) -> bool {
    let bytes = fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let half = |at: usize| usize::from(u16::from_ne_bytes([bytes[at], bytes[at + 1]]));
    let word = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    let (table, size, count) = (word(32) as usize, half(54), half(56));
    (0..count).any(|nth| word(table + nth * size) == 3)
}

/// Records that the calling test cannot run here. The test returns after it; where everything must
/// work it panics.
#[track_caller]
pub fn skip(reason: &str) {
    let caller = std::panic::Location::caller();
    let name = test_name().unwrap_or_else(|| format!("{}:{}", caller.file(), caller.line()));
    let must_work = std::env::var_os("NETNS_ENTER_TEST_MUST_WORK").is_some_and(|v| v == "1");
    assert!(!must_work, "{name} may not skip: {reason}");
    let line = format!("SKIPPED {name}: {reason}\n");
    if let Some(path) = std::env::var_os("NETNS_ENTER_TEST_SKIPS") {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    tell(&line);
}

/// Says something even where the harness keeps what tests print.
pub fn tell(text: &str) {
    let _ = std::io::stderr().write_all(text.as_bytes());
}

/// Returns the name of the test that this thread runs, if it has one.
pub fn test_name() -> Option<String> {
    let current = thread::current();
    current.name().filter(|name| *name != "main").map(str::to_owned)
}

/// Returns every spelling of every option.
pub fn spellings() -> Vec<String> {
    let own = OPTIONS.iter().flat_map(|opt| {
        let short = opt.short.map(|short| format!("-{short}"));
        short.into_iter().chain([format!("--{}", opt.long)])
    });
    own.chain(ALIASES.map(String::from)).collect()
}
