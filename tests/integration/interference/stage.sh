# Makes the stage of interference.rs in new mount, pid and network namespaces, and runs there what follows:
# $1 is the test program, $2 the binary under test, $3 a directory that is to be seen as /run/ne/outside, or
# nothing.
set -e
test=$1 binary=$2 outside=$3
shift 3
mount -t tmpfs none /mnt
cp -a /etc/. /mnt
mount --move /mnt /etc
mount -t tmpfs -o mode=755 none /run
mkdir -p /run/ne/bin /run/ne/outside /run/user /run/lock
chmod 1777 /run/lock
: >/run/ne/bin/test
mount --bind "$test" /run/ne/bin/test
cp "$binary" /run/ne/bin/netns-enter
cp "$(command -v busybox)" /run/ne/bin/busybox
ln -s busybox /run/ne/bin/readlink
if [ -n "$outside" ]; then mount --bind "$outside" /run/ne/outside; fi
for dir in /var/lib /var/log /home /root; do mount -t tmpfs -o mode=755 none $dir; done
for dir in /tmp /var/tmp; do mount -t tmpfs -o mode=1777 none $dir; done
mkdir -p /var/lib/lxc
# An interface that everything may use; nothing outside is reached.
ip link set lo up
export NETNS_ENTER_BIN=/run/ne/bin/netns-enter HOME=/root
unset XDG_RUNTIME_DIR XDG_DATA_HOME XDG_CONFIG_HOME TMPDIR
# Not exec: pid 1 has to reap.
/run/ne/bin/test "$@"
exit $?
