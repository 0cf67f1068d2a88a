//! The verbs of the command line, one file each, and the program's summary: [`run`].

#![forbid(unsafe_code)]

mod all;
mod enter;
mod list;
mod pin_all;
mod unpin;
mod wait;

use crate::base::console::{Console, print, report};
use crate::base::error::{Error, Result};
use crate::cli::{Command, Invocation, Wait, help, parse};
use crate::containers::claims;
use crate::host::Host;
use crate::pin::create::Pins;
use crate::sys::libc::{Argv, is_secure_exec};
use crate::target::{Target, TargetSpec, resolve};

/// Runs the program; returns its exit status, if it returns.
pub fn main(argv: Argv) -> u8 {
    run(argv).unwrap_or_else(|error| {
        report(&error);
        error.status()
    })
}

/// Does what the command line says; returns the exit status, if it returns.
fn run(argv: Argv) -> Result<u8> {
    refuse_more_rights()?;
    run_parsed(&parse::parse(argv)?, argv)
}

fn run_parsed(invocation: &Invocation, argv: Argv) -> Result<u8> {
    let console = Console { quiet: invocation.quiet, verbose: invocation.verbose };
    let host = &mut match &invocation.host_root {
        Some(dir) => Host::mounted_at(dir, console)?,
        None => Host::own(console),
    };
    match &invocation.command {
        Command::Help => print(help::text().as_bytes())?,
        Command::Version => print(help::VERSION.as_bytes())?,
        Command::Enter { target, wait, pin, views, exec } => {
            let target = found(host, target, *wait)?;
            match enter::become_command(host, &target, pin.as_deref(), *views, argv, *exec)? {}
        }
        Command::Pin { target, wait, name } => {
            let target = found(host, target, *wait)?;
            Pins::open(host)?.add(&target.netns, name, &mut || Ok(()))?;
        }
        Command::PinAll => return pin_all::pin_all(host),
        Command::Unpin { names } => unpin::unpin(host, names)?,
        Command::List { target, format, deep } => {
            let target = match target {
                Some(spec) => Some(resolve(host, spec)?),
                None => None,
            };
            list::list(host, target.as_ref(), *format, *deep)?;
        }
        Command::All { views, command } => return all::all(host, *views, argv, *command),
    }
    Ok(0)
}

/// Finds what is to be entered, at once or when it comes.
fn found(host: &mut Host, spec: &TargetSpec, wait: Option<Wait>) -> Result<Target> {
    match wait {
        Some(wait) => wait::find(host, spec, wait),
        None => enter::find(host, spec),
    }
}

/// Notes how many containers that run are only what users say, and were left out by what root does
/// with all. Afterwards, as they may keep us waiting.
fn note_left_out(host: &Host) {
    if host.console.quiet {
        return;
    }
    match claims::list(host).map(|claims| claims.len()) {
        Ok(0) => {}
        Ok(1) => host.console.note("1 container of a user was left out; --list shows it"),
        Ok(count) => {
            let text = "containers of users were left out; --list shows them";
            host.console.note(format_args!("{count} {text}"));
        }
        Err(error) => host.console.note(error.message()),
    }
}

/// Refuses rights that the caller does not have: COMMAND would get them, too.
fn refuse_more_rights() -> Result<()> {
    if !is_secure_exec() {
        return Ok(());
    }
    let message = "refusing to run with more rights than the caller \
        (set-user-ID or file capabilities)";
    Err(Error::new(message).with_remedy("remove them with chmod u-s or setcap -r, and use sudo"))
}
