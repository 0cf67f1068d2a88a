//! The values of the options that name a namespace, read and checked.

#![forbid(unsafe_code)]

use super::options::TargetKind;
use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::base::text::{number, unbracketed};
use crate::host::process::parse_pid;
use crate::target::TargetSpec;
use crate::target::addr::Addr;

/// Reads the value of an option of this kind.
///
/// # Errors
/// Where it has not the form that the kind asks for.
pub(super) fn target_spec(kind: TargetKind, value: Vec<u8>) -> Result<TargetSpec> {
    Ok(match kind {
        TargetKind::Pid => process(&value).ok_or_else(|| bad_pid(&value))?,
        TargetKind::Container => TargetSpec::Container(value),
        TargetKind::Netns => TargetSpec::Netns(value),
        TargetKind::File => TargetSpec::File(value),
        TargetKind::State => TargetSpec::State(value),
        TargetKind::Cgroup => TargetSpec::Cgroup(value),
        TargetKind::Inode => parse_inode(&value).ok_or_else(|| bad_inode(&value))?,
        TargetKind::Addr => TargetSpec::Addr(Addr::parse(&value).ok_or_else(|| bad_addr(&value))?),
        TargetKind::Veth => TargetSpec::Veth(value),
    })
}

/// Reads PID, or PID:INODE.
fn process(value: &[u8]) -> Option<TargetSpec> {
    let mut parts = value.splitn(2, |byte| *byte == b':');
    let pid = parse_pid(parts.next()?)?;
    Some(match parts.next() {
        None => TargetSpec::Pid(pid),
        // No inode is 0.
        Some(inode) => {
            TargetSpec::Process { pid, inode: number(inode).filter(|inode| *inode != 0)? }
        }
    })
}

/// Reads for how many seconds to wait.
///
/// # Errors
/// Where it is no whole number of seconds of a day.
pub(super) fn seconds(text: &[u8]) -> Result<u32> {
    const MOST: u64 = 24 * 60 * 60;
    match number(text) {
        Some(seconds @ 1..=MOST) => Ok(seconds as u32),
        _ => Err(invalid(
            "time",
            text,
            "say whole seconds, from 1 to 86400, as in --wait=5; --wait alone waits for ever",
        )),
    }
}

/// Tells whether a target is one process, and nothing else ever.
pub(super) fn names_one_process(spec: &TargetSpec) -> bool {
    let is_plain = |part: &&[u8]| !matches!(*part, b"" | b".");
    match spec {
        TargetSpec::Pid(_)
        | TargetSpec::Process { .. }
        | TargetSpec::Inode(_)
        | TargetSpec::Cookie(_)
        | TargetSpec::State(_) => true,
        TargetSpec::File(path) => {
            let first = path.split(|byte| *byte == b'/').find(is_plain);
            path.starts_with(b"/") && first == Some(b"proc")
        }
        _ => false,
    }
}

/// Reads an inode, bare or as in `net:[4026532253]`, or a cookie as in `id:8450`.
fn parse_inode(text: &[u8]) -> Option<TargetSpec> {
    match text.strip_prefix(b"id:") {
        Some(digits) => number(digits).map(TargetSpec::Cookie),
        None => number(unbracketed(text, b"net:[")).map(TargetSpec::Inode),
    }
}

fn bad_pid(value: &[u8]) -> Error {
    let remedy = match habit(TargetKind::Pid, value) {
        Some(remedy) => remedy,
        None if number(value) == Some(0) => {
            "docker inspect prints 0 for a container that does not run; --list shows what runs"
        }
        None if value.contains(&b':') => {
            "write PID:INODE, two numbers; getino -p PID prints the second"
        }
        None => "a pid is a number from 1 to 4194304; for a container say -c NAME",
    };
    invalid("pid", value, remedy)
}

/// Returns the answer to the fingers of those who type `docker exec -it`.
pub(super) fn habit(kind: TargetKind, value: &[u8]) -> Option<&'static str> {
    let is_habit = matches!((kind, value), (TargetKind::Inode, b"t") | (TargetKind::Pid, b"i"));
    is_habit.then_some("no -it is needed, COMMAND has your terminal: netns-enter NAME COMMAND")
}

fn bad_inode(value: &[u8]) -> Error {
    let remedy = "an inode is a number as in net:[4026532253]; readlink /proc/PID/ns/net prints \
        it, and the kernel's own number is spelled id:N";
    invalid("inode", value, habit(TargetKind::Inode, value).unwrap_or(remedy))
}

fn bad_addr(value: &[u8]) -> Error {
    let remedy = "write an address such as 10.244.3.7, fd00::7 or 02:42:ac:11:00:02, \
        without a zone (%eth0) and without a port";
    invalid("address", value, remedy)
}

fn invalid(what: &str, value: &[u8], remedy: &str) -> Error {
    Error::new(format!("invalid {what} {}", quoted(value))).with_remedy(remedy)
}
