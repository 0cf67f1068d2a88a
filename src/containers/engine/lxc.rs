//! LXC, Incus and LXD: no process is on disk; each container's are in a cgroup that its
//! configuration tells, or that is called after it.

#![forbid(unsafe_code)]

use super::learn::add;
use super::{Container, Containers, Engine, Found, Source, forms};
use crate::base::text::{find, join, last, lines, number, parts};
use crate::containers::world::World;
use crate::host::cgroup::{self, above};
use crate::host::process::{Process, Stat, unless_gone};
use crate::host::root::Symlink;
use crate::kernel::netns::id_of;
use rustix::io;
use std::rc::Rc;

const LXC: &str = "lxc";
/// Where LXC itself is configured: lxc.system.conf(5).
const SYSTEM: &[u8] = b"/etc/lxc/lxc.conf";
const PAYLOAD: &[u8] = b"lxc.payload.";
/// LXC tries so many names of a cgroup.
const MOST_TRIES: u32 = 1000;

/// Where engines made on LXC keep their containers.
const HOMES: &[(&str, &[u8])] = &[
    ("incus", b"/var/lib/incus/containers"),
    ("lxd", b"/var/lib/lxd/containers"),
    ("lxd", b"/var/snap/lxd/common/lxd/containers"),
];

/// A directory in which an engine keeps its containers, with its word.
type Home = (&'static str, Vec<u8>);

/// Returns the directories in which containers are kept.
fn homes(world: &World<'_>) -> Vec<Home> {
    let mut of_lxc = vec![b"/var/lib/lxc".to_vec()];
    add(world, &mut of_lxc, &system_setting(world, b"lxc.lxcpath"));
    let mut homes = Vec::new();
    for (word, home) in HOMES {
        homes.push((*word, home.to_vec()));
    }
    for home in of_lxc {
        homes.push((LXC, home));
    }
    homes
}

/// Returns what LXC itself was told; empty where that is nothing.
fn system_setting(world: &World<'_>, key: &[u8]) -> Vec<u8> {
    let Some(file) = world.file(SYSTEM) else { return Vec::new() };
    setting(&file.bytes, key).unwrap_or_default().to_vec()
}

/// Adds LXC's containers, also those that are nowhere but in a cgroup.
pub(crate) fn list_lxc(world: &World<'_>, engine: &Engine, out: &mut Containers<'_>) {
    list(world, engine, out);
    if world.user_of().is_some() {
        return;
    }
    let homes = homes(world);
    let mut known: Vec<Vec<u8>> = Vec::new();
    for top in &world.cgroup(b"") {
        for group in world.entries(top) {
            let name = group.strip_prefix(PAYLOAD).unwrap_or_default();
            // The hierarchies show each container once.
            if name.is_empty() || !out.wants(name) || known.contains(&group) {
                continue;
            }
            // A cgroup may be called so by anybody's root, and `web-1` be the second try at `web`,
            // whose first cgroup was left over: the monitor tells.
            if let Owner::Of(told) = owner(world, &world.cgroup(&join(b"", &group))) {
                let name = last(&told);
                let is_listed = |(_, home): &Home| {
                    is_same(world, &join(home, name), &told) && keeps(world, home, name)
                };
                if !homes.iter().any(is_listed) {
                    out.add(&Found {
                        directory: &told,
                        ..Found::unnamed(LXC, name, &Rc::default())
                    });
                }
            }
            known.push(group);
        }
    }
}

/// Adds the containers that have a directory in one of an engine's. Whoever owns that directory,
/// which is a container's own root where ids are mapped, the name is root's.
pub(crate) fn list(world: &World<'_>, engine: &Engine, out: &mut Containers<'_>) {
    if world.user_of().is_some() {
        return;
    }
    for (word, home) in &homes(world) {
        if *word != engine.words[0] {
            continue;
        }
        for name in &world.entries(home) {
            let directory = &join(home, name);
            // It is listed, so what is no directory of root's and no file is a container's own.
            if out.wants(name) && (world.is_directory(directory) || world.file(directory).is_none())
            {
                out.add(&Found { directory, ..Found::unnamed(word, name, &Rc::default()) });
            }
        }
    }
}

/// Tells whether a name in a directory of containers is one's, and no file's.
fn keeps(world: &World<'_>, home: &[u8], name: &[u8]) -> bool {
    let path = join(home, name);
    if world.is_directory(&path) {
        return true;
    }
    world.file(&path).is_none() && world.entries(home).iter().any(|entry| entry == name)
}

/// Whose the processes of a cgroup are.
enum Owner {
    /// There are none.
    Nobody,
    /// No monitor of root's tells.
    Unknown,
    /// Those of the container that has this directory.
    Of(Vec<u8>),
}

/// Returns the cgroups that the container's configuration tells, else those that LXC's versions
/// make, and of each the next ones, which LXC takes where one was left over: those whose monitor
/// says that they are its own, else those that no other's does. None where such a one has
/// processes, and another container may have it.
pub(crate) fn cgroups(world: &World<'_>, container: &Container) -> Option<Vec<Vec<u8>>> {
    let (name, directory) = (&container.id[..], directory_of(container));
    let mut first = Vec::new();
    if !directory.is_empty() {
        let config = world.file(&join(directory, b"config"));
        first = config.map(|file| configured(&file.bytes, name)).unwrap_or_default();
    }
    if first.is_empty() {
        first = forms::paths(world, container);
        let pattern = system_setting(world, b"lxc.cgroup.pattern");
        if !pattern.is_empty() {
            let below = patterned(&pattern, name);
            first.push(join(&below, b"payload"));
            first.push([&below[..], b"/", PAYLOAD, name].concat());
        }
    }
    let (mut own, mut open, mut is_unsure) = (Vec::new(), Vec::new(), false);
    for first in &first {
        let mut path = first.clone();
        for next in 1..=MOST_TRIES {
            let is_first = next == 1;
            let directories = world.cgroup(&path);
            if directories.is_empty() && !is_first {
                break;
            }
            match owner(world, &directories) {
                Owner::Of(told) if is_its(world, &told, container) => own.push(path),
                Owner::Of(_) => {}
                Owner::Unknown => {
                    is_unsure |= !is_first || has_rival(world, name, directory);
                    open.push(path);
                }
                Owner::Nobody if is_first => open.push(path),
                Owner::Nobody => {}
            }
            path = [&first[..], b"-", next.to_string().as_bytes()].concat();
        }
    }
    match own.is_empty() {
        false => Some(own),
        true => (!is_unsure).then_some(open),
    }
}

/// Tells whether another container may have a cgroup of this name: one that is called so, too, or
/// one whose second try it is.
fn has_rival(world: &World<'_>, name: &[u8], directory: &[u8]) -> bool {
    let mut names = vec![name];
    if let Some(dash) = name.iter().rposition(|byte| *byte == b'-') {
        names.extend(number(&name[dash + 1..]).map(|_| &name[..dash]));
    }
    for (_, home) in &homes(world) {
        for name in &names {
            let path = join(home, name);
            if path != directory && keeps(world, home, name) {
                return true;
            }
        }
    }
    let first = |base: &&[u8]| world.cgroup(&[b"/", PAYLOAD, base].concat());
    names.get(1).is_some_and(|base| !first(base).is_empty())
}

/// Returns whose the processes in a cgroup's directories are. The first of a container is the child
/// of its monitor.
fn owner(world: &World<'_>, directories: &[Vec<u8>]) -> Owner {
    let host = world.host;
    let pids = cgroup::pids(host, directories).0;
    if pids.is_empty() {
        return Owner::Nobody;
    }
    // A user cannot tell whose process a monitor is.
    if !world.caller.is_root || !host.has_our_pids() {
        return Owner::Unknown;
    }
    let mut asked = vec![0];
    for pid in &pids {
        let stat = Process::open(host, *pid).and_then(|process| process.stat());
        let Some(Stat { parent, .. }) = unless_gone(host, *pid, stat) else { continue };
        if asked.contains(&parent) || pids.binary_search(&parent).is_ok() {
            continue;
        }
        asked.push(parent);
        let is_roots = |monitor: &Process| world.has_process(monitor);
        if let Some(directory) = watched_by(world, parent, &is_roots) {
            return Owner::Of(directory);
        }
    }
    Owner::Unknown
}

/// Tells whether it is LXC that runs a container.
pub(super) fn runs(container: &Container) -> bool {
    matches!(container.runs_on, "lxc" | "incus" | "lxd")
}

/// Returns the directory of a container; empty where it is known by its cgroup alone.
fn directory_of(container: &Container) -> &[u8] {
    match &container.source {
        Source::Files { directory, .. } => directory,
        _ => b"",
    }
}

/// Tells whether the directory that a monitor tells is a container's.
fn is_its(world: &World<'_>, told: &[u8], container: &Container) -> bool {
    let directory = directory_of(container);
    last(told) == container.id && (directory.is_empty() || is_same(world, told, directory))
}

/// Tells whether a process of root's is the monitor of a container. One in the foreground tells no
/// directory where its socket's address has no room for that: it has the name among its words.
///
/// # Errors
/// The errno of reading its command line.
pub(super) fn is_monitor_of(
    world: &World<'_>,
    monitor: &Process,
    container: &Container,
) -> io::Result<bool> {
    let line = monitor.read(world.host, "cmdline")?;
    if let Some(told) = watched(monitor, &line) {
        return Ok(is_its(world, &told, container));
    }
    let mut words = parts(&line, 0);
    let is_lxcs = words.next().is_some_and(|program| last(program).starts_with(b"lxc-"));
    Ok(is_lxcs && names(words, &container.id))
}

/// Tells whether the words of LXC's command name a container: lxc-start(1), -n. What follows `--`
/// is run in it.
fn names<'w>(words: impl Iterator<Item = &'w [u8]>, name: &[u8]) -> bool {
    let mut own = words.take_while(|word| *word != b"--");
    own.any(|word| {
        let joined = [&b"-n"[..], b"--name="].iter().find_map(|option| word.strip_prefix(*option));
        word == name || joined == Some(name)
    })
}

