//! Descriptors that a reader opens for us: what it takes to get at them may wait for a file system
//! that does not answer, or needs another mount namespace than ours.

#![forbid(unsafe_code)]

use super::fork::ask;
use crate::base::error::{Error, Result};
use crate::sys::stdio::write_all;
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::io::{self, Errno, IoSlice, IoSliceMut};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use std::mem::MaybeUninit;
use std::time::Duration;

/// Lets a reader open something and hand it over, or tell why it cannot; None where it was silent
/// for longer than `patience`.
///
/// # Errors
/// As [`ask`]; the errno of socketpair(2) and recvmsg(2).
pub(crate) fn open_apart(
    kept: &[BorrowedFd<'_>],
    patience: Duration,
    open: &dyn Fn() -> io::Result<OwnedFd>,
) -> Result<Option<io::Result<OwnedFd>>> {
    let cannot = |e| Error::cannot("take a descriptor from a process that opens it for us", e);
    let flags = SocketFlags::CLOEXEC;
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None).map_err(cannot)?;
    let kept = [kept, &[theirs.as_fd()]].concat();
    let answer = ask(size_of::<i32>(), &kept, patience, &|report| {
        let failure = open().and_then(|fd| send(&theirs, &fd)).err();
        let failure = failure.map_or(0, Errno::raw_os_error);
        // What is not heard of is taken for silence.
        let _ = write_all(report, &failure.to_ne_bytes());
    })?;
    let Some(failure) = answer.and_then(|answer| answer.try_into().ok()) else { return Ok(None) };
    match i32::from_ne_bytes(failure) {
        0 => receive(&ours).map(|fd| Some(Ok(fd))).map_err(cannot),
        errno => Ok(Some(Err(Errno::from_raw_os_error(errno)))),
    }
}

/// As large as the kernel's record of one descriptor, and more: cmsg(3).
const RECORD: usize = 64;

fn send(socket: &OwnedFd, fd: &OwnedFd) -> io::Result<()> {
    let mut memory = [MaybeUninit::uninit(); RECORD];
    let mut record = SendAncillaryBuffer::new(&mut memory);
    let descriptors = [fd.as_fd()];
    record.push(SendAncillaryMessage::ScmRights(&descriptors));
    sendmsg(socket, &[IoSlice::new(b"+")], &mut record, SendFlags::NOSIGNAL)?;
    Ok(())
}

fn receive(socket: &OwnedFd) -> io::Result<OwnedFd> {
    let mut memory = [MaybeUninit::uninit(); RECORD];
    let mut record = RecvAncillaryBuffer::new(&mut memory);
    let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
    recvmsg(socket, &mut [IoSliceMut::new(&mut [0])], &mut record, flags)?;
    let rights = record.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(descriptors) => Some(descriptors),
        _ => None,
    });
    // The kernel leaves it out where the table of descriptors is full.
    rights.and_then(|mut descriptors| descriptors.next()).ok_or(Errno::MFILE)
}

#[cfg(test)]
mod tests {
    use crate::base::testing::alone;

    #[test]
    fn a_descriptor_is_handed_over() {
        alone("kernel::handover::tests::in_a_process::handed_over", "");
    }

    mod in_a_process {
        use super::super::*;
        use crate::kernel::fork::PATIENCE;
        use crate::kernel::netns::{id_of, own_id};
        use crate::sys::fd::open_at;
        use rustix::fs::{CWD, OFlags};
        use rustix::io::{FdFlags, fcntl_getfd};

        #[test]
        #[ignore = "run by a_descriptor_is_handed_over"]
        fn handed_over() {
            let open = || open_at(CWD, b"/proc/self/ns/net", OFlags::PATH);
            let fd = open_apart(&[], PATIENCE, &open).unwrap().unwrap().unwrap();
            assert_eq!(id_of(&fd), own_id());
            assert!(fcntl_getfd(&fd).unwrap().contains(FdFlags::CLOEXEC));
            let denied = open_apart(&[], PATIENCE, &|| Err(Errno::PERM)).unwrap().unwrap();
            assert_eq!(denied.unwrap_err(), Errno::PERM);
            let silent = || {
                std::thread::sleep(PATIENCE * 10);
                Err(Errno::PERM)
            };
            assert!(open_apart(&[], Duration::from_millis(10), &silent).unwrap().is_none());
        }
    }
}
