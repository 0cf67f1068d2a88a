//! The release: what is in its archives and packages, that anybody can make the same bytes, and that
//! what was built for another machine runs there. What needs a clean machine is in
//! `tests/clean-root`.

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
    for key in ["INSTALL", "MAKEFLAGS", "MAKELEVEL", "RUSTUP_TOOLCHAIN"] {
        command.env_remove(key);
    }
    finish_within(PATIENCE, command)
}

/// Where the archives are that `make dist` made, once for all tests; None (a skip) where they
/// cannot be made.
#[track_caller]
fn archives() -> Option<&'static Path> {
    dist().map(|(dir, _)| dir.as_path())
}

/// As [`archives`], with what `make dist` printed.
#[track_caller]
fn dist() -> Option<&'static (PathBuf, String)> {
    static MADE: OnceLock<(PathBuf, String)> = OnceLock::new();
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
        let said = make(sources, &["dist"], &dir).succeeds().stdout.clone();
        (dir, said)
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
    make(&sources, &["release", &target], &again).succeeds();
    let mut names = names(&again);
    names.retain(|name| name.contains(env!("CARGO_PKG_VERSION")));
    assert!(names.contains(&(release(X86_64) + ".tar.gz")), "{names:?}");
    assert_eq!(names.iter().any(|name| name.ends_with(".rpm")), has("rpmbuild"), "{names:?}");
    assert_eq!(names.iter().any(|name| name.ends_with(".deb")), has("dpkg-deb"), "{names:?}");
    for name in names {
        let same = fs::read(archives.join(&name)).unwrap() == fs::read(again.join(&name)).unwrap();
        assert!(same, "{name} differs from a build in {}", sources.display());
    }
}

/// Returns what is in a directory.
fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

/// Asserts that the files below `root`, in their packaged places, are those of an archive.
fn assert_same_files(root: &Path, files: &Path, zsh: &str) {
    let site = format!("usr/share/zsh/{zsh}/_netns-enter");
    let pairs = [
        ("netns-enter", "usr/bin/netns-enter"),
        ("netns-enter.8", "usr/share/man/man8/netns-enter.8.gz"),
        ("completions/netns-enter.bash", "usr/share/bash-completion/completions/netns-enter"),
        ("completions/netns-enter.fish", "usr/share/fish/vendor_completions.d/netns-enter.fish"),
        ("completions/_netns-enter", site.as_str()),
        ("CRATES", "usr/share/doc/netns-enter/CRATES"),
    ];
    let script = "case $1 in *.gz) gzip -dc \"$1\" ;; *) cat \"$1\" ;; esac | cmp - \"$2\"";
    for (inside, packaged) in pairs {
        let (packaged, inside) = (root.join(packaged), files.join(inside));
        sh(script, &[packaged.to_str().unwrap(), inside.to_str().unwrap()]).succeeds();
    }
}

#[test]
fn debian_packages_hold_the_files_of_the_archives() {
    if lacks(&["dpkg-deb"]) {
        return;
    }
    let Some(archives) = archives() else { return };
    for (triple, machine) in [(X86_64, "amd64"), (AARCH64, "arm64")] {
        let (dir, files) = unpacked(archives, triple);
        let name = format!("netns-enter_{}-1_{machine}.deb", env!("CARGO_PKG_VERSION"));
        let package = archives.join(name);
        let package = package.to_str().unwrap();
        let root = dir.dir().join("root");
        tool("dpkg-deb", &["-x", package, root.to_str().unwrap()]).succeeds();
        assert_same_files(&root, &files, "vendor-completions");
        let field = |name: &str| tool("dpkg-deb", &["-f", package, name]).succeeds().stdout.clone();
        assert_eq!(field("Architecture").trim(), machine);
        assert_eq!(field("Version").trim(), concat!(env!("CARGO_PKG_VERSION"), "-1"));
        assert_eq!(field("Depends").trim(), "", "it is static and needs nothing");
        // Nothing is run when it is installed or removed.
        sh("dpkg-deb --ctrl-tarfile \"$1\" | tar -tf - | sort | xargs", &[package])
            .succeeds()
            .prints("./ ./control ./md5sums");
        sh("dpkg-deb -c \"$1\" | awk '{ print $2 }' | sort -u", &[package])
            .succeeds()
            .prints("root/root");
    }
}

#[test]
fn rpms_hold_the_files_of_the_archives() {
    if lacks(&["rpmbuild", "rpm"]) {
        return;
    }
    let Some(archives) = archives() else { return };
    for (triple, machine) in [(X86_64, "x86_64"), (AARCH64, "aarch64")] {
        let (dir, files) = unpacked(archives, triple);
        let name = format!("netns-enter-{}-1.{machine}.rpm", env!("CARGO_PKG_VERSION"));
        let package = archives.join(name);
        let package = package.to_str().unwrap();
        // The machine's own database is left alone.
        let database = format!("--dbpath={}", dir.dir().join("rpmdb").display());
        let query = |format: &str| {
            tool("rpm", &["-qp", &database, "--qf", format, package]).succeeds().stdout.clone()
        };
        let listed = query("[%{FILENAMES} %{FILEDIGESTS}\n]");
        let sum = sh("sha256sum <\"$1\"", &[files.join("netns-enter").to_str().unwrap()]);
        let sum = sum.stdout.split_whitespace().next().unwrap().to_owned();
        assert!(listed.contains(&format!("/usr/bin/netns-enter {sum}\n")), "{listed}");
        let root = dir.dir().join("root");
        fs::create_dir(&root).unwrap();
        sh("rpm2archive - <\"$1\" | tar -C \"$2\" -xzf -", &[package, root.to_str().unwrap()])
            .succeeds();
        assert_same_files(&root, &files, "site-functions");
        assert_eq!(query("%{ARCH}"), machine);
        assert_eq!(query("[%{FILEUSERNAME}:%{FILEGROUPNAME}\n]").replace("root:root\n", ""), "");
        for line in tool("rpm", &["-qp", &database, "--requires", "--scripts", package])
            .succeeds()
            .stdout
            .lines()
        {
            assert!(line.starts_with("rpmlib("), "{line}");
        }
    }
}

