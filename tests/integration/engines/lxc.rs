//! LXC with a configuration of its own in the default path.

#![forbid(unsafe_code)]

use super::number;
use crate::util::{Scratch, ask, busybox_root, has_all, unique};

pub struct Lxc {
    _scratch: Scratch,
    pub name: String,
    pub pid: u32,
}

impl Lxc {
    pub fn start() -> Result<Lxc, String> {
        has_all(&["lxc-start", "lxc-info", "lxc-stop"])?;
        let scratch = Scratch::new("lxc");
        let root = busybox_root(&scratch)?;
        let mut lxc = Lxc { name: unique("lxc"), pid: 0, _scratch: scratch };
        let config = format!(
            "lxc.uts.name = {}\nlxc.rootfs.path = dir:{root}\nlxc.net.0.type = empty\nlxc.init.cmd = /bin/sleep 3600\n",
            lxc.name
        );
        let file = lxc._scratch.write("config", config);
        ask(&["lxc-start", "-n", &lxc.name, "-f", &file, "-d"])?;
        lxc.pid = number(&ask(&["lxc-info", "-n", &lxc.name, "-p", "-H"])?)?;
        Ok(lxc)
    }

    pub fn stop(&self) -> Result<String, String> {
        ask(&["lxc-stop", "-k", "-n", &self.name])
    }
}

impl Drop for Lxc {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
