//! Whose worlds there are: the caller's, and those of a machine's users.

#![forbid(unsafe_code)]

use super::World;
use crate::base::error::{Error, Result};
use crate::base::read::Content;
use crate::base::text::{join, line_after, lines, number};
use crate::host::Host;
use crate::host::process::Process;
use crate::host::root::Symlink;
use crate::kernel::netns::{INITIAL_USERNS, NetNs, id_at};
use crate::sys::fd::open_at;
use crate::sys::libc::variable;
use crate::sys::nsfs::{owning_userns, userns_owner};
use rustix::fd::AsFd;
use rustix::fs::{CWD, OFlags, fstat, fstatfs};
use rustix::io::{self, Errno};
use rustix::process::{
    DumpableBehavior, Gid, Resource, Rlimit, Uid, getegid, geteuid, set_dumpable_behavior,
    setrlimit,
};
use rustix::thread::{
    CapabilitySet, CapabilitySets, capabilities, set_capabilities, set_no_new_privs,
    set_thread_groups, set_thread_res_gid, set_thread_res_uid,
};
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

/// Overflow uids, which stand for any uid that is not mapped (proc(5), overflowuid), and "unknown".
/// Nobody is taken for a user by one of these.
pub(crate) const OVERFLOW: [u32; 2] = [65534, u32::MAX];

/// Tells whether a network namespace is of the making of the user with this uid.
pub(crate) fn made(uid: u32, netns: &NetNs) -> bool {
    !OVERFLOW.contains(&uid) && netns.is_of_user(uid)
}

/// Returns who has made the user namespace that owns a network namespace. Before Linux 4.11 nobody
/// tells.
pub(crate) fn maker_of(netns: impl AsFd) -> Option<u32> {
    owning_userns(netns).and_then(userns_owner).ok()
}

/// Tells whether a uid is that of people, and not of the machine's own programs.
pub(super) fn is_users(uid: u32) -> bool {
    uid >= FIRST_USER && !OVERFLOW.contains(&uid)
}

/// The first uid of people, as useradd(8) gives them out.
const FIRST_USER: u32 = 1000;
/// More users than this are not asked.
pub(crate) const MOST_USERS: usize = 1000;
/// The memory of a reader: a user's world is as large as the user likes.
const MOST_MEMORY: u64 = 256 << 20;
/// The seconds of a processor that a reader may use. It is ended sooner but before Linux 5.3.
const MOST_WORK: u64 = 10;

/// A user, with what of theirs is looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct User {
    /// As the machine numbers users.
    pub uid: u32,
    /// Their own group; None for one whom /etc/passwd does not know.
    pub gid: Option<u32>,
    /// Further groups.
    pub groups: Vec<u32>,
    /// Their name in /etc/passwd.
    pub name: Option<Vec<u8>>,
    /// Their home directory.
    pub home: Option<Vec<u8>>,
    /// The directory for what lives as long as a login session: `/run/user/UID`.
    pub run: Vec<u8>,
    /// XDG_DATA_HOME and XDG_CONFIG_HOME, where they are known and not below the home directory.
    pub data: Option<Vec<u8>>,
    /// As `data`.
    pub config: Option<Vec<u8>>,
}

impl User {
    fn new(uid: u32) -> User {
        User { uid, run: run_directory(uid), ..User::default() }
    }

    /// Returns the path of `name` in a directory, or else in one of the home directory, if any.
    pub(super) fn below(
        &self,
        directory: Option<&[u8]>,
        in_home: &[u8],
        name: &[u8],
    ) -> Option<Vec<u8>> {
        match (directory, &self.home) {
            (Some(directory), _) => Some(join(directory, name)),
            (None, Some(home)) => Some([home, &b"/"[..], in_home, b"/", name].concat()),
            (None, None) => None,
        }
    }

    /// Tells whether this is one of a machine's users, and not of its services.
    fn is_person(&self) -> bool {
        is_users(self.uid)
    }

