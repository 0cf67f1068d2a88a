//! Docker: names in DATA-ROOT/containers/ID/config.v2.json, processes in the runtime's state below
//! EXEC-ROOT.

#![forbid(unsafe_code)]

use super::learn::{Daemon, Places, Tells, add};
use super::oci::{is_long, mentions, read, string, strings};
use super::places::{expand, in_run};
use super::prepared::Prepared;
use super::recorded::add_recorded_ids;
use super::records::{Kind, Root};
use super::{Container, Containers, Engine, Found, Source, containerd, forms};
use crate::base::json::{Refused, Value, select};
use crate::base::text::{join, last, parts};
use crate::containers::world::World;
use std::rc::Rc;

/// dockerd, as packages of distributions and of NAS makers start it.
pub(super) static DAEMON: Daemon = Daemon {
    name: b"dockerd",
    pid_files: &[
        b"/run/docker.pid",
        b"/var/run/docker.pid",
        b"/var/snap/docker/current/run/docker.pid",
    ],
    units: &[
        b"/system.slice/docker.service",
        b"/system.slice/pkg-ContainerManager-dockerd.service",
        b"/system.slice/pkg-Docker-dockerd.service",
    ],
    config_options: &[b"--config-file"],
    // graph is the old name of data-root.
    settings: &[
        (b"--data-root", "data-root", Tells::Data),
        (b"--graph", "graph", Tells::Data),
        (b"-g", "graph", Tells::Data),
        (b"--exec-root", "exec-root", Tells::State),
        (b"--cgroup-parent", "cgroup-parent", Tells::CgroupParent),
    ],
    read_config: strings,
    list_of,
};

/// Adds every container of a world.
pub(crate) fn list(world: &World<'_>, _: &Engine, out: &mut Containers<'_>) {
    list_from(world, learn(world), 0, out);
}

/// Adds the containers of a dockerd with this command line.
fn list_of(world: &World<'_>, line: &[u8], out: &mut Containers<'_>) {
    let mut places = learn(world);
    let (data, states) = (places.data.len(), places.states.len());
    places.add_command_line(world, &DAEMON, line);
    if places.states.len() > states {
        // Any container may be recorded there.
        list_from(world, places, 0, out);
    } else if places.data.len() > data {
        list_from(world, places, data, out);
    }
}

/// Returns where dockerd's runtimes keep their state.
pub(crate) fn roots(world: &World<'_>) -> Vec<Root> {
    roots_of(world, &learn(world))
}

/// Returns the cgroup that the specification or the host configuration tells, else Docker's forms.
pub(crate) fn cgroups(world: &World<'_>, container: &Container) -> Option<Vec<Vec<u8>>> {
    let Source::Files { directory, roots } = &container.source else {
        return Some(forms::paths(world, container));
    };
    if let Some(path) = forms::told(world, container) {
        return Some(vec![path]);
    }
    let mut paths = Vec::new();
    let mut add =
        |parent: &[u8]| paths.extend(forms::below(world, parent, "docker", &container.id));
    let parent = string(world, &join(directory, b"hostconfig.json"), "CgroupParent");
    if !parent.is_empty() {
        add(&parent);
        return Some(paths);
    }
    // A daemon that was told later has containers elsewhere.
    for parent in roots.iter().filter(|root| root.kind == Kind::CgroupParent) {
        add(&parent.path);
    }
    paths.append(&mut forms::paths(world, container));
    Some(paths)
}

/// Adds the namespaces that dockerd keeps for itself: swarm's ingress, the load balancer of a
/// network, and an overlay's. Those of containers are called by 12 digits of a sandbox's ID, which
/// nobody types, the host's `default`: libnetwork/osl, GenerateKey.
pub(super) fn add_prepared(world: &World<'_>, out: &mut Vec<Prepared>) {
    for state in &learn(world).states {
        let directory = join(state, b"netns");
        for name in &world.entries(&directory) {
            let is_sandbox = name.len() == 12 && name.iter().all(u8::is_ascii_hexdigit);
            if !is_sandbox && name != b"default" {
                let file = join(&directory, name);
                out.push(Prepared::new("docker", name, name, &file, Vec::new()));
            }
        }
    }
}

/// Learns where this world's dockerds keep their files.
fn learn(world: &World<'_>) -> Places {
    let mut places = Places::default();
    places.data.extend(world.data(b"docker"));
    places.states = in_run(world, "docker");
    if let Some(file) = world.config(b"docker/daemon.json") {
        places.add_config(world, &DAEMON, &file);
    }
    if world.user_of().is_none() {
        // dockerd says /var/run, which OpenWrt has instead of /run.
        let elsewhere = b"/var/run/docker";
        if world.is_absent(&places.states[0]) && world.is_directory(elsewhere) {
            places.states[0] = elsewhere.to_vec();
        }
        places.data.push(b"/var/snap/docker/common/var-lib-docker".to_vec());
        places.states.push(b"/run/snap.docker".to_vec());
        places.add_config(world, &DAEMON, b"/var/snap/docker/current/config/daemon.json");
        places.ask_daemons(world, &DAEMON);
    }
    places
}

