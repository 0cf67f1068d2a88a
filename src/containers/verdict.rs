//! What the kernel says of a container that an engine names, and how it is told.
//!
//! A verdict is a value: who must branch, branches on it and never on a text. No remedy names a
//! monitor or a process of the host's network namespace, and none leads back to where it stands.

#![forbid(unsafe_code)]

use super::engine::oci::is_long;
use super::name::short_id;
use super::world::Caller;
use crate::base::error::{Error, MORE_RIGHTS};
use crate::base::escape::{quoted, shown};
use crate::base::text::list;
use crate::host::Host;
use crate::host::process::{Process, diagnose};
use crate::kernel::netns::NetNs;
use rustix::io::Errno;
use std::fmt::Arguments;

/// What the kernel says of a container: the process that it runs as, or why none is taken for it.
pub(crate) type Verdict = Result<Held, Refusal>;

/// Why no process is taken for a container's.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// It does not run.
    NotRunning(Why),
    /// A record or a cgroup exists, and its process may still change its network namespace.
    Starting,
    /// A process is alive, but nothing proves that it is the container's.
    NotProven(Doubt),
    /// Neither a record nor a process was found, and not every place could be read. These were
    /// looked through.
    NoRecord { places: Vec<Vec<u8>> },
}

/// A process, held with its network namespace. Where its first thread has ended and others live,
/// one of those.
#[derive(Debug)]
pub(crate) struct Held {
    /// The process or thread.
    pub(crate) process: Process,
    /// When it started, as field 22 of its stat says.
    pub(crate) start: u64,
    /// Its network namespace.
    pub(crate) netns: NetNs,
    /// What somebody who enters should know, to follow the container's name.
    pub(crate) note: Option<&'static str>,
}

/// Why a container does not run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Why {
    /// Nothing is recorded of a process, and there is none.
    NotRecorded,
    /// Nobody has the recorded pid.
    Ended,
    /// The process has exited, and nobody has waited for it.
    Zombie { pid: u32 },
    /// Another process has the pid.
    Reused { pid: u32, by: Difference },
    /// It was recorded before the machine was started last.
    BeforeBoot { file: Vec<u8> },
}

/// How a process differs from the one that was recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// By its start time, in clock ticks since boot. `shifted`: we are in a time namespace, so that
    /// the time found is not that of the host's clock.
    Start { recorded: u64, found: u64, shifted: bool },
    /// By the inode of its pidfd.
    Pidfd { recorded: u64, found: u64 },
    /// It is in another cgroup.
    Cgroup,
    /// It is younger than the record.
    Age,
}

/// Why nothing is proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Doubt {
    /// Nothing that was recorded with the pid could be compared. `is_hosts`: the process is in the
    /// host's network namespace.
    Unproven { pid: u32, file: Vec<u8>, is_hosts: bool },
    /// Two records are of two processes, and both hold.
    TwoRecords { pids: [u32; 2] },
    /// Its threads are in several network namespaces.
    Threads { pid: u32 },
    /// The process may be the one and may not be looked at.
    Unreadable { pid: u32, errno: Errno },
    /// Cgroups cannot be told by their paths here.
    NoCgroups,
    /// Processes of the cgroup have no pid in our /proc.
    Hidden,
    /// A cgroup that may be its own or another's has processes, and nothing tells whose they are.
    Unowned,
    /// Two cgroups that may be its own have processes.
    TwoGroups { pids: [u32; 2] },
    /// It is in one cgroup in one hierarchy, and in another one in another.
    Contradiction { pid: u32 },
    /// None of the processes that came into the cgroup from outside is the first of a pid
    /// namespace. `meant`: one that may be meant.
    NoFirst { meant: Option<u32> },
    /// Several of them are.
    SeveralFirst { pids: [u32; 2] },
    /// A process of the cgroup is outside of the pid namespace of the first one.
    Outside { pid: u32 },
    /// The first one is in the host's network namespace.
    OfHost { pid: u32 },
    /// It is in a network namespace that another than root has made.
    OfOther { pid: u32 },
    /// It is in its parent's network namespace, or the parent cannot be seen.
    OfParent { pid: u32 },
    /// It runs the executable of its parent.
    RunsParents { pid: u32 },
    /// Its parent is no process of root's that names the container.
    NotKept { pid: u32 },
    /// It changed while it was looked at.
    Changing,
}

