//! Container engines: what each calls its containers, where its runtimes record their first
//! processes, and in which cgroups these are.
//!
//! Everything is read through a [`World`], so that nothing but one author's files is looked at.
//! Whether what is recorded is still true is for [`crate::containers::evidence`] to say.

#![forbid(unsafe_code)]

mod ask;
mod cni;
pub mod containerd;
pub mod docker;
pub(crate) mod forms;
pub mod k8s_name;
mod keeper;
pub mod kubernetes;
pub mod learn;
pub mod look;
pub mod lxc;
pub mod machine;
pub mod oci;
mod places;
pub mod podman;
mod prepared;
mod recorded;
pub mod records;
pub(crate) mod runtimes;
pub mod sandbox;
mod scan;

use crate::base::text::contains;
use crate::containers::world::World;
pub(crate) use ask::{by_id, is_anothers, recorded_as, records};
pub(crate) use keeper::is_kept;
use learn::Daemon;
pub(crate) use look::netns_spec;
use prepared::Prepared;
pub use records::{NetnsSpec, Record, Sandbox};
pub(crate) use records::{Records, Root};
pub(crate) use scan::scan;
use std::cmp::Ordering;
use std::rc::Rc;

/// One row of the table of engines.
pub(crate) struct Engine {
    /// The words it gives containers, as in `ENGINE:NAME`.
    pub(crate) words: &'static [&'static str],
    /// Whether it names containers of Kubernetes, so that `k8s:` asks it, too.
    pub(crate) has_pods: bool,
    /// Adds every container of a world.
    pub(crate) list: List,
    /// Returns the places in which its runtimes record processes, in the order in which they are
    /// asked.
    pub(crate) roots: Roots,
    /// Returns the cgroup paths that a container's processes may be in.
    pub(crate) cgroups: Cgroups,
    /// Its daemon, where that may have been told to keep its files elsewhere.
    daemon: Option<&'static Daemon>,
}

/// Adds every container of a world that is wanted, also those that only a runtime's record tells
/// of.
pub(crate) type List = fn(&World<'_>, &Engine, &mut Containers<'_>);

