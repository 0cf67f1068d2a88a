//! Queries run in a child process, from where there need be no way back; and questions to readers,
//! which are no children of ours and can be left behind where they do not answer.

#![forbid(unsafe_code)]

use crate::base::error::{Error, Result};
use crate::base::read::Buffer;
use crate::sys::child::{end_with, fork_silently, wait_for};
use crate::sys::clock::pause;
use crate::sys::fd::open_at;
use crate::sys::libc::exit;
use crate::sys::stdio::write_all;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::{AsFd, BorrowedFd, OwnedFd};
use rustix::fs::{CWD, OFlags};
use rustix::io::{self, Errno, read, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socketpair,
};
use rustix::pipe::{PipeFlags, pipe_with};
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, chdir, child_subreaper, getpid, kill_process, pidfd_open,
    pidfd_send_signal, set_parent_process_death_signal,
};
use rustix::thread::Timespec;
use std::time::{Duration, Instant};

/// More than the interfaces of any user's containers take.
const MOST: usize = 256 << 20;

/// A reader that neither tells anything nor works for so long is not listened to any more.
pub(crate) const PATIENCE: Duration = Duration::from_secs(2);
/// So often it is looked whether one that is silent works.
const TICK: Duration = Duration::from_millis(100);
/// Nor is any reader listened to after so long a time for all of them.
const LIMIT: Duration = Duration::from_secs(10);
/// No more readers than this are there at once.
const AT_ONCE: usize = 64;

/// Runs a query in a forked child, which ends after it, and returns what it wrote to the pipe. Not
/// its exit status: a caller that ignores SIGCHLD leaves us none.
///
/// # Errors
/// Where no child can be made or heard.
pub(crate) fn query(tell: &dyn Fn(&OwnedFd)) -> Result<Vec<u8>> {
    let cannot = |e| Error::cannot("ask a child process", e);
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(cannot)?;
    let Some(child) = fork_silently().map_err(cannot)? else {
        tell(&writer);
        exit(0);
    };
    drop(writer);
    let buffer = Buffer::default();
    let answer = buffer.read_all(reader, 4095, MOST).map(|content| content.to_vec());
    // COMMAND is to find no child that it does not know.
    let _ = wait_for(child, WaitOptions::empty());
    answer.map_err(cannot)
}

/// Lets a forked child, which does not outlive this process, answer by one byte; None where it ends
/// without an answer, or has none by `end`. What it took of memory is gone with it.
///
/// # Errors
/// Where no child can be made or heard.
pub(crate) fn glance(end: Option<Instant>, answer: &mut dyn FnMut() -> u8) -> Result<Option<u8>> {
    let cannot = |e| Error::cannot("look in a child process", e);
    let (reader, writer) = pipe_with(PipeFlags::CLOEXEC).map_err(cannot)?;
    let Some(child) = fork_silently().map_err(cannot)? else {
        let _ = set_parent_process_death_signal(Some(Signal::KILL));
        let _ = write_all(&writer, &[answer()]);
        exit(0);
    };
    drop(writer);
    let mut byte = [0];
    let told = wait_until(&mut [PollFd::new(&reader, PollFlags::IN)], end).and_then(|is_told| {
        if is_told { retry_on_intr(|| read(&reader, &mut byte)) } else { Ok(0) }
    });
    if told != Ok(1) {
        let _ = kill_process(child, Signal::KILL);
    }
    let _ = wait_for(child, WaitOptions::empty());
    Ok((told.map_err(cannot)? == 1).then_some(byte[0]))
}

