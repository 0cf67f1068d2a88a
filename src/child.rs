//! A child process that looks where there is no way back from, such as a user namespace, and reports by a pipe.

#![forbid(unsafe_code)]

use crate::content::{Content, read_all};
use crate::error::{Error, Result};
use crate::sys;
use rustix::fd::OwnedFd;
use rustix::io::retry_on_intr;
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{WaitOptions, waitpid};

/// More than the interfaces of any user's containers take.
const MOST: usize = 256 << 20;

/// What `tell` writes in a child, which then ends. Not its exit status: a caller that ignores SIGCHLD leaves us none.
///
/// # Errors
/// Where no child can be made or heard.
pub fn ask(tell: &dyn Fn(&OwnedFd)) -> Result<Content> {
    let cannot = |e| Error::cannot(b"ask a child process", e);
    let (report, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(cannot)?;
    let Some(child) = sys::fork().map_err(cannot)? else {
        tell(&writer);
        sys::exit(0);
    };
    drop(writer);
    let told = read_all(report, 4095, MOST);
    // COMMAND is to find no child that it does not know.
    let _ = retry_on_intr(|| waitpid(Some(child), WaitOptions::empty()));
    told.map_err(cannot)
}
