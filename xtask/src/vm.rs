//! `cargo xtask vm`: the kernel tests on other kernels.
//!
//! Boots Debian's kernels under QEMU, without KVM, and runs there the same tests that run on this machine: as the observer
//! chooses its hooks, and on the oldest and the newest kernel once more for each other hook that the kernel can load.
//! docs/kernels.md is made of the results.

mod apt;
mod arm64;
mod board;
mod builds;
mod document;
mod guest;
mod hooks;
mod kernels;
mod machine;
mod peers;
mod schedule;

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::{Args, ValueEnum};

use crate::{
    artifacts::Program,
    interrupt::Interrupt,
    setup::{self, Purpose},
    test::{self, libtest},
};
use document::Column;
use guest::{Guest, Programs};
use hooks::Doctor;
use kernels::Wanted;
use machine::Ended;

/// Flags of `cargo xtask vm`.
#[derive(Debug, Default, Args)]
pub(crate) struct Options {
    /// Only this kernel, by the beginning of its version; repeatable [default: all of the table]
    #[arg(long = "kernel", value_name = "SERIES", value_parser = kernels::series)]
    kernels: Vec<String>,
    /// Run only tests whose name contains this
    filter: Option<String>,
    /// Run the tests with the hooks that the observer chooses, and with no others
    #[arg(long, conflicts_with = "write")]
    quick: bool,
    /// Instead of the tests run this command line in the guest, where `observer` is on the PATH
    #[arg(long, value_name = "COMMAND", conflicts_with_all = ["filter", "write"])]
    exec: Option<String>,
    /// Instead of the tests let other tools watch the same load, and show what each counted
    #[arg(long, conflicts_with_all = ["filter", "write", "exec"])]
    peers: bool,
    /// Another architecture, on which the observer's self-test and a count of connections run, and no other test
    #[arg(long, value_enum, default_value_t, conflicts_with_all = ["kernels", "filter", "write", "peers"])]
    arch: Arch,
    /// Try every kernel of the table with every hook, and write docs/kernels.md
    #[arg(long, conflicts_with_all = ["kernels", "filter", "quick"])]
    write: bool,
    /// Seconds after which a guest is ended
    #[arg(long, value_name = "SECONDS", default_value_t = 1500, value_parser = clap::value_parser!(u64).range(1..))]
    timeout: u64,
}

/// Architecture of the emulated machine.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Arch {
    /// x86-64
    #[default]
    Amd64,
    /// 64-bit ARM
    Arm64,
}

impl Options {
    /// As a clean machine runs it.
    pub(crate) fn for_ci() -> Self {
        Self { timeout: 1800, ..Self::default() }
    }
}

/// Runs it.
pub(crate) fn run(options: &Options) -> Result<()> {
    run_built(options, None)
}

/// Runs it with programs that are built.
pub(crate) fn run_built(options: &Options, built: Option<&[Program]>) -> Result<()> {
    let mut purposes = vec![Purpose::Vm];
    purposes.extend(options.peers.then_some(Purpose::Peers));
    purposes.extend((options.arch == Arch::Arm64).then_some(Purpose::Arm64));
    let ready = setup::ensure(&purposes)?;
    let interrupt = Interrupt::catch()?;
    let timeout = Duration::from_secs(options.timeout);
    if options.arch == Arch::Arm64 {
        return arm64::run(&ready.toolchain, options.exec.as_deref(), timeout, &interrupt);
    }
    let wanted = match options.kernels.as_slice() {
        [] => Wanted::All,
        names => Wanted::Named(names),
    };
    let kernels = kernels::fetch(&wanted)?;
    let programs = built.map_or_else(|| Programs::build(&ready.toolchain), Programs::of)?;
    let guest = Guest::of_tests(&programs)?;
    if options.peers {
        return peers::run(&guest.with(peers::files()?), &kernels, timeout, &interrupt);
    }
    if let Some(script) = &options.exec {
        for kernel in &kernels {
            let ended = guest.boot(kernel, &interrupt)?.run(script, timeout, &interrupt)?;
            println!("== Linux {}\n{}", kernel.version, whole(&ended)?);
        }
        return Ok(());
    }
    // Those with every hook take longest.
    let mut order: Vec<usize> = (0..kernels.len()).collect();
    order.sort_by_key(|index| kernels.get(*index).is_none_or(|kernel| !kernel.every_hook));
    let each = schedule::run(&kernels, &order, schedule::cpus(), |kernel| {
        matrix(&guest, kernel, options, timeout, &interrupt)
    });
    let (mut columns, mut results) = (Vec::new(), Vec::new());
    for (kernel, result) in kernels.iter().zip(each) {
        let result = result.unwrap_or_else(|| bail!("it panicked"));
        let (column, outcomes) = result.with_context(|| format!("Linux {}", kernel.version))?;
        columns.push(column);
        results.extend(outcomes);
    }
    let every_kernel_and_hook = options.kernels.is_empty() && !options.quick;
    // A test that failed, or never ran, says enough by itself.
    if options.filter.is_none() && results.iter().all(|(_, outcome)| outcome.failed() == 0) {
        let unproven = document::unproven(&columns, every_kernel_and_hook);
        if !unproven.is_empty() {
            let outcome = libtest::Outcome { failures: unproven, ..libtest::Outcome::default() };
            results.push(("hooks that no test proves".to_owned(), outcome));
        }
    }
    if options.write {
        columns.push(Column::of_this_machine(&programs.observer, &ready.privilege)?);
        document::write(&columns)?;
    }
    test::conclude(&results, true)
}