/// Waits for one of these, or until `end`; tells whether there is one.
///
/// # Errors
/// The errno of poll(2).
pub(crate) fn wait_until(waited: &mut [PollFd<'_>], end: Option<Instant>) -> io::Result<bool> {
    loop {
        let rest = end.map(|end| end.saturating_duration_since(Instant::now()));
        let timeout = rest.map(|rest| Timespec {
            tv_sec: rest.as_secs() as i64,
            tv_nsec: rest.subsec_nanos().into(),
        });
        match poll(waited, timeout.as_ref()) {
            Err(Errno::INTR) => {}
            count => return Ok(count? > 0),
        }
    }
}

/// Questions for readers, one each.
pub(crate) struct Questions<'a> {
    /// How many.
    pub(crate) count: usize,
    /// The most bytes of an answer.
    pub(crate) most: usize,
    /// How long a reader that neither tells anything nor works is listened to.
    pub(crate) patience: Duration,
    /// The descriptors that a reader needs; it has no others, not even the caller's.
    pub(crate) kept: &'a [BorrowedFd<'a>],
    /// Writes the answer to a question. Its process ends afterwards; its directory is `/`.
    pub(crate) answer: &'a dyn Fn(usize, &OwnedFd),
}

/// Takes a question's number and the answer, if there is a whole one.
type Hear<'a> = &'a mut dyn FnMut(usize, Option<&[u8]>) -> Result<()>;

/// Lets readers answer: grandchildren of ours, so that COMMAND finds no child that it does not
/// know, and so that one that waits for a file system, or was stopped by the user that it became,
/// can be left behind. Shows `hear` each question's number with the answer; without where the
/// reader did not come to its end in time, or said more than it may.
///
/// # Errors
/// The errno of what it takes to make one reader, poll(2), or read(2); the failure of `hear`.
pub(crate) fn ask_all(questions: &Questions<'_>, hear: Hear<'_>) -> Result<()> {
    let cannot = |e| Error::cannot("ask a process that reads for us", e);
    let end = Instant::now() + LIMIT;
    let mut next = 0;
    let mut readers: Vec<Reader> = Vec::new();
    let (mut spare, mut ready) = (Vec::new(), Vec::new());
    loop {
        while next < questions.count && readers.len() < AT_ONCE && Instant::now() < end {
            match Reader::start(questions, next) {
                Ok(mut reader) => {
                    reader.told = spare.pop().unwrap_or_default();
                    readers.push(reader);
                }
                Err(e) if readers.is_empty() => return Err(cannot(e)),
                // The caller's limits allow no more at once.
                Err(_) => break,
            }
            next += 1;
        }
        if readers.is_empty() {
            break;
        }
        listen(&mut readers, end, &mut ready).map_err(cannot)?;
        while let Some(at) = readers.iter().position(|reader| reader.is_over(questions.most, end)) {
            let mut reader = readers.swap_remove(at);
            let mut told = std::mem::take(&mut reader.told);
            let is_whole = reader.is_done && reader.is_known && !reader.is_long(questions.most);
            let number = reader.number;
            drop(reader);
            hear(number, is_whole.then(|| &told[HELLO.len()..]))?;
            told.clear();
            spare.push(told);
        }
    }
    (next..questions.count).try_for_each(|number| hear(number, None))
}

