//! Namespaces in which nothing runs, by the names that engines have written down: pods by libcni's
//! cache, docker's own by its directory of sandboxes.

#![forbid(unsafe_code)]

use crate::util::{apart, enters, lacks, program, refuses, run, sh};
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

/// An empty machine, as far as engines and pins go.
const ROOM: &str = "mount -t tmpfs none /run && mount -t tmpfs none /var/lib && mkdir /run/netns
    mkdir -p /run/docker/netns /var/lib/cni/results /var/lib/cni/cache/results";
const CACHE: &str = "/var/lib/cni/results/net-b146-eth0";

/// Makes a namespace without a process, mounted at `path` alone, that has this address; returns
/// what it is called.
fn prepare(path: &str, address: &str) -> String {
    let script = "set -e; ip netns add it
        ip -n it link add v0 type veth peer name v1; ip -n it addr add $2 dev v0
        [ -e $1 ] || touch $1; mount --bind /run/netns/it $1; umount -l /run/netns/it; rm /run/netns/it
        stat -Lc net:[%i] $1";
    sh(script, &[path, address]).answer().expect("a namespace")
}

/// Writes what libcni keeps of the pod shop/cart.
fn cache(path: &str, netns: &str, address: &str) {
    let text = format!(
        r#"{{"kind":"cniCacheV1","containerId":"b146","config":"e30=","ifName":"eth0",
        "networkName":"net",{netns}"cniArgs":[["K8S_POD_NAMESPACE","shop"],["K8S_POD_NAME","cart"],
        ["IgnoreUnknown","1"]],"result":{{"cniVersion":"1.0.0","ips":[{{"address":"{address}",
        "gateway":"10.231.0.1"}}]}}}}"#
    );
    fs::write(path, text).expect("a file");
}

/// The containers of a namespace in the list as JSON.
fn listed(ns: &str) -> serde_json::Value {
    let list = run(&["--list", "--json"]);
    let rows: serde_json::Value = serde_json::from_str(&list.succeeds().stdout).expect("JSON");
    let is_it = |row: &&serde_json::Value| format!("net:[{}]", row["inode"]) == ns;
    rows.as_array().expect("rows").iter().find(is_it).expect("a row")["containers"].clone()
}

/// Asserts that a namespace has this name in the list.
#[track_caller]
fn is_called(ns: &str, name: &str) {
    let list = run(&["--list"]);
    let inode = &ns["net:[".len()..ns.len() - 1];
    let row = list.succeeds().stdout.lines().find(|line| line.starts_with(inode));
    let words: Vec<&str> = row.expect("a row").split_whitespace().collect();
    assert_eq!(words[1..4], ["-", "0", name], "{}", list.dump());
}

#[test]
fn a_pod_in_which_nothing_runs_is_found_by_libcnis_cache() {
    if lacks(&["ip", "unshare"]) {
        return;
    }
    apart(ROOM, || {
        let cart = prepare("/run/netns/cni-1", "10.231.0.7/24");
        let other = prepare("/run/netns/cni-2", "10.231.0.8/24");
        let path = r#""netns":"/var/run/netns/cni-1","#;
        for file in [CACHE, "/var/lib/cni/cache/results/net-b146-eth0"] {
            // libcni before 1.3 does not tell the path.
            for netns in [path, ""] {
                cache(file, netns, "10.231.0.7/24");
                for words in [
                    &["shop/cart"][..],
                    &["cart"],
                    &["-c", "k8s:shop/cart"],
                    &["pod/cart"],
                    &["b146"],
                ] {
                    let said = enters(words, &cart);
                    assert!(said.contains("note: no process of container \"shop/cart\""), "{said}");
                }
                assert_eq!(enters(&["-q", "cart"], &cart), "");
            }
            is_called(&cart, "k8s:shop/cart");
            is_called(&other, "-");
            assert_eq!(
                listed(&cart).to_string(),
                r#"[{"claimed_by":null,"engine":"k8s","id":"b146","name":"shop/cart","pid":null}]"#
            );
            refuses(&["docker:cart"], &["no container"]);
            fs::remove_file(file).unwrap();
            refuses(&["cart"], &["no container or pin"]);
        }
        // Not a pod's.
        cache(CACHE, path, "10.231.0.7/24");
        let text = fs::read_to_string(CACHE).unwrap().replace("K8S_POD", "X");
        fs::write(CACHE, text).unwrap();
        is_called(&cart, "cni:b146");
        for word in ["cni:b146", "b146"] {
            enters(&[word], &cart);
        }
    });
}

