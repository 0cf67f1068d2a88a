//! Pins: beside `ip netns`, in every shape /run can have, killed at every system call (faults.rs
//! has them refused), and many at once.
//!
//! Each test has a mount namespace of its own with an empty /run, so the machine's pins are neither
//! seen nor touched.

#![forbid(unsafe_code)]

use crate::util::{self, ALONE, Output, lacks};
use std::process::Command;

/// What every script may use: `$ne`; `holder` leaves a process in a new namespace as `$pid` and
/// that namespace as `$ns`; `mounts X` counts the mounts at X that are no hidden ones; `fresh`
/// empties /run/netns; `lock` lets somebody hold the lock of /run/netns as long as the script runs,
/// as `$locker`.
const PRELUDE: &str = r#"
set -u
ne=$1
mount -t tmpfs none /run && mount --make-"$2" /run || exit 99
fail() { echo "FAILED: $*"; ls -la /run/netns; findmnt -R /run; exit 1; }
holders=
trap 'kill $holders 2>/dev/null' EXIT
holder() {
	unshare -n sleep 3600 >/dev/null 2>&1 & pid=$!
	holders="$holders $pid"
	while [ "$(cat /proc/$pid/comm)" != sleep ]; do sleep 0.02; done
	ns=$(readlink /proc/$pid/ns/net)
}
mounts() { findmnt -rno TARGET -R /run | grep -cx -- "$1"; }
fresh() {
	while umount -l /run/netns/* 2>/dev/null; do :; done
	while umount -l /run/netns 2>/dev/null; do :; done
	rm -rf /run/netns
}
lock() {
	flock -xF /run/netns sleep 3600 >/dev/null 2>&1 & locker=$!
	holders="$holders $locker"
	while flock -n /run/netns true; do sleep 0.02; done
}
"#;

/// Runs a shell script in a mount namespace of its own whose /run is empty and has this
/// propagation.
pub fn script(propagation: &str, body: &str) -> Output {
    let text = format!("{ALONE}{PRELUDE}{body}");
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &text, "sh"]).arg(util::binary()).arg(propagation);
    util::finish(command)
}

/// Asserts that a script, run as [`script`] does, succeeds.
#[track_caller]
pub fn works(propagation: &str, body: &str) {
    script(propagation, body).succeeds();
}

const BOTH: [&str; 2] = ["shared", "private"];

#[test]
fn ip_netns_works_on_our_pins_and_we_on_its() {
    if lacks(&["ip", "unshare", "findmnt"]) {
        return;
    }
    for propagation in BOTH {
        works(
            propagation,
            r#"
            umask 0777
            holder; "$ne" -p $pid --pin ours || fail pin
            umask 022
            [ "$(stat -c %a /run/netns)" = 755 ] || fail mode
            [ "$(mounts /run/netns/ours)" = 1 ] && [ "$(mounts /run/netns)" = 1 ] || fail mounts
            ip netns list | grep -qw ours || fail list
            [ "$(ip netns identify $pid)" = ours ] || fail identify
            ip netns pids ours | grep -qx $pid || fail pids
            [ "$(ip netns exec ours readlink /proc/self/ns/net)" = "$ns" ] || fail exec
            ip netns add theirs || fail add
            [ "$("$ne" --netns theirs readlink /proc/self/ns/net)" = "$(ip netns exec theirs readlink /proc/self/ns/net)" ] || fail enter
            "$ne" --unpin theirs || fail unpin
            ip netns delete ours || fail delete
            [ -z "$(ls -A /run/netns)" ] || fail left
            "#,
        );
    }
}

#[test]
fn entries_of_others_stay_reachable_and_deletable() {
    if lacks(&["ip", "unshare", "findmnt"]) {
        return;
    }
    for propagation in BOTH {
        works(
            propagation,
            r#"
            # The directory is no mount, but has a mount below, as CNI leaves it.
            mkdir /run/netns; touch /run/netns/cni; holder; mount --bind /proc/$pid/ns/net /run/netns/cni; theirs=$ns
            holder; "$ne" -p $pid --pin ours || fail pin
            [ "$(mounts /run/netns)" = 0 ] || fail "covered theirs"
            [ "$(mounts /run/netns/ours)" = 1 ] || fail "mounts of ours"
            [ "$("$ne" -n cni readlink /proc/self/ns/net)" = "$theirs" ] || fail reach
            umount /run/netns/cni && rm /run/netns/cni || fail "their removal"
            "$ne" --unpin ours || fail unpin
            [ -z "$(ls -A /run/netns)" ] || fail left

            # A mount in the peer group of /run, as iproute2 before 7.0 leaves it, and a run killed half-way.
            fresh; mkdir /run/netns; mount --bind /run/netns /run/netns
            "$ne" -p $pid --pin ours || fail pin
            [ "$(mounts /run/netns/ours)" = 1 ] && [ "$(mounts /run/netns)" = 1 ] || fail "mounted twice"
            "$ne" --unpin ours || fail unpin

            # A mount, with an entry of ip's.
            fresh; ip netns add theirs || fail add
            "$ne" -p $pid --pin ours || fail pin
            [ "$("$ne" -n theirs readlink /proc/self/ns/net)" = "$(ip netns exec theirs readlink /proc/self/ns/net)" ] || fail reach
            ip netns delete theirs || fail "their removal"
            [ "$(ip netns exec ours readlink /proc/self/ns/net)" = "$ns" ] || fail "ours is gone, too"
            "$ne" --unpin ours || fail unpin
            [ -z "$(ls -A /run/netns)" ] || fail left

            # No mount and none below, with a link of the old recipe.
            fresh; mkdir /run/netns; ln -s /proc/$pid/ns/net /run/netns/link; theirs=$ns
            holder; "$ne" -p $pid --pin ours || fail pin
            [ "$(mounts /run/netns)" = 1 ] && [ "$(mounts /run/netns/ours)" = 1 ] || fail mounts
            [ "$("$ne" -n link readlink /proc/self/ns/net)" = "$theirs" ] || fail reach
            [ "$(ip netns exec link readlink /proc/self/ns/net)" = "$theirs" ] || fail reach
            rm /run/netns/link && "$ne" --unpin ours || fail unpin
            [ -z "$(ls -A /run/netns)" ] || fail left

            # Several layers.
            "$ne" -p $pid --pin ours || fail pin
            mount --bind /proc/$pid/ns/net /run/netns/ours
            "$ne" --unpin ours || fail "unpin layers"
            [ -z "$(ls -A /run/netns)" ] || fail left
            "#,
        );
    }
}

#[test]
fn the_same_pin_again_is_success_and_another_is_refused() {
    if lacks(&["unshare", "findmnt"]) {
        return;
    }
    works(
        "shared",
        r#"holder; "$ne" -p $pid --pin a && "$ne" -p $pid --pin a && [ "$(mounts /run/netns/a)" = 1 ] || fail twice"#,
    );
    let other = script("shared", r#"holder; "$ne" -p $pid --pin a; holder; "$ne" -p $pid --pin a"#);
    other.refuses(&["pin \"a\" holds another namespace (", "to replace it: netns-enter --unpin a"]);
}

#[test]
fn command_runs_after_the_pin_and_the_pin_stays_without_it() {
    if lacks(&["unshare", "findmnt"]) {
        return;
    }
    works(
        "private",
        r#"
        holder
        [ "$(umask 027; "$ne" -p $pid --pin a sh -c 'umask; readlink /proc/self/ns/net')" = "0027
$ns" ] || fail command
        "$ne" -p $pid --pin b -- /no/such/command; [ $? = 127 ] || fail status
        [ "$(mounts /run/netns/b)" = 1 ] || fail stays
        "$ne" --unpin zz a yy b; [ $? = 125 ] || fail status
        [ -z "$(ls -A /run/netns)" ] || fail "went on"
        "#,
    );
    script("private", r#""$ne" --unpin zz"#).refuses(&["no pin \"zz\""]);
    util::run(&["--unpin"]).refuses(&["needs a name"]);
    for name in ["", ".", "..", "a/b", "-x", "a\nb", "\u{7f}"] {
        util::run(&["-p", "1", "--pin", name]).refuses(&[]);
    }
}

#[test]
fn a_pin_keeps_the_namespace_and_unpin_lets_it_go() {
    if lacks(&["ip", "unshare"]) {
        return;
    }
    works(
        "shared",
        r#"
        holder
        nsenter -t $pid -n ip link add ne-outer type veth peer name ne-inner || fail veth
        holder_a=$pid; holder
        nsenter -t $holder_a -n ip link set ne-inner netns $pid || fail move
        "$ne" -p $pid --pin a || fail pin
        kill $pid; wait $pid 2>/dev/null
        "$ne" -n a ip link show ne-inner >/dev/null || fail "gone with its process"
        "$ne" --unpin a || fail unpin
        # The other end of the pair goes when the kernel has taken the namespace down.
        while nsenter -t $holder_a -n ip link show ne-outer >/dev/null 2>&1; do sleep 0.05; done
        "#,
    );
}

#[test]
fn strays_are_healed_and_what_may_be_somebodys_is_not() {
    if lacks(&["unshare", "findmnt"]) {
        return;
    }
    works(
        "shared",
        r#"
        holder; mkdir /run/netns
        (umask 0; : >/run/netns/ours; chmod 0400 /run/netns/ours)
        "$ne" -p $pid --pin ours && [ "$(mounts /run/netns/ours)" = 1 ] || fail "ours at once"
        # By the kernel's clock, in seconds: another program may be at work on a file for two.
        age() { echo $(($(date +%s) - $(stat -c %Z /run/netns/$1))); }
        ages() { for file; do while [ $(age $file) -le 3 ]; do sleep 0.1; done; done; }
        : >/run/netns/old; : >/run/netns/gone
        # On a busy machine a file may have grown old by the time that the run looks at it.
        young() { # WHAT COMMAND...
            what=$1; shift
            while :; do
                : >/run/netns/young; made=$(stat -c %Z /run/netns/young)
                "$@"; status=$?
                [ $(($(date +%s) - made)) -le 2 ] && break
                "$ne" --unpin young || { ages young; "$ne" --unpin young; }
            done
            [ $status = 125 ] || fail "young $what"
        }
        young pinned "$ne" -p $pid --pin young
        young removed "$ne" --unpin young
        ages old gone
        "$ne" -p $pid --pin old && [ "$(mounts /run/netns/old)" = 1 ] || fail "old"
        "$ne" --unpin gone && [ ! -e /run/netns/gone ] || fail "gone"
        echo text >/run/netns/text; chmod 0400 /run/netns/text; mkdir /run/netns/dir; mkfifo /run/netns/fifo
        touch /run/netns/uts
        ages text dir fifo uts
        mount --bind /proc/$pid/ns/uts /run/netns/uts
        for odd in text dir fifo uts; do
            "$ne" -p $pid --pin $odd; [ $? = 125 ] || fail "pinned $odd"
            "$ne" --unpin $odd; [ $? = 125 ] || fail "removed $odd"
        done
        [ "$(cat /run/netns/text)" = text ] && [ -d /run/netns/dir ] && [ -p /run/netns/fifo ] || fail touched
        [ "$(mounts /run/netns/uts)" = 1 ] || fail uts
        ln -s /proc/$pid/ns/net /run/netns/link
        "$ne" -p $pid --pin link; [ $? = 125 ] || fail "pinned a link"
        "$ne" --unpin link && [ ! -L /run/netns/link ] || fail "link"
        "#,
    );
}

#[test]
fn a_lock_held_for_ever_stops_only_what_needs_it() {
    if lacks(&["unshare", "findmnt", "flock", "strace"]) {
        return;
    }
    works(
        "shared",
        r#"
        holder; "$ne" -p $pid --pin first || fail pin
        : >/run/netns/stray; chmod 0400 /run/netns/stray
        lock
        # Each waits for the lock, in pauses that are 5 seconds in all, and 2 more for an entry in the making.
        waits() { log=/run/trace-$1; shift; strace -o $log -e trace=nanosleep,clock_nanosleep,flock "$@"; }
        waits plain "$ne" -p $pid --pin plain & a=$!
        waits stray "$ne" -p $pid --pin stray & b=$!
        waits first "$ne" --unpin first & c=$!
        wait $a || fail plain
        wait $b; [ $? = 125 ] || fail healed
        wait $c || fail unpin
        kill -0 $locker && ! flock -n /run/netns true || fail "the lock was let go"
        for log in /run/trace-*; do
            grep -q '^flock(' $log || fail "no lock was asked for"
            sed -n 's/.*tv_sec=\([0-9]*\), tv_nsec=\([0-9]*\)}, .*/\1 \2/p' $log |
                awk '{ s += $1 + $2 / 1e9 } END { exit !(s > 0 && s <= 7.01) }' || fail "slow: $(cat $log)"
        done
        [ "$(mounts /run/netns/plain)" = 1 ] && [ "$(mounts /run/netns/stray)" = 0 ] && [ ! -e /run/netns/first ] || fail state
        "#,
    );
    let first = r#"
        holder; mkdir /run/netns; lock
        "$ne" -p $pid --pin a"#;
    script("shared", first).refuses(&["shared mount", "is locked by another process"]);
}

