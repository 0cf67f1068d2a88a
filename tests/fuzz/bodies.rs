//! What must hold of every parser whatever bytes it is given: run by cargo-fuzz on new inputs
//! (`make fuzz`), and by the integration tests on the committed corpora.
//!
//! A parser that did not panic has shown little, so each body also asks an oracle: serde_json, or a
//! text composed here by the rules of the program that writes it, which must be read back as it was
//! meant.

#![forbid(unsafe_code)]

use netns_enter::base::escape::{quoted, shown};
use netns_enter::base::json::{self, Refused, Value};
use netns_enter::cli::parse::parse_words;
use netns_enter::cli::{Command, Exec, Invocation};
use netns_enter::containers::engine::{
    containerd, docker, k8s_name, kubernetes, learn, lxc, machine, oci, podman, records, sandbox,
};
use netns_enter::containers::world::users::parse_passwd;
use netns_enter::host::mountinfo;
use netns_enter::host::process::{self, MAX_PID, Stat, parse_pid};
use netns_enter::kernel::link::Address;
use netns_enter::kernel::rtnetlink::{Answer, Id};
use netns_enter::pin::lookup;
use netns_enter::target::TargetSpec;
use netns_enter::view::Views;
use serde_json::value::RawValue;
use serde_json::{Deserializer, from_slice, from_str};
use std::ffi::OsStr;
use std::net::{IpAddr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;

/// What is done with one input.
pub type Body = fn(&[u8]);

/// Every target by its name, which its directory in corpus/ has, too.
pub const BODIES: &[(&str, Body)] = &[
    ("json", json),
    ("state", state),
    ("command", command),
    ("proc", proc),
    ("lines", lines),
    ("netlink", netlink),
];

/// JSON: what is accepted means the same to serde_json; what is well-formed, not too deep and
/// unambiguous is accepted.
pub fn json(doc: &[u8]) {
    const PATHS: [&str; 4] = ["a", "a b", "b", "a b c"];
    // Nesting up to this must be read; what is one deeper may be.
    const READ: usize = 64;
    let mut values: [Value<'_>; PATHS.len()] = Default::default();
    let found = json::select(doc, &PATHS, &mut values).map(|()| values);
    let mut elements = Vec::new();
    let listed = json::elements(doc, &mut |element| {
        elements.push(element);
        Ok(())
    });
    let listed = listed.map(|()| elements);
    if confuses_the_oracle(doc) {
        return;
    }
    let Some(raw) = well_formed(doc) else {
        assert!(found.is_err() && listed.is_err(), "accepted, though it is not JSON");
        return;
    };
    if found == Err(Refused::TooDeep) || listed == Err(Refused::TooDeep) {
        assert!(depth(doc) > READ);
        return;
    }
    assert!(depth(doc) <= READ + 1, "accepted at any depth");
    let expected: Result<Vec<_>, Twice> = PATHS.iter().map(|path| look_up(&raw, path)).collect();
    match (found, expected) {
        (Err(reason), Err(Twice)) => assert_eq!(reason, Refused::Duplicate),
        (Ok(found), Ok(expected)) => {
            for (found, expected) in found.iter().zip(&expected) {
                let expected = expected.as_deref().map_or(serde_json::Value::Null, value);
                assert!(meaning(found) == expected, "{found:?}, not {expected:?}");
            }
        }
        (found, expected) => panic!("{found:?}, not {:?}", expected.map_err(|Twice| "a key twice")),
    }
    let elements: Option<Vec<Box<RawValue>>> = from_str(raw.get()).ok();
    match (listed, elements) {
        (Ok(ours), Some(theirs)) => {
            assert!(ours.iter().map(meaning).eq(theirs.iter().map(|raw| value(raw))));
        }
        (ours, theirs) => assert!(ours.is_err() && theirs.is_none(), "{ours:?}, not {theirs:?}"),
    }
}

/// A key that occurs twice.
#[derive(Debug)]
struct Twice;

/// The document, if it is JSON; by two of serde_json's parsers, since the lazy one does not look
/// into strings.
fn well_formed(doc: &[u8]) -> Option<Box<RawValue>> {
    from_slice::<serde_json::Value>(doc).ok()?;
    from_slice(doc).ok()
}

/// Whether the oracle would take an object for a number: by a key of this kind serde_json hands
/// numbers through its own parser.
fn confuses_the_oracle(doc: &[u8]) -> bool {
    [&b"serde_"[..], b"private"]
        .iter()
        .any(|word| doc.windows(word.len()).any(|part| part == *word))
}

fn value(raw: &RawValue) -> serde_json::Value {
    from_str(raw.get()).expect("a part of a document that is JSON")
}

/// One of our values as serde_json has it.
fn meaning(ours: &Value<'_>) -> serde_json::Value {
    match ours {
        Value::Null => serde_json::Value::Null,
        Value::Bool(bool) => (*bool).into(),
        Value::String(string) => string.as_ref().into(),
        Value::Number(spelled) => from_slice(spelled).expect("a number"),
        Value::Nested(text) => from_slice(text).expect("JSON inside of JSON"),
    }
}

/// What `path` leads to.
fn look_up(doc: &RawValue, path: &str) -> Result<Option<Box<RawValue>>, Twice> {
    let mut at = Some(doc.to_owned());
    for key in path.split(' ') {
        let Some(object) = at else { break };
        let mut values =
            members(object.get()).into_iter().filter(|(k, _)| k == key).map(|(_, value)| value);
        at = values.next();
        if values.next().is_some() {
            return Err(Twice);
        }
    }
    Ok(at)
}

/// The members of an object in their order, those with the same key too; none of anything else.
fn members(object: &str) -> Vec<(String, Box<RawValue>)> {
    let mut found = Vec::new();
    let Some(mut rest) = object.strip_prefix('{') else { return found };
    loop {
        rest = rest.trim_start_matches([',', ' ', '\t', '\n', '\r']);
        if rest.starts_with('}') {
            return found;
        }
        let mut keys = Deserializer::from_str(rest).into_iter::<String>();
        let key = keys.next().expect("a key").expect("a string");
        rest = rest[keys.byte_offset()..].trim_start().strip_prefix(':').expect("a colon");
        let mut values = Deserializer::from_str(rest).into_iter::<Box<RawValue>>();
        let value = values.next().expect("a value").expect("JSON");
        rest = &rest[values.byte_offset()..];
        found.push((key, value));
    }
}

/// How deeply a well-formed document nests.
fn depth(doc: &[u8]) -> usize {
    let (mut now, mut most, mut quoted, mut escaped) = (0usize, 0, false, false);
    for byte in doc {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => now += 1,
            b']' | b'}' if !quoted => now -= 1,
            _ => {}
        }
        most = most.max(now);
    }
    most
}

/// State files and engines' lists: what is taken from one is in it, under its key.
pub fn state(doc: &[u8]) {
    let record = oci::parse(doc);
    let docker = docker::name_in(doc, b"1a");
    let bundle = containerd::name_in(doc);
    let storage = podman::names_in(doc);
    let sandbox = sandbox::parse(doc, &["sandbox pid", "spec linux cgroupsPath"]);
    if confuses_the_oracle(doc) {
        return;
    }
    let Some(raw) = well_formed(doc) else {
        assert!(
            record.is_err()
                && docker.is_err()
                && bundle.is_err()
                && storage.is_err()
                && sandbox.is_err()
        );
        return;
    };
    let doc = value(&raw);
    let is_number = |value: &serde_json::Value, number: u64| {
        value.as_u64() == Some(number) || value.as_str().is_some_and(|s| s.parse() == Ok(number))
    };
    if let Ok(Some(record)) = record {
        let of =
            |keys: [&str; 3], number: u64| keys.iter().any(|key| is_number(&doc[*key], number));
        assert!((1..=MAX_PID).contains(&record.pid));
        assert!(of(["init_process_pid", "initPid", "pid"], record.pid.into()));
        assert!(record.start.is_none_or(|start| start != 0));
        assert!(
            record.start.is_none_or(|s| of(
                ["init_process_start", "initStartTime", "process-start-time"],
                s
            ))
        );
        assert_eq!(record.id, doc["id"].as_str().unwrap_or_default().as_bytes());
    }
    if let Ok(Some(record)) = sandbox {
        assert!(is_number(&doc["sandbox"]["pid"], record.pid.into()));
    }
    if let Ok(Some(name)) = docker {
        let expected = doc["Name"].as_str().expect("a name");
        assert_eq!(name, expected.strip_prefix('/').unwrap_or(expected).as_bytes());
        assert_eq!(doc["ID"], "1a");
    }
    if let Ok(Some((engine, name))) = bundle {
        let annotations = doc["annotations"].as_object().expect("annotations");
        let values: Vec<&str> =
            annotations.values().filter_map(serde_json::Value::as_str).collect();
        let name = std::str::from_utf8(&name).expect("text");
        match engine {
            "k8s" => {
                assert!(name.split('/').all(|part| values.iter().any(|value| value.contains(part))))
            }
            _ => assert!(values.contains(&name)),
        }
    }
    for (id, name) in storage.unwrap_or_default() {
        let is_it = |container: &serde_json::Value| {
            let is = |value: &serde_json::Value, text: &[u8]| {
                value.as_str().map(str::as_bytes) == Some(text)
            };
            let names = container["names"].as_array();
            is(&container["id"], &id) && names.is_some_and(|all| all.iter().any(|n| is(n, &name)))
        };
        assert!(doc.as_array().is_some_and(|all| all.iter().any(is_it)));
    }
}

/// The command line, its words separated by NUL: the target does not depend on COMMAND, and
/// messages are fit to print.
pub fn command(line: &[u8]) {
    let words: Vec<&OsStr> = line.split(|b| *b == 0).take(24).map(OsStr::from_bytes).collect();
    let parse = |words: &[&OsStr]| parse_words(words.iter().copied());
    let error = match parse(&words) {
        Ok(Invocation { command, host_root, quiet, verbose }) => {
            // Whatever else there is, it is the same without COMMAND.
            let rest = (host_root, quiet, verbose);
            return without_its_words(command, &words, |words| {
                let Invocation { command, host_root, quiet, verbose } = parse(words).ok()?;
                assert_eq!(rest, (host_root, quiet, verbose));
                Some(command)
            });
        }
        Err(error) => error,
    };
    assert_eq!(error.status(), 125);
    for said in [Some(error.message()), error.remedy()].into_iter().flatten() {
        assert!(!said.is_empty() && !said.contains(char::is_control), "{said:?}");
    }
}

/// What holds of one command: its target is fit to be looked for, and without the words of COMMAND
/// it is the same command, with a shell instead, or a pin and no more; or it is refused where it
/// needs one.
fn without_its_words(
    command: Command,
    words: &[&OsStr],
    parse: impl Fn(&[&OsStr]) -> Option<Command>,
) {
    let before = |first: usize| {
        // Index 0 is the program's own name.
        assert!(first >= 2 && first <= words.len(), "COMMAND is outside of the command line");
        &words[..first - 1]
    };
    match command {
        Command::Enter { target, wait, pin, views, exec } => {
            check_target(&target);
            let Exec::Argument(first) = exec else { return };
            match (parse(before(first)), pin) {
                (Some(alone), None) => {
                    let (pin, exec) = (None, Exec::Shell);
                    assert_eq!(alone, Command::Enter { target, wait, pin, views, exec });
                }
                (Some(alone), Some(name)) => {
                    assert_eq!(alone, Command::Pin { target, wait, name });
                }
                // Only a pin needs no COMMAND, but the views are for one.
                (None, pin) => {
                    let has_views = views != Views::default();
                    assert!(pin.is_some() && has_views, "refused without its COMMAND");
                }
            }
        }
        Command::Pin { target, name, .. } => {
            check_target(&target);
            assert!(!name.is_empty());
        }
        Command::List { target, .. } => _ = target.as_ref().map(check_target),
        Command::All { command: first, .. } => {
            let alone = parse(before(first));
            assert!(alone.is_none(), "{alone:?} without its COMMAND");
        }
        Command::Unpin { names } => assert!(!names.is_empty()),
        Command::PinAll | Command::Help | Command::Version => {}
    }
}

fn check_target(target: &TargetSpec) {
    match target {
        TargetSpec::Pid(pid) => assert!((1..=MAX_PID).contains(pid)),
        TargetSpec::Process { pid, inode } => {
            assert!((1..=MAX_PID).contains(pid) && *inode != 0);
        }
        TargetSpec::Inode(_) | TargetSpec::Cookie(_) | TargetSpec::Addr(_) => {}
        TargetSpec::Name(word)
        | TargetSpec::Container(word)
        | TargetSpec::Netns(word)
        | TargetSpec::File(word)
        | TargetSpec::State(word)
        | TargetSpec::Cgroup(word)
        | TargetSpec::Veth(word) => assert!(!word.is_empty()),
    }
}

/// Text of /proc: what the kernel would write about a process and a mount with these names is read
/// back, and nothing panics.
pub fn proc(bytes: &[u8]) {
    let _ = process::parse_stat(bytes);
    let _ = bytes.split(|b| *b == b'\n').filter_map(mountinfo::parse).count();
    assert!(process::parse_nspid(bytes).iter().all(|pid| (1..=MAX_PID).contains(pid)));
    let plain = std::str::from_utf8(bytes)
        .ok()
        .filter(|s| s.bytes().all(|b| b.is_ascii_digit()) && s.len() <= 7);
    assert_eq!(
        parse_pid(bytes),
        plain.and_then(|s| s.parse().ok()).filter(|pid| (1..=MAX_PID).contains(pid))
    );

    let Some((numbers, name)) = bytes.split_at_checked(16) else { return };
    let number = |at: usize| u32::from_le_bytes(numbers[at..at + 4].try_into().expect("4 bytes"));
    let (parent, threads, start) =
        (number(0), number(4), u64::from(number(8)) << (numbers[12] % 33));
    let state = b"RSDZTtXxKWPI"[usize::from(numbers[13]) % 12];
    let stat = [
        &b"42 ("[..],
        name,
        format!(
            ") {} {parent} 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 {threads} 0 {start} 9 9\n",
            state as char
        )
        .as_bytes(),
    ]
    .concat();
    assert_eq!(process::parse_stat(&stat), Some(Stat { state, parent, threads, start }));

    let mount = [
        b"42 7 0:4 ",
        &*escaped(name),
        b" /",
        &escaped(name),
        b" rw,nosuid shared:9 master:3 - nsfs none rw",
    ]
    .concat();
    let mount = mountinfo::parse(&mount).expect("a mount");
    assert_eq!((mount.id, mount.parent, mount.group), (42, 7, Some(9)));
    assert_eq!(mount.kind, b"nsfs");
    assert!(mount.root == name && mount.point.strip_prefix(b"/") == Some(name));

    // A cgroup's name cannot hold a newline.
    let name: Vec<u8> = name.iter().copied().filter(|b| *b != b'\n').collect();
    let lines = [b"4:cpu,cpuacct:/", &name[..], b"\n0::/", &name[..], b" (deleted)\n"].concat();
    let paths: Vec<&[u8]> = process::cgroup_paths(&lines).collect();
    assert_eq!(paths.len(), 2);
    let first = [b"/", &name[..]].concat();
    assert!(paths[0] == first && paths[1] == [&first[..], b" (deleted)"].concat());
}

/// As the kernel's mangle() writes a path: seq_path(9).
fn escaped(path: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b' ' | b'\t' | b'\n' | b'\\' | b'#' => format!("\\{byte:03o}").into_bytes(),
        other => vec![*other],
    };
    path.iter().flat_map(escape).collect()
}

