//! Reading what is recorded of one container in a place, for each kind of place.

#![forbid(unsafe_code)]

use super::forms;
use super::machine;
use super::oci::{self, Reading, is_id, read, string, strings};
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

/// Returns what is recorded of an ID in those of the places that are meant. A bare pid is looked
/// for only where no runtime has a state file of its own: such a file is older, and says more.
pub(super) fn look(
    world: &World<'_>,
    roots: &[Root],
    is_meant: &dyn Fn(&Root) -> bool,
    id: &[u8],
) -> Records {
    if !is_id(id) {
        return Records::default();
    }
    let (found, places, states) = (Vec::new(), Vec::new(), Vec::new());
    let mut search = RecordSearch { world, roots, id, found, places, is_partial: false, states };
    let misses = world.misses();
    let mut denied = Vec::new();
    for root in roots.iter().filter(|root| root.kind != Kind::CgroupParent && is_meant(root)) {
        search.look_at(root);
        // Only a user is denied anything of root's; where root is, a place may be one that does not
        // answer.
        if !world.caller.is_root {
            let tried = world.host.resolve(&join(&root.path, id), Symlink::Follow);
            if tried.is_err_and(is_denied) {
                denied.push(&root.path);
            }
        }
    }
    let RecordSearch { found, mut places, .. } = search;
    let is_partial = search.is_partial || !denied.is_empty() || world.misses() != misses;
    // For who reads where it was looked: what is there, or may be.
    let may_be = |path: &Vec<u8>| denied.contains(&path) || world.is_directory(path);
    if is_partial && found.is_empty() && places.iter().any(may_be) {
        places.retain(may_be);
    }
    Records { found: found.into(), places, is_partial }
}

/// A search for what is recorded of one ID.
struct RecordSearch<'l, 'h> {
    world: &'l World<'h>,
    roots: &'l [Root],
    id: &'l [u8],
    /// As in [`Records`].
    found: Vec<Record>,
    places: Vec<Vec<u8>>,
    is_partial: bool,
    /// The namespaces in which a runtime's own state file was found, even if it told of no
    /// process.
    states: Vec<Option<Vec<u8>>>,
}

impl RecordSearch<'_, '_> {
    fn look_at(&mut self, root: &Root) {
        let (world, id) = (self.world, self.id);
        if !self.places.contains(&root.path) {
            self.places.push(root.path.clone());
        }
        let directory = join(&root.path, id);
        let has_own = matches!(root.kind, Kind::Runtime | Kind::Machines);
        if !has_own && self.has_state(root) {
            return;
        }
        match root.kind {
            Kind::Runtime => {
                if !self.read(root, join(&directory, b"state.json"), &mut oci::parse) {
                    self.read(root, join(&directory, b"status"), &mut oci::parse);
                }
            }
            Kind::Bundle => self.look_at_bundle(root, &directory),
            Kind::Userdata => self.look_at_userdata(root, &directory),
            Kind::Gvisor | Kind::GvisorAlone => self.look_at_gvisors(root),
            Kind::Kata => {
                for (name, keys) in &sandbox::KATAS {
                    let sandbox = Sandbox { id: id.to_vec(), note: sandbox::KATA_NOTE };
                    self.read_sandbox(root, join(&directory, name), keys, sandbox);
                }
            }
            Kind::Machines => {
                let file = world.file(&directory);
                let registrant = machine::registrant(world);
                let record = file.and_then(|file| machine::record(&file.bytes, registrant));
                if let Some(record) = record {
                    self.add(directory, record);
                }
            }
            Kind::CgroupParent => {}
        }
    }

    /// Tells whether a runtime's own state file was found in the namespace of a place.
    fn has_state(&self, root: &Root) -> bool {
        self.states.iter().any(|namespace| namespace.as_deref() == root.namespace())
    }

    /// Reads a bundle of containerd's: its options may name the root of the runtime, which may be
    /// youki: that writes the pid before its process is where it belongs.
    fn look_at_bundle(&mut self, root: &Root, bundle: &[u8]) {
        let (world, id) = (self.world, self.id);
        let options = strings(world, &join(bundle, b"options.json"), &["root", "binary_name"]);
        let [runtimes, binary] = &options[..] else { return };
        if runtimes.starts_with(b"/") {
            let path = join(&in_run_directory(world, runtimes), last(&root.path));
            self.look_at(&Root { kind: Kind::Runtime, path, ..*root });
        }
        if self.has_state(root) || last(binary).starts_with(b"youki") {
            return;
        }
        let init = join(bundle, b"init.pid");
        let Some(mut record) = self.pid_in(&init) else { return };
        record.cgroups.extend(forms::told_in(world, root, id));
        let shim = world.file(&join(bundle, b"shim-binary-path"));
        if shim.is_some_and(|shim| last(&shim.bytes).starts_with(b"containerd-shim-kata")) {
            record.sandbox = Some(Sandbox { id: id.to_vec(), note: sandbox::KATA_NOTE });
        }
        self.add(init, record);
    }

    /// Reads CRI-O's state of a container, or podman's file of its pid.
    fn look_at_userdata(&mut self, root: &Root, directory: &[u8]) {
        if self.read(root, join(directory, b"userdata/state.json"), &mut oci::parse) {
            return;
        }
        let file = join(directory, b"userdata/pidfile");
        let Some(mut record) = self.pid_in(&file) else { return };
        for store in self.roots.iter().filter(|root| root.kind == Kind::Userdata) {
            record.cgroups.extend(forms::told_in(self.world, store, self.id));
        }
        self.add(file, record);
    }

