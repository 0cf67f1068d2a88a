//! `--list`: every namespace once, with the right names and addresses, whatever they are called and
//! whatever comes and goes.

#![forbid(unsafe_code)]

use crate::engines::alone_with_daemons;
use crate::engines::containerd::Containerd;
use crate::engines::docker::Docker;
use crate::engines::lxc::Lxc;
use crate::engines::podman::Podman;
use crate::engines::runc::Runc;
use crate::machine::{script, script_with};
use crate::net::{Link, interface, ipv4};
use crate::util::{
    Cgroup, Scratch, Sleeper, binary, container_id, inode_of, lacks, run, sh, skip, small_build,
    thread_apart, tool, unique, until,
};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// Runs a script, or the test is over.
macro_rules! machine {
    ($text:expr) => {
        match script($text) {
            Some(output) => output,
            None => return,
        }
    };
}

/// One namespace of each kind. `$web` and `$side` are containers in one namespace, `$plain` is a
/// process, `$tid` a thread.
const EACH_KIND: &str = r#"
web=$(ns)
ip link add vweb type veth peer name eth0 netns "$web"
ip addr add 172.30.0.1/16 dev vweb
ip link set vweb up
nsenter -t "$web" -n ip link set eth0 up
nsenter -t "$web" -n ip addr add 172.30.0.2/16 dev eth0
nsenter -t "$web" -n ip addr add fd30::2/64 dev eth0 nodad
side=$(join "$web")
docker web "$web" "$(id aa)"
docker side "$side" "$(id ab)"
sleep 3600 &
runc proxy $!
plain=$(ns)
nsenter -t "$plain" -n ip link add a0 type veth peer name b0
nsenter -t "$plain" -n ip addr add 192.0.2.9/24 dev a0
cart=$(ns)
app=$(join "$cart")
pod shop cart-7d9f one "$cart" "$(id ac)"
pod shop cart-7d9f two "$app" "$(id ad)"
ip netns add blue
ip link add vblue type veth peer name eth0 netns blue
ip -n blue addr add 10.7.0.2/24 dev eth0
ip -n blue link set eth0 netns "$plain" name far 2>/dev/null
ip netns exec blue ip link add eth0 type veth peer name near netns "$cart"
touch /run/netns/cni-0a1b /run/elsewhere
mount --bind "/proc/$web/ns/net" /run/netns/cni-0a1b
mount --bind "/proc/$plain/ns/net" /run/elsewhere
ip netns add netns-left
python3 -c '
import ctypes, threading, time
def away():
    ctypes.CDLL(None).unshare(0x40000000)
    print(threading.get_native_id(), flush=True)
    time.sleep(3600)
threading.Thread(target=away).start()
time.sleep(3600)' >/run/tid &
until [ -s /run/tid ]; do sleep 0.01; done
tid=$(cat /run/tid)
"#;