/// Files of lines, and names with several parts in them.
pub fn lines(bytes: &[u8]) {
    for key in ["NAME", "LEADER"] {
        let _ = machine::value(bytes, key);
    }
    for registrant in [0, 1000] {
        let record = machine::record(bytes, registrant);
        assert!(record.is_none_or(|record| (1..=MAX_PID).contains(&record.pid)));
    }
    let root = learn::setting(bytes, b"storage", b"graphroot");
    assert!(root.is_none_or(|root| !root.contains(&b'\n')));
    assert!(learn::option(bytes, b"--data-root").is_none_or(|value| !value.contains(&0)));
    assert!(lxc::setting(bytes, b"lxc.lxcpath").is_none_or(|path| !path.contains(&b'\n')));
    let _ = (lxc::configured(bytes, b"web"), lxc::monitored(bytes), podman::pod_in(bytes, b"1a"));
    for user in bytes.split(|b| *b == b'\n').filter_map(parse_passwd) {
        let home = user.home.unwrap_or(b"/".to_vec());
        assert!(home.starts_with(b"/") && !home.contains(&b':'));
    }
    if let Some(name) =
        k8s_name::parse(bytes).or_else(|| kubernetes::parse(bytes).map(|(name, _)| name))
    {
        assert!(name.split(|b| *b == b'/').count() >= 2);
    }
    if let Some((id, sandbox)) = records::gvisor_ids(bytes) {
        assert_eq!([id, b"_sandbox:", sandbox, b".state"].concat(), bytes);
    }
    if let Some(pid) = lookup::process_of(bytes) {
        let digits = bytes.strip_prefix(b"/proc/").and_then(|rest| rest.strip_suffix(b"/ns/net"));
        assert_eq!(digits.and_then(parse_pid), Some(pid));
    }
    assert!(!oci::is_id(bytes) || !bytes.contains(&b'/') && bytes != b"..");
    assert!(!format!("{} {}", shown(bytes), quoted(bytes)).contains(char::is_control));

    // A value as machined writes it.
    let assignment =
        [b"# NAME=no\nNAMED=no\nNAME=\"", &*c_escaped(bytes), b"\"\nLEADER=7\n"].concat();
    assert!(machine::value(&assignment, "NAME").as_deref() == Some(bytes));
    assert_eq!(machine::value(&assignment, "LEADER").as_deref(), Some(&b"7"[..]));

    // Names as Kubernetes allows them, in the compositions of cri-dockerd, CRI-O and the kubelet.
    let mut names = bytes.split(|b| *b == 0).map(label).filter(|name| !name.is_empty());
    let (Some(pod), Some(namespace), Some(container)) = (names.next(), names.next(), names.next())
    else {
        return;
    };
    let full = format!("{namespace}/{pod}/{container}");
    let named = k8s_name::parse(format!("k8s_{container}_{pod}_{namespace}_0a1b_0").as_bytes());
    assert_eq!(named.as_deref(), Some(full.as_bytes()));
    let named = k8s_name::parse(format!("k8s_{pod}_{namespace}_0a1b_0").as_bytes());
    assert_eq!(named.as_deref(), Some(format!("{namespace}/{pod}").as_bytes()));
    let id = "0123456789abcdef".repeat(4);
    let named = kubernetes::parse(format!("{pod}_{namespace}_{container}-{id}.log").as_bytes());
    assert_eq!(named, Some((full.into_bytes(), id.into_bytes())));
}

