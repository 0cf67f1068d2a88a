//! LXC, Incus and LXD: no process is on disk; each container's are in a cgroup that its
//! configuration tells, or that is called after it.

#![forbid(unsafe_code)]

use super::kubernetes::contains;
use super::learn::add;
use super::{Container, Containers, Source, forms};
use crate::base::text::{join, lines, number};
use crate::containers::world::World;
use crate::host::cgroup;
use crate::host::process::{Process, Stat, unless_gone};
use crate::host::root::Symlink;
use crate::kernel::netns::id_of;
use std::rc::Rc;

const LXC: &str = "lxc";
/// Where LXC itself is configured: lxc.system.conf(5).
const SYSTEM: &[u8] = b"/etc/lxc/lxc.conf";
const PAYLOAD: &[u8] = b"lxc.payload.";
/// LXC tries so many names of a cgroup.
const MOST_TRIES: u32 = 999;

/// A directory in which an engine keeps its containers, with its word.
type Home = (&'static str, Vec<u8>);

/// Returns the directories in which containers are kept.
fn homes(world: &World<'_>) -> Vec<Home> {
    let mut homes = vec![
        ("incus", b"/var/lib/incus/containers".to_vec()),
        ("lxd", b"/var/lib/lxd/containers".to_vec()),
        ("lxd", b"/var/snap/lxd/common/lxd/containers".to_vec()),
    ];
    let mut of_lxc = vec![b"/var/lib/lxc".to_vec()];
    if let Some(told) = system_setting(world, b"lxc.lxcpath") {
        add(world, &mut of_lxc, &told);
    }
    homes.extend(of_lxc.into_iter().map(|home| (LXC, home)));
    homes
}

fn system_setting(world: &World<'_>, key: &[u8]) -> Option<Vec<u8>> {
    let file = world.file(SYSTEM);
    file.and_then(|file| setting(&file.bytes, key).map(<[u8]>::to_vec))
}

/// Adds LXC's containers, also those that are nowhere but in a cgroup.
pub(crate) fn list_lxc(world: &World<'_>, needle: Option<&[u8]>, out: &mut Containers) {
    list(world, LXC, needle, out);
    if world.user_of().is_some() {
        return;
    }
    let homes = homes(world);
    let mut known: Vec<Vec<u8>> = Vec::new();
    for top in world.cgroup(b"") {
        for group in world.entries(&top) {
            let Some(name) = group.strip_prefix(PAYLOAD).filter(|name| !name.is_empty()) else {
                continue;
            };
            // The hierarchies show each container once.
            let is_wanted = needle.is_none_or(|needle| contains(name, needle));
            if !is_wanted || known.iter().any(|known| known == name) {
                continue;
            }
            known.push(name.to_vec());
            // `web-1` may be the second try at `web`, whose first cgroup was left over.
            let path = [b"/", PAYLOAD, name].concat();
            let (directory, name) = match owner(world, &world.cgroup(&path)) {
                Owner::Of { home, name } => (join(&home, &name), name),
                Owner::Nobody | Owner::Unknown => (Vec::new(), name.to_vec()),
            };
            let mut is_listed = false;
            for (_, home) in &homes {
                let own = join(home, &name);
                let may_be = directory.is_empty() || is_same(world, &own, &directory);
                is_listed |= may_be && keeps(world, home, &name);
            }
            if !is_listed {
                out.add(Container::unnamed(LXC, &name, source(directory)));
            }
        }
    }
}

/// Adds the containers that have a directory in one of an engine's. Whoever owns that directory,
/// which is a container's own root where ids are mapped, the name is root's.
pub(crate) fn list(
    world: &World<'_>,
    engine: &'static str,
    needle: Option<&[u8]>,
    out: &mut Containers,
) {
    if world.user_of().is_some() {
        return;
    }
    for (_, home) in homes(world).iter().filter(|(of, _)| *of == engine) {
        for name in world.entries(home) {
            let is_wanted = needle.is_none_or(|needle| contains(&name, needle));
            if is_wanted && keeps(world, home, &name) {
                out.add(Container::unnamed(engine, &name, source(join(home, &name))));
            }
        }
    }
}

/// Makes the source of a container that no runtime records.
fn source(directory: Vec<u8>) -> Source {
    Source::Files { directory, roots: Rc::default() }
}

/// Tells whether a name in a directory of containers is one's, and no file's.
fn keeps(world: &World<'_>, home: &[u8], name: &[u8]) -> bool {
    let path = join(home, name);
    if world.is_directory(&path) {
        return true;
    }
    world.file(&path).is_none() && world.entries(home).binary_search(&name.to_vec()).is_ok()
}

/// Whose the processes of a cgroup are.
enum Owner {
    /// There are none.
    Nobody,
    /// No monitor of root's tells.
    Unknown,
    /// Those of the container of this name in this directory of containers.
    Of { home: Vec<u8>, name: Vec<u8> },
}

/// Returns the cgroups that the container's configuration tells, else those that LXC's versions
/// make, and of each the next ones, which LXC takes where one was left over: those whose monitor
/// says that they are its own, else those that no other's does. None where such a one has
/// processes, and another container may have it.
pub(crate) fn cgroups(world: &World<'_>, container: &Container) -> Option<Vec<Vec<u8>>> {
    let name = &container.id[..];
    let directory = match &container.source {
        Source::Files { directory, .. } => &directory[..],
        _ => b"",
    };
    let mut first = Vec::new();
    if !directory.is_empty() {
        let config = world.file(&join(directory, b"config"));
        first = config.map(|file| configured(&file.bytes, name)).unwrap_or_default();
    }
    if first.is_empty() {
        first = forms::of(world, container);
        if let Some(pattern) = system_setting(world, b"lxc.cgroup.pattern") {
            let below = patterned(&pattern, name);
            first.push(join(&below, b"payload"));
            first.push([&below[..], b"/", PAYLOAD, name].concat());
        }
    }
    let (mut own, mut open, mut is_unsure) = (Vec::new(), Vec::new(), false);
    for first in first {
        for number in 0..=MOST_TRIES {
            let path = match number {
                0 => first.clone(),
                number => [&first[..], b"-", number.to_string().as_bytes()].concat(),
            };
            let directories = world.cgroup(&path);
            if number > 0 && directories.is_empty() {
                break;
            }
            match owner(world, &directories) {
                Owner::Of { home, name: owner } => {
                    let told = join(&home, &owner);
                    if owner == name && (directory.is_empty() || is_same(world, &told, directory)) {
                        own.push(path);
                    }
                }
                Owner::Unknown => {
                    is_unsure |= number > 0 || has_rival(world, name, directory);
                    open.push(path);
                }
                Owner::Nobody => open.extend((number == 0).then_some(path)),
            }
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
    let dash = name.iter().rposition(|byte| *byte == b'-');
    let numbered = dash.filter(|dash| number(&name[dash + 1..]).is_some());
    let base = numbered.map(|dash| &name[..dash]);
    for (_, home) in homes(world) {
        for name in base.into_iter().chain([name]) {
            let path = join(&home, name);
            if path != directory && world.host.resolve(&path, Symlink::NoFollow).is_ok() {
                return true;
            }
        }
    }
    match base {
        Some(base) => !world.cgroup(&[b"/", PAYLOAD, base].concat()).is_empty(),
        None => false,
    }
}

/// Returns whose the processes in a cgroup's directories are. The first of a container is the child
/// of its monitor.
fn owner(world: &World<'_>, directories: &[Vec<u8>]) -> Owner {
    let host = world.host;
    if directories.is_empty() {
        return Owner::Nobody;
    }
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
        let monitor = Process::open(host, parent);
        let Some(monitor) = unless_gone(host, parent, monitor) else { continue };
        if world.has_process(&monitor) {
            if let Some((home, name)) = watched(world, &monitor) {
                return Owner::Of { home, name };
            }
        }
    }
    Owner::Unknown
}

/// Returns the directory of containers and the name that a monitor has in the address of its
/// command socket, `PATH/NAME/command`, else in its title, which one in the foreground has not.
fn watched(world: &World<'_>, monitor: &Process) -> Option<(Vec<u8>, Vec<u8>)> {
    // lxc/src/lxc/commands.c, lxc_server_init.
    for address in monitor.abstract_addresses().unwrap_or_default() {
        let path = address.strip_suffix(b"/command").unwrap_or_default();
        let slash = path.iter().rposition(|byte| *byte == b'/');
        // Of a long path there is a hash alone.
        if let Some(slash) = slash.filter(|_| path.starts_with(b"/")) {
            return Some((path[..slash].to_vec(), path[slash + 1..].to_vec()));
        }
    }
    let title = monitor.read(world.host, "cmdline");
    let title = unless_gone(world.host, monitor.pid, title);
    let told = title.as_deref().and_then(monitored).filter(|(home, _)| home.starts_with(b"/"));
    told.map(|(home, name)| (home.to_vec(), name.to_vec()))
}

/// Tells whether two paths mean one directory.
fn is_same(world: &World<'_>, one: &[u8], other: &[u8]) -> bool {
    let id = |path: &[u8]| world.host.resolve(path, Symlink::Follow).and_then(id_of).ok();
    one == other || (id(one).is_some() && id(one) == id(other))
}

/// Returns the path and the name in a monitor's command line: `[lxc monitor] PATH NAME`.
pub fn monitored(command_line: &[u8]) -> Option<(&[u8], &[u8])> {
    let title = command_line.split(|byte| *byte == 0).next()?.trim_ascii_end();
    let title = title.strip_prefix(b"[lxc monitor] ")?;
    let space = title.iter().rposition(|byte| *byte == b' ')?;
    Some((&title[..space], &title[space + 1..]))
}

/// Returns the cgroup paths that a container's configuration tells; none where it tells none.
pub fn configured(config: &[u8], name: &[u8]) -> Vec<Vec<u8>> {
    let from_top = |path: &[u8]| join(b"", path.trim_ascii_start().trim_ascii_end());
    if let Some(path) = setting(config, b"lxc.cgroup.dir.container") {
        let inner = setting(config, b"lxc.cgroup.dir.container.inner");
        let path = from_top(path.strip_prefix(b"/").unwrap_or(path));
        return vec![inner.map_or(path.clone(), |inner| join(&path, inner))];
    }
    match setting(config, b"lxc.cgroup.dir") {
        Some(path) => {
            let path = from_top(path.strip_prefix(b"/").unwrap_or(path));
            // LXC 3.0 has the name alone.
            vec![[&path[..], b"/", PAYLOAD, name].concat(), join(&path, name)]
        }
        None => Vec::new(),
    }
}

/// Returns the path of a pattern of lxc.conf, in which `%n` stands for the name.
fn patterned(pattern: &[u8], name: &[u8]) -> Vec<u8> {
    let pattern = pattern.strip_prefix(b"/").unwrap_or(pattern);
    match pattern.windows(2).position(|pair| pair == b"%n") {
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
    fn a_monitor_tells_path_and_name() {
        let line = b"[lxc monitor] /var/lib/lxc web\0\0\0";
        assert_eq!(monitored(line), Some((&b"/var/lib/lxc"[..], &b"web"[..])));
        assert_eq!(monitored(b"lxc-start\0-n\0web\0"), None);
        assert_eq!(monitored(b"[lxc monitor] web\0"), None);
    }
}
