//! The list as a picture of what is linked to what: pairs of interfaces, ports of bridges and
//! bonds, and what sits on another interface.
//!
//! Each of these edges is drawn once. The interfaces of a namespace stand below its heading, ports
//! and what sits on an interface below that one; the other end of a pair stands on the same line,
//! and so has its namespace drawn, which needs a heading only for what is left.

#![forbid(unsafe_code)]

use super::table::name;
use crate::base::text::append;
use crate::commands::list::entry::{Entry, Link, Listing, Neighbour};
use crate::containers::name::listed;
use crate::sys::libc::variable;
use std::fmt::Display;
use std::os::unix::ffi::OsStrExt;

/// The strokes of the picture.
struct Art {
    /// Before one of several.
    branch: &'static str,
    /// Before the last of several.
    last: &'static str,
    /// Before what is below one of several.
    pass: &'static str,
    /// Between the ends of a pair.
    pair: &'static str,
}

const LINES: Art = Art { branch: "├─ ", last: "└─ ", pass: "│  ", pair: " ── " };
const ASCII: Art = Art { branch: "|- ", last: "\\- ", pass: "|  ", pair: " -- " };

/// An interface: the place of its entry, and its own there.
type Node = (usize, usize);

/// A line of the picture.
struct Row {
    /// How far below a heading it is; 0 for one.
    depth: usize,
    text: String,
}

/// What of an interface is drawn already, and where it stands.
#[derive(Default)]
struct Mark {
    /// Its ports, and what sits on it.
    below: Vec<Node>,
    /// It stands somewhere, with its addresses.
    is_told: bool,
    /// The line to its other end is drawn.
    is_paired: bool,
    /// What is below it is drawn.
    is_open: bool,
    /// It stands below an interface of the same namespace.
    is_below: bool,
    /// It stands below one of another namespace.
    is_below_far: bool,
    /// It stands below the one that it sits on.
    is_on: bool,
}

/// A picture that is being drawn.
struct Picture<'l> {
    listing: &'l Listing,
    art: &'l Art,
    marks: Vec<Vec<Mark>>,
    rows: Vec<Row>,
}

/// Renders the picture.
pub(super) fn render(listing: &Listing) -> String {
    let mut locales = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().filter_map(variable);
    let locale = locales.next().unwrap_or_default().as_bytes().to_ascii_lowercase();
    let is_utf8 = locale.ends_with(b"utf-8") || locale.ends_with(b"utf8");
    draw(listing, if is_utf8 { &LINES } else { &ASCII })
}

fn draw(listing: &Listing, art: &Art) -> String {
    let marks = |entry| links(entry).iter().map(|_| Mark::default()).collect();
    let marks = listing.entries.iter().map(marks).collect();
    let mut picture = Picture { listing, art, marks, rows: Vec::new() };
    picture.find_edges();
    for is_host in [true, false] {
        for (at, entry) in listing.entries.iter().enumerate() {
            if entry.group.is_host == is_host && picture.has_heading(at) {
                picture.namespace(at);
            }
        }
    }
    let (mut alone, mut unread) = (Vec::new(), Vec::new());
    for (at, entry) in listing.entries.iter().enumerate() {
        if !picture.has_heading(at) || picture.marks[at].iter().any(|mark| mark.is_told) {
            continue;
        }
        let labels = if entry.interfaces.is_none() { &mut unread } else { &mut alone };
        labels.push(picture.label(at));
    }
    let mut text = picture.text();
    for (what, labels) in [("could not be read", unread), ("nothing linked", alone)] {
        if !labels.is_empty() {
            text += &format!("{what}: {}\n", labels.join(", "));
        }
    }
    text
}

fn links(entry: &Entry) -> &[Link] {
    entry.interfaces.as_deref().unwrap_or_default()
}

