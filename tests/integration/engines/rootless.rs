//! podman on runc as a user of our own who has subordinate IDs. He is in an /etc of the test's own,
//! which has to have made one: `util::OWN_ETC`.

#![forbid(unsafe_code)]

use super::number;
use crate::util::{Scratch, ask, busybox_root, finish, has_all, unique};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::process::Command;

pub struct Rootless {
    user: String,
    home: String,
    scratch: Scratch,
    pub uid: u32,
    gid: u32,
    pub name: String,
    pub id: String,
    pub pid: u32,
}

const PODMAN: [&str; 5] =
    ["podman", "--runtime", "runc", "--cgroup-manager=cgroupfs", "--log-level=error"];

impl Rootless {
    pub fn start() -> Result<Rootless, String> {
        let scratch = Scratch::new("rootless");
        let home = scratch.path("home");
        Rootless::start_at(scratch, home)
    }

    /// With this home directory, which is to be made, in or below `scratch`.
    pub fn start_at(scratch: Scratch, home: String) -> Result<Rootless, String> {
        has_all(&[
            "podman",
            "conmon",
            "runc",
            "tar",
            "newuidmap",
            "newgidmap",
            "useradd",
            "setpriv",
        ])?;
        let user = "ne-rootless".to_owned();
        ask(&[
            "useradd",
            "--create-home",
            "--home-dir",
            &home,
            "--shell",
            "/bin/sh",
            "--user-group",
            &user,
        ])?;
        let owner = fs::metadata(&home).map_err(|e| e.to_string())?;
        let mut rootless = Rootless {
            user,
            home,
            scratch,
            uid: owner.uid(),
            gid: owner.gid(),
            name: unique("rootless"),
            id: String::new(),
            pid: 0,
        };
        let has_ids = |file| {
            fs::read_to_string(file).is_ok_and(|text| text.contains(&format!("{}:", rootless.user)))
        };
        if !["/etc/subuid", "/etc/subgid"].into_iter().all(has_ids) {
            return Err("useradd gives no subordinate IDs here".to_owned());
        }
        fs::create_dir_all(rootless.runtime_dir()).map_err(|e| e.to_string())?;
        chown(rootless.runtime_dir(), Some(rootless.uid), Some(rootless.gid))
            .map_err(|e| e.to_string())?;
        let root = busybox_root(&rootless.scratch)?;
        let tar = rootless.scratch.path("root.tar");
        ask(&["tar", "-C", &root, "-cf", &tar, "."])?;
        let image = format!("localhost/{}:latest", unique("image"));
        rootless.podman(&["import", &tar, &image])?;
        let head = ["run", "-d", "--pull=never", "--network", "none", "--name", &rootless.name];
        // A machine whose limits may not be raised needs them said.
        let limits = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"];
        rootless.id =
            rootless.podman(&[&head[..], &limits, &[&image, "/bin/sleep", "3600"]].concat())?;
        rootless.pid =
            number(&rootless.podman(&["inspect", "-f", "{{.State.Pid}}", &rootless.name])?)?;
        Ok(rootless)
    }

    fn runtime_dir(&self) -> String {
        format!("/run/user/{}", self.uid)
    }

    /// A command of that user's.
    pub fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("setpriv");
        command
            .args([format!("--reuid={}", self.uid), format!("--regid={}", self.gid)])
            .arg("--clear-groups")
            .args(words);
        command.env("HOME", &self.home).env("XDG_RUNTIME_DIR", self.runtime_dir()).current_dir("/");
        command
    }

    fn podman(&self, words: &[&str]) -> Result<String, String> {
        finish(self.command(&[&PODMAN[..], words].concat())).answer()
    }

    /// A command of that user's in the user namespace of the user's podman.
    pub fn unshare(&self, words: &[&str]) -> Command {
        self.command(&[&PODMAN[..], &["unshare"], words].concat())
    }

    pub fn stop(&self) -> Result<String, String> {
        self.podman(&["stop", "-t", "0", &self.name])
    }
}

impl Drop for Rootless {
    fn drop(&mut self) {
        let _ = self.podman(&["rm", "-f", "-a", "-t", "0"]);
        // What podman leaves running to keep its user namespace.
        let pause =
            fs::read_to_string(self.runtime_dir() + "/libpod/tmp/pause.pid").unwrap_or_default();
        if let Ok(pid) = number(&pause) {
            let _ = ask(&["kill", "-9", &pid.to_string()]);
        }
    }
}
