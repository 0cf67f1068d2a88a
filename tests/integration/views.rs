//! What COMMAND sees under `--sys` and `--dns`, and that nobody else sees anything of it.
//!
//! Each test has a thread with a mount namespace of its own, in which /run is empty and /etc a
//! copy, so the machine's own are neither touched nor relied on. Containers are busybox in a root
//! directory of its own, but for the live engine's.

#![forbid(unsafe_code)]

use crate::engines::alone_with_daemons;
use crate::engines::docker::Docker;
use crate::machine::script;
use crate::net::interface;
use crate::util::{
    self, Output, Scratch, Sleeper, USER, as_user, ask, binary, busybox_root, command_refuses,
    finish, lacks, make_executable, program, run, skip, small_build, tool, unique, until,
};
use std::fs;
use std::net::UdpSocket;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

const MINE: &str = "nameserver 192.0.2.53\nsearch ne-test\n";
const HOSTS: &str = "192.0.2.9 ne-neighbour\n";
/// What stands in the caller's /etc/resolv.conf.
const CALLERS: &str = "nameserver 198.51.100.1\n";

/// /run empty and shared, /etc a copy with [`CALLERS`], all else as it is.
const PREPARE: &str = r"
    mount -t tmpfs none /run
    mkdir /run/etc; mount -t tmpfs none /run/etc
    for f in passwd group ld.so.cache alternatives services protocols; do
        cp -a /etc/$f /run/etc/ 2>/dev/null || :
    done
    printf 'passwd: files\nhosts: resolve [!UNAVAIL=return] mymachines files\n' >/run/etc/nsswitch.conf
    printf 'nameserver 198.51.100.1\n' >/run/etc/resolv.conf; printf '127.0.0.1 localhost\n' >/run/etc/hosts
    mount --move /run/etc /etc; rmdir /run/etc; mount --make-shared /run; mount --make-shared /etc";

/// Runs `test` in a thread with mounts of its own, as [`PREPARE`] makes them.
fn apart(test: impl FnOnce() + Send + 'static) {
    util::apart(PREPARE, test);
}

/// Whether the machine cannot do this; skips then.
#[track_caller]
fn cannot_run(more: &[&str]) -> bool {
    lacks(&[&["unshare", "mount", "chroot", "busybox"], more].concat())
}

/// Something that looks like a container: a process in namespaces and in a root directory of its
/// own, with /proc and /sys.
struct Container {
    sleeper: Sleeper,
    _scratch: Scratch,
    /// Its root directory, as we see it.
    root: String,
}

impl Container {
    /// `prepare` gets its root directory, which has an empty /etc.
    fn new(prepare: impl FnOnce(&Path)) -> Container {
        let scratch = Scratch::new("view");
        let root = busybox_root(&scratch).unwrap();
        prepare(Path::new(&root));
        let script = "mount -t proc proc $1/proc && mount -t sysfs sysfs $1/sys && exec chroot $1 /bin/sleep 3600";
        let mut command = Command::new("unshare");
        let sleeper = Sleeper::spawn(command.args(["-nm", "sh", "-c", script, "sh", &root]));
        Container { sleeper, _scratch: scratch, root }
    }

    fn usual() -> Container {
        Container::new(|root| {
            fs::write(root.join("etc/resolv.conf"), MINE).unwrap();
            fs::write(root.join("etc/hosts"), HOSTS).unwrap();
        })
    }

    fn pid(&self) -> String {
        self.sleeper.word()
    }

    /// `netns-enter --pid PID OPTIONS... -- sh -c SCRIPT`.
    fn run(&self, options: &[&str], script: &str) -> Output {
        let mut command = program();
        command.args(["--pid", &self.pid()]).args(options).args(["--", "sh", "-c", script]);
        finish(command)
    }

    /// `cat /etc/resolv.conf` prints this there.
    #[track_caller]
    fn shows(&self, resolv_conf: &str) -> Output {
        let output = self.run(&["--dns"], "cat /etc/resolv.conf");
        output.succeeds().prints(resolv_conf);
        output
    }
}

#[test]
fn names_are_resolved_by_the_containers_files() {
    if cannot_run(&[]) {
        return;
    }
    apart(|| {
        let container = Container::usual();
        let seen = container.run(
            &["--dns"],
            "cat /etc/resolv.conf /etc/hosts /etc/nsswitch.conf; readlink /proc/self/ns/net",
        );
        seen.succeeds().prints(&format!(
            "{MINE}{HOSTS}passwd: files\nhosts: files dns\n{}",
            container.sleeper.ns()
        ));
        assert!(seen.stderr.is_empty(), "{}", seen.dump());
        // Whatever the umask, whoever COMMAND becomes.
        let mut command = Command::new("sh");
        command.args(["-c", "umask 077; \"$@\"", "sh"]).arg(binary()).args([
            "-p",
            &container.pid(),
            "--dns",
        ]);
        command.args([
            "--",
            "sh",
            "-c",
            "umask; stat -c '%a %u' /etc/resolv.conf /etc/hosts /etc/nsswitch.conf",
        ]);
        finish(command).succeeds().prints("0077\n644 0\n644 0\n644 0");
        fs::remove_file("/etc/nsswitch.conf").unwrap();
        container
            .run(&["--dns"], "cat /etc/resolv.conf; ls /etc/nsswitch.conf 2>/dev/null")
            .prints(MINE);
        assert_eq!(fs::read_to_string("/etc/resolv.conf").unwrap(), CALLERS);
        // It is the container that a name means, too, and the lowest process of a namespace file.
        let file = format!("/proc/{}/ns/net", container.pid());
        run(&["--file", &file, "--dns", "cat", "/etc/resolv.conf"]).succeeds().prints(MINE);
        run(&["-i", &container.sleeper.ns(), "--dns", "cat", "/etc/resolv.conf"])
            .succeeds()
            .prints(MINE);
    });
}

