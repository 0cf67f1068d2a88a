//! What users say of their containers, asked for root.
//!
//! A user's world is read by a process that has become that user and looks there as the user would.
//! What it reports is the user's word: root opens the process that it names itself, and takes it
//! only if its network namespace is of the user's own making.

#![forbid(unsafe_code)]

use super::engine::{Container, ENGINES, Source};
use super::lookup::{Lookup, Running, all_in, find_in, is_root};
use super::name::{label, spelled};
use super::running::{RunningContainer, running_in};
use super::word::Word;
use super::world::users::{self, MOST_USERS};
use super::world::{User, World};
use crate::base::error::{Error, Outlook, Result, describe};
use crate::base::escape::shown;
use crate::base::fields::{Fields, put, put_number};
use crate::base::text::list as in_words;
use crate::host::Host;
use crate::host::process::{Process, diagnose, is_dead, is_gone, unless_gone};
use crate::kernel::fork::{PATIENCE, Questions, ask_all};
use crate::kernel::netns::NetNs;
use crate::sys::stdio::write_all;
use rustix::fd::OwnedFd;
use rustix::io;

/// No more containers of a user are looked at.
const MOST: usize = 1000;
/// The most bytes of a report.
const LONGEST: usize = 1 << 20;
/// As many names are suggested.
const MOST_NAMES: usize = 5;

/// What a reader does in a user's world.
type Inspect<'a> = &'a dyn Fn(&World<'_>, &mut Report) -> Result<()>;

/// Looks up what a word means in a user's world. Returns None where the user knows no such
/// container.
///
/// # Errors
/// Where it does not run, there is any doubt which one is meant, the namespace is not that user's,
/// or the user's world could not be read to its end.
pub(crate) fn ask(host: &Host, word: &Word<'_>, user: &User) -> Result<Option<Running>> {
    let look = |world: &World<'_>, report: &mut Report| {
        match find_in(world, word)? {
            Lookup::Running(Running { container, process, .. }) => {
                let stat = process
                    .stat()
                    .map_err(|_| Error::new("its process has just ended").absent())?;
                report.claims.push(Claim { container, pid: process.pid, start: stat.start });
            }
            Lookup::NotRunning(error) => return Err(error),
            Lookup::Unknown => {}
        }
        Ok(())
    };
    let uid = user.uid;
    if !is_root(host) {
        let message = format!("only root can ask for the containers of uid {uid}");
        return Err(Error::new(message).with_remedy("needs root: run it with sudo"));
    }
    let mut report = None;
    listen(host, std::slice::from_ref(user), &look, &mut |_, told| report = told)?;
    let fault = match report {
        None => format!("the containers of uid {uid} could not be read to their end"),
        Some(Report { failure: Some(failure), outlook, .. }) => {
            return Err(Error::new(format!("uid {uid}: {failure}")).with_outlook(outlook));
        }
        Some(Report { mut claims, unread, .. }) => match (claims.pop(), unread) {
            (Some(claim), unread) => {
                unread
                    .into_iter()
                    .for_each(|what| host.add_unread(format!("of uid {uid}: {what}")));
                return claim.into_running(host, uid).map(Some);
            }
            (None, Some(unread)) => format!("uid {uid}: not all could be read: {unread}"),
            (None, None) => return Ok(None),
        },
    };
    Err(Error::new(fault))
}

/// Returns every container that runs in the users' worlds, for root.
///
/// # Errors
/// Where the machine refuses.
pub(crate) fn list(host: &Host) -> Result<Vec<RunningContainer>> {
    let look = |world: &World<'_>, report: &mut Report| {
        let mut found = Vec::new();
        running_in(world, &mut found)?;
        for RunningContainer { container, pid, start, .. } in found {
            report.claims.push(Claim { container, pid, start });
        }
        Ok(())
    };
    let mut found = Vec::new();
    for claim in ask_users(host, &look)?.into_iter().flatten() {
        let Some(uid) = claim.container.claimed_by else { continue };
        let held = unless_gone(host, claim.pid, claim.hold(host, uid));
        // In a namespace of somebody else's it is nobody's word.
        if let Some((_, netns)) = held.flatten() {
            let Claim { container, pid, start } = claim;
            found.push(RunningContainer { container, pid, start, netns: netns.id });
        }
    }
    host.check()?;
    Ok(found)
}

