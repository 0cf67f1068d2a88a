//! Without root: rootless namespaces are entered by their owner and by nobody else.

#![forbid(unsafe_code)]

use crate::util::{
    Held, Output, Scratch, Sleeper, apart, as_user, finish, has, inode_of, lacks, run, skip, tool,
    until,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

/// Two users of our own; nothing on the machine runs as them.
const USER: u32 = 64_533;
const STRANGER: u32 = 64_534;

fn run_as(uid: u32, binary: &str, words: &[&str]) -> Output {
    finish(as_user(uid, &[&[binary], words].concat()))
}

/// Whether a user may make namespaces here; skips where not.
#[track_caller]
fn cannot_run() -> bool {
    if lacks(&["setpriv", "unshare", "ip"]) {
        return true;
    }
    let refused = !finish(as_user(USER, &["unshare", "-Urn", "true"])).status.success();
    if refused {
        skip("users may not make user namespaces here");
    }
    refused
}

/// A rootless namespace of USER; `map` says how unshare maps the uid.
fn rootless(map: &[&str]) -> Sleeper {
    Sleeper::apart(as_user(
        USER,
        &[&["unshare", "--user", "--net"], map, &["sleep", "3600"]].concat(),
    ))
}

#[test]
fn its_owner_enters_a_rootless_namespace() {
    if cannot_run() {
        return;
    }
    let dir = Scratch::new("user");
    let binary = dir.copy_of_binary();
    // Mapped to 0, to itself, and not at all: the rights must outlive exec in each case.
    for map in [&["--map-root-user"][..], &["--map-current-user"], &[]] {
        let other = rootless(map);
        let pid = other.word();
        run_as(USER, &binary, &["-p", &pid, "--", "readlink", "/proc/self/ns/net"])
            .succeeds()
            .prints(&other.ns());
        let veth =
            ["-p", &pid, "--", "ip", "link", "add", "ne0", "type", "veth", "peer", "name", "ne1"];
        run_as(USER, &binary, &veth).succeeds();
        let links = run(&["-p", &pid, "--", "ip", "-br", "link"]);
        assert!(links.succeeds().stdout.contains("ne0@ne1"), "{map:?}\n{}", links.dump());
    }
}

#[test]
fn the_owners_uid_stays_what_it_is() {
    if cannot_run() {
        return;
    }
    let dir = Scratch::new("user");
    let binary = dir.copy_of_binary();
    let other = rootless(&["--map-current-user"]);
    run_as(USER, &binary, &["-p", &other.word(), "--", "id", "-u"])
        .succeeds()
        .prints(&USER.to_string());
}

#[test]
fn somebody_elses_namespace_is_refused() {
    if cannot_run() {
        return;
    }
    // A mount that nobody else meets.
    apart("", || {
        let dir = Scratch::new("user");
        let binary = dir.copy_of_binary();
        let rootless = rootless(&["--map-root-user"]);
        let roots = Sleeper::start();
        for other in [&rootless, &roots] {
            let words = ["-p", &other.word(), "--", "echo", "ran"];
            run_as(STRANGER, &binary, &words).refuses(&[&other.word(), "needs root"]);
        }
        run(&["-p", &rootless.word(), "--", "readlink", "/proc/self/ns/net"])
            .succeeds()
            .prints(&rootless.ns());
        // A namespace file that can be opened is refused by its owner.
        let file = dir.write("ns", "");
        let source = format!("/proc/{}/ns/net", rootless.pid);
        tool("mount", &["--bind", &source, &file]).succeeds();
        let refused = run_as(STRANGER, &binary, &["--file", &file, "--", "echo", "ran"]);
        tool("umount", &[&file]).succeeds();
        refused.refuses(&["needs root"]);
    });
}

/// A user namespace that a process of another uid inside a container of ours made: joining it would
/// give that process power over ours.
#[test]
fn a_user_namespace_made_inside_our_container_is_refused() {
    if cannot_run() {
        return;
    }
    // A mount that nobody else meets.
    apart("", || {
        let dir = Scratch::new("user");
        let binary = dir.copy_of_binary();
        let outer =
            Held::start(as_user(USER, &["unshare", "--user", "sh", "-c", "echo; exec sleep 3600"]));
        let user_ns = |pid: u32| fs::read_link(format!("/proc/{pid}/ns/user")).ok();
        until("the outer namespace is there", || {
            user_ns(outer.pid()) != user_ns(std::process::id())
        });
        // Two uids: the owner is 0 inside, STRANGER is 1.
        for map in ["uid_map", "gid_map"] {
            fs::write(
                format!("/proc/{}/{map}", outer.pid()),
                format!("0 {USER} 1\n1 {STRANGER} 1\n"),
            )
            .unwrap();
        }
        let mut command = Command::new("nsenter");
        command.args(["--user", "--target", &outer.word(), "--setuid", "1", "--setgid", "1"]);
        command.args(["unshare", "--user", "--net", "sleep", "3600"]);
        let inner = Sleeper::apart(command);
        let bind = dir.write("ns", "");
        tool("mount", &["--bind", &format!("/proc/{}/ns/net", inner.pid), &bind]).succeeds();
        let refused = run_as(USER, &binary, &["--file", &bind, "--", "echo", "ran"]);
        tool("umount", &[&bind]).succeeds();
        refused.refuses(&["belongs to uid", &STRANGER.to_string()]);
        assert!(inode_of(inner.pid).is_some());
    });
}

#[test]
fn borrowed_rights_are_refused() {
    if cannot_run() {
        return;
    }
    let dir = Scratch::new("user");
    let binary = dir.copy_of_binary();
    let me = std::process::id().to_string();
    let words = ["-p", &me, "--", "echo", "ran"];
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o4755)).unwrap();
    if tool("findmnt", &["-no", "OPTIONS", "-T", dir.dir().to_str().unwrap()])
        .stdout
        .contains("nosuid")
    {
        return skip("the directory for temporary files is mounted nosuid");
    }
    run_as(USER, &binary, &words).refuses(&["set-user-ID"]);
    fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
    if !has("setcap") {
        return skip("setcap is not installed");
    }
    tool("setcap", &["cap_sys_admin+ep", &binary]).succeeds();
    run_as(USER, &binary, &words).refuses(&["file capabilities"]);
}

