//! Never the wrong namespace: state files, names and cgroups that lie, are stale, torn or somebody
//! else's.

#![forbid(unsafe_code)]

use crate::faults::calls;
use crate::machine::script;
use crate::util::{
    Cgroup, Held, Scratch, Sleeper, USER, apart, ask, binary, busybox_root, children,
    command_refuses, enters, finish, inode_in, is_elsewhere, lacks, ns_of, own_ns, refuses, run,
    runc_state, skip, small_build, start_time, unique, until,
};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::process::Command;
use std::thread;

fn state_of(scratch: &Scratch, sleeper: &Sleeper) -> String {
    scratch.write("state.json", runc_state("x", sleeper.pid, sleeper.start_time()))
}

#[test]
fn right_start_time_enters() {
    if lacks(&["unshare"]) {
        return;
    }
    let (scratch, sleeper) = (Scratch::new("right"), Sleeper::start());
    enters(&["--state", &state_of(&scratch, &sleeper)], &sleeper.ns());
    enters(&["-s", &state_of(&scratch, &sleeper)], &sleeper.ns());
    // Old runc wrote the number as a string.
    let text =
        runc_state("x", sleeper.pid, 7).replace(":7,", &format!(":\"{}\",", sleeper.start_time()));
    enters(&["--state", &scratch.write("state.json", text)], &sleeper.ns());
    let status =
        format!("{{\"pid\": {}, \"process-start-time\": {}}}", sleeper.pid, sleeper.start_time());
    enters(&["--state", &scratch.write("status", status)], &sleeper.ns());
}

#[test]
fn other_start_time_is_a_reused_pid() {
    if lacks(&["unshare"]) {
        return;
    }
    let (scratch, sleeper) = (Scratch::new("start"), Sleeper::start());
    let (wrong, found) = (sleeper.start_time() - 1, sleeper.start_time());
    let path = scratch.write("state.json", runc_state("x", sleeper.pid, wrong));
    let words = ["reused", &wrong.to_string(), &found.to_string(), &sleeper.pid.to_string()];
    refuses(&["--state", &path], &words);
    let status = format!("{{\"pid\": {}, \"process-start-time\": {wrong}}}", sleeper.pid);
    refuses(&["--state", &scratch.write("status", status)], &words);
}

#[test]
fn no_second_factor_is_refused() {
    if lacks(&["unshare"]) {
        return;
    }
    let (scratch, sleeper) = (Scratch::new("bare"), Sleeper::start());
    // crun before 2020 recorded no start time; youki never does. Neither is in a cgroup of its name
    // here.
    let status = format!("{{\"pid\": {}}}", sleeper.pid);
    refuses(&["--state", &scratch.write("c1/status", status)], &["--pid"]);
    let youki = format!(
        "{{\"ociVersion\":\"1.0\",\"id\":\"c1\",\"status\":\"running\",\"pid\":{}}}",
        sleeper.pid
    );
    refuses(&["--state", &scratch.write("c1/state.json", youki)], &["--pid"]);
}

