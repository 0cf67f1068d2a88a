//! Churn: containers of every engine are started, stopped, restarted and end by themselves while
//! others ask for them. Each answer is the container's own namespace, or 125 with nothing run.
//!
//! Inodes are used again, so a namespace is told by a mark in it: a sysctl that any 32 bits fit in,
//! which runtimes set before they record the container. Windows of microseconds are held open by
//! stopping whatever is at work on a container, and netns-enter, for some milliseconds: see
//! [`brake`].

#![forbid(unsafe_code)]

use crate::chance::{self, Dice, SEED};
use crate::engines::alone_with_daemons;
use crate::engines::containerd::Containerd;
use crate::engines::docker::Docker;
use crate::engines::podman::Podman;
use crate::util::{
    Output, Scratch, Sleeper, ask, binary, busybox_root, finish, has_all, inode_in, own_ns,
    process_number, program, run, sh, skip, tell, unique,
};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::any::Any;
use std::collections::{BTreeMap, VecDeque};
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

/// The sysctl that is the mark; tcp(7) has it, and every network namespace its own.
const SYSCTL: &str = "net.ipv4.tcp_notsent_lowat";

/// What it is where nobody has set it.
const UNMARKED: u32 = u32::MAX;

/// COMMAND: prints the mark of the namespace that it runs in, and which that is. A namespace that
/// has no mark gets $2 times 20 ms to get one, unless it is $1, which has none.
const TELL: &str = r#"
look() { mark=$(cat /proc/sys/net/ipv4/tcp_notsent_lowat); ns=$(readlink /proc/self/ns/net); }
look
tries=0
while [ "$mark" = 4294967295 ] && [ "$ns" != "$1" ] && [ "$tries" -lt "$2" ]; do
    sleep 0.02
    tries=$((tries + 1))
    look
done
echo "$mark $ns"
"#;

/// How many questions are under way at a time.
const ASKERS: u64 = 2;

/// How a test may be told to go on for longer: `make soak`.
const SECONDS: &str = "NETNS_ENTER_SOAK_SECONDS";
/// A file that ends a soak when it is there.
const STOP: &str = "NETNS_ENTER_SOAK_STOP";

/// Returns the seed of this run, and says it.
fn seed(of: &str) -> u64 {
    let seed = chance::seed();
    tell(&format!("churn: {of}: {SEED}={seed}\n"));
    seed
}

/// How an engine's containers are made and handled, by shell scripts. `$N` is the name, `$C` the
/// command, `$O` the options, `$I` the image and `$D` a directory of the container's own.
struct Engine {
    word: &'static str,
    /// The functions `make` and `end`, and what they use.
    functions: &'static str,
    /// What is done to a container that stays.
    moves: &'static [&'static str],
    /// What is done to a container whose command ends at once.
    loops: &'static [&'static str],
    /// What leaves nothing of it.
    clear: &'static str,
}

static DOCKER: Engine = Engine {
    word: "docker",
    functions: r#"
        make() { docker run -d --name "$N" $O "$I" $C; }
        end() { docker rm -f "$N"; }"#,
    moves: &[
        "docker restart -t 0 $N",
        "docker restart -t 0 $N",
        "docker stop -t 0 $N; docker start $N",
        "docker kill $N; docker start $N",
        "docker exec $N /bin/true; docker restart -t 0 $N",
        "docker pause $N; docker unpause $N",
        "end; make",
    ],
    loops: &["end; make; sleep 1", "sleep 0.5", "docker restart -t 0 $N"],
    clear: "end",
};

static PODMAN: Engine = Engine {
    word: "podman",
    // A machine whose limits may not be raised needs them said. Not `podman exec`: what is left of
    // a session is ended by its pid alone, whoever has that meanwhile (ExecStopContainer in
    // libpod/oci_conmon_exec_common.go).
    functions: r#"
        podman() { command podman --runtime runc "$@"; }
        make() {
            podman run -d --name "$N" --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 $O "$I" $C
        }
        end() { podman rm -f -t 0 "$N"; }"#,
    moves: &[
        "podman restart -t 0 $N",
        "podman restart -t 0 $N",
        "podman stop -t 0 $N; podman start $N",
        "podman kill $N; podman start $N",
        "runc exec $(podman inspect -f {{.Id}} $N) /bin/true; podman restart -t 0 $N",
        "end; make",
    ],
    loops: &["end; make; sleep 1", "sleep 0.5"],
    clear: "end",
};

static CTR: Engine = Engine {
    word: "containerd",
    functions: r#"
        make() { ctr run -d --config "$D/config.json" "$N"; }
        end() { ctr task rm -f "$N"; ctr container rm "$N"; }"#,
    moves: &[
        "ctr task kill -s 9 $N; ctr task rm -f $N; ctr task start -d $N",
        "ctr task exec --exec-id x$$ $N /bin/true",
        "end; make",
    ],
    loops: &["end; make", "ctr task rm -f $N; ctr task start -d $N"],
    clear: "end",
};

static RUNC: Engine = Engine {
    word: "runc",
    functions: r#"
        make() { runc run -d --bundle "$D" "$N"; }
        end() { runc delete -f "$N"; }"#,
    moves: &[
        "end; make",
        "runc kill $N KILL; end; make",
        "end; runc create --bundle $D $N; runc start $N",
        "runc exec $N /bin/true; end; make",
    ],
    loops: &["end; make"],
    clear: "end",
};

