//! Conversations with the kernel by rtnetlink(7).
//!
//! A socket belongs to the namespace it was opened in, so every question opens one and closes it.

#![forbid(unsafe_code)]

use super::link::{IFADDRMSG, IFINFOMSG, IFLA_EXT_MASK, Interface};
use super::netns::own_id;
use super::rtnetlink::{
    Answer, HEADER, Id, NLM_F_DUMP, NLM_F_REQUEST, RTEXT_FILTER_SKIP_STATS, RTM_GETADDR,
    RTM_GETLINK,
};
use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::base::read::{Buffer, Content};
use crate::sys::libc::set_netlink_option;
use rustix::fd::OwnedFd;
use rustix::io::{self, Errno, retry_on_intr};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, bind, connect, getsockname, recv,
    send, socket_with,
};

// linux/netlink.h
const NETLINK_LISTEN_ALL_NSID: i32 = 8;
const NETLINK_CAP_ACK: i32 = 10;
const NETLINK_EXT_ACK: i32 = 11;
const NETLINK_GET_STRICT_CHK: i32 = 12;

/// Answers to errors are short (Linux 4.3) and have text (4.12), and requests are read strictly
/// (4.20).
const OPTIONS: [i32; 3] = [NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK];
/// Datagrams of a dump are no larger, unless one interface alone needs more.
const DATAGRAM: usize = 32 << 10;
/// How often to ask while interfaces come and go: a user can see to it that they always do.
const ATTEMPTS: u32 = 5;

/// Opens a socket that is told of what becomes of interfaces and addresses, here and in each
/// namespace that has a number here. Without CAP_NET_BROADCAST, or before Linux 4.2, here alone.
///
/// # Errors
/// The errno of socket(2) and bind(2).
pub(crate) fn changes() -> io::Result<OwnedFd> {
    // linux/rtnetlink.h: RTMGRP_LINK, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR
    const GROUPS: u32 = 0x1 | 0x10 | 0x100;
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
    let _ = set_netlink_option(&socket, NETLINK_LISTEN_ALL_NSID);
    bind(&socket, &SocketAddrNetlink::new(0, GROUPS))?;
    Ok(socket)
}

/// Asks the kernel, and keeps the buffer for its answers.
#[derive(Default)]
pub struct Netlink {
    buffer: Buffer,
}

/// A question.
pub(super) struct Request<'a> {
    /// The message's type.
    pub(super) kind: u16,
    /// Its flags but for NLM_F_REQUEST.
    pub(super) flags: u16,
    /// What follows the header.
    pub(super) body: &'a [u8],
}

impl Netlink {
    /// Returns the interfaces of the namespace we are in, in the order of their numbers.
    ///
    /// Where interfaces come and go all the time this is what was seen last: nobody may keep others
    /// from being looked at.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn interfaces(&self) -> Result<Vec<Interface>> {
        self.look().map(|(interfaces, _)| interfaces)
    }

    /// As [`Netlink::interfaces`], for who must not miss one.
    ///
    /// # Errors
    /// As there, and where they come and go all the time.
    pub(crate) fn all_interfaces(&self) -> Result<Vec<Interface>> {
        match self.look()? {
            (interfaces, true) => Ok(interfaces),
            _ => Err(Error::new(format!("cannot {}: they change all the time", listing()))
                .unclear()
                .with_remedy("try again")),
        }
    }

    /// Returns the interfaces, and whether these are all.
    fn look(&self) -> Result<(Vec<Interface>, bool)> {
        let without_stats = attribute(IFLA_EXT_MASK, RTEXT_FILTER_SKIP_STATS);
        let of_links = [&[0; IFINFOMSG][..], &without_stats].concat();
        let links = Request { kind: RTM_GETLINK, flags: NLM_F_DUMP, body: &of_links };
        let addresses = Request { kind: RTM_GETADDR, flags: NLM_F_DUMP, body: &[0; IFADDRMSG] };
        let mut answer = Answer::default();
        match self.ask(&[links, addresses], &mut answer) {
            Ok(is_whole) => Ok((answer.into_interfaces(), is_whole)),
            Err(e) => Err(refusal(&listing(), &answer, e)),
        }
    }

    /// Takes the answer to `requests`, asked again while it is interrupted or does not fit; in the
    /// end what there is of it. Tells whether it is whole.
    ///
    /// # Errors
    /// The errno where the kernel refuses, whose words the answer has.
    pub(super) fn ask(&self, requests: &[Request<'_>], answer: &mut Answer) -> io::Result<bool> {
        let mut room = DATAGRAM;
        for _ in 0..ATTEMPTS {
            *answer = Answer::default();
            match converse(requests, &mut self.buffer.reserve(room), answer) {
                // A message has grown since the kernel made room for it: net/core/rtnetlink.c,
                // rtnl_dump_ifinfo.
                Err(Errno::MSGSIZE) => {}
                Ok(0) if answer.interrupted => {}
                Ok(0) => return Ok(true),
                // It may have grown again by then.
                Ok(needed) => room = 2 * needed,
                Err(e) => return Err(e),
            }
        }
        Ok(false)
    }
}

