//! The emulated machine: boots a kernel, runs scripts in it, and gives back what they wrote.

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    process::{ChildStdin, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use super::{board::Board, kernels::Kernel};
use crate::{child::Running, interrupt::Interrupt, workdir::WorkDir};

/// What the guest writes when it waits for the first script.
pub(super) const BEGUN: &str = "guest: begun";
/// The line that ends a script, and has the guest run it.
pub(super) const RUN: &str = "guest: run";
/// What the guest writes after a script, before its exit status.
pub(super) const ENDED: &str = "guest: ended";

/// Now and then a guest panics in its own clock code before it runs anything: a race of the emulator.
const BOOTS: usize = 4;
/// A guest that has not begun by then will not.
const BOOT_TIMEOUT: Duration = Duration::from_secs(120);
/// How often we look at what it wrote.
const LOOK: Duration = Duration::from_millis(200);

/// What came of a script.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Ended {
    /// What it wrote to stdout and stderr.
    pub(super) output: String,
    /// Its exit status; `None` if the guest ended, or was ended, before it did.
    pub(super) status: Option<i32>,
    /// How long it ran.
    pub(super) seconds: f64,
}

/// A guest that has booted and waits for scripts. It is off when this is dropped.
pub(super) struct Machine {
    qemu: Running,
    /// Where the guest reads its scripts from.
    scripts: ChildStdin,
    /// Everything that the guest wrote.
    serial: PathBuf,
    /// Bytes of it that were read.
    read: usize,
    /// Holds `serial`.
    _directory: WorkDir,
}

impl Machine {
    /// Boots, and boots again if the guest never begins.
    pub(super) fn boot(
        board: &Board,
        kernel: &Kernel,
        initramfs: &Path,
        directory: WorkDir,
        interrupt: &Interrupt,
    ) -> Result<Self> {
        let (serial, console) = (directory.join("serial"), directory.join("console"));
        for _ in 0..BOOTS {
            let start = Instant::now();
            let mut qemu = start_qemu(board, kernel, initramfs, &serial, &console)?;
            loop {
                let begun = read_from(&serial, 0)?.find(BEGUN).map(|at| at + BEGUN.len());
                if let Some(read) = begun {
                    let scripts = qemu.child().stdin.take().context("qemu has no stdin")?;
                    return Ok(Self { qemu, scripts, serial, read, _directory: directory });
                }
                let is_over = qemu.wait_until(Instant::now() + LOOK)?.is_some();
                interrupt.check()?;
                if is_over || start.elapsed() > BOOT_TIMEOUT {
                    break;
                }
            }
            qemu.stop();
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

    /// Runs a script of its shell. One that is not over in time leaves a machine that runs no other.
    pub(super) fn run(&mut self, script: &str, timeout: Duration, interrupt: &Interrupt) -> Result<Ended> {
        let start = Instant::now();
        let text = format!("{}\n{RUN}\n", script.trim_end());
        let sent = self.scripts.write_all(text.as_bytes()).and_then(|()| self.scripts.flush());
        sent.context("the guest takes no script: it has ended")?;
        loop {
            let is_over = self.qemu.wait_until(Instant::now() + LOOK)?.is_some() || start.elapsed() > timeout;
            interrupt.check()?;
            let new = read_from(&self.serial, self.read)?;
            let ended = parse(&new, start.elapsed().as_secs_f64());
            if is_over || ended.status.is_some() {
                self.read += new.len();
                return Ok(ended);
            }
        }
    }
}

fn start_qemu(
    board: &Board,
    kernel: &Kernel,
    initramfs: &Path,
    serial: &Path,
    console: &Path,
) -> Result<Running> {
    let output = File::create(serial).with_context(|| format!("could not write {}", serial.display()))?;
    let mut qemu = board.command(&kernel.image, initramfs, console);
    qemu.stdin(Stdio::piped()).stdout(output);
    Running::start(&mut qemu, "qemu")
}

/// What the guest wrote from this byte on.
fn read_from(serial: &Path, from: usize) -> Result<String> {
    let context = || format!("could not read {}", serial.display());
    let mut file = File::open(serial).with_context(context)?;
    file.seek(SeekFrom::Start(from as u64)).with_context(context)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).with_context(context)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// What a script wrote on the serial port, and its status if it is over.
fn parse(serial: &str, seconds: f64) -> Ended {
    let serial = serial.replace('\r', "");
    let over = serial.rsplit_once(&format!("{ENDED} ")).and_then(|(output, status)| {
        // The line may not be there to its end.
        let status = status.strip_suffix('\n')?.parse().ok()?;
        Some((output.trim_start_matches('\n').to_owned(), status))
    });
    match over {
        Some((output, status)) => Ended { output, status: Some(status), seconds },
        None => Ended { output: serial, status: None, seconds },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_script_is_over_when_its_status_is_there() {
        let ended = |output: &str, status| Ended { output: output.into(), status, seconds: 1.0 };
        assert_eq!(parse("a\r\nb\r\nguest: ended 3\r\n", 1.0), ended("a\nb\n", Some(3)));
        assert_eq!(parse("a\nguest: ended 1", 1.0), ended("a\nguest: ended 1", None));
        assert_eq!(parse("a\n", 1.0), ended("a\n", None));
    }
}
