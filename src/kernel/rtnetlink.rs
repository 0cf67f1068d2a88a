//! rtnetlink(7): what the kernel answers about interfaces, addresses and the numbers of namespaces.
//!
//! Pure functions, safe on any bytes; [`super::sock`] has the conversation.

#![forbid(unsafe_code)]

use rustix::io::{self, Errno};
use std::fmt::{self, Display, Formatter, Write};
use std::net::IpAddr;

// linux/netlink.h
pub(super) const HEADER: usize = 16;
pub(super) const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_MULTI: u16 = 0x2;
const NLM_F_DUMP_INTR: u16 = 0x10;
pub(super) const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
const NLMSGERR_ATTR_MSG: u16 = 1;
/// The two upper bits of an attribute's type are flags.
const NLA_TYPE_MASK: u16 = 0x3fff;

// linux/rtnetlink.h
const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
pub(super) const RTM_GETADDR: u16 = 22;
const RTM_NEWNSID: u16 = 88;
pub(super) const RTM_GETNSID: u16 = 90;
pub(super) const RTEXT_FILTER_SKIP_STATS: u32 = 8;
pub(super) const IFINFOMSG: usize = 16;
pub(super) const IFADDRMSG: usize = 8;
pub(super) const RTGENMSG: usize = 4;

// linux/if_link.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_MASTER: u16 = 10;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
pub(super) const IFLA_EXT_MASK: u16 = 29;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;

// linux/if_addr.h and linux/net_namespace.h
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const NETNSA_NSID: u16 = 1;
pub(super) const NETNSA_FD: u16 = 3;
const NETNSA_NSID_NOT_ASSIGNED: i32 = -1;

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

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, of any bytes but `/`, `:` and blanks.
    pub name: Vec<u8>,
    /// Its number in its namespace.
    pub index: u32,
    /// Its operational state as `ip link` prints it.
    pub state: &'static str,
    /// Its hardware address as `ip link` prints it; empty where it has none.
    pub mac: String,
    /// Whether it is `lo`, by whatever name.
    pub loopback: bool,
    /// The number of the bridge or bond that it is a port of, if it is one.
    pub master: Option<u32>,
    /// Its IPv4 and IPv6 addresses.
    pub addresses: Vec<Address>,
    /// Its other end, if it is one of a pair.
    pub peer: Option<Peer>,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address itself.
    pub ip: IpAddr,
    /// How many of its bits are the network's.
    pub prefix: u8,
}

/// The other end of a veth or netkit interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
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

/// What the kernel has answered so far. What makes no sense in it is left out.
#[derive(Debug, Default)]
pub struct Answer {
    /// The interfaces of a dump of links, without addresses.
    interfaces: Vec<Interface>,
    /// The addresses of a dump of those, with the numbers of their interfaces.
    addresses: Vec<(u32, Address)>,
    /// The number of a namespace, if it has one.
    pub nsid: Option<i32>,
    /// Whether something changed meanwhile, so that some of it may be missing.
    pub interrupted: bool,
    /// The kernel's words for a refusal, if it has any.
    pub words: Vec<u8>,
}

/// What an answer repeats of its question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Id {
    /// The question's number.
    pub sequence: u32,
    /// The socket's address.
    pub port: u32,
}