/// Returns how the failure to list interfaces begins.
fn listing() -> String {
    let inode = own_id().map_or(0, |id| id.ino);
    format!("list the interfaces of network namespace {inode}")
}

/// Makes the failure to do what was asked for.
pub(super) fn refusal(action: &str, answer: &Answer, errno: Errno) -> Error {
    match &answer.words[..] {
        b"" => Error::cannot(action, errno),
        words => Error::cannot(format_args!("{action} ({})", quoted(words)), errno),
    }
}

impl Request<'_> {
    fn to_bytes(&self, sequence: u32) -> Vec<u8> {
        let length = (HEADER + self.body.len()) as u32;
        let flags = self.flags | NLM_F_REQUEST;
        // The kernel's address is 0.
        let port = [0; 4];
        [
            &length.to_ne_bytes()[..],
            &self.kind.to_ne_bytes(),
            &flags.to_ne_bytes(),
            &sequence.to_ne_bytes(),
            &port,
            self.body,
        ]
        .concat()
    }
}

/// Returns an attribute with a value of 32 bits.
pub(super) fn attribute(kind: u16, value: u32) -> Vec<u8> {
    let length: u16 = 4 + 4;
    [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), &value.to_ne_bytes()].concat()
}

/// Asks once, by a socket of its own, since an answer given up is still under way. A datagram that
/// does not fit ends the conversation; its size is returned, else 0.
fn converse(
    requests: &[Request<'_>],
    datagram: &mut Content<'_>,
    answer: &mut Answer,
) -> io::Result<usize> {
    let (socket, port) = open()?;
    for (sequence, request) in (1..).zip(requests) {
        let question = Id { sequence, port };
        let request = request.to_bytes(sequence);
        retry_on_intr(|| send(&socket, &request, SendFlags::empty()))?;
        loop {
            datagram.clear();
            let (_, size) = retry_on_intr(|| recv(&socket, datagram.spare(), RecvFlags::TRUNC))?;
            if size > datagram.len() {
                return Ok(size);
            }
            if answer.take(datagram, question)? {
                break;
            }
        }
    }
    Ok(0)
}

/// Opens a socket in the namespace we are in; returns its address, too.
fn open() -> io::Result<(OwnedFd, u32)> {
    // No protocol is NETLINK_ROUTE.
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
    for option in OPTIONS {
        // What an old kernel lacks is only a convenience.
        let _ = set_netlink_option(&socket, option);
    }
    // Once connected to the kernel, it takes nothing from others.
    connect(&socket, &SocketAddrNetlink::new(0, 0))?;
    let port = SocketAddrNetlink::try_from(getsockname(&socket)?)?.pid();
    Ok((socket, port))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::attribute::tests::number;
    use crate::kernel::rtnetlink::tests::message;
    use crate::kernel::rtnetlink::{NETNSA_FD, RTGENMSG, RTM_GETNSID};

    #[test]
    fn a_question_is_what_the_kernel_reads() {
        let head = [0; RTGENMSG];
        let body = [&head[..], &attribute(NETNSA_FD, 9)].concat();
        let request = Request { kind: RTM_GETNSID, flags: NLM_F_DUMP, body: &body };
        let body = [&head[..], &number(NETNSA_FD, 9)].concat();
        let expected =
            message(RTM_GETNSID, NLM_F_DUMP | NLM_F_REQUEST, Id { sequence: 3, port: 0 }, &body);
        assert_eq!(request.to_bytes(3), expected);
    }

    #[test]
    fn our_own_namespace_answers() {
        let interfaces = Netlink::default().interfaces().unwrap();
        let lo = interfaces.iter().find(|interface| interface.loopback).unwrap();
        assert_eq!((&lo.name[..], &*lo.mac), (&b"lo"[..], "00:00:00:00:00:00"));
    }
}
