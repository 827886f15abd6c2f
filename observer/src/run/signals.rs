//! What signals mean to the screen: it ends, or it stops for a while. In any case the terminal is put back first.

use std::{process, sync::mpsc, thread, time::Duration};

use anyhow::{Context as _, Result};
use tokio::{
    signal::unix::{Signal, SignalKind, signal},
    time::interval,
};

use crate::terminal::{self, writes};

/// SIGTSTP, the same on all architectures that have eBPF.
const STOP: i32 = libc::SIGTSTP;
/// How long a write to the terminal may take when the process was told to end.
const PATIENCE: Duration = Duration::from_secs(1);

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// SIGINT, SIGTERM, SIGHUP or SIGQUIT: it ends.
    End,
    /// SIGTSTP: it stops until SIGCONT.
    Stop,
}

/// The signals that the screen answers.
pub(super) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    quit: Signal,
    stop: Signal,
}

impl Signals {
    pub(super) fn new() -> Result<Self> {
        let wait = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self {
            interrupt: wait(SignalKind::interrupt())?,
            terminate: wait(SignalKind::terminate())?,
            hang_up: wait(SignalKind::hangup())?,
            quit: wait(SignalKind::quit())?,
            stop: wait(SignalKind::from_raw(STOP))?,
        })
    }

    /// The next one. Safe to cancel.
    pub(super) async fn next(&mut self) -> Wanted {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Wanted::End,
            _ = self.terminate.recv() => Wanted::End,
            _ = self.hang_up.recv() => Wanted::End,
            _ = self.quit.recv() => Wanted::End,
            _ = self.stop.recv() => Wanted::Stop,
        }
    }
}

/// Ends the process when it was told to and cannot hear it: its terminal takes nothing, so it waits in write(2).
///
/// The terminal gets its modes back, and nothing else, because it takes nothing. A recording that goes on is left as by
/// a kill: whole up to its last frame.
pub(super) fn end_though_the_terminal_is_stuck() -> Result<()> {
    let (outcome, ready) = mpsc::channel();
    let watch = async move {
        let mut signals = match Signals::new() {
            Ok(signals) => signals,
            Err(error) => return drop(outcome.send(Err(error))),
        };
        // Whoever waits for it has gone only if this process ends.
        let _ = outcome.send(Ok(()));
        while signals.next().await != Wanted::End {}
        let mut looks = interval(PATIENCE);
        let mut before = None;
        loop {
            looks.tick().await;
            let now = writes::in_progress();
            if now.is_some() && now == before {
                terminal::abandon();
                process::exit(0);
            }
            before = now;
        }
    };
    // A runtime of its own, which goes on when the other waits for the terminal.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime that waits for signals")?;
    thread::Builder::new()
        .name("signals".into())
        .spawn(move || runtime.block_on(watch))
        .context("cannot start the thread for signals")?;
    // From here on no signal is missed.
    ready.recv().context("the thread for signals has ended")?
}
