//! Reading what is recorded of one container in a place, for each kind of place.

#![forbid(unsafe_code)]

use super::forms::{self, SPEC};
use super::machine;
use super::oci::{self, Reading, is_id, read, strings};
use super::records::{Kind, NetnsSpec, Record, Records, Root, Sandbox, gvisor_ids};
use super::sandbox;
use crate::base::error::is_denied;
use crate::base::json::{Refused, Value, elements, select};
use crate::base::text::{join, last};
use crate::containers::world::World;
use crate::host::process::parse_pid;
use crate::host::root::Symlink;

/// Parses a record; None where it is of no process.
type Parse<'p> = &'p mut dyn FnMut(&[u8]) -> Result<Option<Record>, Refused>;

/// Adds what is recorded of an ID in each of the places. A bare pid is looked for only where no
/// runtime has a state file of its own: such a file is older, and says more.
pub(super) fn look(world: &World<'_>, roots: &[Root], id: &[u8], out: &mut Records) {
    if !is_id(id) {
        return;
    }
    let unread = world.host.unread();
    let mut denied = Vec::new();
    for root in roots.iter().filter(|root| root.kind != Kind::CgroupParent) {
        out.add_place(&root.path);
        out.look_at(world, roots, root, id);
        // Only a user is denied anything of root's; where root is, a place may be one that does not
        // answer.
        if !world.caller.is_root {
            let tried = world.host.resolve(&join(&root.path, id), Symlink::Follow);
            denied.extend(tried.is_err_and(is_denied).then(|| root.path.clone()));
        }
    }
    out.is_partial |= !denied.is_empty() || world.host.unread() != unread;
    if out.is_partial && out.found.is_empty() {
        // For who reads where it was looked: what is there, or may be.
        let mut known = Vec::new();
        for path in &out.places {
            if denied.contains(path) || world.is_directory(path) {
                known.push(path.clone());
            }
        }
        if !known.is_empty() {
            out.places = known;
        }
    }
}

impl Records {
    fn look_at(&mut self, world: &World<'_>, roots: &[Root], root: &Root, id: &[u8]) {
        let directory = join(&root.path, id);
        let has_state = self.states.contains(&root.namespace);
        match root.kind {
            Kind::Runtime => {
                let state = join(&directory, b"state.json");
                if self.read(world, root, id, state, &mut oci::parse) == Reading::Absent {
                    self.read(world, root, id, join(&directory, b"status"), &mut oci::parse);
                }
            }
            Kind::Bundle if !has_state => self.look_at_bundle(world, root, id, &directory),
            Kind::Userdata if !has_state => {
                let userdata = join(&directory, b"userdata");
                let state = join(&userdata, b"state.json");
                if self.read(world, root, id, state, &mut oci::parse) == Reading::Absent {
                    let mut cgroups = Vec::new();
                    for store in roots.iter().filter(|root| root.kind == Kind::Userdata) {
                        let file = [&store.path[..], b"/", id, b"/userdata/config.json"].concat();
                        cgroups.extend(forms::cgroups_path(world, &file, SPEC));
                    }
                    self.read_pid(world, root, id, join(&userdata, b"pidfile"), cgroups);
                }
            }
            Kind::Gvisor | Kind::GvisorAlone if !has_state => {
                let own = [id, b"_sandbox:", id, b".state"].concat();
                let is_there = self.look_at_gvisor(world, root, id, &own);
                if !is_there && root.kind == Kind::Gvisor {
                    for name in world.entries(&root.path) {
                        if gvisor_ids(&name).is_some_and(|(of, sandbox)| of == id && sandbox != id)
                        {
                            self.look_at_gvisor(world, root, id, &name);
                        }
                    }
                }
            }
            Kind::Kata if !has_state => {
                for (name, keys) in sandbox::KATAS {
                    let sandbox = Sandbox { id: id.to_vec(), note: sandbox::KATA_NOTE };
                    self.read_sandbox(world, root, id, join(&directory, name), keys, sandbox);
                }
            }
            Kind::Machines => {
                if let Some(file) = world.file(&directory) {
                    let record = machine::record(&file.bytes).map(|record| Record {
                        file: directory,
                        id: id.to_vec(),
                        ..record
                    });
                    self.found.extend(record);
                }
            }
            _ => {}
        }
    }

