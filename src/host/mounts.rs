//! Mounts that may not answer: file systems of the network and of other people's programs.
//!
//! Whoever asks a dead one waits for ever. So it is told by mountinfo, which asks no file system,
//! which mounts these are, and what is on them is read by a reader. One that did not answer is not
//! asked again, and the next one is not waited for as long: all together take little more than one.

#![forbid(unsafe_code)]

use super::Host;
use super::mountinfo::{self, mount_id};
use crate::base::error::{Result, is_denied};
use crate::base::text::number;
use crate::kernel::fork;
use crate::kernel::handover::open_apart;
use crate::sys::fd::open_at;
use crate::sys::stdio::write_all;
use rustix::fd::OwnedFd;
use rustix::fs::{AtFlags, CWD, OFlags, StatxFlags, statx};
use rustix::io::{self, Errno};
use std::cell::{Cell, RefCell};
use std::time::Duration;

/// The most bytes of an answer: a file of the largest size, or the names of a hundred thousand
/// files.
const MOST: usize = 17 << 20;

/// How much longer the first mount that does not answer is waited for than the second, and so on.
const HASTE: u32 = 8;

/// Mounts by their ids, as far as they were met in this run.
pub(crate) struct Mounts {
    known: RefCell<Vec<(u64, Kind)>>,
    /// How long the next one that is silent is waited for; not at all, and nothing said of it,
    /// while there is no need to know what is there.
    patience: Cell<Option<Duration>>,
    /// Whether one was not asked for want of that.
    is_left_out: Cell<bool>,
}

impl Default for Mounts {
    fn default() -> Mounts {
        Mounts {
            known: RefCell::default(),
            patience: Cell::new(Some(fork::PATIENCE)),
            is_left_out: Cell::new(false),
        }
    }
}

/// Who answers what is asked of a mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The kernel itself.
    Prompt,
    /// Another machine or program, or nobody. Root mounted it.
    Slow,
    /// A program of this user's, who tells of each file whose it is.
    Users(u32),
    /// It did not answer.
    Dead,
}

/// The id of a mount of which nobody tells it.
const UNKNOWN: u64 = u64::MAX;

impl Mounts {
    /// Returns the mount that an O_PATH descriptor is on, and who answers there; `may_wait` for it.
    ///
    /// # Errors
    /// The errno of reading /proc/self.
    pub(crate) fn of(&self, host: &Host, fd: &OwnedFd, may_wait: bool) -> io::Result<(u64, Kind)> {
        let id = match id_of_mount(fd, may_wait) {
            Err(e) if is_denied(e) => UNKNOWN,
            // Before Linux 3.15 nobody tells; it is no reason to read nothing.
            Err(Errno::NOSYS) => return Ok((UNKNOWN, Kind::Prompt)),
            id => id?,
        };
        let known = self.known.borrow().iter().find(|(known, _)| *known == id).copied();
        Ok(known.unwrap_or_else(|| {
            let found = (id, kind_of(host, id));
            self.known.borrow_mut().push(found);
            found
        }))
    }

    /// Waits for no mount for long any more, where what is asked of them is of little weight.
    pub(crate) fn hurry(&self) {
        self.patience.set(self.patience.get().map(|patience| patience / HASTE));
    }

    /// Returns how long the next one that is silent is waited for; None while none is asked.
    pub(super) fn patience(&self) -> Option<Duration> {
        self.patience.get()
    }

    /// Lets `look` do without what is on mounts that may not answer. Tells, too, whether it had to.
    pub(crate) fn without<T>(&self, look: impl FnOnce() -> T) -> (T, bool) {
        let patience = self.patience.take();
        let found = look();
        self.patience.set(patience);
        (found, self.is_left_out.take())
    }

    /// Lets a reader answer `question`; None where the mount does not answer (remembered). Where no
    /// reader can be made, [`Host::check`] tells.
    pub(crate) fn ask(
        &self,
        host: &Host,
        mount: u64,
        path: &[u8],
        question: &dyn Fn() -> Vec<u8>,
    ) -> Option<Vec<u8>> {
        let tell = |report: &OwnedFd| {
            // Whom it is for misses what cannot be written, and says so.
            let _ = write_all(report, &question());
        };
        let ask = |patience| fork::ask(MOST, &host.descriptors(), patience, &tell);
        self.wait_for(host, mount, path, &ask)
    }

