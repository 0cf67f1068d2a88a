//! Namespaces that the caller owns but may enter only through the user namespace that owns them.
//!
//! There is no way back out of a user namespace, so a child goes there for all the network namespaces it owns, and reports by a pipe.

#![forbid(unsafe_code)]

use super::look::Look;
use super::{Line, Row};
use crate::bytes::keep;
use crate::child;
use crate::console;
use crate::error::{Error, Result};
use crate::text::text;
use rustix::fd::{AsFd, OwnedFd};
use rustix::io::Errno;

/// Looks at the interfaces of `lines` that could not be looked at from here.
///
/// # Errors
/// Where the machine rather than a lack of rights is the reason.
pub fn look(look: &Look<'_>, rows: &[Row], lines: &mut [Box<Line>]) -> Result<()> {
    for at in 0..lines.len() {
        if lines[at].interfaces.is_some() {
            continue;
        }
        let namespace = &rows[lines[at].row].namespace;
        let Some(netns) = namespace.open(look.host) else { continue };
        if netns.userns_to_join(b"").is_ok() {
            drop(netns);
            ask(look, rows, lines, at)?;
        }
        if lines[at].interfaces.is_none() {
            look.host.excuse(text!("net:[{}]", namespace.id.ino), Errno::PERM);
        }
    }
    Ok(())
}

/// Asks a child for the interfaces of line `first` and of all later ones of the same user namespace.
fn ask(look: &Look<'_>, rows: &[Row], lines: &mut [Box<Line>], first: usize) -> Result<()> {
    // What could not be told is missed, and said to be unreadable.
    let report = child::ask(&|writer| drop(tell(look, rows, &lines[first..], writer)))?;
    let mut rest = &report[..];
    while let Some((head, tail)) = rest.split_first_chunk::<16>() {
        let [at, len] = [&head[..8], &head[8..]].map(|n| n.try_into().map_or(0, u64::from_ne_bytes) as usize);
        let (Some(line), Some((text, more))) = (lines.get_mut(first + at), tail.split_at_checked(len)) else { break };
        line.interfaces = Some(keep(text));
        rest = more;
    }
    Ok(())
}

/// Goes to the user namespace of the first of `lines`, and writes what is to be seen of each that can be entered from there: its
/// place among them, the length of the text, and the text.
fn tell(look: &Look<'_>, rows: &[Row], lines: &[Box<Line>], writer: &OwnedFd) -> Result<()> {
    let mut is_there = false;
    for (at, line) in lines.iter().enumerate().filter(|(_, line)| line.interfaces.is_none()) {
        let Some(netns) = rows[line.row].namespace.open(look.host) else { continue };
        if !is_there {
            netns.enter(b"a container")?;
            is_there = true;
        } else if netns.set().is_err() {
            continue;
        }
        let text = look.at(rows, line.row)?;
        let head = [(at as u64).to_ne_bytes(), (text.len() as u64).to_ne_bytes()].concat();
        console::write_all(writer.as_fd(), &[&head, text].concat())
            .map_err(|e| Error::cannot(b"write to a pipe", e))?;
    }
    Ok(())
}
