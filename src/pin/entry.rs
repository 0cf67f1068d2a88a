//! One entry of the directory of pins, or room for one.

#![forbid(unsafe_code)]

use super::directory::{Directory, unmount};
use super::{PAUSE, with_remedy_for_denial};
use crate::base::error::{Error, Result};
use crate::base::escape::{quoted, shown};
use crate::base::text::join;
use crate::host::mountinfo::mount_id;
use crate::kernel::netns::{NetNs, NsId, id_of, id_unasked, own_id};
use crate::sys::clock::pause;
use crate::sys::fd::{ITSELF, create_at, fd_path, open_at, type_name};
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fchmod, fstat, unlinkat};
use rustix::io::{self, Errno, retry_on_intr};
use rustix::mount::mount_bind;
use std::fmt::Display;
use std::time::SystemTime;

/// How long `ip netns add` may take from creating a file to binding onto it.
const AT_WORK_SECONDS: u64 = 2;
/// How often a run without the lock looks again at an entry in the making, for 2 seconds in all.
const ATTEMPTS: u32 = 100;
/// The mode of files made under the lock: an empty one, seen under the lock, is a dead run's.
/// Without the lock they are made with mode 0, as those of `ip netns` are, and not taken for one.
const LOCKED_MODE: Mode = Mode::RUSR;

/// An entry of the directory of pins, or room for one.
pub(super) struct Entry<'d> {
    directory: &'d Directory,
    name: &'d [u8],
    /// The directory and the name, for messages.
    path: Vec<u8>,
}

/// What stands under an entry's name.
enum State {
    Absent,
    Symlink,
    Namespace {
        /// The topmost mount there.
        top: OwnedFd,
        netns: NetNs,
    },
    /// A file that is empty and not mounted on.
    Empty(Age),
    Other(FileType),
}

/// Whose an empty file may be.
enum Age {
    /// Nobody's any more.
    Stray,
    /// Another program's, which may be about to bind onto it.
    Fresh,
}

