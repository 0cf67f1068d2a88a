//! rtnetlink(7): the interfaces and addresses of the network namespace we are in, and the numbers it gives to other namespaces.
//!
//! A socket belongs to the namespace it was opened in, so every question opens one and closes it. Answers are understood by pure
//! functions, which are safe on any bytes.

#![forbid(unsafe_code)]

use crate::bytes::{Bytes, keep};
use crate::content::Content;
use crate::error::{Error, Result};
use crate::ip::{self, Ip};
use crate::netns::own_id;
use crate::sys::set_netlink_option;
use crate::text::{hex, text};
use rustix::fd::{AsRawFd, BorrowedFd, OwnedFd};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, getsockname, recv, send, socket_with,
};

// linux/netlink.h
const HEADER: usize = 16;
const NLM_F_REQUEST: u16 = 0x1;
const NLM_F_MULTI: u16 = 0x2;
const NLM_F_DUMP_INTR: u16 = 0x10;
const NLM_F_DUMP: u16 = 0x300;
const NLM_F_CAPPED: u16 = 0x100;
const NLM_F_ACK_TLVS: u16 = 0x200;
const NLMSG_NOOP: u16 = 1;
const NLMSG_ERROR: u16 = 2;
const NLMSG_DONE: u16 = 3;
const NLMSG_OVERRUN: u16 = 4;
const NLMSGERR_ATTR_MSG: u16 = 1;
/// The two upper bits of an attribute's type are flags.
const NLA_TYPE_MASK: u16 = 0x3fff;
/// Answers to errors are short (Linux 4.3) and have text (4.12), and requests are read strictly (4.20).
const OPTIONS: [i32; 3] = [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK];
const NETLINK_CAP_ACK: i32 = 10;
const NETLINK_EXT_ACK: i32 = 11;
const NETLINK_GET_STRICT_CHK: i32 = 12;

// linux/rtnetlink.h
const RTM_NEWLINK: u16 = 16;
const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
const RTM_GETADDR: u16 = 22;
const RTM_NEWNSID: u16 = 88;
const RTM_GETNSID: u16 = 90;
const RTEXT_FILTER_SKIP_STATS: u32 = 8;
const IFINFOMSG: usize = 16;
const IFADDRMSG: usize = 8;
const RTGENMSG: usize = 4;

// linux/if_link.h
const IFLA_ADDRESS: u16 = 1;
const IFLA_IFNAME: u16 = 3;
const IFLA_LINK: u16 = 5;
const IFLA_OPERSTATE: u16 = 16;
const IFLA_LINKINFO: u16 = 18;
const IFLA_EXT_MASK: u16 = 29;
const IFLA_LINK_NETNSID: u16 = 37;
const IFLA_INFO_KIND: u16 = 1;

// linux/if_addr.h and linux/net_namespace.h
const IFA_ADDRESS: u16 = 1;
const IFA_LOCAL: u16 = 2;
const NETNSA_NSID: u16 = 1;
const NETNSA_FD: u16 = 3;
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
const STATES: [&str; 7] = ["UNKNOWN", "NOTPRESENT", "DOWN", "LOWERLAYERDOWN", "TESTING", "DORMANT", "UP"];

/// Datagrams of a dump are no larger, unless one interface alone needs more.
const BUFFER: usize = 32 << 10;
/// How often to ask again while interfaces come and go.
const ATTEMPTS: u32 = 10;

/// A network interface.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Interface {
    /// Its name, of any bytes but `/`, `:` and blanks.
    pub name: Bytes,
    /// Its number in its namespace.
    pub index: u32,
    /// Its operational state as `ip link` prints it.
    pub state: &'static str,
    /// Its hardware address as `ip link` prints it; empty where it has none.
    pub mac: Bytes,
    /// Whether it is `lo`, by whatever name.
    pub loopback: bool,
    /// Its IPv4 and IPv6 addresses.
    pub addresses: Vec<Address>,
    /// Its other end, if it is one of a pair.
    pub peer: Option<Peer>,
}

/// An address of an interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address {
    /// The address itself.
    pub ip: Ip,
    /// How many of its bits are the network's.
    pub prefix: u8,
}

