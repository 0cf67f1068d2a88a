//! gVisor and Kata Containers: the recorded process is the sandbox's, which sits in the pod's network namespace; the workload has a
//! network stack of its own inside.

#![forbid(unsafe_code)]

use super::oci::{self, parsed};
use super::{Base, Containers, Evidence, Init, Sandbox};
use crate::bytes::{Bytes, Names, below, find, last};
use crate::host::Host;
use crate::json::{Refused, Value, select};

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
    note: "keeps the workload's own addresses and sockets inside its sandbox: only its link can be seen here",
};
const KATA: Kind = Kind {
    engine: "kata",
    pid: "hypervisor pid",
    note: "is a virtual machine: its link can be seen here, the workload's own interfaces are inside",
};
/// Each Kata's kind, its directory below `/run` and the file in each sandbox's directory there.
const KATAS: &[(Kind, &[u8], &[u8])] =
    &[(KATA, b"kata", b"state.json"), (Kind { pid: "HypervisorState Pid", ..KATA }, b"vc/sbs", b"persist.json")];

/// Every sandbox of either kind.
pub fn each(host: &Host, base: &Base, _needle: Option<&[u8]>, out: &mut Containers) {
    records(host, base, &mut |engine, id, init| out.add(engine, id, id, Evidence::Init(init), init.owner));
}

/// The record of an ID: its file has the sandbox's name, too, so all are looked at.
pub fn state(host: &Host, base: &Base, id: &[u8], out: &mut Vec<&'static Init>) {
    records(host, base, &mut |_, of, init| {
        if of == id {
            out.push(init);
        }
    });
}

/// Is shown an engine's word, a container's ID and its record.
type Show<'s> = &'s mut dyn FnMut(&'static str, Bytes, &'static Init);

fn records(host: &Host, base: &Base, show: Show<'_>) {
    for dir in gvisor_roots(host, base) {
        for file in host.entries(dir) {
            if let Some((id, sandbox)) = gvisor_ids(last(file))
                && let Some(init) = record(host, base, file, &GVISOR, sandbox)
            {
                show(GVISOR.engine, id, init);
            }
        }
    }
    for (kind, root, name) in KATAS {
        for sandbox in host.entries(below(base.run, root)) {
            let id = last(sandbox);
            if let Some(init) = record(host, base, below(sandbox, name), kind, id) {
                show(kind.engine, id, init);
            }
        }
    }
}

/// The record in a file, of the sandbox whose ID is given.
fn record(host: &Host, base: &Base, file: Bytes, kind: &Kind, id: Bytes) -> Option<&'static Init> {
    let mut found = None;
    let owner = parsed(host, base, file, &mut |text| {
        found = pid_in(text, kind.pid)?;
        Ok(())
    })?;
    let mut init = Init::bare(found?);
    init.sandbox = Some(Sandbox { id, note: kind.note });
    Some(init.keep(base.writer(owner), file))
}

/// The pid at `key`, if it can be one.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn pid_in(text: &[u8], key: &str) -> Result<Option<u32>, Refused> {
    let mut found = [Value::Null];
    select(text, &[key], &mut found)?;
    Ok(oci::pid(&found[0]))
}

/// Both IDs in `ID_sandbox:SANDBOX.state`.
pub fn gvisor_ids(file: Bytes) -> Option<(Bytes, Bytes)> {
    const BETWEEN: &[u8] = b"_sandbox:";
    let stem = file.strip_suffix(b".state")?;
    let end = find(stem, BETWEEN)?;
    let (id, sandbox) = (&stem[..end], &stem[end + BETWEEN.len()..]);
    (!id.is_empty() && !sandbox.is_empty()).then_some((id, sandbox))
}

fn gvisor_roots(host: &Host, base: &Base) -> Names {
    let mut roots = Vec::new();
    roots.push(below(base.run, b"runsc"));
    roots.extend_from_slice(host.entries(below(base.run, b"containerd/runsc")));
    roots.leak()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_is_the_sandboxs_own() {
        let text = br#"{"id":"a","spec":{"annotations":{"sandbox":"1"},"process":{"env":["pid=1"]}},"goferPid":3,"sandbox":{"pid":7}}"#;
        assert_eq!(pid_in(text, "sandbox pid"), Ok(Some(7)));
        assert_eq!(pid_in(br#"{"sandbox":{"pid":0}}"#, "sandbox pid"), Ok(None));
    }

    #[test]
    fn files_are_named_after_container_and_sandbox() {
        assert_eq!(gvisor_ids(b"abc_sandbox:def.state"), Some((&b"abc"[..], &b"def"[..])));
        for other in [&b"abc_sandbox:def.lock"[..], b"_sandbox:def.state", b"abc_sandbox:.state", b"abc.state"] {
            assert_eq!(gvisor_ids(other), None);
        }
    }
}
