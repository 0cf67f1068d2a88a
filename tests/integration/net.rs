//! Namespaces by what is in them: addresses and pairs of interfaces, compared with what ip(8) shows
//! there.

#![forbid(unsafe_code)]

use crate::machine::script;
use crate::util::{
    Held, Scratch, Sleeper, as_user, binary, command_enters, command_refuses, enters, finish,
    inode_in, lacks, ns_of, own_ns, process_number, refuses, run, sh, skip, thread_apart, tool,
    unique, until,
};
use netns_enter::kernel::link::Interface;
use netns_enter::kernel::netns::{Home, NetNs};
use netns_enter::kernel::sock::Netlink;
use serde_json::Value;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

/// Numbers that no other test and no other run uses at the same time.
fn number() -> u32 {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    (process_number() << 6).wrapping_add(COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Addresses of ranges for tests and documentation: RFC 2544, RFC 3849.
pub fn ipv4() -> String {
    let [.., high, low] = number().to_be_bytes();
    format!("198.18.{high}.{low}")
}

fn ipv6() -> String {
    let number = number();
    format!("2001:db8:7e57:{:x}:{:x}::1", number >> 16, number & 0xffff)
}

/// A name for an interface: at most 15 bytes.
pub fn interface() -> String {
    format!("ne{:x}", number())
}

/// A command inside the namespace of a process; its standard output.
#[track_caller]
fn inside(pid: u32, words: &[&str]) -> String {
    let target = pid.to_string();
    tool("nsenter", &[&["-t", &target, "-n"], words].concat()).succeeds().stdout.clone()
}

/// A pair whose one end, of the returned name, is here and whose other, `eth0`, is in the namespace
/// of the process.
#[track_caller]
fn pair(pid: u32) -> Link {
    let name = interface();
    let words =
        ["link", "add", &name, "type", "veth", "peer", "name", "eth0", "netns", &pid.to_string()];
    tool("ip", &words).succeeds();
    Link(name)
}

/// An interface here that is gone after the test; it may have gone before with another namespace.
pub struct Link(pub String);

impl Drop for Link {
    fn drop(&mut self) {
        tool("ip", &["link", "del", &self.0]);
    }
}

fn cannot_run() -> bool {
    lacks(&["ip", "nsenter", "unshare", "setpriv"])
}

#[test]
fn an_address_in_any_spelling_leads_to_its_namespace() {
    if cannot_run() {
        return;
    }
    let (one, other) = (Sleeper::start(), Sleeper::start());
    let _pairs = [pair(one.pid), pair(other.pid)];
    let (four, six, of_other) = (ipv4(), ipv6(), ipv4());
    inside(one.pid, &["ip", "addr", "add", &format!("{four}/24"), "dev", "eth0"]);
    inside(one.pid, &["ip", "addr", "add", &format!("{six}/64"), "dev", "eth0"]);
    // On an interface of its own, with that of the other end.
    inside(other.pid, &["ip", "addr", "add", &of_other, "peer", &ipv4(), "dev", "eth0"]);
    let long = six.replace("::1", ":0:0:1").to_uppercase();
    // As the log of a dual-stack server has it.
    let mapped = format!("::ffff:{four}");
    let numbers: Vec<u8> = four.split('.').map(|part| part.parse().unwrap()).collect();
    let hex = format!(
        "0:0:0:0:0:FFFF:{:02x}{:02x}:{:02x}{:02x}",
        numbers[0], numbers[1], numbers[2], numbers[3]
    );
    for spelling in [
        &four,
        &format!("{four}/24"),
        &six,
        &format!("{six}/64"),
        &format!("[{six}]"),
        &long,
        &mapped,
        &format!("{mapped}/120"),
        &format!("[{mapped}]"),
        &hex,
    ] {
        enters(&["--addr", spelling], &one.ns());
        enters(&["-a", spelling], &one.ns());
    }
    enters(&["--addr", &of_other], &other.ns());
    // Another address, though it is written with the same numbers.
    refuses(&["--addr", &format!("::{four}")], &["no network namespace has address"]);
    refuses(&["--addr", &format!("64:ff9b::{four}")], &["no network namespace has address"]);
    refuses(&["--addr", &ipv4()], &["no network namespace has address"]);
    refuses(&["--addr", &format!("{six}%eth0")], &["invalid address"]);
}

#[test]
fn an_address_of_several_is_refused() {
    if cannot_run() {
        return;
    }
    let all = [Sleeper::start(), Sleeper::start(), Sleeper::start()];
    let shared = ipv4();
    for sleeper in &all[..2] {
        inside(sleeper.pid, &["ip", "addr", "add", &shared, "dev", "lo"]);
    }
    let said =
        refuses(&["--addr", &shared], &["2 network namespaces have address", &shared, "--inode"]);
    for sleeper in &all[..2] {
        let inode = sleeper.ns().replace("net:[", "").replace(']', "");
        assert!(said.contains(&format!("{inode} pid {}", sleeper.pid)), "{said}");
    }
    assert!(!said.contains(&all[2].ns()[5..15]), "{said}");
    // With more of them than anybody reads.
    let more: Vec<Sleeper> = (0..12).map(|_| Sleeper::start()).collect();
    for sleeper in &more {
        inside(sleeper.pid, &["ip", "addr", "add", &shared, "dev", "lo"]);
    }
    refuses(&["--addr", &shared], &["14 network namespaces", "and 4 more"]);
    // What everybody has, the host too, which the remedy does not lead to.
    inside(all[2].pid, &["ip", "link", "set", "lo", "up"]);
    let said = refuses(&["--addr", "127.0.0.1"], &["(host)", "say --inode"]);
    let hosts = inode_in(&own_ns()).expect("an inode");
    assert!(!said.contains(&format!("say --inode {hosts},")), "{said}");
}

/// Returns the MAC address of an interface in the namespace of a process.
fn mac_of(pid: u32, name: &str) -> String {
    let shown = inside(pid, &["ip", "-j", "link", "show", name]);
    let json: Value = serde_json::from_str(&shown).unwrap();
    json[0]["address"].as_str().unwrap().to_owned()
}

#[test]
fn a_mac_address_in_any_spelling_leads_to_its_namespace() {
    if cannot_run() {
        return;
    }
    let (one, other) = (Sleeper::start(), Sleeper::start());
    let _pairs = [pair(one.pid), pair(other.pid)];
    let (mac, of_other) = (mac_of(one.pid, "eth0"), mac_of(other.pid, "eth0"));
    for spelling in [&mac, &mac.to_uppercase(), &mac.replace(':', "-")] {
        enters(&["--addr", spelling], &one.ns());
    }
    enters(&["-a", &of_other], &other.ns());
    // An interface with the address of one that it shares a namespace with changes nothing.
    inside(one.pid, &["ip", "link", "add", "br0", "address", &mac, "type", "bridge"]);
    enters(&["--addr", &mac], &one.ns());
    // One that nobody has, and what is none.
    refuses(&["--addr", "02:00:00:fe:fe:fe"], &["no network namespace has address 02:00:00:fe"]);
    refuses(&["--addr", "02:00:00:fe:fe"], &["invalid address"]);
    refuses(&["--addr", "02:00:00:fe-fe-fe"], &["invalid address"]);
    refuses(&["02:00:00:FE:fe:fe"], &["say --addr 02:00:00:FE:fe:fe"]);
    // Two that have it.
    inside(other.pid, &["ip", "link", "set", "eth0", "address", &mac]);
    let said = refuses(&["--addr", &mac], &["2 network namespaces have address", &mac]);
    for sleeper in [&one, &other] {
        assert!(said.contains(&format!("{} pid {}", sleeper.inode(), sleeper.pid)), "{said}");
    }
    // A user's namespace with it is not asked where one of root's has it.
    let users = Sleeper::of_user();
    inside(other.pid, &["ip", "link", "set", "eth0", "address", &of_other]);
    inside(users.pid, &["ip", "link", "add", "br0", "address", &mac, "type", "bridge"]);
    enters(&["--addr", &mac], &one.ns());
    inside(users.pid, &["ip", "link", "set", "br0", "address", "02:00:00:fe:fe:fd"]);
    let said = enters(&["--addr", "02:00:00:FE:FE:FD"], &users.ns());
    assert!(said.contains("any user can take any address"), "{said}");
}

/// eBPF programs see numbers of interfaces, not their names.
#[test]
fn an_interface_has_a_number() {
    if cannot_run() {
        return;
    }
    let (one, other) = (Sleeper::start(), Sleeper::start());
    let (to_one, to_other) = (pair(one.pid), pair(other.pid));
    let index_of = |name: &str| {
        let shown = tool("ip", &["-j", "link", "show", name]).succeeds().stdout.clone();
        let json: Value = serde_json::from_str(&shown).unwrap();
        json[0]["ifindex"].to_string()
    };
    let (to_ones, to_others) = (index_of(&to_one.0), index_of(&to_other.0));
    enters(&["--veth", &to_ones], &one.ns());
    enters(&["--veth", &to_others], &other.ns());
    refuses(&["--veth", "1"], &["interface \"lo\" has no other end"]);
    refuses(&["--veth", "0"], &["no interface \"0\""]);
    refuses(&["--veth", "4294967297"], &["no interface \"4294967297\""]);
    // Which has the name of another's number.
    tool("ip", &["link", "set", &to_one.0, "name", &to_others]).succeeds();
    let entered = std::panic::catch_unwind(|| enters(&["--veth", &to_others], &one.ns()));
    tool("ip", &["link", "set", &to_others, "name", &to_one.0]).succeeds();
    entered.unwrap();
}

#[test]
fn our_own_address_is_the_hosts() {
    if cannot_run() {
        return;
    }
    let mine = ipv6();
    tool("ip", &["addr", "add", &format!("{mine}/128"), "dev", "lo"]).succeeds();
    let entered = std::panic::catch_unwind(|| enters(&["--addr", &mine], &own_ns()));
    tool("ip", &["addr", "del", &format!("{mine}/128"), "dev", "lo"]).succeeds();
    let notes = entered.unwrap();
    assert!(
        notes.contains(&format!("note: the holder of {mine} uses the host's network namespace")),
        "{notes}"
    );
}

#[test]
fn a_pair_leads_to_its_other_end() {
    if cannot_run() {
        return;
    }
    let (one, other) = (Sleeper::start(), Sleeper::start());
    let (to_one, to_other) = (pair(one.pid), pair(other.pid));
    for (pair, sleeper) in [(&to_one, &one), (&to_other, &other)] {
        for tail in ["", "@if2", "@if2:", ":"] {
            enters(&["--veth", &format!("{}{tail}", pair.0)], &sleeper.ns());
        }
    }
    // A third end in the first namespace: the numbers of interfaces do not decide.
    let inner = interface();
    let words =
        ["ip", "link", "add", &inner, "type", "veth", "peer", "name", "x", "netns", &other.word()];
    inside(one.pid, &words);
    let mut command = Command::new("nsenter");
    command.args(["-t", &one.word(), "-n"]).arg(binary()).args(["--veth", &inner]);
    command_enters(command, &other.ns());
    // The other end moves on.
    inside(one.pid, &["ip", "link", "set", "eth0", "netns", &other.word(), "name", "moved"]);
    enters(&["--veth", &to_one.0], &other.ns());
    // An end that looks like another's.
    let odd = format!("{}@x", to_other.0);
    if odd.len() < 16 {
        let local = interface();
        tool("ip", &["link", "add", &odd, "type", "veth", "peer", "name", &local]).succeeds();
        let entered = std::panic::catch_unwind(|| enters(&["--veth", &odd], &own_ns()));
        tool("ip", &["link", "del", &local]).succeeds();
        entered.unwrap();
    }
}

#[test]
fn what_is_no_pair_is_refused() {
    if cannot_run() {
        return;
    }
    refuses(&["--veth", "lo"], &["interface \"lo\" has no other end", "veth, netkit"]);
    refuses(&["--veth", "lo@if2"], &["interface \"lo\" has no other end"]);
    let name = interface();
    refuses(&["--veth", &name], &["no interface", &name]);
    refuses(&["--veth", "@if2"], &["no interface"]);
    refuses(&["--veth", "a\x1b[2Jb"], &["a\\x1b[2Jb"]);
    let bridge = Link(interface());
    if !tool("ip", &["link", "add", &bridge.0, "type", "bridge"]).status.success() {
        return skip("no bridge can be made");
    }
    refuses(&["--veth", &bridge.0], &["has no other end"]);
    // A port of a bridge is a pair for all that.
    let sleeper = Sleeper::start();
    let pair = pair(sleeper.pid);
    tool("ip", &["link", "set", &pair.0, "master", &bridge.0]).succeeds();
    enters(&["--veth", &pair.0], &sleeper.ns());
}

#[test]
fn a_pair_of_our_own_is_the_hosts() {
    if cannot_run() {
        return;
    }
    let (one, other) = (interface(), interface());
    tool("ip", &["link", "add", &one, "type", "veth", "peer", "name", &other]).succeeds();
    let entered = std::panic::catch_unwind(|| enters(&["--veth", &one], &own_ns()));
    tool("ip", &["link", "del", &one]).succeeds();
    let notes = entered.unwrap();
    assert!(notes.contains("uses the host's network namespace"), "{notes}");
}

/// An open descriptor keeps the other end's namespace, and nothing else does.
#[test]
fn a_namespace_that_nothing_shows_is_told_of() {
    if cannot_run() {
        return;
    }
    let mut sleeper = Sleeper::start();
    let address = ipv4();
    let pair = pair(sleeper.pid);
    inside(sleeper.pid, &["ip", "addr", "add", &address, "dev", "eth0"]);
    let kept = fs::File::open(format!("/proc/{}/ns/net", sleeper.pid)).unwrap();
    let ns = sleeper.ns();
    sleeper.reap();
    let said = refuses(&["--veth", &pair.0], &["no process, thread or mount holds"]);
    assert!(said.contains(&pair.0), "{said}");
    // The descriptor tells which it is.
    enters(&["--addr", &address], &ns);
    drop(kept);
    refuses(&["--addr", &address], &["no network namespace has address"]);
}

#[test]
fn mounts_and_threads_hold_namespaces_too() {
    if lacks(&["ip", "nsenter", "unshare", "python3"]) {
        return;
    }
    let name = unique("netns");
    tool("ip", &["netns", "add", &name]).succeeds();
    let (address, of_thread) = (ipv4(), ipv4());
    let entered = std::panic::catch_unwind(|| {
        tool("ip", &["-n", &name, "addr", "add", &address, "dev", "lo"]).succeeds();
        let ns = tool("ip", &["netns", "exec", &name, "readlink", "/proc/self/ns/net"])
            .succeeds()
            .stdout
            .clone();
        enters(&["--addr", &address], ns.trim());
    });
    tool("ip", &["netns", "del", &name]).succeeds();
    entered.unwrap();
    let (_held, thread) = thread_apart();
    inside(thread, &["ip", "addr", "add", &of_thread, "dev", "lo"]);
    enters(&["--addr", &of_thread], &ns_of(thread));
}

/// Returns what the library sees in the namespace of a process.
fn seen_in(pid: u32) -> Vec<Interface> {
    let there = fs::File::open(format!("/proc/{pid}/ns/net")).unwrap();
    let (home, there) = (Home::own().unwrap(), NetNs::of_link(there.into()).unwrap());
    let netlink = Netlink::default();
    let seen = home.within(&there, || netlink.interfaces());
    let seen = seen.unwrap_or_else(|e| panic!("{}", e.message())).expect("rights");
    assert_eq!(ns_of_thread(), own_ns());
    seen
}

fn ns_of_thread() -> String {
    fs::read_link("/proc/thread-self/ns/net").unwrap().display().to_string()
}

#[test]
fn interfaces_are_those_of_ip() {
    if cannot_run() {
        return;
    }
    let sleeper = Sleeper::start();
    let _pair = pair(sleeper.pid);
    for (must, words) in [
        (true, "ip link set lo up"),
        (true, "ip link add one type veth peer name \"t'wo@x\""),
        (true, "ip link add br0 type bridge"),
        (true, "ip link set one master br0 up"),
        (true, "ip link set br0 up"),
        (true, "ip addr add 192.0.2.1/24 dev eth0"),
        (true, "ip addr add 192.0.2.2/24 dev eth0"),
        (true, "ip addr add 198.51.100.1 peer 198.51.100.2/30 dev br0"),
        (true, "ip addr add 2001:db8::1/64 dev eth0"),
        (true, "ip addr add 2001:db8::2 peer 2001:db8::3/128 dev eth0"),
        (false, "ip link add ifb0 type ifb"),
        (false, "ip tuntap add dev tap0 mode tap"),
        (false, "ip tuntap add dev tun0 mode tun"),
        (false, "ip link add gre1 type gre local 192.0.2.1 remote 192.0.2.9"),
        (false, "ip link add sit1 type sit local 192.0.2.1 remote 192.0.2.9"),
        (false, "ip link add six1 type ip6tnl local 2001:db8::1 remote 2001:db8::9"),
        (false, "ip link add gre2 type gre remote 192.0.2.9 dev eth0"),
        (false, "ip link add vlan5 link eth0 mtu 1400 type vlan id 5"),
        (false, "ip link add mv0 link eth0 type macvlan"),
        (false, "ip link add vx0 type vxlan id 5 remote 192.0.2.9 dstport 4789"),
        (false, "ip link add bond0 type bond"),
    ] {
        let script = format!("exec nsenter -t \"$1\" -n {words}");
        let output = sh(&script, &[sleeper.word()]);
        assert!(output.status.success() || !must, "{}", output.dump());
    }
    // The kernel changes states and addresses in its own time: what ip shows before and after
    // counts where it is the same.
    let theirs = || inside(sleeper.pid, &["ip", "-j", "-d", "addr"]);
    let mut both = (String::new(), Vec::new());
    until("interfaces that rest", || {
        let before = theirs();
        both = (before, seen_in(sleeper.pid));
        both.0 == theirs()
    });
    let (json, seen) = both;
    let expected: Vec<Value> = serde_json::from_str(&json).unwrap();
    assert!(expected.len() >= 4);
    assert_eq!(seen.len(), expected.len());
    for (ours, theirs) in seen.iter().zip(&expected) {
        let text = |key: &str| theirs[key].as_str().unwrap_or_default();
        assert_eq!(std::str::from_utf8(&ours.name), Ok(text("ifname")));
        assert_eq!(Some(u64::from(ours.index)), theirs["ifindex"].as_u64(), "{theirs}");
        assert_eq!(ours.state, text("operstate"), "{theirs}");
        assert_eq!(ours.mac, text("address"), "{theirs}");
        assert_eq!(
            ours.loopback,
            theirs["flags"].as_array().unwrap().contains(&"LOOPBACK".into()),
            "{theirs}"
        );
        let mut addresses: Vec<String> =
            ours.addresses.iter().map(|address| address.to_string()).collect();
        let shown =
            |info: &Value| format!("{}/{}", info["local"].as_str().unwrap(), info["prefixlen"]);
        let mut theirs_shown: Vec<String> =
            theirs["addr_info"].as_array().unwrap().iter().map(shown).collect();
        addresses.sort();
        theirs_shown.sort();
        assert_eq!(addresses, theirs_shown, "{theirs}");
        let kind = ours.kind.as_deref().map(String::from_utf8_lossy);
        assert_eq!(kind.as_deref(), theirs["linkinfo"]["info_kind"].as_str(), "{theirs}");
        assert_eq!(Some(u64::from(ours.mtu)), theirs["mtu"].as_u64(), "{theirs}");
        let name_of = |index| {
            let other = seen.iter().find(|other| Some(other.index) == index)?;
            Some(String::from_utf8_lossy(&other.name))
        };
        assert_eq!(name_of(ours.master).as_deref(), theirs["master"].as_str(), "{theirs}");
        // Where a tunnel has no other end, ip says "any".
        let remote = theirs["linkinfo"]["info_data"]["remote"].as_str();
        let remote = remote.filter(|text| !["any", "::", "0.0.0.0"].contains(text));
        assert_eq!(ours.remote.map(|ip| ip.to_string()).as_deref(), remote, "{theirs}");
        if ours.peer.is_none() {
            let parent = name_of(ours.parent.map(|parent| parent.index));
            assert_eq!(parent.as_deref(), theirs["link"].as_str(), "{theirs}");
        }
        let is_pair = theirs["linkinfo"]["info_kind"] == "veth";
        assert_eq!(ours.peer.is_some(), is_pair, "{theirs}");
        if let Some(peer) = &ours.peer {
            let named = seen.iter().find(|other| Some(other.index) == Some(peer.index));
            match theirs["link_netnsid"].as_i64() {
                Some(nsid) => {
                    assert_eq!(peer.nsid.map(i64::from), Some(nsid), "{theirs}");
                    assert_eq!(
                        Some(u64::from(peer.index)),
                        theirs["link_index"].as_u64(),
                        "{theirs}"
                    );
                }
                None => {
                    assert_eq!(peer.nsid, None, "{theirs}");
                    let name = named.map(|other| String::from_utf8_lossy(&other.name));
                    assert_eq!(name.as_deref(), theirs["link"].as_str(), "{theirs}");
                }
            }
        }
    }
}

#[test]
fn names_may_have_any_bytes() {
    if cannot_run() {
        return;
    }
    let sleeper = Sleeper::start();
    let names: [&[u8]; 5] =
        [b"\x1b]0;x\x07", b"\xff\xfe\xc3", b"\"quoted\"", b"a\\b@c", b"\x01\x7f"];
    for name in names {
        let mut command = Command::new("nsenter");
        command
            .args(["-t", &sleeper.word(), "-n", "ip", "link", "add", "name"])
            .arg(OsString::from_vec(name.to_vec()));
        command.args(["type", "bridge"]);
        finish(command).succeeds();
    }
    let seen = seen_in(sleeper.pid);
    for name in names {
        assert!(
            seen.iter().any(|interface| interface.name == name),
            "{:?}",
            OsStr::new(&OsString::from_vec(name.into()))
        );
    }
    // An end of that kind, from its own namespace.
    let other = Sleeper::start();
    let odd = OsString::from_vec(b"\x1b[1m\xff".to_vec());
    let mut command = Command::new("nsenter");
    command.args(["-t", &sleeper.word(), "-n", "ip", "link", "add"]).arg(&odd);
    command.args(["type", "veth", "peer", "name", "e", "netns", &other.word()]);
    finish(command).succeeds();
    let mut command = Command::new("nsenter");
    command.args(["-t", &sleeper.word(), "-n"]).arg(binary()).args(["-v", "--veth"]).arg(&odd);
    let said = command_enters(command, &other.ns());
    assert!(said.contains("\\x1b[1m\\xff"), "{said}");
}

/// A datagram that does not fit is asked for again, with room for it; an error of the kernel's is
/// told.
#[test]
fn answers_that_do_not_fit_are_asked_for_again() {
    if lacks(&["ip", "nsenter", "unshare", "strace"]) {
        return;
    }
    let sleeper = Sleeper::start();
    let address = ipv4();
    inside(sleeper.pid, &["ip", "addr", "add", &address, "dev", "lo"]);
    let strace = |inject: &str| {
        let mut command = Command::new("strace");
        command
            .args(["-qq", "-o", "/dev/null", "-e", "trace=recvfrom", "-e", inject])
            .arg(binary());
        command.args(["--addr", &address]);
        command
    };
    for when in ["1", "2", "5"] {
        command_enters(
            strace(&format!("inject=recvfrom:retval=300000:when={when}")),
            &sleeper.ns(),
        );
    }
    command_enters(strace("inject=recvfrom:error=EINTR:when=1..5"), &sleeper.ns());
    command_refuses(strace("inject=recvfrom:retval=300000000:when=1+"), &["list the interfaces"]);
    command_refuses(strace("inject=recvfrom:error=ENOBUFS:when=3"), &["list the interfaces"]);
    // Zeros are no message.
    command_refuses(strace("inject=recvfrom:retval=100:when=1"), &["list the interfaces"]);
}

/// A user who is nobody else's.
const USER: u32 = 64_537;
const STRANGER: u32 = 64_538;

#[test]
fn without_root_ones_own_namespaces_are_searched() {
    const NOT_FOUND: [&str; 3] =
        [" not found", "not all of the host could be read", "run it with sudo"];
    if cannot_run() {
        return;
    }
    if !finish(as_user(USER, &["unshare", "-Urn", "true"])).status.success() {
        return skip("users may not make user namespaces here");
    }
    let dir = Scratch::new("net");
    let binary = &dir.copy_of_binary();
    let rootless =
        |map: &str| Sleeper::apart(as_user(USER, &["unshare", "-Un", map, "sleep", "3600"]));
    let (one, other, roots) =
        (rootless("--map-root-user"), rootless("--map-current-user"), Sleeper::start());
    let (address, of_other, of_root) = (ipv4(), ipv6(), ipv4());
    for (sleeper, address) in [(&one, &address), (&other, &of_other), (&roots, &of_root)] {
        inside(sleeper.pid, &["ip", "addr", "add", address, "dev", "lo"]);
    }
    let _pair = pair(one.pid);
    for (sleeper, address) in [(&one, &address), (&other, &of_other)] {
        let said = command_enters(as_user(USER, &[binary, "--addr", address]), &sleeper.ns());
        assert!(said.contains("not all of the host could be searched"), "{said}");
        assert_eq!(
            command_enters(as_user(USER, &[binary, "-q", "--addr", address]), &sleeper.ns()),
            ""
        );
        let refused = as_user(STRANGER, &[binary, "--addr", address]);
        // What could not be looked at may have it.
        let said = command_refuses(refused, &NOT_FOUND);
        assert!(!said.contains("no network namespace has"), "{said}");
    }
    let refused = as_user(USER, &[binary, "--addr", &of_root]);
    let said = command_refuses(refused, &NOT_FOUND);
    assert!(!said.contains("no network namespace has"), "{said}");
    command_enters(as_user(USER, &[binary, "--veth", &_pair.0]), &one.ns());
    // Of a caller that does not wait for its children, and COMMAND finds none that it does not
    // know.
    let script = "trap '' CHLD; exec \"$@\" -- sh -c 'ps --no-headers --ppid $$ -o comm; readlink /proc/self/ns/net'";
    let output =
        finish(as_user(USER, &["sh", "-c", script, "sh", binary, "-q", "--addr", &address]));
    let lines: Vec<&str> = output.succeeds().stdout.lines().filter(|line| *line != "ps").collect();
    assert_eq!(lines, [one.ns()], "{}", output.dump());
    // In both at once.
    inside(other.pid, &["ip", "addr", "add", &address, "dev", "lo"]);
    command_refuses(
        as_user(USER, &[binary, "--addr", &address]),
        &["2 network namespaces have address"],
    );
}

/// The other end goes to another namespace between the question where it is and the search for
/// that.
#[test]
fn an_end_that_moves_meanwhile_is_refused() {
    if lacks(&["strace", "pgrep"]) {
        return;
    }
    let text = r#"
one=$(ns)
other=$(ns)
ip link add here type veth peer name there netns "$one"
stopped_at getdents64 "$1" --veth here -- touch /run/ran
nsenter -t "$one" -n ip link set there netns "$other"
status=0
go_on || status=$?
[ ! -e /run/ran ] && echo $status
"$1" --veth here -- readlink /proc/self/ns/net | grep -c "$(inode "$other")"
"#;
    let Some(output) = script(text) else { return };
    output.succeeds().prints("125\n1").says(&["has moved while it was looked for"]);
}

/// A dump that the kernel calls interrupted may lack something, so it is asked for once more.
#[test]
fn an_interrupted_dump_is_asked_for_again() {
    if lacks(&["strace"]) {
        return;
    }
    // On a machine of its own, where there are two namespaces and as many answers in every run.
    let text = r#"
one=$(ns)
nsenter -t "$one" -n ip addr add 192.0.2.7/24 dev lo
traced() {
    strace -qq -o /run/trace -e trace=socket,recvfrom "$@"
    grep -c '^socket(' /run/trace
}
enter() { traced "$@" --addr 192.0.2.7 -- sh -c 'readlink /proc/self/ns/net >/run/in'; }
plain=$(enter "$1")
[ "$(cat /run/in)" = "net:[$(inode "$one")]" ]
# The head of the first message, with NLM_F_DUMP_INTR: its length, RTM_NEWLINK, the flags.
length=$(sed -n 's/^recvfrom([^,]*, [^=]*nlmsg_len=\([0-9]*\),.*/\1/p' /run/trace | head -n 1)
head=$(printf '%02x%02x000010001200' $((length % 256)) $((length / 256)))
poke=inject=recvfrom:poke_exit=@arg2=$head:when=1
strace -qq -o /dev/null -e trace=recvfrom -e $poke true 2>/dev/null || { echo no poke; exit 0; }
interrupted=$(enter -e $poke "$1")
[ "$(cat /run/in)" = "net:[$(inode "$one")]" ]
echo "$interrupted $plain"
"#;
    let Some(output) = script(text) else { return };
    let words: Vec<&str> = output.succeeds().stdout.split_whitespace().collect();
    if words == ["no", "poke"] {
        return skip("this strace cannot change what a call returns");
    }
    let number = |at: usize| words[at].parse::<u32>().unwrap();
    assert_eq!(number(0), number(1) + 1, "{}", output.dump());
}

/// Namespaces that appear and vanish all the time change nothing.
#[test]
fn a_storm_of_namespaces_changes_nothing() {
    if cannot_run() {
        return;
    }
    let sleeper = Sleeper::start();
    let address = ipv4();
    let pair = pair(sleeper.pid);
    inside(sleeper.pid, &["ip", "addr", "add", &address, "dev", "eth0"]);
    let storm = || {
        let mut command = Command::new("sh");
        let inside =
            "ip link add v0 type veth peer name v1; ip addr add 203.0.113.1 dev v0; ip link del v0";
        command.args(["-c", &format!("while :; do unshare -n sh -c '{inside}'; done")]);
        Held::start(command)
    };
    let _storm = [storm(), storm()];
    for _ in 0..40 {
        enters(&["--addr", &address], &sleeper.ns());
        enters(&["--veth", &pair.0], &sleeper.ns());
    }
}

/// The interfaces of one namespace change so fast that no dump of them is whole.
#[test]
fn a_namespace_that_never_rests_hides_no_other() {
    if cannot_run() {
        return;
    }
    let (restless, sleeper) = (Sleeper::start(), Sleeper::start());
    let (address, of_restless) = (ipv4(), ipv4());
    inside(sleeper.pid, &["ip", "addr", "add", &address, "dev", "lo"]);
    inside(restless.pid, &["ip", "addr", "add", &of_restless, "dev", "lo"]);
    // More than one datagram holds.
    let scratch = Scratch::new("net");
    let many: String = (0..500)
        .map(|n| format!("addr add 203.0.113.{}/{} dev lo\n", n % 250, 24 + n / 250))
        .collect();
    inside(restless.pid, &["ip", "-batch", &scratch.write("many", many)]);
    let batch = "while :; do for n in 1 2 3 4 5 6 7 8; do echo addr add 192.0.2.$n dev lo; done; \
        for n in 1 2 3 4 5 6 7 8; do echo addr del 192.0.2.$n dev lo; done; done | \
        nsenter -t \"$0\" -n ip -force -batch - 2>/dev/null";
    let mut command = Command::new("sh");
    command.args(["-c", batch, &restless.word()]);
    let _busy = Held::start(command);
    for _ in 0..20 {
        enters(&["--addr", &address], &sleeper.ns());
        enters(&["--addr", &of_restless], &restless.ns());
    }
}

/// As many descriptors as ever are open at once, however many namespaces there are.
#[test]
fn two_thousand_namespaces_with_few_descriptors() {
    if cannot_run() {
        return;
    }
    let (address, scratch) = (ipv6(), Scratch::new("net"));
    let names =
        scratch.write("batch", (0..2000).map(|n| format!("netns add {n}\n")).collect::<String>());
    // Mounts of a mount namespace of its own: they end with it, and nobody else meets them.
    let script = "mount --make-rprivate / && mount -t tmpfs none /run && ip -batch \"$1\" || exit 9
        ip -n 1234 addr add \"$2\" dev lo || exit 9
        ulimit -n 64
        \"$3\" --addr \"$2\" -- readlink /proc/self/ns/net
        stat -L -c 'net:[%i]' /run/netns/1234";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, "sh"]).arg(&names).arg(&address).arg(binary());
    let output = finish(command);
    if output.status.code() == Some(9) {
        return skip("2000 namespaces cannot be made");
    }
    let lines: Vec<&str> = output.succeeds().stdout.lines().collect();
    assert!(lines.len() == 2 && lines[0] == lines[1] && lines[0] != own_ns(), "{}", output.dump());
}

#[test]
fn the_options_are_checked() {
    run(&["--addr", "10.0.0", "--", "echo", "ran"]).refuses(&["invalid address", "fd00::7"]);
    run(&["--addr", "10.0.0.1", "--veth", "x", "--", "echo", "ran"]).refuses(&["two targets"]);
    run(&["--veth", "", "--", "echo", "ran"]).refuses(&["empty"]);
}
