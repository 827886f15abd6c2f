//! `observer stream`: lines from the kernel or from a recording, and with `--record` a recording beside them.

use std::path::Path;

use anyhow::Result;

use crate::{
    cli,
    engine::{Engine, Stop},
    outputs::{
        recording::Recording,
        stream::{Stream, stdout::Stdout},
    },
    selection,
    signals::Signals,
    source::{
        Source,
        live::{Live, Pace},
        recorded::Recorded,
    },
    visible::say,
};

/// Writes lines until the duration is over, or a signal asks for the end; then the last ones.
pub(super) async fn run(options: cli::Stream) -> Result<()> {
    if let Some(path) = &options.replay {
        return replay(path, &options).await;
    }
    let probes = selection::options(&options.selection, &options.tuning)?;
    // Asked for before the probes are attached, so that a signal in between is not lost.
    let signals = Signals::to_end()?;
    let target = options.recording.target()?;
    let live = Live::start(&probes, Pace { every: options.interval, first: options.interval, all: true })?;
    let mut stop = Stop::after(signals, options.duration);
    let beside = target.map(|target| Recording::beside(target, live.meta(), live.begun_ns())).transpose()?;
    let stdout = stdout(&live, &options)?;
    let mut engine = Engine::new(live);
    engine.watch_backend(options.demo)?;
    engine.add(stdout);
    if let Some(recording) = beside {
        engine.add(recording);
    }
    engine.run(&mut stop).await
}

/// Writes the lines that the stream of the same data would have, as fast as they are read.
async fn replay(path: &Path, options: &cli::Stream) -> Result<()> {
    let recorded = Recorded::open_within(path, options.tuning.sizes.into())?;
    recorded.remarks().iter().for_each(|remark| say(format_args!("observer: {remark}")));
    let mut stop = Stop::at_signal(Signals::to_end()?);
    let stdout = stdout(&recorded, options)?;
    let mut engine = Engine::new(recorded);
    engine.add(stdout);
    let outcome = engine.run(&mut stop).await;
    engine.left_out().iter().for_each(|remark| say(format_args!("observer: {remark}")));
    outcome
}

/// The lines, with the first of them.
fn stdout(source: &impl Source, options: &cli::Stream) -> Result<Stdout> {
    let mut lines = Stream::new(options.only.clone());
    lines.meta(source.begun_ns(), source.meta())?;
    Stdout::new(lines, options.open)
}
