//! The order in which a deep look comes to processes.

#![forbid(unsafe_code)]

use super::Look;
use crate::base::error::{Error, is_denied};
use crate::base::text::{join, line_after, number};
use crate::host::process::{is_gone, parse_pid, pass_over};
use crate::host::procfs::ProcDir;
use crate::host::visit_names;
use rustix::fs::OFlags;
use rustix::io;
use rustix::process::geteuid;
use std::time::Instant;

impl Look<'_> {
    /// Looks at all processes, the caller's first: others may have any number.
    pub(super) fn all(&mut self) {
        let listed = self.host.proc_dir(b".", OFlags::RDONLY).and_then(|proc| {
            let mut later = Vec::new();
            visit_names(&proc, &mut |name, _| {
                if let Some(pid) = parse_pid(name).filter(|pid| !self.own.contains(&Some(*pid))) {
                    let owner = proc.stat(name).map(|stat| stat.st_uid);
                    match owner == Ok(geteuid().as_raw()) {
                        true => self.process(&proc, pid),
                        false => later.push(pid),
                    }
                }
                !self.is_at_end()
            })?;
            for pid in later {
                self.process(&proc, pid);
            }
            // Even root is denied a process that is about to exit: at the second look it has gone.
            for (pid, _) in std::mem::take(&mut self.denied) {
                self.process(&proc, pid);
            }
            for (pid, from) in std::mem::take(&mut self.others) {
                if self.is_at_end() {
                    break;
                }
                if let Err(e) = self.descriptors(&proc, pid.to_string().as_bytes(), pid, from) {
                    pass_over(self.host, pid, e);
                }
            }
            if !self.is_found {
                self.kept_mounts(&proc);
            }
            Ok(())
        });
        if let Err(e) = listed {
            self.host.fail(Error::cannot("list /proc", e));
        }
    }

    /// Tells whether nothing more is to be looked at.
    pub(super) fn is_at_end(&self) -> bool {
        self.is_over || self.is_found
    }

    /// Tells whether the task whose directory is `name` is one of the caller's. What must not be
    /// dumped looks like root's by the owner of that.
    pub(super) fn is_callers(&self, dir: &ProcDir, name: &[u8]) -> io::Result<bool> {
        let euid = geteuid();
        let looks_so = dir.stat(name)?.st_uid == euid.as_raw();
        if !looks_so || !euid.is_root() {
            return Ok(looks_so);
        }
        let file = dir.open(&join(name, b"status"), OFlags::RDONLY)?;
        let status = self.host.buffer.read_all(file, 4095, 1 << 16)?;
        let real = line_after(&status, b"Uid:").and_then(|ids| {
            number(ids.trim_ascii().split(|byte| *byte == b'\t').next().unwrap_or_default())
        });
        Ok(real == Some(0))
    }

    /// Looks at a process. One that is denied is remembered for a second look, unless that was told
    /// when its namespace was asked for.
    fn process(&mut self, proc: &ProcDir, pid: u32) {
        self.is_over |= Instant::now() > self.end;
        if self.is_at_end() {
            return;
        }
        match self.look_at(proc, pid) {
            Err(e) if is_denied(e) => {
                let is_told = proc.stat(format!("{pid}/ns/net").as_bytes());
                if !is_told.is_err_and(is_denied) {
                    self.denied.push((pid, e));
                }
            }
            Err(e) => pass_over(self.host, pid, e),
            Ok(()) => {}
        }
    }

    fn look_at(&mut self, proc: &ProcDir, pid: u32) -> io::Result<()> {
        let directory = pid.to_string();
        // A process that has exited but for its threads is in no mount namespace itself, and has no
        // descriptors.
        let looked = self.mount_namespace(proc, directory.as_bytes(), pid);
        looked.or_else(|e| if is_gone(e) { Ok(()) } else { Err(e) })?;
        let mut has_any = self.descriptors(proc, directory.as_bytes(), pid, 0)?;
        let tasks = format!("{directory}/task");
        // The directory is linked twice, and once for each thread: usually there is one.
        if proc.stat(tasks.as_bytes())?.st_nlink <= 3 {
            return Ok(());
        }
        let tasks = proc.directory(tasks.as_bytes(), OFlags::RDONLY)?;
        visit_names(&tasks, &mut |name, _| {
            let Some(tid) = parse_pid(name).filter(|tid| *tid != pid) else { return true };
            let mut look = || {
                self.mount_namespace(&tasks, name, tid)?;
                if !has_any {
                    has_any = self.descriptors(&tasks, name, tid, 0)?;
                }
                Ok(())
            };
            match look() {
                Err(e) if !is_denied(e) => pass_over(self.host, tid, e),
                _ => {}
            }
            true
        })
    }
}
