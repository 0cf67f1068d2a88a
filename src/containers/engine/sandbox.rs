//! gVisor and Kata Containers: the recorded process is the sandbox's, which sits in the pod's
//! network namespace; the workload has a network stack of its own inside.

#![forbid(unsafe_code)]

use super::oci;
use super::records::{Kind, Record, Root};
use crate::base::json::{Refused, Value, select};
use crate::base::text::join;
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

/// Returns where both keep their state.
pub(crate) fn roots(world: &World<'_>) -> Vec<Root> {
    let mut roots = Vec::new();
    for run in world.run_directories() {
        roots.push(Root::new("gvisor", Kind::Gvisor, join(&run, b"runsc")));
        let of_shims = join(&run, b"containerd/runsc");
        for namespace in world.entries(&of_shims) {
            let root = Root::new("gvisor", Kind::Gvisor, join(&of_shims, &namespace));
            roots.push(Root { namespace: Some(namespace), ..root });
        }
        for kata in [&b"kata"[..], b"vc/sbs"] {
            roots.push(Root::new("kata", Kind::Kata, join(&run, kata)));
        }
    }
    roots
}

/// Parses a sandbox's state: its pid is at the first of the keys, the paths of its cgroups are at
/// the others. Returns None where it records no process.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn parse(text: &[u8], keys: &[&str]) -> Result<Option<Record>, Refused> {
    let mut found = vec![Value::Null; keys.len()];
    select(text, keys, &mut found)?;
    let paths = found.iter().skip(1).filter_map(Value::string);
    let cgroups = paths.filter(|path| !path.is_empty()).map(<[u8]>::to_vec).collect();
    let pid = found.first().and_then(oci::pid);
    Ok(pid.map(|pid| Record { pid, cgroups, ..Record::default() }))
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
