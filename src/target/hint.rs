//! What to say instead of a word that names nothing, by its shape: what another tool prints or
//! takes.

#![forbid(unsafe_code)]

use super::addr::Addr;
use super::cgroup::ends_as_unit;
use crate::base::escape::shown;
use crate::base::text::number;
use crate::host::Host;
use crate::host::process::parse_pid;
use crate::host::root::Symlink;
use crate::kernel::sock::Netlink;
use crate::sys::libc::variable;

/// A shape of words.
struct Shape {
    fits: fn(&[u8]) -> bool,
    /// What to say; where it ends with a blank, the word follows.
    remedy: &'static str,
}

/// The shapes; the first that fits counts.
const SHAPES: &[Shape] = &[
    Shape { fits: |word| Addr::parse(word).is_some(), remedy: "for an address say --addr " },
    Shape { fits: is_inode, remedy: "for the number of a namespace say --inode " },
    Shape { fits: is_pid, remedy: "for a process say --pid " },
    Shape {
        fits: |word| word == b"0",
        remedy: "docker inspect prints 0 for a container that does not run; --list shows what runs",
    },
    Shape { fits: ends_as_unit, remedy: "for a systemd unit or a cgroup say --cgroup " },
    Shape {
        // As the list prints it; `host` alone may be what a container was called.
        fits: |word| word == b"(host)",
        remedy: "for the host's network namespace say --pid 1",
    },
    Shape {
        fits: |word| word.starts_with(b"[") && word.ends_with(b"]"),
        remedy: "--list shows a process's name in brackets: say --pid or --inode as in its line",
    },
    Shape {
        fits: |word| [&b"list"[..], b"ls", b"ps", b"show"].contains(&word),
        remedy: "for a list say netns-enter --list",
    },
    Shape {
        fits: |word| [&b"exec"[..], b"run", b"enter", b"attach", b"netns"].contains(&word),
        remedy: "no verb is needed: netns-enter NAME COMMAND",
    },
];

/// The least inode that a namespace has: PROC_DYNAMIC_FIRST, fs/proc/generic.c.
const FIRST_INODE: u64 = 0xf000_0000;

/// Returns what to say instead of a word that names nothing, if its shape tells.
pub(super) fn hint(host: &Host, word: &[u8]) -> Option<String> {
    let remedy = match SHAPES.iter().find(|shape| (shape.fits)(word)) {
        Some(shape) => shape.remedy,
        None if has_other_end(host, word) => {
            "for the namespace at the other end of this interface say --veth "
        }
        None => return None,
    };
    Some(match remedy.ends_with(' ') {
        true => format!("{remedy}{}", shown(word)),
        false => remedy.to_owned(),
    })
}

/// Returns where to look for what there is, for a word that is like none of it.
pub(super) fn where_to_look(host: &Host) -> &'static str {
    match host.is_own() && is_container(host) {
        true => {
            "see netns-enter --list; this is a container: for its host's, mount the host's / \
             and say --host-root DIR"
        }
        false => "see netns-enter --list",
    }
}

/// Tells whether a word is a pid, as it is or with an inode.
fn is_pid(word: &[u8]) -> bool {
    let mut parts = word.splitn(2, |byte| *byte == b':');
    parts.next().and_then(parse_pid).is_some() && parts.next().is_none_or(|it| number(it).is_some())
}

/// Tells whether a word is an inode as other tools print it, or a cookie as ours do.
fn is_inode(word: &[u8]) -> bool {
    if let Some(digits) = word.strip_prefix(b"id:") {
        return number(digits).is_some();
    }
    let label = word.strip_prefix(b"net:[").and_then(|rest| rest.strip_suffix(b"]"));
    number(label.unwrap_or(word)).is_some_and(|number| label.is_some() || number >= FIRST_INODE)
}

/// Tells whether a word is one end of a pair in our namespace, or how `ip link` prints one.
fn has_other_end(host: &Host, word: &[u8]) -> bool {
    let bare = word.split(|byte| *byte == b'@').next().unwrap_or_default();
    // The host's are not looked at only for this.
    let interfaces = if host.is_own() { Netlink::default().interfaces() } else { Ok(Vec::new()) };
    interfaces.is_ok_and(|all| all.iter().any(|one| one.name == bare && one.peer.is_some()))
}

/// Tells whether this seems to be the inside of a container: by what docker, podman, systemd and
/// Kubernetes leave there.
fn is_container(host: &Host) -> bool {
    let files = [&b"/.dockerenv"[..], b"/run/.containerenv", b"/run/systemd/container"];
    files.iter().any(|file| host.resolve(file, Symlink::NoFollow).is_ok())
        || ["container", "KUBERNETES_SERVICE_HOST"].iter().any(|name| variable(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;

    #[test]
    fn a_word_of_a_known_shape_has_a_remedy() {
        let host = Host::own(Console::default());
        for (word, option) in [
            ("10.244.3.7", "--addr 10.244.3.7"),
            ("fd00::7/64", "--addr fd00::7/64"),
            ("02:42:AC:11:00:02", "--addr 02:42:AC:11:00:02"),
            ("4026532253", "--inode 4026532253"),
            ("net:[42]", "--inode net:[42]"),
            ("id:8450", "--inode id:8450"),
            ("netns", "netns-enter NAME COMMAND"),
            ("3456", "--pid 3456"),
            ("3456:78", "--pid 3456:78"),
            ("nginx.service", "--cgroup nginx.service"),
            ("(host)", "--pid 1"),
            ("[sleep]", "--inode"),
            ("ls", "netns-enter --list"),
            ("exec", "netns-enter NAME COMMAND"),
            ("0", "does not run"),
        ] {
            let said = hint(&host, word.as_bytes()).unwrap_or_default();
            assert!(said.contains(option), "{word}: {said}");
        }
        for word in ["wbe", "host", "10.0.0", "lo", "4194305", ".service.d", "", "shop/cart"] {
            assert_eq!(hint(&host, word.as_bytes()), None, "{word}");
        }
    }

    #[test]
    fn a_hint_is_escaped() {
        let host = Host::own(Console::default());
        let said = hint(&host, b"\x1b[2J.service").unwrap();
        assert_eq!(said, "for a systemd unit or a cgroup say --cgroup \\x1b[2J.service");
        assert!(where_to_look(&host).starts_with("see netns-enter --list"));
    }
}
