//! The state files of OCI runtimes: `ROOT/ID/state.json` (runc, youki, CRI-O) and `ROOT/ID/status` (crun).

#![forbid(unsafe_code)]

use super::{Base, Init};
use crate::bytes::{Bytes, Names, below, contains, keep};
use crate::error::{Error, Result};
use crate::host::Host;
use crate::json::{Refused, Value, select};
use crate::process::MAX_PID;
use crate::text::text;

/// Reads a state file of any runtime we know; None where it records no process.
///
/// # Errors
/// [`Refused`], also where the document is none of theirs.
pub fn parse(text: &[u8]) -> std::result::Result<Option<Box<Init>>, Refused> {
    const KEYS: [&str; 7] =
        ["init_process_pid", "init_process_start", "initPid", "initStartTime", "pid", "process-start-time", "id"];
    let mut found = [Value::Null; KEYS.len()];
    select(text, &KEYS, &mut found)?;
    let [runc_pid, runc_start, crio_pid, crio_start, pid, crun_start, id] = &found;
    let (pid, start) = match (runc_pid, crio_pid, pid) {
        // CRI-O keeps initPid after the end; its pid is 0 then.
        (Value::Null, Value::Number(_) | Value::String(_), Value::Number(b"0")) => return Ok(None),
        (Value::Null, Value::Null, pid) => (pid, crun_start),
        (Value::Null, pid, _) => (pid, crio_start),
        (pid, ..) => (pid, runc_start),
    };
    let Some(pid) = self::pid(pid) else { return Ok(None) };
    let mut init = Init::bare(pid);
    // crun before 2020 recorded no start time, or 0; no process of a container starts with the kernel.
    init.start = start.integer().filter(|start| *start != 0);
    init.id = id.string().map_or(b"", keep);
    Ok(Some(init))
}

/// The pid that a value is, if it can be one.
pub fn pid(value: &Value<'_>) -> Option<u32> {
    let pid = u32::try_from(value.integer()?).ok()?;
    (1..=MAX_PID).contains(&pid).then_some(pid)
}

/// Whether `id` may be looked up as a directory: what a file says must not lead out of the one it is looked up in.
#[inline(never)]
pub fn is_id(id: &[u8]) -> bool {
    !id.is_empty() && !id.starts_with(b".") && !id.contains(&b'/')
}

/// Adds the records of container `id` below each of the runtimes' roots `dirs`.
pub fn inits(host: &Host, base: &Base, dirs: Names, id: &[u8], out: &mut Vec<&'static Init>) {
    for dir in dirs {
        out.extend(init(host, base, dir, id));
    }
}

/// The record of container `id` below the runtime's root `dir`.
///
/// A file that cannot be parsed is a note: it must not hide other containers.
pub fn init(host: &Host, base: &Base, dir: &[u8], id: &[u8]) -> Option<&'static Init> {
    if !is_id(id) {
        return None;
    }
    const FILES: Names = &[b"state.json", b"status"];
    for name in FILES {
        let path = below(below(dir, id), name);
        let mut found = None;
        let owner = parsed(host, base, path, &mut |text| {
            found = parse(text)?;
            Ok(())
        });
        if let Some(owner) = owner {
            return found.map(|init| init.keep(base.writer(owner), path));
        }
    }
    None
}

/// Reads and parses a file, twice where it was perhaps being rewritten in place; returns its owner's uid. What cannot be parsed is a note.
pub fn parsed(
    host: &Host,
    base: &Base,
    path: &[u8],
    parse: &mut dyn FnMut(&[u8]) -> std::result::Result<(), Refused>,
) -> Option<u32> {
    let mut refused = None;
    for _ in 0..2 {
        // Only where root alone can put something may anything be opened before it is looked at.
        let file = if base.owner == 0 { host.file_of_roots(path) } else { host.file(path) }?;
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

/// Whether a container's file is to be parsed for `needle`: it has that somewhere, or the ID begins with it.
pub fn mentions(text: &[u8], id: &[u8], needle: Option<&[u8]>) -> bool {
    needle.is_none_or(|needle| id.starts_with(needle) || contains(text, needle))
}

/// The record in a file that the user named.
///
/// # Errors
/// Where it cannot be read or parsed, or records no process.
pub fn read_named(host: &Host, path: &[u8]) -> Result<&'static Init> {
    let mut file = host.named_file(path)?;
    let mut found = parse(&file.bytes);
    if found.is_err() {
        // Once more: a runtime may have been writing it.
        file = host.named_file(path)?;
        found = parse(&file.bytes);
    }
    match found {
        Err(reason) => Err(Error::of(path, reason)),
        Ok(None) => Err(Error::of(path, "records no process")
            .remedy(b"the container is not running, or it is no runtime's state file")),
        Ok(Some(mut init)) => {
            if init.id.is_empty() {
                init.id = directory_of(path).unwrap_or_default();
            }
            Ok(init.keep(file.owner, keep(path)))
        }
    }
}

/// The name of the directory that a file is in: crun's container ID.
fn directory_of(path: &[u8]) -> Option<Bytes> {
    path.rsplit(|b| *b == b'/').nth(1).filter(|name| !name.is_empty()).map(keep)
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
