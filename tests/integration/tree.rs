//! `--list --tree`, and what `--list --json` says of links: beside `ip -d link` in every namespace.

#![forbid(unsafe_code)]

use crate::machine::script;
use crate::util::{lacks, tool};

/// Runs a script, or the test is over.
macro_rules! machine {
    ($text:expr) => {
        match script($text) {
            Some(output) => output,
            None => return,
        }
    };
}

/// A host whose interfaces have numbers and names that no other interface has, so that ip tells
/// edges from one namespace to another: `i21` is number 21. Bridges with ports and without, a
/// bridge of bridges within one namespace and over two, pairs within one, from the host, between
/// two, and to one that nobody can see.
const HOST: &str = r#"
export LC_ALL=C.UTF-8
web=$(ns) db=$(ns) inner=$(ns) idle=$(ns) gone=$(ns)
ip netns add blue
at() { file=$1; shift; nsenter --net=$file ip "$@"; }
of() { echo "/proc/$1/ns/net"; }
pair() { at "$1" link add i$2 index $2 type veth peer name i$4 index $4 netns "$3"; }
self=/proc/self/ns/net
for n in 11 12 13 14; do ip link add i$n index $n type bridge; done
ip addr add 172.17.0.1/16 dev i11
pair $self 21 $web 31
pair $self 22 $db 32
pair $self 23 $inner 33
pair $self 24 $$ 25
pair $self 26 $gone 36
pair /run/netns/blue 41 $inner 42
pair $(of $db) 43 $db 44
ip link set i21 master i11
ip link set i22 master i11
ip link set i23 master i12
ip link set i24 master i12
ip link set i25 master i13
at $(of $inner) link add i51 index 51 type bridge
at $(of $inner) link add i52 index 52 type bridge
at $(of $inner) link set i33 master i51
at $(of $db) link set i32 mtu 1450
at $(of $db) addr add 172.17.0.3/16 dev i32
ip link add i61 index 61 type ifb
ip tuntap add dev tap0 mode tap
ip link set tap0 name i62 master i14
for n in 11 12 13 14 21 22 23 24 25 61; do ip link set i$n up; done
at $(of $db) link set i32 up
docker web $web $(id aa)
docker db $db $(id ab)
exec 9<$(of $gone)
kill $gone
until [ "$("$1" --list --json | jq length)" = 6 ]; do :; done
"#;

/// What ip says of every namespace: `oracle[inode] = links`.
const ORACLE: &str = r#"
import json, os, subprocess, sys
files = [f"/proc/{pid}/ns/net" for pid in sys.argv[1:]] + ["/run/netns/blue", "/proc/self/ns/net"]
def ask(file):
    links = json.loads(subprocess.run(["nsenter", f"--net={file}", "ip", "-d", "-j", "link"],
        check=True, stdout=subprocess.PIPE).stdout)
    for link in links:
        # The timers of a bridge.
        for data in ["info_data", "info_slave_data"]:
            link.get("linkinfo", {}).pop(data, None)
    return links
def all_links():
    return {os.stat(file).st_ino: ask(file) for file in files}
def ours(*words):
    return subprocess.run([os.environ["BINARY"], "--list", *words], check=True,
        stdout=subprocess.PIPE).stdout.decode()
# The kernel changes states in its own time: what ip shows before and after counts where it is the same.
while True:
    oracle = all_links()
    table, tree, facts = ours(), ours("--tree"), json.loads(ours("--json"))
    if oracle == all_links():
        break
name_of = {link["ifindex"]: link["ifname"] for links in oracle.values() for link in links}
home = {link["ifname"]: inode for inode, links in oracle.items() for link in links if link["ifname"] != "lo"}
mtu = {link["ifname"]: link["mtu"] for links in oracle.values() for link in links}
state = {link["ifname"]: link["operstate"] for links in oracle.values() for link in links}
edges = set()
for links in oracle.values():
    for link in links:
        other = link.get("link") or name_of.get(link.get("link_index"), f"if{link.get('link_index')}")
        if link.get("linkinfo", {}).get("info_kind") == "veth":
            edges.add(frozenset([link["ifname"], other]))
        if "master" in link:
            edges.add((link["master"], link["ifname"]))
"#;