/// crun refuses hybrid cgroups, so it sees unified ones alone.
static CRUN: Engine = Engine {
    word: "crun",
    functions: r#"
        crun() {
            unshare -m --propagation private sh -c 'mount -t cgroup2 none /sys/fs/cgroup &&
                exec env -u XDG_RUNTIME_DIR crun --cgroup-manager=disabled "$@"' sh "$@"
        }
        make() { crun run -d --bundle "$D" "$N"; }
        end() { crun delete -f "$N"; }"#,
    moves: &[
        "end; make",
        "crun kill $N KILL; end; make",
        "end; crun create --bundle $D $N; crun start $N",
        "crun exec $N /bin/true; end; make",
    ],
    loops: &["end; make"],
    clear: "end",
};

/// The subordinate IDs are those of the configuration, whatever the machine has. LXC itself forgets
/// the cgroups of what ends at once.
static LXC: Engine = Engine {
    word: "lxc",
    functions: r#"
        make() {
            unshare -m --propagation private sh -c 'mount --bind "$D/subid" /etc/subuid &&
                mount --bind "$D/subid" /etc/subgid && exec lxc-start -n "$N" -f "$D/config" -d'
        }
        end() { lxc-stop -k -n "$N"; }
        clear() {
            end
            find /sys/fs/cgroup -depth -type d -path "*/lxc.*.$N*" -exec rmdir {} +
        }"#,
    moves: &["end; make", "end; make", "lxc-attach -n $N -- /bin/true"],
    loops: &["make; end"],
    clear: "clear",
};

/// In the foreground, where no monitor has a title, and where a cgroup of the name was left over:
/// LXC takes the next, which is called as if it were that of another container.
static LXC_IN_FRONT: Engine = Engine {
    word: "lxc",
    functions: r#"
        left_over() { awk -v d="/lxc.payload.$N" '/ - cgroup2? / { print $5 d }' /proc/self/mountinfo; }
        make() {
            left_over | xargs mkdir -p
            lxc-start -n "$N" -f "$D/config" -F >/dev/null 2>&1 &
            lxc-wait -n "$N" -s RUNNING -t 5
        }
        end() { lxc-stop -k -n "$N"; }
        clear() {
            end
            find /sys/fs/cgroup -depth -type d -path "*/lxc.*.$N*" -exec rmdir {} +
        }"#,
    moves: &["end; make", "end"],
    loops: &[],
    clear: "clear",
};

/// A container that comes and goes; gone after the test.
struct Container {
    engine: &'static Engine,
    name: String,
    /// Where the engine gives IDs, the last that was seen; else empty.
    id: Mutex<String>,
    /// The mark of the namespace that it is always in.
    mark: u32,
    /// Whether its command goes on.
    stays: bool,
    environment: Vec<(&'static str, String)>,
}

impl Container {
    fn new(engine: &'static Engine, stays: bool) -> Container {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let mark = process_number() << 9 | COUNT.fetch_add(1, Ordering::Relaxed);
        let command = if stays { "/bin/sleep 3600" } else { "/bin/true" };
        Container {
            engine,
            name: unique("churn"),
            id: Mutex::default(),
            mark,
            stays,
            environment: vec![("C", command.to_owned())],
        }
    }

    /// With these options for the engine, and a mark.
    fn with_options(mut self, image: &str, options: &str) -> Container {
        let options = format!("{options} --sysctl {SYSCTL}={}", self.mark);
        self.environment.extend([("I", image.to_owned()), ("O", options)]);
        self
    }

    /// In the network namespace of another.
    fn beside(mut self, image: &str, other: &Container) -> Container {
        let options = format!("--network container:{}", other.name);
        self.environment.extend([("I", image.to_owned()), ("O", options)]);
        self.mark = other.mark;
        self
    }

    /// With a bundle for an OCI runtime, in a namespace of its own or that of `path`.
    fn with_bundle(mut self, scratch: &Scratch, root: &str, path: Option<&str>) -> Self {
        let dir = scratch.path(&self.name);
        fs::create_dir(&dir).expect("a directory");
        let runtime = if self.engine.word == "crun" { "crun" } else { "runc" };
        sh("cd \"$1\" && exec \"$2\" spec", &[&dir, runtime]).succeeds();
        let file = format!("{dir}/config.json");
        let spec = fs::read_to_string(&file).expect("a specification");
        let mut spec: serde_json::Value = serde_json::from_str(&spec).expect("JSON");
        spec["root"]["path"] = root.into();
        spec["process"]["terminal"] = false.into();
        let words = self.environment[0].1.split(' ');
        spec["process"]["args"] = words.map(str::to_owned).collect::<Vec<_>>().into();
        spec["linux"]["sysctl"] = serde_json::json!({ SYSCTL: self.mark.to_string() });
        if self.engine.word == "containerd" {
            spec["linux"]["cgroupsPath"] = format!("/default/{}", self.name).into();
        }
        let namespaces = spec["linux"]["namespaces"].as_array_mut().expect("namespaces");
        for namespace in namespaces.iter_mut().filter(|one| one["type"] == "network") {
            if let Some(path) = path {
                namespace["path"] = path.into();
            }
        }
        fs::write(file, spec.to_string()).expect("a file");
        self.environment.push(("D", dir));
        self
    }