#[test]
fn each_kind_of_namespace_is_in_one_row() {
    let checks = r#"
"$1" --list >/run/table
"$1" --list --json >/run/json
row() { grep "^$1 " /run/table; }
host=$(inode self)
[ "$(wc -l </run/table)" = 8 ]
set -x
row "$host" | grep -Eq ' \(host\) runc:proxy  *-  *vweb(@eth0)? 172.30.0.1/16 vblue(@[a-z0-9]*)? -$'
row "$(inode $web)" | grep -q " $web  *2  *docker:side docker:web  *-  *eth0@vweb 172.30.0.2/16 fd30::2/64\$" ||
    row "$(inode $web)" | grep -q " $side  *2  *docker:side docker:web  *-  *eth0@vweb 172.30.0.2/16 fd30::2/64\$"
row "$(inode $plain)" | grep -q " $plain  *1  *\[sleep\]  *-  *b0 - a0 192.0.2.9/24 far@vblue -\$"
row "$(inode $cart)" | grep -q " 2  *k8s:shop/cart-7d9f  *-  *near -\$"
row "$(stat -Lc %i /run/netns/blue)" | grep -q " -  *0  *-  *blue  *eth0 -\$"
row "$(stat -Lc %i /run/netns/netns-left)" | grep -q " -  *0  *-  *netns-left  *-\$"
row "$(inode $tid)" | grep -q " $tid  *0  *\[python3\]  *-  *-\$"
set +x
holds /run/json "length == 7 and ([.[].inode] | . == unique)"
holds /run/json "[.[] | select(.host)] | length == 1 and .[0].inode == $host"
holds /run/json "[.[] | select(.inode == $(inode $web))][0] | .pid == $side and .processes == 2 and .unit == null and .command == \"sleep\"
    and .containers == [{engine: \"docker\", name: \"side\", id: \"$(id ab)\", pid: $side, claimed_by: null}, {engine: \"docker\", name: \"web\", id: \"$(id aa)\", pid: $web, claimed_by: null}]
    and .pins == [\"/run/netns/cni-0a1b\"]"
holds /run/json "[.[] | select(.inode == $(inode $plain))][0] | .containers == [] and .pins == [\"/run/elsewhere\"]"
holds /run/json "[.[] | select(.inode == $(inode $cart))][0].containers | map(.name) == [\"shop/cart-7d9f/one\", \"shop/cart-7d9f/two\"]"
holds /run/json "[.[] | select(.inode == $(inode $tid))][0] | .pid == $tid and .processes == 0"
# Ends of pairs: with us, in one namespace, and between two others.
holds /run/json "[.[] | select(.inode == $(inode $web))][0].interfaces[] | select(.name == \"eth0\").peer
    | .inode == $host and .name == \"vweb\" and .index == $(cat /sys/class/net/vweb/ifindex 2>/dev/null || ip -j link show vweb | jq '.[0].ifindex')"
holds /run/json "[.[] | select(.host)][0].interfaces[] | select(.name == \"vweb\").peer | .inode == $(inode $web) and .name == null"
holds /run/json "[.[] | select(.inode == $(inode $plain))][0].interfaces | map({(.name): .peer}) | add
    | .a0.name == \"b0\" and .a0.inode == $(inode $plain) and .b0.name == \"a0\""
holds /run/json "[.[] | select(.inode == $(inode $cart))][0].interfaces[] | select(.name == \"near\").peer.inode == $(stat -Lc %i /run/netns/blue)"
"#;
    machine!(&format!("{EACH_KIND}{checks}")).succeeds();
}

/// lsns and ip have the last word on every row.
#[test]
fn every_row_agrees_with_lsns_and_ip() {
    let checks = r#"
# The kernel changes states and adds addresses in its own time: a list counts where ip shows the same
# before and after.
rest() {
    for file in /proc/[0-9]*/ns/net "/proc/$tid/ns/net" /run/netns/blue /run/netns/netns-left; do
        nsenter --net="$file" ip -j addr 2>/dev/null || :
    done
}
until
    rest >/run/before
    lsns -t net -J -o NS,NPROCS,PID >/run/lsns
    "$1" --list --json >/run/json
    rest >/run/after
    cmp -s /run/before /run/after
do :; done
jq -c '[.namespaces[] | [(.ns | tonumber), (.nprocs | tonumber)]] | sort | .[]' /run/lsns >/run/theirs
jq -c '.[] | select(.processes > 0) | [.inode, .processes]' /run/json >/run/ours
diff /run/theirs /run/ours
jq -r '.[] | "\(.inode) \(.pid // "") \(.pins[0] // "")"' /run/json | while read -r inode pid pin; do
    if [ -n "$pin" ] && [ -e "$pid" ]; then file=$pin; else file=/proc/$pid/ns/net; fi
    case $pid in /*) file=$pid;; esac
    [ "$(stat -Lc %i "$file")" = "$inode" ]
    nsenter --net="$file" ip -j addr | jq -c 'map({name: .ifname, index: .ifindex, state: .operstate, mac: (.address // ""),
        addresses: [.addr_info[] | "\(.local)/\(.prefixlen)"]})' >/run/theirs
    jq -c ".[] | select(.inode == $inode).interfaces | map({name, index, state, mac, addresses})" /run/json >/run/ours
    diff /run/theirs /run/ours
    echo row
done
"#;
    let output = machine!(&format!("{EACH_KIND}{checks}"));
    assert_eq!(
        output.succeeds().stdout.lines().filter(|line| *line == "row").count(),
        7,
        "{}",
        output.dump()
    );
}

#[test]
fn one_target_is_one_row() {
    let checks = r#"
other=$(ns)
"$1" --list web --json >/run/json
holds /run/json "length == 1 and .[0].inode == $(inode $web) and (.[0].containers | length) == 2"
for target in "-p $web" "-n cni-0a1b" "-i $(inode $web)" "-c docker:side" "-f /run/netns/cni-0a1b"; do
    [ "$("$1" -l $target | wc -l)" = 2 ]
    "$1" $target --list | grep -q "^$(inode $web) "
done
! "$1" --list nosuch 2>/dev/null
# Held by nothing but a mount in another mount namespace.
unshare -m --propagation private sh -c 'mount --bind "/proc/$1/ns/net" /run/elsewhere; sleep 3600' sh "$other" &
until [ "$(stat -c %i "/proc/$!/root/run/elsewhere")" = "$(inode $other)" ]; do sleep 0.01; done
left=$(inode $other)
kill "$other"
while kill -0 "$other" 2>/dev/null; do sleep 0.01; done
"$1" --list --json -f "/proc/$!/root/run/elsewhere" >/run/json
holds /run/json "length == 1 and .[0].inode == $left and .[0].pid == null and (.[0].interfaces | length) == 1"
"#;
    machine!(&format!("{EACH_KIND}{checks}")).succeeds();
}

/// Other people's bytes: escape sequences, quotes, newlines, no UTF-8.
#[test]
fn any_name_gives_valid_json_and_a_whole_table() {
    let text = r#"
nasty=$(ns)
name=$(printf 'e\033[2J"\\\377\177')
ip link add name "$name" type veth peer name other netns "$nasty"
docker 'a\u001b[31m\n\"b\\ c\u009b' "$nasty" "$(id aa)"
file=$(printf '/run/p q\n\377"\\\033')
touch "$file"
mount --bind "/proc/$nasty/ns/net" "$file"
mkdir -p /run/netns
touch '/run/netns/a b'
mount --bind "/proc/$nasty/ns/net" '/run/netns/a b'
nsenter -t "$nasty" -n ip addr add 10.1.1.1/24 dev other
python3 -c '
import ctypes
libc = ctypes.CDLL(None)
libc.unshare(0x40000000)
libc.prctl(15, b"x\x1b\xff\"y\n)", 0, 0, 0)
libc.pause()' &
until [ "$(readlink /proc/$!/ns/net)" != "$own" ]; do sleep 0.01; done
until ! grep -q python "/proc/$!/comm"; do sleep 0.01; done
"$1" --list --json >/run/json
"$1" --list >/run/table
holds /run/json '[.[] | select(.host)][0].interfaces | any(.name == "e\u001b[2J\"\\\\xff\u007f")'
holds /run/json "[.[] | select(.inode == $(inode $nasty))][0].interfaces | any(.peer.name == \"e\\u001b[2J\\\"\\\\\\\\xff\\u007f\")"
holds /run/json "[.[] | select(.inode == $(inode $nasty))][0].containers[0].name == \"a\\u001b[31m\\n\\\"b\\\\ c\\u009b\""
holds /run/json "[.[] | select(.inode == $(inode $nasty))][0].pins | sort == [\"/run/netns/a b\", \"/run/p q\\n\\\\xff\\\"\\\\\\u001b\"]"
holds /run/json "[.[] | select(.pid == $!)][0].command == \"x\\u001b\\\\xff\\\"y\\n)\""
python3 - <<'END'
import json
raw = open("/run/json", "rb").read()
assert json.loads(raw.decode("utf-8")), raw
assert not any(b < 32 and b != 10 or b == 127 for b in raw), raw
table = open("/run/table", "rb").read().decode("utf-8")
assert not any((ord(c) < 32 and c != "\n") or 127 <= ord(c) < 160 for c in table), table
lines = table.splitlines()
assert len(lines) == 4, table
nasty = next(line for line in lines if "docker:" in line)
assert nasty.split()[-3:] == ["a\\x20b", "other@e\\x1b[2J\"\\\\xff\\x7f", "10.1.1.1/24"], nasty
assert "docker:a\\x1b[31m\\x0a\"b\\\\x20c\\xc2\\x9b" in nasty, nasty
assert any("[x\\x1b\\xff\"y\\x0a)]" in line for line in lines), table
# Columns begin where their heads do.
for head in ["INODE", "PID", "PROCS", "NAME", "PINNED", "ADDRESSES"]:
    at = lines[0].index(head)
    assert all(at == 0 or line[at - 1] == " " and line[at] != " " for line in lines), table
END
"#;
    machine!(text).succeeds();
}

/// Processes and namespaces that come and go are no error, and change nothing about those that
/// stay.
#[test]
fn a_storm_of_processes_disturbs_nothing() {
    let text = r#"
web=$(ns)
ip link add vweb type veth peer name eth0 netns "$web"
nsenter -t "$web" -n ip addr add 172.30.0.2/16 dev eth0
docker web "$web" "$(id aa)"
ip netns add blue
inode_web=$(inode "$web")
inode_blue=$(stat -Lc %i /run/netns/blue)
(while :; do unshare -n true; done) &
(while :; do unshare -n sh -c 'sleep 0.01 & sleep 0.005'; done) &
(while :; do sh -c 'true & true & true'; done) &
(while :; do ip netns add gone; ip netns del gone; done) >/dev/null 2>&1 &
(while :; do nsenter -t "$web" -n true; done) &
n=0
while [ $n -lt 200 ]; do
    "$1" --list --json >>/run/all
    n=$((n + 1))
done
jq -s . /run/all >/run/json
holds /run/json "length == 200 and all(.[]; [.[].inode] | . == unique)"
holds /run/json "all(.[]; [.[] | select(.host)] | length == 1)"
holds /run/json "all(.[]; [.[] | select(.inode == $inode_web)] | length == 1 and .[0].pid == $web
    and (.[0].containers | map(.name)) == [\"web\"] and .[0].interfaces[1].addresses[0] == \"172.30.0.2/16\"
    and .[0].interfaces[1].peer.name == \"vweb\")"
holds /run/json "all(.[]; [.[] | select(.inode == $inode_blue)] | length == 1 and (.[0].pins | index(\"/run/netns/blue\")) == 0)"
# A name or an address that stays is never a passer-by's.
holds /run/json "all(.[][]; .inode == $inode_web or (.containers == [] and all(.interfaces[].addresses[]; . != \"172.30.0.2/16\")))"
"#;
    let output = machine!(text);
    assert_eq!(output.succeeds().stderr, "", "{}", output.dump());
}

/// Processes that go to another namespace after they were found: that one's addresses are not shown
/// in their old rows.
#[test]
fn a_process_that_moves_on_lends_its_row_nothing() {
    if lacks(&["strace", "pgrep"]) {
        return;
    }
    let text = r#"
ip netns add blue
ip -n blue addr add 10.7.0.2/24 dev lo
movers=
for n in 1 2 3 4; do
    unshare -n sh -c 'until [ -e /run/go ]; do sleep 0.01; done; exec nsenter --net=/run/netns/blue sleep 3600' &
    until [ "$(readlink /proc/$!/ns/net)" != "$own" ]; do sleep 0.01; done
    movers="$movers $!"
    [ $n -le 2 ] || docker mover$n $! "$(id a$n)"
done
# It has looked at one by then, and knows of all.
stopped_at setns "$1" --list --json >/run/json
touch /run/go
for pid in $movers; do until [ "$(inode $pid)" = "$(stat -Lc %i /run/netns/blue)" ]; do sleep 0.01; done; done
go_on
holds /run/json "[.[] | select(any(.interfaces[].addresses[]; . == \"10.7.0.2/24\"))] | length == 1 and .[0].inode == $(stat -Lc %i /run/netns/blue) and .[0].containers == []"
"#;
    machine!(text).succeeds();
}

#[test]
fn two_thousand_namespaces_need_few_descriptors() {
    let text = r#"
mkdir /run/netns
python3 - <<'END'
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
home = os.open("/proc/self/ns/net", os.O_RDONLY)
for n in range(2000):
    assert libc.unshare(0x40000000) == 0
    path = f"/run/netns/n{n}"
    os.close(os.open(path, os.O_CREAT))
    if n % 20:
        assert libc.mount(b"/proc/self/ns/net", path.encode(), None, 4096, None) == 0, ctypes.get_errno()
    elif os.fork() == 0:
        os.execvp("sleep", ["sleep", "3600"])
    libc.setns(home, 0)
END
ulimit -n 64
"$1" --list --json >/run/json
holds /run/json '(length == 2001) and all(.[]; .interfaces | length > 0)'
"$1" --list | tail -n +2 | wc -l
"#;
    machine!(text).succeeds().prints("2001");
}

#[test]
fn without_root_ones_own_is_listed_and_the_rest_is_one_note() {
    let dir = Scratch::new("list");
    let text = r#"
user="setpriv --reuid=64533 --regid=64533 --clear-groups env HOME=/var/lib/al XDG_RUNTIME_DIR=/run/user/64533"
mkdir -p /run/user/64533 /var/lib/al
rootless() {
    $user unshare -Un "$1" sleep 3600 >/dev/null 2>&1 &
    until [ "$(readlink /proc/$!/ns/net)" != "$own" ] && [ "$(cat /proc/$!/comm)" = sleep ]; do :; done
    echo $!
}
one=$(rootless -r)
two=$(rootless -c)
# A second one of the same user namespace.
$user nsenter -t "$one" -U --preserve-credentials unshare -n sleep 3600 &
three=$!
until [ "$(readlink /proc/$three/ns/net)" != "$own" ] && [ "$(cat /proc/$three/comm)" = sleep ]; do :; done
for n in 1:$one 2:$two 3:$three; do
    nsenter -t "${n#*:}" -n ip addr add "10.0.0.${n%:*}/24" dev lo
done
mkdir -p /var/lib/al/.local/share/docker/containers/$(id aa)
echo "{\"ID\":\"$(id aa)\",\"Name\":\"/mine\"}" >/var/lib/al/.local/share/docker/containers/$(id aa)/config.v2.json
state $(id aa) $one /run/user/64533/docker/runtime-runc/moby
chown -R 64533:64533 /run/user/64533 /var/lib/al
roots=$(ns)
docker hidden "$roots" "$(id ab)"
chmod 700 /var/lib/docker
ip netns add blue
$user "$1" --list --json >/run/json 2>/run/notes
$user "$1" --list >/run/table 2>/run/notes2
for n in 1:$one 2:$two 3:$three; do
    holds /run/json "[.[] | select(.inode == $(inode ${n#*:}))] | length == 1 and .[0].pid == ${n#*:} and .[0].interfaces[0].addresses[0] == \"10.0.0.${n%:*}/24\""
    grep -q "^$(inode ${n#*:}) .*lo 10.0.0.${n%:*}/24\$" /run/table
done
holds /run/json "[.[] | select(.inode == $(inode $one))][0].containers == [{engine: \"docker\", name: \"mine\", id: \"$(id aa)\", pid: $one, claimed_by: null}]"
# The same for root, who is told whose word that is. Of whom /etc/passwd does not know there is no home
# to learn names from.
"$1" --list --json >/run/roots 2>/run/notes3
holds /run/roots "[.[] | select(.inode == $(inode $one))][0].containers == [{engine: \"docker\", name: \"$(id aa)\", id: \"$(id aa)\", pid: $one, claimed_by: 64533}]"
holds /run/roots "[.[] | select(.inode == $(inode $roots))][0].containers | map(.name, .claimed_by) == [\"hidden\", null]"
"$1" --list 2>/dev/null | grep -q "^$(inode $one) .* docker:$(id aa)@64533  *-  *lo 10.0.0.1/24\$"
"$1" -q docker:$(id aa)@64533 -- readlink /proc/self/ns/net | grep -q "$(inode $one)"
holds /run/json "all(.[]; .inode != $(inode $roots))"
holds /run/json "[.[] | select(.pins == [\"/run/netns/blue\"])] | length == 1 and .[0].interfaces == []"
grep -q ' blue  *?$' /run/table
for notes in /run/notes /run/notes2; do
    [ "$(wc -l <$notes)" = 1 ] && grep -q '^netns-enter: note: not all of the host could be read: ' $notes
done
$user "$1" -q --list 2>&1 >/dev/null | wc -c
"#;
    let Some(output) = script_with(text, dir.copy_of_binary()) else { return };
    output.succeeds().prints("0");
}

#[test]
fn below_a_host_root_paths_are_the_hosts() {
    let text = r#"
web=$(ns)
mkdir -p /run/host/proc /run/host/run/netns /run/netns
mount --rbind /proc /run/host/proc
touch /run/host/run/netns/inside /run/outside
mount --bind "/proc/$web/ns/net" /run/host/run/netns/inside
mount --bind "/proc/$web/ns/net" /run/outside
state here "$web" /run/host/run/runc
runc mine "$web"
"$1" --host-root /run/host --list --json >/run/json
holds /run/json "[.[] | select(.inode == $(inode $web))][0] | .pins == [\"/run/netns/inside\"] and (.containers | map(.name)) == [\"here\"]"
"$1" --host-root /run/host --list | grep -q "^$(inode $web) .* runc:here  *inside "
kill "$web"
"$1" --host-root /run/host -i "$(stat -Lc %i /run/outside)" -- readlink /proc/self/ns/net | grep -q "$(stat -Lc %i /run/outside)"
"#;
    machine!(text).succeeds();
}

#[test]
fn what_is_wrong_with_one_container_hides_no_other() {
    let text = r#"
web=$(ns)
dead=$(ns)
runc web "$web"
runc dead "$dead"
kill "$dead"
runc reused "$web"
sed -i 's/start":/start":9/' /run/runc/reused/state.json
mkdir -p /run/runc/broken
echo '{"init_process_pid":' >/run/runc/broken/state.json
"$1" --list --json >/run/json 2>/run/notes
holds /run/json "[.[].containers[].name] == [\"web\"]"
grep -q '/run/runc/broken/state.json' /run/notes
"#;
    machine!(text).succeeds();
}

/// Without containers a row has the systemd unit, and a container that no runtime has a record of
/// is known by its cgroup.
#[test]
fn cgroups_tell_units_and_containers() {
    let (id, unit) = (container_id(), format!("{}.service", unique("unit")));
    let (Some(container), Some(service)) =
        (Cgroup::new(&format!("docker/{id}")), Cgroup::new(&unit))
    else {
        return skip("no cgroup hierarchy can be written");
    };
    let text = format!(
        r#"
umount /sys/fs/cgroup
first=$(first {id})
web=${{first#* }}
plain=$(ns)
docker web "$web" {id}
docker gone "$plain" "$(id ab)"
rm -r /run/docker
echo "$web" >{}/cgroup.procs
echo "$plain" >{}/cgroup.procs
"$1" --list --json >/run/json
holds /run/json "[.[] | select(.inode == $(inode "$web"))][0].containers == [{{engine: \"docker\", name: \"web\", id: \"{id}\", pid: $web, claimed_by: null}}]"
holds /run/json "[.[] | select(.inode == $(inode "$plain"))][0] | .containers == [] and .unit == \"{unit}\""
"$1" --list | grep -q "^$(inode "$plain") .* {unit}  *-  *-\$"
[ "$("$1" --all true | wc -l)" = 1 ]
kill -9 "${{first% *}}" "$plain"
while readlink "/proc/$web/ns/net" || readlink "/proc/$plain/ns/net"; do sleep 0.01; done >/dev/null 2>&1
"#,
        container.path(),
        service.path()
    );
    machine!(&text).succeeds();
}

/// A full ID costs the same however many containers there are; a name is looked for in each once;
/// no engine is enumerated twice.
#[test]
fn no_more_is_read_than_needed() {
    if lacks(&["strace"]) {
        return;
    }
    let text = r#"
web=$(ns)
make() { # FROM TO
    n=$1
    while [ "$n" -le "$2" ]; do docker "web$n" "$web" "$(id "${n}a")"; n=$((n + 1)); done
}
traced() { strace -f -o /run/trace -e trace=%file,read,getdents64 "$@" >/run/out 2>/run/notes; }
count() { grep -c "open.*$1\"" /run/trace || true; }
look() {
    traced "$1" -c "$(id 15a)" -- true
    echo "ID: $(count config.v2.json) $(count docker/containers) $(grep -c . /run/trace)"
    traced "$1" -c web15 -- true
    echo "name: $(count config.v2.json) $(count docker/containers) $(count 'moby/.*state.json')"
    for action in --list --pin-all "-q --all true"; do
        traced "$1" $action
        echo "all: $(count config.v2.json) $(count docker/containers)"
    done
}
make 10 19
look "$1" >/run/ten
make 20 59
look "$1" >/run/fifty
[ "$(grep ID: /run/ten)" = "$(grep ID: /run/fifty)" ]
grep -q '^ID: 0 0 ' /run/ten
once=$(sed -n 's/^name: 10 \([0-9]*\) [0-9]*$/\1/p' /run/ten)
[ "$(grep -cx "all: 10 $once" /run/ten)" = 3 ]
[ "$(sed 's/ 10 / 50 /' /run/ten | grep -v ID:)" = "$(grep -v ID: /run/fifty)" ]
"#;
    machine!(text).succeeds();
}

/// Whatever the kernel refuses for want of memory or descriptors, no row and no name is missing
/// from a list that succeeds. Only what cannot be read of one container's own file is told in a note,
/// which names the file.
#[test]
fn a_refused_call_never_shortens_the_list() {
    // Another libc's start-up is not ours to judge.
    if lacks(&["strace"]) || !small_build() {
        return;
    }
    let text = r#"
list() { jq -c '[.[] | del(.processes)]' "$1"; }
# What is left of the list is right, and a note tells of the file whose container is missing.
is_told() {
    jq -c '[.[] | del(.containers, .processes, .pid, .command, .unit)]' /run/json >/run/rest
    jq -c '[.[] | del(.containers, .pid, .command, .unit)]' /run/expected | diff - /run/rest >/dev/null &&
        grep -Eq 'note: .*"/[^"]*/(state|config|config.v2).json": ' /run/notes
}
# The call that failed was about that file alone: it was opened by its name, and not a directory.
is_files() {
    grep -B 1 '(INJECTED)' /run/failed | grep -Eq '"([^"/]*/)?(state|config|config.v2)\.json"'
}
strace -o /run/trace "$1" --list --json >/run/json
list /run/json >/run/expected
runs=0
# A call that strace has no name for, such as listns, it cannot let fail.
for call in $(sed -n 's/^\([a-z0-9_]*\)(.*/\1/p' /run/trace | sort -u | grep -vxE 'brk|execve|exit_group|arch_prctl|set_tid_address|write|fcntl|close|syscall_.*'); do
    last=$(grep -c "^$call(" /run/trace)
    n=1
    while [ $n -le "$last" ]; do
        for errno in EMFILE ENOMEM EIO; do
            status=0
            strace -qq -o /run/failed -e "trace=$call,openat2" -e "inject=$call:error=$errno:when=$n" "$1" --list --json >/run/json 2>/run/notes || status=$?
            case $status in
                0) list /run/json | diff /run/expected - >/run/diff || { [ $errno = EIO ] && is_files && is_told; } ||
                    { echo "$call $n $errno"; grep -B 1 '(INJECTED)' /run/failed; cat /run/notes; } >>/run/wrong;;
                125) [ ! -s /run/json ] || echo "$call $n $errno: output" >>/run/wrong;;
                *) echo "$call $n $errno: $status" >>/run/wrong;;
            esac
            runs=$((runs + 1))
        done
        n=$((n + 1 + last / 12))
    done