/// Returns the places in which an engine's runtimes record processes.
pub(crate) type Roots = fn(&World<'_>) -> Vec<Root>;

/// Returns cgroup paths, from the top of a hierarchy, that a container's processes may be in: the
/// one that the engine's files tell, else each form that its drivers use. Not all of them need
/// exist. None where a cgroup has processes and may as well be another container's.
pub(crate) type Cgroups = fn(&World<'_>, &Container) -> Option<Vec<Vec<u8>>>;

/// All engines; what names a container stands before what runs it.
pub(crate) static ENGINES: &[Engine] = &[
    Engine {
        words: &["k8s"],
        has_pods: true,
        list: kubernetes::list,
        roots: no_roots,
        cgroups: forms::cgroups,
        daemon: None,
    },
    Engine {
        words: &["docker"],
        has_pods: true,
        list: docker::list,
        roots: docker::roots,
        cgroups: docker::cgroups,
        daemon: Some(&docker::DAEMON),
    },
    Engine {
        words: &["podman", "crio"],
        has_pods: true,
        list: podman::list,
        roots: podman::roots,
        cgroups: forms::cgroups,
        daemon: None,
    },
    Engine {
        words: &["lxc"],
        has_pods: false,
        list: lxc::list_lxc,
        roots: no_roots,
        cgroups: lxc::cgroups,
        daemon: None,
    },
    Engine {
        words: &["incus"],
        has_pods: false,
        list: lxc::list,
        roots: no_roots,
        cgroups: lxc::cgroups,
        daemon: None,
    },
    Engine {
        words: &["lxd"],
        has_pods: false,
        list: lxc::list,
        roots: no_roots,
        cgroups: lxc::cgroups,
        daemon: None,
    },
    Engine {
        words: &["machine"],
        has_pods: false,
        list: machine::list,
        roots: machine::roots,
        cgroups: forms::cgroups,
        daemon: None,
    },
    Engine {
        words: &["containerd", "nerdctl"],
        has_pods: true,
        list: containerd::list,
        roots: containerd::roots,
        cgroups: forms::cgroups,
        daemon: Some(&containerd::DAEMON),
    },
    Engine {
        words: &["gvisor", "kata"],
        has_pods: false,
        list: recorded::list,
        roots: sandbox::roots,
        cgroups: forms::cgroups,
        daemon: None,
    },
    Engine {
        words: runtimes::WORDS,
        has_pods: false,
        list: recorded::list,
        roots: runtimes::roots,
        cgroups: forms::cgroups,
        daemon: None,
    },
];

fn no_roots(_: &World<'_>) -> Vec<Root> {
    Vec::new()
}

/// A container, as its engine names it. All in a list are one world's.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Container {
    /// The engine's word, as in `ENGINE:NAME`.
    pub(crate) engine: &'static str,
    /// The word of the engine that runs it, which may be typed instead: `containerd` for a pod's.
    pub(crate) runs_on: &'static str,
    /// Its name; for a pod `NAMESPACE/POD`, for a container in one `NAMESPACE/POD/CONTAINER`.
    pub(crate) name: Vec<u8>,
    /// Its full ID, or what is known of it; its name, where the engine has no IDs.
    pub(crate) id: Vec<u8>,
    /// The ID of the podman pod that it is in; told where that was looked for: by a list whose
    /// needle may be the beginning of an ID.
    pub(crate) pod: Option<Vec<u8>>,
    /// Where to learn of its first process.
    pub(crate) source: Source,
    /// The user who claims it, where a user's world was asked for root.
    pub(crate) claimed_by: Option<u32>,
}

/// Where a container's first process is recorded.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Source {
    /// In one of these places, under its ID.
    Files {
        /// What its engine keeps of it; empty where that is nothing.
        directory: Vec<u8>,
        /// Where its runtime records processes; none where the engine has no records.
        roots: Rc<[Root]>,
    },
    /// These records were read already.
    Records(Rc<[Record]>),
    /// Wherever any engine records its ID.
    Anywhere,
}

impl Container {
    /// Makes a container that is known by its ID alone.
    pub(crate) fn unnamed(engine: &'static str, id: &[u8], source: Source) -> Container {
        Container {
            engine,
            runs_on: engine,
            name: id.to_vec(),
            id: id.to_vec(),
            pod: None,
            source,
            claimed_by: None,
        }
    }

    /// Compares by engine and name, the order of lists.
    pub(crate) fn cmp_name(&self, other: &Container) -> Ordering {
        self.engine.cmp(other.engine).then_with(|| self.name.cmp(&other.name))
    }

    /// Tells whether `word`, as in `ENGINE:NAME`, may mean it: what names it, or what runs it.
    pub(crate) fn is_of(&self, word: &str) -> bool {
        self.engine == word || self.runs_on == word
    }

    /// Tells whether its ID is all that it is called by.
    pub(crate) fn is_nameless(&self) -> bool {
        self.name == self.id
    }

    /// Returns the places of its records that are known from its engine's list.
    fn roots(&self) -> Option<&[Root]> {
        match &self.source {
            Source::Files { roots, .. } => Some(roots),
            _ => None,
        }
    }
}

impl Engine {
    /// Tells whether a container of its list may be one that `word` means, as in `ENGINE:NAME`.
    fn answers_to(&self, word: &str) -> bool {
        self.words.contains(&word) || (word == "k8s" && self.has_pods)
    }

    /// Returns the engine that gives containers this word.
    fn of(word: &str) -> Option<&'static Engine> {
        ENGINES.iter().find(|engine| engine.words.contains(&word))
    }
}

/// Adds every container of a world that is wanted, or with `only` those of the engines that may
/// mean that word.
pub(crate) fn list(world: &World<'_>, only: Option<&str>, out: &mut Containers<'_>) {
    for engine in ENGINES {
        if only.is_none_or(|word| engine.answers_to(word)) {
            (engine.list)(world, engine, out);
        }
    }
}