    /// With a configuration for LXC.
    fn with_config(mut self, scratch: &Scratch, root: &str, more: &str) -> Self {
        let Container { name, mark, .. } = &self;
        let config = format!(
            "lxc.uts.name = {name}\nlxc.rootfs.path = dir:{root}\nlxc.net.0.type = empty\n\
             lxc.mount.auto = proc:mixed\nlxc.sysctl.{SYSCTL} = {mark}\nlxc.init.cmd = {}\n{more}",
            self.environment[0].1
        );
        scratch.write(&format!("{name}/config"), config);
        scratch.write(&format!("{name}/subid"), "root:100000:65536\n");
        self.environment.push(("D", scratch.path(name)));
        self
    }

    /// Runs a script of the engine's; whatever becomes of it. An ID that it prints is kept.
    fn act(&self, script: &str) -> Output {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{}\n{script}", self.engine.functions)]);
        command.env("N", &self.name).envs(self.environment.iter().map(|(key, value)| (key, value)));
        let output = finish(command);
        let is_id = |line: &&str| line.len() == 64 && line.bytes().all(|b| b.is_ascii_hexdigit());
        if let Some(id) = output.stdout.lines().rfind(is_id) {
            *held(&self.id) = id.to_owned();
        }
        output
    }

    /// Returns a way to ask for it.
    fn question(&self, dice: &mut Dice) -> Vec<String> {
        let id = held(&self.id).clone();
        let name = &self.name;
        let forms = if id.is_empty() { 4 } else { 8 };
        let short = |text: &str| vec!["-c".to_owned(), text.to_owned()];
        match dice.below(forms) {
            0 | 1 => vec![name.clone()],
            2 => short(name),
            3 => short(&format!("{}:{name}", self.engine.word)),
            4 => vec![id],
            5 => vec![id[..12].to_owned()],
            6 => short(&id[..4 + dice.below(60)]),
            _ => short(&format!("{}:{}", self.engine.word, &id[..12])),
        }
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        self.act(self.engine.clear);
    }
}

/// Some containers of one engine; the first fields go first.
struct Fleet {
    containers: Vec<Container>,
    /// Namespaces that containers are put into.
    sleepers: Vec<Sleeper>,
    /// What they need: a daemon, an image, a directory.
    _keeps: Box<dyn Any>,
}

impl Fleet {
    fn word(&self) -> &'static str {
        self.containers[0].engine.word
    }

    /// Makes every container once; the engine has to work.
    fn made(self) -> Result<Fleet, String> {
        for container in &self.containers {
            let output = container.act("make");
            // One that ends at once may count as not started.
            if container.stays {
                output.answer()?;
            }
        }
        Ok(self)
    }

    fn docker() -> Result<Fleet, String> {
        let mut docker = Docker::start()?;
        let (name, _) = docker.make(&["create"], &[])?;
        let image = docker.inspect(&name, "{{.Config.Image}}")?;
        let bridged = Container::new(&DOCKER, true).with_options(&image, "");
        let beside = Container::new(&DOCKER, true).beside(&image, &bridged);
        let lone = Container::new(&DOCKER, true).with_options(&image, "--network none");
        let looping = Container::new(&DOCKER, false);
        let looping = looping.with_options(&image, "--network none --restart always");
        let containers = vec![bridged, beside, lone, looping];
        Fleet { containers, sleepers: Vec::new(), _keeps: Box::new(docker) }.made()
    }

    fn podman() -> Result<Fleet, String> {
        let podman = Podman::start()?;
        let image = ask(&["podman", "inspect", "-f", "{{.ImageName}}", &podman.name])?;
        let new = |stays| Container::new(&PODMAN, stays);
        let containers = vec![
            new(true).with_options(&image, "--network none"),
            new(true).with_options(&image, "--network none"),
            new(false).with_options(&image, "--network none --restart always"),
        ];
        Fleet { containers, sleepers: Vec::new(), _keeps: Box::new(podman) }.made()
    }

    fn containerd() -> Result<Fleet, String> {
        let containerd = Containerd::start()?;
        let scratch = Scratch::new("churn");
        let root = busybox_root(&scratch)?;
        let new = |stays| Container::new(&CTR, stays).with_bundle(&scratch, &root, None);
        let containers = vec![new(true), new(true), new(false)];
        Fleet { containers, sleepers: Vec::new(), _keeps: Box::new((containerd, scratch)) }.made()
    }

    /// Of a runtime alone: two of their own namespaces, one that ends at once, and one that has to
    /// join a namespace.
    fn runtime(engine: &'static Engine) -> Result<Fleet, String> {
        has_all(&[engine.word, "unshare", "mount"])?;
        let scratch = Scratch::new("churn");
        let root = busybox_root(&scratch)?;
        let sleeper = Sleeper::start();
        let path = format!("/proc/{}/ns/net", sleeper.pid);
        let new = |stays| Container::new(engine, stays);
        let containers = vec![
            new(true).with_bundle(&scratch, &root, None),
            new(true).with_bundle(&scratch, &root, None),
            new(true).with_bundle(&scratch, &root, Some(&path)),
            new(false).with_bundle(&scratch, &root, None),
        ];
        Fleet { containers, sleepers: vec![sleeper], _keeps: Box::new(scratch) }.made()
    }