    /// Returns who the caller is, as seen from outside our user namespace, by the caller's
    /// environment.
    ///
    /// # Errors
    /// Where /proc/self/uid_map cannot be read.
    pub(crate) fn caller(host: &Host) -> Result<User> {
        let mut uid = geteuid().as_raw();
        if Caller::of(host).is_below {
            let map = uid_map(host).map_err(|e| Error::cannot("read /proc/self/uid_map", e))?;
            uid = outside(&map, uid).unwrap_or(uid);
        }
        let mut user = User::new(uid);
        let path = |name| {
            let path = variable(name).map(OsString::into_vec);
            path.filter(|path| path.starts_with(b"/"))
        };
        user.gid = Some(getegid().as_raw());
        user.run = path("XDG_RUNTIME_DIR").unwrap_or(user.run);
        user.home = path("HOME");
        (user.data, user.config) = (path("XDG_DATA_HOME"), path("XDG_CONFIG_HOME"));
        Ok(user)
    }

    /// Turns this process, one that is about to end, into this user's: with the user's rights and
    /// no capabilities, never to be traced by the user, with limits of memory and work.
    ///
    /// # Errors
    /// The errno of what was refused; the process must end then.
    pub(crate) fn become_this(&self, host: &Host) -> io::Result<()> {
        let gid = match self.gid {
            Some(gid) => gid,
            None => gid_of_session(host, self.uid)?,
        };
        let groups: Vec<Gid> = self.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
        let (uid, gid) = (Uid::from_raw(self.uid), Gid::from_raw(gid));
        let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
        // All but the user's before the user: from then on they may signal us and change our
        // limits.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)?;
        set_no_new_privs(true)?;
        setrlimit(Resource::As, limit(MOST_MEMORY))?;
        setrlimit(Resource::Cpu, limit(MOST_WORK))?;
        setrlimit(Resource::Core, limit(0))?;
        set_thread_groups(&groups)?;
        set_thread_res_gid(gid, gid, gid)?;
        set_thread_res_uid(uid, uid, uid)?;
        // The caller may have kept them from going with the uid: capabilities(7), securebits.
        let none = CapabilitySet::empty();
        set_capabilities(
            None,
            CapabilitySets { effective: none, permitted: none, inheritable: none },
        )?;
        // The change of uids may have undone it.
        set_dumpable_behavior(DumpableBehavior::NotDumpable)
    }
}

fn run_directory(uid: u32) -> Vec<u8> {
    format!("/run/user/{uid}").into_bytes()
}

/// Returns the group of a user's session directory, which root made: it is a plain one, or a tmpfs.
/// What the user may have mounted over it says anything, or does not answer.
fn gid_of_session(host: &Host, uid: u32) -> io::Result<u32> {
    // TMPFS_MAGIC and RAMFS_MAGIC, linux/magic.h
    const MAGICS: [u64; 2] = [0x0102_1994, 0x8584_58f6];
    let directory = host.resolve(&run_directory(uid), Symlink::NoFollow)?;
    let stat = fstat(&directory)?;
    let is_plain = stat.st_dev == fstat(host.resolve(b"/run/user", Symlink::NoFollow)?)?.st_dev;
    let is_roots = is_plain || MAGICS.contains(&(fstatfs(&directory)?.f_type as u64));
    if is_roots && stat.st_uid == uid { Ok(stat.st_gid) } else { Err(Errno::PERM) }
}

/// Returns the users of a machine and whether there are more: those in /run/user and in
/// /etc/passwd, each once, but no more than [`MOST_USERS`], those with a session first, then in the
/// order of their uids. What is not read of them, [`Host::check`] tells.
pub(crate) fn all(roots: &World<'_>) -> (Vec<User>, bool) {
    let (mut users, sessions) = known(roots);
    users.retain(User::is_person);
    // Of several lines with one uid the first is meant.
    users.sort_by_key(|user| (!sessions.contains(&user.uid), user.uid));
    users.dedup_by_key(|user| user.uid);
    let is_cut = users.len() > MOST_USERS;
    users.truncate(MOST_USERS);
    add_groups(roots, &mut users);
    (users, is_cut)
}

