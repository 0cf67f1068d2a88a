//! docker, with the daemon of the machine or one of ours on the default directories.

#![forbid(unsafe_code)]

use super::{Daemon, number};
use crate::util::{Scratch, ask, busybox_root, has_all, unique};

pub struct Docker {
    daemon: Option<Daemon>,
    image: String,
    containers: Vec<String>,
}

impl Docker {
    pub fn start() -> Result<Docker, String> {
        has_all(&["docker", "dockerd", "tar"])?;
        let probe = ["docker", "version"];
        let daemon = match ask(&probe) {
            Ok(_) => None,
            // The host's firewall is none of our business.
            Err(_) => {
                Some(Daemon::start(&["dockerd", "--iptables=false", "--ip6tables=false"], &probe)?)
            }
        };
        let mut docker = Docker { daemon, image: unique("image"), containers: Vec::new() };
        let scratch = Scratch::new("docker");
        let root = busybox_root(&scratch)?;
        let tar = scratch.path("root.tar");
        ask(&["tar", "-C", &root, "-cf", &tar, "."])?;
        docker.image = format!("{}:latest", docker.image);
        ask(&["docker", "import", &tar, &docker.image])?;
        Ok(docker)
    }

    /// `docker VERB OPTIONS --name NAME`; returns name and full ID.
    pub fn make(&mut self, verb: &[&str], options: &[&str]) -> Result<(String, String), String> {
        let name = unique("docker");
        self.containers.push(name.clone());
        let tail = ["--name", &name, &self.image, "/bin/sleep", "3600"];
        let id = ask(&[&["docker"], verb, options, &tail].concat())?;
        Ok((name, id.lines().last().unwrap_or_default().to_owned()))
    }

    pub fn pid(&self, name: &str) -> Result<u32, String> {
        number(&self.inspect(name, "{{.State.Pid}}")?)
    }

    pub fn inspect(&self, name: &str, format: &str) -> Result<String, String> {
        ask(&["docker", "inspect", "-f", format, name])
    }

    /// The process of the daemon, if it is ours.
    pub fn daemon_pid(&self) -> Option<u32> {
        self.daemon.as_ref().map(Daemon::pid)
    }
}

impl Drop for Docker {
    fn drop(&mut self) {
        for name in &self.containers {
            let _ = ask(&["docker", "rm", "-f", name]);
        }
        let _ = ask(&["docker", "rmi", "-f", &self.image]);
    }
}
