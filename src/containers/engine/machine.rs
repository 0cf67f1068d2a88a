//! systemd-machined: one file in /run/systemd/machines for each registered container.

#![forbid(unsafe_code)]

use super::oci::is_id;
use super::{Container, Containers, Place, Record, Source};
use crate::base::error::Result;
use crate::base::text::{join, last, lines};
use crate::host::process::parse_pid;
use crate::host::{Host, cgroup};

const MACHINES: &[u8] = b"/run/systemd/machines";

/// Adds every registered machine that is a container.
pub(crate) fn list(
    host: &Host,
    place: &Place,
    _needle: Option<&[u8]>,
    out: &mut Containers,
) -> Result<()> {
    if place.owner != 0 {
        return Ok(());
    }
    for path in host.entries(MACHINES)? {
        // The links `unit:SCOPE` beside them lead to the same files.
        if path.contains(&b':') {
            continue;
        }
        let Some(file) = host.file(&path)? else { continue };
        let value = |key| value(&file.bytes, key);
        if value("CLASS").is_some_and(|class| class == b"vm") {
            continue;
        }
        let Some(pid) = value("LEADER").and_then(|leader| parse_pid(&leader)) else { continue };
        let unit = value("SCOPE").or_else(|| value("UNIT")).unwrap_or_default();
        let (owner, name) = (file.owner, last(&path).to_vec());
        let source = match group(host, &unit)? {
            Some(directory) => Source::Cgroup(directory),
            None => Source::Record(Record { pid, owner, file: path, ..Record::default() }),
        };
        out.add(Container::unnamed("machine", &name, source, owner));
    }
    Ok(())
}

/// Returns the cgroup of a machine's unit; nspawn's own processes are in `supervisor` beside
/// `payload`.
fn group(host: &Host, unit: &[u8]) -> Result<Option<Vec<u8>>> {
    if !is_id(unit) {
        return Ok(None);
    }
    for top in cgroup::hierarchies(host)? {
        let directory = [&top[..], b"/machine.slice/", unit].concat();
        let payload = join(&directory, b"payload");
        if cgroup::is_cgroup(host, &payload)? {
            return Ok(Some(payload));
        }
        if cgroup::is_cgroup(host, &directory)? {
            return Ok(Some(directory));
        }
    }
    Ok(None)
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
}
