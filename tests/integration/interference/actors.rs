//! Who adds things: a user's shell, by a real uid and in a cgroup that is the user's, and the first
//! process of a container, whose root acts.
//!
//! Each is a shell that waits for numbers of scripts; what it does it does by itself.

#![forbid(unsafe_code)]

use super::machine::{HOME, hierarchies};
use crate::util::{USER, as_user};
use rustix::process::{Pid, Signal, kill_process};
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// How long a script may take.
const PATIENCE: Duration = Duration::from_secs(300);
/// How long, where what was added before it may stand in its way for ever (a file system that does not
/// answer).
const LITTLE_PATIENCE: Duration = Duration::from_secs(20);

/// What a user's scripts may call. `$T` is a directory of their own.
const LIBRARY: &str = include_str!("library.sh");

/// The loop of a user's shell; a container's is in setup.sh.
const LOOP: &str = "
while read -r n; do
    (set -e; . ./go.$n) >out.$n 2>&1 </dev/null
    echo $? >done.new
    mv done.new done.$n
done";

/// Somebody who does what is told.
pub struct Actor {
    /// The process that is to stay.
    pub pid: u32,
    dir: PathBuf,
    to: To,
    count: usize,
}

enum To {
    User(Child, ChildStdin),
    Container(File),
}

impl Actor {
    /// Starts a user's shell in a cgroup; `dir` is where it gets its scripts.
    pub fn user(dir: &str, cgroup: &str) -> Actor {
        fs::create_dir_all(dir).expect("a directory");
        chown(dir, Some(USER), Some(USER)).expect("chown");
        fs::write(format!("{dir}/library"), LIBRARY).expect("a script");
        let mut shell = as_user(USER, &["sh", "-c", &format!(". ./library\n{LOOP}")]);
        shell
            .current_dir(dir)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
        shell.env("HOME", HOME).env("USER", "ne-ann").env("LANG", "C");
        let run = format!("/run/user/{USER}");
        shell.env("XDG_RUNTIME_DIR", &run).env("run", &run);
        // Not UID, which some shells keep for themselves.
        shell.env("me", USER.to_string()).env("tops", hierarchies().join(" "));
        shell.env("mine", cgroup.trim_end_matches("/own"));
        shell.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut child = shell.spawn().expect("a shell");
        let stdin = child.stdin.take().expect("a pipe");
        for top in hierarchies() {
            fs::write(format!("{top}{cgroup}/cgroup.procs"), child.id().to_string())
                .expect("a cgroup");
        }
        let (pid, dir) = (child.id(), PathBuf::from(dir));
        Actor { pid, dir, to: To::User(child, stdin), count: 0 }
    }

    /// Returns the first process of a container, which waits in `dir`.
    pub fn in_container(dir: &str, pid: Option<u32>) -> Actor {
        let fifo =
            OpenOptions::new().read(true).write(true).open(format!("{dir}/in")).expect("a FIFO");
        let (pid, dir) = (pid.expect("a process"), PathBuf::from(dir));
        Actor { pid, dir, to: To::Container(fifo), count: 0 }
    }

    /// Does it, and waits until it is done; it must succeed unless something may stand in its way.
    pub fn does(&mut self, script: &str, must_succeed: bool) {
        let n = self.count;
        self.count += 1;
        let path = |name: &str| self.dir.join(format!("{name}.{n}"));
        fs::write(path("go"), script).expect("a script");
        let told = match &mut self.to {
            To::User(_, stdin) => writeln!(stdin, "{n}"),
            To::Container(fifo) => writeln!(fifo, "{n}"),
        };
        told.expect("somebody who listens");
        let start = Instant::now();
        let mut is_ended = must_succeed;
        while !path("done").exists() {
            let said = || fs::read_to_string(path("out")).unwrap_or_default();
            assert!(start.elapsed() < PATIENCE, "it does not end:\n{script}\n{}", said());
            if start.elapsed() > LITTLE_PATIENCE && !is_ended {
                self.end_script();
                is_ended = true;
            }
            sleep(Duration::from_millis(1));
        }
        let status = fs::read_to_string(path("done")).unwrap_or_default();
        let said = fs::read_to_string(path("out")).unwrap_or_default();
        assert!(!must_succeed || status.trim() == "0", "it failed: {status}\n{script}\n{said}");
    }

    /// Ends the script that a user's shell waits for. A container's shell is left to it: it is also the
    /// parent of whatever the script has left.
    fn end_script(&self) {
        if let To::User(..) = self.to {
            let children = format!("/proc/{0}/task/{0}/children", self.pid);
            for child in fs::read_to_string(children).expect("children").split_whitespace() {
                let pid = child.parse().ok().and_then(Pid::from_raw).expect("a pid");
                let _ = kill_process(pid, Signal::KILL);
            }
        }
    }

    /// Forgets what was done.
    pub fn reset(&mut self) {
        for entry in fs::read_dir(&self.dir).expect("a directory").flatten() {
            let path = entry.path();
            let is_kept = ["in", "init", "library"].iter().any(|name| path.ends_with(name));
            let _ = match entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                _ if is_kept => Ok(()),
                true => fs::remove_dir_all(path),
                false => fs::remove_file(path),
            };
        }
    }
}

impl Drop for Actor {
    fn drop(&mut self) {
        if let To::User(child, _) = &mut self.to {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
