//! A pin outlives the container, and no longer than it is wanted: on engines that really run.

#![forbid(unsafe_code)]

use crate::engines::alone_with_daemons;
use crate::engines::containerd::Containerd;
use crate::engines::docker::Docker;
use crate::engines::runc::Runc;
use crate::util::{Sleeper, ask, enters, has_all, ns_of, refuses, run, skip, unique, until};

/// A pin in the machine's own /run/netns, gone after the test.
struct Pin(String);

impl Pin {
    /// Of the container of this name.
    fn new(container: &str) -> Pin {
        let pin = Pin(unique("pin"));
        run(&[container, "--pin", &pin.0]).succeeds();
        pin
    }

    fn unpin(&self) {
        run(&["--unpin", &self.0]).succeeds();
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        run(&["--unpin", &self.0]);
    }
}

/// A veth pair with one end in a container's namespace, with an address, and the other in a
/// namespace of ours: that end vanishes when the kernel has taken the container's namespace down.
struct Veth {
    ours: Sleeper,
}

impl Veth {
    const ADDRESS: &str = "192.0.2.7/24";

    fn new(pid: u32) -> Veth {
        let veth = Veth { ours: Sleeper::start() };
        let pid = pid.to_string();
        veth.ip(&["link", "add", "ne-outer", "type", "veth", "peer", "ne-inner", "netns", &pid]);
        ask(&[
            "nsenter",
            "--net",
            "-t",
            &pid,
            "ip",
            "addr",
            "add",
            Veth::ADDRESS,
            "dev",
            "ne-inner",
        ])
        .unwrap();
        veth
    }

    fn ip(&self, words: &[&str]) -> String {
        ask(&[&["nsenter", "--net", "-t", &self.ours.pid.to_string(), "ip"], words].concat())
            .unwrap()
    }

    fn has_other_end(&self) -> bool {
        self.ip(&["-o", "link"]).contains("ne-outer")
    }
}

/// Without its container the pin is still the namespace, until it is unpinned.
#[track_caller]
fn outlives(pin: &Pin, pid: u32, remove: impl FnOnce()) {
    let ns = ns_of(pid);
    let veth = Veth::new(pid);
    remove();
    until("the end of the container", || ns_of(pid).is_empty());
    enters(&["-n", &pin.0], &ns);
    enters(&[&pin.0], &ns);
    let addresses = run(&["-n", &pin.0, "--", "ip", "-o", "addr"]);
    assert!(addresses.succeeds().stdout.contains(Veth::ADDRESS), "{}", addresses.dump());
    assert!(veth.has_other_end());
    pin.unpin();
    until("the end of the namespace", || !veth.has_other_end());
    refuses(&["-n", &pin.0], &["no pin"]);
}

#[test]
fn a_pin_of_dockers() {
    if let Err(reason) = has_all(&["ip", "nsenter"]) {
        return skip(&reason);
    }
    let _alone = alone_with_daemons();
    let mut docker = match Docker::start() {
        Ok(docker) => docker,
        Err(reason) => return skip(&reason),
    };
    let (name, id) = docker.make(&["run", "-d"], &[]).expect("a container");
    let pid = docker.pid(&name).expect("its pid");
    let pin = Pin::new(&name);
    outlives(&pin, pid, || drop(ask(&["docker", "rm", "-f", &name]).expect("its removal")));
    refuses(&["-c", &id], &["no container"]);
}

#[test]
fn a_pin_of_runcs() {
    if let Err(reason) = has_all(&["ip", "nsenter"]) {
        return skip(&reason);
    }
    let runc = match Runc::start(&["run", "-d"]) {
        Ok(runc) => runc,
        Err(reason) => return skip(&reason),
    };
    let pin = Pin::new(&runc.name);
    outlives(&pin, runc.pid, || {
        drop(ask(&["runc", "delete", "-f", &runc.name]).expect("its removal"))
    });
}

#[test]
fn a_pin_of_containerds() {
    if let Err(reason) = has_all(&["ip", "nsenter"]) {
        return skip(&reason);
    }
    let _alone = alone_with_daemons();
    let mut containerd = match Containerd::start() {
        Ok(containerd) => containerd,
        Err(reason) => return skip(&reason),
    };
    let name = Containerd::name();
    let pid = match containerd.run("default", &name, &[]) {
        Ok(pid) => pid,
        Err(reason) => return skip(&reason),
    };
    let pin = Pin::new(&name);
    outlives(&pin, pid, || {
        containerd.kill("default", &name).expect("a signal");
        until("the end of the process", || ns_of(pid).is_empty());
        ask(&["ctr", "task", "rm", "-f", &name]).expect("its removal");
        ask(&["ctr", "container", "rm", &name]).expect("its removal");
    });
}
