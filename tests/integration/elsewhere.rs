//! Entries of /run/netns that ours does not show: in other mount namespaces, hidden, stacked,
//! locked; beside what `ip netns` says of them.

#![forbid(unsafe_code)]

use crate::pins::{script, works};
use crate::util::lacks;

/// `away FILE COMMAND...` leaves a process that has mounted namespace FILE as /run/netns/$blue, in
/// a mount namespace and a directory of its own, as `$away`; COMMAND is what starts it there. No
/// other test has the name `$blue`.
const AWAY: &str = r#"
blue=ne-t-away-$$
export blue
mkdir /run/netns
cat > /run/away.sh <<'END'
mount --make-rprivate / && mount -t tmpfs none /run/netns && touch /run/netns/$blue || exit 99
mount --bind "$1" /run/netns/$blue || exit 99
eval "$2"
exec sleep 3600
END
trap 'kill -9 $holders 2>/dev/null' EXIT
then=:
away() {
	file=$1; shift
	"$@" sh /run/away.sh "$file" "$then" >/dev/null 2>&1 & away=$!
	holders="$holders $away"
	while [ "$(cat /proc/$away/comm)" != sleep ]; do [ -d /proc/$away ] || fail away; sleep 0.02; done
}
entered() { "$ne" "$@" -- readlink /proc/self/ns/net 2>/run/said; }
refused() {
	"$ne" "$@" -- touch /run/ran >/run/out 2>/run/said; [ $? = 125 ] || fail "status of $*"
	[ ! -e /run/ran ] && [ ! -s /run/out ] || fail "$* ran"
}
says() { for word in "$@"; do grep -qF -- "$word" /run/said || { cat /run/said; fail "not said: $word"; }; done; }
"#;

#[track_caller]
fn holds(body: &str) {
    if lacks(&["ip", "unshare", "findmnt", "setpriv"]) {
        return;
    }
    works("private", &format!("{AWAY}{body}"));
}

#[test]
fn an_entry_in_the_mount_namespace_of_a_process_of_roots_is_entered() {
    holds(
        r#"
        holder; away /proc/$pid/ns/net unshare -m
        [ "$(entered -n $blue)" = "$ns" ] || fail "not entered: $(cat /run/said)"
        says "note: pin \"$blue\"" "process $away sleep"
        entered -q -n $blue >/dev/null && [ ! -s /run/said ] || fail "not quiet"
        refused -n $blue-; says "no pin \"$blue-\""
        # A bare word is told.
        refused $blue; says "no pin \"$blue\" here, but process $away sleep has one" "netns-enter -n $blue"
        # Where ours is what ip netns cannot enter either.
        touch /run/netns/$blue
        ip netns exec $blue true 2>/dev/null && fail "ip enters it"
        [ "$(entered -n $blue)" = "$ns" ] || fail "not entered: $(cat /run/said)"
        refused $blue
        says "\"/run/netns/$blue\" is an empty file: its mount is in another mount namespace, or gone (process $away sleep has one)" \
            "netns-enter -n $blue"
        # What stands there instead is not passed over.
        echo text > /run/netns/$blue
        for word in "-n $blue" $blue; do refused $word; says "is not a namespace but a regular file"; done
        rm /run/netns/$blue; ln -s /proc/4194304/ns/net /run/netns/$blue
        refused -n $blue; says "dangling"
        rm /run/netns/$blue
        kill $away; wait $away 2>/dev/null
        refused -n $blue; says "no pin \"$blue\""
        "#,
    );
}

#[test]
fn several_namespaces_of_one_name_are_refused() {
    holds(
        r#"
        holder; first=$ns; away /proc/$pid/ns/net unshare -m; one=$away
        # The same one twice is one.
        away /proc/$pid/ns/net unshare -m
        [ "$(entered -n $blue)" = "$first" ] || fail same
        holder; away /proc/$pid/ns/net unshare -m
        refused -n $blue
        says "is ambiguous" "process $one sleep has $(stat -Lc %i /proc/$one/root/run/netns/$blue)" \
            "process $away sleep has $(stat -Lc %i /proc/$pid/ns/net)" \
            "--file /proc/$one/root/run/netns/$blue or --file /proc/$away/root/run/netns/$blue"
        [ "$(entered --file /proc/$away/root/run/netns/$blue)" = "$ns" ] || fail remedy
        # Ours goes before all of them.
        "$ne" -p $pid --pin $blue
        [ "$(entered -n $blue)" = "$ns" ] && [ ! -s /run/said ] || fail ours
        "#,
    );
}