/// Tells whether a process is the child of a monitor of LXC's, also of one in a snap.
pub(super) fn has_monitor(world: &World<'_>, process: &Process) -> bool {
    let is_roots = |monitor: &Process| world.may_have_process(monitor);
    process.stat().is_ok_and(|stat| watched_by(world, stat.parent, &is_roots).is_some())
}

/// Returns the directory of the container that a process watches, if it is a monitor that is
/// root's.
fn watched_by(world: &World<'_>, pid: u32, is_roots: &dyn Fn(&Process) -> bool) -> Option<Vec<u8>> {
    let monitor = unless_gone(world.host, pid, Process::open(world.host, pid))?;
    if !is_roots(&monitor) {
        return None;
    }
    let line = unless_gone(world.host, pid, monitor.read(world.host, "cmdline"))?;
    watched(&monitor, &line)
}

/// Returns the directory of the container that a monitor with this command line has in the address
/// of its command socket, `PATH/NAME/command`, else in its title, which one in the foreground has
/// not.
fn watched(monitor: &Process, command_line: &[u8]) -> Option<Vec<u8>> {
    // lxc/src/lxc/commands.c, lxc_server_init.
    for address in &monitor.abstract_addresses().unwrap_or_default() {
        // Of a long path there is a hash alone.
        let path = address.strip_suffix(b"/command").filter(|path| path.starts_with(b"/"));
        if let Some(path) = path {
            return Some(path.to_vec());
        }
    }
    let (home, name) = monitored(command_line).filter(|(home, _)| home.starts_with(b"/"))?;
    Some(join(home, name))
}

