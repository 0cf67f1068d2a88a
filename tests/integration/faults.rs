//! Every system call refused, one at a time: whatever the kernel says no to, COMMAND runs in the
//! right namespace or not at all.
//!
//! Each row of the table is a kind of invocation, in a pid and a mount namespace of its own with an
//! empty /run and /var/lib, so that every run makes the same calls. It is run once under strace(1)
//! to learn these, then once for each call and errno with that call failing. Of calls that differ
//! only in numbers (a walk over /proc) the first, the second and the last are taken, and each call
//! gets ENOMEM and every other one of the rest of the errnos. Where a single pin is made or
//! removed, and with NETNS_ENTER_FAULTS=all, it is every call with every errno.

#![forbid(unsafe_code)]

use crate::net::{interface, ipv4};
use crate::util::{
    self, Cgroup, Held, Output, Scratch, Sleeper, USER, as_user, ask, binary, busybox_root,
    container_id, docker_config, finish, inode_in, is_inside, lacks, make_executable, own_ns, run,
    runc_state, skip, small_build, start_time, tell, unique, until,
};
use std::any::Any;
use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;
use std::process::Command;

/// COMMAND is static, so that a call of its start-up is rarely mistaken for ours.
const BUSYBOX: &str = "/bin/busybox";
/// What calls fail with.
const ERRNOS: [&str; 7] = ["ENOMEM", "EPERM", "EACCES", "ENOSYS", "EIO", "EMFILE", "EINTR"];
/// By these a lookup may be incomplete and go on: what the caller may not read is nobody's fault.
const DENIALS: [&str; 2] = ["EPERM", "EACCES"];
/// Calls of musl's start-up, before main: what becomes of a process whose libc cannot start is not
/// ours to say.
const START_UP: [&str; 2] = ["arch_prctl", "set_tid_address"];
/// Calls that never fail, or for which libc takes an errno for an address.
const INFALLIBLE: [&str; 4] = ["brk", "exit", "exit_group", "rt_sigreturn"];
/// Calls that kernels between 3.10 and now have learnt, or that the seccomp filters of container
/// engines do not know; ioctl, because those of nsfs are new.
const NEWER: [&str; 21] = [
    "openat2",
    "statx",
    "ioctl",
    "faccessat2",
    "close_range",
    "pidfd_open",
    "pidfd_getfd",
    "open_tree",
    "move_mount",
    "mount_setattr",
    "fsopen",
    "fsmount",
    "fsconfig",
    "fspick",
    "getrandom",
    "clone3",
    "memfd_create",
    "name_to_handle_at",
    "renameat2",
    "listns",
    // So strace tells of listns while it does not know it.
    "syscall_0x1d6",
];
/// What is used besides; all of it is in Linux 3.10.
const OLD: &str = "
    arch_prctl brk capget capset chdir clone close connect execve exit_group fchmod fchmodat fchown fcntl flock fork fstat fstatfs futex getcwd
    getdents64 geteuid getpid getsockname getsockopt gettimeofday getuid kill lseek mkdirat mknodat mmap mount mprotect munmap
    nanosleep newfstatat open openat pipe2 poll ppoll prctl pread64 read readlink readlinkat recvfrom recvmsg renameat rt_sigaction
    rt_sigprocmask sendmsg sendto set_tid_address setns setsockopt socket stat statfs symlinkat umask umount2 unlinkat unshare vfork wait4
    waitid write writev clock_nanosleep bind access faccessat lstat mremap madvise
    socketpair getegid getuid getgid setgroups setresuid setresgid setrlimit getrlimit prlimit64 getresuid getresgid getxattr fgetxattr
    getppid set_robust_list rt_sigtimedwait open_by_handle_at";