    /// Lets a reader open something beyond a mount, as [`Mounts::ask`] lets it answer.
    pub(super) fn open(
        &self,
        host: &Host,
        mount: u64,
        path: &[u8],
        open: &dyn Fn() -> io::Result<OwnedFd>,
    ) -> Option<io::Result<OwnedFd>> {
        let ask = |patience| open_apart(&host.descriptors(), patience, open);
        self.wait_for(host, mount, path, &ask)
    }

    fn wait_for<T>(
        &self,
        host: &Host,
        mount: u64,
        path: &[u8],
        ask: &dyn Fn(Duration) -> Result<Option<T>>,
    ) -> Option<T> {
        let Some(patience) = self.patience.get() else {
            self.is_left_out.set(true);
            return None;
        };
        let is_dead = self.known.borrow().contains(&(mount, Kind::Dead));
        if !is_dead {
            match ask(patience) {
                Ok(Some(answer)) => return Some(answer),
                Ok(None) => {}
                Err(error) => host.fail(error),
            }
            for (_, kind) in self.known.borrow_mut().iter_mut().filter(|it| it.0 == mount) {
                *kind = Kind::Dead;
            }
            self.hurry();
        }
        host.remember(path, "its file system does not answer");
        None
    }
}

/// Returns the id of the mount that a descriptor is on. Not by statx(2) where that may wait for it:
/// some file systems ask their server whatever its flags say.
fn id_of_mount(fd: &OwnedFd, may_wait: bool) -> io::Result<u64> {
    if may_wait {
        // A process that has become a user may not read its own fdinfo.
        let flags = AtFlags::EMPTY_PATH | AtFlags::STATX_DONT_SYNC;
        if let Ok(stat) = statx(fd, c"", flags, StatxFlags::MNT_ID) {
            if stat.stx_mask & StatxFlags::MNT_ID.bits() != 0 {
                return Ok(stat.stx_mnt_id);
            }
        }
    }
    mount_id(fd)
}

fn kind_of(host: &Host, id: u64) -> Kind {
    let line = with_id(host, id).unwrap_or_default();
    match (mountinfo::parse(&line), user_of(&line)) {
        // Where nobody tells what it is, it may be anything.
        (None, _) => Kind::Slow,
        (_, Some(uid)) if uid != 0 => Kind::Users(uid),
        (Some(mount), _) if may_not_answer(&mount.kind) => Kind::Slow,
        _ => Kind::Prompt,
    }
}

/// Looks a mount up in the mountinfo of our mount namespace, else in that of the machine's pid 1:
/// DIR of `--host-root` may be another process's root. Returns its line.
///
/// # Errors
/// ENOENT where neither has it; the errno of reading ours.
pub(crate) fn with_id(host: &Host, id: u64) -> io::Result<Vec<u8>> {
    let own = open_at(CWD, b"/proc/self/mountinfo", OFlags::RDONLY)?;
    match in_mountinfo(host, &own, id) {
        Err(Errno::NOENT) => {
            in_mountinfo(host, &host.open_proc(b"1/mountinfo", OFlags::RDONLY)?, id)
        }
        found => found,
    }
}

/// Reads mountinfo no further than to the mount that is wanted: it may be long.
fn in_mountinfo(host: &Host, file: &OwnedFd, id: u64) -> io::Result<Vec<u8>> {
    let mut content = host.buffer.reserve(32 << 10);
    let key = format!("{id} ");
    loop {
        content.grow();
        let is_end = content.read_once(file)? == 0;
        let mut rest = &*content;
        while let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
            if rest.starts_with(key.as_bytes()) {
                return Ok(rest[..end].to_vec());
            }
            rest = &rest[end + 1..];
        }
        if is_end {
            return Err(Errno::NOENT);
        }
        let seen = content.len() - rest.len();
        content.remove_first(seen);
    }
}

/// Returns the user whose program answers, by a line of mountinfo: fs/fuse/inode.c,
/// fuse_show_options.
fn user_of(line: &[u8]) -> Option<u32> {
    let options = line.rsplit(|byte| *byte == b' ').next()?;
    let mut options = options.split(|byte| *byte == b',');
    let uid = number(options.find_map(|option| option.strip_prefix(b"user_id="))?)?;
    uid.try_into().ok()
}

