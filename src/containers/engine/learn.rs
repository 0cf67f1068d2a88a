//! Where daemons keep things, as the machine tells it: their command lines and configuration files.

#![forbid(unsafe_code)]

use super::Containers;
use crate::base::text::{last, lines};
use crate::containers::world::World;
use crate::host::cgroup;
use crate::host::process::{Process, parse_pid, unless_gone};

/// How a daemon is found that may have been told to keep its files elsewhere.
pub(crate) struct Daemon {
    /// Its name as a command.
    pub(crate) name: &'static [u8],
    /// Files with its pid.
    pub(crate) pid_files: &'static [&'static [u8]],
    /// The cgroups of its units, as distributions call them.
    pub(crate) units: &'static [&'static [u8]],
    /// The options that tell where its files are.
    pub(crate) options: &'static [&'static [u8]],
    /// Adds the containers of one with this command line whose places nothing else told; with a
    /// needle as [`super::List`].
    pub(super) list_of: ListOf,
}

/// Adds the containers of a daemon with this command line that a needle may mean. As [`super::List`].
type ListOf = fn(&World<'_>, &[u8], Option<&[u8]>, &mut Containers);

/// Returns the command lines of a daemon that tell where its files are: of those that a pid file
/// names, else that a unit has, if they are root's.
pub(crate) fn command_lines(world: &World<'_>, daemon: &Daemon) -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    if world.user_of().is_some() || !world.caller.is_root {
        return found;
    }
    let mut pids = Vec::new();
    for path in daemon.pid_files {
        if let Some(file) = world.file(path) {
            pids.extend(parse_pid(file.bytes.trim_ascii()));
        }
    }
    pids.dedup();
    for pid in pids {
        found.extend(command_line(world, pid, daemon));
    }
    // The kernel numbers a cgroup's processes as our pid namespace does.
    if !found.is_empty() || !world.host.has_our_pids() {
        return found;
    }
    for unit in daemon.units {
        let directories = world.cgroup(unit);
        if !directories.is_empty() {
            for pid in cgroup::pids(world.host, &directories).0 {
                found.extend(command_line(world, pid, daemon));
            }
        }
    }
    found
}

/// Returns the command line of a process, if it is the daemon, root's, and has one of the options.
pub(super) fn command_line(world: &World<'_>, pid: u32, daemon: &Daemon) -> Option<Vec<u8>> {
    let host = world.host;
    let process = unless_gone(host, pid, Process::open(host, pid))?;
    // What a user's process says is of any length, and to ask for it may wait for the user.
    if !world.has_process(&process) {
        return None;
    }
    let text = unless_gone(host, pid, process.read(host, "cmdline"))?;
    let command = text.split(|byte| *byte == 0).next().unwrap_or_default();
    let tells = daemon.options.iter().any(|name| option(&text, name).is_some());
    (last(command) == daemon.name && tells).then(|| text.to_vec())
}

/// Returns the value of an option in a command line, that which is given last: `--name VALUE` or
/// `--name=VALUE`, `-x VALUE` or `-xVALUE`.
pub fn option<'a>(command_line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut found = None;
    let mut words = command_line.split(|byte| *byte == 0).skip(1);
    while let Some(word) = words.next() {
        let Some(rest) = word.strip_prefix(name) else { continue };
        found = match rest {
            [] => words.next(),
            [b'=', value @ ..] => Some(value),
            value if !name.starts_with(b"--") => Some(value),
            _ => continue,
        };
    }
    found.filter(|value| !value.is_empty())
}

/// Returns the string that TOML has at `key` in a section, which is named as between its brackets;
/// the section before the first is "".
pub fn setting<'a>(toml: &'a [u8], section: &[u8], key: &[u8]) -> Option<&'a [u8]> {
    let mut at: &[u8] = b"";
    for line in lines(toml) {
        let line = line.trim_ascii();
        if let Some(rest) = line.strip_prefix(b"[") {
            at = rest.split(|byte| *byte == b']').next().unwrap_or_default().trim_ascii();
        } else if at == section {
            let value = line.strip_prefix(key).and_then(|rest| quoted_after_equals(rest));
            if value.is_some() {
                return value;
            }
        }
    }
    None
}

fn quoted_after_equals(rest: &[u8]) -> Option<&[u8]> {
    let value = rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii_start();
    let (quote, rest) = value.split_first().filter(|(quote, _)| matches!(quote, b'"' | b'\''))?;
    let end = rest.iter().position(|byte| byte == quote)?;
    Some(&rest[..end])
}

/// Adds a directory that is configured, unless it is there already or no absolute path, and lets it
/// count.
pub(crate) fn add(world: &World<'_>, directories: &mut Vec<Vec<u8>>, configured: &[u8]) {
    let path = configured.strip_suffix(b"/").unwrap_or(configured);
    if path.starts_with(b"/") && !directories.iter().any(|known| known == path) {
        world.believe(path);
        directories.push(path.to_vec());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_spelled_in_four_ways() {
        let line =
            b"/usr/bin/dockerd\0--data-root\0/a\0--exec-root=/b\0-g/c\0-H\0fd://\0--graph=\0";
        for (name, value) in [
            ("--data-root", Some("/a")),
            ("--exec-root", Some("/b")),
            ("-g", Some("/c")),
            ("-H", Some("fd://")),
            ("--graph", None),
            ("--data", None),
            ("--config-file", None),
        ] {
            let value = value.map(str::as_bytes);
            assert_eq!(option(line, name.as_bytes()), value, "{name}");
        }
        assert_eq!(option(b"x\0--a\0/1\0--a=/2\0", b"--a"), Some(&b"/2"[..]));
        assert_eq!(option(b"x\0--a", b"--a"), None);
        assert_eq!(option(b"--a=/x", b"--a"), None);
    }

    #[test]
    fn settings_are_of_a_section() {
        let text =
            b"state = \"/s\"\n[storage]\n# graphroot = \"/no\"\n graphroot=\"/data/c\" # x\n\
            [storage.options]\nstate = '/other'\n[ x ]\nstate = '/x'\n";
        for (section, key, value) in [
            ("", "state", Some("/s")),
            ("storage", "graphroot", Some("/data/c")),
            ("storage.options", "state", Some("/other")),
            ("x", "state", Some("/x")),
            ("storage", "state", None),
            ("", "graphroot", None),
        ] {
            let found = setting(text, section.as_bytes(), key.as_bytes());
            assert_eq!(found, value.map(str::as_bytes), "{section} {key}");
        }
        for other in ["", "graphroot", "graphroot = ", "graphroot = \"/x", "graphroots = \"/x\""] {
            assert_eq!(setting(other.as_bytes(), b"", b"graphroot"), None, "{other}");
        }
    }
}
