//! systemd-machined: one file in /run/systemd/machines for each registered container.

#![forbid(unsafe_code)]

use super::records::{Kind, Record, Root};
use super::{Containers, Engine, Found};
use crate::base::text::{join, lines, number};
use crate::containers::world::World;
use crate::host::process::parse_pid;
use std::rc::Rc;

const MACHINES: &[u8] = b"/run/systemd/machines";

/// Adds every registered machine that is a container.
pub(crate) fn list(world: &World<'_>, _: &Engine, out: &mut Containers<'_>) {
    let roots: Rc<[Root]> = roots(world).into();
    if roots.is_empty() {
        return;
    }
    for name in &world.entries(MACHINES) {
        // The links `unit:SCOPE` beside them lead to the same files.
        if name.contains(&b':') || !out.wants(name) {
            continue;
        }
        let file = world.file(&join(MACHINES, name));
        if file.is_some_and(|file| record(&file.bytes).is_some()) {
            out.add(&Found::unnamed("machine", name, &roots));
        }
    }
}

/// Returns where machined keeps its files.
pub(crate) fn roots(world: &World<'_>) -> Vec<Root> {
    match world.user_of() {
        None => vec![Root::new("machine", Kind::Machines, MACHINES.to_vec())],
        Some(_) => Vec::new(),
    }
}

/// Returns the record in a machine's file; None of a virtual machine's, one without a process, or
/// one that a user has registered.
///
/// From systemd 258 on a user may register any process of theirs, under any name that is free, and
/// machined writes down who did: what is in such a file is that user's word, whoever owns it. The
/// leader is the container's first process; its supervisor is another. SCOPE is the unit of
/// either kind that the leader is in: systemd:src/machine/machine.c, machine_save.
pub fn record(text: &[u8]) -> Option<Record> {
    let is_roots = value(text, "UID").is_none_or(|uid| number(&uid) == Some(0));
    if !is_roots || value(text, "CLASS").is_some_and(|class| class == b"vm") {
        return None;
    }
    let pid = parse_pid(&value(text, "LEADER")?)?;
    let mut record = Record::of(pid);
    record.pidfd_inode = value(text, "LEADER_PIDFDID").and_then(|id| number(&id));
    record.unit = value(text, "SCOPE").or_else(|| value(text, "UNIT")).unwrap_or_default();
    Some(record)
}

/// Returns the value of `KEY=` in an environment file, without quotes and C escapes.
pub fn value(text: &[u8], key: &str) -> Option<Vec<u8>> {
    let line =
        lines(text).find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b"="))?;
    let line = line.trim_ascii();
    let line = line.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")).unwrap_or(line);
    let mut out = Vec::with_capacity(line.len());
    let mut rest = line;
    while let [first, tail @ ..] = rest {
        rest = tail;
        if *first != b'\\' {
            out.push(*first);
        } else if let Some(byte) = tail.get(..3).and_then(hex_escape) {
            out.push(byte);
            rest = &tail[3..];
        } else if let [escaped, tail @ ..] = tail {
            out.push(*escaped);
            rest = tail;
        }
    }
    Some(out)
}

/// Returns the byte of `xNN`.
fn hex_escape(text: &[u8]) -> Option<u8> {
    let mut byte = 0;
    for digit in text.strip_prefix(b"x")? {
        byte = byte << 4 | char::from(*digit).to_digit(16)?;
    }
    Some(byte as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_may_be_quoted_and_escaped() {
        let text =
            b"# private\nNAME=web\nSCOPE=\"machine-we\\\\x2db.scope\"\nLEADER=42\nROOT=a\\x20b\n";
        let of = |key| value(text, key);
        assert_eq!(of("LEADER").as_deref(), Some(&b"42"[..]));
        assert_eq!(of("SCOPE").as_deref(), Some(&b"machine-we\\x2db.scope"[..]));
        assert_eq!(of("ROOT").as_deref(), Some(&b"a b"[..]));
        assert_eq!(of("UNIT"), None);
        assert_eq!(value(b"X=\\", "X").as_deref(), Some(&b""[..]));
    }

    #[test]
    fn a_machine_has_a_leader_in_a_unit() {
        let text = b"NAME=x\nSCOPE=machine-x.scope\nLEADER=42\nLEADER_PIDFDID=7\nSUPERVISOR=3\n\
            CLASS=container\n";
        let found = record(text).unwrap();
        assert_eq!((found.pid, found.pidfd_inode), (42, Some(7)));
        assert_eq!(found.unit, b"machine-x.scope");
        assert_eq!(record(b"LEADER=42\nCLASS=vm\n"), None);
        assert_eq!(record(b"NAME=x\nCLASS=container\n"), None);
        assert_eq!(record(b"LEADER=42\nUNIT=box.service\n").unwrap().unit, b"box.service");
    }

    #[test]
    fn a_machine_of_a_users_is_no_record_of_roots() {
        assert_eq!(record(b"NAME=x\nUID=0\nLEADER=42\nCLASS=container\n").unwrap().pid, 42);
        for uid in ["1000", "\"1000\"", "\\x31000", "", "-1", "4294967296", "0 1000", "root"] {
            let text = format!("NAME=x\nUID={uid}\nLEADER=42\nCLASS=container\n");
            assert_eq!(record(text.as_bytes()), None, "{uid}");
        }
    }
}
