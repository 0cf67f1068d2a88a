//! `--netns`: a pin, by its name in /run/netns; where ours lacks it, in that of another process of
//! root's.

#![forbid(unsafe_code)]

use super::Target;
use super::suggest::no_pin;
use crate::base::error::{Error, Result};
use crate::base::escape::{quoted, shown};
use crate::base::text::list;
use crate::containers::world::World;
use crate::host::Host;
use crate::kernel::netns::NetNs;
use crate::pin::elsewhere::{Foreign, Search, hidden, note_stack};
use crate::pin::lookup;

/// As many mounts of others than root are looked at, for a message.
const MOST_OF_OTHERS: usize = 1 << 16;
/// As many namespaces of one name are told of.
const MOST_LISTED: usize = 10;

/// Opens the namespace that the pin `name` holds: in our /run/netns, else in the mount namespaces
/// of root's own processes, if it is the same in all of them that have one.
///
/// # Errors
/// Where there is no such pin, or it is none of a namespace, or means several.
pub(super) fn resolve(host: &Host, name: &[u8]) -> Result<Target> {
    let refusal = match lookup::open(host, name) {
        Ok(Some(netns)) => {
            note_stack(host, name);
            return Ok(of_pin(netns, name));
        }
        Ok(None) => None,
        Err(error) => Some(error),
    };
    let here = in_its_place(host, name, refusal)?;
    let mut elsewhere = Elsewhere::find(host, name)?;
    if elsewhere.roots.len() > 1 {
        return Err(several(host, name, &elsewhere.roots));
    }
    if let Some((netns, foreign)) = elsewhere.roots.pop() {
        let text = format!("is in the mount namespace of {foreign}, not in ours");
        host.console.note(format_args!("pin {} {text}", quoted(name)));
        return Ok(of_pin(netns, name));
    }
    Err(match (elsewhere.of_others, here) {
        (Some(foreign), here) => told(name, here, &foreign, &foreign.words(host)),
        (None, Some(here)) => here,
        (None, None) => no_pin(host, name),
    })
}

/// Makes a target of a pin.
pub(super) fn of_pin(netns: NetNs, name: &[u8]) -> Target {
    let mut target = Target::new(netns, format!("pin {}", quoted(name)), None);
    target.pin = Some(name.to_vec());
    target
}

/// Looks for what is known of a pin that a bare word may mean and that our /run/netns does not
/// have; `refusal` is what stands there instead.
///
/// # Errors
/// What is known, and `refusal` in any case; where the machine refuses to be looked at.
pub(super) fn explain(host: &Host, name: &[u8], refusal: Option<Error>) -> Result<()> {
    let here = in_its_place(host, name, refusal)?;
    let elsewhere = Elsewhere::find(host, name)?;
    Err(match (elsewhere.roots.first(), elsewhere.of_others, here) {
        (Some((_, foreign)), _, here) => told(name, here, foreign, &format!("-n {}", shown(name))),
        (None, Some(foreign), here) => told(name, here, &foreign, &foreign.words(host)),
        (None, None, Some(here)) => here,
        (None, None, None) => return Ok(()),
    })
}

/// Returns why our /run/netns does not show the pin, if something is known of it there.
///
/// # Errors
/// Where something else has its name, or the machine refuses.
fn in_its_place(host: &Host, name: &[u8], refusal: Option<Error>) -> Result<Option<Error>> {
    match refusal {
        Some(error) if error.errno().is_some() => Err(error),
        refusal if is_path(name) => Ok(refusal),
        refusal => match (hidden(host, name)?, refusal) {
            (None, Some(error)) if !lookup::is_vacant(host, name) => Err(error),
            (hidden, refusal) => Ok(hidden.or(refusal)),
        },
    }
}

/// Tells whether a word is no entry's name, but perhaps a pod's.
fn is_path(name: &[u8]) -> bool {
    name.contains(&b'/')
}

/// The entries of one name in other mount namespaces than ours.
#[derive(Default)]
struct Elsewhere {
    /// In those of root's processes: each network namespace once.
    roots: Vec<(NetNs, Foreign)>,
    /// In that of a container or user, looked for where root has none.
    of_others: Option<Foreign>,
}

impl Elsewhere {
    fn find(host: &Host, name: &[u8]) -> Result<Elsewhere> {
        if is_path(name) {
            return Ok(Elsewhere::default());
        }
        let (mut search, root) = (Search::new(host, name), World::root(host));
        let mut roots: Vec<(NetNs, Foreign)> = Vec::new();
        search.visit(usize::MAX, &|process| root.has_process(process), &mut |foreign| {
            let is_known = roots.iter().any(|(_, known)| known.inode == foreign.inode);
            if is_known || roots.len() == MOST_LISTED {
                return;
            }
            match foreign.open(host) {
                Ok(opened) => roots.extend(opened.map(|netns| (netns, foreign))),
                Err(error) => host.fail(error),
            }
        });
        let mut of_others: Option<Foreign> = None;
        if roots.is_empty() && !host.is_one_look_of_many() {
            let hosts = host.netns_id().map(|id| id.ino);
            search.visit(MOST_OF_OTHERS, &|_| true, &mut |foreign| {
                // Whoever calls the host's by that name is not to lead anybody there.
                if hosts == Some(foreign.inode) {
                    return;
                }
                // Whoever has uid 0 is more likely meant.
                if of_others.as_ref().is_none_or(|known| known.uid != 0 && foreign.uid == 0) {
                    of_others = Some(foreign);
                }
            });
        }
        host.check()?;
        Ok(Elsewhere { roots, of_others })
    }
}

/// Tells of an entry in another mount namespace, and the words that enter it.
fn told(name: &[u8], here: Option<Error>, foreign: &Foreign, words: &str) -> Error {
    let message = match here {
        Some(error) => format!("{} ({foreign} has one)", error.message()),
        None => {
            let name = quoted(name);
            format!("no pin {name} here, but {foreign} has one in its mount namespace")
        }
    };
    Error::new(message).absent().with_remedy(format!("to enter it: netns-enter {words}"))
}

/// Makes the refusal of a name that means several namespaces.
fn several(host: &Host, name: &[u8], found: &[(NetNs, Foreign)]) -> Error {
    let items = found.iter().map(|(netns, foreign)| format!("{foreign} has {}", netns.id.ino));
    let words = found.iter().map(|(_, foreign)| foreign.words(host));
    let message = format!("pin {} is ambiguous: {}", quoted(name), list(items, ", "));
    Error::new(message).unclear().with_remedy(format!("say {}", list(words, " or ")))
}