/// Returns the user whom a word means, a uid or a name of /etc/passwd.
pub(crate) fn named(roots: &World<'_>, word: &[u8]) -> Option<User> {
    let uid = id_of(word);
    let (mut users, _) = known(roots);
    let at = users.iter().position(|known| match uid {
        Some(uid) => known.uid == uid,
        None => known.name.as_deref() == Some(word),
    })?;
    let user = &mut users[at];
    if !user.is_person() {
        return None;
    }
    add_groups(roots, std::slice::from_mut(user));
    Some(users.swap_remove(at))
}

/// Returns the users in /etc/passwd, then those who have a session; and the uids of the latter.
fn known(roots: &World<'_>) -> (Vec<User>, Vec<u32>) {
    let mut users = Vec::new();
    if let Some(passwd) = roots.file(b"/etc/passwd") {
        users.extend(lines(&passwd.bytes).filter_map(parse_passwd));
    }
    let mut sessions = Vec::new();
    for uid in roots.entries(b"/run/user").iter().filter_map(|name| id_of(name)) {
        users.push(User::new(uid));
        sessions.push(uid);
    }
    (users, sessions)
}

/// Returns the uid or gid that digits mean.
fn id_of(digits: &[u8]) -> Option<u32> {
    number(digits)?.try_into().ok()
}

fn add_groups(roots: &World<'_>, users: &mut [User]) {
    let Some(group) = roots.file(b"/etc/group") else { return };
    for (gid, members) in lines(&group.bytes).filter_map(parse_group) {
        for member in members.split(|byte| *byte == b',').filter(|name| !name.is_empty()) {
            for user in users.iter_mut().filter(|user| user.name.as_deref() == Some(member)) {
                user.groups.push(gid);
            }
        }
    }
}

/// Parses a line of passwd(5).
pub fn parse_passwd(line: &[u8]) -> Option<User> {
    let mut fields = line.split(|byte| *byte == b':');
    let (name, _, uid, gid) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    // The shell ends a line that is whole.
    let (home, _shell) = (fields.nth(1)?, fields.next()?);
    if fields.next().is_some() {
        return None;
    }
    let gid = id_of(gid)?;
    let mut user = User::new(id_of(uid)?);
    user.gid = Some(gid);
    user.name = Some(name.to_vec());
    if home.starts_with(b"/") {
        user.home = Some(home.to_vec());
    }
    Some(user)
}

/// Parses a line of group(5): its gid and its members.
fn parse_group(line: &[u8]) -> Option<(u32, &[u8])> {
    let mut fields = line.split(|byte| *byte == b':').skip(2);
    Some((id_of(fields.next()?)?, fields.next()?))
}

/// Reads which ids of our user namespace are which outside: user_namespaces(7).
fn uid_map(host: &Host) -> io::Result<Content<'_>> {
    let file = open_at(CWD, b"/proc/self/uid_map", OFlags::RDONLY)?;
    host.buffer.read_all(file, 4095, 1 << 20)
}

/// Returns what an id of our user namespace is outside of it.
fn outside(map: &[u8], id: u32) -> Option<u32> {
    ranges(map).find_map(|(inside, outside, count)| moved(id, inside, outside, count))
}

/// Returns what an id of the user namespace above is in ours.
fn inside(map: &[u8], id: u32) -> Option<u32> {
    ranges(map).find_map(|(inside, outside, count)| moved(id, outside, inside, count))
}

fn moved(id: u32, from: u64, to: u64, count: u64) -> Option<u32> {
    let at = u64::from(id).checked_sub(from).filter(|at| *at < count)?;
    (to + at).try_into().ok()
}

