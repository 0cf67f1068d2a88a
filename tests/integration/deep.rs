//! `--list --deep` and `--inode`: namespaces that no process is in, by all that can keep one.

#![forbid(unsafe_code)]

use crate::machine::script;
use crate::util::{
    Held, PATIENCE, Scratch, USER, as_user, finish, inode_of, lacks, run, sh, skip, until,
};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::Instant;

/// Runs a script, or the test is over.
macro_rules! machine {
    ($text:expr) => {
        match script(&keeping($text)) {
            Some(output) => output,
            None => return,
        }
    };
}

/// A program that keeps a new namespace by one thing and is not in it itself. It prints its pid, the
/// namespace's inode and number, and the descriptor if there is one, then it sleeps.
const KEEPER: &str = r#"
import array, ctypes, os, socket, sys, threading, time
libc = ctypes.CDLL(None, use_errno=True)
NEWNET, NEWNS = 0x40000000, 0x20000
def check(result): assert result == 0, os.strerror(ctypes.get_errno())
def bind(source, target):
    open(target, 'w').close()
    check(libc.mount(source.encode(), target.encode(), None, 4096, None))
def private_mounts():
    check(libc.unshare(NEWNS))
    check(libc.mount(None, b'/', None, 0x44000, None))
    check(libc.mount(b'none', b'/mnt', b'tmpfs', 0, None))
    bind('/proc/self/ns/net', '/mnt/p q')
kind, number = sys.argv[1], -1
pair = socket.socketpair()
home = os.open('/proc/self/ns/net', os.O_RDONLY)
check(libc.unshare(NEWNET))
inode, probe = os.stat('/proc/self/ns/net').st_ino, socket.socket(socket.AF_UNIX)
cookie = int.from_bytes(probe.getsockopt(socket.SOL_SOCKET, 71, 8), 'little')
probe.close()
if kind == 'fd':
    number = os.open('/proc/self/ns/net', os.O_RDONLY)
elif kind == 'unmounted':
    bind('/proc/self/ns/net', '/run/' + str(os.getpid()))
    number = os.open('/run/' + str(os.getpid()), os.O_RDONLY)
    check(libc.umount2(b'/run/' + str(os.getpid()).encode(), 2))
elif kind == 'socket':
    kept = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    number = kept.fileno()
elif kind == 'flight':
    sent = os.open('/proc/self/ns/net', os.O_RDONLY)
    pair[0].sendmsg([b'x'], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array('i', [sent]))])
    os.close(sent)
elif kind == 'file':
    number = os.open('/proc/self/net/dev', os.O_RDONLY)
elif kind == 'hidden':
    bind('/proc/self/ns/net', '/run/hidden')
    check(libc.mount(b'/dev/null', b'/run/hidden', None, 4096, None))
elif kind == 'foreign':
    private_mounts()
elif kind == 'kept':
    ready = os.pipe()
    pid = os.fork()
    if pid == 0:
        private_mounts()
        os.write(ready[1], b'x')
        time.sleep(3600)
    os.read(ready[0], 1)
    number = os.open('/proc/%d/ns/mnt' % pid, os.O_RDONLY)
    os.kill(pid, 9)
    os.waitpid(pid, 0)
elif kind == 'thread':
    started = threading.Event()
    def away():
        check(libc.unshare(NEWNET))
        global inode, cookie
        inode, probe = os.stat('/proc/thread-self/ns/net').st_ino, socket.socket(socket.AF_UNIX)
        cookie = int.from_bytes(probe.getsockopt(socket.SOL_SOCKET, 71, 8), 'little')
        probe.close()
        global number
        number = threading.get_native_id()
        started.set()
        time.sleep(3600)
    threading.Thread(target=away).start()
    started.wait()
elif kind == 'orphan':
    number = os.open('/proc/self/ns/net', os.O_RDONLY)
