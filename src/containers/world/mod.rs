//! Whose word counts: what makes a file, a cgroup or a process root's or a user's. Everything else
//! asks this room.
//!
//! A world is what one author can write. A look-up joins claims (this name means that ID, this ID
//! is that process), and claims of different authors joined are nobody's word: so each look-up is
//! of one world.

#![forbid(unsafe_code)]

mod cgroups;
mod held;
mod judge;
mod processes;
mod tree;
pub mod users;
mod walk;

use crate::base::json::Refused;
use crate::base::text::join;
use crate::host::{File, Host};
use crate::kernel::netns::NsId;
use judge::Judge;
use rustix::io;
use rustix::process::{getegid, geteuid};
use std::cell::OnceCell;
use tree::Tree;
pub(crate) use users::{Caller, User};

/// A world on a machine.
pub(crate) struct World<'h> {
    pub(crate) host: &'h Host,
    /// The user who can write what is in it; the process that looks is this user's. None: only
    /// root can. Where the caller is a user, it is seen as far as it can be read.
    user: Option<User>,
    pub(crate) caller: Caller,
    tree: Tree<'h>,
    /// The pid and the ID of every record, once they were looked for.
    pub(crate) recorded: OnceCell<Vec<(u32, Vec<u8>)>>,
    /// The cgroup hierarchies that are mounted whole, once they were looked for.
    hierarchies: OnceCell<Vec<Vec<u8>>>,
    /// The user and the pid namespace of the machine's pid 1, once they were looked at.
    namespaces: OnceCell<[io::Result<NsId>; 2]>,
}

impl<'h> World<'h> {
    /// Returns root's world.
    pub(crate) fn root(host: &'h Host) -> World<'h> {
        World::new(host, None)
    }

    /// Returns a user's world, for a process of that user's.
    pub(crate) fn user(host: &'h Host, user: User) -> World<'h> {
        World::new(host, Some(user))
    }

    /// Returns a user's world for a reader, which may wait for a mount, and looks at no more than
    /// so many names of a directory.
    pub(crate) fn readers(host: &'h Host, user: User, most_names: usize) -> World<'h> {
        let world = World::user(host, user);
        world.tree.become_readers(most_names);
        world
    }

    fn new(host: &'h Host, user: Option<User>) -> World<'h> {
        let caller = Caller::of(host);
        // In a user namespace of the user's they are others than the machine's.
        let ids = user.as_ref().map(|_| (geteuid().as_raw(), getegid().as_raw()));
        let tree = Tree::new(host, Judge { root_uid: caller.root_uid, user: ids });
        let (recorded, hierarchies) = (OnceCell::new(), OnceCell::new());
        let namespaces = OnceCell::new();
        World { host, user, caller, tree, recorded, hierarchies, namespaces }
    }

    /// Returns the user whose world it is; None for root's.
    pub(crate) fn user_of(&self) -> Option<&User> {
        self.user.as_ref()
    }

    /// Reads a regular file that counts in this world. Returns None where it is absent, is
    /// another's, or cannot be read (remembered; what makes root's world wrong,
    /// [`Host::check`] tells).
    pub(crate) fn file(&self, path: &[u8]) -> Option<File<'h>> {
        self.tree.file(path)
    }

    /// Reads a file that counts and parses it, twice where it was perhaps being rewritten in place.
    /// Returns None where there is none, or where it cannot be parsed, which is noted.
    pub(crate) fn parsed<T>(
        &self,
        path: &[u8],
        parse: &mut dyn FnMut(&[u8]) -> Result<T, Refused>,
    ) -> Option<T> {
        let mut refused = None;
        for _ in 0..2 {
            match parse(&self.file(path)?.bytes) {
                Ok(parsed) => return Some(parsed),
                Err(reason) => refused = Some(reason),
            }
        }
        if let Some(reason) = refused {
            self.host.console.note_of(path, reason);
            self.tree.remember(path, &reason.to_string());
        }
        None
    }

    /// Returns the names in a directory that counts, sorted, without those that begin with a dot;
    /// none where it is absent, is another's, or cannot be read, as [`World::file`].
    pub(crate) fn entries(&self, path: &[u8]) -> Vec<Vec<u8>> {
        self.tree.entries(path)
    }

    /// Returns how often something that may be there could not be read so far. Who compares two of
    /// these knows whether all was read between them; what the host remembers does not tell that,
    /// as it remembers a failure once.
    pub(crate) fn misses(&self) -> usize {
        self.tree.misses()
    }

    /// Watches a directory that counts, where a file tells names that a look reads but does not
    /// miss.
    pub(crate) fn watch(&self, path: &[u8]) {
        self.tree.watch(path);
    }

    /// Tells whether a path is, or leads to, a directory that counts.
    pub(crate) fn is_directory(&self, path: &[u8]) -> bool {
        self.tree.is_directory(path)
    }

    /// Tells whether there is no directory at a path, which it is not where that cannot be told.
    pub(crate) fn is_absent(&self, path: &[u8]) -> bool {
        self.tree.is_absent(path)
    }

    /// Lets a place count that this world's configuration names, with a note where others can write
    /// there.
    pub(crate) fn believe(&self, path: &[u8]) {
        self.tree.believe(path);
    }

    /// Returns the directories for what lives no longer than the machine runs: `/run`, or a user's.
    pub(crate) fn run_directories(&self) -> Vec<Vec<u8>> {
        let Some(user) = &self.user else { return vec![b"/run".to_vec()] };
        let mut directories = vec![user.run.clone()];
        // Without a login session podman makes one itself. Where others made it, it does not count.
        for name in ["/run/user/", "/tmp/podman-run-", "/tmp/storage-run-"] {
            let directory = format!("{name}{}", user.uid).into_bytes();
            if !directories.contains(&directory) {
                directories.push(directory);
            }
        }
        directories
    }

    /// Returns the directory in which a service keeps its data, unless the user's home is unknown.
    pub(crate) fn data(&self, name: &[u8]) -> Option<Vec<u8>> {
        let Some(user) = &self.user else { return Some(join(b"/var/lib", name)) };
        user.below(user.data.as_deref(), b".local/share", name)
    }

    /// Returns a configuration file's path, unless the user's home is unknown.
    pub(crate) fn config(&self, name: &[u8]) -> Option<Vec<u8>> {
        let Some(user) = &self.user else { return Some(join(b"/etc", name)) };
        user.below(user.config.as_deref(), b".config", name)
    }
}