/// From a user namespace of one's own there is no way back to a network namespace outside of it, as
/// in `podman unshare`: what lies in it is looked at by a child.
#[test]
fn in_ones_own_user_namespace_the_list_and_addresses_are_whole() {
    if cannot_run() {
        return;
    }
    let dir = Scratch::new("user");
    let binary = dir.copy_of_binary();
    let process = std::process::id();
    let address = |n: u8| format!("10.{}.{}.{n}", 100 + process / 250 % 100, process % 250);
    // Two of one user namespace, one of a user namespace in that, and one outside.
    let script = "
        cd /; binary=$0
        for address in $1 $2; do
            unshare -n sh -c 'ip addr add $0/32 dev lo; exec sleep 60' $address & pids=\"$pids $!\"
        done
        unshare -Urn sh -c 'ip addr add $0/32 dev lo; exec sleep 60' $3 & pids=\"$pids $!\"
        for address in $1 $2 $3; do
            tries=0
            until \"$binary\" -q --list | grep -q $address || [ $tries -gt 100 ]; do
                sleep 0.1
                tries=$((tries + 1))
            done
        done
        \"$binary\" --list
        for address in $1 $2 $3; do \"$binary\" -q --addr $address -- ip -br addr; done
        \"$binary\" --addr $4 -- echo ran
        echo $?
        kill $pids";
    let (inside, outside) = ([address(1), address(2), address(3)], address(4));
    let roots = Sleeper::start();
    tool("nsenter", &["-t", &roots.word(), "-n", "ip", "addr", "add", &outside, "dev", "lo"])
        .succeeds();
    for map in [&["-Ur"][..], &["-U", "--map-current-user", "--keep-caps"]] {
        let mut words = [&["unshare"], map, &["sh", "-c", script, &binary]].concat();
        words.extend(inside.iter().chain([&outside]).map(String::as_str));
        let output = finish(as_user(USER, &words));
        output.succeeds();
        for address in &inside {
            // Once in the list, once in its own namespace.
            assert_eq!(
                output.stdout.matches(&format!(" {address}/32")).count(),
                2,
                "{map:?} {}",
                output.dump()
            );
        }
        assert!(!output.stdout.contains(&outside), "{}", output.dump());
        assert!(
            output.stdout.ends_with("\n125\n") && !output.stderr.contains("come back"),
            "{}",
            output.dump()
        );
    }
}