impl Answer {
    /// Takes one datagram of the answer to `question`; tells whether it was the last.
    ///
    /// # Errors
    /// What the kernel says, or EBADMSG for what it would never say.
    pub fn take(&mut self, mut datagram: &[u8], question: Id) -> io::Result<bool> {
        while !datagram.is_empty() {
            let message = take_message(&mut datagram).ok_or(Errno::BADMSG)?;
            if message.id != question {
                continue;
            }
            self.interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
            match message.kind {
                NLMSG_NOOP => continue,
                NLMSG_OVERRUN => return Err(Errno::OVERFLOW),
                NLMSG_ERROR | NLMSG_DONE => return self.take_verdict(&message).map(|()| true),
                RTM_NEWLINK => self.interfaces.extend(interface(message.body)),
                RTM_NEWADDR => self.addresses.extend(address(message.body)),
                RTM_NEWNSID => self.nsid = nsid(message.body),
                _ => {}
            }
            if message.flags & NLM_F_MULTI == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Returns the interfaces with their addresses, each interface once, in the order of their
    /// numbers. A dump that is interrupted may repeat an address, which is kept: to compare each
    /// with all would take too long of a user's hundred thousand.
    pub fn into_interfaces(self) -> Vec<Interface> {
        let mut interfaces = self.interfaces;
        interfaces.sort_unstable_by_key(|interface| interface.index);
        interfaces.dedup_by_key(|interface| interface.index);
        for (index, address) in self.addresses {
            if let Ok(at) = interfaces.binary_search_by_key(&index, |interface| interface.index) {
                interfaces[at].addresses.push(address);
            }
        }
        interfaces
    }

    /// Takes the verdict in a message of type NLMSG_ERROR or NLMSG_DONE; the latter has one since
    /// Linux 4.14 or so.
    fn take_verdict(&mut self, message: &Message<'_>) -> io::Result<()> {
        let code = match u32_at(message.body, 0) {
            Some(code) => code as i32,
            None if message.kind == NLMSG_DONE => 0,
            None => return Err(Errno::BADMSG),
        };
        if code == 0 {
            return Ok(());
        }
        self.words = until_nul(words(message).unwrap_or_default()).to_vec();
        // The kernel's numbers are from -4095 to -1.
        match code {
            -4095..0 => Err(Errno::from_raw_os_error(-code)),
            _ => Err(Errno::BADMSG),
        }
    }
}

/// Reads a message of type RTM_NEWLINK.
fn interface(body: &[u8]) -> Option<Interface> {
    let attributes = body.get(IFINFOMSG..)?;
    let (hardware, index, flags) = (u16_at(body, 2)?, u32_at(body, 4)?, u32_at(body, 8)?);
    let name = until_nul(find(attributes, IFLA_IFNAME)?);
    let state = find(attributes, IFLA_OPERSTATE).and_then(|state| state.first());
    let state = state.and_then(|state| STATES.get(usize::from(*state)));
    Some(Interface {
        name: name.to_vec(),
        index,
        state: state.unwrap_or(&STATES[0]),
        mac: hardware_address(hardware, find(attributes, IFLA_ADDRESS).unwrap_or_default()),
        loopback: flags & IFF_LOOPBACK != 0,
        master: find_u32(attributes, IFLA_MASTER),
        addresses: Vec::new(),
        peer: peer(attributes),
    })
}

fn peer(attributes: &[u8]) -> Option<Peer> {
    let kind = until_nul(find(find(attributes, IFLA_LINKINFO)?, IFLA_INFO_KIND)?);
    // IFLA_LINK of others, such as vlan, is what they sit on.
    if !matches!(kind, b"veth" | b"netkit") {
        return None;
    }
    // 0 while the pair is torn down.
    let index = find_u32(attributes, IFLA_LINK).filter(|index| *index != 0)?;
    let nsid = find_u32(attributes, IFLA_LINK_NETNSID);
    Some(Peer { nsid: nsid.map(|nsid| nsid as i32), index })
}

/// Reads a message of type RTM_NEWADDR: the interface's number and its address.
fn address(body: &[u8]) -> Option<(u32, Address)> {
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

/// Reads a message of type RTM_NEWNSID.
fn nsid(body: &[u8]) -> Option<i32> {
    let nsid = find_u32(body.get(RTGENMSG..)?, NETNSA_NSID)? as i32;
    Some(nsid).filter(|nsid| *nsid != NETNSA_NSID_NOT_ASSIGNED)
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

/// One message of a datagram.
struct Message<'a> {
    kind: u16,
    flags: u16,
    id: Id,
    body: &'a [u8],
}

/// Splits the first message off a datagram.
fn take_message<'a>(rest: &mut &'a [u8]) -> Option<Message<'a>> {
    let length = u32_at(rest, 0)? as usize;
    let body = rest.get(HEADER..length)?;
    let id = Id { sequence: u32_at(rest, 8)?, port: u32_at(rest, 12)? };
    let message = Message { kind: u16_at(rest, 4)?, flags: u16_at(rest, 6)?, id, body };
    *rest = rest.get(align(length)..).unwrap_or_default();
    Some(message)
}

/// Returns the kernel's words in a message of type NLMSG_ERROR or NLMSG_DONE, if there are some.
fn words<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    if message.flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    // An error repeats the question, of which NLM_F_CAPPED leaves only the header.
    let question = match (message.kind, message.flags & NLM_F_CAPPED) {
        (NLMSG_DONE, _) => 0,
        (_, 0) => {
            let length = u32_at(message.body, 4).unwrap_or(HEADER as u32);
            align(length.min(u32::from(u16::MAX)) as usize)
        }
        _ => HEADER,
    };
    find(message.body.get(4 + question..)?, NLMSGERR_ATTR_MSG)
}

