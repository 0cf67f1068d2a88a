//! The suite leaves the machine alone: beside engines that somebody else runs on it, run to its end and
//! interrupted in the middle.

#![forbid(unsafe_code)]

use crate::engines::containerd::Containerd;
use crate::engines::docker::Docker;
use crate::engines::podman::Podman;
use crate::util::{Held, LONG, ask, finish_within, has_all, sh, skip, test_name, until};
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

/// Set where the test is on a stage that is its machine.
const MACHINE: &str = "NETNS_ENTER_TEST_MACHINE";

/// All of a machine that the suite could touch, as text.
const STATE: &str = r#"
for dir in /proc/[0-9]*; do
    read -r stat <$dir/stat && rest=${stat##*) } && set -- $rest && echo "process ${dir#/proc/} ${20} ${stat%) *}"
done 2>/dev/null | grep -v -e '(sh' -e '(grep' -e '(sort' -e '(test' | sort -V
echo "mounts"; sort /proc/self/mountinfo
echo "cgroups"; find /sys/fs/cgroup -type d | sort
echo "links"; ip -o link; ip -o addr
echo "users"; cat /etc/passwd /etc/group; ls -lR /etc/sudoers.d /etc/ssh 2>/dev/null
echo "packages"; cat /proc/sys/net/ipv4/ip_forward
echo "files"; find /run /tmp /home /var/lib/containers /var/lib/lxc -not -path '/run/ne-*' | sort
echo "containers"; docker ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.State}}'; docker images -aq
podman ps -a --no-trunc --format '{{.ID}} {{.Names}} {{.Pid}}'; ctr -n default task ls; ctr -n default container ls"#;

/// A command that runs some tests on a stage of their own, as cargo does.
fn suite(filters: &[&str]) -> Command {
    let runner = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/stage/run");
    let mut command = Command::new(runner);
    command.arg(std::env::current_exe().expect("a program")).args(filters);
    command.args(["--exact", "--nocapture", "--test-threads=2"]);
    command.env_remove("NETNS_ENTER_STAGE");
    command
}

/// Tells whether a stage, here or below, still has cgroups.
fn has_stages() -> bool {
    !sh("find /sys/fs/cgroup -type d -name 'ne-t-stage-*'", &[""; 0]).stdout.is_empty()
}

#[test]
fn the_suite_leaves_a_machine_with_engines_alone() {
    if std::env::var_os(MACHINE).is_none() {
        if let Err(reason) = has_all(&["dockerd", "containerd", "ctr", "podman", "runc", "tar"]) {
            return skip(&reason);
        }
        let mut command = suite(&[&test_name().expect("a test")]);
        let output = finish_within(LONG, command.env(MACHINE, "1"));
        output.succeeds();
        assert!(output.stdout.contains("1 passed"), "{}", output.dump());
        return;
    }
    let mut docker = Docker::start().expect("a dockerd of the machine's");
    docker.make(&["run", "-d"], &[]).expect("a container of the machine's");
    let mut containerd = Containerd::start().expect("a containerd of the machine's");
    containerd.run("default", &Containerd::name(), &[]).expect("a task of the machine's");
    let _podman = Podman::start().expect("a container of the machine's");
    let state = || ask(&["sh", "-c", STATE]).expect("what the machine has");
    // Whatever an engine does only once it has done before.
    state();
    let before = state();

    let tests = [
        "live::docker",
        "live::podman",
        "live::lxc",
        "pins::entries_of_others_stay_reachable_and_deletable",
    ];
    let output = finish_within(LONG, suite(&tests));
    output.succeeds();
    assert!(output.stdout.contains("4 passed"), "{}", output.dump());
    same(&before, &state());

    for signal in ["INT", "TERM", "KILL"] {
        let mut command = suite(&tests);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let child = Held::start(command);
        until("a container", || {
            let found = sh("find /sys/fs/cgroup -type d -path '*/ne-t-stage-*/docker/*'", &[""; 0]);
            !found.stdout.is_empty()
        });
        // As a terminal's key does it, or whoever loses patience: all that are in the foreground.
        sh(&format!("kill -{signal} -{}", child.pid()), &[""; 0]).succeeds();
        drop(child);
        until("an end", || !has_stages());
        same(&before, &state());
    }
    fs::metadata("/run/docker.sock").expect("a daemon");
}

#[track_caller]
fn same(before: &str, after: &str) {
    let differ = |one: &str, other: &str| -> Vec<String> {
        one.lines()
            .filter(|line| !other.lines().any(|has| has == *line))
            .map(str::to_owned)
            .collect()
    };
    let (gone, new) = (differ(before, after), differ(after, before));
    assert!(gone.is_empty() && new.is_empty(), "gone: {gone:#?}\nnew: {new:#?}");
}