fn ranges(map: &[u8]) -> impl Iterator<Item = (u64, u64, u64)> {
    lines(map).filter_map(|line| {
        let fields = line.split(u8::is_ascii_whitespace).filter(|field| !field.is_empty());
        let mut fields = fields.filter_map(number);
        Some((fields.next()?, fields.next()?, fields.next()?))
    })
}

/// Who the caller is to a machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Whether the caller has CAP_SYS_ADMIN in the user namespace of the machine's pid 1.
    pub(crate) is_root: bool,
    /// The uid that root's files have here: in a user namespace of the caller's own another than
    /// 0.
    pub(crate) root_uid: u32,
    /// Whether the caller is in a user namespace below the machine's.
    is_below: bool,
}

impl Caller {
    /// Looks at our user namespace, that of the machine's pid 1 and our capabilities.
    pub(crate) fn of(host: &Host) -> Caller {
        let own = id_at(CWD, b"/proc/self/ns/user").ok();
        let first = host.stat_proc("1/ns/user").ok();
        let is_machines = match (own, first) {
            (Some(own), Some(first)) => own == first,
            (Some(own), None) => own.ino == INITIAL_USERNS,
            (None, _) => true,
        };
        let has_rights =
            capabilities(None).is_ok_and(|sets| sets.effective.contains(CapabilitySet::SYS_ADMIN));
        let mut caller =
            Caller { is_root: is_machines && has_rights, root_uid: 0, is_below: false };
        // In a container that is a machine of its own, its users are in its user namespace.
        if !is_machines {
            let root = owner_of_first(host);
            caller.is_below = first.is_some() || root.is_none_or(|uid| OVERFLOW.contains(&uid));
        }
        if caller.is_below {
            let root = uid_map(host).ok().and_then(|map| inside(&map, 0));
            caller.root_uid = root.unwrap_or(OVERFLOW[0]);
        }
        caller
    }
}

/// Returns the uid of the machine's pid 1; where it is hidden, the owner of `/`.
fn owner_of_first(host: &Host) -> Option<u32> {
    let root = || host.resolve(b"/", Symlink::NoFollow).and_then(fstat).map(|stat| stat.st_uid);
    Process::open(host, 1).and_then(|first| first.owner()).or_else(|_| root()).ok()
}

