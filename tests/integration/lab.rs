//! What a test of "the right namespace" needs: real processes in real namespaces, scratch directories, real cgroups, and the
//! two ways a run may end: in that namespace, or with 125 and nothing executed.

#![forbid(unsafe_code)]

use crate::util::{self, unique, until, widen_path};
use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// A uid that nobody has, and that is not an overflow uid.
pub const USER: u32 = 65533;

static SERIAL: AtomicU32 = AtomicU32::new(0);

/// 64 hexadecimal digits as engines make them, different for each call already in the first four.
pub fn container_id() -> String {
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed).wrapping_add(std::process::id() << 12);
    // An odd factor permutes the numbers; two letters keep it from ever being all digits.
    let word = serial.wrapping_mul(0x9e37_79b1);
    format!("{word:08x}{}", "a1b2c3d4e5f60789").repeat(3).chars().take(64).collect()
}

/// A directory that goes away with the value.
pub struct Scratch(pub PathBuf);

impl Scratch {
    pub fn new(word: &str) -> Scratch {
        let path = std::env::temp_dir().join(unique(word));
        fs::create_dir(&path).expect("a scratch directory");
        Scratch(path)
    }

    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("a plain path").to_owned()
    }

    /// Writes a file below, with the directories it needs.
    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.path(name);
        fs::create_dir_all(Path::new(&path).parent().expect("a directory")).expect("directories");
        fs::write(&path, text).expect("a file");
        path
    }

    pub fn link(&self, name: &str, to: &str) -> String {
        let path = self.path(name);
        fs::create_dir_all(Path::new(&path).parent().expect("a directory")).expect("directories");
        symlink(to, &path).expect("a link");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A process that sleeps in a network namespace of its own, or where the command put it.
pub struct Sleeper {
    child: Child,
    pub pid: u32,
}

impl Sleeper {
    /// One in a new network namespace.
    pub fn start() -> Sleeper {
        let sleeper = Sleeper::spawn(Command::new("unshare").args(["-n", "sleep", "300"]));
        sleeper.leaves(&own_ns());
        sleeper
    }

    /// One of [`USER`]'s, in a user and a network namespace that this user made.
    pub fn of_user() -> Sleeper {
        let uid = USER.to_string();
        let sleeper = Sleeper::spawn(Command::new("setpriv").args(["--reuid", &uid, "--regid", &uid]).args([
            "--clear-groups",
            "unshare",
            "-Un",
            "sleep",
            "300",
        ]));
        sleeper.leaves(&own_ns());
        sleeper
    }

    /// Runs a command that ends as a sleeping process under its own pid.
    pub fn spawn(command: &mut Command) -> Sleeper {
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("a process");
        let sleeper = Sleeper { pid: child.id(), child };
        let asleep = || fs::read_to_string(format!("/proc/{}/comm", sleeper.pid)).is_ok_and(|c| c == "sleep\n");
        until("sleep", asleep);
        sleeper
    }

    fn leaves(&self, ns: &str) {
        until("a namespace of its own", || self.ns() != ns);
    }

    /// Its pid as a word.
    pub fn word(&self) -> String {
        self.pid.to_string()
    }

    /// What readlink says about its network namespace.
    pub fn ns(&self) -> String {
        ns_of(self.pid)
    }

    /// Field 22 of its stat.
    pub fn start_time(&self) -> u64 {
        start_time(self.pid)
    }

    /// Ends it and leaves it a zombie.
    pub fn kill(&mut self) {
        self.child.kill().expect("a signal");
        until("a zombie", || fs::read_to_string(format!("/proc/{}/stat", self.pid)).is_ok_and(|s| s.contains(") Z ")));
    }

    /// Ends it for good.
    pub fn reap(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.reap();
    }
}

/// A cgroup directory made by hand, below the hierarchy of the pids controller (v1) or the unified one.
pub struct Cgroup(pub PathBuf);

impl Cgroup {
    /// `name` may have several components; None where no hierarchy can be written.
    pub fn new(name: &str) -> Option<Cgroup> {
        let mounts = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"];
        let mounts = mounts.iter().map(Path::new).filter(|m| m.join("cgroup.procs").exists());
        mounts.map(|m| m.join(name)).find(|dir| fs::create_dir_all(dir).is_ok()).map(Cgroup)
    }

    pub fn add(&self, pid: u32) {
        fs::write(self.0.join("cgroup.procs"), pid.to_string()).expect("a process in the cgroup");
    }

    pub fn path(&self) -> &str {
        self.0.to_str().expect("a plain path")
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // To the top, so that no directory on the way up stays busy.
        let top = self.0.ancestors().map(|dir| dir.join("cgroup.procs")).filter(|procs| procs.exists()).last();
        for pid in fs::read_to_string(self.0.join("cgroup.procs")).unwrap_or_default().lines() {
            let _ = top.as_ref().map(|p| fs::write(p, pid));
        }
        // Components of ours above it, too; the mount itself is never empty.
        let mut dir = Some(self.0.as_path());
        while let Some(path) = dir.filter(|d| fs::remove_dir(d).is_ok()) {
            dir = path.parent();
        }
    }
}

/// What readlink says about the network namespace of a process; empty when it is gone.
pub fn ns_of(pid: u32) -> String {
    let link = fs::read_link(format!("/proc/{pid}/ns/net")).unwrap_or_default();
    link.to_string_lossy().into_owned()
}

pub fn own_ns() -> String {
    ns_of(std::process::id())
}

/// Field 22 of a process's stat.
pub fn start_time(pid: u32) -> u64 {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("a live process");
    let rest = &stat[stat.rfind(')').expect("a name") + 1..];
    rest.split_whitespace().nth(22 - 3).expect("field 22").parse().expect("a number")
}

/// What a run said, told in the message of an assertion.
pub fn told(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{}\nstdout: {out}\nstderr: {err}", output.status)
}

/// Runs a command to its end, at most 20 s.
pub fn finish(command: &mut Command) -> Output {
    widen_path(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|e| panic!("{command:?}: {e}"));
    let end = Instant::now() + Duration::from_secs(20);
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if Instant::now() > end {
            let _ = child.kill();
            let _ = child.wait();
            panic!("{command:?} hangs");
        }
        sleep(Duration::from_millis(2));
    };
    // What is said here fits into a pipe; a daemon that kept the pipe open must not keep us.
    Output { status, stdout: drain(child.stdout.take()), stderr: drain(child.stderr.take()) }
}

