//! The numbers by which the network namespace we are in knows others: `ip netns list-id`.

#![forbid(unsafe_code)]

use super::rtnetlink::{Answer, NETNSA_FD, RTGENMSG, RTM_GETNSID};
use super::sock::{Netlink, Request, attribute, refusal};
use crate::base::error::Result;
use rustix::fd::{AsFd, AsRawFd};
use rustix::io::Errno;

/// Returns the number by which the namespace we are in knows the namespace `fd`, if it does.
///
/// # Errors
/// Where the kernel refuses. One before Linux 4.0 has no such numbers, which is no error.
pub(crate) fn nsid_of(netlink: &Netlink, fd: impl AsFd) -> Result<Option<i32>> {
    let number = attribute(NETNSA_FD, fd.as_fd().as_raw_fd() as u32);
    let body = [&[0; RTGENMSG][..], &number].concat();
    let mut answer = Answer::default();
    match netlink.ask(&[Request { kind: RTM_GETNSID, flags: 0, body: &body }], &mut answer) {
        Ok(_) => Ok(answer.nsid),
        Err(Errno::OPNOTSUPP) => Ok(None),
        Err(e) => Err(refusal("ask for the number of a network namespace", &answer, e)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn only_a_namespace_has_a_number() {
        let netlink = Netlink::default();
        let own = File::open("/proc/self/ns/net").unwrap();
        assert!(nsid_of(&netlink, &own).is_ok());
        let not_one = File::open("/dev/null").unwrap();
        let error = nsid_of(&netlink, &not_one).unwrap_err();
        assert!(error.message().contains("number of a network namespace"), "{error:?}");
    }
}
