//! What the first version did wrong on real machines, row by row: A is where it entered, pinned or ran
//! in the wrong namespace, B where it denied, hung, or said what was not so. Each test is named after
//! its row.
//!
//! Most have a machine of their own as far as files go: an empty /run, /var/lib and /home, and an /etc
//! with a user `al`, who is [`USER`].

#![forbid(unsafe_code)]

use crate::engines::alone_with_daemons;
use crate::engines::containerd::Containerd;
use crate::engines::docker::{Docker, Dockerd};
use crate::engines::podman::{Pod, Podman};
use crate::engines::rootless::Rootless;
use crate::machine;
use crate::net::ipv4;
use crate::util::{
    Cgroup, Held, OWN_ETC, Output, Scratch, Sleeper, USER, apart, as_user, ask, binary,
    busybox_root, children, command_enters, command_refuses, container_id, docker_config, enters,
    finish, inode_in, is_elsewhere, is_zombie, lacks, ns_of, own_ns, pidfd_inode, program, refuses,
    run, runc_state, sh, skip, start_time, thread_apart, tool, unique, until,
};
use rustix::fs::{XattrFlags, removexattr, setxattr};
use std::fs;
use std::os::unix::fs::{PermissionsExt, chown, lchown, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::thread;

/// The machine's own files, but for its programs.
const ROOM: &str = "
    for dir in /run /var/lib /var/log /home; do mount -t tmpfs -o mode=755 none $dir; done
    mkdir /run/etc && mount -t tmpfs -o mode=755 none /run/etc
    for file in passwd group nsswitch.conf ld.so.cache alternatives; do
        [ ! -e /etc/$file ] || cp -a /etc/$file /run/etc/
    done
    echo 'al:x:65533:65533::/home/al:/bin/sh' >>/run/etc/passwd
    mount --move /run/etc /etc && rmdir /run/etc
    mkdir -p /home/al /run/user/65533 /run/netns
    chown 65533:65533 /home/al /run/user/65533
    chmod 700 /home/al /run/user/65533
    mount --make-shared /run";

/// Such a machine without cgroups: whatever other tests have in theirs is not there.
const ALONE: &str = "mount -t tmpfs none /sys/fs/cgroup";

/// Runs `test` on such a machine; skips where it cannot be made, or a tool is missing.
#[track_caller]
fn room(tools: &[&str], test: impl FnOnce() + Send + 'static) {
    prepared(tools, test);
}

/// As [`room`], without cgroups.
#[track_caller]
fn room_alone(tools: &[&str], test: impl FnOnce() + Send + 'static) {
    prepared(tools, || {
        sh(ALONE, &[""; 0]).succeeds();
        test();
    });
}

#[track_caller]
fn prepared(tools: &[&str], test: impl FnOnce() + Send + 'static) {
    if lacks(&[&["unshare", "mount", "setpriv", "nsenter"], tools].concat()) {
        return;
    }
    if !finish(as_user(USER, &["unshare", "-Urn", "true"])).status.success() {
        return skip("users may not make user namespaces here");
    }
    apart(ROOM, test);
}

/// Writes a file, directories on the way too.
fn write(path: &str, text: impl AsRef<[u8]>) {
    fs::create_dir_all(Path::new(path).parent().unwrap()).expect("directories");
    fs::write(path, text).expect("a file");
}

/// Hands all below a directory to [`USER`], links themselves and not what they lead to.
fn give(path: &str) {
    lchown(path, Some(USER), Some(USER)).expect("chown");
    if fs::symlink_metadata(path).expect("what is there").is_dir() {
        for entry in fs::read_dir(path).expect("a directory") {
            give(entry.expect("an entry").path().to_str().expect("a plain path"));
        }
    }
}

/// What docker keeps of a container of this name, which does not run; returns its ID.
fn stopped(name: &str) -> String {
    let id = container_id();
    write(&format!("/var/lib/docker/containers/{id}/config.v2.json"), docker_config(&id, name, 0));
    id
}

/// A container of docker's that runs; with its ID.
fn docker(name: &str) -> (String, Sleeper) {
    let (id, sleeper) = (stopped(name), Sleeper::start());
    record(&id, sleeper.pid);
    (id, sleeper)
}

/// What runc records of a process of docker's.
fn record(id: &str, pid: u32) {
    let state = runc_state(id, pid, start_time(pid));
    write(&format!("/run/docker/runtime-runc/moby/{id}/state.json"), state);
}

/// What the user claims: this is the process of the container of crun's of this name.
fn forge(name: &str, sleeper: &Sleeper) {
    let (pid, start) = (sleeper.pid, sleeper.start_time());
    let status = format!("{{\"pid\":{pid},\"process-start-time\":{start}}}");
    write(&format!("/run/user/{USER}/crun/{name}/status"), status);
    give(&format!("/run/user/{USER}"));
}

/// A process that became this one in a cgroup that the user made in a directory of the user's own.
struct InDelegated {
    held: Held,
    // The inner one is removed first.
    _inner: Cgroup,
    _outer: Cgroup,
}

impl InDelegated {
    /// `exec` is what the user's shell does in the cgroup of this name.
    fn start(name: &str, exec: &str) -> Option<InDelegated> {
        let outer = Cgroup::new(&unique("delegated"))?;
        for file in [outer.0.clone(), outer.0.join("cgroup.procs")] {
            chown(file, Some(USER), Some(USER)).expect("chown");
        }
        let inner = Cgroup(outer.0.join(name));
        let script = format!(
            "echo $$ >\"$1/cgroup.procs\" && exec setpriv --reuid={USER} --regid={USER} --clear-groups \
             sh -c 'mkdir \"$1\" && echo $$ >\"$1/cgroup.procs\" && {exec}' sh \"$2\""
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script, "sh", outer.path(), inner.path()]);
        let held = Held::start(command);
        let procs = inner.0.join("cgroup.procs");
        until("a process in the cgroup", || {
            fs::read_to_string(&procs).is_ok_and(|t| !t.is_empty())
        });
        Some(InDelegated { held, _inner: inner, _outer: outer })
    }
}

/// Asserts that a container of docker's, of this name and ID, is entered by each of its words, with
/// nothing to note.
#[track_caller]
fn is_entered(name: &str, id: &str, ns: &str) {
    for word in [name, &format!("docker:{name}"), id, &id[..12]] {
        for args in [&[word][..], &["-c", word]] {
            assert_eq!(enters(args, ns), "", "{args:?}");
        }
    }
}

/// Asserts that it is said of it that it does not run.
#[track_caller]
fn is_not_running(name: &str, id: &str) {
    for word in [name, &format!("docker:{name}"), id, &id[..12]] {
        for args in [&[word][..], &["-c", word]] {
            let said = refuses(args, &["docker", "is not running"]);
            assert!(!names_a_process(&said), "{said}");
        }
    }
}

/// Pins all; returns the names, but for those of containers that other tests have in cgroups.
fn pin_all() -> Vec<String> {
    let output = run(&["--pin-all"]);
    let names = output.stdout.lines().filter(|name| !name.starts_with("lxc-"));
    names.map(str::to_owned).collect()
}

/// Whether a remedy names a process.
fn names_a_process(said: &str) -> bool {
    said.split("--pid ").skip(1).any(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
}

// A. Enters, pins or runs in the wrong namespace.

/// `runc init` is in the container's cgroup before it has left the host's namespaces, and nothing is
/// recorded then.
#[test]
fn a1_what_starts_is_not_entered() {
    room(&[], || {
        let id = stopped("web");
        let Some(cgroup) = Cgroup::new(&format!("docker/{id}")) else {
            return skip("no cgroup hierarchy can be written");
        };
        // As runc:[0:PARENT] is, as crun's child before it joins, and as LXC's before it unshares.
        for command in [
            &["sleep", "3600"][..],
            &["unshare", "-pf", "--kill-child", "sleep", "3600"],
            &["unshare", "-npf", "--kill-child", "sleep", "3600"],
        ] {
            let held = Held::start(Command::new(command[0]).args(&command[1..]));
            let is_asleep = |pid: &u32| {
                fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|comm| comm == "sleep\n")
            };
            let mut found = None;
            until("sleep", || {
                found = [held.pid()].into_iter().chain(children(held.pid())).find(is_asleep);
                found.is_some()
            });
            cgroup.add(found.expect("a process"));
            for word in ["web", "docker:web", &id, &id[..12]] {
                let said = refuses(&["-c", word], &["docker"]);
                assert!(!said.contains("is not running") && !names_a_process(&said), "{said}");
                refuses(&[word, "--pin", "web"], &["docker"]);
                run(&[word, "--pin", "web"]).refuses(&["docker"]);
            }
            assert!(!Path::new("/run/netns/web").exists());
            assert_eq!(pin_all(), [""; 0]);
            drop(held);
            until("an empty cgroup", || {
                fs::read_to_string(cgroup.0.join("cgroup.procs")).is_ok_and(|t| t.is_empty())
            });
        }
        // The one that has started.
        let first = Sleeper::of_shim(&id);
        cgroup.add(first.pid);
        is_entered("web", &id, &first.ns());
        record(&id, first.pid);
        is_entered("web", &id, &first.ns());
    });
}

/// Asks by each word in a loop for as long as a container is restarted: each answer must be of a
/// namespace in which the script `is_right` says so.
#[track_caller]
fn ask_beside(words: &[&[&str]], is_right: &str, restart: impl Fn() + Sync) {
    const RESTARTS: usize = 8;
    let is_answered = |words: &[&str]| {
        let mut command = program();
        let output = finish(command.args(words).args(["--", "sh", "-c", is_right]));
        let is_refused = output.status.code() == Some(125);
        if !is_refused {
            output.succeeds().prints("right");
        }
        !is_refused
    };
    thread::scope(|scope| {
        let restarts = scope.spawn(|| (0..RESTARTS).for_each(|_| restart()));
        while !restarts.is_finished() {
            words.iter().for_each(|words| _ = is_answered(words));
        }
        restarts.join().expect("restarts");
    });
    for words in words {
        until("an answer", || is_answered(words));
    }
}

/// Prints `right` in a namespace whose packets live so long.
fn lives(hops: u32) -> String {
    format!("[ $(cat /proc/sys/net/ipv4/ip_default_ttl) = {hops} ] && echo right")
}

#[test]
fn a1_docker_that_restarts() {
    let _alone = alone_with_daemons();
    let mut docker = match Docker::start() {
        Ok(docker) => docker,
        Err(reason) => return skip(&reason),
    };
    let options = ["--network", "none", "--sysctl", "net.ipv4.ip_default_ttl=77"];
    let (name, id) = docker.make(&["run", "-d"], &options).expect("a container");
    let words = [&[&name[..]][..], &["-c", &id], &[&id[..12]]];
    ask_beside(&words, &lives(77), || {
        until("a restart", || ask(&["docker", "restart", "-t", "0", &name]).is_ok());
    });
}

#[test]
fn a1_podman_that_restarts() {
    let podman = match Podman::start_with(&["--sysctl", "net.ipv4.ip_default_ttl=78"]) {
        Ok(podman) => podman,
        Err(reason) => return skip(&reason),
    };
    let words = [&[&podman.name[..]][..], &["-c", &podman.id]];
    ask_beside(&words, &lives(78), || {
        until("a restart", || ask(&["podman", "restart", "-t", "0", &podman.name]).is_ok());
    });
}

#[test]
fn a1_ctr_that_runs() {
    let _alone = alone_with_daemons();
    let mut containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => return skip(&reason),
    };
    let name = Containerd::name();
    if let Err(reason) = containerd.run("default", &name, &[]) {
        return skip(&reason);
    }
    // Nothing can be set in it, but it has no interface besides, and the host has.
    let right = "[ \"$(ip -o link | wc -l)\" = 1 ] && echo right";
    let containerd = std::sync::Mutex::new(containerd);
    ask_beside(
        &[&[&name[..]], &["containerd:", &name].concat().split(' ').collect::<Vec<_>>()],
        right,
        || {
            let mut containerd = containerd.lock().expect("containerd");
            containerd.kill("default", &name).expect("a signal");
            until("its end", || ask(&["ctr", "task", "rm", &name]).is_ok());
            // On a busy machine it may not start, and leave its name taken.
            until("another one", || {
                drop(ask(&["ctr", "container", "rm", &name]));
                containerd.run("default", &name, &[]).is_ok()
            });
        },
    );
}

/// The monitor of a pod's container is in the pod's cgroup, and in the host's namespace.
#[test]
fn a2_a_pods_id_is_not_its_monitor() {
    let pod = match Pod::start() {
        Ok(pod) => pod,
        Err(reason) => return skip(&reason),
    };
    let ns = ns_of(pod.pid);
    assert_ne!(ns, own_ns());
    for word in [&pod.id, &pod.id[..12], &format!("podman:{}", pod.id)] {
        enters(&["-c", word], &ns);
        enters(&[word], &ns);
    }
    let path = format!("/libpod_parent/{}", pod.id);
    enters(&["--cgroup", &path], &ns);
    // With its monitors alone there is nothing to enter.
    pod.podman(&["pod", "stop", "-t", "0", &pod.id]).expect("stop");
    refuses(&[&pod.id], &["is not running"]);
}

