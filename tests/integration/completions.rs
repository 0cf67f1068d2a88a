//! Completion in the shells themselves: every option, live containers and pins, and nothing that a
//! name says is ever run.

use crate::util::{
    Scratch, Sleeper, binary, finish, lacks, make_executable, run, runc_state, spellings, unique,
};
use netns_enter::cli::options::OPTIONS;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/share/completions");

/// Words as readline parts them, and bash-completion where COMMAND is netns-enter.
const BASH: &str = r#"
. "$1"/netns-enter.bash
[[ ! $2 =~ netns-enter.*netns-enter ]] || _command_offset() { COMPREPLY=("${COMP_WORDS[*]:$1}"); }
COMP_LINE=$2 COMP_POINT=${#2} COMPREPLY=()
shift 2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
_netns_enter
printf '%s\n' "${COMPREPLY[@]}"
"#;
/// An interactive zsh with a compadd that tells what matches.
const ZSH: &str = r#"
zmodload zsh/zpty
zpty inner zsh -f -i
zpty -w inner "PROMPT= RPROMPT= fpath=(${(q)1} \$fpath); autoload -Uz compinit && compinit -u -D"
zpty -w inner 'compadd() {
	if [[ ${@[1,(i)(-|--)]} == *-[OAD]\ * ]]; then builtin compadd "$@"; return; fi
	local -a hits; builtin compadd -O hits "$@"; (( $#hits )) && print -rl -- HIT:$^hits; builtin compadd "$@" }
	told() { print -r -- HITS-END }; comppostfuncs=(told); bindkey "^I" complete-word; LISTMAX=10000; print READY-$((1 + 1))'
zpty -r inner all '*READY-2*'
zpty -w -n inner "$2"$'\t'
zpty -r inner all '*HITS-END*'
print -r -- "$all" | tr -d '\r' | sed -n 's/^.*HIT://p' | sort -u
zpty -d inner
"#;
const FISH: &str =
    "source $argv[1]/netns-enter.fish; complete -C $argv[2] | string replace -r '\\t.*' ''";
/// Hides the machine's own pins and containers. `$1` is a directory to be put on PATH, `$2` pins to
/// be had.
const ALONE: &str = r#"
mount -t tmpfs none /run && mkdir /run/netns && cd /run/netns || exit 99
[ ! -d "$1/run" ] || cp -r "$1/run/." /run
PATH=$1:$PATH pins=$2; shift 2
for pin in $pins; do touch "$pin"; done
touch 'two words;x'
exec "$@"
"#;

fn command(shell: &str, line: &str) -> Vec<String> {
    let script = match shell {
        "bash" => BASH,
        "zsh" => ZSH,
        _ => FISH,
    };
    let mut words: Vec<String> = match shell {
        "fish" => vec!["fish".into(), "--no-config".into(), "-c".into(), script.into()],
        "zsh" => vec!["zsh".into(), "-f".into(), "-c".into(), script.into(), "zsh".into()],
        _ => vec!["bash".into(), "--norc".into(), "-c".into(), script.into(), "bash".into()],
    };
    words.extend([SCRIPTS.to_string(), line.to_string()]);
    if shell == "bash" {
        let parted = line.replace(':', " : ").replace("= ", "=").replace('=', " = ");
        words.extend(parted.split(' ').filter(|word| !word.is_empty()).map(str::to_string));
        if line.ends_with(' ') {
            words.push(String::new());
        }
    }
    words
}

/// What the shell offers at the end of `line`, with the netns-enter of `bin` on PATH, its `run`
/// below /run, and no pins but `blue` and `two words;x`.
#[track_caller]
fn offers(shell: &str, line: &str, bin: &Scratch) -> Vec<String> {
    let mut unshare = Command::new("unshare");
    unshare
        .args(["-m", "sh", "-c", ALONE, "sh"])
        .arg(bin.dir())
        .arg("blue")
        .args(command(shell, line));
    unshare
        .env("HOME", bin.dir())
        .env("TERM", "dumb")
        .env_remove("XDG_CONFIG_HOME")
        .env_remove("XDG_DATA_HOME");
    let output = finish(unshare);
    assert!(output.stderr.is_empty(), "{}", output.dump());
    output.stdout.lines().filter(|line| !line.is_empty()).map(str::to_string).collect()
}

/// A netns-enter that has this to say of containers.
fn fake(names: &[(&str, &str)]) -> Scratch {
    let dir = Scratch::new("bin");
    // The order of the fields is the interface's, not that of a map.
    let containers: Vec<_> = names
        .iter()
        .map(|(engine, name)| {
            format!(
                r#"{{"engine":"{engine}","name":{},"id":"b1","pid":5}}"#,
                serde_json::Value::from(*name)
            )
        })
        .collect();
    let list = format!(
        r#"[{{"inode":4026532253,"pid":5,"processes":1,"host":false,"containers":[{}],"unit":null,
        "command":"\",\"engine\":\"docker\",\"name\":\"evil\"","pins":[],"interfaces":[{{"name":"eth0","index":2,
        "state":"UP","mac":null,"addresses":["10.244.3.7/24","fd00::7/64"],"peer":null}}]}}]"#,
        containers.join(",")
    );
    dir.write("list", list);
    let program = dir.write(
        "netns-enter",
        "#!/bin/sh\n[ \"$*\" = \"--list --json --quiet\" ] && exec cat \"${0%/*}/list\"\n",
    );
    make_executable(program);
    dir
}