#[test]
fn an_entry_of_a_container_or_a_user_is_told_and_not_entered() {
    holds(
        r#"
        # In a pid namespace of its own, as most containers.
        holder
        unshare -pf --kill-child unshare -m sh /run/away.sh /proc/$pid/ns/net : & holders="$holders $!"
        kolla=
        until [ -n "$kolla" ]; do
            for one in $(pgrep -x sleep); do grep -q " /run/netns/$blue " /proc/$one/mountinfo 2>/dev/null && kolla=$one; done
        done
        touch /run/netns/$blue
        for word in "-n $blue" $blue; do
            refused $word
            says "(process $kolla sleep has one)" "netns-enter --file /proc/$kolla/root/run/netns/$blue"
        done
        [ "$(entered --file /proc/$kolla/root/run/netns/$blue)" = "$ns" ] || fail remedy
        # Where root has one, it is nobody else's word.
        holder; away /proc/$pid/ns/net unshare -m
        [ "$(entered -n $blue)" = "$ns" ] || fail "not root's: $(cat /run/said)"
        "#,
    );
    // With the host's pids, in a root directory of its own.
    holds(
        r#"
        mkdir /run/box; mount -t tmpfs none /run/box; mkdir /run/box/run /run/box/proc
        for dir in usr bin lib lib64 sbin; do
            if [ -L /$dir ]; then ln -s usr/$dir /run/box/$dir
            elif [ -d /$dir ]; then mkdir /run/box/$dir; mount --bind /$dir /run/box/$dir; fi
        done
        mount --bind /run /run/box/run; mount --rbind /proc /run/box/proc
        holder; away /proc/$pid/ns/net unshare -m chroot /run/box
        refused -n $blue
        says "no pin \"$blue\" here, but process $away sleep has one" "/proc/$away/root/run/netns/$blue"
        [ "$(entered --file /proc/$away/root/run/netns/$blue)" = "$ns" ] || fail remedy
        # A snap's mount namespace is one that snapd keeps.
        mkdir -p /run/snapd/ns; touch /run/snapd/ns/box.mnt
        # The kernel binds only what was made later than ours, by numbers that each processor gives.
        tries=0
        until mount --bind /proc/$away/ns/mnt /run/snapd/ns/box.mnt; do
            tries=$((tries + 1)); [ $tries -lt 100 ] || fail "not kept"
            kill -9 $away; away /proc/$pid/ns/net unshare -m chroot /run/box
        done
        [ "$(entered -n $blue)" = "$ns" ] || fail "not entered: $(cat /run/said)"
        says "note: pin \"$blue\"" "process $away sleep"
        "#,
    );
    holds(
        r#"
        away /proc/self/ns/net setpriv --reuid 65533 --regid 65533 --clear-groups unshare -Urmn
        refused -n $blue
        says "no pin \"$blue\" here, but process $away sleep of uid 65533 has one" "/proc/$away/root/run/netns/$blue"
        "#,
    );
}

/// Whoever may mount anything can call the host's namespace by any name.
#[test]
fn nobody_is_led_to_the_hosts_by_a_users_entry() {
    holds(
        r#"
        own=$(stat -Lc %i /proc/self/ns/net)
        "$ne" --list | grep -q "^$own .*(host)" || exit 0
        away /proc/self/ns/net setpriv --reuid 65533 --regid 65533 --clear-groups unshare -Urm
        for word in "-n $blue" $blue; do
            refused $word
            if grep -q $away /run/said; then cat /run/said; fail "led to the host"; fi
        done
        "#,
    );
}

/// Where only a process of root's sees a namespace, as with neutron and kolla, its address counts.
#[test]
fn an_address_counts_in_whatever_keeps_its_namespace() {
    holds(
        r#"
        give() { nsenter -t $pid -n ip addr add 203.0.113.9/32 dev lo || fail give; }
        holder; give; kept=$ns; away /proc/$pid/ns/net unshare -m
        kill $pid; wait $pid 2>/dev/null
        [ "$(entered --addr 203.0.113.9)" = "$kept" ] || fail "not entered: $(cat /run/said)"
        holder; give
        refused --addr 203.0.113.9; says "2 network namespaces have address" "$(echo $kept | tr -dc 0-9)" "pid $pid"
        "#,
    );
}

/// What lies below the root directory of a process is that process's: a link there leads to nothing
/// of ours, though the kernel would follow it from our own root.
#[test]
fn a_link_below_the_root_of_a_process_stays_there() {
    holds(
        r#"
        away /proc/self/ns/net setpriv --reuid 65533 --regid 65533 --clear-groups unshare -Urmn
        there=$(readlink /proc/$away/ns/net); path=/proc/$away/root/run/netns/$blue
        [ "$(entered -f $path)" = "$there" ] || fail "not entered: $(cat /run/said)"
        # Inside, a link of its own is fine.
        inside() {
            setpriv --reuid 65533 --regid 65533 --clear-groups nsenter -t $away -U -m --preserve-credentials "$@"
        }
        inside ln -s /run/netns/$blue /run/netns/$blue-too
        [ "$(entered -f $path-too)" = "$there" ] || fail "not entered: $(cat /run/said)"
        inside umount /run/netns/$blue
        holder
        for target in /proc/1/ns/net /proc/$pid/ns/net /proc/self/ns/net; do
            inside ln -sf $target /run/netns/$blue
            refused -f $path; says "$path" "link"
        done
        # Nor do links on the way.
        inside ln -s / /run/netns/up
        refused -f /proc/$away/root/run/netns/up/proc/1/ns/net
        "#,
    );
}

