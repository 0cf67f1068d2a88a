//! Engines that cannot run here: their files, generated, below a --host-root, with the pids of real
//! processes in real namespaces.

#![forbid(unsafe_code)]

use crate::util::{
    Cgroup, Held, Scratch, Sleeper, USER, binary, command_enters, command_refuses, container_id,
    docker_config, lacks, program, runc_state, skip, tool, unique,
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
    for (name, sleeper) in [("mine", &own), ("stolen", &roots)] {
        let id = container_id();
        tree.docker("home/al/.local/share/docker", &id, name, sleeper.pid);
        tree.runc(&format!("run/user/{USER}/docker/runtime-runc/moby"), &id, sleeper);
    }
    tree.give("home/al");
    tree.give(&format!("run/user/{USER}"));
    let notes = tree.enters("mine", &own);
    assert!(notes.contains("note"), "{notes}");
    // What a user's file says about a process of root's is no evidence.
    tree.refuses("stolen", &[]);
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

#[test]
fn youki_needs_its_cgroup() {
    let tree = tree!();
    let (name, sleeper) = (unique("youki"), Sleeper::start());
    let state = format!(
        "{{\"ociVersion\":\"1.0.2\",\"id\":\"{name}\",\"status\":\"running\",\"pid\":{}}}",
        sleeper.pid
    );
    tree.write(&format!("run/youki/{name}/state.json"), state);
    // A pid alone may be anybody's by now.
    tree.refuses(&name, &["--pid"]);
    let Some(cgroup) = Cgroup::new(&name) else {
        skip("no cgroup hierarchy can be written");
        return;
    };
    cgroup.add(sleeper.pid);
    tree.enters(&name, &sleeper);
    tree.enters(&format!("youki:{name}"), &sleeper);
}

#[test]
fn gvisor_notes_its_own_stack() {
    let tree = tree!();
    let (id, sleeper) = (container_id(), Sleeper::start());
    let state = format!(
        "{{\"id\":\"{id}\",\"spec\":{{\"annotations\":{{\"status\":\"x\",\"sandbox\":\"y\"}}}},\"status\":\"running\",\
         \"goferPid\":1,\"sandbox\":{{\"id\":\"{id}\",\"pid\":{}}}}}",
        sleeper.pid
    );
    tree.write(&format!("run/containerd/runsc/k8s.io/{id}_sandbox:{id}.state"), &state);
    let Some(cgroup) = Cgroup::new(&id) else {
        skip("no cgroup hierarchy can be written");
        return;
    };
    cgroup.add(sleeper.pid);
    let notes = tree.enters(&id, &sleeper);
    assert!(notes.contains("note"), "{notes}");
    // The other containers of the sandbox have its process, which is in its cgroup.
    let other = container_id();
    let state =
        format!("{{\"id\":\"{other}\",\"sandbox\":{{\"id\":\"{id}\",\"pid\":{}}}}}", sleeper.pid);
    tree.write(&format!("run/containerd/runsc/k8s.io/{other}_sandbox:{id}.state"), &state);
    tree.enters(&other, &sleeper);
}

#[test]
fn machines() {
    let tree = tree!();
    let (name, sleeper) = (unique("machine"), Sleeper::start());
    std::fs::create_dir_all(tree.0.path("sys/fs/cgroup")).expect("a directory");
    let scope = format!("{name}.scope");
    let text = |class: &str| {
        format!(
            "# This is private data. Do not parse.\nNAME={name}\nSCOPE={scope}\nLEADER={}\nCLASS={class}\n",
            sleeper.pid
        )
    };
    tree.write(&format!("run/systemd/machines/{name}"), text("vm"));
    tree.refuses(&name, &[]);
    tree.write(&format!("run/systemd/machines/{name}"), text("container"));
    // The leader's cgroup must be the scope that the file names.
    tree.refuses(&name, &[]);
    let Some(cgroup) = Cgroup::new(&format!("machine.slice/{scope}")) else {
        skip("no cgroup hierarchy can be written");
        return;
    };
    cgroup.add(sleeper.pid);
    tree.enters(&name, &sleeper);
    tree.enters(&format!("machine:{name}"), &sleeper);
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
    tree.refuses("shop/cart/app", &["not running"]);
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
    let notes = tree.enters("web", &sleeper);
    assert_eq!(notes.matches("is a FIFO").count(), 2, "{notes}");
    for mut writer in writers {
        assert!(writer.0.try_wait().unwrap().is_none(), "the FIFO was opened");
    }
}
