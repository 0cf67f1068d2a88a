//! Engines that cannot run here: their files, generated, below a --host-root, with the pids of real
//! processes in real namespaces.

#![forbid(unsafe_code)]

use crate::machine::script;
use crate::util::{
    Cgroup, Held, Scratch, Sleeper, USER, binary, command_enters, command_refuses, container_id,
    docker_config, finish, lacks, pidfd_inode, program, runc_state, skip, tool, unique,
};
use std::os::unix::fs::lchown;
use std::process::Command;

/// A host's root directory; its /proc is there for each run alone, so nothing stays mounted.
struct Tree(Scratch);

impl Tree {
    /// None, and the test is skipped, where namespaces and mounts cannot be made.
    fn new() -> Option<Tree> {
        if lacks(&["unshare", "mount", "setpriv"]) {
            return None;
        }
        let tree = Tree(Scratch::new("tree"));
        std::fs::create_dir(tree.0.path("proc")).expect("a directory");
        Some(tree)
    }

    fn command(&self, args: &[&str]) -> Command {
        let root = self.0.path("");
        // Cgroups only where a test asks for them, by an empty directory.
        let script = "mount --rbind /proc \"$1/proc\" && cd \"$1\" && if [ -d sys/fs/cgroup ]; \
                      then mount --rbind /sys/fs/cgroup sys/fs/cgroup; fi && cd / && shift && exec \"$@\"";
        let mut command = Command::new("unshare");
        command
            .args(["-m", "--propagation", "private", "sh", "-c", script, "sh", &root])
            .arg(binary());
        command.args(["--host-root", &root]).args(args);
        command
    }

    #[track_caller]
    fn enters(&self, name: &str, sleeper: &Sleeper) -> String {
        command_enters(self.command(&["-c", name]), &sleeper.ns())
    }

    #[track_caller]
    fn refuses(&self, name: &str, words: &[&str]) -> String {
        command_refuses(self.command(&["-c", name]), words)
    }

    /// From now on the machine's cgroups are its own.
    fn with_cgroups(&self) {
        std::fs::create_dir_all(self.0.path("sys/fs/cgroup")).expect("a directory");
    }

    fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        self.0.write(path, text);
    }

    /// runc's state below `root`, of a live process.
    fn runc(&self, root: &str, id: &str, sleeper: &Sleeper) {
        self.write(
            &format!("{root}/{id}/state.json"),
            runc_state(id, sleeper.pid, sleeper.start_time()),
        );
    }

    /// docker's own file.
    fn docker(&self, data: &str, id: &str, name: &str, pid: u32) {
        self.write(&format!("{data}/containers/{id}/config.v2.json"), docker_config(id, name, pid));
    }

    /// Hands all below `path` to [`USER`], links themselves and not what they lead to, which may be
    /// this machine's own.
    fn give(&self, path: &str) {
        let mut left = vec![self.0.dir().join(path)];
        while let Some(path) = left.pop() {
            lchown(&path, Some(USER), Some(USER)).expect("chown");
            if path.symlink_metadata().expect("what is there").is_dir() {
                let entries = std::fs::read_dir(&path).expect("a directory");
                left.extend(entries.map(|e| e.expect("an entry").path()));
            }
        }
    }
}

/// A tree, or the test is over.
macro_rules! tree {
    () => {
        match Tree::new() {
            Some(tree) => tree,
            None => return,
        }
    };
}

#[test]
fn docker_in_its_default_place() {
    let (tree, id) = (tree!(), container_id());
    let sleeper = Sleeper::start();
    tree.docker("var/lib/docker", &id, "web", sleeper.pid);
    tree.runc("run/docker/runtime-runc/moby", &id, &sleeper);
    for name in ["web", "/web", "docker:web", &id, &id[..12], &id[..4]] {
        tree.enters(name, &sleeper);
    }
    tree.refuses("wbe", &["did you mean docker:web"]);
    tree.refuses("victim", &[]);
    tree.refuses(&id[..3], &[]);
}

#[test]
fn docker_with_moved_directories() {
    let tree = tree!();
    for key in ["data-root", "graph"] {
        let (id, sleeper) = (container_id(), Sleeper::start());
        tree.write(
            "etc/docker/daemon.json",
            format!("{{\"{key}\":\"/srv/{key}\",\"exec-root\":\"/run/moved\"}}"),
        );
        tree.docker(&format!("srv/{key}"), &id, key, sleeper.pid);
        tree.runc("run/moved/runtime-runc/moby", &id, &sleeper);
        tree.enters(key, &sleeper);
        tree.enters(&id, &sleeper);
    }
}

