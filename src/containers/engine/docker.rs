//! Docker: names in DATA-ROOT/containers/ID/config.v2.json, processes in the runtime's state below
//! EXEC-ROOT.

#![forbid(unsafe_code)]

use super::learn::{Daemon, add, command_lines, option};
use super::oci::{is_long, mentions, read, strings};
use super::recorded::add_recorded_ids;
use super::records::{Kind, Root};
use super::{Container, Containers, Source, containerd, forms, k8s_name};
use crate::base::json::{Refused, Value, select};
use crate::base::text::join;
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
    options: &[
        b"--config-file",
        b"--data-root",
        b"--graph",
        b"-g",
        b"--exec-root",
        b"--cgroup-parent",
    ],
    list_of,
};

/// Where dockerd keeps its files.
struct Places {
    data: Vec<Vec<u8>>,
    exec: Vec<Vec<u8>>,
    /// Where it puts the cgroups of containers that are not told otherwise.
    cgroup_parents: Vec<Vec<u8>>,
}

/// Adds every container of a world.
pub(crate) fn list(world: &World<'_>, needle: Option<&[u8]>, out: &mut Containers) {
    Places::learn(world).list(world, 0, needle, out);
}

/// Adds the containers of a dockerd with this command line.
fn list_of(world: &World<'_>, line: &[u8], needle: Option<&[u8]>, out: &mut Containers) {
    let mut places = Places::learn(world);
    let (data, exec) = (places.data.len(), places.exec.len());
    places.add_command_line(world, line);
    if places.exec.len() > exec {
        // Any container may be recorded there.
        places.list(world, 0, needle, out);
    } else if places.data.len() > data {
        places.list(world, data, needle, out);
    }
}

/// Returns where dockerd's runtimes keep their state.
pub(crate) fn roots(world: &World<'_>) -> Vec<Root> {
    Places::learn(world).roots(world)
}

/// Returns the cgroup that the specification or the host configuration tells, else Docker's forms.
pub(crate) fn cgroups(world: &World<'_>, container: &Container) -> Option<Vec<Vec<u8>>> {
    let Source::Files { directory, roots } = &container.source else {
        return Some(forms::of(world, container));
    };
    if let Some(path) = forms::told(world, container) {
        return Some(vec![path]);
    }
    let below = |parent: &[u8]| forms::below(world, parent, "docker", &container.id);
    let parent = strings(world, &join(directory, b"hostconfig.json"), &["CgroupParent"]).concat();
    if !parent.is_empty() {
        return Some(below(&parent).into_iter().collect());
    }
    // A daemon that was told later has containers elsewhere.
    let parents = roots.iter().filter(|root| root.kind == Kind::CgroupParent);
    let told = parents.filter_map(|parent| below(&parent.path));
    Some(told.chain(forms::of(world, container)).collect())
}

impl Places {
    /// Learns where this world's dockerds keep their files.
    fn learn(world: &World<'_>) -> Places {
        let mut places = Places {
            data: world.data(b"docker").into_iter().collect(),
            exec: world.run_directories().iter().map(|run| join(run, b"docker")).collect(),
            cgroup_parents: Vec::new(),
        };
        if let Some(file) = world.config(b"docker/daemon.json") {
            places.add_file(world, &file);
        }
        if world.user_of().is_none() {
            // dockerd says /var/run, which OpenWrt has instead of /run.
            let elsewhere = b"/var/run/docker";
            if !world.is_directory(&places.exec[0]) && world.is_directory(elsewhere) {
                places.exec[0] = elsewhere.to_vec();
            }
            places.data.push(b"/var/snap/docker/common/var-lib-docker".to_vec());
            places.exec.push(b"/run/snap.docker".to_vec());
            places.add_file(world, b"/var/snap/docker/current/config/daemon.json");
            for line in command_lines(world, &DAEMON) {
                places.add_command_line(world, &line);
            }
        }
        places
    }

    /// Adds what a daemon.json sets; graph is the old name of data-root.
    fn add_file(&mut self, world: &World<'_>, path: &[u8]) {
        let keys = ["data-root", "graph", "exec-root", "cgroup-parent"];
        let values = strings(world, path, &keys);
        self.add(world, &values[0]);
        self.add(world, &values[1]);
        add(world, &mut self.exec, &values[2]);
        self.cgroup_parents.extend(Some(&values[3]).filter(|it| !it.is_empty()).cloned());
    }

    fn add_command_line(&mut self, world: &World<'_>, line: &[u8]) {
        if let Some(file) = option(line, b"--config-file") {
            self.add_file(world, file);
        }
        for name in [&b"--data-root"[..], b"--graph", b"-g"] {
            self.add(world, option(line, name).unwrap_or_default());
        }
        add(world, &mut self.exec, option(line, b"--exec-root").unwrap_or_default());
        self.cgroup_parents.extend(option(line, b"--cgroup-parent").map(<[u8]>::to_vec));
    }

    fn add(&mut self, world: &World<'_>, data: &[u8]) {
        add(world, &mut self.data, data)
    }