check(libc.setns(home, NEWNET))
os.close(home)
if kind == 'orphan':
    def stay():
        while open('/proc/%d/stat' % os.getpid()).read().split()[2] != 'Z': time.sleep(0.01)
        print(threading.get_native_id(), inode, cookie, number, flush=True)
        time.sleep(3600)
    threading.Thread(target=stay).start()
    # The first thread alone ends: pthread_exit(3) and no exit(3).
    libc.syscall(60 if os.uname().machine == 'x86_64' else 93, 0)
print(os.getpid(), inode, cookie, number, flush=True)
time.sleep(3600)
"#;

/// What scripts can call beside what machines have: `keep KIND` sets `$pid`, `$inode`, `$cookie` and
/// `$fd`.
const KEEP: &str = r#"
self=$1
keep() {
    : >/run/kept
    python3 /run/keeper "$1" >/run/kept &
    set +x
    until read -r pid inode cookie fd </run/kept; do
        kill -0 $! || { echo "the keeper of a $1 has ended" >&2; exit 1; }
        sleep 0.01 || :
    done
    set -x
}
row() { grep "^$1 " /run/table; }
look() { "$self" --list --deep >/run/table; "$self" --list --deep --json >/run/json; }
# What JSON has of the namespace $1, as far as jq's $2 takes it.
of() { jq -c ".[] | select(.inode == $1) | $2" /run/json; }
# Ends processes; who was started in a subshell cannot be waited for.
end() {
    kill "$@"
    for ended; do while readlink "/proc/$ended/ns/net" >/dev/null; do sleep 0.01; done; done
}
enters() {
    [ "$("$self" -i "$inode" readlink /proc/self/ns/net)" = "net:[$inode]" ]
    [ "$("$self" -i "id:$cookie" readlink /proc/self/ns/net)" = "net:[$inode]" ]
}
# Whether the kernel has a list of its own.
lists() { printf '6.19\n%s\n' "$(uname -r)" | sort -VC; }
set -x
"#;

fn keeping(text: &str) -> String {
    format!("cat >/run/keeper <<'EOF'\n{KEEPER}\nEOF\n{KEEP}{text}")
}

#[test]
fn whatever_keeps_a_namespace_is_found_and_entered() {
    let output = machine!(
        r#"
for kind in fd unmounted socket foreign kept orphan; do
    keep $kind
    look
    holder="\"pid\":$pid,\"fd\":$fd,\"path\":null"
    case $kind in
    foreign) by="mount /mnt/p q" kind=mount holder="\"pid\":$pid,\"fd\":null,\"path\":\"/mnt/p q\"" ;;
    kept) by="fd $fd mount /mnt/p q" kind=mount holder="\"pid\":$pid,\"fd\":$fd,\"path\":\"/mnt/p q\"" ;;
    socket) by="fd $fd" ;;
    *) by="fd $fd" kind=fd ;;
    esac
    row "$inode" | grep -q "^$inode  *-  *0  *held by python3 $pid $by  *-  *-\$"
    [ "$(of $inode .holders)" = "[{\"kind\":\"$kind\",$holder}]" ]
    [ "$(of $inode '[.pid, .processes, .cookie, .pins, (.interfaces | length)]')" = "[null,0,$cookie,[],1]" ]
    enters
    # Nothing else is told of it, and without --deep not of who holds it.
    "$1" --list --json >/run/json
    holds /run/json 'all(.[]; has("holders") | not)'
    lists || holds /run/json "all(.[]; .inode != $inode)"
    kill -9 $!
    wait $! || :
    ! "$1" -i "$inode" echo ran 2>/run/said
    grep -q "no network namespace $inode" /run/said
    ! "$1" -i "id:$cookie" echo ran 2>/run/said
    grep -q "no network namespace id:$cookie" /run/said
    echo kind
done
"#
    );
    assert_eq!(output.succeeds().stdout.matches("kind").count(), 6, "{}", output.dump());
}