impl<'d> Entry<'d> {
    /// Names an entry, which need not exist.
    pub(super) fn new(directory: &'d Directory, name: &'d [u8]) -> Entry<'d> {
        Entry { directory, name, path: join(directory.path, name) }
    }

    /// Makes the entry a pin of `netns`, and returns the file that is mounted on; None where it is
    /// one already. `announce` is called when the file is there, before anything is mounted on it.
    ///
    /// # Errors
    /// Those of `announce`; where the entry is something else, or the kernel refuses. It is as
    /// before then.
    pub(super) fn pin(
        &self,
        netns: &NetNs,
        announce: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Option<OwnedFd>> {
        let file = match self.open(OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL) {
            Err(Errno::EXIST) => match self.adopt(netns)? {
                Some(file) => file,
                None => return Ok(None),
            },
            created => created.map_err(|e| self.cannot("create", e))?,
        };
        let bound = announce().and_then(|()| {
            let bound = self.bind(netns, &file);
            bound.map_err(|e| self.directory.refused(self.failure("pin the namespace to", e)))
        });
        match bound.and_then(|()| self.verify(netns)) {
            Ok(()) => Ok(Some(file)),
            Err(error) => {
                // The failure that led here is the one to tell.
                let _ = self.take_back(netns.id, &file);
                Err(error)
            }
        }
    }

    /// Takes back what [`Entry::pin`] has done, and nothing that another did in its place
    /// meanwhile: unmounts the namespace, and removes the file.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub(super) fn take_back(&self, netns: NsId, file: &OwnedFd) -> Result<()> {
        if let Some(top) = self.resolve_if(netns) {
            unmount(&top).map_err(|e| self.cannot("unmount", e))?;
        }
        match id_of(file).ok().and_then(|id| self.resolve_if(id)) {
            Some(_) => self.remove_file().map(drop),
            None => Ok(()),
        }
    }

    /// Removes the entry; false where there is none.
    ///
    /// # Errors
    /// Where it is no pin, or the kernel refuses.
    pub(super) fn remove(&self) -> Result<bool> {
        let mut was_pin = false;
        loop {
            match self.state()? {
                State::Absent => return Ok(was_pin),
                State::Namespace { top, .. } => {
                    // The descriptor says which mount: nothing is followed, nothing else is hit.
                    match unmount(&top) {
                        // Not mounted any more, as somebody else was faster. Or it is locked by the
                        // kernel, and still there.
                        Err(Errno::INVAL) if self.is_gone(&top) => {}
                        Err(Errno::INVAL) => return Err(self.locked()),
                        unmounted => unmounted.map_err(|e| self.cannot("unmount", e))?,
                    }
                    was_pin = true;
                }
                State::Empty(age) if !was_pin => {
                    self.check_stray(&age)?;
                    return self.remove_file();
                }
                State::Empty(_) | State::Symlink => return self.remove_file(),
                State::Other(kind) => return Err(self.no_pin(kind)),
            }
        }
    }

    /// Takes what exists under the name: None where it is this namespace already, a dead run's file
    /// to bind onto otherwise.
    fn adopt(&self, netns: &NetNs) -> Result<Option<OwnedFd>> {
        match self.settled_state()? {
            State::Namespace { netns: there, .. } => self.check_same(&there, netns).map(|()| None),
            State::Symlink => {
                Err(self.error("is a symbolic link, not a pin").with_remedy(self.replacement()))
            }
            State::Other(kind) => Err(self.no_pin(kind)),
            State::Absent => {
                Err(self.error("vanished while it was looked at").with_remedy("try again"))
            }
            State::Empty(age) => {
                self.check_stray(&age)?;
                let file = self.open(OFlags::RDONLY | OFlags::NONBLOCK);
                file.map(Some).map_err(|e| self.cannot("open", e))
            }
        }
    }

    /// Binds the namespace onto the file.
    fn bind(&self, netns: &NetNs, file: &OwnedFd) -> io::Result<()> {
        if self.directory.is_locked() {
            // The umask may have taken some of it, and a file that was there may have another.
            retry_on_intr(|| fchmod(file, LOCKED_MODE))?;
        }
        let (from, to) = (fd_path(netns), fd_path(file));
        retry_on_intr(|| mount_bind(&from, &to))
    }

    /// Checks that the pin is what stands under the name now.
    fn verify(&self, netns: &NetNs) -> Result<()> {
        match self.state()? {
            State::Namespace { netns: there, .. } => self.check_same(&there, netns),
            _ => Err(self.error("was removed while it was made")),
        }
    }

    /// Refuses to go on where the namespace under the name is another one.
    fn check_same(&self, there: &NetNs, netns: &NetNs) -> Result<()> {
        if there.id == netns.id {
            return Ok(());
        }
        let (name, ino) = (quoted(self.name), there.id.ino);
        let message = format!("pin {name} holds another namespace ({ino})");
        Err(Error::new(message).with_remedy(self.replacement()))
    }

    /// Refuses to use or remove an empty file that may be somebody's.
    fn check_stray(&self, age: &Age) -> Result<()> {
        if !self.directory.is_locked() {
            let action = format!("use the empty file {}", quoted(&self.path));
            return Err(self.directory.without_lock(action));
        }
        match age {
            Age::Stray => Ok(()),
            Age::Fresh => Err(self
                .error("is an empty file that another program may be about to make a pin")
                .with_remedy(format!("try again in {} seconds", AT_WORK_SECONDS + 1))),
        }
    }

    /// Looks at what stands under the name. Without the lock another run may be at work there: what
    /// may be an entry in the making is looked at again for 2 seconds.
    fn settled_state(&self) -> Result<State> {
        let attempts = if self.directory.is_locked() { 0 } else { ATTEMPTS };
        for _ in 0..attempts {
            match self.state()? {
                State::Empty(_) => pause(PAUSE),
                settled => return Ok(settled),
            }
        }
        self.state()
    }

    /// Looks at what stands under the name.
    fn state(&self) -> Result<State> {
        let cannot = |e| self.cannot("open", e);
        let top = match self.resolve() {
            Err(Errno::NOENT) => return Ok(State::Absent),
            top => top.map_err(cannot)?,
        };
        let is_mounted = || Ok(mount_id(&top)? != mount_id(&self.directory.fd)?);
        let is_mounted = is_mounted().map_err(cannot)?;
        // What somebody else has mounted there need not answer.
        let is_foreign = || Ok(is_mounted && id_unasked(&top)?.dev != own_id()?.dev);
        if is_foreign().map_err(cannot)? {
            return Err(self.error("is not a pin: another file system is mounted on it"));
        }
        let stat = fstat(&top).map_err(cannot)?;
        Ok(match FileType::from_raw_mode(stat.st_mode) {
            FileType::Symlink => State::Symlink,
            FileType::RegularFile if is_mounted => {
                let netns = NetNs::of_file(&top, &self.path)?;
                State::Namespace { top, netns }
            }
            FileType::RegularFile if stat.st_size == 0 => State::Empty(age_of(&stat)),
            kind => State::Other(kind),
        })
    }

    /// Resolves the name to an O_PATH descriptor, if what it leads to has this identity.
    fn resolve_if(&self, id: NsId) -> Option<OwnedFd> {
        let top = self.resolve().ok()?;
        (id_unasked(&top).ok()? == id).then_some(top)
    }

    /// Tells whether the mount that `top` was opened in is no longer what stands under the name.
    fn is_gone(&self, top: &OwnedFd) -> bool {
        mount_id(top) != self.resolve().and_then(|now| mount_id(&now))
    }

    fn resolve(&self) -> io::Result<OwnedFd> {
        open_at(&self.directory.fd, self.name, ITSELF)
    }

    fn open(&self, flags: OFlags) -> io::Result<OwnedFd> {
        let mode = if self.directory.is_locked() { LOCKED_MODE } else { Mode::empty() };
        create_at(&self.directory.fd, self.name, flags | OFlags::NOFOLLOW, mode)
    }

    /// Removes the file or link; it need not be there any more.
    fn remove_file(&self) -> Result<bool> {
        match unlinkat(&self.directory.fd, self.name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(true),
            Err(Errno::BUSY) => {
                let place = shown(self.directory.path);
                let cause = format!("it is mounted once more, hidden below the mount of {place}");
                Err(self.cannot("remove", Errno::BUSY).with_remedy(cause))
            }
            Err(e) => Err(self.cannot("remove", e)),
        }
    }

    fn error(&self, fault: impl Display) -> Error {
        Error::of(&self.path, fault)
    }

    fn no_pin(&self, kind: FileType) -> Error {
        self.error(format_args!("is not a pin but {}", type_name(kind)))
    }

    fn cannot(&self, verb: &str, errno: Errno) -> Error {
        with_remedy_for_denial(self.failure(verb, errno))
    }

    fn failure(&self, verb: &str, errno: Errno) -> Error {
        Error::cannot_at(verb, &self.path, errno)
    }

    /// Makes the failure to unmount what came with a mount namespace whose owner has more rights:
    /// mount_namespaces(7), "Restrictions".
    fn locked(&self) -> Error {
        self.failure("unmount", Errno::INVAL).with_remedy(
            "it comes from a mount namespace with more rights, which locks it: remove it there",
        )
    }

    /// Returns the remedy where something else has the name.
    fn replacement(&self) -> String {
        format!("to replace it: netns-enter --unpin {}", shown(self.name))
    }
}

