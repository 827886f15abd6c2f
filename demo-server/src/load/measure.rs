//! What is counted and timed during a run.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::report::Quantiles;

/// Counts and histograms of a run.
#[derive(Debug)]
pub(super) struct Measure {
    pub(super) opened: u64,
    pub(super) established: u64,
    pub(super) sent: u64,
    pub(super) responses: u64,
    pub(super) bytes_sent: u64,
    pub(super) bytes_received: u64,
    pub(super) dropped: u64,
    pub(super) aborted: u64,
    pub(super) errors: BTreeMap<&'static str, u64>,
    pub(super) connect: Times,
    pub(super) first_byte: Times,
    pub(super) service: Times,
    pub(super) response: Times,
}

impl Measure {
    pub(super) fn new() -> Self {
        Self {
            opened: 0,
            established: 0,
            sent: 0,
            responses: 0,
            bytes_sent: 0,
            bytes_received: 0,
            dropped: 0,
            aborted: 0,
            errors: BTreeMap::new(),
            connect: Times::new(),
            first_byte: Times::new(),
            service: Times::new(),
            response: Times::new(),
        }
    }

    pub(super) fn error(&mut self, kind: &'static str) {
        *self.errors.entry(kind).or_default() += 1;
    }
}

/// A histogram of times, exact to three digits.
#[derive(Debug)]
pub(super) struct Times(Option<Histogram<u64>>);

/// The longest time that is told apart from longer ones: longer than a run may last.
const LONGEST: u64 = 2 * 3600 * 1_000_000_000;

impl Times {
    fn new() -> Self {
        // The bounds are constants that the constructor accepts; were they not, nothing would be recorded.
        Self(Histogram::new_with_bounds(1, LONGEST, 3).ok())
    }

    pub(super) fn record(&mut self, time: Duration) {
        if let Some(histogram) = &mut self.0 {
            histogram.saturating_record(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX).max(1));
        }
    }

    pub(super) fn quantiles(&self) -> Quantiles {
        let Some(histogram) = self.0.as_ref().filter(|histogram| !histogram.is_empty()) else {
            return Quantiles::default();
        };
        // hdrhistogram answers with the upper end of a bucket, which may lie above the largest value seen.
        let at = |quantile| histogram.value_at_quantile(quantile).min(histogram.max());
        Quantiles {
            count: histogram.len(),
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            p9999: at(0.9999),
            max: histogram.max(),
        }
    }
}
