//! Looking up a word for the caller: in the worlds that the caller asks, and in a user's for root
//! who names the user.

#![forbid(unsafe_code)]

use super::claims;
use super::lookup::{Lookup, find_in, worlds};
use super::word::Word;
use super::world::{World, users};
use crate::base::error::Result;
use crate::base::text::number;
use crate::host::Host;

/// Looks up `word` for the caller.
///
/// # Errors
/// Where it is ambiguous, or what it means is starting or not proven.
pub(crate) fn find(host: &Host, word: &[u8]) -> Result<Lookup> {
    let wanted = Word::parse(word);
    let worlds = worlds(host)?;
    for world in &worlds {
        match find_in(world, &wanted)? {
            Lookup::Unknown => {}
            known => return Ok(known),
        }
    }
    // A name of root's that is spelled so goes first.
    let Some((name, user)) = wanted.of_user else { return Ok(Lookup::Unknown) };
    let wanted = wanted.without_user(name);
    let Some(roots) = worlds.last() else { return Ok(Lookup::Unknown) };
    let named = users::named(roots, user);
    let uid = named.as_ref().map_or(number(user), |named| Some(named.uid.into()));
    let is_own =
        |world: &&World<'_>| world.user_of().is_some_and(|own| uid == Some(own.uid.into()));
    if let Some(own) = worlds.iter().find(is_own) {
        return find_in(own, &wanted);
    }
    let Some(user) = named else { return Ok(Lookup::Unknown) };
    Ok(claims::ask(host, &wanted, &user)?.map_or(Lookup::Unknown, Lookup::Running))
}