/// Those of others come last, where they are many: some before, some then.
#[test]
fn many_descriptors_of_a_users_are_told_once() {
    if lacks(&["setpriv", "jq", "bash"]) {
        return;
    }
    machine!(
        r#"
setpriv --reuid 65533 --regid 65533 --clear-groups bash -c '
for n in $(seq 10 209); do eval "exec $n</proc/self/ns/net"; done
echo $$ 200; exec sleep 3600' >/run/many &
set +x
until [ -s /run/many ]; do kill -0 $! || exit 1; sleep 0.01; done
set -x
read -r pid many </run/many
look
jq "[.[].holders[] | select(.pid == $pid and .kind == \"fd\") | .fd]" /run/json >/run/told
holds /run/told "(length, (unique | length)) == $many"
kill -9 $!
"#
    )
    .succeeds();
}

/// What is found without a deep look is told with all that holds it, too.
#[test]
fn processes_threads_and_pins_are_holders() {
    machine!(
        r#"
one=$(ns)
two=$(join "$one")
mkdir -p /run/netns
touch /run/netns/blue
mount --bind "/proc/$one/ns/net" /run/netns/blue
exec 8<"/proc/$one/ns/net" 9</run/netns/blue
look
inode=$(inode "$one")
row "$inode" | grep -Eq " ($one|$two)  *2  *\[sleep\]  *blue  *-\$"
[ "$(of "$inode" '.holders | map([.kind, .pid, .fd, .path]) | sort')" = \
    "[[\"fd\",$$,8,null],[\"fd\",$$,9,null],[\"mount\",null,null,\"/run/netns/blue\"],[\"process\",$one,null,null],[\"process\",$two,null,null]]" ]
"$1" -q --list --deep --json -i "$inode" >/run/one
holds /run/one "length == 1 and (.[0].holders | length) == 5 and .[0].cookie > 0"
cookie=$(of "$inode" .cookie)
enters
exec 8<&- 9<&-
end "$one" "$two"
enters
look
row "$inode" | grep -q " -  *0  *-  *blue  *-\$"
# Another mount hides it, and the kernel's list has it from 6.19 on.
keep hidden
look
row "$inode" | grep -q "^$inode  *-  *0  *held by mount /run/hidden  *-  *[-?]\$"
[ "$(of "$inode" .holders)" = '[{"kind":"mount","pid":null,"fd":null,"path":"/run/hidden"}]' ]
lists || ! "$1" -i "$inode" echo ran 2>/run/said
lists || grep -q "cannot be opened through what holds it: mount /run/hidden" /run/said
umount /run/hidden
enters
keep thread
look
row "$inode" | grep -q "^$inode  *$fd  *0  *\[python3\]  *-  *-\$"
[ "$(of "$inode" .holders)" = "[{\"kind\":\"thread\",\"pid\":$fd,\"fd\":null,\"path\":null}]" ]
enters
"#
    )
    .succeeds();
}