/// A name can be given that the kernel gives, too; and a set-uid program runs as root in a user's
/// cgroup.
#[test]
fn a3_a_cgroup_called_deleted() {
    room(&[], || {
        let id = stopped("web");
        let scratch = Scratch::new("suid");
        let sleep = scratch.path("sleep");
        fs::copy("/bin/sleep", &sleep).expect("a copy");
        fs::set_permissions(&sleep, fs::Permissions::from_mode(0o4755)).expect("chmod");
        let docker =
            [format!("{id} (deleted)"), format!("docker-{id}.scope (deleted)"), id.clone()];
        for name in docker {
            let Some(shell) = InDelegated::start(&name, &format!("exec {sleep} 3600")) else {
                return skip("no cgroup hierarchy can be written");
            };
            let status = format!("/proc/{}/status", shell.held.pid());
            until("root's uid", || {
                let status = fs::read_to_string(&status).unwrap_or_default();
                status.contains(&format!("Uid:\t{USER}\t0\t0\t0"))
            });
            is_not_running("web", &id);
        }
    });
}

/// `--cgroup` of a line of /proc/PID/cgroup.
#[test]
fn a3_a_line_that_ends_so_is_no_other_groups() {
    room(&[], || {
        let name = unique("group");
        let Some(plain) = Cgroup::new(&name) else {
            return skip("no cgroup hierarchy can be written");
        };
        let (one, other) = (Sleeper::start(), Sleeper::start());
        plain.add(one.pid);
        let line = format!("0::/{name} (deleted)");
        refuses(&["-g", &line], &["no cgroup", &name, "removed"]);
        refuses(&["-g", &format!("/{name} (deleted)")], &["no cgroup", &name]);
        enters(&["-g", &format!("0::/{name}")], &one.ns());
        let called = Cgroup::new(&format!("{name} (deleted)")).expect("a cgroup");
        called.add(other.pid);
        enters(&["-g", &line], &other.ns());
        drop((one, other, plain, called));
    });
}

/// Who owns a cgroup makes others in it whose paths are longer than any that can be opened.
#[test]
fn a_cgroup_of_which_not_all_can_be_opened() {
    const DEEP: &str = r#"
import os, sys
os.chdir(sys.argv[1])
if sys.argv[2:]:
    for _ in range(17): os.mkdir('d' * 250); os.chdir('d' * 250)
    open('cgroup.procs', 'w').write(sys.argv[2])
else:
    depth = 0
    while os.path.exists('d' * 250): os.chdir('d' * 250); depth += 1
    for _ in range(depth): os.chdir('..'); os.rmdir('d' * 250)
"#;
    room(&["python3"], || {
        let name = unique("group");
        let Some(group) = Cgroup::new(&name) else {
            return skip("no cgroup hierarchy can be written");
        };
        let (one, mut deep) = (Sleeper::start(), Sleeper::start());
        group.add(one.pid);
        group.add(deep.pid);
        tool("python3", &["-c", DEEP, group.path(), &deep.word()]).succeeds();
        refuses(&["-g", &format!("/{name}")], &["cannot all be looked at", &name, "too long"]);
        run(&["--list"]).succeeds().says(&[]);
        deep.kill();
        deep.reap();
        tool("python3", &["-c", DEEP, group.path()]).succeeds();
        enters(&["-g", &format!("/{name}")], &one.ns());
        drop((one, group));
    });
}

/// An exact name of a user's does not go before a prefix of root's: it is of another world.
#[test]
fn a4_a_users_name_of_twelve_digits() {
    room(&[], || {
        let ((id, web), theirs) = (docker("web"), Sleeper::of_user());
        forge(&id[..12], &theirs);
        is_entered("web", &id, &web.ns());
        // It is there for who asks for it.
        enters(&["-c", &format!("crun:{}@al", &id[..12])], &theirs.ns());
    });
}

#[test]
fn a5_a_users_record_of_roots_id() {
    room(&[], || {
        let (id, theirs) = (stopped("web"), Sleeper::of_user());
        forge(&id, &theirs);
        is_not_running("web", &id);
        refuses(&["-c", &format!("docker:{id}@al")], &["no container"]);
        enters(&["-c", &format!("crun:{id}@al")], &theirs.ns());
    });
}

/// Root learns from its own daemons where they keep things, and asks no process of a user's that is
/// called like one: whatever that is like.
#[test]
fn a_users_process_that_is_called_like_a_daemon() {
    room(&["perl"], || {
        let (_, web) = docker("web");
        let argument = "x".repeat(100_000);
        let held = ["dockerd", "containerd"].map(|name| {
            let path = format!("/home/al/{name}");
            fs::copy("/bin/sh", &path).expect("a copy");
            give(&path);
            let words = [&path[..], "-c", "sleep 3600; :", "--data-root=/home/al/data"];
            let held = Held::start(as_user(USER, &[&words[..], &[&argument[..]; 15]].concat()));
            let is_there = || ask(&["cat", &format!("/proc/{}/comm", held.pid())]);
            until("the program", || is_there().is_ok_and(|comm| comm.trim() == name));
            held
        });
        let asked = || {
            for args in [&["--list"][..], &["--all", "true"], &["--pin-all"]] {
                let output = run(args);
                assert!(
                    output.succeeds().stdout.contains("docker:web") || args == ["--pin-all"],
                    "{}",
                    output.dump()
                );
            }
            enters(&["web"], &web.ns());
            refuses(&["wbe"], &["no container", "did you mean docker:web?"]);
            refuses(&["nobody"], &["no container or pin \"nobody\""]);
        };
        asked();
        for name in ["dockerd", "containerd"] {
            fs::remove_file(format!("/home/al/{name}")).expect("a file");
        }
        asked();
        for held in &held {
            sh("kill -STOP $1", &[held.word()]).succeeds();
        }
        asked();
    });
}

#[test]
fn a6_a_users_cgroup_of_roots_id() {
    room(&[], || {
        let id = stopped("web");
        let plain = "exec unshare -Urn sleep 3600";
        let first = "exec unshare -Urpf --kill-child unshare -n sleep 3600";
        let names = [format!("docker-{id}.scope"), id.clone(), format!("libpod-{id}.scope")];
        for (name, exec) in names.iter().flat_map(|name| [(name, plain), (name, first)]) {
            let Some(theirs) = InDelegated::start(name, exec) else {
                return skip("no cgroup hierarchy can be written");
            };
            until("their namespace", || {
                let pid = theirs.held.pid();
                [pid].into_iter().chain(children(pid)).any(is_elsewhere)
            });
            is_not_running("web", &id);
            assert_eq!(pin_all(), [""; 0]);
            let list = run(&["--list"]);
            assert!(!list.succeeds().stdout.contains("docker:web"), "{}", list.dump());
            drop(theirs);
        }
    });
}

/// What a container's root puts into the cgroup of a container of root's that does not run is in a
/// pid namespace of its own container.
#[test]
fn a7_a_process_of_another_containers() {
    room(&[], || {
        let name = unique("lxc");
        write(&format!("/var/lib/lxc/{name}/config"), "lxc.uts.name = x\n");
        let Some(payload) = Cgroup::new(&format!("lxc.payload.{name}")) else {
            return skip("no cgroup hierarchy can be written");
        };
        let mut command = Command::new("unshare");
        command.args(["-pf", "--kill-child", "unshare", "-pf", "--kill-child"]);
        let theirs = Held::start(command.args(["unshare", "-n", "sleep", "3600"]));
        let below = |pid: u32| children(pid).first().copied();
        let inner = || below(theirs.pid()).and_then(below).filter(|pid| is_elsewhere(*pid));
        until("their namespace", || inner().is_some());
        payload.add(inner().expect("a process"));
        for word in [name.clone(), format!("lxc:{name}")] {
            refuses(&["-c", &word], &["is not running"]);
        }
    });
}

/// Root of a container that has the host's pids and cgroups makes the cgroup of one that does not run.
#[test]
fn a7_a_process_whose_parent_does_not_name_the_container() {
    room(&[], || {
        let id = stopped("web");
        let Some(cgroup) = Cgroup::new(&format!("docker/{id}")) else {
            return skip("no cgroup hierarchy can be written");
        };
        for theirs in [Sleeper::first(), Sleeper::of_shim(&container_id())] {
            cgroup.add(theirs.pid);
            for word in ["web", "docker:web", &id, &id[..12]] {
                let said = refuses(&["-c", word], &["is no runtime that names the container"]);
                assert!(!names_a_process(&said), "{said}");
            }
            assert_eq!(pin_all(), [""; 0]);
            let list = run(&["--list"]);
            assert!(!list.succeeds().stdout.contains("docker:web"), "{}", list.dump());
        }
    });
}

/// A monitor outlives the upgrade of its package.
#[test]
fn a_container_whose_keepers_program_is_gone() {
    room(&[], || {
        let name = unique("lxc");
        write(&format!("/var/lib/lxc/{name}/config"), "lxc.uts.name = x\n");
        let Some(payload) = Cgroup::new(&format!("lxc.payload.{name}")) else {
            return skip("no cgroup hierarchy can be written");
        };
        let program = "/var/lib/monitor";
        sh("cp \"$(command -v unshare)\" /var/lib/monitor", &[""; 0]).succeeds();
        let mut command = Command::new(program);
        command.arg0(format!("[lxc monitor] /var/lib/lxc {name}"));
        command.args(["--pid", "--fork", "--kill-child", "unshare", "--net", "sleep", "3600"]);
        let first = Sleeper::child(command);
        payload.add(first.pid);
        enters(&["-c", &name], &first.ns());
        fs::write("/var/lib/newer", "")
            .and_then(|()| fs::rename("/var/lib/newer", program))
            .expect("a file");
        enters(&["-c", &name], &first.ns());
        fs::remove_file(program).expect("no file");
        enters(&["-c", &name], &first.ns());
    });
}

/// What is below a container's cgroup is no unit of root's, whatever the container is called.
#[test]
fn a7_what_another_containers_root_has_moved() {
    room(&[], || {
        let name = unique("lxc");
        write(&format!("/var/lib/lxc/{name}/config"), "lxc.uts.name = x\n");
        let Some(payload) = Cgroup::new(&format!("lxc.payload.{name}")) else {
            return skip("no cgroup hierarchy can be written");
        };
        let first = Sleeper::of_monitor(&name);
        payload.add(first.pid);
        enters(&["-c", &name, "-v"], &first.ns());
        // As a runtime has it that another container is.
        let (pid, start) = (first.pid, first.start_time());
        let status = format!("{{\"pid\":{pid},\"process-start-time\":{start}}}");
        write(&format!("/run/crun/{name}-theirs/status"), status);
        for word in [name.clone(), format!("lxc:{name}")] {
            refuses(&["-c", &word], &["nothing proves whose"]);
        }
        enters(&["-c", &format!("{name}-theirs")], &first.ns());
        // Nobody has a container of this name.
        let invented = format!("{name}-invented");
        let inner = Cgroup::new(&format!("lxc.payload.{invented}")).expect("a cgroup");
        let other = Sleeper::first();
        inner.add(other.pid);
        refuses(&[&invented], &["no container or pin"]);
        drop((first, other, inner, payload));
    });
}

#[test]
fn a7_a_unit_that_a_container_or_a_user_has_made() {
    room(&[], || {
        let unit = format!("{}.service", unique("unit"));
        let Some(top) = Cgroup::new(&unit) else {
            return skip("no cgroup hierarchy can be written");
        };
        let theirs = Sleeper::first();
        top.add(theirs.pid);
        refuses(&["-g", &unit], &["no cgroup"]);
        // By its path it can be named as what it is.
        enters(&["-g", &format!("/{unit}")], &theirs.ns());
        // Beside a unit of root's that is called so.
        let slice = Cgroup::new("system.slice").expect("a cgroup");
        let real = Cgroup::new(&format!("system.slice/{unit}")).expect("a cgroup");
        let own = Sleeper::start();
        real.add(own.pid);
        enters(&["-g", &unit], &own.ns());
        drop((theirs, own, real, slice, top));
        let left = format!("{}.service", unique("unit"));
        let group = Cgroup::new(&left).expect("a cgroup");
        let users = Sleeper::of_user();
        group.add(users.pid);
        refuses(&["-g", &left], &["no cgroup"]);
        drop((users, group));
    });
}

/// The number of a run of a unit's.
const INVOCATION: &str = "0123456789abcdef0123456789abcdef";

impl Cgroup {
    /// Has it that systemd has made it for this run.
    fn invoke(&self) {
        let (name, number) = ("trusted.invocation_id", INVOCATION.as_bytes());
        setxattr(&self.0, name, number, XattrFlags::empty()).expect("an extended attribute");
    }
}