impl Doubt {
    /// Tells whether a second look may find the container proven: what starts and what enters a
    /// container is in its cgroup with the network namespace of the host for some milliseconds.
    pub(crate) fn may_pass(&self) -> bool {
        !matches!(
            self,
            Doubt::Unproven { .. }
                | Doubt::TwoRecords { .. }
                | Doubt::Threads { .. }
                | Doubt::Unreadable { .. }
                | Doubt::NoCgroups
                | Doubt::Hidden
                | Doubt::SeveralFirst { .. }
        )
    }

    /// Returns the process that a remedy may name: never a monitor, nor one of the host's network
    /// namespace, nor one that another container's root may have put there.
    fn meant(&self) -> Option<u32> {
        match self {
            Doubt::Unproven { pid, is_hosts: false, .. } | Doubt::RunsParents { pid } => Some(*pid),
            Doubt::NoFirst { meant } => *meant,
            _ => None,
        }
    }

    fn remedy(&self) -> String {
        match self.meant() {
            Some(pid) => format!("if process {pid} is the container: --pid {pid}"),
            None if *self == Doubt::Hidden => {
                "in a container say --pid=host or hostPID: true".to_string()
            }
            None => "if you know its process: --pid PID".to_string(),
        }
    }

    /// Tells it in words that follow the container's label.
    fn text(&self) -> String {
        let unrecorded = |more: Arguments<'_>| format!("nothing records its process, and {more}");
        let misplaced = |pid: &u32, place: &str| {
            format!("process {pid} is in {place}, and nothing records that it belongs there")
        };
        match self {
            Doubt::Unproven { pid, file, .. } => {
                let file = quoted(file);
                format!("nothing proves that process {pid} is still the one recorded in {file}")
            }
            Doubt::TwoRecords { pids: [one, two] } => {
                format!("two processes are recorded, {one} and {two}, and both are alive")
            }
            Doubt::Threads { pid } => format!(
                "the main thread of its process {pid} has exited, and its other threads are in \
                 several network namespaces"
            ),
            Doubt::Unreadable { pid, .. } => format!("its process {pid} may not be looked at"),
            Doubt::OfHost { pid } => misplaced(pid, "the host's network namespace"),
            Doubt::OfOther { pid } => misplaced(pid, "a network namespace of a user's making"),
            Doubt::OfParent { pid } => misplaced(pid, "the network namespace of its parent"),
            Doubt::NoCgroups => unrecorded(format_args!("from here cgroups cannot be told")),
            Doubt::Hidden => unrecorded(format_args!(
                "/proc does not show those of its cgroup: it is of another pid namespace"
            )),
            Doubt::Unowned => {
                unrecorded(format_args!("nothing proves whose the cgroup is that may be its own"))
            }
            Doubt::TwoGroups { pids: [one, two] } => {
                unrecorded(format_args!("{one} and {two} are in two cgroups that may be its own"))
            }
            Doubt::Contradiction { pid } => unrecorded(format_args!(
                "process {pid} is in its cgroup in one hierarchy and not in another"
            )),
            Doubt::NoFirst { .. } => {
                unrecorded(format_args!("none in its cgroup is the first of a pid namespace"))
            }
            Doubt::SeveralFirst { pids: [one, two] } => unrecorded(format_args!(
                "in its cgroup both {one} and {two} are the first of a pid namespace"
            )),
            Doubt::Outside { pid } => unrecorded(format_args!(
                "process {pid} of its cgroup is outside of its pid namespace"
            )),
            Doubt::RunsParents { pid } => {
                unrecorded(format_args!("process {pid} runs the program of its parent"))
            }
            Doubt::NotKept { pid } => unrecorded(format_args!(
                "the parent of process {pid} is no runtime that names the container"
            )),
            Doubt::Changing => {
                unrecorded(format_args!("its cgroup changed while it was looked at"))
            }
        }
    }
}

