//! LXC, Incus and LXD: no process is on disk; each container's are in a cgroup that its
//! configuration tells, or that is called after it.

#![forbid(unsafe_code)]

use super::kubernetes::contains;
use super::learn::add;
use super::{Container, Containers, Source, forms};
use crate::base::error::Result;
use crate::base::text::{join, lines};
use crate::containers::world::World;
use crate::host::cgroup;
use crate::host::process::{Process, unless_gone};
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
fn homes(world: &World<'_>) -> Result<Vec<Home>> {
    let mut homes = vec![
        ("incus", b"/var/lib/incus/containers".to_vec()),
        ("lxd", b"/var/lib/lxd/containers".to_vec()),
        ("lxd", b"/var/snap/lxd/common/lxd/containers".to_vec()),
    ];
    let mut of_lxc = vec![b"/var/lib/lxc".to_vec()];
    if let Some(told) = system_setting(world, b"lxc.lxcpath")? {
        add(world, &mut of_lxc, &told)?;
    }
    homes.extend(of_lxc.into_iter().map(|home| (LXC, home)));
    Ok(homes)
}

fn system_setting(world: &World<'_>, key: &[u8]) -> Result<Option<Vec<u8>>> {
    let file = world.file(SYSTEM)?;
    Ok(file.and_then(|file| setting(&file.bytes, key).map(<[u8]>::to_vec)))
}

/// Adds LXC's containers, also those that are nowhere but in a cgroup.
pub(crate) fn list_lxc(
    world: &World<'_>,
    needle: Option<&[u8]>,
    out: &mut Containers,
) -> Result<()> {
    list(world, LXC, needle, out)?;
    if world.user_of().is_some() {
        return Ok(());
    }
    let homes = homes(world)?;
    let mut known: Vec<Vec<u8>> = Vec::new();
    for top in world.cgroup(b"")? {
        for group in world.entries(&top)? {
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
            let monitor = monitor_of(world, name)?;
            let owner = monitor.as_ref().map_or(name, |(_, owner)| owner);
            let mut is_listed = false;
            for (_, home) in &homes {
                let is_its = monitor.as_ref().is_none_or(|(path, _)| path == home);
                is_listed |= is_its && keeps(world, home, owner)?;
            }
            if !is_listed {
                let directory = monitor.as_ref().map(|(path, owner)| join(path, owner));
                let source = source(directory.unwrap_or_default());
                out.add(Container::unnamed(LXC, owner, source));
            }
        }
    }
    Ok(())
}

/// Adds the containers of Incus.
pub(crate) fn list_incus(
    world: &World<'_>,
    needle: Option<&[u8]>,
    out: &mut Containers,
) -> Result<()> {
    list(world, "incus", needle, out)
}

/// Adds the containers of LXD.
pub(crate) fn list_lxd(
    world: &World<'_>,
    needle: Option<&[u8]>,
    out: &mut Containers,
) -> Result<()> {
    list(world, "lxd", needle, out)
}

/// Adds the containers that have a directory in one of an engine's. Whoever owns that directory,
/// which is a container's own root where ids are mapped, the name is root's.
fn list(
    world: &World<'_>,
    engine: &'static str,
    needle: Option<&[u8]>,
    out: &mut Containers,
) -> Result<()> {
    if world.user_of().is_some() {
        return Ok(());
    }
    for (_, home) in homes(world)?.iter().filter(|(of, _)| *of == engine) {
        for name in world.entries(home)? {
            let is_wanted = needle.is_none_or(|needle| contains(&name, needle));
            if is_wanted && keeps(world, home, &name)? {
                out.add(Container::unnamed(engine, &name, source(join(home, &name))));
            }
        }
    }
    Ok(())
}

/// Makes the source of a container that no runtime records.
fn source(directory: Vec<u8>) -> Source {
    Source::Files { directory, roots: Rc::default() }
}

/// Tells whether a name in a directory of containers is one's, and no file's.
fn keeps(world: &World<'_>, home: &[u8], name: &[u8]) -> Result<bool> {
    let path = join(home, name);
    if world.is_directory(&path)? {
        return Ok(true);
    }
    let is_listed = || Ok(world.entries(home)?.binary_search(&name.to_vec()).is_ok());
    Ok(world.file(&path)?.is_none() && is_listed()?)
}

/// Returns the cgroup that the container's configuration tells, else those that LXC's versions
/// make, where several of one name are kept only those of its own monitor.
pub(crate) fn cgroups(world: &World<'_>, container: &Container) -> Result<Vec<Vec<u8>>> {
    let name = &container.id[..];
    let directory = match &container.source {
        Source::Files { directory, .. } => &directory[..],
        _ => b"",
    };
    if !directory.is_empty() {
        let told = match world.file(&join(directory, b"config"))? {
            Some(file) => configured(&file.bytes, name),
            None => Vec::new(),
        };
        if !told.is_empty() {
            return Ok(told);
        }
    }
    let mut paths = forms::of(world, container);
    if let Some(pattern) = system_setting(world, b"lxc.cgroup.pattern")? {
        let below = patterned(&pattern, name);
        paths.push(join(&below, b"payload"));
        paths.push([&below[..], b"/", PAYLOAD, name].concat());
    }
    // Where a cgroup of the name was left over, the monitor alone tells whose the next is.
    let is_its = |owner: Option<(Vec<u8>, Vec<u8>)>| {
        owner.map(|(home, owner)| owner == name && directory == join(&home, name))
    };
    for number in 1..=MOST_TRIES {
        let tried = [name, b"-", number.to_string().as_bytes()].concat();
        let path = [b"/", PAYLOAD, &tried].concat();
        if world.cgroup(&path)?.is_empty() {
            break;
        }
        if is_its(monitor_of(world, &tried)?) == Some(true) {
            paths.push(path);
        }
    }
    // As long as there are two of the name, its cgroup is that of the one whose monitor says so.
    let first = [b"/", PAYLOAD, name].concat();
    if !directory.is_empty() && is_its(monitor_of(world, name)?) == Some(false) {
        paths.retain(|path| *path != first);
    }
    Ok(paths)
}

/// Returns the path of a container and its name, as the monitor says whose child has the cgroup
/// `lxc.payload.NAME`; None where none does, as one that was started in the foreground.
fn monitor_of(world: &World<'_>, name: &[u8]) -> Result<Option<(Vec<u8>, Vec<u8>)>> {
    let host = world.host;
    // A user cannot tell whose process it is.
    let can_tell = world.caller.is_root && host.has_our_pids();
    let directories = world.cgroup(&[b"/lxc.monitor.", name].concat())?;
    if directories.is_empty() || !can_tell {
        return Ok(None);
    }
    for pid in cgroup::pids(host, &directories)?.0 {
        let Some(process) = unless_gone(host, pid, Process::open(host, pid))? else { continue };
        let read = process.read(host, "cmdline");
        let Some(text) = unless_gone(host, pid, read)? else { continue };
        let told = monitored(&text).map(|(home, name)| (home.to_vec(), name.to_vec()));
        drop(text);
        if told.is_some() && world.has_process(&process)? {
            return Ok(told);
        }
    }
    Ok(None)
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