/// A record of root's at the same path in our own root directory says nothing of one there.
#[test]
fn a_record_below_the_root_of_a_process_is_no_record_of_ours() {
    holds(
        r#"
        holder
        record() { printf '{"id":"web","pid":%s,"process-start-time":%s}' $1 $(sed 's/.*) //' /proc/$1/stat | cut -d' ' -f20); }
        mkdir -p /run/crun/web; record $pid >/run/crun/web/status
        [ "$(entered -s /run/crun/web/status)" = "$ns" ] || fail "not entered: $(cat /run/said)"
        then='mount -t tmpfs none /run/crun && mkdir /run/crun/web'
        away /proc/self/ns/net unshare -mn
        holder; record $pid >/proc/$away/root/run/crun/web/status
        refused -s /proc/$away/root/run/crun/web/status
        says /proc/$away/root/run/crun/web/status "--host-root /proc/$away/root"
        # By another spelling, too.
        refused -s /proc/$away/../$away/root/run/crun/web/status
        refused -s /proc//$away/cwd/run/crun/web/status
        "#,
    );
}

#[test]
fn a_process_that_sees_a_part_of_its_mounts_hides_none() {
    holds(
        r#"
        holder; mkdir -p /run/jail; cp "$ne" /run/jail/ne
        unshare -m chroot /run/jail /ne --wait -f /none >/dev/null 2>&1 & jailed=$!
        holders="$holders $jailed"
        until [ "$(cat /proc/$jailed/comm)" = ne ]; do sleep 0.02; done
        away /proc/$pid/ns/net nsenter -t $jailed -m
        [ "$away" -gt "$jailed" ] || exit 0
        [ "$(entered -n $blue)" = "$ns" ] || fail "not entered: $(cat /run/said)"
        "#,
    );
}

#[test]
fn the_proc_of_a_host_root_is_its_own() {
    holds(
        r#"
        mkdir /run/there; ln -s /proc /run/there/proc
        refused --host-root /run/there -p $$; says '"/run/there/proc" is not a mounted procfs'
        rm /run/there/proc; mkdir /run/there/proc; mount --rbind /proc /run/there/proc
        entered --host-root /run/there -p $$ >/dev/null || fail "$(cat /run/said)"
        "#,
    );
}

#[test]
fn what_is_mounted_over_an_entry_is_told() {
    holds(
        r#"
        holder; ip netns add $blue; inode=$(stat -Lc %i /run/netns/$blue)
        mount -t tmpfs none /run/netns
        for word in "-n $blue" $blue; do
            refused $word
            says "\"/run/netns/$blue\" is network namespace $inode, but hidden by the mount on \"/run/netns\" (tmpfs)" \
                "umount /run/netns"
        done
        umount /run/netns
        [ "$(entered -n $blue)" = "net:[$inode]" ] || fail remedy
        mount --bind /dev/null /run/netns/$blue
        refused $blue; says "but hidden by" "$inode" "umount /run/netns/$blue"
        umount /run/netns/$blue
        # Another namespace on top is what ip netns enters, and so do we.
        mount --bind /proc/$pid/ns/net /run/netns/$blue
        [ "$(entered -n $blue)" = "$ns" ] && [ "$(ip netns exec $blue readlink /proc/self/ns/net)" = "$ns" ] || fail top
        says "note" "$inode"
        umount /run/netns/$blue
        [ "$(entered -n $blue)" = "net:[$inode]" ] && [ ! -s /run/said ] || fail "nothing hidden"
        "#,
    );
}

#[test]
fn an_entry_that_the_kernel_has_locked_is_told() {
    let output = script(
        "private",
        r#"
        holder; blue=ne-t-locked; "$ne" -p $pid --pin $blue
        unshare -Urm "$ne" --unpin $blue; echo $?
        [ -e /run/netns/$blue ] && "$ne" --unpin $blue
        "#,
    );
    if !lacks(&["unshare"]) {
        output
            .succeeds()
            .prints("125")
            .says(&["cannot unmount \"/run/netns/ne-t-locked\"", "locked"]);
    }
}

/// A file system that answers nothing stands in the way to the entry, in a process of root's.
#[test]
fn what_does_not_answer_is_not_waited_for() {
    if lacks(&["python3"]) {
        return;
    }
    holds(
        r#"
        holder
        cat > /run/silent.py <<'END'
import ctypes, os, time
fd = os.open('/dev/fuse', os.O_RDWR)
options = f'fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other'.encode()
if ctypes.CDLL(None).mount(b'ne-silent', b'/run/netns', b'fuse', 0, options): os._exit(1)
open('/run/silent', 'w').close()
time.sleep(3600)
END
        then='python3 /run/silent.py & echo $! >/run/silent.pid; until [ -e /run/silent ]; do sleep 0.02; done'
        away /proc/$pid/ns/net unshare -m
        holders="$holders $(cat /run/silent.pid)"
        for word in "-n $blue" $blue; do
            refused $word; says $blue "/proc/$away/root/run/netns/$blue" "does not answer"
        done
        # Others that answer are entered.
        then=:; away /proc/$pid/ns/net unshare -m
        [ "$(entered -n $blue)" = "$ns" ] || fail "not entered: $(cat /run/said)"
        "#,
    );
}
