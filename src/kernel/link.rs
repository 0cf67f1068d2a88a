//! Interfaces and their addresses, as rtnetlink(7) describes them.
//!
//! Pure functions, safe on any bytes.

#![forbid(unsafe_code)]

use super::attribute::{find, find_u32, u16_at, u32_at, until_nul};
use std::fmt::{self, Display, Formatter, Write};
use std::net::IpAddr;

// linux/rtnetlink.h
pub(super) const IFINFOMSG: usize = 16;
pub(super) const IFADDRMSG: usize = 8;

// linux/if_link.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_MTU: u16 = 4;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
pub(super) const IFLA_EXT_MASK: u16 = 29;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;
const IFLA_INFO_DATA: u16 = 2;

// linux/if_addr.h
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;

// linux/if.h, linux/if_arp.h and linux/socket.h
const IFF_LOOPBACK: u32 = 0x8;
const ARPHRD_TUNNEL: u16 = 768;
const ARPHRD_TUNNEL6: u16 = 769;
const ARPHRD_SIT: u16 = 776;
const ARPHRD_IPGRE: u16 = 778;
const ARPHRD_IP6GRE: u16 = 823;
const AF_INET: u8 = 2;
const AF_INET6: u8 = 10;

/// IF_OPER_UNKNOWN and so on, linux/if.h, in the spelling of `ip link`.
const STATES: [&str; 7] =
    ["UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"];

/// The kinds of which there are always two: IFLA_LINK is the other end.
const PAIRS: [&[u8]; 3] = [b"veth", b"netkit", b"vxcan"];
/// The kinds that always sit on another interface, which IFLA_LINK is.
const ON_ANOTHER: [&[u8]; 6] = [b"vlan", b"macvlan", b"macvtap", b"ipvlan", b"ipvtap", b"macsec"];

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, of any bytes but `/`, `:` and blanks.
    pub name: Vec<u8>,
    /// Its number in its namespace.
    pub index: u32,
    /// Its kind as `ip -d link` prints it: that of a driver in software, as `bridge`.
    pub kind: Option<Vec<u8>>,
    /// Its operational state as `ip link` prints it.
    pub state: &'static str,
    /// The size of the largest packet, in bytes.
    pub mtu: u32,
    /// Its hardware address as `ip link` prints it; empty where it has none.
    pub mac: String,
    /// Whether it is `lo`, by whatever name.
    pub loopback: bool,
    /// The number of the bridge or bond that it is a port of, if it is one.
    pub master: Option<u32>,
    /// Its IPv4 and IPv6 addresses.
    pub addresses: Vec<Address>,
    /// Its other end, if it is one of a pair.
    pub peer: Option<LinkRef>,
    /// The interface that it sits on, as a vlan does, if it sits on one.
    pub parent: Option<LinkRef>,
    /// The address at the other end of the tunnel that it is, where that has one: for a vxlan it
    /// may be that of a group.
    pub remote: Option<IpAddr>,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address itself.
    pub ip: IpAddr,
    /// How many of its bits are the network's.
    pub prefix: u8,
}

/// Another interface, as the kernel refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LinkRef {
    /// The number of its namespace in this one, -1 where the kernel could give none; None: it is
    /// this one.
    pub nsid: Option<i32>,
    /// Its number there.
    pub index: u32,
}

impl Display for Address {
    /// Writes it as `ip` prints it.
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        write!(out, "{}/{}", self.ip, self.prefix)
    }
}

/// Tells whether an address means nothing outside its link: RFC 3927, RFC 4291.
pub(crate) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(ip) => ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_unicast_link_local(),
    }
}

