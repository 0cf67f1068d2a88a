//! --wait: whatever can be named comes later and is entered then; what will not come, or is somebody
//! else's, is not waited for or not entered; and nothing is left of the looks.

#![forbid(unsafe_code)]

use crate::net::{interface, ipv4};
use crate::util::{
    Cgroup, Held, Scratch, Sleeper, USER, apart, as_user, ask, children, container_id,
    docker_config, enters, finish, lacks, ns_of, own_ns, program, refuses, run, runc_state, sh,
    skip, start_time, tool, unique, until,
};
use rustix::process::{Pid, Signal, kill_process};
use std::fs;
use std::os::unix::fs::lchown;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

/// A machine with nothing but pins and containers of the test's own, and a user.
const ROOM: &str = "
    for dir in /run /var/lib /var/log /home; do mount -t tmpfs -o mode=755 none $dir; done
    mkdir /run/etc && mount -t tmpfs -o mode=755 none /run/etc
    cp -a /etc/passwd /etc/group /run/etc/
    echo 'al:x:65533:65533::/home/al:/bin/sh' >>/run/etc/passwd
    mount --move /run/etc /etc && rmdir /run/etc
    mkdir -p /home/al /run/user/65533 /run/netns
    chown 65533:65533 /home/al /run/user/65533";

#[track_caller]
fn room(tools: &[&str], test: impl FnOnce() + Send + 'static) {
    if !lacks(&[&["unshare", "mount", "setpriv", "busybox"], tools].concat()) {
        apart(ROOM, test);
    }
}

/// A run of netns-enter that waits.
struct Waiting {
    held: Held,
    scratch: Scratch,
}

impl Waiting {
    /// Starts a command with a COMMAND that tells its namespace; it waits by the time this returns.
    #[track_caller]
    fn command(mut command: Command) -> Waiting {
        let scratch = Scratch::new("wait");
        command.args(["--", "busybox", "readlink", "/proc/self/ns/net"]);
        let script = "exec \"$@\" >\"$0/out\" 2>\"$0/err\"";
        // What runs in the background of a script ignores Ctrl-C, and so do the tests then.
        let mut shell = Command::new("env");
        shell.args(["--default-signal=INT", "sh", "-c", script, &scratch.path("")]);
        shell.arg(command.get_program());
        shell.args(command.get_args());
        let waiting = Waiting { held: Held::start(shell), scratch };
        until("it waits", || waiting.said().contains("waiting for"));
        waiting
    }

    #[track_caller]
    fn start(args: &[&str]) -> Waiting {
        let mut command = program();
        command.args(args);
        Waiting::command(command)
    }

    fn said(&self) -> String {
        fs::read_to_string(self.scratch.path("err")).unwrap_or_default()
    }

    /// Tells whether it still waits, and nothing ran.
    fn still_waits(&mut self) -> bool {
        let printed = fs::read_to_string(self.scratch.path("out")).unwrap();
        self.held.0.try_wait().unwrap().is_none() && printed.is_empty()
    }

    /// Waits for its end; returns how it ended and what it printed and said.
    fn end(mut self) -> (ExitStatus, String, String) {
        let mut status = None;
        until("its end", || {
            status = self.held.0.try_wait().unwrap();
            status.is_some()
        });
        let printed = fs::read_to_string(self.scratch.path("out")).unwrap();
        (status.unwrap(), printed.trim().to_owned(), self.said())
    }

    #[track_caller]
    fn enters(self, ns: &str) -> String {
        let (status, printed, said) = self.end();
        assert_eq!((status.code(), &*printed), (Some(0), ns), "{said}");
        said
    }

    /// Lets so many looks come, while something happens in the room's /run all the time.
    fn looks(&self, count: u64) {
        self.looks_while(count, &|| fs::write("/run/event", "").unwrap());
    }

