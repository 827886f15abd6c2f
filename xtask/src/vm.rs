//! `cargo xtask vm`: the kernel tests on other kernels.
//!
//! Boots Debian's kernels under QEMU, without KVM, and runs there the same tests that run on this machine, once as the
//! observer chooses its hooks and once for each other hook that the kernel can load. docs/kernels.md is made of the
//! results.

mod document;
mod guest;
mod hooks;
mod kernels;
mod machine;
mod peers;

use std::{
    sync::mpsc::{self, Sender},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::{
    interrupt::Interrupt,
    setup::{self, Purpose},
    test,
};
use document::Column;
use guest::Guest;
use hooks::Doctor;
use machine::Ended;

/// Flags of `cargo xtask vm`.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Only this kernel, by the beginning of its version; repeatable [default: every one of the table]
    #[arg(long = "kernel", value_name = "SERIES", value_parser = kernels::series)]
    kernels: Vec<String>,
    /// Run only tests whose name contains this
    filter: Option<String>,
    /// Instead of the tests run this command line in the guest, where `observer` is on the PATH
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["filter", "write"])]
    exec: Option<String>,
    /// Instead of the tests let other tools watch the same load, and show what each counted
    #[arg(long, conflicts_with_all = ["filter", "write", "exec"])]
    peers: bool,
    /// Write docs/kernels.md; otherwise only say whether it is up to date
    #[arg(long)]
    write: bool,
    /// Seconds after which a guest is ended
    #[arg(long, value_name = "SECONDS", default_value_t = 1500, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

impl Options {
    /// As a clean machine runs it.
    pub(crate) fn for_ci() -> Self {
        Self { timeout: 2400, ..Self::default() }
    }
}

/// Runs it.
pub(crate) fn run(options: &Options) -> Result<()> {
    run_telling(options, &mpsc::channel().0)
}

/// Runs it, and tells when a kernel has had all its tests: the processor that emulated it is idle from then on.
pub(crate) fn run_telling(options: &Options, idle: &Sender<()>) -> Result<()> {
    let purposes = if options.peers { &[Purpose::Vm, Purpose::Peers][..] } else { &[Purpose::Vm] };
    let ready = setup::ensure(purposes)?;
    let interrupt = Interrupt::catch()?;
    let timeout = Duration::from_secs(options.timeout);
    let kernels = kernels::fetch(&options.kernels)?;
    let guest = Guest::build(&ready.toolchain)?;
    if options.peers {
        return peers::run(&guest.with(peers::files()?), &kernels, timeout, &interrupt);
    }
    if let Some(line) = &options.exec {
        for kernel in &kernels {
            let output = exec(&guest.run(kernel, line, timeout, &interrupt)?)?;
            println!("== Linux {}\n{output}", kernel.version);
        }
        return Ok(());
    }
    // Each machine is emulated by one thread.
    let each: Vec<Result<(Column, Results)>> = thread::scope(|scope| {
        let run = |kernel| {
            let (guest, interrupt) = (&guest, &interrupt);
            scope.spawn(move || {
                let result = matrix(guest, kernel, options, timeout, interrupt);
                // Nobody need listen.
                let _ = idle.send(());
                result
            })
        };
        let running: Vec<_> = kernels.iter().map(run).collect();
        let joined = running.into_iter().map(|one| one.join().unwrap_or_else(|_| bail!("it panicked")));
        joined.collect()
    });
    let (mut columns, mut results) = (Vec::new(), Vec::new());
    for (kernel, result) in kernels.iter().zip(each) {
        let (column, outcomes) = result.with_context(|| format!("Linux {}", kernel.version))?;
        columns.push(column);
        results.extend(outcomes);
    }
    if options.kernels.is_empty() && options.filter.is_none() {
        columns.push(Column::of_this_machine(&ready)?);
        document::compare(&columns, options.write)?;
    }
    test::conclude(&results, true)
}

/// What a command wrote in the guest.
fn exec(ended: &Ended) -> Result<String> {
    match ended.status {
        Some(0) => Ok(ended.output.clone()),
        Some(status) => bail!("the command ended with {status}: {}", ended.output.trim_end()),
        None => bail!("the guest ended before the command did: {}", ended.output.trim_end()),
    }
}

/// More than the guest has processors: a test that starts or ends an observer mostly waits for grace periods of RCU.
const TESTS_AT_ONCE: usize = 3;

type Results = Vec<(String, test::libtest::Outcome)>;

/// The tests on one kernel, with every set of hooks that it can load.
fn matrix(
    guest: &Guest,
    kernel: &kernels::Kernel,
    options: &Options,
    timeout: Duration,
    interrupt: &Interrupt,
) -> Result<(Column, Results)> {
    eprintln!("vm: Linux {}: which hooks it has", kernel.version);
    let doctor = Doctor::read(&exec(&guest.run(kernel, "observer doctor --json", timeout, interrupt)?)?)?;
    let script = hooks::loadable_script(&doctor);
    let loadable = match script.is_empty() {
        true => Vec::new(),
        false => hooks::loadable(&guest.run(kernel, &script, timeout, interrupt)?.output),
    };
    let mut results = Vec::new();
    for set in hooks::sets(&doctor, &loadable) {
        let name = match set.is_empty() {
            true => format!("Linux {}", kernel.series),
            false => format!("Linux {} with {set}", kernel.series),
        };
        eprintln!("vm: {name}: running the kernel tests");
        let filter = match &options.filter {
            Some(filter) => format!("'{filter}'"),
            None if set.is_empty() => String::new(),
            None => hooks::concerned(),
        };
        let line = format!(
            "OBSERVER_TEST_PATIENCE=600 OBSERVER_TEST_HOOKS='{set}' kernel-tests --show-output --format=pretty --color=never \
             --test-threads={TESTS_AT_ONCE} {filter}"
        );
        let ended = guest.run(kernel, &line, timeout, interrupt)?;
        let mut outcome = test::libtest::read(&ended.output, ended.status == Some(0));
        outcome.seconds = ended.seconds;
        if ended.status.is_none() {
            outcome.failures.push(format!(
                "the guest ended before its tests did, or was ended after {} s",
                timeout.as_secs()
            ));
        }
        test::show(&name, &outcome, false);
        results.push((name, outcome));
    }
    Ok((Column::of_guest(kernel, doctor, &loadable, &results), results))
}
