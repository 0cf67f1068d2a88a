//! Network namespaces with their containers: what `--list` shows, and what `--all` goes through.

#![forbid(unsafe_code)]

use crate::base::error::Result;
use crate::containers::name::{listed, spelled_pod};
use crate::containers::running::RunningContainer;
use crate::host::Host;
use crate::host::namespaces::{Namespace, Opened};

/// A network namespace with the containers that share it.
pub(crate) struct Group {
    /// The namespace.
    pub(crate) namespace: Namespace,
    /// Whether it is the host's own.
    pub(crate) is_host: bool,
    /// The containers in it, sorted by engine and name.
    pub(crate) containers: Vec<RunningContainer>,
}

/// Returns every network namespace, sorted by inode, with those of the containers that are in it.
/// These were found before `namespaces`: one that runs all the time is then in one of them. What
/// the caller may not read is left to [`Host::unread`].
///
/// # Errors
/// Where the machine refuses, so that one could be missing.
pub(crate) fn all(
    host: &Host,
    namespaces: Vec<Namespace>,
    containers: Vec<RunningContainer>,
) -> Result<Vec<Group>> {
    let hosts = host.netns_id();
    let mut groups: Vec<Group> = Vec::new();
    for namespace in namespaces {
        let is_host = hosts == Some(namespace.id);
        groups.push(Group { namespace, is_host, containers: Vec::new() });
    }
    for container in containers {
        let Some(group) = groups.iter_mut().find(|group| group.namespace.id == container.netns)
        else {
            continue;
        };
        let is_after =
            |other: &RunningContainer| other.container.cmp_name(&container.container).is_gt();
        let place = group.containers.iter().position(is_after).unwrap_or(group.containers.len());
        group.containers.insert(place, container);
    }
    host.check()?;
    Ok(groups)
}

impl Group {
    /// Opens the namespace, by its first container's process where there is one, and forgets
    /// containers that have ended. Returns None where the namespace has vanished meanwhile.
    ///
    /// # Errors
    /// Where the machine refuses to be looked at.
    pub(crate) fn open(&mut self, host: &Host) -> Result<Option<Opened>> {
        let mut first = None;
        let mut at = 0;
        while let Some(container) = self.containers.get(at) {
            match container.reopen(host)? {
                Some((netns, process)) => {
                    first.get_or_insert((netns, Some(process)));
                    at += 1;
                }
                None => _ = self.containers.remove(at),
            }
        }
        let opened = first.or_else(|| self.namespace.open_with_holder(host));
        host.check()?;
        Ok(opened)
    }

    /// Returns what its containers can be called as TARGET, as it is shown, each once: a pod's
    /// share its name.
    pub(crate) fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        for RunningContainer { container, .. } in &self.containers {
            let name = listed(&spelled_pod(container));
            if !names.contains(&name) {
                names.push(name);
            }
        }
        names
    }

    /// Returns its names in `directory`, that of the pins, as they are shown, but for those that
    /// engines give; where no process is left, every path at which it is mounted.
    pub(crate) fn pins(&self, directory: &[u8]) -> Vec<String> {
        let is_left = self.namespace.pid.is_none() && self.namespace.thread.is_none();
        let mut pins = Vec::new();
        for path in &self.namespace.mounts {
            let name = name_in(directory, path);
            if is_left || name.is_some_and(|name| !is_engines(name)) {
                pins.push(listed(name.unwrap_or(path)));
            }
        }
        pins
    }

    /// Returns its first name in `directory`, that of the pins, whoever gave it.
    pub(crate) fn first_pin(&self, directory: &[u8]) -> Option<&[u8]> {
        self.namespace.mounts.iter().find_map(|path| name_in(directory, path))
    }
}

/// Returns the name of an entry of `directory`; None for any other path.
fn name_in<'a>(directory: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    let name = path.strip_prefix(directory)?.strip_prefix(b"/")?;
    (!name.contains(&b'/')).then_some(name)
}

/// Tells whether a name in /run/netns is one that CNI plugins, containerd, CRI-O or podman give.
fn is_engines(name: &[u8]) -> bool {
    let is_uuid = name.len() == 36
        && name.iter().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => *byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        });
    is_uuid || name.starts_with(b"cni-") || name.starts_with(b"netns-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn engines_names_are_known() {
        for name in ["cni-0a1b", "netns-3f", "3b241101-e2bb-4255-8caf-4136c566a962"] {
            assert!(is_engines(name.as_bytes()), "{name}");
        }
        let others = [
            "web",
            "cni",
            "3b241101-e2bb-4255-8caf-4136c566a96",
            "3b241101-e2bb-4255-8caf-4136c566a96g",
        ];
        for name in others {
            assert!(!is_engines(name.as_bytes()), "{name}");
        }
    }

    #[test]
    fn pins_are_names_right_in_the_directory() {
        let directory = b"/run/netns";
        assert_eq!(name_in(directory, b"/run/netns/web"), Some(&b"web"[..]));
        for path in [&b"/run/netns/a/b"[..], b"/run/netnsx", b"/run/netns", b"/var/run/netns/web"] {
            assert_eq!(name_in(directory, path), None);
        }
    }
}
