//! `cargo xtask screenshots`: the pictures in README.md and docs/, drawn by the program from the bundled recording.
//!
//! The drawing is a test of the observer's, so that `cargo xtask test` notices when a picture is not what the program
//! shows any more.

use anyhow::{Context as _, Result};
use clap::Args;

use crate::{
    exec,
    setup::{self, Purpose},
    workspace,
};

/// Flags of `cargo xtask screenshots`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Write nothing; fail if a picture is not what the program draws now
    #[arg(long)]
    check: bool,
}

/// Runs it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let toolchain = setup::ensure(&[Purpose::Lint])?.toolchain;
    let mut cargo = workspace::cargo_with_bpf(&toolchain);
    cargo.args(["test", "--quiet", "--package", "observer", "--test", "screenshots"]);
    if options.check {
        return exec::run(&mut cargo).context("pictures in docs/screenshots are not what the program draws");
    }
    exec::run(cargo.env("UPDATE_SCREENSHOTS", "1")).context("the pictures could not be drawn")
}