/// The kernel lists the process that took a lock, though another has the descriptor by now.
#[test]
fn a_lock_whose_taker_is_gone_is_not_waited_for() {
    if lacks(&["unshare", "findmnt", "flock", "strace"]) {
        return;
    }
    works(
        "shared",
        r#"
        # Elsewhere such a lock is not listed.
        [ "$(readlink /proc/self/ns/pid)" = 'pid:[4026531836]' ] || exit 0
        holder; "$ne" -p $pid --pin first || fail pin
        exec 9</run/netns; flock 9
        strace -o /run/trace -e trace=nanosleep,clock_nanosleep,flock \
            "$ne" -p $pid --pin plain 9<&- || fail plain
        grep -q '^flock(' /run/trace || fail "no lock was asked for"
        grep sleep /run/trace && fail "it was waited for"
        [ "$(mounts /run/netns/plain)" = 1 ] || fail state
        "#,
    );
}

/// A seccomp filter may refuse to let anybody sleep: then nobody is waited for, and nothing dies of
/// it. However short the pauses, it is looked at few times who has the lock.
#[test]
fn a_lock_is_not_waited_for_where_nobody_may_sleep() {
    if lacks(&["unshare", "findmnt", "flock", "strace"]) {
        return;
    }
    works(
        "shared",
        r#"
        holder; "$ne" -p $pid --pin first || fail pin
        lock
        strace -o /run/trace -e trace=nanosleep,clock_nanosleep,flock,openat \
            -e inject=nanosleep,clock_nanosleep:error=EPERM "$ne" -p $pid --pin plain || fail plain
        grep -q 'sleep.*EPERM' /run/trace || fail "it did not wait"
        [ "$(grep -c '^flock' /run/trace)" -lt 300 ] || fail "it asks for ever"
        # The kernel lists all locks of the machine, which is dear.
        [ "$(grep -c '"/proc/locks"' /run/trace)" -le 25 ] || fail "it looks too often who has it"
        [ "$(mounts /run/netns/plain)" = 1 ] || fail state
        "#,
    );
}

