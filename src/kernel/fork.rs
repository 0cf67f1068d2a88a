//! Asking from where there is no way back: a child process that joins a user namespace, for one.

#![forbid(unsafe_code)]

use crate::base::error::{Error, Result};
use crate::base::read::Buffer;
use crate::sys::libc::{exit, fork};
use rustix::fd::OwnedFd;
use rustix::io::retry_on_intr;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitOptions, waitpid};

/// More than the interfaces of any user's containers take.
const MOST: usize = 256 << 20;

/// Runs a query in a forked child, which ends after it, and returns what it wrote to the pipe. Not
/// its exit status: a caller that ignores SIGCHLD leaves us none.
///
/// # Errors
/// Where no child can be made or heard.
pub(crate) fn query(tell: &dyn Fn(&OwnedFd)) -> Result<Vec<u8>> {
    let cannot = |e| Error::cannot("ask a child process", e);
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(cannot)?;
    let Some(child) = fork().map_err(cannot)? else {
        tell(&writer);
        exit(0);
    };
    drop(writer);
    let buffer = Buffer::default();
    let answer = buffer.read_all(reader, 4095, MOST).map(|content| content.to_vec());
    // COMMAND is to find no child that it does not know.
    let _ = retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
    answer.map_err(cannot)
}
