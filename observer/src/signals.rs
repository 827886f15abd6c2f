//! What signals mean: the end, or for a screen that it stops for a while. In any case the terminal is put back first.

use std::{fs, process, sync::mpsc, thread, time::Duration};

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
pub enum Wanted {
    /// SIGINT, SIGTERM, SIGHUP or SIGQUIT: the end.
    End,
    /// SIGTSTP: it stops until SIGCONT.
    Stop,
}

/// The signals that are answered.
pub struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Option<Signal>,
    quit: Signal,
    /// Without a screen the kernel does it.
    stop: Option<Signal>,
}

impl Signals {
    /// Those that ask for the end.
    ///
    /// # Errors
    /// They cannot be waited for.
    pub fn to_end() -> Result<Self> {
        let wait = |kind| signal(kind).context("cannot wait for signals");
        Ok(Self {
            interrupt: wait(SignalKind::interrupt())?,
            terminate: wait(SignalKind::terminate())?,
            // nohup(1) has it ignored, and to wait for it would undo that.
            hang_up: (!is_ignored(libc::SIGHUP)).then(|| wait(SignalKind::hangup())).transpose()?,
            quit: wait(SignalKind::quit())?,
            stop: None,
        })
    }

    /// The same, and the one that stops a screen.
    ///
    /// # Errors
    /// They cannot be waited for.
    pub fn of_a_screen() -> Result<Self> {
        let stop = signal(SignalKind::from_raw(STOP)).context("cannot wait for signals")?;
        Ok(Self { stop: Some(stop), ..Self::to_end()? })
    }

    /// The next one. Safe to cancel.
    pub async fn next(&mut self) -> Wanted {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Wanted::End,
            _ = self.terminate.recv() => Wanted::End,
            () = received(self.hang_up.as_mut()) => Wanted::End,
            _ = self.quit.recv() => Wanted::End,
            () = received(self.stop.as_mut()) => Wanted::Stop,
        }
    }
}

async fn received(signal: Option<&mut Signal>) {
    match signal {
        Some(signal) => _ = signal.recv().await,
        None => std::future::pending().await,
    }
}

/// Whether this process was started to ignore a signal.
fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0);
    mask & (1 << (signal - 1)) != 0
}

/// Ends the process when it was told to and cannot hear it: its terminal takes nothing, so it waits in write(2).
///
/// The terminal gets its modes back, and nothing else, because it takes nothing. A recording that goes on is left as by
/// a kill: whole up to its last frame.
pub fn end_though_the_terminal_is_stuck() -> Result<()> {
    let (outcome, ready) = mpsc::channel();
    let watch = async move {
        let mut signals = match Signals::of_a_screen() {
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
