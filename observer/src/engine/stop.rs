//! When the loop ends: at a signal, or when its time is over.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use crate::signals::{Signals, Wanted};

/// A signal, or an instant.
pub struct Stop {
    signals: Signals,
    at: Option<Instant>,
}

/// What it is told to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// End, by a signal.
    End,
    /// End, because the time is over.
    Over,
    /// Stop until it is continued.
    Stop,
}

impl Stop {
    /// At a signal.
    pub fn at_signal(signals: Signals) -> Self {
        Self { signals, at: None }
    }

    /// At a signal, or after this time from now on.
    pub fn after(signals: Signals, duration: Option<Duration>) -> Self {
        // What is further away than the clock reaches never comes.
        Self { signals, at: duration.and_then(|duration| Instant::now().checked_add(duration)) }
    }

    /// Waits for it. Safe to cancel.
    pub(super) async fn told(&mut self) -> Told {
        tokio::select! {
            biased;
            wanted = self.signals.next() => match wanted {
                Wanted::End => Told::End,
                Wanted::Stop => Told::Stop,
            },
            () = over(self.at) => Told::Over,
        }
    }

    /// Waits for a signal to end.
    pub(super) async fn is_told(&mut self) {
        while self.signals.next().await != Wanted::End {}
    }
}

async fn over(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
