//! From the command line to a running command: the loop that moves events from the kernel to the model, and
//! snapshots from the model to an output.
//!
//! # Layout
//! - [`meta`]: what does not change while the observer runs
//! - [`session`]: source and model together, advanced by ticks
//! - `lab`: guided experiments
//! - `compare`: patterns side by side
//! - `self_test`: proves each hook with connections of our own
//! - `stream`, `live`, `record`, `replay`: the loops of the outputs
//! - `report`: a recording as a page
//! - `signals`: what signals mean to the screen
//! - `picture`: saves the screen

mod compare;
mod lab;
mod live;
pub mod meta;
mod picture;
mod record;
mod replay;
mod report;
mod self_test;
pub mod session;
mod signals;
mod stream;

use std::io;

use anyhow::{Context as _, Result};

use crate::{
    cli::{Cli, Command, Doctor, Selection},
    kernel::{ground, origin, source::Source},
    outputs::doctor,
    selection,
};

/// Runs a command to its end.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        None => on_runtime(live::run(cli.live)),
        Some(Command::Live(live)) => on_runtime(live::run(live)),
        Some(Command::Stream(stream)) => on_runtime(stream::run(stream)),
        Some(Command::Record(record)) => on_runtime(record::run(record)),
        Some(Command::Replay(replay)) => on_runtime(replay::run(replay)),
        Some(Command::Lab(options)) => lab::run(&options),
        Some(Command::Compare(options)) => compare::run(&options),
        Some(Command::Report(options)) => report::run(&options),
        Some(Command::Doctor(doctor)) => examine(&doctor),
    }
}

/// One thread does all of it: the model has one writer.
fn on_runtime(command: impl Future<Output = Result<()>>) -> Result<()> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(command)
}

fn examine(options: &Doctor) -> Result<()> {
    let probes = selection::options(&Selection::default(), &options.tuning)?;
    let tried = if options.self_test {
        self_test::run(&probes).map(|proven| (proven.outcomes, Some(proven.fired)))
    } else {
        Source::start(&probes, &mut |_| {}).map(|source| (source.outcomes().to_vec(), None))
    };
    if tried.is_err() && !options.json {
        doctor::write_ground(&mut io::stdout().lock(), &origin::release(), &ground::look(&probes.btf))?;
    }
    let (outcomes, fired) = tried?;
    let meta = meta::of(&outcomes, &probes.filters);
    let report = doctor::report(&meta, &outcomes, fired.as_ref());
    doctor::write(&mut io::stdout().lock(), &report, options.json)
}