/// Returns the value of the first attribute of this type.
fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let length = usize::from(u16_at(attributes, 0)?);
        let kind = u16_at(attributes, 2)? & NLA_TYPE_MASK;
        let value = attributes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        attributes = attributes.get(align(length)..)?;
    }
}

/// Returns the value of 32 bits of the first attribute of this type.
fn find_u32(attributes: &[u8], wanted: u16) -> Option<u32> {
    u32_at(find(attributes, wanted)?, 0)
}

fn align(length: usize) -> usize {
    length.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_ne_bytes)
}

fn until_nul(text: &[u8]) -> &[u8] {
    text.split(|byte| *byte == 0).next().unwrap_or_default()
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    const QUESTION: Id = Id { sequence: 7, port: 4242 };

    pub(in crate::kernel) fn message(kind: u16, flags: u16, id: Id, body: &[u8]) -> Vec<u8> {
        let length = (HEADER + body.len()) as u32;
        let mut bytes = [
            &length.to_ne_bytes()[..],
            &kind.to_ne_bytes(),
            &flags.to_ne_bytes(),
            &id.sequence.to_ne_bytes(),
            &id.port.to_ne_bytes(),
            body,
        ]
        .concat();
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let length = (4 + value.len()) as u16;
        let mut bytes = [&length.to_ne_bytes(), &kind.to_ne_bytes(), value].concat();
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    fn link(hardware: u16, index: u32, flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let body = [
            &[0, 0],
            &hardware.to_ne_bytes()[..],
            &index.to_ne_bytes(),
            &flags.to_ne_bytes(),
            &[0; 4],
            &attributes.concat(),
        ]
        .concat();
        message(RTM_NEWLINK, NLM_F_MULTI, QUESTION, &body)
    }

    fn address(family: u8, prefix: u8, index: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let head = [&[family, prefix, 0, 0], &index.to_ne_bytes()[..]].concat();
        message(RTM_NEWADDR, NLM_F_MULTI, QUESTION, &[head, attributes.concat()].concat())
    }

    fn taken(datagrams: &[Vec<u8>]) -> Answer {
        let mut answer = Answer::default();
        for datagram in datagrams {
            assert_eq!(answer.take(datagram, QUESTION), Ok(false));
        }
        answer
    }

    fn name(text: &[u8]) -> Vec<u8> {
        attribute(IFLA_IFNAME, &[text, b"\0"].concat())
    }

    fn pair(kind: &[u8]) -> Vec<u8> {
        attribute(IFLA_LINKINFO | 0x8000, &attribute(IFLA_INFO_KIND, kind))
    }

    pub(in crate::kernel) fn number(kind: u16, value: i32) -> Vec<u8> {
        attribute(kind, &value.to_ne_bytes())
    }

    #[test]
    fn links_and_addresses_come_together() {
        let end = [number(IFLA_LINK, 9), number(IFLA_LINK_NETNSID, 3), pair(b"veth\0")];
        let state = attribute(IFLA_OPERSTATE, &[6]);
        let mac = attribute(IFLA_ADDRESS, &[2, 0, 0xab, 0, 0, 1]);
        let master = number(IFLA_MASTER, 4);
        let veth = [&[name(b"\x1b[\xff"), state, mac, master][..], &end].concat();
        let local = [attribute(IFA_ADDRESS, &[10, 0, 0, 2]), attribute(IFA_LOCAL, &[10, 0, 0, 1])];
        let wide = "fd00::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
        let answer = taken(&[
            [link(772, 1, IFF_LOOPBACK, &[name(b"lo")]), link(1, 7, 0, &veth)].concat(),
            link(1, 7, 0, &veth),
            [
                address(AF_INET, 24, 7, &local),
                address(AF_INET6, 64, 7, &[attribute(IFA_ADDRESS, &wide)]),
                address(AF_INET, 24, 8, &local),
                address(AF_INET, 24, 7, &[attribute(IFA_LOCAL, &wide)]),
                address(99, 24, 7, &local),
            ]
            .concat(),
        ]);
        assert!(!answer.interrupted);
        let found = answer.into_interfaces();
        let [lo, veth] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&lo.name[..], lo.loopback, lo.state), (&b"lo"[..], true, "UNKNOWN"));
        assert_eq!((&*lo.mac, lo.master, veth.master), ("", None, Some(4)));
        assert_eq!((&veth.name[..], veth.index), (&b"\x1b[\xff"[..], 7));
        assert_eq!((veth.loopback, veth.state), (false, "UP"));
        assert_eq!(veth.mac, "02:00:ab:00:00:01");
        assert_eq!(veth.peer, Some(Peer { nsid: Some(3), index: 9 }));
        let shown: Vec<String> = veth.addresses.iter().map(Address::to_string).collect();
        assert_eq!(shown, ["10.0.0.1/24", "fd00::1/64"]);
    }

    /// What takes the square of their number is not at an end while anybody waits.
    #[test]
    fn as_many_are_taken_as_a_user_makes() {
        const LINKS: u32 = 40_000;
        const ADDRESSES: u32 = 200_000;
        let mut answer = Answer::default();
        let mut take = |datagram: &[u8]| assert_eq!(answer.take(datagram, QUESTION), Ok(false));
        for index in 1..=LINKS {
            take(&link(1, index, 0, &[name(b"x")]));
        }
        let mut message = address(AF_INET6, 128, LINKS, &[attribute(IFA_ADDRESS, &[0; 16])]);
        for number in 1..=ADDRESSES {
            *message.last_chunk_mut().unwrap() = number.to_be_bytes();
            take(&message);
        }
        let found = answer.into_interfaces();
        assert_eq!(found.len(), LINKS as usize);
        assert_eq!(found.last().unwrap().addresses.len(), ADDRESSES as usize);
    }

    #[test]
    fn only_pairs_have_a_peer() {
        let peer_of = |attributes: &[Vec<u8>]| {
            let answer = taken(&[link(1, 7, 0, &[&[name(b"x")], attributes].concat())]);
            answer.into_interfaces()[0].peer
        };
        let link = number(IFLA_LINK, 9);
        let here = Some(Peer { nsid: None, index: 9 });
        assert_eq!(peer_of(&[link.clone(), pair(b"netkit")]), here);
        let unknown = [link.clone(), number(IFLA_LINK_NETNSID, -1), pair(b"veth")];
        assert_eq!(peer_of(&unknown), Some(Peer { nsid: Some(-1), index: 9 }));
        for kind in [&b"vlan"[..], b"vethx", b""] {
            assert_eq!(peer_of(&[link.clone(), pair(kind)]), None);
        }
        assert_eq!(peer_of(&[pair(b"veth")]), None);
        assert_eq!(peer_of(&[number(IFLA_LINK, 0), pair(b"veth")]), None);
        assert_eq!(peer_of(&[link]), None);
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

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let body = [&[0; RTGENMSG][..], &number(NETNSA_NSID, 5)].concat();
        let failure = (-1i32).to_ne_bytes();
        let mut answer = Answer::default();
        for id in [Id { sequence: 8, ..QUESTION }, Id { port: 1, ..QUESTION }] {
            for (kind, body) in [(RTM_NEWNSID, &body[..]), (NLMSG_ERROR, &failure)] {
                assert_eq!(answer.take(&message(kind, 0, id, body), QUESTION), Ok(false));
            }
        }
        assert_eq!(answer.nsid, None);
        assert_eq!(answer.take(&message(RTM_NEWNSID, 0, QUESTION, &body), QUESTION), Ok(true));
        assert_eq!(answer.nsid, Some(5));
        assert_eq!(nsid(&[&[0; RTGENMSG][..], &number(NETNSA_NSID, -1)].concat()), None);
    }

    #[test]
    fn a_dump_ends_with_a_verdict() {
        let take = |kind, flags, body: &[u8]| {
            let mut answer = Answer::default();
            let taken = answer.take(&message(kind, flags, QUESTION, body), QUESTION);
            (taken, answer.interrupted)
        };
        assert_eq!(take(NLMSG_DONE, NLM_F_MULTI, &[0; 4]), (Ok(true), false));
        assert_eq!(take(NLMSG_DONE, NLM_F_MULTI, &[]), (Ok(true), false));
        assert_eq!(take(NLMSG_DONE, NLM_F_DUMP_INTR, &[0; 4]), (Ok(true), true));
        assert_eq!(take(RTM_NEWLINK, NLM_F_MULTI | NLM_F_DUMP_INTR, &[]), (Ok(false), true));
        assert_eq!(take(NLMSG_NOOP, 0, &[]), (Ok(false), false));
        assert_eq!(take(NLMSG_OVERRUN, 0, &[]), (Err(Errno::OVERFLOW), false));
        for odd in [1, -4096, i32::MIN] {
            assert_eq!(take(NLMSG_ERROR, 0, &odd.to_ne_bytes()).0, Err(Errno::BADMSG));
        }
        assert_eq!(take(NLMSG_ERROR, 0, &[]).0, Err(Errno::BADMSG));
    }

    #[test]
    fn the_kernels_words_are_found() {
        let words = attribute(NLMSGERR_ATTR_MSG, b"no such thing\0");
        let code = (-Errno::INVAL.raw_os_error()).to_ne_bytes();
        let question = message(RTM_GETLINK, 0, QUESTION, &[0; 10]);
        let head = &question[..HEADER];
        let fault = |kind, flags, parts: &[&[u8]]| {
            let mut answer = Answer::default();
            let taken = answer.take(&message(kind, flags, QUESTION, &parts.concat()), QUESTION);
            (taken.unwrap_err(), answer.words)
        };
        let expected = (Errno::INVAL, b"no such thing".to_vec());
        let wordless = (Errno::INVAL, Vec::new());
        let (capped, tlvs) = (NLM_F_CAPPED, NLM_F_ACK_TLVS);
        assert_eq!(fault(NLMSG_ERROR, capped | tlvs, &[&code, head, &words]), expected);
        assert_eq!(fault(NLMSG_ERROR, tlvs, &[&code, &question, &words]), expected);
        assert_eq!(fault(NLMSG_DONE, tlvs, &[&code, &words]), expected);
        assert_eq!(fault(NLMSG_ERROR, capped, &[&code, head, &words]), wordless);
        // A length that leads out of the message.
        let mut lie = question.clone();
        lie[..4].fill(0xff);
        assert_eq!(fault(NLMSG_ERROR, tlvs, &[&code, &lie, &words]), wordless);
    }

    /// Every cut and every changed byte of a datagram gives some answer.
    #[test]
    fn any_bytes_are_taken() {
        let state = attribute(IFLA_OPERSTATE, &[200]);
        let veth = [name(b"eth0"), number(IFLA_LINK, 9), pair(b"veth"), state];
        let whole = [
            link(1, 7, 0, &veth),
            address(AF_INET, 24, 7, &[attribute(IFA_LOCAL, &[10, 0, 0, 1])]),
            message(NLMSG_DONE, NLM_F_MULTI | NLM_F_ACK_TLVS, QUESTION, &[0xff; 12]),
        ]
        .concat();
        for end in 0..whole.len() {
            let mut answer = Answer::default();
            let _ = answer.take(&whole[..end], QUESTION);
            for value in [0, 1, 3, 0x7f, 0xff] {
                let mut changed = whole.clone();
                changed[end] = value;
                let _ = answer.take(&changed, QUESTION);
            }
        }
        assert_eq!(Answer::default().take(&whole[..20], QUESTION), Err(Errno::BADMSG));
    }
}
