//! The loop of `observer record`.

use std::{
    io::{IsTerminal as _, Write as _, stderr},
    time::Duration,
};

use anyhow::Result;
use demo_server::visible::Shown;
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until};

use crate::{
    cli,
    demo::{self, Link},
    kernel::clock::now_ns,
    model::event::Event,
    recording::recorder::Target,
    run::{
        session::{DRAIN, Session},
        stream::Signals,
    },
    selection,
    stderr::say,
};

/// Records until the duration is over, or SIGINT or SIGTERM comes; then the last frame.
pub(super) async fn run(options: cli::Record) -> Result<()> {
    let probes = selection::options(&options.selection, &options.tuning)?;
    let mut signals = Signals::new()?;
    // Before the probes: a file that cannot be written is known at once.
    let target = Target::create(&options.file, !options.no_connections, options.force)?;
    let mut session = Session::start_with(&probes, Some(target))?;
    let mut link = options.demo.map(Link::open).transpose()?;
    let shows = stderr().is_terminal();
    say(format_args!("observer: recording to {}; Ctrl-C ends it", Shown(&options.file)));

    let start = Instant::now();
    let mut readings = interval_at(start, options.interval);
    let mut drain = interval_at(start + DRAIN, DRAIN);
    readings.set_missed_tick_behavior(MissedTickBehavior::Delay);
    drain.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let end = options.duration.map(|duration| start + duration);
    while session.recorder().is_some() {
        tokio::select! {
            biased;
            () = signals.any() => break,
            () = until(end) => break,
            _ = readings.tick() => {
                session.drain(&mut |_| Ok(()))?;
                session.snapshot(true)?;
                if session.check().is_err() {
                    break;
                }
                if shows {
                    show(&session, start.elapsed());
                }
            }
            _ = drain.tick() => session.drain(&mut |_| Ok(()))?,
            // Last: a backend that never stops talking must not keep the rest from its turn.
            news = demo::news(&mut link) => {
                if let Some(demo) = link.as_mut().and_then(|link| link.learn(&news)) {
                    session.tell(Event::Demo(Box::new(demo)));
                }
            }
        }
    }
    session.drain(&mut |_| Ok(()))?;
    session.snapshot(true)?;
    let (time_ns, open) = (now_ns()?, session.open_records());
    let size = session.end_recording(time_ns, &open)?.unwrap_or(0);
    if shows {
        say("");
    }
    say(format_args!(
        "observer: {} has {size} bytes, {:.0} s",
        Shown(&options.file),
        start.elapsed().as_secs_f64()
    ));
    session.check()
}

async fn until(end: Option<Instant>) {
    match end {
        Some(end) => sleep_until(end).await,
        None => std::future::pending().await,
    }
}

/// How it goes, on a line that is overwritten.
fn show(session: &Session, elapsed: Duration) {
    let Some(recorder) = session.recorder() else { return };
    let seconds = elapsed.as_secs();
    let size = recorder.written() as f64 / 1e6;
    // Nobody is there to be told that it cannot be shown.
    let _ = write!(
        stderr(),
        "\r{:02}:{:02}:{:02}  {size:.1} MB ",
        seconds / 3600,
        seconds / 60 % 60,
        seconds % 60
    );
}
