//! The loop of `observer stream`.

use std::{
    io::{self, Write as _},
    path::Path,
    sync::Arc,
    time::Duration,
};

use anyhow::{Context as _, Result};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval_at, sleep_until},
};

use crate::{
    cli,
    demo::{self, Link},
    kernel::clock::now_ns,
    model::{connection, event::Event},
    outputs::{Output as _, pipe::Pipe, stream::Stream},
    recording::player::Player,
    run::session::{DRAIN, Session},
    selection,
    stderr::say,
};

/// Writes lines until the duration is over, or SIGINT or SIGTERM comes; then the last ones.
pub(super) async fn run(options: cli::Stream) -> Result<()> {
    if let Some(path) = &options.replay {
        return replay(path, &options);
    }
    let probes = selection::options(&options.selection, &options.tuning)?;
    // Asked for before the probes are attached, so that a signal in between is not lost.
    let mut signals = Signals::new()?;
    let mut session = Session::start_with(&probes, options.recording.target()?)?;
    let mut output = Stream::new(options.only);
    let mut pipe = Pipe::to_stdout()?;
    let mut link = options.demo.map(Link::open).transpose()?;
    output.meta(session.begun_ns(), session.meta())?;

    let start = Instant::now();
    let mut lines = interval_at(start + options.interval, options.interval);
    let mut drain = interval_at(start + DRAIN, DRAIN);
    lines.set_missed_tick_behavior(MissedTickBehavior::Delay);
    drain.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // Without a duration the end never comes; a century is never here.
    let end = start + options.duration.unwrap_or(Duration::from_secs(100 * 365 * 24 * 3600));
    let interrupted = loop {
        if let Some(error) = session.recording_failed() {
            say(format_args!("observer: no recording from here on: {error:#}"));
        }
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
                if session.check().is_err() {
                    break false;
                }
            }
            _ = drain.tick() => session.drain(&mut |connection| output.connection(connection))?,
            // Last: a backend that never stops talking must not keep the rest from its turn.
            news = demo::news(&mut link) => {
                if let Some(demo) = link.as_mut().and_then(|link| link.learn(&news)) {
                    if let Some(error) = &demo.error {
                        say(format_args!("observer: no pattern lines for now: {error}"));
                    }
                    session.tell(Event::Demo(Box::new(demo)));
                }
            }
        }
    };
    session.drain(&mut |connection| output.connection(connection))?;
    output.last();
    output.snapshot(&Arc::new(session.snapshot(true)?))?;
    let (time_ns, open) = (now_ns()?, session.open_records());
    if options.open {
        for record in &open {
            output.open(time_ns, &connection::of(record, true))?;
        }
    }
    if let Err(error) = session.end_recording(time_ns, &open) {
        say(format_args!("observer: the recording is not complete: {error:#}"));
    }
    let last = output.take();
    if interrupted {
        return pipe.finish_soon(last).await;
    }
    tokio::select! {
        biased;
        () = signals.any() => {}
        finished = pipe.finish(last) => finished?,
    }
    session.check()
}

/// Writes the lines that the stream of the same data would have, as fast as they are read.
fn replay(path: &Path, options: &cli::Stream) -> Result<()> {
    let mut player = Player::open_within(path, options.tuning.sizes.into())?;
    for remark in player.remarks() {
        say(format_args!("observer: {remark}"));
    }
    let mut output = Stream::new(options.only.clone());
    let mut stdout = io::stdout().lock();
    let mut write = |output: &mut Stream| stdout.write_all(&output.take()).context("cannot write to stdout");
    let description = player.description();
    output.meta(description.begun_ns, &description.meta)?;
    let last_ns = player.span_ns().1;
    loop {
        let snapshot = player.advance(&mut |connection| {
            output.connection(connection)?;
            if output.is_long() { write(&mut output) } else { Ok(()) }
        });
        if let Ok(Some(snapshot)) = snapshot {
            if snapshot.time_ns == last_ns {
                output.last();
            }
            output.snapshot(&Arc::new(snapshot))?;
            write(&mut output)?;
        } else {
            write(&mut output)?;
            player.left_out().iter().for_each(|remark| say(format_args!("observer: {remark}")));
            snapshot?;
            break;
        }
    }
    if options.open {
        let left_out = player.open_connections(&mut |time_ns, connection| {
            output.open(time_ns, connection)?;
            write(&mut output)
        })?;
        left_out.iter().for_each(|remark| say(format_args!("observer: {remark}")));
    }
    write(&mut output)
}

/// The signals that end it.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?,
            terminate: signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?,
        })
    }

    pub(super) async fn any(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
