//! The lock on the directory of pins, which `ip netns` takes, too: flock(2).

#![forbid(unsafe_code)]

use super::PAUSE;
use crate::base::text::{line_after, lines, number};
use crate::host::Host;
use crate::host::process::{Process, is_gone, parse_pid};
use crate::sys::clock::pause;
use rustix::fd::OwnedFd;
use rustix::fs::{FlockOperation, OFlags, Stat, flock, fstat, major, minor};
use rustix::io::{self, Errno, retry_on_intr};

/// How often to try to get it, for 5 seconds in all.
const ATTEMPTS: u32 = 250;

/// Before one of so many attempts it is looked who has it: the kernel lists the locks of all files,
/// of which users may have made a hundred thousand.
const LOOK_EVERY: u32 = 10;

/// Who has the lock.
pub(super) enum Lock {
    /// We, as long as this is open.
    Own(#[expect(dead_code, reason = "it is held open")] OwnedFd),
    /// Others: what is said of the directory then.
    Others(String),
}

/// Locks the directory. Waits for a process that has the lock, if that is root's: any user can keep
/// it for ever.
///
/// # Errors
/// The errno of flock(2).
pub(super) fn take(host: &Host, directory: OwnedFd) -> io::Result<Lock> {
    for attempt in 0..ATTEMPTS {
        match retry_on_intr(|| flock(&directory, FlockOperation::NonBlockingLockExclusive)) {
            Err(Errno::WOULDBLOCK) => {}
            locked => return locked.map(|()| Lock::Own(directory)),
        }
        if attempt % LOOK_EVERY == 0 {
            if let Some(whose) = not_to_wait_for(host, &fstat(&directory)?) {
                return Ok(Lock::Others(whose));
            }
        }
        pause(PAUSE);
    }
    Ok(Lock::Others("is locked by another process".to_owned()))
}

/// Tells by proc_locks(5) that a lock on a file is a user's, or was taken by a process that is
/// gone: whoever has the descriptor now may keep it for ever.
fn not_to_wait_for(host: &Host, file: &Stat) -> Option<String> {
    const MOST: usize = 16 << 20;
    let label = label_of(file);
    let mut gone = None;
    // A process that ends lets its lock go: what is still listed after that is another's by now.
    for _ in 0..2 {
        let locks = host.open_proc(b"locks", OFlags::RDONLY).ok()?;
        let locks = host.buffer.read_all(locks, 4095, MOST).ok()?;
        for pid in lines(&locks).filter_map(|line| holder_of(line, label.as_bytes())) {
            match user_of(host, pid) {
                Ok(None) => {}
                Ok(Some(uid)) => return Some(format!("is locked by process {pid} of uid {uid}")),
                Err(e) if !is_gone(e) => {}
                Err(_) if gone == Some(pid) => {
                    return Some(format!("is locked by what process {pid} has left behind"));
                }
                Err(_) => gone = Some(pid),
            }
        }
        gone?;
    }
    None
}

/// Returns what /proc/locks calls a file.
fn label_of(file: &Stat) -> String {
    format!("{:02x}:{:02x}:{}", major(file.st_dev), minor(file.st_dev), file.st_ino)
}

/// Returns the process that has a lock of flock(2) on the file of this label, by a line of
/// /proc/locks.
fn holder_of(line: &[u8], label: &[u8]) -> Option<u32> {
    let mut fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
    // One that waits has an arrow before its kind.
    let (kind, pid, file) = (fields.nth(1)?, fields.nth(2)?, fields.next()?);
    (kind == b"FLOCK" && file == label).then_some(())?;
    parse_pid(pid)
}

/// Returns a uid of a process that is not root's; None where all are 0. A user starts set-user-ID
/// programs, so that one uid proves nothing.
fn user_of(host: &Host, pid: u32) -> io::Result<Option<u32>> {
    let status = Process::open(host, pid)?.read(host, "status")?;
    let uids = line_after(&status, b"Uid:").unwrap_or_default().split(|byte| *byte == b'\t');
    let uid = uids.filter_map(number).find(|uid| *uid != 0);
    Ok(uid.and_then(|uid| uid.try_into().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;
    use std::fs::File;

    #[test]
    fn who_has_a_lock_is_told_by_its_line() {
        let label = b"00:17:935";
        let of = |line: &str| holder_of(line.as_bytes(), label);
        assert_eq!(of("1: FLOCK  ADVISORY  WRITE 1234 00:17:935 0 EOF"), Some(1234));
        for other in [
            "1: -> FLOCK  ADVISORY  WRITE 1234 00:17:935 0 EOF",
            "1: FLOCK  ADVISORY  WRITE 1234 00:17:936 0 EOF",
            "1: POSIX  ADVISORY  WRITE 1234 00:17:935 0 EOF",
            "1: FLOCK  ADVISORY  WRITE -1 00:17:935 0 EOF",
            "1: FLOCK",
            "",
        ] {
            assert_eq!(of(other), None, "{other}");
        }
    }

    #[test]
    fn our_own_lock_is_found() {
        let host = Host::own(Console::default());
        let path = std::env::temp_dir().join(format!("netns-enter-lock-{}", std::process::id()));
        let file = File::create(&path).unwrap();
        flock(&file, FlockOperation::NonBlockingLockExclusive).unwrap();
        let label = label_of(&fstat(&file).unwrap());
        let locks = std::fs::read("/proc/locks").unwrap();
        let holder = lines(&locks).find_map(|line| holder_of(line, label.as_bytes()));
        assert_eq!(holder, Some(std::process::id()));
        let uid = rustix::process::getuid().as_raw();
        assert_eq!(user_of(&host, std::process::id()), Ok(Some(uid).filter(|uid| *uid != 0)));
        std::fs::remove_file(&path).unwrap();
    }
}
