//! podman, rootful, on runc.

#![forbid(unsafe_code)]

use super::number;
use crate::util::{Scratch, ask, busybox_root, finish, has_all, unique};
use std::fs;
use std::process::Command;

pub struct Podman {
    image: String,
    pub name: String,
    pub id: String,
    pub pid: u32,
}

/// Makes podman an image of a busybox root; returns its name.
fn image() -> Result<String, String> {
    has_all(&["podman", "conmon", "runc", "tar"])?;
    let scratch = Scratch::new("podman");
    let root = busybox_root(&scratch)?;
    let tar = scratch.path("root.tar");
    ask(&["tar", "-C", &root, "-cf", &tar, "."])?;
    let image = format!("localhost/{}:latest", unique("image"));
    ask(&["podman", "import", &tar, &image])?;
    Ok(image)
}

impl Podman {
    pub fn start() -> Result<Podman, String> {
        Podman::start_with(&[])
    }

    /// With these options of `podman run`, too.
    pub fn start_with(options: &[&str]) -> Result<Podman, String> {
        let mut podman =
            Podman { image: image()?, name: unique("podman"), id: String::new(), pid: 0 };
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
        let tail = [&podman.image, "/bin/sleep", "3600"];
        podman.id = ask(&[&head[..], &limits, options, &tail].concat())?;
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

/// A pod with one member, in cgroups of podman's own driver.
pub struct Pod {
    image: String,
    _scratch: Scratch,
    config: String,
    pub id: String,
    /// Of its member.
    pub pid: u32,
}

impl Pod {
    pub fn start() -> Result<Pod, String> {
        let (image, scratch) = (image()?, Scratch::new("pod"));
        // A machine whose limits may not be raised needs them said, for the pod's own container, too.
        let limits =
            "[containers]\ndefault_ulimits = [\"nofile=1024:1024\", \"nproc=1000:1000\"]\n";
        let config = scratch.write("containers.conf", limits);
        let mut pod = Pod { image, _scratch: scratch, config, id: String::new(), pid: 0 };
        let infra = ["--infra-image", &pod.image, "--infra-command", "/bin/sleep 3600"];
        pod.id = pod.podman(&[&["pod", "create", "--network", "none"], &infra[..]].concat())?;
        let member = ["run", "-d", "--pod", &pod.id, &pod.image, "/bin/sleep", "3600"];
        let member = pod.podman(&member)?;
        pod.pid = number(&pod.podman(&["inspect", "-f", "{{.State.Pid}}", &member])?)?;
        Ok(pod)
    }

    /// Runs podman for this pod.
    pub fn podman(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new("podman");
        command.args(["--cgroup-manager=cgroupfs", "--runtime", "runc"]).args(words);
        finish(command.env("CONTAINERS_CONF", &self.config)).answer()
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        if !self.id.is_empty() {
            let _ = self.podman(&["pod", "rm", "-f", "-t", "0", &self.id]);
        }
        let _ = ask(&["podman", "rmi", "-f", &self.image]);
    }
}
