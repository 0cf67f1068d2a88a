//! What a user, or a container's root, can really do: each a row, done by the one who can.
//!
//! Names and IDs are those of root's containers, by chance; so are the processes that are said to be
//! these, and the cgroups that they are in.

#![forbid(unsafe_code)]

use super::machine::{DIR, HOME, Machine, Row, State};
use crate::chance::Dice;
use crate::util::{USER, as_user, has, until};
use std::collections::BTreeSet;
use std::fs;
use std::process::{Child, Command, Stdio};

/// One kind of thing that is added.
pub struct Addition {
    pub kind: &'static str,
    pub add: fn(&mut Scene<'_>),
    /// What it needs: programs, or `@NAME`, the container whose root acts.
    needs: &'static [&'static str],
}

impl Addition {
    /// Tells whether nothing can be added after it.
    pub fn is_last(&self) -> bool {
        self.needs.contains(&"/dev/fuse")
    }

    /// Returns what is missing for it.
    pub fn lacks(&self, machine: &Machine) -> Option<&'static str> {
        let is_there = |need: &&&str| match need.strip_prefix('@') {
            Some(name) => machine.row(name).is_some(),
            None => need.starts_with('/') && fs::metadata(need).is_ok() || has(need),
        };
        self.needs.iter().find(|need| !is_there(need)).copied()
    }
}

/// Where things are added.
pub struct Scene<'m> {
    pub machine: &'m mut Machine,
    pub dice: Dice,
    /// Which of the user's shells does it.
    shell: usize,
    /// The containers whose root has acted.
    pub acted: BTreeSet<String>,
    /// Whether a pid that is recorded may be a process again, which is told.
    pub has_reused: bool,
    /// Whether a cgroup that root's words lead to is there by now, so that more is looked at.
    pub has_made: bool,
    /// What root's programs did for a user.
    held: Vec<Child>,
    /// Whether nothing that is added may fail: it does not stand in another's way.
    is_alone: bool,
    pub log: Vec<String>,
}

/// What is forged: a container of root's, as others may call it.
struct Victim {
    name: String,
    /// Its ID, or an ID of nobody's where it has none.
    id: String,
    /// A name, or an ID, or a prefix of one.
    word: String,
    row: Row,
}

impl<'m> Scene<'m> {
    pub fn new(machine: &'m mut Machine, dice: Dice, is_alone: bool) -> Scene<'m> {
        let (acted, held, log) = (BTreeSet::new(), vec![], vec![]);
        Scene {
            machine,
            dice,
            shell: 0,
            acted,
            has_reused: false,
            has_made: false,
            held,
            is_alone,
            log,
        }
    }

    /// Adds what this row adds.
    pub fn add(&mut self, addition: &Addition) {
        self.shell = self.dice.below(self.machine.users.len());
        (addition.add)(self);
    }

    /// Takes away all that was added.
    pub fn end(mut self) {
        for mut child in self.held.drain(..) {
            let _ = child.kill();
            let _ = child.wait();
        }
        self.machine.reset();
    }

    /// Lets the user do something.
    fn user(&mut self, script: &str) {
        self.log
            .push(format!("uid {USER}, in cgroup {}:\n{script}", self.machine.users[self.shell].0));
        self.machine.users[self.shell].1.does(script, self.is_alone);
    }

    /// Lets a container's root do something.
    fn inside(&mut self, name: &str, script: &str) {
        let full = format!("{}-{name}", self.machine.prefix);
        self.log.push(format!("root in {full}:\n{script}"));
        let actor = self.machine.acting.iter_mut().find(|(acting, _)| *acting == full);
        actor.expect("a container whose root acts").1.does(script, self.is_alone);
        self.acted.insert(full);
    }

    fn victim(&mut self) -> Victim {
        let rows: Vec<&Row> = self.machine.rows.iter().filter(|row| row.is_container()).collect();
        let row = (*self.dice.pick(&rows)).clone();
        self.as_victim(row)
    }

    fn victim_with(&mut self, is_meant: fn(&Row) -> bool) -> Victim {
        let all = || self.machine.rows.iter().filter(|row| row.is_container());
        let rows: Vec<&Row> = all().filter(|row| is_meant(row)).collect();
        let rows = if rows.is_empty() { all().collect() } else { rows };
        let row = (*self.dice.pick(&rows)).clone();
        self.as_victim(row)
    }

    fn as_victim(&mut self, row: Row) -> Victim {
        let id = match row.has_engines_id() {
            true => row.id.clone(),
            false => "c0ffee".repeat(11)[..64].to_owned(),
        };
        let words = [&row.name[..], &id, &id[..12], &id[..4], &id[..8]];
        let word = (*self.dice.pick(&words)).to_owned();
        Victim { name: row.name.clone(), id, word: word.replace('/', "_"), row }
    }

    /// Returns a script that makes a process and leaves its pid in `$pid`; or names one of root's.
    fn claimed(&mut self) -> String {
        let roots: Vec<u32> = self.machine.rows.iter().filter_map(|row| row.pid).collect();
        match self.dice.below(8) {
            0 => "pid=1".to_owned(),
            1 => format!("pid={}; [ -d /proc/$pid ] || pid=1", self.dice.pick(&roots)),
            2 => "occupant hosts quiet".to_owned(),
            3 => "occupant first quiet".to_owned(),
            4 => "occupant su quiet".to_owned(),
            _ => "occupant own quiet".to_owned(),
        }
    }

    fn occupant(&mut self) -> &'static str {
        self.dice.pick::<&str>(&[
            "own", "own", "first", "firstn", "hosts", "su", "su", "mount", "passwd", "ping",
            "many", "stopped", "zombie", "threads",
        ])
    }

