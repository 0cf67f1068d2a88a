//! Where daemons keep things, as the machine tells it: their command lines and configuration files.

#![forbid(unsafe_code)]

use super::Containers;
use crate::base::text::{last, lines, parts};
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
    /// The options that name its configuration file.
    pub(crate) config_options: &'static [&'static [u8]],
    /// The options that tell where its files are, the keys of its configuration that do so, and
    /// what they tell.
    pub(crate) settings: &'static [(&'static [u8], &'static str, Tells)],
    /// Reads its configuration file.
    pub(super) read_config: ReadConfig,
    /// Adds the containers of one with this command line whose places nothing else told. As
    /// [`super::List`].
    pub(super) list_of: fn(&World<'_>, &[u8], &mut Containers<'_>),
}

/// Returns the values of these keys in a configuration file; empty where there is none.
type ReadConfig = fn(&World<'_>, &[u8], &[&str]) -> Vec<Vec<u8>>;

/// What a setting of a daemon tells.
#[derive(Clone, Copy)]
pub(crate) enum Tells {
    /// Where it keeps what outlives the machine's running.
    Data,
    /// Where it keeps what does not.
    State,
    /// The cgroup of the containers that are not told otherwise.
    CgroupParent,
}

/// Where daemons of a kind keep their files.
#[derive(Default)]
pub(crate) struct Places {
    pub(crate) data: Vec<Vec<u8>>,
    pub(crate) states: Vec<Vec<u8>>,
    pub(crate) cgroup_parents: Vec<Vec<u8>>,
}

impl Places {
    /// Adds what the daemons that run were told.
    pub(super) fn ask_daemons(&mut self, world: &World<'_>, daemon: &Daemon) {
        for line in &command_lines(world, daemon) {
            self.add_command_line(world, daemon, line);
        }
    }

    /// Adds what a daemon's command line tells.
    pub(super) fn add_command_line(&mut self, world: &World<'_>, daemon: &Daemon, line: &[u8]) {
        for name in daemon.config_options {
            if let Some(path) = option(line, name) {
                self.add_config(world, daemon, path);
            }
        }
        for (name, _, tells) in daemon.settings {
            self.add(world, *tells, option(line, name).unwrap_or_default());
        }
    }

    /// Adds what a configuration file tells.
    pub(super) fn add_config(&mut self, world: &World<'_>, daemon: &Daemon, path: &[u8]) {
        let keys: Vec<&str> = daemon.settings.iter().map(|(_, key, _)| *key).collect();
        let values = (daemon.read_config)(world, path, &keys);
        for ((_, _, tells), value) in daemon.settings.iter().zip(&values) {
            self.add(world, *tells, value);
        }
    }

    fn add(&mut self, world: &World<'_>, tells: Tells, value: &[u8]) {
        match tells {
            Tells::Data => add(world, &mut self.data, value),
            Tells::State => add(world, &mut self.states, value),
            Tells::CgroupParent if value.is_empty() => {}
            Tells::CgroupParent => self.cgroup_parents.push(value.to_vec()),
        }
    }
}

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
    let command = parts(&text, 0).next().unwrap_or_default();
    let settings = daemon.settings.iter().map(|(name, ..)| name);
    let mut options = daemon.config_options.iter().chain(settings);
    let tells = options.any(|name| option(&text, name).is_some());
    (last(command) == daemon.name && tells).then(|| text.to_vec())
}

/// Returns the value of an option in a command line, that which is given last: `--name VALUE` or
/// `--name=VALUE`, `-x VALUE` or `-xVALUE`.
pub fn option<'a>(command_line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let mut found = None;
    let mut words = parts(command_line, 0).skip(1);
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

/// Returns the strings that a TOML file has at `keys` in a section; empty where there is none.
pub(super) fn settings(
    world: &World<'_>,
    path: &[u8],
    section: &[u8],
    keys: &[&str],
) -> Vec<Vec<u8>> {
    let mut values = vec![Vec::new(); keys.len()];
    if let Some(file) = world.file(path) {
        for (value, key) in values.iter_mut().zip(keys) {
            *value = setting(&file.bytes, section, key.as_bytes()).unwrap_or_default().to_vec();
        }
    }
    values
}

/// Returns the string that TOML has at `key` in a section, which is named as between its brackets;
/// the section before the first is "".
pub fn setting<'a>(toml: &'a [u8], section: &[u8], key: &[u8]) -> Option<&'a [u8]> {
    let mut at: &[u8] = b"";
    for line in lines(toml) {
        let line = line.trim_ascii();
        if let Some(rest) = line.strip_prefix(b"[") {
            at = parts(rest, b']').next().unwrap_or_default().trim_ascii();
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
