//! gVisor and Kata Containers: the recorded process is the sandbox's, which sits in the pod's
//! network namespace; the workload has a network stack of its own inside.

#![forbid(unsafe_code)]

use super::{Container, Containers, Place, Record, Sandbox, Source, oci};
use crate::base::error::Result;
use crate::base::json::{Refused, Value, select};
use crate::base::text::{join, last};
use crate::host::Host;

/// A kind of sandbox.
struct Kind {
    engine: &'static str,
    /// Where a record has the pid.
    pid: &'static str,
    note: &'static str,
}

const GVISOR: Kind = Kind {
    engine: "gvisor",
    pid: "sandbox pid",
    note: "keeps the workload's own addresses and sockets inside its sandbox: \
           only its link can be seen here",
};
const KATA: Kind = Kind {
    engine: "kata",
    pid: "hypervisor pid",
    note: "is a virtual machine: \
           its link can be seen here, the workload's own interfaces are inside",
};
/// Each Kata's kind, its directory below `/run` and the file in each sandbox's directory there.
const KATAS: [(Kind, &[u8], &[u8]); 2] = [
    (KATA, b"kata", b"state.json"),
    (Kind { pid: "HypervisorState Pid", ..KATA }, b"vc/sbs", b"persist.json"),
];

/// Adds every sandbox of either kind.
pub(crate) fn list(
    host: &Host,
    place: &Place,
    _needle: Option<&[u8]>,
    out: &mut Containers,
) -> Result<()> {
    for Entry { engine, id, record } in entries(host, place)? {
        let owner = record.owner;
        out.add(Container::unnamed(engine, &id, Source::Record(record), owner));
    }
    Ok(())
}

/// Returns the record of an ID: its file has the sandbox's name, too, so all are read.
pub(crate) fn records(host: &Host, place: &Place, id: &[u8]) -> Result<Vec<Record>> {
    let entries = entries(host, place)?.into_iter();
    Ok(entries.filter(|entry| entry.id == id).map(|entry| entry.record).collect())
}

/// A container in a sandbox.
struct Entry {
    engine: &'static str,
    id: Vec<u8>,
    record: Record,
}

fn entries(host: &Host, place: &Place) -> Result<Vec<Entry>> {
    let mut found = Vec::new();
    let mut add = |kind: &Kind, file: Vec<u8>, id: &[u8], sandbox: &[u8]| -> Result<()> {
        let record = record(host, place, file, kind, sandbox)?;
        let entry = |record| Entry { engine: kind.engine, id: id.to_vec(), record };
        found.extend(record.map(entry));
        Ok(())
    };
    let mut roots = vec![join(&place.run, b"runsc")];
    roots.extend(host.entries(&join(&place.run, b"containerd/runsc"))?);
    for root in roots {
        for file in host.entries(&root)? {
            if let Some((id, sandbox)) = gvisor_ids(last(&file)) {
                add(&GVISOR, file.clone(), id, sandbox)?;
            }
        }
    }
    for (kind, root, name) in KATAS {
        for sandbox in host.entries(&join(&place.run, root))? {
            let id = last(&sandbox);
            add(&kind, join(&sandbox, name), id, id)?;
        }
    }
    Ok(found)
}

/// Returns the record in a file, of the sandbox whose ID is given.
fn record(
    host: &Host,
    place: &Place,
    file: Vec<u8>,
    kind: &Kind,
    id: &[u8],
) -> Result<Option<Record>> {
    let read = oci::read(host, place, &file, |text| pid_in(text, kind.pid))?;
    let Some((Some(pid), owner)) = read else { return Ok(None) };
    let sandbox = Some(Sandbox { id: id.to_vec(), note: kind.note });
    Ok(Some(Record { pid, sandbox, owner: place.writer(owner), file, ..Record::default() }))
}

/// Returns the pid at `key`, if it can be one.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn pid_in(text: &[u8], key: &str) -> std::result::Result<Option<u32>, Refused> {
    let mut found = [Value::Null];
    select(text, &[key], &mut found)?;
    Ok(oci::pid(&found[0]))
}

/// Returns both IDs in `ID_sandbox:SANDBOX.state`.
pub fn gvisor_ids(file: &[u8]) -> Option<(&[u8], &[u8])> {
    const BETWEEN: &[u8] = b"_sandbox:";
    let stem = file.strip_suffix(b".state")?;
    let end = stem.windows(BETWEEN.len()).position(|part| part == BETWEEN)?;
    let (id, sandbox) = (&stem[..end], &stem[end + BETWEEN.len()..]);
    (!id.is_empty() && !sandbox.is_empty()).then_some((id, sandbox))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_is_the_sandboxs_own() {
        let text = br#"{"id":"a","spec":{"annotations":{"sandbox":"1"},
            "process":{"env":["pid=1"]}},"goferPid":3,"sandbox":{"pid":7}}"#;
        assert_eq!(pid_in(text, "sandbox pid"), Ok(Some(7)));
        assert_eq!(pid_in(br#"{"sandbox":{"pid":0}}"#, "sandbox pid"), Ok(None));
    }

    #[test]
    fn files_are_named_after_container_and_sandbox() {
        assert_eq!(gvisor_ids(b"abc_sandbox:def.state"), Some((&b"abc"[..], &b"def"[..])));
        for other in
            ["abc_sandbox:def.lock", "_sandbox:def.state", "abc_sandbox:.state", "abc.state"]
        {
            assert_eq!(gvisor_ids(other.as_bytes()), None, "{other}");
        }
    }
}
