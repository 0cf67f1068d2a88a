//! netns-enter finds the network namespace of a process, container, pod or file, and becomes a
//! command in it.
//!
//! Each room is a folder. Imports point down this list only (tests/integration/house.rs reads it
//! here):
//!
//! commands → cli → view → target → containers → pin → host → kernel → base → sys
//!
//! | room | what is in it | one more … goes there |
//! |---|---|---|
//! | [`commands`] | one file a verb; `list` collects entries and renders them | verb: a file and a variant of `cli::Command`; output format: a file in `commands/list/render`, a variant of `cli::Format` and its option |
//! | [`cli`] | what the user may say: types, the table of options, help, the parser | option: a variant of `Kind` and a row of `OPTIONS` in `cli::options`, its arm in `cli::parse`, the manual and the three completions in `src/share` |
//! | [`view`] | what COMMAND sees of the namespace besides being in it | view: a file, a field of `view::Views`, its steps in `View::prepare` and `View::show`, and its option |
//! | [`target`] | from what the user named to one open namespace; one file a kind | target: a file, a variant of `TargetSpec`, its option with a `TargetKind`, and its value in `cli::value` |
//! | [`containers`] | which container a word means, and whether it runs; `engine` knows where each engine keeps what | engine: a file in `containers/engine` and a row of `ENGINES`; a plain OCI runtime: a word in `engine::runtimes` |
//! | [`pin`] | names in /run/netns: making, removing and looking up | |
//! | [`host`] | the machine that is looked at: files, processes, cgroups, mounts, namespaces | |
//! | [`kernel`] | namespaces, netlink and forked children, without knowledge of a host | |
//! | [`base`] | failures and the voice they are told in, escaping, JSON, reading, reports between processes | |
//! | [`sys`] | every unsafe call; descriptors, signals, the allocator | |
//!
//! Data flows one way: argv → [`cli::Command`] → `Host` → `target::resolve` → `Target` (namespace,
//! process, pin) → view → pin → setns → mounts → exec. What is shipped and is no code is in
//! `src/share`.

pub mod base;
pub mod cli;
pub mod commands;
pub mod containers;
pub mod host;
pub mod kernel;
pub mod pin;
pub mod sys;
pub mod target;
pub mod view;