    /// Lets so many looks come.
    fn looks_while(&self, count: u64, happens: &dyn Fn()) {
        // Each gives up the processor twice or more: to the child, and until the next.
        let enough = self.switches() + 3 * count;
        until("looks", || {
            happens();
            self.switches() >= enough
        });
    }

    /// Returns how often it has given up the processor.
    fn switches(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.held.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.and_then(|count| count.trim().parse().ok()).expect("a number")
    }
}

fn write(path: &str, text: impl AsRef<[u8]>) {
    fs::create_dir_all(Path::new(path).parent().unwrap()).expect("directories");
    fs::write(path, text).expect("a file");
}

/// Gives docker a container of this name, which does not run; returns its ID.
fn docker(name: &str) -> String {
    let id = container_id();
    write(&format!("/var/lib/docker/containers/{id}/config.v2.json"), docker_config(&id, name, 0));
    id
}

/// Lets runc have started docker's container, as it does: a file is renamed.
fn start(id: &str, sleeper: &Sleeper) {
    let state = format!("/run/docker/runtime-runc/moby/{id}/state.json");
    write(&format!("{state}.tmp"), runc_state(id, sleeper.pid, sleeper.start_time()));
    fs::rename(format!("{state}.tmp"), state).expect("a file");
}

#[test]
fn a_container_comes_later() {
    room(&[], || {
        // Neither name nor any directory is there; then no record.
        let waiting = Waiting::start(&["--wait", "web"]);
        let (id, sleeper) = (docker("web"), Sleeper::start());
        waiting.looks(3);
        start(&id, &sleeper);
        let said = waiting.enters(&sleeper.ns());
        assert_eq!(said, "netns-enter: waiting for container \"web\"\n");
        // Where it is there nothing is said.
        assert_eq!(enters(&["--wait=300", "web"], &sleeper.ns()), "");
        // By ID, and with a name that has not run for a while.
        let (id, sleeper) = (container_id(), Sleeper::start());
        let waiting = Waiting::start(&["-c", &id, "--wait=300"]);
        write(&format!("/run/runc/{id}/state.json"), runc_state(&id, sleeper.pid, 1));
        waiting.looks(3);
        let state = runc_state(&id, sleeper.pid, sleeper.start_time());
        write(&format!("/run/runc/{id}/state.json"), state);
        waiting.enters(&sleeper.ns());
        let (id, sleeper) = (docker("db"), Sleeper::start());
        let waiting = Waiting::start(&["docker:db", "--wait"]);
        waiting.looks(3);
        start(&id, &sleeper);
        waiting.enters(&sleeper.ns());
    });
}

/// podman writes names into one file, and crun says where the process is.
#[test]
fn a_container_of_podmans_comes_later() {
    room(&[], || {
        let store = "/var/lib/containers/storage/overlay-containers";
        write(&format!("{store}/containers.json"), "[]");
        let waiting = Waiting::start(&["--wait", "web"]);
        let (id, sleeper) = (container_id(), Sleeper::start());
        let list = format!("[{{\"id\":\"{id}\",\"names\":[\"web\"]}}]");
        write(&format!("{store}/new"), list);
        fs::rename(format!("{store}/new"), format!("{store}/containers.json")).expect("a list");
        let (pid, time) = (sleeper.pid, sleeper.start_time());
        let status = format!("{{\"pid\":{pid},\"process-start-time\":{time}}}");
        write(&format!("/run/crun/{id}/status"), status);
        waiting.enters(&sleeper.ns());
    });
}

#[test]
fn below_another_root_a_container_comes_later() {
    if lacks(&["unshare", "mount", "busybox"]) {
        return;
    }
    let (tree, sleeper, id) = (Scratch::new("tree"), Sleeper::start(), container_id());
    fs::create_dir(tree.path("proc")).expect("a directory");
    let script = "mount --rbind /proc \"$1/proc\" && shift && exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "--propagation", "private", "sh", "-c", script, "sh", &tree.path("")]);
    command.arg(crate::util::binary()).args(["--host-root", &tree.path(""), "--wait", "web"]);
    let waiting = Waiting::command(command);
    tree.write(
        &format!("var/lib/docker/containers/{id}/config.v2.json"),
        docker_config(&id, "web", 0),
    );
    let state = runc_state(&id, sleeper.pid, sleeper.start_time());
    tree.write(&format!("run/docker/runtime-runc/moby/{id}/state.json"), state);
    waiting.enters(&sleeper.ns());
}

