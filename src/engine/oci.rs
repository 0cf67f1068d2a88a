//! The state files of OCI runtimes: `ROOT/ID/state.json` (runc, youki, CRI-O) and `ROOT/ID/status` (crun).

#![forbid(unsafe_code)]

use super::{Base, Init};
use crate::bytes::{Bytes, join, keep};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::json::{Refused, Value, select};
use crate::process::{MAX_PID, parse_pid};
use crate::text::text;

/// What a state file says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The container's init process.
    pub pid: u32,
    /// Its start time in clock ticks, where recorded.
    pub start: Option<u64>,
    /// The container's ID, where recorded.
    pub id: Option<Bytes>,
}

/// Reads a state file of any runtime we know; None where it records no process.
///
/// # Errors
/// [`Refused`], also where the document is none of theirs.
pub fn parse(text: &[u8]) -> std::result::Result<Option<Record>, Refused> {
    let [runc_pid, runc_start, crio_pid, crio_start, pid, crun_start, id] = select(
        text,
        [
            &["init_process_pid"],
            &["init_process_start"],
            &["initPid"],
            &["initStartTime"],
            &["pid"],
            &["process-start-time"],
            &["id"],
        ],
    )?;
    let id = id.and_then(Value::string).map(keep);
    let (pid, start) = match (runc_pid, crio_pid, pid) {
        (Some(pid), _, _) => (pid, runc_start),
        // CRI-O keeps initPid after the end; its pid is 0 then.
        (None, Some(_), Some(Value::Number(b"0"))) => return Ok(None),
        (None, Some(pid), _) => (pid, crio_start),
        (None, None, Some(pid)) => (pid, crun_start),
        (None, None, None) => return Ok(None),
    };
    // crun before 2020 recorded no start time, or 0; no process of a container starts with the kernel.
    let start = start.and_then(|start| start.integer()).filter(|start| *start != 0);
    let pid = pid.integer().and_then(|pid| u32::try_from(pid).ok()).filter(|pid| (1..=MAX_PID).contains(pid));
    Ok(pid.map(|pid| Record { pid, start, id }))
}

/// Whether `id` may be looked up as a directory: an ID from a file must not lead out of the runtime's root.
pub fn is_id(id: &[u8]) -> bool {
    !id.is_empty() && !id.starts_with(b".") && !id.contains(&b'/')
}

/// The record of container `id` below the runtime's root `dir`.
///
/// A file that cannot be parsed is a note: it must not hide other containers.
pub fn init(host: &Host, base: &Base, dir: &[u8], id: &[u8]) -> Option<&'static Init> {
    if !is_id(id) {
        return None;
    }
    for name in [&b"state.json"[..], b"status"] {
        let path = join(&[dir, b"/", id, b"/", name]);
        if let Some((record, owner)) = parsed(host, path, parse) {
            let Record { pid, start, .. } = record?;
            return Some(Init { start, ..Init::bare(pid, base.writer(owner), path) }.keep());
        }
    }
    None
}

/// Reads and parses a file, twice where it was perhaps being rewritten in place; with its owner's uid. What cannot be parsed is a note.
pub fn parsed<T>(
    host: &Host,
    path: &[u8],
    parse: impl Fn(&[u8]) -> std::result::Result<T, Refused>,
) -> Option<(T, u32)> {
    let mut value = None;
    let owner = read_twice(host, path, &mut |text| {
        value = Some(parse(text)?);
        Ok(())
    });
    value.zip(owner)
}

/// The body of [`parsed`], which is there once whatever is parsed: the owner's uid, if `parse` accepted the file.
fn read_twice(
    host: &Host,
    path: &[u8],
    parse: &mut dyn FnMut(&[u8]) -> std::result::Result<(), Refused>,
) -> Option<u32> {
    let mut refused = None;
    for _ in 0..2 {
        let file = host.file(path)?;
        match parse(&file.bytes) {
            Ok(()) => return Some(file.owner),
            Err(reason) => refused = Some(reason),
        }
    }
    if let Some(reason) = refused {
        host.console.note(text!("\"{}\" {}", path, reason));
    }
    None
}

