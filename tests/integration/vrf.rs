//! A caller in a VRF: COMMAND in another namespace is not bound to a device of the caller's. The
//! cgroup alone, as `ip vrf exec` calls it, stands for the VRF: not every kernel has that device.

#![forbid(unsafe_code)]

use crate::util::{
    Cgroup, Output, Scratch, Sleeper, USER, as_user, finish, lacks, sh, skip, unique,
};
use std::fs;
use std::path::Path;
use std::process::Command;

/// A cgroup of version 2 for a test, with vrf/red below it.
struct Vrf {
    /// Its path in /proc/PID/cgroup.
    path: String,
    group: Cgroup,
}

impl Vrf {
    fn new() -> Option<Vrf> {
        let tops = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(Path::new);
        let top = tops.into_iter().find(|top| top.join("cgroup.controllers").exists());
        let path = format!("/{}", unique("vrf"));
        let group = top.map(|top| top.join(&path[1..]).join("vrf/red"));
        let made = group.filter(|group| fs::create_dir_all(group).is_ok());
        if made.is_none() {
            skip("no cgroup of version 2 can be made");
        }
        Some(Vrf { path, group: Cgroup(made?) })
    }

    /// Runs a shell script in the VRF; its first argument is netns-enter.
    fn run(&self, script: &str, args: &[&str]) -> Output {
        let enter = format!("echo $$ >{}/cgroup.procs; {script}", self.group.path());
        let binary = crate::util::binary();
        let args = [&[binary.to_str().unwrap()], args].concat();
        sh(&enter, &args)
    }
}

/// Prints the caller's cgroup of version 2.
const WHERE: &str = "sed -n s/^0::.//p /proc/self/cgroup";

fn lines(output: &Output) -> Vec<String> {
    output.succeeds().stdout.lines().map(str::to_owned).collect()
}

#[test]
fn it_is_left_for_another_namespace_and_only_then() {
    let Some(vrf) = Vrf::new().filter(|_| !lacks(&["unshare", "ip"])) else { return };
    let (other, vrfs) = (Sleeper::start(), format!("{}/vrf/red", &vrf.path[1..]));
    let script = format!(
        r#""$1" --pid $2 -- sh -c 'readlink /proc/self/ns/net; {WHERE}'; {WHERE}
        "$1" --pid $$ -- {WHERE}; "$1" --file /proc/self/ns/net -- {WHERE}
        "$1" -q --pid $2 --pin {0} && {WHERE}; "$1" -n {0} -- {WHERE}; "$1" --unpin {0}"#,
        unique("vrf")
    );
    let above = vrf.path[1..].to_owned();
    let output = vrf.run(&script, &[&other.word()]);
    assert_eq!(
        lines(&output),
        [other.ns(), above.clone(), vrfs.clone(), vrfs.clone(), vrfs.clone(), vrfs, above],
        "{}",
        output.dump()
    );
    // A name that merely has the letters is none.
    let plain = Cgroup(vrf.group.0.with_file_name("../novrf/vrf"));
    fs::create_dir_all(&plain.0).unwrap();
    let script = format!("echo $$ >{}/cgroup.procs; \"$1\" --pid $2 -- {WHERE}", plain.path());
    let there = sh(&script, &[crate::util::binary().to_str().unwrap(), &other.word()]);
    assert!(lines(&there)[0].ends_with("/novrf/vrf"), "{}", there.dump());
}

#[test]
fn who_is_root_and_cannot_leave_it_runs_nothing() {
    let Some(vrf) = Vrf::new().filter(|_| !lacks(&["unshare"])) else { return };
    let (other, scratch) = (Sleeper::start(), Scratch::new("vrf"));
    let name = unique("vrf");
    // Hierarchies that cannot be written, or are not mounted at all.
    for hide in [
        "for at in $(awk '$9 == \"cgroup2\" || $8 == \"cgroup2\" { print $5 }' /proc/self/mountinfo); do mount -o remount,bind,ro $at; done",
        "mount -t tmpfs none /sys/fs/cgroup; umount -l /sys/fs/cgroup/unified 2>/dev/null; mount -t tmpfs none /sys",
    ] {
        let script =
            format!("exec unshare -m sh -c '{}; \"$@\"' sh \"$@\"", hide.replace('\'', "'\\''"));
        let _ = (&script, &name);
        let marker = scratch.path("ran");
        let output = vrf.run(&script, &["--pid", &other.word(), "--", "touch", &marker]);
        output.refuses(&["cannot leave VRF \"red\"", "ip vrf exec default"]);
        assert!(!Path::new(&marker).exists());
    }
}

#[test]
fn a_user_who_cannot_leave_it_is_told() {
    let Some(vrf) = Vrf::new().filter(|_| !lacks(&["unshare", "setpriv"])) else { return };
    let other = Sleeper::of_user();
    let scratch = Scratch::new("vrf");
    let copy = scratch.copy_of_binary();
    let mut command = Command::new("sh");
    command.args(["-c", "echo $$ >$0/cgroup.procs; exec \"$@\"", vrf.group.path()]);
    let user =
        as_user(USER, &[&copy, "--pid", &other.word(), "--", "readlink", "/proc/self/ns/net"]);
    command.arg(user.get_program()).args(user.get_args());
    let output = finish(command);
    output.succeeds().prints(&other.ns()).says(&["note: cannot leave VRF \"red\""]);
}