#[test]
fn pins_and_files_come_later() {
    room(&["ip"], || {
        let waiting = [
            Waiting::start(&["--wait", "blue"]),
            Waiting::start(&["--wait", "-n", "blue"]),
            Waiting::start(&["--wait", "/run/netns/blue"]),
        ];
        // First there is an empty file.
        fs::write("/run/netns/blue", "").expect("a file");
        waiting.iter().for_each(|waiting| waiting.looks(3));
        let sleeper = Sleeper::start();
        let link = format!("/proc/{}/ns/net", sleeper.pid);
        ask(&["mount", "--bind", &link, "/run/netns/blue"]).expect("a mount");
        waiting.into_iter().for_each(|waiting| _ = waiting.enters(&sleeper.ns()));
        // The old recipe, to a process that ends.
        let (mut first, second) = (Sleeper::start(), Sleeper::start());
        let link = |sleeper: &Sleeper| {
            let _ = fs::remove_file("/run/netns/old");
            let target = format!("/proc/{}/ns/net", sleeper.pid);
            std::os::unix::fs::symlink(target, "/run/netns/old").expect("a link");
        };
        link(&first);
        first.reap();
        let waiting = Waiting::start(&["--wait", "-n", "old"]);
        waiting.looks(3);
        link(&second);
        waiting.enters(&second.ns());
        // A pin that is made by the one who waits.
        let waiting = Waiting::start(&["--wait", "made-by-ip", "--pin", "kept"]);
        ask(&["ip", "netns", "add", "made-by-ip"]).expect("a namespace");
        let (status, printed, said) = waiting.end();
        assert!(status.success(), "{said}");
        enters(&["-n", "kept"], &printed);
        enters(&["-n", "made-by-ip"], &printed);
    });
}

#[test]
fn a_cgroup_comes_later() {
    if lacks(&["unshare", "busybox"]) {
        return;
    }
    let Some(outer) = Cgroup::new(&unique("wait")) else {
        return skip("no cgroup hierarchy can be written");
    };
    let path = format!("{}/inner/unit", outer.path());
    let waiting = Waiting::start(&["--wait", "-g", &path]);
    let inner = Cgroup(Path::new(&path).to_owned());
    fs::create_dir_all(&inner.0).expect("a cgroup");
    let sleeper = Sleeper::start();
    inner.add(sleeper.pid);
    waiting.enters(&sleeper.ns());
}

#[test]
fn addresses_and_other_ends_come_later() {
    if lacks(&["ip", "unshare", "busybox"]) {
        return;
    }
    let (ip, near, sleeper) = (ipv4(), interface(), Sleeper::start());
    let by_address = Waiting::start(&["--wait", "-a", &ip]);
    let mut by_link = Waiting::start(&["--wait", "--veth", &near]);
    // Of both ends, in one namespace at first, none leads here.
    let far = interface();
    tool("ip", &["link", "add", &near, "type", "veth", "peer", "name", &far]).succeeds();
    by_link.looks_while(2, &|| {});
    assert!(by_link.still_waits(), "{}", by_link.said());
    tool("ip", &["link", "set", &far, "netns", &sleeper.word()]).succeeds();
    by_link.enters(&sleeper.ns());
    let inside = ["-t", &sleeper.word(), "-n", "ip", "addr", "add", &ip, "dev", &far];
    tool("nsenter", &inside).succeeds();
    by_address.enters(&sleeper.ns());
}

