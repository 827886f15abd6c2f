//! `observer record`: a recording, and how it goes.

use std::time::Duration;

use anyhow::Result;

use crate::{
    cli,
    engine::{Engine, Stop},
    outputs::{progress::Progress, recording::Recording},
    recording::recorder::Target,
    selection,
    signals::Signals,
    source::{
        Source as _,
        live::{Live, Pace},
    },
    visible::{Shown, say},
};

/// Records until the duration is over, or a signal asks for the end; then the last frame.
pub(super) async fn run(options: cli::Record) -> Result<()> {
    let probes = selection::options(&options.selection, &options.tuning)?;
    let signals = Signals::to_end()?;
    // Before the probes: a file that cannot be written is known at once.
    let target = Target::create(&options.file, !options.no_connections, options.force)?;
    let live = Live::start(&probes, Pace { every: options.interval, first: Duration::ZERO, all: true })?;
    let mut stop = Stop::after(signals, options.duration);
    let recording = Recording::alone(target, live.meta(), live.begun_ns())?;
    let mut engine = Engine::new(live);
    engine.watch_backend(options.demo)?;
    say(format_args!("observer: recording to {}; Ctrl-C ends it", Shown(&options.file)));
    engine.add(Progress::new());
    engine.add(recording);
    engine.run(&mut stop).await
}