/// Lets one reader answer as [`ask_all`] does.
///
/// # Errors
/// Those of [`ask_all`].
pub(crate) fn ask(
    most: usize,
    kept: &[BorrowedFd<'_>],
    patience: Duration,
    answer: &dyn Fn(&OwnedFd),
) -> Result<Option<Vec<u8>>> {
    let mut heard = None;
    let answer = &|_, report: &OwnedFd| answer(report);
    let questions = Questions { count: 1, most, patience, kept, answer };
    ask_all(&questions, &mut |_, told| {
        heard = told.map(<[u8]>::to_vec);
        Ok(())
    })?;
    Ok(heard)
}

/// Lets a grandchild keep descriptors open until the [`Holder`] is dropped, or this process has
/// become COMMAND or ended. None where there can be no grandchild, or it would be COMMAND's child.
pub(crate) fn keep_open(kept: &[BorrowedFd<'_>]) -> Option<Holder> {
    if getpid().is_init() || matches!(child_subreaper(), Ok(Some(_))) {
        return None;
    }
    let answer = &|_, report: &OwnedFd| {
        // Our end of it is closed by execve(2).
        let _ = wait_until(&mut [PollFd::new(report, PollFlags::empty())], None);
    };
    let questions = Questions { count: 1, most: 0, patience: PATIENCE, kept, answer };
    Reader::start(&questions, 0).ok().map(Holder)
}

/// The grandchild of [`keep_open`].
pub(crate) struct Holder(#[expect(dead_code, reason = "it is held")] Reader);

/// What a reader says first. It waits until its pidfd is held: so who says this is the process of
/// that pidfd.
const HELLO: &[u8] = b"+";

/// A process that answers one question.
struct Reader {
    number: usize,
    patience: Duration,
    pid: Pid,
    /// Its pidfd; None before Linux 5.3, where it is not ended.
    process: Option<OwnedFd>,
    report: OwnedFd,
    told: Vec<u8>,
    /// When it last did anything, as far as was looked.
    last: Instant,
    /// What it had worked when that was looked at.
    work: Work,
    /// When that was.
    looked: Instant,
    is_known: bool,
    is_done: bool,
}

impl Reader {
    fn start(questions: &Questions<'_>, number: usize) -> io::Result<Reader> {
        let (report, writer) = pipe_with(PipeFlags::CLOEXEC)?;
        let flags = SocketFlags::CLOEXEC;
        let (gate, inner) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        let Some(child) = fork_silently()? else {
            match fork_silently() {
                Ok(None) => answer(questions, number, &inner, &writer),
                Ok(Some(reader)) => {
                    let pid = reader.as_raw_pid().to_ne_bytes();
                    let _ = send(&inner, &pid, SendFlags::NOSIGNAL);
                }
                Err(_) => {}
            }
            exit(0);
        };
        drop((writer, inner));
        let _ = wait_for(child, WaitOptions::empty());
        // The child has ended: what it did not say by now it never says.
        let mut pid = [0; 4];
        let said = retry_on_intr(|| recv(&gate, &mut pid, RecvFlags::DONTWAIT));
        let pid = Pid::from_raw(i32::from_ne_bytes(pid)).filter(|_| matches!(said, Ok((_, 4))));
        let pid = pid.ok_or(Errno::AGAIN)?;
        let process = match pidfd_open(pid, PidfdFlags::empty()) {
            Err(Errno::NOSYS | Errno::PERM) => None,
            opened => Some(opened?),
        };
        // It fails where the reader was ended by somebody; so does its report then.
        let _ = send(&gate, &[1], SendFlags::NOSIGNAL);
        let (last, work) = (Instant::now(), work_of(pid));
        let (told, looked) = (Vec::new(), last);
        let (is_known, is_done, patience) = (false, false, questions.patience);
        Ok(Reader {
            number,
            patience,
            pid,
            process,
            report,
            told,
            last,
            work,
            looked,
            is_known,
            is_done,
        })
    }

    /// Takes what it has told by now.
    fn take(&mut self) -> io::Result<()> {
        let mut piece = [0; 16 << 10];
        let count = retry_on_intr(|| read(&self.report, &mut piece))?;
        self.told.extend_from_slice(&piece[..count]);
        self.is_known |= self.told.starts_with(HELLO);
        self.is_done = count == 0;
        self.last = Instant::now();
        Ok(())
    }

    /// Returns when it will have been silent for too long.
    fn deadline(&self, end: Instant) -> Instant {
        (self.last + self.patience).min(end)
    }

    /// Grants it more time if it has worked since the last look, when it was at work for certain:
    /// on a busy machine that may take long.
    fn look_at_work(&mut self, now: Instant) {
        let work = work_of(self.pid);
        if work != self.work {
            (self.work, self.last) = (work, self.last.max(self.looked));
        }
        self.looked = now;
    }

    fn is_long(&self, most: usize) -> bool {
        self.told.len() > HELLO.len() + most
    }

    fn is_over(&self, most: usize, end: Instant) -> bool {
        self.is_done || self.is_long(most) || self.deadline(end) <= Instant::now()
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        if let (true, false, Some(process)) = (self.is_known, self.is_done, &self.process) {
            let _ = pidfd_send_signal(process, Signal::KILL);
        }
        // Orphans are ours where we are pid 1 or a subreaper; COMMAND did not make this one,
        // either.
        for _ in 0..20 {
            if !matches!(wait_for(self.pid, WaitOptions::NOHANG), Ok(false)) {
                break;
            }
            pause(Duration::from_millis(5));
        }
    }
}

/// Answers a question, once the gate is opened.
fn answer(questions: &Questions<'_>, number: usize, gate: &OwnedFd, report: &OwnedFd) -> ! {
    let own = [gate.as_fd(), report.as_fd()];
    end_with(&[&own, questions.kept].concat(), &|| {
        // The caller's directory is not to be kept busy.
        let _ = chdir("/");
        let opened = retry_on_intr(|| recv(gate, &mut [0; 1], RecvFlags::empty()));
        if matches!(opened, Ok((_, 1))) && write_all(report, HELLO).is_ok() {
            (questions.answer)(number, report);
        }
    })
}

/// Waits until a reader tells something, ends, or may be over, but no longer than until it is time
/// to look at their work. `ready` is memory for that.
fn listen(readers: &mut [Reader], end: Instant, ready: &mut Vec<bool>) -> io::Result<()> {
    let next = readers.iter().fold(end, |next, reader| next.min(reader.deadline(end)));
    let next = next.min(Instant::now() + TICK);
    let mut waited: Vec<PollFd<'_>> =
        readers.iter().map(|reader| PollFd::new(&reader.report, PollFlags::IN)).collect();
    wait_until(&mut waited, Some(next))?;
    ready.clear();
    ready.extend(waited.iter().map(|one| !one.revents().is_empty()));
    drop(waited);
    let now = Instant::now();
    for (reader, is_ready) in readers.iter_mut().zip(ready) {
        match is_ready {
            true => reader.take()?,
            false if reader.looked + TICK <= now => reader.look_at_work(now),
            false => {}
        }
    }
    Ok(())
}

/// What a process has worked: proc_pid_schedstat(5), which changes when it runs. Of a kernel
/// without, always the same.
type Work = [u8; 64];

fn work_of(pid: Pid) -> Work {
    let mut work = [0; 64];
    let path = format!("/proc/{}/schedstat", pid.as_raw_pid());
    if let Ok(file) = open_at(CWD, path.as_bytes(), OFlags::RDONLY) {
        let _ = retry_on_intr(|| read(&file, &mut work));
    }
    work
}

#[cfg(test)]
mod tests {
    use crate::base::testing::alone;

    /// Runs a test in a process of its own, which may fork, and where nobody else has children.
    fn inner(test: &str) {
        alone(&format!("kernel::fork::tests::in_a_process::{test}"), "");
    }

    #[test]
    fn readers_answer_and_leave_nothing() {
        inner("answers");
    }

    #[test]
    fn who_is_silent_is_left() {
        inner("silence");
    }

    #[test]
    fn who_works_is_waited_for_but_not_for_ever() {
        inner("work");
    }

    #[test]
    fn a_reader_has_what_it_needs_and_no_more() {
        inner("descriptors");
    }

    #[test]
    fn signals_of_the_caller_are_as_they_were() {
        inner("signals");
    }

    #[test]
    fn few_descriptors_are_few_readers() {
        inner("few_descriptors");
    }

    mod in_a_process {
        use super::super::*;
        use crate::sys::child::fork_silently;
        use crate::sys::signal::{Disposition, SignalMask};
        use rustix::process::{Resource, Rlimit, getpid, kill_process, setrlimit};
        use std::thread::sleep;

        type Heard = Vec<(usize, Option<Vec<u8>>)>;

        fn heard(count: usize, most: usize, answer: &dyn Fn(usize, &OwnedFd)) -> Heard {
            let mut heard = Vec::new();
            let questions = Questions { count, most, patience: PATIENCE, kept: &[], answer };
            ask_all(&questions, &mut |number, told| {
                heard.push((number, told.map(<[u8]>::to_vec)));
                Ok(())
            })
            .unwrap();
            heard.sort();
            heard
        }

        fn children() -> String {
            std::fs::read_to_string("/proc/thread-self/children").unwrap()
        }

        #[test]
        #[ignore = "run by readers_answer_and_leave_nothing"]
        fn answers() {
            let all = heard(200, 1 << 20, &|number, report| {
                write_all(report, &vec![b'x'; number * 1000]).unwrap();
            });
            assert_eq!(all.len(), 200);
            for (at, (number, told)) in all.into_iter().enumerate() {
                assert_eq!((number, told.map(|told| told.len())), (at, Some(at * 1000)));
            }
            // Nothing, too much, and what is not a whole answer.
            let all = heard(4, 1000, &|number, report| match number {
                0 => {}
                1 => write_all(report, &[7; 1000]).unwrap(),
                2 => write_all(report, &[7; 1001]).unwrap(),
                _ => loop {
                    write_all(report, &[7; 100]).unwrap();
                },
            });
            let lengths = all.iter().map(|(_, told)| told.as_ref().map(Vec::len));
            assert_eq!(lengths.collect::<Vec<_>>(), [Some(0), Some(1000), None, None]);
            let mut count = 0;
            let (patience, answer) = (PATIENCE, &|_, _: &OwnedFd| {});
            let questions = Questions { count: 9, most: 1, patience, kept: &[], answer };
            let refused = ask_all(&questions, &mut |_, _| {
                count += 1;
                Err(Error::new("enough"))
            });
            assert_eq!((refused.unwrap_err().message(), count), ("enough", 1));
            assert_eq!(children(), "");
            assert_eq!(query(&|report| write_all(report, b"text").unwrap()).unwrap(), b"text");
            assert_eq!(children(), "");
        }

        #[test]
        #[ignore = "run by who_is_silent_is_left"]
        fn silence() {
            let start = Instant::now();
            let all = heard(3, 1000, &|number, report| {
                write_all(report, getpid().as_raw_pid().to_string().as_bytes()).unwrap();
                match number {
                    0 => sleep(Duration::from_secs(60)),
                    // As the user that it has become can.
                    1 => kill_process(getpid(), Signal::STOP).unwrap(),
                    _ => {}
                }
            });
            assert!(
                start.elapsed() >= PATIENCE - TICK && start.elapsed() < 2 * PATIENCE,
                "{:?}",
                start.elapsed()
            );
            let [(0, None), (1, None), (2, Some(pid))] = &all[..] else { panic!("{all:?}") };
            assert!(String::from_utf8_lossy(pid).parse::<u32>().is_ok());
            assert_eq!(children(), "");
            // It was ended, and is at most to be waited for by pid 1.
            sleep(Duration::from_millis(300));
            let own = std::fs::read("/proc/self/comm").unwrap();
            for entry in std::fs::read_dir("/proc").unwrap().flatten() {
                let path = entry.path();
                let comm = std::fs::read(path.join("comm")).unwrap_or_default();
                let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
                let parent = std::fs::read_to_string(path.join("stat")).unwrap_or_default();
                let is_stopped = status.contains("T (stopped)");
                assert!(comm != own || !is_stopped, "{parent}");
            }
        }

        #[test]
        #[ignore = "run by who_works_is_waited_for_but_not_for_ever"]
        fn work() {
            let start = Instant::now();
            let all = heard(3, 1 << 20, &|number, report| {
                let began = Instant::now();
                match number {
                    // Longer than anybody who sleeps is waited for.
                    0 => while began.elapsed() < Duration::from_secs(3) {},
                    1 => loop {
                        write_all(report, b".").unwrap();
                        sleep(Duration::from_millis(100));
                    },
                    _ => loop {
                        std::hint::spin_loop();
                    },
                }
            });
            assert_eq!(all, [(0, Some(Vec::new())), (1, None), (2, None)]);
            assert!(
                start.elapsed() >= LIMIT && start.elapsed() < 2 * LIMIT,
                "{:?}",
                start.elapsed()
            );
            assert_eq!(children(), "");
        }

        #[test]
        #[ignore = "run by a_reader_has_what_it_needs_and_no_more"]
        fn descriptors() {
            let (kept, _other) = pipe_with(PipeFlags::CLOEXEC).unwrap();
            let _more = std::fs::File::open("/dev/null").unwrap();
            let listed = ask(4096, &[kept.as_fd()], PATIENCE, &|report| {
                let mut text = format!("{} ", std::env::current_dir().unwrap().display());
                for number in 0..100 {
                    let link = std::fs::read_link(format!("/proc/self/fd/{number}"));
                    text.extend(link.ok().map(|link| format!("{} ", link.display())));
                }
                write_all(report, text.as_bytes()).unwrap();
            });
            let listed = String::from_utf8(listed.unwrap().unwrap()).unwrap();
            let words: Vec<&str> = listed.split_whitespace().collect();
            // Its directory, what is kept, the gate and the report.
            assert_eq!((words.len(), words[0]), (4, "/"), "{listed}");
            assert!(words[1..].iter().all(|word| word.contains(":[")), "{listed}");
        }

        #[test]
        #[ignore = "run by signals_of_the_caller_are_as_they_were"]
        fn signals() {
            let answer: &dyn Fn(usize, &OwnedFd) = &|_, report| write_all(report, b"x").unwrap();
            let expected = vec![(0, Some(b"x".to_vec()))];
            let ignored = Disposition::ignore(Signal::CHILD, true);
            assert_eq!(heard(1, 9, answer), expected);
            assert_eq!(query(&|report| write_all(report, b"x").unwrap()).unwrap(), b"x");
            ignored.restore();
            let mask = SignalMask::block(&[Signal::CHILD, Signal::PIPE]);
            assert_eq!(heard(1, 9, answer), expected);
            assert_eq!(query(&|report| write_all(report, b"x").unwrap()).unwrap(), b"x");
            let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
            let pending = |key: &str| {
                let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
                u64::from_str_radix(line.trim(), 16).unwrap()
            };
            assert_eq!((pending("SigPnd:"), pending("ShdPnd:")), (0, 0));
            mask.restore();
            // A child that the caller left us stays.
            let Some(child) = fork_silently().unwrap() else {
                sleep(Duration::from_secs(60));
                exit(0);
            };
            assert_eq!(heard(2, 9, answer).len(), 2);
            assert_eq!(children().trim(), child.as_raw_pid().to_string());
            kill_process(child, Signal::KILL).unwrap();
            assert_eq!(wait_for(child, WaitOptions::empty()), Ok(true));
        }

        #[test]
        #[ignore = "run by few_descriptors_are_few_readers"]
        fn few_descriptors() {
            let limit = |most| Rlimit { current: Some(most), maximum: Some(4096) };
            setrlimit(Resource::Nofile, limit(24)).unwrap();
            let all = heard(100, 9, &|_, report| write_all(report, b"x").unwrap());
            assert!(all.iter().all(|(_, told)| told.is_some()) && all.len() == 100);
            setrlimit(Resource::Nofile, limit(6)).unwrap();
            let refused = ask(9, &[], PATIENCE, &|_| {});
            setrlimit(Resource::Nofile, limit(64)).unwrap();
            assert!(refused.is_err_and(|error| error.errno() == Some(Errno::MFILE)));
        }
    }
}