/// Lists `CALL N` of a run, for each system call from the first look at /run on. Not brk, which
/// never fails with an errno: libc takes an injected one for an address.
const CALLS: &str = r#"
calls() { # LOG
	sed 's/^[0-9]* *//' "$1" | awk -F'(' '
		{ n[$1]++ }
		/"\/(var\/)?run/ { on = 1 }
		on && $1 ~ /^[a-z0-9_]+$/ && $1 !~ /^(exit|brk)/ { print $1, n[$1] }'
}
"#;

#[test]
fn killed_at_any_call_the_same_pin_then_succeeds() {
    if lacks(&["unshare", "findmnt", "strace"]) {
        return;
    }
    for propagation in BOTH {
        let body = r#"
            holder; log=/run/log
            strace -o $log "$ne" -p $pid --pin a || fail traced
            calls $log >/run/calls
            [ "$(grep -c . /run/calls)" -gt 20 ] && grep -q '^mount 2$' /run/calls || fail "no calls"
            while read -r call n; do
                fresh
                strace -o /dev/null -e trace=$call -e inject=$call:signal=KILL:when=$n "$ne" -p $pid --pin a 2>/dev/null
                "$ne" -p $pid --pin a || fail "after $call $n"
                [ "$(mounts /run/netns/a)" = 1 ] && [ "$(mounts /run/netns)" = 1 ] || fail "mounts after $call $n"
                [ "$(ls -A /run/netns)" = a ] || fail "files after $call $n"
                strace -o /dev/null -e trace=$call -e inject=$call:signal=KILL:when=$n "$ne" --unpin a 2>/dev/null
                [ ! -e /run/netns/a ] || "$ne" --unpin a || fail "unpin after $call $n"
                [ -z "$(ls -A /run/netns)" ] || fail "left after $call $n"
            done </run/calls
            "#;
        works(propagation, &format!("{CALLS}{body}"));
    }
}

