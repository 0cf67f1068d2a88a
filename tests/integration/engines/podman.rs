//! podman, rootful, on runc.

#![forbid(unsafe_code)]

use super::number;
use crate::util::{Scratch, ask, busybox_root, has_all, unique};
use std::fs;

pub struct Podman {
    image: String,
    pub name: String,
    pub id: String,
    pub pid: u32,
}

impl Podman {
    pub fn start() -> Result<Podman, String> {
        has_all(&["podman", "conmon", "runc", "tar"])?;
        let scratch = Scratch::new("podman");
        let root = busybox_root(&scratch)?;
        let tar = scratch.path("root.tar");
        ask(&["tar", "-C", &root, "-cf", &tar, "."])?;
        let image = format!("localhost/{}:latest", unique("image"));
        let mut podman = Podman { image, name: unique("podman"), id: String::new(), pid: 0 };
        ask(&["podman", "import", &tar, &podman.image])?;
        // A machine whose limits may not be raised needs them said.
        let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"];
        let head = [
            "podman",
            "--runtime",
            "runc",
            "run",
            "-d",
            "--network",
            "none",
            "--name",
            &podman.name,
        ];
        podman.id = ask(&[&head[..], &limits, &[&podman.image, "/bin/sleep", "3600"]].concat())?;
        podman.pid = number(&ask(&["podman", "inspect", "-f", "{{.State.Pid}}", &podman.name])?)?;
        Ok(podman)
    }

    /// The process that watches the container.
    pub fn conmon(&self) -> Result<u32, String> {
        let file = ask(&["podman", "inspect", "-f", "{{.ConmonPidFile}}", &self.name])?;
        number(&fs::read_to_string(file).map_err(|e| e.to_string())?)
    }

    pub fn stop(&self) -> Result<String, String> {
        ask(&["podman", "stop", "-t", "0", &self.name])
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        let _ = ask(&["podman", "rm", "-f", "-t", "0", &self.name]);
        let _ = ask(&["podman", "rmi", "-f", &self.image]);
    }
}
