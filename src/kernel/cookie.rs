//! The cookie of a network namespace: the kernel's own number of it, which is not used again until
//! the machine is restarted, as its inode is. Users write it as `id:N`.

#![forbid(unsafe_code)]

use super::netns::{Home, NetNs, id_at};
use crate::base::error::Result;
use crate::sys::libc::netns_cookie;
use crate::sys::nsfs::{list_netns, namespace_cookie, open_by_cookie};
use rustix::fs::CWD;
use rustix::io::{self, Errno};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// Returns the cookie of a namespace: NS_GET_ID, and before Linux 6.18 that which a socket tells
/// that is made there. None where the kernel has neither, or we may not go there.
///
/// # Errors
/// As [`Home::within`].
pub(crate) fn of(home: &Home, netns: &NetNs) -> Result<Option<u64>> {
    if let Ok(cookie) = namespace_cookie(netns) {
        return Ok(Some(cookie));
    }
    Ok(home.within(netns, || Ok(here().ok()))?.flatten())
}

/// Returns the cookie of the namespace that we are in: SO_NETNS_COOKIE, Linux 5.14.
///
/// # Errors
/// The errno of socket(2) or getsockopt(2).
pub(crate) fn here() -> io::Result<u64> {
    let flags = SocketFlags::CLOEXEC;
    netns_cookie(socket_with(AddressFamily::UNIX, SocketType::DGRAM, flags, None)?)
}

/// Opens the namespace that has this cookie; None where the kernel does not know it by that, we may
/// not see it, or the kernel is too old, see [`open_by_cookie`].
///
/// # Errors
/// The errno where the machine fails.
pub(crate) fn open(cookie: u64) -> io::Result<Option<NetNs>> {
    let netns = match open_by_cookie(cookie) {
        Err(e @ (Errno::NOMEM | Errno::MFILE | Errno::NFILE | Errno::IO)) => return Err(e),
        Err(_) => return Ok(None),
        Ok(fd) => NetNs::of_link(fd)?,
    };
    // Other kinds of namespaces have cookies, too, all of them different.
    Ok(Some(netns).filter(NetNs::is_network))
}

/// Tells whether the kernel has a list, and leaves out of it what is there: outside the initial pid
/// namespace, where it does not say so.
pub(crate) fn is_list_short() -> bool {
    // PROC_PID_INIT_INO, linux/proc_ns.h
    const INITIAL: u64 = 0xefff_fffc;
    let is_initial = id_at(CWD, b"/proc/self/ns/pid").is_ok_and(|pid| pid.ino == INITIAL);
    !is_initial && visit_all(&mut |_| false) == Ok(true)
}

/// Shows the cookies of the network namespaces that a process, a descriptor or a mount keeps, as
/// far as we may see them, while `visitor` returns true: Linux 6.19. Returns false before that.
///
/// # Errors
/// The errno of listns(2).
pub(crate) fn visit_all(visitor: &mut dyn FnMut(u64) -> bool) -> io::Result<bool> {
    let mut cookies = [0; 256];
    let mut last = 0;
    loop {
        let count = match list_netns(last, &mut cookies) {
            Err(Errno::NOSYS | Errno::PERM) if last == 0 => return Ok(false),
            // There are none beyond the last.
            Err(Errno::NOENT) => 0,
            count => count?,
        };
        for cookie in &cookies[..count] {
            if !visitor(*cookie) {
                return Ok(true);
            }
            last = *cookie;
        }
        if count == 0 {
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_own_cookie_is_the_same_by_every_way() {
        let home = Home::own().unwrap();
        let Ok(own) = here() else { return };
        assert_eq!(of(&home, home.netns()).unwrap(), Some(own));
        let mut cookies = Vec::new();
        let is_known = visit_all(&mut |cookie| {
            cookies.push(cookie);
            true
        });
        if is_known == Ok(true) {
            assert!(cookies.contains(&own) && cookies.is_sorted());
            assert_eq!(open(own).unwrap().unwrap().id, home.id());
        }
        assert!(open(u64::MAX).unwrap().is_none());
        assert!(!is_list_short() || is_known == Ok(true));
    }
}