/// What a script wrote that ended well.
fn whole(ended: &Ended) -> Result<&str> {
    match ended.status {
        Some(0) => Ok(&ended.output),
        Some(status) => bail!("the script ended with {status}: {}", ended.output.trim_end()),
        None => bail!("the guest ended before the script did: {}", ended.output.trim_end()),
    }
}

type Results = Vec<(String, libtest::Outcome)>;

/// More than the guest has CPUs: a test that starts or ends an observer mostly waits for grace periods of RCU, and
/// others for findings that take their seconds.
const TESTS_AT_ONCE: usize = 4;

/// The tests on one kernel, in one machine: with the hooks that the observer chooses, and with every other that loads
/// where this is asked for.
fn matrix(
    guest: &Guest,
    kernel: &kernels::Kernel,
    options: &Options,
    timeout: Duration,
    interrupt: &Interrupt,
) -> Result<(Column, Results)> {
    let start = Instant::now();
    let mut machine = guest.boot(kernel, interrupt)?;
    let doctor = Doctor::read(whole(&machine.run("observer doctor --json", timeout, interrupt)?)?)?;
    let sets = hooks::sets(&doctor, |set| {
        let ended = machine.run(&hooks::script(set), timeout, interrupt)?;
        match ended.status {
            Some(0) => Ok(None),
            _ => hooks::refused_signal(&ended.output).map(Some).with_context(|| ended.output.clone()),
        }
    })?;
    let seconds = start.elapsed().as_secs_f64();
    eprintln!("vm: Linux {}: booted, and every hook tried, in {seconds:.0} s", kernel.version);
    let loads = sets.concat();
    let tested = if kernel.every_hook && !options.quick { sets } else { vec![hooks::Set::new()] };
    let mut results = Vec::new();
    for set in &tested {
        let set = set.join(",");
        let name = match set.is_empty() {
            true => format!("Linux {}", kernel.series),
            false => format!("Linux {} with {set}", kernel.series),
        };
        let filter = options.filter.as_ref().map_or_else(String::new, |filter| format!("'{filter}'"));
        let line = format!(
            "OBSERVER_TEST_GUEST=1 OBSERVER_TEST_HOOKS='{set}' {timed}=1 kernel-tests {arguments} \
             --test-threads={TESTS_AT_ONCE} {filter}",
            timed = libtest::TIMED,
            arguments = libtest::ARGUMENTS.join(" ")
        );
        let ended = machine.run(&line, timeout, interrupt)?;
        let mut outcome = libtest::read(&ended.output, ended.status == Some(0));
        outcome.seconds = ended.seconds;
        let is_off = ended.status.is_none();
        if is_off {
            outcome.failures.push(format!(
                "the guest ended before its tests did, or was ended after {} s",
                timeout.as_secs()
            ));
        }
        test::show(&name, &outcome, false);
        results.push((name, outcome));
        if is_off {
            break;
        }
    }
    Ok((Column::of_guest(kernel, doctor, tested, loads, &results), results))
}