/// Tells whether two paths mean the directory of one container: by the directories that these are
/// in, which are root's and may be on a mount that does not answer.
fn is_same(world: &World<'_>, one: &[u8], other: &[u8]) -> bool {
    let host = world.host;
    let id = |path: &[u8]| {
        let home = Some(above(path)).filter(|home| world.is_directory(home))?;
        host.readable(home, host.resolve(home, Symlink::Follow).and_then(id_of))
    };
    one == other || (last(one) == last(other) && id(one).is_some() && id(one) == id(other))
}

/// Returns the path and the name in a monitor's command line: `[lxc monitor] PATH NAME`.
pub fn monitored(command_line: &[u8]) -> Option<(&[u8], &[u8])> {
    let title = parts(command_line, 0).next()?.trim_ascii_end();
    let title = title.strip_prefix(b"[lxc monitor] ")?;
    let space = title.iter().rposition(|byte| *byte == b' ')?;
    Some((&title[..space], &title[space + 1..]))
}

/// Returns the cgroup paths that a container's configuration tells; none where it tells none.
pub fn configured(config: &[u8], name: &[u8]) -> Vec<Vec<u8>> {
    let told = |key: &[u8]| {
        let path = setting(config, key)?;
        Some(join(b"", path.strip_prefix(b"/").unwrap_or(path)))
    };
    if let Some(path) = told(b"lxc.cgroup.dir.container") {
        return match setting(config, b"lxc.cgroup.dir.container.inner") {
            Some(inner) => vec![join(&path, inner)],
            None => vec![path],
        };
    }
    match told(b"lxc.cgroup.dir") {
        // LXC 3.0 has the name alone.
        Some(path) => vec![[&path[..], b"/", PAYLOAD, name].concat(), join(&path, name)],
        None => Vec::new(),
    }
}

