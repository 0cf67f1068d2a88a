//! Reading files whole, into a buffer that is used again.
//!
//! A look-up may read ten thousand files, and the program's allocator takes hardly anything back
//! ([`crate::sys::alloc`]). So whoever reads has a [`Buffer`], and what was read returns its memory
//! to it when it is no longer looked at.

#![forbid(unsafe_code)]

use rustix::buffer::{SpareCapacity, spare_capacity};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::{self, Errno, read, retry_on_intr};
use std::cell::Cell;
use std::ops::Deref;

/// Memory for the contents of files, one after the other.
#[derive(Default)]
pub struct Buffer(Cell<Vec<u8>>);

/// The bytes of a file.
pub struct Content<'b> {
    memory: Vec<u8>,
    home: &'b Buffer,
}

impl Deref for Content<'_> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.memory
    }
}

impl Drop for Content<'_> {
    fn drop(&mut self) {
        // Where two contents were looked at at once, the memory of the first to go is given up.
        self.home.0.set(std::mem::take(&mut self.memory));
    }
}

impl Buffer {
    /// Reads a file of /proc, or a cgroup's, to its end.
    ///
    /// # Errors
    /// The errno of read(2); EFBIG if that is more than `most` bytes.
    pub fn read_all(&self, fd: impl AsFd, expected: usize, most: usize) -> io::Result<Content<'_>> {
        self.read(fd.as_fd(), expected, most, false)
    }

    /// Reads a regular file of `size` bytes, or what it is by now, to its end.
    ///
    /// # Errors
    /// As [`Buffer::read_all`].
    pub fn read_file(&self, fd: impl AsFd, size: usize, most: usize) -> io::Result<Content<'_>> {
        self.read(fd.as_fd(), size, most, true)
    }

    /// Takes bytes that were read elsewhere.
    pub fn hold(&self, bytes: Vec<u8>) -> Content<'_> {
        Content { memory: bytes, home: self }
    }

    /// Takes the memory, empty, with room for `size` bytes or more.
    pub fn reserve(&self, size: usize) -> Content<'_> {
        let mut memory = self.0.take();
        memory.clear();
        memory.reserve(size);
        Content { memory, home: self }
    }

    /// A regular file that gives its size and no more to a read that asks for more has come to its
    /// end; the kernel's own files may go on.
    fn read(
        &self,
        fd: BorrowedFd<'_>,
        expected: usize,
        most: usize,
        sized: bool,
    ) -> io::Result<Content<'_>> {
        // One byte more than expected lets the read that fills the file find its end, too.
        let mut content = self.reserve(expected + 1);
        loop {
            let count = content.read_once(fd)?;
            if content.len() > most {
                return Err(Errno::FBIG);
            }
            let is_whole = sized && content.len() == expected && !content.is_full();
            if count == 0 || is_whole {
                return Ok(content);
            }
            content.grow();
        }
    }
}

impl Content<'_> {
    /// Adds what one read(2) gives to what is there; returns how many bytes these are.
    ///
    /// # Errors
    /// The errno of read(2).
    pub fn read_once(&mut self, fd: impl AsFd) -> io::Result<usize> {
        retry_on_intr(|| read(&fd, self.spare()))
    }

    /// Returns the room that is left, for a call that adds to what is there.
    pub fn spare(&mut self) -> SpareCapacity<'_, u8> {
        spare_capacity(&mut self.memory)
    }

    /// Tells whether no room is left.
    pub fn is_full(&self) -> bool {
        self.memory.len() == self.memory.capacity()
    }

    /// Makes the memory twice as large where it is full.
    pub fn grow(&mut self) {
        self.memory.reserve(1);
    }

    /// Removes the first so many bytes.
    pub fn remove_first(&mut self, count: usize) {
        self.memory.drain(..count);
    }

    /// Removes all bytes; the memory stays as large as it is.
    pub fn clear(&mut self) {
        self.memory.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;
    use std::sync::atomic::{AtomicU32, Ordering};

    fn file(size: usize) -> std::fs::File {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let serial = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("netns-enter-read-{serial}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::File::create(&path).unwrap().write_all(&vec![7; size]).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file
    }

    #[test]
    fn a_file_is_read_to_its_end_whatever_was_expected() {
        let buffer = Buffer::default();
        for (size, expected) in [(0, 0), (0, 100), (10, 0), (10, 10), (5000, 10), (5000, 5000)] {
            let content = buffer.read_all(file(size), expected, 5000).unwrap();
            assert_eq!(*content, vec![7; size], "{size} {expected}");
            drop(content);
            let content = buffer.read_file(file(size), expected, 5000).unwrap();
            assert_eq!(*content, vec![7; size], "{size} {expected}");
        }
    }

    #[test]
    fn too_much_is_refused() {
        let buffer = Buffer::default();
        for expected in [10, 6000] {
            let refused = buffer.read_all(file(5001), expected, 5000);
            assert!(refused.is_err_and(|e| e == Errno::FBIG));
        }
    }

    #[test]
    fn two_are_never_in_one_memory() {
        let buffer = Buffer::default();
        let first = buffer.read_all(file(10), 10, 100).unwrap();
        let second = buffer.read_all(file(20), 20, 100).unwrap();
        assert_eq!((first.len(), second.len()), (10, 20));
        drop(first);
        let third = buffer.read_all(file(30), 30, 100).unwrap();
        assert_eq!((second.len(), third.len()), (20, 30));
    }
}