/// Any user can take any address.
#[test]
fn a_users_namespace_is_not_waited_for() {
    if lacks(&["ip", "unshare", "setpriv", "busybox"]) {
        return;
    }
    if !finish(as_user(USER, &["unshare", "-Urn", "true"])).status.success() {
        return skip("users may not make user namespaces here");
    }
    let (ip, theirs) = (ipv4(), Sleeper::of_user());
    tool("nsenter", &["-t", &theirs.word(), "-n", "ip", "addr", "add", &ip, "dev", "lo"])
        .succeeds();
    enters(&["-a", &ip], &theirs.ns());
    refuses(&["--wait=1", "-a", &ip], &["no network namespace has address"]);
    let ours = Sleeper::start();
    let waiting = Waiting::start(&["--wait", "-a", &ip]);
    tool("nsenter", &["-t", &ours.word(), "-n", "ip", "addr", "add", &ip, "dev", "lo"]).succeeds();
    waiting.enters(&ours.ns());
}

#[test]
fn in_the_end_the_last_reason_is_told() {
    room(&[], || {
        refuses(&["--wait=1", "nobody"], &["waiting for container", "no container or pin"]);
        let id = docker("web");
        refuses(
            &["--wait=1", "web"],
            &["waiting for", "container \"web\" (docker) is not running"],
        );
        // With what may have been meant.
        refuses(&["--wait=1", "wbe"], &["did you mean docker:web?"]);
        fs::write("/run/netns/stray", "").expect("a file");
        refuses(&["--wait=1", "-n", "stray"], &["is an empty file"]);
        refuses(&["-q", "--wait=1", "-c", &id], &["is not running"]);
        assert!(!run(&["-q", "--wait=1", "web", "true"]).stderr.contains("waiting"));
    });
}

#[test]
fn what_will_not_come_is_told_at_once() {
    room(&[], || {
        // Without a limit: that it ends shows it.
        write("/run/plain", "text");
        refuses(&["--wait", "-f", "/run/plain"], &["is not a namespace but a regular file"]);
        fs::write("/run/netns/text", "text").expect("a file");
        refuses(&["--wait", "-n", "text"], &["is not a namespace"]);
        refuses(&["--wait", "/sys/fs"], &["is not a namespace but a directory"]);
        refuses(&["--wait", "-g", "/run"], &["not of a cgroup hierarchy"]);
        refuses(&["--wait", "5", "web"], &["for seconds say --wait=5"]);
        refuses(&["--wait", "-p", "1"], &["--wait does not go with"]);
        // Ambiguous, and it stays so.
        let (one, two) = (Sleeper::start(), Sleeper::start());
        for sleeper in [&one, &two] {
            start(&docker("twin"), sleeper);
        }
        refuses(&["--wait", "twin"], &["is ambiguous"]);
        // A user who may not look.
        fs::create_dir("/run/closed").expect("a directory");
        sh("chmod 700 /run/closed", &[""; 0]).succeeds();
        let copy = Scratch::new("copy");
        let words = [&*copy.copy_of_binary(), "--wait", "-f", "/run/closed/x", "true"];
        finish(as_user(USER, &words)).refuses(&["/run/closed/x"]);
    });
}

/// What is ambiguous for a moment is waited for.
#[test]
fn doubt_may_pass() {
    room(&[], || {
        let (one, two) = (Sleeper::start(), Sleeper::start());
        let ids = [docker("twin"), docker("twin")];
        start(&ids[0], &one);
        start(&ids[1], &two);
        let waiting = Waiting::start(&["--wait", "twin"]);
        fs::remove_dir_all(format!("/run/docker/runtime-runc/moby/{}", ids[1])).expect("a record");
        waiting.enters(&one.ns());
    });
}

