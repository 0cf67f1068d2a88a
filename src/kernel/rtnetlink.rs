//! rtnetlink(7): what the kernel answers about interfaces, addresses and the numbers of namespaces.
//!
//! Pure functions, safe on any bytes; [`super::sock`] has the conversation.

#![forbid(unsafe_code)]

use super::attribute::{align, find, find_u32, u16_at, u32_at, until_nul};
use super::link::{Address, Interface, address, interface};
use rustix::io::{self, Errno};

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

// linux/rtnetlink.h
const RTM_NEWLINK: u16 = 16;
pub(super) const RTM_GETLINK: u16 = 18;
const RTM_NEWADDR: u16 = 20;
pub(super) const RTM_GETADDR: u16 = 22;
const RTM_NEWNSID: u16 = 88;
pub(super) const RTM_GETNSID: u16 = 90;
pub(super) const RTEXT_FILTER_SKIP_STATS: u32 = 8;
pub(super) const RTGENMSG: usize = 4;

// linux/net_namespace.h
const NETNSA_NSID: u16 = 1;
pub(super) const NETNSA_FD: u16 = 3;
const NETNSA_NSID_NOT_ASSIGNED: i32 = -1;

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

/// Reads a message of type RTM_NEWNSID.
fn nsid(body: &[u8]) -> Option<i32> {
    let nsid = find_u32(body.get(RTGENMSG..)?, NETNSA_NSID)? as i32;
    Some(nsid).filter(|nsid| *nsid != NETNSA_NSID_NOT_ASSIGNED)
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

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::kernel::attribute::tests::{attribute, number};
    use crate::kernel::link::LinkRef;
    use crate::kernel::link::tests::{end_of_a_pair, kind, link as described, name};

    /// IFF_LOOPBACK, AF_INET and AF_INET6.
    const IFF_LOOPBACK: u32 = 0x8;
    const AF_INET: u8 = 2;
    const AF_INET6: u8 = 10;
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

    fn link(hardware: u16, index: u32, flags: u32, attributes: &[Vec<u8>]) -> Vec<u8> {
        let body = described(hardware, index, flags, attributes);
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

    #[test]
    fn links_and_addresses_come_together() {
        let veth = [name(b"\x1b[\xff"), end_of_a_pair(3, 9)];
        let local = [attribute(1, &[10, 0, 0, 2]), attribute(2, &[10, 0, 0, 1])];
        let wide = "fd00::1".parse::<std::net::Ipv6Addr>().unwrap().octets();
        let answer = taken(&[
            [link(772, 1, IFF_LOOPBACK, &[name(b"lo")]), link(1, 7, 0, &veth)].concat(),
            link(1, 7, 0, &veth),
            [
                address(AF_INET, 24, 7, &local),
                address(AF_INET6, 64, 7, &[attribute(1, &wide)]),
                address(AF_INET, 24, 8, &local),
                address(AF_INET, 24, 7, &[attribute(2, &wide)]),
                address(99, 24, 7, &local),
            ]
            .concat(),
        ]);
        assert!(!answer.interrupted);
        let found = answer.into_interfaces();
        let [lo, veth] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&lo.name[..], lo.loopback, lo.state), (&b"lo"[..], true, "UNKNOWN"));
        assert_eq!((&veth.name[..], veth.index, veth.loopback), (&b"\x1b[\xff"[..], 7, false));
        assert_eq!(veth.peer, Some(LinkRef { nsid: Some(3), index: 9 }));
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
        let mut message = address(AF_INET6, 128, LINKS, &[attribute(1, &[0; 16])]);
        for number in 1..=ADDRESSES {
            *message.last_chunk_mut().unwrap() = number.to_be_bytes();
            take(&message);
        }
        let found = answer.into_interfaces();
        assert_eq!(found.len(), LINKS as usize);
        assert_eq!(found.last().unwrap().addresses.len(), ADDRESSES as usize);
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
        let veth = [name(b"eth0"), end_of_a_pair(3, 9), kind(b"vxlan", &[number(2, 1)])];
        let whole = [
            link(1, 7, 0, &veth),
            address(AF_INET, 24, 7, &[attribute(2, &[10, 0, 0, 1])]),
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