/// `ip_loop` adds and deletes beside; `all COMMAND...` runs 50 of it at once, with their numbers,
/// and wants each to succeed.
const CROWD: &str = r#"
ip_loop() { for i in 1 2 3 4 5 6 7 8 9 10; do ip netns add theirs && ip netns delete theirs || touch /run/ip-failed; done; }
all() {
	jobs=
	for i in $(seq 50); do "$@" $i & jobs="$jobs $!"; done
	for job in $jobs; do wait $job || fail "one of 50: $*"; done
}
pin_two() { "$ne" -p $pid --pin own$1 && "$ne" -p $pid --pin same; }
unpin_one() { "$ne" --unpin own$1; }
either() { if [ $(($1 % 2)) = 0 ]; then "$ne" -p $pid --pin x; else "$ne" --unpin x; fi 2>/dev/null || true; }
empty() {
	"$ne" --unpin same || fail same
	[ ! -e /run/ip-failed ] || fail "ip netns failed"
	[ -z "$(ls -A /run/netns)" ] && [ "$(findmnt -rno TARGET -R /run | grep -c /run/netns/)" = 0 ] || fail left
}
"#;

#[test]
fn a_hundred_at_once_beside_ip_netns() {
    if lacks(&["ip", "unshare", "findmnt"]) {
        return;
    }
    for propagation in BOTH {
        let body = r#"
            holder; "$ne" -p $pid --pin first && "$ne" --unpin first || fail first
            ip_loop & loop=$!
            all pin_two; wait $loop
            for i in $(seq 50); do [ "$(mounts /run/netns/own$i)" = 1 ] || fail own$i; done
            [ "$(mounts /run/netns/same)" = 1 ] || fail same
            [ "$(mounts /run/netns)" = 1 ] && [ "$(ls -A /run/netns | wc -l)" = 51 ] || fail strays
            ip_loop & loop=$!
            all unpin_one; wait $loop; empty
            all either
            "$ne" -p $pid --pin x && [ "$(mounts /run/netns/x)" = 1 ] && "$ne" --unpin x || fail mixed
            [ -z "$(ls -A /run/netns)" ] || fail left
            "#;
        works(propagation, &format!("{CROWD}{body}"));
    }
}