fn drain<R: Read + std::os::fd::AsFd>(pipe: Option<R>) -> Vec<u8> {
    let mut text = Vec::new();
    if let Some(mut pipe) = pipe {
        rustix::io::ioctl_fionbio(&pipe, true).expect("a pipe");
        // WouldBlock only says that somebody else still holds the other end.
        let _ = pipe.read_to_end(&mut text);
    }
    text
}

/// The binary under test, as a command to be extended.
pub fn program() -> Command {
    Command::new(util::binary())
}

/// Runs `command`, extended by a COMMAND that tells its namespace; it must be `ns`. Returns stderr.
#[track_caller]
pub fn command_enters(mut command: Command, ns: &str) -> String {
    assert!(ns.starts_with("net:["), "no namespace to compare with");
    let output = finish(command.args(["--", "readlink", "/proc/self/ns/net"]));
    assert!(output.status.success(), "{command:?}: {}", told(&output));
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), ns, "{command:?}: {}", told(&output));
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// As [`command_enters`], but the run must end with 125, nothing executed, and each of `words` in its message.
#[track_caller]
pub fn command_refuses(mut command: Command, words: &[&str]) -> String {
    let scratch = Scratch::new("marker");
    let marker = scratch.path("ran");
    let output = finish(command.args(["--", "touch", &marker]));
    assert!(!Path::new(&marker).exists(), "{command:?} ran COMMAND: {}", told(&output));
    assert_eq!(output.status.signal(), None, "{command:?}: {}", told(&output));
    assert_eq!(output.status.code(), Some(125), "{command:?}: {}", told(&output));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.starts_with("netns-enter: "), "{command:?}: {said}");
    for word in words {
        assert!(said.contains(word), "{command:?} does not say {word:?}: {said}");
    }
    said
}