/// Returns the namespaces that the files of a world tell of, in which no process need be.
pub(crate) fn prepared(world: &World<'_>) -> Vec<Prepared> {
    let mut found = Vec::new();
    docker::add_prepared(world, &mut found);
    cni::add_prepared(world, &mut found);
    prepared::without_doubtful(found)
}

/// Returns the cgroup paths, from the top of a hierarchy, that a container's processes may be in.
/// As [`Cgroups`].
pub(crate) fn cgroups(world: &World<'_>, container: &Container) -> Option<Vec<Vec<u8>>> {
    match Engine::of(container.runs_on) {
        Some(engine) => (engine.cgroups)(world, container),
        None => Some(Vec::new()),
    }
}

/// What an engine's files tell of a container.
#[derive(Clone, Copy)]
struct Found<'f> {
    /// As in [`Container`].
    engine: &'static str,
    runs_on: &'static str,
    name: &'f [u8],
    id: &'f [u8],
    pod: Option<&'f [u8]>,
    /// As in [`Source::Files`].
    directory: &'f [u8],
    roots: &'f Rc<[Root]>,
}

impl<'f> Found<'f> {
    /// Makes what is known of a container by its ID alone.
    fn unnamed(engine: &'static str, id: &'f [u8], roots: &'f Rc<[Root]>) -> Found<'f> {
        Found { engine, runs_on: engine, name: id, id, pod: None, directory: b"", roots }
    }
}

/// The containers found so far.
#[derive(Default)]
pub(crate) struct Containers<'n> {
    /// What the name or the ID of those has that are wanted; None where all are.
    needle: Option<&'n [u8]>,
    found: Vec<Container>,
}