#[test]
fn what_libcnis_cache_says_is_not_taken_without_proof() {
    if lacks(&["ip", "unshare"]) {
        return;
    }
    apart(ROOM, || {
        let cart = prepare("/run/netns/cni-1", "10.231.0.7/24");
        let path = r#""netns":"/var/run/netns/cni-1","#;
        let is_nobody = || {
            refuses(&["shop/cart"], &["shop/cart"]);
            is_called(&cart, "-");
        };
        // Another's address by now, or another file's.
        cache(CACHE, path, "10.231.0.9/24");
        is_nobody();
        cache(CACHE, r#""netns":"/var/run/netns/cni-2","#, "10.231.0.7/24");
        is_nobody();
        cache(CACHE, path, "");
        is_nobody();
        // Who else can write it?
        cache(CACHE, path, "10.231.0.7/24");
        fs::set_permissions(CACHE, fs::Permissions::from_mode(0o666)).unwrap();
        is_nobody();
        fs::set_permissions(CACHE, fs::Permissions::from_mode(0o644)).unwrap();
        is_called(&cart, "k8s:shop/cart");
        // One that is called alike, elsewhere.
        let beside = prepare("/run/cni-1", "10.231.0.7/24");
        is_called(&beside, "-");
        enters(&["shop/cart"], &cart);
        sh("umount /run/cni-1", &[""; 0]).succeeds();
        // An address alone may have been given to another pod since.
        cache(CACHE, "", "10.231.0.7/24");
        is_called(&cart, "k8s:shop/cart");
        let text = fs::read_to_string(CACHE).unwrap();
        let since = format!("{CACHE}-since");
        fs::write(&since, text.replace("b146", "b147").replace("cart", "since")).unwrap();
        is_nobody();
        refuses(&["shop/since"], &["shop/since"]);
        fs::remove_file(since).unwrap();
        // Who runs in a namespace can take any.
        let mut command = Command::new("nsenter");
        let command = command.args(["--net=/run/netns/cni-1", "sh", "-c", "echo; read end"]);
        let mut taker = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        taker.stdout.take().unwrap().read_exact(&mut [0]).unwrap();
        refuses(&["shop/cart"], &["shop/cart"]);
        cache(CACHE, path, "10.231.0.7/24");
        enters(&["shop/cart"], &cart);
        drop(taker.stdin.take());
        taker.wait().unwrap();
        // A file that cannot be read hides no other.
        fs::write(format!("{CACHE}-torn"), "{").unwrap();
        assert!(enters(&["cart"], &cart).contains("-torn"));
        // Two of one address, where nothing tells which.
        let second = prepare("/run/netns/cni-3", "10.231.0.7/24");
        enters(&["cart"], &cart);
        is_called(&second, "-");
        cache(CACHE, "", "10.231.0.7/24");
        let inode = &second["net:[".len()..second.len() - 1];
        refuses(&["cart"], &["is ambiguous", &format!("--inode {inode}")]);
        // What went with a process is no mount, whatever its address; nor is one of another kind meant.
        cache(CACHE, r#""netns":"/proc/4194304/ns/net","#, "10.231.0.7/24");
        is_called(&cart, "-");
        cache(CACHE, "", "10.231.0.9/24");
        let lab = prepare("/run/netns/lab", "10.231.0.9/24");
        is_called(&lab, "-");
        for word in ["shop/cart", "b146"] {
            refuses(&[word], &[word, "not found"]);
        }
        cache(CACHE, path, "10.231.0.7/24");
        // What runs goes before it; a pin, too.
        fs::rename("/run/netns/cni-3", "/run/netns/x").unwrap_err();
        sh("touch /run/netns/cart; mount --bind /run/netns/cni-3 /run/netns/cart", &[""; 0])
            .succeeds();
        assert_eq!(enters(&["cart"], &second), "");
    });
}

#[test]
fn the_namespaces_that_docker_keeps_for_itself_have_its_names() {
    if lacks(&["ip", "unshare"]) {
        return;
    }
    apart(ROOM, || {
        for name in ["ingress_sbox", "lb_x1y2z3", "1-x1y2z3"] {
            let ns = prepare(&format!("/run/docker/netns/{name}"), "10.231.0.7/24");
            is_called(&ns, &format!("docker:{name}"));
            for word in [name, &format!("docker:{name}")] {
                enters(&[word], &ns);
                enters(&["-c", word], &ns);
            }
        }
        // A container's, and the host's own.
        let ns = prepare("/run/docker/netns/0123456789ab", "10.231.0.7/24");
        is_called(&ns, "-");
        refuses(&["0123456789ab"], &["no container"]);
        sh("touch /run/docker/netns/default; mount --bind /proc/self/ns/net /run/docker/netns/default", &[""; 0]).succeeds();
        refuses(&["docker:default"], &["no container"]);
        // A file that is no namespace any more.
        fs::write("/run/docker/netns/lb_gone", "").unwrap();
        refuses(&["lb_gone"], &["no container"]);
        // Where others can put something.
        fs::set_permissions("/run/docker/netns", fs::Permissions::from_mode(0o777)).unwrap();
        let mut command = program();
        command.arg("docker:ingress_sbox");
        crate::util::command_refuses(command, &["no"]);
    });
}