/// Tells whether a file system of this type asks another machine or another program.
pub(crate) fn may_not_answer(kind: &[u8]) -> bool {
    const TYPES: &[&str] = &[
        "9p", "afs", "autofs", "beegfs", "ceph", "cifs", "coda", "fuse", "fuseblk", "gfs2", "gpfs",
        "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "prl_fs", "smb3", "smbfs", "vboxsf",
        "virtiofs", "vmhgfs",
    ];
    kind.starts_with(b"fuse.") || TYPES.iter().any(|name| name.as_bytes() == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;
    use crate::base::testing::Scratch;

    #[test]
    fn who_asks_others_may_not_answer() {
        for kind in ["nfs4", "fuse.sshfs", "fuse", "cifs", "9p"] {
            assert!(may_not_answer(kind.as_bytes()), "{kind}");
        }
        for kind in ["ext4", "tmpfs", "overlay", "fusectl", "proc", "nfsd"] {
            assert!(!may_not_answer(kind.as_bytes()), "{kind}");
        }
    }

    #[test]
    fn our_own_proc_answers() {
        let host = Host::own(Console::default());
        let fd = open_at(CWD, b"/proc", OFlags::PATH).unwrap();
        for may_wait in [false, true] {
            let (id, kind) = Mounts::default().of(&host, &fd, may_wait).unwrap();
            assert_eq!((id, kind), (mount_id(&fd).unwrap(), Kind::Prompt));
        }
        assert_eq!(kind_of(&host, UNKNOWN), Kind::Slow);
    }

    #[test]
    fn a_users_mount_names_the_user() {
        let fuse =
            "36 35 0:4 / /home/x/mnt rw shared:5 - fuse.sshfs x:/ rw,user_id=1000,group_id=7";
        assert_eq!(user_of(fuse.as_bytes()), Some(1000));
        for line in
            ["36 35 0:4 / / rw - ext4 /dev/vda rw", "", "1 2 0:4 / / rw - fuse x user_id=-1"]
        {
            assert_eq!(user_of(line.as_bytes()), None, "{line}");
        }
    }

    /// Lines before it are given up, also where they, or one alone, are more than is read at once.
    #[test]
    fn a_mount_is_found_wherever_its_line_is() {
        let scratch = Scratch::new();
        let line = |id: u64| format!("{id} 1 0:4 / /{} rw - tmpfs none rw", "x".repeat(50));
        let long = format!("9999 1 0:4 / /{} rw - tmpfs none rw", "y".repeat(100_000));
        let mut lines: Vec<String> = (0..3000).map(line).collect();
        lines.insert(2000, long.clone());
        scratch.file("mountinfo", &(lines.join("\n") + "\n"));
        let host = Host::own(Console::default());
        let found = |id| {
            let file = open_at(CWD, &scratch.path("mountinfo"), OFlags::RDONLY).unwrap();
            in_mountinfo(&host, &file, id)
        };
        for id in [0, 1, 1999, 2000, 2999] {
            assert_eq!(found(id), Ok(line(id).into_bytes()));
        }
        assert_eq!(found(9999), Ok(long.into_bytes()));
        assert_eq!(found(3000), Err(Errno::NOENT));
    }

    #[test]
    fn all_that_are_silent_take_little_more_than_one() {
        let (mounts, mut all) = (Mounts::default(), Duration::ZERO);
        for _ in 0..100 {
            all += mounts.patience.get().unwrap();
            mounts.hurry();
        }
        assert!((fork::PATIENCE..=fork::PATIENCE * 6 / 5).contains(&all), "{all:?}");
    }

    #[test]
    fn who_can_do_without_a_mount_does_not_ask_it() {
        let host = Host::own(Console { quiet: true, verbose: false });
        let ask = || host.mounts.ask(&host, 7, b"/mnt", &|| unreachable!("nobody is to ask"));
        let (asked, is_left_out) = host.mounts.without(ask);
        assert!(asked.is_none() && is_left_out && host.unread().is_none());
        assert!(!host.mounts.without(|| ()).1);
        assert_eq!(host.mounts.patience.get(), Some(fork::PATIENCE));
    }

    #[test]
    fn who_is_silent_is_asked_once() {
        let host = Host::own(Console { quiet: true, verbose: false });
        let mounts = Mounts::default();
        mounts.known.borrow_mut().push((7, Kind::Dead));
        let asked = mounts.ask(&host, 7, b"/mnt", &|| unreachable!("it is dead"));
        assert!(asked.is_none() && host.unread().is_some());
    }
}