/// A user who sees root wait makes a container of the name.
#[test]
fn a_users_container_of_the_name_is_not_entered() {
    room(&[], || {
        if !finish(as_user(USER, &["unshare", "-Urn", "true"])).status.success() {
            return skip("users may not make user namespaces here");
        }
        let theirs = Sleeper::of_user();
        let mut waiting = Waiting::start(&["--wait", "web"]);
        let named = Waiting::start(&["--wait", "crun:web@al"]);
        let (pid, time) = (theirs.pid, theirs.start_time());
        let status = format!("{{\"pid\":{pid},\"process-start-time\":{time}}}");
        let path = format!("/run/user/{USER}/crun/web/status");
        write(&path, status);
        for path in Path::new(&path).ancestors().take(3) {
            lchown(path, Some(USER), Some(USER)).expect("chown");
        }
        waiting.looks(5);
        assert!(waiting.still_waits(), "{}", waiting.said());
        // Who names the user waits for that.
        named.enters(&theirs.ns());
        let ours = Sleeper::start();
        start(&docker("web"), &ours);
        waiting.enters(&ours.ns());
    });
}

/// While a container starts, its process is in the host's network namespace.
#[test]
fn a_start_never_leads_to_the_host() {
    room(&[], || {
        let host = Held::start(Command::new("sleep").arg("3600"));
        let (id, inside) = (docker("web"), Sleeper::start());
        assert_eq!(ns_of(host.pid()), own_ns());
        let state = format!("/run/docker/runtime-runc/moby/{id}/state.json");
        let starting = runc_state(&id, host.pid(), start_time(host.pid()));
        write(&state, starting);
        refuses(&["web"], &["is starting", "to wait for it: netns-enter --wait web"]);
        refuses(&["-c", "docker:web"], &["to wait for it: netns-enter --wait docker:web"]);
        let mut waiting = Waiting::start(&["--wait", "web"]);
        waiting.looks(5);
        assert!(waiting.still_waits(), "{}", waiting.said());
        // It restarts while it is looked for.
        for _ in 0..20 {
            fs::remove_file(&state).expect("a record");
            // As runtimes do: nobody sees a part of it.
            write(&format!("{state}.new"), runc_state(&id, host.pid(), start_time(host.pid())));
            fs::rename(format!("{state}.new"), &state).expect("a record");
        }
        assert!(waiting.still_waits(), "{}", waiting.said());
        start(&id, &inside);
        waiting.enters(&inside.ns());
    });
}

/// Ctrl-C ends it at once, also while a look is under way, and no process is left.
#[test]
fn an_interrupt_ends_it() {
    room(&[], || {
        docker("web");
        for word in ["nobody", "web"] {
            let waiting = Waiting::start(&["--wait", word]);
            let pid = waiting.held.pid();
            // A look that waits for the container's record; one of an unknown word is over soon.
            if word == "web" {
                until("a look", || !children(pid).is_empty());
            }
            let group = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a pid");
            // Its own alone, not the look's.
            kill_process(group, Signal::INT).expect("a signal");
            let (status, printed, said) = waiting.end();
            assert_eq!((status.signal(), &*printed), (Some(Signal::INT.as_raw()), ""), "{said}");
            until("none of its processes is left", || members(pid).is_empty());
        }
    });
}

/// Returns the processes of a group.
fn members(group: u32) -> Vec<String> {
    let names = fs::read_dir("/proc").expect("/proc").flatten();
    let stats = names.filter_map(|name| fs::read_to_string(name.path().join("stat")).ok());
    let is_member = |stat: &String| {
        let rest = stat.rsplit(')').next().unwrap_or_default();
        rest.split_whitespace().nth(2) == Some(&group.to_string())
    };
    stats.filter(is_member).collect()
}