#[test]
fn docker_with_remapped_users_and_snap() {
    let tree = tree!();
    let (remapped, snap) = (Sleeper::start(), Sleeper::start());
    let (one, two) = (container_id(), container_id());
    tree.docker("var/lib/docker/231072.231072", &one, "remapped", remapped.pid);
    tree.runc("run/docker/runtime-runc/moby", &one, &remapped);
    tree.docker("var/snap/docker/common/var-lib-docker", &two, "snapped", snap.pid);
    tree.runc("run/snap.docker/runtime-runc/moby", &two, &snap);
    tree.enters("remapped", &remapped);
    tree.enters("snapped", &snap);
}

#[test]
fn docker_rootless() {
    let tree = tree!();
    let (own, roots) = (Sleeper::of_user(), Sleeper::start());
    tree.write(
        "etc/passwd",
        format!("root:x:0:0::/root:/bin/sh\nal:x:{USER}:{USER}::/home/al:/bin/sh\n"),
    );
    let mut ids = Vec::new();
    for (name, sleeper) in [("mine", &own), ("stolen", &roots)] {
        let id = container_id();
        tree.docker("home/al/.local/share/docker", &id, name, sleeper.pid);
        tree.runc(&format!("run/user/{USER}/docker/runtime-runc/moby"), &id, sleeper);
        ids.push(id);
    }
    tree.give("home/al");
    tree.give(&format!("run/user/{USER}"));
    // For root it has the user's name in its own, and its ID has, too.
    let mine = &ids[0];
    for word in ["docker:mine@al", &format!("docker:mine@{USER}"), &format!("docker:{mine}@al")] {
        tree.enters(word, &own);
    }
    tree.enters(&format!("docker:{}@al", &mine[..12]), &own);
    for word in ["mine", "docker:mine", mine, &mine[..12], "mine@al", "podman:mine@al"] {
        tree.refuses(word, &["no container"]);
    }
    tree.refuses("mine", &["did you mean", &format!("docker:mine@{USER}")]);
    // What a user's file says about a process of root's is no evidence.
    tree.refuses("docker:stolen@al", &[&format!("uid {USER}")]);
    tree.refuses("docker:mine@nobody-here", &["no container"]);
    // A name of root's that is spelled so goes first.
    let (id, sleeper) = (container_id(), Sleeper::start());
    tree.docker("var/lib/docker", &id, "mine@al", sleeper.pid);
    tree.runc("run/docker/runtime-runc/moby", &id, &sleeper);
    tree.enters("docker:mine@al", &sleeper);
    tree.enters(&format!("docker:mine@{USER}"), &own);
}

#[test]
fn one_name_in_two_engines() {
    let tree = tree!();
    let (first, second) = (Sleeper::start(), Sleeper::start());
    let (one, two) = (container_id(), container_id());
    tree.docker("var/lib/docker", &one, "web", first.pid);
    tree.runc("run/docker/runtime-runc/moby", &one, &first);
    let list = format!(
        "[{{\"id\":\"{two}\",\"names\":[\"web\"],\"image\":\"\",\"layer\":\"\",\"metadata\":\"{{}}\"}}]"
    );
    tree.write("var/lib/containers/storage/overlay-containers/containers.json", list);
    tree.runc("run/runc", &two, &second);
    let (a, b) = (first.pid.to_string(), second.pid.to_string());
    tree.refuses("web", &["ambiguous", "docker:web", "podman:web", &one[..12], &two[..12], &a, &b]);
    tree.enters("docker:web", &first);
    tree.enters("podman:web", &second);
}