/// What an undisturbed run does.
enum Does {
    /// COMMAND runs in this namespace.
    Enters(String),
    /// COMMAND runs and prints this, its namespace first.
    Shows(String),
    /// This entry of /run/netns is made, of this namespace; COMMAND may follow.
    Pins(&'static str, String),
    /// This entry of /run/netns is removed.
    Unpins(&'static str),
    /// As with [`Does::Pins`], by --pin-all, which prints the name of what it pinned.
    PinsAll(&'static str, String),
    /// No COMMAND; what is printed has each of these.
    Lists(Vec<String>),
    /// COMMAND tells its namespace in each of these, after a heading with the same inode.
    RunsInEach(Vec<String>),
    /// 125, as several namespaces come into question; where one may not be read, another may be
    /// entered, but none is overlooked.
    RefusesMany(Vec<String>),
    /// 125 whatever may be read.
    Refuses,
}

/// A kind of invocation, with all that it needs.
struct Case {
    args: Vec<String>,
    does: Does,
    /// COMMAND, after `--`; empty where there is none.
    command: Vec<String>,
    user: Option<u32>,
    shell: Option<String>,
    /// Whether it is to work where [`NEWER`] calls are missing.
    is_old: bool,
    /// Whether the calls of readers are failed, too; a list may then be short if a note says so.
    is_deep: bool,
    /// What must live as long.
    _held: Vec<Box<dyn Any>>,
}

impl Case {
    fn new(args: &[&str], does: Does) -> Case {
        let args = args.iter().map(|arg| arg.to_string()).collect();
        let command = ["--", BUSYBOX, "readlink", "/proc/self/ns/net"].map(str::to_owned).to_vec();
        let (is_old, is_deep) = (true, false);
        Case { args, does, command, user: None, shell: None, is_old, is_deep, _held: Vec::new() }
    }

    fn enters(args: &[&str], sleeper: Sleeper) -> Case {
        let ns = sleeper.ns();
        Case::new(args, Does::Enters(ns)).holding(sleeper)
    }

    fn refuses_many(args: &[&str], one: Sleeper, two: Sleeper) -> Case {
        let both = vec![one.ns(), two.ns()];
        Case::new(args, Does::RefusesMany(both)).holding((one, two))
    }

    fn holding(mut self, held: impl Any) -> Case {
        self._held.push(Box::new(held));
        self
    }

    fn deep(self, held: impl Any) -> Case {
        Case { is_old: false, is_deep: true, ..self.holding(held) }
    }

    fn without_command(self) -> Case {
        Case { command: Vec::new(), ..self }
    }

    /// With a COMMAND that prints its namespace, and then what `script` does; all in one process,
    /// as calls are counted in each.
    fn shows(args: &[&str], sleeper: &Sleeper, script: &str, content: &str) -> Case {
        let script = format!(
            "[ /proc/$$/ns/net -ef /proc/{}/ns/net ] && echo {} && {script}",
            sleeper.pid,
            sleeper.ns()
        );
        let command = ["--", BUSYBOX, "sh", "-c", &script].map(str::to_owned).to_vec();
        Case { command, ..Case::new(args, Does::Shows(format!("{}\n{content}", sleeper.ns()))) }
    }
}

/// A row of the table: how it is set up, or why it cannot be here.
type Row = fn() -> Result<Case, String>;

/// The table, and a test of each row.
macro_rules! rows {
    ($($name:ident: $row:expr;)+) => {
        const ROWS: &[(&str, Row)] = &[$((stringify!($name), $row)),+];

        mod every_call {
            $(
                #[test]
                fn $name() {
                    super::matrix(stringify!($name));
                }
            )+
        }
    };
}

rows! {
    pid: || {
        let sleeper = Sleeper::start();
        Ok(Case::enters(&["--pid", &sleeper.word()], sleeper))
    };
    docker_name: || {
        let (_, sleeper) = docker("web");
        Ok(Case::enters(&["web"], sleeper))
    };
    pid_with_inode: || {
        let sleeper = Sleeper::start();
        Ok(Case::enters(&["--pid", &format!("{}:{}", sleeper.pid, sleeper.inode())], sleeper))
    };
    pid_with_another_inode: || {
        let (one, two) = (Sleeper::start(), Sleeper::start());
        let words = format!("{}:{}", one.pid, two.inode());
        Ok(Case::new(&["--pid", &words], Does::Refuses).holding((one, two)))
    };
    pod_without_a_process: || {
        ask(&["ip", "netns", "add", "cni-1"])?;
        ask(&["ip", "-n", "cni-1", "addr", "add", "10.231.0.7/32", "dev", "lo"])?;
        let text = r#"{"containerId":"b146","netns":"/var/run/netns/cni-1","cniArgs":[["K8S_POD_NAMESPACE","shop"],
            ["K8S_POD_NAME","cart"]],"result":{"ips":[{"address":"10.231.0.7/24"}]}}"#;
        fs::create_dir_all("/var/lib/cni/results").unwrap();
        fs::write("/var/lib/cni/results/net-b146-eth0", text).unwrap();
        let ns = ask(&["stat", "-Lc", "net:[%i]", "/run/netns/cni-1"])?;
        Ok(Case::new(&["-c", "shop/cart"], Does::Enters(ns)))
    };
    docker_id: || {
        let (id, sleeper) = docker("web");
        Ok(Case::enters(&["--container", &id], sleeper))
    };
    docker_prefix: || {
        let (id, sleeper) = docker("web");
        Ok(Case::enters(&["-c", &id[..12]], sleeper))
    };
    podman_name: || {
        let sleeper = podman("web");
        Ok(Case::enters(&["podman:web"], sleeper))
    };
    pod: || {
        let sleeper = pod_by_log("shop", "cart");
        Ok(Case::enters(&["shop/cart/app"], sleeper))
    };
    cgroup_alone: || {
        let id = docker_name("web");
        let (cgroup, sleeper) = first_in_cgroup(&format!("docker/{id}"), Sleeper::of_shim(&id))?;
        Ok(Case::enters(&["docker:web"], sleeper).holding(cgroup))
    };
    claim: || {
        let sleeper = Sleeper::of_user();
        claimed("rl", &sleeper)?;
        Ok(Case { is_old: false, ..Case::enters(&["crun:rl@al"], sleeper) })
    };
    netns: || {
        let sleeper = pinned("blue");
        Ok(Case::enters(&["--netns", "blue"], sleeper))
    };
    netns_elsewhere: || {
        let sleeper = pinned_elsewhere("blue");
        Ok(Case::enters(&["--netns", "blue"], sleeper))
    };
    netns_by_link: || {
        let sleeper = Sleeper::start();
        fs::create_dir_all("/run/netns").unwrap();
        symlink(format!("/proc/{}/ns/net", sleeper.pid), "/run/netns/blue").unwrap();
        Ok(Case::enters(&["--netns", "blue"], sleeper))
    };
    file: || {
        let sleeper = Sleeper::start();
        Ok(Case::enters(&["--file", &format!("/proc/{}/ns/net", sleeper.pid)], sleeper))
    };
    file_that_is_bound: || {
        let sleeper = pinned("blue");
        Ok(Case::enters(&["/run/netns/blue"], sleeper))
    };
    state: || {
        let (id, sleeper) = docker("web");
        Ok(Case::enters(&["--state", &format!("/run/docker/runtime-runc/moby/{id}/state.json")], sleeper))
    };
    cgroup: || {
        let (cgroup, sleeper) = in_cgroup(&unique("cgroup"))?;
        Ok(Case::enters(&["--cgroup", cgroup.path()], sleeper).holding(cgroup))
    };
    unit: || {
        let unit = format!("{}.service", unique("unit"));
        let (cgroup, sleeper) = in_cgroup(&unit)?;
        Ok(Case::enters(&["--cgroup", &unit], sleeper).holding(cgroup))
    };
    inode: || {
        let sleeper = Sleeper::start();
        Ok(Case::enters(&["--inode", &sleeper.ns()], sleeper))
    };
    inode_of_a_mount: || {
        let mut sleeper = pinned("blue");
        let ns = sleeper.ns();
        sleeper.reap();
        Ok(Case::new(&["--inode", &ns], Does::Enters(ns.clone())))
    };
    host_root: || {
        let (_, sleeper) = docker("web");
        Ok(Case { is_old: false, ..Case::enters(&["--host-root", "/", "docker:web"], sleeper) })
    };
    shell: || {
        let sleeper = Sleeper::start();
        let scratch = Scratch::new("shell");
        let shell = scratch.write("shell", format!("#!{BUSYBOX} sh\nexec {BUSYBOX} readlink /proc/self/ns/net\n"));
        make_executable(&shell);
        let case = Case::enters(&["--pid", &sleeper.word()], sleeper).holding(scratch);
        Ok(Case { shell: Some(shell), ..case.without_command() })
    };
    rootless: || {
        let sleeper = Sleeper::of_user();
        let case = Case::enters(&["--pid", &sleeper.word()], sleeper);
        Ok(Case { user: Some(USER), is_old: false, ..case })
    };
    addr: || {
        let (sleeper, address) = (Sleeper::start(), ipv4());
        give(&sleeper, &address)?;
        Ok(Case::enters(&["--addr", &address], sleeper))
    };
    veth: || {
        let (sleeper, link) = (Sleeper::start(), interface());
        let pid = sleeper.word();
        ask(&["ip", "link", "add", &link, "type", "veth", "peer", "name", "ne1", "netns", &pid])?;
        Ok(Case::enters(&["--veth", &link], sleeper))
    };
    list: || {
        let ((_, one), two) = (docker("web"), pinned("blue"));
        let words = [&one, &two].map(|sleeper| sleeper.inode().to_string());
        let words = [&words[..], &["docker:web", "blue"].map(str::to_owned)].concat();
        Ok(Case::new(&["--list"], Does::Lists(words)).without_command().holding((one, two)))
    };
    list_of_a_target: || {
        let (_, sleeper) = docker("web");
        let words = vec![format!("\"inode\":{}", sleeper.inode()), "\"name\":\"web\"".to_owned()];
        let case = Case::new(&["--list", "--json", "web"], Does::Lists(words)).without_command().holding(sleeper);
        Ok(case)
    };
    deep_list: || {
        let kept = ["fd", "socket", "mount"].map(kept_by);
        let words = kept.iter().map(|(inode, _)| inode.clone()).collect();
        Ok(Case::new(&["--list", "--deep"], Does::Lists(words)).without_command().deep(kept))
    };
    inode_of_a_socket: || {
        let (inode, held) = kept_by("socket");
        Ok(Case::new(&["-i", &inode], Does::Enters(format!("net:[{inode}]"))).deep(held))
    };
    inode_of_a_mount_elsewhere: || {
        let (inode, held) = kept_by("mount");
        Ok(Case::new(&["-i", &inode], Does::Enters(format!("net:[{inode}]"))).deep(held))
    };
    all: || {
        let ((_, one), two) = (docker("web"), pinned("blue"));
        // What other tests have in cgroups is none of ours.
        ask(&["mount", "-t", "tmpfs", "none", "/sys/fs/cgroup"])?;
        let each = vec![one.ns(), two.ns()];
        Ok(Case::new(&["--all"], Does::RunsInEach(each)).holding((one, two)))
    };
    pin_all: || {
        let (_, sleeper) = docker("web");
        ask(&["mount", "-t", "tmpfs", "none", "/sys/fs/cgroup"])?;
        Ok(Case::new(&["--pin-all"], Does::PinsAll("docker-web", sleeper.ns())).without_command().holding(sleeper))
    };
    sys: || {
        let sleeper = Sleeper::start();
        let pid = sleeper.word();
        ask(&["nsenter", "-t", &pid, "-n", "ip", "link", "add", "ne0", "type", "veth", "peer", "name", "ne1"])?;
        let links = ["lo", "ne0", "ne1"].map(|link| format!("/sys/class/net/{link}")).join(" ");
        Ok(Case::shows(&["--sys", "--pid", &pid], &sleeper, "echo /sys/class/net/*", &links).holding(sleeper))
    };
    dns: || {
        let (root, sleeper) = with_root("nameserver 192.0.2.53")?;
        let (pid, script) = (sleeper.word(), "read -r line </etc/resolv.conf && echo \"$line\"");
        let case = Case::shows(&["--dns", "--pid", &pid], &sleeper, script, "nameserver 192.0.2.53");
        Ok(case.holding((sleeper, root)))
    };
    pin: || {
        let (other, sleeper) = (pinned("other"), Sleeper::start());
        let does = Does::Pins("blue", sleeper.ns());
        Ok(Case::new(&["-p", &sleeper.word(), "--pin", "blue"], does).without_command().holding((other, sleeper)))
    };
    pin_before_command: || {
        let (other, sleeper) = (pinned("other"), Sleeper::start());
        let does = Does::Pins("blue", sleeper.ns());
        Ok(Case::new(&["-p", &sleeper.word(), "--pin", "blue"], does).holding((other, sleeper)))
    };
    first_pin: || {
        let sleeper = Sleeper::start();
        let does = Does::Pins("blue", sleeper.ns());
        Ok(Case::new(&["-p", &sleeper.word(), "--pin", "blue"], does).without_command().holding(sleeper))
    };
    unpin: || {
        let (other, sleeper) = (pinned("other"), Sleeper::start());
        Ok(Case::new(&["--unpin", "blue"], Does::Unpins("blue")).without_command().holding((other, sleeper)))
    };
    a_name_of_two: || {
        let ((_, one), two) = (docker("web"), podman("web"));
        Ok(Case::refuses_many(&["web"], one, two))
    };
    a_name_of_a_container_and_a_pod: || {
        let ((_, one), two) = (docker("cart"), pod_by_log("shop", "cart"));
        Ok(Case::refuses_many(&["cart"], one, two))
    };
    a_name_of_two_runtimes: || {
        let (one, two) = (Sleeper::start(), Sleeper::start());
        for (root, sleeper) in [("runc", &one), ("youki", &two)] {
            write(&format!("/run/{root}/web/state.json"), &runc_state("web", sleeper.pid, sleeper.start_time()));
        }
        Ok(Case::refuses_many(&["web"], one, two))
    };
    a_name_of_a_container_and_a_payload: || {
        let name = unique("lxc");
        let (_, one) = docker(&name);
        let (cgroup, two) = first_in_cgroup(&format!("lxc.payload.{name}"), Sleeper::of_monitor(&name))?;
        write(&format!("/var/lib/lxc/{name}/config"), "");
        Ok(Case::refuses_many(&[&name], one, two).holding(cgroup))
    };
    a_name_of_a_container_and_a_pin: || {
        let ((_, one), two) = (docker("blue"), pinned("blue"));
        Ok(Case::refuses_many(&["blue"], one, two))
    };
    a_pin_of_two_elsewhere: || {
        let (one, two) = (pinned_elsewhere("blue"), pinned_elsewhere("blue"));
        Ok(Case::refuses_many(&["-n", "blue"], one, two))
    };
    a_cgroup_of_two: || {
        let (cgroup, one) = in_cgroup(&unique("cgroup"))?;
        let two = Sleeper::start();
        cgroup.add(two.pid);
        Ok(Case::refuses_many(&["--cgroup", cgroup.path()], one, two).holding(cgroup))
    };
    a_name_of_two_inits: || {
        let id = docker_name("web");
        let (cgroup, one) = first_in_cgroup(&format!("docker/{id}"), Sleeper::of_shim(&id))?;
        let two = Sleeper::of_shim(&id);
        cgroup.add(two.pid);
        Ok(Case::new(&["docker:web"], Does::Refuses).holding((one, two, cgroup)))
    };
    a_user_who_claims_roots: || {
        let sleeper = Sleeper::start();
        claimed("rl", &sleeper)?;
        Ok(Case::new(&["crun:rl@al"], Does::Refuses).holding(sleeper))
    };
    an_address_of_two: || {
        let (one, two, address) = (Sleeper::start(), Sleeper::start(), ipv4());
        give(&one, &address)?;
        give(&two, &address)?;
        Ok(Case::refuses_many(&["--addr", &address], one, two))
    };
    a_reused_pid: || {
        let (id, sleeper) = (container_id(), Sleeper::start());
        docker_files(&id, "web", sleeper.pid, start_time(sleeper.pid) + 1);
        Ok(Case::new(&["web"], Does::Refuses).holding(sleeper))
    };
    another_kind_of_namespace: || {
        let sleeper = Sleeper::start();
        fs::create_dir_all("/run/netns").unwrap();
        fs::write("/run/netns/blue", "").unwrap();
        ask(&["mount", "--bind", &format!("/proc/{}/ns/uts", sleeper.pid), "/run/netns/blue"])?;
        Ok(Case::new(&["-n", "blue"], Does::Refuses).holding(sleeper))
    };
}

/// A running container of docker's.
fn docker(name: &str) -> (String, Sleeper) {
    let (id, sleeper) = (container_id(), Sleeper::start());
    docker_files(&id, name, sleeper.pid, sleeper.start_time());
    (id, sleeper)
}

/// What docker names, and no runtime has a record of; returns its ID.
fn docker_name(name: &str) -> String {
    let id = container_id();
    write(&format!("/var/lib/docker/containers/{id}/config.v2.json"), &docker_config(&id, name, 0));
    id
}

/// The word of a user, `al`, about a container of crun's.
fn claimed(name: &str, sleeper: &Sleeper) -> Result<(), String> {
    ask(&["mount", "-t", "tmpfs", "-o", "mode=755", "none", "/mnt"])?;
    let copy = "cp -a /etc/passwd /etc/group /etc/ld.so.cache /mnt && mount --move /mnt /etc && \
                echo al:x:$0:$0::/nowhere:/bin/sh >>/etc/passwd";
    ask(&["sh", "-c", copy, &USER.to_string()])?;
    let status =
        format!("{{\"pid\":{},\"process-start-time\":{}}}", sleeper.pid, sleeper.start_time());
    let session = format!("/run/user/{USER}");
    write(&format!("{session}/crun/{name}/status"), &status);
    ask(&["chown", "-R", &format!("{USER}:{USER}"), &session]).map(drop)
}

fn docker_files(id: &str, name: &str, pid: u32, start: u64) {
    write(
        &format!("/var/lib/docker/containers/{id}/config.v2.json"),
        &docker_config(id, name, pid),
    );
    write(&format!("/run/docker/runtime-runc/moby/{id}/state.json"), &runc_state(id, pid, start));
}

fn podman(name: &str) -> Sleeper {
    let (id, sleeper) = (container_id(), Sleeper::start());
    let list = format!("[{{\"id\":\"{id}\",\"names\":[\"{name}\"],\"metadata\":\"{{}}\"}}]");
    write("/var/lib/containers/storage/overlay-containers/containers.json", &list);
    write(
        &format!("/run/runc/{id}/state.json"),
        &runc_state(&id, sleeper.pid, sleeper.start_time()),
    );
    sleeper
}

/// A container `app` of a pod that only the kubelet's link to its log names.
fn pod_by_log(namespace: &str, pod: &str) -> Sleeper {
    let (id, sleeper) = (container_id(), Sleeper::start());
    write("/var/log/containers/keep", "");
    symlink("/nowhere", format!("/var/log/containers/{pod}_{namespace}_app-{id}.log")).unwrap();
    write(&format!("/run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/options.json"), "{}");
    let state = runc_state(&id, sleeper.pid, sleeper.start_time());
    write(&format!("/run/containerd/runc/k8s.io/{id}/state.json"), &state);
    sleeper
}

/// A process with a root directory of its own, in which /etc/resolv.conf is this.
fn with_root(resolver: &str) -> Result<(Scratch, Sleeper), String> {
    let scratch = Scratch::new("root");
    let root = busybox_root(&scratch)?;
    write(&format!("{root}/etc/resolv.conf"), &format!("{resolver}\n"));
    let unshare = ["-n", "--root", &root, "/bin/sleep", "3600"];
    let sleeper = Sleeper::apart(Command::new("unshare").args(unshare));
    Ok((scratch, sleeper))
}

fn in_cgroup(name: &str) -> Result<(Cgroup, Sleeper), String> {
    let cgroup = Cgroup::new(name).ok_or("no cgroup hierarchy can be written")?;
    let sleeper = Sleeper::start();
    cgroup.add(sleeper.pid);
    Ok((cgroup, sleeper))
}

/// As [`in_cgroup`], of the first process of a pid namespace.
fn first_in_cgroup(name: &str, sleeper: Sleeper) -> Result<(Cgroup, Sleeper), String> {
    let cgroup = Cgroup::new(name).ok_or("no cgroup hierarchy can be written")?;
    cgroup.add(sleeper.pid);
    Ok((cgroup, sleeper))
}

/// A process that has pinned its namespace under this name in a mount namespace of its own alone.
fn pinned_elsewhere(name: &str) -> Sleeper {
    fs::create_dir_all("/run/netns").unwrap();
    let script = "mount -t tmpfs none /run/netns && touch /run/netns/$0 &&
        mount --bind /proc/self/ns/net /run/netns/$0 && exec sleep 3600";
    Sleeper::spawn(Command::new("unshare").args(["-mn", "sh", "-c", script, name]))
}

/// A process that keeps a namespace, in which it is not, by this alone; and the inode of that.
fn kept_by(kind: &str) -> (String, (Scratch, Held)) {
    const SCRIPT: &str = "
import ctypes, os, socket, sys, time
libc = ctypes.CDLL(None)
home = os.open('/proc/self/ns/net', os.O_RDONLY)
libc.unshare(0x40000000)
if sys.argv[1] == 'fd': kept = os.open('/proc/self/ns/net', os.O_RDONLY)
elif sys.argv[1] == 'socket': kept = socket.socket(socket.AF_UNIX)
else:
    libc.unshare(0x20000)
    libc.mount(None, b'/', None, 0x44000, None)
    libc.mount(b'none', b'/mnt', b'tmpfs', 0, None)
    open('/mnt/kept', 'w').close()
    libc.mount(b'/proc/self/ns/net', b'/mnt/kept', None, 4096, None)
inode = os.stat('/proc/self/ns/net').st_ino
libc.setns(home, 0x40000000)
os.close(home)
open(sys.argv[2] + '.new', 'w').write(str(inode))
os.rename(sys.argv[2] + '.new', sys.argv[2])
time.sleep(3600)";
    let scratch = Scratch::new("kept");
    let told = scratch.path("inode");
    let held = Held::start(Command::new("python3").args(["-c", SCRIPT, kind, &told]));
    until("a namespace", || Path::new(&told).exists());
    (fs::read_to_string(&told).unwrap(), (scratch, held))
}

fn pinned(name: &str) -> Sleeper {
    let sleeper = Sleeper::start();
    pin(name, sleeper.pid);
    sleeper
}

fn pin(name: &str, pid: u32) {
    run(&["-p", &pid.to_string(), "--pin", name]).succeeds();
}

/// Gives a process's namespace an interface with this address.
fn give(sleeper: &Sleeper, address: &str) -> Result<(), String> {
    let pid = sleeper.word();
    let ip = ["nsenter", "-t", &pid, "-n", "ip"];
    ask(&[&ip[..], &["link", "add", "ne0", "type", "veth", "peer", "name", "ne1"]].concat())?;
    ask(&[&ip[..], &["addr", "add", address, "dev", "ne0"]].concat()).map(drop)
}

fn write(path: &str, text: &str) {
    fs::create_dir_all(Path::new(path).parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// /run, /var/lib and /var/log are empty; /run is shared, as on a host with systemd.
const PREPARE: &str = "
    for dir in /run /var/lib /var/log; do mount -t tmpfs -o mode=755 none $dir; done
    mount --make-shared /run";

/// Whether the machine cannot do this at all; skips then.
#[track_caller]
fn cannot_run() -> bool {
    lacks(&["strace", "unshare", "mount", "setpriv", "busybox", "ip", "nsenter", "python3"])
        || !small_build()
}

#[track_caller]
fn matrix(name: &'static str) {
    if cannot_run() || !is_inside() {
        return;
    }
    let (_, row) = *ROWS.iter().find(|(row, _)| *row == name).expect("a row");
    let reason = std::sync::Arc::new(std::sync::Mutex::new(None));
    let told = reason.clone();
    util::apart(PREPARE, move || match row() {
        Ok(case) => fail_each(name, &Bench::new(case)),
        Err(reason) => *told.lock().unwrap() = Some(reason),
    });
    if let Some(reason) = &*reason.lock().unwrap() {
        skip(reason);
    }
}

/// Fails each call of the row with each errno.
fn fail_each(name: &str, bench: &Bench) {
    bench.reset();
    let (learnt, undisturbed) = bench.run(None, None);
    if learnt.is_empty() {
        return skip("strace may not trace here");
    }
    if let Err(wrong) = bench.judge(&learnt, &undisturbed, "") {
        panic!("{name}: {wrong}");
    }
    let (mut tried, mut went_on, mut missed, mut wrong) = (0, 0, 0, Vec::new());
    let all = matches!(bench.case.does, Does::Pins(..) | Does::Unpins(_))
        || std::env::var_os("NETNS_ENTER_FAULTS").is_some_and(|which| which == "all");
    for (call, errnos) in chosen(&learnt, all) {
        for errno in errnos {
            // Other people's cgroups come and go while they are walked: a run may not make a call
            // that the one before made. Then it is the last of that name.
            let mut nth = call.nth;
            let mut runs = (0..5).map(|_| {
                bench.reset();
                let (calls, output) = bench.fail(&call.name, nth, errno);
                nth = nth.min(calls.iter().filter(|made| made.name == call.name).count()).max(1);
                (calls, output)
            });
            let first = runs.next().expect("a run");
            let was_missed = injected(&first.0).is_none();
            let mut others = runs.take(if was_missed { 4 } else { 0 });
            let again = others.find(|(calls, _)| injected(calls).is_some());
            missed += usize::from(was_missed && again.is_none());
            let (calls, output) = again.unwrap_or(first);
            match bench.judge(&calls, &output, errno) {
                Ok(status) => went_on += usize::from(status == 0),
                Err(reason) => {
                    let hit = injected(&calls).map_or(&call.shown, |hit| &hit.shown);
                    wrong.push(format!("{errno} in {hit}: {reason}"));
                }
            }
            tried += 1;
        }
    }
    let survived = tried - wrong.len();
    tell(&format!(
        "faults: {name}: {tried} failures of {} calls tried, {survived} survived \
         ({went_on} by going on, {missed} not met again)\n",
        learnt.len()
    ));
    assert!(
        wrong.is_empty(),
        "{name}: {} of {tried} went wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    // What is not met again was not tried.
    assert!(missed * 10 <= tried, "{name}: {missed} of {tried} calls were not met again");
}

/// The call that was made to fail.
fn injected(calls: &[Call]) -> Option<&Call> {
    calls.iter().find(|call| call.shown.contains("(INJECTED)"))
}

/// Whether the call that failed was about a file of one container's own, by its name or by the
/// descriptor that was opened by it: then the others are as they were, and a note tells of it. That of
/// a directory, or of a list of several, is another matter.
fn is_about_one(calls: &[Call]) -> bool {
    const FILES: [&str; 8] = [
        "config.v2.json",
        "hostconfig.json",
        "state.json",
        "status",
        "config.json",
        "options.json",
        "init.pid",
        "youki_config.json",
    ];
    let Some(at) = calls.iter().position(|call| call.shown.contains("(INJECTED)")) else {
        return false;
    };
    let path = |call: &Call| call.shown.split('"').nth(1).map(str::to_owned);
    let descriptor = |call: &Call| {
        let first = call.shown.split(['(', ',', ')']).nth(1)?.trim().parse::<u32>().ok()?;
        let opened = format!(" = {first}");
        let opens =
            |other: &&Call| other.name.starts_with("open") && other.shown.ends_with(&opened);
        calls[..at].iter().rfind(opens).and_then(path)
    };
    let reads = ["read", "fstat", "pread64", "statx", "openat", "openat2", "close", "lseek"];
    let path = path(&calls[at]).or_else(|| descriptor(&calls[at]));
    let name = path.as_deref().and_then(|path| path.rsplit('/').next()).unwrap_or_default();
    reads.contains(&calls[at].name.as_str()) && FILES.contains(&name)
}

/// The calls to be failed, each with its errnos: all of them, or some of each kind.
fn chosen(learnt: &[Call], all: bool) -> Vec<(&Call, Vec<&'static str>)> {
    let mut seen: HashMap<&str, usize> = HashMap::new();
    let mut chosen = Vec::new();
    for (at, call) in learnt.iter().enumerate().skip(1) {
        let before = seen.entry(&call.shape).or_default();
        *before += 1;
        let is_last = learnt[at + 1..].iter().all(|later| later.shape != call.shape);
        // What strace does not know, as it may not know listns(2), it cannot fail.
        let cannot_fail =
            INFALLIBLE.contains(&call.name.as_str()) || call.name.starts_with("syscall_");
        if cannot_fail || !(all || *before <= 2 || is_last) {
            continue;
        }
        let (has_path, opens) =
            (call.shown.contains('"'), call.name.starts_with("open") || call.name == "socket");
        let fits = |errno: &str| match errno {
            "EACCES" => has_path,
            "EMFILE" => opens,
            _ => true,
        };
        let takes_turn = |place: usize| all || place == 0 || (place + chosen.len()) % 2 == 0;
        let errnos = ERRNOS
            .into_iter()
            .enumerate()
            .filter(|(place, errno)| fits(errno) && takes_turn(*place));
        let errnos = errnos.map(|(_, errno)| errno).collect();
        chosen.push((call, errnos));
        if call.is_command() {
            break;
        }
    }
    chosen
}

/// A line of strace's.
pub struct Call {
    pub name: String,
    /// The how-manieth of this name, from 1.
    pub nth: usize,
    /// The line with numbers and IDs taken out.
    shape: String,
    shown: String,
}

impl Call {
    /// One in a line of a child's.
    fn of_child(line: &str) -> Call {
        let shown = line.trim_start_matches(|c: char| c.is_ascii_digit() || c == ' ').to_owned();
        let name = shown.strip_prefix("<... ").unwrap_or(&shown);
        let name = name.split(['(', ' ']).next().unwrap_or_default().to_owned();
        Call { name, nth: 0, shape: String::new(), shown }
    }

    /// Whether it makes the process COMMAND.
    fn is_command(&self) -> bool {
        self.name == "execve" && self.nth > 1 && self.shown.ends_with(" = 0")
    }
}

/// Parses a log; what was already COMMAND is left out, but for the exec itself.
pub fn calls(log: &str) -> Vec<Call> {
    // Children have calls of their own.
    let line = log.lines().next().unwrap_or_default();
    calls_of(log, split_at_pid(line).0.trim())
}

/// Splits a line after the pid, which is there where several processes are traced.
fn split_at_pid(line: &str) -> (&str, &str) {
    line.split_at(line.find(|c: char| !c.is_ascii_digit() && c != ' ').unwrap_or(0))
}

/// As [`calls`], of one process.
fn calls_of(log: &str, pid: &str) -> Vec<Call> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let mut calls = Vec::new();
    for (_, line) in log.lines().map(split_at_pid).filter(|(other, _)| other.trim() == pid) {
        let Some((name, _)) =
            line.split_once('(').filter(|(name, _)| !name.contains([' ', '+', '-', '<']))
        else {
            continue;
        };
        let nth = counts.entry(name).or_default();
        *nth += 1;
        let call =
            Call { name: name.to_owned(), nth: *nth, shape: shape(line), shown: line.to_owned() };
        let is_command = call.is_command();
        calls.push(call);
        if is_command {
            break;
        }
    }
    calls
}

/// A line with each run of digits or hex digits as one mark.
fn shape(line: &str) -> String {
    let mut shape = String::new();
    let mut number = false;
    for c in line.chars() {
        let digit = c.is_ascii_digit() || (number && c.is_ascii_hexdigit());
        if !digit {
            shape.push(c);
        } else if !number {
            shape.push('#');
        }
        number = digit;
    }
    shape
}

/// /run/netns and the mount table, as far as they can be compared.
struct State {
    mounts: Vec<String>,
    pins: Vec<(String, u64)>,
}

impl State {
    fn now() -> State {
        let table = fs::read_to_string("/proc/thread-self/mountinfo").unwrap();
        // Without the ids, which every mount has anew.
        let mounts = table
            .lines()
            .filter_map(|line| line.splitn(4, ' ').nth(3))
            .map(str::to_owned)
            .collect();
        let entry = |e: std::io::Result<fs::DirEntry>| {
            let path = e.unwrap().path();
            (
                path.display().to_string(),
                fs::metadata(&path).or_else(|_| fs::symlink_metadata(&path)).unwrap().ino(),
            )
        };
        let mut pins: Vec<_> =
            fs::read_dir("/run/netns").into_iter().flatten().map(entry).collect();
        pins.sort();
        State { mounts, pins }
    }

    /// Whether nothing has changed since. Mounts of other tests, copied with our mount namespace,
    /// go when those remove what they are mounted on; those of ours stay.
    fn is_as(&self, before: &State) -> bool {
        let mut lost = before.mounts.clone();
        let is_none_new = self.mounts.iter().all(|mount| {
            let known = lost.iter().position(|before| before == mount);
            known.map(|at| lost.swap_remove(at)).is_some()
        });
        let is_ours = |mount: &String| {
            const OURS: [&str; 4] = [
                " /run/netns ",
                " /run/netns/blue ",
                " /run/netns/other ",
                " /run/netns/docker-web ",
            ];
            OURS.iter().any(|at| mount.contains(at))
        };
        self.pins == before.pins && is_none_new && !lost.iter().any(is_ours)
    }

    /// The inodes at this name and how many mounts there are.
    fn pin(&self, name: &str) -> (Option<u64>, usize) {
        let path = format!("/run/netns/{name}");
        let inode = self.pins.iter().find(|(pin, _)| *pin == path).map(|(_, inode)| *inode);
        let at = format!(" {path} ");
        (inode, self.mounts.iter().filter(|mount| mount.contains(&at)).count())
    }

    /// All but one name.
    fn without(&self, name: &str) -> State {
        let path = format!("/run/netns/{name}");
        let at = format!(" {path} ");
        State {
            mounts: self.mounts.iter().filter(|mount| !mount.contains(&at)).cloned().collect(),
            pins: self.pins.iter().filter(|(pin, _)| *pin != path).cloned().collect(),
        }
    }
}

/// A case that can be run again and again.
struct Bench {
    case: Case,
    scratch: Scratch,
    before: State,
    /// Whether there was a /run/netns.
    is_first: bool,
    own: String,
}

impl Bench {
    fn new(case: Case) -> Bench {
        let scratch = Scratch::new("faults");
        fs::copy(binary(), scratch.path("netns-enter")).unwrap();
        fs::write(scratch.path("log"), "").unwrap();
        for name in ["", "log"] {
            chown(scratch.path(name), case.user, case.user).unwrap();
        }
        let is_first = !Path::new("/run/netns").exists();
        Bench { case, scratch, before: State::now(), is_first, own: own_ns() }
    }

    /// Puts back what a run may rightly have changed.
    fn reset(&self) {
        match self.case.does {
            Does::Pins(name, _) | Does::PinsAll(name, _) => {
                let path = format!("/run/netns/{name}");
                while ask(&["umount", &path]).is_ok() {}
                let _ = fs::remove_file(&path);
                if self.is_first {
                    while ask(&["umount", "/run/netns"]).is_ok() {}
                    let _ = fs::remove_dir("/run/netns");
                }
            }
            Does::Unpins(name) if State::now().pin(name).1 == 0 => {
                let _ = fs::remove_file(format!("/run/netns/{name}"));
                let sleeper = Sleeper::start();
                pin(name, sleeper.pid);
            }
            _ => {}
        }
    }

    /// Runs it with the `nth` call of this name failing.
    fn fail(&self, name: &str, nth: usize, errno: &str) -> (Vec<Call>, Output) {
        // strace counts an execve from when the program runs: not the one that started it.
        let nth = nth - usize::from(name == "execve");
        self.run(Some(name), Some(&format!("inject={name}:error={errno}:when={nth}")))
    }

    /// The calls made up to COMMAND, or those called `only` alone, and how it ended.
    fn run(&self, only: Option<&str>, inject: Option<&str>) -> (Vec<Call>, Output) {
        let log = self.scratch.path("log");
        let mut command = match self.case.user {
            None => Command::new("strace"),
            Some(user) => as_user(user, &["strace"]),
        };
        command.args(["-qq", "-e", "signal=none", "-o", &log]);
        // Said twice it means a log for each process.
        if only.is_none() && self.case.is_deep {
            command.arg("-f");
        }
        if let Some(only) = only {
            // Then only these cost time; but for who is not root it sets no_new_privs.
            if self.case.user.is_none() {
                command.args(["-f", "--seccomp-bpf"]);
            }
            // What a descriptor is of tells the call that opened it.
            command.args(["-e", &format!("trace={only},openat,openat2,execve")]);
        }
        if let Some(inject) = inject {
            command.args(["-e", inject]);
        }
        command
            .arg(self.scratch.path("netns-enter"))
            .args(&self.case.args)
            .args(&self.case.command);
        if let Some(shell) = &self.case.shell {
            command.env("SHELL", shell);
        }
        let output = finish(&mut command);
        let text = String::from_utf8_lossy(&fs::read(log).unwrap()).into_owned();
        let mut calls = calls(&text);
        if only.is_none() && self.case.is_deep {
            // Not after COMMAND, with which ours end.
            let mut pids: Vec<_> =
                text.lines().map(|line| split_at_pid(line).0.trim()).skip(1).collect();
            pids.sort_unstable();
            pids.dedup();
            for pid in pids.into_iter().filter(|pid| *pid != split_at_pid(&text).0.trim()) {
                let of_reader =
                    |call: Call| Call { shape: format!("reader: {}", call.shape), ..call };
                calls.splice(1..1, calls_of(&text, pid).into_iter().map(of_reader));
            }
        }
        // One that failed in a child, which has calls of its own.
        if injected(&calls).is_none() {
            let line = text.lines().find(|line| line.contains("(INJECTED)"));
            calls.splice(0..0, line.map(Call::of_child));
        }
        (calls, output)
    }

    /// What is wrong with a run, or its exit status.
    fn judge(&self, calls: &[Call], output: &Output, errno: &str) -> Result<i32, String> {
        let injected = injected(calls);
        let ran = calls.last().is_some_and(Call::is_command);
        let (printed, said) = (output.stdout.trim().to_owned(), &output.stderr);
        let after = State::now();
        let wrong = |reason: &str| {
            let mut report = format!("{reason}: {}", output.dump());
            for (name, state) in [("before", &self.before), ("after", &after)] {
                let _ = write!(report, "\n{name}: {:?} {} mounts", state.pins, state.mounts.len());
            }
            Err(report)
        };
        let is_in = |call: Option<&Call>, names: &[&str]| {
            call.is_some_and(|call| names.contains(&call.name.as_str()))
        };
        // What may be lacking, and is told: what the caller may not read, and one container's file.
        let is_told = said.contains("not all of the host could be read");
        let may_be_short = is_told && (self.case.is_deep || is_about_one(calls));
        let denied = DENIALS.contains(&errno) || may_be_short;
        let right = match &self.case.does {
            Does::Enters(right) | Does::Shows(right) | Does::Pins(_, right) => {
                std::slice::from_ref(right)
            }
            Does::RefusesMany(each) if denied => each,
            _ => &[],
        };
        // COMMAND writes in the same process, and its first call may be the reader's in number.
        let is_untold = self.case.is_deep && printed.is_empty() && is_in(injected, &["write"]);
        if ran && !is_untold && (!right.contains(&printed) || printed == self.own) {
            return wrong("COMMAND ran, and not where it should");
        }
        let speaks =
            matches!(self.case.does, Does::Lists(_) | Does::RunsInEach(_) | Does::PinsAll(..));
        if !ran && !printed.is_empty() && !speaks {
            return wrong("something was printed without COMMAND");
        }
        if is_in(injected, &START_UP) && !ran {
            return Ok(output.status.code().unwrap_or(-1));
        }
        let status = match (output.status.code(), &self.case.does) {
            (Some(status), _) => status,
            // That of a COMMAND whose own call was failed.
            (None, Does::RunsInEach(_)) => 1,
            (None, _) => return wrong("a signal"),
        };
        let expected = match (&self.case.does, is_in(injected, &["execve"])) {
            (_, true) => [126; 2],
            (Does::RefusesMany(_), _) if denied => [0, 125],
            (Does::Refuses | Does::RefusesMany(_), _) => [125; 2],
            (Does::RunsInEach(_), _) => [status; 2],
            _ if errno.is_empty() || injected.is_none() => [0; 2],
            _ => [0, 125],
        };
        if !expected.contains(&status) {
            return wrong("an unexpected status");
        }
        if status == 125
            && !said.starts_with("netns-enter: ")
            && !is_in(injected, &["write", "fcntl"])
        {
            return wrong("nothing was said");
        }
        let is_muted = is_in(injected, &["write", "fcntl"]);
        match &self.case.does {
            Does::Lists(_) | Does::RunsInEach(_) if !after.is_as(&self.before) => {
                wrong("something is left")
            }
            Does::Lists(words) => match status {
                0 if denied || words.iter().all(|word| printed.contains(word)) => Ok(status),
                125 if printed.is_empty() || is_muted => Ok(status),
                _ => wrong("half a list"),
            },
            Does::RunsInEach(each) => {
                let lines: Vec<&str> = printed.lines().collect();
                let is_headed = |at: usize| {
                    let head = at.checked_sub(1).map_or("", |above| lines[above]);
                    inode_in(lines[at])
                        .is_some_and(|inode| head.ends_with(&format!(" {inode} <==")))
                };
                let is_ours =
                    |line: &str| line.starts_with("==> ") || each.iter().any(|ns| ns == line);
                let is_right = |at: usize| {
                    is_ours(lines[at]) && (lines[at].starts_with("==> ") || is_headed(at))
                };
                let is_whole = each.iter().all(|ns| lines.contains(&ns.as_str()));
                match (0..lines.len()).all(is_right)
                    && (is_whole || status != 0 || denied || is_muted)
                {
                    true => Ok(status),
                    false => wrong("not each in its own namespace"),
                }
            }
            Does::PinsAll(name, ns) => {
                let (whole, none) =
                    (after.pin(name) == (inode_in(ns), 1), after.pin(name) == (None, 0));
                let is_told = printed == *name || is_muted;
                let rest = after.without(name);
                match status {
                    _ if !rest.pins.is_empty()
                        || rest.mounts.len() > self.before.mounts.len() + 1 =>
                    {
                        wrong("other things changed")
                    }
                    // A name is told before its file is mounted on: what fails then is a failure.
                    _ if whole && is_told
                        || none && status != 0 && (printed.is_empty() || is_told)
                        || none && denied && printed.is_empty() =>
                    {
                        Ok(status)
                    }
                    _ => wrong("half a pin, or not told of"),
                }
            }
            Does::Enters(_) | Does::Shows(_) | Does::Refuses | Does::RefusesMany(_) => {
                if !after.is_as(&self.before) { wrong("something is left") } else { Ok(status) }
            }
            Does::Pins(name, ns) => {
                let whole = after.pin(name) == (inode_in(ns), 1);
                // A pin that was made stays, whatever becomes of COMMAND.
                let may_stay = status == 0 || !self.case.command.is_empty();
                let none = after.pin(name) == (None, 0);
                let rest = after.without(name);
                let is_as_before = rest.is_as(&self.before)
                    || self.is_first
                        && rest.pins.is_empty()
                        && rest.mounts.len() <= self.before.mounts.len() + 1;
                match (status, whole, none) {
                    _ if !is_as_before => wrong("other things changed"),
                    (0, true, _) => Ok(0),
                    (_, true, _) if may_stay => Ok(status),
                    (_, _, true) if status != 0 => Ok(status),
                    _ => wrong("half a pin, or none"),
                }
            }
            Does::Unpins(name) => match (status, after.pin(name)) {
                _ if !after.without(name).is_as(&self.before.without(name)) => {
                    wrong("other things changed")
                }
                (0, (None, 0)) | (125, (None, 0) | (Some(_), 1)) => Ok(status),
                // Unmounted already: the file that is left must be told of.
                (125, (Some(_), 0)) if said.contains(name) || said.is_empty() => Ok(status),
                _ => wrong("half removed"),
            },
        }
    }
}

/// Old kernels and strange seccomp filters: every newer call fails from start to end.
#[test]
fn without_newer_calls() {
    if cannot_run() || !is_inside() {
        return;
    }
    // strace refuses names that it does not know, unless asked not to.
    let newer = NEWER.map(|call| format!("?{call}")).join(",");
    for (name, row) in ROWS {
        let newer = newer.clone();
        util::apart(PREPARE, move || {
            let Ok(case) = row() else { return };
            let bench = Bench::new(case);
            bench.reset();
            let (learnt, _) = bench.run(None, None);
            let is_known = |call: &&Call| {
                NEWER.contains(&&*call.name) || OLD.split_whitespace().any(|old| old == call.name)
            };
            let unknown = learnt.iter().find(|call| !is_known(call));
            assert!(
                unknown.is_none(),
                "is this call in Linux 3.10? {}",
                unknown.map_or("", |call| &call.shown)
            );
            for errno in ["ENOSYS", "EPERM"] {
                bench.reset();
                let (calls, output) =
                    bench.run(Some(&newer), Some(&format!("inject={newer}:error={errno}")));
                let verdict = bench.judge(&calls, &output, errno);
                let works = matches!(verdict, Ok(0))
                    || matches!(bench.case.does, Does::Refuses | Does::RefusesMany(_));
                assert!(
                    verdict.is_ok() && (works || !bench.case.is_old),
                    "{name} with {errno}: {verdict:?} {}",
                    output.dump()
                );
            }
        });
    }
}