    /// Puts a process into a cgroup of this name below the user's own.
    fn grouped(&mut self, path: &str) {
        let occupant = self.occupant();
        self.user(&format!("occupant {occupant} in_cgroup '{}'", path.trim_start_matches('/')));
    }
}

/// Returns a row without needs.
const fn plain(kind: &'static str, add: fn(&mut Scene<'_>)) -> Addition {
    Addition { kind, add, needs: &[] }
}

const fn with(
    kind: &'static str,
    needs: &'static [&'static str],
    add: fn(&mut Scene<'_>),
) -> Addition {
    Addition { kind, add, needs }
}

/// All kinds.
pub static ADDITIONS: &[Addition] = &[
    // Records, in the user's places.
    plain("a record of crun's", |scene| {
        let (v, claimed) = (scene.victim(), scene.claimed());
        scene.user(&format!("{claimed}\ncrun $run/crun '{}' $pid", v.word));
    }),
    plain("a record of runc's", |scene| {
        let (v, claimed) = (scene.victim(), scene.claimed());
        scene.user(&format!("{claimed}\nrunc $run/runc '{}' $pid", v.word));
    }),
    plain("a record of youki's", |scene| {
        let (v, claimed) = (scene.victim(), scene.claimed());
        scene.user(&format!("{claimed}\nfor dir in $run/youki ~/.youki/run /tmp/youki-$me; do youki $dir '{}' $pid; done", v.word));
    }),
    plain("a container of rootless docker", |scene| {
        let (v, claimed) = (scene.victim(), scene.claimed());
        let (id, name) = (&v.id, &v.name);
        scene.user(&format!(
            "{claimed}\nconfig ~/.local/share/docker {id} '{name}' $pid
            runc $run/docker/runtime-runc/moby {id} $pid; runc $run/runc {id} $pid"
        ));
    }),
    plain("a container of rootless podman", |scene| {
        let (v, claimed) = (scene.victim(), scene.claimed());
        let (id, name) = (&v.id, &v.name);
        let list = scene.dice.pick(&["containers.json", "volatile-containers.json"]);
        scene.user(&format!(
            "{claimed}\nstore ~/.local/share/containers/storage {list} {id} '{name}' $pid
            store $run/containers {list} {id} '{name}' $pid
            crun $run/crun {id} $pid; runc $run/runc {id} $pid"
        ));
    }),
    plain("a container of rootless containerd and nerdctl", |scene| {
        let (v, claimed) = (scene.victim(), scene.claimed());
        let (id, word) = (&v.id, &v.word);
        scene.user(&format!(
            "{claimed}\nbundle $run/containerd default {id} x y $pid
            bundle $run/containerd {} '{word}' x y $pid
            mkdir -p ~/.local/share/nerdctl/1935db59/names/default
            printf %s {id} >~/.local/share/nerdctl/1935db59/names/default/'{word}'",
            scene.machine.prefix
        ));
    }),
    plain("a pod", |scene| {
        let (v, claimed) = (scene.victim_with(|row| row.engine == "k8s"), scene.claimed());
        let pod = v.name.split('/').nth(1).unwrap_or(&v.name).to_owned();
        scene.user(&format!(
            "{claimed}\nbundle $run/containerd k8s.io {} '{pod}' shop $pid
            bundle $run/k3s/containerd k8s.io {} '{pod}' shop $pid",
            v.id,
            "d".repeat(64)
        ));
    }),
    plain("a container of CRI-O's in the user's storage", |scene| {
        let (v, claimed) = (scene.victim_with(|row| row.engine == "k8s"), scene.claimed());
        let pod = v.name.split('/').nth(1).unwrap_or(&v.name).to_owned();
        scene.user(&format!("{claimed}\nstore ~/.local/share/containers/storage containers.json {} 'k8s_app_{pod}_shop_0a1b_0' $pid", v.id));
    }),
    plain("sandboxes of gVisor and Kata", |scene| {
        let (v, claimed) = (scene.victim(), scene.claimed());
        let id = &v.id;
        scene.user(&format!(
            "{claimed}
            for dir in $run/runsc $run/containerd/runsc/k8s.io $run/docker/runtime-runc/moby; do
                mkdir -p $dir; file=$dir/{id}_sandbox:{id}.state
                json '{{\"id\":\"{id}\",\"sandbox\":{{\"id\":\"{id}\",\"pid\":%s}}}}' $pid
            done
            mkdir -p $run/run/vc/sbs/{id} $run/kata/{id}; file=$run/run/vc/sbs/{id}/persist.json
            json '{{\"State\":\"running\",\"HypervisorState\":{{\"Pid\":%s}}}}' $pid
            cp $file $run/kata/{id}/state.json"
        ));
    }),
    plain("LXC containers at home", |scene| {
        let v = scene.victim();
        scene.user(&format!(
            "mkdir -p ~/.local/share/lxc/'{}' ~/.config/lxc
            echo 'lxc.cgroup.dir = {}' >~/.local/share/lxc/'{}'/config
            echo 'lxc.lxcpath = /var/lib/lxc' >~/.config/lxc/lxc.conf",
            v.word, v.row.cgroup, v.word
        ));
    }),
    plain("machines of the user's machined", |scene| {
        let (v, claimed) = (scene.victim(), scene.claimed());
        scene.user(&format!("{claimed}\nmkdir -p $run/systemd/machines
            printf 'NAME=x\\nLEADER=%s\\nSCOPE=machine-x.scope\\nCLASS=container\\n' $pid >$run/systemd/machines/'{}'
            ln -s '{}' $run/systemd/machines/unit:machine-x.scope", v.word, v.word));
    }),
    plain("records of every runtime, for every container of root's", |scene| {
        let names: Vec<String> = scene
            .machine
            .rows
            .iter()
            .filter(|row| row.is_container())
            .flat_map(|row| [row.name.replace('/', "_"), row.id.clone()])
            .collect();
        let claimed = scene.claimed();
        scene.user(&format!("{claimed}\nfor word in {}; do crun $run/crun $word $pid; runc $run/runc $word $pid; done", names.join(" ")));
    }),
    // Configuration, which says that root's places are the user's.
    plain("configuration that names root's directories", |scene| {
        scene.user("mkdir -p ~/.config/containers/storage.conf.d ~/.config/docker ~/.local/share
            printf '[storage]\\ngraphroot = \"/var/lib/containers/storage\"\\nrunroot = \"/run/containers/storage\"\\n' \
                | tee ~/.config/containers/storage.conf >~/.config/containers/storage.conf.d/x.conf
            echo '{\"data-root\":\"/var/lib/docker\",\"exec-root\":\"/run/docker\"}' >~/.config/docker/daemon.json
            ln -s /var/lib/docker ~/.local/share/docker; ln -s /var/lib/nerdctl ~/.local/share/nerdctl");
    }),
    plain("links to root's directories", |scene| {
        scene.user("ln -s /run/docker $run/docker; ln -s /run/runc $run/runc; ln -s /run/containerd $run/containerd
            ln -s /run/systemd $run/systemd; ln -s /run/netns $run/netns; ln -s / $run/crun");
    }),
    // Files that are none, or too much.
    plain("a link to a zombie's files", |scene| {
        scene.user("quiet sh -c 'sleep 0 & echo $! >$run/zombie; exec sleep 100000'
            until [ -s $run/zombie ]; do sleep 0.01; done
            read -r dead <$run/zombie
            for name in crun runc youki docker containerd containers; do ln -s /proc/$dead/net $run/$name; done
            mkdir -p ~/.local/share; ln -s /proc/$dead/net ~/.local/share/containers");
    }),
    plain("links in a circle, and to devices", |scene| {
        scene.user("ln -s crun $run/crun; ln -s /dev $run/runc; ln -s /proc/self/fd $run/youki
            mkdir -p $run/docker/runtime-runc/moby/x; ln -s /dev/tty $run/docker/runtime-runc/moby/x/state.json
            mkdir -p ~/.local/share/containers/storage/overlay-containers
            ln -s /dev/zero ~/.local/share/containers/storage/overlay-containers/containers.json");
    }),
    plain("FIFOs", |scene| {
        let v = scene.victim();
        scene.user(&format!("mkdir -p $run/crun/'{0}' $run/runc/'{0}' ~/.local/share/containers/storage/overlay-containers
            mkfifo $run/crun/'{0}'/status $run/runc/'{0}'/state.json $run/youki
            mkfifo ~/.local/share/containers/storage/overlay-containers/containers.json
            quiet sh -c 'echo x >$run/crun/{0}/status'", v.word));
    }),
    plain("a socket, a file without rights and a directory without", |scene| {
        scene.user("perl -e 'use Socket; socket(S, AF_UNIX, SOCK_STREAM, 0); bind(S, sockaddr_un(\"$ENV{run}/crun\"))'
            mkdir -p $run/runc/x; echo x >$run/runc/x/state.json; chmod 0 $run/runc/x/state.json $run/runc
            mkdir ~/.local; chmod 0 ~/.local");
    }),
    plain("a huge file", |scene| {
        let v = scene.victim();
        scene.user(&format!(
            "mkdir -p $run/crun/'{0}' ~/.local/share/containers/storage/overlay-containers
            truncate -s 3G $run/crun/'{0}'/status
            truncate -s 17M ~/.local/share/containers/storage/overlay-containers/containers.json",
            v.word
        ));
    }),
    plain("files that are no JSON, deep, or say everything twice", |scene| {
        let v = scene.victim();
        scene.user(&format!("mkdir -p $run/crun/'{0}' $run/runc/'{0}' $run/youki/'{0}'
            printf '{{\"pid\":1,\"pid\":2,\"process-start-time\":1' >$run/crun/'{0}'/status
            printf '{{\"init_process_pid\":1,\"init_process_pid\":1,\"init_process_start\":0}}' >$run/runc/'{0}'/state.json
            perl -e 'print \"[\" x 1000000' >$run/youki/'{0}'/state.json", v.word));
    }),
    plain("many names in one list", |scene| {
        let v = scene.victim();
        scene.user(&format!("mkdir -p ~/.local/share/containers/storage/overlay-containers
            perl -e 'print \"[\" . join(\",\", map {{ sprintf(\"{{\\\"id\\\":\\\"%064x\\\",\\\"names\\\":[\\\"{}%d\\\",\\\"a\\\"]}}\", $_, $_) }} 1..20000) . \"]\"' \
                >~/.local/share/containers/storage/overlay-containers/containers.json", v.name));
    }),
    plain("thousands of small files", |scene| {
        let count = if is_soak() { 100_000 } else { 5_000 };
        scene.user(&format!("mkdir -p $run/crun; perl -e '
            for (1..{count}) {{ mkdir \"$ENV{{run}}/crun/c$_\"; open(F, \">\", \"$ENV{{run}}/crun/c$_/status\");
                print F \"{{\\\"pid\\\":$$,\\\"process-start-time\\\":1}}\"; close F }}'"));
    }),
    plain("names that no name is", |scene| {
        let v = scene.victim();
        scene.user(&format!("mkdir -p $run/crun $run/runc; perl -e '
            for (\"{0}\\n\", \"{0} (deleted)\", \"\\e[2J{0}\", \"-{0}\", \"*\", \"\\xff{0}\", \"a\" x 255, \"{0}\\@{USER}\", \"{0}\\r\", \".{0}\") {{
                mkdir \"$ENV{{run}}/crun/$_\"; mkdir \"$ENV{{run}}/runc/$_\"; open(F, \">\", \"$ENV{{run}}/crun/$_/status\"); print F \"{{}}\" }}'", v.name.replace('/', "_")));
    }),
    // What holds others up.
    with("a lease", &["perl"], |scene| {
        let (v, claimed) = (scene.victim(), scene.claimed());
        scene.user(&format!("{claimed}\ncrun $run/crun '{0}' $pid
            store ~/.local/share/containers/storage containers.json {1} '{0}' $pid
            for file in $run/crun/'{0}'/status ~/.local/share/containers/storage/overlay-containers/containers.json; do
                quiet perl -e '$SIG{{IO}} = \"IGNORE\"; open(F, \"+<\", $ARGV[0]); fcntl(F, 1024, 1) or die $!; sleep 100000' $file
            done", v.word, v.id));
    }),
    with("a lock on /run/netns", &["flock"], |scene| {
        scene.user(
            "quiet flock --exclusive /run/netns sleep 100000
            until grep -qs FLOCK /proc/locks; do sleep 0.01; done",
        );
    }),
    with("locks on all that others may read", &["flock"], |scene| {
        scene.user("for file in /run /run/netns /run/lock /run/systemd/machines/* /var/lib/lxc /var/lib/lxc/*/config /etc/passwd \
                /etc/docker /run/containerd /run/youki/*/state.json /sys/fs/cgroup /proc/1/cgroup; do
            [ ! -r $file ] || quiet flock --exclusive $file sleep 100000
        done; sleep 0.02");
    }),
    plain("a loop that stops all of the user's processes", |scene| {
        scene.user("quiet sh -c 'while :; do for dir in /proc/[0-9]*; do
            [ -O $dir ] && grep -qs netns-enter $dir/comm && kill -STOP ${dir#/proc/}; done 2>/dev/null; done'");
    }),
    with("a file system that does not answer", &["/dev/fuse"], |scene| {
        let places = [
            format!("/run/user/{USER}/crun"),
            format!("/run/user/{USER}/doc"),
            format!("{HOME}/.local/share/containers"),
            HOME.to_owned(),
            format!("/tmp/podman-run-{USER}"),
        ];
        let place = scene.dice.pick(&places).clone();
        scene.user(&format!("mkdir -p {place}"));
        scene.fuse(&place, "exec sleep 100000");
    }),
    with(
        "a process called dockerd, whose arguments nobody can read to their end",
        &["/dev/fuse", "perl"],
        |scene| {
            let place = format!("{HOME}/fuse");
            scene
                .user(&format!("mkdir -p {place} ~/link; ln -s $(command -v perl) ~/link/dockerd"));
            scene.fuse(&place, &format!("exec perl -e '{FUSE}'"));
            // What follows the first page of the arguments is a file's.
            let map = "open(F, \"/proc/self/stat\"); my $stat = <F>; $stat =~ s/.*\\) //s; my $start = (split / /, $stat)[45];
            open(G, \"<\", \"$ENV{HOME}/fuse/file\") or die $!; my $page = ($start | 4095) + 1;
            my $call = `uname -m` =~ /x86_64/ ? 9 : 222;
            syscall($call, $page, 4096, 1, 0x12, fileno(G), 0) == $page or die $!; sleep 100000";
            scene.user(&format!("quiet ~/link/dockerd -e '{map}' -- --data-root=$HOME/data $(seq 1 9000); sleep 0.1; kill -0 $pid"));
        },
    ),
    // What users' engines really make.
    with("an LXC container of the user's", &["lxc-start", "newuidmap"], |scene| {
        let v = scene.victim_with(|row| row.engine == "lxc");
        let name = &v.name;
        scene.user(&format!("cp -r {DIR}/root ~/root; chmod -R a+rwX ~/root; chmod a+x ~ ; mkdir -p ~/.local/share/lxc/{name} ~/.config/lxc
            printf 'lxc.uts.name = a\nlxc.rootfs.path = dir:%s\nlxc.net.0.type = empty\nlxc.init.cmd = /bin/sleep 100000\nlxc.idmap = u 0 300000 65536\nlxc.idmap = g 0 300000 65536\nlxc.mount.auto =\n' \
                ~/root >~/.local/share/lxc/{name}/config
            lxc-start -n {name} -d"));
    }),
    with(
        "a container of the user's podman",
        &["podman", "conmon", "runc", "newuidmap", "tar"],
        |scene| {
            let v = scene.victim_with(|row| row.engine == "podman" || row.engine == "docker");
            scene.user(&format!("podman() {{ command podman --storage-driver vfs --runtime runc --cgroup-manager cgroupfs --log-level error \"$@\"; }}
            cd; tar -C {DIR}/root -cf root.tar .; podman import root.tar localhost/x:latest
            podman run -d --pull=never --network none --name {} --ulimit nofile=1024:1024 --ulimit nproc=1000:1000 localhost/x:latest /bin/sleep 100000", v.name));
        },
    ),
    // In the directories of everybody.
    plain("podman's directories in /tmp", |scene| {
        let (v, claimed) = (scene.victim(), scene.claimed());
        let (id, word) = (&v.id, &v.word);
        scene.user(&format!("{claimed}\nfor dir in /tmp/podman-run-$me /tmp/storage-run-$me; do
            crun $dir/crun '{word}' $pid; runc $dir/runc {id} $pid; store $dir/containers containers.json {id} '{word}' $pid; done"));
    }),
    plain("root's directories in /tmp, made by a user", |scene| {
        let (v, claimed) = (scene.victim(), scene.claimed());
        let (id, word) = (&v.id, &v.word);
        scene.user(&format!("{claimed}\nfor dir in /tmp/podman-run-0 /tmp/storage-run-0 /tmp/run-0 /tmp/containers-user-0; do
            crun $dir/crun '{word}' $pid; runc $dir/runc {id} $pid; store $dir/containers containers.json {id} '{word}' $pid; done
            youki /tmp/youki-0 '{word}' $pid"));
    }),
    plain("things called like containers in /tmp and /run/lock", |scene| {
        let v = scene.victim();
        scene.user(&format!("for dir in /tmp /var/tmp /run/lock; do
            ln -s /proc/1/ns/net $dir/'{0}' || :; mkdir -p $dir/lxc/var/lib/lxc/'{0}' $dir/netns; ln -s /proc/$$/ns/net $dir/netns/'{0}'; done", v.word));
    }),
    // Cgroups of any name.
    plain("a cgroup called like an ID", |scene| {
        let v = scene.victim_with(Row::has_engines_id);
        scene.grouped(&v.id);
    }),
    plain("a cgroup called like a removed one of an ID", |scene| {
        let v = scene.victim_with(Row::has_engines_id);
        scene.grouped(&format!("{} (deleted)", v.id));
    }),
    plain("a scope of docker's", |scene| {
        let v = scene.victim_with(|row| row.engine == "docker");
        let above = *scene.dice.pick(&["", "system.slice/", "user.slice/", "docker/"]);
        scene.grouped(&format!("{above}docker-{}.scope", v.id));
    }),
    plain("a directory of docker's", |scene| {
        let v = scene.victim_with(|row| row.engine == "docker");
        let after = *scene.dice.pick(&["", " (deleted)", "/init"]);
        scene.grouped(&format!("docker/{}{after}", v.id));
    }),
    plain("the very path of a container", |scene| {
        let v = scene.victim_with(|row| !row.cgroup.is_empty());
        let after = *scene.dice.pick(&["", " (deleted)", "/x"]);
        scene.grouped(&format!("{}{after}", v.row.cgroup));
    }),
    plain("a cgroup of LXC's", |scene| {
        let v = scene.victim_with(|row| ["lxc", "incus", "lxd"].contains(&&row.engine[..]));
        let forms = [
            "lxc.payload.NAME",
            "lxc.payload/NAME",
            "lxc/NAME",
            "lxc/NAME/ns",
            "lxc.payload.NAME-1",
            "lxc.payload.NAME (deleted)",
        ];
        let form = *scene.dice.pick(&forms);
        scene.grouped(&form.replace("NAME", &v.name));
    }),
    plain("a monitor of LXC's", |scene| {
        let v = scene.victim_with(|row| row.engine == "lxc");
        let name = &v.name;
        scene.user(&format!(
            "for group in lxc.monitor.{name} lxc.monitor.{name}-1 lxc.monitor/{name}; do
            in_cgroup $group perl -e '$0 = \"[lxc monitor] /var/lib/lxc {name}\"; sleep 100000'
            done
            occupant first in_cgroup lxc.payload.{name}-1"
        ));
    }),
    plain("a cgroup of podman's", |scene| {
        let v = scene.victim_with(|row| row.engine == "podman");
        let forms = [
            "libpod_parent/libpod-ID",
            "machine.slice/libpod-ID.scope/container",
            "libpod-ID.scope",
            "machine.slice/machine-libpod_pod_ID.slice/libpod-ID.scope",
        ];
        let form = *scene.dice.pick(&forms);
        scene.grouped(&form.replace("ID", &v.id));
    }),
    plain("a cgroup of containerd's or the kubelet's", |scene| {
        let v =
            scene.victim_with(|row| ["containerd", "k8s", "nerdctl"].contains(&&row.engine[..]));
        let forms = [
            "k8s.io/ID",
            "default/ID",
            "default/NAME",
            "system.slice/cri-containerd-ID.scope",
            "kubepods.slice/kubepods-besteffort.slice/cri-containerd-ID.scope",
            "kubepods/besteffort/podx/ID",
            "crio-ID.scope",
            "system.slice/nerdctl-ID.scope",
        ];
        let form = *scene.dice.pick(&forms);
        scene.grouped(&form.replace("ID", &v.id).replace("NAME", &v.name.replace('/', "_")));
    }),
    plain("a cgroup of a runtime's", |scene| {
        let v =
            scene.victim_with(|row| ["runc", "crun", "youki", "gvisor"].contains(&&row.engine[..]));
        let forms = [
            "NAME",
            "system.slice/runc-NAME.scope",
            "system.slice/crun-NAME.scope",
            "system.slice/youki-NAME.scope",
            "user.slice/runc-NAME.scope",
        ];
        let form = *scene.dice.pick(&forms);
        scene.grouped(&form.replace("NAME", &v.name));
    }),
    plain("a scope of machined's", |scene| {
        let v = scene.victim_with(|row| row.engine == "machine");
        let forms = [
            "machine.slice/machine-NAME.scope/payload",
            "machine-NAME.scope",
            "system.slice/systemd-nspawn@NAME.service/payload",
        ];
        let form = *scene.dice.pick(&forms);
        scene.grouped(&form.replace("NAME", &v.name));
    }),
    plain("a unit of root's", |scene| {
        let unit = scene.unit();
        let above = *scene.dice.pick(&[
            "",
            "system.slice/",
            "app.slice/",
            "a.slice/a-b.slice/",
            "user.slice/",
            "init.scope/",
        ]);
        scene.grouped(&format!("{above}{unit}"));
    }),
    plain("units called as all containers are", |scene| {
        let prefix = scene.machine.prefix.clone();
        let names = [
            "web.service",
            "web.scope",
            "blue.service",
            "lx.slice",
            "dcgx.service",
            "docker.service",
            "containerd.service",
        ];
        for name in names {
            let name = if name.starts_with("docker") || name.starts_with("containerd") {
                name.to_owned()
            } else {
                format!("{prefix}-{name}")
            };
            scene.user(&format!("occupant own in_cgroup {name}"));
        }
    }),
    plain("many cgroups, deep ones, and threaded ones", |scene| {
        let v = scene.victim_with(Row::has_engines_id);
        let id = &v.id;
        scene.user(&format!("for top in $tops; do
            at=$top$mine; for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do at=$at/{id}; done
            mkdir -p $at $(seq -f \"$top$mine/x%g\" 150)
            mkdir $top$mine/threads $top$mine/threads/{id}
            if [ -e $top$mine/threads/cgroup.type ]; then echo threaded >$top$mine/threads/{id}/cgroup.type; fi
            done"));
    }),
    plain("processes of one path in some hierarchies alone", |scene| {
        let v = scene.victim_with(Row::has_engines_id);
        scene.user(&format!(
            "all=$tops; for top in $all; do tops=$top; occupant own in_cgroup docker/{}; done",
            v.id
        ));
    }),
    plain("a cgroup that comes and goes", |scene| {
        let v = scene.victim_with(Row::has_engines_id);
        scene.user(&format!("quiet sh -c 'while :; do for top in $tops; do for name in {0} docker-{0}.scope lxc.payload.{1}; do
            mkdir $top$mine/$name; echo $$ >$top$mine/$name/cgroup.procs; echo $$ >$top$mine/own/cgroup.procs; rmdir $top$mine/$name; done; done; done 2>/dev/null'", v.id, v.name.replace('/', "_")));
    }),
    // Programs that run as root, or are called like root's.
    with("su that waits, in a removed cgroup's name", &["su"], |scene| {
        let v = scene.victim_with(|row| row.engine == "docker");
        scene.user(&format!(
            "occupant su in_cgroup '{} (deleted)'\noccupant su in_cgroup 'docker/{}'",
            v.id, v.id
        ));
    }),
    with(
        "set-user-ID programs, called like a daemon with a tree of its own",
        &["perl", "su", "mount", "passwd"],
        |scene| {
            let forged = scene.forged(HOME);
            scene.user(&format!("{forged}
            called() {{ name=$1; shift; quiet sh -c 'sleep 100000 | exec perl -e '\"'\"'exec {{shift}} @ARGV'\"'\"' \"$@\"' sh \"$(command -v $1)\" $name \"$@\"; }}
            called dockerd su root -c --data-root={HOME}/data
            called /usr/bin/containerd su root -c --config={HOME}/containerd.toml
            if command -v sudo; then called dockerd sudo -S -p --data-root={HOME}/data true; fi
            called dockerd chfn -f --data-root={HOME}/data
            # A link gives comm the name, too.
            mkdir ~/link; ln -s \"$(command -v su)\" ~/link/dockerd; ln -s \"$(command -v su)\" ~/link/containerd
            quiet sh -c 'sleep 100000 | exec ~/link/dockerd root -c --data-root={HOME}/data'
            quiet sh -c 'sleep 100000 | exec ~/link/containerd root -c --config={HOME}/containerd.toml'"));
        },
    ),
    with("a dockerd and a containerd of the user's", &["perl"], |scene| {
        let forged = scene.forged(HOME);
        scene.user(&format!("{forged}
            mkdir ~/link; for name in dockerd containerd conmon; do ln -s $(command -v perl) ~/link/$name; done
            quiet ~/link/dockerd -e 'sleep 100000' -- --data-root={HOME}/data --exec-root={HOME}/exec
            quiet unshare -Ur ~/link/dockerd -e 'sleep 100000' -- --data-root={HOME}/data --exec-root={HOME}/exec
            quiet unshare -Urpf --kill-child ~/link/dockerd -e 'sleep 100000' -- --data-root={HOME}/data
            quiet ~/link/containerd -e 'sleep 100000' -- --config {HOME}/containerd.toml
            quiet ~/link/conmon -e 'sleep 100000'"));
    }),
    with("a dockerd with more arguments than anybody reads", &["perl"], |scene| {
        scene.user("mkdir -p ~/link; ln -s $(command -v perl) ~/link/dockerd; ln -s $(command -v perl) ~/link/containerd
            for name in dockerd containerd; do quiet perl -e 'exec \"$ENV{HOME}/link/$ARGV[0]\", \"-e\", \"sleep 100000\", \"--\", \"--data-root=/x\", \"--config=/x\", (\"a\" x 120000) x 12' $name; done
            until [ \"$(cat /proc/$pid/comm)\" = containerd ]; do sleep 0.01; done");
    }),
    with("a cgroup deeper than a path is long", &["perl"], |scene| {
        let v = scene.victim_with(Row::has_engines_id);
        scene.user(&format!("mkdir -p ~/link; ln -s $(command -v perl) ~/link/dockerd
            quiet ~/link/dockerd -e 'for (split / /, $ENV{{tops}}) {{ chdir \"$_$ENV{{mine}}\"; for my $n (1 .. 20) {{ my $name = \"{}\" x 3; mkdir $name; chdir $name or die $! }}
                open(F, \">\", \"cgroup.procs\"); print F $$; close F }} chdir \"/\"; sleep 100000' -- --data-root=$HOME/data
            sleep 0.2", v.id));
    }),
    with("processes that are called like monitors, and like nothing", &["perl"], |scene| {
        let v = scene.victim_with(|row| row.engine == "lxc");
        scene.user(&format!("for title in '[lxc monitor] /var/lib/lxc {0}' 'runc:[2:INIT]' 'conmon -n {0}' 'systemd-nspawn -M {0}'; do
            quiet perl -e '$0 = $ARGV[0]; sleep 100000' \"$title\"; done
            quiet perl -e 'open(F, \">/proc/self/comm\"); print F \"a) S 1 (b\\nc\"; close F; sleep 100000'", v.name));
    }),
    plain("many processes in new namespaces", |scene| {
        scene.user(
            "i=0; while [ $i -lt 40 ]; do quiet unshare -Urnm sleep 100000; i=$((i + 1)); done",
        );
    }),
    plain("processes that come and go", |scene| {
        scene.user("quiet sh -c 'while :; do unshare -Urn true; /bin/true; done'");
    }),
    plain("stopped processes, zombies and threads apart", |scene| {
        scene.user("for kind in stopped zombie threads many; do occupant $kind quiet; done");
    }),
    plain("mounts over root's directories in a namespace of the user's", |scene| {
        let v = scene.victim();
        let prefix = scene.machine.prefix.clone();
        scene.user(&format!("quiet unshare -Urnmpf --kill-child sh -c '
            for dir in /run /var/lib /etc /tmp; do mount -t tmpfs none $dir || :; done
            mkdir -p /run/netns /run/runc/{0} /var/lib/lxc/{0}; : >/run/netns/{1}-empty; : >/run/netns/{1}-blue; : >/run/netns/{0}
            for name in {1}-empty {1}-blue {0}; do mount --bind /proc/self/ns/net /run/netns/$name; done
            exec sleep 100000'
            sleep 0.05", v.word, prefix));
    }),
    with("pids that are still recorded", &["/proc/sys/kernel/ns_last_pid"], |scene| scene.reuse()),
    // A container's root.
    with("a cgroup in a container, called like an ID", &["@lxa"], |scene| {
        let v = scene.victim_with(|row| row.engine == "docker" && row.state == State::Stopped);
        let id = &v.id;
        scene.in_lxc(&format!("for group in {id} docker/{id} docker-{id}.scope system.slice/docker-{id}.scope '{id} (deleted)'; do into \"$group\" 'unshare -n sleep 100000'; done"));
    }),
    with("a cgroup in a container, with a first process", &["@lxa"], |scene| {
        let v = scene.victim();
        let (id, name) = (v.id.clone(), v.name.replace('/', "_"));
        scene.in_lxc(&format!("for group in {id} docker/{id} lxc.payload.{name} lxc/{name}/ns machine.slice/machine-{name}.scope/payload {}; do
            into $group 'unshare -n -p -f sleep 100000'; done", v.row.cgroup.trim_start_matches('/')));
    }),
    with("units in a container", &["@lxa"], |scene| {
        let unit = scene.unit();
        scene.in_lxc(&format!("for group in {unit} system.slice/{unit} a.slice/{unit}; do into $group 'unshare -n sleep 100000'; done"));
    }),
    with("units in a container that is called like a slice", &["@lxs.slice"], |scene| {
        let unit = scene.unit();
        let script = format!(
            "for group in {unit} system.slice/{unit} system-{}.slice/{unit}; do into $group 'unshare -n sleep 100000'; done",
            scene.machine.prefix
        );
        scene.in_lxc_of("lxs.slice", &script);
    }),
    with("a container's root that is in groups of its own", &["@lxa"], |scene| {
        scene.in_lxc("for i in 1 2 3; do into init.scope/x$i 'sleep 100000'; into lxc.payload.x$i 'unshare -n sleep 100000'; done
            for top in /cg /cgp; do [ ! -e $top/cgroup.procs ] || { mkdir -p $top/init.scope; echo 1 >$top/init.scope/cgroup.procs || :; echo 1 >$top/cgroup.procs || :; }; done");
    }),
    with("mapped root in a container", &["@lxu"], |scene| {
        let v = scene.victim();
        let (id, name) = (v.id.clone(), v.name.replace('/', "_"));
        scene.in_lxc_of("lxu", &format!("for group in {id} docker/{id} lxc.payload.{name} {}; do into $group 'unshare -n -p -f sleep 100000'; done", scene.machine.prefix.clone() + "-a.service"));
    }),
    with("a container's root in namespaces of its own, and a monitor's name", &["@act"], |scene| {
        scene.inside(
            "act",
            "setsid sh -c 'exec unshare -n sleep 100000' >/dev/null 2>&1 &
            mkdir -p /run/netns /run/runc/x /var/lib/docker/containers
            ln -s /bin/busybox /tmp/dockerd || :; ln -s /bin/busybox /tmp/conmon || :
            setsid sh -c 'exec -a dockerd sleep 100000' >/dev/null 2>&1 &",
        );
    }),
    with("a privileged container's root that makes cgroups beside its own", &["@priv"], |scene| {
        let is_by_cgroup = |row: &Row| {
            row.state == State::Stopped && ["docker", "lxc", "lxd"].contains(&&row.engine[..])
        };
        let v = scene.victim_with(is_by_cgroup);
        let (id, name) = (v.id.clone(), v.name.clone());
        let forms = if v.row.engine == "docker" {
            [format!("docker/{id}"), format!("system.slice/docker-{id}.scope")]
        } else {
            [format!("lxc.payload.{name}"), format!("lxc/{name}/ns")]
        };
        let group = scene.dice.pick(&forms).clone();
        scene.has_made = true;
        // The parent of the first process is elsewhere, and runs another file.
        scene.in_lxc_of("priv", &format!("cp /bin/busybox /tmp/busybox2
            for group in {group}; do
                for top in /cg /cgp; do [ ! -e $top/cgroup.procs ] || mkdir -p $top/$group; done
                group=$group setsid unshare -p -f /tmp/busybox2 sh -c 'for top in /cg /cgp; do [ ! -e $top/cgroup.procs ] || echo 0 >$top/$group/cgroup.procs; done
                    exec /tmp/busybox2 unshare -n /tmp/busybox2 sleep 100000' </dev/null >/dev/null 2>&1 &
            done
            sleep 0.2"));
    }),
    with("a daemon in a container with the host's pids", &["@watch", "perl"], |scene| {
        // As it is called on the host, which mountinfo of pid 1 tells.
        let forged = format!("{DIR}/todo/watch/forged");
        let files =
            scene.forged("/todo/forged").replace("occupant own quiet", "quiet sleep 100000");
        scene.inside("watch", &format!("{LIBRARY}{files}
            for name in dockerd containerd; do ln -s /usr/bin/perl /todo/$name; done
            sed -i s,/todo/forged,{forged}, /todo/forged/containerd.toml
            quiet /todo/dockerd -e 'sleep 100000' -- --data-root={forged}/data --exec-root={forged}/exec
            quiet /todo/containerd -e 'sleep 100000' -- --config {forged}/containerd.toml
            quiet perl -e '$0 = \"[lxc monitor] /var/lib/lxc x\"; sleep 100000'"));
    }),
];

/// As the user's scripts have it.
const LIBRARY: &str = include_str!("library.sh");
/// A user's program.
const FUSE: &str = include_str!("fuse.pl");

/// Tells whether there is time for much.
pub fn is_soak() -> bool {
    std::env::var_os("NETNS_ENTER_SOAK_SECONDS").is_some()
}

impl Scene<'_> {
    /// Returns the name of one of root's units, or of one that is none.
    fn unit(&mut self) -> String {
        let units =
            self.machine.rows.iter().filter(|row| matches!(row.state, State::Unit | State::NoUnit));
        let units: Vec<String> = units.map(|row| row.name.clone()).collect();
        self.dice.pick(&units).clone()
    }

    /// Returns a script that makes a docker's files below a directory, for a name that root does not
    /// have, and for one that root has.
    fn forged(&mut self, dir: &str) -> String {
        let v = self.victim_with(|row| row.engine == "docker");
        let (ghost, prefix) = ("f".repeat(64), &self.machine.prefix);
        format!("occupant own quiet
            config {dir}/data {ghost} {prefix}-ghost $pid; runc {dir}/exec/runtime-runc/moby {ghost} $pid
            runc {dir}/exec/runtime-runc/moby {2} 1; config {dir}/data {2} {prefix}-ghost1 1
            config {dir}/data {0} '{1}' $pid; runc {dir}/exec/runtime-runc/moby {0} $pid
            printf 'version = 2\\nroot = \"{dir}/root\"\\nstate = \"{dir}/state\"\\n' >{dir}/containerd.toml
            bundle {dir}/state default {ghost} {prefix}-ghost shop $pid", v.id, v.name, "e".repeat(64))
    }

    fn in_lxc(&mut self, script: &str) {
        self.in_lxc_of("lxa", script);
    }

    /// Lets a container's root do something that may call `into GROUP COMMAND`.
    fn in_lxc_of(&mut self, name: &str, script: &str) {
        let into = "
            [ -e /cg/cgroup.procs ] || mount -t cgroup2 none /cg || :
            [ -e /cgp/cgroup.procs ] || mount -t cgroup -o pids none /cgp || :
            into() {
                for top in /cg /cgp; do [ ! -e $top/cgroup.procs ] || mkdir -p \"$top/$1\"; done
                setsid sh -c 'for top in /cg /cgp; do [ ! -e $top/cgroup.procs ] || echo $$ >\"$top/$0/cgroup.procs\"; done; exec '\"$2\" \"$1\" \\
                    </dev/null >/dev/null 2>&1 &
                usleep 10000
            }\n";
        self.inside(name, &format!("{into}{script}"));
    }

    /// Mounts a file system of the user's, as fusermount does for a user; `serve` is what the user does
    /// with its descriptor, 5.
    fn fuse(&mut self, place: &str, serve: &str) {
        let script = "exec 5<>/dev/fuse && mount -i -t fuse -o \
            fd=5,rootmode=40000,user_id=$2,group_id=$2,nosuid,nodev silent \"$1\" && exec setpriv --reuid=$2 --regid=$2 \
            --clear-groups sh -c \"$3\"";
        let mut holder = Command::new("sh");
        holder.args(["-c", script, "sh", place, &USER.to_string(), serve]);
        holder.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut holder = holder.spawn().expect("a shell");
        let line = format!(" {place} ");
        // What was added before it may stand in its way: a file where the directory would be.
        let mut has_ended = false;
        until("a mount", || {
            has_ended = holder.try_wait().expect("a child").is_some();
            let mounts = fs::read_to_string("/proc/self/mountinfo").expect("mountinfo");
            has_ended || mounts.contains(&line)
        });
        assert!(!has_ended || !self.is_alone, "nothing was mounted on {place}");
        self.held.push(holder);
        self.log
            .push(format!("fusermount, for uid {USER}: a file system on {place}; then: {serve}"));
    }

    /// Gives pids that are still recorded, of processes that have ended, to processes of the user's, as
    /// who starts enough of them gets to.
    fn reuse(&mut self) {
        let stopped =
            |row: &&Row| matches!(row.state, State::Stopped | State::Pin) && row.pid.is_some();
        let pids: Vec<u32> =
            self.machine.rows.iter().filter(stopped).filter_map(|row| row.pid).collect();
        for pid in pids {
            for _ in 0..5 {
                fs::write("/proc/sys/kernel/ns_last_pid", (pid - 1).to_string()).expect("a pid");
                let mut sleeper = as_user(USER, &["unshare", "-Urn", "sleep", "100000"]);
                let child =
                    sleeper.stdin(Stdio::null()).stdout(Stdio::null()).spawn().expect("a process");
                let is_it = child.id() == pid;
                self.held.push(child);
                if is_it {
                    break;
                }
            }
        }
        self.has_reused = true;
        self.log.push(format!("uid {USER}: processes of pids that are still recorded"));
    }
}