/// COMMAND finds neither a descriptor, nor a child, nor anything else changed.
#[test]
fn command_cannot_tell_that_it_was_waited_for() {
    room(&[], || {
        let id = docker("web");
        let probe = "P=/proc/$$; for fd in $P/fd/*; do [ -e $fd ] && echo ${fd##*/}; done
            grep -E '^(PPid|Sig[PBIC]|Umask|NoNewPrivs)' $P/status
            read -r children <$P/task/$$/children; echo children $children; cat $P/limits; readlink $P/cwd; tr '\\0' '\\n' <$P/cmdline
            tr '\\0' '\\n' <$P/environ | grep -v ^_=; echo; exit 7";
        let scratch = Scratch::new("probe");
        let script = scratch.write("probe", probe);
        let command = |args: &[&str]| {
            let mut command = program();
            command.args(args).args(["--", "busybox", "sh", &script, "an arg", ""]);
            command.current_dir("/var/lib").stdin(Stdio::null()).env_clear().env("A", "b");
            command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
            command
        };
        let waiting = {
            let mut waiting = command(&["-q", "--wait", "web"]);
            Held(waiting.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("a process"))
        };
        until("a look", || !children(waiting.pid()).is_empty());
        let sleeper = Sleeper::start();
        start(&id, &sleeper);
        let mut held = waiting;
        let mut waited = String::new();
        let mut pipe = held.0.stdout.take().expect("a pipe");
        std::io::Read::read_to_string(&mut pipe, &mut waited).expect("text");
        assert_eq!(held.0.wait().expect("an end").code(), Some(7));
        let direct = finish(command(&["-q", "web"])).exits(7).stdout.clone();
        assert!(waited.contains("an arg") && waited.contains("A=b"), "{waited}");
        assert_eq!(waited, direct);
    });
}

/// Somebody else closes what tells of events, which takes the kernel long: not COMMAND's child, also
/// where orphans would be COMMAND's, and none that outlives its start.
#[test]
fn nothing_is_left_beside_command() {
    const SUBREAPER: &str = "import ctypes, os, sys
if sys.argv[1] == '1': assert ctypes.CDLL(None).prctl(36, 1, 0, 0, 0) == 0
os.execv(sys.argv[2], sys.argv[2:])";
    room(&["python3"], || {
        for (name, is_subreaper) in [("web", "0"), ("db", "1")] {
            let id = docker(name);
            let mut command = Command::new("python3");
            command.args(["-c", SUBREAPER, is_subreaper]).arg(program().get_program());
            command.args(["-q", "--wait", name, "--", "busybox", "sleep", "100"]);
            let waiting = Held::start(command);
            let pid = waiting.pid();
            until("a look", || !children(pid).is_empty());
            let sleeper = Sleeper::start();
            start(&id, &sleeper);
            until("COMMAND", || ns_of(pid) == sleeper.ns() && comm_of(pid) == "busybox");
            until("COMMAND alone", || members(pid).len() == 1);
            assert!(children(pid).is_empty());
        }
    });
}

fn comm_of(pid: u32) -> String {
    fs::read_to_string(format!("/proc/{pid}/comm")).expect("a process").trim().to_owned()
}

/// What a look takes of memory goes with it.
#[test]
fn many_looks_take_no_memory() {
    room(&[], || {
        let waiting = Waiting::start(&["--wait", "nobody"]);
        let status = format!("/proc/{}/status", waiting.held.pid());
        let memory = || {
            let status = fs::read_to_string(&status).expect("a process");
            let lines = status.lines().filter(|line| {
                line.starts_with("VmSize")
                    || line.starts_with("VmHWM")
                    || line.starts_with("VmData")
            });
            lines.map(str::to_owned).collect::<Vec<_>>()
        };
        waiting.looks(10);
        let before = memory();
        waiting.looks(200);
        assert_eq!(memory(), before);
    });
}

/// Without events it is looked from time to time.
#[test]
fn without_inotify_it_comes_later_too() {
    room(&["strace"], || {
        let mut command = Command::new("strace");
        let fault = "inject=inotify_init1:error=EMFILE";
        command.args(["-qq", "-o", "/dev/null", "-e", "trace=inotify_init1", "-e", fault]);
        command.arg(crate::util::binary()).args(["--wait", "web"]);
        let waiting = Waiting::command(command);
        let sleeper = Sleeper::start();
        start(&docker("web"), &sleeper);
        let said = waiting.enters(&sleeper.ns());
        assert!(said.contains("as inotify fails"), "{said}");
    });
}
