//! `cargo xtask ci`: the tests that README promises, with none skipped, the kernel tests on other kernels, and the
//! checks. `.ci/run` calls it.

use std::{sync::mpsc, thread};

use anyhow::{Result, bail};
use clap::Args;

use crate::{lint, test, vm};

/// `cargo xtask ci` has no flags.
#[derive(Debug, Args)]
pub(crate) struct Options {}

/// Runs all three, whatever comes of those before, so that one run shows all there is to mend.
pub(crate) fn run(_: &Options) -> Result<()> {
    let test = test::run(&test::Options::for_ci());
    let (vm, lint) = vm_and_lint();
    let results = [("test", test), ("vm", vm), ("lint", lint)];
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

/// Guests are emulated by one thread each, and one of them takes longest. The checks, of which none measures, begin when
/// the first has ended; or at the end, if no guest ran.
fn vm_and_lint() -> (Result<()>, Result<()>) {
    let (idle, wait) = mpsc::channel();
    thread::scope(|scope| {
        let lint = scope.spawn(move || {
            // An error means that nobody will tell any more.
            let _ = wait.recv();
            lint::run(&lint::Options::default())
        });
        let vm = vm::run_telling(&vm::Options::for_ci(), &idle);
        drop(idle);
        (vm, lint.join().unwrap_or_else(|_| bail!("it panicked")))
    })
}