/// Reads a message of type RTM_NEWLINK.
pub(super) fn interface(body: &[u8]) -> Option<Interface> {
    let attributes = body.get(IFINFOMSG..)?;
    let (hardware, index, flags) = (u16_at(body, 2)?, u32_at(body, 4)?, u32_at(body, 8)?);
    let name = until_nul(find(attributes, IFLA_IFNAME)?);
    let state = find(attributes, IFLA_OPERSTATE).and_then(|state| state.first());
    let state = state.and_then(|state| STATES.get(usize::from(*state)));
    let info = find(attributes, IFLA_LINKINFO).unwrap_or_default();
    let kind = find(info, IFLA_INFO_KIND).map(until_nul).unwrap_or_default();
    let (link, is_pair) = (link_ref(attributes, index, kind), PAIRS.contains(&kind));
    Some(Interface {
        name: name.to_vec(),
        index,
        kind: (!kind.is_empty()).then(|| kind.to_vec()),
        state: state.unwrap_or(&STATES[0]),
        mtu: find_u32(attributes, IFLA_MTU).unwrap_or_default(),
        mac: hardware_address(hardware, find(attributes, IFLA_ADDRESS).unwrap_or_default()),
        loopback: flags & IFF_LOOPBACK != 0,
        master: find_u32(attributes, IFLA_MASTER),
        addresses: Vec::new(),
        peer: link.filter(|_| is_pair),
        parent: link.filter(|_| !is_pair),
        remote: remote(kind, find(info, IFLA_INFO_DATA).unwrap_or_default()),
    })
}

/// Returns the interface that interface `index` of this kind refers to, if it does.
fn link_ref(attributes: &[u8], index: u32, kind: &[u8]) -> Option<LinkRef> {
    let nsid = find_u32(attributes, IFLA_LINK_NETNSID).map(|nsid| nsid as i32);
    let needs_one = PAIRS.contains(&kind) || ON_ANOTHER.contains(&kind);
    let link = match find_u32(attributes, IFLA_LINK).filter(|link| *link != index) {
        // It has the same number in another namespace; before Linux 5.11 the kernel leaves that
        // out. Of kinds that need none it says the same, as of a vxlan that was moved, which sits
        // on none.
        None if nsid.is_some() && needs_one => index,
        link => link?,
    };
    // 0 while a pair is torn down, and for a tunnel that sits on none.
    (link != 0).then_some(LinkRef { nsid, index: link })
}

/// Returns the address at the other end of a tunnel of this kind.
fn remote(kind: &[u8], data: &[u8]) -> Option<IpAddr> {
    // IFLA_VXLAN_GROUP and GROUP6, IFLA_GENEVE_REMOTE and REMOTE6 (linux/if_link.h),
    // IFLA_GRE_REMOTE, IFLA_IPTUN_REMOTE and IFLA_VTI_REMOTE (linux/if_tunnel.h).
    let numbers = match kind {
        b"vxlan" => [2, 16],
        b"geneve" => [2, 7],
        b"gre" | b"gretap" | b"erspan" | b"ip6gre" | b"ip6gretap" | b"ip6erspan" => [7, 7],
        b"ipip" | b"sit" | b"ip6tnl" => [3, 3],
        b"vti" | b"vti6" => [5, 5],
        _ => return None,
    };
    let octets = numbers.iter().find_map(|number| find(data, *number))?;
    ipv4(octets).or_else(|| ipv6(octets)).filter(|ip| !ip.is_unspecified())
}

/// Reads a message of type RTM_NEWADDR: the interface's number and its address.
pub(super) fn address(body: &[u8]) -> Option<(u32, Address)> {
    let attributes = body.get(IFADDRMSG..)?;
    // Where both are there, IFA_ADDRESS is that of the other end.
    let octets = find(attributes, IFA_LOCAL).or_else(|| find(attributes, IFA_ADDRESS))?;
    let ip = match body[0] {
        AF_INET => ipv4(octets)?,
        AF_INET6 => ipv6(octets)?,
        _ => return None,
    };
    Some((u32_at(body, 4)?, Address { ip, prefix: body[1] }))
}

