//! docker, with the daemon of the machine or one of ours on the default directories.

#![forbid(unsafe_code)]

use super::{Daemon, number};
use crate::lab::{Scratch, busybox_root, has_all, tool};
use crate::util::unique;
use std::fs;

pub struct Docker {
    daemon: Option<Daemon>,
    image: String,
    containers: Vec<String>,
}

impl Docker {
    pub fn start() -> Result<Docker, String> {
        has_all(&["docker", "dockerd", "tar"])?;
        let probe = ["docker", "version"];
        let daemon = match tool(&probe) {
            Ok(_) => None,
            // The host's firewall is none of our business.
            Err(_) => Some(Daemon::start(&["dockerd", "--iptables=false", "--ip6tables=false"], &probe)?),
        };
        let mut docker = Docker { daemon, image: unique("image"), containers: Vec::new() };
        let scratch = Scratch::new("docker");
        let root = busybox_root(&scratch)?;
        let tar = scratch.path("root.tar");
        tool(&["tar", "-C", &root, "-cf", &tar, "."])?;
        docker.image = format!("{}:latest", docker.image);
        tool(&["docker", "import", &tar, &docker.image])?;
        Ok(docker)
    }

    /// `docker VERB OPTIONS --name NAME`; returns name and full ID.
    pub fn make(&mut self, verb: &[&str], options: &[&str]) -> Result<(String, String), String> {
        let name = unique("docker");
        self.containers.push(name.clone());
        let tail = ["--name", &name, &self.image, "/bin/sleep", "600"];
        let id = tool(&[&["docker"], verb, options, &tail].concat())?;
        Ok((name, id.lines().last().unwrap_or_default().to_owned()))
    }

    pub fn pid(&self, name: &str) -> Result<u32, String> {
        number(&self.inspect(name, "{{.State.Pid}}")?)
    }

    pub fn inspect(&self, name: &str, format: &str) -> Result<String, String> {
        tool(&["docker", "inspect", "-f", format, name])
    }

    /// The process of the daemon.
    pub fn daemon_pid(&self) -> Result<u32, String> {
        let file = || fs::read_to_string("/run/docker.pid").map_err(|e| e.to_string());
        self.daemon.as_ref().map_or_else(|| number(&file()?), |daemon| Ok(daemon.pid()))
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        for name in &self.containers {
            let _ = tool(&["docker", "rm", "-f", name]);
        }
        let _ = tool(&["docker", "rmi", "-f", &self.image]);
    }
}
