//! Totals of one listener at several instants, and the rates between them.

use std::collections::VecDeque;

use crate::model::snapshot::Rates;

/// Totals at one instant, for rates.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Totals {
    pub(super) time_ns: u64,
    pub(super) enqueued: u64,
    pub(super) accepted: u64,
    pub(super) refused: u64,
    /// Connections in the accept queue.
    pub(super) depth: u32,
    /// Reads that data had waited for.
    pub(super) reads: u64,
    /// Spells of writing.
    pub(super) writes: u64,
    /// Accepted connections with data that nobody has read, now, and those that were read for the first time.
    pub(super) unread: u64,
    pub(super) first_reads: u64,
    /// Accepted connections that ended, and those that this side closed unread while its process went on.
    pub(super) ended: u64,
    pub(super) closed_unread: u64,
}

/// Events per second between the first of these instants and the last.
pub(super) fn rates(past: &VecDeque<Totals>) -> Rates {
    let (Some(first), Some(last)) = (past.front(), past.back()) else { return Rates::default() };
    let seconds = last.time_ns.saturating_sub(first.time_ns) as f64 / 1e9;
    if seconds <= 0.0 {
        return Rates::default();
    }
    let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
    Rates {
        enqueued: rate(first.enqueued, last.enqueued),
        accepted: rate(first.accepted, last.accepted),
        dropped: rate(first.refused, last.refused),
        reads: rate(first.reads, last.reads),
        reset_early: 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn totals(time_ns: u64, enqueued: u64) -> Totals {
        Totals { time_ns, enqueued, ..Totals::default() }
    }

    #[test]
    fn rates_are_over_the_time_between_the_samples() {
        let past = VecDeque::from([totals(0, 10), totals(2_000_000_000, 30)]);
        assert_eq!(rates(&past).enqueued, 10.0);
        assert_eq!(rates(&VecDeque::from([totals(0, 10)])), Rates::default());
        assert_eq!(rates(&VecDeque::new()), Rates::default());
    }
}
