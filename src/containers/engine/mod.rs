//! Container engines: what each calls its containers, and what its runtime recorded of their first
//! process.
//!
//! An engine answers two questions from files alone: [`Engine::list`], every container it knows,
//! running or not; and [`Engine::records`], what it recorded of the init process of a full ID.
//! Whether a record is still true is for [`crate::containers::evidence`] to say.

#![forbid(unsafe_code)]

pub mod containerd;
pub mod docker;
pub mod k8s_name;
pub mod kubernetes;
pub(crate) mod lxc;
pub mod machine;
pub mod oci;
pub mod podman;
pub(crate) mod runtimes;
pub mod sandbox;

use crate::base::error::Result;
use crate::base::text::{last, lines, number};
use crate::host::Host;
use crate::sys::libc::variable;
use rustix::process::geteuid;
use std::cmp::Ordering;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::rc::Rc;

/// One row of the table of engines.
pub(crate) struct Engine {
    /// The words it gives containers, as in `ENGINE:NAME`.
    pub words: &'static [&'static str],
    /// Adds every container of a place.
    pub list: List,
    /// Returns the records of a container by its full ID.
    pub records: Records,
}

/// Adds every container of a place. With a needle, those whose files do not contain it may be left
/// out unparsed.
pub(crate) type List = fn(&Host, &Place, Option<&[u8]>, &mut Containers) -> Result<()>;

/// Returns what the engine recorded, in a place, of the init process of a full ID.
pub(crate) type Records = fn(&Host, &Place, &[u8]) -> Result<Vec<Record>>;

/// All engines; what names a container stands before what runs it.
pub(crate) static ENGINES: &[Engine] = &[
    Engine { words: &["k8s"], list: kubernetes::list, records: no_records },
    Engine { words: &["docker"], list: docker::list, records: docker::records },
    Engine { words: &["podman"], list: podman::list, records: podman::records },
    Engine { words: &["lxc", "incus", "lxd"], list: lxc::list, records: no_records },
    Engine { words: &["machine"], list: machine::list, records: no_records },
    Engine { words: &["gvisor", "kata"], list: sandbox::list, records: sandbox::records },
    Engine {
        words: &["containerd", "nerdctl"],
        list: containerd::list,
        records: containerd::records,
    },
    Engine { words: &["runc", "crun", "youki"], list: runtimes::list, records: runtimes::records },
];

/// Returns nothing: what the engine has is told by its list, or it has no records by ID.
fn no_records(_: &Host, _: &Place, _: &[u8]) -> Result<Vec<Record>> {
    Ok(Vec::new())
}

/// A container, as its engine names it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Container {
    /// The engine's word, as in `ENGINE:NAME`.
    pub engine: &'static str,
    /// Its name; for a pod `NAMESPACE/POD`, for a container in one `NAMESPACE/POD/CONTAINER`.
    pub name: Vec<u8>,
    /// Its full ID, or what is known of it.
    pub id: Vec<u8>,
    /// Where to learn of its init process.
    pub source: Source,
    /// The uid that could have written the name: the file's owner, or the place's.
    pub owner: u32,
}

impl Container {
    /// Makes a container that is known by its ID alone.
    pub(crate) fn unnamed(
        engine: &'static str,
        id: &[u8],
        source: Source,
        owner: u32,
    ) -> Container {
        Container { engine, name: id.to_vec(), id: id.to_vec(), source, owner }
    }

    /// Compares by engine and name, the order of lists.
    pub(crate) fn cmp_name(&self, other: &Container) -> Ordering {
        self.engine.cmp(other.engine).then_with(|| self.name.cmp(&other.name))
    }
}

/// Where a container's init process is recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// Below one of these directories, by ID, in the form of an OCI runtime.
    Oci(Rc<[Vec<u8>]>),
    /// Here.
    Record(Record),
    /// Nowhere, but its init is that of the processes in this cgroup directory.
    Cgroup(Vec<u8>),
    /// Wherever any engine records this ID.
    Anywhere,
}

/// What a runtime recorded of a container's init process: a hint until the kernel confirms it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Record {
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
    pub file: Vec<u8>,
    /// The container's ID as the record tells it; empty where it does not.
    pub id: Vec<u8>,
}

/// A virtual machine or kernel of its own that a container runs in.
#[derive(Clone, Debug, PartialEq)]
pub struct Sandbox {
    /// Its ID, which its cgroup has rather than the container's.
    pub id: Vec<u8>,
    /// What somebody who enters should know, to follow the container's name.
    pub note: &'static str,
}

/// The containers found so far, each once.
#[derive(Default)]
pub(crate) struct Containers(Vec<Container>);

impl Containers {
    /// Adds a container unless it is there under its ID already: what names a container is asked
    /// before what runs it. A name without a record of its own takes over the newcomer's.
    pub(crate) fn add(&mut self, new: Container) {
        const LONG: usize = 32;
        let is_same = |old: &&mut Container| {
            let is_known_short =
                || matches!(old.source, Source::Anywhere) && new.id.starts_with(&old.id);
            old.owner == new.owner && new.id.len() >= LONG && (old.id == new.id || is_known_short())
        };
        let Some(old) = self.0.iter_mut().find(is_same) else { return self.0.push(new) };
        let is_pod = new.engine == "k8s";
        if matches!(old.source, Source::Anywhere) {
            (old.id, old.source) = (new.id, new.source);
            if is_pod {
                old.name = new.name;
            }
        } else if is_pod && old.engine != new.engine {
            (old.engine, old.name) = (new.engine, new.name);
            // A sandbox has no record but its own.
            if !matches!(old.source, Source::Record(_)) {
                old.source = new.source;
            }
        }
    }