impl<'l> Picture<'l> {
    fn link(&self, (entry, at): Node) -> &'l Link {
        &links(&self.listing.entries[entry])[at]
    }

    fn mark(&mut self, (entry, at): Node) -> &mut Mark {
        &mut self.marks[entry][at]
    }

    /// Tells whether a namespace is to be shown, rather than only part of another's surroundings.
    fn has_heading(&self, entry: usize) -> bool {
        self.listing.only.is_none_or(|only| only == self.listing.entries[entry].inode())
    }

    /// Returns the interface with this number in the namespace of an entry.
    fn numbered(&self, entry: usize, index: u32) -> Option<Node> {
        let links = links(&self.listing.entries[entry]);
        links.binary_search_by_key(&index, |link| link.index).ok().map(|at| (entry, at))
    }

    /// Returns the entry of a neighbour's namespace.
    fn entry_of(&self, neighbour: &Neighbour) -> Option<usize> {
        let inode = neighbour.inode?;
        self.listing.entries.binary_search_by_key(&inode, Entry::inode).ok()
    }

    fn find(&self, neighbour: &Neighbour) -> Option<Node> {
        self.numbered(self.entry_of(neighbour)?, neighbour.index)
    }

    /// Finds out what is below what.
    fn find_edges(&mut self) {
        let listing = self.listing;
        for (at, entry) in listing.entries.iter().enumerate() {
            for (place, link) in links(entry).iter().enumerate() {
                let node = (at, place);
                if let Some(above) = link.master.and_then(|index| self.numbered(at, index)) {
                    self.mark(above).below.push(node);
                    self.mark(node).is_below = true;
                }
                let Some(above) = link.parent().and_then(|parent| self.find(parent)) else {
                    continue;
                };
                if above.0 != at && !self.has_heading(above.0) {
                    continue;
                }
                let mark = self.mark(node);
                mark.is_on = true;
                mark.is_below |= above.0 == at;
                mark.is_below_far |= above.0 != at;
                self.mark(above).below.push(node);
            }
        }
    }

    /// Tells whether something of an interface is still to be drawn below its heading.
    fn is_left(&self, node: Node) -> bool {
        let (link, mark) = (self.link(node), &self.marks[node.0][node.1]);
        let is_shown = !link.is_loopback || link.outer_addresses().next().is_some();
        let is_new = !mark.is_told && !mark.is_below_far && is_shown;
        is_new
            || (link.peer().is_some() && !mark.is_paired)
            || (!mark.is_open && !mark.below.is_empty())
    }

    /// Draws the namespace of an entry, as far as it is not drawn yet. What is linked to nothing
    /// and is down, such as the tunnels that the kernel puts into every namespace, is no reason to.
    fn namespace(&mut self, entry: usize) {
        let all = 0..self.marks[entry].len();
        let is_reason = |at: usize| {
            let (link, node) = (self.link((entry, at)), (entry, at));
            let is_linked = link.neighbour.is_some() || link.remote.is_some();
            let leads = is_linked || link.kind.is_none() || !is_down(link);
            self.is_left(node) && (leads || !self.marks[entry][at].below.is_empty())
        };
        if !all.clone().any(is_reason) {
            return;
        }
        self.rows.push(Row { depth: 0, text: self.heading(entry) });
        // What is below another is drawn there, unless all of them are in a circle.
        for is_below in [false, true] {
            for node in all.clone().map(|at| (entry, at)) {
                if self.marks[entry][node.1].is_below == is_below && self.is_left(node) {
                    self.interface(node);
                }
            }
        }
    }

    /// Draws an interface below the heading, and what is below it.
    fn interface(&mut self, first: Node) {
        let mut left = vec![(1, first)];
        while let Some((depth, node)) = left.pop() {
            let is_far = node.0 != first.0;
            let mut text = self.about(node, is_far);
            if is_far {
                text += &format!(" {}", self.label(node.0));
            } else {
                text += &self.other_end(node);
            }
            self.rows.push(Row { depth, text });
            if !is_far && !std::mem::replace(&mut self.mark(node).is_open, true) {
                for below in self.mark(node).below.iter().rev() {
                    left.push((depth + 1, *below));
                }
            }
        }
    }

    /// Returns what is said of an interface: only its name where the rest was said before. Of one
    /// below an interface of another namespace its kind comes first.
    fn about(&mut self, node: Node, is_far: bool) -> String {
        let link = self.link(node);
        let kind = link.kind.as_deref().filter(|_| link.peer().is_none());
        let mut text = String::new();
        let mut say = |word: &dyn Display| append(&mut text, " ", word);
        if let Some(kind) = kind.filter(|_| is_far) {
            say(&listed(kind));
        }
        say(&listed(&link.name));
        if std::mem::replace(&mut self.mark(node).is_told, true) {
            return text;
        }
        for address in link.outer_addresses() {
            say(address);
        }
        if let Some(kind) = kind.filter(|_| !is_far) {
            say(&listed(kind));
        }
        if let Some(ip) = link.remote {
            say(&format_args!("remote {ip}"));
        }
        let mark = &self.marks[node.0][node.1];
        if let Some(parent) = link.parent().filter(|_| !mark.is_on) {
            say(&format_args!("on {}", self.end(parent)));
        }
        if is_down(link) {
            say(&"DOWN");
        }
        let is_port =
            |below: &Node| below.0 == node.0 && self.link(*below).master == Some(link.index);
        if kind == Some(b"bridge") && !mark.below.iter().any(is_port) {
            text += ", no ports";
        }
        text
    }

    /// Returns the line to the other end of an interface and what is said of that, if it is one of
    /// a pair and this is not drawn yet.
    fn other_end(&mut self, node: Node) -> String {
        let link = self.link(node);
        let Some(peer) = link.peer() else { return String::new() };
        if std::mem::replace(&mut self.mark(node).is_paired, true) {
            return String::new();
        }
        let pair = self.art.pair;
        let Some(other) = self.find(peer) else { return format!("{pair}{}", self.end(peer)) };
        let far = self.link(other);
        if far.peer().and_then(|back| self.find(back)) == Some(node) {
            self.mark(other).is_paired = true;
        }
        let mut text = match link.mtu == far.mtu {
            true => pair.to_owned(),
            false => format!(" mtu {}{pair}mtu {} ", link.mtu, far.mtu),
        };
        text += &self.about(other, false);
        if other.0 != node.0 {
            append(&mut text, " ", &self.label(other.0));
        }
        text
    }

    /// Returns how an interface is called that is not among those that were read, and its
    /// namespace.
    fn end(&self, neighbour: &Neighbour) -> String {
        let known = self.find(neighbour).map(|node| &self.link(node).name);
        let name = match known.or(neighbour.name.as_ref()) {
            Some(name) => listed(name),
            // As `ip link` has it.
            None => format!("if{}", neighbour.index),
        };
        match (self.entry_of(neighbour), neighbour.inode) {
            (Some(entry), _) => format!("{name} {}", self.label(entry)),
            (None, Some(inode)) => format!("{name} {inode}"),
            (None, None) => format!("{name} ?"),
        }
    }

    /// Returns what a namespace is called beside an interface: its containers suffice.
    fn label(&self, at: usize) -> String {
        let group = &self.listing.entries[at].group;
        match group.is_host || group.containers.is_empty() {
            true => self.heading(at),
            false => group.names().join(" "),
        }
    }

    fn heading(&self, at: usize) -> String {
        let entry = &self.listing.entries[at];
        let mut text = match entry.group.is_host {
            true => "(host)".to_owned(),
            false => name(entry),
        };
        if text.is_empty() {
            text = entry.group.pins(self.listing.pin_directory).join(",");
        }
        append(&mut text, " ", &entry.inode());
        text
    }

    /// Puts the strokes before the rows.
    fn text(&self) -> String {
        let mut lines = Vec::new();
        // Whether a row at each depth follows, below the same one.
        let mut follows: Vec<bool> = Vec::new();
        for row in self.rows.iter().rev() {
            follows.resize(row.depth + 1, false);
            let mut line = String::new();
            for (depth, follows) in follows.iter().enumerate().skip(1) {
                line += match (depth == row.depth, *follows) {
                    (true, true) => self.art.branch,
                    (true, false) => self.art.last,
                    (false, true) => self.art.pass,
                    (false, false) => "   ",
                };
            }
            follows[row.depth] = true;
            lines.push(line + &row.text + "\n");
        }
        let mut text = String::new();
        for line in lines.iter().rev() {
            text += line;
        }
        text
    }
}

