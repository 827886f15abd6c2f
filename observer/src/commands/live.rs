//! `observer live`: the screen, and with `--record` a recording beside it.

use std::{
    io::{IsTerminal as _, stderr},
    time::Duration,
};

use anyhow::Result;

use crate::{
    cli,
    engine::{Engine, Stop},
    failure::Failure,
    outputs::{
        recording::Recording,
        screen::{Screen, require_terminal},
    },
    selection,
    signals::{Signals, end_though_the_terminal_is_stuck},
    source::{
        Source as _,
        live::{Live, Pace},
    },
};

/// Draws frames until the user quits, or SIGINT, SIGTERM, SIGHUP or SIGQUIT comes.
pub(super) async fn run(options: cli::Live) -> Result<()> {
    require_terminal()?;
    if options.tuning.log_probes && stderr().is_terminal() {
        return Err(Failure::Usage(
            "--log-probes writes to stderr, which is the screen here; send it to a file with 2>FILE".into(),
        )
        .into());
    }
    let probes = selection::options(&options.selection, &options.tuning)?;
    let mut stop = Stop::at_signal(Signals::of_a_screen()?);
    end_though_the_terminal_is_stuck()?;
    // Before the terminal is taken, so that what is wrong can be read.
    let target = options.recording.target()?;
    let live = Live::start(&probes, Pace { every: options.refresh, first: Duration::ZERO, all: false })?;
    let beside = target.map(|target| Recording::beside(target, live.meta(), live.begun_ns())).transpose()?;
    let mut engine = Engine::new(live);
    engine.watch_backend(options.demo)?;
    engine.add(Screen::take(options.ascii, options.theme)?);
    if let Some(recording) = beside {
        engine.add(recording);
    }
    engine.run(&mut stop).await
}
