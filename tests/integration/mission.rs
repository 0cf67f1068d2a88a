//! What the program is for: copied to a host by somebody who may do little there, and used to watch
//! a network that is not his. (The third use, an initramfs, is in `boot.rs`.)

#![forbid(unsafe_code)]

use crate::util::{
    OWN_ETC, Output, Scratch, Sleeper, apart, binary, finish, lacks, own_ns, program, run, skip,
    tool, until, widen_path,
};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

const SSHD: &str = "/usr/sbin/sshd";

/// A user with a home and with sudo for one file in it. He is in a copy of /etc that ends with the
/// test.
struct Operator {
    home: String,
    /// The parent of the home, which belongs to root.
    _dir: Scratch,
}

impl Operator {
    const NAME: &str = "ne-operator";

    fn new() -> Operator {
        let dir = Scratch::new("operator");
        let home = dir.path("home");
        let words = ["--create-home", "--home-dir", &home, "--shell", "/bin/sh", "--user-group"];
        tool("useradd", &[&words[..], &[Operator::NAME]].concat()).succeeds();
        // An account without a password must not be a locked one: sshd refuses those, even by key.
        tool("usermod", &["--password", "*", Operator::NAME]).succeeds();
        Operator { home, _dir: dir }
    }

    /// Allows sudo for this file alone, with any arguments.
    fn may_run(&self, path: &str) {
        let rule = "/etc/sudoers.d/ne-operator";
        fs::create_dir_all("/etc/sudoers.d").unwrap();
        fs::write(rule, format!("{} ALL=(root) NOPASSWD: {path}\n", Operator::NAME)).unwrap();
        fs::set_permissions(rule, fs::Permissions::from_mode(0o440)).unwrap();
        tool("visudo", &["-cf", rule]).succeeds();
    }
}

/// An sshd of our own for each connection, on a pipe, with a key of its own and one that it
/// accepts.
struct Sshd {
    dir: Scratch,
}

impl Sshd {
    fn new() -> Sshd {
        let dir = Scratch::new("sshd");
        for key in ["host", "user"] {
            let path = dir.path(key);
            tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", &path]).succeeds();
        }
        let shown = dir.dir().display();
        let config = format!(
            "HostKey {shown}/host\nPidFile none\nAuthorizedKeysFile {shown}/user.pub\n\
             StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\n\
             AllowUsers {}\nSubsystem sftp internal-sftp\n",
            Operator::NAME
        );
        dir.write("sshd_config", config);
        fs::create_dir_all("/run/sshd").unwrap();
        Sshd { dir }
    }

    /// Returns ssh or scp with nothing of this machine's configuration.
    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let shown = self.dir.dir().display();
        let proxy = format!("ProxyCommand={SSHD} -i -e -f {shown}/sshd_config 2>>{shown}/log");
        command.args(["-F", "none", "-i", &self.dir.path("user"), "-o", &proxy]);
        for option in [
            "BatchMode=yes",
            "IdentitiesOnly=yes",
            "StrictHostKeyChecking=no",
            "UserKnownHostsFile=/dev/null",
            "LogLevel=ERROR",
        ] {
            command.args(["-o", option]);
        }
        command
    }

    fn ssh(&self, words: &[&str]) -> Output {
        finish(self.client("ssh").arg(format!("{}@there", Operator::NAME)).args(words))
    }
}

#[test]
fn copied_to_a_host_and_run_there() {
    if lacks(&["scp", "ssh", "ssh-keygen", "sudo", "visudo", "useradd", "unshare"]) {
        return;
    }
    if !Path::new(SSHD).exists() {
        return skip("sshd is not installed");
    }
    apart(OWN_ETC, || {
        let operator = Operator::new();
        operator.may_run(&format!("{}/netns-enter", operator.home));
        let sshd = Sshd::new();
        let other = Sleeper::start();

        let to = format!("{}@there:netns-enter", Operator::NAME);
        finish(sshd.client("scp").arg(binary()).arg(to)).succeeds();
        // Nothing but the home can be written to, which is the very thing that an installation
        // would need.
        sshd.ssh(&["test -w . && ! test -w .. && ! test -w /usr/local/bin"]).succeeds();

        sshd.ssh(&["./netns-enter", "--version"]).succeeds();
        // Another's namespace: not as this user, but with sudo, also to be watched over ssh.
        let pid = other.word();
        sshd.ssh(&["./netns-enter", "-p", &pid, "--", "echo", "ran"]).refuses(&[&pid]);
        let enter = format!("sudo -n ./netns-enter -p {pid} --");
        let inside = sshd.ssh(&[&enter, "readlink", "/proc/self/ns/net"]);
        inside.succeeds().prints(&other.ns());
        assert_ne!(inside.stdout.trim(), own_ns());
        sshd.ssh(&[&enter, "sh -c 'exit 7'"]).exits(7);
        sshd.ssh(&[&enter, "no-such-command"]).exits(127);
        let no_container = "sudo -n ./netns-enter no-such-container echo ran";
        sshd.ssh(&[no_container]).refuses(&["no container or pin"]);
    });
}

/// Starts two processes with a wire between their namespaces: 198.51.100.1 on `out` of the first,
/// 198.51.100.2 on `eth0` of the second.
fn wired() -> (Sleeper, Sleeper) {
    let (one, two) = (Sleeper::start(), Sleeper::start());
    let wire = format!(
        "ip link add out type veth peer name eth0 netns {} && \
         ip addr add 198.51.100.1/24 dev out && ip link set out up",
        two.pid
    );
    run(&["-p", &one.word(), "--", "sh", "-c", &wire]).succeeds();
    let wire = "ip addr add 198.51.100.2/24 dev eth0 && ip link set eth0 up";
    run(&["-p", &two.word(), "--", "sh", "-c", wire]).succeeds();
    (one, two)
}

#[test]
fn real_packets_are_captured() {
    if lacks(&["tcpdump", "ping", "ip", "unshare"]) {
        return;
    }
    let (one, two) = wired();
    let dir = Scratch::new("capture");
    let log = dir.path("log");
    let mut capture = program();
    capture.args(["--pid", &two.word(), "--", "tcpdump", "-n", "-c", "2", "-U", "-w", "-"]);
    capture.args(["-i", "eth0", "icmp"]);
    // Straight into a pipe, as `ssh host netns-enter … | wireshark -k -i -` has it.
    let mut piped = Command::new("sh");
    piped.args(["-c", "\"$@\" 2>\"$0\"", &log]).arg(capture.get_program()).args(capture.get_args());
    widen_path(&mut piped);
    let reader = std::thread::spawn(move || piped.output().unwrap());
    let listens = |text: String| text.contains("listening on eth0");
    until("tcpdump listens", || fs::read_to_string(&log).is_ok_and(listens));
    let ping = ["ping", "-c", "3", "-i", "0.2", "-W", "60", "198.51.100.2"];
    run(&[&["-p", &one.word()], &ping[..]].concat()).succeeds();
    let captured = reader.join().unwrap();
    assert!(captured.status.success(), "{captured:?}");
    let file = dir.write("packets", &captured.stdout);
    let shown = tool("tcpdump", &["-n", "-r", &file]);
    for line in [
        "198.51.100.1 > 198.51.100.2: ICMP echo request",
        "198.51.100.2 > 198.51.100.1: ICMP echo reply",
    ] {
        assert!(shown.succeeds().stdout.contains(line), "{}", shown.dump());
    }
}
