//! `cargo xtask setup`: everything that `demo`, `test` and `lint` need of the machine.
//!
//! What is needed is the table [`requirements::REQUIREMENTS`]. What is there is left alone; of what is missing it is
//! said first what will be done and why.

mod apt;
mod bpf_linker;
mod browser;
mod kernel;
pub(crate) mod qemu;
mod requirements;
mod rust;
mod step;

use anyhow::{Context as _, Result, anyhow, bail};
use clap::{Args, ValueEnum};

use crate::{
    exit::Exit,
    machine::{Machine, ThisMachine},
    privilege::{self, Privilege},
    table::Table,
    toolchain::{self, BpfToolchain},
};
use apt::Apt;
use requirements::{REQUIREMENTS, Requirement, State};
use step::{Remedy, Step};

/// Flags of `cargo xtask setup`.
#[derive(Debug, Args)]
pub(crate) struct Options {
    /// Only report what is there and what is missing; exit code 1 if anything is
    #[arg(long)]
    check: bool,
    /// Only what this command needs; repeatable [default: everything]
    #[arg(long = "for", value_enum)]
    purposes: Vec<Purpose>,
}

/// What something is needed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Purpose {
    /// `cargo xtask demo`, and `bench`.
    Demo,
    /// `cargo xtask test`.
    Test,
    /// `cargo xtask lint`.
    Lint,
    /// `cargo xtask vm`.
    Vm,
    /// `cargo xtask vm --peers`.
    Peers,
    /// `cargo xtask vm --arch arm64`.
    Arm64,
}

/// A machine that has what was asked for.
pub(crate) struct Ready {
    /// Compiles the eBPF programs.
    pub(crate) toolchain: BpfToolchain,
    /// How to run something as root.
    pub(crate) privilege: Privilege,
}

/// Runs `cargo xtask setup`.
pub(crate) fn run(options: &Options) -> Result<()> {
    let purposes = match options.purposes.as_slice() {
        // Peers are big, and only of interest to those who compare; so is another architecture.
        [] => &[Purpose::Demo, Purpose::Test, Purpose::Lint, Purpose::Vm][..],
        some => some,
    };
    if !options.check {
        ensure(purposes)?;
        eprintln!("setup: everything is there");
        return Ok(());
    }
    let rows = check(&ThisMachine, purposes);
    print!("{}", report(&rows));
    match rows.iter().filter(|(_, state)| matches!(state, State::Missing(_))).count() {
        0 => Ok(()),
        n => {
            bail!("{n} of {} requirements are missing; `cargo xtask setup` installs what it can", rows.len())
        }
    }
}

/// Installs what is missing for these purposes.
///
/// # Errors
/// Names the first thing that is missing and cannot be installed, and what to do about it.
pub(crate) fn ensure(purposes: &[Purpose]) -> Result<Ready> {
    let machine = &ThisMachine;
    let rows = check(machine, purposes);
    let missing: Vec<&Requirement> =
        rows.iter().filter(|(_, state)| matches!(state, State::Missing(_))).map(|(row, _)| *row).collect();
    if !missing.is_empty() {
        eprint!("setup: this machine lacks something\n{}", report(&rows));
        for row in &missing {
            eprintln!("setup: why {}: it {}", row.name, row.why);
        }
        let mut apt = Apt::default();
        for row in missing {
            // What an earlier row installed may have brought it.
            if let State::Missing(reason) = (row.check)(machine) {
                match (install(machine, row, &reason, &mut apt), row.without) {
                    (Err(error), Some(without)) => {
                        eprintln!("setup: going on without {}, so {without}: {error:#}", row.name);
                    }
                    (outcome, _) => outcome?,
                }
            }
        }
    }
    let toolchain = toolchain::detect(machine).map_err(|reason| anyhow!("no compiler for BPF: {reason}"))?;
    Ok(Ready { toolchain, privilege: privilege::detect(machine) })
}

fn check(machine: &dyn Machine, purposes: &[Purpose]) -> Vec<(&'static Requirement, State)> {
    let rows =
        REQUIREMENTS.iter().filter(|row| row.purposes.iter().any(|purpose| purposes.contains(purpose)));
    rows.map(|row| (row, (row.check)(machine))).collect()
}

fn report(rows: &[(&Requirement, State)]) -> String {
    let mut table = Table::new(["requirement", "state", "found"]);
    for (row, state) in rows {
        let (word, found) = match state {
            State::Present(found) => ("present", found),
            State::Missing(reason) => ("MISSING", reason),
        };
        table.row([row.name, word, found]);
    }
    table.to_string()
}

fn install(machine: &dyn Machine, row: &Requirement, reason: &str, apt: &mut Apt) -> Result<()> {
    let refused = |what: &str| {
        let message = format!("{} is missing: {reason}\n{what}", row.name);
        row.exit.map_or_else(|| anyhow!(message.clone()), |kind| Exit::new(kind, message.clone()).into())
    };
    if row.packages_from_apt {
        apt.update_once(machine);
    }
    let steps = match (row.remedy)(machine) {
        Remedy::Steps(steps) => steps,
        Remedy::ByHand(what) => return Err(refused(&what)),
    };
    let by_hand = || {
        let lines: Vec<_> = steps.iter().map(|step| format!("    {step}")).collect();
        format!("to install it by hand:\n{}", lines.join("\n"))
    };
    if steps.iter().any(|step| matches!(step, Step::Packages(_))) && !apt::exists(machine) {
        return Err(refused(&format!(
            "this machine has no apt; {}\n{}",
            by_hand(),
            requirements::without_apt()
        )));
    }
    for step in &steps {
        eprintln!("setup: {}: {step}", row.name);
        step.run(machine).with_context(|| format!("could not install {}; {}", row.name, by_hand()))?;
    }
    match (row.check)(machine) {
        State::Present(found) => eprintln!("setup: {}: {found}", row.name),
        State::Missing(still) => {
            bail!("{} is still missing after its installation: {still}\n{}", row.name, by_hand())
        }
    }
    Ok(())
}
