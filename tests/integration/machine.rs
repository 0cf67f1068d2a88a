//! A machine of its own for a script: new pid, mount and network namespaces with empty /run and
//! /var/lib and no cgroups, so that "all namespaces" are those that the script makes. They end with
//! it.

#![forbid(unsafe_code)]

use crate::util::{ALONE, Output, binary, finish, lacks};
use std::ffi::OsStr;
use std::process::Command;

/// What scripts can call, once nothing is mounted that others made. `$1` is the binary under test.
const PRELUDE: &str = r#"
set -eu
for dir in /run /var/lib /sys/fs/cgroup; do mount -t tmpfs tmpfs $dir; done
ip link set lo up
own=$(readlink /proc/self/ns/net)

# The inode of a process's namespace.
inode() { stat -Lc %i "/proc/$1/ns/net"; }

# A process asleep in a namespace of its own; prints its pid.
ns() {
    unshare -n sleep 3600 >/dev/null 2>&1 &
    until [ "$(readlink /proc/$!/ns/net)" != "$own" ] && [ "$(cat /proc/$!/comm)" = sleep ]; do :; done
    echo $!
}

# A process asleep as a container's first one is: pid 1 of a pid namespace, in a network namespace of
# its own, started by another program in neither, with which it ends and that has the word $1 as a shim
# has the ID. Prints the pids of both.
first() {
    unshare -pf --kill-child env -u "$1" unshare -n sleep 3600 >/dev/null 2>&1 &
    until pid=$(pgrep -P $!) && [ "$(cat "/proc/$pid/comm")" = sleep ]; do :; done
    echo $! $pid
}

# A process asleep in the namespace of process $1; prints its pid.
join() {
    nsenter -t "$1" -n sleep 3600 >/dev/null 2>&1 &
    until [ "$(cat /proc/$!/comm)" = sleep ]; do :; done
    echo $!
}

# state ID PID DIR: what runc records below DIR.
state() {
    mkdir -p "$3/$1"
    start=$(cut -d' ' -f22 "/proc/$2/stat")
    echo "{\"id\":\"$1\",\"init_process_pid\":$2,\"init_process_start\":$start}" >"$3/$1/state.json"
}

# runc NAME PID
runc() { state "$1" "$2" /run/runc; }

# An ID: 64 digits that begin with $1.
id() { printf %s%064d "$1" 0 | cut -c1-64; }

# docker NAME PID ID, with NAME in the escapes of JSON.
docker() {
    mkdir -p "/var/lib/docker/containers/$3"
    printf '{"ID":"%s","Name":"/%s"}' "$3" "$1" >"/var/lib/docker/containers/$3/config.v2.json"
    state "$3" "$2" /run/docker/runtime-runc/moby
}

# pod NAMESPACE POD CONTAINER PID ID: one of a pod's, by containerd's annotations.
pod() {
    task=/run/containerd/io.containerd.runtime.v2.task/k8s.io/$5
    mkdir -p $task
    prefix=io.kubernetes.cri
    echo "{\"annotations\":{\"$prefix.sandbox-namespace\":\"$1\",\"$prefix.sandbox-name\":\"$2\",
        \"$prefix.container-type\":\"container\",\"$prefix.container-name\":\"$3\"}}" >$task/config.json
    state "$5" "$4" /run/containerd/runc/k8s.io
}

# stopped_at CALL[:N] COMMAND...: starts it; when it has made its first or Nth such call it stops, as
# $stopped, until go_on, which returns its status.
stopped_at() {
    case $1 in *:*) nth=${1#*:} ;; *) nth=1 ;; esac
    call=${1%:*}; shift
    strace -o /run/trace -e trace=$call -e inject=$call:signal=STOP:when=$nth "$@" &
    tracer=$!
    until grep -qs '^--- stopped by SIGSTOP' /run/trace; do sleep 0.01; done
    stopped=$(pgrep -P $tracer)
}
go_on() { kill -CONT $stopped; wait $tracer; }

# Whether jq finds $2 to be true of the file $1.
holds() {
    jq -e "$2" "$1" >/dev/null || { echo "not so: $2" >&2; cat "$1" >&2; exit 1; }
}
"#;

/// Runs a script there; None, and the test is skipped, where that cannot be done.
#[track_caller]
pub fn script(text: &str) -> Option<Output> {
    script_with(text, binary())
}

/// As [`script`], with this as `$1`.
#[track_caller]
pub fn script_with(text: &str, binary: impl AsRef<OsStr>) -> Option<Output> {
    if lacks(&["unshare", "nsenter", "ip", "jq", "python3", "setpriv", "lsns", "pgrep"]) {
        return None;
    }
    let mut command = Command::new("unshare");
    command.args([
        "--mount",
        "--pid",
        "--net",
        "--fork",
        "--kill-child",
        "--mount-proc",
        "--propagation",
        "private",
    ]);
    command.args(["sh", "-c", &format!("{ALONE}{PRELUDE}{text}"), "sh"]).arg(binary);
    Some(finish(command))
}