#[test]
fn links_are_followed_inside_the_container_only() {
    if cannot_run(&[]) {
        return;
    }
    apart(|| {
        for target in [
            "/run/resolvconf/resolv.conf",
            "../run/resolvconf/resolv.conf",
            "../../../run/resolvconf/resolv.conf",
        ] {
            let container = Container::new(|root| {
                fs::create_dir_all(root.join("run/resolvconf")).unwrap();
                fs::write(root.join("run/resolvconf/resolv.conf"), MINE).unwrap();
                symlink(target, root.join("etc/resolv.conf")).unwrap();
            });
            container.shows(MINE);
        }
        let container = Container::new(|root| {
            fs::rename(root.join("etc"), root.join("usr-etc")).unwrap();
            fs::write(root.join("usr-etc/resolv.conf"), MINE).unwrap();
            symlink("/usr-etc", root.join("etc")).unwrap();
        });
        container.shows(MINE);
    });
}

/// A container with an /etc that means harm, and what is said about it.
type Evil = (&'static str, fn(&Path), &'static [&'static str]);

const EVIL: &[Evil] = &[
    ("link to /etc/shadow", |root| link("/etc/shadow", root), &["dangling"]),
    ("link up and out", |root| link("../../../etc/shadow", root), &["dangling"]),
    ("link to the secret", |root| link("/run/secret", root), &["dangling"]),
    ("link through proc", |root| link("/proc/1/root/etc/shadow", root), &["/etc/resolv.conf"]),
    (
        "link through its own proc",
        |root| link("/proc/self/root/run/secret", root),
        &["through /proc"],
    ),
    (
        "link through a working directory",
        |root| link("/proc/1/cwd/etc/shadow", root),
        &["/etc/resolv.conf"],
    ),
    ("link to the kernel's log", |root| link("/proc/kmsg", root), &["not a file on disk"]),
    ("link to sysfs", |root| link("/sys/kernel/uevent_seqnum", root), &["not a file on disk"]),
    ("loop", |root| link("resolv.conf", root), &["loops"]),
    ("dangling", |root| link("/nowhere", root), &["dangling"]),
    ("FIFO", |root| make(&["mkfifo"], root, "etc/resolv.conf"), &["is a FIFO"]),
    (
        "link to a FIFO",
        |root| (make(&["mkfifo"], root, "fifo"), link("/fifo", root)).1,
        &["is a FIFO"],
    ),
    ("device", |root| make(&["mknod", "-m", "666"], root, "etc/resolv.conf"), &["is a device"]),
    (
        "link to a device",
        |root| (make(&["mknod", "-m", "666"], root, "dev/zero"), link("/dev/zero", root)).1,
        &["is a device"],
    ),
    // To open this fails, and to open others has effects: only what was never opened is called by
    // its kind.
    (
        "device without a driver",
        |root| {
            drop(tool("mknod", &[root.join("etc/resolv.conf").to_str().unwrap(), "c", "4000", "1"]))
        },
        &["is a device"],
    ),
    (
        "socket",
        |root| drop(UnixListener::bind(root.join("etc/resolv.conf")).unwrap()),
        &["is a socket"],
    ),
    (
        "directory",
        |root| fs::create_dir(root.join("etc/resolv.conf")).unwrap(),
        &["is a directory"],
    ),
    (
        "1 GiB",
        |root| fs::File::create(root.join("etc/resolv.conf")).unwrap().set_len(1 << 30).unwrap(),
        &["larger than 1 MiB"],
    ),
    (
        "1 MiB and a byte",
        |root| fs::write(root.join("etc/resolv.conf"), vec![b'#'; (1 << 20) + 1]).unwrap(),
        &["larger than 1 MiB"],
    ),
    (
        "hosts, too",
        |root| symlink("/proc/self/root/etc/shadow", root.join("etc/hosts")).unwrap(),
        &["/etc/hosts", "through /proc"],
    ),
    ("etc through proc", |root| etc("/proc/self/root/etc", root), &["through /proc"]),
    ("etc up and out", |root| etc("../../../../etc", root), &["loops"]),
    ("etc dangling", |root| etc("/nowhere", root), &["dangling"]),
    (
        "etc a file",
        |root| {
            (fs::remove_dir(root.join("etc")).unwrap(), fs::write(root.join("etc"), "").unwrap()).1
        },
        &["/etc"],
    ),
];

fn link(target: &str, root: &Path) {
    symlink(target, root.join("etc/resolv.conf")).unwrap();
}

fn etc(target: &str, root: &Path) {
    fs::remove_dir(root.join("etc")).unwrap();
    symlink(target, root.join("etc")).unwrap();
}

/// A FIFO, or /dev/zero.
fn make(command: &[&str], root: &Path, name: &str) {
    let path = root.join(name);
    let numbers: &[&str] = if command[0] == "mknod" { &["c", "1", "5"] } else { &[] };
    ask(&[command, &[path.to_str().unwrap()], numbers].concat()).unwrap();
}

#[test]
fn nothing_planted_in_a_container_is_shown_or_opened() {
    if cannot_run(&[]) {
        return;
    }
    apart(|| {
        let secret = unique("secret");
        for path in ["/run/secret", "/etc/shadow"] {
            fs::write(path, &secret).unwrap();
        }
        for (what, prepare, words) in EVIL {
            let container = Container::new(prepare);
            let mut command = program();
            command.args(["--pid", &container.pid(), "--dns"]);
            let said = command_refuses(command, words);
            assert!(!said.contains(&secret), "{what}: {said}");
        }
    });
}

#[test]
fn without_openat2_no_link_is_followed_and_plain_files_are_read() {
    if cannot_run(&["strace"]) {
        return;
    }
    let old = |pid: &str| {
        let mut command = Command::new("strace");
        command.args([
            "-qqfo",
            "/dev/null",
            "-e",
            "trace=openat2",
            "-e",
            "inject=openat2:error=ENOSYS",
        ]);
        command.arg(binary()).args(["--pid", pid, "--dns"]);
        command
    };
    apart(move || {
        let container = Container::usual();
        let mut command = old(&container.pid());
        command.args(["--", "cat", "/etc/resolv.conf", "/etc/hosts"]);
        finish(command).succeeds().prints(&format!("{MINE}{HOSTS}"));
        for (what, prepare, _) in EVIL {
            let container = Container::new(prepare);
            let said = command_refuses(old(&container.pid()), &[]);
            assert!(!said.is_empty(), "{what}");
        }
        let container = Container::new(|root| {
            fs::write(root.join("resolv.conf"), MINE).unwrap();
            link("/resolv.conf", root);
        });
        command_refuses(old(&container.pid()), &["before 5.6"]);
    });
}

#[test]
fn a_file_that_the_container_lacks_is_empty() {
    if cannot_run(&[]) {
        return;
    }
    apart(|| {
        let script = "wc -c </etc/resolv.conf; wc -c </etc/hosts";
        let bare = Container::new(|_| ());
        let seen = bare.run(&["--dns"], script);
        seen.succeeds().prints("0\n0").says(&[
            "note: ",
            "has no \"/etc/resolv.conf\"",
            "has no \"/etc/hosts\"",
        ]);
        let barer = Container::new(|root| fs::remove_dir(root.join("etc")).unwrap());
        barer
            .run(&["--dns"], script)
            .succeeds()
            .prints("0\n0")
            .says(&["has no \"/etc/resolv.conf\""]);
        let quiet = barer.run(&["--dns", "-q"], script);
        assert!(quiet.succeeds().stderr.is_empty(), "{}", quiet.dump());
        // Empty and absent are the same to libc: nothing has to be made for it.
        fs::remove_file("/etc/resolv.conf").unwrap();
        barer
            .run(
                &["--dns"],
                "ls /etc/resolv.conf 2>/dev/null; grep -c ' /etc .* overlay ' /proc/self/mountinfo",
            )
            .prints("0");
    });
}

#[test]
fn a_bare_process_with_files_of_its_own() {
    if cannot_run(&[]) {
        return;
    }
    apart(|| {
        fs::write("/run/theirs", MINE).unwrap();
        let mut command = Command::new("unshare");
        command.args([
            "-nm",
            "sh",
            "-c",
            "mount --bind /run/theirs /etc/resolv.conf; exec sleep 3600",
        ]);
        let sleeper = Sleeper::spawn(&mut command);
        run(&["-p", &sleeper.word(), "--dns", "cat", "/etc/resolv.conf"]).succeeds().prints(MINE);
        // One with nothing of its own has the caller's.
        let plain = Sleeper::start();
        run(&["-p", &plain.word(), "--dns", "cat", "/etc/resolv.conf"]).succeeds().prints(CALLERS);
    });
}

#[test]
fn a_pinned_name_has_its_files_in_etc_netns() {
    if cannot_run(&["ip"]) {
        return;
    }
    apart(|| {
        ask(&["ip", "netns", "add", "blue"]).unwrap();
        let cat = |options: &[&str], files: &[&str]| {
            let mut command = program();
            finish(command.args(options).args(["--dns", "--", "cat"]).args(files))
        };
        cat(&["-n", "blue"], &["/etc/resolv.conf"])
            .refuses(&["no process", "/etc/netns/blue/resolv.conf"]);
        fs::create_dir_all("/etc/netns/blue/extra").unwrap();
        fs::write("/etc/netns/blue/resolv.conf", MINE).unwrap();
        for name in [&["-n", "blue"][..], &["blue"]] {
            let files = ["/etc/resolv.conf", "/etc/hosts", "/etc/nsswitch.conf"];
            let seen = cat(name, &files);
            seen.succeeds()
                .prints(&format!("{MINE}127.0.0.1 localhost\npasswd: files\nhosts: files dns\n"));
            assert!(seen.stderr.is_empty(), "{}", seen.dump());
            // What `ip netns exec` shows, but for nsswitch.conf.
            let theirs =
                tool("ip", &["netns", "exec", "blue", "cat", "/etc/resolv.conf", "/etc/hosts"]);
            theirs.succeeds().prints(cat(name, &files[..2]).stdout.as_str());
        }
        // Others, where there is a place for them; its own nsswitch.conf as it stands.
        fs::write("/etc/netns/blue/services", "x 1/tcp\n").unwrap();
        fs::write("/etc/services", "y 1/tcp\n").unwrap();
        fs::write("/etc/netns/blue/no-such", "z\n").unwrap();
        fs::write("/etc/netns/blue/nsswitch.conf", "hosts: files\n").unwrap();
        let seen = cat(&["-n", "blue"], &["/etc/services", "/etc/nsswitch.conf"]);
        seen.succeeds().prints("x 1/tcp\nhosts: files").says(&["no \"/etc/no-such\""]);
        // Without the directory, a process in the namespace is asked.
        fs::remove_dir_all("/etc/netns").unwrap();
        fs::write("/run/theirs", MINE).unwrap();
        let mut command = Command::new("nsenter");
        command.args(["--net=/run/netns/blue", "unshare", "-m", "sh", "-c"]);
        let _theirs = Sleeper::spawn(
            command.arg("mount --bind /run/theirs /etc/resolv.conf; exec sleep 3600"),
        );
        cat(&["-n", "blue"], &["/etc/resolv.conf"]).succeeds().prints(MINE);
    });
}

#[test]
fn whatever_the_callers_resolv_conf_is() {
    if cannot_run(&["strace"]) {
        return;
    }
    apart(|| {
        let container = Container::usual();
        // A link to a file that systemd-resolved renames a new one over.
        fs::create_dir_all("/run/systemd/resolve").unwrap();
        fs::write("/run/systemd/resolve/stub-resolv.conf", CALLERS).unwrap();
        for target in [
            "/run/systemd/resolve/stub-resolv.conf",
            "../run/systemd/resolve/stub-resolv.conf",
            "/nowhere",
        ] {
            fs::remove_file("/etc/resolv.conf").unwrap();
            symlink(target, "/etc/resolv.conf").unwrap();
            container.shows(MINE);
            assert_eq!(fs::read_link("/etc/resolv.conf").unwrap(), Path::new(target));
        }
        let script = "cat /etc/resolv.conf; mv /run/new /run/systemd/resolve/stub-resolv.conf 2>/dev/null; cat /etc/resolv.conf";
        fs::write("/run/new", "nameserver 203.0.113.1\n").unwrap();
        container.run(&["--dns"], script).prints(&format!("{MINE}{MINE}"));
        // None at all: an overlay, with what is mounted below /etc, and with all the files.
        fs::remove_file("/etc/resolv.conf").unwrap();
        fs::write("/etc/own", "own\n").unwrap();
        fs::create_dir("/etc/mounted").unwrap();
        ask(&["mount", "-t", "tmpfs", "none", "/etc/mounted"]).unwrap();
        fs::write("/etc/mounted/file", "below\n").unwrap();
        fs::write("/run/hosts", "bound over\n").unwrap();
        ask(&["mount", "--bind", "/run/hosts", "/etc/hosts"]).unwrap();
        let script = "cd /etc && cat resolv.conf hosts nsswitch.conf own mounted/file; pwd; ls -d copies empty; : >x";
        let seen = container.run(&["--dns"], script);
        seen.prints(&format!("{MINE}{HOSTS}passwd: files\nhosts: files dns\nown\nbelow\n/etc"));
        assert!(
            !seen.status.success() && !Path::new("/etc/x").exists(),
            "it is to be read-only\n{}",
            seen.dump()
        );
        assert!(!Path::new("/etc/resolv.conf").exists(), "{}", seen.dump());
        // Where there is no overlayfs.
        let mut command = Command::new("strace");
        command.args([
            "-qqo",
            "/dev/null",
            "-e",
            "trace=mount",
            "-e",
            &format!("inject=mount:error=ENODEV:when={}", mount_of("overlay", &container)),
        ]);
        command.arg(binary()).args(["-p", &container.pid(), "--dns"]);
        command_refuses(command, &["overlay", "resolv.conf", "touch /etc/resolv.conf"]);
        // No /etc either.
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", "mount -t tmpfs none /etc; \"$@\"", "sh"]).arg(binary());
        command.args(["-p", &container.pid(), "--dns", "--", "cat", "/etc/resolv.conf"]);
        finish(command).succeeds().prints(MINE);
    });
}

