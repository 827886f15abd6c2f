//! The loop of `observer stream`.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval_at, sleep_until},
};

use crate::{
    cli,
    demo::{self, Link},
    kernel::source::now_ns,
    model::event::Event,
    outputs::{Output as _, pipe::Pipe, stream::Stream},
    run::session::{DRAIN, Session},
    selection,
};

/// Writes lines until the duration is over, or SIGINT or SIGTERM comes; then the last ones.
pub(super) async fn run(options: cli::Stream) -> Result<()> {
    let probes = selection::options(&options.selection, &options.tuning)?;
    // Asked for before the probes are attached, so that a signal in between is not lost.
    let mut signals = Signals::new()?;
    let mut session = Session::start(&probes)?;
    let mut output = Stream::new(options.only);
    let mut pipe = Pipe::to_stdout()?;
    let mut link = options.demo.map(Link::open).transpose()?;
    output.meta(now_ns()?, session.meta())?;

    let start = Instant::now();
    let mut lines = interval_at(start + options.interval, options.interval);
    let mut drain = interval_at(start + DRAIN, DRAIN);
    lines.set_missed_tick_behavior(MissedTickBehavior::Delay);
    drain.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Without a duration the end never comes; a century is never here.
    let end = start + options.duration.unwrap_or(Duration::from_secs(100 * 365 * 24 * 3600));
    let interrupted = loop {
        // The reader may be slow, or not read at all.
        if output.has_lines() {
            tokio::select! {
                biased;
                () = signals.any() => break true,
                room = pipe.room() => room?.send(output.take()),
            }
        }
        tokio::select! {
            biased;
            () = signals.any() => break true,
            () = sleep_until(end) => break false,
            _ = lines.tick() => {
                session.drain(&mut |connection| output.connection(connection))?;
                output.snapshot(&Arc::new(session.snapshot(true)?))?;
            }
            news = demo::news(&mut link) => {
                if let Some(demo) = link.as_mut().and_then(|link| link.learn(&news)) {
                    if let Some(error) = &demo.error {
                        eprintln!("observer: no pattern lines for now: {error}");
                    }
                    session.tell(Event::Demo(Box::new(demo)));
                }
            }
            _ = drain.tick() => session.drain(&mut |connection| output.connection(connection))?,
        }
    };
    session.drain(&mut |connection| output.connection(connection))?;
    output.last();
    output.snapshot(&Arc::new(session.snapshot(true)?))?;
    if options.open {
        let time_ns = now_ns()?;
        for connection in session.open_connections() {
            output.open(time_ns, &connection)?;
        }
    }
    let last = output.take();
    if interrupted {
        return pipe.finish_soon(last).await;
    }
    tokio::select! {
        biased;
        () = signals.any() => Ok(()),
        finished = pipe.finish(last) => finished,
    }
}

/// The signals that end it.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?,
        })
    }

    async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