    /// One of them with a user namespace: LXC then makes the network namespace last. Two are called
    /// as LXC calls another's second cgroup.
    fn lxc() -> Result<Fleet, String> {
        has_all(&["lxc-start", "lxc-stop", "lxc-wait", "lxc-attach", "unshare", "mount"])?;
        let scratch = Scratch::new("churn");
        let root = busybox_root(&scratch)?;
        let new = |stays| Container::new(&LXC, stays);
        let mapped = "lxc.idmap = u 0 100000 65536\nlxc.idmap = g 0 100000 65536\n";
        let mut containers = vec![
            new(true).with_config(&scratch, &root, ""),
            new(true).with_config(&scratch, &root, mapped),
            new(false).with_config(&scratch, &root, ""),
            Container::new(&LXC_IN_FRONT, true).with_config(&scratch, &root, ""),
        ];
        for at in [1, 3] {
            let mut twin = new(true);
            twin.name = format!("{}-1", containers[at].name);
            containers.push(twin.with_config(&scratch, &root, ""));
        }
        Fleet { containers, sleepers: Vec::new(), _keeps: Box::new(scratch) }.made()
    }

    /// When all is quiet, every way to ask for what runs leads there.
    #[track_caller]
    fn is_found(&self) {
        let mut dice = Dice::new(1, 1);
        for container in self.containers.iter().filter(|container| container.stays) {
            for _ in 0..8 {
                let words = container.question(&mut dice);
                let output = finish(program().args(words).args(COMMAND).arg(own_ns()).arg("0"));
                let right = format!("{} net:", container.mark);
                assert!(output.succeeds().stdout.starts_with(&right), "{}", output.dump());
            }
        }
    }
}

/// What follows a target, up to the arguments of the script.
const COMMAND: [&str; 5] = ["--", "sh", "-c", TELL, "sh"];

/// What came of the questions about one engine.
#[derive(Default)]
struct Tally {
    asked: u32,
    entered: u32,
    /// Entered before there was a mark, and the container ended before it got one.
    unmarked: u32,
    /// By 125, and why, without names and numbers.
    refused: BTreeMap<String, u32>,
    wrong: Vec<String>,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.asked += other.asked;
        self.entered += other.entered;
        self.unmarked += other.unmarked;
        for (why, times) in other.refused {
            *self.refused.entry(why).or_default() += times;
        }
        self.wrong.extend(other.wrong);
    }

    fn of_125(&self) -> u32 {
        self.refused.values().sum()
    }

    /// Asserts that no answer was wrong.
    #[track_caller]
    fn is_right(&self) {
        let Some(first) = self.wrong.first() else { return };
        let each = self.wrong.iter().filter_map(|wrong| wrong.lines().next());
        let each: Vec<&str> = each.collect();
        panic!("{} wrong answers:\n{}\n\n{first}{}", each.len(), each.join("\n"), reasons(self));
    }
}

type Tallies = BTreeMap<&'static str, Tally>;

/// Returns a message without what is different each time.
fn kind_of(message: &str) -> String {
    let first = message.lines().find(|line| !line.contains(": note: ")).unwrap_or_default();
    let first = first.split("; did you mean").next().unwrap_or_default();
    let mut kind = String::new();
    for (at, part) in first.trim_start_matches("netns-enter: ").split('"').enumerate() {
        // What is quoted is a name or a path.
        kind += if at % 2 == 1 { "…" } else { part };
    }
    let mut digits = false;
    kind.retain(|c| {
        let again = digits && c.is_ascii_digit();
        digits = c.is_ascii_digit();
        !again
    });
    kind.replace(|c: char| c.is_ascii_digit(), "N")
}

/// Some fleets in motion, and questions about them.
struct Churn<'f> {
    containers: Vec<&'f Container>,
    seed: u64,
    /// How many questions, and until when.
    quota: u32,
    ends: &'f (dyn Fn() -> bool + Sync),
    /// Whether the first wrong answer is the last.
    is_strict: bool,
    /// How many milliseconds something is stopped at most.
    stops: usize,
    asked: AtomicU32,
    over: AtomicBool,
    tallies: Mutex<Tallies>,
    /// What was done lately.
    log: Mutex<VecDeque<String>>,
    began: Instant,
    /// A namespace of the test's own, which is not the host's.
    own: Sleeper,
    own_mark: u32,
}

/// Ends the others when one thread ends, however.
struct Ends<'a>(&'a AtomicBool);