/// Tells whether a link is not up. Some drivers do not know, such as that of tun.
fn is_down(link: &Link) -> bool {
    !matches!(&link.state[..], b"UP" | b"UNKNOWN")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::list::group::Group;
    use crate::containers::engine::{Container, Source};
    use crate::containers::running::RunningContainer;
    use crate::host::namespaces::Namespace;
    use crate::kernel::link::Address;
    use crate::kernel::netns::NsId;

    /// A namespace, with a container of this name if it is not empty.
    fn entry(ino: u64, container: &str, interfaces: Vec<Link>) -> Entry {
        let netns = NsId { ino, dev: 4 };
        let containers = (!container.is_empty()).then(|| RunningContainer {
            container: Box::new(Container {
                name: container.as_bytes().to_vec(),
                ..Container::unnamed("docker", b"b146", Source::Anywhere)
            }),
            pid: 7,
            start: 1,
            netns,
        });
        let containers = containers.into_iter().collect();
        let group = Group { namespace: Namespace::new(netns), is_host: false, containers };
        Entry { interfaces: Some(interfaces), ..Entry::new(group, true) }
    }

    fn link(index: u32, name: &str, kind: &str, addresses: &[&str]) -> Link {
        let address = |text: &&str| {
            let (ip, prefix) = text.split_once('/').unwrap();
            Address { ip: ip.parse().unwrap(), prefix: prefix.parse().unwrap() }
        };
        Link {
            name: name.as_bytes().to_vec(),
            index,
            kind: (!kind.is_empty()).then(|| kind.as_bytes().to_vec()),
            state: b"UP".to_vec(),
            mtu: 1500,
            mac: Vec::new(),
            is_loopback: name == "lo",
            master: None,
            addresses: addresses.iter().map(address).collect(),
            neighbour: None,
            remote: None,
        }
    }

    fn port(master: u32, link: Link) -> Link {
        Link { master: Some(master), ..link }
    }

    fn down(link: Link) -> Link {
        Link { state: b"LOWERLAYERDOWN".to_vec(), ..link }
    }

    /// Links it to interface `index` of namespace `inode`, as an end of a pair if it is a veth.
    fn to(inode: impl Into<Option<u64>>, index: u32, link: Link) -> Link {
        let is_peer = link.kind.as_deref() == Some(b"veth");
        let inode = inode.into();
        Link { neighbour: Some(Neighbour { is_peer, inode, index, name: None }), ..link }
    }

    fn listing(mut entries: Vec<Entry>) -> Listing {
        entries[0].group.is_host = true;
        entries.sort_by_key(Entry::inode);
        Listing { entries, only: None, home: 1, pin_directory: b"/run/netns", unknown: None }
    }

    #[track_caller]
    fn draws(listing: &Listing, expected: &str) {
        let picture = draw(listing, &LINES);
        assert_eq!(picture, expected.trim_start_matches('\n'), "\n{picture}");
        let strokes = [("├─ ", "|- "), ("└─ ", "\\- "), ("│  ", "|  "), (" ── ", " -- ")];
        let ascii = strokes.iter().fold(picture, |text, (line, ascii)| text.replace(line, ascii));
        assert_eq!(draw(listing, &ASCII), ascii);
    }

    /// The host of the design.
    fn host() -> Vec<Entry> {
        let mtu = |mtu, link| Link { mtu, ..link };
        let remote = Some("10.0.0.6".parse().unwrap());
        let host = vec![
            link(1, "lo", "", &["127.0.0.1/8"]),
            link(2, "eth0", "", &["10.0.0.5/24", "fe80::1/64"]),
            link(3, "docker0", "bridge", &["172.17.0.1/16"]),
            down(link(4, "br-shop", "bridge", &["172.18.0.1/16"])),
            link(5, "eth1", "", &[]),
            Link { remote, ..link(6, "flannel.1", "vxlan", &["10.244.3.0/32"]) },
            port(3, to(30, 2, link(7, "veth2d6e7a2", "veth", &[]))),
            port(3, to(31, 2, link(8, "veth77c1f02", "veth", &[]))),
        ];
        let mut blue = entry(20, "", vec![to(41, 2, link(2, "v1", "veth", &["198.51.100.1/30"]))]);
        blue.group.namespace.mounts = vec![b"/run/netns/blue".to_vec()];
        let sleep = to(20, 2, link(2, "v2", "veth", &["198.51.100.2/30"]));
        let mut sleep = entry(41, "", vec![link(1, "lo", "", &[]), sleep]);
        sleep.command = Some(b"sleep".to_vec());
        let mut nginx =
            entry(40, "", vec![link(1, "lo", "", &[]), down(link(2, "tunl0", "ipip", &[]))]);
        nginx.unit = Some(b"nginx.service".to_vec());
        vec![
            entry(50, "proxy", host),
            blue,
            entry(30, "web", vec![to(50, 7, link(2, "eth0", "veth", &["172.17.0.2/16"]))]),
            entry(
                31,
                "db",
                vec![mtu(1450, to(50, 8, link(2, "eth0", "veth", &["172.17.0.3/16"])))],
            ),
            entry(32, "mv", vec![to(50, 5, link(2, "eth0", "macvlan", &["192.0.2.9/24"]))]),
            nginx,
            sleep,
        ]
    }

    #[test]
    fn the_host_of_the_manual_is_drawn_so() {
        let mut listing = listing(host());
        draws(
            &listing,
            "
(host) 50
├─ eth0 10.0.0.5/24
├─ docker0 172.17.0.1/16 bridge
│  ├─ veth2d6e7a2 ── eth0 172.17.0.2/16 docker:web
│  └─ veth77c1f02 mtu 1500 ── mtu 1450 eth0 172.17.0.3/16 docker:db
├─ br-shop 172.18.0.1/16 bridge DOWN, no ports
├─ eth1
│  └─ macvlan eth0 192.0.2.9/24 docker:mv
└─ flannel.1 10.244.3.0/32 vxlan remote 10.0.0.6
blue 20
└─ v1 198.51.100.1/30 ── v2 198.51.100.2/30 [sleep] 41
nothing linked: nginx.service 40
",
        );
        // One of them alone.
        for (only, picture) in [
            (30, "docker:web 30\n└─ eth0 172.17.0.2/16 ── veth2d6e7a2 (host) 50\n"),
            (32, "docker:mv 32\n└─ eth0 192.0.2.9/24 macvlan on eth1 (host) 50\n"),
            (40, "nothing linked: nginx.service 40\n"),
        ] {
            listing.only = Some(only);
            draws(&listing, picture);
        }
        listing.entries[0].interfaces = None;
        (listing.only, listing.entries[1].interfaces) = (None, None);
        let picture = draw(&listing, &ASCII);
        assert!(picture.contains("|- veth2d6e7a2 -- if2 docker:web\n"), "{picture}");
        let last = "could not be read: blue 20, docker:web\nnothing linked: nginx.service 40\n";
        assert!(picture.ends_with(last), "{picture}");
    }

    #[test]
    fn what_was_drawn_elsewhere_has_a_heading_for_what_is_left() {
        let host = vec![
            link(2, "br0", "bridge", &[]),
            link(3, "eth0", "", &[]),
            // A bridge of bridges, with its other end in its own namespace, too.
            port(2, to(10, 5, link(4, "a", "veth", &[]))),
            port(6, to(10, 4, down(link(5, "b", "veth", &["192.0.2.1/24"])))),
            link(6, "br1", "bridge", &[]),
            port(2, to(20, 3, link(7, "up", "veth", &[]))),
            // A port of one interface that sits on another.
            port(2, to(10, 3, link(8, "eth0.5", "vlan", &[]))),
        ];
        let other = vec![
            link(2, "br9", "bridge", &[]),
            port(2, to(10, 7, link(3, "down", "veth", &[]))),
            link(4, "wg0", "wireguard", &["10.9.9.1/24"]),
            down(link(5, "tunl0", "ipip", &[])),
        ];
        // On an interface that is drawn as an other end, and below that in a third namespace.
        let eth0 = to(40, 3, link(2, "eth0", "veth", &["10.1.1.2/24"]));
        let third = vec![eth0, to(30, 2, link(3, "eth0.7", "vlan", &["10.1.7.2/24"]))];
        let host2 = vec![
            link(2, "lo", "", &["10.255.0.1/32", "127.0.0.1/8"]),
            to(30, 2, link(3, "v", "veth", &[])),
            to(30, 3, link(4, "mv", "macvlan", &[])),
        ];
        draws(
            &listing(vec![
                entry(10, "", host),
                entry(20, "", other),
                entry(30, "", third),
                entry(40, "c", host2),
            ]),
            "
(host) 10
├─ br0 bridge
│  ├─ a ── b 192.0.2.1/24 DOWN
│  ├─ up ── down 20
│  └─ eth0.5 vlan
├─ eth0
│  └─ eth0.5
└─ br1 bridge
   └─ b
20
├─ br9 bridge
│  └─ down
├─ wg0 10.9.9.1/24 wireguard
└─ tunl0 ipip DOWN
30
└─ eth0 10.1.1.2/24 ── v docker:c
   └─ eth0.7 10.1.7.2/24 vlan
      └─ macvlan mv docker:c
docker:c 40
└─ lo 10.255.0.1/32
",
        );
    }

    #[test]
    fn what_is_not_found_is_named_as_far_as_it_is_known() {
        let lost = to(99, 4, link(4, "c", "macvlan", &[]));
        let mut named = to(None, 8, link(5, "d", "veth", &[]));
        named.neighbour.as_mut().unwrap().name = Some(b"far \x1b".to_vec());
        let host = vec![
            to(None, 9, link(2, "a\x1b", "veth", &[])),
            to(20, 9, link(3, "b", "veth", &[])),
            lost,
            named,
            // Its bridge has gone meanwhile.
            port(77, link(6, "e", "", &[])),
        ];
        draws(
            &listing(vec![entry(10, "", host), entry(20, "x y", vec![])]),
            "
(host) 10
├─ a\\x1b ── if9 ?
├─ b ── if9 docker:x\\x20y
├─ c macvlan on if4 99
├─ d ── far\\x20\\x1b ?
└─ e
nothing linked: docker:x\\x20y
",
        );
    }

    /// Returns the edges of a picture, each as its two ends, as in `10.2 10.3`.
    fn edges_drawn(picture: &str) -> Vec<String> {
        let (mut edges, mut above): (_, Vec<&str>) = (Vec::new(), Vec::new());
        for line in picture.lines().filter(|line| !line.starts_with("nothing")) {
            let text = line.trim_start_matches(['│', '├', '└', '─', ' ']);
            let depth = (line.chars().count() - text.chars().count()) / 3;
            let ends: Vec<&str> = text.split(" ── ").collect();
            let first =
                |text: &str| text.split(' ').find(|word| word.contains('.')).map(str::to_owned);
            if depth == 0 {
                above.clear();
                continue;
            }
            above.truncate(depth - 1);
            let own = first(ends[0]).unwrap();
            if let Some(upper) = above.last() {
                edges.push(format!("{} {own}", first(upper).unwrap()));
            }
            if let Some(far) = ends.get(1) {
                let far = first(far).unwrap();
                let (low, high) = if own < far { (&own, &far) } else { (&far, &own) };
                edges.push(format!("{low} {high}"));
            }
            above.push(text);
        }
        edges.sort();
        edges
    }

    /// Whatever is linked to whatever, in circles too, the picture ends and has each edge once.
    #[test]
    fn each_edge_of_any_host_is_drawn_once() {
        let mut state: u64 = 7;
        let mut dice = |sides: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % sides
        };
        for _ in 0..2000 {
            let (entries, count) = (1 + dice(4), 1 + dice(6) as u32);
            let name = |ino: u64, index: u32| format!("{ino}.{index}");
            let mut links: Vec<Vec<Link>> = Vec::new();
            for ino in 0..entries {
                let one = |index| link(index, &name(ino, index), "bridge", &[]);
                links.push((1..=count).map(one).collect());
            }
            let mut edges = Vec::new();
            for ino in 0..entries {
                for index in 1..=count {
                    let at = (ino as usize, index as usize - 1);
                    let own = name(ino, index);
                    let (there, other) = (dice(entries), 1 + dice(count.into()) as u32);
                    let far = (there as usize, other as usize - 1);
                    match dice(4) {
                        0 if far != at
                            && links[at.0][at.1].neighbour.is_none()
                            && links[far.0][far.1].neighbour.is_none() =>
                        {
                            for (near, inode, index) in [(at, there, other), (far, ino, index)] {
                                let link = &mut links[near.0][near.1];
                                let peer = Neighbour {
                                    is_peer: true,
                                    inode: Some(inode),
                                    index,
                                    name: None,
                                };
                                link.neighbour = Some(peer);
                            }
                            let mut ends = [own, name(there, other)];
                            ends.sort();
                            edges.push(ends.join(" "));
                        }
                        1 if links[at.0][at.1].neighbour.is_none() && there == ino => {
                            let parent = Neighbour {
                                is_peer: false,
                                inode: Some(there),
                                index: other,
                                name: None,
                            };
                            links[at.0][at.1].neighbour = Some(parent);
                            edges.push(format!("{} {own}", name(there, other)));
                        }
                        2 => {
                            links[at.0][at.1].master = Some(other);
                            edges.push(format!("{} {own}", name(ino, other)));
                        }
                        _ => {}
                    }
                }
            }
            let entries = links.into_iter().zip(0..).map(|(links, ino)| entry(ino, "", links));
            let picture = draw(&listing(entries.collect()), &LINES);
            edges.sort();
            assert_eq!(edges_drawn(&picture), edges, "\n{picture}");
        }
    }
}
