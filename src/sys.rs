//! The system calls that safe Rust does not offer; the one file with `unsafe` beside the C entry point.

#![allow(unsafe_code)]

use crate::bytes::Bytes;
use crate::console::say;
use rustix::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use rustix::io::Errno;
use rustix::ioctl::{self, Ioctl, IoctlOutput, Opcode, opcode};
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use rustix::process::{Pid, Signal};
use rustix::thread::{UnshareFlags, unshare_unsafe};
use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::ffi::{CStr, OsStr, c_char, c_int, c_ulong, c_void};
use std::os::unix::ffi::OsStrExt;
use std::ptr::{copy_nonoverlapping, null_mut};

unsafe extern "C" {
    fn execvp(file: *const c_char, argv: *const *const c_char) -> c_int;
    fn getauxval(key: c_ulong) -> c_ulong;
    fn setsockopt(fd: c_int, level: c_int, name: c_int, value: *const c_void, len: u32) -> c_int;
    fn _Fork() -> c_int;
    fn sigprocmask(how: c_int, new: *const SignalSet, old: *mut SignalSet) -> c_int;
    fn getenv(name: *const c_char) -> *const c_char;
    fn strerror(errno: c_int) -> *const c_char;
    fn _exit(status: c_int) -> !;
    fn signal(number: c_int, handler: usize) -> usize;
    fn raise(number: c_int) -> c_int;
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

    /// All arguments but the program's name.
    pub fn words(self) -> impl Iterator<Item = &'static OsStr> {
        (1..self.count).map(move |index| OsStr::from_bytes(self.get(index).to_bytes()))
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

    /// One of them.
    ///
    /// # Panics
    /// As [`Argv::exec`].
    pub fn get(self, index: usize) -> &'static CStr {
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

/// A variable of the environment, unless it is empty, which is as good as unset: getenv(3).
pub fn variable(name: &CStr) -> Option<&'static CStr> {
    // SAFETY: the name is a C string, and the result one of the environment, which the program never changes.
    let value = unsafe { getenv(name.as_ptr()).as_ref().map(|value| CStr::from_ptr(value)) };
    value.filter(|value| !value.is_empty())
}