/// Whoever holds the lock for ever delays each by 5 s, but loses no pin and has none mounted twice.
/// (`ip netns add` waits for it, too.)
#[test]
fn a_hundred_at_once_while_the_lock_is_held() {
    if lacks(&["ip", "unshare", "findmnt", "flock"]) {
        return;
    }
    let body = r#"
        holder; "$ne" -p $pid --pin first || fail first
        lock
        pin_one() { "$ne" -q -p $pid --pin own$1; }
        pin_same() { "$ne" -q -p $pid --pin same; }
        unpin_same() { "$ne" -q --unpin same 2>/dev/null || true; }
        all pin_one & one=$!; all pin_same & same=$!; { wait $one && wait $same; } || fail pins
        for i in $(seq 50); do [ "$(mounts /run/netns/own$i)" = 1 ] || fail own$i; done
        [ "$(mounts /run/netns/same)" = 1 ] || fail same
        [ "$(mounts /run/netns)" = 1 ] && [ "$(ls -A /run/netns | wc -l)" = 52 ] || fail strays
        all unpin_one & one=$!; all unpin_same & same=$!; { wait $one && wait $same; } || fail unpins
        kill $locker
        while ! flock -n /run/netns true; do sleep 0.02; done
        "$ne" --unpin first || fail first
        # Unpinned by many at once without the lock: what is left at most is an empty file that the next one heals.
        [ ! -e /run/netns/same ] || { "$ne" -p $pid --pin same && "$ne" --unpin same; } || fail same
        [ -z "$(ls -A /run/netns)" ] && [ "$(findmnt -rno TARGET -R /run | grep -c /run/netns/)" = 0 ] || fail left
        "#;
    works("shared", &format!("{CROWD}{body}"));
}

