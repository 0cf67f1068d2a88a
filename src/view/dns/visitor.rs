//! Reading a container's files as the container's own user.
//!
//! What lies in a container's root directory is its user's choice, a link to a file of the host's
//! that only root may read included. So a process that has become that user reads there, and hands
//! over what that user could have read, too.

#![forbid(unsafe_code)]

use super::source::{Copy, Source};
use crate::base::error::{Error, Result, describe};
use crate::base::escape::shown;
use crate::base::fields::{Fields, put};
use crate::base::text::{line_after, number};
use crate::containers::world::{Caller, User};
use crate::host::Host;
use crate::host::process::{Process, is_gone};
use crate::host::root::Root;
use crate::kernel::fork::{PATIENCE, ask};
use crate::sys::stdio::write_all;
use rustix::fd::{AsFd, OwnedFd};

/// More than two files of a [`Source`] take.
const MOST: usize = 4 << 20;

/// What begins each part of a report.
const ABSENT: &[u8] = b"-";
const PUBLIC: &[u8] = b"=";
const PRIVATE: &[u8] = b"*";
const FAILED: &[u8] = b"!";

/// Returns the user that a process is, whose files are read as that user for root; None for any
/// other caller, who reads as they are.
///
/// # Errors
/// Where the process has exited, or /proc does not tell.
pub(super) fn user_of(host: &Host, process: &Process) -> Result<Option<User>> {
    if !Caller::of(host).is_root {
        return Ok(None);
    }
    let pid = process.pid;
    let status = process.read(host, "status").map_err(|e| match is_gone(e) {
        true => Error::new(format!("process {pid} has exited")),
        false => Error::cannot(format_args!("look up the user of process {pid}"), e),
    })?;
    let user = parse_status(&status);
    user.map(Some).ok_or_else(|| Error::new(format!("/proc/{pid}/status names no user")))
}

/// Reads who a process is by its status, proc_pid_status(5).
fn parse_status(status: &[u8]) -> Option<User> {
    let ids = |key: &[u8]| -> Option<Vec<u32>> {
        let fields = line_after(status, key)?.split(u8::is_ascii_whitespace);
        Some(fields.filter_map(number).filter_map(|id| id.try_into().ok()).collect())
    };
    // Real, effective, saved, and that by which it opens files.
    let (uid, gid) = (*ids(b"Uid:")?.get(3)?, *ids(b"Gid:")?.get(3)?);
    Some(User { uid, gid: Some(gid), groups: ids(b"Groups:")?, ..User::default() })
}

/// Reads files of a [`Source`] as a user, or as the caller.
///
/// # Errors
/// Where one of them is not to be used, or there is no answer in time.
pub(super) fn read(
    host: &Host,
    source: &Source<'_>,
    user: Option<&User>,
    paths: &[&[u8]],
) -> Result<Vec<Option<Copy>>> {
    let of = &source.whose;
    let tell = |report: &OwnedFd| {
        if let Err(e) = user.map_or(Ok(()), |user| user.become_this(host)) {
            let reason = format!("cannot become the user{of}: {}", describe(e));
            let _ = write_all(report, &encode(&Err(Error::new(reason))));
            return;
        }
        for path in paths {
            // Whom it is for misses what cannot be written, and says so.
            let _ = write_all(report, &encode(&source.content_below_etc(path)));
        }
    };
    let kept = match source.root {
        Root::Directory(root) => vec![root.as_fd()],
        Root::Own => Vec::new(),
    };
    let Some(report) = ask(MOST, &kept, PATIENCE, &tell)? else {
        return Err(Error::new(format!("the files{of} could not be read in time")));
    };
    let mut report = Fields(&report);
    let mut copies = Vec::new();
    for _ in paths {
        let ended = || Error::new(format!("the process that was to read the files{of} has ended"));
        copies.push(decode(&mut report).ok_or_else(ended)??);
    }
    Ok(copies)
}

/// Encodes what became of one file: a field that tells what, and one with the text or the reason.
fn encode(read: &Result<Option<Copy>>) -> Vec<u8> {
    let (tag, bytes) = match read {
        Ok(None) => (ABSENT, &[][..]),
        Ok(Some(copy)) if copy.is_private => (PRIVATE, &copy.text[..]),
        Ok(Some(copy)) => (PUBLIC, &copy.text[..]),
        Err(error) => (FAILED, error.message().as_bytes()),
    };
    let mut report = Vec::new();
    put(&mut report, tag);
    put(&mut report, bytes);
    report
}

/// Decodes what became of the next file; None where the report ends too early.
fn decode(report: &mut Fields<'_>) -> Option<Result<Option<Copy>>> {
    let (tag, bytes) = (report.take()?, report.take()?);
    Some(match tag {
        ABSENT => Ok(None),
        PUBLIC | PRIVATE => Ok(Some(Copy { text: bytes.to_vec(), is_private: tag == PRIVATE })),
        FAILED => Err(Error::new(shown(bytes).to_string())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_opens_files_as_its_fourth_uid() {
        let status = b"Name:\tx\nUid:\t1\t2\t3\t1000\nGid:\t4\t5\t6\t1001\n\
            FDSize:\t64\nGroups:\t27 100 \n";
        let user = parse_status(status).unwrap();
        assert_eq!((user.uid, user.gid, &user.groups[..]), (1000, Some(1001), &[27, 100][..]));
        let three = &b"Uid:\t0\t0\t0\nGid:\t0\t0\t0\t0\nGroups:\t\n"[..];
        for broken in [&b""[..], three, b"Uid:\t0\t0\t0\t0\nGid:\t0\t0\t0\t0\n"] {
            assert_eq!(parse_status(broken), None);
        }
    }

    #[test]
    fn what_was_encoded_is_decoded() {
        let copy = |is_private| Ok(Some(Copy { text: b"nameserver \xff".to_vec(), is_private }));
        let outcomes: [Result<Option<Copy>>; 4] =
            [Ok(None), copy(false), copy(true), Err(Error::new("\"x\" is odd"))];
        let report = outcomes.iter().flat_map(encode).collect::<Vec<u8>>();
        let mut rest = Fields(&report);
        for outcome in &outcomes {
            let decoded = decode(&mut rest).unwrap();
            match (outcome, decoded) {
                (Ok(a), Ok(b)) => assert_eq!(*a, b),
                (Err(a), Err(b)) => assert_eq!(a.message(), b.message()),
                other => panic!("{other:?}"),
            }
        }
        assert!(rest.0.is_empty() && decode(&mut rest).is_none());
        let first = encode(&outcomes[1]);
        for end in 0..first.len() {
            assert!(decode(&mut Fields(&first[..end])).is_none(), "{end}");
        }
        assert!(decode(&mut Fields(b"\x01\0\0\0x\0\0\0\0")).is_none());
    }
}