/// The kernel does not tell of which namespace such a file is; but of the others it is not.
#[test]
fn an_open_file_of_net_is_told_with_its_holder() {
    machine!(
        r#"
keep file
look
[ "$(row -)" = "$(grep "held by python3 $pid fd $fd" /run/table)" ]
row - | grep -q "^-  *-  *0  *held by python3 $pid fd $fd  *-  *?\$"
[ "$(jq -c '.[] | select(.inode == null) | [.pid, .cookie, .pins, .interfaces, .holders]' /run/json)" = \
    "[null,null,[],[],[{\"kind\":\"procfile\",\"pid\":$pid,\"fd\":$fd,\"path\":\"/proc/$pid/net/dev\"}]]" ]
! "$1" -i "$inode" echo ran 2>/run/said
grep -q "no network namespace $inode" /run/said
"$1" -q --list --deep --json -p $$ >/run/one
holds /run/one 'length == 1 and .[0].inode != null'
end "$pid"
# Of a namespace that is known by other things it is one more holder, whether a process is there or not.
other=$(ns)
inode=$(inode "$other")
mkdir -p /run/netns
touch /run/netns/blue
mount --bind "/proc/$other/ns/net" /run/netns/blue
exec 7<"/proc/$other/net/dev" 8<"/proc/$other/net/stat/rt_cache" 9<"/proc/self/net/dev"
look
holds /run/json 'all(.[]; .inode != null)'
[ "$(of "$inode" '.holders[] | select(.fd == 7) | [.kind, .pid, .path]')" = "[\"procfile\",$$,\"/proc/$other/net/dev\"]" ]
[ "$(of "$inode" '.holders | map(select(.kind == "procfile").fd)')" = "[7,8]" ]
of "$(inode self)" .holders | grep -q '"fd":9'
end "$other"
look
holds /run/json 'all(.[]; .inode != null)'
[ "$(of "$inode" '.holders | map(select(.kind == "procfile").fd)')" = "[7,8]" ]
umount /run/netns/blue
look
[ "$(jq -c '.[] | select(.inode == null).holders | map(.fd)' /run/json)" = "[7,8]" ]
"#
    )
    .succeeds();
}

/// Run where the kernel's list is whole: in the initial pid namespace.
#[test]
fn a_descriptor_in_flight_is_listed_where_the_kernel_lists_it() {
    if lacks(&["python3"]) {
        return;
    }
    let scratch = Scratch::new("flight");
    let (script, kept) = (scratch.write("keeper", KEEPER), scratch.path("kept"));
    let start = "exec python3 \"$1\" flight >\"$2\"";
    let held = Held::start(Command::new("sh").args(["-c", start, "sh", &script, &kept]));
    let mut told = Vec::new();
    until("a namespace", || {
        let text = fs::read_to_string(&kept).unwrap_or_default();
        told = text.split_whitespace().map(str::to_owned).collect();
        told.len() == 4
    });
    let (inode, number) = (told[1].clone(), format!("id:{}", told[2]));
    let table = run(&["-q", "--list", "--deep"]);
    let row = table.succeeds().stdout.lines().find(|line| line.starts_with(&inode));
    let is_listed = sh("printf '6.19\\n%s\\n' \"$(uname -r)\" | sort -VC", &[""]).status.success();
    let is_initial = fs::metadata("/proc/self/ns/pid").unwrap().ino() == 0xefff_fffc;
    if is_listed && is_initial {
        assert!(row.is_some_and(|row| row.contains(" no holder found ")), "{}", table.dump());
        for target in [&inode, &number] {
            run(&["-i", target, "readlink", "/proc/self/ns/net"])
                .succeeds()
                .prints(&format!("net:[{inode}]"));
        }
    } else {
        assert!(row.is_none(), "{}", table.dump());
        run(&["-i", &inode, "echo", "ran"]).refuses(&["no network namespace"]);
        run(&["-i", &number, "echo", "ran"]).refuses(&["no network namespace id:"]);
    }
    drop(held);
}