/// The other end of a veth or netkit interface.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// The number of its namespace in this one, -1 where the kernel could give none; None: it is this one.
    pub nsid: Option<i32>,
    /// Its number there.
    pub index: u32,
}

impl Address {
    /// As `ip` prints it.
    pub fn text(&self) -> Bytes {
        text!("{}/{}", ip::text(self.ip), u32::from(self.prefix))
    }
}

/// The interfaces of the namespace we are in, in the order of their numbers.
///
/// Where interfaces come and go all the time this is what was seen last: nobody may keep others from being looked at.
///
/// # Errors
/// Where the kernel refuses.
pub fn interfaces() -> Result<&'static [Box<Interface>]> {
    let without_stats = [0, 0, 0, 0, pair(ATTRIBUTE, IFLA_EXT_MASK), RTEXT_FILTER_SKIP_STATS];
    let links = Request { kind: RTM_GETLINK, flags: NLM_F_DUMP, body: &without_stats };
    let addresses = Request { kind: RTM_GETADDR, flags: NLM_F_DUMP, body: &[0; IFADDRMSG / 4] };
    let mut answer = Answer::default();
    match converse(&[links, addresses], &mut answer) {
        Ok(()) => Ok(answer.interfaces.leak()),
        Err(errno) => {
            let inode = own_id().map_or(0, |id| id.ino);
            Err(answer.cannot(text!("list the interfaces of network namespace {}", inode), errno))
        }
    }
}

/// The number by which the namespace we are in knows the namespace `fd`, if it does.
///
/// # Errors
/// Where the kernel refuses; one before Linux 4.0 has no such numbers, which is no error.
pub fn nsid_of(fd: BorrowedFd<'_>) -> Result<Option<i32>> {
    let body = [0, pair(ATTRIBUTE, NETNSA_FD), fd.as_raw_fd() as u32];
    let mut answer = Answer::default();
    match converse(&[Request { kind: RTM_GETNSID, flags: 0, body: &body }], &mut answer) {
        Ok(()) => Ok(answer.nsid),
        Err(Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(answer.cannot(b"ask for the number of a network namespace", errno)),
    }
}

fn add_link(interfaces: &mut Vec<Box<Interface>>, body: &[u8]) -> Option<()> {
    let attributes = body.get(IFINFOMSG..)?;
    let hardware = u16_at(body, 2)?;
    let index = u32_at(body, 4)?;
    let flags = u32_at(body, 8)?;
    let name = until_nul(find(attributes, IFLA_IFNAME)?);
    let state = find(attributes, IFLA_OPERSTATE).and_then(|state| STATES.get(usize::from(*state.first()?)));
    // A dump that is interrupted may have one twice.
    if interfaces.iter().all(|known| known.index != index) {
        interfaces.push(Box::new(Interface {
            name: keep(name),
            index,
            state: state.unwrap_or(&STATES[0]),
            mac: hardware_address(hardware, find(attributes, IFLA_ADDRESS).unwrap_or_default()),
            loopback: flags & IFF_LOOPBACK != 0,
            addresses: Vec::new(),
            peer: peer(attributes),
        }));
    }
    Some(())
}

fn peer(attributes: &[u8]) -> Option<Peer> {
    let kind = until_nul(find(find(attributes, IFLA_LINKINFO)?, IFLA_INFO_KIND)?);
    // IFLA_LINK of others, such as vlan, is what they sit on.
    if !matches!(kind, b"veth" | b"netkit") {
        return None;
    }
    // 0 while the pair is torn down.
    let index = u32_at(find(attributes, IFLA_LINK)?, 0).filter(|index| *index != 0)?;
    let nsid = find(attributes, IFLA_LINK_NETNSID).and_then(|nsid| u32_at(nsid, 0));
    Some(Peer { nsid: nsid.map(|nsid| nsid as i32), index })
}

fn add_address(interfaces: &mut [Box<Interface>], body: &[u8]) -> Option<()> {
    let attributes = body.get(IFADDRMSG..)?;
    let index = u32_at(body, 4)?;
    // Where both are there, IFA_ADDRESS is that of the other end.
    let bytes = find(attributes, IFA_LOCAL).or_else(|| find(attributes, IFA_ADDRESS))?;
    let ip = match body[0] {
        AF_INET => ip_of(bytes, 4)?,
        AF_INET6 => ip_of(bytes, 16)?,
        _ => return None,
    };
    let interface = interfaces.iter_mut().find(|known| known.index == index)?;
    let address = Address { ip, prefix: body[1] };
    if !interface.addresses.contains(&address) {
        interface.addresses.push(address);
    }
    Some(())
}

fn nsid(body: &[u8]) -> Option<i32> {
    let nsid = u32_at(find(body.get(RTGENMSG..)?, NETNSA_NSID)?, 0)? as i32;
    Some(nsid).filter(|nsid| *nsid != NETNSA_NSID_NOT_ASSIGNED)
}

/// Tunnels have IP addresses for hardware addresses; `ip link` prints them as such.
fn hardware_address(kind: u16, bytes: &[u8]) -> Bytes {
    let ip = match kind {
        ARPHRD_TUNNEL | ARPHRD_SIT | ARPHRD_IPGRE => ip_of(bytes, 4),
        ARPHRD_TUNNEL6 | ARPHRD_IP6GRE => ip_of(bytes, 16),
        _ => None,
    };
    if let Some(ip) = ip {
        return ip::text(ip);
    }
    let mut text = Vec::new();
    for byte in bytes {
        if !text.is_empty() {
            text.push(b':');
        }
        text.extend_from_slice(&hex(*byte));
    }
    keep(text)
}

fn ip_of(bytes: &[u8], octets: usize) -> Option<Ip> {
    (bytes.len() == octets).then(|| keep(bytes))
}

/// What the kernel said, or why not.
type Said<T> = std::result::Result<T, Errno>;

/// One message of a datagram.
struct Message<'a> {
    kind: u16,
    flags: u16,
    id: Id,
    body: &'a [u8],
}