/// PrivateUsers= and PrivatePIDs=: no process of such a service is in the machine's own namespaces.
#[test]
fn a7_a_service_in_namespaces_of_its_own() {
    room(&[], || {
        let unit = format!("{}.service", unique("unit"));
        let id = unique("runc");
        let scope = |engine| Cgroup::new(&format!("{engine}-{id}.scope"));
        let (Some(service), Some(scope), Some(other)) =
            (Cgroup::new(&unit), scope("runc"), scope("backup"))
        else {
            return skip("no cgroup hierarchy can be written");
        };
        for kinds in [&["--user", "--map-root-user"][..], &[]] {
            let mut command = Command::new("unshare");
            command.args(["--pid", "--fork", "--net"]).args(kinds).args(["sleep", "3600"]);
            let mut parent = Held::start(command);
            let mut pid = 0;
            until("a process asleep", || {
                let is_it = |pid: &u32| {
                    let comm = fs::read_to_string(format!("/proc/{pid}/comm"));
                    comm.is_ok_and(|comm| comm == "sleep\n")
                };
                pid = children(parent.pid()).into_iter().find(is_it).unwrap_or_default();
                pid != 0
            });
            service.add(pid);
            refuses(&["-g", &unit], &["no cgroup"]);
            // Whoever started it has ended, and process 1 is its parent.
            parent.0.kill().and_then(|()| parent.0.wait()).expect("an end");
            let orphan = || children(1).contains(&pid);
            until("an orphan", orphan);
            // As a container's may be, too, that nobody has recorded: the unit must run.
            refuses(&["-g", &unit], &["no cgroup"]);
            let runs = format!("/run/systemd/units/invocation:{unit}");
            fs::create_dir_all("/run/systemd/units").expect("a directory");
            symlink(INVOCATION, &runs).expect("a link");
            refuses(&["-g", &unit], &["no cgroup"]);
            service.invoke();
            enters(&["-g", &unit], &ns_of(pid));
            enters(&[&unit], &ns_of(pid));
            // Of a container that says whose it is there is but one unit.
            let state = runc_state(&id, pid, start_time(pid));
            write(&format!("/run/runc/{id}/state.json"), state);
            refuses(&["-g", &unit], &["no cgroup"]);
            scope.add(pid);
            enters(&["-g", &format!("runc-{id}.scope")], &ns_of(pid));
            // Any scope may end as a container is called.
            other.add(pid);
            refuses(&["-g", &format!("backup-{id}.scope")], &["no cgroup"]);
            fs::remove_dir_all("/run/runc").expect("no record");
            fs::remove_file(&runs).expect("no link");
            removexattr(&service.0, "trusted.invocation_id").expect("no attribute");
            sh(&format!("kill -9 {pid}"), &[""; 0]).succeeds();
            until("its end", || !orphan());
        }
    });
}

/// A container may have the machine's pids and users, and its root makes a cgroup that is called
/// like a unit: its root directory tells it from the unit's own, unless the unit runs.
#[test]
fn a7_what_has_another_root_directory_in_a_unit() {
    room(&["busybox"], || {
        let unit = format!("{}.service", unique("unit"));
        let Some(service) = Cgroup::new(&format!("system.slice/{unit}")) else {
            return skip("no cgroup hierarchy can be written");
        };
        let scratch = Scratch::new("root");
        let root = busybox_root(&scratch).expect("a root directory");
        let mut command = Command::new("unshare");
        let theirs = Sleeper::apart(command.args(["-n", "--root", &root, "/bin/sleep", "3600"]));
        service.add(theirs.pid);
        for words in [&["-g", &unit][..], &[&unit]] {
            refuses(words, &[&unit]);
        }
        // RootDirectory=: systemd.exec(5).
        fs::create_dir_all("/run/systemd/units").expect("a directory");
        let runs = format!("/run/systemd/units/invocation:{unit}");
        symlink(INVOCATION, runs).expect("a link");
        // A unit may be active without a process, and its cgroup another's.
        refuses(&["-g", &unit], &[&unit]);
        service.invoke();
        enters(&["-g", &unit], &theirs.ns());
        drop(theirs);
    });
}

/// What brings a container into another network namespace than its own is its root's work.
#[test]
fn a8_a_container_that_has_gone_elsewhere() {
    room(&["ip"], || {
        let id = stopped("web");
        let specified = |pid: u32, path: &str| {
            let start = start_time(pid);
            let state = format!(
                "{{\"init_process_pid\":{pid},\"init_process_start\":{start},\"config\":\
                 {{\"namespaces\":[{{\"type\":\"NEWNET\",\"path\":\"{path}\"}}]}}}}"
            );
            write(&format!("/run/docker/runtime-runc/moby/{id}/state.json"), state);
        };
        let own = Sleeper::start();
        run(&["-p", &own.word(), "--pin", "own"]).succeeds();
        let mut sleep = Command::new("sleep");
        let hosts = Held::start(sleep.arg("3600"));
        // As podman has it, and Kubernetes.
        specified(own.pid, "/run/netns/own");
        is_entered("web", &id, &own.ns());
        let users = Sleeper::of_user();
        let owns = format!("/proc/{}/ns/net", own.pid);
        for path in ["/run/netns/own", "/run/netns/gone", "/var/run/netns/default", &owns] {
            specified(hosts.pid(), path);
            refuses(&["web"], &["is in the host's network namespace"]);
            specified(users.pid, path);
            refuses(&["web"], &["is in a network namespace of a user's making"]);
        }
        specified(users.pid, "");
        refuses(&["web"], &["is in a network namespace of a user's making"]);
        // A process that came later than the container has the pid of the one that was specified.
        let later = Held::start(Command::new("sleep").arg("3600"));
        until("a later start", || start_time(later.pid()) > start_time(hosts.pid()));
        specified(hosts.pid(), &format!("/proc/{}/ns/net", later.pid()));
        refuses(&["web"], &["is in the host's network namespace"]);
        // Where docker mounts the host's for that, which nobody else may see.
        specified(hosts.pid(), "/var/run/docker/netns/default");
        enters(&["-c", "web"], &own_ns());
        specified(users.pid, "/var/run/docker/netns/default");
        refuses(&["web"], &["is in a network namespace of a user's making"]);
        // What was asked for is no harm.
        specified(hosts.pid(), &format!("/proc/{}/ns/net", std::process::id()));
        enters(&["-c", "web"], &own_ns());
        specified(users.pid, &format!("/proc/{}/ns/net", users.pid));
        enters(&["-c", "web"], &users.ns());
        run(&["--unpin", "own"]).succeeds();
    });
}

/// podman leaves the file of a pid behind, and another's process may have got that pid.
#[test]
fn a8_a_pidfile_that_is_older_than_the_process() {
    room(&["touch"], || {
        let id = container_id();
        let group = format!("libpod_parent/libpod-{id}");
        let Some(cgroup) = Cgroup::new(&group) else {
            return skip("no cgroup hierarchy can be written");
        };
        let store = "storage/overlay-containers";
        let list = format!("[{{\"id\":\"{id}\",\"names\":[\"old\"],\"metadata\":\"{{}}\"}}]");
        write(&format!("/var/lib/containers/{store}/containers.json"), list);
        let config = format!("{{\"linux\":{{\"cgroupsPath\":\"/{group}\"}}}}");
        write(&format!("/var/lib/containers/{store}/{id}/userdata/config.json"), config);
        let sleeper = Sleeper::start();
        cgroup.add(sleeper.pid);
        let file = format!("/run/containers/{store}/{id}/userdata/pidfile");
        write(&file, sleeper.word());
        for word in ["old", "podman:old", &id] {
            enters(&["-c", word], &sleeper.ns());
        }
        tool("touch", &["-d", "@1000000000", &file]).succeeds();
        for word in ["old", "podman:old", &id] {
            refuses(&["-c", word], &["is not running", "younger than the record"]);
        }
    });
}

/// What nspawn was told alone says whether its machine belongs in the host's network namespace.
#[test]
fn a8_a_machine_that_has_gone_to_the_host() {
    room(&["flock"], || {
        let machine = |option: &str| {
            let mut command = Command::new("flock");
            command.arg0("/usr/bin/systemd-nspawn").args([option, "/run", "sleep", "3600"]);
            let nspawn = Held::start(command);
            let mut leader = None;
            until("a leader", || {
                leader = children(nspawn.pid()).first().copied();
                leader.is_some()
            });
            let leader = leader.expect("a process");
            let inode = pidfd_inode(leader)?;
            let text = format!("LEADER={leader}\nLEADER_PIDFDID={inode}\nCLASS=container\n");
            write("/run/systemd/machines/box", text);
            Some(nspawn)
        };
        // It has the host's network unless it is told otherwise.
        let Some(plain) = machine("-s") else {
            return skip("the kernel gives pidfds no inodes");
        };
        enters(&["-c", "machine:box"], &own_ns());
        drop(plain);
        // --private-network
        let apart = machine("-n");
        refuses(&["-c", "machine:box"], &["is in the host's network namespace"]);
        drop(apart);
    });
}

/// Docker in an unprivileged container of LXC's: root there is in a user namespace that somebody has
/// made who has no uid in it, and that owns all its containers' network namespaces.
#[test]
fn a8_a_container_that_is_a_machine_of_its_own() {
    const BECOME: &str = "
import ctypes, os, sys
libc, root = ctypes.CDLL(None), sys.argv[1]
ready, mapped = os.pipe(), os.pipe()
pid = os.fork()
if pid == 0:
    assert libc.unshare(0x10000000 | 0x20000 | 0x20000000) == 0
    os.write(ready[1], b'x')
    os.read(mapped[0], 1)
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)
    if os.fork() == 0:
        assert libc.mount(b'proc', (root + '/proc').encode(), b'proc', 0, None) == 0
        os.chroot(root)
        os.chdir('/')
        os.execv('/bin/sh', ['sh', '-c', sys.argv[2]])
    os._exit(os.wait()[1] >> 8)
os.read(ready[0], 1)
for kind in 'ug': open(f'/proc/{pid}/{kind}id_map', 'w').write('0 100000 65536')
os.write(mapped[1], b'x')
sys.exit(os.waitpid(pid, 0)[1] >> 8)";
    const INSIDE: &str = r#"PATH=/bin; set -e
unshare -n sleep 3600 & pid=$!
until [ "$(cat /proc/$pid/comm)" = sleep ]; do kill -0 $pid; sleep 0.01; done
start=$(cut -d' ' -f22 /proc/$pid/stat)
mkdir -p /run/runc/web
echo "{\"init_process_pid\":$pid,\"init_process_start\":$start}" >/run/runc/web/state.json
[ "$(netns-enter -c runc:web -- readlink /proc/self/ns/net)" = "$(readlink /proc/$pid/ns/net)" ]
kill $pid"#;
    room(&["python3"], || {
        let scratch = Scratch::new("machine");
        let root = busybox_root(&scratch).expect("a root directory");
        fs::copy(binary(), format!("{root}/bin/netns-enter")).expect("a copy");
        sh(
            "cd \"$1\" && mkdir -p run && for applet in unshare cut readlink mkdir cat kill; do
                ln -sf busybox bin/$applet || exit; done && : >dev/null && chown -R 100000:100000 .",
            &[&root],
        )
        .succeeds();
        tool(&python(), &["-c", BECOME, &root, INSIDE]).succeeds();
    });
}

/// Jobs of cron and at, and logins without a session of their own, are in the unit's cgroup.
#[test]
fn a7_a_users_job_in_a_unit_of_roots() {
    room(&["setpriv"], || {
        let unit = format!("{}.service", unique("unit"));
        let Some(group) = Cgroup::new(&unit) else {
            return skip("no cgroup hierarchy can be written");
        };
        let user = USER.to_string();
        let mut job = Command::new("unshare");
        job.args(["-n", "setpriv", "--reuid", &user, "--regid", &user, "--clear-groups"]);
        job.args(["sleep", "3600"]);
        // In namespaces of the user's making, and in one of root's.
        let (theirs, run_as) = (Sleeper::of_user(), Sleeper::apart(job));
        group.add(theirs.pid);
        refuses(&["-g", &unit], &["no cgroup"]);
        let own = Sleeper::start();
        group.add(own.pid);
        for words in [&["-g", &unit][..], &[&unit]] {
            let said = enters(words, &own.ns());
            assert!(said.contains("what users run in network namespaces of their own"), "{said}");
        }
        refuses(&["-g", &format!("/{unit}")], &["2 network namespaces"]);
        // What root has put into another one by another uid is the unit's, too.
        group.add(run_as.pid);
        refuses(&["-g", &unit], &["2 network namespaces", &run_as.word()]);
        // Two of root's are in doubt as ever, and nobody is sent to the user's.
        let second = Sleeper::start();
        group.add(second.pid);
        let said = refuses(&["-g", &unit], &["3 network namespaces"]);
        assert!(!said.contains(&theirs.word()), "{said}");
        // Where nothing is root's all of it counts.
        drop((own, second));
        refuses(&["-g", &unit], &["2 network namespaces"]);
        drop(theirs);
        enters(&["-g", &unit], &run_as.ns());
        drop((run_as, group));
    });
}

#[test]
fn a7_a_container_that_is_called_like_a_slice() {
    room(&[], || {
        let name = unique("lxc");
        let unit = format!("{name}.service");
        let Some(payload) = Cgroup::new(&format!("lxc.payload.{name}.slice")) else {
            return skip("no cgroup hierarchy can be written");
        };
        let inner = Cgroup::new(&format!("lxc.payload.{name}.slice/{unit}")).expect("a cgroup");
        let theirs = Sleeper::start();
        inner.add(theirs.pid);
        refuses(&["-g", &unit], &["no cgroup"]);
        refuses(&[&unit], &["no unit of the system is called so"]);
        drop((theirs, inner, payload));
    });
}

/// What is judged is what is read, from wherever a path is named.
#[test]
fn a_relative_state_file_is_judged_where_it_is() {
    room(&[], || {
        let (web, other) = (Sleeper::start(), Sleeper::start());
        let status = |sleeper: &Sleeper| {
            let (pid, start) = (sleeper.pid, sleeper.start_time());
            format!("{{\"pid\":{pid},\"process-start-time\":{start}}}")
        };
        write("/run/crun/web/status", status(&web));
        write("/home/al/root/run/crun/web/status", status(&other));
        give("/home/al");
        let named = |directory: &str, path: &str| {
            let mut command = program();
            command.current_dir(directory).args(["--state", path]);
            command
        };
        command_enters(named("/run/crun/web", "status"), &web.ns());
        command_enters(named("/", "run/crun/web/status"), &web.ns());
        command_refuses(named("/home/al/root", "run/crun/web/status"), &["is only what uid"]);
    });
}