/// Returns the four uids of a process: proc_pid_status(5), Uid.
pub(crate) fn uids_in(status: &[u8]) -> Option<[u32; 4]> {
    let line = line_after(status, b"Uid:")?;
    let mut ids = line.split(|byte| *byte == b'\t').filter_map(id_of);
    Some([ids.next()?, ids.next()?, ids.next()?, ids.next()?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;
    use crate::base::testing::alone;

    #[test]
    fn users_are_read_from_passwd() {
        let ann = parse_passwd(b"ann:x:1000:1001::/home/ann:/bin/sh").unwrap();
        assert_eq!((ann.uid, ann.gid, &ann.run[..]), (1000, Some(1001), &b"/run/user/1000"[..]));
        assert_eq!(ann.home.as_deref(), Some(&b"/home/ann"[..]));
        for broken in ["broken:x", "", "a:x:x:0::/:/", "a:x:1:2::/home"] {
            assert!(parse_passwd(broken.as_bytes()).is_none(), "{broken}");
        }
        assert!(parse_passwd(b"a:x:1:2::home:/bin/sh").unwrap().home.is_none());
    }

    #[test]
    fn groups_have_members() {
        assert_eq!(parse_group(b"docker:x:998:ann,bob"), Some((998, &b"ann,bob"[..])));
        assert_eq!(parse_group(b"docker:x"), None);
    }

    #[test]
    fn ids_are_told_from_outside() {
        let map = b"         0       1000          1\n         1     100000      65536\n";
        assert_eq!([outside(map, 0), outside(map, 5)], [Some(1000), Some(100_004)]);
        assert_eq!(outside(map, 70_000), None);
        assert_eq!(outside(b"         0          0 4294967295\n", 42), Some(42));
        assert_eq!([inside(map, 1000), inside(map, 100_004)], [Some(0), Some(5)]);
        assert_eq!(inside(map, 0), None);
    }

    #[test]
    fn a_process_has_four_uids() {
        let status = b"Name:\tx\nUid:\t0\t1000\t0\t0\nGid:\t0\n";
        assert_eq!(uids_in(status), Some([0, 1000, 0, 0]));
        assert_eq!(uids_in(b"Uid:\t0\t0\n"), None);
    }

    #[test]
    fn users_have_a_session_or_are_in_passwd() {
        alone("containers::world::users::tests::in_a_mount_namespace::of_a_machine", "");
    }

    mod in_a_mount_namespace {
        use super::*;
        use crate::base::testing::Scratch;

        #[test]
        #[ignore = "run by users_have_a_session_or_are_in_passwd"]
        fn of_a_machine() {
            let scratch = Scratch::new();
            let person =
                |name: &str, uid: u32| format!("{name}:x:{uid}:{uid}::/home/{name}:/bin/sh\n");
            let mut passwd = String::from("root:x:0:0::/root:/bin/sh\nbroken\n:::::\n");
            for (name, uid) in [("ann", 5000), ("bob", 1000), ("daemon", 999), ("nobody", 65534)] {
                passwd += &person(name, uid);
            }
            passwd += &person("twin", 1000);
            passwd += &person("1000", 1003);
            scratch.file("etc/passwd", &passwd);
            scratch
                .file("etc/group", "docker:x:998:ann,bob,root\nall:x:100:bob\nempty:x:7:\nodd\n");
            for name in ["5000", "6000", "0", "999", "65534", "4294967295", "x", "99999999999"] {
                scratch.directory(&format!("run/user/{name}"));
            }
            scratch.owner("run/user/6000", 6000, 6001);
            scratch.mount_proc();
            let console = Console { quiet: true, verbose: false };
            let host = Host::mounted_at(&scratch.path(""), console).unwrap();
            let roots = World::root(&host);
            let (mut users, are_more) = all(&roots);
            users.sort_by_key(|user| user.uid);
            let of = |user: &User| (user.uid, user.gid, user.groups.len(), user.home.is_some());
            let expected = [
                (1000, Some(1000), 2, true),
                (1003, Some(1003), 0, true),
                (5000, Some(5000), 1, true),
                (6000, None, 0, false),
            ];
            assert_eq!(
                (users.iter().map(of).collect::<Vec<_>>(), are_more),
                (expected.to_vec(), false)
            );
            assert_eq!(
                (&users[0].run[..], users[0].name.as_deref()),
                (&b"/run/user/1000"[..], Some(&b"bob"[..]))
            );
            let named = |word: &str| named(&roots, word.as_bytes()).map(|user| user.uid);
            for (word, uid) in
                [("bob", 1000), ("twin", 1000), ("1000", 1000), ("5000", 5000), ("6000", 6000)]
            {
                assert_eq!(named(word), Some(uid), "{word}");
            }
            for word in [
                "root",
                "0",
                "daemon",
                "999",
                "nobody",
                "65534",
                "7000",
                "",
                "x",
                "4294967295",
                "../1",
            ] {
                assert_eq!(named(word), None, "{word}");
            }
            assert_eq!(gid_of_session(&host, 6000), Ok(6001));
            assert!(gid_of_session(&host, 5000).is_err(), "it is root's");
            assert!(gid_of_session(&host, 7000).is_err());
            // More than are asked: those with a session go first.
            passwd.extend((10_000..12_000).map(|uid| person("many", uid)));
            scratch.file("etc/passwd", &passwd);
            let (users, are_more) = all(&roots);
            assert!(are_more && users.len() == MOST_USERS);
            assert!(users.iter().any(|user| user.uid == 6000));
            assert_eq!(named("11999"), Some(11_999));
            // A file that others can write names nobody.
            scratch.mode("etc/passwd", 0o666);
            assert_eq!(named("bob"), None);
        }
    }
}