    /// Adds where the runtimes keep their state: dockerd before 23 has a directory for each of
    /// them. Last come the bundles of each containerd that it may use.
    fn roots(&self, world: &World<'_>) -> Vec<Root> {
        const RUNC: &[u8] = b"runtime-runc";
        let mut out = Vec::new();
        for (at, exec) in self.exec.iter().enumerate() {
            // Where root is, what is not there need not be looked at for each of a thousand.
            if at > 0 && world.caller.is_root && !world.is_directory(exec) {
                continue;
            }
            let mut names = world.entries(exec);
            names.retain(|name| name.starts_with(b"runtime-") && name != RUNC);
            names.insert(0, RUNC.to_vec());
            for name in names {
                let path = [&exec[..], b"/", &name, b"/", containerd::DOCKERS].concat();
                out.push(Root::new("docker", Kind::Runtime, path.clone()));
                out.push(Root::new("docker", Kind::GvisorAlone, path));
            }
        }
        let mut states = containerd::states(world);
        states.extend(self.exec.iter().map(|exec| join(exec, b"containerd/daemon")));
        states.sort_unstable();
        states.dedup();
        for tasks in containerd::task_directories(&states) {
            if world.is_directory(&tasks) {
                out.push(Root::new("docker", Kind::Bundle, join(&tasks, containerd::DOCKERS)));
            }
        }
        for parent in &self.cgroup_parents {
            out.push(Root::new("docker", Kind::CgroupParent, parent.clone()));
        }
        out
    }

    /// Adds every container of these places, from one of the data-roots on.
    fn list(
        mut self,
        world: &World<'_>,
        mut listed: usize,
        needle: Option<&[u8]>,
        out: &mut Containers,
    ) {
        let roots: Rc<[Root]> = self.roots(world).into();
        let mut ids = Vec::new();
        while listed < self.data.len() {
            let data = self.data[listed].clone();
            listed += 1;
            // With userns-remap each mapping has a data-root of its own inside, UID.GID; its own
            // root owns that of dockerd before 20.10.
            let mut tops = world.entries(&data);
            tops.retain(|name| is_mapping(name));
            tops.iter_mut().for_each(|name| *name = join(&data, name));
            tops.iter().for_each(|mapped| world.believe(mapped));
            tops.insert(0, data);
            for top in tops {
                let directory = join(&top, b"containers");
                list_directory(world, directory, &roots, needle, &mut ids, out);
            }
            if listed == self.data.len() {
                self.add_recorded_data(world, &roots, &ids);
            }
        }
        add_recorded_ids(world, &roots, needle, out);
    }

    /// Adds the data-root of a container that runs and that no data-root known so far has: its root
    /// file system lies there.
    fn add_recorded_data(&mut self, world: &World<'_>, roots: &[Root], ids: &[Vec<Vec<u8>>]) {
        // A container may be about to be removed.
        const TRIES: usize = 3;
        let is_known = |id: &Vec<u8>| ids.iter().any(|ids| ids.binary_search(id).is_ok());
        for root in roots.iter().filter(|root| root.kind == Kind::Runtime) {
            let mut running = world.entries(&root.path);
            running.retain(|id| is_long(id) && !is_known(id));
            for id in running.iter().take(TRIES) {
                let state = [&root.path[..], b"/", id, b"/state.json"].concat();
                let rootfs = strings(world, &state, &["config rootfs"]).concat();
                let mut data = &rootfs[..];
                while let Some(slash) = data.iter().rposition(|byte| *byte == b'/') {
                    data = &data[..slash];
                    if world.is_directory(&[data, b"/containers/", id].concat()) {
                        self.add(world, data);
                        break;
                    }
                }
            }
        }
    }
}

/// Adds the containers that have a directory in `directory`, whose names are added to `ids`,
/// sorted.
fn list_directory(
    world: &World<'_>,
    directory: Vec<u8>,
    roots: &Rc<[Root]>,
    needle: Option<&[u8]>,
    ids: &mut Vec<Vec<Vec<u8>>>,
    out: &mut Containers,
) {
    let names = world.entries(&directory);
    // One for all: there may be a thousand.
    let mut file = Vec::new();
    for id in &names {
        file.clear();
        for part in [&directory[..], b"/", id, b"/config.v2.json"] {
            file.extend_from_slice(part);
        }
        let mut name = None;
        read(world, &file, &mut |text| {
            // A cheap search first: strict parsing of all takes its time.
            name = if mentions(text, id, needle) { name_in(text, id)? } else { None };
            Ok(())
        });
        let Some(name) = name else { continue };
        let source = Source::Files { directory: join(&directory, id), roots: roots.clone() };
        let (engine, name) = match k8s_name::parse(&name) {
            Some(pod) => ("k8s", pod),
            None => ("docker", name),
        };
        out.add(Container { engine, name, ..Container::unnamed("docker", id, source) });
    }
    ids.push(names);
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
    let mut parts = name.split(|byte| *byte == b'.');
    parts.clone().count() == 2 && parts.all(is_number)
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