/// Returns how root may name the users' containers that are near to a word, or those of one engine.
///
/// # Errors
/// Where the machine refuses.
pub(crate) fn suggest(
    host: &Host,
    only: Option<&str>,
    is_near: &dyn Fn(&Container) -> bool,
) -> Result<Vec<Vec<u8>>> {
    let look = |world: &World<'_>, report: &mut Report| {
        for container in all_in(world, only)? {
            if report.claims.len() < MOST_NAMES && is_near(&container) {
                report.claims.push(Claim { container: Box::new(container), pid: 0, start: 0 });
            }
        }
        Ok(())
    };
    let mut names = Vec::new();
    for claim in ask_users(host, &look)?.iter().flatten() {
        let name = spelled(&claim.container);
        if names.len() < MOST_NAMES && !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// Returns what each user claims, in the order of users; with a note of those who could not be read
/// to their end.
fn ask_users(host: &Host, look: Inspect<'_>) -> Result<Vec<Vec<Claim>>> {
    if !is_root(host) {
        return Ok(Vec::new());
    }
    let (users, are_more) = users::all(&World::root(host));
    host.check()?;
    // Readers end as they like.
    let mut claims: Vec<Vec<Claim>> = Vec::new();
    claims.resize_with(users.len(), Vec::new);
    let mut partly: Vec<u32> = Vec::new();
    listen(host, &users, look, &mut |at, report| {
        if !report.as_ref().is_some_and(Report::is_whole) {
            partly.push(users[at].uid);
        }
        if let Some(report) = report {
            claims[at] = report.claims;
        }
    })?;
    if !partly.is_empty() {
        const NAMED: usize = 5;
        let rest = partly.len().saturating_sub(NAMED);
        let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
        partly.sort_unstable();
        let uids = in_words(partly.iter().take(NAMED), ", ");
        let text = format!("not all containers of these users could be read: {uids}{more}");
        host.console.note(text);
    }
    if are_more {
        host.console.note(format_args!("only {MOST_USERS} users were asked for their containers"));
    }
    Ok(claims)
}

/// Lets a reader look in each user's world. Shows `hear` the user's place and the report; none
/// where it did not come to its end.
fn listen(
    host: &Host,
    users: &[User],
    look: Inspect<'_>,
    hear: &mut dyn FnMut(usize, Option<Report>),
) -> Result<()> {
    let answer = |at: usize, pipe: &OwnedFd| {
        let report = read_as(host, &users[at], look);
        // Whom it is for misses what cannot be written, and says so.
        let _ = write_all(pipe, &report.encode());
    };
    let kept = host.descriptors();
    let (count, most, patience) = (users.len(), LONGEST, PATIENCE);
    let questions = Questions { count, most, patience, kept: &kept, answer: &answer };
    ask_all(&questions, &mut |at, told| {
        hear(at, told.and_then(|told| Report::decode(told, users[at].uid)));
        Ok(())
    })
}

/// Becomes a user and looks in that user's world: a reader's whole life.
fn read_as(host: &Host, user: &User, look: Inspect<'_>) -> Report {
    let mut report = Report::default();
    host.take_unread();
    if let Err(e) = user.become_this(host) {
        report.failure = Some(format!("nobody can become that user: {}", describe(e)));
        return report;
    }
    let world = World::readers(host, user.clone(), MOST);
    if let Err(error) = look(&world, &mut report) {
        report.failure = Some(error.message().to_owned());
        report.outlook = error.outlook();
    }
    report.unread = host.take_unread().into_iter().next();
    if report.claims.len() > MOST {
        report.claims.truncate(MOST);
        report.unread.get_or_insert_with(|| format!("there are more than {MOST}"));
    }
    report
}

/// A container of a user's, and which process the user says it is.
#[derive(Debug, PartialEq)]
struct Claim {
    container: Box<Container>,
    pid: u32,
    start: u64,
}

impl Claim {
    /// Takes the user's word.
    fn into_running(self, host: &Host, uid: u32) -> Result<Running> {
        let label = label(&self.container);
        match self.hold(host, uid) {
            Ok(Some((process, netns))) => Ok(Running { container: self.container, process, netns }),
            Ok(None) => {
                let fault = "and its network namespace is not of that user's making";
                Err(Error::new(format!("{label} is only what uid {uid} says, {fault}"))
                    .with_remedy("if you know better: --pid PID"))
            }
            Err(e) if is_gone(e) => Err(Error::new(format!("{label} has just ended")).absent()),
            Err(e) => Err(diagnose(host, self.pid, e)),
        }
    }

    /// Opens the process and its network namespace; None where that is not of the user's making.
    ///
    /// # Errors
    /// The errno; ESRCH where the process has ended or is another one.
    fn hold(&self, host: &Host, uid: u32) -> io::Result<Option<(Process, NetNs)>> {
        let process = Process::open(host, self.pid)?;
        let stat = process.stat()?;
        if stat.start != self.start || is_dead(stat.state) {
            return Err(io::Errno::SRCH);
        }
        let netns = process.netns()?;
        Ok(users::made(uid, &netns).then_some((process, netns)))
    }
}

/// What a reader found.
#[derive(Debug, Default, PartialEq)]
struct Report {
    claims: Vec<Claim>,
    /// Why that is all.
    failure: Option<String>,
    /// What may become of that.
    outlook: Outlook,
    /// What could not be read, or one of it.
    unread: Option<String>,
}

impl Report {
    /// Tells whether nothing is missing.
    fn is_whole(&self) -> bool {
        self.failure.is_none() && self.unread.is_none()
    }

    /// Encodes it: four fields for the report, then six for each claim.
    fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put(&mut out, self.failure.as_deref().unwrap_or_default().as_bytes());
        put_number(&mut out, self.outlook as u64);
        put(&mut out, self.unread.as_deref().unwrap_or_default().as_bytes());
        put_number(&mut out, self.claims.len() as u64);
        for Claim { container, pid, start } in &self.claims {
            put(&mut out, container.engine.as_bytes());
            put(&mut out, container.runs_on.as_bytes());
            put(&mut out, &container.name);
            put(&mut out, &container.id);
            put_number(&mut out, (*pid).into());
            put_number(&mut out, *start);
        }
        out
    }

    /// Decodes what a reader in the world of `uid` told; None where it is anything but a whole
    /// report.
    fn decode(told: &[u8], uid: u32) -> Option<Report> {
        let mut fields = Fields(told);
        let text = |bytes: &[u8]| (!bytes.is_empty()).then(|| shown(bytes).to_string());
        let (failure, outlook) = (fields.take()?, fields.number()?);
        let all = [Outlook::Lasting, Outlook::Absent, Outlook::Unclear];
        let outlook = all.into_iter().find(|known| *known as u64 == outlook)?;
        let (unread, count) = (fields.take()?, fields.number()?);
        if count > MOST as u64 {
            return None;
        }
        let mut claims = Vec::new();
        for _ in 0..count {
            let (engine, runs_on) = (word_of(fields.take()?)?, word_of(fields.take()?)?);
            let (name, id) = (fields.take()?, fields.take()?);
            let (pid, start) = (fields.number()? as u32, fields.number()?);
            let mut container = Box::new(Container::unnamed(engine, id, Source::Anywhere));
            container.runs_on = runs_on;
            container.name = name.to_vec();
            container.claimed_by = Some(uid);
            claims.push(Claim { container, pid, start });
        }
        let (failure, unread) = (text(failure), text(unread));
        fields.0.is_empty().then_some(Report { claims, failure, outlook, unread })
    }
}

