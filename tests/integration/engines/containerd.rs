//! containerd by `ctr`.

#![forbid(unsafe_code)]

use super::{Daemon, number};
use crate::util::{Scratch, ask, busybox_root, has_all, unique};
use std::fs;

const SOCKET: &str = "/run/containerd/containerd.sock";

pub struct Containerd {
    daemon: Option<Daemon>,
    _scratch: Scratch,
    root: String,
    containers: Vec<(String, String)>,
}

impl Containerd {
    pub fn start() -> Result<Containerd, String> {
        has_all(&["containerd", "ctr", "runc"])?;
        let probe = ["ctr", "version"];
        let daemon = match ask(&probe) {
            Ok(_) => None,
            Err(_) => Some(Daemon::start(&["containerd"], &probe)?),
        };
        let scratch = Scratch::new("containerd");
        let root = busybox_root(&scratch)?;
        Ok(Containerd { daemon, _scratch: scratch, root, containers: Vec::new() })
    }

    /// A container with this ID in a containerd namespace, with these annotations; returns its pid.
    pub fn run(
        &mut self,
        namespace: &str,
        id: &str,
        annotations: &[String],
    ) -> Result<u32, String> {
        self.containers.push((namespace.to_owned(), id.to_owned()));
        let annotations: Vec<&str> =
            annotations.iter().flat_map(|a| ["--annotation", a.as_str()]).collect();
        let head = ["ctr", "-n", namespace, "run", "-d", "--rootfs"];
        ask(&[&head[..], &annotations, &[&self.root, id, "/bin/sleep", "3600"]].concat())?;
        self.pid(namespace, id)
    }

    fn pid(&self, namespace: &str, id: &str) -> Result<u32, String> {
        let tasks = ask(&["ctr", "-n", namespace, "task", "ls"])?;
        let mut rows = tasks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let row = rows.find(|row| row.first() == Some(&id));
        number(row.and_then(|row| row.get(1).copied()).unwrap_or_default())
    }

    pub fn kill(&self, namespace: &str, id: &str) -> Result<String, String> {
        ask(&["ctr", "-n", namespace, "task", "kill", "-s", "9", id])
    }

    /// The process of the daemon, if it is ours.
    pub fn daemon_pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(Daemon::pid)
    }

    /// A name that nothing else has.
    pub fn name() -> String {
        unique("ctr")
    }
}

impl Drop for Containerd {
    fn drop(&mut self) {
        for (namespace, id) in &self.containers {
            let _ = ask(&["ctr", "-n", namespace, "task", "rm", "-f", id]);
            let _ = ask(&["ctr", "-n", namespace, "container", "rm", id]);
        }
        if self.daemon.take().is_some() {
            // dockerd takes a socket that was left for a daemon.
            let _ = fs::remove_file(SOCKET);
        }
    }
}