/// What an answer repeats of its question.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Id {
    /// The question's number.
    pub sequence: u32,
    /// The socket's address.
    pub port: u32,
}

fn take_message<'a>(rest: &mut &'a [u8]) -> Option<Message<'a>> {
    let len = u32_at(rest, 0)? as usize;
    let body = rest.get(HEADER..len)?;
    let id = Id { sequence: u32_at(rest, 8)?, port: u32_at(rest, 12)? };
    let message = Message { kind: u16_at(rest, 4)?, flags: u16_at(rest, 6)?, id, body };
    *rest = rest.get(align(len)..).unwrap_or_default();
    Some(message)
}

/// The value of the first attribute of this type.
fn find(mut attributes: &[u8], wanted: u16) -> Option<&[u8]> {
    loop {
        let len = usize::from(u16_at(attributes, 0)?);
        let kind = u16_at(attributes, 2)? & NLA_TYPE_MASK;
        let value = attributes.get(4..len)?;
        if kind == wanted {
            return Some(value);
        }
        attributes = attributes.get(align(len)..)?;
    }
}

fn align(len: usize) -> usize {
    len.next_multiple_of(4)
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    let bytes = bytes.get(at..at + 2)?;
    bytes.try_into().ok().map(u16::from_ne_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    let bytes = bytes.get(at..at + 4)?;
    bytes.try_into().ok().map(u32::from_ne_bytes)
}

fn until_nul(text: &[u8]) -> &[u8] {
    let end = text.iter().position(|b| *b == 0).unwrap_or(text.len());
    &text[..end]
}

/// What the kernel has answered so far. What makes no sense in it is left out.
#[derive(Debug, Default)]
pub struct Answer {
    /// The interfaces, of a dump of links and, after it, one of addresses.
    pub interfaces: Vec<Box<Interface>>,
    /// The number of a namespace, if it has one.
    pub nsid: Option<i32>,
    /// Whether something changed meanwhile, so that some of it may be missing.
    pub interrupted: bool,
    /// The kernel's words for a refusal, if it has any.
    pub words: Bytes,
}

impl Answer {
    fn cannot(&self, action: Bytes, errno: Errno) -> Error {
        match self.words {
            b"" => Error::cannot(action, errno),
            words => Error::cannot(text!("{} (\"{}\")", action, words), errno),
        }
    }

    /// Takes one datagram of the answer to `question`; tells whether it was the last.
    ///
    /// # Errors
    /// What the kernel says, or EBADMSG for what it would never say.
    pub fn take(&mut self, mut datagram: &[u8], question: Id) -> Said<bool> {
        while !datagram.is_empty() {
            let message = take_message(&mut datagram).ok_or(Errno::BADMSG)?;
            if message.id != question {
                continue;
            }
            self.interrupted |= message.flags & NLM_F_DUMP_INTR != 0;
            match message.kind {
                NLMSG_NOOP => continue,
                NLMSG_OVERRUN => return Err(Errno::OVERFLOW),
                NLMSG_ERROR | NLMSG_DONE => return self.verdict(&message).map(|()| true),
                RTM_NEWLINK => add_link(&mut self.interfaces, message.body).unwrap_or_default(),
                RTM_NEWADDR => add_address(&mut self.interfaces, message.body).unwrap_or_default(),
                RTM_NEWNSID => self.nsid = nsid(message.body),
                _ => {}
            }
            if message.flags & NLM_F_MULTI == 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// The verdict in a message of type NLMSG_ERROR or NLMSG_DONE; the latter has one since Linux 4.14 or so.
    fn verdict(&mut self, message: &Message<'_>) -> Said<()> {
        let code = match u32_at(message.body, 0) {
            Some(code) => code as i32,
            None if message.kind == NLMSG_DONE => 0,
            None => return Err(Errno::BADMSG),
        };
        if code == 0 {
            return Ok(());
        }
        self.words = keep(until_nul(words(message).unwrap_or_default()));
        // The kernel's numbers are from -4095 to -1.
        Err(if (-4095..0).contains(&code) { Errno::from_raw_os_error(-code) } else { Errno::BADMSG })
    }
}

/// The kernel's words in a message of type NLMSG_ERROR or NLMSG_DONE, if there are some.
fn words<'a>(message: &Message<'a>) -> Option<&'a [u8]> {
    if message.flags & NLM_F_ACK_TLVS == 0 {
        return None;
    }
    // An error repeats the question, of which NLM_F_CAPPED leaves only the header.
    let question = match (message.kind, message.flags & NLM_F_CAPPED) {
        (NLMSG_DONE, _) => 0,
        (_, 0) => u32_at(message.body, 4).map_or(HEADER, |len| align(len.min(u32::from(u16::MAX)) as usize)),
        _ => HEADER,
    };
    find(message.body.get(4 + question..)?, NLMSGERR_ATTR_MSG)
}

/// A question.
struct Request<'a> {
    kind: u16,
    flags: u16,
    /// What follows the header: zeros, and what they leave to an attribute.
    body: &'a [u32],
}