/// Returns where the runtimes keep their state: dockerd before 23 has a directory for each of them.
/// Last come the bundles of each containerd that it may use.
fn roots_of(world: &World<'_>, places: &Places) -> Vec<Root> {
    let mut roots = Vec::new();
    let mut add = |kind, path| roots.push(Root::new("docker", kind, path));
    let mut states = containerd::states(world);
    for (at, exec) in places.states.iter().enumerate() {
        let daemon = join(exec, b"containerd/daemon");
        if !states.contains(&daemon) {
            states.push(daemon);
        }
        // Where root is, what is not there need not be looked at for each of a thousand. What
        // cannot be read must be: a container that is recorded there may run.
        if at > 0 && world.caller.is_root && world.is_absent(exec) {
            continue;
        }
        let runc = join(exec, b"runtime-runc/moby");
        let mut runtimes = expand(world, exec, "runtime-*/moby");
        if !runtimes.contains(&runc) {
            runtimes.push(runc);
        }
        for path in runtimes {
            add(Kind::Runtime, path.clone());
            add(Kind::GvisorAlone, path);
        }
    }
    for tasks in &containerd::tasks(&states) {
        if !world.is_absent(tasks) {
            add(Kind::Bundle, join(tasks, containerd::DOCKERS));
        }
    }
    for parent in &places.cgroup_parents {
        add(Kind::CgroupParent, parent.clone());
    }
    roots
}

/// Adds every container of these places, from one of the data-roots on.
fn list_from(world: &World<'_>, mut places: Places, mut at: usize, out: &mut Containers<'_>) {
    let roots: Rc<[Root]> = roots_of(world, &places).into();
    let mut ids = Vec::new();
    while let Some(data) = places.data.get(at) {
        at += 1;
        list_directory(world, data, &roots, &mut ids, out);
        // With userns-remap each mapping has a data-root of its own inside, UID.GID; its own root
        // owns that of dockerd before 20.10.
        for mapped in &expand(world, data, "*") {
            if is_mapping(last(mapped)) {
                world.believe(mapped);
                list_directory(world, mapped, &roots, &mut ids, out);
            }
        }
        if at == places.data.len() {
            ids.sort_unstable();
            add_recorded_data(world, &mut places.data, &roots, &ids);
        }
    }
    add_recorded_ids(world, &roots, out);
}

/// Adds the data-root of a container that runs and that no data-root known so far has: its root
/// file system lies there. The IDs that are known are sorted.
fn add_recorded_data(world: &World<'_>, known: &mut Vec<Vec<u8>>, roots: &[Root], ids: &[Vec<u8>]) {
    // A container may be about to be removed.
    const TRIES: usize = 3;
    for root in roots.iter().filter(|root| root.kind == Kind::Runtime) {
        let running = world.entries(&root.path);
        let is_unknown = |id: &&Vec<u8>| is_long(id) && ids.binary_search(id).is_err();
        for id in running.iter().filter(is_unknown).take(TRIES) {
            let state = [&root.path[..], b"/", id, b"/state.json"].concat();
            let rootfs = string(world, &state, "config rootfs");
            let mut data = &rootfs[..];
            while let Some(slash) = data.iter().rposition(|byte| *byte == b'/') {
                data = &data[..slash];
                if world.is_directory(&[data, b"/containers/", id].concat()) {
                    add(world, known, data);
                    break;
                }
            }
        }
    }
}

/// Adds the containers that a data-root has, and their IDs to `ids`.
fn list_directory(
    world: &World<'_>,
    data: &[u8],
    roots: &Rc<[Root]>,
    ids: &mut Vec<Vec<u8>>,
    out: &mut Containers<'_>,
) {
    let top = join(data, b"containers");
    for id in world.entries(&top) {
        let directory = join(&top, &id);
        let mut name = None;
        read(world, &join(&directory, b"config.v2.json"), &mut |text| {
            // A cheap search first: strict parsing of all takes its time.
            name = if mentions(text, &id, out.needle) { name_in(text, &id)? } else { None };
            Ok(())
        });
        if let Some(name) = name {
            let unnamed = Found::unnamed("docker", &id, roots);
            out.add_given(&Found { name: &name, directory: &directory, ..unnamed }, "docker");
        }
        ids.push(id);
    }
}

/// Returns the name that a config.v2.json gives the container whose directory it is in.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn name_in(text: &[u8], id: &[u8]) -> Result<Option<Vec<u8>>, Refused> {
    let mut found = [const { Value::Null }; 2];
    select(text, &["ID", "Name"], &mut found)?;
    let name = found[1].string().filter(|_| found[0].string() == Some(id));
    Ok(name.map(|name| name.strip_prefix(b"/").unwrap_or(name).to_vec()))
}

fn is_mapping(name: &[u8]) -> bool {
    let is_number = |part: &[u8]| !part.is_empty() && part.iter().all(u8::is_ascii_digit);
    let parts: Vec<&[u8]> = parts(name, b'.').collect();
    parts.len() == 2 && parts.into_iter().all(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_name_is_the_top_level_one_of_the_right_container() {
        let text = br#"{"ID":"b1","Config":{"Labels":{"Name":"/victim","ID":"x"}},
            "NetworkSettings":{"Service":{"Name":"/y"}},"Name":"/web"}"#;
        assert_eq!(name_in(text, b"b1"), Ok(Some(b"web".to_vec())));
        assert_eq!(name_in(text, b"b2"), Ok(None));
        let twice = br#"{"ID":"b1","Name":"/a","Name":"/b"}"#;
        assert_eq!(name_in(twice, b"b1"), Err(Refused::Duplicate));
    }

    #[test]
    fn mappings_are_two_numbers() {
        assert!(is_mapping(b"100000.100000"));
        for other in ["containers", "1", "1.", ".1", "1.2.3", "a.1"] {
            assert!(!is_mapping(other.as_bytes()), "{other}");
        }
    }
}
