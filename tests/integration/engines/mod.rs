//! One starter for each engine that can run on a plain machine: containers from a busybox root,
//! cleaned up when dropped.
//!
//! They use the default directories, which on the stage (tests/stage) are empty and nobody else's.

#![forbid(unsafe_code)]

pub mod containerd;
pub mod crun;
pub mod docker;
pub mod lxc;
pub mod podman;
pub mod rootless;
pub mod runc;

use crate::util::{PATIENCE, Scratch, ask, widen_path};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// dockerd uses the machine's containerd where it finds one: they must not come and go under each
/// other.
static DAEMONS: Mutex<()> = Mutex::new(());

/// Keeps other tests from starting or ending a daemon.
pub fn alone_with_daemons() -> MutexGuard<'static, ()> {
    DAEMONS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A daemon of ours, ended politely.
pub struct Daemon {
    child: Child,
    scratch: Scratch,
}

impl Daemon {
    /// Starts it and waits until `probe` succeeds; else the last lines of its log.
    pub fn start(command: &[&str], probe: &[&str]) -> Result<Daemon, String> {
        let scratch = Scratch::new("daemon");
        let log = fs::File::create(scratch.path("log")).map_err(|e| e.to_string())?;
        let mut start = Command::new(command[0]);
        widen_path(&mut start);
        start.args(&command[1..]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(log);
        let child = start.spawn().map_err(|e| format!("{}: {e}", command[0]))?;
        let mut daemon = Daemon { child, scratch };
        let end = Instant::now() + PATIENCE;
        while ask(probe).is_err() {
            if Instant::now() > end || daemon.child.try_wait().is_ok_and(|status| status.is_some())
            {
                return Err(format!("{} does not start: {}", command[0], daemon.last_words()));
            }
            sleep(Duration::from_millis(100));
        }
        Ok(daemon)
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    fn last_words(&self) -> String {
        let log = fs::read_to_string(self.scratch.path("log")).unwrap_or_default();
        log.lines().rev().take(3).collect::<Vec<_>>().join(" | ")
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Of one that has ended the number may be another's by now.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            signal(self.child.id(), Signal::TERM);
        }
        let end = Instant::now() + PATIENCE;
        while Instant::now() < end {
            if self.child.try_wait().is_ok_and(|status| status.is_some()) {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A process that hangs as long as the value lives.
pub struct Hung(u32);

impl Hung {
    pub fn new(pid: u32) -> Hung {
        signal(pid, Signal::STOP);
        Hung(pid)
    }
}

impl Drop for Hung {
    fn drop(&mut self) {
        signal(self.0, Signal::CONT);
    }
}

fn signal(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// A number that a tool printed.
fn number(text: &str) -> Result<u32, String> {
    text.trim().parse().map_err(|_| format!("not a pid: {text:?}"))
}

/// A bundle for an OCI runtime: its config.json is what `runtime spec` writes, but sleeping in a
/// busybox root without a terminal.
fn bundle(scratch: &Scratch, root: &str, runtime: &str) -> Result<String, String> {
    let dir = scratch.path("bundle");
    fs::create_dir_all(&dir).map_err(|e| e.to_string())?;
    ask(&["sh", "-c", "cd \"$1\" && exec \"$2\" spec", "sh", &dir, runtime])?;
    let config = format!("{dir}/config.json");
    let spec = fs::read_to_string(&config).map_err(|e| e.to_string())?;
    let spec = spec
        .replacen("\"terminal\": true", "\"terminal\": false", 1)
        .replacen("\"sh\"", "\"/bin/sleep\", \"3600\"", 1)
        .replacen("\"rootfs\"", &format!("{root:?}"), 1);
    fs::write(config, spec).map_err(|e| e.to_string())?;
    Ok(dir)
}
