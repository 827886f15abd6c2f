//! Error paths of the binary: what it says, and the exit code of the contract.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | ok |
//! | 1 | failed |
//! | 2 | usage |
//! | 3 | lacking privilege |
//! | 4 | the kernel lacks a required feature |
//!
//! The bundled backend's own error paths are tested in its own crate.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that fails does so with a panic, helpers included"
)]

#[path = "cli/bombs.rs"]
mod bombs;
#[path = "cli/hooks.rs"]
mod hooks;
#[path = "cli/outputs.rs"]
mod outputs;
#[path = "cli/privilege.rs"]
mod privilege;
#[path = "cli/recordings.rs"]
mod recordings;
#[path = "cli/surroundings.rs"]
mod surroundings;
#[path = "cli/type_information.rs"]
mod type_information;
#[path = "cli/usage.rs"]
mod usage;

use std::{
    process::{Command, Output, Stdio},
    thread,
};

use rustix::thread::{CapabilitySet, capabilities, remove_capability_from_bounding_set};

/// A run of the binary, ended.
#[derive(Debug)]
struct Run {
    code: Option<i32>,
    stdout: String,
    stderr: String,
}

impl Run {
    fn of(output: Output) -> Self {
        let text = |bytes| String::from_utf8(bytes).expect("the binary writes UTF-8");
        Self { code: output.status.code(), stdout: text(output.stdout), stderr: text(output.stderr) }
    }

    /// It failed with this code, wrote nothing to stdout, and said each of these on stderr.
    #[track_caller]
    fn refused(&self, code: i32, says: &[&str]) {
        assert_eq!(self.code, Some(code), "exit code: {self:?}");
        assert_eq!(self.stdout, "", "an error is nothing for machines");
        for word in says {
            assert!(self.stderr.contains(word), "stderr does not say `{word}`: {self:?}");
        }
        assert!(!self.stderr.contains("panicked"), "{self:?}");
    }
}

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_observer"));
    command.args(arguments).stdin(Stdio::null());
    command
}

/// Runs the binary as whoever runs the tests.
#[track_caller]
fn run(arguments: &[&str]) -> Run {
    Run::of(command(arguments).output().expect("cannot run the observer"))
}

/// Whether whoever runs the tests has all of these.
fn has(wanted: CapabilitySet) -> bool {
    capabilities(None).expect("capget").effective.contains(wanted)
}

/// Runs the binary with at most these capabilities, and those that it takes to read files wherever the tests are.
///
/// The bounding set belongs to a thread and is inherited; at execve(2) it limits what even root is given.
#[track_caller]
fn run_with_only(wanted: CapabilitySet, arguments: &[&str]) -> Run {
    let kept = wanted | CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH;
    let limited = || {
        if has(CapabilitySet::SETPCAP) {
            for capability in CapabilitySet::all().iter().filter(|one| !kept.contains(*one)) {
                // The kernel may be too old to know it; then nobody has it.
                let _ = remove_capability_from_bounding_set(capability);
            }
        }
        run(arguments)
    };
    thread::scope(|scope| scope.spawn(limited).join()).unwrap()
}