/// The how-manieth mount(2) of a run makes a file system of this kind.
fn mount_of(kind: &str, container: &Container) -> usize {
    let mut command = Command::new("strace");
    command.args(["-qqo", "/run/log", "-e", "trace=mount"]).arg(binary());
    command.args(["-p", &container.pid(), "--dns", "true"]);
    finish(command).succeeds();
    let log = fs::read_to_string("/run/log").unwrap();
    let at = log
        .lines()
        .filter(|line| line.starts_with("mount("))
        .position(|line| line.contains(&format!("\"{kind}\"")));
    at.unwrap_or_else(|| panic!("no {kind} in\n{log}")) + 1
}

#[test]
fn the_hosts_resolvers_cannot_be_reached() {
    if cannot_run(&[]) {
        return;
    }
    apart(|| {
        let container = Container::usual();
        let dirs = ["/run/nscd", "/run/systemd/resolve"];
        let sockets = ["/run/nscd/socket", "/run/systemd/resolve/io.systemd.Resolve"];
        dirs.iter().for_each(|dir| fs::create_dir_all(dir).unwrap());
        let _listeners = sockets.map(|path| UnixListener::bind(path).unwrap());
        let seen = container.run(
            &["--dns"],
            "ls -A /run/nscd /run/systemd/resolve /var/run/nscd; ls -d /run/systemd/*",
        );
        seen.succeeds()
            .prints("/run/nscd:\n\n/run/systemd/resolve:\n\n/var/run/nscd:\n/run/systemd/resolve");
        container.run(&[], "ls -A /run/nscd").succeeds().prints("socket");
        // A /var/run that is no link.
        ask(&["mount", "-t", "tmpfs", "none", "/var"]).unwrap();
        fs::create_dir_all("/var/run/nscd").unwrap();
        let _third = UnixListener::bind("/var/run/nscd/socket").unwrap();
        container
            .run(&["--dns"], "ls -A /var/run/nscd /run/nscd")
            .succeeds()
            .prints("/run/nscd:\n\n/var/run/nscd:");
        container.run(&[], "ls -A /var/run/nscd").succeeds().prints("socket");
    });
}

