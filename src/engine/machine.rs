//! systemd-machined: one file in /run/systemd/machines for each registered container.

#![forbid(unsafe_code)]

use super::oci::is_id;
use super::{Base, Containers, Evidence, Init};
use crate::bytes::{Bytes, below, join, keep, last, split};
use crate::cgroup;
use crate::host::Host;
use crate::process::parse_pid;

const MACHINES: &[u8] = b"/run/systemd/machines";

/// Every registered machine that is a container.
pub fn each(host: &Host, base: &Base, _needle: Option<&[u8]>, out: &mut Containers) {
    if base.owner != 0 {
        return;
    }
    // The links `unit:SCOPE` beside them lead to the same files.
    for path in host.entries(MACHINES).iter().filter(|path| !path.contains(&b':')) {
        let name = last(path);
        let Some(file) = host.file(path) else { continue };
        let value = |key: &str| value(&file.bytes, key);
        if value("CLASS") == Some(b"vm") {
            continue;
        }
        let Some(pid) = value("LEADER").and_then(parse_pid) else { continue };
        let unit = value("SCOPE").or_else(|| value("UNIT")).unwrap_or_default();
        let evidence = match group(host, unit) {
            Some(dir) => Evidence::Cgroup(dir),
            None => Evidence::Init(Init::bare(pid).keep(file.owner, path)),
        };
        out.add("machine", name, name, evidence, file.owner);
    }
}

/// The cgroup of a machine's unit; nspawn's own processes are in `supervisor` beside `payload`.
fn group(host: &Host, unit: &[u8]) -> Option<Bytes> {
    if !is_id(unit) {
        return None;
    }
    for top in cgroup::hierarchies(host) {
        let dir = join(&[top, b"/machine.slice/", unit]);
        let payload = below(dir, b"payload");
        if cgroup::is_cgroup(host, payload) {
            return Some(payload);
        }
        if cgroup::is_cgroup(host, dir) {
            return Some(dir);
        }
    }
    None
}

/// The value of `KEY=` in an environment file, without quotes and C escapes.
pub fn value(text: &[u8], key: &str) -> Option<Bytes> {
    let line = split(text, b'\n').find_map(|line| line.strip_prefix(key.as_bytes())?.strip_prefix(b"="))?;
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
    Some(keep(out))
}

/// The byte of `xNN`.
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
        let text = b"# private\nNAME=web\nSCOPE=\"machine-we\\\\x2db.scope\"\nLEADER=42\nROOT=a\\x20b\n";
        assert_eq!(value(text, "LEADER"), Some(&b"42"[..]));
        assert_eq!(value(text, "SCOPE"), Some(&b"machine-we\\x2db.scope"[..]));
        assert_eq!(value(text, "ROOT"), Some(&b"a b"[..]));
        assert_eq!(value(text, "UNIT"), None);
        assert_eq!(value(b"X=\\", "X"), Some(&b""[..]));
    }
}
