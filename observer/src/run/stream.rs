//! The loop of `observer stream`.

use std::{
    io::{self, BufWriter},
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval_at, sleep_until},
};

use crate::{
    cli,
    demo::{self, Link},
    kernel::source::now_ns,
    model::event::Event,
    outputs::{Output as _, stream::Stream},
    run::session::{DRAIN, Session},
    selection,
};

/// Writes lines until the duration is over, or SIGINT or SIGTERM comes; then the last ones.
pub(super) async fn run(options: cli::Stream) -> Result<()> {
    let probes = selection::options(&options.selection, &options.tuning)?;
    // Asked for before the probes are attached, so that a signal in between is not lost.
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut session = Session::start(&probes)?;
    let mut output = Stream::new(BufWriter::with_capacity(1 << 16, io::stdout()), options.only);
    let mut link = options.demo.map(Link::open).transpose()?;
    output.meta(now_ns()?, session.meta())?;

    let start = Instant::now();
    let mut lines = interval_at(start + options.interval, options.interval);
    let mut drain = interval_at(start + DRAIN, DRAIN);
    lines.set_missed_tick_behavior(MissedTickBehavior::Delay);
    drain.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Without a duration the end never comes; a century is never here.
    let end = start + options.duration.unwrap_or(Duration::from_secs(100 * 365 * 24 * 3600));
    loop {
        tokio::select! {
            biased;
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            () = sleep_until(end) => break,
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
            _ = drain.tick() => {
                session.drain(&mut |connection| output.connection(connection))?;
                output.flush()?;
            }
        }
    }
    session.drain(&mut |connection| output.connection(connection))?;
    output.snapshot(&Arc::new(session.snapshot(true)?))?;
    if options.open {
        let time_ns = now_ns()?;
        for connection in session.open_connections() {
            output.open(time_ns, &connection)?;
        }
    }
    output.flush()
}