#[test]
fn nobody_else_sees_a_mount_and_nothing_is_left() {
    if cannot_run(&["find"]) {
        return;
    }
    apart(|| {
        fs::copy(binary(), "/run/netns-enter").unwrap();
        // With /tmp of our own, only we are at work in it, and nothing of ours is left in the
        // other.
        ask(&["mount", "-t", "tmpfs", "none", "/tmp"]).unwrap();
        let container = Container::usual();
        // As on a host with systemd: all is shared.
        ask(&["sh", "-c", "mount --make-rshared / && mkdir /run/nscd"]).unwrap();
        let sibling = Sleeper::spawn(Command::new("unshare").args([
            "-m",
            "--propagation",
            "slave",
            "sleep",
            "3600",
        ]));
        let table = |pid: u32| fs::read_to_string(format!("/proc/{pid}/mountinfo")).unwrap();
        let own = || fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        let files =
            || ask(&["find", "/tmp", "/run", "/etc", "-printf", "%p %i %s %m %T@ %l\n"]).unwrap();
        let before = (table(sibling.pid), own(), table(container.sleeper.pid), files());
        for missing in [false, true] {
            let before = if missing {
                fs::remove_file("/etc/resolv.conf").unwrap();
                (before.0.clone(), before.1.clone(), before.2.clone(), files())
            } else {
                before.clone()
            };
            for options in [&["--sys"][..], &["--dns"], &["--sys", "--dns"]] {
                let mut command = Command::new("/run/netns-enter");
                command.args(["-p", &container.pid()]).args(options).args(["--", "sh", "-c"]);
                command.arg(format!(
                    "cat /proc/{}/mountinfo; echo; cat /proc/{}/mountinfo",
                    sibling.pid,
                    container.pid()
                ));
                let during = finish(command);
                during.succeeds().prints(&format!("{}\n{}", before.0, before.2));
                assert_eq!(
                    (table(sibling.pid), own(), table(container.sleeper.pid), files()),
                    before,
                    "{options:?}"
                );
            }
        }
    });
}