/// Tells whose an empty file is, by its mode or else by how long ago it was made.
fn age_of(stat: &Stat) -> Age {
    let is_ours = Mode::from_raw_mode(stat.st_mode) == LOCKED_MODE;
    let now = SystemTime::UNIX_EPOCH.elapsed().unwrap_or_default().as_secs();
    let is_old = now.abs_diff(stat.st_ctime as u64) > AT_WORK_SECONDS;
    if is_ours || is_old { Age::Stray } else { Age::Fresh }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pin::lock::Lock;
    use crate::sys::fd::open_directory;
    use rustix::fs::CWD;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    /// A directory of its own for a test, opened without the lock.
    fn unlocked(test: &str) -> (PathBuf, Directory) {
        let dir = std::env::temp_dir().join(format!("netns-enter-{test}-{}", std::process::id()));
        std::fs::create_dir(&dir).unwrap();
        let fd = open_at(CWD, dir.as_os_str().as_encoded_bytes(), OFlags::PATH).unwrap();
        let lock = Lock::Others("is locked".to_owned());
        (dir, Directory { path: b"/run/netns", fd, lock, is_foreign: false })
    }

    #[test]
    fn an_entry_in_the_making_is_waited_for_without_the_lock() {
        let (dir, mut directory) = unlocked("making");
        let file = dir.join("a");
        std::fs::write(&file, "").unwrap();
        let writer = std::thread::spawn(move || {
            pause(5 * PAUSE);
            std::fs::write(file, "text").unwrap();
        });
        let state = Entry::new(&directory, b"a").settled_state().unwrap();
        assert!(matches!(state, State::Other(FileType::RegularFile)));
        writer.join().unwrap();
        std::fs::write(dir.join("b"), "").unwrap();
        directory.lock = Lock::Own(open_directory(&directory.fd).unwrap());
        let state = Entry::new(&directory, b"b").settled_state().unwrap();
        assert!(matches!(state, State::Empty(Age::Fresh)));
        std::fs::remove_dir_all(dir).unwrap();
    }

    #[test]
    fn only_a_file_made_under_the_lock_is_known_for_ours() {
        let (dir, mut directory) = unlocked("mode");
        let create = OFlags::RDONLY | OFlags::CREATE | OFlags::EXCL;
        let mode = |name| dir.join(name).metadata().unwrap().permissions().mode() & 0o7777;
        Entry::new(&directory, b"a").open(create).unwrap();
        assert_eq!(mode("a"), 0);
        directory.lock = Lock::Own(open_directory(&directory.fd).unwrap());
        Entry::new(&directory, b"b").open(create).unwrap();
        assert_eq!(mode("b"), 0o400);
        let state = Entry::new(&directory, b"b").state().unwrap();
        assert!(matches!(state, State::Empty(Age::Stray)));
        std::fs::remove_dir_all(dir).unwrap();
    }
}
