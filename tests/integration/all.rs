//! `--all` and `--pin-all`: each namespace once, in order, and what becomes of statuses, signals
//! and namespaces that vanish.

#![forbid(unsafe_code)]

use crate::machine::{script, script_with};
use crate::util::Scratch;

/// Runs a script, or the test is over.
macro_rules! machine {
    ($text:expr) => {
        match script($text) {
            Some(output) => output,
            None => return,
        }
    };
}

/// Two containers in namespaces of their own, one in the host's, a pin, and a process that is
/// neither.
const HOSTS: &str = r#"
web=$(ns)
docker web "$web" "$(id aa)"
cart=$(ns)
app=$(join "$cart")
pod shop cart one "$cart" "$(id ac)"
pod shop cart two "$app" "$(id ad)"
sleep 3600 &
runc proxy $!
ip netns add blue
plain=$(ns)
rows() {
    printf '%s docker:web\n%s k8s:shop/cart\n%s blue\n' "$(inode "$web")" "$(inode "$cart")" "$(stat -Lc %i /run/netns/blue)" | sort -n
}
"#;

fn with_hosts(text: &str) -> String {
    format!("{HOSTS}{text}")
}

#[test]
fn command_runs_once_in_each_in_order_and_never_in_the_hosts() {
    let output = machine!(&with_hosts(
        r#"
rows | while read -r inode name; do printf '==> %s %s <==\nnet:[%s] a b\n' "$name" "$inode" "$inode"; done >/run/expected
"$1" --all -- sh -c 'echo "$(readlink /proc/self/ns/net) $1 $2"' sh a b >/run/out 2>/run/notes
diff /run/expected /run/out
[ "$(wc -l </run/notes)" = 1 ] && grep -q "note: .*host's network namespace: runc:proxy" /run/notes
rows | sed 's/\([0-9]*\).*/net:[\1]/' >/run/expected
"$1" -q --all readlink /proc/self/ns/net >/run/out 2>/run/notes
diff /run/expected /run/out
[ ! -s /run/notes ]
# Options of COMMAND are its own.
"$1" --all echo --list -q | grep -c '^--list -q$'
"#
    ));
    output.succeeds().prints("3");
}

#[test]
fn the_first_failure_is_the_status() {
    let output = machine!(&with_hosts(
        r#"
set +e
"$1" -q --all true; echo $?
"$1" -q --all sh -c 'echo x >>/run/n; exit $(wc -l </run/n)'; echo $?
"$1" -q --all sh -c 'echo y >>/run/m; [ $(wc -l </run/m) != 2 ] || exit 7'; echo $?
wc -l </run/n
"$1" -q --all nosuchcommand; echo $?
"$1" -q --all /etc/passwd; echo $?
"$1" --all true >/dev/full; echo $?
"#
    ));
    output
        .succeeds()
        .prints("0\n1\n7\n3\n127\n126\n125")
        .says(&["nosuchcommand", "standard output"]);
}

#[test]
fn what_vanishes_meanwhile_is_a_note_and_fails() {
    let output = machine!(&with_hosts(
        r#"
set +e
# The first run ends everything: processes and the pin.
cat >/run/end <<'END'
[ -e /run/done ] && exit
touch /run/done
kill "$@"
ip netns del blue
for pid; do while readlink /proc/$pid/ns/net >/dev/null; do sleep 0.01; done; done
END
"$1" --all sh /run/end "$web" "$cart" "$app" >/run/out 2>/run/notes
echo $?
wc -l </run/out
grep -c 'note: .* has vanished' /run/notes
"#
    ));
    output.succeeds().prints("125\n1\n2");
}

#[test]
fn a_container_that_ended_gives_its_name_to_nobody() {
    let output = machine!(&with_hosts(
        r#"
set +e
# The pod's first container and the namespace of web go on without their inits.
left=$(join "$web")
kill "$web" "$cart"
while kill -0 "$web" 2>/dev/null || kill -0 "$cart" 2>/dev/null; do sleep 0.01; done
"$1" --all readlink /proc/self/ns/net 2>/dev/null | grep -v blue
echo "==> k8s:shop/cart $(inode "$app") <=="
"#
    ));
    let lines: Vec<&str> = output.succeeds().stdout.lines().collect();
    assert!(!output.stdout.contains("docker:web"), "{}", output.dump());
    assert!(
        lines.iter().filter(|line| *line == lines.last().unwrap()).count() == 2,
        "{}",
        output.dump()
    );
}