/// What the host mounts later is there for COMMAND, too: only the other way nothing passes.
#[test]
fn what_is_mounted_later_still_appears() {
    if cannot_run(&[]) {
        return;
    }
    apart(|| {
        let container = Container::usual();
        fs::create_dir("/run/later").unwrap();
        let script =
            "touch /run/ready; until [ -e /run/later/it ]; do sleep 0.02; done; ls /run/later";
        let command = thread::spawn(move || container.run(&["--sys", "--dns"], script));
        until("COMMAND runs", || Path::new("/run/ready").exists());
        ask(&["mount", "-t", "tmpfs", "none", "/run/later"]).unwrap();
        fs::write("/run/later/it", "").unwrap();
        command.join().unwrap().succeeds().prints("it");
    });
}

/// A process that has gone to another namespace, as another process of its number would be, has
/// nothing to say of this one.
#[test]
fn a_process_that_is_elsewhere_meanwhile_is_not_asked() {
    if cannot_run(&["strace", "pgrep"]) {
        return;
    }
    let text = r#"
ip netns add blue
unshare -n sh -c 'until [ -e /run/go ]; do sleep 0.01; done; exec nsenter --net=/run/netns/blue sleep 3600' &
mover=$!
until [ "$(readlink /proc/$mover/ns/net)" != "$own" ]; do sleep 0.01; done
# With the namespace open, and looked at: the libc may have looked at files of its own before.
strace -o /run/calls "$1" --pid $mover --dns -- true
nth=$(awk '/ns\/net"/ { is_open = 1 } /^fstat\(/ { n++; if (is_open) { print n; exit } }' /run/calls)
stopped_at fstat:$nth "$1" --pid $mover --dns -- touch /run/ran
touch /run/go
until [ "$(inode $mover)" = "$(stat -Lc %i /run/netns/blue)" ]; do sleep 0.01; done
status=0
go_on || status=$?
[ ! -e /run/ran ] && echo $status
"#;
    let Some(output) = script(text) else { return };
    output.succeeds().prints("125").says(&["has no process to take"]);
}

/// Visible mounts below the topmost /sys: where, what, how, by mountinfo.
const BELOW_SYS: &str = r#"awk '
    { id[NR] = $1; parent[NR] = $2; point[NR] = $5; line[NR] = $4 " " $5 " " $6 }
    $5 == "/sys" { top = $1 }
    END {
        in_sys[top] = 1
        for (again = 0; again < 9; again++) for (i = 1; i <= NR; i++)
            if (parent[i] in in_sys && point[i] ~ "^/sys/") in_sys[id[i]] = 1
        for (i = 1; i <= NR; i++) if (id[i] in in_sys && id[i] != top) print line[i]
    }' /proc/self/mountinfo | sort"#;

