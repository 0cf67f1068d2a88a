//! What unit tests share: directories of root's, and processes with a mount namespace of their own.

#![forbid(unsafe_code)]

use rustix::io;
use rustix::mount::{UnmountFlags, mount_bind, unmount};
use std::cell::RefCell;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory of root's that goes with the test, as does what is mounted in it.
pub(crate) struct Scratch {
    top: PathBuf,
    mounts: RefCell<Vec<PathBuf>>,
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let serial = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("netns-enter-scratch-{}-{serial}", std::process::id());
        let scratch = Scratch { top: std::env::temp_dir().join(name), mounts: RefCell::default() };
        std::fs::create_dir(&scratch.top).unwrap();
        scratch.mode("", 0o755);
        scratch
    }

    pub(crate) fn at(&self, name: &str) -> PathBuf {
        if name.is_empty() { self.top.clone() } else { self.top.join(name) }
    }

    /// Returns a path as the program has it.
    pub(crate) fn path(&self, name: &str) -> Vec<u8> {
        self.at(name).as_os_str().as_bytes().to_vec()
    }

    pub(crate) fn directory(&self, name: &str) {
        std::fs::create_dir_all(self.at(name)).unwrap();
        self.mode(name, 0o755);
    }

    pub(crate) fn file(&self, name: &str, text: &str) {
        std::fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        std::fs::write(self.at(name), text).unwrap();
        self.mode(name, 0o644);
    }

    pub(crate) fn link(&self, target: impl AsRef<Path>, name: &str) {
        symlink(target, self.at(name)).unwrap();
    }

    pub(crate) fn mode(&self, name: &str, mode: u32) {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(self.at(name), permissions).unwrap();
    }

    pub(crate) fn owner(&self, name: &str, uid: u32, gid: u32) {
        chown(self.at(name), Some(uid), Some(gid)).unwrap();
    }
}

impl Scratch {
    /// Makes a directory for `mount` to mount something on: in a mount namespace of the test's own.
    pub(crate) fn mount(&self, name: &str, mount: impl FnOnce(&Path) -> io::Result<()>) {
        self.directory(name);
        mount(&self.at(name)).unwrap();
        self.mounts.borrow_mut().push(self.at(name));
    }

    /// Makes it a machine, whose processes are ours.
    pub(crate) fn mount_proc(&self) {
        self.mount("proc", |path| mount_bind("/proc", path));
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        for mounted in self.mounts.take().iter().rev() {
            if unmount(mounted, UnmountFlags::DETACH).is_err() {
                // Nothing below it is ours to remove.
                return;
            }
        }
        let _ = std::fs::remove_dir_all(&self.top);
    }
}

/// Tells whether a test that needs root may run.
pub(crate) fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Runs an ignored test in a process and a mount namespace of its own, where it may mount and fork;
/// and `before` it, in a shell. Returns what it printed; None where this machine cannot.
pub(crate) fn alone(test: &str, before: &str) -> Option<String> {
    if !is_root() {
        return None;
    }
    let own = std::env::current_exe().unwrap();
    let words = ["--exact", test, "--ignored", "--test-threads=1", "--nocapture"];
    let script = format!("{before}\nexec \"$0\" \"$@\"");
    let done = Command::new("unshare")
        .args(["-m", "--propagation", "private", "sh", "-c", &script])
        .arg(own)
        .args(words)
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&[done.stdout, done.stderr].concat()).into_owned();
    assert!(done.status.success() && text.contains("1 passed"), "{text}");
    Some(text)
}
