//! The formats in which a list is printed.

#![forbid(unsafe_code)]

mod json;
mod table;
mod tree;

use super::entry::{Detail, Listing};
use crate::cli::Format;

/// Returns how much a format shows.
pub(super) fn detail(format: Format) -> Detail {
    match format {
        Format::Table => Detail::Brief,
        Format::Json => Detail::Full,
        Format::Tree => Detail::Surroundings,
    }
}

/// Renders what was collected for a format.
pub(super) fn render(format: Format, listing: &Listing) -> String {
    match format {
        Format::Table => table::render(listing),
        Format::Json => json::render(listing),
        Format::Tree => tree::render(listing),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::list::entry::{Entry, Link, Neighbour, Unknown};
    use crate::commands::list::group::Group;
    use crate::containers::engine::{Container, Source};
    use crate::containers::running::RunningContainer;
    use crate::host::holders::Holder;
    use crate::host::namespaces::Namespace;
    use crate::kernel::link::Address;
    use crate::kernel::netns::NsId;

    /// Engine, name and who claims it.
    type Named = (&'static str, &'static str, Option<u32>);

    fn group(ino: u64, containers: &[Named]) -> Group {
        let netns = NsId { ino, dev: 4 };
        let running = |(engine, name, claimed_by): &Named| RunningContainer {
            container: Box::new(Container {
                name: name.as_bytes().to_vec(),
                claimed_by: *claimed_by,
                ..Container::unnamed(engine, b"b146", Source::Anywhere)
            }),
            pid: 7,
            start: 1,
            netns,
        };
        let containers = containers.iter().map(running).collect();
        Group { namespace: Namespace::new(netns), is_host: false, containers }
    }

    fn link(name: &str, addresses: &[(&str, u8)], peer: Option<Neighbour>) -> Link {
        let address =
            |(ip, prefix): &(&str, u8)| Address { ip: ip.parse().unwrap(), prefix: *prefix };
        Link {
            name: name.as_bytes().to_vec(),
            index: 2,
            kind: peer.is_some().then(|| b"veth".to_vec()),
            state: b"UP".to_vec(),
            mtu: 1500,
            mac: b"02:00:00:00:00:01".to_vec(),
            is_loopback: name == "lo",
            master: (name == "port").then_some(3),
            addresses: addresses.iter().map(address).collect(),
            neighbour: peer,
            remote: None,
        }
    }

    fn listing() -> Listing {
        let mut host = Entry::new(group(10, &[("docker", "proxy", None)]), true);
        host.group.is_host = true;
        host.group.namespace.pid = Some(1);
        host.group.namespace.processes = 71;
        (host.pid, host.unit) = (Some(1), Some(b"init.scope".to_vec()));
        host.interfaces = Some(vec![link("eth0", &[("10.0.0.5", 24), ("fe80::1", 64)], None)]);

        let mut pod =
            Entry::new(group(11, &[("k8s", "a/b/c", None), ("k8s", "a/b/d", None)]), true);
        pod.group.namespace.pid = Some(7);
        pod.group.namespace.cookie = Some(8450);
        pod.group.namespace.mounts = vec![b"/run/netns/cni-1".to_vec(), b"/run/netns/a b".to_vec()];
        let peer = |inode, name: Option<&str>| {
            let name = name.map(|name| name.as_bytes().to_vec());
            Some(Neighbour { is_peer: true, inode, index: 9, name })
        };
        let mut parent = peer(Some(10), Some("veth1"));
        parent.as_mut().unwrap().is_peer = false;
        pod.interfaces = Some(vec![
            link("lo", &[("127.0.0.1", 8), ("::1", 128)], None),
            link("eth0", &[("10.1.0.2", 16), ("fd00::2", 64)], peer(Some(10), Some("veth1"))),
            link("eth1", &[("10.2.0.2", 16)], peer(Some(12), None)),
            link("eth2", &[("fe80::2", 64)], peer(None, None)),
            link("port", &[], None),
            Link {
                kind: Some(b"vxlan".to_vec()),
                neighbour: parent,
                remote: Some("10.0.0.6".parse().unwrap()),
                ..link("vx", &[("10.9.0.0", 32)], None)
            },
        ]);

        let claimed = Entry::new(group(14, &[("podman", "r l", Some(1000))]), true);
        let mut unread = Entry::new(group(12, &[]), true);
        unread.command = Some(b"a\x1b\"] [b".to_vec());
        let mut left = Entry::new(group(13, &[]), true);
        left.group.namespace.mounts = vec![b"/run/netns/cni-1".to_vec(), b"/elsewhere".to_vec()];
        left.interfaces = Some(Vec::new());
        let entries = vec![host, pod, unread, left, claimed];
        Listing { entries, only: None, home: 10, pin_directory: b"/run/netns", unknown: None }
    }

    #[test]
    fn a_table_is_aligned() {
        let want = "\
INODE  PID  PROCS  NAME                 PINNED            ADDRESSES
10     1    71     (host) docker:proxy  -                 eth0 10.0.0.5/24
11     -    0      k8s:a/b              a\\x20b            eth0@veth1 10.1.0.2/16 fd00::2/64 \
eth1 10.2.0.2/16 eth2 - vx 10.9.0.0/32
12     -    0      [a\\x1b\"\\x5d \\x5bb]   -                 ?
13     -    0      -                    cni-1,/elsewhere  -
14     -    0      podman:r\\x20l@1000   -                 ?
";
        assert_eq!(render(Format::Table, &listing()), want);
    }

    #[test]
    fn json_has_all_that_is_known() {
        let any = |name, kind, master, on, addresses, peer| {
            format!("{{\"name\":\"{name}\",\"index\":2,\"kind\":{kind},\"state\":\"UP\",")
                + &format!("\"mtu\":1500,\"master\":{master},{on},")
                + &format!("\"mac\":\"02:00:00:00:00:01\",\"addresses\":[{addresses}],")
                + &format!("\"peer\":{peer}}}")
        };
        let alone = r#""parent":null,"remote":null"#;
        let link = |name, addresses, peer| {
            let kind = if peer == "null" { "null" } else { "\"veth\"" };
            any(name, kind, "null", alone, addresses, peer)
        };
        let on = r#""parent":{"inode":10,"index":9,"name":"veth1"},"remote":"10.0.0.6""#;
        let host = link("eth0", r#""10.0.0.5/24","fe80::1/64""#, "null");
        let pod = [
            link("lo", r#""127.0.0.1/8","::1/128""#, "null"),
            link(
                "eth0",
                r#""10.1.0.2/16","fd00::2/64""#,
                r#"{"inode":10,"index":9,"name":"veth1"}"#,
            ),
            link("eth1", r#""10.2.0.2/16""#, r#"{"inode":12,"index":9,"name":null}"#),
            link("eth2", r#""fe80::2/64""#, r#"{"inode":null,"index":9,"name":null}"#),
            any("port", "null", "3", alone, "", "null"),
            any("vx", "\"vxlan\"", "null", on, "\"10.9.0.0/32\"", "null"),
        ]
        .join(",");
        let container = |engine, name, claimed_by| {
            let name = format!(r#"{{"engine":"{engine}","name":"{name}","id":"b146","pid":7"#);
            format!(r#"{name},"claimed_by":{claimed_by}}}"#)
        };
        let proxy = container("docker", "proxy", "null");
        let [c, d] = ["a/b/c", "a/b/d"].map(|name| container("k8s", name, "null"));
        let rl = container("podman", "r l", "1000");
        let lines = [
            "[".to_owned(),
            format!(r#"{{"inode":10,"pid":1,"processes":71,"host":true,"containers":[{proxy}],"#)
                + r#""unit":"init.scope","command":null,"cookie":null,"pins":[],"#
                + &format!(r#""interfaces":[{host}]}},"#),
            format!(
                r#"{{"inode":11,"pid":null,"processes":0,"host":false,"containers":[{c},{d}],"#
            ) + r#""unit":null,"command":null,"cookie":8450,"#
                + r#""pins":["/run/netns/cni-1","/run/netns/a b"],"#
                + &format!(r#""interfaces":[{pod}]}},"#),
            r#"{"inode":12,"pid":null,"processes":0,"host":false,"containers":[],"unit":null,"#
                .to_owned()
                + r#""command":"a\u001b\"] [b","cookie":null,"pins":[],"interfaces":[]},"#,
            r#"{"inode":13,"pid":null,"processes":0,"host":false,"containers":[],"unit":null,"#
                .to_owned()
                + r#""command":null,"cookie":null,"pins":["/run/netns/cni-1","/elsewhere"],"#
                + r#""interfaces":[]},"#,
            format!(r#"{{"inode":14,"pid":null,"processes":0,"host":false,"containers":[{rl}],"#)
                + r#""unit":null,"command":null,"cookie":null,"pins":[],"interfaces":[]}"#,
            "]\n".to_owned(),
        ];
        assert_eq!(render(Format::Json, &listing()), lines.join("\n"));
        let none = Listing { entries: Vec::new(), ..listing() };
        assert_eq!(render(Format::Json, &none), "[\n]\n");
    }

    #[test]
    fn a_deep_look_tells_who_holds_what() {
        let mut left = Entry::new(group(15, &[]), true);
        left.held_by = Some("held by a\\x1b 7 fd 34".to_owned());
        left.group.namespace.holders = vec![
            Holder::Descriptor { pid: 7, fd: 34 },
            Holder::ForeignMount { pid: 7, fd: None, path: b"/a\"".to_vec() },
        ];
        let file = Holder::File { pid: 8, fd: 3, path: b"/proc/9/net/dev".to_vec() };
        let unknown = Unknown { held_by: "held by b 8 fd 3".to_owned(), holders: vec![file] };
        let unknown = Some(vec![unknown]);
        let listing = Listing { entries: vec![left], unknown, ..listing() };
        let want = "\
INODE  PID  PROCS  NAME                   PINNED  ADDRESSES
15     -    0      held by a\\x1b 7 fd 34  -       ?
-      -    0      held by b 8 fd 3       -       ?
";
        assert_eq!(render(Format::Table, &listing), want);
        let object = |inode: &str, holders: &str| {
            let rest = r#""pid":null,"processes":0,"host":false,"containers":[],"unit":null,"#;
            let last = r#""command":null,"cookie":null,"pins":[]"#;
            format!("{{\"inode\":{inode},{rest}{last},\"holders\":[{holders}],\"interfaces\":[]}}")
        };
        let held = r#"{"kind":"fd","pid":7,"fd":34,"path":null}"#.to_owned()
            + r#",{"kind":"mount","pid":7,"fd":null,"path":"/a\""}"#;
        let file = r#"{"kind":"procfile","pid":8,"fd":3,"path":"/proc/9/net/dev"}"#;
        let want = format!("[\n{},\n{}\n]\n", object("15", &held), object("null", file));
        assert_eq!(render(Format::Json, &listing), want);
    }
}