/// A process whose descriptor and whose socket are of one namespace now and of another then.
#[test]
fn what_was_replaced_since_is_not_entered() {
    machine!(
        r#"
cat >/run/swap <<'EOF'
import ctypes, os, socket, sys, time
libc = ctypes.CDLL(None)
kept = []
for _ in range(2):
    libc.unshare(0x40000000)
    s = socket.socket(socket.AF_UNIX)
    os.set_inheritable(s.fileno(), False)
    kept.append((os.open('/proc/self/ns/net', os.O_RDONLY), s, os.stat('/proc/self/ns/net').st_ino))
fifo = os.open('/run/fifo', os.O_RDWR)
libc.setns(int(sys.argv[1]), 0x40000000)
# Under these two numbers alone they are seen: the rest is in the table of a child that is stopped.
print(kept[0][2], kept[1][2], flush=True)
files = [kept[0][0], kept[1][0], fifo]
sockets = [kept[0][1].fileno(), kept[1][1].fileno(), fifo]
while True:
    for file, socket in zip(files, sockets):
        os.dup2(file, 100)
        os.dup2(socket, 101)
EOF
mkfifo /run/fifo
exec 6</proc/self/ns/net
python3 /run/swap 6 >/run/kept &
until [ -s /run/kept ]; do sleep 0.01; done
read -r one two </run/kept
set +x
for _ in $(seq 40); do
    for inode in $one $two; do
        said=$("$1" -q -i "$inode" readlink /proc/self/ns/net 2>&1) || :
        [ "$said" = "net:[$inode]" ] || { echo "$inode: $said" >&2; exit 1; }
    done
    "$1" -q --list --deep --json >/run/json
    holds /run/json "[.[] | select(.inode == $one or .inode == $two)] | length == 2"
done
"#
    )
    .succeeds();
}

/// A user's processes with many descriptors and sockets, and with files on a file system that does
/// not answer; and few descriptors for us.
#[test]
fn a_user_with_many_and_silent_files_keeps_nobody_waiting() {
    if lacks(&["python3", "setpriv"]) {
        return;
    }
    if !fs::exists("/dev/fuse").is_ok_and(|there| there) {
        return skip("no /dev/fuse");
    }
    let start = Instant::now();
    machine!(
        r#"
mkdir /run/silent
cat >/run/user <<'EOF'
import ctypes, os, resource, socket, time
libc = ctypes.CDLL(None, use_errno=True)
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
fuse = os.open('/dev/fuse', os.O_RDWR)
options = b'fd=%d,rootmode=40000,user_id=65533,group_id=65533,allow_other' % fuse
assert libc.mount(b'silent', b'/run/silent', b'fuse', 0, options) == 0
os.setresgid(65533, 65533, 65533)
os.setresuid(65533, 65533, 65533)
libc.prctl(4, 1, 0, 0, 0)
files = [os.open('/run/silent', os.O_PATH) for _ in range(1000)]
sockets = [socket.socket(socket.AF_UNIX) for _ in range(1000)]
nulls = [os.open('/dev/null', os.O_RDONLY) for _ in range(1000)]
print('ready', flush=True)
time.sleep(3600)
EOF
python3 /run/user >/run/ready &
user=$!
set +x
until [ -s /run/ready ]; do kill -0 $user && sleep 0.01; done
keep socket
ulimit -n 64
look
row "$inode" | grep -q "held by python3 $pid fd $fd"
holds /run/json "[.[] | select(.host)][0].holders | map(select(.kind == \"socket\" and .pid == $user)) | length == 1000"
enters
"$1" --list --deep 2>/run/said >/dev/null
# The kernel's list is short here, in a pid namespace, where it has one.
is_noted() { grep -q "outside the initial pid namespace" /run/said; }
lists && is_noted || [ ! -s /run/said ]
"$1" --list 2>/run/said >/dev/null
! lists || is_noted
"$1" --list -p $$ 2>/run/said >/dev/null
! is_noted
"#
    )
    .succeeds();
    assert!(start.elapsed() < PATIENCE);
}

/// As many namespaces as there are descriptors allowed, several times.
#[test]
fn few_descriptors_of_our_own_are_enough() {
    machine!(
        r#"
cat >/run/many <<'EOF'
import ctypes, os, socket, time
libc = ctypes.CDLL(None)
home = os.open('/proc/self/ns/net', os.O_RDONLY)
kept = []
for at in range(100):
    libc.unshare(0x40000000)
    kept.append(socket.socket(socket.AF_UNIX) if at % 2 else os.open('/proc/self/ns/net', os.O_RDONLY))
libc.setns(home, 0x40000000)
os.close(home)
print(os.getpid(), flush=True)
time.sleep(3600)
EOF
python3 /run/many >/run/ready &
set +x
until [ -s /run/ready ]; do kill -0 $! && sleep 0.01; done
ulimit -n 64
look
[ "$(grep -c "held by python3 $! fd" /run/table)" = 100 ]
holds /run/json 'length == 101 and all(.[]; .cookie > 0 and (.interfaces | length) > 0)'
"#
    )
    .succeeds();
}

