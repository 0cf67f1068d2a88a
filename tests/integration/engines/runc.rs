//! runc on a bundle of its own.

#![forbid(unsafe_code)]

use super::{bundle, number};
use crate::util::{Scratch, ask, busybox_root, has_all, unique};
use std::fs;

pub struct Runc {
    _scratch: Scratch,
    pub name: String,
    pub pid: u32,
}

impl Runc {
    /// `verb` is `run -d` or `create`.
    pub fn start(verb: &[&str]) -> Result<Runc, String> {
        has_all(&["runc"])?;
        let scratch = Scratch::new("runc");
        let root = busybox_root(&scratch)?;
        let dir = bundle(&scratch, &root, "runc")?;
        let file = scratch.path("pid");
        let mut runc = Runc { _scratch: scratch, name: unique("runc"), pid: 0 };
        ask(&[&["runc"], verb, &["--bundle", &dir, "--pid-file", &file, &runc.name]].concat())?;
        runc.pid = number(&fs::read_to_string(file).map_err(|e| e.to_string())?)?;
        Ok(runc)
    }
}

impl Drop for Runc {
    fn drop(&mut self) {
        let _ = ask(&["runc", "delete", "-f", &self.name]);
    }
}
