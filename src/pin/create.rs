//! Making and removing pins.

#![forbid(unsafe_code)]

use super::directory::Directory;
use super::entry::Entry;
use super::lookup;
use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::host::Host;
use crate::host::root::Symlink;
use crate::kernel::netns::{NetNs, id_at};
use rustix::fs::CWD;
use rustix::io::Errno;

/// Checks that `name` can be that of a new pin.
///
/// # Errors
/// What is wrong with it.
pub fn valid_name(name: &[u8]) -> Result<()> {
    let fault = match name {
        [] => "is empty",
        b"." | b".." => "is a directory",
        [b'-', ..] => "begins with -",
        _ if name.contains(&b'/') => "has a /",
        _ if name.len() > 255 => "is longer than 255 bytes",
        _ if has_control(name) => "has a control character",
        _ => return Ok(()),
    };
    Err(Error::new(format!("pin name {} {fault}", quoted(name))))
}

/// Tells whether one of the characters is a control character, be the rest UTF-8 or not.
fn has_control(name: &[u8]) -> bool {
    name.utf8_chunks().any(|chunk| chunk.valid().contains(char::is_control))
}

/// Gives `netns` the name `name`; tells whether it did not have it yet.
///
/// # Errors
/// Where the name is another namespace's or another file's, or the kernel refuses. The directory's
/// entries are as before then.
pub(crate) fn pin(host: &Host, netns: &NetNs, name: &[u8]) -> Result<bool> {
    Pins::open(host)?.add(netns, name)
}

/// Removes the pin `name`, all layers of it, or what the old recipe or a dead run left in its
/// place. False where there is nothing of that name.
///
/// # Errors
/// Where what stands there is no pin or may be another program's, or the kernel refuses.
pub(crate) fn unpin(host: &Host, name: &[u8]) -> Result<bool> {
    if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
        return Ok(false);
    }
    let directory = host.resolve(lookup::directory(host), Symlink::Follow);
    if directory.is_err_and(|e| e == Errno::NOENT) {
        return Ok(false);
    }
    Entry::new(&Directory::open(host)?, name).remove()
}

/// The directory of pins, ready for new ones.
pub(crate) struct Pins<'h> {
    host: &'h Host,
    directory: Directory,
    /// Whether nobody need be told any more that the host does not see the pins.
    is_told: bool,
}

impl<'h> Pins<'h> {
    /// Makes the directory, locks it and makes it a shared mount, as far as that is needed and
    /// possible.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub(crate) fn open(host: &'h Host) -> Result<Pins<'h>> {
        let mut directory = Directory::open_or_make(host)?;
        directory.share(host)?;
        Ok(Pins { host, directory, is_told: in_hosts_mounts(host) })
    }

    /// Adds a pin as [`pin`] does.
    ///
    /// # Errors
    /// As [`pin`].
    pub(crate) fn add(&mut self, netns: &NetNs, name: &[u8]) -> Result<bool> {
        valid_name(name)?;
        let is_new = Entry::new(&self.directory, name).pin(netns)?;
        if is_new && !self.is_told {
            self.is_told = true;
            let fault = "is seen only in this mount namespace, which is not the host's";
            self.host.console.note(format_args!("pin {} {fault}", quoted(name)));
        }
        Ok(is_new)
    }
}

/// Tells whether our mount namespace is the host's; true where that cannot be told.
fn in_hosts_mounts(host: &Host) -> bool {
    match (id_at(CWD, b"/proc/self/ns/mnt"), host.stat_proc("1/ns/mnt")) {
        (Ok(own), Ok(hosts)) => own.ino == hosts.ino,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_others_could_not_use_are_refused() {
        let good =
            [&b"web"[..], b"k8s-shop_cart", b"a b", b".x", "é".as_bytes(), b"\xff", &[b'x'; 255]];
        for name in good {
            assert!(valid_name(name).is_ok(), "{name:?}");
        }
        let control = "\u{9b}".as_bytes();
        let bad = [&b""[..], b".", b"..", b"a/b", b"-x", b"a\nb", b"\x7f", control, &[b'x'; 256]];
        for name in bad {
            assert!(valid_name(name).is_err(), "{name:?}");
        }
        // Bytes that are no UTF-8 do not hide a control character.
        assert!(valid_name(b"\xff\x1b").is_err() && valid_name(b"\xe2\xc2\x9b").is_err());
    }
}
