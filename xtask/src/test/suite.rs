//! Running one program of tests: output kept, time bounded, nothing left behind.

use std::{
    fs::{self, File},
    path::PathBuf,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{
    Options,
    libtest::{self, Outcome},
    program::{self, is_privileged},
};
use crate::{artifacts::Program, child::Running, exec, privilege, privilege::Privilege, workspace};

/// Tests of the kernel that run at once. Most of their time they wait: for grace periods of RCU, and for findings that
/// take their seconds.
const TESTS_AT_ONCE: usize = 3;

/// Where the output of each program is kept until its next run.
pub(super) fn log_dir() -> PathBuf {
    workspace::target_dir().join("xtask").join("tests")
}

/// Runs a program of tests, as root if its tests load programs into the kernel.
pub(super) fn run(program: &Program, options: &Options, privilege: &Privilege) -> Result<Outcome> {
    let mut command = match is_privileged(program) {
        true => privilege::tied_as_root(privilege, &program.path),
        false => exec::tied(&program.path),
    };
    command.args(libtest::ARGUMENTS).env(libtest::TIMED, "1");
    if is_privileged(program) && std::env::var_os("RUST_TEST_THREADS").is_none() {
        command.arg(format!("--test-threads={TESTS_AT_ONCE}"));
    }
    command.args(&options.filter);
    // As cargo runs them.
    command.current_dir(&program.directory).env("CARGO_MANIFEST_DIR", &program.directory);
    supervise(&mut command, &file(&program::name(program)), options.timeout)
}

/// The file in which a suite's output is kept, without its ending.
fn file(name: &str) -> String {
    name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-' && c != '_', "-")
}

/// How a suite went when it last ran here.
pub(crate) fn last(name: &str) -> Result<Outcome> {
    let path = log_dir().join(format!("{}.log", file(name)));
    let bytes = fs::read(&path).with_context(|| {
        format!("could not read {}, which `cargo xtask test` writes; run that first", path.display())
    })?;
    Ok(libtest::read(&String::from_utf8_lossy(&bytes), true))
}

/// Runs a command that writes as libtest does, for at most so many seconds.
pub(super) fn supervise(command: &mut Command, name: &str, timeout: u64) -> Result<Outcome> {
    fs::create_dir_all(log_dir()).with_context(|| format!("could not make {}", log_dir().display()))?;
    let path = log_dir().join(format!("{name}.log"));
    let log = File::create(&path).with_context(|| format!("could not write {}", path.display()))?;
    // A file and not a pipe: a process that a test leaves behind would hold a pipe open, and we would wait for it.
    let stderr = log.try_clone().context("could not share the log between stdout and stderr")?;
    command.stdin(Stdio::null()).stdout(log).stderr(stderr);
    let start = Instant::now();
    let mut child = Running::start(command, name)?;
    let status = child.wait_until(start + Duration::from_secs(timeout))?;
    if status.is_none() {
        child.stop();
    }
    let bytes = fs::read(&path).with_context(|| format!("could not read {}", path.display()))?;
    let mut outcome =
        libtest::read(&String::from_utf8_lossy(&bytes), status.is_some_and(|status| status.success()));
    if status.is_none() {
        outcome.failures.push(format!("ended after {timeout} s; --timeout gives it more"));
    }
    outcome.seconds = start.elapsed().as_secs_f64();
    Ok(outcome)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = exec::tied("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn both_outputs_are_read() {
        let script = "echo 'running 1 test'; echo 'test a ... ok'; echo 'SKIPPED: a: why' >&2; echo 'test result: ok.'";
        let outcome = supervise(&mut sh(script), "self-both", 60).unwrap();
        assert_eq!((outcome.passed, outcome.failed(), outcome.skipped.len()), (0, 0, 1));
    }

    #[test]
    fn a_hanging_program_is_ended_and_fails() {
        let outcome = supervise(&mut sh("exec sleep 600"), "self-hang", 1).unwrap();
        assert!(outcome.failures.iter().any(|f| f.contains("ended after 1 s")), "{:?}", outcome.failures);
    }
}