#[test]
fn a_prefix_of_two_ids() {
    let tree = tree!();
    let (first, second) = (Sleeper::start(), Sleeper::start());
    let one = container_id();
    let two = format!("{}{}", &one[..20], one[20..].chars().rev().collect::<String>());
    for (id, name, sleeper) in [(&one, "one", &first), (&two, "two", &second)] {
        tree.docker("var/lib/docker", id, name, sleeper.pid);
        tree.runc("run/docker/runtime-runc/moby", id, sleeper);
    }
    tree.refuses(&one[..12], &["ambiguous", "docker:one", "docker:two"]);
    tree.enters(&one, &first);
    tree.enters(&two, &second);
    // A name goes before a prefix, even one made of hexadecimal digits.
    let (third, id) = (Sleeper::start(), container_id());
    tree.docker("var/lib/docker", &id, &one[..12], third.pid);
    tree.runc("run/docker/runtime-runc/moby", &id, &third);
    tree.enters(&one[..12], &third);
}

#[test]
fn a_corrupt_neighbour() {
    let (tree, id) = (tree!(), container_id());
    let sleeper = Sleeper::start();
    tree.docker("var/lib/docker", &id, "web", sleeper.pid);
    tree.runc("run/docker/runtime-runc/moby", &id, &sleeper);
    tree.write(&format!("var/lib/docker/containers/{}/config.v2.json", container_id()), "{\"ID\":");
    tree.enters("web", &sleeper);
}

#[test]
fn nerdctl_names() {
    let (tree, id) = (tree!(), container_id());
    let sleeper = Sleeper::start();
    tree.write("var/lib/nerdctl/1935db59/names/default/web", &id);
    tree.write(
        &format!("run/containerd/io.containerd.runtime.v2.task/default/{id}/options.json"),
        "{}",
    );
    tree.runc("run/containerd/runc/default", &id, &sleeper);
    tree.enters("web", &sleeper);
    tree.enters("nerdctl:web", &sleeper);
    tree.enters(&id[..12], &sleeper);
}

/// A containerd bundle with the annotations of the CRI plugin.
fn cri_bundle(tree: &Tree, state: &str, id: &str, pod: &str, sleeper: &Sleeper) {
    let bundle = format!("{state}/io.containerd.runtime.v2.task/k8s.io/{id}");
    let key = "io.kubernetes.cri";
    let config = format!(
        "{{\"ociVersion\":\"1.0\",\"process\":{{\"env\":[\"{key}.sandbox-name=x\"]}},\"annotations\":{{\
         \"{key}.container-type\":\"sandbox\",\"{key}.sandbox-id\":\"{id}\",\"{key}.sandbox-name\":\"{pod}\",\
         \"{key}.sandbox-namespace\":\"shop\"}}}}"
    );
    tree.write(&format!("{bundle}/config.json"), config);
    tree.write(&format!("{bundle}/init.pid"), sleeper.pid.to_string());
    tree.write(&format!("{bundle}/options.json"), "{}");
    tree.runc("run/containerd/runc/k8s.io", id, sleeper);
}

#[test]
fn kubernetes_distributions() {
    let tree = tree!();
    let places =
        ["run/k3s/containerd", "var/snap/microk8s/common/run/containerd", "run/containerd"];
    for (number, state) in places.iter().enumerate() {
        let (id, sleeper, pod) = (container_id(), Sleeper::start(), format!("cart-{number}"));
        cri_bundle(&tree, state, &id, &pod, &sleeper);
        tree.enters(&pod, &sleeper);
        tree.enters(&format!("shop/{pod}"), &sleeper);
        tree.enters(&id, &sleeper);
        tree.refuses(&format!("other/{pod}"), &[]);
    }
}

#[test]
fn kubernetes_log_links() {
    let (tree, id) = (tree!(), container_id());
    let sleeper = Sleeper::start();
    let link = format!("var/log/containers/cart-7d9f_shop_app-{id}.log");
    tree.0.link(&link, "/var/log/pods/shop_cart-7d9f_1/app/0.log");
    // The link of an attempt that is over must not count.
    tree.0
        .link(&format!("var/log/containers/cart-7d9f_shop_app-{}.log", container_id()), "/nowhere");
    tree.write(
        &format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{id}/options.json"),
        "{}",
    );
    tree.runc("run/containerd/runc/k8s.io", &id, &sleeper);
    tree.enters("shop/cart-7d9f/app", &sleeper);
    tree.enters("shop/cart-7d9f", &sleeper);
    tree.enters("cart-7d9f", &sleeper);
}

