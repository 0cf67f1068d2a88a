//! `--host-root` on the root of a container, whose own root mounts what it likes.

#![forbid(unsafe_code)]

use crate::machine::script;

/// `container HOW...` starts one whose process `$inside`, by its own count, is called `web` by
/// crun's record; `$pid` is its first process. HOW says what its root mounts, as a line of sh.
const CONTAINER: &str = r#"
cat >/var/lib/mount.py <<'END'
import ctypes, os, sys
# Mounts the symlink that is the first argument over that which is the second.
libc = ctypes.CDLL(None, use_errno=True)
tree = libc.syscall(428, -100, sys.argv[1].encode(), 0x100 | 1)
# Not where the kernel has no such mounts.
done = libc.syscall(429, tree, b'', -100, sys.argv[2].encode(), 4)
open('/var/lib/linked', 'w').write(str(done))
END
cat >/var/lib/inside <<'END'
set -e
mount -t proc proc /proc
mount -t tmpfs none /run
sleep 3600 & n=$!
until [ "$(cat /proc/$n/comm)" = sleep ]; do :; done
start=$(cut -d' ' -f22 /proc/$n/stat)
mkdir -p /run/crun/web /run/fake/ns
echo "{\"pid\":$n,\"process-start-time\":$start}" >/run/crun/web/status
cp /proc/$n/stat /proc/$n/status /run/fake
ln -s "$1" /run/fake/ns/net
mkfifo /run/fifo
eval "$2"
echo $n >/var/lib/ready
exec sleep 3600
END
container() {
    rm -f /var/lib/ready
    unshare -mnpf --kill-child sh /var/lib/inside "$@" >/dev/null 2>&1 &
    until [ -s /var/lib/ready ] && pid=$(pgrep -P $!) && [ "$(cat "/proc/$pid/comm")" = sleep ]; do :; done
    inside=$(cat /var/lib/ready)
    dir=/proc/$pid/root
}
# asked WORD...: enters by the container's tree, and prints which namespace.
asked() { timeout 20 "$ne" --host-root "$dir" "$@" -- readlink /proc/self/ns/net 2>/run/said; }
# enters: by both words, the container's namespace.
enters() {
    for word in web "--pid $inside"; do
        [ "$(asked $word)" = "$(readlink /proc/$pid/ns/net)" ] || { echo "$word: not entered"; cat /run/said; exit 1; }
    done
}
# refused WORDS: 125 with nothing run.
refused() {
    status=0; said=$(asked $1) || status=$?
    [ $status = 125 ] && [ -z "$said" ] || { echo "$1: $status $said"; cat /run/said; exit 1; }
}
ne=$1
"#;

/// Runs a script beside such containers.
fn holds(text: &str) {
    if let Some(output) = script(&[CONTAINER, text].concat()) {
        output.succeeds();
    }
}

#[test]
fn what_is_mounted_over_a_process_names_no_other() {
    holds(
        r#"
        other=$(ns)
        container /proc/self/ns/net :
        enters
        # A directory and a link that lead to a namespace of ours.
        for target in /proc/1/ns/net /proc/$other/ns/net; do
            container $target 'mount --bind /run/fake /proc/$n'
            refused web; refused "--pid $inside"
            grep -q 'is not followed' /run/said
            container $target 'mount --bind /run/fake/ns /proc/$n/ns'
            refused web; refused "--pid $inside"
            container $target 'python3 /var/lib/mount.py /run/fake/ns/net /proc/$n/ns/net'
            [ "$(cat /var/lib/linked)" != 0 ] || { refused web; refused "--pid $inside"; }
        done
        "#,
    );
}

#[test]
fn what_is_mounted_over_a_file_is_not_opened() {
    holds(
        r#"
        container /proc/self/ns/net 'mount --bind /run/fifo /proc/$n/stat'
        refused web
        # LXCFS has its own of these; the others say what there is to say.
        container /proc/self/ns/net 'for f in stat uptime locks; do mount --bind /run/fifo /proc/$f; done'
        enters
        timeout 20 "$ne" --host-root $dir --list >/run/list
        grep -q "^$(inode $pid) .* crun:web " /run/list
        "#,
    );
}

/// A file system that answers nothing, wherever pins, records and cgroups are looked for.
#[test]
fn what_does_not_answer_there_is_not_waited_for() {
    holds(
        r#"
        cat >/var/lib/silent.py <<'END'
import ctypes, os, sys, time
fd = os.open('/dev/fuse', os.O_RDWR)
os.set_inheritable(fd, True)
options = f'fd={fd},rootmode=40000,user_id=0,group_id=0,allow_other'.encode()
if ctypes.CDLL(None).mount(b'ne-silent', sys.argv[1].encode(), b'fuse', 0, options): os._exit(1)
open('/var/lib/silent', 'w').close()
time.sleep(3600)
END
        for place in /run/netns /var/run/netns /run /sys/fs/cgroup; do
            rm -f /var/lib/silent
            mkdir -p /var/run/netns
            container /proc/self/ns/net "mkdir -p $place; cp -r /run/crun /var/lib/crun
                python3 /var/lib/silent.py $place & until [ -e /var/lib/silent ]; do sleep 0.02; done"
            refused "-n blue"
            case $place in
            # What is found elsewhere is entered, with a note.
            */run/netns) enters; timeout 20 "$ne" --host-root $dir web true 2>&1 | grep -q 'netns.*does not answer' ;;
            esac
            refused "-g x.service"
            timeout 20 "$ne" --host-root $dir --list >/run/list 2>/run/notes
            grep -q "^$(inode $pid) " /run/list
            asked --pid $inside >/dev/null
        done
        "#,
    );
}
