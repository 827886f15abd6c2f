//! `cargo xtask ci`: the tests that README promises, with none skipped, the kernel tests on other kernels, and the
//! checks. `.ci/run` calls it.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use rustix::process::setpriority_process;

use crate::{
    artifacts::Program,
    lint,
    setup::{self, Purpose},
    table::Table,
    test, vm,
};

/// `cargo xtask ci` has no flags.
#[derive(Debug, Args)]
pub(crate) struct Options {}

/// What each part may take on two quiet CPUs, in seconds; the checks beside the tests and the guests. More is a warning:
/// machines differ, and a check that fails for the time it took is read as one that fails for nothing.
const BUDGETS: &[(&str, u64)] =
    &[("setup", 60), ("build", 270), ("test", 420), ("vm", 840), ("lint", 1200), ("examples", 60)];

/// As nice(1) counts.
const LOWEST_PRIORITY: i32 = 19;

/// A part of the run, and what came of it.
struct Part {
    name: &'static str,
    took: Duration,
    result: Result<()>,
}

impl Part {
    fn run(name: &'static str, work: impl FnOnce() -> Result<()>) -> Self {
        let start = Instant::now();
        let result = work();
        Self { name, took: start.elapsed(), result }
    }

    /// Seconds that it may take.
    fn budget(&self) -> u64 {
        BUDGETS.iter().find(|(name, _)| *name == self.name).map_or(0, |(_, seconds)| *seconds)
    }
}

/// Runs all parts. Without what setup and build make there is nothing to run; any other failure stops nothing, so that
/// one run shows all there is to fix.
pub(crate) fn run(_: &Options) -> Result<()> {
    let start = Instant::now();
    let purposes = [Purpose::Test, Purpose::Vm, Purpose::Lint];
    let mut parts = vec![Part::run("setup", || setup::ensure(&purposes).map(drop))];
    let mut programs = Vec::new();
    if parts.iter().all(|part| part.result.is_ok()) {
        parts.push(Part::run("build", || {
            programs = test::build(&test::Options::for_ci())?;
            Ok(())
        }));
    }
    if parts.iter().all(|part| part.result.is_ok()) {
        parts.extend(test_and_lint(&programs));
        parts.push(Part::run("examples", || test::run_examples(&test::Options::for_ci())));
    }
    let mut table = Table::new(["part", "seconds", "may take", "result"]);
    let mut failed = Vec::new();
    for part in &parts {
        let word = if part.result.is_ok() { "ok" } else { "FAILED" };
        let seconds = part.took.as_secs();
        table.row([part.name.to_owned(), seconds.to_string(), part.budget().to_string(), word.to_owned()]);
        if seconds > part.budget() {
            eprintln!(
                "ci: warning: {} took {seconds} s, more than the {} s that it may",
                part.name,
                part.budget()
            );
        }
        if let Err(error) = &part.result {
            eprintln!("ci: {} failed: {error:#}", part.name);
            failed.push(part.name);
        }
    }
    print!("{table}");
    println!("ci: {} s in all", start.elapsed().as_secs());
    match failed.as_slice() {
        [] => Ok(()),
        _ => bail!("{} failed", failed.join(" and ")),
    }
}

/// The tests and then the guests, and beside them the checks at the lowest priority: the tests of the kernel wait for most of
/// their time, at the end there are fewer guests than CPUs, and no check measures. cargo lets only one of them build, so the
/// examples in the documentation come after the checks, and the guests have the programs of the tests.
fn test_and_lint(programs: &[Program]) -> [Part; 3] {
    thread::scope(|scope| {
        let lint = scope.spawn(|| {
            Part::run("lint", || {
                // Of this thread alone (Linux), and of what it starts.
                setpriority_process(None, LOWEST_PRIORITY)
                    .context("could not lower the priority of the checks")?;
                lint::run(&lint::Options::default())
            })
        });
        let test = Part::run("test", || test::run_built(&test::Options::for_ci(), programs));
        let vm = Part::run("vm", || vm::run_built(&vm::Options::for_ci(), Some(programs)));
        let panicked =
            |_| Part { name: "lint", took: Duration::ZERO, result: Err(anyhow::anyhow!("it panicked")) };
        [test, vm, lint.join().unwrap_or_else(panicked)]
    })
}
