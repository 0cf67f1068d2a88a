//! The state files of OCI runtimes: `ROOT/ID/state.json` (runc, youki, CRI-O) and `ROOT/ID/status`
//! (crun).

#![forbid(unsafe_code)]

use super::{Place, Record};
use crate::base::error::{Error, Result};
use crate::base::json::{Refused, Value, select};
use crate::host::Host;
use crate::host::process::MAX_PID;

/// Parses a state file of any runtime we know; returns None where it records no process.
///
/// # Errors
/// [`Refused`], also where the document is none of theirs.
pub fn parse(text: &[u8]) -> std::result::Result<Option<Record>, Refused> {
    const KEYS: [&str; 7] = [
        "init_process_pid",
        "init_process_start",
        "initPid",
        "initStartTime",
        "pid",
        "process-start-time",
        "id",
    ];
    let mut found = [const { Value::Null }; KEYS.len()];
    select(text, &KEYS, &mut found)?;
    let [runc_pid, runc_start, crio_pid, crio_start, pid, crun_start, id] = &found;
    let (pid, start) = match (runc_pid, crio_pid, pid) {
        // CRI-O keeps initPid after the end; its pid is 0 then.
        (Value::Null, Value::Number(_) | Value::String(_), Value::Number(b"0")) => return Ok(None),
        (Value::Null, Value::Null, pid) => (pid, crun_start),
        (Value::Null, pid, _) => (pid, crio_start),
        (pid, ..) => (pid, runc_start),
    };
    Ok(self::pid(pid).map(|pid| Record {
        pid,
        // crun before 2020 recorded no start time, or 0; no process of a container starts with the
        // kernel.
        start: start.integer().filter(|start| *start != 0),
        id: id.string().unwrap_or_default().to_vec(),
        ..Record::default()
    }))
}

/// Returns the pid that a value is, if it can be one.
pub(crate) fn pid(value: &Value<'_>) -> Option<u32> {
    let pid = u32::try_from(value.integer()?).ok()?;
    (1..=MAX_PID).contains(&pid).then_some(pid)
}

/// Tells whether `id` may be looked up as a directory: what a file says must not lead out of the
/// one it is looked up in.
pub fn is_id(id: &[u8]) -> bool {
    !id.is_empty() && !id.starts_with(b".") && !id.contains(&b'/')
}

/// Returns the records of container `id` below each of the runtimes' roots.
///
/// # Errors
/// As [`Host::file`].
pub(crate) fn records(
    host: &Host,
    place: &Place,
    roots: &[Vec<u8>],
    id: &[u8],
) -> Result<Vec<Record>> {
    let mut found = Vec::new();
    for root in roots {
        found.extend(record(host, place, root, id)?);
    }
    Ok(found)
}

/// Returns the record of container `id` below a runtime's root.
///
/// A file that cannot be parsed is a note: it must not hide other containers.
///
/// # Errors
/// As [`Host::file`].
pub(crate) fn record(host: &Host, place: &Place, root: &[u8], id: &[u8]) -> Result<Option<Record>> {
    if !is_id(id) {
        return Ok(None);
    }
    for name in [&b"state.json"[..], b"status"] {
        let file = [root, b"/", id, b"/", name].concat();
        if let Some((record, owner)) = read(host, place, &file, parse)? {
            return Ok(record.map(|record| Record { owner: place.writer(owner), file, ..record }));
        }
    }
    Ok(None)
}

/// Reads and parses a file, twice where it was perhaps being rewritten in place; returns its
/// owner's uid, too. None where it is absent, and, with a note, where it cannot be parsed.
///
/// # Errors
/// As [`Host::file`].
pub(crate) fn read<T>(
    host: &Host,
    place: &Place,
    path: &[u8],
    parse: impl Fn(&[u8]) -> std::result::Result<T, Refused>,
) -> Result<Option<(T, u32)>> {
    let mut refused = None;
    for _ in 0..2 {
        // Only where root alone can put something may anything be opened before it is looked at.
        let file = if place.owner == 0 { host.file_of_roots(path) } else { host.file(path) }?;
        let Some(file) = file else { return Ok(None) };
        match parse(&file.bytes) {
            Ok(value) => return Ok(Some((value, file.owner))),
            Err(reason) => refused = Some(reason),
        }
    }
    if let Some(reason) = refused {
        host.console.note_of(path, reason);
    }
    Ok(None)
}

/// Tells whether a container's file is to be parsed for `needle`: it has that somewhere, or the ID
/// begins with it.
pub(crate) fn mentions(text: &[u8], id: &[u8], needle: Option<&[u8]>) -> bool {
    let Some(needle) = needle.filter(|needle| !id.starts_with(needle)) else { return true };
    let Ok(needle) = std::str::from_utf8(needle) else { return false };
    match std::str::from_utf8(text) {
        Ok(text) => text.contains(needle),
        // No JSON either, which its parser will say.
        Err(_) => text.utf8_chunks().any(|chunk| chunk.valid().contains(needle)),
    }
}