#[test]
fn crio() {
    let (tree, id) = (tree!(), container_id());
    let sleeper = Sleeper::start();
    let names = "k8s_app_cart-7d9f_shop_0a1b_0";
    tree.write(
        "var/lib/containers/storage/overlay-containers/containers.json",
        format!("[{{\"id\":\"{id}\",\"names\":[\"{names}\"],\"image\":\"\",\"layer\":\"\",\"metadata\":\"{{}}\"}}]"),
    );
    let userdata = format!("overlay-containers/{id}/userdata");
    let key = "io.kubernetes.cri-o";
    let config = format!(
        "{{\"annotations\":{{\"{key}.Name\":\"{names}\",\"{key}.ContainerType\":\"container\",\"{key}.SandboxID\":\"{}\",\
         \"io.kubernetes.pod.name\":\"cart-7d9f\",\"io.kubernetes.pod.namespace\":\"shop\",\
         \"io.kubernetes.container.name\":\"app\"}}}}",
        container_id()
    );
    tree.write(&format!("run/containers/storage/{userdata}/config.json"), &config);
    tree.write(&format!("var/lib/containers/storage/{userdata}/config.json"), &config);
    let state = format!(
        "{{\"id\":\"{id}\",\"status\":\"running\",\"pid\":{0},\"initPid\":{0},\"initStartTime\":\"{1}\"}}",
        sleeper.pid,
        sleeper.start_time()
    );
    tree.write(&format!("var/lib/containers/storage/{userdata}/state.json"), state);
    for name in ["shop/cart-7d9f/app", "shop/cart-7d9f", "cart-7d9f", &id, &format!("cri-o://{id}")]
    {
        tree.enters(name, &sleeper);
    }
}

/// A record of a pid alone counts with the cgroup that stands beside it, and with no other.
#[test]
fn youki_needs_its_cgroup() {
    let tree = tree!();
    let (name, sleeper) = (unique("youki"), Sleeper::start());
    let state = |status: &str| {
        format!(
            "{{\"ociVersion\":\"1.0.2\",\"id\":\"{name}\",\"status\":\"{status}\",\"pid\":{}}}",
            sleeper.pid
        )
    };
    let file = format!("run/youki/{name}/state.json");
    tree.write(&file, state("running"));
    // A pid alone may be anybody's by now.
    tree.refuses(&name, &["nothing proves", "--pid"]);
    tree.with_cgroups();
    tree.refuses(&name, &["nothing proves", "--pid"]);
    let Some(cgroup) = Cgroup::new(&name) else {
        skip("no cgroup hierarchy can be written");
        return;
    };
    // Nor does a cgroup of the name prove anything that youki has not recorded.
    cgroup.add(sleeper.pid);
    tree.refuses(&name, &["nothing proves", "--pid"]);
    let config = |path: &str| format!("{{\"systemd_cgroup\":false,\"cgroup_path\":\"{path}\"}}");
    tree.write(&format!("run/youki/{name}/youki_config.json"), config(&format!("/{name}")));
    tree.enters(&name, &sleeper);
    tree.enters(&format!("youki:{name}"), &sleeper);
    tree.write(&format!("run/youki/{name}/youki_config.json"), config(&format!("/{name}-other")));
    tree.refuses(&name, &["is not running", "reused"]);
    // While it is created its process has still to come to its namespaces.
    tree.write(&format!("run/youki/{name}/youki_config.json"), config(&format!("/{name}")));
    tree.write(&file, state("creating"));
    tree.refuses(&name, &[]);
}

#[test]
fn gvisor_notes_its_own_stack() {
    let tree = tree!();
    let (id, sleeper) = (container_id(), Sleeper::start());
    tree.with_cgroups();
    let state = |path: &str| {
        format!(
            "{{\"id\":\"{id}\",\"spec\":{{\"annotations\":{{\"status\":\"x\",\"sandbox\":\"y\"}},\
             \"linux\":{{\"cgroupsPath\":\"{path}\"}}}},\"status\":\"running\",\
             \"goferPid\":1,\"sandbox\":{{\"id\":\"{id}\",\"pid\":{}}}}}",
            sleeper.pid
        )
    };
    let file = format!("run/containerd/runsc/k8s.io/{id}_sandbox:{id}.state");
    let path = unique("gvisor");
    tree.write(&file, state(&format!("/{path}")));
    let Some(cgroup) = Cgroup::new(&path) else {
        skip("no cgroup hierarchy can be written");
        return;
    };
    tree.refuses(&id, &["is not running", "reused"]);
    cgroup.add(sleeper.pid);
    let notes = tree.enters(&id, &sleeper);
    assert!(notes.contains("note"), "{notes}");
    // The other containers of the sandbox have its process, which is in its cgroup.
    let other = container_id();
    let text =
        format!("{{\"id\":\"{other}\",\"sandbox\":{{\"id\":\"{id}\",\"pid\":{}}}}}", sleeper.pid);
    tree.write(&format!("run/containerd/runsc/k8s.io/{other}_sandbox:{id}.state"), &text);
    tree.enters(&other, &sleeper);
    // In another cgroup than the one that is recorded it is another process.
    tree.write(&file, state(&format!("/{path}-other")));
    tree.refuses(&id, &["is not running", "reused"]);
}

