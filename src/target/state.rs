//! `--state`: the container whose state an OCI runtime recorded in a file.
//!
//! A file that is root's is root's word, and what it records is verified as any record. Another one
//! is its owner's word, which counts for namespaces that the owner made.

#![forbid(unsafe_code)]

use super::Target;
use crate::base::error::{Error, Result};
use crate::base::escape::{quoted, shown};
use crate::base::text::join;
use crate::containers::engine::oci;
use crate::containers::evidence::verify_record;
use crate::containers::verdict::Held;
use crate::containers::world::{User, World, users};
use crate::host::Host;
use crate::host::cgroup::above;
use crate::host::root::{Root, Symlink, split_at_process_root};
use crate::kernel::netns::NetNs;
use rustix::fs::fstat;
use rustix::process::{getcwd, geteuid};

/// Finds the namespace of the process that is recorded in the file at `path`.
///
/// # Errors
/// Where it records none, the process is no more, nothing proves that it is still the one, or it is
/// not of who wrote the file.
pub(super) fn resolve(host: &Host, path: &[u8]) -> Result<Target> {
    let label = format!("container of {}", quoted(path));
    let path = &absolute(host, path)?;
    if let (Root::Own, Some((directory, _))) = (host.root(), split_at_process_root(path)) {
        let fault = "is a file of the process's, which proves nothing about processes here";
        let remedy = format!("to look with its eyes: --host-root {}", shown(directory));
        return Err(Error::of(path, fault).with_remedy(remedy));
    }
    let root = World::root(host);
    let is_roots = root.file(path).is_some();
    let caller = User::caller(host)?;
    let (held, claimed_by) = if is_roots {
        (recorded(&root, path, &label), None)
    } else {
        let uid = writer_of(host, path, &root)?;
        let is_callers = !root.caller.is_root && [caller.uid, geteuid().as_raw()].contains(&uid);
        // What a user wrote is compared with what is that user's.
        let world = World::user(host, User { uid, ..caller });
        (recorded(&world, path, &label), (!is_callers).then_some(uid))
    };
    let Held { process, netns, note, .. } = held?;
    if let Some(uid) = claimed_by {
        check_claim(host, &netns, uid, &label)?;
    }
    if let Some(note) = note {
        host.console.note(format_args!("{label} {note}"));
    }
    Ok(Target::new(netns, label, Some(process)))
}

/// Returns a path that means the same file to whoever judges it and to whoever reads it.
fn absolute(host: &Host, path: &[u8]) -> Result<Vec<u8>> {
    if path.starts_with(b"/") {
        return Ok(path.to_vec());
    }
    if !host.is_own() {
        return Ok(join(b"", path));
    }
    match getcwd(Vec::new()) {
        Ok(directory) => Ok(join(directory.to_bytes(), path)),
        Err(_) => {
            Err(Error::of(path, "is a relative path, and the directory that it is in is gone"))
        }
    }
}

/// Verifies what the file records by what there is in a world.
fn recorded(world: &World<'_>, path: &[u8], label: &str) -> Result<Held> {
    let record = oci::read_named(world, path)?;
    verify_record(world, label, &record)
        .map_err(|refusal| refusal.into_error(world.host, label, &record.id))
}

/// Returns who could have written a file that is not root's: its owner, or else that of the nearest
/// directory above that is not root's either.
fn writer_of(host: &Host, path: &[u8], root: &World<'_>) -> Result<u32> {
    let (mut at, mut symlink) = (path, Symlink::NoFollow);
    loop {
        let stat = host.resolve(at, symlink).and_then(fstat);
        let owner = stat.map_err(|e| Error::cannot_at("read", at, e))?.st_uid;
        if owner != root.caller.root_uid {
            return Ok(owner);
        }
        if at.len() <= 1 || !at.starts_with(b"/") {
            let fault = "is in a directory that others than root can write to";
            return Err(Error::of(path, fault).with_remedy("if you know its process: --pid PID"));
        }
        (at, symlink) = (above(at), Symlink::Follow);
    }
}

/// Accepts a user's word about a namespace of that user's own making, and says so.
fn check_claim(host: &Host, netns: &NetNs, uid: u32, label: &str) -> Result<()> {
    if !users::made(uid, netns) {
        let fault = format!("network namespace {} is not of that user", netns.id.ino);
        return Err(Error::new(format!("{label} is only what uid {uid} says, and {fault}"))
            .with_remedy("if you know its process: --pid PID"));
    }
    host.console.note(format_args!("{label} is what uid {uid} says"));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::console::Console;

    #[test]
    fn a_users_word_is_about_what_that_user_made() {
        let host = Host::own(Console { quiet: true, verbose: false });
        let own = NetNs::own().unwrap();
        for uid in [users::OVERFLOW[0], users::OVERFLOW[1], 4_000_000_000] {
            let error = check_claim(&host, &own, uid, "x").unwrap_err();
            assert!(error.message().starts_with(&format!("x is only what uid {uid} says")));
        }
    }

    #[test]
    fn the_writer_is_the_first_who_is_not_root() {
        let host = Host::own(Console::default());
        let path = std::env::temp_dir().join(format!("netns-enter-state-{}", std::process::id()));
        std::fs::write(&path, "{}").unwrap();
        let owner = std::os::unix::fs::MetadataExt::uid(&path.metadata().unwrap());
        let root = World::root(&host);
        let writer = writer_of(&host, path.as_os_str().as_encoded_bytes(), &root);
        match owner {
            0 => assert!(writer.unwrap_err().message().contains("others than root")),
            owner => assert_eq!(writer.unwrap(), owner),
        }
        std::fs::remove_file(path).unwrap();
    }
}
