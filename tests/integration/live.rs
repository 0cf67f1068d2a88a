//! The main job on engines that really run: by every name of a container into its namespace, with
//! the daemon hung too.

#![forbid(unsafe_code)]

use crate::engines::containerd::Containerd;
use crate::engines::crun::Crun;
use crate::engines::docker::Docker;
use crate::engines::lxc::Lxc;
use crate::engines::podman::Podman;
use crate::engines::rootless::Rootless;
use crate::engines::runc::Runc;
use crate::engines::{Hung, alone_with_daemons};
use crate::util::{
    Held, OWN_ETC, Scratch, USER, apart, as_user, ask, binary, command_enters, command_refuses,
    container_id, enters, finish, has, has_all, inode_in, ns_of, own_ns, program, refuses, run,
    skip, until,
};
use std::fs;
use std::process::Command;

/// The engine, or the reason why the test is skipped.
macro_rules! engine {
    ($started:expr) => {
        match $started {
            Ok(engine) => engine,
            Err(reason) => {
                skip(&reason);
                return;
            }
        }
    };
}

/// The namespace of a container's process, which must not be ours.
#[track_caller]
fn private_ns(pid: u32) -> String {
    let ns = ns_of(pid);
    assert!(
        ns.starts_with("net:[") && ns != own_ns(),
        "process {pid} has no namespace of its own: {ns}"
    );
    ns
}

/// A look-up by name at the side of a hung daemon: it waits for nothing and asks nobody.
#[track_caller]
fn enters_at_once(args: &[&str], ns: &str) {
    enters(args, ns);
    if !has("strace") {
        return skip("strace is not installed");
    }
    let scratch = Scratch::new("trace");
    let (log, waits) =
        (scratch.path("log"), "trace=connect,nanosleep,clock_nanosleep,poll,ppoll,flock");
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o", &log, "-e", waits]).arg(binary()).args(args);
    command_enters(command, ns);
    let calls = fs::read_to_string(log).expect("a log");
    // The standard library looks at its descriptors before main, without a wait.
    assert!(calls.lines().all(|call| call.contains("poll(")), "{args:?}:\n{calls}");
}

/// All the ways to one container.
#[track_caller]
fn enters_by_each(engine: &str, name: &str, pid: u32) -> String {
    let ns = private_ns(pid);
    enters(&[name], &ns);
    enters(&["-c", name], &ns);
    enters(&["--container", &format!("{engine}:{name}")], &ns);
    enters(&["--pid", &pid.to_string()], &ns);
    refuses(&["-c", &format!("{name}x")], &["did you mean", name]);
    refuses(&["-c", &format!("nosuchengine:{name}")], &[]);
    ns
}

#[test]
fn docker() {
    let _alone = alone_with_daemons();
    let mut docker = engine!(Docker::start());
    let (name, id) = docker.make(&["run", "-d"], &[]).expect("a container");
    let pid = docker.pid(&name).expect("its pid");
    let ns = enters_by_each("docker", &name, pid);
    for spelling in [id.clone(), id[..12].to_owned(), format!("docker://{id}"), format!("/{name}")]
    {
        enters(&["-c", &spelling], &ns);
    }
    enters(&[&id], &ns);
    enters(&[&id[..12]], &ns);
    enters(&["--state", &format!("/run/docker/runtime-runc/moby/{id}/state.json")], &ns);
    enters(&["--cgroup", &cgroup_of(pid)], &ns);
    captures_pings(&docker, &name);
    if let Some(daemon) = docker.daemon_pid() {
        let _hung = Hung::new(daemon);
        enters_at_once(&[&name], &ns);
        enters_at_once(&["-c", &id[..12]], &ns);
    }
    ask(&["docker", "pause", &name]).expect("pause");
    enters(&[&name], &ns);
    ask(&["docker", "unpause", &name]).expect("unpause");
    ask(&["docker", "rename", &name, &format!("{name}-b")]).expect("rename");
    enters(&[&format!("{name}-b")], &ns);
    refuses(&[&name], &["did you mean"]);
    ask(&["docker", "rename", &format!("{name}-b"), &name]).expect("rename");
    ask(&["docker", "stop", "-t", "0", &name]).expect("stop");
    for spelling in [&name, &id, &id[..12]] {
        refuses(&["-c", spelling], &["docker", "is not running"]);
    }
    ask(&["docker", "start", &name]).expect("start");
    enters(&[&name], &private_ns(docker.pid(&name).expect("its pid")));
}

