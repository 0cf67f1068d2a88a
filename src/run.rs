//! The program's summary: read the arguments, find the namespace, enter it, become the command.

#![forbid(unsafe_code)]

use crate::bytes::Bytes;
use crate::cli::{self, Action, Args};
use crate::console::{self, Console};
use crate::error::{Error, NOT_EXECUTABLE, NOT_FOUND, Result, describe};
use crate::host::Host;
use crate::pin;
use crate::sys::{self, Argv};
use crate::target::{self, Found};
use crate::text::text;
use crate::view::View;
use crate::{all, list, pin_all};
use rustix::io::Errno;
use std::ffi::CStr;

/// Runs the program; returns its exit status, if it returns.
pub fn main(argv: Argv) -> u8 {
    match run(argv) {
        Ok(status) => status,
        Err(error) => {
            console::report(&error);
            error.status
        }
    }
}

fn run(argv: Argv) -> Result<u8> {
    if sys::is_secure_exec() {
        return Err(Error::new(b"refusing to run with more rights than the caller (set-user-ID or file capabilities)")
            .remedy(b"remove them with chmod u-s or setcap -r, and use sudo"));
    }
    let args = cli::parse(argv)?;
    match args.action {
        Action::Help => console::print(cli::HELP.as_bytes())?,
        Action::Version => console::print(cli::VERSION.as_bytes())?,
        _ => return act(argv, &args),
    }
    Ok(0)
}

/// Does what concerns a machine; returns the exit status, if it returns.
fn act(argv: Argv, args: &Args) -> Result<u8> {
    let console = Console { quiet: args.quiet, verbose: args.verbose };
    let host = match args.host_root {
        Some(dir) => Host::mounted_at(dir, console)?,
        None => Host::own(console),
    };
    let found = match &args.target {
        Some(target) => Some(target::resolve(&host, target)?),
        None => None,
    };
    match args.action {
        Action::Unpin => unpin(&host, &args.unpin)?,
        Action::List => list::list(&host, found.as_deref(), args.json)?,
        Action::PinAll => return pin_all::pin_all(&host),
        Action::All => return all::all(&host, &|found| become_command_in(&host, argv, args, found)),
        _ => enter(&host, argv, args, found.as_ref().ok_or_else(|| Error::new(b"no target"))?)?,
    }
    Ok(0)
}

fn enter(host: &Host, argv: Argv, args: &Args, found: &Found) -> Result<()> {
    if found.netns.is_hosts(host) {
        host.console.note(text!("{} uses the host's network namespace", found.label));
    }
    become_command_in(host, argv, args, found)
}

/// Pins and enters what was found, and execs COMMAND there. Returns on failure, or where there is only a pin to be made.
fn become_command_in(host: &Host, argv: Argv, args: &Args, found: &Found) -> Result<()> {
    let view = View::prepare(host, found, args)?;
    if let Some(name) = &args.pin {
        pin::pin(host, &found.netns, name)?;
        if args.command.is_none() {
            return Ok(());
        }
    }
    found.netns.enter(found.label)?;
    view.show(host.console)?;
    Err(become_command(argv, args.command))
}

/// Removes every pin that can be removed; the last failure is left to the caller to report.
fn unpin(host: &Host, names: &[Bytes]) -> Result<()> {
    let mut result = Ok(());
    for name in names {
        if let Err(error) = pin::unpin(host, name)
            && let Err(earlier) = std::mem::replace(&mut result, Err(error))
        {
            console::report(&earlier);
        }
    }
    result
}

/// Execs COMMAND, or a shell. Returns only on failure.
fn become_command(argv: Argv, command: Option<usize>) -> Error {
    let (file, errno) = match command {
        Some(index) => (argv.get(index), argv.exec(index)),
        None => (shell(), sys::exec(shell())),
    };
    cannot_run(file.to_bytes(), errno)
}

fn cannot_run(command: &[u8], errno: Errno) -> Error {
    let error = Error::new(text!("cannot run \"{}\": {}", command, describe(errno)));
    match errno {
        Errno::NOENT => error.status(NOT_FOUND),
        Errno::NOEXEC => error
            .status(NOT_EXECUTABLE)
            .remedy(b"a script needs a first line such as #!/bin/sh, a binary this machine's format"),
        _ => error.status(NOT_EXECUTABLE),
    }
}

/// `$SHELL`, or `/bin/sh` where that is unset or empty.
fn shell() -> &'static CStr {
    sys::variable(c"SHELL").unwrap_or(c"/bin/sh")
}