#[test]
fn machines() {
    let tree = tree!();
    let (name, sleeper) = (unique("machine"), Sleeper::start());
    tree.with_cgroups();
    let scope = format!("{name}.scope");
    let text = |class: &str| {
        format!(
            "# This is private data. Do not parse.\nNAME={name}\nSCOPE={scope}\nLEADER={}\nCLASS={class}\n",
            sleeper.pid
        )
    };
    tree.write(&format!("run/systemd/machines/{name}"), text("vm"));
    tree.refuses(&name, &["no container"]);
    tree.write(&format!("run/systemd/machines/{name}"), text("container"));
    // The leader's cgroup must be the scope that the file names.
    tree.refuses(&name, &["is not running", "reused"]);
    let Some(cgroup) = Cgroup::new(&format!("machine.slice/{scope}")) else {
        skip("no cgroup hierarchy can be written");
        return;
    };
    cgroup.add(sleeper.pid);
    tree.enters(&name, &sleeper);
    tree.enters(&format!("machine:{name}"), &sleeper);
    // Since systemd 258 a user may register any process of theirs, and is written down.
    for (uid, is_roots) in [("0", true), ("1000", false)] {
        let text = format!("{}UID={uid}\n", text("container"));
        tree.write(&format!("run/systemd/machines/{name}"), text);
        if is_roots {
            tree.enters(&name, &sleeper);
            continue;
        }
        for word in [name.clone(), format!("machine:{name}")] {
            tree.refuses(&word, &["no container"]);
        }
        // Nor does it stand in the way of root's.
        tree.runc("run/runc", &name, &sleeper);
        let said = tree.enters(&name, &sleeper);
        assert!(!said.contains("machine"), "{said}");
        std::fs::remove_dir_all(tree.0.path(&format!("run/runc/{name}"))).expect("a directory");
    }
    // Since systemd 257 there is the inode of its pidfd, which decides where the kernel has one.
    let Some(inode) = pidfd_inode(sleeper.pid) else { return };
    let with = |inode: u64| format!("{}LEADER_PIDFDID={inode}\n", text("container"));
    tree.write(&format!("run/systemd/machines/{name}"), with(inode));
    tree.enters(&name, &sleeper);
    tree.write(&format!("run/systemd/machines/{name}"), with(inode + 1));
    tree.refuses(&name, &["is not running", "reused", &inode.to_string()]);
}

/// The leader's unit is where systemd has it, with the payload in it or below; the name of a unit
/// inside something else is another's.
#[test]
fn machines_in_units() {
    let tree = tree!();
    tree.with_cgroups();
    let ask = |place: &str, unit: &str, key: &str| {
        let (name, sleeper) = (unique("machine"), Sleeper::start());
        let cgroup = Cgroup::new(place)?;
        cgroup.add(sleeper.pid);
        let text = format!("NAME={name}\n{key}={unit}\nLEADER={}\nCLASS=container\n", sleeper.pid);
        tree.write(&format!("run/systemd/machines/{name}"), text);
        Some((name, sleeper, cgroup))
    };
    for (key, slices, below) in [
        ("SCOPE", "system.slice", "/payload"),
        ("SCOPE", "machine.slice", ""),
        ("UNIT", "system.slice/system-ne.slice", "/payload/inner"),
    ] {
        let unit = format!("{}.service", unique("box"));
        let Some((name, sleeper, _cgroup)) = ask(&format!("{slices}/{unit}{below}"), &unit, key)
        else {
            return skip("no cgroup hierarchy can be written");
        };
        tree.enters(&name, &sleeper);
    }
    for place in ["ne-t-other/system.slice", "user.slice/user-0.slice"] {
        let unit = format!("{}.scope", unique("box"));
        if let Some((name, _sleeper, _cgroup)) = ask(&format!("{place}/{unit}"), &unit, "SCOPE") {
            tree.refuses(&name, &["nothing proves"]);
        }
    }
}