/// Whatever a container's root calls a cgroup in the container, it is no container's of the host.
#[test]
fn a7_a_containers_own_cgroups() {
    room(&[], || {
        let (id, name) = (stopped("web"), unique("lxc"));
        write(&format!("/var/lib/lxc/{name}/config"), "lxc.uts.name = x\n");
        let Some(payload) = Cgroup::new(&format!("lxc.payload.{name}")) else {
            return skip("no cgroup hierarchy can be written");
        };
        let init = Sleeper::of_monitor(&name);
        payload.add(init.pid);
        for place in [
            id.clone(),
            format!("docker/{id}"),
            format!("docker-{id}.scope"),
            format!("system.slice/docker-{id}.scope"),
        ] {
            let inner = payload.0.join(place);
            fs::create_dir_all(&inner).expect("a cgroup");
            let inner = Cgroup(inner);
            let mut command = Command::new("nsenter");
            command.args(["-t", &init.word(), "-p", "unshare", "-n", "sleep", "3600"]);
            let theirs = Sleeper::child(command);
            inner.add(theirs.pid);
            is_not_running("web", &id);
            // Also as the first of a pid namespace of its own.
            let first = Sleeper::of_shim(&id);
            inner.add(first.pid);
            drop(theirs);
            is_not_running("web", &id);
            assert_eq!(pin_all(), [""; 0]);
            // It can be named as what it is.
            enters(&["--cgroup", inner.path()], &first.ns());
        }
        enters(&["-c", &format!("lxc:{name}")], &init.ns());
    });
}

/// Two containers are one only as one process, not because their IDs are spelled alike.
#[test]
fn a8_one_id_in_two_namespaces_of_containerd() {
    let _alone = alone_with_daemons();
    let mut containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => return skip(&reason),
    };
    let (id, namespaces) = (container_id(), ["ne-one", "ne-two"]);
    let mut pids = Vec::new();
    for namespace in namespaces {
        match containerd.run(namespace, &id, &[]) {
            Ok(pid) => pids.push(pid),
            Err(reason) => return skip(&reason),
        }
    }
    let shown: Vec<String> = pids.iter().map(|pid| format!("--pid {pid}")).collect();
    for word in [&id, &id[..12], &format!("containerd:{id}")] {
        refuses(&["-c", word], &["ambiguous", &shown[0], &shown[1]]);
        refuses(&[word], &["ambiguous", &shown[0], &shown[1]]);
    }
    let json = run(&["--list", "--json"]).succeeds().stdout.clone();
    let rows: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let listed = rows.as_array().expect("rows").iter().flat_map(|row| {
        row["containers"]
            .as_array()
            .expect("containers")
            .iter()
            .filter(|it| it["id"] == id.as_str())
    });
    let mut listed: Vec<u64> = listed.map(|it| it["pid"].as_u64().expect("a pid")).collect();
    listed.sort_unstable();
    let mut expected: Vec<u64> = pids.iter().map(|pid| u64::from(*pid)).collect();
    expected.sort_unstable();
    assert_eq!(listed, expected, "{json}");
    // Of two the one that runs is meant.
    containerd.kill(namespaces[0], &id).expect("a signal");
    until("its end", || ns_of(pids[0]).is_empty());
    enters(&["-c", &id], &ns_of(pids[1]));
    containerd.kill(namespaces[1], &id).expect("a signal");
    until("its end", || ns_of(pids[1]).is_empty());
    refuses(&["-c", &id], &["is not running"]);
}

#[test]
fn a9_the_beginning_of_a_name_is_no_name() {
    room(&[], || {
        let name = format!("{}10", unique("lx"));
        let Some(cgroup) = Cgroup::new(&format!("lxc.payload.{name}")) else {
            return skip("no cgroup hierarchy can be written");
        };
        fs::create_dir_all(format!("/var/lib/lxc/{name}")).expect("a directory");
        let first = Sleeper::of_monitor(&name);
        cgroup.add(first.pid);
        enters(&[&name], &first.ns());
        for end in [1, 2] {
            let short = &name[..name.len() - end];
            for word in [short, &format!("lxc:{short}")] {
                refuses(&[word], &["no container", "did you mean", &format!("lxc:{name}")]);
                refuses(&["-c", word], &["no container"]);
            }
        }
        // Nor is that of a name that is all digits.
        let (id, web) = docker("web");
        let (digits, sleeper) = (id[..20].to_owned(), Sleeper::start());
        let state = runc_state(&digits, sleeper.pid, sleeper.start_time());
        write(&format!("/run/runc/{digits}/state.json"), state);
        enters(&["-c", &digits], &sleeper.ns());
        enters(&["-c", &digits[..12]], &web.ns());
    });
}

/// A process that is pid 1 of some pid namespace is not the container because of that.
#[test]
fn a10_a_pid_namespace_inside_the_container() {
    room(&[], || {
        let id = stopped("web");
        let Some(cgroup) = Cgroup::new(&format!("docker/{id}")) else {
            return skip("no cgroup hierarchy can be written");
        };
        // In the host's pid namespace, and without a record.
        let init = Sleeper::start();
        cgroup.add(init.pid);
        let mut command = Command::new("nsenter");
        command.args(["-t", &init.word(), "-n", "unshare", "-npf", "sleep", "3600"]);
        let mut parent = Held::start(command);
        let mut nested = None;
        until("a nested namespace", || {
            nested = children(parent.pid())
                .into_iter()
                .find(|pid| is_elsewhere(*pid) && ns_of(*pid) != init.ns());
            nested.is_some()
        });
        let nested = nested.expect("a process");
        cgroup.add(nested);
        parent.0.kill().expect("a signal");
        parent.0.wait().expect("its end");
        for word in ["web", "docker:web", &id, &id[..12]] {
            let said = refuses(&["-c", word], &["outside of its pid namespace"]);
            assert!(!said.contains(&format!("--pid {nested}")), "{said}");
        }
        assert_eq!(pin_all(), [""; 0]);
        // With a record it is clear.
        record(&id, init.pid);
        is_entered("web", &id, &init.ns());
    });
}

/// Of a link that is newer than the clock nobody knows when it was made.
#[test]
fn a11_a_link_of_the_future() {
    room(&["touch"], || {
        let sleeper = Sleeper::start();
        symlink(format!("/proc/{}/ns/net", sleeper.pid), "/run/netns/old").expect("a link");
        enters(&["old"], &sleeper.ns());
        tool("touch", &["-h", "-d", "@99999999999", "/run/netns/old"]).succeeds();
        for words in [&["old"][..], &["-n", "old"], &["-f", "/run/netns/old"]] {
            refuses(words, &["made when the clock was ahead"]);
        }
    });
}

/// A link into /proc counts by one spelling, in which its age can be looked at.
#[test]
fn a11_links_that_are_spelled_otherwise() {
    room(&["touch"], || {
        let sleeper = Sleeper::start();
        let pid = sleeper.pid;
        let old = |path: &str| drop(tool("touch", &["-h", "-d", "@1000000000", path]));
        symlink(format!("/proc/{pid}/ns/net"), "/run/netns/plain").expect("a link");
        enters(&["-n", "plain"], &sleeper.ns());
        let spellings = [
            format!("/proc/{pid}/./ns/net"),
            format!("//proc/{pid}/ns/net"),
            format!("/proc/{pid}/ns/../ns/net"),
            format!("/proc/{pid}/task/{pid}/ns/net"),
            format!("/proc/self/../{pid}/ns/net"),
            format!("/proc/self/root/proc/{pid}/ns/net"),
            format!("../../proc/{pid}/ns/net"),
            "plain".to_owned(),
            "/run/netns/plain".to_owned(),
        ];
        for (at, spelling) in spellings.iter().enumerate() {
            let name = format!("x{at}");
            let path = format!("/run/netns/{name}");
            symlink(spelling, &path).expect("a link");
            // However old it is.
            for _ in 0..2 {
                refuses(&["-n", &name], &[&path, "symbolic link"]);
                refuses(&[&name], &[&path, "symbolic link"]);
                refuses(&["-f", &path], &[&path, "symbolic link"]);
                old(&path);
            }
            fs::remove_file(path).expect("its removal");
        }
        let other = "/tmp/made-by-hand";
        symlink(format!("/proc/{pid}/ns/net"), other).expect("a link");
        for path in ["/run/netns/plain", other] {
            enters(&["-f", path], &sleeper.ns());
            old(path);
            refuses(&["-f", path], &[path, "the pid was reused"]);
        }
        refuses(&["-n", "plain"], &["/run/netns/plain", "the pid was reused"]);
    });
}

/// Neither a monitor nor another process of the host's namespace is a remedy.
#[test]
fn a12_a_unit_with_a_monitor() {
    room(&[], || {
        let unit = format!("{}.service", unique("quadlet"));
        let Some(cgroup) = Cgroup::new(&format!("system.slice/{unit}")) else {
            return skip("no cgroup hierarchy can be written");
        };
        let scratch = Scratch::new("conmon");
        fs::copy("/bin/sleep", scratch.path("conmon")).expect("a copy");
        let conmon = Held::start(Command::new(scratch.path("conmon")).arg("3600"));
        cgroup.add(conmon.pid());
        for args in [&["--cgroup", &unit][..], &[&unit]] {
            let said = refuses(args, &["has no processes but"]);
            assert!(!names_a_process(&said), "{said}");
        }
        let inner = cgroup.0.join(format!("libpod-payload-{}", container_id()));
        fs::create_dir(&inner).expect("a cgroup");
        let (inner, payload) = (Cgroup(inner), Sleeper::start());
        inner.add(payload.pid);
        for args in [&["--cgroup", &unit][..], &[&unit]] {
            enters(args, &payload.ns());
        }
        let stranger = Held::start(Command::new("sleep").arg("3600"));
        cgroup.add(stranger.pid());
        for args in [&["--cgroup", &unit][..], &[&unit]] {
            let said = refuses(args, &["2 network namespaces", &format!("--pid {}", payload.pid)]);
            for pid in [conmon.pid(), stranger.pid()] {
                assert!(!said.contains(&format!("--pid {pid}")), "{said}");
            }
        }
    });
}

/// What a container's user may not read stays unread.
#[test]
fn a13_a_link_to_the_hosts_shadow_file() {
    room(&["busybox", "chroot"], || {
        let secret = unique("secret");
        write("/etc/shadow", &secret);
        fs::set_permissions("/etc/shadow", fs::Permissions::from_mode(0o600)).expect("chmod");
        write("/etc/resolv.conf", "nameserver 198.51.100.1\n");
        write("/etc/hosts", "127.0.0.1 localhost\n");
        let scratch = Scratch::new("rootless");
        let root = busybox_root(&scratch).expect("a root directory");
        fs::create_dir(format!("{root}/vol")).expect("a directory");
        let resolver = format!("{root}/etc/resolv.conf");
        symlink("/vol/etc/shadow", &resolver).expect("a link");
        let script = "mount --rbind / \"$0/vol\" && exec chroot \"$0\" /bin/sleep 3600";
        let user = ["unshare", "-Urnm", "sh", "-c", script, &root];
        let sleeper = Sleeper::apart(as_user(USER, &user));
        let inside = || Path::new(&format!("/proc/{}/root/vol/etc/shadow", sleeper.pid)).exists();
        until("the host's files inside", inside);
        let pid = sleeper.word();
        let looked = run(&["-p", &pid, "--dns", "--", "cat", "/etc/resolv.conf"]);
        looked.refuses(&["/etc/resolv.conf"]);
        assert!(!looked.stderr.contains(&secret), "{}", looked.dump());
        // What the user may read is read, and for COMMAND alone where it is not for everybody.
        write("/etc/public", "nameserver 192.0.2.53\n");
        fs::remove_file(&resolver).expect("its removal");
        symlink("/vol/etc/public", &resolver).expect("a link");
        let script = "cat /etc/resolv.conf; stat -c '%a %u' /etc/resolv.conf";
        let shown = run(&["-q", "-p", &pid, "--dns", "--", "sh", "-c", script]);
        shown.succeeds().prints("nameserver 192.0.2.53\n644 0");
        fs::remove_file(&resolver).expect("its removal");
        write(&resolver, "nameserver 192.0.2.54\n");
        chown(&resolver, Some(USER), Some(USER)).expect("chown");
        fs::set_permissions(&resolver, fs::Permissions::from_mode(0o600)).expect("chmod");
        let shown = run(&["-q", "-p", &pid, "--dns", "--", "sh", "-c", script]);
        shown.succeeds().prints("nameserver 192.0.2.54\n600 0");
    });
}

/// A user's containerd, with a pod that claims to be one of the cluster's.
fn claim_pod(sleeper: &Sleeper) {
    let (id, state) = (container_id(), format!("/run/user/{USER}/containerd"));
    let key = "io.kubernetes.cri";
    let config = format!(
        "{{\"annotations\":{{\"{key}.sandbox-namespace\":\"kube-system\",\"{key}.sandbox-name\":\"coredns\",\
         \"{key}.container-type\":\"sandbox\"}}}}"
    );
    write(&format!("{state}/io.containerd.runtime.v2.task/k8s.io/{id}/config.json"), config);
    let text = runc_state(&id, sleeper.pid, sleeper.start_time());
    write(&format!("{state}/runc/k8s.io/{id}/state.json"), text);
    give(&format!("/run/user/{USER}"));
}

