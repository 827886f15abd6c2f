//! How far a long run has come, on standard error, about once a second.

use std::io::{IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use super::measure::Measure;
use super::plan::Plan;

/// How often it is said.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Says it, if the plan wants it said.
#[derive(Debug)]
pub(super) struct Progress {
    wanted: bool,
    /// A terminal shows one line that changes; anything else gets lines.
    terminal: bool,
    start: Instant,
    next: Instant,
    duration: Duration,
    answered: u64,
}

impl Progress {
    pub(super) fn new(plan: &Plan, start: Instant) -> Self {
        let (wanted, terminal) = (plan.progress, std::io::stderr().is_terminal());
        Self { wanted, terminal, start, next: start + INTERVAL, duration: plan.duration, answered: 0 }
    }

    /// Says how far it has come, if it is time.
    pub(super) fn show(&mut self, measure: &Measure, in_flight: usize) {
        if !self.wanted {
            return;
        }
        let now = Instant::now();
        if now < self.next {
            return;
        }
        let since = (now - self.next + INTERVAL).as_secs_f64();
        self.next = now + INTERVAL;
        #[expect(clippy::cast_precision_loss, reason = "a rate is shown without decimals")]
        let rate = (measure.responses - self.answered) as f64 / since;
        self.answered = measure.responses;
        let errors: u64 = measure.errors.values().sum();
        let line = format!(
            "{:.0} of {:.0} s: {} connections, {} responses, {rate:.0}/s, {in_flight} in flight, {} dropped, {errors} errors",
            (now - self.start).as_secs_f64(),
            self.duration.as_secs_f64(),
            measure.opened,
            measure.responses,
            measure.dropped
        );
        let (before, after) = if self.terminal { ("\r\x1b[K", "") } else { ("", "\n") };
        // Whoever cannot be told goes without.
        let _ = write!(std::io::stderr(), "{before}{line}{after}");
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.wanted && self.terminal {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