impl From<Doubt> for Refusal {
    fn from(doubt: Doubt) -> Refusal {
        Refusal::NotProven(doubt)
    }
}

impl Refusal {
    /// Makes the failure of a container that messages call `label` and that has this ID.
    pub(crate) fn into_error(self, host: &Host, label: &str, id: &[u8]) -> Error {
        match self {
            Refusal::NotRunning(why) => not_running(label, &why),
            Refusal::Starting => Error::new(format!("{label} is starting"))
                .absent()
                .with_remedy("try again in a moment"),
            Refusal::NotProven(Doubt::Unreadable { pid, errno }) => diagnose(host, pid, errno),
            Refusal::NotProven(doubt) => Error::new(format!("{label}: {}", doubt.text()))
                .unclear()
                .with_remedy(doubt.remedy()),
            Refusal::NoRecord { places } => no_record(host, label, id, &places),
        }
    }
}

/// Makes the failure of a container that does not run.
fn not_running(label: &str, why: &Why) -> Error {
    let cause = match why {
        Why::NotRecorded | Why::Ended => String::new(),
        Why::Zombie { pid } => format!(": its process {pid} has exited and waits to be reaped"),
        Why::Reused { pid, by } => format!(": its pid {pid} was reused ({})", difference(by)),
        Why::BeforeBoot { file } => {
            format!(": {} is older than the machine's last start", quoted(file))
        }
    };
    Error::new(format!("{label} is not running{cause}")).absent()
}

fn difference(by: &Difference) -> String {
    match by {
        Difference::Start { recorded, found, shifted } => {
            let shifted =
                if *shifted { "; we are in a time namespace, which shifts it" } else { "" };
            format!("recorded start {recorded}, found {found}{shifted}")
        }
        Difference::Pidfd { recorded, found } => {
            format!("recorded pidfd inode {recorded}, found {found}")
        }
        Difference::Cgroup => "that process is not in its cgroup".to_string(),
        Difference::Age => "that process is younger than the record".to_string(),
    }
}

