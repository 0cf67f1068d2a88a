//! How the source is laid out: rooms that import downwards, no circles, files that one can read,
//! unsafe code in one place, and the same options in the table, the manual and the completions.
//!
//! The source is read as text, not parsed: comments, strings and test modules are taken out, and
//! what looks like a path is one.

#![forbid(unsafe_code)]

use crate::util::spellings;
use netns_enter::cli::options::{ALIASES, OPTIONS};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// The most lines that a file may have, its test modules not counted.
const MOST_LINES: usize = 400;
/// The most characters that a line may have.
const WIDTH: usize = 100;
/// Where unsafe code may be, and what holds it: it cannot be forbidden there.
const UNSAFE: [&str; 3] = ["sys/", "main.rs", "lib.rs"];

/// A file below src/.
struct File {
    /// Its path there, as `host/process.rs`.
    path: String,
    /// Its text as it stands.
    text: String,
    /// Its text without comments, strings and test modules; the lines are the same.
    code: String,
    /// How many lines are not in test modules.
    lines: usize,
}

impl File {
    fn new(path: &str, text: &str) -> File {
        let (code, lines) = without_tests(&without_words(text));
        File { path: path.to_owned(), text: text.to_owned(), code, lines }
    }

    /// Returns its module: `["host", "process"]`; nothing for the root of the crate.
    fn module(&self) -> Vec<String> {
        let path = self.path.trim_end_matches(".rs").trim_end_matches("/mod");
        let parts = path.split('/').map(str::to_owned);
        if path == "lib" { Vec::new() } else { parts.collect() }
    }

    /// Returns what it names by `crate::`, `self::` or `super::`, as paths from the root of the
    /// crate.
    fn paths(&self) -> Vec<Vec<String>> {
        let tokens = tokens(&self.code);
        let mut paths = Vec::new();
        let mut at = 0;
        while at < tokens.len() {
            let is_start = ["crate", "self", "super"].contains(&tokens[at]);
            let is_path = tokens.get(at + 1) == Some(&"::") && (at == 0 || tokens[at - 1] != "::");
            if !(is_start && is_path) {
                at += 1;
                continue;
            }
            let mut base = if tokens[at] == "crate" { Vec::new() } else { self.module() };
            while tokens[at] == "super" && tokens.get(at + 1) == Some(&"::") {
                base.pop().unwrap_or_else(|| panic!("{}: super:: of the crate", self.path));
                at += 2;
            }
            if tokens[at] != "super" && ["crate", "self"].contains(&tokens[at]) {
                at += 2;
            }
            at = tree(&tokens, at, &base, &mut paths);
        }
        paths
    }
}

/// Reads one path or group of paths, as they stand in `use`; returns where it ends.
fn tree(tokens: &[&str], mut at: usize, base: &[String], paths: &mut Vec<Vec<String>>) -> usize {
    let mut path = base.to_vec();
    loop {
        match tokens.get(at) {
            Some(&"{") => {
                at += 1;
                while tokens[at] != "}" {
                    at = tree(tokens, at, &path, paths);
                    while ![",", "}"].contains(&tokens[at]) {
                        at += 1;
                    }
                    at += usize::from(tokens[at] == ",");
                }
                return at + 1;
            }
            // `use crate::a::{self, b}` is a itself, too.
            Some(&"self") => {}
            Some(word) if is_word(word) => path.push((*word).to_owned()),
            _ => {
                paths.push(path);
                return at;
            }
        }
        at += 1;
        if tokens.get(at) != Some(&"::") {
            paths.push(path);
            return at;
        }
        at += 1;
    }
}

fn is_word(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || c == '_')
}

