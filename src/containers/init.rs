//! Which process is a container's init, told by cgroups: that of a directory, or the ID in the
//! cgroup paths of all processes.

#![forbid(unsafe_code)]

use super::engine::is_container_cgroup;
use crate::base::error::Result;
use crate::host::Host;
use crate::host::cgroup::{Member, held_members, in_hierarchies, member, owner_above, several};
use crate::host::process::{Process, all_pids, cgroup_paths, unless_gone};

/// The length of an ID.
const ID: usize = 64;

/// Whether a container inside another one counts. Whoever is root in the outer one chose the inner
/// one's name.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Nested {
    /// It may be what was asked for.
    Counts,
    /// An engine of the host knows the ID, so it is not inside.
    Ignored,
}

/// Returns the init process of the container whose processes are at or below `dir`: pid 1 of a pid
/// namespace of its own.
///
/// # Errors
/// Where several namespaces come into question, or /proc is of another pid namespace.
pub(super) fn init_of(host: &Host, dir: &[u8]) -> Result<Option<Member>> {
    let dirs = [dir.to_vec()];
    let owner = owner_above(host, &dirs)?;
    let is_outermost = |listed: &[u32], _: &[Member], new: &Member| {
        let stat = unless_gone(host, new.process.pid, new.process.stat())?;
        Ok(stat.is_some_and(|stat| !listed.contains(&stat.parent)))
    };
    choose(host, held_members(host, &dirs, owner, &is_outermost)?, dir)
}

/// Returns the init process of the container that `id` names in the cgroup paths of all processes.
///
/// # Errors
/// Where several namespaces come into question.
pub(super) fn init_by_id(host: &Host, id: &[u8], nested: Nested) -> Result<Option<Member>> {
    let named = Named { id, nested };
    let mut candidates = Vec::new();
    for pid in all_pids(host)? {
        let Some(path) = named.path_of_pid(host, pid)? else { continue };
        let Some(mut member) = member(host, pid, 0)? else { continue };
        // It was opened anew and is asked anew: it must be the process that has the path.
        if named.path_of(host, &member.process)?.as_ref() != Some(&path) {
            continue;
        }
        let Some(stat) = unless_gone(host, pid, member.process.stat())? else { continue };
        if named.path_of_pid(host, stat.parent)?.is_some() {
            continue;
        }
        member.owner = owner_of_name(host, &path, id, &member.process)?;
        candidates.push(member);
    }
    choose(host, candidates, id)
}

/// Returns the IDs of 64 digits that the cgroup paths of living processes have for names of
/// containers.
///
/// # Errors
/// Where /proc cannot be listed, or a process not be looked at for another reason than that it may
/// not be.
pub(super) fn ids(host: &Host) -> Result<Vec<Vec<u8>>> {
    let mut found: Vec<Vec<u8>> = Vec::new();
    for pid in all_pids(host)? {
        let read = Process::open(host, pid).and_then(|process| process.read(host, "cgroup"));
        let Some(text) = unless_gone(host, pid, read)? else { continue };
        for component in text.split(|byte| matches!(byte, b'/' | b'\n')) {
            let component = component.strip_suffix(b" (deleted)").unwrap_or(component);
            if !is_container_cgroup(component) {
                continue;
            }
            let name = component.strip_suffix(b".scope").unwrap_or(component);
            let id = &name[name.len() - ID..];
            if found.iter().all(|known| known != id) {
                found.push(id.to_vec());
            }
        }
    }
    Ok(found)
}

/// A container that is looked for by its ID.
struct Named<'a> {
    id: &'a [u8],
    nested: Nested,
}

impl Named<'_> {
    /// Returns the cgroup path of a process that says that it is of the container.
    fn path_of(&self, host: &Host, process: &Process) -> Result<Option<Vec<u8>>> {
        let read = process.read(host, "cgroup");
        let Some(text) = unless_gone(host, process.pid, read)? else { return Ok(None) };
        let path = cgroup_paths(&text).find(|path| {
            let is_nested = || is_inside_another(path, self.id);
            names_id(path, self.id) && (self.nested == Nested::Counts || !is_nested())
        });
        Ok(path.map(<[u8]>::to_vec))
    }

    /// As [`Named::path_of`], of the process that has this pid now.
    fn path_of_pid(&self, host: &Host, pid: u32) -> Result<Option<Vec<u8>>> {
        match unless_gone(host, pid, Process::open(host, pid))? {
            Some(process) => self.path_of(host, &process),
            None => Ok(None),
        }
    }
}