#[test]
fn a14_a_users_word_is_not_shown_as_roots() {
    room_alone(&[], || {
        let ((_, web), theirs) = (docker("web"), Sleeper::of_user());
        claim_pod(&theirs);
        let all = run(&["--all", "readlink", "/proc/self/ns/net"]);
        let heading = format!("==> docker:web {} <==\n{}", web.inode(), web.ns());
        all.succeeds().prints(&heading).says(&["note", "1 container of a user was left out"]);
        let pinned = run(&["--pin-all"]);
        pinned.succeeds().prints("docker-web").says(&["1 container of a user was left out"]);
        let pins: Vec<_> =
            fs::read_dir("/run/netns").unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(pins, ["docker-web"]);
        let list = run(&["--list"]);
        let inode = theirs.inode().to_string();
        let row = list.succeeds().stdout.lines().find(|row| row.starts_with(&inode));
        let spelled = format!("k8s:kube-system/coredns@{USER}");
        assert!(row.is_some_and(|row| row.contains(&format!(" {spelled} "))), "{}", list.dump());
        for word in ["coredns", "kube-system/coredns", "k8s:kube-system/coredns"] {
            refuses(&[word], &["no container", "did you mean", &spelled]);
        }
        // As the list shows it, it can be typed.
        enters(&[&spelled], &theirs.ns());
    });
}

// B. Denies, hangs, or says what is not so.

/// Asserts that nothing of what a user has done matters to root, who has a container `web` of
/// docker's and a pin `blue`.
#[track_caller]
fn is_undisturbed(id: &str, web: &Sleeper, blue: &Sleeper) {
    is_entered("web", id, &web.ns());
    assert_eq!(enters(&["blue"], &blue.ns()), "");
    assert_eq!(enters(&["-n", "blue"], &blue.ns()), "");
    let list = run(&["--list"]);
    let inode = web.inode().to_string();
    let row = list.succeeds().stdout.lines().find(|row| row.starts_with(&inode));
    assert!(row.is_some_and(|row| row.contains(" docker:web ")), "{}", list.dump());
    let all = run(&["--all", "echo", "ran"]);
    assert_eq!(
        all.succeeds().stdout.lines().filter(|line| *line == "ran").count(),
        2,
        "{}",
        all.dump()
    );
    let pinned = run(&["--pin-all"]);
    pinned.succeeds().prints("docker-web");
    assert_eq!(fs::read_dir("/run/netns").unwrap().count(), 2, "{}", pinned.dump());
    run(&["--unpin", "docker-web"]).succeeds();
}

/// Root's container and pin for [`is_undisturbed`].
fn roots_own() -> (String, Sleeper, Sleeper) {
    let ((id, web), blue) = (docker("web"), Sleeper::start());
    run(&["-p", &blue.word(), "--pin", "blue"]).succeeds();
    (id, web, blue)
}

#[test]
fn b1_a_users_link_to_a_zombies_namespace() {
    room_alone(&[], || {
        let (id, web, blue) = roots_own();
        let held = Held::start(as_user(USER, &["sh", "-c", "true & exec sleep 3600"]));
        let mut zombie = None;
        until("a zombie", || {
            zombie = children(held.pid()).into_iter().find(|pid| is_zombie(*pid));
            zombie.is_some()
        });
        let target = format!("/proc/{}/net", zombie.expect("a zombie"));
        symlink(target, format!("/run/user/{USER}/crun")).expect("a link");
        give(&format!("/run/user/{USER}"));
        is_undisturbed(&id, &web, &blue);
    });
}

#[test]
fn b2_a_users_lease() {
    room_alone(&["python3"], || {
        let (id, web, blue) = roots_own();
        let list = "/home/al/.local/share/containers/storage/overlay-containers/containers.json";
        write(list, "[]");
        give("/home/al");
        let script = "
import fcntl, os, signal, sys, time
broken = lambda *_: open('/home/al/broken', 'w').close()
signal.signal(signal.SIGIO, broken)
fd = os.open(sys.argv[1], os.O_RDWR)
fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_WRLCK)
open('/home/al/ready', 'w').close()
while True: time.sleep(3600)";
        let _lease = Held::start(as_user(USER, &[&python(), "-c", script, list]));
        until("a lease", || Path::new("/home/al/ready").exists());
        is_entered("web", &id, &web.ns());
        assert_eq!(enters(&["blue"], &blue.ns()), "");
        assert!(!Path::new("/home/al/broken").exists(), "the user's list was opened");
        is_undisturbed(&id, &web, &blue);
        run(&["--list"]).succeeds().says(&["note", &USER.to_string()]);
    });
}

/// The interpreter itself, where the command is a script that finds one.
fn python() -> String {
    let print = ["-c", "import sys; print(sys.executable)"];
    let found = tool("python3", &print).answer().unwrap_or_default();
    // Where users may not go to.
    let is_public = |path: &str| finish(as_user(USER, &[path, "-c", ""])).status.success();
    let mut places = [found.as_str(), "/usr/bin/python3"].into_iter();
    places.find(|path| is_public(path)).unwrap_or("python3").to_owned()
}

/// What a program may use of a processor, in seconds, is no matter of how busy the machine is.
fn within_seconds(seconds: u32, args: &[&str]) -> Output {
    let mut command = Command::new("sh");
    command
        .args(["-c", &format!("ulimit -t {seconds}; exec \"$0\" \"$@\"")])
        .arg(binary())
        .args(args);
    finish(command)
}

#[test]
fn b3_a_users_hundred_thousand_names() {
    room_alone(&[], || {
        let (id, web, blue) = roots_own();
        let mut list = String::from("[");
        for number in 0..100_000 {
            if number > 0 {
                list.push(',');
            }
            list.push_str(&format!("{{\"id\":\"{number:x}\",\"names\":[\"c{number}\"]}}"));
        }
        list.push(']');
        write("/home/al/.local/share/containers/storage/overlay-containers/containers.json", list);
        give("/home/al");
        let print = ["--", "readlink", "/proc/self/ns/net"];
        for word in ["web", "docker:web", &id, &id[..12]] {
            let output = within_seconds(2, &[&[word], &print[..]].concat());
            output.succeeds().prints(&web.ns());
        }
        for args in [&["--list"][..], &["--all", "true"], &["--pin-all"], &["no-such-name"]] {
            let output = within_seconds(5, args);
            assert!(output.status.code().is_some(), "{}", output.dump());
        }
        run(&["--unpin", "docker-web"]).succeeds();
        is_undisturbed(&id, &web, &blue);
        // To their user they cost as much as there are, not as many times as much.
        let scratch = Scratch::new("own");
        let copy = scratch.copy_of_binary();
        let script = "ulimit -t 5; exec \"$0\" \"$@\"";
        let mut own = as_user(USER, &["sh", "-c", script, &copy, "c99999", "--", "true"]);
        own.env("HOME", "/home/al").env("XDG_RUNTIME_DIR", format!("/run/user/{USER}"));
        finish(own).refuses(&["c99999"]);
        run(&["podman:c99999@al", "--", "true"]).refuses(&["c99999"]);
    });
}

#[test]
fn b4_a_users_many_records() {
    room_alone(&[], || {
        let (id, web, blue) = roots_own();
        let theirs = Sleeper::of_user();
        let (pid, start) = (theirs.pid, theirs.start_time());
        for number in 0..3_000 {
            let status = format!("{{\"pid\":{pid},\"process-start-time\":{start}}}");
            write(&format!("/run/user/{USER}/crun/c{number}/status"), status);
        }
        give(&format!("/run/user/{USER}"));
        is_undisturbed(&id, &web, &blue);
        // Of one user so many are listed, and that there are more is told.
        let list = run(&["--list", "--json"]);
        let rows: serde_json::Value = serde_json::from_str(&list.succeeds().stdout).expect("JSON");
        let theirs =
            rows.as_array().expect("rows").iter().find(|row| row["inode"] == theirs.inode());
        let claimed = theirs.map_or(0, |row| row["containers"].as_array().expect("a list").len());
        assert!((1..=1000).contains(&claimed), "{claimed}: {}", list.stderr);
        list.says(&["note", &USER.to_string()]);
    });
}

/// A file system that answers nothing.
struct Silent {
    _held: Held,
}

impl Silent {
    /// Mounts one.
    fn mount(directory: &str) -> Option<Silent> {
        let script = "
import ctypes, os, sys, time
fd = os.open('/dev/fuse', os.O_RDWR)
mode = 40000 if os.path.isdir(sys.argv[1]) else 100000
options = f'fd={fd},rootmode={mode},user_id=0,group_id=0,allow_other'.encode()
libc = ctypes.CDLL(None, use_errno=True)
if libc.mount(b'ne-silent', sys.argv[1].encode(), b'fuse', 0, options): sys.exit(1)
time.sleep(3600)";
        let mut held = Held::start(Command::new(python()).args(["-c", script, directory]));
        let mut is_there = false;
        until("a mount", || {
            let table = fs::read_to_string("/proc/thread-self/mountinfo").unwrap_or_default();
            let is_it = |line: &str| {
                line.contains(&format!(" {directory} ")) && line.contains(" ne-silent ")
            };
            is_there = table.lines().any(is_it);
            is_there || held.0.try_wait().is_ok_and(|status| status.is_some())
        });
        is_there.then_some(Silent { _held: held })
    }
}

#[test]
fn b5_a_home_that_does_not_answer() {
    room_alone(&["python3"], || {
        let (id, web, blue) = roots_own();
        let Some(_home) = Silent::mount("/home/al") else {
            return skip("no file system of one's own can be mounted");
        };
        is_undisturbed(&id, &web, &blue);
        run(&["--list"]).succeeds().says(&["note", &USER.to_string()]);
        // What is asked of that home is refused in the end.
        run(&["podman:x@al", "--", "true"]).refuses(&[&USER.to_string()]);
        run(&["no-such-name", "--", "true"]).refuses(&["no container or pin"]);
    });
}

/// Root of a container that shares the mounts of /run/netns can mount anything there.
#[test]
fn b5_a_pin_on_which_something_silent_is_mounted() {
    room_alone(&["python3"], || {
        let sleeper = Sleeper::start();
        for name in ["good", "other"] {
            run(&["-p", &sleeper.word(), "--pin", name]).succeeds();
        }
        let Some(silent) = Silent::mount("/run/netns/good") else {
            return skip("no file system of one's own can be mounted");
        };
        for words in [&["good"][..], &["-n", "good"]] {
            refuses(words, &["hidden by the mount on \"/run/netns/good\" (fuse)"]);
        }
        refuses(&["-f", "/run/netns/good"], &["/run/netns/good", "may not answer"]);
        run(&["--unpin", "good"]).refuses(&["not a pin", "another file system"]);
        run(&["-p", &sleeper.word(), "--pin", "good"]).refuses(&["another file system"]);
        enters(&["other"], &sleeper.ns());
        drop(silent);
        tool("umount", &["-l", "/run/netns/good"]).succeeds();
        run(&["--unpin", "good", "other"]).succeeds();
    });
}

#[test]
fn b5_a_data_directory_that_does_not_answer() {
    room_alone(&["python3"], || {
        let (id, web, blue) = roots_own();
        for directory in ["/var/lib/lxc", "/var/lib/containers"] {
            fs::create_dir_all(directory).expect("a directory");
            let Some(silent) = Silent::mount(directory) else {
                return skip("no file system of one's own can be mounted");
            };
            // An engine's word and a full ID have nothing to ask of another engine.
            for word in ["docker:web", &id, &format!("docker:{}", &id[..12])] {
                assert_eq!(enters(&["-c", word], &web.ns()), "", "{word} {directory}");
                assert_eq!(enters(&[word], &web.ns()), "", "{word} {directory}");
            }
            assert_eq!(enters(&["-n", "blue"], &blue.ns()), "");
            // A name that is found elsewhere is entered with a note of what may have it, too.
            for (word, ns) in [("web", web.ns()), (&id[..12], web.ns()), ("blue", blue.ns())] {
                let said = enters(&[word], &ns);
                assert!(said.contains("note") && said.contains(directory), "{word}: {said}");
            }
            let list = run(&["--list"]);
            list.succeeds().says(&["note", directory]);
            assert!(list.stdout.contains(" docker:web "), "{}", list.dump());
            // One that is not found may be there.
            run(&["wbe", "--", "true"]).refuses(&[
                "wbe",
                "not all of the host could be read",
                directory,
            ]);
            drop(silent);
            tool("umount", &["-l", directory]).succeeds();
        }
    });
}

/// A failure that was met before is one each time: what a record may say is not known, by whatever
/// word, and however often it is asked for.
#[test]
fn b5_records_that_cannot_be_read_are_missed_each_time() {
    room(&["python3"], || {
        let id = stopped("web");
        let Some(cgroup) = Cgroup::new(&format!("docker/{id}")) else {
            return skip("no cgroup hierarchy can be written");
        };
        let first = Sleeper::of_shim(&id);
        cgroup.add(first.pid);
        fs::create_dir_all("/run/docker/runtime-runc/moby").expect("a directory");
        enters(&[&id], &first.ns());
        let is_missed = || {
            for word in ["web", "docker:web", &id[..12], &id] {
                for wait in ["-q", "--wait=1"] {
                    let said = refuses(&[wait, word], &["no runtime has a record", &id[..12]]);
                    assert!(!said.contains("is not running"), "{said}");
                }
            }
        };
        let Some(_silent) = Silent::mount("/run/docker/runtime-runc") else {
            return skip("no file system of one's own can be mounted");
        };
        is_missed();
    });
}

