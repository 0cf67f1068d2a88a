//! COMMAND must not be able to tell that netns-enter was there. What a probe sees when it is
//! started directly is compared, line for line, with what it sees through netns-enter; the network
//! namespace alone may differ.

#![forbid(unsafe_code)]

use crate::util::{Output, Scratch, Sleeper, binary, finish, lacks, sh};
use std::fs;
use std::process::Command;

/// Writes all that a process inherits to $NE_REPORT. It looks at the shell's own /proc directory
/// from a subshell, so that redirections for the report do not show up in it.
const PROBE: &str = r#"
P=/proc/$$
(
	exec 2>&1 # what the probe itself misses is part of the report
	readlink $P/ns/net
	echo "pid $$"
	echo "cwd $(readlink $P/cwd) root $(readlink $P/root) exe $(readlink $P/exe)"
	tr '\0' '\n' <$P/cmdline
	tr '\0' '\n' <$P/environ | grep -v '^_='
	grep -E '^(Umask|PPid|Uid|Gid|Groups|Sig(Pnd|Blk|Ign|Cgt)|ShdPnd|Cap...|NoNewPrivs|Seccomp|Cpus_allowed):' $P/status
	cat $P/limits $P/personality $P/oom_score_adj $P/timerslack_ns $P/coredump_filter
	cut -d' ' -f 4-8,18,19 $P/stat
	fd=0
	while [ $fd -le 20 ]; do
		echo "fd $fd $(readlink $P/fd/$fd || echo closed) $(grep -s flags $P/fdinfo/$fd)"
		fd=$((fd + 1))
	done
	for ns in $P/ns/*; do
		case $ns in */net) ;; *) readlink $ns ;; esac
	done
) >"$NE_REPORT"
"#;

/// Runs the probe directly and through netns-enter, each from a shell that notes its own pid and
/// execs.
const DRIVER: &str = r#"
enter=$1 target=$2 prepare=$3 probe=$4
once() {
	sh -c "echo \$\$ >\"\$NE_REPORT.pid\"; $prepare" sh "$@" busybox sh -c "$probe" probe 'an arg' '' --x "$(printf '\351\n.')"
	mv "$NE_REPORT" "$NE_REPORT.$way" && mv "$NE_REPORT.pid" "$NE_REPORT.$way.pid"
}
way=direct; once
way=entered; once "$enter" --pid "$target" --
"#;

/// Both reports must be equal but for their first two lines. `prepare` sets what is inherited, and
/// ends in `exec "$@"`. Returns the report.
#[track_caller]
fn compare(prepare: &str) -> String {
    compare_by(prepare, |driver| {
        let mut command = Command::new("sh");
        command.args(driver);
        command
    })
}

#[track_caller]
fn compare_by(prepare: &str, start: impl Fn(&[String]) -> Command) -> String {
    let other = Sleeper::start();
    let dir = Scratch::new("transparency");
    let driver = dir.write("driver", DRIVER);
    let words =
        [driver, binary().display().to_string(), other.word(), prepare.into(), PROBE.into()];
    let mut command = start(&words);
    // A failure shows the whole environment: let there be nothing of the user in it.
    command.env_clear().env("SHELL", "/bin/sh");
    command.env("NE_REPORT", dir.path("report")).env("NE_ODD", "a\nb=\u{1}").env("NE_EMPTY", "");
    let output = finish(command);
    let report = |way: &str| read_report(&dir, way, &output);
    let (direct, entered) = (report("direct"), report("entered"));
    assert_ne!(direct.0, other.ns(), "{}", output.dump());
    assert_eq!(entered.0, other.ns(), "{}", output.dump());
    assert!(
        direct.1 == entered.1,
        "directly:\n{}\nentered:\n{}\n{}",
        direct.1,
        entered.1,
        output.dump()
    );
    entered.1
}

/// The network namespace, and the rest of the report after the pid, which must be that of the shell
/// that execed.
#[track_caller]
fn read_report(dir: &Scratch, way: &str, output: &Output) -> (String, String) {
    let read = |name: String| {
        let bytes =
            fs::read(dir.path(&name)).unwrap_or_else(|e| panic!("{name}: {e}\n{}", output.dump()));
        String::from_utf8_lossy(&bytes).into_owned()
    };
    let text = read(format!("report.{way}"));
    let pid = read(format!("report.{way}.pid"));
    let mut lines = text.splitn(3, '\n');
    let net = lines.next().unwrap_or_default().to_string();
    assert_eq!(lines.next(), Some(&*format!("pid {}", pid.trim())), "a fork on the way: {text}");
    (net, lines.next().unwrap_or_default().to_string())
}

fn cannot_run() -> bool {
    lacks(&["busybox", "unshare"])
}

#[track_caller]
fn shows(report: &str, line: &str) {
    assert!(report.lines().any(|l| l.trim_end() == line), "{line:?} is not in\n{report}");
}

