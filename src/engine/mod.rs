//! Container engines: what each calls its containers, and what its runtime recorded of their first process.
//!
//! An engine answers two questions from files alone: [`Engine::each`], every container it knows, running or not; and
//! [`Engine::state`], the recorded init process of a full ID. What a record is worth is for [`crate::container`] to say.

#![forbid(unsafe_code)]

pub mod containerd;
pub mod docker;
pub mod k8s_name;
pub mod kubernetes;
pub mod lxc;
pub mod machine;
pub mod oci;
pub mod runtimes;
pub mod sandbox;
pub mod storage;

use crate::bytes::{Bytes, both, decimal, join, keep, last, split};
use crate::host::Host;
use crate::sys::variable;
use crate::text::{number, text};
use rustix::process::geteuid;
use std::cmp::Ordering;
use std::ffi::CStr;

/// Whose engines are looked at: root's, or a user's rootless ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Base {
    /// Whose files these are: 0 for the system's.
    pub owner: u32,
    /// `/run`, or `/run/user/UID`.
    pub run: Bytes,
    /// The user's home directory; None for the system's engines and where it is unknown.
    pub home: Option<Bytes>,
}

impl Base {
    /// The directory in which a service of this base keeps its data, unless the home directory is unknown.
    pub fn data(&self, name: &[u8]) -> Option<Bytes> {
        self.place(b"/var/lib/", b"/.local/share/", name)
    }

    /// A configuration file of this base, unless the home directory is unknown.
    pub fn config(&self, name: &[u8]) -> Option<Bytes> {
        self.place(b"/etc/", b"/.config/", name)
    }

    fn place(&self, of_system: &[u8], of_home: &[u8], name: &[u8]) -> Option<Bytes> {
        match self.owner {
            0 => Some(both(of_system, name)),
            _ => self.home.map(|home| join(&[home, of_home, name])),
        }
    }

    /// Who could have written a file of this base's that `owner` has.
    pub fn writer(&self, owner: u32) -> u32 {
        if self.owner == 0 { owner } else { self.owner }
    }
}

/// A container, as its engine names it.
#[derive(Debug, PartialEq, Eq)]
pub struct Container {
    /// The engine's word, as in `ENGINE:NAME`.
    pub engine: &'static str,
    /// Its name; for a pod `NAMESPACE/POD`, for a container in one `NAMESPACE/POD/CONTAINER`.
    pub name: Bytes,
    /// Its full ID.
    pub id: Bytes,
    /// Where to learn of its init process.
    pub evidence: Evidence,
    /// The uid that could have written the name: the file's owner, or the base's.
    pub owner: u32,
}

impl Container {
    /// The order of lists: by engine and name.
    pub fn cmp_name(&self, other: &Container) -> Ordering {
        self.engine.cmp(other.engine).then_with(|| self.name.cmp(other.name))
    }

    /// One that is known by its ID alone.
    pub fn keep(engine: &'static str, id: Bytes, evidence: Evidence, owner: u32) -> &'static Container {
        Box::leak(Box::new(Container { engine, name: id, id, evidence, owner }))
    }
}

/// The containers found so far, each once.
#[derive(Default)]
pub struct Containers(Vec<&'static mut Container>);

impl Containers {
    /// Adds a container unless it is there under its ID already: what names a container is asked before what runs it. A name without a
    /// record of its own takes over the newcomer's.
    pub fn add(&mut self, engine: &'static str, name: Bytes, id: Bytes, evidence: Evidence, owner: u32) {
        const LONG: usize = 32;
        let same = |old: &&mut &'static mut Container| {
            let known_short = old.evidence == Evidence::Anywhere && id.starts_with(old.id);
            old.owner == owner && id.len() >= LONG && (old.id == id || known_short)
        };
        let Some(old) = self.0.iter_mut().find(same) else {
            return self.0.push(Box::leak(Box::new(Container { engine, name, id, evidence, owner })));
        };
        let is_pod = engine == "k8s";
        if old.evidence == Evidence::Anywhere {
            (old.id, old.evidence) = (id, evidence);
            if is_pod {
                old.name = name;
            }
        } else if is_pod && old.engine != engine {
            (old.engine, old.name) = (engine, name);
            // A sandbox has no record but its own.
            if !matches!(old.evidence, Evidence::Init(_)) {
                old.evidence = evidence;
            }
        }
    }

    /// All of them, for good.
    pub fn list(self) -> Vec<&'static Container> {
        self.0.into_iter().map(|container| &*container).collect()
    }
}

/// Where a container's init process is recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// Below one of these directories, by ID, in the form of an OCI runtime.
    Oci(&'static [Bytes]),
    /// Here.
    Init(&'static Init),
    /// The processes of this cgroup directory: its init is the container's.
    Cgroup(Bytes),
    /// Wherever any engine records this ID.
    Anywhere,
}

/// What a runtime recorded of a container's init process: a hint until the kernel confirms it.
#[derive(Debug, PartialEq, Eq)]
pub struct Init {
    /// Its pid on the host.
    pub pid: u32,
    /// Its start time in clock ticks, field 22 of /proc/PID/stat, where the runtime records one.
    pub start: Option<u64>,
    /// The inode of its network namespace, where that is recorded.
    pub inode: Option<u64>,
    /// Set where the process is a sandbox around the container.
    pub sandbox: Option<Sandbox>,
    /// The uid that could have written the record.
    pub owner: u32,
    /// The record's path.
    pub file: Bytes,
    /// The container's ID as the record tells it; empty where it does not.
    pub id: Bytes,
}

impl Init {
    /// A record of a pid and no more.
    pub fn bare(pid: u32) -> Box<Init> {
        Box::new(Init { pid, start: None, inode: None, sandbox: None, owner: 0, file: b"", id: b"" })
    }

    /// Keeps it as what `file` records, which `owner` could have written.
    pub fn keep(mut self: Box<Init>, owner: u32, file: Bytes) -> &'static Init {
        (self.owner, self.file) = (owner, file);
        Box::leak(self)
    }
}

