//! Processes of root's world: daemons whose command lines and monitors whose titles are believed;
//! and processes that are of no container.
//!
//! Uids alone prove nothing: a user starts set-user-ID programs, and root in a container has uid 0.

#![forbid(unsafe_code)]

use super::World;
use super::users::{is_users, maker_of, uids_in};
use crate::base::error::is_denied;
use crate::base::text::join;
use crate::host::cgroup::is_containers;
use crate::host::process::{Process, is_gone, unless_gone};
use crate::host::root::Symlink;
use crate::kernel::fork;
use crate::kernel::netns::{INITIAL_USERNS, NsId, id_of, id_unasked};
use crate::sys::fd::open_at;
use crate::sys::nsfs::userns_owner;
use rustix::fd::AsFd;
use rustix::fs::{CWD, OFlags, fstat};
use rustix::io::{self, Errno};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::time::Instant;

/// The inodes of the initial user and pid namespaces, by which they are told where pid 1 may not be
/// read: of the latter PROC_PID_INIT_INO, linux/proc_ns.h.
const INITIAL: [(&str, u64); 2] = [("user", INITIAL_USERNS), ("pid", 0xefff_fffc)];

/// The answer of a child that could not look.
const UNKNOWN: u8 = 2;

impl World<'_> {
    /// Tells whether a process is this world's: for root's that its four uids are root's, its user
    /// and pid namespaces those of pid 1, its root directory the machine's, its cgroup root's and
    /// below no user's slice or container's, and its executable a file of root's that is not
    /// set-user-ID or set-group-ID. No user's process counts.
    pub(crate) fn has_process(&self, process: &Process) -> bool {
        let has_root = || unless_gone(self.host, process.pid, self.has_machines_root(process));
        self.may_have_process(process) && has_root() == Some(true)
    }

    /// As [`World::has_process`], of what keeps a container: in whatever cgroup it is, since root
    /// may have started it in a session, and wherever its program was, since that may have been
    /// replaced or removed while it runs.
    ///
    /// # Errors
    /// Where that cannot be told.
    pub(crate) fn has_keeper(&self, process: &Process) -> io::Result<bool> {
        Ok(self.user_of().is_none()
            && self.has_roots_identity(process)?
            && self.tree.is_a_program(&process.open_file("exe", OFlags::PATH)?)?
            && self.has_machines_root(process)?)
    }

    /// As [`World::has_process`], whatever the root directory of the process is. For what refuses
    /// on the word of a process, and proves nothing by it.
    pub(crate) fn may_have_process(&self, process: &Process) -> bool {
        self.user_of().is_none()
            && unless_gone(self.host, process.pid, self.has_roots_identity(process)) == Some(true)
            && self.is_in_roots_cgroup(process)
            && self.runs_roots_file(process)
    }

    fn has_roots_identity(&self, process: &Process) -> io::Result<bool> {
        let uids = uids_in(&process.read(self.host, "status")?);
        Ok(uids == Some([self.caller.root_uid; 4]) && self.is_of_machine(process)?)
    }

    /// Tells whether a process is in the machine's own user and pid namespaces, and so of no
    /// container.
    ///
    /// # Errors
    /// The errno of opening them.
    pub(crate) fn is_of_machine(&self, process: &Process) -> io::Result<bool> {
        // Looked at once: two processes are not judged by two answers.
        let first = |(kind, _)| self.host.stat_proc(&format!("1/ns/{kind}"));
        let machines = self.namespaces.get_or_init(|| INITIAL.map(first));
        for ((kind, initial), hosts) in INITIAL.into_iter().zip(machines) {
            let link = process.open_file(&format!("ns/{kind}"), OFlags::PATH)?;
            let own = NsId::new(&fstat(link)?);
            let is_hosts = match *hosts {
                Ok(hosts) => own == hosts,
                Err(e) if is_denied(e) || is_gone(e) => own.ino == initial,
                Err(e) => return Err(e),
            };
            if !is_hosts {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells whether a process is one that the machine's manager has started in namespaces of its
    /// own: a child of process 1 in a user namespace that root has made (PrivateUsers=,
    /// PrivatePIDs=: systemd.exec(5)). Before Linux 4.11 nobody tells who has made it.
    ///
    /// # Errors
    /// The errno of reading it.
    pub(crate) fn is_managers_child(&self, process: &Process) -> io::Result<bool> {
        if process.stat()?.parent != 1 {
            return Ok(false);
        }
        let userns = process.open_file("ns/user", OFlags::RDONLY)?;
        Ok(userns_owner(userns) == Ok(self.caller.root_uid))
    }

    /// Tells whether what a process calls `/` is the machine's: a container of root's may be in all
    /// other namespaces of the machine, and in a cgroup of any name. What a unit of the machine's
    /// has in a mount namespace of its own is there by the same paths.
    ///
    /// # Errors
    /// The errno of looking at either.
    pub(crate) fn has_machines_root(&self, process: &Process) -> io::Result<bool> {
        let own = process.open_file("root", OFlags::PATH).and_then(id_unasked)?;
        let machines = match self.host.directory() {
            Some(root) => id_unasked(root),
            None => root_id(),
        }?;
        if own == machines {
            self.is_in_mounts_of(process, machines)
        } else {
            Ok(self.is_in_snap(process))
        }
    }

    /// Tells whether a process is in the mount namespace of a snap, by the mount that snapd keeps
    /// it with: snapd:cmd/snap-confine/ns-support.c. What is below /run and /var/snap there is the
    /// machine's, by the same paths.
    fn is_in_snap(&self, process: &Process) -> bool {
        let mounts = process.open_file("ns/mnt", OFlags::PATH).and_then(id_of);
        let Some(mounts) = unless_gone(self.host, process.pid, mounts) else { return false };
        const KEPT: &[u8] = b"/run/snapd/ns";
        self.tree.entries(KEPT).iter().any(|name| {
            let path = join(KEPT, name);
            let kept = self.host.resolve(&path, Symlink::NoFollow).and_then(id_of);
            name.ends_with(b".mnt") && self.host.readable(&path, kept) == Some(mounts)
        })
    }

    /// Tells whether the mount namespace of a process has this root directory: where the machine's
    /// is mounted in a container, chroot(2) leads to it.
    fn is_in_mounts_of(&self, process: &Process, root: NsId) -> io::Result<bool> {
        let mounts = process.open_file("ns/mnt", OFlags::RDONLY)?;
        // No container's process is in that of pid 1, as nearly all daemons are.
        let first = self.host.stat_proc("1/ns/mnt");
        if first.is_ok() && first == id_of(&mounts) {
            return Ok(true);
        }
        let end = Instant::now() + fork::PATIENCE;
        let told = fork::glance(Some(end), &mut || {
            let joined = move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount));
            match joined.and_then(|()| root_id()) {
                Ok(id) => u8::from(id == root),
                Err(_) => UNKNOWN,
            }
        });
        match told {
            Ok(Some(UNKNOWN) | None) => Err(Errno::SRCH),
            Ok(told) => Ok(told == Some(1)),
            Err(error) => {
                self.host.fail(error);
                Ok(false)
            }
        }
    }

    /// Tells whether a process is in a network namespace of a user's making.
    ///
    /// # Errors
    /// The errno of opening it.
    pub(crate) fn is_where_users_are(&self, process: &Process) -> io::Result<bool> {
        let netns = process.open_file("ns/net", OFlags::RDONLY)?;
        Ok(maker_of(netns).is_some_and(is_users))
    }

    /// Tells whether any uid of a process is a user's.
    ///
    /// # Errors
    /// The errno of reading it.
    pub(crate) fn is_users(&self, process: &Process) -> io::Result<bool> {
        let uids = uids_in(&process.read(self.host, "status")?).ok_or(Errno::SRCH)?;
        Ok(uids.into_iter().any(is_users))
    }

    fn is_in_roots_cgroup(&self, process: &Process) -> bool {
        let paths = self.cgroup_paths(process).unwrap_or_default();
        let is_others = |name: &[u8]| name == b"user.slice" || is_containers(name);
        let is_roots = |path: &Vec<u8>| {
            !path.split(|byte| *byte == b'/').any(is_others) && self.has_cgroup(path)
        };
        !paths.is_empty() && paths.iter().all(is_roots)
    }

    fn runs_roots_file(&self, process: &Process) -> bool {
        unless_gone(self.host, process.pid, process.open_file("exe", OFlags::PATH))
            .is_some_and(|exe| self.tree.is_at_its_path(&exe))
    }
}

