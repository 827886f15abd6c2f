//! Handshakes that their client resets before they are complete, as health checks and scanners do.
//!
//! The kernel counts them by network namespace (`EmbryonicRsts`), and at the listener as segments that were discarded and
//! refused nobody (`sk_drops`), among others. Where the two agree they are the same.

use std::collections::VecDeque;

use crate::model::bounds;

/// Rates are taken over this long: the namespace's counters are read once a second.
const WINDOW_NS: u64 = 2_000_000_000;

/// Totals at one instant.
#[derive(Debug, Clone, Copy)]
struct Totals {
    time_ns: u64,
    /// Segments that this listener discarded.
    discarded: u64,
    /// Handshakes that were reset in its namespace.
    resets: u64,
}

/// The totals of the last seconds.
#[derive(Debug, Default)]
pub(super) struct Early(VecDeque<Totals>);

impl Early {
    /// Takes over the totals now, and returns how many are reset per second; 0 where the counters do not agree.
    pub(super) fn rate(&mut self, time_ns: u64, discarded: u64, resets: u64) -> f64 {
        let now = Totals { time_ns, discarded, resets };
        bounds::keep(&mut self.0, now);
        while self.0.get(1).is_some_and(|next| time_ns.saturating_sub(next.time_ns) >= WINDOW_NS) {
            self.0.pop_front();
        }
        let Some(first) = self.0.front() else { return 0.0 };
        let seconds = time_ns.saturating_sub(first.time_ns) as f64 / 1e9;
        let discarded = discarded.saturating_sub(first.discarded);
        let resets = resets.saturating_sub(first.resets);
        // The two are read at different instants, so they agree within half.
        if seconds <= 0.0 || discarded == 0 || resets.saturating_mul(2) < discarded {
            return 0.0;
        }
        discarded.min(resets) as f64 / seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn resets_are_told_where_both_counters_agree() {
        let mut early = Early::default();
        assert_eq!(early.rate(SECOND, 100, 100), 0.0, "nothing came before");
        assert_eq!(early.rate(2 * SECOND, 140, 140), 40.0);
        assert_eq!(early.rate(3 * SECOND, 180, 170), 35.0);
        assert_eq!(early.rate(5 * SECOND, 180, 170), 0.0, "it is over");
    }

    #[test]
    fn repeated_syns_are_not_taken_for_resets() {
        let mut early = Early::default();
        early.rate(SECOND, 0, 0);
        assert_eq!(early.rate(2 * SECOND, 40, 0), 0.0);
        assert_eq!(early.rate(3 * SECOND, 80, 10), 0.0, "others of the namespace were reset");
    }
}
