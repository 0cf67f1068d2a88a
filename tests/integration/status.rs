//! Exit statuses, and the sense of messages.

#![forbid(unsafe_code)]

use crate::util::{
    Held, Scratch, Sleeper, finish, has, inode_of, is_zombie, lacks, make_executable, program, run,
    skip, small_build, until,
};
use rustix::thread::gettid;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, Stdio};
use std::thread;

#[test]
fn enters_by_pid() {
    if lacks(&["unshare", "readlink"]) {
        return;
    }
    let other = Sleeper::start();
    let pid = other.word();
    for option in ["--pid", "-p", "-t", "--target"] {
        let words = [option, &pid, "--", "readlink", "/proc/self/ns/net"];
        run(&words).succeeds().prints(&other.ns());
    }
    // A thread, too.
    let by_tid = || run(&["--pid", &gettid().as_raw_nonzero().to_string(), "true"]);
    thread::spawn(by_tid).join().unwrap().succeeds();
}

#[test]
fn the_status_is_the_commands_own() {
    if lacks(&["unshare"]) {
        return;
    }
    let other = Sleeper::start();
    let pid = other.word();
    for status in [0, 1, 42, 255] {
        run(&["-p", &pid, "sh", "-c", &format!("exit {status}")]).exits(status);
    }
    let killed = run(&["-p", &pid, "sh", "-c", "kill -TERM $$"]);
    assert_eq!(killed.status.signal(), Some(15), "{}", killed.dump());
}

#[test]
fn commands_that_cannot_run_are_126_or_127() {
    if lacks(&["unshare"]) {
        return;
    }
    let other = Sleeper::start();
    let pid = other.word();
    let dir = Scratch::new("path");
    let plain = dir.write("plain", "echo no interpreter line\n");
    run(&["-p", &pid, "--", "ne-t-no-such-command"]).exits(127).says(&["ne-t-no-such-command"]);
    run(&["-p", &pid, "--", "/ne-t/none"]).exits(127).says(&["/ne-t/none"]);
    run(&["-p", &pid, "--", dir.dir().to_str().unwrap()]).exits(126).says(&["cannot run"]);
    run(&["-p", &pid, "--", &plain]).exits(126).says(&["cannot run"]);
    run(&["-p", &pid, "--", ""]).exits(127).says(&["cannot run \"\""]);
}

/// glibc's execvp hands such a file to sh; musl's, in the binary that is shipped, does not.
#[test]
fn a_script_without_its_first_line_is_126() {
    if !small_build() || lacks(&["unshare"]) {
        return;
    }
    let other = Sleeper::start();
    let dir = Scratch::new("script");
    let plain = dir.write("plain", "echo no interpreter line\n");
    make_executable(&plain);
    run(&["-p", &other.word(), "--", &plain]).exits(126).says(&["#!/bin/sh"]);
}

/// As execvp(3) of musl does it: what may not be executed is told of only where nothing else is
/// found. glibc's differs in details.
#[test]
fn commands_are_looked_for_in_path() {
    if !small_build() || lacks(&["unshare"]) {
        return;
    }
    let other = Sleeper::start();
    let dir = Scratch::new("path");
    for name in ["a", "b", "c"] {
        let path = dir.write(&format!("{name}/prog"), format!("#!/bin/sh\necho {name}\n"));
        if name != "b" {
            make_executable(&path);
        }
    }
    let (long, longest) = ("x".repeat(5000), "n".repeat(256));
    let cases = [
        ("DIR/b:DIR/c:DIR/a", "prog", 0, "c"),
        ("DIR/none:DIR/a/prog:DIR/a", "prog", 0, "a"),
        ("", "prog", 0, "a"),
        ("DIR/none::DIR/c", "prog", 0, "a"),
        ("DIR/none:", "prog", 0, "a"),
        ("LONG:DIR/c", "prog", 0, "c"),
        ("DIR/c", "./prog", 0, "a"),
        ("DIR/b", "prog", 126, ""),
        ("DIR/b:DIR/none", "prog", 126, ""),
        ("DIR/none", "prog", 127, ""),
        ("DIR/none", &longest, 126, ""),
        ("DIR/a", "", 127, ""),
        ("DIR", "a", 126, ""),
    ];
    for (path, name, status, said) in cases {
        let mut command = program();
        let path = path.replace("DIR", dir.dir().to_str().unwrap()).replace("LONG", &long);
        command
            .args(["-p", &other.word(), "--", name])
            .env("PATH", path)
            .current_dir(dir.dir().join("a"));
        finish(command).exits(status).prints(said);
    }
    let mut command = program();
    command
        .args(["-p", &other.word(), "--", "sh", "-c", "echo found"])
        .env_clear()
        .current_dir("/");
    finish(command).succeeds().prints("found");
}