/// `netns-enter ARGS -- readlink …` must run in `ns`.
#[track_caller]
pub fn enters(args: &[&str], ns: &str) -> String {
    let mut command = program();
    command.args(args);
    command_enters(command, ns)
}

/// `netns-enter ARGS -- …` must end with 125 and run nothing.
#[track_caller]
pub fn refuses(args: &[&str], words: &[&str]) -> String {
    let mut command = program();
    command.args(args);
    command_refuses(command, words)
}

/// That all these programs are here, and that we are root; else why not.
pub fn has_all(programs: &[&str]) -> Result<(), String> {
    if !util::is_root() {
        return Err("needs root".to_owned());
    }
    match programs.iter().find(|program| !util::has(program)) {
        Some(program) => Err(format!("{program} is not installed")),
        None => Ok(()),
    }
}

/// Where busybox is.
pub fn busybox() -> Result<String, String> {
    let places = ["/usr/bin/busybox", "/bin/busybox"];
    let found = places.into_iter().find(|path| Path::new(path).is_file());
    found.map(str::to_owned).ok_or_else(|| "no static busybox".to_owned())
}

/// A root directory with nothing but busybox.
pub fn busybox_root(scratch: &Scratch) -> Result<String, String> {
    let busybox = busybox()?;
    let root = scratch.0.join("root");
    for dir in ["bin", "proc", "sys", "dev", "etc", "tmp", "var/run"] {
        fs::create_dir_all(root.join(dir)).map_err(|e| e.to_string())?;
    }
    fs::copy(busybox, root.join("bin/busybox")).map_err(|e| e.to_string())?;
    for applet in ["sh", "sleep", "true"] {
        symlink("busybox", root.join("bin").join(applet)).map_err(|e| e.to_string())?;
    }
    Ok(root.to_str().expect("a plain path").to_owned())
}

/// Runs a tool of an engine; its stdout, or why not.
pub fn tool(command: &[&str]) -> Result<String, String> {
    let output = finish(Command::new(command[0]).args(&command[1..]));
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
        false => Err(format!("{}: {}", command.join(" "), told(&output))),
    }
}

/// What runc writes into state.json, as far as anybody looks at it.
pub fn runc_state(id: &str, pid: u32, start: u64) -> String {
    format!(
        "{{\"id\":\"{id}\",\"init_process_pid\":{pid},\"init_process_start\":{start},\
         \"config\":{{\"rootfs\":\"/x\",\"labels\":[\"bundle=/x\"],\"namespaces\":[{{\"type\":\"NEWNET\",\"path\":\"\"}}]}},\
         \"rootless\":false,\"cgroup_paths\":{{}},\"namespace_paths\":{{\"NEWNET\":\"/proc/{pid}/ns/net\"}}}}"
    )
}

/// What docker writes into config.v2.json, with labels that say otherwise before the real keys.
pub fn docker_config(id: &str, name: &str, pid: u32) -> String {
    format!(
        "{{\"StreamConfig\":{{}},\"State\":{{\"Running\":true,\"Pid\":{pid}}},\"ID\":\"{id}\",\
         \"Config\":{{\"Env\":[\"Name=/victim\"],\"Labels\":{{\"Name\":\"/victim\",\"State\":\"x\",\"ID\":\"victim\"}}}},\
         \"Name\":\"/{name}\",\"NetworkSettings\":{{\"SandboxKey\":\"/proc/1/ns/net\"}}}}"
    )
}