/// libc's words for an errno: strerror(3).
pub fn error_text(errno: Errno) -> Bytes {
    // SAFETY: the result is a C string, which musl never changes. glibc writes numbers that it does not know into one buffer; the kernel
    // gives us none of those.
    unsafe { CStr::from_ptr(strerror(errno.raw_os_error())) }.to_bytes()
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

/// Ends the program at once.
pub fn exit(status: u8) -> ! {
    // SAFETY: _exit ends the process without running anything.
    unsafe { _exit(c_int::from(status)) }
}

/// Goes on as two processes; None in the child. What libc would do for threads is left out, as there are none.
///
/// # Errors
/// The errno of fork(2).
pub fn fork() -> Result<Option<Pid>, Errno> {
    // SAFETY: the program has one thread, so the child has all of it.
    match unsafe { _Fork() } {
        -1 => Err(last_errno()),
        pid => Ok(Pid::from_raw(pid)),
    }
}

/// Switches on an option of a netlink socket: netlink(7), setsockopt(2).
///
/// # Errors
/// ENOPROTOOPT where the kernel is older than the option.
pub fn set_netlink_option(socket: impl AsFd, option: c_int) -> Result<(), Errno> {
    const SOL_NETLINK: c_int = 270;
    let on: c_int = 1;
    // SAFETY: the value is a C int of the size that is given.
    let result = unsafe {
        setsockopt(socket.as_fd().as_raw_fd(), SOL_NETLINK, option, (&raw const on).cast(), size_of::<c_int>() as u32)
    };
    if result == 0 { Ok(()) } else { Err(last_errno()) }
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

/// What a signal did, to be restored.
#[derive(Clone, Copy)]
pub struct Disposition {
    signal: Signal,
    handler: usize,
}

impl Disposition {
    /// Lets `signal` do nothing (true), or what it does by default.
    pub fn ignore(signal: Signal, ignore: bool) -> Disposition {
        Disposition { signal, handler: usize::from(ignore) }.restore()
    }

    /// Lets the signal do this again; returns what it did meanwhile.
    pub fn restore(self) -> Disposition {
        // SAFETY: a handler is SIG_DFL (0), SIG_IGN (1), or what this function returned before.
        let handler = unsafe { signal(self.signal.as_raw(), self.handler) };
        Disposition { handler, ..self }
    }
}

/// A sigset_t, the same in musl and glibc: a bit for each signal, the first for number 1.
type SignalSet = [c_ulong; 1024 / c_ulong::BITS as usize];

/// The signals that were blocked, to be restored.
pub struct SignalMask(SignalSet);

impl SignalMask {
    /// Lets these signals wait: sigprocmask(2).
    pub fn block(signals: &[Signal]) -> SignalMask {
        const SIG_BLOCK: c_int = 0;
        let mut new: SignalSet = [0; _];
        for signal in signals {
            new[0] |= 1 << (signal.as_raw() - 1);
        }
        let mut old = SignalMask([0; _]);
        // SAFETY: both are of sigset_t's size; the kernel reads the one and libc writes the other.
        unsafe { sigprocmask(SIG_BLOCK, &raw const new, &raw mut old.0) };
        old
    }

    /// Lets signals come again that were not blocked before; those that waited come now.
    pub fn restore(&self) {
        const SIG_SETMASK: c_int = 2;
        // SAFETY: the set is what sigprocmask wrote, and the old one is not asked for.
        unsafe { sigprocmask(SIG_SETMASK, &raw const self.0, null_mut()) };
    }
}

/// Ends the program by a signal, as if it had not been ignored; where it is blocked, with the status that shells give for it.
pub fn die_of(number: i32) -> ! {
    // SAFETY: no handler is installed.
    unsafe {
        signal(number, 0);
        raise(number);
    }
    exit(128_u8.wrapping_add(number as u8))
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
        null_mut()
    }

    unsafe fn output_from_ptr(answer: IoctlOutput, _: *mut c_void) -> Result<RawFd, Errno> {
        Ok(answer)
    }
}

/// The program's allocator: memory is handed out and never taken back, since the program ends, or becomes COMMAND, within
/// milliseconds. Freeing is then no code at all in any of the hundreds of places that would have it. What is large and comes again, such as
/// the contents of files, has one buffer that is used again ([`crate::host`]).
///
/// The first few KiB are static, so that a plain entry makes no system call for memory; after them, the kernel is asked for chunks. Without
/// memory the program says so and ends with 125.
///
/// In this order, so that the counters are on the page of the arena that is used first: each page touched is a fault that is paid for.
#[repr(C)]
pub struct Allocator {
    /// Where free memory starts.
    next: Cell<usize>,
    /// Where it ends.
    end: Cell<usize>,
    arena: Arena,
}

const ARENA_SIZE: usize = 16 * 1024;
/// Asked of the kernel at once. Pages of it that are never written cost nothing.
const CHUNK_SIZE: usize = 1024 * 1024;

#[repr(align(16))]
struct Arena(UnsafeCell<[u8; ARENA_SIZE]>);

// SAFETY: the program has one thread.
unsafe impl Sync for Allocator {}

impl Allocator {
    /// An allocator whose arena is unused.
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Allocator {
        Allocator { next: Cell::new(0), end: Cell::new(0), arena: Arena(UnsafeCell::new([0; ARENA_SIZE])) }
    }

    /// Hands the arena out first. Called before anything else: a page that is written before it is read faults once, not twice.
    pub fn start(&self) {
        let arena = self.arena.0.get() as usize;
        self.next.set(arena);
        self.end.set(arena + ARENA_SIZE);
    }

    /// Free memory of this layout, if what is at hand suffices.
    fn bump(&self, size: usize, align: usize) -> Option<usize> {
        let start = self.next.get().checked_next_multiple_of(align)?;
        let end = start.checked_add(size)?;
        if end > self.end.get() {
            return None;
        }
        self.next.set(end);
        Some(start)
    }

    /// Goes on to a new chunk with room for `size` bytes.
    fn refill(&self, size: usize) {
        let length = CHUNK_SIZE.max(size);
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        match unsafe { mmap_anonymous(null_mut(), length, ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE) } {
            Ok(chunk) => {
                self.next.set(chunk as usize);
                self.end.set(chunk as usize + length);
            }
            Err(_) => out_of_memory(),
        }
    }
}

// SAFETY: each byte between `next` and `end` is handed out once, aligned as asked (`refill` starts at a multiple of 16 or of a page, and
// asks for `align` more), and never reused.
unsafe impl GlobalAlloc for Allocator {
    // Not inlined: it would be, into every place that has a Vec, and double the binary.
    #[inline(never)]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, align) = (layout.size(), layout.align());
        loop {
            if let Some(start) = self.bump(size, align) {
                return start as *mut u8;
            }
            self.refill(size.checked_add(align).unwrap_or_else(|| out_of_memory()));
        }
    }

    #[inline(always)]
    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}

    #[inline(never)]
    unsafe fn realloc(&self, memory: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let end = (memory as usize).wrapping_add(size);
        if memory as usize + layout.size() == self.next.get() && end > memory as usize && end <= self.end.get() {
            self.next.set(end);
            return memory;
        }
        // SAFETY: the caller promises that size is one for which a layout exists.
        unsafe {
            let new = self.alloc(Layout::from_size_align_unchecked(size, layout.align()));
            copy_nonoverlapping(memory, new, layout.size().min(size));
            new
        }
    }
}

/// Ends the program without allocating.
fn out_of_memory() -> ! {
    say(b"netns-enter: out of memory\n");
    exit(crate::error::FAILED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grab(heap: &Allocator, size: usize, align: usize) -> *mut u8 {
        // SAFETY: no test asks for 0 bytes.
        unsafe { heap.alloc(Layout::from_size_align(size, align).unwrap()) }
    }

    #[test]
    fn memory_is_aligned_and_handed_out_once() {
        let heap = Allocator::new();
        heap.start();
        let mut taken: Vec<(usize, usize)> = Vec::new();
        for (size, align) in [(3, 1), (8, 8), (1, 1), (64, 64), (ARENA_SIZE, 1), (9, 8), (2 * CHUNK_SIZE, 4096), (5, 4)]
        {
            let start = grab(&heap, size, align) as usize;
            assert_eq!(start % align, 0, "{size} {align}");
            assert!(taken.iter().all(|(from, to)| start + size <= *from || *to <= start), "{size} {align}");
            taken.push((start, start + size));
        }
    }

    #[test]
    fn the_last_block_grows_where_it_is_and_others_move() {
        let heap = Allocator::new();
        let layout = Layout::from_size_align(4, 1).unwrap();
        let first = grab(&heap, 4, 1);
        // SAFETY: these blocks came from this allocator with this layout.
        unsafe {
            first.copy_from(b"abcd".as_ptr(), 4);
            assert_eq!(heap.realloc(first, layout, 9), first);
            let second = grab(&heap, 4, 1);
            assert_eq!(second as usize, first as usize + 9);
            let moved = heap.realloc(first, Layout::from_size_align(9, 1).unwrap(), 3 * CHUNK_SIZE);
            assert_ne!(moved, first);
            assert_eq!(std::slice::from_raw_parts(moved, 4), b"abcd");
        }
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