    /// Reads the state of a container in its own sandbox of gVisor's, else in those of pods.
    fn look_at_gvisors(&mut self, root: &Root) {
        let (world, id) = (self.world, self.id);
        let own = [id, b"_sandbox:", id, b".state"].concat();
        if self.look_at_gvisor(root, id, &own) || root.kind == Kind::GvisorAlone {
            return;
        }
        for name in &world.entries(&root.path) {
            match gvisor_ids(name) {
                Some((of, sandbox)) if of == id && sandbox != id => {
                    self.look_at_gvisor(root, sandbox, name);
                }
                _ => {}
            }
        }
    }

    /// Reads the state of a container in gVisor's sandbox of this ID; false where there is none.
    fn look_at_gvisor(&mut self, root: &Root, sandbox: &[u8], name: &[u8]) -> bool {
        let (world, id) = (self.world, self.id);
        let before = self.found.len();
        let told = Sandbox { id: sandbox.to_vec(), note: sandbox::GVISOR_NOTE };
        let is_there = self.read_sandbox(root, join(&root.path, name), sandbox::GVISOR, told);
        if let Some(record) = self.found.get_mut(before) {
            // The process is in the cgroup of the sandbox's own container, by its ID where the
            // specification says nothing: runsc:container/container.go.
            record.cgroups.extend([join(b"", id), join(b"", sandbox)]);
            if sandbox != id {
                let own =
                    [&root.path[..], b"/", sandbox, b"_sandbox:", sandbox, b".state"].concat();
                let path = string(world, &own, "spec linux cgroupsPath");
                record.cgroups.extend(forms::resolve(world, &path));
            }
        }
        is_there
    }

    /// As [`RecordSearch::read`], of a sandbox's process, with its pid and cgroups at `keys`.
    fn read_sandbox(
        &mut self,
        root: &Root,
        file: Vec<u8>,
        keys: &[&str],
        sandbox: Sandbox,
    ) -> bool {
        let before = self.found.len();
        let is_there = self.read(root, file, &mut |text| sandbox::parse(text, keys));
        if let Some(record) = self.found.get_mut(before) {
            for path in std::mem::take(&mut record.cgroups) {
                record.cgroups.extend(forms::resolve(self.world, &path));
            }
            record.sandbox = Some(sandbox);
        }
        is_there
    }

    /// Reads a runtime's state file; false where there is none.
    fn read(&mut self, root: &Root, file: Vec<u8>, parse: Parse<'_>) -> bool {
        let mut record = None;
        let reading = read(self.world, &file, &mut |text| {
            record = parse(text)?;
            Ok(())
        });
        if reading == Reading::Absent {
            return false;
        }
        self.states.push(root.namespace().map(<[u8]>::to_vec));
        self.is_partial |= reading == Reading::Odd;
        if let Some(record) = record {
            self.add(file, record);
        }
        true
    }

    /// Returns the record that a file is which has a pid, and nothing else.
    fn pid_in(&self, file: &[u8]) -> Option<Record> {
        parse_pid(self.world.file(file)?.bytes.trim_ascii()).map(Record::of)
    }

    /// Adds the record of a file.
    fn add(&mut self, file: Vec<u8>, mut record: Record) {
        record.file = file;
        record.id = self.id.to_vec();
        record.add_cgroups(self.world);
        self.found.push(record);
    }
}

impl Record {
    /// Adds the cgroup that youki keeps beside its state, where nothing better is recorded.
    pub(super) fn add_cgroups(&mut self, world: &World<'_>) {
        if self.start.is_some() || !self.cgroups.is_empty() {
            return;
        }
        let Some(directory) = self.file.strip_suffix(b"/state.json") else { return };
        let path = string(world, &join(directory, b"youki_config.json"), "cgroup_path");
        let resolved = forms::resolve(world, &path);
        // youki takes any other path from the top of the hierarchy: libcgroups, join_safely.
        let from_top = || (!path.is_empty() && !path.contains(&b':')).then(|| join(b"", &path));
        self.cgroups.extend(resolved.or_else(from_top));
    }
}

/// Returns the network namespace of the specification that a record was made by, if that has one;
/// the outer None where that is not known: the record has gone since it was read, or it or what is
/// beside it cannot be parsed.
pub(crate) fn netns_spec(world: &World<'_>, record: &Record) -> Option<Option<NetnsSpec>> {
    let name = last(&record.file);
    let own = match name {
        b"state.json" => spec_in(world, &record.file, "config namespaces", b"NEWNET").ok()?,
        b"status" | b"init.pid" | b"pidfile" => None,
        _ => return Some(None),
    };
    if own.is_some() {
        return Some(own);
    }
    let config = [&record.file[..record.file.len() - name.len()], b"config.json"].concat();
    match spec_in(world, &config, "linux namespaces", b"network") {
        Ok(Some(spec)) => Some(Some(spec)),
        Err(Reading::Odd) => None,
        // Both files go together.
        _ => world.file(&record.file).map(|_| None),
    }
}

/// Returns the namespace of a kind in the list that a file has at `key`.
///
/// # Errors
/// What came of reading the file, where it was not parsed.
fn spec_in(
    world: &World<'_>,
    file: &[u8],
    key: &str,
    wanted: &[u8],
) -> Result<Option<NetnsSpec>, Reading> {
    let mut spec = None;
    let reading = read(world, file, &mut |text| {
        spec = netns_in(text, key, wanted)?;
        Ok(())
    });
    if reading == Reading::Parsed { Ok(spec) } else { Err(reading) }
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
    match (world.user_of(), path.strip_prefix(b"/run/containerd/")) {
        (Some(user), Some(rest)) => [&user.run, &b"/containerd/"[..], rest].concat(),
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
