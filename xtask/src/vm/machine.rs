//! The emulated machine: boots a kernel, and gives back what the guest wrote.

use std::{
    fs,
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::kernels::Kernel;
use crate::{child::Running, interrupt::Interrupt, setup::qemu, workdir::WorkDir};

/// First line of the guest's own.
pub(super) const BEGUN: &str = "guest: begun";
/// Last line of the guest's own, before the exit status.
pub(super) const ENDED: &str = "guest: ended";

/// Now and then a guest panics in its own clock code before it runs anything: a race of the emulator.
const BOOTS: usize = 4;
/// A guest that has not begun by then will not.
const BOOT_TIMEOUT: Duration = Duration::from_secs(120);

/// All that TCG has, but for moving and filling memory with one instruction (`rep movsb`, `rep stosb`), which it emulates
/// byte by byte: without it a run of tests costs a fifth less.
const PROCESSOR: &str = "max,-erms,-fsrm";

/// What came of a line.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ended {
    /// What it wrote to stdout and stderr.
    pub(super) output: String,
    /// Its exit status; None if the guest ended before it did.
    pub(super) status: Option<i32>,
    /// From power on to power off.
    pub(super) seconds: f64,
}

/// Boots, waits for the end, and boots again if the guest never began.
pub(super) fn boot(
    kernel: &Kernel,
    initramfs: &Path,
    directory: &WorkDir,
    timeout: Duration,
    interrupt: &Interrupt,
) -> Result<Ended> {
    for _ in 0..BOOTS {
        let start = Instant::now();
        let serial = directory.join("serial");
        fs::write(&serial, "").with_context(|| format!("could not write {}", serial.display()))?;
        let console = directory.join("console");
        let mut machine = start_machine(kernel, initramfs, &serial, &console)?;
        let read = || fs::read(&serial).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        loop {
            if machine.wait_until(Instant::now() + Duration::from_millis(200))?.is_some() {
                break;
            }
            interrupt.check()?;
            let limit = if parse(&read()?, 0.0).is_some() { timeout } else { BOOT_TIMEOUT };
            if start.elapsed() > limit {
                break;
            }
        }
        machine.stop();
        if let Some(ended) = parse(&read()?, start.elapsed().as_secs_f64()) {
            return Ok(ended);
        }
        let console = fs::read(&console).unwrap_or_default();
        let console = String::from_utf8_lossy(&console);
        let last: Vec<&str> = console.lines().rev().take(5).collect();
        eprintln!(
            "vm: the guest did not begin; its last words: {}",
            last.into_iter().rev().collect::<Vec<_>>().join(" | ")
        );
    }
    bail!("Linux {} did not boot in {BOOTS} attempts", kernel.version)
}

fn start_machine(kernel: &Kernel, initramfs: &Path, serial: &Path, console: &Path) -> Result<Running> {
    let mut qemu = qemu::command();
    // One thread for all processors of the guest: with several, TCG now and then runs code that was just rewritten.
    qemu.args(["-accel", "tcg,thread=single", "-cpu", PROCESSOR, "-smp", "2", "-m", "3072"])
        .args(["-display", "none", "-no-reboot", "-nodefaults", "-append", "console=ttyS0 quiet panic=-1"])
        .arg("-kernel")
        .arg(&kernel.image)
        .arg("-initrd")
        .arg(initramfs)
        .args(["-serial".as_ref(), file(console).as_os_str(), "-serial".as_ref(), file(serial).as_os_str()])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    Running::start(&mut qemu, "qemu")
}

fn file(path: &Path) -> std::ffi::OsString {
    let mut text = std::ffi::OsString::from("file:");
    text.push(path);
    text
}

/// What the guest wrote on its serial port; None if it never began.
fn parse(serial: &str, seconds: f64) -> Option<Ended> {
    let serial = serial.replace('\r', "");
    let (_, rest) = serial.split_once(&format!("{BEGUN}\n"))?;
    let (output, status) = match rest.rsplit_once(&format!("{ENDED} ")) {
        Some((output, status)) => (output, status.trim().parse().ok()),
        None => (rest, None),
    };
    Some(Ended { output: output.to_owned(), status, seconds })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn output_lies_between_the_marks() {
        let ended = |output: &str, status| Some(Ended { output: output.into(), status, seconds: 1.0 });
        assert_eq!(parse("guest: begun\r\na\r\nb\r\nguest: ended 3\r\n", 1.0), ended("a\nb\n", Some(3)));
        assert_eq!(parse("guest: begun\na\n", 1.0), ended("a\n", None));
        assert_eq!(parse("noise", 1.0), None);
    }
}