    /// Returns all of them, in the order in which they were found.
    pub(crate) fn into_list(self) -> Vec<Container> {
        self.0
    }
}

/// Whose engines are looked at: root's, or a user's rootless ones.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    /// Whose files these are: 0 for the system's.
    pub owner: u32,
    /// `/run`, or `/run/user/UID`.
    pub run: Vec<u8>,
    /// The user's home directory; None for the system's engines and where it is unknown.
    pub home: Option<Vec<u8>>,
}

impl Place {
    /// Returns the directory in which a service keeps its data here, unless the home directory is
    /// unknown.
    pub(crate) fn data(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.path(b"/var/lib/", b"/.local/share/", name)
    }

    /// Returns a configuration file's path, unless the home directory is unknown.
    pub(crate) fn config(&self, name: &[u8]) -> Option<Vec<u8>> {
        self.path(b"/etc/", b"/.config/", name)
    }

    fn path(&self, of_system: &[u8], of_home: &[u8], name: &[u8]) -> Option<Vec<u8>> {
        match (self.owner, &self.home) {
            (0, _) => Some([of_system, name].concat()),
            (_, home) => home.as_deref().map(|home| [home, of_home, name].concat()),
        }
    }

    /// Returns who could have written a file found here that `owner` has.
    pub(crate) fn writer(&self, owner: u32) -> u32 {
        if self.owner == 0 { owner } else { self.owner }
    }
}

/// Returns whose engines this caller looks at: the system's, then for root every user's, else the
/// caller's own.
///
/// Root's environment is not asked: sudo may have kept the user's.
///
/// # Errors
/// Where /run/user or /etc/passwd cannot be read, for another reason than that it may not be.
pub(crate) fn places(host: &Host) -> Result<Vec<Place>> {
    let mut places = vec![Place { owner: 0, run: b"/run".to_vec(), home: None }];
    let caller = geteuid().as_raw();
    if caller != 0 {
        let run = variable("XDG_RUNTIME_DIR").map(OsString::into_vec);
        let run = run.unwrap_or_else(|| format!("/run/user/{caller}").into_bytes());
        let home = variable("HOME").map(OsString::into_vec);
        places.push(Place { owner: caller, run, home });
        return Ok(places);
    }
    let runs = host.entries(b"/run/user")?;
    let passwd = if runs.is_empty() { None } else { host.file(b"/etc/passwd")? };
    for run in runs {
        let owner = number(last(&run)).and_then(|uid| uid.try_into().ok());
        if let Some(owner) = owner.filter(|owner| *owner != 0) {
            let home = passwd.as_ref().and_then(|passwd| home_of(&passwd.bytes, owner));
            places.push(Place { owner, home: home.map(<[u8]>::to_vec), run });
        }
    }
    Ok(places)
}

/// Returns the home directory of `uid`: passwd(5).
pub fn home_of(passwd: &[u8], uid: u32) -> Option<&[u8]> {
    let uid = uid.to_string();
    lines(passwd).find_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let is_of_uid = fields.nth(2)? == uid.as_bytes();
        let home = fields.nth(5 - 3)?;
        // The shell ends a line that is whole.
        fields.next().filter(|_| is_of_uid && home.starts_with(b"/")).map(|_| home)
    })
}

/// Tells whether a cgroup is called like a container: its name ends in 64 hex digits, but for
/// `.scope`.
pub(crate) fn is_container_cgroup(name: &[u8]) -> bool {
    const ID: usize = 64;
    let name = name.strip_suffix(b".scope").unwrap_or(name);
    name.len() >= ID && name[name.len() - ID..].iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn homes_are_read_from_passwd() {
        let passwd =
            b"root:x:0:0:root:/root:/bin/sh\nbroken:x\nann:x:1000:1000::/home/ann:/bin/sh\n";
        assert_eq!(home_of(passwd, 1000), Some(&b"/home/ann"[..]));
        assert_eq!(home_of(passwd, 1001), None);
    }

    #[test]
    fn one_container_is_listed_once_under_its_best_name() {
        let id = b"b146a24e".repeat(8);
        let mut found = Containers::default();
        let mut add = |engine, name: &[u8], id: &[u8], source, owner| {
            found.add(Container { engine, name: name.to_vec(), id: id.to_vec(), source, owner });
        };
        let oci = || Source::Oci(Rc::default());
        add("k8s", b"shop/cart/app", &id[..20], Source::Anywhere, 0);
        add("containerd", &id, &id, oci(), 0);
        add("runc", &id, &id, oci(), 0);
        add("runc", b"c1", b"c1", oci(), 0);
        add("crun", b"c1", b"c1", oci(), 0);
        // Another user's claim to the ID is another candidate.
        add("podman", b"x", &id, oci(), 1000);
        let list = found.into_list();
        let names: Vec<_> = list.iter().map(|c| (c.engine, c.id.len())).collect();
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

    #[test]
    fn containers_have_long_names() {
        let id = "0123456789abcdef".repeat(4);
        assert!(is_container_cgroup(id.as_bytes()));
        assert!(is_container_cgroup(format!("docker-{id}.scope").as_bytes()));
        assert!(!is_container_cgroup(b"system.slice"));
    }
}
