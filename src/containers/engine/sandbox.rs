//! gVisor and Kata Containers: the recorded process is the sandbox's, which sits in the pod's
//! network namespace; the workload has a network stack of its own inside.

#![forbid(unsafe_code)]

use super::oci;
use super::places::{Place, below_run};
use super::records::{Kind, Record, Root};
use crate::base::json::{Refused, Value, select};
use crate::containers::world::World;

/// What to know of a container in gVisor.
pub(super) const GVISOR_NOTE: &str = "keeps the workload's own addresses and sockets inside its \
     sandbox: only its link can be seen here";
/// What to know of a container of Kata's.
pub(super) const KATA_NOTE: &str =
    "is a virtual machine: its link can be seen here, the workload's own interfaces are inside";
/// Where gVisor's state has the pid and the cgroup.
pub(super) const GVISOR: &[&str] = &["sandbox pid", "spec linux cgroupsPath"];
/// The files of a sandbox of Kata's (in Rust, in Go), and where they have the pid and the cgroups.
pub(super) const KATAS: [(&[u8], &[&str]); 2] = [
    (
        b"state.json",
        &["hypervisor pid", "resource cgroup_state path", "resource cgroup_state overhead_path"],
    ),
    (
        b"persist.json",
        &["HypervisorState Pid", "SandboxCgroupPath", "OverheadCgroupPath", "CgroupPath"],
    ),
];

/// Where both keep their state.
const PLACES: [Place; 4] = [
    ("gvisor", Kind::Gvisor, "runsc"),
    ("gvisor", Kind::Gvisor, "containerd/runsc/*"),
    ("kata", Kind::Kata, "kata"),
    ("kata", Kind::Kata, "vc/sbs"),
];

/// Returns where both keep their state.
pub(crate) fn roots(world: &World<'_>) -> Vec<Root> {
    below_run(world, &PLACES)
}

/// Parses a sandbox's state: its pid is at the first of the keys, the paths of its cgroups are at
/// the others. Returns None where it records no process.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn parse(text: &[u8], keys: &[&str]) -> Result<Option<Record>, Refused> {
    let mut found = vec![Value::Null; keys.len()];
    select(text, keys, &mut found)?;
    let Some(pid) = found.first().and_then(oci::pid) else { return Ok(None) };
    let mut record = Record::of(pid);
    for path in found.iter().skip(1).filter_map(Value::string).filter(|path| !path.is_empty()) {
        record.cgroups.push(path.to_vec());
    }
    Ok(Some(record))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pid_is_the_sandboxs_own() {
        let text =
            br#"{"id":"a","spec":{"annotations":{"sandbox":"1"},"linux":{"cgroupsPath":"/x"},
            "process":{"env":["pid=1"]}},"goferPid":3,"sandbox":{"pid":7}}"#;
        let record = parse(text, GVISOR).unwrap().unwrap();
        assert_eq!((record.pid, record.cgroups), (7, vec![b"/x".to_vec()]));
        assert_eq!(parse(br#"{"sandbox":{"pid":0}}"#, GVISOR), Ok(None));
        assert_eq!(
            parse(br#"{"sandbox":{"pid":1},"sandbox":{}}"#, GVISOR),
            Err(Refused::Duplicate)
        );
    }

    #[test]
    fn kata_records_its_hypervisor() {
        let rust = br#"{"hypervisor":{"pid":8},"resource":{"cgroup_state":{"path":"/a"}}}"#;
        let go =
            br#"{"HypervisorState":{"Pid":8},"SandboxCgroupPath":"/a","OverheadCgroupPath":""}"#;
        for ((_, keys), text) in KATAS.iter().zip([&rust[..], go]) {
            let record = parse(text, keys).unwrap().unwrap();
            assert_eq!((record.pid, record.cgroups), (8, vec![b"/a".to_vec()]));
        }
    }
}