/// Returns the path of a pattern of lxc.conf, in which `%n` stands for the name.
fn patterned(pattern: &[u8], name: &[u8]) -> Vec<u8> {
    let pattern = pattern.strip_prefix(b"/").unwrap_or(pattern);
    match find(pattern, b"%n") {
        Some(at) => [b"/", &pattern[..at], name, &pattern[at + 2..]].concat(),
        None => join(b"", pattern),
    }
}

/// Returns the value that was last given to a key in a configuration of LXC's, unless it is empty.
pub fn setting<'a>(config: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let values = lines(config).filter_map(|line| {
        let rest = line.trim_ascii_start().strip_prefix(key)?;
        Some(rest.trim_ascii_start().strip_prefix(b"=")?.trim_ascii())
    });
    values.last().filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(paths: Vec<Vec<u8>>) -> Vec<String> {
        paths.into_iter().map(|path| String::from_utf8(path).unwrap()).collect()
    }

    #[test]
    fn a_configuration_tells_the_cgroup() {
        let proxmox = b"lxc.cgroup.relative = 0\nlxc.cgroup.dir.monitor = lxc.monitor/101\n\
            lxc.cgroup.dir.container = lxc/101\nlxc.cgroup.dir.container.inner = ns\n";
        assert_eq!(texts(configured(proxmox, b"101")), ["/lxc/101/ns"]);
        let plain = b"lxc.cgroup.dir.container=/a/b\n#lxc.cgroup.dir.container = /no\n";
        assert_eq!(texts(configured(plain, b"x")), ["/a/b"]);
        let directory = b"lxc.cgroup.dir = mine\n";
        assert_eq!(texts(configured(directory, b"x")), ["/mine/lxc.payload.x", "/mine/x"]);
        assert_eq!(texts(configured(b"lxc.net.0.type = veth\n", b"x")), [""; 0]);
    }

    #[test]
    fn the_last_value_counts() {
        let config = b"a = 1\n a=2 \nab = 3\n# a = 4\n";
        assert_eq!(setting(config, b"a"), Some(&b"2"[..]));
        assert_eq!(setting(b"a =\n", b"a"), None);
        assert_eq!(setting(b"a\n", b"a"), None);
    }

    #[test]
    fn patterns_have_the_name() {
        assert_eq!(patterned(b"lxc/%n", b"web"), b"/lxc/web");
        assert_eq!(patterned(b"/all", b"web"), b"/all");
    }

    #[test]
    fn a_command_names_its_container() {
        let named = |line: &str| names(line.split(' ').map(str::as_bytes), b"web");
        for line in ["-n web -F", "-F --name web", "-nweb", "--name=web", "web"] {
            assert!(named(line), "{line}");
        }
        for line in ["-n db -- web", "-nwebs", "--name=db", "-F", "-n db -- -n web"] {
            assert!(!named(line), "{line}");
        }
    }

    #[test]
    fn a_monitor_tells_path_and_name() {
        let line = b"[lxc monitor] /var/lib/lxc web\0\0\0";
        assert_eq!(monitored(line), Some((&b"/var/lib/lxc"[..], &b"web"[..])));
        assert_eq!(monitored(b"lxc-start\0-n\0web\0"), None);
        assert_eq!(monitored(b"[lxc monitor] web\0"), None);
    }
}