#[test]
fn docker_containers_that_mislead() {
    let _alone = alone_with_daemons();
    let mut docker = engine!(Docker::start());
    let (created, _) = docker.make(&["create"], &[]).expect("a container");
    refuses(&[&created], &["docker", "is not running"]);
    let (host, _) = docker.make(&["run", "-d"], &["--network", "host"]).expect("a container");
    let notes = enters(&[&host], &own_ns());
    assert!(notes.contains("note") && notes.contains("host's network namespace"), "{notes}");
    assert_eq!(enters(&["-q", &host], &own_ns()), "");
    let (victim, _) = docker.make(&["run", "-d"], &[]).expect("a container");
    let pid = docker.pid(&victim).expect("its pid");
    let labels = [
        format!("Name=/{victim}"),
        format!("Pid={pid}"),
        "State=x".to_owned(),
        format!("ID={victim}"),
    ];
    let mut options: Vec<&str> =
        labels.iter().flat_map(|label| ["--label", label.as_str()]).collect();
    let variable = format!("init_process_pid={pid}");
    options.extend(["-e", &variable, "--network", "none"]);
    let (forger, _) = docker.make(&["run", "-d"], &options).expect("a container");
    enters(&[&victim], &private_ns(pid));
    enters(&[&forger], &private_ns(docker.pid(&forger).expect("its pid")));
    let shared = format!("container:{victim}");
    let (guest, _) = docker.make(&["run", "-d"], &["--network", &shared]).expect("a container");
    enters(&[&guest], &private_ns(pid));
}

/// `netns-enter NAME -- tcpdump` sees the pings to a container whose image has no tcpdump.
fn captures_pings(docker: &Docker, name: &str) {
    if !has("tcpdump") || !has("ping") {
        skip("tcpdump or ping is not installed");
        return;
    }
    let address = docker.inspect(name, "{{.NetworkSettings.IPAddress}}").expect("its address");
    let mut ping = Command::new("ping");
    ping.args(["-i", "0.2", &address]);
    let ping = Held::start(ping);
    let mut command = program();
    let output = finish(command.args([name, "--", "tcpdump", "-c", "3", "-ni", "eth0", "icmp"]));
    drop(ping);
    assert!(output.status.success(), "{}", output.dump());
    let is_ping = |line: &&str| line.contains("ICMP echo") && line.contains(&address);
    assert_eq!(output.stdout.lines().filter(is_ping).count(), 3, "{}", output.dump());
}

/// The cgroup path of a process in the hierarchy of pids, or the unified one.
fn cgroup_of(pid: u32) -> String {
    let text = fs::read_to_string(format!("/proc/{pid}/cgroup")).expect("a live process");
    let line =
        text.lines().find(|l| l.contains(":pids:")).or(text.lines().find(|l| l.starts_with("0::")));
    line.and_then(|l| l.splitn(3, ':').nth(2)).expect("a path").to_owned()
}

#[test]
fn containerd() {
    let _alone = alone_with_daemons();
    let mut containerd = engine!(Containerd::start());
    let name = Containerd::name();
    let pid = engine!(containerd.run("default", &name, &[]));
    let ns = enters_by_each("containerd", &name, pid);
    enters(&["-c", &format!("containerd://{name}")], &ns);
    enters(&["--state", &format!("/run/containerd/runc/default/{name}/state.json")], &ns);
    enters(&["--cgroup", &cgroup_of(pid)], &ns);
    if let Some(daemon) = containerd.daemon_pid() {
        let _hung = Hung::new(daemon);
        enters_at_once(&[&name], &ns);
    }
    // The task's files stay until somebody deletes it.
    containerd.kill("default", &name).expect("a signal");
    until("the end of the container", || ns_of(pid).is_empty());
    refuses(&[&name], &["is not running"]);
}