impl Drop for Ends<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl<'f> Churn<'f> {
    fn new(fleets: &[&'f Fleet], seed: u64) -> Churn<'f> {
        let own_mark = process_number() << 9;
        let own = Sleeper::start();
        mark(&own, own_mark);
        for fleet in fleets {
            for sleeper in &fleet.sleepers {
                let marked = fleet.containers.iter().find(|one| one.joins(sleeper));
                mark(sleeper, marked.expect("whose it is").mark);
            }
        }
        Churn {
            containers: fleets.iter().flat_map(|fleet| &fleet.containers).collect(),
            seed,
            quota: 0,
            ends: &|| false,
            is_strict: false,
            stops: 20,
            asked: AtomicU32::new(0),
            over: AtomicBool::new(false),
            tallies: Mutex::default(),
            log: Mutex::default(),
            began: Instant::now(),
            own,
            own_mark,
        }
    }

    /// Moves the containers and asks for them until that was done often enough.
    fn run(self) -> Tallies {
        let _made = Made::new();
        self.beside(|this| {
            scope(|threads| {
                for branch in 0..ASKERS {
                    threads.spawn(move || {
                        let _ends = Ends(&this.over);
                        own_pins();
                        this.ask_on(&mut Dice::new(this.seed, 1 + branch));
                    });
                }
            });
        });
        self.tallies.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Moves the containers as long as `test` runs.
    fn beside(&self, test: impl FnOnce(&Self)) {
        scope(|threads| {
            let _ends = Ends(&self.over);
            for (at, container) in self.containers.iter().enumerate() {
                let mut dice = Dice::new(self.seed, 100 + at as u64);
                threads.spawn(move || {
                    let _ends = Ends(&self.over);
                    self.move_on(container, &mut dice);
                });
            }
            threads.spawn(|| {
                let _ends = Ends(&self.over);
                brake(self, &mut Dice::new(self.seed, 99));
            });
            test(self);
        });
    }

    fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed) || (self.ends)()
    }

    fn note(&self, what: &str) {
        const KEPT: usize = 60;
        let mut log = held(&self.log);
        if log.len() == KEPT {
            log.pop_front();
        }
        log.push_back(format!("{:9.4} {what}", self.began.elapsed().as_secs_f64()));
    }

    fn move_on(&self, container: &Container, dice: &mut Dice) {
        let moves = if container.stays { container.engine.moves } else { container.engine.loops };
        while !self.is_over() {
            let script = dice.pick(moves);
            self.note(&format!("{}: {script} …", container.name));
            container.act(script);
            self.note(&format!("{}: … {script}", container.name));
            sleep(Duration::from_millis(dice.below(150) as u64));
        }
    }

    fn ask_on(&self, dice: &mut Dice) {
        while !self.is_over() {
            let number = self.asked.fetch_add(1, Ordering::Relaxed);
            if number >= self.quota {
                break;
            }
            let container = *dice.pick(&self.containers);
            let mut words = container.question(dice);
            let mut right = Some(container.mark);
            let is_first = words[0] == container.name;
            if is_first && dice.below(10) == 0 {
                // A name is no ID, and has no prefixes.
                words[0].truncate(container.name.rfind('-').map_or(0, |at| at + 1));
                right = None;
            }
            let tally = if dice.below(4) == 0 {
                self.pin(&words, right, number)
            } else {
                self.enter(&words, right, dice.below(4) == 0)
            };
            let is_wrong = !tally.wrong.is_empty();
            held(&self.tallies).entry(container.engine.word).or_default().add(tally);
            if is_wrong && self.is_strict {
                break;
            }
        }
    }

    /// Asks by running COMMAND; from a namespace of our own rather than the host's, if `apart`.
    fn enter(&self, words: &[String], right: Option<u32>, apart: bool) -> Tally {
        let mut command = if apart {
            let mut command = Command::new("nsenter");
            command.args(["-n", "-t", &self.own.word()]).arg(binary());
            command
        } else {
            program()
        };
        let output = finish(command.args(words).args(COMMAND).args([&own_ns(), "100"]));
        self.judge(words, output, right)
    }

    /// Asks by a pin, and looks what is there: it is gone afterwards, or has never been.
    fn pin(&self, words: &[String], right: Option<u32>, number: u32) -> Tally {
        let pin = format!("ne-pin-{number}");
        let file = format!("/run/netns/{pin}");
        let pinned = [words, &["--pin".to_owned(), pin.clone()]].concat();
        let mut made = finish(program().args(&pinned));
        if !made.status.success() {
            let mut tally = self.judge(&pinned, made, right);
            if Path::new(&file).exists() {
                tally.wrong.push(format!("a pin is left: {words:?} --pin {pin}"));
            }
            return tally;
        }
        let mut inside = Command::new("nsenter");
        inside.arg(format!("--net={file}")).args(&COMMAND[1..]).args([&own_ns(), "100"]);
        let told = finish(inside);
        made.stdout = told.stdout.clone();
        made.stderr += &told.stderr;
        let mut tally = self.judge(&pinned, made, right);
        let removed = run(&["--unpin", &pin]);
        if !removed.status.success() || Path::new(&file).exists() {
            tally.wrong.push(format!("a pin cannot be removed: {}", removed.dump()));
        }
        tally
    }

    /// Compares an answer with the mark that is right; with None where nothing may be entered.
    fn judge(&self, words: &[String], output: Output, right: Option<u32>) -> Tally {
        let mut tally = Tally { asked: 1, ..Tally::default() };
        let wrong = match output.status.code() {
            Some(125) if !output.stdout.is_empty() => "125, but something ran".to_owned(),
            Some(125) if output.stderr.lines().all(|line| line.starts_with("netns-enter: ")) => {
                tally.refused.insert(kind_of(&output.stderr), 1);
                return tally;
            }
            Some(0) => match self.whose(output.stdout.trim(), right) {
                Ok(true) => {
                    tally.entered = 1;
                    return tally;
                }
                Ok(false) => {
                    tally.unmarked = 1;
                    return tally;
                }
                Err(whose) => whose,
            },
            _ => "neither entered nor 125".to_owned(),
        };
        let log = Vec::from(held(&self.log).clone()).join("\n");
        let now = self.began.elapsed().as_secs_f64();
        let seed = self.seed;
        let asked = words.join(" ");
        tally.wrong.push(format!(
            "{asked}: {wrong}; right: {right:?}; at {now:.4}, {SEED}={seed}\n{}\nbefore it:\n{log}\n",
            output.dump()
        ));
        tally
    }

    /// Says whose namespace an answer is from: true where it is right, false where it has no mark
    /// and is none of those that are known, else whose.
    fn whose(&self, answer: &str, right: Option<u32>) -> Result<bool, String> {
        let parts = answer.split_once(' ').and_then(|(mark, ns)| Some((mark.parse().ok()?, ns)));
        let Some((mark, ns)) = parts else { return Err(format!("no answer: {answer:?}")) };
        if Some(mark) == right {
            return Ok(true);
        }
        if ns == own_ns() {
            return Err("the HOST's namespace".to_owned());
        }
        if mark == self.own_mark {
            return Err("the caller's namespace".to_owned());
        }
        match self.containers.iter().find(|container| container.mark == mark) {
            Some(other) => Err(format!("the namespace of {}", other.name)),
            None if mark == UNMARKED && right.is_some() => Ok(false),
            None => Err(format!("an unknown namespace, {answer}")),
        }
    }
}

impl Container {
    /// Whether its bundle names the namespace of this process.
    fn joins(&self, sleeper: &Sleeper) -> bool {
        let dir = self.environment.iter().find(|(key, _)| *key == "D");
        let config = dir.map(|(_, dir)| format!("{dir}/config.json"));
        let spec = config.and_then(|file| fs::read_to_string(file).ok()).unwrap_or_default();
        spec.contains(&format!("/proc/{}/ns/net", sleeper.pid))
    }
}

/// Marks the namespace of a process of ours.
fn mark(sleeper: &Sleeper, mark: u32) {
    let script = "echo \"$2\" | nsenter -n -t \"$1\" tee /proc/sys/net/ipv4/tcp_notsent_lowat";
    sh(script, &[sleeper.word(), mark.to_string()]).succeeds().prints(&mark.to_string());
}

fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Gives the calling thread a mount namespace with a /run/netns of its own, which is there, and
/// without the mounts that would keep the file systems and namespaces of containers that have gone.
fn own_pins() {
    netns_enter::sys::libc::unshare_mounts().expect("a mount namespace");
    let script = r#"
        mount --make-rprivate /
        awk '$5 != "/" && / - (overlay|nsfs) / { print $5 }' /proc/thread-self/mountinfo |
            tac | while read -r point; do umount -l "$point" 2>/dev/null || :; done
        mount -t tmpfs none /run/netns"#;
    sh(script, &[""; 0]).succeeds();
}

/// Keeps /run/netns there. Whoever removes a directory takes away what is mounted on it in any mount
/// namespace: it is one for all tests at work, and the last of them removes it if they made it.
struct Made;

/// How many keep it, and whether one of these made it.
static MADE: Mutex<(u32, bool)> = Mutex::new((0, false));

impl Made {
    fn new() -> Made {
        let mut made = held(&MADE);
        made.0 += 1;
        made.1 |= fs::create_dir("/run/netns").is_ok();
        Made
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        let mut made = held(&MADE);
        made.0 -= 1;
        if made.0 == 0 && std::mem::take(&mut made.1) {
            let _ = fs::remove_dir("/run/netns");
        }
    }
}

/// A process that is stopped as long as the value lives.
struct Stopped(OwnedFd);

impl Drop for Stopped {
    fn drop(&mut self) {
        let _ = pidfd_send_signal(&self.0, Signal::CONT);
    }
}

/// Stops what is at work on the containers for some milliseconds, again and again: their runtimes,
/// monitors and first processes, and who asks for them. What it is in the middle of then lasts.
fn brake(churn: &Churn<'_>, dice: &mut Dice) {
    let common = format!("ne-t-churn-{}-", process_number());
    while !churn.is_over() {
        let ids: Vec<String> = churn.containers.iter().map(|one| held(&one.id).clone()).collect();
        let is_ours = |pid: &str| {
            let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
            ["cmdline", "cgroup"].iter().any(|file| {
                let text = String::from_utf8_lossy(&read(file)).into_owned();
                let mut words = ids.iter().filter(|id| !id.is_empty()).chain([&common]);
                words.any(|word| text.contains(word.as_str()))
            })
        };
        let mut stopped = Vec::new();
        let entries = fs::read_dir("/proc").expect("/proc").flatten();
        for name in entries.filter_map(|entry| entry.file_name().into_string().ok()) {
            let Ok(pid) = name.parse::<i32>() else { continue };
            let comm = fs::read_to_string(format!("/proc/{name}/comm")).unwrap_or_default();
            // Who only waits for the daemon's answer is in the middle of nothing.
            if ["docker\n", "ctr\n"].contains(&&*comm) || !is_ours(&name) || dice.below(3) == 0 {
                continue;
            }
            let Some(Ok(pidfd)) = Pid::from_raw(pid).map(|p| pidfd_open(p, PidfdFlags::empty()))
            else {
                continue;
            };
            // Held now, it is still the one that was looked at.
            if is_ours(&name) && pidfd_send_signal(&pidfd, Signal::STOP).is_ok() {
                stopped.push(Stopped(pidfd));
                let ns = fs::read_link(format!("/proc/{name}/ns/net")).unwrap_or_default();
                churn.note(&format!("stopped {name} {} in {}", comm.trim(), ns.display()));
            }
        }
        sleep(Duration::from_millis(1 + dice.below(churn.stops) as u64));
        stopped.clear();
        sleep(Duration::from_millis(5 + dice.below(20) as u64));
    }
}

/// Returns one line about an engine.
fn line(word: &str, tally: &Tally) -> String {
    let Tally { asked, entered, unmarked, wrong, .. } = tally;
    format!(
        "churn: {word}: {asked} questions, {entered} entered, {} times 125, {unmarked} unmarked, \
         {} wrong\n",
        tally.of_125(),
        wrong.len()
    )
}

/// Returns a line for each reason of 125.
fn reasons(tally: &Tally) -> String {
    let mut reasons: Vec<_> = tally.refused.iter().collect();
    reasons.sort_by_key(|(_, times)| std::cmp::Reverse(**times));
    reasons.iter().map(|(why, times)| format!("{times:9} {why}\n")).collect()
}

/// Asks so many questions about one engine's containers, and asserts that no answer is wrong.
#[track_caller]
fn asked(fleet: Result<Fleet, String>, quota: u32) {
    let fleet = match fleet {
        Ok(fleet) => fleet,
        Err(reason) => return skip(&reason),
    };
    let word = fleet.word();
    fleet.is_found();
    let tallies = Churn { quota, ..Churn::new(&[&fleet], seed(word)) }.run();
    let tally = &tallies[word];
    tell(&line(word, tally));
    tally.is_right();
    assert_eq!(tally.asked, quota);
}

/// By name, full ID, prefix and pin, beside restarts, kills, execs, pauses and new containers of
/// the same name.
#[test]
fn docker() {
    let _alone = alone_with_daemons();
    asked(Fleet::docker(), 700);
}

/// As docker's; podman's network namespaces are made before its runtime is started.
#[test]
fn podman() {
    asked(Fleet::podman(), 350);
}

/// By name and pin; tasks of one container come and go as containers do.
#[test]
fn containerd() {
    let _alone = alone_with_daemons();
    asked(Fleet::containerd(), 350);
}

/// By name and pin, of containers with a namespace of their own and one that joins another.
#[test]
fn runc() {
    asked(Fleet::runtime(&RUNC), 200);
}

/// As runc's; without a cgroup of its own.
#[test]
fn crun() {
    asked(Fleet::runtime(&CRUN), 200);
}

/// By name and pin, with and without a user namespace: nothing records LXC's processes.
#[test]
fn lxc() {
    asked(Fleet::lxc(), 200);
}

/// What --list, --all and --pin-all say of the containers in `churn`, as long as these move.
struct Beside<'c>(&'c Churn<'c>);

impl Beside<'_> {
    /// Returns the mark of one of our containers, by its label or the name of its pin.
    fn mark(&self, label: &str) -> Option<u32> {
        let is_it = |container: &&&Container| {
            let Container { engine, name, .. } = container;
            let spelled = [format!("{}:{name}", engine.word), format!("{}-{name}", engine.word)];
            spelled.iter().any(|spelling| spelling == label)
        };
        self.0.containers.iter().find(is_it).map(|container| container.mark)
    }

