//! What the kernel tells of namespaces: the ioctls of namespace files, ioctl_nsfs(2), and the calls
//! that list and open them by their cookies; linux/nsfs.h.

#![allow(unsafe_code)]

use super::child::syscall;
use super::libc::last_errno;
use rustix::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use rustix::fs::OFlags;
use rustix::io;
use rustix::ioctl::{self, Getter, Ioctl, IoctlOutput, Opcode, opcode};
use std::ffi::{c_int, c_long, c_void};
use std::ptr::null_mut;

unsafe extern "C" {
    fn open_by_handle_at(mount: c_int, handle: *const c_void, flags: c_int) -> c_int;
}

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

/// Returns the cookie of namespace `fd`, which is not used again until the machine is restarted:
/// NS_GET_ID, Linux 6.18.
///
/// # Errors
/// ENOTTY before Linux 6.18.
pub fn namespace_cookie(fd: impl AsFd) -> io::Result<u64> {
    // SAFETY: NS_GET_ID writes a u64 to the pointer it is given, which is what Getter passes.
    unsafe { ioctl::ioctl(fd, Getter::<{ opcode::read::<u64>(NSIO, 13) }, u64>::new()) }
}

/// Opens the network namespace of a socket: SIOCGSKNS of linux/sockios.h, Linux 4.10.
///
/// # Errors
/// EPERM without CAP_NET_ADMIN there; ENOTTY before Linux 4.10, or where `socket` is none.
pub fn netns_of_socket(socket: impl AsFd) -> io::Result<OwnedFd> {
    const SIOCGSKNS: Opcode = 0x894c;
    ask(socket, SIOCGSKNS).map(own)
}

/// What listns(2) is asked: struct ns_id_req.
#[repr(C)]
struct Request {
    size: u32,
    spare: u32,
    /// The cookie after which to go on.
    after: u64,
    kind: u32,
    spare2: u32,
    /// Of any owner, if 0.
    owner: u64,
}

/// Writes the cookies of network namespaces above `after`, ascending, as many as there is room for;
/// returns how many: listns(2), Linux 6.19.
///
/// # Errors
/// ENOENT where there are no more; ENOSYS before Linux 6.19.
pub fn list_netns(after: u64, cookies: &mut [u64]) -> io::Result<usize> {
    // The same on every architecture.
    const SYS_LISTNS: c_long = 470;
    const NEWNET: u32 = 0x4000_0000;
    let size = size_of::<Request>() as u32;
    let request = Request { size, spare: 0, after, kind: NEWNET, spare2: 0, owner: 0 };
    let no_flags: c_long = 0;
    let (memory, room) = (cookies.as_mut_ptr(), cookies.len());
    // SAFETY: the request has the size that it tells, and no more cookies than there is room for
    // are written.
    match unsafe { syscall(SYS_LISTNS, &raw const request, memory, room, no_flags) } {
        -1 => Err(last_errno()),
        count => Ok(count as usize),
    }
}

/// What open_by_handle_at(2) is told: struct file_handle with a struct nsfs_file_handle in it.
#[repr(C)]
struct Handle {
    size: u32,
    kind: i32,
    cookie: u64,
    /// Of a namespace of any kind, if 0.
    namespace_type: u32,
    inode: u32,
}

/// Opens the namespace that has this cookie, in our own pid namespace or below it: Linux 6.19.
///
/// # Errors
/// ESTALE where nothing but sockets keeps it, or there is none, and before Linux 6.19; EPERM where
/// the caller may not see all namespaces; EBADF before Linux 6.18.
pub fn open_by_cookie(cookie: u64) -> io::Result<OwnedFd> {
    // FD_NSFS_ROOT of linux/fcntl.h, and FILEID_NSFS of linux/exportfs.h.
    const NSFS_ROOT: c_int = -10003;
    const NSFS_FILE: i32 = 0xf1;
    let handle = Handle { size: 16, kind: NSFS_FILE, cookie, namespace_type: 0, inode: 0 };
    let flags = (OFlags::RDONLY | OFlags::CLOEXEC).bits() as c_int;
    // SAFETY: the handle is as long as it tells, and only read.
    match unsafe { open_by_handle_at(NSFS_ROOT, (&raw const handle).cast(), flags) } {
        -1 => Err(last_errno()),
        fd => Ok(own(fd)),
    }
}

fn ask(fd: impl AsFd, code: Opcode) -> io::Result<RawFd> {
    // SAFETY: these ioctls take no argument and answer by their return value, which Answer reads.
    unsafe { ioctl::ioctl(fd, Answer(code)) }
}

fn own(fd: RawFd) -> OwnedFd {
    // SAFETY: the call that returned it has just opened it, close-on-exec, for us alone.
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
