//! The release: what is in its archives, that anybody can make the same bytes, and that what was
//! built for another machine runs there.

use crate::binary::assert_static_and_hardened;
use crate::util::{
    Output, Scratch, Sleeper, binary, finish_within, has, lacks, sh, skip, small_build, tool,
};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::Duration;

/// A build of the standard library and all, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(3600);
const X86_64: &str = "x86_64-unknown-linux-musl";
const AARCH64: &str = "aarch64-unknown-linux-musl";

/// `make` in a directory with the sources. All archives made here have one date.
fn make(sources: &Path, words: &[&str], archives: &Path) -> Output {
    let mut command = Command::new("make");
    command.arg("-C").arg(sources).args(words).arg(format!("DIST={}", archives.display()));
    command.env("SOURCE_DATE_EPOCH", "1700000000");
    for key in ["MAKEFLAGS", "MAKELEVEL", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(key);
    }
    finish_within(PATIENCE, command)
}

/// Where the archives are that `make dist` made, once for all tests; None (a skip) where they
/// cannot be made.
#[track_caller]
fn archives() -> Option<&'static Path> {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    if !small_build() {
        return None;
    }
    if let Some(program) = ["make", "rustup"].iter().find(|program| !has(program)) {
        skip(&format!("{program} is not installed"));
        return None;
    }
    let made = MADE.get_or_init(|| {
        let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
        let dir = sources.join("target/dist-test");
        make(sources, &["dist"], &dir).succeeds();
        dir
    });
    Some(made)
}

fn release(triple: &str) -> String {
    format!("netns-enter-{}-{triple}", env!("CARGO_PKG_VERSION"))
}

/// An archive's files, unpacked.
fn unpacked(archives: &Path, triple: &str) -> (Scratch, PathBuf) {
    let dir = Scratch::new("dist");
    let archive = archives.join(release(triple) + ".tar.gz");
    tool("tar", &["-C", dir.dir().to_str().unwrap(), "-xzf", archive.to_str().unwrap()]).succeeds();
    let files = dir.dir().join(release(triple));
    (dir, files)
}

#[test]
fn archives_are_complete() {
    let Some(archives) = archives() else { return };
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    sh("cd \"$1\" && sha256sum --strict -c SHA256SUMS", &[archives.to_str().unwrap()]).succeeds();
    for triple in [X86_64, AARCH64] {
        let (_dir, files) = unpacked(archives, triple);
        for (inside, source) in [
            ("LICENSE", "LICENSE"),
            ("README.md", "README.md"),
            ("netns-enter.8", "src/share/netns-enter.8"),
            ("completions/netns-enter.bash", "src/share/completions/netns-enter.bash"),
            ("completions/_netns-enter", "src/share/completions/_netns-enter"),
            ("completions/netns-enter.fish", "src/share/completions/netns-enter.fish"),
        ] {
            assert_eq!(
                fs::read(files.join(inside)).unwrap(),
                fs::read(here.join(source)).unwrap(),
                "{inside}"
            );
        }
        let crates = fs::read_to_string(files.join("CRATES")).unwrap();
        for name in ["netns-enter", "rustix", "lexopt", "hifijson", "std", "musl"] {
            let row = crates.lines().find(|line| line.split_whitespace().next() == Some(name));
            let row = row.unwrap_or_else(|| panic!("{name} is not in\n{crates}"));
            let words: Vec<_> = row.split_whitespace().collect();
            assert!(words.len() >= 3 && words[1].split('.').count() == 3, "{row}");
        }
    }
    if cfg!(target_arch = "x86_64") {
        let (_dir, files) = unpacked(archives, X86_64);
        assert!(
            fs::read(files.join("netns-enter")).unwrap() == fs::read(binary()).unwrap(),
            "not the binary under test"
        );
    }
}

#[test]
fn archived_binaries_are_static_and_hardened() {
    if lacks(&["readelf"]) {
        return;
    }
    let Some(archives) = archives() else { return };
    for triple in [X86_64, AARCH64] {
        let (_dir, files) = unpacked(archives, triple);
        assert_static_and_hardened(&files.join("netns-enter"));
    }
}

#[test]
fn builds_in_two_directories_are_the_same_bytes() {
    let Some(archives) = archives() else { return };
    let dir = Scratch::new("dist");
    let sources = dir.dir().join("sources-in-a-directory-with-a-longer-name-than-the-first");
    fs::create_dir(&sources).unwrap();
    let copy = "cd \"$1\" && tar -cf - .cargo Cargo.toml Cargo.lock Makefile README.md LICENSE src tests | tar -C \"$2\" -xf -";
    sh(copy, &[env!("CARGO_MANIFEST_DIR"), sources.to_str().unwrap()]).succeeds();
    let again = dir.dir().join("archives");
    // Whoever builds may have another umask.
    let target = format!("TARGET={X86_64}");
    fs::create_dir(&again).unwrap();
    make(&sources, &["archive", &target], &again).succeeds();
    let name = release(X86_64) + ".tar.gz";
    let same = fs::read(archives.join(&name)).unwrap() == fs::read(again.join(&name)).unwrap();
    assert!(same, "{name} differs from a build in {}", sources.display());
}

#[test]
fn says_one_version_everywhere() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let version = env!("CARGO_PKG_VERSION");
    let manual = fs::read_to_string(here.join("src/share/netns-enter.8")).unwrap();
    assert!(manual.contains(&format!("This page describes version {version}.")));
    let readme = fs::read_to_string(here.join("README.md")).unwrap();
    let (_, changes) = readme.split_once("\n## Changes\n").expect("a section Changes");
    let newest = changes.lines().find(|line| line.starts_with("**")).unwrap();
    assert!(newest.starts_with(&format!("**{version}**")), "{newest}");
}

#[test]
fn the_aarch64_binary_runs() {
    let emulator = if cfg!(target_arch = "aarch64") { "env" } else { "qemu-aarch64-static" };
    if lacks(&[emulator, "unshare", "ip"]) {
        return;
    }
    let Some(archives) = archives() else { return };
    let (_dir, files) = unpacked(archives, AARCH64);
    let path = files.join("netns-enter");
    let run = |words: &[&str]| tool(emulator, &[&[path.to_str().unwrap()], words].concat());
    run(&["--version"]).succeeds().prints(concat!("netns-enter ", env!("CARGO_PKG_VERSION")));
    assert_eq!(run(&["--help"]).succeeds().stdout, crate::util::run(&["--help"]).stdout);
    let other = Sleeper::start();
    run(&["--pid", &other.word(), "--", "readlink", "/proc/self/ns/net"])
        .succeeds()
        .prints(&other.ns());
    run(&["-i", &other.ns(), "--", "sh", "-c", "exit 7"]).exits(7);
    run(&["-p", &other.word(), "--", "/no/such/command"]).exits(127);
    run(&["no-such-container", "--", "echo", "ran"])
        .refuses(&["no container or pin \"no-such-container\""]);
    run(&["/proc/self/ns/uts", "--", "echo", "ran"]).refuses(&["is a uts namespace"]);
}
