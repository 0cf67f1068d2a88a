//! What a deep look's reader tells: a record for each holder, then what could not be read.

#![forbid(unsafe_code)]

use super::Hear;
use crate::base::error::Error;
use crate::base::fields::{Fields, put};
use crate::host::Host;
use crate::host::holders::Holder;

/// What a record tells of.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Descriptor,
    Socket,
    /// In the mount namespace of a process.
    Mount,
    /// In a mount namespace that a descriptor keeps.
    KeptMount,
    File,
    /// What could not be read, in words.
    Unread,
    /// How many more could not be.
    MoreUnread,
    /// Why what was found may be wrong, in words.
    Fault,
    /// The end of a whole report.
    End,
}

const KINDS: [Kind; 9] = [
    Kind::Descriptor,
    Kind::Socket,
    Kind::Mount,
    Kind::KeptMount,
    Kind::File,
    Kind::Unread,
    Kind::MoreUnread,
    Kind::Fault,
    Kind::End,
];

/// One part of a report. What does not apply is 0.
pub(super) struct Record<'a> {
    pub(super) kind: Kind,
    pub(super) pid: u32,
    pub(super) fd: u32,
    pub(super) inode: u64,
    pub(super) cookie: u64,
    pub(super) text: &'a [u8],
}

impl<'a> Record<'a> {
    /// Makes a record without numbers.
    pub(super) fn new(kind: Kind, text: &'a [u8]) -> Record<'a> {
        Record { kind, pid: 0, fd: 0, inode: 0, cookie: 0, text }
    }

    /// Adds it to a report.
    pub(super) fn encode(&self, report: &mut Vec<u8>) {
        let Record { kind, pid, fd, inode, cookie, text } = self;
        let field = [
            &[*kind as u8][..],
            &pid.to_ne_bytes(),
            &fd.to_ne_bytes(),
            &inode.to_ne_bytes(),
            &cookie.to_ne_bytes(),
            text,
        ];
        put(report, &field.concat());
    }

    fn decode(field: &'a [u8]) -> Option<Record<'a>> {
        let (kind, rest) = field.split_first()?;
        let (pid, rest) = rest.split_first_chunk()?;
        let (fd, rest) = rest.split_first_chunk()?;
        let (inode, rest) = rest.split_first_chunk()?;
        let (cookie, text) = rest.split_first_chunk()?;
        Some(Record {
            kind: *KINDS.get(usize::from(*kind))?,
            pid: u32::from_ne_bytes(*pid),
            fd: u32::from_ne_bytes(*fd),
            inode: u64::from_ne_bytes(*inode),
            cookie: u64::from_ne_bytes(*cookie),
            text,
        })
    }
}

/// Decodes a report; None where it is anything but a whole one.
pub(super) fn decode(host: &Host, told: &[u8], hear: Hear<'_>) -> Option<()> {
    let mut fields = Fields(told);
    loop {
        let Record { kind, pid, fd, inode, cookie, text } = Record::decode(fields.take()?)?;
        let words = || String::from_utf8_lossy(text).into_owned();
        let path = text.to_vec();
        let holder = match kind {
            Kind::Descriptor => Holder::Descriptor { pid, fd },
            Kind::Socket => Holder::Socket { pid, fd },
            Kind::Mount => Holder::ForeignMount { pid, fd: None, path },
            Kind::KeptMount => Holder::ForeignMount { pid, fd: Some(fd), path },
            Kind::File => Holder::File { pid, fd, path },
            Kind::Unread => {
                host.add_unread(words());
                continue;
            }
            Kind::MoreUnread => {
                host.unread_processes.set(host.unread_processes.get() + inode as usize);
                continue;
            }
            Kind::Fault => {
                host.fail(Error::new(words()));
                continue;
            }
            Kind::End => return Some(()),
        };
        hear(inode, Some(cookie).filter(|cookie| *cookie != 0), holder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;

    #[test]
    fn a_report_is_whole_or_none() {
        let host = Host::own(Console { quiet: true, verbose: false });
        let mut report = Vec::new();
        for kind in KINDS {
            let numbers = Record { pid: 4_194_304, fd: 7, inode: 8, cookie: 9, kind, text: b"/a" };
            numbers.encode(&mut report);
        }
        let mut heard = Vec::new();
        let mut hear = |told: &[u8]| {
            heard.clear();
            decode(&host, told, &mut |inode, cookie, holder| {
                assert_eq!((inode, cookie), (8, Some(9)));
                heard.push(holder);
            })
        };
        for end in 0..report.len() {
            assert!(hear(&report[..end]).is_none(), "{end}");
        }
        assert!(hear(&report).is_some());
        let (pid, fd, path) = (4_194_304, 7, b"/a".to_vec());
        let holders = [
            Holder::Descriptor { pid, fd },
            Holder::Socket { pid, fd },
            Holder::ForeignMount { pid, fd: None, path: path.clone() },
            Holder::ForeignMount { pid, fd: Some(fd), path: path.clone() },
            Holder::File { pid, fd, path },
        ];
        assert_eq!(heard, holders);
        assert!(host.check().is_err() && host.unread().is_some());
    }
}