/// Takes pid 1 of a pid namespace before any other outermost process; several network namespaces
/// are too many.
fn choose(host: &Host, candidates: Vec<Member>, of: &[u8]) -> Result<Option<Member>> {
    let (mut inits, mut others) = (Vec::new(), Vec::new());
    for candidate in candidates {
        match is_init(host, &candidate.process)? {
            true => inits.push(candidate),
            false => others.push(candidate),
        }
    }
    let mut candidates = if inits.is_empty() { others } else { inits };
    let Some(first) = candidates.first() else { return Ok(None) };
    match candidates.iter().all(|member| member.netns.id == first.netns.id) {
        true => Ok(Some(candidates.swap_remove(0))),
        false => Err(several(of, &candidates)),
    }
}

/// Tells whether a process is pid 1 of a pid namespace of its own.
fn is_init(host: &Host, process: &Process) -> Result<bool> {
    let pids = unless_gone(host, process.pid, process.nested_pids(host))?.unwrap_or_default();
    Ok(pids.len() > 1 && pids.last() == Some(&1))
}

/// Tells whether a cgroup path says that it is of container `id`: as a component or as
/// `…-ID.scope`. A monitor's cgroup, which is called after the container, too, does not.
pub(super) fn names_id(path: &[u8], id: &[u8]) -> bool {
    let is_id = |component: &[u8]| {
        let before = component.strip_suffix(id);
        let before_scope = component.strip_suffix(b".scope").and_then(|name| name.strip_suffix(id));
        before.is_some_and(|before| matches!(before, b"" | b"libpod-" | b"crio-"))
            || before_scope.is_some_and(|before| before.is_empty() || before.ends_with(b"-"))
    };
    let is_monitor = |component: &[u8]| {
        component.starts_with(b"lxc.monitor.") || component.windows(6).any(|part| part == b"conmon")
    };
    let mut components = path.split(|byte| *byte == b'/');
    !id.is_empty() && components.any(|component| is_id(component) && !is_monitor(component))
}

/// Tells whether the component that names `id` is below one that is called like a container.
fn is_inside_another(path: &[u8], id: &[u8]) -> bool {
    let components = path.split(|byte| *byte == b'/');
    components.take_while(|component| !names_id(component, id)).any(is_container_cgroup)
}

/// Returns who could name the component of `path` that names `id`; where no hierarchy shows it, who
/// owns the process.
fn owner_of_name(host: &Host, path: &[u8], id: &[u8], process: &Process) -> Result<u32> {
    let mut end = path.len();
    while let Some(slash) = path[..end].iter().rposition(|byte| *byte == b'/') {
        if names_id(&path[slash + 1..end], id) {
            break;
        }
        end = slash;
    }
    let found = in_hierarchies(host, &path[..end])?;
    match found.is_empty() {
        true => Ok(process.owner().unwrap_or(u32::MAX)),
        false => owner_above(host, &found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_a_whole_component_or_ends_a_scope() {
        let id = "b146a24e2b7e5271".repeat(4);
        let path = |text: &str| text.replace("ID", &id).into_bytes();
        let id = id.as_bytes();
        for good in [
            "/docker/ID",
            "/system.slice/docker-ID.scope",
            "/a/libpod-ID.scope/container",
            "/kubepods/pod1/ID",
            "/kubepods.slice/cri-containerd-ID.scope",
            "/libpod_parent/libpod-ID",
            "/crio/crio-ID",
            "/x/ID.scope",
        ] {
            assert!(names_id(&path(good), id), "{good}");
        }
        for bad in [
            "/docker/IDx",
            "/docker/xID",
            "/libpod-conmon-ID.scope",
            "/crio-conmon-ID.scope",
            "/lxc.monitor.ID",
            "/a/conmon-ID.scope",
            "/x_ID.scope",
            "/",
        ] {
            assert!(!names_id(&path(bad), id), "{bad}");
        }
        assert!(!names_id(b"/", b""));
        assert!(is_inside_another(&path(&format!("/docker/{}/docker/ID", "c".repeat(64))), id));
        assert!(!is_inside_another(&path("/docker/ID/x"), id));
    }
}