/// What no engine's files name is called by the runtime that recorded it.
#[test]
fn recorded_by_a_runtime_alone() {
    let tree = tree!();
    for runtime in ["runc", "crun", "youki"] {
        let (id, sleeper) = (container_id(), Sleeper::start());
        tree.runc(&format!("run/{runtime}"), &id, &sleeper);
        for word in [id.clone(), id[..12].to_owned(), format!("{runtime}:{id}")] {
            tree.enters(&word, &sleeper);
        }
        let list = finish(tree.command(&["--list"]));
        assert!(list.succeeds().stdout.contains(&format!(" {runtime}:{id} ")), "{}", list.dump());
        let told = finish(tree.command(&["-v", "-c", &id, "--", "true"]));
        assert!(told.succeeds().stderr.contains(&format!("({runtime})")), "{}", told.dump());
        // What a store knows is podman's, whatever runs it.
        let (id, sleeper) = (container_id(), Sleeper::start());
        tree.runc(&format!("run/{runtime}"), &id, &sleeper);
        let store = "var/lib/containers/storage/overlay-containers";
        tree.write(&format!("{store}/{id}/userdata/x"), "");
        let told = finish(tree.command(&["-v", "-c", &id, "--", "true"]));
        assert!(told.succeeds().stderr.contains("(podman)"), "{}", told.dump());
    }
}

#[test]
fn a_root_without_proc() {
    let tree = tree!();
    let root = tree.0.path("");
    let mut command = program();
    command.args(["--host-root", &root, "-c", "web"]);
    command_refuses(command, &["proc"]);
}

#[test]
fn a_users_data_root_that_is_no_path() {
    let (tree, id) = (tree!(), container_id());
    let sleeper = Sleeper::start();
    tree.docker("var/lib/docker", &id, "web", sleeper.pid);
    tree.runc("run/docker/runtime-runc/moby", &id, &sleeper);
    tree.write("etc/passwd", format!("ann:x:{USER}:{USER}::/home/ann:/bin/sh\n"));
    tree.write(&format!("run/user/{USER}/x"), "");
    tree.write("home/ann/.config/docker/daemon.json", "{\"data-root\":\"/a\\u0000b\"}");
    tree.give("home/ann");
    tree.enters("web", &sleeper);
}

#[test]
fn an_id_that_leads_out_of_the_store() {
    let (tree, sleeper) = (tree!(), Sleeper::start());
    let storage = "var/lib/containers/storage";
    let list = "[{\"id\":\"../elsewhere\",\"names\":[\"k8s_app_cart_shop_0a1b_0\"]}]";
    tree.write(&format!("{storage}/overlay-containers/containers.json"), list);
    let (pid, start) = (sleeper.pid, sleeper.start_time());
    let state = format!("{{\"pid\":{pid},\"initPid\":{pid},\"initStartTime\":\"{start}\"}}");
    tree.write(&format!("{storage}/elsewhere/userdata/state.json"), state);
    // Without cgroups nothing can tell that it does not run.
    tree.refuses("shop/cart/app", &["nothing records its process"]);
    tree.with_cgroups();
    tree.refuses("shop/cart/app", &["is not running"]);
}

