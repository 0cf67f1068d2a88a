//! crun on a bundle of its own; it refuses hybrid cgroups, so it sees unified ones alone.

#![forbid(unsafe_code)]

use super::{bundle, number};
use crate::util::{Scratch, ask, busybox_root, has_all, unique};
use std::fs;

pub struct Crun {
    _scratch: Scratch,
    pub name: String,
    pub pid: u32,
}

impl Crun {
    pub fn start() -> Result<Crun, String> {
        has_all(&["crun", "unshare", "mount"])?;
        let scratch = Scratch::new("crun");
        let root = busybox_root(&scratch)?;
        let dir = bundle(&scratch, &root, "crun")?;
        let file = scratch.path("pid");
        let mut crun = Crun { _scratch: scratch, name: unique("crun"), pid: 0 };
        let run = "mount -t cgroup2 none /sys/fs/cgroup && exec env -u XDG_RUNTIME_DIR \
                   crun --cgroup-manager=disabled run -d --bundle \"$1\" --pid-file \"$2\" \"$3\"";
        let unshare = ["unshare", "-m", "--propagation", "private", "sh", "-c", run, "sh"];
        ask(&[&unshare[..], &[&dir, &file, &crun.name]].concat())?;
        crun.pid = number(&fs::read_to_string(file).map_err(|e| e.to_string())?)?;
        Ok(crun)
    }
}

impl Drop for Crun {
    fn drop(&mut self) {
        let _ = ask(&["env", "-u", "XDG_RUNTIME_DIR", "crun", "delete", "-f", &self.name]);
    }
}