/// Before 7.0 `ip netns` leaves the directory in the peer group of /run. While an entry of its own
/// is there it has to stay so: its hidden twin could not be unmounted any more. Then our pins have
/// twins, too, which go with them.
#[test]
fn pins_among_entries_that_ip_netns_has_mounted_twice_leave_nothing() {
    if lacks(&["ip", "unshare", "findmnt"]) {
        return;
    }
    for propagation in BOTH {
        let body = r#"
            holder; ip netns add before || fail add
            ip_loop & loop=$!
            all pin_two; wait $loop
            for i in $(seq 50); do [ "$("$ne" -n own$i readlink /proc/self/ns/net)" = "$ns" ] || fail own$i; done
            ip netns delete before || fail "theirs cannot be deleted"
            ip_loop & loop=$!
            all unpin_one; wait $loop; empty
            "$ne" -p $pid --pin a && [ "$(mounts /run/netns/a)" = 1 ] || fail "not healed"
            "#;
        works(propagation, &format!("{CROWD}{body}"));
    }
}

/// Somebody mounts another namespace over the name as soon as ours is there: COMMAND runs in
/// neither.
#[test]
fn a_pin_that_is_covered_at_once_is_no_success() {
    if lacks(&["strace", "ip", "pgrep"]) {
        return;
    }
    let text = r#"
web=$(ns)
other=$(ns)
"$1" -p "$web" --pin first
stopped_at mount "$1" -p "$web" --pin a -- touch /run/ran
[ "$(stat -Lc %i /run/netns/a)" = "$(inode "$web")" ]
mount --bind "/proc/$other/ns/net" /run/netns/a
status=0
go_on || status=$?
[ ! -e /run/ran ] && echo $status
"$1" --unpin first
[ ! -e /run/netns/a ] || "$1" --unpin a
ls -A /run/netns
"#;
    let Some(output) = crate::machine::script(text) else { return };
    output.succeeds().prints("125").says(&["pin \"a\" holds another namespace"]);
}

#[test]
fn a_pin_that_only_this_mount_namespace_sees_is_noted() {
    if lacks(&["unshare", "findmnt"]) {
        return;
    }
    // A pid namespace, so that /proc/1 is ours to read.
    let inside = |inner: &str| {
        let body = format!(
            r#"holder; unshare -pf --mount-proc sh -c '
            unshare -n sleep 3600 >/dev/null 2>&1 & p=$!
            while [ "$(cat /proc/$p/comm)" != sleep ]; do sleep 0.02; done
            {inner} "$0" -p $p --pin a; code=$?; kill $p; exit $code' "$ne""#
        );
        script("private", &body)
    };
    inside("unshare -m").succeeds().says(&["pin \"a\" is seen only in this mount namespace"]);
    let own = inside("");
    own.succeeds();
    assert!(own.stderr.is_empty(), "{}", own.dump());
}

#[test]
fn the_host_is_the_one_mounted_at_a_directory() {
    if lacks(&["unshare", "findmnt"]) {
        return;
    }
    works(
        "private",
        r#"
        holder
        host=$(mktemp -d); mkdir $host/proc $host/run $host/var
        mount -t tmpfs none $host/run; mount --rbind /proc $host/proc; ln -s /run $host/var/run
        "$ne" --host-root $host -p $pid --pin a || fail pin
        [ "$(findmnt -rno TARGET -R $host/run | grep -cx $host/run/netns/a)" = 1 ] && [ ! -e /run/netns ] || fail place
        [ "$("$ne" --host-root $host -n a readlink /proc/self/ns/net)" = "$ns" ] || fail enter
        "$ne" --host-root $host --unpin a && [ -z "$(ls -A $host/run/netns)" ] || fail unpin
        umount -l $host/proc $host/run/netns $host/run; rm -r $host
        "#,
    );
}