impl Request<'_> {
    fn text(&self, sequence: u32) -> Vec<u8> {
        let mut text = Vec::new();
        let len = HEADER + size_of_val(self.body);
        for word in [len as u32, pair(self.kind, self.flags | NLM_F_REQUEST), sequence, 0].iter().chain(self.body) {
            put(&mut text, *word);
        }
        text
    }
}

/// The size of an attribute with a value of 32 bits.
const ATTRIBUTE: u16 = 8;

#[inline(never)]
fn put(text: &mut Vec<u8>, word: u32) {
    text.extend_from_slice(&word.to_ne_bytes());
}

/// Two numbers beside each other in one word.
fn pair(first: u16, second: u16) -> u32 {
    let ([a, b], [c, d]) = (first.to_ne_bytes(), second.to_ne_bytes());
    u32::from_ne_bytes([a, b, c, d])
}

/// Gets the answer to `requests`, asked again while it is interrupted or does not fit.
fn converse(requests: &[Request<'_>], answer: &mut Answer) -> Said<()> {
    let mut buffer = Content::with_room(BUFFER);
    for left in (0..ATTEMPTS).rev() {
        *answer = Answer::default();
        let needed = ask(requests, buffer.room(), answer)?;
        if needed > buffer.room().len() {
            buffer = Content::with_room(needed);
        } else if !answer.interrupted || left == 0 {
            return Ok(());
        }
    }
    Err(Errno::MSGSIZE)
}

/// Asks once, by a socket of its own, since an answer given up is still under way. Returns the size of the largest datagram; one that
/// does not fit ends the conversation.
fn ask(requests: &[Request<'_>], buffer: &mut [u8], answer: &mut Answer) -> Said<usize> {
    let (socket, port) = open()?;
    for (sequence, request) in (1..).zip(requests) {
        let question = Id { sequence, port };
        let request = request.text(sequence);
        retry_on_intr(|| send(&socket, &request, SendFlags::empty()))?;
        loop {
            let (_, size) = retry_on_intr(|| recv(&socket, &mut *buffer, RecvFlags::TRUNC))?;
            let Some(datagram) = buffer.get(..size) else { return Ok(size) };
            if answer.take(datagram, question)? {
                break;
            }
        }
    }
    Ok(0)
}

/// A socket in the namespace we are in, and its address.
fn open() -> Said<(OwnedFd, u32)> {
    // No protocol is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    for option in OPTIONS {
        // What an old kernel lacks is only a convenience.
        let _ = set_netlink_option(&socket, option);
    }
    // Once connected to the kernel, whose address is 0, it takes nothing from others.
    connect(&socket, &SocketAddrNetlink::new(0, 0))?;
    let port = SocketAddrNetlink::try_from(getsockname(&socket)?)?.pid();
    Ok((socket, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bytes::contains;

    const QUESTION: Id = Id { sequence: 7, port: 4242 };

    fn message(kind: u16, flags: u16, id: Id, body: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for word in [(HEADER + body.len()) as u32, super::pair(kind, flags), id.sequence, id.port] {
            put(&mut bytes, word);
        }
        bytes.extend_from_slice(body);
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
        let len = (4 + value.len()) as u16;
        let mut bytes = [&len.to_ne_bytes(), &kind.to_ne_bytes(), value].concat();
        bytes.resize(align(bytes.len()), 0);
        bytes
    }

    fn link(hardware: u16, index: u32, flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let head = [&[0, 0], &hardware.to_ne_bytes()[..], &index.to_ne_bytes(), &flags.to_ne_bytes(), &[0; 4]].concat();
        message(RTM_NEWLINK, NLM_F_MULTI, QUESTION, &[head, attributes.concat()].concat())
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

    fn number(kind: u16, value: i32) -> Vec<u8> {
        attribute(kind, &value.to_ne_bytes())
    }

    #[test]
    fn links_and_addresses_come_together() {
        let veth = [name(b"\x1b[\xff"), number(IFLA_LINK, 9), number(IFLA_LINK_NETNSID, 3), pair(b"veth\0")];
        let more = [attribute(IFLA_OPERSTATE, &[6]), attribute(IFLA_ADDRESS, &[2, 0, 0xab, 0, 0, 1])];
        let local = [attribute(IFA_ADDRESS, &[10, 0, 0, 2]), attribute(IFA_LOCAL, &[10, 0, 0, 1])];
        let wide = "fd00::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
        let answer = taken(&[
            [link(772, 1, IFF_LOOPBACK, &[name(b"lo")]), link(1, 7, 0, &[&veth[..], &more].concat())].concat(),
            link(1, 7, 0, &[name(b"again")]),
            [
                address(AF_INET, 24, 7, &local),
                address(AF_INET6, 64, 7, &[attribute(IFA_ADDRESS, &wide)]),
                address(AF_INET6, 64, 7, &[attribute(IFA_ADDRESS, &wide)]),
                address(AF_INET, 24, 8, &local),
                address(AF_INET, 24, 7, &[attribute(IFA_LOCAL, &wide)]),
                address(99, 24, 7, &local),
            ]
            .concat(),
        ]);
        assert_eq!((answer.interfaces.len(), answer.interrupted), (2, false));
        let (lo, veth) = (&answer.interfaces[0], &answer.interfaces[1]);
        assert_eq!((lo.name, lo.loopback, lo.state, lo.mac), (&b"lo"[..], true, "UNKNOWN", &b""[..]));
        assert_eq!((veth.name, veth.index, veth.loopback, veth.state), (&b"\x1b[\xff"[..], 7, false, "UP"));
        assert_eq!(veth.mac, b"02:00:ab:00:00:01");
        assert_eq!(veth.peer, Some(Peer { nsid: Some(3), index: 9 }));
        let shown: Vec<Bytes> = veth.addresses.iter().map(Address::text).collect();
        assert_eq!(shown, [&b"10.0.0.1/24"[..], b"fd00::1/64"]);
    }

    #[test]
    fn only_pairs_have_a_peer() {
        let peer_of = |attributes: &[Vec<u8>]| {
            let answer = taken(&[link(1, 7, 0, &[&[name(b"x")], attributes].concat())]);
            answer.interfaces[0].peer
        };
        let link = number(IFLA_LINK, 9);
        assert_eq!(peer_of(&[link.clone(), pair(b"netkit")]), Some(Peer { nsid: None, index: 9 }));
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
        assert_eq!(hardware_address(ARPHRD_SIT, &[192, 0, 2, 1]), b"192.0.2.1");
        assert_eq!(hardware_address(ARPHRD_TUNNEL6, &[0; 16]), b"::");
        assert_eq!(hardware_address(1, &[0; 4]), b"00:00:00:00");
        assert_eq!(hardware_address(ARPHRD_TUNNEL, &[]), b"");
    }

    #[test]
    fn only_the_answer_to_the_question_counts() {
        let body = [&[0; RTGENMSG][..], &number(NETNSA_NSID, 5)].concat();
        let mut answer = Answer::default();
        for id in [Id { sequence: 8, ..QUESTION }, Id { port: 1, ..QUESTION }] {
            assert_eq!(answer.take(&message(RTM_NEWNSID, 0, id, &body), QUESTION), Ok(false));
            assert_eq!(answer.take(&message(NLMSG_ERROR, 0, id, &(-1i32).to_ne_bytes()), QUESTION), Ok(false));
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
        let fault = |kind, flags, parts: &[&[u8]]| {
            let mut answer = Answer::default();
            let taken = answer.take(&message(kind, flags, QUESTION, &parts.concat()), QUESTION);
            (taken.unwrap_err(), answer.words)
        };
        let expected = (Errno::INVAL, &b"no such thing"[..]);
        let wordless = (Errno::INVAL, &b""[..]);
        let (capped, tlvs) = (NLM_F_CAPPED, NLM_F_ACK_TLVS);
        assert_eq!(fault(NLMSG_ERROR, capped | tlvs, &[&code, &question[..HEADER], &words]), expected);
        assert_eq!(fault(NLMSG_ERROR, tlvs, &[&code, &question, &words]), expected);
        assert_eq!(fault(NLMSG_DONE, tlvs, &[&code, &words]), expected);
        assert_eq!(fault(NLMSG_ERROR, capped, &[&code, &question[..HEADER], &words]), wordless);
        // A length that leads out of the message.
        let mut lie = question.clone();
        lie[..4].fill(0xff);
        assert_eq!(fault(NLMSG_ERROR, tlvs, &[&code, &lie, &words]), wordless);
    }

    /// Every cut and every changed byte of a datagram gives some answer.
    #[test]
    fn any_bytes_are_taken() {
        let veth = [name(b"eth0"), number(IFLA_LINK, 9), pair(b"veth"), attribute(IFLA_OPERSTATE, &[200])];
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

    #[test]
    fn a_question_is_what_the_kernel_reads() {
        let numbers = [0, super::pair(ATTRIBUTE, NETNSA_FD), 9];
        let request = Request { kind: RTM_GETNSID, flags: NLM_F_DUMP, body: &numbers };
        let body = [&[0; RTGENMSG][..], &number(NETNSA_FD, 9)].concat();
        let id = Id { sequence: 3, port: 0 };
        assert_eq!(request.text(3), message(RTM_GETNSID, NLM_F_DUMP | NLM_F_REQUEST, id, &body));
    }

    #[test]
    fn our_own_namespace_answers() {
        let interfaces = interfaces().unwrap();
        let lo = interfaces.iter().find(|interface| interface.loopback).unwrap();
        assert_eq!((lo.name, lo.mac), (&b"lo"[..], &b"00:00:00:00:00:00"[..]));
        let own = std::fs::File::open("/proc/self/ns/net").unwrap();
        assert!(nsid_of(std::os::fd::AsFd::as_fd(&own)).is_ok());
        let not_one = std::fs::File::open("/dev/null").unwrap();
        let error = nsid_of(std::os::fd::AsFd::as_fd(&not_one)).unwrap_err();
        assert!(contains(error.message, b"number of a network namespace"), "{error:?}");
    }
}