/// A place that does not answer is not one that is not there.
#[test]
fn b5_places_of_records_that_do_not_answer() {
    room(&["python3"], || {
        let (id, web) = (stopped("web"), Sleeper::start());
        write("/etc/docker/daemon.json", "{\"exec-root\":\"/run/far/exec\"}");
        let state = runc_state(&id, web.pid, web.start_time());
        write(&format!("/run/near/exec/runtime-runc/moby/{id}/state.json"), state);
        write("/run/far/none", "");
        is_not_running("web", &id);
        sh("mount --bind /run/near /run/far", &[""; 0]).succeeds();
        is_entered("web", &id, &web.ns());
        sh("umount /run/far", &[""; 0]).succeeds();
        let pod = container_id();
        write(&format!("/var/log/containers/cart_shop_app-{pod}.log"), "");
        refuses(&["shop/cart"], &["is not running"]);
        let may_run = |words: &[&str], directory: &str| {
            fs::create_dir_all(directory).expect("a directory");
            let Some(silent) = Silent::mount(directory) else {
                return skip("no file system of one's own can be mounted");
            };
            for word in words {
                let said = refuses(&[word], &["no runtime has a record", directory]);
                assert!(!said.contains("is not running"), "{said}");
            }
            drop(silent);
            tool("umount", &["-l", directory]).succeeds();
        };
        may_run(&["web", "docker:web", &id, &id[..12]], "/run/far");
        may_run(&["web", &id], "/run/containerd");
        may_run(&["shop/cart", "k8s:shop/cart", &pod], "/run/containerd");
    });
}

/// A name that cannot be read is not replaced by an ID, under which nobody would look for the pin.
#[test]
fn b5_what_cannot_be_named_is_not_pinned() {
    room_alone(&["python3"], || {
        let (id, web) = docker("web");
        let lone = Sleeper::start();
        write("/run/crun/lone/status", {
            format!("{{\"pid\":{},\"process-start-time\":{}}}", lone.pid, lone.start_time())
        });
        let names = "/var/lib/docker/containers";
        let is_left_out = || {
            let output = run(&["--pin-all"]);
            assert_eq!(output.status.code(), Some(125), "{}", output.dump());
            assert_eq!(output.stdout, "crun-lone\n", "{}", output.dump());
            output.says(&["note", &id, names]);
            run(&["--unpin", "crun-lone"]).succeeds();
            assert!(enters(&[&id], &web.ns()).is_empty());
        };
        fs::set_permissions(names, fs::Permissions::from_mode(0o777)).expect("chmod");
        is_left_out();
        fs::set_permissions(names, fs::Permissions::from_mode(0o755)).expect("chmod");
        let Some(_silent) = Silent::mount(names) else {
            return skip("no file system of one's own can be mounted");
        };
        is_left_out();
    });
}

/// However many there are that do not answer, and whoever else is asked.
#[test]
fn b5_several_that_do_not_answer() {
    room_alone(&["python3"], || {
        let (id, web, blue) = roots_own();
        let mut silent = Vec::new();
        for directory in
            ["/var/lib/lxc", "/var/lib/containers", "/var/lib/incus", "/var/log/containers"]
        {
            fs::create_dir_all(directory).expect("a directory");
            let Some(mount) = Silent::mount(directory) else {
                return skip("no file system of one's own can be mounted");
            };
            silent.push(mount);
        }
        for word in ["docker:web", &id] {
            assert_eq!(enters(&[word], &web.ns()), "", "{word}");
        }
        for (word, ns) in [("web", web.ns()), ("blue", blue.ns())] {
            let said = enters(&[word], &ns);
            assert!(said.contains("note") && said.contains("more)"), "{word}: {said}");
        }
        run(&["wbe", "--", "true"]).refuses(&["wbe", "not all of the host could be read"]);
    });
}

/// LXC as Proxmox VE has it, and as it was before LXC 4.
#[test]
fn b6_other_cgroups_of_lxc() {
    room(&[], || {
        let proxmox = |name: &str| {
            format!(
                "lxc.cgroup.relative = 0\nlxc.cgroup.dir.monitor = lxc.monitor/{name}\n\
                 lxc.cgroup.dir.container = lxc/{name}\nlxc.cgroup.dir.container.inner = ns\n"
            )
        };
        for (place, config) in [("/ns", true), ("/ns", false), ("", false)] {
            let name = unique("lxc");
            let text = if config { proxmox(&name) } else { "lxc.net.0.type = veth\n".to_owned() };
            write(&format!("/var/lib/lxc/{name}/config"), text);
            refuses(&[&name], &["lxc", "is not running"]);
            let Some(cgroup) = Cgroup::new(&format!("lxc/{name}{place}")) else {
                return skip("no cgroup hierarchy can be written");
            };
            refuses(&[&name], &["lxc", "is not running"]);
            let first = Sleeper::of_monitor(&name);
            cgroup.add(first.pid);
            for word in [name.as_str(), &format!("lxc:{name}")] {
                enters(&["-c", word], &first.ns());
                enters(&[word], &first.ns());
            }
            let list = run(&["--list"]);
            let inode = first.inode().to_string();
            let row = list.succeeds().stdout.lines().find(|row| row.starts_with(&inode));
            assert!(
                row.is_some_and(|row| row.contains(&format!(" lxc:{name} "))),
                "{}",
                list.dump()
            );
        }
    });
}

/// A user without a login session has no /run/user/UID.
#[test]
fn b7_podman_without_a_session() {
    // Not al, as all tests have one /tmp.
    const BO: u32 = 64_541;
    room(&[], || {
        let passwd = fs::read_to_string("/etc/passwd").expect("users");
        write("/etc/passwd", format!("{passwd}bo:x:{BO}:{BO}::/home/bo:/bin/sh\n"));
        let (id, theirs) =
            (container_id(), Sleeper::apart(as_user(BO, &["unshare", "-Un", "sleep", "3600"])));
        let list = format!("[{{\"id\":\"{id}\",\"names\":[\"rl\"],\"metadata\":\"{{}}\"}}]");
        let storage = "/home/bo/.local/share/containers/storage/overlay-containers";
        write(&format!("{storage}/containers.json"), list);
        let run_directory = format!("/tmp/podman-run-{BO}");
        let _removed = Removed(run_directory.clone());
        let text = runc_state(&id, theirs.pid, theirs.start_time());
        write(&format!("{run_directory}/runc/{id}/state.json"), text);
        for directory in ["/home/bo", &run_directory] {
            tool("chown", &["-R", &format!("{BO}:{BO}"), directory]).succeeds();
        }
        let scratch = Scratch::new("own");
        let copy = scratch.copy_of_binary();
        for word in ["rl", "podman:rl", &id, &id[..12]] {
            let mut own = as_user(BO, &[&copy, "-c", word]);
            own.env("HOME", "/home/bo").env_remove("XDG_RUNTIME_DIR");
            assert_eq!(command_enters(own, &theirs.ns()), "");
        }
        for word in
            ["podman:rl@bo".to_owned(), format!("podman:rl@{BO}"), format!("podman:{id}@bo")]
        {
            enters(&[&word], &theirs.ns());
        }
        let list = run(&["--list"]);
        let inode = theirs.inode().to_string();
        let row = list.succeeds().stdout.lines().find(|row| row.starts_with(&inode));
        let spelled = format!(" podman:rl@{BO} ");
        assert!(row.is_some_and(|row| row.contains(&spelled)), "{}", list.dump());
        refuses(&["rl"], &["no container", "did you mean", spelled.trim()]);
    });
}

/// A directory that is gone after the test.
struct Removed(String);