#[test]
fn sysfs_is_the_namespaces_with_all_that_was_mounted_below() {
    if cannot_run(&["ip", "awk"]) {
        return;
    }
    apart(|| {
        for (dir, options) in
            [("fs/bpf", "ro,nosuid"), ("kernel/debug", "rw,noexec"), ("kernel/security", "rw")]
        {
            let point = format!("/sys/{dir}");
            if Path::new(&point).is_dir() {
                ask(&["mount", "-t", "tmpfs", "-o", options, "none", &point]).unwrap();
            }
        }
        let container = Container::usual();
        ask(&[
            "nsenter",
            "--net",
            "-t",
            &container.pid(),
            "ip",
            "link",
            "add",
            "ne0",
            "type",
            "veth",
            "peer",
            "ne1",
        ])
        .unwrap();
        let below = ask(&["sh", "-c", BELOW_SYS]).unwrap();
        assert!(below.contains("/sys/fs/cgroup"), "{below}");
        let seen = container.run(&["--sys"], &format!("ls /sys/class/net; {BELOW_SYS}"));
        seen.succeeds().prints(&format!("lo\nne0\nne1\n{below}"));
        assert!(seen.stderr.is_empty(), "{}", seen.dump());
        // Without it, the caller's, in which others come and go.
        let callers = container.run(&[], "ls /sys/class/net");
        assert!(!callers.succeeds().stdout.lines().any(|name| name == "ne0"), "{}", callers.dump());
        // Twice, one in the other.
        let nested = format!(
            "{} -q -p $$ --sys -- sh -c 'ls /sys/class/net; ls /sys/fs'",
            binary().display()
        );
        let plain = container.run(&["--sys"], "ls /sys/class/net; ls /sys/fs");
        container.run(&["--sys"], &nested).succeeds().prints(&plain.stdout);
        let both = container.run(&["--sys", "--dns"], "ls /sys/class/net; cat /etc/resolv.conf");
        both.succeeds().prints(&format!("lo\nne0\nne1\n{MINE}"));
    });
}

#[test]
fn the_working_directory_is_entered_again() {
    if cannot_run(&["ip"]) {
        return;
    }
    apart(|| {
        let container = Container::usual();
        let from = |dir: &str, options: &[&str]| {
            let mut command = program();
            command
                .args(["-p", &container.pid()])
                .args(options)
                .args(["--", "sh", "-c", "pwd; ls -A ."])
                .current_dir(dir);
            finish(command)
        };
        from("/sys/class/net", &["--sys"]).succeeds().prints("/sys/class/net\nlo");
        let veth = interface();
        ask(&["ip", "link", "add", &veth, "type", "veth", "peer", &format!("{veth}x")]).unwrap();
        let gone = from(&format!("/sys/devices/virtual/net/{veth}"), &["--sys"]);
        // And a mount that has no place in the other sysfs.
        let point = format!("/sys/devices/virtual/net/{veth}/statistics");
        ask(&["mount", "-t", "tmpfs", "none", &point]).unwrap();
        let noted = container.run(&["--sys"], "ls /sys/class/net");
        ask(&["umount", &point]).unwrap();
        ask(&["ip", "link", "del", &veth]).unwrap();
        gone.refuses(&[&veth, "cd / first"]);
        noted.succeeds().prints("lo").says(&["note: ", &point]);
        fs::remove_file("/etc/resolv.conf").unwrap();
        fs::create_dir("/etc/dir").unwrap();
        fs::write("/etc/dir/file", "").unwrap();
        from("/etc/dir", &["--dns"]).succeeds().prints("/etc/dir\nfile");
        // A directory that was removed has no path; it stays what it is.
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "cd /run && mkdir gone && cd gone && rmdir ../gone && exec \"$@\"",
            "sh",
        ]);
        command.arg(binary()).args([
            "-p",
            &container.pid(),
            "--sys",
            "--dns",
            "--",
            "sh",
            "-c",
            "ls -A .",
        ]);
        finish(command).succeeds().prints("");
    });
}

#[test]
fn read_only_is_kept_and_is_ours_alone() {
    if cannot_run(&["awk"]) {
        return;
    }
    apart(|| {
        let container = Container::usual();
        ask(&["mount", "-o", "remount,bind,ro", "/sys"]).unwrap();
        let options = "awk '$5 == \"/sys\" { o = $6 } END { print substr(o, 1, 2) }' /proc/self/mountinfo; : >/sys/class/net/x";
        let seen = container.run(&["--sys"], options);
        assert!(seen.stdout.trim() == "ro" && seen.stderr.contains("Read-only"), "{}", seen.dump());
        // The container's own mount of the same sysfs, and one that is made from now on, can be
        // written.
        let sys = format!("{}/sys", container.root);
        let table = fs::read_to_string(format!("/proc/{}/mountinfo", container.pid())).unwrap();
        let line = table
            .lines()
            .find(|line| line.contains(" - sysfs ") && line.contains("/sys rw"))
            .unwrap_or_default();
        assert!(line.ends_with(" rw"), "{sys}: {table}");
        // A namespace in which nobody had mounted a sysfs before.
        let fresh = Sleeper::start();
        let pid = fresh.word();
        run(&["-p", &pid, "--sys", "--", "sh", "-c", &options[..options.find(';').unwrap()]])
            .succeeds()
            .prints("ro");
        let script = "mount -t sysfs sysfs /run && awk '$5 == \"/run\" { o = $6 \" \" $NF } END { print o }' /proc/self/mountinfo";
        let while_ours_lives =
            format!("nsenter -n -t {pid} unshare -m sh -c '{}'", script.replace('\'', "'\\''"));
        let later = run(&["-p", &pid, "--sys", "--", "sh", "-c", &while_ours_lives]);
        later.succeeds().prints("rw,relatime rw");
        // And a read-write /sys stays so.
        ask(&["mount", "-o", "remount,bind,rw", "/sys"]).unwrap();
        container.run(&["--sys"], &options[..options.find(';').unwrap()]).succeeds().prints("rw");
    });
}

