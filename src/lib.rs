//! netns-enter finds the network namespace of a process, container, pod or file and becomes a command in it.
//!
//! Data flows one way: [`cli`] reads the arguments, [`target`] finds the namespace, [`netns`] enters it, [`view`] shows COMMAND what
//! belongs to it, [`run`] puts that in order and execs. `target` asks [`engine`] (names and what their runtimes recorded),
//! [`container`] (which one is meant, and whether it runs), [`cgroup`] and [`process`]; all of them look at one [`host`].

pub mod all;
pub mod bytes;
pub mod cgroup;
pub mod child;
pub mod cli;
pub mod console;
pub mod container;
pub mod content;
pub mod engine;
pub mod error;
pub mod find;
pub mod host;
pub mod ip;
pub mod json;
pub mod list;
pub mod mounts;
pub mod namespaces;
pub mod netlink;
pub mod netns;
pub mod pin;
pub mod pin_all;
pub mod pinned;
pub mod process;
pub mod root;
pub mod run;
pub mod set;
pub mod suggest;
pub mod sys;
pub mod target;
pub mod text;
pub mod view;
