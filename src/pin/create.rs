//! Making and removing pins.

#![forbid(unsafe_code)]

use super::directory::Directory;
use super::entry::Entry;
use super::lookup;
use crate::base::error::{Error, Result};
use crate::base::escape::quoted;
use crate::host::Host;
use crate::host::root::Symlink;
use crate::kernel::netns::{NetNs, NsId, id_at};
use rustix::fd::OwnedFd;
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

/// Tells whether a name can be given to a shell as it is: `--unpin $(cat made)` must remove no
/// other.
pub(crate) fn is_plain(name: &[u8]) -> bool {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._@:+-".contains(byte);
    name.iter().all(is_plain) && !name.starts_with(b"-")
}

/// The directory of pins, locked if that was possible.
pub(crate) struct Pins<'h> {
    host: &'h Host,
    directory: Directory,
    /// Whether nobody need be told any more that the host does not see the pins.
    is_told: bool,
}

/// A pin that this run has made.
pub(crate) struct Made {
    pub(crate) name: Vec<u8>,
    netns: NsId,
    /// What it is mounted on.
    file: OwnedFd,
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

    /// Locks the directory, to have pins removed; None where there is no directory.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub(crate) fn open_existing(host: &'h Host) -> Result<Option<Pins<'h>>> {
        let directory = host.resolve(lookup::directory(host), Symlink::Follow);
        if directory.is_err_and(|e| e == Errno::NOENT) {
            return Ok(None);
        }
        Ok(Some(Pins { host, directory: Directory::open(host)?, is_told: true }))
    }

    /// Gives `netns` the name `name`; None where it has that already. `announce` is called when the
    /// name is ours, before the namespace is mounted.
    ///
    /// # Errors
    /// Those of `announce`; where the name is another namespace's or another file's, or the kernel
    /// refuses. The directory's entries are as before then.
    pub(crate) fn add(
        &mut self,
        netns: &NetNs,
        name: &[u8],
        announce: &mut dyn FnMut() -> Result<()>,
    ) -> Result<Option<Made>> {
        valid_name(name)?;
        let Some(file) = Entry::new(&self.directory, name).pin(netns, announce)? else {
            return Ok(None);
        };
        if !self.is_told {
            self.is_told = true;
            let fault = "is seen only in this mount namespace, which is not the host's";
            self.host.console.note(format_args!("pin {} {fault}", quoted(name)));
        }
        Ok(Some(Made { name: name.to_vec(), netns: netns.id, file }))
    }

    /// Takes back a pin that this run has made, unless another has taken its place meanwhile.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub(crate) fn take_back(&self, made: &Made) -> Result<()> {
        Entry::new(&self.directory, &made.name).take_back(made.netns, &made.file)
    }

    /// Removes the pin `name`, all layers of it, or what the old recipe or a dead run left in its
    /// place. False where there is nothing of that name.
    ///
    /// # Errors
    /// Where what stands there is no pin or may be another program's, or the kernel refuses.
    pub(crate) fn remove(&self, name: &[u8]) -> Result<bool> {
        if matches!(name, b"" | b"." | b"..") || name.contains(&b'/') {
            return Ok(false);
        }
        Entry::new(&self.directory, name).remove()
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
        for name in [&b"docker-web"[..], b"k8s-shop_cart", b"incus-a:b", b"podman-x@1.2+3"] {
            assert!(is_plain(name), "{name:?}");
        }
        for name in [&b"docker-*"[..], b"a b", b"-x", b"a/b", b"$x", b"~", "é".as_bytes(), b"\xff"]
        {
            assert!(!is_plain(name), "{name:?}");
        }
        // Bytes that are no UTF-8 do not hide a control character.
        assert!(valid_name(b"\xff\x1b").is_err() && valid_name(b"\xe2\xc2\x9b").is_err());
    }
}