/// Returns an engine's own word.
fn word_of(word: &[u8]) -> Option<&'static str> {
    let mut words = ENGINES.iter().flat_map(|engine| engine.words);
    words.find(|known| known.as_bytes() == word).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::testing::alone;

    fn report() -> Report {
        let named = |name: &str, uid| {
            let unnamed = Container::unnamed("crun", b"0123456789abcdef", Source::Anywhere);
            let name = name.as_bytes().to_vec();
            let container = Container { name, engine: "podman", claimed_by: Some(uid), ..unnamed };
            Claim { container: Box::new(container), pid: 4_194_304, start: u64::MAX }
        };
        let claims = vec![named("rl", 1000), named("a\nb\u{9b}", 1000), named("", 1000)];
        let unread = Some("\"/home/x\": Permission denied".to_owned());
        let outlook = Outlook::Absent;
        Report { claims, failure: Some("it is so".to_owned()), outlook, unread }
    }

    #[test]
    fn a_report_is_whole_or_none() {
        for report in [report(), Report::default(), Report { failure: None, ..report() }] {
            let told = report.encode();
            assert_eq!(Report::decode(&told, 1000), Some(report));
            for length in 0..told.len() {
                assert_eq!(Report::decode(&told[..length], 1000), None, "{length}");
            }
            let more = [&told[..], b"\0"].concat();
            assert_eq!(Report::decode(&more, 1000), None);
        }
    }

    #[test]
    fn no_report_is_more_than_it_may_be() {
        let told = report().encode();
        // Whatever is in it: no panic, no more claims than there may be, and they are that user's.
        let mut seed = 7_u32;
        for round in 0..200_000_u32 {
            let mut forged = told.clone();
            for _ in 0..=round % 3 {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let at = (seed >> 8) as usize % forged.len();
                forged[at] = seed as u8;
            }
            let Some(report) = Report::decode(&forged, 1001) else { continue };
            assert!(report.claims.iter().all(|claim| claim.container.claimed_by == Some(1001)));
            let texts = report.failure.iter().chain(&report.unread);
            assert!(texts.flat_map(|text| text.chars()).all(|c| !c.is_control()));
        }
        let mut many = report();
        many.claims = (0..=MOST).map(|_| report().claims.remove(0)).collect();
        assert_eq!(Report::decode(&many.encode(), 1000), None);
        many.claims.pop();
        assert!(Report::decode(&many.encode(), 1000).is_some());
    }

    #[test]
    fn users_are_asked_as_themselves() {
        alone("containers::claims::tests::in_a_mount_namespace::users", "");
    }

    #[test]
    fn a_user_can_stop_us_but_not_look_at_us() {
        alone("containers::claims::tests::in_a_mount_namespace::interference", "");
    }

    mod in_a_mount_namespace {
        use super::*;
        use crate::base::console::Console;
        use crate::base::testing::Scratch;
        use crate::containers::word::Word;
        use rustix::process::{geteuid, getpid};
        use std::process::{Child, Command, Stdio};
        use std::thread::sleep;
        use std::time::{Duration, Instant};

        const USER: u32 = 65533;
        const OTHER: u32 = 65532;

        fn as_user(uid: u32, words: &[&str]) -> Command {
            let id = uid.to_string();
            let mut command = Command::new("setpriv");
            command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).args(words);
            command.stdin(Stdio::null());
            command
        }

        /// A process of a user's in a network namespace of their own making.
        struct Sleeper(Child);

        impl Sleeper {
            fn new(host: &Host, uid: u32) -> Sleeper {
                let child = as_user(uid, &["unshare", "-Urn", "sleep", "300"]).spawn().unwrap();
                let sleeper = Sleeper(child);
                let is_there = || {
                    let process = Process::open(host, sleeper.0.id()).unwrap();
                    process.netns().unwrap().is_of_user(uid)
                };
                while !is_there() {
                    sleep(Duration::from_millis(10));
                }
                sleeper
            }

            fn claim(&self, host: &Host, name: &str) -> Claim {
                let pid = self.0.id();
                let start = Process::open(host, pid).unwrap().stat().unwrap().start;
                let container = Container::unnamed("crun", name.as_bytes(), Source::Anywhere);
                Claim { container: Box::new(container), pid, start }
            }
        }

        impl Drop for Sleeper {
            fn drop(&mut self) {
                self.0.kill().unwrap();
                self.0.wait().unwrap();
            }
        }

        fn machine() -> (Scratch, Host) {
            let scratch = Scratch::new();
            let passwd = "root:x:0:0::/root:/bin/sh\ntester:x:65533:65533::/home/tester:/bin/sh\n";
            scratch.file("etc/passwd", passwd);
            for uid in [USER, OTHER] {
                let run = format!("run/user/{uid}");
                scratch.directory(&run);
                scratch.mode(&run, 0o700);
                scratch.owner(&run, uid, uid);
            }
            scratch.mount_proc();
            let console = Console { quiet: true, verbose: false };
            let host = Host::mounted_at(&scratch.path(""), console).unwrap();
            (scratch, host)
        }

        fn record(scratch: &Scratch, uid: u32, name: &str, pid: u32, start: u64) {
            let file = format!("run/user/{uid}/crun/{name}/status");
            scratch.file(&file, &format!("{{\"pid\":{pid},\"process-start-time\":{start}}}"));
            Command::new("chown")
                .args(["-R", &format!("{uid}:{uid}")])
                .arg(scratch.at(&format!("run/user/{uid}")))
                .status()
                .unwrap();
        }

        #[test]
        #[ignore = "run by users_are_asked_as_themselves"]
        fn users() {
            let (scratch, host) = machine();
            let (own, others) = (Sleeper::new(&host, USER), Sleeper::new(&host, OTHER));
            let (claim, forged) = (own.claim(&host, "x"), others.claim(&host, "x"));
            let first = Process::open(&host, 1).unwrap().stat().unwrap().start;
            record(&scratch, USER, "rl", claim.pid, claim.start);
            record(&scratch, USER, "old", claim.pid, claim.start + 1);
            record(&scratch, USER, "forged", forged.pid, forged.start);
            record(&scratch, USER, "roots", 1, first);
            record(&scratch, OTHER, "other", forged.pid, forged.start);
            let user = |word: &[u8]| users::named(&World::root(&host), word).unwrap();
            let told = |name: &str, user: &User| {
                let word = format!("crun:{name}");
                ask(&host, &Word::parse(word.as_bytes()), user)
            };
            let running = told("rl", &user(b"tester")).unwrap().unwrap();
            assert_eq!(
                (running.process.pid, running.container.claimed_by),
                (claim.pid, Some(USER))
            );
            assert!(running.netns.is_of_user(USER));
            assert!(told("nope", &user(b"65533")).unwrap().is_none());
            // One that passwd does not know is in the group of the session's directory.
            assert!(told("other", &user(b"65532")).unwrap().is_some());
            for name in ["old", "forged", "roots"] {
                let message = told(name, &user(b"tester")).unwrap_err();
                assert!(message.message().starts_with("uid 65533: "), "{message:?}");
            }
            // What is not theirs is not theirs, whoever says so.
            let own_process = Process::open(&host, getpid().as_raw_pid() as u32).unwrap();
            let start = own_process.stat().unwrap().start;
            let ours = Claim { pid: own_process.pid, start, ..own.claim(&host, "y") };
            assert!(matches!(claim.hold(&host, USER), Ok(Some(_))));
            for (claim, uid) in [(&forged, USER), (&ours, USER), (&claim, 65534)] {
                assert!(matches!(claim.hold(&host, uid), Ok(None)), "{claim:?} {uid}");
            }
            let late = Claim { start: claim.start + 1, ..own.claim(&host, "y") };
            assert!(late.hold(&host, USER).is_err());

            let rows = list(&host).unwrap();
            let row = |row: &RunningContainer| (spelled(&row.container), row.pid);
            let mut rows: Vec<_> = rows.iter().map(row).collect();
            rows.sort();
            let other = (b"crun:other@65532".to_vec(), forged.pid);
            assert_eq!(rows, [other, (b"crun:rl@65533".to_vec(), claim.pid)]);
            let suggested = suggest(&host, None, &|container| container.name.starts_with(b"r"));
            assert_eq!(
                suggested.unwrap(),
                [b"crun:rl@65533".to_vec(), b"crun:roots@65533".to_vec()]
            );

            // A world without end is read no further than so far.
            for name in 0..=MOST {
                scratch.directory(&format!("run/user/{USER}/crun/{name}"));
            }
            let error = told("nope", &user(b"tester")).unwrap_err();
            assert!(error.message().contains("more than 1000"), "{error:?}");
            assert_eq!(suggest(&host, Some("crun"), &|_| true).unwrap().len(), MOST_NAMES);
        }

        fn all_of(host: &Host, look: Inspect<'_>) -> Option<Report> {
            let user = users::named(&World::root(host), b"tester").unwrap();
            let mut heard = None;
            listen(host, &[user], look, &mut |_, report| heard = report).unwrap();
            heard
        }

        #[test]
        #[ignore = "run by a_user_can_stop_us_but_not_look_at_us"]
        fn interference() {
            let (scratch, host) = machine();
            // The reader is the user, and the rights of root are gone, whatever the caller's
            // securebits.
            use rustix::thread::{CapabilitiesSecureBits, set_capabilities_secure_bits};
            set_capabilities_secure_bits(
                CapabilitiesSecureBits::NO_SETUID_FIXUP | CapabilitiesSecureBits::KEEP_CAPS,
            )
            .unwrap();
            let report = all_of(&host, &|world, report| {
                let status = std::fs::read_to_string("/proc/thread-self/status").unwrap();
                let field = |key: &str| {
                    let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap();
                    line.split_whitespace().collect::<Vec<_>>().join(" ")
                };
                let ids = [USER; 4].map(|uid| uid.to_string()).join(" ");
                assert_eq!(
                    (field("Uid:"), field("Gid:"), field("Groups:")),
                    (ids.clone(), ids, String::new())
                );
                for set in ["CapEff:", "CapPrm:", "CapInh:", "CapAmb:"] {
                    assert_eq!(field(set), "0".repeat(16), "{set}");
                }
                assert_eq!(field("NoNewPrivs:"), "1");
                assert!(std::fs::read("/etc/shadow").is_err() && geteuid().as_raw() == USER);
                assert!(!world.caller.is_root && world.file(b"/etc/passwd").is_some());
                report.unread = None;
                Ok(())
            });
            assert_eq!(report, Some(Report::default()));
            set_capabilities_secure_bits(CapabilitiesSecureBits::empty()).unwrap();

            // Its memory and descriptors are nobody's to see; but it is the user's to be stopped.
            let (said, stopped) =
                (format!("run/user/{USER}/said"), format!("run/user/{USER}/stopped"));
            let (said, stopped) = (scratch.at(&said), scratch.at(&stopped));
            let (pid_in, mark) = (said.clone(), stopped.clone());
            let watched = std::thread::spawn(move || {
                let pid = || std::fs::read_to_string(&pid_in).ok()?.parse::<u32>().ok();
                let end = Instant::now() + Duration::from_secs(60);
                let pid = loop {
                    match pid() {
                        Some(pid) => break pid.to_string(),
                        None => assert!(Instant::now() < end, "no reader tells its pid"),
                    }
                    sleep(Duration::from_millis(10));
                };
                let script = "cat /proc/$1/environ /proc/$1/maps; ls /proc/$1/fd; \
                    kill -STOP $1; : >\"$2\"";
                let words = ["sh", "-c", script, "sh", &pid, mark.to_str().unwrap()];
                as_user(USER, &words).output().unwrap()
            });
            let start = Instant::now();
            let report = all_of(&host, &|_, _| {
                std::fs::write(&said, getpid().to_string()).unwrap();
                while !stopped.exists() {
                    sleep(Duration::from_millis(10));
                }
                Ok(())
            });
            let seen = watched.join().unwrap();
            let text = String::from_utf8_lossy(&seen.stderr);
            assert_eq!(text.matches("Permission denied").count(), 3, "{text}");
            assert!(seen.stdout.is_empty(), "{seen:?}");
            assert_eq!(report, None);
            assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
            assert!(start.elapsed() < Duration::from_secs(10), "{:?}", start.elapsed());
        }
    }
}