#[test]
fn where_it_cannot_be_mounted_nothing_runs() {
    if cannot_run(&["setpriv"]) {
        return;
    }
    apart(|| {
        let container = Container::usual();
        // Without rights, in the caller's own namespace.
        let scratch = Scratch::new("plain");
        let copy = scratch.copy_of_binary();
        let mine = Sleeper::spawn(as_user(USER, &["sleep", "3600"]));
        let words = [&copy, "-p", &mine.word(), "--sys", "--", "echo", "ran"];
        let command = as_user(USER, &[&["setpriv", "--bounding-set=-all"], &words[..]].concat());
        finish(command).refuses(&["mount namespace", "need root"]);
        // Nobody to ask.
        run(&["-p", &container.pid(), "--pin", "x", "--dns"]).refuses(&["none is run"]);
    });
}

#[test]
fn in_a_chroot_that_is_no_mount_nothing_runs() {
    // Of another build the libraries are not in there.
    if cannot_run(&[]) || !small_build() {
        return;
    }
    apart(|| {
        let container = Container::usual();
        let scratch = Scratch::new("plain");
        let root = busybox_root(&scratch).unwrap();
        fs::copy(binary(), format!("{root}/netns-enter")).unwrap();
        let script =
            "mount -t proc proc $1/proc; chroot $1 /netns-enter -p $2 --dns -- sh -c 'echo ran'";
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", script, "sh", &root, &container.pid()]);
        finish(command).refuses(&["slave mount", "mount --rbind"]);
    });
}

#[test]
fn rootless_containers_show_theirs_to_their_owner() {
    if cannot_run(&["setpriv", "ip"]) {
        return;
    }
    let user = |words: &[&str]| as_user(USER, words);
    if !finish(user(&["unshare", "-Urnm", "true"])).status.success() {
        return skip("users may not make user namespaces here");
    }
    apart(move || {
        let copy = "/run/netns-enter";
        fs::copy(binary(), copy).unwrap();
        make_executable(copy);
        fs::write("/run/theirs", MINE).unwrap();
        let script = "mount --bind /run/theirs /etc/resolv.conf; ip link add ne0 type veth peer ne1; exec sleep 3600";
        let mut command = user(&["unshare", "-Urnm", "sh", "-c", script]);
        let sleeper = Sleeper::spawn(&mut command);
        let pid = sleeper.word();
        let inside = "ls /sys/class/net; cat /etc/resolv.conf; ls /sys/fs/cgroup | head -1 | wc -l; readlink /proc/self/ns/net";
        let seen = finish(user(&[copy, "-p", &pid, "--sys", "--dns", "--", "sh", "-c", inside]));
        seen.succeeds().prints(&format!("lo\nne0\nne1\n{MINE}1\n{}", sleeper.ns()));
        // Nothing can be created where the uid has no mapping.
        let unmapped = Sleeper::spawn(user(&["unshare", "--user", "--net", "sleep", "3600"]));
        let pid = unmapped.pid.to_string();
        finish(user(&[copy, "-p", &pid, "--dns", "--", "echo", "ran"]))
            .refuses(&["/etc", "no mapping"]);
        finish(user(&[copy, "-p", &pid, "--sys", "--", "ls", "/sys/class/net"]))
            .succeeds()
            .prints("lo");
    });
}

#[test]
fn the_host_mounted_at_a_directory_has_the_process_and_we_the_root() {
    if cannot_run(&[]) {
        return;
    }
    apart(|| {
        let container = Container::usual();
        let host = Scratch::new("host");
        for dir in ["proc", "run", "etc/netns/blue"] {
            fs::create_dir_all(host.path(dir)).unwrap();
        }
        host.write("etc/resolv.conf", "not this one");
        ask(&["mount", "--rbind", "/proc", &host.path("proc")]).unwrap();
        let root = host.path("");
        let words =
            ["--host-root", &root, "-p", &container.pid(), "--sys", "--dns", "--", "sh", "-c"];
        let script = "cat /etc/resolv.conf; ls /sys/class/net; readlink /proc/self/ns/net";
        let seen = run(&[&words[..], &[script]].concat());
        ask(&["umount", "-l", &host.path("proc")]).unwrap();
        seen.succeeds().prints(&format!("{MINE}lo\n{}", container.sleeper.ns()));
    });
}

#[test]
fn docker_with_servers_of_its_own() {
    if cannot_run(&[]) {
        return;
    }
    let _alone = alone_with_daemons();
    let mut docker = match Docker::start() {
        Ok(docker) => docker,
        Err(reason) => return skip(&reason),
    };
    let options = ["--dns", "192.0.2.53", "--add-host", "ne-neighbour:192.0.2.9"];
    let (name, _) = docker.make(&["run", "-d"], &options).expect("a container");
    let output = run(&[
        &name,
        "--sys",
        "--dns",
        "--",
        "sh",
        "-c",
        "cat /etc/resolv.conf /etc/hosts; ls /sys/class/net",
    ]);
    output.succeeds();
    for part in ["nameserver 192.0.2.53", "192.0.2.9\tne-neighbour", "eth0\nlo"] {
        assert!(output.stdout.contains(part), "{part:?} is missing\n{}", output.dump());
    }
    let resolv = docker.inspect(&name, "{{.ResolvConfPath}}").expect("a path");
    assert!(output.stdout.starts_with(&fs::read_to_string(resolv).unwrap()), "{}", output.dump());
}

