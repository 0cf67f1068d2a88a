//! What the tests share: the binary under test, throwaway directories and namespaces, and skipping.

use netns_enter::cli::{ALIASES, options};
use rustix::process::{Pid, Signal, kill_process_group};
use std::ffi::OsStr;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// How long any one command may take; the machine may be slow and shared.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The binary under test: that of `make`, or cargo's own.
pub fn binary() -> PathBuf {
    std::env::var_os("NETNS_ENTER_BIN").map_or_else(|| env!("CARGO_BIN_EXE_netns-enter").into(), PathBuf::from)
}

/// Runs netns-enter with these arguments.
pub fn run<S: AsRef<OsStr>>(args: &[S]) -> Output {
    let mut command = Command::new(binary());
    command.args(args);
    finish(command)
}

/// Runs a tool of the machine with these arguments.
pub fn tool<S: AsRef<OsStr>>(program: &str, args: &[S]) -> Output {
    let mut command = Command::new(program);
    command.args(args);
    finish(command)
}

/// Runs a shell script; its arguments are `$1` and so on.
pub fn sh<S: AsRef<OsStr>>(script: &str, args: &[S]) -> Output {
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).args(args);
    finish(command)
}

/// Runs a command to its end with nothing on standard input; panics when that takes too long.
pub fn finish(command: Command) -> Output {
    finish_within(PATIENCE, command)
}

/// As [`finish`], for what is known to take long.
pub fn finish_within(patience: Duration, mut command: Command) -> Output {
    widen_path(&mut command);
    let shown = format!("{command:?}");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|e| panic!("{shown}: {e}"));
    let stdout = drain(child.stdout.take());
    let stderr = drain(child.stderr.take());
    let status = wait(&mut child, &shown, patience);
    let text = |pipe: thread::JoinHandle<Vec<u8>>| String::from_utf8_lossy(&pipe.join().unwrap()).into_owned();
    Output { shown, status, stdout: text(stdout), stderr: text(stderr) }
}

/// Sees to it that tools are found where a login without /usr/sbin in its PATH would miss them.
pub fn widen_path(command: &mut Command) {
    let path = std::env::var("PATH").unwrap_or_default();
    if !command.get_envs().any(|(key, _)| key == "PATH") {
        command.env("PATH", format!("{path}:/usr/sbin:/sbin:/usr/bin:/bin"));
    }
}

fn drain(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut all = Vec::new();
        let _ = pipe.map(|mut pipe| pipe.read_to_end(&mut all));
        all
    })
}

fn wait(child: &mut Child, shown: &str, patience: Duration) -> ExitStatus {
    let end = Instant::now() + patience;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{shown}: still running after {patience:?}");
        }
        thread::sleep(Duration::from_millis(5));
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
    /// The command exited with this status.
    #[track_caller]
    pub fn exits(&self, status: i32) -> &Output {
        assert!(self.status.code() == Some(status), "expected exit status {status}\n{}", self.dump());
        self
    }

    /// The command exited with 0.
    #[track_caller]
    pub fn succeeds(&self) -> &Output {
        self.exits(0)
    }

    /// netns-enter failed by itself: 125, nothing printed, and a complaint that has each of these words.
    #[track_caller]
    pub fn refuses(&self, words: &[&str]) -> &Output {
        self.exits(125).says(words);
        assert!(self.stdout.is_empty(), "something ran\n{}", self.dump());
        let ours = self.stderr.lines().all(|line| line.starts_with("netns-enter: "));
        assert!(ours, "a line is not in our own voice\n{}", self.dump());
        self
    }

    /// Standard error has each of these words.
    #[track_caller]
    pub fn says(&self, words: &[&str]) -> &Output {
        for word in words {
            assert!(self.stderr.contains(word), "{word:?} is not said\n{}", self.dump());
        }
        self
    }

    /// Standard output, without the blanks around it, is this.
    #[track_caller]
    pub fn prints(&self, text: &str) -> &Output {
        assert!(self.stdout.trim() == text.trim(), "expected output {text:?}\n{}", self.dump());
        self
    }

    /// All there is to know.
    pub fn dump(&self) -> String {
        let end = match self.status.signal() {
            Some(signal) => format!("signal {signal}"),
            None => format!("{:?}", self.status.code()),
        };
        format!("{}\nended: {end}\nstdout:\n{}\nstderr:\n{}", self.shown, self.stdout, self.stderr)
    }
}

