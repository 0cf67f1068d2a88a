//! systemd-machined: one file for each registered container in /run/systemd/machines, or for those
//! of a user's own machined in the user's /run/user/UID/systemd/machines.

#![forbid(unsafe_code)]

use super::records::{Kind, Record, Root};
use super::{Containers, Engine, Found};
use crate::base::text::{join, lines, number};
use crate::containers::world::World;
use crate::host::process::parse_pid;
use std::rc::Rc;

const MACHINES: &[u8] = b"/run/systemd/machines";

/// Adds every machine registered by the world's author that is a container.
pub(crate) fn list(world: &World<'_>, _: &Engine, out: &mut Containers<'_>) {
    let roots: Rc<[Root]> = roots(world).into();
    for directory in roots.iter().map(|root| &root.path) {
        for name in &world.entries(directory) {
            // The links `unit:SCOPE` beside them lead to the same files.
            if name.contains(&b':') || !out.wants(name) {
                continue;
            }
            let file = world.file(&join(directory, name));
            if file.is_some_and(|file| record(&file.bytes, registrant(world)).is_some()) {
                out.add(&Found::unnamed("machine", name, &roots));
            }
        }
    }
}

/// Returns where machined keeps its files. The machine's has those of users, too, beside which a
/// user may have a machined that keeps its own.
pub(crate) fn roots(world: &World<'_>) -> Vec<Root> {
    let mut directories = vec![MACHINES.to_vec()];
    if world.user_of().is_some() {
        let own = world.run_directories();
        directories.extend(own.iter().map(|run| join(run, b"systemd/machines")));
    }
    directories.into_iter().map(|path| Root::new("machine", Kind::Machines, path)).collect()
}

/// Returns the uid that machines of a world are registered by.
pub(super) fn registrant(world: &World<'_>) -> u32 {
    world.user_of().map_or(0, |user| user.uid)
}

/// Returns the record in a machine's file; None of a virtual machine's, one without a process, or
/// one that another than `registrant` has registered.
///
/// From systemd 258 on a user may register any process of theirs, under any name that is free, and
/// machined writes down who did: what is in such a file is that user's word, whoever owns it. The
/// leader is the container's first process; its supervisor is another. SCOPE is the unit of
/// either kind that the leader is in: systemd:src/machine/machine.c, machine_save.
pub fn record(text: &[u8], registrant: u32) -> Option<Record> {
    let uid = value(text, "UID").map_or(Some(0), |uid| number(&uid));
    if uid != Some(registrant.into()) || value(text, "CLASS").is_some_and(|class| class == b"vm") {
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
        let found = record(text, 0).unwrap();
        assert_eq!((found.pid, found.pidfd_inode), (42, Some(7)));
        assert_eq!(found.unit, b"machine-x.scope");
        assert_eq!(record(b"LEADER=42\nCLASS=vm\n", 0), None);
        assert_eq!(record(b"NAME=x\nCLASS=container\n", 0), None);
        assert_eq!(record(b"LEADER=42\nUNIT=box.service\n", 0).unwrap().unit, b"box.service");
    }

    #[test]
    fn a_machine_is_of_who_registered_it() {
        let of = |uid: &str, registrant| {
            let text = format!("NAME=x\nUID={uid}\nLEADER=42\nCLASS=container\n");
            record(text.as_bytes(), registrant).map(|record| record.pid)
        };
        assert_eq!((of("0", 0), of("0", 1000)), (Some(42), None));
        for uid in ["1000", "\"1000\"", "\\x31000"] {
            assert_eq!((of(uid, 0), of(uid, 1000), of(uid, 1001)), (None, Some(42), None), "{uid}");
        }
        for uid in ["", "-1", "4294967296", "0 1000", "root"] {
            assert_eq!((of(uid, 0), of(uid, 1000)), (None, None), "{uid}");
        }
        assert_eq!(record(b"LEADER=42\n", 1000), None);
    }
}
