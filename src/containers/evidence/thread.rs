//! A process held with its network namespace, also where its first thread has ended and others
//! live.
//!
//! pthread_exit(3) of the first thread leaves a zombie that stands for the process: it keeps the
//! pid, and has left its namespaces (kernel/exit.c, do_exit: exit_task_namespaces). The container
//! runs on.

#![forbid(unsafe_code)]

use crate::base::text::line_after;
use crate::containers::verdict::Held;
use crate::containers::world::World;
use crate::host::process::{Process, Stat, is_dead, is_gone, parse_pid};
use crate::host::{Host, visit_names};
use rustix::fs::OFlags;
use rustix::io::{self, Errno};
use rustix::process::{Pid, test_kill_process};

/// Opens the network namespace of a process. Returns None where its first thread has ended, and the
/// others are in several namespaces.
///
/// # Errors
/// The errno of openat(2): ENOENT or ESRCH where it has ended.
pub(crate) fn hold(host: &Host, process: Process) -> io::Result<Option<Held>> {
    let mut stat = process.stat()?;
    if !is_dead(stat.state) {
        match process.netns() {
            Err(e) if is_gone(e) => stat = process.stat()?,
            netns => {
                return Ok(Some(Held { netns: netns?, process, start: stat.start, note: None }));
            }
        }
    }
    if !has_other_threads(&stat) {
        return Err(Errno::SRCH);
    }
    by_threads(host, &process)
}

/// Tells whether a process runs though its first thread has ended.
pub(crate) fn has_other_threads(stat: &Stat) -> bool {
    stat.state == b'Z' && stat.threads > 1
}

/// Tells whether a process is only hidden from us: proc(5), hidepid.
pub(super) fn is_hidden(world: &World<'_>, pid: u32) -> bool {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let exists = || pid.is_some_and(|pid| test_kill_process(pid) == Err(Errno::PERM));
    !world.caller.is_root && world.host.is_own() && exists()
}

/// Takes the namespace that all other threads share.
fn by_threads(host: &Host, process: &Process) -> io::Result<Option<Held>> {
    let tasks = process.open_file("task", OFlags::RDONLY | OFlags::DIRECTORY)?;
    let mut ids = Vec::new();
    visit_names(&tasks, &mut |name, _| {
        ids.extend(parse_pid(name).filter(|id| *id != process.pid));
        true
    })?;
    let mut held: Option<Held> = None;
    for id in ids {
        let thread = match hold_thread(host, process, id) {
            Err(e) if is_gone(e) => continue,
            thread => thread?,
        };
        match &held {
            Some(first) if first.netns.id != thread.netns.id => return Ok(None),
            Some(_) => {}
            None => held = Some(thread),
        }
    }
    held.ok_or(Errno::SRCH).map(Some)
}

fn hold_thread(host: &Host, process: &Process, id: u32) -> io::Result<Held> {
    let thread = Process::open(host, id)?;
    let status = thread.read(host, "status")?;
    let leader = line_after(&status, b"Tgid:").and_then(|pid| parse_pid(pid.trim_ascii()));
    if leader != Some(process.pid) {
        return Err(Errno::SRCH);
    }
    let (start, netns) = (thread.stat()?.start, thread.netns()?);
    // The pid has not come to another process meanwhile.
    process.stat()?;
    Ok(Held { process: thread, start, netns, note: None })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;

    #[test]
    fn a_living_process_is_held_itself() {
        let host = Host::own(Console::default());
        let own = Process::open(&host, std::process::id()).unwrap();
        let (start, netns) = (own.stat().unwrap().start, own.netns().unwrap().id);
        let held = hold(&host, own).unwrap().unwrap();
        assert_eq!((held.process.pid, held.start), (std::process::id(), start));
        assert_eq!(held.netns.id, netns);
    }

    #[test]
    fn threads_stand_for_their_process() {
        let host = Host::own(Console::default());
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || wait.recv());
        let own = Process::open(&host, std::process::id()).unwrap();
        let held = by_threads(&host, &own).unwrap().unwrap();
        assert_ne!(held.process.pid, own.pid);
        assert_eq!(held.netns.id, own.netns().unwrap().id);
        assert_eq!(hold_thread(&host, &own, 1).unwrap_err(), Errno::SRCH);
        drop(done);
        assert!(thread.join().unwrap().is_err());
    }

    #[test]
    fn a_zombie_with_threads_runs() {
        let stat = |state, threads| Stat { state, parent: 1, threads, start: 1 };
        assert!(has_other_threads(&stat(b'Z', 2)));
        for (state, threads) in [(b'Z', 1), (b'X', 2), (b'S', 2)] {
            assert!(!has_other_threads(&stat(state, threads)));
        }
    }
}