#[test]
fn kubernetes_pods_by_annotations() {
    let _alone = alone_with_daemons();
    let mut containerd = engine!(Containerd::start());
    let (pod, namespace) = (Containerd::name(), "ne-shop");
    let (sandbox, app) = (container_id(), container_id());
    let key = |key: &str, value: &str| format!("io.kubernetes.cri.{key}={value}");
    let common = [
        key("sandbox-id", &sandbox),
        key("sandbox-name", &pod),
        key("sandbox-namespace", namespace),
    ];
    let with = |more: &[String]| [&common[..], more].concat();
    let pid =
        engine!(containerd.run("k8s.io", &sandbox, &with(&[key("container-type", "sandbox")])));
    let ns = private_ns(pid);
    for spelling in [
        pod.clone(),
        format!("{namespace}/{pod}"),
        format!("pod/{pod}"),
        sandbox.clone(),
        sandbox[..12].into(),
    ] {
        enters(&["-c", &spelling], &ns);
        enters(&[&spelling], &ns);
    }
    enters(&["-c", &format!("containerd://{sandbox}")], &ns);
    enters(&["-c", &format!("k8s:{namespace}/{pod}")], &ns);
    refuses(&["-c", &format!("other/{pod}")], &[]);
    // A container with a namespace of its own: POD is the sandbox's, POD/CONTAINER its own.
    let own = with(&[key("container-type", "container"), key("container-name", "cart")]);
    let pid = engine!(containerd.run("k8s.io", &app, &own));
    enters(&["-c", &format!("{namespace}/{pod}/cart")], &private_ns(pid));
    enters(&["-c", &app], &private_ns(pid));
    refuses(&["-c", &format!("{namespace}/{pod}/nosuch")], &[]);
}

#[test]
fn podman() {
    let podman = engine!(Podman::start());
    let ns = enters_by_each("podman", &podman.name, podman.pid);
    for spelling in [podman.id.as_str(), &podman.id[..12]] {
        enters(&[spelling], &ns);
        enters(&["-c", spelling], &ns);
    }
    enters(&["--state", &format!("/run/runc/{}/state.json", podman.id)], &ns);
    enters(&["--cgroup", &cgroup_of(podman.pid)], &ns);
    {
        let _hung = Hung::new(podman.conmon().expect("conmon"));
        enters_at_once(&[&podman.name], &ns);
    }
    podman.stop().expect("stop");
    for spelling in [podman.name.as_str(), &podman.id] {
        refuses(&["-c", spelling], &["podman", "is not running"]);
    }
}

/// A user's own container: for its owner without a note, for root with one, for nobody else.
#[test]
fn podman_rootless() {
    if let Err(reason) = has_all(&["unshare"]) {
        return skip(&reason);
    }
    apart(OWN_ETC, rootless);
}