    /// Reads a bundle of containerd's: its options may name the root of the runtime, which may be
    /// youki: that writes the pid before its process is where it belongs.
    fn look_at_bundle(&mut self, world: &World<'_>, root: &Root, id: &[u8], bundle: &[u8]) {
        let options = strings(world, &join(bundle, b"options.json"), &["root", "binary_name"]);
        let [runtimes, binary] = &options[..] else { return };
        if runtimes.starts_with(b"/") {
            let namespace = root.namespace.as_deref().unwrap_or_else(|| last(&root.path));
            let path = join(&in_run_directory(world, runtimes), namespace);
            let told = Root { kind: Kind::Runtime, path, ..root.clone() };
            self.add_place(&told.path);
            self.look_at(world, &[], &told, id);
        }
        if self.states.contains(&root.namespace) || last(binary).starts_with(b"youki") {
            return;
        }
        let config = join(bundle, b"config.json");
        let init = join(bundle, b"init.pid");
        if world.file(&init).is_some() {
            let cgroups = forms::cgroups_path(world, &config, SPEC);
            let before = self.found.len();
            self.read_pid(world, root, id, init, cgroups.into_iter().collect());
            let shim = world.file(&join(bundle, b"shim-binary-path"));
            if shim.is_some_and(|shim| last(&shim.bytes).starts_with(b"containerd-shim-kata")) {
                let sandbox = Sandbox { id: id.to_vec(), note: sandbox::KATA_NOTE };
                self.found[before..].iter_mut().for_each(|it| it.sandbox = Some(sandbox.clone()));
            }
        }
    }

    /// Reads the state of a container in gVisor; false where there is none.
    fn look_at_gvisor(&mut self, world: &World<'_>, root: &Root, id: &[u8], name: &[u8]) -> bool {
        let Some((_, sandbox)) = gvisor_ids(name) else { return false };
        let told = Sandbox { id: sandbox.to_vec(), note: sandbox::GVISOR_NOTE };
        let before = self.found.len();
        let file = join(&root.path, name);
        let reading = self.read_sandbox(world, root, id, file, sandbox::GVISOR, told);
        // The process is in the cgroup of the sandbox's own container.
        let mut cgroups = vec![join(b"", id), join(b"", sandbox)];
        if sandbox != id {
            let own = [&root.path[..], b"/", sandbox, b"_sandbox:", sandbox, b".state"].concat();
            cgroups.extend(forms::cgroups_path(world, &own, "spec linux cgroupsPath"));
        }
        for record in &mut self.found[before..] {
            // By its ID where the specification says nothing: runsc:container/container.go.
            record.cgroups.append(&mut cgroups);
        }
        reading != Reading::Absent
    }

    /// As [`Records::read`], of a process that is a sandbox, with its pid and cgroups at `keys`.
    fn read_sandbox(
        &mut self,
        world: &World<'_>,
        root: &Root,
        id: &[u8],
        file: Vec<u8>,
        keys: &[&str],
        sandbox: Sandbox,
    ) -> Reading {
        self.read(world, root, id, file, &mut |text| {
            let record = sandbox::parse(text, keys)?;
            Ok(record.map(|mut record| {
                let resolved = |path: &Vec<u8>| forms::resolve(world, path);
                record.cgroups = record.cgroups.iter().filter_map(resolved).collect();
                Record { sandbox: Some(sandbox.clone()), ..record }
            }))
        })
    }

    fn add_place(&mut self, path: &[u8]) {
        if !self.places.iter().any(|known| known == path) {
            self.places.push(path.to_vec());
        }
    }

    /// Reads a runtime's state file.
    fn read(
        &mut self,
        world: &World<'_>,
        root: &Root,
        id: &[u8],
        file: Vec<u8>,
        parse: Parse<'_>,
    ) -> Reading {
        let mut record = None;
        let reading = read(world, &file, &mut |text| {
            record = parse(text)?;
            Ok(())
        });
        if reading != Reading::Absent {
            self.states.push(root.namespace.clone());
        }
        self.is_partial |= reading == Reading::Odd;
        if let Some(record) = record {
            let (id, namespace) = (id.to_vec(), root.namespace.clone());
            let mut record = Record { file, id, namespace, ..record };
            record.add_cgroups(world);
            self.found.push(record);
        }
        reading
    }

    /// Reads a file that has a pid, and nothing else.
    fn read_pid(
        &mut self,
        world: &World<'_>,
        root: &Root,
        id: &[u8],
        file: Vec<u8>,
        cgroups: Vec<Vec<u8>>,
    ) {
        let read = world.file(&file);
        if let Some(pid) = read.and_then(|read| parse_pid(read.bytes.trim_ascii())) {
            let (id, namespace) = (id.to_vec(), root.namespace.clone());
            self.found.push(Record { pid, cgroups, file, id, namespace, ..Record::default() });
        }
    }
}