done
[ ! -s /run/wrong ] || { cat /run/wrong >&2; exit 1; }
echo $runs
"#;
    let output = machine!(&format!("{EACH_KIND}{text}"));
    let runs: u32 = output.succeeds().stdout.trim().parse().unwrap_or_default();
    assert!(runs > 100, "{}", output.dump());
}

/// A row of `--list --json` by the container's name: inode, pid, and how many rows there are.
#[track_caller]
fn listed(json: &str, engine: &str, name: &str) -> (u64, u32) {
    let filter = format!(
        "[.[] | .inode as $inode | .containers[] | select(.engine == \"{engine}\" and .name == \"{name}\") | \"\\($inode) \\(.pid)\"]\
         | length, .[0]"
    );
    let output = tool("jq", &["-r", &filter, json]);
    let lines: Vec<&str> = output.succeeds().stdout.lines().collect();
    assert_eq!(lines[0], "1", "{engine}:{name}: {}", output.dump());
    let (inode, pid) = lines[1].split_once(' ').unwrap();
    (inode.parse().unwrap(), pid.parse().unwrap())
}

/// What ip and lsns, whose list is `$1`, say of the namespace of file `$2`.
const ORACLES: &str = r#"
inode=$(stat -Lc %i "$2")
procs=$(jq "[.namespaces[] | select((.ns | tonumber) == $inode).nprocs | tonumber] | add // 0" "$1")
nsenter --net="$2" ip -j addr | jq -Sc "[$procs, map({name: .ifname, index: .ifindex,
    state: .operstate, mac: (.address // \"\"), addresses: [.addr_info[] | \"\(.local)/\(.prefixlen)\"]})]"
"#;
/// What our list in `$1` has in the row of the namespace of file `$2`.
const ROW: &str = r#"
inode=$(stat -Lc %i "$2")
jq -Sc ".[] | select(.inode == $inode) | [.processes, (.interfaces | map({name, index, state, mac, addresses}))]" "$1"
"#;

fn netns_of(pid: u32) -> String {
    format!("/proc/{pid}/ns/net")
}

fn inode(file: &str) -> u64 {
    fs::metadata(file).unwrap_or_else(|e| panic!("{file}: {e}")).ino()
}

/// A namespace that only `ip netns` made and holds.
struct Left(String);

impl Left {
    fn new() -> Left {
        let left = Left(unique("left"));
        tool("ip", &["netns", "add", &left.0]).succeeds();
        left
    }
}

impl Drop for Left {
    fn drop(&mut self) {
        tool("ip", &["netns", "delete", &self.0]);
    }
}

/// Makes a pair of interfaces into a namespace, `ne-probe` with an address being the other end, and
/// has netns-enter find that by its address and by our end, with which it goes.
#[track_caller]
fn probe(file: &str) -> Link {
    let (link, address) = (Link(interface()), ipv4());
    let script = r#"
            ip link add "$1" type veth peer name ne-probe$$ && nsenter --net="$2" sleep 3600 & inside=$!
            until [ "$(stat -Lc %i /proc/$inside/ns/net 2>/dev/null)" = "$(stat -Lc %i "$2")" ]; do sleep 0.01; done
            ip link set ne-probe$$ netns $inside name ne-probe; code=$?
            kill $inside; wait $inside 2>/dev/null; [ $code = 0 ] || exit 1
            nsenter --net="$2" ip addr add "$3/24" dev ne-probe"#;
    sh(script, &[&link.0, file, &address]).succeeds();
    for target in [["--addr", &address], ["--veth", &link.0]] {
        let found =
            run(&["-q", target[0], target[1], "--", "stat", "-Lc", "%i", "/proc/self/ns/net"]);
        found.succeeds().prints(&inode(file).to_string());
    }
    link
}

/// Live engines side by side: each container in one row, as ip and lsns have it, and what NAME
/// shows can be typed.
#[test]
fn containers_of_live_engines_are_named() {
    if lacks(&["jq", "ip", "nsenter", "lsns", "unshare", "python3"]) {
        return;
    }
    let _alone = alone_with_daemons();
    let mut expected: Vec<(&str, String, u32)> = Vec::new();
    let mut docker = Docker::start();
    let mut address = None;
    match &mut docker {
        Ok(docker) => {
            let (web, _) = docker.make(&["run", "-d"], &[]).expect("a container");
            let (side, _) = docker
                .make(&["run", "-d"], &["--network", &format!("container:{web}")])
                .expect("a container");
            let (host, _) =
                docker.make(&["run", "-d"], &["--network", "host"]).expect("a container");
            address = Some((
                web.clone(),
                docker.inspect(
                    &web,
                    "{{.NetworkSettings.IPAddress}}/{{.NetworkSettings.IPPrefixLen}}",
                ),
            ));
            for name in [web, side, host] {
                let pid = docker.pid(&name).expect("its pid");
                expected.push(("docker", name, pid));
            }
        }
        Err(reason) => skip(reason),
    }
    let mut containerd = Containerd::start();
    match &mut containerd {
        Ok(containerd) => {
            let name = Containerd::name();
            match containerd.run("default", &name, &[]) {
                Ok(pid) => expected.push(("containerd", name, pid)),
                Err(reason) => skip(&reason),
            }
            let key = |key: &str, value: &str| format!("io.kubernetes.cri.{key}={value}");
            let annotations = [
                key("sandbox-name", "cart"),
                key("sandbox-namespace", "ne-list"),
                key("container-type", "sandbox"),
            ];
            match containerd.run("k8s.io", &container_id(), &annotations) {
                Ok(pid) => expected.push(("k8s", "ne-list/cart".into(), pid)),
                Err(reason) => skip(&reason),
            }
        }
        Err(reason) => skip(reason),
    }
    let podman = Podman::start().map_err(|reason| skip(&reason));
    let runc = Runc::start(&["run", "-d"]).map_err(|reason| skip(&reason));
    let lxc = Lxc::start().map_err(|reason| skip(&reason));
    expected.extend(podman.iter().map(|podman| ("podman", podman.name.clone(), podman.pid)));
    expected.extend(runc.iter().map(|runc| ("runc", runc.name.clone(), runc.pid)));
    expected.extend(lxc.iter().map(|lxc| ("lxc", lxc.name.clone(), lxc.pid)));
    // Beside them what is no container: a name without a process, a process, and a thread alone.
    let left = Left::new();
    let (plain, thread) = (Sleeper::start(), thread_apart());
    let own = inode_of(std::process::id());
    let mut files: Vec<String> =
        expected.iter().map(|(.., pid)| *pid).chain([plain.pid, thread.1]).map(netns_of).collect();
    files.push(format!("/run/netns/{}", left.0));
    files.retain(|file| Some(inode(file)) != own);
    files.sort_by_key(|file| inode(file));
    files.dedup_by_key(|file| inode(file));
    let _probes: Vec<Link> = files.iter().map(|file| probe(file)).collect();

    let dir = Scratch::new("list");
    // The kernel changes states and adds addresses in its own time, and an engine may look into a
    // container: what they show before and after counts where it is the same.
    let theirs = || -> Vec<String> {
        let lsns = tool("lsns", &["-t", "net", "-J", "-o", "NS,NPROCS"]);
        let lsns = dir.write("lsns", &lsns.succeeds().stdout);
        files.iter().map(|file| sh(ORACLES, &[&lsns, file]).succeeds().stdout.clone()).collect()
    };
    let mut both = (Vec::new(), String::new());
    until("namespaces that rest", || {
        let before = theirs();
        both = (before, run(&["--list", "--json"]).succeeds().stdout.clone());
        both.0 == theirs()
    });
    let json = &dir.write("list", &both.1);
    for (file, theirs) in files.iter().zip(&both.0) {
        let row = sh(ROW, &[json, file]);
        row.succeeds().prints(theirs);
        assert!(theirs.contains("ne-probe"), "{}", row.dump());
    }
    for (engine, name, pid) in &expected {
        let inode = inode_of(*pid).expect("a live process");
        assert_eq!(listed(json, engine, name), (inode, *pid), "{engine}:{name}");
        let found = run(&[
            "-q",
            &format!("{engine}:{name}"),
            "--",
            "stat",
            "-Lc",
            "%i",
            "/proc/self/ns/net",
        ]);
        found.succeeds().prints(&inode.to_string());
    }
    if let Some((web, address)) = address {
        let table = run(&["--list", &web]);
        let address = address.expect("its address");
        let row = table.succeeds().stdout.lines().nth(1).unwrap_or_default().to_owned();
        assert!(
            row.contains("  eth0@veth") && row.contains(&format!(" {address} ")),
            "{}",
            table.dump()
        );
    }
}

#[test]
fn output_that_cannot_be_written_is_an_error() {
    if lacks(&["sh"]) {
        return;
    }
    let script = "\"$1\" --list >/dev/full; echo $?; \"$1\" --list >&-; echo $?";
    sh(script, &[binary()]).prints("125\n125").says(&["standard output"]);
}