#[test]
fn nothing_is_changed() {
    if cannot_run() {
        return;
    }
    let report = compare(r#"exec "$@""#);
    shows(&report, "an arg");
    shows(&report, "NE_ODD=a");
}

#[test]
fn umask_directory_limits_and_priority_stay() {
    if cannot_run() {
        return;
    }
    let report =
        compare(r#"umask 027; cd /proc/sys; ulimit -n 77; ulimit -c 0; exec nice -n 3 "$@""#);
    shows(&report, "Umask:\t0027");
    assert!(report.contains("cwd /proc/sys "), "{report}");
    assert!(report.contains(" 77 "), "{report}");
}

#[test]
fn descriptors_stay_open_and_closed() {
    if cannot_run() {
        return;
    }
    let report = compare(r#"exec 3</dev/null 5>/dev/zero 7>&5 9>>/dev/full; exec "$@""#);
    for open in ["fd 3 /dev/null", "fd 5 /dev/zero", "fd 9 /dev/full"] {
        assert!(report.contains(open), "{open} is not in\n{report}");
    }
    shows(&report, "fd 4 closed");
}

#[test]
fn closed_standard_descriptors_stay_closed() {
    if cannot_run() {
        return;
    }
    for (close, closed) in
        [("<&-", &[0][..]), (">&-", &[1]), ("2>&-", &[2]), ("<&- >&- 2>&-", &[0, 1, 2])]
    {
        let report = compare(&format!(r#"exec {close}; exec "$@""#));
        for fd in closed {
            assert!(report.contains(&format!("fd {fd} closed")), "{close}\n{report}");
        }
    }
}

#[test]
fn signals_stay_ignored_blocked_or_default() {
    if cannot_run() {
        return;
    }
    const SIGPIPE: u64 = 1 << 12;
    const SIGUSR1: u64 = 1 << 9;
    let mask = |report: &str, name: &str| {
        let line = report
            .lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap_or_else(|| panic!("{report}"));
        u64::from_str_radix(line.trim(), 16).unwrap()
    };
    let default = compare(r#"exec env --default-signal=PIPE "$@""#);
    assert_eq!(mask(&default, "SigIgn:") & SIGPIPE, 0, "{default}");
    let ignored = compare(r#"trap "" PIPE HUP; exec "$@""#);
    assert_ne!(mask(&ignored, "SigIgn:") & SIGPIPE, 0, "{ignored}");
    let blocked = compare(r#"exec env --block-signal=USR1 "$@""#);
    assert_ne!(mask(&blocked, "SigBlk:") & SIGUSR1, 0, "{blocked}");
}

#[test]
fn privileges_and_personality_stay() {
    if cannot_run() || lacks(&["setpriv", "setarch"]) {
        return;
    }
    let report = compare(r#"exec setarch -R setpriv --no-new-privs --inh-caps=-all "$@""#);
    shows(&report, "NoNewPrivs:\t1");
    shows(&report, "00040000");
}

#[test]
fn the_terminal_stays() {
    if cannot_run() || lacks(&["script"]) {
        return;
    }
    compare_by(r#"exec "$@""#, |driver| {
        let quoted: Vec<String> =
            driver.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
        let mut command = Command::new("script");
        command.args(["-qec", &format!("sh {}", quoted.join(" ")), "/dev/null"]);
        command
    });
}

#[test]
fn our_words_never_land_in_a_file_that_took_descriptor_2() {
    if lacks(&["unshare"]) {
        return;
    }
    let other = Sleeper::start();
    let dir = Scratch::new("transparency");
    let words = [binary().display().to_string(), other.word(), dir.path("")];
    // With 1 and 2 closed, our descriptors of namespaces and directories take their place.
    sh(r#""$1" -p "$2" -- ne-t-none >&- 2>&-"#, &words).exits(127);
    sh(r#""$1" -p 4194304 -- true <&- >&- 2>&-"#, &words).exits(125);
    let file = dir.write("file", "untouched");
    let both = [&words[0], &words[1], &file.clone()].map(Clone::clone);
    // What the caller itself put at 2 is the place for messages.
    sh(r#""$1" -p "$2" -- ne-t-none 2>>"$3""#, &both).exits(127);
    assert!(fs::read_to_string(&file).unwrap().contains("ne-t-none"));
    // The command's first own file takes the closed descriptor; nothing of ours precedes its words.
    let fresh = dir.path("fresh");
    let third = [&words[0], &words[1], &fresh].map(Clone::clone);
    sh(r#""$1" -v -p "$2" -- sh -c 'echo mine >"$1"' sh "$3" 2>&-"#, &third).succeeds();
    assert_eq!(fs::read_to_string(&fresh).unwrap(), "mine\n");
}

#[test]
fn help_with_standard_output_closed_is_a_failure() {
    sh(r#""$1" --help >&-"#, &[binary()]).refuses(&["standard output"]);
    sh(r#""$1" --help >/dev/full"#, &[binary()]).refuses(&["standard output"]);
}