#[test]
fn every_option_is_offered_and_no_other() {
    if lacks(&["unshare", "bash", "zsh", "fish"]) {
        return;
    }
    let bin = fake(&[]);
    for shell in SHELLS {
        let offered = offers(shell, "netns-enter --", &bin);
        let (longs, shorts): (Vec<String>, Vec<String>) =
            spellings().into_iter().partition(|spelling| spelling.starts_with("--"));
        for long in &longs {
            assert!(offered.contains(long), "{shell} does not offer {long} but {offered:?}");
        }
        for word in &offered {
            let known = longs.iter().any(|long| long == word.trim_end_matches('='));
            assert!(known, "{shell} offers {word}, which there is not");
        }
        // bash has only the long ones.
        let offered = offers(shell, "netns-enter -", &bin);
        for short in shorts.iter().filter(|_| shell != "bash") {
            assert!(offered.contains(short), "{shell} does not offer {short} but {offered:?}");
        }
    }
}

#[test]
fn values_of_options_are_offered() {
    if lacks(&["unshare", "bash", "zsh", "fish"]) {
        return;
    }
    let bin = fake(&[("docker", "web"), ("k8s", "shop/cart-7d9f")]);
    let me = std::process::id().to_string();
    let file = bin.write("some-file", "");
    let (part, whole) = (&file[..file.len() - 2], file.rsplit('/').next().unwrap());
    for shell in SHELLS {
        for opt in OPTIONS.iter().filter(|opt| opt.value.is_some()) {
            let (begin, wanted): (&str, &str) = match opt.long {
                "pid" => (&me[..me.len() - 1], &me),
                "container" => ("we", "web"),
                "netns" | "unpin" => ("", "blue"),
                "file" | "state" | "cgroup" => (part, whole),
                "host-root" => (
                    &part[..part.rfind('/').unwrap() - 1],
                    bin.dir().file_name().unwrap().to_str().unwrap(),
                ),
                "inode" => ("40", "4026532253"),
                "addr" => ("10.2", "10.244.3.7"),
                "veth" => ("", "lo"),
                // A name for something new, and a number.
                "pin" | "wait" => continue,
                other => panic!("what does --{other} take?"),
            };
            let short = opt.short.map(|short| format!("-{short}"));
            for spelling in short.into_iter().chain([format!("--{}", opt.long)]) {
                let offered = offers(shell, &format!("netns-enter {spelling} {begin}"), &bin);
                let fits =
                    |word: &String| word.trim_end_matches('/').rsplit('/').next() == Some(wanted);
                assert!(
                    offered.iter().any(fits),
                    "{shell}: {spelling} {begin}: no {wanted} in {offered:?}"
                );
                assert!(
                    !offered.iter().any(|word| word == "tcpdump" || word == "--help"),
                    "{shell}: {spelling}: {offered:?}"
                );
            }
        }
    }
}

#[test]
fn targets_and_then_commands_are_offered() {
    if lacks(&["unshare", "bash", "zsh", "fish", "tcpdump"]) {
        return;
    }
    let bin = fake(&[("docker", "web"), ("podman", "web2"), ("k8s", "shop/cart-7d9f")]);
    for shell in SHELLS {
        let offered = offers(shell, "netns-enter ", &bin);
        for name in ["web", "web2", "shop/cart-7d9f", "blue"] {
            assert!(
                offered.iter().any(|word| word == name),
                "{shell}: {name} is not in {offered:?}"
            );
        }
        assert!(
            !offered.iter().any(|word| word.contains("evil") || word == "tcpdump"),
            "{shell}: {offered:?}"
        );
        // To bash, what follows the colon is a word of its own.
        let whole = if shell == "bash" { "web2" } else { "podman:web2" };
        assert_eq!(offers(shell, "netns-enter podman:w", &bin), [whole], "{shell}");
        for line in [
            "web tcpdum",
            "-q web tcpdum",
            "-p 1 tcpdum",
            "--pid=1 tcpdum",
            "-qp 1 tcpdum",
            "web -- tcpdum",
        ] {
            let offered = offers(shell, &format!("netns-enter {line}"), &bin);
            assert!(offered.iter().any(|word| word == "tcpdump"), "{shell}: {line}: {offered:?}");
        }
    }
}