fn rootless() {
    let podman = engine!(Rootless::start());
    let ns = private_ns(podman.pid);
    let dir = Scratch::new("rootless");
    let copy = &dir.copy_of_binary()[..];
    let full = format!("podman:{}", podman.name);
    let uid = podman.uid.to_string();
    let suggestion = format!("did you mean {full}@{uid}?");
    for spelling in [podman.name.as_str(), &full, &podman.id, &podman.id[..12]] {
        assert_eq!(command_enters(podman.command(&[copy, "-c", spelling]), &ns), "");
        // For root it is no word of root's, and its ID no ID.
        refuses(&["-c", spelling], &["no container"]);
        refuses(&[spelling], &["no container or pin"]);
    }
    refuses(&["-c", &podman.name], &[&suggestion]);
    refuses(&["-c", &full], &[&suggestion]);
    for user in [uid.as_str(), "ne-rootless"] {
        for word in [&podman.name, &podman.id, &podman.id[..12]] {
            let spelled = format!("podman:{word}@{user}");
            enters(&["-c", &spelled], &ns);
            enters(&[&spelled], &ns);
            // Who is that user may say so, too; others may not ask.
            command_enters(podman.command(&[copy, "-c", &spelled]), &ns);
        }
        refuses(&["-c", &format!("docker:{}@{user}", podman.name)], &["no container"]);
    }
    // All of its namespace is the owner's: capabilities, and the row with its one address and name.
    let up = ["-c", &podman.name, "--", "ip", "addr", "add", "192.0.2.9/24", "dev", "lo"];
    let output = finish(&mut podman.command(&[&[copy], &up[..]].concat()));
    assert!(output.status.success(), "{}", output.dump());
    let output = finish(&mut podman.command(&[copy, "--list"]));
    let inode = inode_in(&ns).expect("an inode").to_string();
    let lines = output.succeeds().stdout.lines();
    let rows: Vec<&str> = lines.filter(|line| line.starts_with(&inode)).collect();
    assert_eq!(output.stderr.lines().count(), 1, "{}", output.dump());
    let wanted = format!(" {full} ");
    assert!(
        rows.len() == 1 && rows[0].contains(&wanted) && rows[0].ends_with(" lo 192.0.2.9/24"),
        "{}",
        output.dump()
    );
    command_refuses(
        as_user(USER, &[copy, &podman.name]),
        &["not found", "not all of the host could be read"],
    );
    command_refuses(
        as_user(USER, &[copy, "--pid", &podman.pid.to_string()]),
        &["needs root, or the same user"],
    );
    // Root's list shows whose word it is; so it is typed, and so it is told.
    let list = run(&["--list"]);
    let row = list.succeeds().stdout.lines().find(|line| line.starts_with(&inode)).unwrap_or("");
    assert!(row.contains(&format!(" {full}@{uid} ")), "{}", list.dump());
    let json = run(&["--list", "--json"]).succeeds().stdout.clone();
    let rows: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    let ours = rows.as_array().expect("rows").iter();
    let ours = ours.flat_map(|row| row["containers"].as_array().expect("containers"));
    let claims: Vec<_> = ours.filter(|one| one["id"] == podman.id.as_str()).collect();
    assert_eq!(claims.len(), 1, "{json}");
    assert!(claims[0]["claimed_by"] == podman.uid && claims[0]["pid"] == podman.pid, "{json}");
    // Neither --all nor --pin-all is for it, which they say.
    let pinned = run(&["--pin-all"]);
    assert!(!pinned.stdout.contains(&podman.name), "{}", pinned.dump());
    pinned.says(&["user"]);
    let all = run(&["--all", "readlink", "/proc/self/ns/net"]);
    assert!(!all.stdout.contains(&ns), "{}", all.dump());
    run(&["--unpin"].into_iter().chain(pinned.stdout.lines()).collect::<Vec<_>>());
    podman.stop().expect("stop");
    command_refuses(podman.command(&[copy, &podman.name]), &["is not running"]);
    refuses(&[&podman.name], &["no container", &suggestion]);
    refuses(&[&format!("{full}@{uid}")], &["is not running"]);
}

#[test]
fn runc() {
    let runc = engine!(Runc::start(&["run", "-d"]));
    let ns = enters_by_each("runc", &runc.name, runc.pid);
    enters(&["--state", &format!("/run/runc/{}/state.json", runc.name)], &ns);
    ask(&["runc", "kill", &runc.name, "KILL"]).expect("a signal");
    // runc leaves its files as they were.
    until("the end of the container", || ns_of(runc.pid).is_empty());
    refuses(&[&runc.name], &["runc", "is not running"]);
    refuses(&["--state", &format!("/run/runc/{}/state.json", runc.name)], &["not running"]);
    let created = engine!(Runc::start(&["create"]));
    enters(&[&created.name], &private_ns(created.pid));
}

#[test]
fn crun() {
    let crun = engine!(Crun::start());
    let ns = enters_by_each("crun", &crun.name, crun.pid);
    enters(&["--state", &format!("/run/crun/{}/status", crun.name)], &ns);
    ask(&["kill", "-9", &crun.pid.to_string()]).expect("a signal");
    until("the end of the container", || ns_of(crun.pid).is_empty());
    refuses(&[&crun.name], &["crun", "is not running"]);
}

#[test]
fn lxc() {
    let lxc = engine!(Lxc::start());
    let ns = enters_by_each("lxc", &lxc.name, lxc.pid);
    enters(&["--cgroup", &cgroup_of(lxc.pid)], &ns);
    lxc.stop().expect("stop");
    refuses(&[&lxc.name], &[]);
}