impl Drop for Removed {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The main thread of a container's process may leave; the container runs on.
#[test]
fn b8_a_container_without_its_main_thread() {
    room(&["python3"], || {
        let script = "
import ctypes, threading, time
libc = ctypes.CDLL(None)
assert libc.unshare(0x40000000) == 0
threading.Thread(target=time.sleep, args=(3600,)).start()
libc.syscall(60, 0)";
        let held = Held::start(Command::new(python()).args(["-c", script]));
        until("its main thread has exited", || is_zombie(held.pid()));
        let tasks = fs::read_dir(format!("/proc/{}/task", held.pid())).expect("threads");
        let tasks = tasks.filter_map(|task| task.ok()?.file_name().to_str()?.parse().ok());
        let thread = tasks.into_iter().find(|tid: &u32| *tid != held.pid()).expect("a thread");
        let ns = ns_of(thread);
        assert!(ns.starts_with("net:[") && ns != own_ns());
        let id = stopped("web");
        record(&id, held.pid());
        is_entered("web", &id, &ns);
        let list = run(&["--list"]);
        assert!(list.succeeds().stdout.contains(" docker:web "), "{}", list.dump());
        assert_eq!(pin_all(), ["docker-web"]);
        // Without a record it is no less alive.
        let name = unique("lxc");
        fs::create_dir_all(format!("/var/lib/lxc/{name}")).expect("a directory");
        let Some(cgroup) = Cgroup::new(&format!("lxc.payload.{name}")) else {
            return skip("no cgroup hierarchy can be written");
        };
        let (one, away) = thread_apart();
        cgroup.add(one.pid());
        let said = refuses(&[&name], &["lxc"]);
        assert!(!said.contains("is not running"), "{said} {away}");
        // Its threads in several namespaces are none that could be told.
        let apart = "
import ctypes, threading, time
libc = ctypes.CDLL(None)
both = threading.Barrier(3)
def away():
    assert libc.unshare(0x40000000) == 0
    both.wait()
    time.sleep(3600)
for thread in 1, 2: threading.Thread(target=away).start()
both.wait()
libc.syscall(60, 0)";
        let held = Held::start(Command::new(python()).args(["-c", apart]));
        until("its main thread has exited", || is_zombie(held.pid()));
        let id = stopped("torn");
        record(&id, held.pid());
        let said = refuses(&["torn"], &["several network namespaces"]);
        assert!(!said.contains("is not running"), "{said}");
    });
}

/// Where dockerd keeps its things is told by its command line, also where nothing else tells.
#[test]
fn b9_a_dockerd_with_directories_of_its_own() {
    let _alone = alone_with_daemons();
    for by_file in [false, true] {
        let docker = match Dockerd::start(by_file) {
            Ok(docker) => docker,
            Err(reason) => return skip(&reason),
        };
        let (name, id, pid) = docker.run().expect("a container");
        let ns = ns_of(pid);
        assert!(ns.starts_with("net:[") && ns != own_ns());
        for word in [name.as_str(), &format!("docker:{name}"), &id, &id[..12]] {
            enters(&["-c", word], &ns);
            enters(&[word], &ns);
        }
        let list = run(&["--list"]);
        assert!(list.succeeds().stdout.contains(&format!(" docker:{name} ")), "{}", list.dump());
        docker.stop(&name).expect("stop");
        refuses(&[&name], &["docker", "is not running"]);
    }
}

/// A program of root's that is called like a daemon, and has a daemon's arguments.
fn daemon(name: &str, words: &[&str]) -> Command {
    let path = format!("/var/lib/bin/{name}");
    write("/var/lib/bin/script", "sleep 3600; :");
    if !fs::exists(&path).expect("what is there") {
        fs::copy(fs::canonicalize("/bin/sh").expect("a shell"), &path).expect("a copy");
    }
    let mut command = Command::new(path);
    command.args(["/var/lib/bin/script"]).args(words);
    command
}

/// Starts it, and waits until it is what it is called.
fn started(command: Command) -> Held {
    let held = Held::start(command);
    until("a daemon", || {
        let comm = fs::read_to_string(format!("/proc/{}/comm", held.pid())).unwrap_or_default();
        matches!(comm.trim_end(), "dockerd" | "containerd")
    });
    held
}

/// Asserts that a container is listed and pinned under its name, and nowhere under its ID alone.
#[track_caller]
fn is_named(engine: &str, name: &str, id: &str, ns: &str) {
    let list = run(&["--list"]);
    let stdout = &list.succeeds().stdout;
    assert!(stdout.contains(&format!(" {engine}:{name} ")), "{}", list.dump());
    assert!(!stdout.contains(id), "{}", list.dump());
    let pin = format!("{engine}-{}", name.replace('/', "_"));
    let pinned = pin_all();
    assert!(pinned.contains(&pin) && !pinned.iter().any(|name| name.contains(id)), "{pinned:?}");
    run(&["--unpin", &pin]).succeeds();
    for word in [name, &format!("{engine}:{name}"), id, &id[..12]] {
        assert_eq!(enters(&[word], ns), "", "{word}");
    }
}

/// What names a container wins over what knows its ID, wherever the names are and whoever tells it.
#[test]
fn b9_names_that_only_a_daemon_tells_of() {
    room(&[], || {
        let config = "/var/lib/volume2/docker.json";
        write(config, "{\"data-root\":\"/var/lib/volume2/docker\"}");
        for (volume, words) in
            [(1, ["--data-root", "/var/lib/volume1/docker"]), (2, ["--config-file", config])]
        {
            let (id, sleeper, name) = (container_id(), Sleeper::start(), format!("web{volume}"));
            let file = format!("/var/lib/volume{volume}/docker/containers/{id}/config.v2.json");
            write(&file, docker_config(&id, &name, 0));
            record(&id, sleeper.pid);
            let _daemon = started(daemon("dockerd", &words));
            is_named("docker", &name, &id, &sleeper.ns());
            refuses(&[&format!("wbe{volume}")], &["did you mean", &format!("docker:{name}")]);
            refuses(&[&id[..3]], &["at least 4 digits"]);
        }
        let (id, sleeper) = (container_id(), Sleeper::start());
        let state = runc_state(&id, sleeper.pid, sleeper.start_time());
        write(&format!("/run/containerd/runc/k8s.io/{id}/state.json"), state);
        let annotations = "\"io.kubernetes.cri.sandbox-namespace\":\"shop\",\
            \"io.kubernetes.cri.sandbox-name\":\"cart\"";
        write(
            &format!("/run/second/io.containerd.runtime.v2.task/k8s.io/{id}/config.json"),
            format!("{{\"annotations\":{{{annotations}}}}}"),
        );
        let _daemon = started(daemon("containerd", &["--state", "/run/second"]));
        is_named("k8s", "shop/cart", &id, &sleeper.ns());
    });
}

#[test]
fn b9_a_graph_root_that_the_configuration_tells() {
    room(&[], || {
        let (id, sleeper) = (container_id(), Sleeper::start());
        write("/etc/containers/storage.conf", "[storage]\ngraphroot = \"/var/lib/graph\"\n");
        write(
            "/var/lib/graph/overlay-containers/containers.json",
            format!("[{{\"id\":\"{id}\",\"names\":[\"far\"]}}]"),
        );
        let (pid, start) = (sleeper.pid, sleeper.start_time());
        let status = format!("{{\"pid\":{pid},\"process-start-time\":{start}}}");
        write(&format!("/run/crun/{id}/status"), status);
        is_named("podman", "far", &id, &sleeper.ns());
    });
}

/// Whoever calls a program so.
#[test]
fn b9_a_users_process_with_a_daemons_name() {
    room(&[], || {
        let (id, web) = docker("web");
        let (forged, theirs) = (container_id(), Sleeper::of_user());
        let file = format!("/home/al/data/containers/{forged}/config.v2.json");
        write(&file, docker_config(&forged, "forged", 0));
        write("/home/al/docker.json", "{\"data-root\":\"/home/al/data\"}");
        let state = runc_state(&forged, theirs.pid, theirs.start_time());
        write(&format!("/home/al/exec/runtime-runc/moby/{forged}/state.json"), state);
        give("/home/al");
        let mut daemons = Vec::new();
        for (name, words) in [
            ("dockerd", ["--data-root=/home/al/data", "--exec-root=/home/al/exec"]),
            ("dockerd", ["--config-file", "/home/al/docker.json"]),
            ("containerd", ["--state", "/home/al/exec"]),
        ] {
            let roots = daemon(name, &words);
            let words: Vec<&str> = roots.get_args().map(|word| word.to_str().unwrap()).collect();
            let program = roots.get_program().to_str().unwrap();
            daemons.push(started(as_user(USER, &[&[program], &words[..]].concat())));
        }
        is_named("docker", "web", &id, &web.ns());
        refuses(&["forged"], &["no container or pin \"forged\""]);
        refuses(&[&forged], &["no container or pin"]);
        assert!(!run(&["--list"]).stdout.contains("docker:forged "));
    });
}

/// A container of root's may have the host's pids and users, and a cgroup of a name that no engine
/// gives: its process is called like a daemon by whoever is in it.
#[test]
fn b9_a_containers_process_with_a_daemons_name() {
    room(&["chroot"], || {
        let (forged, other) = (container_id(), Sleeper::start());
        let file = format!("/var/lib/box/data/containers/{forged}/config.v2.json");
        write(&file, docker_config(&forged, "forged", 0));
        let state = runc_state(&forged, other.pid, other.start_time());
        write(&format!("/var/lib/box/exec/runtime-runc/moby/{forged}/state.json"), state);
        let words = ["--data-root=/var/lib/box/data", "--exec-root=/var/lib/box/exec"];
        let roots = daemon("dockerd", &words);
        sh(
            "mkdir /var/lib/box/usr && mount --bind /usr /var/lib/box/usr && cd /var/lib/box
            for dir in bin lib lib64; do [ ! -L /$dir ] || ln -s usr/$dir $dir; [ -L $dir ] || [ ! -d /$dir ] ||
                { mkdir $dir && mount --bind /$dir $dir; } || exit; done
            mkdir -p var/lib && cp -a /var/lib/bin var/lib",
            &[""; 0],
        )
        .succeeds();
        let mut command = Command::new("chroot");
        command.arg("/var/lib/box").arg(roots.get_program()).args(roots.get_args());
        let box_daemon = started(command);
        for word in ["forged", &forged, &forged[..12], "docker:forged"] {
            refuses(&[word], &["no container"]);
        }
        assert!(!run(&["--list"]).stdout.contains("forged"));
        drop(box_daemon);
        // A daemon of the machine's is believed, also in a mount namespace of its own.
        let mut command = Command::new("unshare");
        command.arg("-m").arg(roots.get_program()).args(roots.get_args());
        let _daemon = started(command);
        enters(&["forged"], &other.ns());
    });
}

#[test]
fn b9_a_daemon_json_that_is_a_link() {
    room(&[], || {
        for (number, link) in ["/etc/ne/docker.json", "../ne/docker.json"].iter().enumerate() {
            let (id, sleeper) = (container_id(), Sleeper::start());
            let data = format!("/var/lib/volume{number}/docker");
            let _ = fs::remove_dir_all("/etc/docker");
            fs::create_dir_all("/etc/docker").expect("a directory");
            write("/etc/ne/docker.json", format!("{{\"data-root\":\"{data}\"}}"));
            symlink(link, "/etc/docker/daemon.json").expect("a link");
            let name = format!("web{number}");
            write(&format!("{data}/containers/{id}/config.v2.json"), docker_config(&id, &name, 0));
            record(&id, sleeper.pid);
            is_entered(&name, &id, &sleeper.ns());
            let list = run(&["--list"]);
            assert!(
                list.succeeds().stdout.contains(&format!(" docker:{name} ")),
                "{}",
                list.dump()
            );
        }
        // Where nothing tells it but the record, the ID is known all the same.
        fs::remove_dir_all("/etc/docker").expect("no configuration");
        let (id, sleeper) = (container_id(), Sleeper::start());
        record(&id, sleeper.pid);
        for word in [&id, &id[..12], &format!("docker:{}", &id[..12])] {
            enters(&[word], &sleeper.ns());
        }
        let list = run(&["--list"]);
        assert!(list.succeeds().stdout.contains(&format!(" docker:{id} ")), "{}", list.dump());
        // And the name, where the container's own root file system lies in the data-root.
        let data = "/var/lib/elsewhere";
        let state = runc_state(&id, sleeper.pid, sleeper.start_time());
        let state =
            state.replace("\"rootfs\":\"/x\"", &format!("\"rootfs\":\"{data}/overlay2/a/merged\""));
        write(&format!("/run/docker/runtime-runc/moby/{id}/state.json"), state);
        write(&format!("{data}/containers/{id}/config.v2.json"), docker_config(&id, "far", 0));
        is_entered("far", &id, &sleeper.ns());
    });
}

/// uid 0 in a user's own user namespace is that user.
#[test]
fn b10_podman_unshare() {
    if lacks(&["unshare"]) {
        return;
    }
    // As /run and a home are on a host: in no directory in which everybody may put things.
    apart(OWN_ETC, || {
        let scratch = Scratch::new("home");
        let bind = "chmod 755 /run; mount --bind \"$1\" /home";
        sh(bind, &[scratch.dir()]).succeeds();
        let podman = match Rootless::start_at(scratch, "/home/rl".to_owned()) {
            Ok(podman) => podman,
            Err(reason) => return skip(&reason),
        };
        let (ns, scratch) = (ns_of(podman.pid), Scratch::new("unshare"));
        let copy = scratch.copy_of_binary();
        let full = format!("podman:{}", podman.name);
        for word in [podman.name.as_str(), &full, &podman.id, &podman.id[..12]] {
            let words = [&copy, "-c", word, "--", "readlink", "/proc/self/ns/net"];
            let output = finish(podman.unshare(&words));
            output.succeeds().prints(&ns);
            assert!(!output.stderr.contains("is only what"), "{}", output.dump());
        }
        let list = finish(podman.unshare(&[&copy, "--list"]));
        let inode = inode_in(&ns).expect("an inode").to_string();
        let row = list.succeeds().stdout.lines().find(|row| row.starts_with(&inode));
        assert!(row.is_some_and(|row| row.contains(&format!(" {full} "))), "{}", list.dump());
        assert!(!list.stderr.contains("cannot come back"), "{}", list.dump());
    });
}

/// runsc keeps its state in the directory that docker gives any runtime. The first process of the
/// cgroup's only pid namespace is its gofer, in a namespace that is nobody's.
#[test]
fn b11_docker_with_runsc() {
    room(&[], || {
        let id = stopped("web");
        let Some(cgroup) = Cgroup::new(&format!("docker/{id}")) else {
            return skip("no cgroup hierarchy can be written");
        };
        let (sandbox, gofer) = (Sleeper::start(), Sleeper::first());
        cgroup.add(sandbox.pid);
        cgroup.add(gofer.pid);
        // Without a record nothing is proven, least of all the gofer.
        let said = refuses(&["web"], &["docker"]);
        assert!(!said.contains(&format!("--pid {}", gofer.pid)), "{said}");
        let state = format!(
            "{{\"id\":\"{id}\",\"spec\":{{\"linux\":{{\"cgroupsPath\":\"/docker/{id}\"}}}},\
             \"status\":\"running\",\"goferPid\":{},\"sandbox\":{{\"id\":\"{id}\",\"pid\":{}}}}}",
            gofer.pid, sandbox.pid
        );
        write(&format!("/run/docker/runtime-runc/moby/{id}_sandbox:{id}.state"), state);
        for word in ["web", "docker:web", &id, &id[..12]] {
            let said = enters(&[word], &sandbox.ns());
            assert!(said.contains("note"), "{word}: {said}");
        }
        let list = run(&["--list"]);
        let row = list
            .succeeds()
            .stdout
            .lines()
            .find(|row| row.starts_with(&sandbox.inode().to_string()));
        assert!(row.is_some_and(|row| row.contains(" docker:web ")), "{}", list.dump());
    });
}

#[test]
fn b12_a_pod_of_which_nothing_runs() {
    room(&[], || {
        let mut ids = Vec::new();
        fs::create_dir_all("/var/log/containers").expect("a directory");
        for container in ["app", "side"] {
            let id = container_id();
            let log = format!("/var/log/containers/job-x7k_shop_{container}-{id}.log");
            symlink("/nowhere", log).expect("a link");
            ids.push(id);
        }
        let words =
            ["job-x7k", "shop/job-x7k", "k8s:shop/job-x7k", "pod/job-x7k", "shop/job-x7k/app"];
        for word in words {
            for args in [&[word][..], &["-c", word]] {
                let said = refuses(args, &["is not running"]);
                assert!(!said.contains("ambiguous") && !said.contains("say "), "{said}");
            }
        }
        // Of attempts at one container the one that runs is meant.
        let sleeper = Sleeper::start();
        let task = "/run/containerd/io.containerd.runtime.v2.task/k8s.io";
        write(&format!("{task}/{}/options.json", ids[1]), "{}");
        let state = runc_state(&ids[1], sleeper.pid, sleeper.start_time());
        write(&format!("/run/containerd/runc/k8s.io/{}/state.json", ids[1]), state);
        for word in &words[..4] {
            enters(&["-c", word], &sleeper.ns());
        }
        refuses(&["shop/job-x7k/app"], &["is not running"]);
    });
}

#[test]
fn b13_an_address_out_of_a_dual_stack_log() {
    if lacks(&["ip", "unshare", "nsenter"]) {
        return;
    }
    let (sleeper, address) = (Sleeper::start(), ipv4());
    let add = ["-t", &sleeper.word(), "-n", "ip", "addr", "add", &address, "dev", "lo"];
    tool("nsenter", &add).succeeds();
    for spelling in
        [format!("::ffff:{address}"), format!("::FFFF:{address}"), format!("[::ffff:{address}]")]
    {
        enters(&["--addr", &spelling], &sleeper.ns());
    }
}

/// In a debug pod the host's interfaces are meant, and its pins cannot be made.
#[test]
fn b14_veth_and_pin_in_a_debug_pod() {
    let text = r#"
web=$(ns)
pod=$(ns)
mkdir -p /run/host/proc
mount --rbind /proc /run/host/proc
ip link add vweb type veth peer name eth0 netns "$web"
inside() { nsenter -t "$pod" -n "$@"; }
inside "$1" --host-root /run/host --veth vweb -- readlink /proc/self/ns/net | grep -c "$(inode "$web")"
inside "$1" --host-root /run/host --veth vweb@if2 -- readlink /proc/self/ns/net | grep -c "$(inode "$web")"
# One of its own is none of the host's.
inside ip link add mine type veth peer name other
status=0
inside "$1" --host-root /run/host --veth mine -- true 2>/run/said || status=$?
echo $status
grep -c 'no interface "mine" in the host' /run/said
# The host's mounts as another mount namespace has them cannot be added to from here.
unshare -m --propagation private sleep 3600 >/dev/null 2>&1 &
until [ "$(readlink /proc/$!/ns/mnt)" != "$(readlink /proc/self/ns/mnt)" ] && [ "$(cat /proc/$!/comm)" = sleep ]; do :; done
mkdir -p /run/netns
for action in "-p $web --pin x" "--pin-all"; do
    docker web "$web" "$(id aa)"
    status=0
    "$1" --host-root /proc/$!/root $action >/run/out 2>/run/said || status=$?
    echo $status
    grep -ci 'mount namespace' /run/said || cat /run/said >&2
    [ ! -s /run/out ] || cat /run/out
done
[ ! -e /run/netns/x ] && ls -A /run/netns
"#;
    let Some(output) = machine::script(text) else { return };
    output.succeeds().prints("1\n1\n125\n1\n125\n1\n125\n1");
}

/// What a tool shows can be typed.
/// Each unit that the list shows can be named, and as TARGET a unit is root's.
#[test]
fn a_users_cgroup_is_not_shown_as_a_unit() {
    room(&[], || {
        for name in ["nginx.service", "docker:web x.service"] {
            let Some(theirs) = InDelegated::start(name, "exec unshare -Urn sleep 3600") else {
                return skip("no cgroup hierarchy can be written");
            };
            let pid = theirs.held.pid();
            let comm = format!("/proc/{pid}/comm");
            until("a program", || fs::read_to_string(&comm).is_ok_and(|comm| comm == "sleep\n"));
            let inode = inode_in(&ns_of(pid)).unwrap().to_string();
            for (args, shown) in
                [(&["--list"][..], " [sleep] "), (&["--list", "--json"], "\"unit\":null")]
            {
                let list = run(args);
                let row = list.succeeds().stdout.lines().find(|row| row.contains(&inode));
                let is_it = |row: &str| row.contains(shown) && !row.contains(name);
                assert!(row.is_some_and(is_it), "{}", list.dump());
            }
        }
    });
}

/// A user's name with a blank does not read as that of another container.
#[test]
fn a_blank_in_a_users_name_is_shown() {
    room_alone(&[], || {
        let theirs = Sleeper::of_user();
        forge("nope docker:web", &theirs);
        let spelled = format!("crun:nope\\x20docker:web@{USER}");
        let list = run(&["--list"]);
        assert!(list.succeeds().stdout.contains(&format!(" {spelled} ")), "{}", list.dump());
        refuses(&["nope"], &["did you mean", &spelled]);
        let name = format!("crun:nope docker:web@{USER}");
        enters(&[&name], &theirs.ns());
    });
}

/// From systemd 258 on any user may register a process, in root's directory; from 259 on with a
/// machined of the user's own.
#[test]
fn a_machine_that_a_user_has_registered() {
    room_alone(&[], || {
        let (ours, theirs) = (Sleeper::start(), Sleeper::of_user());
        let (Some(our_inode), Some(inode)) = (pidfd_inode(ours.pid), pidfd_inode(theirs.pid))
        else {
            return skip("the kernel gives pidfds no inodes");
        };
        let text = |uid: u32, pid: u32, inode: u64| {
            format!("UID={uid}\nLEADER={pid}\nLEADER_PIDFDID={inode}\nCLASS=container\n")
        };
        let roots = "/run/systemd/machines";
        let own = format!("/run/user/{USER}/systemd/machines");
        write(&format!("{roots}/box"), text(USER, theirs.pid, inode));
        write(&format!("{roots}/ours"), text(0, ours.pid, our_inode));
        write(&format!("{own}/own"), text(USER, theirs.pid, inode));
        // A user speaks for nobody else, and of no process of root's.
        write(&format!("{own}/root"), text(0, theirs.pid, inode));
        write(&format!("{roots}/forged"), text(USER, ours.pid, our_inode));
        give(&format!("/run/user/{USER}"));
        enters(&["ours"], &ours.ns());
        for name in ["box", "own"] {
            let spelled = format!("machine:{name}@{USER}");
            enters(&[&format!("machine:{name}@al")], &theirs.ns());
            refuses(&[name], &["did you mean", &spelled]);
            refuses(&["-c", &format!("machine:{name}")], &["no container"]);
            let list = run(&["--list"]);
            assert!(list.succeeds().stdout.contains(&spelled), "{}", list.dump());
        }
        for name in ["ours", "root"] {
            refuses(&["-c", &format!("machine:{name}@al")], &["no container"]);
        }
        // What the user may not look at cannot be theirs.
        refuses(&["-c", "machine:forged@al"], &["cannot open the network namespace"]);
    });
}

/// Any user can take any address, but not unnoticed.
#[test]
fn a_users_address_is_entered_with_a_note() {
    room(&["ip"], || {
        let (ours, theirs) = (Sleeper::start(), Sleeper::of_user());
        for (sleeper, is_users) in [(&ours, false), (&theirs, true)] {
            let address = ipv4();
            let words = ["-t", &sleeper.word(), "-n", "ip", "addr", "add", &address, "dev", "lo"];
            tool("nsenter", &words).succeeds();
            let said = enters(&["--addr", &address], &sleeper.ns());
            let note = format!("note: the network namespace that has {address} belongs to a user");
            assert_eq!(said.contains(&note), is_users, "{said}");
        }
    });
}

#[test]
fn b15_what_tools_show() {
    room(&[], || {
        let unit = format!("{}.service", unique("unit"));
        let Some(cgroup) = Cgroup::new(&format!("system.slice/{unit}")) else {
            return skip("no cgroup hierarchy can be written");
        };
        let sleeper = Sleeper::start();
        cgroup.add(sleeper.pid);
        let list = run(&["--list"]);
        let row = list
            .succeeds()
            .stdout
            .lines()
            .find(|row| row.starts_with(&sleeper.inode().to_string()));
        assert!(row.is_some_and(|row| row.contains(&format!(" {unit} "))), "{}", list.dump());
        enters(&[&unit], &sleeper.ns());
        // A pod as nerdctl and crictl print it.
        let (id, pod) = (container_id(), Sleeper::start());
        let key = "io.kubernetes.cri";
        let config = format!(
            "{{\"annotations\":{{\"{key}.sandbox-namespace\":\"shop\",\"{key}.sandbox-name\":\"cart\",\
             \"{key}.container-type\":\"container\",\"{key}.container-name\":\"app\"}}}}"
        );
        let task = "/run/containerd/io.containerd.runtime.v2.task/k8s.io";
        write(&format!("{task}/{id}/config.json"), config);
        let state = runc_state(&id, pod.pid, pod.start_time());
        write(&format!("/run/containerd/runc/k8s.io/{id}/state.json"), state);
        for word in [
            "k8s://shop/cart",
            "k8s://shop/cart/app",
            "k8s:shop/cart",
            &format!("containerd:{id}"),
            &format!("containerd:{}", &id[..12]),
            &format!("containerd://{id}"),
            &format!("k8s:{id}"),
        ] {
            enters(&[word], &pod.ns());
            enters(&["-c", word], &pod.ns());
        }
        refuses(&["-c", &format!("docker:{id}")], &["no container"]);
        // A pid of a container that does not run, as docker inspect prints it.
        run(&["--pid", "0", "--", "true"]).refuses(&["docker inspect", "does not run"]);
        run(&["0", "--", "true"]).refuses(&["docker inspect", "does not run"]);
        // A unit that is none of the system's says where else it may be.
        run(&["no-such-unit.service", "--", "true"]).refuses(&["no-such-unit.service", "--cgroup"]);
    });
}

/// What may not be looked at is not called stopped.
#[test]
fn b16_roots_container_for_a_user() {
    room(&[], || {
        let (id, _web) = docker("web");
        let name = unique("lxc");
        fs::create_dir_all(format!("/var/lib/lxc/{name}")).expect("a directory");
        let lxc = Cgroup::new(&format!("lxc.payload.{name}"));
        let first = Sleeper::of_monitor(&name);
        lxc.iter().for_each(|cgroup| cgroup.add(first.pid));
        let scratch = Scratch::new("own");
        let copy = scratch.copy_of_binary();
        let ask = |words: &[&str]| {
            for word in words {
                let mut own = as_user(USER, &[&copy, "-c", word]);
                own.env("HOME", "/home/al");
                let said = command_refuses(own, &[]);
                assert!(!said.contains("is not running"), "{word}: {said}");
                assert!(said.contains("sudo") || said.contains("root"), "{word}: {said}");
            }
        };
        let words = ["web", "docker:web", &id, &id[..12]];
        // All may be read, but not the process; the records may not; nothing may.
        ask(&words);
        ask(&[&format!("lxc:{name}"), &name]);
        for path in ["/run/docker", "/var/lib/docker", "/var/lib/lxc"] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("chmod");
            ask(&words);
        }
        ask(&[&format!("lxc:{name}"), &name]);
    });
}