    /// Reads the list: nothing of ours is in the host's namespace or in one with another's.
    fn list(&self) {
        let output = run(&["--list", "--json"]);
        let rows: serde_json::Value =
            serde_json::from_str(&output.succeeds().stdout).expect("JSON");
        let host = inode_in(&own_ns());
        for row in rows.as_array().expect("rows") {
            let named = row["containers"].as_array().into_iter().flatten();
            let labels = named.map(|one| {
                let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
                format!("{}:{}", text("engine"), text("name"))
            });
            let mut marks: Vec<u32> = labels.filter_map(|label| self.mark(&label)).collect();
            marks.sort_unstable();
            marks.dedup();
            let is_host = row["inode"].as_u64() == host;
            assert!(marks.len() + usize::from(is_host) < 2 || marks.is_empty(), "{row:#}");
        }
    }

    /// Runs COMMAND everywhere: what is said to be ours is.
    fn all(&self) {
        let output = finish(program().arg("--all").args(COMMAND).args([&own_ns(), "0"]));
        assert!([Some(0), Some(125)].contains(&output.status.code()), "{}", output.dump());
        let mut labels: Vec<u32> = Vec::new();
        for line in output.stdout.lines() {
            if let Some(heading) = line.strip_prefix("==> ") {
                labels = heading.split(' ').filter_map(|word| self.mark(word)).collect();
                continue;
            }
            assert!(!line.ends_with(&own_ns()), "the host's namespace\n{}", output.dump());
            for right in labels.drain(..) {
                let whose = self.0.whose(line, Some(right));
                assert!(whose.is_ok(), "{whose:?}\n{}", output.dump());
            }
        }
    }