/// A virtual machine or kernel of its own that a container runs in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sandbox {
    /// Its ID, which its cgroup has rather than the container's.
    pub id: Bytes,
    /// What somebody who enters should know, to follow the container's name.
    pub note: &'static str,
}

/// Adds every container of a base. With a needle, those whose files do not contain it may be left out unparsed.
pub type Each = fn(&Host, &Base, Option<&[u8]>, &mut Containers);

/// One row of the table of engines.
pub struct Engine {
    /// The words it gives containers, as in `ENGINE:NAME`.
    pub words: &'static [&'static str],
    /// Every container it knows.
    pub each: Each,
    /// Adds the records of a container by its full ID.
    pub state: fn(&Host, &Base, &[u8], &mut Vec<&'static Init>),
}

/// All engines; what names a container stands before what runs it.
pub static ENGINES: &[Engine] = &[
    Engine { words: &["k8s"], each: kubernetes::each, state: no_state },
    Engine { words: &["docker"], each: docker::each, state: docker::state },
    Engine { words: &["podman"], each: storage::each, state: storage::state },
    Engine { words: &["lxc", "incus", "lxd"], each: lxc::each, state: no_state },
    Engine { words: &["machine"], each: machine::each, state: no_state },
    Engine { words: &["gvisor", "kata"], each: sandbox::each, state: sandbox::state },
    Engine { words: &["containerd", "nerdctl"], each: containerd::each, state: containerd::state },
    Engine { words: &["runc", "crun", "youki"], each: runtimes::each, state: runtimes::state },
];

/// An engine's records beyond what its `each` tells: none.
fn no_state(_: &Host, _: &Base, _: &[u8], _: &mut Vec<&'static Init>) {}

/// Whose engines this caller looks at: the system's, then for root every user's, else the caller's own.
///
/// Root's environment is not asked: sudo may have kept the user's.
pub fn bases(host: &Host) -> &'static [Base] {
    let mut bases = Vec::new();
    bases.push(Base { owner: 0, run: b"/run", home: None });
    let caller = geteuid().as_raw();
    if caller != 0 {
        let run = variable(c"XDG_RUNTIME_DIR").map(CStr::to_bytes);
        let run = run.unwrap_or_else(|| text!("/run/user/{}", caller));
        let home = variable(c"HOME").map(CStr::to_bytes);
        bases.push(Base { owner: caller, run, home });
        return bases.leak();
    }
    let runs = host.entries(b"/run/user");
    let passwd = if runs.is_empty() { None } else { host.file(b"/etc/passwd") };
    for run in runs {
        let owner = decimal(last(run)).and_then(|uid| uid.try_into().ok());
        if let Some(owner) = owner.filter(|owner| *owner != 0) {
            let home = passwd.as_ref().and_then(|passwd| home_of(&passwd.bytes, owner));
            bases.push(Base { owner, run, home });
        }
    }
    bases.leak()
}

/// The home directory of `uid`, by passwd(5).
pub fn home_of(passwd: &[u8], uid: u32) -> Option<Bytes> {
    let uid = number(uid.into());
    split(passwd, b'\n').find_map(|line| {
        let mut fields = split(line, b':');
        let is_of_uid = fields.nth(2)? == uid;
        let home = fields.nth(5 - 3)?;
        // The shell ends a line that is whole.
        fields.next().filter(|_| is_of_uid && home.starts_with(b"/")).map(|_| keep(home))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_read_from_passwd() {
        let passwd = b"root:x:0:0:root:/root:/bin/sh\nbroken:x\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(home_of(passwd, 1000), Some(&b"/home/ann"[..]));
        assert_eq!(home_of(passwd, 1001), None);
    }

    #[test]
    fn one_container_is_listed_once_under_its_best_name() {
        let id = keep("b146a24e".repeat(8));
        let mut found = Containers::default();
        let oci = Evidence::Oci(&[]);
        found.add("k8s", b"shop/cart/app", &id[..20], Evidence::Anywhere, 0);
        found.add("containerd", id, id, oci, 0);
        found.add("runc", id, id, oci, 0);
        found.add("runc", b"c1", b"c1", oci, 0);
        found.add("crun", b"c1", b"c1", oci, 0);
        // Another user's claim to the ID is another candidate.
        found.add("podman", b"x", id, oci, 1000);
        let names: Vec<_> = found.list().iter().map(|c| (c.engine, c.id.len())).collect();
        assert_eq!(names, [("k8s", 64), ("runc", 2), ("crun", 2), ("podman", 64)]);
    }

    #[test]
    fn a_word_belongs_to_one_engine() {
        let mut words: Vec<_> = ENGINES.iter().flat_map(|e| e.words).collect();
        let count = words.len();
        words.sort();
        words.dedup();
        assert_eq!(words.len(), count);
    }
}
