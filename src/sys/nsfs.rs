//! The ioctls of namespace files: ioctl_nsfs(2), linux/nsfs.h.

#![allow(unsafe_code)]

use rustix::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use rustix::io;
use rustix::ioctl::{self, Getter, Ioctl, IoctlOutput, Opcode, opcode};
use std::ffi::c_void;
use std::ptr::null_mut;

/// The ioctl group of nsfs.
const NSIO: u8 = 0xb7;

/// Opens the user namespace that owns namespace `fd`: NS_GET_USERNS, Linux 4.9.
///
/// # Errors
/// EPERM where the owner is outside our own user namespace; ENOTTY before Linux 4.9.
pub fn owning_userns(fd: impl AsFd) -> io::Result<OwnedFd> {
    ask(fd, opcode::none(NSIO, 1)).map(own)
}

/// Opens the parent of a user or pid namespace: NS_GET_PARENT, Linux 4.9.
///
/// # Errors
/// As [`owning_userns`].
pub fn parent_userns(fd: impl AsFd) -> io::Result<OwnedFd> {
    ask(fd, opcode::none(NSIO, 2)).map(own)
}

/// Returns the CLONE_NEW* constant of namespace `fd`: NS_GET_NSTYPE, Linux 4.11.
///
/// # Errors
/// ENOTTY before Linux 4.11, or where `fd` is no namespace.
pub fn namespace_type(fd: impl AsFd) -> io::Result<u32> {
    ask(fd, opcode::none(NSIO, 3)).map(|kind| kind as u32)
}

/// Returns the uid, as seen from here, of who created user namespace `fd`: NS_GET_OWNER_UID, Linux
/// 4.11.
///
/// # Errors
/// ENOTTY before Linux 4.11.
pub fn userns_owner(fd: impl AsFd) -> io::Result<u32> {
    // SAFETY: NS_GET_OWNER_UID writes a uid_t to the pointer it is given, which is what Getter
    // passes.
    unsafe { ioctl::ioctl(fd, Getter::<{ opcode::none(NSIO, 4) }, u32>::new()) }
}

fn ask(fd: impl AsFd, code: Opcode) -> io::Result<RawFd> {
    // SAFETY: these ioctls take no argument and answer by their return value, which Answer reads.
    unsafe { ioctl::ioctl(fd, Answer(code)) }
}

fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the ioctl that returned it has just opened it, close-on-exec, for us alone.
    unsafe { OwnedFd::from_raw_fd(fd) }
}

/// An ioctl without argument whose answer is its return value.
struct Answer(Opcode);

// SAFETY: as_ptr gives null, which the ioctls this is used for ignore; they write no memory.
unsafe impl Ioctl for Answer {
    type Output = RawFd;
    const IS_MUTATING: bool = false;

    fn opcode(&self) -> Opcode {
        self.0
    }

    fn as_ptr(&mut self) -> *mut c_void {
        null_mut()
    }

    unsafe fn output_from_ptr(answer: IoctlOutput, _: *mut c_void) -> io::Result<RawFd> {
        Ok(answer)
    }
}
