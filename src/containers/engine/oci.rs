//! The state files of OCI runtimes: `ROOT/ID/state.json` (runc, youki, CRI-O) and `ROOT/ID/status`
//! (crun).

#![forbid(unsafe_code)]

use super::records::Record;
use crate::base::error::{Error, Result};
use crate::base::json::{Refused, Value, select};
use crate::containers::world::World;
use crate::host::process::MAX_PID;

/// Parses a state file of any runtime we know; returns None where it records no process.
///
/// # Errors
/// [`Refused`], also where the document is none of theirs.
pub fn parse(text: &[u8]) -> std::result::Result<Option<Record>, Refused> {
    const KEYS: [&str; 9] = [
        "init_process_pid",
        "init_process_start",
        "initPid",
        "initStartTime",
        "pid",
        "process-start-time",
        "id",
        "cgroup-path",
        "status",
    ];
    let mut found = [const { Value::Null }; KEYS.len()];
    select(text, &KEYS, &mut found)?;
    let [runc_pid, runc_start, crio_pid, crio_start, pid, crun_start, id, cgroup, status] = &found;
    let (pid, start) = match (runc_pid, crio_pid, pid) {
        // CRI-O keeps initPid after the end; its pid is 0 then.
        (Value::Null, Value::Number(_) | Value::String(_), Value::Number(b"0")) => return Ok(None),
        // youki's process is not in its namespaces yet.
        (Value::Null, Value::Null, _) if status.string() == Some(b"creating") => return Ok(None),
        (Value::Null, Value::Null, pid) => (pid, crun_start),
        (Value::Null, pid, _) => (pid, crio_start),
        (pid, ..) => (pid, runc_start),
    };
    let Some(pid) = self::pid(pid) else { return Ok(None) };
    let mut record = Record::of(pid);
    // crun before 2020 recorded no start time, or 0; no process of a container starts with the
    // kernel.
    record.start = start.integer().filter(|start| *start != 0);
    record.id = id.string().unwrap_or_default().to_vec();
    record.cgroups.extend(cgroup.string().map(<[u8]>::to_vec));
    Ok(Some(record))
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

/// Tells whether `id` is one that an engine made up: 64 hex digits.
pub(crate) fn is_long(id: &[u8]) -> bool {
    const LONG: usize = 64;
    id.len() == LONG && id.iter().all(u8::is_ascii_hexdigit)
}

/// Tells whether IDs of engines may begin with `needle`.
pub(crate) fn begins_ids(needle: Option<&[u8]>) -> bool {
    const FEWEST: usize = 4;
    needle.is_none_or(|text| text.len() >= FEWEST && text.iter().all(u8::is_ascii_hexdigit))
}

/// Tells whether a container's file is to be parsed for `needle`: it has that somewhere, or the ID
/// begins with it.
pub(crate) fn mentions(text: &[u8], id: &[u8], needle: Option<&[u8]>) -> bool {
    let Some(needle) = needle.filter(|needle| !id.starts_with(needle)) else { return true };
    let Ok(needle) = std::str::from_utf8(needle) else { return false };
    match std::str::from_utf8(text) {
        // Thousands of files: this is several times as fast as a plain search for bytes.
        Ok(text) => text.contains(needle),
        // No JSON either, which its parser will say.
        Err(_) => text.utf8_chunks().any(|chunk| chunk.valid().contains(needle)),
    }
}

/// What became of reading a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reading {
    /// There is none that counts.
    Absent,
    /// It was parsed.
    Parsed,
    /// It is there and could not be parsed, which is noted.
    Odd,
}

/// Reads a file and parses it, twice where it was perhaps being rewritten in place.
pub(crate) fn read(
    world: &World<'_>,
    path: &[u8],
    parse: &mut dyn FnMut(&[u8]) -> std::result::Result<(), Refused>,
) -> Reading {
    let mut is_there = false;
    let parsed = world.parsed(path, &mut |text| {
        is_there = true;
        parse(text)
    });
    match parsed {
        Some(()) => Reading::Parsed,
        None if is_there => Reading::Odd,
        None => Reading::Absent,
    }
}

/// Returns the string that is at `key` in a file; empty where there is none.
pub(crate) fn string(world: &World<'_>, path: &[u8], key: &str) -> Vec<u8> {
    strings(world, path, &[key]).concat()
}

/// Returns the strings that are at `keys` in a file, in their order; empty where there is none.
pub(crate) fn strings(world: &World<'_>, path: &[u8], keys: &[&str]) -> Vec<Vec<u8>> {
    let mut strings = vec![Vec::new(); keys.len()];
    read(world, path, &mut |text| {
        let mut found = vec![Value::Null; keys.len()];
        select(text, keys, &mut found)?;
        for (string, value) in strings.iter_mut().zip(&found) {
            *string = value.string().unwrap_or_default().to_vec();
        }
        Ok(())
    });
    strings
}

/// Returns the record in a file that the user named.
///
/// # Errors
/// Where it cannot be read or parsed, or records no process.
pub(crate) fn read_named(world: &World<'_>, path: &[u8]) -> Result<Record> {
    let read = || Ok(parse(&world.host.named_file(path)?.bytes));
    let mut parsed = read()?;
    if parsed.is_err() {
        // Once more: a runtime may have been writing it.
        parsed = read()?;
    }
    let Some(mut record) = parsed.map_err(|reason| Error::of(path, reason))? else {
        return Err(Error::of(path, "records no process")
            .with_remedy("the container is not running, or it is no runtime's state file"));
    };
    if record.id.is_empty() {
        record.id = directory_of(path).unwrap_or_default().to_vec();
    }
    record.file = path.to_vec();
    record.add_cgroups(world);
    Ok(record)
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
            (r#"{"ociVersion":"1","id":"a","status":"creating","pid":7}"#, None),
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
    fn crun_records_its_cgroup() {
        let record = parse(br#"{"pid":7,"cgroup-path":"/a.slice/crun-x.scope"}"#).unwrap().unwrap();
        assert_eq!(record.cgroups, [b"/a.slice/crun-x.scope".to_vec()]);
    }

    #[test]
    fn ids_of_engines_are_hexadecimal() {
        for (needle, may) in
            [("beef", true), ("bee", false), ("web", false), ("0123456789ab", true)]
        {
            assert_eq!(begins_ids(Some(needle.as_bytes())), may, "{needle}");
        }
        assert!(begins_ids(None));
        assert!(is_long(b"0123456789abcdef".repeat(4).as_slice()) && !is_long(b"ab"));
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