#[test]
fn pid_reused_for_real() {
    if lacks(&["unshare"]) {
        return;
    }
    let scratch = Scratch::new("reuse");
    let script = r#"
        unshare -n sleep 3600 & pid=$!
        while [ "$(readlink /proc/$pid/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do :; done
        read -r line < /proc/$pid/stat; set -- ${line##*) }; shift 19
        printf '{"id":"x","init_process_pid":%s,"init_process_start":%s}' $pid $1 > "$DIR/state.json"
        "$BIN" --state "$DIR/state.json" -- true || exit 20
        kill -9 $pid; wait $pid
        # Clock ticks go by before the pid has another start time.
        until read -r up idle </proc/uptime; [ $(echo $up | tr -d .) -gt $(($1 + 1)) ]; do :; done
        echo $((pid - 1)) > /proc/sys/kernel/ns_last_pid
        sleep 3600 & new=$!
        [ $new = $pid ] || exit 21
        "$BIN" --state "$DIR/state.json" -- touch "$DIR/ran"
        status=$?
        kill -9 $new
        exit $status
    "#;
    let mut command = Command::new("unshare");
    command
        .args(["-pf", "--mount-proc", "sh", "-c", script])
        .env("BIN", binary())
        .env("DIR", scratch.dir());
    finish(&mut command).exits(125).says(&["reused"]);
    assert!(!scratch.dir().join("ran").exists());
}

#[test]
fn dead_processes() {
    if lacks(&["unshare"]) {
        return;
    }
    let (scratch, mut sleeper) = (Scratch::new("dead"), Sleeper::start());
    let path = state_of(&scratch, &sleeper);
    sleeper.kill();
    refuses(&["--state", &path], &["not running"]);
    refuses(&["--pid", &sleeper.pid.to_string()], &["exited"]);
    sleeper.reap();
    refuses(&["--state", &path], &["not running"]);
    refuses(&["--pid", &sleeper.pid.to_string()], &["no process"]);
}

/// The process ends after the first system call of the run, then after the second and so on.
#[test]
fn death_between_lookup_and_entry() {
    if lacks(&["strace", "busybox", "unshare"]) {
        return;
    }
    let scratch = Scratch::new("race");
    let log = scratch.path("log");
    let enter = |path: &str, options: &[&str]| {
        let mut command = Command::new("strace");
        command.args(["-f", "-qq", "-o", &log]).args(options).arg(binary());
        command.args(["--state", path, "--", "busybox", "readlink", "/proc/self/ns/net"]);
        command
    };
    let sleeper = Sleeper::start();
    finish(enter(&state_of(&scratch, &sleeper), &[])).succeeds().prints(&sleeper.ns());
    let calls = calls(&fs::read_to_string(&log).expect("a log"));
    let (mut refused, mut entered) = (0, 0);
    // But for the call that started it, and the one that makes it COMMAND.
    for call in &calls[1..calls.len() - 1] {
        let mut sleeper = Sleeper::start();
        let (path, ns) = (state_of(&scratch, &sleeper), sleeper.ns());
        fs::write(&log, "").expect("a log");
        let stop = format!("inject={}:signal=STOP:when={}", call.name, call.nth);
        let command = enter(&path, &["-e", &stop]);
        let run = thread::spawn(move || finish(command));
        let mut stopped = None;
        until("a stop", || {
            let lines = fs::read_to_string(&log).expect("a log");
            let line = lines.lines().find(|line| line.contains("--- stopped by SIGSTOP"));
            let pid = line.and_then(|line| line.split(' ').next()?.parse().ok());
            stopped = pid.and_then(Pid::from_raw);
            stopped.is_some() || run.is_finished()
        });
        sleeper.reap();
        kill_process(stopped.expect("a stop"), Signal::CONT).expect("a signal");
        let output = run.join().expect("a run");
        if output.status.code() == Some(125) {
            output.prints("");
            refused += 1;
        } else {
            // It was held already: a namespace lives as long as somebody holds it.
            output.succeeds().prints(&ns);
            entered += 1;
        }
    }
    assert!(refused > 0 && entered > 0, "{refused} refused, {entered} entered");
}

#[test]
fn pids_that_are_none() {
    if lacks(&["unshare"]) {
        return;
    }
    let scratch = Scratch::new("nopid");
    for pid in [
        "0",
        "-1",
        "4194305",
        "99999999999999999999",
        "1.5",
        "1e3",
        "null",
        "\"12x\"",
        "[1]",
        "true",
    ] {
        let text = format!("{{\"id\":\"x\",\"init_process_pid\":{pid},\"init_process_start\":1}}");
        refuses(&["--state", &scratch.write("state.json", text)], &[]);
        let text = format!("{{\"pid\": {pid}, \"process-start-time\": 1}}");
        refuses(&["--state", &scratch.write("status", text)], &[]);
    }
}

#[test]
fn forged_keys_do_not_count() {
    if lacks(&["unshare"]) {
        return;
    }
    let (scratch, real, victim) = (Scratch::new("forged"), Sleeper::start(), Sleeper::start());
    let forged = format!(
        "{{\"init_process_pid\":{0},\"init_process_start\":{1},\"Name\":\"/x\",\"pid\":{0},\"State\":{{\"Pid\":{0}}}}}",
        victim.pid,
        victim.start_time()
    );
    let text = format!(
        "{{\"config\":{{\"labels\":[\"init_process_pid={0}\",\"\\\"init_process_pid\\\":{0}\",{forged}],\
         \"annotations\":{forged},\"env\":[{forged}],\"Hooks\":{{\"prestart\":[{{\"env\":[{forged}]}}]}}}},\
         \"\\u0069nit_process_pid \":{0},\"Init_Process_Pid\":{0},\"pid\":{0},\"x\":{forged},{1}",
        victim.pid,
        &runc_state("x", real.pid, real.start_time())[1..].replace("\"config\":", "\"config2\":")
    );
    enters(&["--state", &scratch.write("state.json", text)], &real.ns());
}

#[test]
fn broken_state_files() {
    if lacks(&["mkfifo", "unshare"]) {
        return;
    }
    let (scratch, sleeper) = (Scratch::new("broken"), Sleeper::start());
    let good = runc_state("x", sleeper.pid, sleeper.start_time());
    let head = format!(
        "{{\"init_process_pid\":{},\"init_process_start\":{}",
        sleeper.pid,
        sleeper.start_time()
    );
    enters(&["--state", &scratch.write("state.json", format!("{head}}}"))], &sleeper.ns());
    let deep = format!("{head},\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let cases = [
        ("twice", format!("{head},\"init_process_pid\":{}}}", sleeper.pid)),
        ("twice-start", format!("{head},\"init_process_start\":1}}")),
        ("twice-escaped", format!("{head},\"init_process_pi\\u0064\":1}}")),
        ("truncated", good[..good.len() - 2].to_owned()),
        ("half", head.clone()),
        ("empty", String::new()),
        ("trailing", format!("{good} {{}}")),
        ("deep", deep),
        ("array", format!("[{good}]")),
        ("number", "17".to_owned()),
    ];
    for (name, text) in cases {
        refuses(&["--state", &scratch.write(&format!("{name}/state.json"), text)], &[]);
    }
    let sparse = scratch.write("sparse", &good);
    fs::File::options()
        .write(true)
        .open(&sparse)
        .and_then(|f| f.set_len(1 << 30))
        .expect("a sparse file");
    refuses(&["--state", &sparse], &["sparse"]);
    let fifo = scratch.path("fifo");
    ask(&["mkfifo", &fifo]).expect("a fifo");
    refuses(&["--state", &fifo], &["fifo"]);
    let link = scratch.link("link", &state_of(&scratch, &sleeper));
    refuses(&["--state", &link], &["link"]);
    refuses(&["--state", &scratch.path("absent")], &["absent"]);
    refuses(&["--state", scratch.dir().to_str().expect("a plain path")], &["directory"]);
    refuses(&["--state", "/dev/null"], &["/dev/null"]);
}

#[test]
fn a_users_state_file() {
    if lacks(&["setpriv", "unshare"]) {
        return;
    }
    let (scratch, roots) = (Scratch::new("users"), Sleeper::start());
    let path = state_of(&scratch, &roots);
    for uid in [USER, 65534] {
        chown(&path, Some(uid), None).expect("chown");
        refuses(&["--state", &path], &[]);
    }
    // What is that user's own counts.
    let own = Sleeper::of_user();
    let path = scratch.write("own/state.json", runc_state("x", own.pid, own.start_time()));
    chown(&path, Some(USER), None).expect("chown");
    let notes = enters(&["--state", &path], &own.ns());
    assert!(notes.contains("note"), "{notes}");
    chown(&path, Some(USER - 1), None).expect("chown");
    refuses(&["--state", &path], &[]);
}

/// An empty /run of our own, with a /run/netns.
const EMPTY_RUN: &str = "mount -t tmpfs none /run && mkdir /run/netns";

#[test]
fn strange_entries_of_run_netns() {
    if lacks(&["mount", "unshare"]) {
        return;
    }
    apart(EMPTY_RUN, || {
        fs::write("/run/netns/stray", "").expect("a file");
        let said = "is an empty file: its mount is in another mount namespace, or gone";
        refuses(&["--netns", "stray"], &["/run/netns/stray", said]);
        refuses(&["stray"], &["stray"]);
        fs::create_dir("/run/netns/dir").expect("a directory");
        refuses(&["--netns", "dir"], &["dir", "not a namespace but", "directory"]);
        symlink("/proc/4194305/ns/net", "/run/netns/dangling").expect("a link");
        refuses(&["--netns", "dangling"], &["dangling"]);
        fs::write("/run/netns/uts", "").expect("a file");
        ask(&["mount", "--bind", "/proc/self/ns/uts", "/run/netns/uts"]).expect("a mount");
        refuses(&["--netns", "uts"], &["uts", "uts namespace, not a network namespace"]);
        refuses(&["--netns", "absent"], &["absent"]);
        for name in ["", ".", "..", "../netns", "a/b"] {
            refuses(&["--netns", name], &[]);
        }
    });
}

#[test]
fn a_mount_namespace_in_run_netns() {
    if lacks(&["mount", "unshare", "taskset"]) {
        return;
    }
    let scratch = Scratch::new("mnt");
    let script = r#"
        mount -t tmpfs none /run && mkdir /run/netns && : >/run/netns/mnt || exit 21
        # Only a namespace with a higher number than ours can be bound. Each processor hands out numbers
        # of its own, so we stay on one.
        for try in $(seq 200); do
            unshare -m sleep 3600 & pid=$!
            while [ "$(cat /proc/$pid/comm)" != sleep ]; do :; done
            mount --bind /proc/$pid/ns/mnt /run/netns/mnt 2>/dev/null && break
            kill $pid; pid=
        done
        [ "$pid" ] || exit 20
        "$BIN" --netns mnt -- touch "$DIR/ran"; status=$?
        kill $pid; exit $status
    "#;
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mut lines = status.lines();
    let allowed =
        lines.find_map(|line| line.strip_prefix("Cpus_allowed_list:")).expect("processors");
    let processor = allowed.trim().split([',', '-']).next().unwrap();
    let mut command = Command::new("taskset");
    command.args([
        "-c",
        processor,
        "unshare",
        "-m",
        "--propagation",
        "private",
        "sh",
        "-c",
        script,
    ]);
    let output = finish(command.env("BIN", binary()).env("DIR", scratch.dir()));
    output.exits(125).says(&["mnt namespace, not a network namespace"]);
    assert!(!scratch.dir().join("ran").exists());
}

#[test]
fn a_pin_by_name() {
    if lacks(&["ip", "unshare"]) {
        return;
    }
    apart(EMPTY_RUN, || {
        let (name, path) = ("some-pin", "/run/netns/some-pin");
        let ns = made_by_ip(name);
        assert_ne!(ns, own_ns());
        enters(&["--netns", name], &ns);
        enters(&["-n", name], &ns);
        enters(&[name], &ns);
        enters(&["--file", path], &ns);
        enters(&[path], &ns);
        let inode = fs::metadata(path).expect("the pin").ino().to_string();
        enters(&["--inode", &inode], &ns);
        enters(&["-i", &ns], &ns);
        // One letter too many is a typing error, not somebody else's name.
        refuses(&["some-pinx"], &["did you mean", name]);
        refuses(&["--container", name], &[name]);
    });
}

/// Has `ip netns` make a namespace of this name; returns what readlink says of it.
fn made_by_ip(name: &str) -> String {
    ask(&["ip", "netns", "add", name]).expect("ip netns add");
    ask(&["ip", "netns", "exec", name, "readlink", "/proc/self/ns/net"]).expect("ip netns exec")
}

#[test]
fn namespace_files_of_other_kinds() {
    if lacks(&["unshare"]) {
        return;
    }
    refuses(&["--file", "/proc/self/ns/uts"], &["uts namespace, not a network namespace"]);
    refuses(&["--file", "/proc/self/ns/mnt"], &["mnt namespace, not a network namespace"]);
    refuses(&["--file", "/proc/self/ns/ipc"], &["an ipc namespace"]);
    refuses(&["--file", "/proc/self/stat"], &["not a namespace but a regular file"]);
    refuses(&["--file", "/dev/null"], &["not a namespace but"]);
    refuses(&["--file", "/"], &["not a namespace but a directory"]);
    refuses(&["--file", "/nonexistent/x"], &["/nonexistent/x"]);
    let sleeper = Sleeper::start();
    enters(&["--file", &format!("/proc/{}/ns/net", sleeper.pid)], &sleeper.ns());
}

#[test]
fn inodes() {
    if lacks(&["unshare"]) {
        return;
    }
    let mut sleeper = Sleeper::start();
    let ns = sleeper.ns();
    let number = inode_in(&ns).expect("an inode").to_string();
    enters(&["--inode", &number], &ns);
    enters(&["--inode", &ns], &ns);
    sleeper.reap();
    refuses(&["--inode", "1"], &["1"]);
    refuses(&["--inode", "uts:[4026531838]"], &[]);
    refuses(&["--inode", "x"], &[]);
}

#[test]
fn cgroups_made_by_hand() {
    if lacks(&["unshare"]) {
        return;
    }
    let name = unique("cg");
    let Some(cgroup) = Cgroup::new(&name) else {
        skip("no cgroup hierarchy can be written");
        return;
    };
    refuses(&["--cgroup", cgroup.path()], &[&name]);
    let first = Sleeper::start();
    cgroup.add(first.pid);
    enters(&["--cgroup", cgroup.path()], &first.ns());
    enters(&["-g", &format!("/{name}")], &first.ns());
    let inside = cgroup.0.join("inside");
    fs::create_dir(&inside).expect("a cgroup");
    let inside = Cgroup(inside);
    let second = Sleeper::start();
    inside.add(second.pid);
    enters(&["--cgroup", inside.path()], &second.ns());
    let inodes = [first.inode(), second.inode()].map(|inode| inode.to_string());
    refuses(&["--cgroup", cgroup.path()], &[&inodes[0], &inodes[1]]);
    drop((first, second));
    until("an empty cgroup", || {
        fs::read_to_string(cgroup.0.join("cgroup.procs")).is_ok_and(|t| t.is_empty())
    });
    refuses(&["--cgroup", cgroup.path()], &[&name]);
    refuses(&["--cgroup", &format!("/{name}-absent")], &["absent"]);
}

/// A cgroup's processes are numbered for whoever reads them. Where /proc is of another pid
/// namespace, those numbers are others' there.
#[test]
fn a_cgroup_read_in_another_pid_namespace() {
    if lacks(&["unshare"]) {
        return;
    }
    let Some(cgroup) = Cgroup::new(&unique("cg")) else {
        return skip("no cgroup hierarchy can be written");
    };
    if !std::path::Path::new("/proc/sys/kernel/ns_last_pid").exists() {
        return skip("this kernel lets nobody choose a pid");
    }
    let victim = Sleeper::start();
    // A process there with the victim's number, which is in the host's namespace.
    let script = "pid=$1 procs=$2/cgroup.procs; shift 2
        echo $((pid - 1)) >/proc/sys/kernel/ns_last_pid; sleep 3600 >/dev/null 2>&1 &
        [ $! = $pid ] && echo $pid >\"$procs\" || exit 9
        \"$@\"";
    let mut command = Command::new("unshare");
    command.args([
        "--pid",
        "--fork",
        "--kill-child",
        "sh",
        "-c",
        script,
        "sh",
        &victim.word(),
        cgroup.path(),
    ]);
    command.arg(binary()).args(["--cgroup", cgroup.path()]);
    command_refuses(command, &["/proc is of another pid namespace", "--pid=host"]);
}

/// Whoever owns a directory chooses what the ones in it are called and hold: that is named by its
/// path alone, and is no unit of root's.
#[test]
fn a_delegated_cgroup() {
    if lacks(&["setpriv", "unshare"]) {
        return;
    }
    let Some(cgroup) = Cgroup::new(&format!("{}.slice", unique("delegated"))) else {
        skip("no cgroup hierarchy can be written");
        return;
    };
    let unit = format!("{}.service", unique("unit"));
    let inside = cgroup.0.join(&unit);
    fs::create_dir(&inside).expect("a cgroup");
    let inside = Cgroup(inside);
    let roots = Sleeper::start();
    inside.add(roots.pid);
    for word in [inside.path(), &unit] {
        enters(&["--cgroup", word], &roots.ns());
    }
    enters(&[&unit], &roots.ns());
    for file in [cgroup.0.clone(), cgroup.0.join("cgroup.procs")] {
        chown(file, Some(USER), None).expect("chown");
    }
    for args in [&["--cgroup", &unit][..], &[&unit]] {
        refuses(args, &["no ", &unit]);
    }
    // What is so named is what it is: the processes in it.
    enters(&["--cgroup", inside.path()], &roots.ns());
    drop(roots);
    let own = Sleeper::of_user();
    inside.add(own.pid);
    enters(&["--cgroup", inside.path()], &own.ns());
    refuses(&["--cgroup", &unit], &["no cgroup", &unit]);
    // That of the name that is root's is meant, wherever the user's are.
    let Some(roots) = Cgroup::new(&format!("{}.slice/{unit}", unique("deeper"))) else { return };
    let sleeper = Sleeper::start();
    roots.add(sleeper.pid);
    enters(&["--cgroup", &unit], &sleeper.ns());
    enters(&[&unit], &sleeper.ns());
    // A unit belongs to root where it is, however it is called: not one that is itself a user's.
    for file in [roots.0.clone(), roots.0.join("cgroup.procs")] {
        chown(file, Some(USER), None).expect("chown");
    }
    refuses(&["--cgroup", &unit], &["no cgroup", &unit]);
}

#[test]
fn an_lxc_container_with_a_number_is_its_own() {
    if lacks(&["unshare"]) {
        return;
    }
    let name = unique("lxc");
    let Some(cgroup) = Cgroup::new(&format!("lxc.payload.{name}-1")) else {
        skip("no cgroup hierarchy can be written");
        return;
    };
    apart("mount -t tmpfs none /var/lib", move || {
        for kept in [name.clone(), format!("{name}-1")] {
            fs::create_dir_all(format!("/var/lib/lxc/{kept}")).expect("a directory");
        }
        let sleeper = Sleeper::of_lxc_start(&format!("{name}-1"));
        cgroup.add(sleeper.pid);
        // It may as well be the second try at the other's, and no monitor tells.
        for word in [format!("lxc:{name}-1"), format!("lxc:{name}")] {
            refuses(&["--container", &word], &["nothing proves whose the cgroup is"]);
        }
        // Where there is no other one it is nobody else's.
        fs::remove_dir(format!("/var/lib/lxc/{name}")).expect("a directory");
        enters(&["--container", &format!("lxc:{name}-1")], &sleeper.ns());
    });
}

/// Directories of LXC's for containers of these names; gone after the test, as are their cgroups.
struct Known([String; 2]);

impl Known {
    fn new(names: [String; 2]) -> Known {
        for name in &names {
            fs::create_dir_all(format!("/var/lib/lxc/{name}")).expect("a directory");
        }
        Known(names)
    }
}

impl Drop for Known {
    fn drop(&mut self) {
        for name in &self.0 {
            let _ = fs::remove_dir(format!("/var/lib/lxc/{name}"));
        }
        let groups = format!("*/lxc.*.{}*", self.0[0]);
        let find = ["/sys/fs/cgroup", "-depth", "-type", "d", "-path", &groups];
        let _ = Command::new("find").args(find).args(["-exec", "rmdir", "{}", "+"]).output();
    }
}

/// LXC in the foreground, whose cgroup has the name of a stopped one: the monitor's command socket
/// tells whose it is, also where it is of another path.
#[test]
fn lxc_in_the_foreground_is_told_by_its_socket() {
    if lacks(&["lxc-start", "lxc-wait", "lxc-info", "lxc-stop"]) {
        return;
    }
    let scratch = Scratch::new("lxc");
    let Ok(root) = busybox_root(&scratch) else { return skip("no busybox") };
    let name = unique("lxc");
    let other = scratch.path("other");
    fs::create_dir(&other).expect("a directory");
    let config = scratch.write(
        "config",
        format!(
            "lxc.rootfs.path = dir:{root}\nlxc.net.0.type = empty\n\
             lxc.init.cmd = /bin/sleep 3600\n"
        ),
    );
    let homes = ["/var/lib/lxc", &other];
    let _known = Known::new([name.clone(), format!("{name}-1")]);
    for home in homes {
        let Some(left_over) = Cgroup::new(&format!("lxc.payload.{name}")) else {
            skip("no cgroup hierarchy can be written");
            break;
        };
        let mut command = Command::new("lxc-start");
        command.args(["-F", "-P", home, "-n", &name, "-f", &config]);
        let monitor = Held::start(command);
        ask(&["lxc-wait", "-P", home, "-n", &name, "-s", "RUNNING", "-t", "20"]).expect("up");
        let pid = ask(&["lxc-info", "-P", home, "-n", &name, "-p", "-H"]).expect("a pid");
        let ns = ns_of(pid.trim().parse().expect("a pid"));
        refuses(&["-c", &format!("lxc:{name}-1")], &["is not running"]);
        enters(&["-c", &format!("lxc:{name}")], &ns);
        enters(&["-c", &name], &ns);
        ask(&["lxc-stop", "-k", "-P", home, "-n", &name]).expect("down");
        drop((monitor, left_over));
        refuses(&["-c", &format!("lxc:{name}")], &["is not running"]);
    }
}

/// A container of LXC's by its files, which record no process, with the cgroup that it has.
fn of_lxc(name: &str) -> Option<(String, Cgroup)> {
    let cgroup = Cgroup::new(&format!("lxc.payload.{name}"))?;
    fs::create_dir_all(format!("/var/lib/lxc/{name}")).expect("a directory");
    Some((format!("lxc:{name}"), cgroup))
}

/// Where nothing records a container's process, its cgroup has to prove it.
#[test]
fn what_a_cgroup_proves() {
    if lacks(&["unshare", "nsenter"]) {
        return;
    }
    apart("mount -t tmpfs none /var/lib", || {
        let Some((word, cgroup)) = of_lxc(&unique("lxc")) else {
            return skip("no cgroup hierarchy can be written");
        };
        let name = word.strip_prefix("lxc:").expect("a name");
        let has = |text: &str| {
            until("its processes alone", || {
                let procs = fs::read_to_string(cgroup.0.join("cgroup.procs")).unwrap();
                procs.trim() == text
            });
        };
        refuses(&[&word], &["is not running"]);
        // No first process of a pid namespace.
        let plain = Sleeper::start();
        cgroup.add(plain.pid);
        let remedy = format!("if process {} is the container: --pid {0}", plain.pid);
        refuses(&[&word], &["none in its cgroup is the first of a pid namespace", &remedy]);
        drop(plain);
        has("");
        // Whose parent does not name it.
        for (stranger, said) in [
            (Sleeper::first(), "is no runtime that names the container"),
            (Sleeper::of_monitor("another"), "is not running"),
            (Sleeper::of_shim(name), "is no runtime that names the container"),
        ] {
            cgroup.add(stranger.pid);
            refuses(&[&word], &[said]);
            drop(stranger);
            has("");
        }
        let first = Sleeper::of_lxc_start(name);
        cgroup.add(first.pid);
        enters(&[&word], &first.ns());
        drop(first);
        has("");
        let first = Sleeper::of_monitor(name);
        cgroup.add(first.pid);
        enters(&[&word], &first.ns());
        // One that came from outside, and is not kept.
        let stranger = Sleeper::first();
        cgroup.add(stranger.pid);
        enters(&[&word], &first.ns());
        drop(stranger);
        has(&first.word());
        // Another one that is.
        let second = Sleeper::of_monitor(name);
        cgroup.add(second.pid);
        refuses(&[&word], &["both", &first.word(), &second.word()]);
        drop(second);
        has(&first.word());
        enters(&[&word], &first.ns());
        // What is outside of its pid namespace; what is below it does not matter.
        let outside = Sleeper::start();
        cgroup.add(outside.pid);
        enters(&[&word], &first.ns());
        drop(outside);
        has(&first.word());
        let path = format!("{}/cgroup.procs", cgroup.path());
        let script = "echo $$ >\"$0\"; exec unshare -pfn --kill-child sleep 3600";
        let mut command = Command::new("nsenter");
        // The parent of what is nested is in the cgroup, and has come from outside itself.
        command.args(["-t", &first.word(), "-p", "sh", "-c", script, &path]);
        let nested = Held::start(command);
        until("a nested pid namespace", || {
            let inside = children(nested.pid()).into_iter().flat_map(children);
            inside.into_iter().any(|pid| is_elsewhere(pid) && ns_of(pid) != first.ns())
        });
        enters(&[&word], &first.ns());
    });
}

/// How many seconds ago something was that has this start time.
fn seconds_since(start: u64) -> u64 {
    let uptime = fs::read_to_string("/proc/uptime").expect("uptime");
    let seconds: u64 =
        uptime.split('.').next().and_then(|text| text.parse().ok()).expect("seconds");
    seconds.saturating_sub(start / 100)
}

/// Nobody is taken for a container who may still be at work on its namespaces: who is in the host's
/// network namespace or in that of the parent, or runs the parent's program.
/// A container restarts: the record that a lookup has read is removed before the lookup asks whether a
/// process in the host's namespace is to get another one.
#[test]
fn a_record_that_goes_while_it_is_looked_at() {
    let Some(output) = script(
        r#"
record() {
    start=$(cut -d' ' -f22 "/proc/$pid/stat")
    mkdir -p /run/runc/web /run/crun/web2
    echo "{\"id\":\"web\",\"init_process_pid\":$pid,\"init_process_start\":$start,\"config\":{\"namespaces\":[{\"type\":\"NEWNET\",\"path\":\"\"}]}}" >/run/runc/web/state.json
    echo "{\"pid\":$pid,\"process-start-time\":$start}" >/run/crun/web2/status
    echo '{"linux":{"namespaces":[{"type":"network"}]}}' >/run/crun/web2/config.json
}
sleep 3600 &
pid=$!
for case in web:/run/runc/web web2:/run/crun/web2; do
    word=${case%%:*} directory=${case#*:}
    record
    status=0
    strace -qq -o /run/calls -e trace=openat,openat2 "$1" "$word" touch /run/ran 2>/run/said || status=$?
    [ $status = 125 ] && grep -q 'is starting' /run/said
    [ "$(grep -c "$word/" /run/calls)" -gt 1 ]
    # Stopped at each call in turn, from the first that opens the record.
    for call in openat openat2; do
        n=$(sed "/$word\//q" /run/calls | grep -c "^$call(" || :)
        [ $n -gt 0 ] || n=1
        while [ $n -le "$(grep -c "^$call(" /run/calls)" ]; do
            rm -f /run/trace
            record
            stopped_at $call:$n "$1" "$word" touch /run/ran 2>/run/said
            rm -r "$directory"
            status=0
            go_on || status=$?
            [ $status = 125 ] && [ ! -e /run/ran ] || { echo "at $call $n:" >&2; cat /run/said >&2; exit 1; }
            n=$((n + 1))
        done
    done
done
"#,
    ) else {
        return;
    };
    output.succeeds();
}

#[test]
fn who_may_still_be_starting_is_entered_by_nobody() {
    if lacks(&["unshare", "python3"]) {
        return;
    }
    const SAME: &str = "import ctypes, os, time
libc = ctypes.CDLL(None)
libc.prctl(1, 9)
assert libc.unshare(0x20000000) == 0
if os.fork() == 0:
    libc.prctl(1, 9)
    assert libc.unshare(0x40000000) == 0
time.sleep(3600)";
    const CASES: [(&[&str], &str); 3] = [
        (
            &["unshare", "-pf", "--kill-child", "sleep", "3600"],
            "is in the host's network namespace",
        ),
        (
            &["unshare", "-npf", "--kill-child", "sleep", "3600"],
            "is in the network namespace of its parent",
        ),
        (&["python3", "-c", SAME], "runs the program of its parent"),
    ];
    apart("mount -t tmpfs none /var/lib", move || {
        let mut started = Vec::new();
        for (command, reason) in CASES {
            let Some((word, cgroup)) = of_lxc(&unique("lxc")) else {
                return skip("no cgroup hierarchy can be written");
            };
            let held = Held::start(Command::new(command[0]).args(&command[1..]));
            let program = |pid: u32| fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            let is_there = |pid: &u32| match command[0] {
                "python3" => is_elsewhere(*pid),
                _ => program(*pid).ends_with("sleep"),
            };
            let mut child = None;
            until("a child", || {
                child = children(held.pid()).into_iter().find(is_there);
                child.is_some()
            });
            let child = child.expect("a child");
            cgroup.add(child);
            // On a busy machine it may be old by now.
            let is_young = || seconds_since(start_time(child)) < 10;
            let said = refuses(&[&word], &["lxc"]);
            assert!(said.contains("is starting") || !is_young(), "{said}");
            let list = run(&["--list"]);
            let note = format!("container {:?} (lxc) is starting", &word[4..]);
            assert!(list.succeeds().stderr.contains(&note) || !is_young(), "{}", list.dump());
            assert!(!list.stdout.contains(&word), "{}", list.dump());
            started.push((word, cgroup, held, child, reason));
        }
        // After ten seconds nothing is starting any more.
        for (word, _, _, child, reason) in &started {
            until("it is old enough", || {
                let output = run(&[word, "--", "true"]);
                !output.refuses(&[]).stderr.contains("is starting")
            });
            let said = refuses(&[word], &[reason, &child.to_string()]);
            let names_it = said.contains(&format!("--pid {child}"));
            // The one of the host's namespace is named in no remedy, nor is what may be a monitor.
            assert_eq!(names_it, reason.contains("program"), "{said}");
        }
    });
}

#[test]
fn names_that_nobody_has() {
    if lacks(&["unshare"]) {
        return;
    }
    let name = unique("nobody");
    refuses(&[&name], &["container", &name]);
    refuses(&["--container", &name], &["container", &name]);
    refuses(&["3456789"], &["3456789", "--pid 3456789"]);
    for name in ["..", "../../etc/passwd", "a/../b", "docker:", ":x", "docker:../x", "*", "x\ny"] {
        refuses(&["--container", name], &[]);
    }
    refuses(&[""], &[]);
    refuses(&["--container", ""], &[]);
}

#[test]
fn out_of_memory_or_files_while_looking_up() {
    // Another libc opens files before main.
    if lacks(&["ip", "strace", "busybox"]) || !small_build() {
        return;
    }
    apart(EMPTY_RUN, || {
        let ns = made_by_ip("blue");
        for errno in ["ENOMEM", "EMFILE"] {
            let calls = ["openat", "openat2", "getdents64"];
            let failed: usize = calls.map(|call| fail_each(call, errno, "blue", &ns)).iter().sum();
            // Were it none, nothing would have been injected.
            assert!(failed > 3, "only {failed} calls failed with {errno}");
        }
        for limit in 0..8 {
            let mut command = Command::new("sh");
            command.args(["-c", &format!("ulimit -n {limit}; exec \"$0\" \"$@\"")]).arg(binary());
            command.args(["blue", "--", "busybox", "readlink", "/proc/self/ns/net"]);
            let output = finish(command);
            let fine = !output.status.success() && output.stdout.is_empty();
            assert!(fine || output.stdout.trim() == ns, "limit {limit}: {}", output.dump());
        }
    });
}

/// Lets the first call, then the second and so on fail; returns how many failures ended the
/// look-up. None may lead elsewhere.
fn fail_each(syscall: &str, errno: &str, name: &str, ns: &str) -> usize {
    let (mut failed, mut passed) = (0, 0);
    for nth in 1.. {
        let mut command = Command::new("strace");
        let inject = format!("inject={syscall}:error={errno}:when={nth}");
        command.args(["-qq", "-o", "/dev/null", "-e", &inject]).arg(binary());
        command.args([name, "--", "busybox", "readlink", "/proc/self/ns/net"]);
        let output = finish(&mut command);
        if output.status.code() == Some(125) {
            output.prints("");
            (failed, passed) = (failed + 1, 0);
        } else {
            output.prints(ns);
            passed += 1;
        }
        // Past the last call of its kind nothing is injected any more.
        if passed == 4 {
            break;
        }
    }
    failed
}

/// nsenter's PID:INODE, where the inode is that of the pidfd, as `getino -p` prints it, or of the
/// namespace.
#[test]
fn a_pid_with_an_inode_is_entered_only_if_it_has_that() {
    if lacks(&["unshare", "python3"]) {
        return;
    }
    let (one, other) = (Sleeper::start(), Sleeper::start());
    let script = format!("import os; print(os.fstat(os.pidfd_open({})).st_ino)", one.pid);
    let pidfd: u64 = ask(&["python3", "-c", &script]).unwrap().parse().unwrap();
    let (pid, netns) = (one.pid, one.inode());
    for option in ["--pid", "-t"] {
        enters(&[option, &format!("{pid}:{netns}")], &one.ns());
        refuses(
            &[option, &format!("{pid}:{}", other.inode())],
            &[&format!("process {pid} is not {pid}:{}", other.inode()), &netns.to_string()],
        );
        refuses(&[option, &format!("{}:{netns}", other.pid)], &["is not"]);
    }
    // Before Linux 6.9 all pidfds have one inode, which means nothing.
    let theirs = script.replace(&one.word(), &other.word());
    match ask(&["python3", "-c", &theirs]).unwrap() == pidfd.to_string() {
        false => _ = enters(&["-p", &format!("{pid}:{pidfd}")], &one.ns()),
        true => _ = refuses(&["-p", &format!("{pid}:{pidfd}")], &["Linux 6.9"]),
    }
    refuses(&["-p", &format!("{}:{pidfd}", other.pid)], &["is not"]);
    for word in [":1", "1:", "x:1", "1:x", "1:2:3", "0:1"] {
        refuses(&["-p", word], &["invalid pid", word]);
    }
    refuses(&["-p", &format!("4194304:{netns}")], &["no process 4194304"]);
    refuses(&[&format!("{pid}:{netns}")], &[&format!("--pid {pid}:{netns}")]);
}
