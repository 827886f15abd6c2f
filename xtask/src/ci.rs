//! `cargo xtask ci`: the tests that README promises, with none skipped, the checks, and the kernel tests on other
//! kernels. `.ci/run` calls it.

use anyhow::{Result, bail};
use clap::Args;

use crate::{lint, test, vm};

/// `cargo xtask ci` has no flags.
#[derive(Debug, Args)]
pub(crate) struct Options {}

/// Runs all three, whatever comes of those before, so that one run shows all there is to mend.
pub(crate) fn run(_: &Options) -> Result<()> {
    let results = [
        ("test", test::run(&test::Options::for_ci())),
        ("lint", lint::run(&lint::Options::default())),
        ("vm", vm::run(&vm::Options::for_ci())),
    ];
    let mut failed = Vec::new();
    for (name, result) in results {
        match result {
            Ok(()) => eprintln!("ci: {name} ok"),
            Err(error) => {
                eprintln!("ci: {name} failed: {error:#}");
                failed.push(name);
            }
        }
    }
    match failed.as_slice() {
        [] => Ok(()),
        _ => bail!("{} failed", failed.join(" and ")),
    }
}
