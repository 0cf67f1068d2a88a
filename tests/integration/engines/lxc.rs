//! LXC with a configuration of its own in the default path.

#![forbid(unsafe_code)]

use super::number;
use crate::lab::{Scratch, busybox_root, has_all, tool};
use crate::util::unique;

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
            "lxc.uts.name = {}\nlxc.rootfs.path = dir:{root}\nlxc.net.0.type = empty\nlxc.init.cmd = /bin/sleep 600\n",
            lxc.name
        );
        let file = lxc._scratch.write("config", config);
        tool(&["lxc-start", "-n", &lxc.name, "-f", &file, "-d"])?;
        lxc.pid = number(&tool(&["lxc-info", "-n", &lxc.name, "-p", "-H"])?)?;
        Ok(lxc)
    }

    pub fn stop(&self) -> Result<String, String> {
        tool(&["lxc-stop", "-k", "-n", &self.name])
    }
}

impl Drop for Lxc {
    fn drop(&mut self) {
        let _ = self.stop();
    }
}