/// C escapes of what would end or change a quoted value.
fn c_escaped(value: &[u8]) -> Vec<u8> {
    let escape = |byte: &u8| match byte {
        b'"' | b'\\' => vec![b'\\', *byte],
        0x20..0x7f => vec![*byte],
        other => format!("\\x{other:02x}").into_bytes(),
    };
    value.iter().flat_map(escape).collect()
}

/// The characters of an RFC 1123 label that are in `bytes`.
fn label(bytes: &[u8]) -> String {
    let allowed = |b: &&u8| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.');
    bytes.iter().filter(allowed).map(|b| char::from(*b)).collect()
}

/// rtnetlink's answers: no interface twice, and an interface as the kernel would describe it is
/// read back.
pub fn netlink(bytes: &[u8]) {
    let word = |at: usize| {
        bytes
            .get(at..at + 4)
            .map_or(0, |word| u32::from_ne_bytes(word.try_into().expect("4 bytes")))
    };
    let mut answer = Answer::default();
    let _ = answer.take(bytes, Id { sequence: word(8), port: word(12) });
    let found = answer.into_interfaces();
    assert!(found.is_sorted_by(|a, b| a.index < b.index));
    for interface in &found {
        assert!(
            interface.mac.chars().all(|c| c.is_ascii_hexdigit() || ":.".contains(c)),
            "{}",
            interface.mac
        );
        assert!(!interface.name.contains(&0));
    }

    const QUESTION: Id = Id { sequence: 1, port: 77 };
    let Some((numbers, rest)) = bytes.split_at_checked(32) else { return };
    let name: Vec<u8> = rest.iter().copied().filter(|b| *b != 0 && *b != b'/').take(15).collect();
    let index = word(0).max(1);
    let (nsid, peer, prefix) = (word(4) as i32 & i32::MAX, word(8).max(1), numbers[12] % 129);
    let ip: [u8; 16] = numbers[16..32].try_into().expect("16 bytes");
    if name.is_empty() {
        return;
    }
    let pair = attribute(18, &attribute(1, b"veth\0"));
    let attributes = [
        attribute(3, &[&name[..], b"\0"].concat()),
        attribute(5, &peer.to_ne_bytes()),
        attribute(37, &nsid.to_ne_bytes()),
        attribute(16, &[6]),
        pair,
        // One that nobody knows.
        attribute(0x3123, rest.get(..200).unwrap_or(rest)),
    ];
    // ifinfomsg: family, padding, type, index, flags, change mask.
    let link = [&[0, 0, 1, 0][..], &index.to_ne_bytes(), &[0; 8], &attributes.concat()].concat();
    // ifaddrmsg: family, prefix length, flags, scope, index.
    let address = [&[10, prefix, 0, 0][..], &index.to_ne_bytes(), &attribute(1, &ip)].concat();
    let datagram = [
        message(16, QUESTION, &link),
        message(20, QUESTION, &address),
        message(3, QUESTION, &[0; 4]),
    ]
    .concat();
    let mut answer = Answer::default();
    assert_eq!(answer.take(&datagram, QUESTION), Ok(true));
    let found = answer.into_interfaces();
    let [interface] = &found[..] else { panic!("not one interface: {found:?}") };
    assert!(interface.name == name && (interface.index, interface.state) == (index, "UP"));
    assert_eq!(interface.peer.map(|peer| (peer.nsid, peer.index)), Some((Some(nsid), peer)));
    assert_eq!(interface.addresses, [Address { ip: IpAddr::V6(Ipv6Addr::from(ip)), prefix }]);
}

/// A message of several, netlink(7).
fn message(kind: u16, id: Id, body: &[u8]) -> Vec<u8> {
    const MULTI: u16 = 2;
    let len = (16 + body.len()) as u32;
    let numbers = [kind.to_ne_bytes(), MULTI.to_ne_bytes()].concat();
    padded(
        [
            &len.to_ne_bytes(),
            &numbers[..],
            &id.sequence.to_ne_bytes(),
            &id.port.to_ne_bytes(),
            body,
        ]
        .concat(),
    )
}

/// An attribute, rtnetlink(7).
fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    padded([&(4 + value.len() as u16).to_ne_bytes(), &kind.to_ne_bytes(), value].concat())
}

fn padded(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}