/// What the terminal sends is for COMMAND, and its end by a signal ends the run by that signal.
#[test]
fn signals_end_the_run() {
    let output = machine!(&with_hosts(
        r#"
cat >/run/drive.py <<'END'
import os, signal, subprocess, sys, time

def job():
    # A process group as a shell makes it for a job, and the signals as at a terminal, though the tests may run in the background.
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.signal(signal.SIGQUIT, signal.SIG_DFL)

def start(words, **more):
    return subprocess.Popen([sys.argv[1], "-q", "--all", "--", *words], stdout=subprocess.PIPE, preexec_fn=job, **more)

for number in (signal.SIGINT, signal.SIGQUIT):
    run = start(["sh", "-c", "echo started; exec sleep 60"])
    assert run.stdout.readline() == b"started\n"
    os.killpg(run.pid, number)
    assert run.wait() == -number, run.returncode
    assert run.stdout.read() == b"", "another one was started"

# One that COMMAND handles does not end the run.
run = start(["sh", "-c", "trap 'exit 5' INT; echo started; while :; do sleep 0.05; done"])
for _ in range(3):
    assert run.stdout.readline() == b"started\n"
    os.killpg(run.pid, signal.SIGINT)
assert run.wait() == 5, run.returncode

for number in (signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM, signal.SIGPIPE, 40):
    run = start(["sh", "-c", f"echo started; kill -{int(number)} $$"], cwd="/run")
    assert run.wait() == -number, run.returncode
    assert run.stdout.read() == b"started\n"

# Stopped and continued as a job.
run = start(["sh", "-c", "echo started; until [ -e /run/go ]; do sleep 0.01; done"])
assert run.stdout.readline() == b"started\n"
os.killpg(run.pid, signal.SIGTSTP)
_, status = os.waitpid(run.pid, os.WUNTRACED)
assert os.WIFSTOPPED(status), status
open("/run/go", "w").close()
os.killpg(run.pid, signal.SIGCONT)
assert run.stdout.read() == b"started\n" * 2 and run.wait() == 0

# COMMAND's dispositions are the caller's, and an ignored SIGCHLD hides no status.
def odd():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.setpgid(0, 0)

for setup in (odd, lambda: signal.signal(signal.SIGPIPE, signal.SIG_DFL)):
    words = ["grep", "-E", "^Sig(Ign|Blk|Cgt)", "/proc/self/status"]
    own = subprocess.run(words, stdout=subprocess.PIPE, preexec_fn=setup).stdout
    seen = subprocess.run([sys.argv[1], "-q", "--all", *words], stdout=subprocess.PIPE, preexec_fn=setup)
    assert seen.stdout == own * 3 and seen.returncode == 0, (seen, own)
    assert subprocess.run([sys.argv[1], "-q", "--all", "sh", "-c", "exit 9"], preexec_fn=setup).returncode == 9
END
python3 /run/drive.py "$1"
ls /run/core* 2>/dev/null || true
"#
    ));
    output.succeeds();
}

/// However slow the program is to ignore what the terminal sends, once COMMAND runs that is for
/// COMMAND alone.
#[test]
fn a_signal_is_commands_from_its_start_on() {
    let output = machine!(&with_hosts(
        r#"
cat >/run/drive.py <<'END'
import os, signal, subprocess, sys
slowly = ["strace", "-qq", "-o", "/dev/null", "-e", "trace=rt_sigaction", "-e", "inject=rt_sigaction:delay_enter=200000"]
command = ["sh", "-c", "trap 'exit 5' INT; echo started; while :; do sleep 0.05; done"]
def job():
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
run = subprocess.Popen([*slowly, sys.argv[1], "-q", "--all", "--", *command], stdout=subprocess.PIPE, preexec_fn=job)
for _ in range(3):
    assert run.stdout.readline() == b"started\n"
    os.killpg(run.pid, signal.SIGINT)
assert run.wait() == 5, run.returncode
END
python3 /run/drive.py "$1"
"#
    ));
    output.succeeds();
}

