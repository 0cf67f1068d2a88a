//! Entering a namespace and becoming COMMAND there; with `--pin`, after it was pinned or instead.

#![forbid(unsafe_code)]

use crate::base::error::{Error, NOT_EXECUTABLE, NOT_FOUND, Result, describe};
use crate::base::escape::quoted;
use crate::cli::Exec;
use crate::host::Host;
use crate::pin::create;
use crate::sys::libc::{self, Argv};
use crate::target::{Target, TargetSpec, resolve};
use crate::view::{View, Views};
use rustix::io::Errno;
use std::convert::Infallible;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStringExt;

/// Enters what `spec` means, pinned first if there is a name for it, and becomes COMMAND there.
/// Returns only on failure.
///
/// # Errors
/// Where anything fails. Nothing was run then.
pub(super) fn enter(
    host: &Host,
    spec: &TargetSpec,
    pin: Option<&[u8]>,
    views: Views,
    argv: Argv,
    exec: Exec,
) -> Result<Infallible> {
    let target = find(host, spec)?;
    become_command(host, &target, pin, views, argv, exec)
}

/// Pins what `spec` means.
///
/// # Errors
/// Where it is not found, or cannot be pinned under that name.
pub(super) fn pin(host: &Host, spec: &TargetSpec, name: &[u8]) -> Result<()> {
    let target = find(host, spec)?;
    create::pin(host, &target.netns, name)?;
    Ok(())
}

fn find(host: &Host, spec: &TargetSpec) -> Result<Target> {
    let target = resolve(host, spec)?;
    if host.is_hosts(&target.netns) {
        host.console.note(format_args!("{} uses the host's network namespace", target.label));
    }
    Ok(target)
}

/// Pins and enters what was found, and becomes COMMAND there. All that can fail before anything was
/// changed comes first. Returns only on failure.
///
/// # Errors
/// Where anything fails. The pin stays where it was made.
pub(super) fn become_command(
    host: &Host,
    target: &Target,
    pin: Option<&[u8]>,
    views: Views,
    argv: Argv,
    exec: Exec,
) -> Result<Infallible> {
    let view = View::prepare(host, target, views)?;
    if let Some(name) = pin {
        create::pin(host, &target.netns, name)?;
    }
    target.netns.enter(&target.label)?;
    view.show(host.console)?;
    Err(match exec {
        Exec::Argument(index) => cannot_run(argv.get(index), argv.exec(index)),
        Exec::Shell => {
            let shell = shell();
            cannot_run(&shell, libc::exec(&shell))
        }
    })
}

fn cannot_run(command: &CStr, errno: Errno) -> Error {
    let message = format!("cannot run {}: {}", quoted(command.to_bytes()), describe(errno));
    let error = Error::new(message).with_status(NOT_EXECUTABLE);
    match errno {
        Errno::NOENT => error.with_status(NOT_FOUND),
        Errno::NOEXEC => error.with_remedy(
            "a script needs a first line such as #!/bin/sh, a binary this machine's format",
        ),
        _ => error,
    }
}

/// Returns `$SHELL`, or `/bin/sh` where that is unset or empty.
fn shell() -> CString {
    let chosen = libc::variable("SHELL").and_then(|shell| CString::new(shell.into_vec()).ok());
    chosen.unwrap_or_else(|| c"/bin/sh".into())
}
