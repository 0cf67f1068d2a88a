//! netns-enter finds the network namespace of a process, container, pod or file, and becomes a
//! command in it.
//!
//! Each room is a folder. Imports point down this list only (a test reads it here):
//!
//! commands → cli → view → target → containers → pin → host → kernel → base → sys
//!
//! | room | what is in it | one more … goes there |
//! |---|---|---|
//! | [`commands`] | one file a verb; `list` collects entries and renders them | verb; output format: `commands/list/render` and a variant of `cli::Format` |
//! | [`cli`] | what the user may say: types, the table of options, help, the parser | option: a row of `cli::options` |
//! | [`view`] | what COMMAND sees of the namespace besides being in it | view: a file, and a field of `view::Views` |
//! | [`target`] | from what the user named to one open namespace; one file a kind | target: a file, and a variant of `TargetSpec` |
//! | [`containers`] | which container a word means, and whether it runs; `engine` knows where each engine keeps what | engine: `containers/engine`, a file and a row of `ENGINES` |
//! | [`pin`] | names in /run/netns: making, removing and looking up | |
//! | [`host`] | the machine that is looked at: files, processes, cgroups, mounts, namespaces | |
//! | [`kernel`] | namespaces, netlink and forked children, without knowledge of a host | |
//! | [`base`] | failures and the voice they are told in, escaping, JSON, reading | |
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