/// A DNS server that knows one name, `only-here.ne-test`, as 192.0.2.77, and answers any other that
/// there is none.
struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Server {
    /// In the network namespace of `pid`, at 192.0.2.53.
    fn start(pid: u32) -> Server {
        let (stop, namespace) = (
            Arc::new(AtomicBool::new(false)),
            fs::File::open(format!("/proc/{pid}/ns/net")).unwrap(),
        );
        let stopped = stop.clone();
        let (ready, is_ready) = std::sync::mpsc::channel();
        let serve = move || {
            use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
            use std::os::fd::AsFd;
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            let socket = UdpSocket::bind("192.0.2.53:53").unwrap();
            socket.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
            ready.send(()).unwrap();
            let mut query = [0; 512];
            while !stopped.load(Ordering::Relaxed) {
                if let Ok((len, peer)) = socket.recv_from(&mut query) {
                    socket.send_to(&answer(&query[..len]), peer).unwrap();
                }
            }
        };
        let thread = thread::spawn(serve);
        is_ready.recv().expect("the server listens");
        Server { stop, thread: Some(thread) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(thread::JoinHandle::join);
    }
}

/// The answer of [`Server`]: RFC 1035.
fn answer(query: &[u8]) -> Vec<u8> {
    let name = b"\x09only-here\x07ne-test\0";
    let question = &query[12..];
    let is_it = question.get(..name.len()).is_some_and(|q| q.eq_ignore_ascii_case(name));
    let end = question.iter().position(|b| *b == 0).map_or(question.len(), |end| end + 5);
    let is_a = question.get(end - 4..end) == Some(&[0, 1, 0, 1]);
    let count = u8::from(is_it && is_a);
    let code = if is_it { 0x80 } else { 0x83 };
    let mut answer =
        [&query[..2], &[0x85, code, 0, 1, 0, count, 0, 0, 0, 0], &question[..end]].concat();
    if count == 1 {
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 192, 0, 2, 77]);
    }
    answer
}

/// A program linked with musl that prints the address of a name, or why not.
fn musl_resolver(scratch: &Scratch) -> Option<String> {
    let source = scratch.write(
        "resolve.rs",
        "fn main() {
            let name = std::env::args().nth(1).unwrap() + \":0\";
            match std::net::ToSocketAddrs::to_socket_addrs(&name[..]) {
                Ok(addrs) => addrs.for_each(|addr| println!(\"{}\", addr.ip())),
                Err(_) => std::process::exit(2),
            }
        }",
    );
    let target = format!("{}-unknown-linux-musl", std::env::consts::ARCH);
    let program = scratch.path("resolve");
    let linker = ["-Ctarget-feature=+crt-static", "-Clinker=rust-lld"];
    let built =
        ask(&[&["rustc", "--target", &target, "-o", &program], &linker[..], &[&source]].concat());
    built.is_ok().then_some(program)
}

#[test]
fn a_name_that_only_the_containers_network_knows() {
    if cannot_run(&["ip", "getent"]) {
        return;
    }
    apart(|| {
        let container = Container::usual();
        let pid = container.pid();
        let script = "ip addr add 192.0.2.53/32 dev lo && ip link set lo up";
        ask(&["nsenter", "--net", "-t", &pid, "sh", "-c", script]).unwrap();
        let _server = Server::start(container.sleeper.pid);
        let scratch = Scratch::new("musl");
        let musl = musl_resolver(&scratch);
        if musl.is_none() {
            skip("rustc cannot build for musl");
        }
        let mut programs = vec![vec!["getent", "ahostsv4"]];
        programs.extend(musl.iter().map(|program| vec![program.as_str()]));
        for program in programs {
            // By the whole name, and by the search list.
            for name in ["only-here.ne-test", "only-here"] {
                let words = [&["-p", &pid, "--dns", "--"], &program[..], &[name]].concat();
                let found = run(&words);
                assert!(found.succeeds().stdout.starts_with("192.0.2.77"), "{}", found.dump());
            }
            let words =
                [&["-p", &pid, "--dns", "--"], &program[..], &["not-there.ne-test"]].concat();
            run(&words).exits(2);
            let words = [&["-p", &pid, "--"], &program[..], &["only-here.ne-test"]].concat();
            run(&words).exits(2);
            // The container's hosts file, too.
            let words = [&["-p", &pid, "--dns", "--"], &program[..], &["ne-neighbour"]].concat();
            assert!(run(&words).succeeds().stdout.starts_with("192.0.2.9"));
        }
    });
}

#[test]
fn a_process_that_is_gone_is_told_of() {
    if cannot_run(&["strace"]) {
        return;
    }
    apart(|| {
        let container = Container::usual();
        // What the kernel says of a process that has just ended, at the second look at its root
        // directory.
        for when in [1, 2] {
            let log = "/run/log";
            let mut command = Command::new("strace");
            command.args(["-qqo", log, "-e", "trace=openat"]).arg(binary());
            command.args(["-p", &container.pid(), "--dns", "true"]);
            finish(command).succeeds();
            let calls = fs::read_to_string(log).unwrap();
            let calls = calls.lines().filter(|line| line.starts_with("openat("));
            let at = calls
                .enumerate()
                .filter(|(_, line)| line.contains("\"root\""))
                .nth(when - 1)
                .expect("a look")
                .0
                + 1;
            let mut command = Command::new("strace");
            command.args([
                "-qqo",
                "/dev/null",
                "-e",
                "trace=openat",
                "-e",
                &format!("inject=openat:error=ENOENT:when={at}"),
            ]);
            command.arg(binary()).args(["-p", &container.pid(), "--dns"]);
            command_refuses(command, &["has exited"]);
        }
    });
}