/// Parts code into words, `::` and single characters.
fn tokens(code: &str) -> Vec<&str> {
    let mut tokens = Vec::new();
    let mut rest = code.trim_start();
    while let Some(first) = rest.chars().next() {
        let is_part = |c: char| c.is_alphanumeric() || c == '_';
        let len = match first {
            _ if is_part(first) => rest.find(|c| !is_part(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            _ => first.len_utf8(),
        };
        tokens.push(&rest[..len]);
        rest = rest[len..].trim_start();
    }
    tokens
}

/// Makes blanks of comments and of what is quoted; lines stay lines.
fn without_words(text: &str) -> String {
    let mut code = String::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let len = match first {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => rest.find("*/").expect("an end of the comment") + 2,
            '"' => quoted(rest),
            'r' if !code.ends_with(|c: char| c.is_alphanumeric() && c != 'b') => raw(rest),
            '\'' => character(rest),
            _ => 0,
        };
        if len == 0 {
            code.push(first);
            rest = &rest[first.len_utf8()..];
        } else {
            code.extend(rest[..len].chars().map(|c| if c == '\n' { c } else { ' ' }));
            rest = &rest[len..];
        }
    }
    code
}

/// Returns the length of the string that `text` begins with.
fn quoted(text: &str) -> usize {
    let mut escaped = false;
    let end = text.char_indices().skip(1).find(|(_, c)| {
        let ends = *c == '"' && !escaped;
        escaped = *c == '\\' && !escaped;
        ends
    });
    end.expect("an end of the string").0 + 1
}

/// Returns the length of the raw string that `text` begins with; 0 where it does not.
fn raw(text: &str) -> usize {
    let hashes = text[1..].chars().take_while(|c| *c == '#').count();
    if !text[1 + hashes..].starts_with('"') {
        return 0;
    }
    let end = format!("\"{}", "#".repeat(hashes));
    let begin = 2 + hashes;
    begin + text[begin..].find(&end).expect("an end of the string") + end.len()
}

/// Returns the length of the character that `text` begins with; 0 where it is a lifetime.
fn character(text: &str) -> usize {
    let mut inside = text[1..].chars();
    let len = match inside.next() {
        Some('\\') => text[3..].find('\'').expect("an end of the character") + 4,
        Some(c) => c.len_utf8() + 2,
        None => 0,
    };
    if len > 0 && text.is_char_boundary(len - 1) && text[..len].ends_with('\'') { len } else { 0 }
}

/// Makes blanks of modules for tests; returns how many lines are left, too.
fn without_tests(code: &str) -> (String, usize) {
    let (mut left, mut rest, mut taken) = (String::new(), code, 0);
    while let Some(at) = rest.find("#[cfg(test)]") {
        let (before, after) = rest.split_at(at);
        left += before;
        let item = &after["#[cfg(test)]".len()..];
        let head = item.split(['{', ';']).next().unwrap_or_default();
        if !tokens(head).contains(&"mod") {
            left += "#[cfg(test)]";
            rest = item;
            continue;
        }
        let mut depth = 0;
        let end = item.char_indices().find(|(_, c)| {
            depth += i32::from(*c == '{') - i32::from(*c == '}');
            depth == 0 && (*c == '}' || *c == ';')
        });
        let end = after.len() - item.len() + end.expect("an end of the module").0 + 1;
        left.extend(after[..end].chars().map(|c| if c == '\n' { c } else { ' ' }));
        taken += after[..end].lines().count();
        rest = &after[end..];
    }
    left += rest;
    let lines = left.lines().count() - taken;
    (left, lines)
}

/// Returns all files of the program.
fn source() -> Vec<File> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let (mut left, mut files) = (vec![root.clone()], Vec::new());
    while let Some(path) = left.pop() {
        if path.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory");
            left.extend(entries.map(|entry| entry.expect("an entry").path()));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("a source file");
            files.push(File::new(path.strip_prefix(&root).unwrap().to_str().unwrap(), &text));
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    assert!(files.len() > 40, "only {} files were found", files.len());
    files
}

/// Returns the list of rooms, the topmost first, as the head of src/lib.rs has it.
fn rooms(files: &[File]) -> Vec<String> {
    let lib = files.iter().find(|file| file.path == "lib.rs").expect("lib.rs");
    let lists = lib.text.lines().filter_map(|line| line.strip_prefix("//! "));
    let lists = lists.map(|line| line.trim_matches('`')).filter(|line| {
        let mut rooms = line.split(" → ");
        rooms.clone().count() > 5 && rooms.all(|room| room.chars().all(|c| c.is_ascii_lowercase()))
    });
    let lists: Vec<&str> = lists.collect();
    let [list] = &lists[..] else { panic!("src/lib.rs has not one list of rooms: {lists:?}") };
    list.split(" → ").map(str::to_owned).collect()
}

#[test]
fn imports_point_down_the_list() {
    let files = source();
    let rooms = rooms(&files);
    let place = |room: &str| rooms.iter().position(|known| known == room);
    let (mut wrong, mut count) = (Vec::new(), 0);
    for file in files.iter().filter(|file| !["lib.rs", "main.rs"].contains(&&*file.path)) {
        let room = file.module().remove(0);
        let own = place(&room).unwrap_or_else(|| panic!("{} is in no room of the list", file.path));
        for path in file.paths() {
            count += 1;
            let other = path.first().and_then(|room| place(room));
            if other.is_none_or(|other| other < own) {
                wrong.push(format!("{} imports {}", file.path, path.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "not down {rooms:?}:\n{}", wrong.join("\n"));
    assert!(count > 200, "only {count} imports were found");
    let used: BTreeSet<String> =
        files.iter().filter_map(|file| file.module().first().cloned()).collect();
    let unknown: Vec<&String> = rooms.iter().filter(|room| !used.contains(*room)).collect();
    assert!(unknown.is_empty(), "rooms without a file: {unknown:?}");
}

/// A folder's mod.rs may name what is in the folder, as a table does, and those may use what is in
/// it.
#[test]
fn files_of_a_room_import_each_other_without_circles() {
    let files = source();
    let modules: BTreeMap<Vec<String>, &str> =
        files.iter().map(|file| (file.module(), &*file.path)).collect();
    let mut imports: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for file in &files {
        let own = file.module();
        for path in file.paths() {
            let mut module = path;
            while !module.is_empty() && !modules.contains_key(&module) {
                module.pop();
            }
            let is_same_room = module.first() == own.first() && module != own;
            if is_same_room && !module.starts_with(&own) {
                imports.entry(&file.path).or_default().insert(modules[&module]);
            }
        }
    }
    assert!(imports.len() > 20, "imports within rooms were found in {} files only", imports.len());
    // What imports nothing that is left is no part of a circle.
    while let Some(done) =
        imports.iter().find_map(|(file, others)| others.is_empty().then_some(*file))
    {
        imports.remove(done);
    }
    let mut before = usize::MAX;
    while imports.len() < before {
        before = imports.len();
        let known: BTreeSet<&str> = imports.keys().copied().collect();
        imports.retain(|_, others| {
            others.retain(|other| known.contains(other));
            !others.is_empty()
        });
    }
    assert!(imports.is_empty(), "a circle is among {imports:#?}");
}

#[test]
fn no_file_is_longer_or_wider_than_one_can_read() {
    let files = source();
    let long = files.iter().filter(|file| file.lines > MOST_LINES);
    let long: Vec<String> =
        long.map(|file| format!("{}: {} lines", file.path, file.lines)).collect();
    assert!(long.is_empty(), "more than {MOST_LINES}: {long:?}");
    let wide = files.iter().flat_map(|file| {
        let lines = file.text.lines().enumerate();
        // A row of a table has to be one line.
        let wide =
            lines.filter(|(_, line)| line.chars().count() > WIDTH && !line.starts_with("//! |"));
        wide.map(|(at, _)| format!("{}:{}", file.path, at + 1))
    });
    let wide: Vec<String> = wide.collect();
    assert!(wide.is_empty(), "more than {WIDTH} characters: {wide:?}");
}

#[test]
fn unsafe_code_is_in_one_place_and_nothing_is_leaked() {
    for file in source() {
        let path = &file.path;
        let may_be_unsafe = UNSAFE.iter().any(|place| path.starts_with(place));
        let forbids = file.code.contains("#![forbid(unsafe_code)]");
        assert!(may_be_unsafe || forbids, "{path} does not forbid unsafe code");
        let tokens = tokens(&file.code);
        let follows = |words: &[&str]| tokens.windows(words.len()).any(|found| found == words);
        for leak in [&[".", "leak", "("][..], &["Box", "::", "leak"], &["Vec", "::", "leak"]] {
            assert!(!follows(leak), "{path} leaks: {leak:?}");
        }
        assert!(!follows(&["inline", "(", "never"]), "{path} has inline(never)");
    }
}

/// What the shipped files are named for is there, and every option with its value, or without one.
#[test]
fn the_manual_and_the_completions_have_the_table_of_options() {
    let share = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/share");
    let read = |name: &str| {
        let path: PathBuf = share.join(name);
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    let manual = read("netns-enter.8");
    let mut heads = BTreeMap::new();
    for head in manual.lines().filter_map(|line| line.strip_prefix(".It Fl ")) {
        for spelling in head.replace("\\-", "-").split(" , Fl ") {
            let (option, value) = spelling.split_once(" Ar ").unwrap_or((spelling, ""));
            // An optional value follows its `=`.
            let option = option.split(' ').next().unwrap_or_default();
            heads.insert(format!("-{option}"), !value.is_empty());
        }
    }
    let takes_value = |spelling: &str| {
        let is_it = |long: &str, short: Option<char>| {
            spelling.strip_prefix("--") == Some(long)
                || short.is_some_and(|short| spelling == format!("-{short}"))
        };
        let is_alias = ALIASES.contains(&spelling);
        is_alias || OPTIONS.iter().any(|o| is_it(o.long, o.short) && o.value.is_some())
    };
    let table = spellings().into_iter().map(|spelling| (spelling.clone(), takes_value(&spelling)));
    let mut table: BTreeMap<String, bool> = table.collect();
    // `-l` and `--list` share a value with nobody: a head names it for its last spelling alone.
    table.retain(|spelling, _| spelling.starts_with('-'));
    assert_eq!(heads, table, "the manual's entries, and whether they name a value");

    for (script, option) in [
        ("completions/netns-enter.bash", "--"),
        ("completions/_netns-enter", "--"),
        ("completions/netns-enter.fish", "-l "),
    ] {
        let text = read(script);
        for opt in OPTIONS {
            let spelled = format!("{option}{}", opt.long);
            let ends = |rest: &str| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '-');
            let has = text.match_indices(&spelled).any(|(at, _)| ends(&text[at + spelled.len()..]));
            assert!(has, "{script} has no {spelled}");
        }
    }
}

/// The reader above, on text that it must not misread.
#[test]
fn the_reader_reads() {
    let text = r##"
//! use crate::comment;
#![forbid(unsafe_code)]
use crate::base::{error::{Error, Result}, json as j, read::*};
use super::lookup;
/* use crate::comment; */
fn f<'a>(a: &'a str) -> char {
    let _ = ("use crate::string;", r#"use crate::"raw"#, b'"', '\'', '\\', "\\");
    crate::sys::fd::open_at(a); self::inner::g(); super::super::host::Host::own();
    'x'
}
#[cfg(test)]
pub(super) mod tests {
    use crate::commands::all;
    fn g() {}
}
use crate::last;
"##;
    let file = File::new("pin/create/deep.rs", text);
    let paths: Vec<String> = file.paths().iter().map(|path| path.join("::")).collect();
    assert_eq!(
        paths,
        [
            "base::error::Error",
            "base::error::Result",
            "base::json",
            "base::read",
            "pin::create::lookup",
            "sys::fd::open_at",
            "pin::create::deep::inner::g",
            "pin::host::Host::own",
            "last",
        ]
    );
    assert_eq!(file.lines, text.lines().count() - 5);
    assert_eq!(File::new("pin/mod.rs", "").module(), ["pin"]);
    assert!(File::new("lib.rs", "").module().is_empty());
}