#[test]
fn the_tree_has_each_edge_that_ip_shows_once() {
    let checks = r#"
export BINARY=$1
cat /run/oracle - >/run/check <<'END'
inode_of = {"(host)": os.stat("/proc/self/ns/net").st_ino}
for entry in facts:
    for container in entry["containers"]:
        inode_of[f"docker:{container['name']}"] = entry["inode"]
def place(words):
    return next((inode_of[word] for word in words if word in inode_of), None) or int(words[-1])
drawn, told, headings, above = [], {}, [], []
for line in tree.splitlines():
    if line.startswith("nothing linked: "):
        assert line == f"nothing linked: [sleep] {int(os.environ['IDLE'])}", line
        continue
    text = line.lstrip("│├└─ ")
    depth, rest = divmod(len(line) - len(text), 3)
    assert rest == 0, line
    if depth == 0:
        heading = place(text.split())
        headings.append(heading)
        continue
    near, *far = [end.split() for end in text.split(" ── ")]
    del above[depth - 1:]
    if above:
        drawn.append((above[-1], near[0]))
    above.append(near[0])
    assert home[near[0]] == heading, line
    told.setdefault(near[0], near)
    if far:
        far = far[0]
        if far[0] == "mtu":
            assert near[-2:] == ["mtu", str(mtu[near[0]])] and int(far[1]) == mtu[far[2]] != mtu[near[0]], line
            far = far[2:]
        elif far[0] != "if36":
            assert mtu[near[0]] == mtu[far[0]], line
        drawn.append(frozenset([near[0], far[0]]))
        if far[0] == "if36":
            assert far[1:] == ["?"], line
            continue
        told.setdefault(far[0], far)
        # What is in the same namespace has no label.
        assert home[far[0]] == (heading if len(far) == 1 or far[-1] == "DOWN" else place(far[1:])), line
assert set(drawn) == edges and len(drawn) == len(edges), (drawn, edges, tree)
assert headings == [headings[0]] + sorted(headings[1:]) and headings[0] == inode_of["(host)"], tree
assert set(told) == set(home), (tree, home)
for name, words in told.items():
    assert ("DOWN" in words or "DOWN," in words) == (state[name] not in ["UP", "UNKNOWN"]), (name, words, state)
for line in ["├─ i11 172.17.0.1/16 bridge", "   ├─ i21 ", " ── mtu 1450 i32 172.17.0.3/16 docker:db"]:
    assert line in tree or line.replace("   ", "│  ") in tree, (line, tree)
assert any(line.endswith("i52 bridge DOWN, no ports") for line in tree.splitlines()), tree
print(len(drawn))
END
IDLE=$(inode $idle) python3 /run/check $web $db $inner $idle
"#;
    let oracle = format!("cat >/run/oracle <<'END'\n{ORACLE}\nEND\n");
    machine!(&format!("{HOST}{oracle}{checks}")).succeeds().prints("14");
}

#[test]
fn json_says_of_links_what_ip_says() {
    let checks = r#"
export BINARY=$1
cat /run/oracle - >/run/check <<'END'
for entry in facts:
    links = oracle[entry["inode"]]
    index_of = {link["ifname"]: link["ifindex"] for link in links}
    assert len(links) == len(entry["interfaces"]), entry
    for theirs, mine in zip(links, entry["interfaces"]):
        assert mine["name"] == theirs["ifname"] and mine["index"] == theirs["ifindex"], (mine, theirs)
        assert mine["kind"] == theirs.get("linkinfo", {}).get("info_kind"), (mine, theirs)
        assert mine["mtu"] == theirs["mtu"] and mine["state"] == theirs["operstate"], (mine, theirs)
        assert mine["mac"] == theirs["address"], (mine, theirs)
        assert mine["master"] == index_of.get(theirs.get("master")), (mine, theirs)
        other = theirs.get("link_index", index_of.get(theirs.get("link")))
        assert mine["parent"] is None and mine["remote"] is None, mine
        if mine["kind"] == "veth":
            assert mine["peer"]["index"] == other, (mine, theirs)
            assert mine["peer"]["inode"] == home.get(name_of.get(other)), (mine, home)
        else:
            assert mine["peer"] is None and other is None, (mine, theirs)
print(sum(len(entry["interfaces"]) for entry in facts))
END
python3 /run/check $web $db $inner $idle
"#;
    let oracle = format!("cat >/run/oracle <<'END'\n{ORACLE}\nEND\n");
    machine!(&format!("{HOST}{oracle}{checks}")).succeeds().prints("27");
}

