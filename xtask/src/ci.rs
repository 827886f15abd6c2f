//! `cargo xtask ci`: the tests that README promises, with none skipped, the kernel tests on other kernels, and the
//! checks. `.ci/run` calls it.

use std::{
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    artifacts, lint,
    setup::{self, Purpose},
    table::Table,
    test, vm,
};

/// `cargo xtask ci` has no flags.
#[derive(Debug, Args)]
pub(crate) struct Options {}

/// What each part may take on two quiet CPUs, in seconds. More is a warning: machines differ, and a check that fails for
/// the time it took is read as one that fails for nothing.
const BUDGETS: &[(&str, u64)] = &[("setup", 60), ("build", 270), ("test", 340), ("vm", 780), ("lint", 240)];

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
    if parts.iter().all(|part| part.result.is_ok()) {
        parts.push(Part::run("build", || {
            let toolchain = setup::ensure(&purposes)?.toolchain;
            artifacts::build_tests(&toolchain, &[]).map(drop)
        }));
    }
    if parts.iter().all(|part| part.result.is_ok()) {
        parts.push(Part::run("test", || test::run(&test::Options::for_ci())));
        parts.extend(vm_and_lint());
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

/// Each guest is emulated by one thread, and there are as many at once as CPUs. The checks, of which none measures, begin
/// when a CPU has no more guests to emulate; or at the end, if no guest ran.
fn vm_and_lint() -> [Part; 2] {
    let (idle, wait) = mpsc::channel();
    thread::scope(|scope| {
        let lint = scope.spawn(move || {
            // An error means that nobody will tell any more.
            let _ = wait.recv();
            Part::run("lint", || lint::run(&lint::Options::default()))
        });
        let vm = Part::run("vm", || {
            let result = vm::run_telling(&vm::Options::for_ci(), &idle);
            drop(idle);
            result
        });
        let panicked =
            |_| Part { name: "lint", took: Duration::ZERO, result: Err(anyhow::anyhow!("it panicked")) };
        [vm, lint.join().unwrap_or_else(panicked)]
    })
}
