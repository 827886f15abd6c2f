//! What was typed, as a source and outputs: a command each.

mod compare;
mod doctor;
mod lab;
mod live;
mod record;
mod replay;
mod report;
mod stream;

use anyhow::{Context as _, Result};

use crate::cli::{Cli, Command};

/// Runs a command to its end.
pub fn run(cli: Cli) -> Result<()> {
    match cli.command {
        None => on_runtime(live::run(cli.live)),
        Some(Command::Live(options)) => on_runtime(live::run(options)),
        Some(Command::Stream(options)) => on_runtime(stream::run(options)),
        Some(Command::Record(options)) => on_runtime(record::run(options)),
        Some(Command::Replay(options)) => on_runtime(replay::run(options)),
        Some(Command::Lab(options)) => lab::run(&options),
        Some(Command::Compare(options)) => compare::run(&options),
        Some(Command::Report(options)) => report::run(&options),
        Some(Command::Doctor(options)) => doctor::run(&options),
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