#[test]
fn only_a_locale_of_utf8_has_lines() {
    let checks = r#"
is() {
    want=$1 binary=$2; shift 2
    env -u LC_ALL -u LC_CTYPE -u LANG "$@" "$binary" --list --tree >/run/tree
    [ "$(grep -c "$want" /run/tree)" -gt 10 ] || { echo "not $want: $*"; cat /run/tree; exit 1; }
}
for locale in LC_ALL=C.UTF-8 LC_CTYPE=de_DE.utf8 LANG=en_US.Utf-8 "LC_ALL= LANG=C.UTF-8" "LANG=C LC_CTYPE=C.utf8" \
    "LC_ALL=C.UTF8 LC_CTYPE=C LANG=C"; do
    is '─ i' "$1" $locale
done
for locale in A=B LC_ALL=C "LC_ALL=POSIX LANG=C.UTF-8" "LC_CTYPE=C LANG=C.UTF-8" LANG=de_DE@euro LANG=C.UTF-8@x; do
    is '^[ |\\]*[|\\]- i' "$1" $locale
    ! grep '[^ -~]' /run/tree
done
LC_ALL=C "$1" --list --tree | sed 's/|- /├─ /; s/\\- /└─ /; s/|  /│  /g; s/ -- / ── /' >/run/ascii
LC_ALL=C.UTF-8 "$1" --list --tree >/run/lines
diff /run/ascii /run/lines
"#;
    machine!(&format!("{HOST}{checks}")).succeeds();
}

#[test]
fn one_namespace_is_drawn_with_what_is_around_it() {
    let checks = r#"
host=$(inode self)
"$1" --list --tree web >/run/tree
diff /run/tree - <<END
docker:web $(inode $web)
└─ i31 DOWN ── i21 DOWN (host) $host
END
"$1" --list --tree --pid $inner >/run/tree
diff /run/tree - <<END
[sleep] $(inode $inner)
├─ i42 DOWN ── i41 DOWN blue $(stat -Lc %i /run/netns/blue)
├─ i51 bridge DOWN
│  └─ i33 DOWN ── i23 DOWN (host) $host
└─ i52 bridge DOWN, no ports
END
"$1" --list --tree --pid $idle >/run/tree
diff /run/tree - <<END
nothing linked: [sleep] $(inode $idle)
END
# Known by nothing but a descriptor.
"$1" --list --tree --file /proc/$$/fd/9 >/run/tree
diff /run/tree - <<END
$(stat -Lc %i /proc/$$/fd/9)
└─ i36 DOWN ── i26 DOWN (host) $host
END
! "$1" --list --tree --json 2>/dev/null
! "$1" --tree web 2>/dev/null
! "$1" --list --tree nosuch 2>/dev/null
"#;
    machine!(&format!("{HOST}{checks}")).succeeds();
}

