//! The emulated machines, one for each architecture.

use std::{
    ffi::{OsStr, OsString},
    path::Path,
    process::Command,
};

use crate::setup::qemu::{self, Emulator};

/// A machine that QEMU emulates.
#[derive(Debug)]
pub(super) struct Board {
    /// Debian's name of its architecture.
    pub(super) architecture: &'static str,
    /// It runs this machine's programs.
    pub(super) is_native: bool,
    emulator: &'static Emulator,
    /// The machine and its processor.
    processor: &'static [&'static str],
    /// The kernel's console, the first serial port.
    console: &'static str,
    /// The serial port by which scripts come, in the guest; and what makes it.
    pub(super) scripts: &'static str,
    port: &'static [&'static str],
}

/// x86-64. It has all that TCG has, but for moving and filling memory with one instruction (`rep movsb`, `rep stosb`),
/// which TCG emulates byte by byte: without it a run of tests costs a fifth less.
pub(super) static AMD64: Board = Board {
    architecture: "amd64",
    is_native: true,
    emulator: &qemu::X86,
    processor: &["-cpu", "max,-erms,-fsrm"],
    console: "ttyS0",
    scripts: "ttyS1",
    port: &["-serial", "stdio"],
};

/// 64-bit ARM. It signs pointers by a cheap algorithm, because the architecture's own takes half of TCG's time.
pub(super) static ARM64: Board = Board {
    architecture: "arm64",
    is_native: false,
    emulator: &qemu::ARM,
    processor: &["-M", "virt", "-cpu", "max,pauth-impdef=on"],
    console: "ttyAMA0",
    scripts: "ttyS0",
    port: &["-chardev", "stdio,id=scripts", "-device", "pci-serial,chardev=scripts"],
};

/// One: of several the emulator runs one at a time, for a tenth of a second each, and a CPU that waits for another, as
/// it does whenever a program is attached, waits that long. Several CPUs are this machine's part.
const CPUS: &str = "1";

/// The kernel's own options, all for speed: no work against attacks that an emulator does not know, and grace periods of
/// RCU that are not waited for, because most of a test is the observer's start and end.
const COMMAND_LINE: &str = "quiet panic=-1 mitigations=off init_on_alloc=0 rcupdate.rcu_expedited=1";

impl Board {
    /// The emulator's command line: scripts come by its stdin, and what they write goes to its stdout.
    pub(super) fn command(&self, image: &Path, initramfs: &Path, console: &Path) -> Command {
        let mut qemu = self.emulator.command();
        // One thread, whatever the number of CPUs: with several, TCG now and then runs code that was just rewritten.
        qemu.args(["-accel", "tcg,thread=single", "-smp", CPUS, "-m", "3072"])
            .args(self.processor)
            .args(["-display", "none", "-no-reboot", "-nodefaults"])
            .args(["-append", &format!("console={} {COMMAND_LINE}", self.console)])
            .args([OsStr::new("-kernel"), image.as_os_str(), OsStr::new("-initrd"), initramfs.as_os_str()])
            .arg("-serial")
            .arg(file(console))
            .args(self.port);
        qemu
    }
}

fn file(path: &Path) -> OsString {
    let mut text = OsString::from("file:");
    text.push(path);
    text
}