#[test]
fn without_a_command_it_is_the_shell() {
    if lacks(&["unshare", "pwd"]) {
        return;
    }
    let other = Sleeper::start();
    let mut command = program();
    command.args(["-p", &other.word()]).env("SHELL", "/bin/pwd").current_dir("/");
    finish(command).succeeds().prints("/");
    for unset in [true, false] {
        let mut command = program();
        command.args(["-p", &other.word(), "--"]).env("SHELL", "");
        if unset {
            command.env_remove("SHELL");
        }
        finish(command).succeeds().prints("");
    }
}

#[test]
fn a_missing_process_is_named() {
    run(&["--pid", "4194304", "--", "echo", "ran"]).refuses(&["no process 4194304"]);
}

#[test]
fn a_zombie_is_told_from_a_missing_process() {
    let zombie = Held(Command::new("true").stdin(Stdio::null()).spawn().unwrap());
    until("it is a zombie", || is_zombie(zombie.pid()));
    run(&["-p", &zombie.word(), "echo", "ran"]).refuses(&["exited", "reaped", &zombie.word()]);
}

#[test]
fn a_process_without_its_main_thread_is_explained() {
    if lacks(&[]) {
        return;
    }
    if !has("python3") {
        return skip("python3 is not installed");
    }
    let script = "import ctypes,threading,time\n\
        threading.Thread(target=time.sleep, args=(3600,)).start()\n\
        ctypes.CDLL(None).syscall(60, 0)";
    let mut command = Command::new("python3");
    command.args(["-c", script]);
    let leaderless = Held::start(command);
    until("its main thread has exited", || is_zombie(leaderless.pid()));
    run(&["-p", &leaderless.word(), "echo", "ran"]).refuses(&["main thread", "exited", "/task"]);
}

#[test]
fn misuse_runs_nothing() {
    for pid in ["0", "-1", "+5", "4194305", "web", " 5", "5 ", "", "99999999999999999999"] {
        run(&["--pid", pid, "echo", "ran"]).refuses(&["pid"]);
    }
    run(&["-p", "1", "-p", "1", "echo", "ran"]).refuses(&["twice"]);
    run(&["-q", "-v", "-p", "1", "echo", "ran"]).refuses(&["contradict"]);
    run(&["--nope", "-p", "1", "echo", "ran"]).refuses(&["--nope", "--help"]);
    run(&["-p", "1\x1b[31m", "echo", "ran"]).refuses(&["\\x1b[31m"]);
}

#[test]
fn what_follows_two_dashes_is_never_the_target() {
    run(&["--", "echo", "ran"]).refuses(&["no target"]);
    run(&["-q", "--", "echo", "ran"]).refuses(&["no target"]);
    run::<&str>(&[]).refuses(&["no target"]);
    run(&["", "echo", "ran"]).refuses(&["empty"]);
}

#[test]
fn fingers_used_to_nsenter_get_a_remedy() {
    run(&["-t", "1", "-n", "tcpdump", "-i", "eth0"]).refuses(&["-n takes a name here"]);
}

#[test]
fn help_and_version_are_answers() {
    let help = run(&["--help"]);
    assert!(help.succeeds().stdout.starts_with("Usage: netns-enter"), "{}", help.dump());
    run(&["-p", "1", "-V"]).succeeds().prints(concat!("netns-enter ", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_hosts_own_namespace_is_noted() {
    let me = std::process::id().to_string();
    let own = inode_of(std::process::id());
    if fs::metadata("/proc/1/ns/net").is_ok() && inode_of(1) != own {
        return skip("the tests run outside the namespace of pid 1");
    }
    run(&["-p", &me, "true"]).succeeds().says(&["note", "host's network namespace"]);
    let quiet = run(&["-q", "-p", &me, "true"]);
    assert!(quiet.succeeds().stderr.is_empty(), "{}", quiet.dump());
}
