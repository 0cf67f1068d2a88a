//! A real boot: the binary in an initramfs, as a child of pid 1, on a kernel that is not this
//! machine's. `tests/boot.init` tests there.

#![forbid(unsafe_code)]

use crate::util::{binary, finish_within, skip, small_build};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

/// The kernel is emulated, without KVM.
const PATIENCE: Duration = Duration::from_secs(1200);

#[test]
fn boot() {
    if !small_build() {
        return;
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let kernel = std::env::var_os("NETNS_ENTER_TEST_KERNEL")
        .map_or_else(|| here.join("target/boot/vmlinuz"), Into::into);
    let mut command = Command::new("sh");
    command.arg(here.join("tests/boot")).arg(kernel).arg(binary());
    let boot = finish_within(PATIENCE, command);
    match boot.status.code() {
        Some(77) => skip(boot.stdout.trim()),
        _ => assert!(boot.succeeds().stdout.contains(" checks, 0 failed"), "{}", boot.dump()),
    }
}