/// Whoever makes a release without the tool for a part of it is told; a release that has the part
/// has all that is linked in it.
#[test]
fn the_bill_of_materials_lists_what_is_linked_or_its_lack_is_told() {
    let Some((archives, said)) = dist() else { return };
    for triple in [X86_64, AARCH64] {
        let path = archives.join(release(triple) + ".cdx.json");
        let told = said.contains(&format!("NOT MADE for {triple}: sbom.sh"));
        assert_eq!(path.exists(), !told, "{said}");
        if told {
            continue;
        }
        let (_dir, files) = unpacked(archives, triple);
        let sbom: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(&path).unwrap()).unwrap();
        assert_eq!(sbom["bomFormat"], "CycloneDX");
        let main = &sbom["metadata"]["component"];
        let row = |part: &serde_json::Value| {
            let word = |name: &str| part[name].as_str().unwrap().to_owned();
            assert!(!word("purl").is_empty() && !part["licenses"].is_null(), "{part}");
            (word("name"), word("version"))
        };
        let mut parts: Vec<_> = sbom["components"].as_array().unwrap().iter().map(row).collect();
        parts.push(row(main));
        parts.sort();
        let crates = fs::read_to_string(files.join("CRATES")).unwrap();
        let mut rows: Vec<_> = crates
            .lines()
            .map(|line| {
                let mut words = line.split_whitespace().map(str::to_owned);
                (words.next().unwrap(), words.next().unwrap())
            })
            .collect();
        rows.sort();
        assert_eq!(parts, rows);
        let sum = sh("sha256sum <\"$1\"", &[files.join("netns-enter").to_str().unwrap()]);
        assert_eq!(main["hashes"][0]["content"], sum.stdout.split_whitespace().next().unwrap());
        let text = sbom.to_string();
        for other in ["file://", env!("CARGO_MANIFEST_DIR"), "serialNumber"] {
            assert!(!text.contains(other), "{other} in {text}");
        }
    }
}

/// A distribution has cargo alone, and whoever installs what was built may not even have that.
#[test]
fn installs_without_rustup() {
    if lacks(&["make"]) {
        return;
    }
    let dir = Scratch::new("dist");
    let sources = dir.dir().join("sources");
    let tools = dir.dir().join("bin");
    fs::create_dir(&sources).unwrap();
    fs::create_dir(&tools).unwrap();
    let copy =
        "cd \"$1\" && tar -cf - .cargo Cargo.toml Cargo.lock Makefile src | tar -C \"$2\" -xf -";
    sh(copy, &[env!("CARGO_MANIFEST_DIR"), sources.to_str().unwrap()]).succeeds();
    // Stands in for a cargo whose build is not what is tested here.
    let cargo = "#!/bin/sh\n\
        [ \"$*\" = 'build --release --locked --target-dir target' ] || exit 1\n\
        mkdir -p target/release && echo \"built\" >target/release/netns-enter\n";
    let script = "printf %s \"$1\" >\"$2/cargo\" && chmod 755 \"$2/cargo\"";
    sh(script, &[cargo, tools.to_str().unwrap()]).succeeds();
    let install = |stage: &str| {
        let mut command = Command::new("make");
        command.arg("-C").arg(&sources).arg("install");
        command.arg(format!("DESTDIR={}", dir.dir().join(stage).display()));
        command.env_clear().env("HOME", dir.dir());
        command.env("PATH", format!("{}:/usr/bin:/bin", tools.display()));
        finish_within(PATIENCE, command)
    };
    let first = install("first");
    let said = &first.succeeds().stderr;
    assert!(said.contains("rustup is not installed: this is the plain build"), "{said}");
    fs::remove_file(tools.join("cargo")).unwrap();
    install("second").succeeds();
    for stage in ["first", "second"] {
        let installed = dir.dir().join(stage).join("usr/local/bin/netns-enter");
        assert_eq!(fs::read_to_string(installed).unwrap(), "built\n");
    }
    // What has changed since is not installed as if it were built.
    let touch = "touch -d '+1 hour' \"$1/src/main.rs\"";
    sh(touch, &[sources.to_str().unwrap()]).succeeds();
    let third = install("third");
    assert!(!third.status.success() && !dir.dir().join("third").exists(), "{}", third.dump());
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

/// An action is other people's code: only what was looked at runs, and a tag can be moved.
#[test]
fn actions_are_pinned_by_digest() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR")).join(".github/workflows");
    let mut pinned = 0;
    for name in names(&here) {
        let text = fs::read_to_string(here.join(&name)).unwrap();
        for line in text.lines().filter(|line| line.contains("uses:")) {
            let (_, digest) = line.split_once('@').expect(line);
            let (digest, version) = digest.split_once(" # v").expect(line);
            assert!(digest.len() == 40 && !version.is_empty(), "{name}: {line}");
            assert!(digest.bytes().all(|b| b.is_ascii_hexdigit()), "{name}: {line}");
            pinned += 1;
        }
        assert!(text.contains("\npermissions: {}\n"), "{name} gives rights to every job");
    }
    assert!(pinned > 0);
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
