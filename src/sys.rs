//! The system calls that safe Rust does not offer; the one file with `unsafe` beside the C entry point.

#![allow(unsafe_code)]

use rustix::fd::{AsFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::ioctl::{self, Ioctl, IoctlOutput, Opcode, opcode};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::UnsafeCell;
use std::ffi::{CStr, OsStr, c_char, c_int, c_ulong, c_void};
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicUsize, Ordering};

unsafe extern "C" {
    fn execvp(file: *const c_char, argv: *const *const c_char) -> c_int;
    fn getauxval(key: c_ulong) -> c_ulong;
    fn write(fd: c_int, bytes: *const c_void, count: usize) -> isize;
    fn _exit(status: c_int) -> !;
}

/// The arguments that the kernel gave us. They live as long as the process.
#[derive(Clone, Copy)]
pub struct Argv {
    count: usize,
    first: *const *const c_char,
}

impl Argv {
    /// Takes the two arguments of C's main.
    ///
    /// # Safety
    /// `first` must point to `count` C strings and a null pointer, never changed again.
    pub unsafe fn new(count: c_int, first: *const *const c_char) -> Argv {
        Argv { count: usize::try_from(count).unwrap_or(0), first }
    }

    /// How many arguments there are, the program's name included.
    pub fn count(self) -> usize {
        self.count
    }

    /// All arguments, the program's name first.
    pub fn iter(self) -> impl Iterator<Item = &'static OsStr> {
        (0..self.count).map(move |i| OsStr::from_bytes(self.get(i).to_bytes()))
    }

    /// Becomes the command that starts at argument `index`, found by PATH. Returns only on failure.
    ///
    /// # Panics
    /// If `index` is not below [`Argv::count`].
    pub fn exec(self, index: usize) -> Errno {
        let file = self.get(index);
        // SAFETY: file is a C string; the rest of argv is a list of C strings that ends with a null pointer, by Argv::new.
        unsafe { execvp(file.as_ptr(), self.first.add(index)) };
        last_errno()
    }

    fn get(self, index: usize) -> &'static CStr {
        assert!(index < self.count);
        // SAFETY: index is in bounds and every entry is a C string that lives for ever, by Argv::new.
        unsafe { CStr::from_ptr(*self.first.add(index)) }
    }
}

/// Becomes `program` without arguments. Returns only on failure.
pub fn exec(program: &CStr) -> Errno {
    let argv = [program.as_ptr(), std::ptr::null()];
    // SAFETY: both are C strings, and argv ends with a null pointer.
    unsafe { execvp(program.as_ptr(), argv.as_ptr()) };
    last_errno()
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}

/// Whether the kernel started us with more rights than the caller has (set-user-ID, file capabilities): getauxval(3), AT_SECURE.
pub fn is_secure_exec() -> bool {
    const AT_SECURE: c_ulong = 23;
    // SAFETY: getauxval only reads the auxiliary vector.
    unsafe { getauxval(AT_SECURE) != 0 }
}

/// Gives this process a mount namespace of its own: unshare(2), CLONE_NEWNS.
///
/// # Errors
/// The errno of unshare(2).
pub fn unshare_mounts() -> Result<(), Errno> {
    // SAFETY: unsafe because of CLONE_FILES, which is not asked for here.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }
}

/// The user namespace that owns namespace `fd`: ioctl_nsfs(2), NS_GET_USERNS, Linux 4.9.
///
/// # Errors
/// EPERM where the owner is outside our own user namespace; ENOTTY before Linux 4.9.
pub fn owning_userns(fd: impl AsFd) -> Result<OwnedFd, Errno> {
    ns_ioctl(fd, opcode::none(NSIO, 1)).map(own)
}

/// The parent of user namespace `fd`: ioctl_nsfs(2), NS_GET_PARENT, Linux 4.9.
///
/// # Errors
/// As [`owning_userns`].
pub fn parent_userns(fd: impl AsFd) -> Result<OwnedFd, Errno> {
    ns_ioctl(fd, opcode::none(NSIO, 2)).map(own)
}

/// The CLONE_NEW* constant of namespace `fd`: ioctl_nsfs(2), NS_GET_NSTYPE, Linux 4.11.
///
/// # Errors
/// ENOTTY before Linux 4.11, or where `fd` is no namespace.
pub fn namespace_type(fd: impl AsFd) -> Result<u32, Errno> {
    ns_ioctl(fd, opcode::none(NSIO, 3)).map(|kind| kind as u32)
}