impl<'n> Containers<'n> {
    /// Returns none yet of the containers that have `needle` in their names or IDs.
    pub(crate) fn with(needle: Option<&'n [u8]>) -> Containers<'n> {
        Containers { needle, found: Vec::new() }
    }

    /// Tells whether a container with this text as name or ID is wanted.
    fn wants(&self, text: &[u8]) -> bool {
        self.needle.is_none_or(|needle| contains(text, needle))
    }

    /// Adds a container, if it is wanted.
    fn add(&mut self, found: &Found<'_>) {
        let Found { engine, runs_on, name, id, pod, directory, roots } = *found;
        if self.wants(name) || self.wants(id) || pod.is_some_and(|pod| self.wants(pod)) {
            self.found.push(Container {
                engine,
                runs_on,
                name: name.to_vec(),
                id: id.to_vec(),
                pod: pod.map(<[u8]>::to_vec),
                source: Source::Files { directory: directory.to_vec(), roots: roots.clone() },
                claimed_by: None,
            });
        }
    }

    /// As [`Containers::add`], of a container whose name Kubernetes may have given it: then it runs
    /// on `runs_on`.
    fn add_given(&mut self, found: &Found<'_>, runs_on: &'static str) {
        match k8s_name::parse(found.name) {
            Some(name) => self.add(&Found { engine: "k8s", runs_on, name: &name, ..*found }),
            None => self.add(found),
        }
    }

    /// Returns all of them, each once, in the order in which they were found: what names a
    /// container is asked before what runs it, and wins over what knows its ID alone.
    ///
    /// Two are one if their records are in the same place under the same ID, not because their IDs
    /// are spelled alike. A pod's container that is known by its log alone, its ID perhaps cut, is
    /// the one whose ID begins so.
    pub(crate) fn into_list(self) -> Vec<Container> {
        const LONG: usize = 32;
        // A container has few names; without a limit one of a thousand takes a million comparisons.
        const MOST_NAMES: usize = 8;
        let mut all = self.found;
        let mut order: Vec<usize> = (0..all.len()).collect();
        let rank = |at: &usize| (&all[*at].id, all[*at].is_nameless(), *at);
        order.sort_unstable_by(|a, b| rank(a).cmp(&rank(b)));
        let mut is_known = vec![false; all.len()];
        // Those of one ID that are kept.
        let mut kept: Vec<usize> = Vec::new();
        // Of the IDs that begin with a log's, that one stands right before the others.
        let mut log: Option<usize> = None;
        for at in order {
            let new = &all[at];
            if kept.first().is_some_and(|old| all[*old].id != new.id) {
                kept.clear();
            }
            if new.runs_on == "k8s" {
                log = log.filter(|log| all[*log].id == new.id).or(Some(at));
                continue;
            }
            let is_cut = |log: &usize| new.id.len() >= LONG && new.id.starts_with(&all[*log].id);
            if let Some(named) = log.filter(is_cut) {
                if new.engine != "k8s" {
                    all[at].engine = "k8s";
                    all[at].name = all[named].name.clone();
                }
                // The log's place is its own.
                all.swap(named, at);
                is_known[at] = true;
                kept.push(named);
                log = None;
                continue;
            }
            let most = if new.is_nameless() { kept.len() } else { MOST_NAMES };
            is_known[at] = kept.iter().rev().take(most).any(|old| is_same(&all[*old], new));
            if !is_known[at] {
                kept.push(at);
            }
        }
        let mut is_known = is_known.iter();
        all.retain(|_| is_known.next() == Some(&false));
        all
    }
}

/// Tells whether a container that was found later is one that was found before: unless it has
/// another name, it is where that has its records.
fn is_same(old: &Container, new: &Container) -> bool {
    let (Some(known), Some(roots)) = (old.roots(), new.roots()) else { return false };
    let is_known = |root: &Root| known.iter().any(|known| known.is_at(root));
    (old.name == new.name || new.is_nameless()) && !roots.is_empty() && roots.iter().all(is_known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_container_is_listed_once_under_its_best_name() {
        let id = b"b146a24e".repeat(8);
        let mut found = Containers::default();
        let mut add = |engine, runs_on, name: &[u8], id: &[u8], roots: &[&str]| {
            let root =
                |path: &&str| Root::new(engine, records::Kind::Runtime, path.as_bytes().to_vec());
            let roots = roots.iter().map(root).collect();
            found.add(&Found { runs_on, name, ..Found::unnamed(engine, id, &roots) });
        };
        add("k8s", "k8s", b"shop/cart/app", &id[..20], &[]);
        add("podman", "podman", b"web", b"b2", &["/run/runc", "/run/crun"]);
        add("podman", "podman", b"www", b"b2", &["/run/runc", "/run/crun"]);
        // A name that was found after the ID.
        add("docker", "docker", b"d1", b"d1", &["/run/docker"]);
        add("docker", "docker", b"db", b"d1", &["/run/docker", "/run/docker2"]);
        add("containerd", "containerd", &id, &id, &["/run/containerd/runc/a"]);
        // Of one ID in another namespace.
        add("containerd", "containerd", &id, &id, &["/run/containerd/runc/b"]);
        add("runc", "runc", b"b2", b"b2", &["/run/runc"]);
        add("runc", "runc", b"c1", b"c1", &["/run/runc"]);
        add("crun", "crun", b"c1", b"c1", &["/run/crun"]);
        let list = found.into_list();
        let names: Vec<_> = list.iter().map(|c| (c.engine, c.runs_on, &c.name[..])).collect();
        let expected: [(_, _, &[u8]); 7] = [
            ("k8s", "containerd", b"shop/cart/app"),
            ("podman", "podman", b"web"),
            ("podman", "podman", b"www"),
            ("docker", "docker", b"db"),
            ("containerd", "containerd", &id),
            ("runc", "runc", b"c1"),
            ("crun", "crun", b"c1"),
        ];
        assert_eq!(names, expected);
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
    fn pods_are_asked_for_where_they_may_be() {
        let asked = |word| -> Vec<&str> {
            let asked = ENGINES.iter().filter(|engine| engine.answers_to(word));
            asked.map(|engine| engine.words[0]).collect()
        };
        assert_eq!(asked("k8s"), ["k8s", "docker", "podman", "containerd"]);
        assert_eq!(asked("incus"), ["incus"]);
        assert_eq!(asked("crio"), ["podman"]);
    }
}