/// The record in a file that the user named, and the uid of the file's owner.
///
/// # Errors
/// Where it cannot be read or parsed, or records no process.
pub fn read_named(host: &Host, path: &[u8]) -> Result<(Record, u32)> {
    let refused = |reason| Error::new(text!("\"{}\" {}", path, reason));
    let file = host.named_file(path)?;
    // Once more: a runtime may have been writing it.
    let (record, owner) = match parse(&file.bytes) {
        Ok(record) => (record, file.owner),
        Err(_) => {
            let again = host.named_file(path)?;
            (parse(&again.bytes).map_err(refused)?, again.owner)
        }
    };
    let record = record.ok_or_else(|| {
        Error::new(text!("\"{}\" records no process", path))
            .remedy(b"the container is not running, or it is no runtime's state file")
    })?;
    let id = record.id.or_else(|| directory_of(path));
    Ok((Record { id, ..record }, owner))
}

/// The name of the directory that a file is in: crun's container ID.
fn directory_of(path: &[u8]) -> Option<Bytes> {
    path.rsplit(|b| *b == b'/').nth(1).filter(|name| !name.is_empty()).map(keep)
}

/// The containers that a runtime's root knows; names with a dot first are never containers.
pub fn ids(host: &Host, dir: &[u8]) -> Vec<Bytes> {
    let mut ids = host.entries(dir);
    ids.retain(|id| !id.starts_with(b"."));
    ids.sort();
    ids
}

/// The pid in a pid file: digits, perhaps a newline.
pub fn pid_file(bytes: &[u8]) -> Option<u32> {
    parse_pid(bytes.trim_ascii())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(text: &str) -> Option<(u32, Option<u64>)> {
        parse(text.as_bytes()).unwrap().map(|record| (record.pid, record.start))
    }

    #[test]
    fn every_runtime_has_its_own_keys() {
        assert_eq!(record(r#"{"id":"a","init_process_pid":7,"init_process_start":99}"#), Some((7, Some(99))));
        assert_eq!(record(r#"{"id":"a","init_process_pid":7,"init_process_start":"99"}"#), Some((7, Some(99))));
        assert_eq!(record(r#"{"pid":7,"process-start-time":99,"bundle":"/x"}"#), Some((7, Some(99))));
        assert_eq!(record(r#"{"pid":7,"process-start-time":0}"#), Some((7, None)));
        assert_eq!(record(r#"{"ociVersion":"1","id":"a","status":"running","pid":7}"#), Some((7, None)));
        assert_eq!(record(r#"{"id":"a","pid":7,"initPid":7,"initStartTime":"99"}"#), Some((7, Some(99))));
        assert_eq!(record(r#"{"id":"a","pid":0,"initPid":7,"initStartTime":"99"}"#), None);
    }

    #[test]
    fn ids_lead_nowhere_else() {
        for (id, is) in [("web", true), ("a.b", true), ("", false), ("..", false), (".x", false), ("../x", false)] {
            assert_eq!(is_id(id.as_bytes()), is, "{id}");
        }
    }

    #[test]
    fn no_process_is_no_record() {
        for pid in ["0", "-1", "1.0", "4194305", "null", "\"x\"", "[7]"] {
            assert_eq!(record(&format!(r#"{{"init_process_pid":{pid},"init_process_start":1}}"#)), None, "{pid}");
        }
        assert_eq!(record("{}"), None);
    }

    #[test]
    fn strangers_strings_are_never_keys() {
        let forged = r#"{"id":"a","config":{"labels":["init_process_pid=1","\"init_process_pid\":1"],
            "Hooks":{"pid":1,"init_process_pid":1},"env":{"pid":1}},"init_process_pid":7,"init_process_start":9}"#;
        assert_eq!(record(forged), Some((7, Some(9))));
        assert_eq!(parse(br#"{"init_process_pid":1,"init_process_pid":7}"#), Err(Refused::Duplicate));
        assert_eq!(parse(br#"{"init_process_pid":7"#), Err(Refused::Malformed));
    }

    #[test]
    fn the_directory_names_a_crun_container() {
        assert_eq!(directory_of(b"/run/crun/web/status"), Some(&b"web"[..]));
        assert_eq!(directory_of(b"status"), None);
    }
}
