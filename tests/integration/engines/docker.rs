//! docker, on the default directories and on those that only its command line tells of.

#![forbid(unsafe_code)]

use super::{Daemon, number};
use crate::util::{Scratch, ask, busybox_root, has_all, unique};

pub struct Docker {
    daemon: Option<Daemon>,
    image: String,
    containers: Vec<String>,
}

/// Makes docker an image of a busybox root.
fn import(docker: &[&str], image: &str) -> Result<(), String> {
    let scratch = Scratch::new("docker");
    let root = busybox_root(&scratch)?;
    let tar = scratch.path("root.tar");
    ask(&["tar", "-C", &root, "-cf", &tar, "."])?;
    ask(&[docker, &["import", &tar, image]].concat()).map(drop)
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
        docker.image = format!("{}:latest", docker.image);
        import(&["docker"], &docker.image)?;
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

/// A dockerd of our own, all of whose files are in directories that only its command line tells of, or
/// a configuration file that it names.
pub struct Dockerd {
    image: String,
    socket: String,
    _daemon: Daemon,
    _scratch: Scratch,
}

impl Dockerd {
    pub fn start(by_file: bool) -> Result<Dockerd, String> {
        has_all(&["docker", "dockerd", "containerd", "tar"])?;
        let scratch = Scratch::new("dockerd");
        let path = |name: &str| scratch.path(name);
        let places = [("data-root", path("data")), ("exec-root", path("exec"))];
        let (pid_file, socket) = (path("pid"), format!("unix://{}", path("socket")));
        let mut command = vec![
            "dockerd".to_owned(),
            "--iptables=false".to_owned(),
            "--ip6tables=false".to_owned(),
            "--bridge=none".to_owned(),
            format!("--pidfile={pid_file}"),
            format!("--host={socket}"),
        ];
        if by_file {
            let [(data, data_root), (exec, exec_root)] = &places;
            let text = format!("{{{data:?}:{data_root:?},{exec:?}:{exec_root:?}}}");
            command.extend(["--config-file".to_owned(), scratch.write("daemon.json", text)]);
        } else {
            command.extend(places.map(|(option, path)| format!("--{option}={path}")));
        }
        let command: Vec<&str> = command.iter().map(String::as_str).collect();
        let daemon = Daemon::start(&command, &["docker", "-H", &socket, "version"])?;
        let image = format!("{}:latest", unique("image"));
        import(&["docker", "-H", &socket], &image)?;
        Ok(Dockerd { image, socket, _daemon: daemon, _scratch: scratch })
    }

    fn docker(&self, words: &[&str]) -> Result<String, String> {
        ask(&[&["docker", "-H", &self.socket], words].concat())
    }

    /// Runs a container; returns its name, ID and pid.
    pub fn run(&self) -> Result<(String, String, u32), String> {
        let name = unique("docker");
        let head = ["run", "-d", "--network", "none", "--name", &name];
        let id = self.docker(&[&head[..], &[&self.image, "/bin/sleep", "3600"]].concat())?;
        let pid = number(&self.docker(&["inspect", "-f", "{{.State.Pid}}", &name])?)?;
        Ok((name, id, pid))
    }

    pub fn stop(&self, name: &str) -> Result<String, String> {
        self.docker(&["stop", "-t", "0", name])
    }
}

impl Drop for Dockerd {
    fn drop(&mut self) {
        let ids = self.docker(&["ps", "-aq"]).unwrap_or_default();
        for id in ids.lines() {
            let _ = self.docker(&["rm", "-f", id]);
        }
    }
}