/// Returns the record in a file that the user named.
///
/// # Errors
/// Where it cannot be read or parsed, or records no process.
pub(crate) fn read_named(host: &Host, path: &[u8]) -> Result<Record> {
    let read = || {
        let file = host.named_file(path)?;
        Ok((parse(&file.bytes), file.owner))
    };
    let (mut parsed, mut owner) = read()?;
    if parsed.is_err() {
        // Once more: a runtime may have been writing it.
        (parsed, owner) = read()?;
    }
    let Some(mut record) = parsed.map_err(|reason| Error::of(path, reason))? else {
        return Err(Error::of(path, "records no process")
            .with_remedy("the container is not running, or it is no runtime's state file"));
    };
    if record.id.is_empty() {
        record.id = directory_of(path).unwrap_or_default().to_vec();
    }
    Ok(Record { owner, file: path.to_vec(), ..record })
}

/// Returns the name of the directory that a file is in: crun's container ID.
fn directory_of(path: &[u8]) -> Option<&[u8]> {
    path.rsplit(|byte| *byte == b'/').nth(1).filter(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recorded(text: &str) -> Option<(u32, Option<u64>)> {
        parse(text.as_bytes()).unwrap().map(|record| (record.pid, record.start))
    }

    #[test]
    fn every_runtime_has_its_own_keys() {
        for (text, expected) in [
            (r#"{"id":"a","init_process_pid":7,"init_process_start":99}"#, Some((7, Some(99)))),
            (r#"{"id":"a","init_process_pid":7,"init_process_start":"99"}"#, Some((7, Some(99)))),
            (r#"{"pid":7,"process-start-time":99,"bundle":"/x"}"#, Some((7, Some(99)))),
            (r#"{"pid":7,"process-start-time":0}"#, Some((7, None))),
            (r#"{"ociVersion":"1","id":"a","status":"running","pid":7}"#, Some((7, None))),
            (r#"{"id":"a","pid":7,"initPid":7,"initStartTime":"99"}"#, Some((7, Some(99)))),
            (r#"{"id":"a","pid":0,"initPid":7,"initStartTime":"99"}"#, None),
        ] {
            assert_eq!(recorded(text), expected, "{text}");
        }
    }

    #[test]
    fn ids_lead_nowhere_else() {
        for (id, is) in [
            ("web", true),
            ("a.b", true),
            ("", false),
            ("..", false),
            (".x", false),
            ("../x", false),
        ] {
            assert_eq!(is_id(id.as_bytes()), is, "{id}");
        }
    }

    #[test]
    fn no_process_is_no_record() {
        for pid in ["0", "-1", "1.0", "4194305", "null", "\"x\"", "[7]"] {
            let text = format!(r#"{{"init_process_pid":{pid},"init_process_start":1}}"#);
            assert_eq!(recorded(&text), None, "{pid}");
        }
        assert_eq!(recorded("{}"), None);
    }

    #[test]
    fn strangers_strings_are_never_keys() {
        let forged = r#"{"id":"a","config":{"labels":["init_process_pid=1",
            "\"init_process_pid\":1"],"Hooks":{"pid":1,"init_process_pid":1},"env":{"pid":1}},
            "init_process_pid":7,"init_process_start":9}"#;
        assert_eq!(recorded(forged), Some((7, Some(9))));
        let twice = br#"{"init_process_pid":1,"init_process_pid":7}"#;
        assert_eq!(parse(twice), Err(Refused::Duplicate));
        assert_eq!(parse(br#"{"init_process_pid":7"#), Err(Refused::Malformed));
    }

    #[test]
    fn the_directory_names_a_crun_container() {
        assert_eq!(directory_of(b"/run/crun/web/status"), Some(&b"web"[..]));
        assert_eq!(directory_of(b"status"), None);
    }

    #[test]
    fn the_cheap_search_finds_every_place() {
        for (text, part, found) in [
            (&b"aab"[..], "ab", true),
            (b"ab", "abc", false),
            (b"", "a", false),
            (b"x", "", true),
            (b"aaab", "aab", true),
            (b"a\xffab\xff", "ab", true),
            (b"a\xffb", "ab", false),
        ] {
            assert_eq!(mentions(text, b"1f", Some(part.as_bytes())), found, "{text:?} {part}");
        }
        assert!(mentions(b"", b"1f", None) && mentions(b"", b"1f", Some(b"1")));
    }
}