/// Who is not told of a pin does not get one.
#[test]
fn b17_pin_all_that_cannot_tell() {
    let text = r#"
for name in one two three; do docker $name "$(ns)" "$(id "$(echo $name | md5sum | cut -c1-4)")"; done
status=0
"$1" --pin-all >/dev/full 2>/run/said || status=$?
echo $status
ls -A /run/netns
grep -c 'standard output' /run/said
status=0
"$1" --pin-all >&- 2>/run/said || status=$?
echo $status
ls -A /run/netns
# A reader that goes away.
mkfifo /run/pipe
exec 3<>/run/pipe
exec 4>/run/pipe
exec 3<&-
status=0
"$1" --pin-all >&4 2>/run/said || status=$?
exec 4>&-
echo $status
ls -A /run/netns
"$1" --pin-all | sort
ls -A /run/netns
"#;
    let Some(output) = machine::script(text) else { return };
    let all = "docker-one\ndocker-three\ndocker-two";
    output.succeeds().prints(&format!("125\n1\n125\n125\n{all}\n{all}"));
}

/// What is printed is for `--unpin $(cat made)`.
#[test]
fn b18_names_that_a_shell_reads() {
    room_alone(&[], || {
        let (_, web, _blue) = roots_own();
        let theirs = Sleeper::of_user();
        forge("*", &theirs);
        let pinned = run(&["--pin-all"]);
        pinned.succeeds().prints("docker-web");
        // A name of root's own that a shell would read is not pinned either, and told.
        let odd = ["*", "a b", "$(id)", "a;b", "?", "[a]", "~", "a\\b", "a'b", "a\"b", "é"];
        for name in odd {
            let state = runc_state("x", web.pid, web.start_time());
            write(&format!("/run/runc/{name}/state.json"), state);
        }
        let again = run(&["--pin-all"]);
        again.exits(125).prints("").says(&["runc-*", "letters, digits"]);
        assert_eq!(again.stderr.matches("pin name").count(), odd.len(), "{}", again.dump());
        let made = Scratch::new("made");
        let file = made.write("made", &pinned.stdout);
        let script = "cd /run/netns && \"$1\" --unpin $(cat \"$2\")";
        sh(script, &[binary().to_str().unwrap(), &file]).succeeds();
        let left: Vec<_> =
            fs::read_dir("/run/netns").unwrap().flatten().map(|e| e.file_name()).collect();
        assert_eq!(left, ["blue"]);
    });
}

/// The pod of podman's that systemd has a slice for.
#[test]
fn b20_a_pods_id_under_systemd() {
    room(&[], || {
        let (pod, id) = (container_id(), container_id());
        let slice = format!("machine-libpod_pod_{pod}.slice");
        let storage = "/var/lib/containers/storage/overlay-containers";
        let list = format!("[{{\"id\":\"{id}\",\"names\":[\"member\"],\"metadata\":\"{{}}\"}}]");
        write(&format!("{storage}/containers.json"), list);
        let config = format!("{{\"linux\":{{\"cgroupsPath\":\"{slice}:libpod:{id}\"}}}}");
        write(&format!("{storage}/{id}/userdata/config.json"), config);
        let words =
            [pod.clone(), pod[..12].to_owned(), format!("podman:{pod}"), "member".to_owned()];
        for word in &words {
            refuses(&["-c", word], &["podman", "is not running"]);
        }
        let place = format!("machine.slice/{slice}/libpod-{id}.scope/container");
        let Some(cgroup) = Cgroup::new(&place) else {
            return skip("no cgroup hierarchy can be written");
        };
        let first = Sleeper::of_shim(&id);
        cgroup.add(first.pid);
        // conmon is beside it.
        let scratch = Scratch::new("conmon");
        fs::copy("/bin/sleep", scratch.path("conmon")).expect("a copy");
        let conmon = Held::start(Command::new(scratch.path("conmon")).arg("3600"));
        let beside = Cgroup::new(&format!("machine.slice/{slice}/libpod-conmon-{id}.scope"));
        beside.iter().for_each(|cgroup| cgroup.add(conmon.pid()));
        for word in &words {
            enters(&["-c", word], &first.ns());
            enters(&[word], &first.ns());
        }
        let status =
            format!("{{\"pid\":{},\"process-start-time\":{}}}", first.pid, first.start_time());
        write(&format!("/run/crun/{id}/status"), status);
        for word in &words {
            enters(&["-c", word], &first.ns());
            enters(&[word], &first.ns());
        }
        // The slice by its name is the unit, of which the monitor is left aside.
        enters(&["--cgroup", &slice], &first.ns());
    });
}
