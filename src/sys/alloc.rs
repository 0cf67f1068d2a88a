//! The program's allocator: memory is handed out in order, and only the last piece is taken back.
//!
//! The program ends, or becomes COMMAND, within milliseconds. The first few KiB are static, so that
//! a plain entry makes no system call for memory; libc's malloc makes several. What is read again
//! and again, such as the contents of files, has one buffer that is used again
//! ([`crate::base::read`]).

#![allow(unsafe_code)]

use super::stdio;
use rustix::mm::{MapFlags, ProtFlags, mmap_anonymous};
use std::alloc::{GlobalAlloc, Layout};
use std::cell::{Cell, UnsafeCell};
use std::ptr::null_mut;

const ARENA: usize = 16 * 1024;
/// Asked of the kernel at once. Pages of it that are never written cost nothing.
const CHUNK: usize = 1024 * 1024;

/// A bump allocator for a program of one thread.
pub struct Allocator {
    /// Where free memory starts; 0 before the first allocation.
    next: Cell<usize>,
    /// Where it ends.
    end: Cell<usize>,
    arena: UnsafeCell<[u8; ARENA]>,
}

// SAFETY: the program has one thread.
unsafe impl Sync for Allocator {}

impl Allocator {
    /// Returns an allocator that has handed out nothing.
    #[allow(clippy::new_without_default)] // there is one, and a static needs a const function
    pub const fn new() -> Allocator {
        let arena = UnsafeCell::new([0; ARENA]);
        Allocator { next: Cell::new(0), end: Cell::new(0), arena }
    }

    /// Goes on to memory with room for `size` bytes: the arena first, then what the kernel maps.
    fn refill(&self, size: usize) {
        let (start, length) = if self.end.get() == 0 && size <= ARENA {
            (self.arena.get() as usize, ARENA)
        } else {
            let length = CHUNK.max(size);
            let (access, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE);
            // SAFETY: a new mapping at an address of the kernel's choice touches nothing that
            // exists.
            match unsafe { mmap_anonymous(null_mut(), length, access, flags) } {
                Ok(chunk) => (chunk as usize, length),
                Err(_) => stdio::die_out_of_memory(),
            }
        };
        self.next.set(start);
        self.end.set(start + length);
    }
}

// SAFETY: each byte between `next` and `end` belongs to nobody; what is handed out starts at a
// multiple of the alignment and is not handed out again before it was given back as the last piece.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        loop {
            let start = self.next.get().next_multiple_of(layout.align());
            if let Some(end) = start.checked_add(layout.size()).filter(|end| *end <= self.end.get())
            {
                self.next.set(end);
                return start as *mut u8;
            }
            // No layout is larger than isize::MAX, so the sum fits.
            self.refill(layout.size() + layout.align());
        }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        if memory as usize + layout.size() == self.next.get() {
            self.next.set(memory as usize);
        }
    }
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
        let mut taken: Vec<(usize, usize)> = Vec::new();
        let sizes =
            [(3, 1), (8, 8), (1, 1), (64, 64), (ARENA, 1), (9, 8), (2 * CHUNK, 4096), (5, 4)];
        for (size, align) in sizes {
            let start = grab(&heap, size, align) as usize;
            assert_eq!(start % align, 0, "{size} {align}");
            assert!(taken.iter().all(|(from, to)| start + size <= *from || *to <= start));
            taken.push((start, start + size));
        }
    }

    #[test]
    fn the_last_piece_is_taken_back_and_no_other() {
        let heap = Allocator::new();
        let layout = Layout::from_size_align(24, 8).unwrap();
        let (first, second) = (grab(&heap, 24, 8), grab(&heap, 24, 8));
        // SAFETY: each was handed out with this layout, and is given back once.
        unsafe {
            heap.dealloc(first, layout);
            assert_ne!(grab(&heap, 24, 8), first);
            heap.dealloc(second, layout);
        }
        let third = grab(&heap, 24, 8);
        assert!(third > second);
        // SAFETY: as above.
        unsafe { heap.dealloc(third, layout) };
        assert_eq!(grab(&heap, 8, 8), third);
    }

    #[test]
    fn memory_grows_with_its_content_kept() {
        let heap = Allocator::new();
        let mut layout = Layout::from_size_align(1, 1).unwrap();
        let mut memory = grab(&heap, 1, 1);
        // SAFETY: the memory has this layout each time, and is as large as what is written and
        // read.
        unsafe {
            memory.write(7);
            for size in [2, 100, ARENA, 3 * CHUNK] {
                memory = heap.realloc(memory, layout, size);
                layout = Layout::from_size_align(size, 1).unwrap();
                memory.add(size - 1).write(size as u8);
                assert_eq!(memory.read(), 7, "{size}");
            }
        }
    }
}
