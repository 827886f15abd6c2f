//! `cargo xtask bench`: what the observer costs, on this machine, now.
//!
//! Machines differ, and one machine swings by a factor of two from minute to minute. So throughput is compared in
//! pairs of rounds, one with the observer and one without, interleaved in one run, and the median of the pairs counts.

mod accuracy;
mod bpf_time;
mod figure;
mod host;
mod load;
mod process;
mod report;
mod round;
mod sysctl;
mod tui;

use std::{fs, path::PathBuf, time::Duration};

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};

use crate::{
    artifacts,
    backend::Backend,
    exit::{Exit, Kind},
    interrupt::Interrupt,
    privilege::Privilege,
    setup::{self, Purpose},
};
use report::Report;
use round::{Bench, Rounds};

/// Flags of `cargo xtask bench`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Options {
    #[command(subcommand)]
    instead: Option<Instead>,
    /// Print the report as JSON instead of tables
    #[arg(long)]
    json: bool,
    /// Few and short rounds, to see that it works; the figures mean little
    #[arg(long)]
    quick: bool,
    /// Pairs of rounds
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1000))]
    pairs: Option<u32>,
    /// Milliseconds that a round lasts
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u64).range(100..=600_000))]
    round: Option<u64>,
    /// The pattern that the backend runs
    #[arg(long, default_value = "single-thread")]
    pattern: String,
    /// Write the report into this file too, as Markdown
    #[arg(long, value_name = "FILE")]
    write: Option<PathBuf>,
}

/// Something else than what it costs.
#[derive(Debug, Subcommand)]
enum Instead {
    /// Make short connections in a network namespace of their own, and account for every one of them
    Accuracy {
        /// How many
        #[arg(default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(1..=100_000_000))]
        connections: u64,
        /// The pattern that the backend runs
        #[arg(long, default_value = "acceptor-readers")]
        pattern: String,
    },
    /// Compare the load generator with wrk and with a bare loop of connects, against the same server
    Load {
        /// Pairs of rounds
        #[arg(long, default_value_t = 7, value_parser = clap::value_parser!(u32).range(1..=1000))]
        pairs: u32,
        /// Milliseconds that a round lasts, at least a second
        #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u64).range(1000..=60_000))]
        round: u64,
        /// Write the outcome into this file too, as Markdown
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
    },
    /// Measure the screen: a frame, from a key to the changed screen, and the processor time at the default refresh
    Tui {
        /// Seconds over which processor time is measured, without load and under load
        #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=600))]
        seconds: u64,
        /// Keys that are pressed
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=10_000))]
        keys: u32,
        /// Write the outcome into this file too, as Markdown
        #[arg(long, value_name = "FILE")]
        write: Option<PathBuf>,
    },
}

/// Runs it.
pub(crate) fn run(options: &Options) -> Result<()> {
    let ready = setup::ensure(&[Purpose::Demo])?;
    if ready.privilege != Privilege::Root {
        let what =
            "bench changes kernel.bpf_stats_enabled and reads the observer's /proc files, so run it as root";
        return Err(Exit::new(Kind::Privilege, what).into());
    }
    let release = artifacts::build_release(&ready.toolchain)?;
    match &options.instead {
        Some(Instead::Accuracy { connections, pattern }) => {
            return accuracy::run(release, *connections, pattern);
        }
        Some(Instead::Load { pairs, round, write }) => {
            return load::run(&release, *pairs, Duration::from_millis(*round), write.as_deref());
        }
        Some(Instead::Tui { seconds, keys, write }) => {
            return tui::run(&release, &ready.toolchain, *seconds, *keys, write.as_deref());
        }
        None => {}
    }
    let interrupt = Interrupt::catch()?;
    let (pairs, milliseconds) = if options.quick { (2, 500) } else { (15, 2000) };
    let (pairs, milliseconds) = (options.pairs.unwrap_or(pairs), options.round.unwrap_or(milliseconds));
    let mut bench = Bench {
        backend: Backend::start(&release.demo_server, &["--pattern", &options.pattern], &interrupt)?,
        release,
        privilege: ready.privilege,
        milliseconds,
        interrupt,
    };

    let rounds = rounds(&mut bench, pairs)?;
    let every_connection = bench.with(&[])?;
    let bpf = bpf_time::measure(&mut bench, if options.quick { 1 } else { 5 })?;
    let mut figures = rounds.figures();
    figures.push(figure::cpu_every_connection(every_connection.cpu_ms_per_1000));
    figures.push(figure::bpf_time(&bpf));
    let report = Report {
        host: host::describe(),
        pattern: options.pattern.clone(),
        pairs,
        round_ms: milliseconds,
        figures,
        programs: bpf.programs,
    };
    if let Some(path) = &options.write {
        fs::write(path, report.markdown()).with_context(|| format!("could not write {}", path.display()))?;
    }
    match options.json {
        true => println!(
            "{}",
            serde_json::to_string_pretty(&report).context("could not write the report as JSON")?
        ),
        false => print!("{report}"),
    }
    Ok(())
}

/// Interleaved rounds with the observer and without.
fn rounds(bench: &mut Bench, pairs: u32) -> Result<Rounds> {
    bench.without()?; // Warms caches, and the kernel's slabs of sockets.
    let mut rounds = Rounds::default();
    for pair in 0..pairs {
        // Whichever round comes second finds more sockets in TIME-WAIT, so they take turns.
        let (without, with) = if pair % 2 == 0 {
            let without = bench.without()?;
            (without, bench.with(round::AGGREGATES)?)
        } else {
            let with = bench.with(round::AGGREGATES)?;
            (bench.without()?, with)
        };
        eprintln!(
            "bench: pair {} of {pairs}: {without:.0}/s without, {:.0}/s with",
            pair + 1,
            with.per_second
        );
        rounds.add(without, with);
    }
    Ok(rounds)
}