#[test]
fn what_a_user_may_have_put_there_is_not_opened() {
    if lacks(&["mkfifo"]) {
        return;
    }
    let (tree, sleeper, id) = (tree!(), Sleeper::start(), container_id());
    tree.docker("var/lib/docker", &id, "web", sleeper.pid);
    tree.runc("run/docker/runtime-runc/moby", &id, &sleeper);
    tree.write("etc/passwd", format!("ann:x:{USER}:{USER}::/home/ann:/bin/sh\n"));
    tree.write(
        &format!("run/user/{USER}/containerd/io.containerd.runtime.v2.task/default/{id}/x"),
        "",
    );
    let share = "home/ann/.local/share";
    tree.write(&format!("{share}/docker/containers/{id}/x"), "");
    tree.write("dev/x", "");
    tree.0.link(&format!("{share}/nerdctl/1a2b/names/default"), "/dev");
    tree.give("home/ann");
    // A FIFO stands for a device: who opens it lets its writer go on, who only looks at it does
    // not.
    let fifos = [format!("{share}/docker/containers/{id}/config.v2.json"), "dev/watchdog".into()];
    let writers = fifos.map(|name| {
        let fifo = tree.0.path(&name);
        tool("mkfifo", &[&fifo]);
        let mut command = Command::new("sh");
        command.args(["-c", "echo x >\"$0\"", &fifo]);
        let writer = Held::start(command);
        while !std::fs::read_to_string(format!("/proc/{}/stat", writer.pid()))
            .unwrap()
            .contains("(sh) S")
        {
            std::thread::yield_now();
        }
        writer
    });
    // For a word of root's world nothing of a user's is looked at.
    for word in ["web", "docker:web", &id, &id[..12]] {
        assert_eq!(tree.enters(word, &sleeper), "");
    }
    // For a list it is looked at, and not opened, by one who has become that user.
    let list = finish(tree.command(&["--list"]));
    assert!(list.succeeds().stdout.contains("docker:web"), "{}", list.dump());
    for mut writer in writers {
        assert!(writer.0.try_wait().unwrap().is_none(), "the FIFO was opened");
    }
}

/// A node of kind or minikube is itself a container: another pid namespace, in whose procfs we are not.
#[test]
fn a_host_in_another_pid_namespace() {
    let Some(output) = script(
        r#"
cat >/run/node.sh <<'END'
mount -t tmpfs tmpfs /run && mkdir -p /run/netns /run/runc/web
ip link set lo up
unshare -n sleep 3600 &
until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do :; done
nsenter -t $! -n ip addr add 198.51.100.7/32 dev lo
start=$(cut -d' ' -f22 /proc/$!/stat)
echo "{\"id\":\"web\",\"init_process_pid\":$!,\"init_process_start\":$start}" >/run/runc/web/state.json
ip netns add blue
: >/run/ready
wait
END
unshare --pid --mount --net --fork --kill-child --mount-proc sh /run/node.sh >/dev/null 2>&1 &
until node=$(pgrep -P $!) && [ -e /proc/$node/root/run/ready ]; do :; done
web=$(pgrep -P $node sleep)
"$1" --host-root /proc/$node/root --list --json >/run/list
holds /run/list "map(.inode) | index($(inode $node)) and index($(inode $web))"
holds /run/list 'map(select(.host)) | length == 1 and .[0].processes > 0'
holds /run/list 'map(select(.pins == ["/run/netns/blue"])) | length == 1'
holds /run/list "map(select(.inode == $(inode $web)))[0].containers[0] | .engine == \"runc\" and .name == \"web\""
blue=$(stat -Lc %i /proc/$node/root/run/netns/blue)
for words in "web" "--addr 198.51.100.7" "-i $(inode $web)"; do
    [ "$("$1" -q --host-root /proc/$node/root $words -- readlink /proc/self/ns/net)" = "net:[$(inode $web)]" ]
done
[ "$("$1" --host-root /proc/$node/root -n blue -- readlink /proc/self/ns/net)" = "net:[$blue]" ]
"$1" --host-root /proc/$node/root --all -- readlink /proc/self/ns/net >/run/all
grep -q "^==> runc:web" /run/all && grep -q "^==> blue" /run/all && [ $(wc -l </run/all) = 4 ]
"#,
    ) else {
        return;
    };
    output.succeeds();
}

/// A pod in the pid namespace of its host, without the host's files: those of pid 1's root are the
/// host's, and so are the mounts of its mount namespace, not ours.
#[test]
fn the_host_is_pid_1s_root() {
    let Some(output) = script(
        r#"
ip netns add blue
blue=$(stat -Lc %i /run/netns/blue)
cat >/run/pod.sh <<'END'
umount -l /run/netns/blue /run/netns
mount -t tmpfs tmpfs /run
"$1" --host-root /proc/1/root --list --json | jq -e 'map(select(.pins == ["/run/netns/blue"])) | length == 1' >/dev/null
[ "$("$1" --host-root /proc/1/root blue readlink /proc/self/ns/net)" = "net:[$2]" ]
END
unshare --mount --net sh -e /run/pod.sh "$1" $blue
"#,
    ) else {
        return;
    };
    output.succeeds();
}
