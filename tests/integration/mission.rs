//! What the program is for: copied to a host by somebody who may do little there, and used to watch a network that is not his.
//! (The third use, an initramfs, is in `boot.rs`.)

use crate::util::{Held, NetnsProcess, Output, Scratch, binary, finish, lacks, run, sh, skip, tool, unique, until};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

/// A user of our own with a home and with sudo for one file in it; all of it is gone after the test.
struct Operator {
    name: String,
    home: PathBuf,
    rule: PathBuf,
    /// The parent of the home, which belongs to root.
    _dir: Scratch,
}

impl Operator {
    fn new() -> Operator {
        let name = unique("op").replace("ne-t-", "net");
        let dir = Scratch::new();
        let home = dir.join("home");
        let words =
            ["--create-home", "--home-dir", home.to_str().unwrap(), "--shell", "/bin/sh", "--user-group", &name];
        tool("useradd", &words).succeeds();
        // An account without a password must not be a locked one: sshd refuses those, even by key.
        let operator = Operator { rule: PathBuf::from(format!("/etc/sudoers.d/{name}")), name, home, _dir: dir };
        tool("usermod", &["--password", "*", &operator.name]).succeeds();
        operator
    }

    /// Allows sudo for this file alone, with any arguments.
    fn may_run(&self, path: &str) {
        fs::create_dir_all("/etc/sudoers.d").unwrap();
        fs::write(&self.rule, format!("{} ALL=(root) NOPASSWD: {path}\n", self.name)).unwrap();
        fs::set_permissions(&self.rule, fs::Permissions::from_mode(0o440)).unwrap();
        tool("visudo", &["-cf", self.rule.to_str().unwrap()]).succeeds();
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.rule);
        // The session's last process may still be about to end.
        let gone = "for i in 1 2 3 4 5 6 7 8 9 10; do userdel --remove \"$1\" 2>/dev/null && exit; sleep 0.2; done; userdel --force \"$1\"";
        let _ = sh(gone, &[&self.name]);
    }
}

/// An sshd of our own on loopback, with a key of its own and one that it accepts.
struct Sshd {
    _daemon: Held,
    port: u16,
    dir: Scratch,
}

impl Sshd {
    fn start(operator: &Operator) -> Sshd {
        let dir = Scratch::new();
        for key in ["host", "user"] {
            let path = dir.join(key);
            tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-f", path.to_str().unwrap()]).succeeds();
        }
        let shown = dir.path().display();
        let port = TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port();
        let config = format!(
            "Port {port}\nListenAddress 127.0.0.1\nHostKey {shown}/host\nPidFile none\nAuthorizedKeysFile {shown}/user.pub\n\
             StrictModes no\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nUsePAM no\nAllowUsers {}\n\
             Subsystem sftp internal-sftp\n",
            operator.name
        );
        let config = dir.write("sshd_config", config);
        fs::create_dir_all("/run/sshd").unwrap();
        let mut command = Command::new("/usr/sbin/sshd");
        command.args(["-D", "-e", "-f"]).arg(config).stderr(fs::File::create(dir.join("log")).unwrap());
        let daemon = Held::start(command);
        until("sshd listens", || std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
        Sshd { _daemon: daemon, port, dir }
    }

    /// ssh or scp, which spell the port differently, with nothing of this machine's configuration.
    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.args(["-F", "none", if program == "scp" { "-P" } else { "-p" }, &self.port.to_string(), "-i"]);
        command.arg(self.dir.join("user"));
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

    fn ssh(&self, operator: &Operator, words: &[&str]) -> Output {
        let mut command = self.client("ssh");
        command.arg(format!("{}@127.0.0.1", operator.name)).args(words);
        finish(command)
    }
}

#[test]
fn copied_to_a_host_and_run_there() {
    if lacks(&["scp", "ssh", "ssh-keygen", "sudo", "visudo", "useradd", "unshare", "tcpdump"]) {
        return;
    }
    if !std::path::Path::new("/usr/sbin/sshd").exists() {
        return skip("sshd is not installed");
    }
    let operator = Operator::new();
    let there = operator.home.join("netns-enter");
    operator.may_run(there.to_str().unwrap());
    let sshd = Sshd::start(&operator);
    let other = NetnsProcess::new();

    let mut scp = sshd.client("scp");
    scp.arg(binary()).arg(format!("{}@127.0.0.1:netns-enter", operator.name));
    finish(scp).succeeds();
    // Nothing but the home can be written to, which is the very thing that an installation would need.
    sshd.ssh(&operator, &["test -w . && ! test -w .. && ! test -w /usr/local/bin"]).succeeds();

    let own = fs::read_link("/proc/self/ns/net").unwrap();
    sshd.ssh(&operator, &["./netns-enter", "--version"]).succeeds();
    // Another's namespace: not as this user, but with sudo, also to be watched over ssh.
    let pid = other.word();
    sshd.ssh(&operator, &["./netns-enter", "-p", &pid, "--", "echo", "ran"]).refuses(&[&pid]);
    let enter = format!("sudo -n ./netns-enter -p {pid} --");
    let inside = sshd.ssh(&operator, &[&enter, "readlink", "/proc/self/ns/net"]);
    inside.succeeds().prints(&other.link());
    assert_ne!(inside.stdout.trim(), own.to_str().unwrap());
    sshd.ssh(&operator, &[&enter, "sh -c 'exit 7'"]).exits(7);
    sshd.ssh(&operator, &[&enter, "no-such-command"]).exits(127);
    sshd.ssh(&operator, &["sudo -n ./netns-enter no-such-container echo ran"]).refuses(&["no container or pin"]);
}

/// Two processes with a wire between their namespaces: 198.51.100.1 on `out` of the first, 198.51.100.2 on `eth0` of the second.
fn wired() -> (NetnsProcess, NetnsProcess) {
    let (one, two) = (NetnsProcess::new(), NetnsProcess::new());
    let wire = format!(
        "ip link add out type veth peer name eth0 netns {} && ip addr add 198.51.100.1/24 dev out && ip link set out up",
        two.pid()
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
    let dir = Scratch::new();
    let log = dir.join("log");
    let mut capture = Command::new(binary());
    capture.args(["--pid", &two.word(), "--", "tcpdump", "-n", "-c", "2", "-U", "-w", "-", "-i", "eth0", "icmp"]);
    // Straight into a pipe, as `ssh host netns-enter … | wireshark -k -i -` has it.
    let shell = "\"$@\" 2>\"$0\"";
    let mut piped = Command::new("sh");
    piped.args(["-c", shell]).arg(&log).arg(capture.get_program()).args(capture.get_args());
    let reader = std::thread::spawn(move || {
        let mut command = piped;
        crate::util::widen_path(&mut command);
        command.output().unwrap()
    });
    until("tcpdump listens", || fs::read_to_string(&log).is_ok_and(|text| text.contains("listening on eth0")));
    run(&["-p", &one.word(), "ping", "-c", "3", "-i", "0.2", "-W", "5", "198.51.100.2"]).succeeds();
    let captured = reader.join().unwrap();
    assert!(captured.status.success(), "{captured:?}");
    let file = dir.write("packets", &captured.stdout);
    let shown = tool("tcpdump", &["-n", "-r", file.to_str().unwrap()]);
    for line in ["198.51.100.1 > 198.51.100.2: ICMP echo request", "198.51.100.2 > 198.51.100.1: ICMP echo reply"] {
        assert!(shown.succeeds().stdout.contains(line), "{}", shown.dump());
    }
}