impl Record {
    /// Adds the cgroup that youki keeps beside its state, where nothing better is recorded.
    pub(super) fn add_cgroups(&mut self, world: &World<'_>) {
        if self.start.is_some() || !self.cgroups.is_empty() {
            return;
        }
        let Some(directory) = self.file.strip_suffix(b"/state.json") else { return };
        let path = strings(world, &join(directory, b"youki_config.json"), &["cgroup_path"]);
        let path = path.concat();
        let resolved = forms::resolve(world, &path);
        // youki takes any other path from the top of the hierarchy: libcgroups, join_safely.
        let from_top = || (!path.is_empty() && !path.contains(&b':')).then(|| join(b"", &path));
        self.cgroups.extend(resolved.or_else(from_top));
    }
}

/// Returns the network namespace of the specification that a record was made by; None where it has
/// none, or is not known.
pub(crate) fn netns_spec(world: &World<'_>, record: &Record) -> Option<NetnsSpec> {
    let name = last(&record.file);
    if name == b"state.json" {
        let own = spec_in(world, &record.file, "config namespaces", b"NEWNET");
        if own.is_some() {
            return own;
        }
    }
    if !matches!(name, b"state.json" | b"status" | b"init.pid") {
        return None;
    }
    let directory = &record.file[..record.file.len() - name.len()];
    spec_in(world, &[directory, b"config.json"].concat(), "linux namespaces", b"network")
}

/// Returns the namespace of a kind in the list that a file has at `key`.
fn spec_in(world: &World<'_>, file: &[u8], key: &str, wanted: &[u8]) -> Option<NetnsSpec> {
    let mut spec = None;
    read(world, file, &mut |text| {
        spec = netns_in(text, key, wanted)?;
        Ok(())
    });
    spec
}

/// Returns the namespace whose type is `wanted` in the list at `key`.
///
/// # Errors
/// Where the text is no JSON, or has a key twice.
pub fn netns_in(text: &[u8], key: &str, wanted: &[u8]) -> Result<Option<NetnsSpec>, Refused> {
    let mut list = [Value::Null];
    select(text, &[key], &mut list)?;
    let mut spec = None;
    if let Some(list) = list[0].nested().filter(|list| list.starts_with(b"[")) {
        elements(list, &mut |namespace| {
            let Some(namespace) = namespace.nested() else { return Ok(()) };
            let mut found = [Value::Null, Value::Null];
            select(namespace, &["type", "path"], &mut found)?;
            if found[0].string() == Some(wanted) {
                let path = found[1].string().filter(|path| !path.is_empty()).map(<[u8]>::to_vec);
                spec = Some(NetnsSpec { path });
            }
            Ok(())
        })?;
    }
    Ok(spec)
}

/// Returns where a directory below /run is that a rootless containerd sees its own at.
fn in_run_directory(world: &World<'_>, path: &[u8]) -> Vec<u8> {
    let inside = path.strip_prefix(b"/run/").filter(|rest| rest.starts_with(b"containerd/"));
    match (world.user_of(), inside) {
        (Some(user), Some(rest)) => join(&user.run, rest),
        _ => path.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_specification_tells_its_network_namespace() {
        let runc = |list: &str| {
            let text = format!(r#"{{"config":{{"namespaces":{list}}}}}"#);
            netns_in(text.as_bytes(), "config namespaces", b"NEWNET").unwrap()
        };
        let made = Some(NetnsSpec { path: None });
        let taken = Some(NetnsSpec { path: Some(b"/run/netns/x".to_vec()) });
        assert_eq!(runc(r#"[{"type":"NEWPID","path":"/x"},{"type":"NEWNET","path":""}]"#), made);
        assert_eq!(runc(r#"[{"type":"NEWNET"}]"#), made);
        assert_eq!(runc(r#"[{"type":"NEWNET","path":"/run/netns/x"}]"#), taken);
        assert_eq!(runc(r#"[{"type":"NEWPID"}]"#), None);
        assert_eq!(runc("null"), None);
        assert_eq!(runc("{}"), None);
        let twice = br#"{"linux":{"namespaces":[{"type":"network","type":"x"}]}}"#;
        assert_eq!(netns_in(twice, "linux namespaces", b"network"), Err(Refused::Duplicate));
    }
}