    /// Pins everything; every pin is of what it is called for, and none is left afterwards.
    fn pin_all(&self) {
        let output = run(&["--pin-all"]);
        assert!([Some(0), Some(125)].contains(&output.status.code()), "{}", output.dump());
        let made: Vec<&str> = output.stdout.lines().collect();
        for pin in pins() {
            assert!(made.contains(&&*pin), "nobody was told of {pin}\n{}", output.dump());
            let mut inside = Command::new("nsenter");
            let tries = if self.mark(&pin).is_some() { "100" } else { "0" };
            inside.arg(format!("--net=/run/netns/{pin}")).args(&COMMAND[1..]);
            let told = finish(inside.args([&own_ns(), tries]));
            let answer = told.succeeds().stdout.trim();
            assert!(!answer.ends_with(&own_ns()), "{pin} is the host's\n{}", output.dump());
            if let Some(right) = self.mark(&pin) {
                let whose = self.0.whose(answer, Some(right));
                assert!(whose.is_ok(), "{pin}: {whose:?}\n{}", output.dump());
            }
        }
        for pin in pins() {
            run(&["--unpin", &pin]).succeeds();
        }
        assert_eq!(pins(), [""; 0], "left in /run/netns");
    }
}

/// Returns the names of what is mounted in /run/netns, and of what is left there without.
fn pins() -> Vec<String> {
    let entries = fs::read_dir("/run/netns").expect("a directory").flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    // The lock is no pin.
    names.filter(|name| !name.starts_with('.')).collect()
}