/// COMMAND is completed by its own rules, however many options of ours stand before it: here it is
/// netns-enter once more.
#[test]
fn arguments_of_commands_are_offered() {
    if lacks(&["unshare", "bash", "zsh", "fish"]) {
        return;
    }
    let bin = fake(&[("docker", "web")]);
    for begin in [
        "web",
        "web --",
        "-q web",
        "-q web --",
        "-p 1",
        "--pid=1 --",
        "-qp 1 --",
        "--pin x web",
        "--all",
        "-q --all --",
    ] {
        for shell in SHELLS {
            let (words, wanted) = match shell {
                // Where bash-completion is told that COMMAND begins.
                "bash" => ("netns-enter --host", "netns-enter --host"),
                _ => ("netns-enter -v --host", "--host-root"),
            };
            let offered = offers(shell, &format!("netns-enter {begin} {words}"), &bin);
            let is_it = |word: &String| word.trim_end_matches('=') == wanted;
            assert!(offered.iter().any(is_it), "{shell}: {begin}: no {wanted} in {offered:?}");
        }
    }
    // What is completed is not run.
    let mark = bin.path("ran");
    for word in [format!("(touch {})", mark), format!("\"x;touch {}\"", mark)] {
        offers("fish", &format!("netns-enter -q web -- netns-enter {word} --host"), &bin);
    }
    assert!(!Path::new(&mark).exists(), "fish ran what it completes");
}

/// Names that would do something if a shell looked at them twice.
#[test]
fn names_are_never_evaluated() {
    if lacks(&["unshare", "bash", "zsh", "fish"]) {
        return;
    }
    let marks = Scratch::new("marks");
    let touch = |name: &str| format!("touch {}", marks.path(name));
    let names = [
        format!("$({})", touch("a")),
        format!("we`{}`", touch("b")),
        format!("x;{}", touch("c")),
        "\"q\"".into(),
    ];
    let pairs: Vec<_> = names.iter().map(|name| ("lxc", name.as_str())).collect();
    let bin = fake(&pairs);
    for shell in SHELLS {
        for line in [
            "netns-enter ",
            "netns-enter -c ",
            "netns-enter lxc:",
            "netns-enter we",
            "netns-enter --unpin ",
        ] {
            let offered = offers(shell, line, &bin);
            assert!(!offered.is_empty(), "{shell}: {line}: nothing");
        }
        assert!(
            fs::read_dir(marks.dir()).unwrap().next().is_none(),
            "{shell} ran what a name says"
        );
        // Offered all the same: bash has it quoted, the others quote it when it is chosen.
        let offered = offers(shell, "netns-enter -c x", &bin);
        assert!(
            offered.iter().any(|word| word.replace('\\', "").contains(&names[2])),
            "{shell}: {offered:?}"
        );
    }
}

/// The real binary, once it lists, and a container of runc's by its state.
#[test]
fn live_containers_of_the_real_binary_are_offered() {
    if lacks(&["unshare", "bash", "zsh", "fish"]) {
        return;
    }
    let bin = Scratch::new("bin");
    symlink(binary(), bin.path("netns-enter")).unwrap();
    let other = Sleeper::start();
    run(&["-p", &other.word(), "--", "ip", "addr", "add", "198.51.100.77/32", "dev", "lo"])
        .succeeds();
    let name = unique("box");
    bin.write(
        &format!("run/runc/{name}/state.json"),
        runc_state(&name, other.pid, other.start_time()),
    );
    for shell in SHELLS {
        for (line, wanted) in [
            ("-c ne-t-b", name.as_str()),
            ("ne-t-b", &name),
            ("--inode ", &other.inode().to_string()),
            ("--addr 198", "198.51.100.77"),
        ] {
            let offered = offers(shell, &format!("netns-enter {line}"), &bin);
            assert!(
                offered.iter().any(|word| word == wanted),
                "{shell}: {line}: no {wanted} in {offered:?}"
            );
        }
    }
}