/// Other people's bytes, in names of interfaces, containers and pins.
#[test]
fn any_name_gives_a_whole_tree() {
    let text = r#"
export LC_ALL=C.UTF-8
nasty=$(ns)
ip link add name "$(printf 'e\033[2J\\\377\177')" type veth peer name "$(printf 'a─b\342\200\250')" netns "$nasty"
docker 'a\u001b[31m\n\u2500 b\u009b' "$nasty" "$(id aa)"
mkdir /run/netns
file=$(printf '/run/netns/p q\n\377')
other=$(ns)
touch "$file"
mount --bind "/proc/$other/ns/net" "$file"
nsenter -t $other -n ip link add v type veth peer name w
inode_of_other=$(inode $other)
kill $other
"$1" --list --tree >/run/tree
host=$(inode self)
diff /run/tree - <<END
(host) $host
└─ e\\x1b[2J\\\\xff\\x7f DOWN ── a─b\\xe2\\x80\\xa8 DOWN docker:a\\x1b[31m\\x0a─\\x20b\\xc2\\x9b
p\\x20q\\x0a\\xff $inode_of_other
└─ w DOWN ── v DOWN
END
"#;
    machine!(text).succeeds();
}

#[test]
fn a_thousand_namespaces_are_one_picture() {
    let text = r#"
export LC_ALL=C
mkdir /run/netns
ip link add br0 type bridge
python3 - <<'END'
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
home = os.open("/proc/self/ns/net", os.O_RDONLY)
for n in range(1000):
    assert libc.unshare(0x40000000) == 0
    path = f"/run/netns/n{n}"
    os.close(os.open(path, os.O_CREAT))
    assert libc.mount(b"/proc/self/ns/net", path.encode(), None, 4096, None) == 0
    libc.setns(home, 0)
END
i=0
while [ $i -lt 1000 ]; do
    echo "link add v$i master br0 type veth peer name eth0 netns n$i"
    i=$((i + 1))
done | ip -batch -
ulimit -n 64
"$1" --list --tree >/run/tree
[ "$(wc -l </run/tree)" = 1002 ]
head -n 2 /run/tree | tail -n 1 | grep -q '^\\- br0 bridge DOWN$'
i=0
while [ $i -lt 1000 ]; do
    echo "v$i DOWN -- eth0 DOWN n$i"
    i=$((i + 1))
done | sort >/run/expected
tail -n +3 /run/tree | sed 's/^   [|\\]- //; s/ [0-9]*$//' | sort | diff - /run/expected
"#;
    machine!(text).succeeds();
}

/// Facts come back from the user namespaces of a user's containers, too.
#[test]
fn without_root_ones_own_is_drawn_and_the_rest_is_told() {
    let text = r#"
export LC_ALL=C
ip netns add blue
user="setpriv --reuid=64533 --regid=64533 --clear-groups env HOME=/nonexistent"
$user unshare -Urn sh -c 'ip link add br0 type bridge; ip link add v master br0 mtu 1400 type veth peer name w
    ip addr add 192.0.2.1/24 dev w; exec sleep 3600' &
until [ "$(cat /proc/$!/comm)" = sleep ]; do sleep 0.01; done
$user "$1" -q --list --tree >/run/tree
diff /run/tree - <<END
[sleep] $(inode $!)
\\- br0 bridge DOWN
   \\- v DOWN mtu 1400 -- mtu 1500 w 192.0.2.1/24 DOWN
could not be read: blue $(stat -Lc %i /run/netns/blue)
nothing linked: (host) $(inode self)
END
$user "$1" -q --list --json >/run/json
holds /run/json "[.[] | select(.inode == $(inode $!))][0].interfaces
    | map({(.name): [.kind, .mtu, .master == null, .peer.name]}) | add
    == {lo: [null, 65536, true, null], br0: [\"bridge\", 1400, true, null], v: [\"veth\", 1400, false, \"w\"], w: [\"veth\", 1500, true, \"v\"]}"
"#;
    machine!(text).succeeds();
}

/// The recipe of the manual, as it is printed.
#[test]
fn the_recipe_makes_dot() {
    if lacks(&["man"]) {
        return;
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/src/share/netns-enter.8");
    let page = tool("man", &["-P", "cat", "-l", page]);
    let lines: Vec<&str> = page.succeeds().stdout.lines().collect();
    let is_first = |line: &&str| line.contains("netns-enter --list --json | jq -r");
    let first = lines.iter().position(is_first).expect("the recipe");
    let count = lines[first..].iter().position(|line| line.contains("dot -Tsvg")).unwrap();
    let recipe = lines[first..=first + count].join("\n");
    let recipe = recipe.replace("netns-enter", "\"$1\"").replace("dot -Tsvg >net.svg", "cat");
    let checks = r#"
export BINARY=$1
cat /run/oracle - >/run/check <<'END'
import re
dot = open("/run/dot").read().splitlines()
assert dot[0] == "strict graph {" and dot[-1] == "}" and sum(line.endswith("{") for line in dot) == len(oracle) + 1, dot
node = r"([0-9]+)\.([0-9]+)"
nodes = [(*map(int, match.group(1, 2)), match[3]) for match in (re.fullmatch(node + r' \[label="([^"]*)"\]', line) for line in dot) if match]
assert sorted(nodes) == sorted((inode, link["ifindex"], link["ifname"]) for inode, links in oracle.items() for link in links), nodes
pairs = [match.groups() for match in (re.fullmatch(f"{node} -- {node}", line) for line in dot) if match]
names = {frozenset([name_of[int(pair[1])], name_of[int(pair[3])]]) for pair in pairs}
assert all(home[name_of[int(index)]] == int(inode) for pair in pairs for inode, index in [pair[:2], pair[2:]]), pairs
assert names == {frozenset(edge) for edge in edges if "if36" not in edge}, (names, edges)
print(len(names))
END
python3 /run/check $web $db $inner $idle
"#;
    let oracle = format!("cat >/run/oracle <<'END'\n{ORACLE}\nEND\n");
    let text = format!("{HOST}{oracle}{recipe} >/run/dot\n{checks}");
    machine!(&text).succeeds().prints("13");
}