/// Returns the identity of our own `/`.
fn root_id() -> io::Result<NsId> {
    open_at(CWD, b"/", OFlags::PATH).and_then(id_unasked)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;
    use crate::base::testing::is_root;
    use crate::host::Host;
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    /// Tells whether the process that these words start is root's.
    fn is_roots(words: &[&str]) -> bool {
        let host = Host::own(Console { quiet: true, verbose: false });
        let mut command = Command::new(words[0]);
        // The shell says when it runs.
        let command = command.args(&words[1..]).args(["sh", "-c", "echo; read end; :"]);
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.unwrap();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut String::new()).unwrap();
        let process = Process::open(&host, child.id()).unwrap();
        let is_roots = World::root(&host).has_process(&process);
        drop(child.stdin.take());
        child.wait().unwrap();
        is_roots
    }

    #[test]
    fn uids_alone_prove_nothing() {
        if !is_root() {
            return;
        }
        let host = Host::own(Console { quiet: true, verbose: false });
        let own = World::root(&host);
        let paths = own.cgroup_paths(&Process::open(&host, std::process::id()).unwrap()).unwrap();
        let is_session = |path: &Vec<u8>| path.starts_with(b"/user.slice");
        if own.has_cgroups() && !paths.iter().any(is_session) {
            assert!(is_roots(&["env"]));
            assert!(is_roots(&["unshare", "-m"]));
            // Nobody mounts anything in its namespaces, and it is below the same paths.
            let is_merged = std::fs::read_link("/bin").is_ok_and(|to| to.ends_with("usr/bin"));
            assert!(!is_merged || !is_roots(&["chroot", "/usr"]));
            // A container that has the machine's root directory, and /usr in its own.
            let script = "set -e; mount -t tmpfs none /mnt; cd /mnt; mkdir usr dev host old
                ln -s usr/bin usr/lib usr/lib64 usr/sbin .
                mount --rbind / host; mount --bind /usr usr; mount --rbind /dev dev
                pivot_root . old
                exec perl -e '$| = 1; chroot \"/host\"; chdir \"/\"; print \"\\n\"; <STDIN>'";
            let has_perl = std::fs::exists("/usr/bin/perl").unwrap();
            let words = ["unshare", "-m", "sh", "-c", script, "sh"];
            assert!(!is_merged || !has_perl || !is_roots(&words));
        }
        for words in [
            &["setpriv", "--reuid", "65533"][..],
            &["setpriv", "--ruid", "65533"],
            &["unshare", "-Ur"],
        ] {
            assert!(!is_roots(words), "{words:?}");
        }
        let user = World::user(&host, super::super::User::default());
        let process = Process::open(&host, std::process::id()).unwrap();
        assert!(!user.has_process(&process));
    }

    #[test]
    fn a_set_user_id_program_is_its_callers() {
        use crate::base::testing::Scratch;
        if !is_root() {
            return;
        }
        let scratch = Scratch::new();
        let program = scratch.at("sh");
        // Nothing that another test's thread forks holds it open for writing then.
        let copied = Command::new("cp").arg("/bin/sh").arg(&program).status();
        assert!(copied.unwrap().success());
        let host = Host::own(Console { quiet: true, verbose: false });
        let world = World::root(&host);
        let mut child = Command::new(&program)
            .args(["-c", "echo; read end; :"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut String::new()).unwrap();
        let process = Process::open(&host, child.id()).unwrap();
        assert!(world.runs_roots_file(&process));
        scratch.mode("sh", 0o4755);
        assert!(!world.runs_roots_file(&process));
        scratch.mode("sh", 0o777);
        assert!(!world.runs_roots_file(&process));
        std::fs::remove_file(&program).unwrap();
        assert!(!world.runs_roots_file(&process));
        drop(child.stdin.take());
        child.wait().unwrap();
        assert!(!world.has_process(&process));
    }
}