/// A name that no other run and no other test has: `ne-t-KIND-PID-N`.
pub fn unique(kind: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("ne-t-{kind}-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// A directory that everybody may enter and that is gone after the test.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// An empty one.
    pub fn new() -> Scratch {
        let path = std::env::temp_dir().join(unique("dir"));
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Scratch(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path in it.
    pub fn join(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Writes a file in it, directories on the way too.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A copy of the binary under test where any user can reach it.
    pub fn copy_of_binary(&self) -> PathBuf {
        let copy = self.join("netns-enter");
        fs::copy(binary(), &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        copy
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A child that dies with the test.
#[derive(Debug)]
pub struct Held(pub Child);

impl Held {
    /// Starts a command that is to be held, with nothing on its standard descriptors but standard error.
    pub fn start(mut command: Command) -> Held {
        widen_path(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::null()).process_group(0);
        Held(command.spawn().unwrap_or_else(|e| panic!("{command:?}: {e}")))
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.0.id()
    }

    /// Its pid as a word.
    pub fn word(&self) -> String {
        self.pid().to_string()
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // With all that it has started, such as the halves of a shell's pipe.
        let group = i32::try_from(self.pid()).ok().and_then(Pid::from_raw);
        let _ = group.map(|group| kill_process_group(group, Signal::KILL));
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process alone in a network namespace of its own.
#[derive(Debug)]
pub struct NetnsProcess {
    child: Held,
    /// The inode of its namespace.
    pub inode: u64,
}

impl NetnsProcess {
    /// Makes one by unshare(1).
    pub fn new() -> NetnsProcess {
        let mut command = Command::new("unshare");
        command.args(["-n", "sleep", "3600"]);
        NetnsProcess::start(command)
    }

    /// Takes a command that moves itself, in its own process, to a new network namespace and stays there in `sleep`.
    pub fn start(command: Command) -> NetnsProcess {
        let child = Held::start(command);
        let pid = child.pid();
        until("the process is in its namespace", || {
            let there = inode_of(pid).is_some_and(|inode| Some(inode) != inode_of(std::process::id()));
            let settled = fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm.trim() == "sleep");
            there && settled
        });
        NetnsProcess { inode: inode_of(pid).unwrap(), child }
    }

    /// Its pid.
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// Its pid as a word.
    pub fn word(&self) -> String {
        self.child.word()
    }

    /// What `readlink /proc/self/ns/net` prints inside.
    pub fn link(&self) -> String {
        format!("net:[{}]", self.inode)
    }
}

/// The inode of a process's network namespace.
pub fn inode_of(pid: u32) -> Option<u64> {
    fs::metadata(format!("/proc/{pid}/ns/net")).ok().map(|meta| meta.ino())
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

/// Whether a program is on this machine.
pub fn has(program: &str) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin:/usr/bin:/bin";
    path.split(':').any(|dir| !dir.is_empty() && Path::new(dir).join(program).is_file())
}

/// Records that the calling test cannot run here. The test returns after it; where everything must work it panics.
#[track_caller]
pub fn skip(reason: &str) {
    let caller = std::panic::Location::caller();
    let current = thread::current();
    let name = match current.name() {
        Some(name) if name != "main" => name.to_string(),
        _ => format!("{}:{}", caller.file(), caller.line()),
    };
    assert!(std::env::var_os("NETNS_ENTER_TEST_MUST_WORK").is_none_or(|v| v != "1"), "{name} may not skip: {reason}");
    let line = format!("SKIPPED {name}: {reason}\n");
    if let Some(path) = std::env::var_os("NETNS_ENTER_TEST_SKIPS") {
        let mut file = fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
        file.write_all(line.as_bytes()).unwrap();
    }
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// Skips where a program is missing or the tests do not run as root; true then.
#[track_caller]
pub fn lacks(programs: &[&str]) -> bool {
    if !is_root() {
        skip("needs root");
        return true;
    }
    match programs.iter().find(|program| !has(program)) {
        Some(program) => {
            skip(&format!("{program} is not installed"));
            true
        }
        None => false,
    }
}

/// Whether the tests run as root.
pub fn is_root() -> bool {
    fs::metadata("/proc/self").is_ok_and(|meta| meta.uid() == 0)
}

/// Every spelling of every option.
pub fn spellings() -> Vec<String> {
    let own = options().flat_map(|opt| [opt.short, opt.long]).map(|spelling| String::from_utf8_lossy(spelling).into());
    own.filter(|spelling: &String| spelling.starts_with('-')).chain(ALIASES.map(String::from)).collect()
}
