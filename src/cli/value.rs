//! The values of the options that name a namespace, read and checked.

#![forbid(unsafe_code)]

use super::options::TargetKind;
use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::base::text::number;
use crate::host::process::parse_pid;
use crate::target::TargetSpec;
use std::net::IpAddr;

/// Reads the value of an option of this kind.
///
/// # Errors
/// Where it has not the form that the kind asks for.
pub(super) fn target_spec(kind: TargetKind, value: Vec<u8>) -> Result<TargetSpec> {
    Ok(match kind {
        TargetKind::Pid => TargetSpec::Pid(parse_pid(&value).ok_or_else(|| bad_pid(&value))?),
        TargetKind::Container => TargetSpec::Container(value),
        TargetKind::Netns => TargetSpec::Netns(value),
        TargetKind::File => TargetSpec::File(value),
        TargetKind::State => TargetSpec::State(value),
        TargetKind::Cgroup => TargetSpec::Cgroup(value),
        TargetKind::Inode => {
            TargetSpec::Inode(parse_inode(&value).ok_or_else(|| bad_inode(&value))?)
        }
        TargetKind::Addr => TargetSpec::Addr(parse_addr(&value).ok_or_else(|| bad_addr(&value))?),
        TargetKind::Veth => TargetSpec::Veth(value),
    })
}

/// Returns what follows `before` and stands before `]`, or the whole text.
fn unbracketed<'a>(text: &'a [u8], before: &[u8]) -> &'a [u8] {
    text.strip_prefix(before).and_then(|rest| rest.strip_suffix(b"]")).unwrap_or(text)
}

/// Reads an inode, bare or as in `net:[4026532253]`.
fn parse_inode(text: &[u8]) -> Option<u64> {
    number(unbracketed(text, b"net:["))
}

/// Reads an address, in brackets or not, with the length of its prefix or not.
fn parse_addr(text: &[u8]) -> Option<IpAddr> {
    let mut parts = text.splitn(2, |byte| *byte == b'/');
    let bare = unbracketed(parts.next()?, b"[");
    let ip = std::str::from_utf8(bare).ok()?.parse().ok()?;
    let longest = match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    };
    let prefix = parts.next().map_or(Some(0), number)?;
    // As servers that listen for both kinds write an IPv4 address: ::ffff:10.244.3.7.
    (prefix <= longest).then_some(ip.to_canonical())
}

fn bad_pid(value: &[u8]) -> Error {
    let remedy = match habit(TargetKind::Pid, value) {
        Some(remedy) => remedy,
        None if number(value) == Some(0) => {
            "docker inspect prints 0 for a container that does not run; --list shows what runs"
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
    let remedy = "an inode is a number as in net:[4026532253]; readlink /proc/PID/ns/net prints it";
    invalid("inode", value, habit(TargetKind::Inode, value).unwrap_or(remedy))
}

fn bad_addr(value: &[u8]) -> Error {
    let remedy =
        "write an address such as 10.244.3.7 or fd00::7, without a zone (%eth0) and without a port";
    invalid("address", value, remedy)
}

fn invalid(what: &str, value: &[u8], remedy: &str) -> Error {
    Error::new(format!("invalid {what} {}", quoted(value))).with_remedy(remedy)
}
