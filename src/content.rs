//! What was read from a file, in a buffer that is used again when it is no longer looked at.
//!
//! The program's allocator takes nothing back ([`crate::sys::Allocator`]), and a look-up may read ten thousand files.

#![forbid(unsafe_code)]

use rustix::fd::{AsFd, BorrowedFd};
use rustix::io::{Errno, read, retry_on_intr};
use std::cell::Cell;
use std::ops::Deref;

thread_local! {
    static SPARE: Cell<Option<&'static mut Buffer>> = const { Cell::new(None) };
}

/// The bytes of a file.
#[derive(Debug, Default)]
pub struct Content(Option<&'static mut Buffer>);

/// Where bytes are, or will be.
#[derive(Debug, Default)]
struct Buffer {
    room: &'static mut [u8],
    len: usize,
}

impl Deref for Content {
    type Target = [u8];

    // Not inlined: every place that looks at a content would have the check of its length.
    #[inline(never)]
    fn deref(&self) -> &[u8] {
        self.0.as_ref().map_or(&[], |buffer| &buffer.room[..buffer.len])
    }
}

impl Drop for Content {
    #[inline(never)]
    fn drop(&mut self) {
        let spare = SPARE.take();
        let room = |buffer: &Option<&mut Buffer>| buffer.as_ref().map_or(0, |buffer| buffer.room.len());
        SPARE.set(if room(&spare) > room(&self.0) { spare } else { self.0.take() });
    }
}

/// Reads a file of /proc, or a cgroup's, to its end.
///
/// # Errors
/// The errno of read(2); EFBIG if that is more than `most` bytes.
pub fn read_all(fd: impl AsFd, expected: usize, most: usize) -> Result<Content, Errno> {
    read_to(fd.as_fd(), expected, most, false)
}

/// Reads a regular file of `size` bytes, or what it is by now, to its end.
///
/// # Errors
/// As [`read_all`].
pub fn read_file(fd: impl AsFd, size: usize, most: usize) -> Result<Content, Errno> {
    read_to(fd.as_fd(), size, most, true)
}

/// A regular file that gives its size and no more to a read that asks for more has come to its end; the kernel's own files may go on.
fn read_to(fd: BorrowedFd<'_>, expected: usize, most: usize, sized: bool) -> Result<Content, Errno> {
    let mut content = Content::default();
    // One byte more than expected lets the read that fills the file find its end, too.
    let buffer = content.take(expected + 1);
    loop {
        let read = retry_on_intr(|| read(fd, &mut buffer.room[buffer.len..]))?;
        buffer.len += read;
        if buffer.len > most {
            return Err(Errno::FBIG);
        }
        if read == 0 || (sized && buffer.len == expected && buffer.room.len() > expected) {
            return Ok(content);
        }
        if buffer.len == buffer.room.len() {
            buffer.grow(buffer.len + 1);
        }
    }
}

impl Content {
    /// An empty one with room for `size` bytes or more.
    pub fn with_room(size: usize) -> Content {
        let mut content = Content::default();
        content.take(size);
        content
    }

    /// The whole buffer, to be written to.
    pub fn room(&mut self) -> &mut [u8] {
        self.0.as_mut().map_or(&mut [], |buffer| buffer.room)
    }

    fn take(&mut self, size: usize) -> &mut Buffer {
        let buffer = self.0.insert(SPARE.take().unwrap_or_else(|| Box::leak(Box::default())));
        buffer.len = 0;
        if buffer.room.len() < size {
            buffer.grow(size);
        }
        buffer
    }
}

impl Buffer {
    fn grow(&mut self, wanted: usize) {
        let larger = vec![0; wanted.max(2 * self.room.len())].leak();
        larger[..self.len].copy_from_slice(&self.room[..self.len]);
        self.room = larger;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn file(size: usize) -> std::fs::File {
        let path = std::env::temp_dir().join(format!("netns-enter-content-{size}-{}", std::process::id()));
        std::fs::File::create(&path).unwrap().write_all(&vec![7; size]).unwrap();
        let file = std::fs::File::open(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        file
    }

    #[test]
    fn a_file_is_read_to_its_end_whatever_was_expected() {
        for (size, expected) in [(0, 0), (0, 100), (10, 0), (10, 10), (5000, 10), (5000, 5000)] {
            let content = read_all(file(size), expected, 5000).unwrap();
            assert_eq!(*content, vec![7; size], "{size} {expected}");
            let content = read_file(file(size), expected, 5000).unwrap();
            assert_eq!(*content, vec![7; size], "{size} {expected}");
        }
    }

    #[test]
    fn too_much_is_refused() {
        assert!(read_all(file(5001), 10, 5000).is_err_and(|e| e == Errno::FBIG));
        assert!(read_all(file(5001), 6000, 5000).is_err_and(|e| e == Errno::FBIG));
    }

    #[test]
    fn two_are_never_in_one_buffer() {
        let first = read_all(file(10), 10, 100).unwrap();
        let second = read_all(file(20), 20, 100).unwrap();
        assert_eq!((first.len(), second.len()), (10, 20));
        drop(first);
        let third = read_all(file(30), 30, 100).unwrap();
        assert_eq!((second.len(), third.len()), (20, 30));
    }
}