/// The uid, as seen from here, of who created user namespace `fd`: ioctl_nsfs(2), NS_GET_OWNER_UID, Linux 4.11.
///
/// # Errors
/// ENOTTY before Linux 4.11.
pub fn userns_owner(fd: impl AsFd) -> Result<u32, Errno> {
    // SAFETY: NS_GET_OWNER_UID writes a uid_t to the pointer it is given, which is what Getter passes.
    unsafe { ioctl::ioctl(fd, ioctl::Getter::<{ opcode::none(NSIO, 4) }, u32>::new()) }
}

/// The ioctl group of nsfs, linux/nsfs.h.
const NSIO: u8 = 0xb7;

fn ns_ioctl(fd: impl AsFd, code: Opcode) -> Result<RawFd, Errno> {
    // SAFETY: these ioctls take no argument and answer by their return value, which is what Answer reads.
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
        std::ptr::null_mut()
    }

    unsafe fn output_from_ptr(answer: IoctlOutput, _: *mut c_void) -> Result<RawFd, Errno> {
        Ok(answer)
    }
}

/// The program's allocator: a few KiB of static memory first, so that a plain entry makes no system call for memory, then libc's;
/// without memory the program says so and ends with 125.
pub struct Allocator {
    used: AtomicUsize,
    arena: Arena,
}

const ARENA_SIZE: usize = 16 * 1024;

#[repr(align(16))]
struct Arena(UnsafeCell<[u8; ARENA_SIZE]>);

// SAFETY: a byte of the arena is handed out once, by the atomic counter beside it.
unsafe impl Sync for Arena {}

impl Allocator {
    /// An allocator whose arena is unused.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Allocator {
        Allocator { used: AtomicUsize::new(0), arena: Arena(UnsafeCell::new([0; ARENA_SIZE])) }
    }

    fn bump(&self, layout: Layout) -> Option<*mut u8> {
        let start = self.used.load(Ordering::Relaxed).checked_next_multiple_of(layout.align())?;
        let end = start.checked_add(layout.size())?;
        if layout.align() > align_of::<Arena>() || end > ARENA_SIZE {
            return None;
        }
        self.used.store(end, Ordering::Relaxed);
        // SAFETY: start is at most ARENA_SIZE, so this stays within, or one past, the array.
        Some(unsafe { self.arena.0.get().cast::<u8>().add(start) })
    }

    fn owns(&self, memory: *mut u8) -> bool {
        let start = self.arena.0.get() as usize;
        (start..start + ARENA_SIZE).contains(&(memory as usize))
    }
}

// SAFETY: each byte of the arena is handed out once, aligned as asked, and never reused; all else is System's. The program has
// one thread, so the two steps on the counter cannot interleave.
unsafe impl GlobalAlloc for Allocator {
    // Not inlined: it would be, into every place that has a Vec, and double the binary.
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if let Some(memory) = self.bump(layout) {
            return memory;
        }
        // SAFETY: the caller's promise on layout is passed on.
        let memory = unsafe { System.alloc(layout) };
        if memory.is_null() {
            out_of_memory();
        }
        memory
    }

    #[inline(never)]
    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if !self.owns(memory) {
            // SAFETY: what is not from the arena is from System, with this layout.
            unsafe { System.dealloc(memory, layout) }
        }
    }
}

/// Ends the program without allocating.
fn out_of_memory() -> ! {
    const TEXT: &[u8] = b"netns-enter: out of memory\n";
    // The flag tells whether descriptor 2 is the caller's, as console.rs explains.
    if rustix::io::fcntl_getfd(rustix::stdio::stderr()).is_ok_and(|flags| flags.is_empty()) {
        // SAFETY: TEXT is valid for its length.
        unsafe { write(2, TEXT.as_ptr().cast(), TEXT.len()) };
    }
    // SAFETY: _exit ends the process without running anything.
    unsafe { _exit(c_int::from(crate::error::FAILED)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arena_aligns_and_ends() {
        let heap = Allocator::new();
        let layout = |size, align| Layout::from_size_align(size, align).unwrap();
        let a = heap.bump(layout(3, 1)).unwrap();
        let b = heap.bump(layout(8, 8)).unwrap();
        assert_eq!(b as usize % 8, 0);
        assert!(heap.owns(a) && heap.owns(b) && b as usize >= a as usize + 3);
        assert!(heap.bump(layout(ARENA_SIZE, 1)).is_none());
        assert!(heap.bump(layout(8, 64)).is_none());
        assert!(!heap.owns(std::ptr::null_mut()));
    }

    #[test]
    fn our_own_namespaces_answer() {
        let net = std::fs::File::open("/proc/self/ns/net").unwrap();
        assert_eq!(namespace_type(&net), Ok(0x4000_0000));
        let user = std::fs::File::open("/proc/self/ns/user").unwrap();
        assert!(userns_owner(&user).is_ok());
        assert_eq!(namespace_type(std::fs::File::open("/dev/null").unwrap()), Err(Errno::NOTTY));
    }
}