/// Lists, visits and pins all, again and again, beside what moves.
fn lists_beside(fleets: &[&Fleet], seed: u64, rounds: u32, ends: &(dyn Fn() -> bool + Sync)) {
    // As long as it takes to look at everything.
    let churn = Churn { stops: 250, ..Churn::new(fleets, seed) };
    let _made = Made::new();
    churn.beside(|churn| {
        scope(|threads| {
            let rounds = threads.spawn(|| {
                own_pins();
                let beside = Beside(churn);
                for _ in 0..rounds {
                    if ends() {
                        break;
                    }
                    beside.list();
                    beside.all();
                    beside.pin_all();
                }
            });
            if let Err(panic) = rounds.join() {
                std::panic::resume_unwind(panic);
            }
        });
    });
}

/// `docker restart` in a loop, and LXC's, beside --list, --all and --pin-all: no row, heading or
/// pin is wrong.
#[test]
fn nothing_wrong_is_left_by_what_looks_at_all() {
    let _alone = alone_with_daemons();
    let mut fleets = Vec::new();
    for fleet in [Fleet::docker(), Fleet::lxc()] {
        match fleet {
            Ok(fleet) => fleets.push(fleet),
            Err(reason) => skip(&reason),
        }
    }
    lists_beside(&fleets.iter().collect::<Vec<_>>(), seed("lists"), 10, &|| false);
}

/// For hours: by one engine after another and by all at once, until the time is over or an answer
/// is wrong.
#[test]
#[ignore = "make soak"]
fn soak() {
    let seconds = std::env::var(SECONDS).ok().and_then(|text| text.parse().ok()).unwrap_or(3600);
    let stop = std::env::var_os(STOP);
    let began = Instant::now();
    let ends = || {
        let is_told = stop.as_ref().is_some_and(|file| Path::new(file).exists());
        is_told || began.elapsed() > Duration::from_secs(seconds)
    };
    let seed = seed("soak");
    let _alone = alone_with_daemons();
    let started = [
        // dockerd would use a containerd that it finds.
        Fleet::docker(),
        Fleet::podman(),
        Fleet::containerd(),
        Fleet::runtime(&RUNC),
        Fleet::runtime(&CRUN),
        Fleet::lxc(),
    ];
    let mut fleets = Vec::new();
    for fleet in started {
        match fleet {
            Ok(fleet) => fleets.push(fleet),
            Err(reason) => skip(&reason),
        }
    }
    fleets.iter().for_each(Fleet::is_found);
    let mut total = Tallies::new();
    let mut count = 0;
    'rounds: for round in 1.. {
        let mut parts: Vec<Vec<&Fleet>> = fleets.iter().map(|fleet| vec![fleet]).collect();
        parts.push(fleets.iter().collect());
        for part in parts {
            count += 1;
            let its_seed = Dice::new(seed, count).next();
            let churn = Churn::new(&part, its_seed);
            // All together are slow.
            let quota = if part.len() == 1 { 1000 } else { 300 };
            let tallies = Churn { quota, ends: &ends, is_strict: true, ..churn }.run();
            for (word, tally) in tallies {
                total.entry(word).or_default().add(tally);
            }
            progress(round, &total, seed, began.elapsed(), seconds);
            for tally in total.values() {
                tally.is_right();
            }
            if ends() {
                break 'rounds;
            }
        }
        let some = fleets.iter().filter(|fleet| ["docker", "lxc"].contains(&fleet.word()));
        lists_beside(&some.collect::<Vec<_>>(), Dice::new(seed, count).next(), 5, &ends);
    }
    for (word, tally) in &total {
        tell(&(line(word, tally) + &reasons(tally)));
    }
}

/// Says how far a soak is.
fn progress(round: u64, total: &Tallies, seed: u64, took: Duration, seconds: u64) {
    let sum = |count: fn(&Tally) -> u32| total.values().map(count).sum::<u32>();
    let each = total.iter().map(|(word, tally)| format!("{word} {}", tally.asked));
    let wrong: usize = total.values().map(|tally| tally.wrong.len()).sum();
    tell(&format!(
        "soak: round {round}, {} questions ({}), {} entered, {} times 125, {} unmarked, \
         {wrong} wrong answers, seed {seed}, {} of {seconds} s\n",
        sum(|tally| tally.asked),
        each.collect::<Vec<_>>().join(", "),
        sum(|tally| tally.entered),
        sum(Tally::of_125),
        sum(|tally| tally.unmarked),
        took.as_secs()
    ));
}