/// Nothing of ours is open in COMMAND.
#[test]
fn command_inherits_no_descriptor_of_ours() {
    let text = r#"
{ ls -m /proc/self/fd; "$1" -q --all ls -m /proc/self/fd; } | sort | uniq -c | wc -l
"#;
    machine!(&with_hosts(text)).succeeds().prints("1");
}

#[test]
fn views_and_all_go_together() {
    let text = r#"
"$1" -q --all --sys ls /sys/class/net | sort | uniq -c | tr -s ' '
"#;
    machine!(&with_hosts(text)).succeeds().prints("3 lo");
}

#[test]
fn pin_all_pins_what_runs_and_prints_what_it_made() {
    let output = machine!(&with_hosts(
        r#"
side=$(join "$web")
docker side "$side" "$(id ab)"
"$1" --pin-all >/run/made
sort /run/made
[ "$(stat -Lc %i /run/netns/docker-web)" = "$(inode "$web")" ]
[ "$(stat -Lc %i /run/netns/docker-side)" = "$(inode "$web")" ]
[ "$(stat -Lc %i /run/netns/k8s-shop_cart)" = "$(inode "$cart")" ]
[ ! -e /run/netns/runc-proxy ]
# A second run makes nothing.
[ -z "$("$1" --pin-all)" ]
"$1" --list | grep -q "^$(inode "$cart") .* k8s:shop/cart  *k8s-shop_cart "
ip netns exec docker-web true
"$1" --unpin $(cat /run/made)
ls /run/netns
"#
    ));
    output.succeeds().prints("docker-side\ndocker-web\nk8s-shop_cart\nblue");
}

#[test]
fn pin_all_goes_on_after_a_name_that_does_not_fit() {
    let output = machine!(&with_hosts(
        r#"
set +e
docker 'a b' "$(ns)" "$(id ae)"
docker "$(printf %0250d 1)" "$(ns)" "$(id af)"
docker taken "$(ns)" "$(id ba)"
ip netns add docker-taken
"$1" --pin-all 2>/run/notes | sort
"$1" --pin-all >/run/again 2>/run/notes
echo $?
wc -l </run/notes
grep -c 'has a blank' /run/notes
grep -c 'longer than 255' /run/notes
grep -c '"docker-taken" holds another' /run/notes
"#
    ));
    output.succeeds().prints("docker-web\nk8s-shop_cart\n125\n3\n1\n1\n1");
}

#[test]
fn without_containers_there_is_nothing_to_do() {
    let output = machine!("\"$1\" --all echo ran; \"$1\" --pin-all; [ ! -e /run/netns ]");
    output.succeeds().prints("");
}

/// Who may not read the engines' state is told so, lest nothing done be taken for all done.
#[test]
fn what_may_not_be_read_is_one_note() {
    let dir = Scratch::new("all");
    let text = r#"
user="setpriv --reuid=64533 --regid=64533 --clear-groups"
chmod 700 /var/lib/docker
ip netns del blue
$user "$1" --all true >/run/out 2>/run/notes
[ ! -s /run/out ] && [ "$(wc -l </run/notes)" = 1 ]
grep -c '^netns-enter: note: not all of the host could be read: "/' /run/notes
$user "$1" -q --all true 2>&1 | wc -c
# Who may pin nothing is told so, whatever there is, and loudly.
for quiet in "" -q; do
    status=0
    $user "$1" $quiet --pin-all >/run/out 2>/run/notes || status=$?
    [ ! -s /run/out ] && echo $status
    grep -c '^netns-enter: cannot pin anything: Operation not permitted$' /run/notes
    grep -c 'sudo' /run/notes
done
"#;
    let Some(output) = script_with(&with_hosts(text), dir.copy_of_binary()) else { return };
    output.succeeds().prints("1\n0\n125\n1\n1\n125\n1\n1");
}