/// Makes the failure of a container of which nothing was found, where not all could be read.
fn no_record(host: &Host, label: &str, id: &[u8], places: &[Vec<u8>]) -> Error {
    // `container "web" (docker` without the last parenthesis, before the ID.
    let label = match label.strip_suffix(')') {
        Some(open) if is_long(id) => format!("{open}, ID {})", shown(short_id(id))),
        _ => label.to_string(),
    };
    let places = list(places.iter().map(|place| quoted(place)), ", ");
    let message = format!("no runtime has a record of {label}: looked in {places}");
    let error = Error::new(message + &host.but_unread()).absent();
    if Caller::of(host).is_root { error } else { error.with_remedy(MORE_RIGHTS) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;
    use crate::containers::engine::{Container, Source};
    use crate::containers::name::label;

    fn told(refusal: Refusal) -> (String, Option<String>) {
        let host = Host::own(Console::default());
        let id = b"b146a24e".repeat(8);
        let web = Container::unnamed("docker", &id, Source::Anywhere);
        let web = Container { name: b"web".to_vec(), ..web };
        let error = refusal.into_error(&host, &label(&web), &id);
        (error.message().to_string(), error.remedy().map(str::to_string))
    }

    #[test]
    fn what_does_not_run_is_told_with_the_reason() {
        let stopped = "container \"web\" (docker) is not running";
        let start = |shifted| Difference::Start { recorded: 8, found: 9, shifted };
        let reused = |by| Why::Reused { pid: 7, by };
        for (why, cause) in [
            (Why::NotRecorded, ""),
            (Why::Ended, ""),
            (Why::Zombie { pid: 7 }, ": its process 7 has exited and waits to be reaped"),
            (reused(start(false)), ": its pid 7 was reused (recorded start 8, found 9)"),
            (
                reused(start(true)),
                ": its pid 7 was reused (recorded start 8, found 9; we are in a time namespace, \
                 which shifts it)",
            ),
            (
                reused(Difference::Cgroup),
                ": its pid 7 was reused (that process is not in its cgroup)",
            ),
            (
                reused(Difference::Pidfd { recorded: 1, found: 2 }),
                ": its pid 7 was reused (recorded pidfd inode 1, found 2)",
            ),
            (
                Why::BeforeBoot { file: b"/a\x1b".to_vec() },
                ": \"/a\\x1b\" is older than the machine's last start",
            ),
        ] {
            assert_eq!(told(Refusal::NotRunning(why)), (format!("{stopped}{cause}"), None));
        }
    }

    #[test]
    fn what_starts_is_to_be_tried_again() {
        let (message, remedy) = told(Refusal::Starting);
        assert_eq!(message, "container \"web\" (docker) is starting");
        assert_eq!(remedy.as_deref(), Some("try again in a moment"));
    }

    #[test]
    fn no_remedy_names_a_process_of_the_hosts_namespace() {
        let file = b"/run/x".to_vec();
        let unproven = |is_hosts| Doubt::Unproven { pid: 7, file: file.clone(), is_hosts };
        for (doubt, named) in [
            (unproven(false), true),
            (unproven(true), false),
            (Doubt::RunsParents { pid: 7 }, true),
            (Doubt::NoFirst { meant: Some(7) }, true),
            (Doubt::NoFirst { meant: None }, false),
            (Doubt::OfHost { pid: 7 }, false),
            (Doubt::OfParent { pid: 7 }, false),
            (Doubt::Outside { pid: 7 }, false),
            (Doubt::Contradiction { pid: 7 }, false),
            (Doubt::SeveralFirst { pids: [7, 8] }, false),
            (Doubt::TwoRecords { pids: [7, 8] }, false),
            (Doubt::Threads { pid: 7 }, false),
            (Doubt::TwoGroups { pids: [7, 8] }, false),
            (Doubt::NoCgroups, false),
            (Doubt::Unowned, false),
            (Doubt::Changing, false),
        ] {
            let (message, remedy) = told(Refusal::NotProven(doubt.clone()));
            assert!(message.starts_with("container \"web\" (docker): "), "{message}");
            let expected = if named {
                "if process 7 is the container: --pid 7"
            } else {
                "if you know its process: --pid PID"
            };
            assert_eq!(remedy.as_deref(), Some(expected), "{doubt:?}");
        }
    }

    #[test]
    fn places_are_told_where_nothing_was_found() {
        let (message, _) =
            told(Refusal::NoRecord { places: vec![b"/run/a".to_vec(), b"/b".to_vec()] });
        let expected = "no runtime has a record of container \"web\" (docker, ID b146a24eb146): \
            looked in \"/run/a\", \"/b\"";
        assert_eq!(message, expected);
    }

    #[test]
    fn only_what_a_start_explains_is_looked_at_again() {
        assert!(Doubt::NoFirst { meant: None }.may_pass() && Doubt::Outside { pid: 7 }.may_pass());
        assert!(Doubt::Changing.may_pass() && Doubt::OfHost { pid: 7 }.may_pass());
        assert!(!Doubt::NoCgroups.may_pass() && !Doubt::Threads { pid: 7 }.may_pass());
        assert!(!Doubt::Unreadable { pid: 7, errno: Errno::ACCESS }.may_pass());
    }
}