/// Returns a hardware address as `ip link` prints it. That of a tunnel is an IP address.
fn hardware_address(kind: u16, octets: &[u8]) -> String {
    let ip = match kind {
        ARPHRD_TUNNEL | ARPHRD_SIT | ARPHRD_IPGRE => ipv4(octets),
        ARPHRD_TUNNEL6 | ARPHRD_IP6GRE => ipv6(octets),
        _ => None,
    };
    if let Some(ip) = ip {
        return ip.to_string();
    }
    let mut text = String::with_capacity(3 * octets.len());
    for octet in octets {
        let separator = if text.is_empty() { "" } else { ":" };
        // A string takes whatever is written.
        let _ = write!(text, "{separator}{octet:02x}");
    }
    text
}

fn ipv4(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 4]>::try_from(octets).ok().map(IpAddr::from)
}

fn ipv6(octets: &[u8]) -> Option<IpAddr> {
    <[u8; 16]>::try_from(octets).ok().map(IpAddr::from)
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::kernel::attribute::tests::{attribute, number};

    /// The body of a message of type RTM_NEWLINK.
    pub(in crate::kernel) fn link(
        hardware: u16,
        index: u32,
        flags: u32,
        attributes: &[Vec<u8>],
    ) -> Vec<u8> {
        [
            &[0, 0],
            &hardware.to_ne_bytes()[..],
            &index.to_ne_bytes(),
            &flags.to_ne_bytes(),
            &[0; 4],
            &attributes.concat(),
        ]
        .concat()
    }

    pub(in crate::kernel) fn name(text: &[u8]) -> Vec<u8> {
        attribute(IFLA_IFNAME, &[text, b"\0"].concat())
    }

    pub(in crate::kernel) fn kind(kind: &[u8], data: &[Vec<u8>]) -> Vec<u8> {
        let kind = attribute(IFLA_INFO_KIND, kind);
        let data = attribute(IFLA_INFO_DATA | 0x8000, &data.concat());
        attribute(IFLA_LINKINFO | 0x8000, &[kind, data].concat())
    }

    pub(in crate::kernel) fn end_of_a_pair(nsid: i32, index: i32) -> Vec<u8> {
        let ends =
            [number(IFLA_LINK, index), number(IFLA_LINK_NETNSID, nsid), kind(b"veth\0", &[])];
        ends.concat()
    }

    /// Reads interface 7 with these attributes.
    fn read(attributes: &[Vec<u8>]) -> Interface {
        interface(&link(1, 7, 0, &[&[name(b"x")], attributes].concat())).unwrap()
    }

    #[test]
    fn an_interface_has_all_that_is_said_of_it() {
        let found = read(&[
            attribute(IFLA_OPERSTATE, &[2]),
            attribute(IFLA_ADDRESS, &[2, 0, 0xab, 0, 0, 1]),
            number(IFLA_MASTER, 4),
            number(IFLA_MTU, 1450),
            kind(b"bridge\0", &[]),
        ]);
        assert_eq!((&found.name[..], found.index, found.state), (&b"x"[..], 7, "DOWN"));
        assert_eq!((&*found.mac, found.master, found.mtu), ("02:00:ab:00:00:01", Some(4), 1450));
        assert_eq!((found.kind.as_deref(), found.remote), (Some(&b"bridge"[..]), None));
        let bare = read(&[kind(b"", &[])]);
        assert_eq!((bare.kind, bare.state, bare.mtu), (None, "UNKNOWN", 0));
    }

    #[test]
    fn only_pairs_have_a_peer_and_others_a_parent() {
        let both = |attributes: &[Vec<u8>]| {
            let found = read(attributes);
            (found.peer, found.parent)
        };
        let at = |nsid, index| Some(LinkRef { nsid, index });
        let link = number(IFLA_LINK, 9);
        let there = number(IFLA_LINK_NETNSID, 3);
        for pair in [&b"veth"[..], b"netkit", b"vxcan"] {
            let pair = kind(pair, &[]);
            assert_eq!(both(&[link.clone(), pair.clone()]), (at(None, 9), None));
            let unknown = [link.clone(), number(IFLA_LINK_NETNSID, -1), pair.clone()];
            assert_eq!(both(&unknown), (at(Some(-1), 9), None));
            assert_eq!(both(std::slice::from_ref(&pair)), (None, None));
            assert_eq!(both(&[number(IFLA_LINK, 0), pair]), (None, None));
        }
        for other in [&b"vlan"[..], b"macvlan", b"gretap", b"vethx", b""] {
            let other = kind(other, &[]);
            assert_eq!(both(&[link.clone(), other.clone()]), (None, at(None, 9)));
            let moved = [link.clone(), there.clone(), other.clone()];
            assert_eq!(both(&moved), (None, at(Some(3), 9)));
            assert_eq!(both(&[number(IFLA_LINK, 0), other]), (None, None));
        }
        assert_eq!(both(&[link]), (None, at(None, 9)));
        // The same number in another namespace, which old kernels leave out.
        let (said, left_out) = ([number(IFLA_LINK, 7), there.clone()], [there]);
        for same in [&said[..], &left_out] {
            let of = |name: &[u8]| both(&[same, &[kind(name, &[])]].concat());
            assert_eq!(of(b"veth"), (at(Some(3), 7), None));
            assert_eq!(of(b"macvlan"), (None, at(Some(3), 7)));
            // It was moved away from where it was made.
            assert_eq!(of(b"vxlan"), (None, None));
        }
    }

    #[test]
    fn tunnels_have_another_end() {
        let six = "2001:db8::6".parse::<std::net::Ipv6Addr>().unwrap().octets();
        let remote_of = |name: &[u8], number, octets: &[u8]| {
            let data = [attribute(1, &[0; 4]), attribute(number, octets)];
            read(&[kind(name, &data)]).remote.map(|ip| ip.to_string())
        };
        for (name, number) in [
            ("vxlan", 2),
            ("geneve", 2),
            ("gre", 7),
            ("gretap", 7),
            ("erspan", 7),
            ("ipip", 3),
            ("sit", 3),
            ("vti", 5),
        ] {
            let found = remote_of(name.as_bytes(), number, &[10, 0, 0, 6]);
            assert_eq!(found.as_deref(), Some("10.0.0.6"), "{name}");
            assert_eq!(remote_of(name.as_bytes(), number, &[0; 4]), None, "{name}");
            assert_eq!(remote_of(name.as_bytes(), number + 30, &[10, 0, 0, 6]), None, "{name}");
        }
        for (name, number) in [
            ("vxlan", 16),
            ("geneve", 7),
            ("ip6gre", 7),
            ("ip6gretap", 7),
            ("ip6erspan", 7),
            ("ip6tnl", 3),
            ("vti6", 5),
        ] {
            let found = remote_of(name.as_bytes(), number, &six);
            assert_eq!(found.as_deref(), Some("2001:db8::6"), "{name}");
            assert_eq!(remote_of(name.as_bytes(), number, &[0; 16]), None, "{name}");
        }
        assert_eq!(remote_of(b"bridge", 2, &[10, 0, 0, 6]), None);
    }

    #[test]
    fn hardware_addresses_are_those_of_ip_link() {
        assert_eq!(hardware_address(ARPHRD_SIT, &[192, 0, 2, 1]), "192.0.2.1");
        assert_eq!(hardware_address(ARPHRD_TUNNEL6, &[0; 16]), "::");
        assert_eq!(hardware_address(1, &[0; 4]), "00:00:00:00");
        assert_eq!(hardware_address(ARPHRD_TUNNEL, &[]), "");
    }

    #[test]
    fn link_local_addresses_are_told() {
        for (text, expected) in [
            ("169.254.0.1", true),
            ("fe80::1", true),
            ("febf::1", true),
            ("10.0.0.1", false),
            ("fec0::1", false),
            ("::ffff:169.254.0.1", false),
        ] {
            assert_eq!(is_link_local(text.parse().unwrap()), expected, "{text}");
        }
    }
}