#[test]
fn a_user_sees_what_is_the_users_own() {
    if lacks(&["python3", "setpriv", "unshare"]) {
        return;
    }
    let scratch = Scratch::new("user");
    let copy = scratch.copy_of_binary();
    let kept = scratch.write("kept", "");
    fs::set_permissions(&kept, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
    // The shell's namespaces are the user's; the descriptor is held by one that is in none of them.
    let hold = "unshare -Urn sh -c 'exec sleep 3600' & exec 7<>/dev/null
        until [ \"$(readlink /proc/$!/ns/net)\" != \"$(readlink /proc/self/ns/net)\" ] &&
            [ \"$(cat /proc/$!/comm)\" = sleep ]; do sleep 0.01; done
        exec 7</proc/$!/ns/net; stat -Lc %i /proc/$!/ns/net >\"$1\"; kill $!; wait; exec sleep 3600";
    let held = Held::start(as_user(USER, &["bash", "-c", hold, "bash", &kept]));
    let mut inode = String::new();
    until("a namespace", || {
        inode = fs::read_to_string(&kept).unwrap_or_default().trim().to_owned();
        !inode.is_empty()
            && fs::read_to_string(format!("/proc/{}/comm", held.pid()))
                .is_ok_and(|comm| comm == "sleep\n")
    });
    assert_ne!(inode_of(held.pid()), inode.parse().ok());
    let table = finish(as_user(USER, &[&copy, "--list", "--deep"]));
    let row = table.succeeds().stdout.lines().find(|line| line.starts_with(&inode));
    let by = format!("held by sleep {} fd 7", held.pid());
    assert!(row.is_some_and(|row| row.contains(&by)), "{}", table.dump());
    // All that is denied is one note.
    let is_note = |line: &str| line.contains("not all of the host could be read");
    assert_eq!(table.stderr.lines().filter(|line| is_note(line)).count(), 1, "{}", table.dump());
    let entered = as_user(USER, &[&copy, "-i", &inode, "readlink", "/proc/self/ns/net"]);
    finish(entered).succeeds().prints(&format!("net:[{inode}]"));
}

/// Users may have any number of processes with descriptors; root's are looked at before.
#[test]
fn what_root_holds_is_found_beside_a_users_many() {
    machine!(
        r#"
cat >/run/many <<'EOF'
import ctypes, os, socket, time
os.setgid(65533)
os.setuid(65533)
ctypes.CDLL(None).prctl(4, 1)
kept = [socket.socket(socket.AF_UNIX) for _ in range(10)]
for _ in range(40):
    if not os.fork(): time.sleep(3600)
open('/run/ready/there', 'w').close()
time.sleep(3600)
EOF
mkdir -m 777 /run/ready
python3 /run/many &
until [ -e /run/ready/there ]; do sleep 0.02; done
away=$(ns)
inode=$(inode $away)
(exec 7</proc/$away/ns/net; exec sleep 3600) &
until [ "$(cat /proc/$!/comm)" = sleep ]; do sleep 0.02; done
kill $away
while [ -e /proc/$away/ns/net ]; do sleep 0.02; done
strace -f -qq -e trace=pidfd_getfd -o /run/trace "$1" -i "$inode" -- readlink /proc/self/ns/net >/run/said
[ "$(cat /run/said)" = "net:[$inode]" ]
[ "$(grep -c pidfd_getfd /run/trace)" -lt 40 ]
"#
    )
    .succeeds();
}
