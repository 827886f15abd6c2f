//! Durations counted in the buckets of the kernel half, and what is read from them.

use observer_ebpf::histogram::{BUCKETS, range};
use serde::Serialize;

/// Durations in nanoseconds, by bucket, with their exact maximum.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: [u64; BUCKETS],
    total: u64,
    longest_ns: u64,
}

/// Quantiles of a histogram in nanoseconds; null while it is empty. They are middles of buckets, at most 6.25 % off
/// and never above the maximum; the maximum is exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Quantiles {
    /// Number of durations.
    pub count: u64,
    /// Half are shorter.
    pub p50: Option<u64>,
    /// Nine of ten are shorter.
    pub p90: Option<u64>,
    /// 99 of 100 are shorter.
    pub p99: Option<u64>,
    /// The longest.
    pub max: Option<u64>,
}

/// Largest relative error of a quantile.
pub const QUANTILE_ERROR: f64 = 0.0625;

/// Buckets that are looked at together.
const STRETCH: usize = 16;

impl Default for Histogram {
    fn default() -> Self {
        Self { counts: [0; BUCKETS], total: 0, longest_ns: 0 }
    }
}

impl Histogram {
    /// Adds `count` durations to bucket `index`.
    pub fn add(&mut self, index: usize, count: u64) {
        if let Some(bucket) = self.counts.get_mut(index) {
            *bucket += count;
            self.total += count;
        }
    }

    /// Raises the maximum to `ns`.
    pub fn raise_longest(&mut self, ns: u64) {
        self.longest_ns = self.longest_ns.max(ns);
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        // Most intervals of most listeners are empty.
        if other.total == 0 {
            return;
        }
        for (ours, theirs) in self.counts.iter_mut().zip(other.counts) {
            *ours += theirs;
        }
        self.total += other.total;
        self.raise_longest(other.longest_ns);
    }

    /// What was added since it was `before`. The longest is exact if it is longer than that of before, else the upper
    /// end of its bucket.
    pub fn since(&self, before: &Self) -> Self {
        let mut since = Self::default();
        for (index, (now, then)) in self.counts.iter().zip(before.counts).enumerate() {
            since.add(index, now.saturating_sub(then));
        }
        let last = since.filled().last().map(|(index, _)| range(index).1.min(self.longest_ns));
        let is_exact = self.longest_ns > before.longest_ns;
        since.longest_ns = if is_exact { self.longest_ns } else { last.unwrap_or(0) };
        since
    }

    /// Number of durations.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// The longest duration, exact.
    pub fn longest_ns(&self) -> u64 {
        self.longest_ns
    }

    /// Middle of the bucket in which the `q` quantile (0 to 1) lies.
    pub fn quantile(&self, q: f64) -> Option<u64> {
        if self.total == 0 {
            return None;
        }
        let rank = ((self.total as f64 * q).ceil() as u64).clamp(1, self.total);
        let mut seen = 0;
        let index = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        let (low, high) = range(index);
        let middle = low + (high - low) / 2;
        Some(if self.longest_ns > 0 { middle.min(self.longest_ns) } else { middle })
    }

    /// The usual quantiles.
    pub fn quantiles(&self) -> Quantiles {
        Quantiles {
            count: self.total,
            p50: self.quantile(0.50),
            p90: self.quantile(0.90),
            p99: self.quantile(0.99),
            max: (self.total > 0).then_some(self.longest_ns),
        }
    }

    /// Non-empty buckets: index, count.
    pub fn filled(&self) -> impl Iterator<Item = (usize, u64)> {
        // Most are empty, and many of them are told to be at once.
        let stretches = self.counts.chunks(STRETCH).enumerate();
        let some = stretches.filter(|(_, counts)| counts.iter().fold(0, |all, count| all | count) > 0);
        some.flat_map(|(stretch, counts)| {
            let indexed = (stretch * STRETCH..).zip(counts.iter().copied());
            indexed.filter(|(_, count)| *count > 0)
        })
    }

    /// Non-empty buckets: lower end, upper end (nanoseconds), count.
    pub fn buckets(&self) -> impl Iterator<Item = (u64, u64, u64)> {
        self.filled().map(|(index, count)| {
            let (low, high) = range(index);
            (low, high, count)
        })
    }
}

#[cfg(test)]
mod tests {
    use observer_ebpf::histogram::bucket;

    use super::*;

    fn of(durations: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for ns in durations {
            histogram.add(bucket(*ns), 1);
            histogram.raise_longest(*ns);
        }
        histogram
    }

    #[test]
    fn empty_has_no_quantiles() {
        assert_eq!(Histogram::default().quantiles(), Quantiles::default());
    }

    #[test]
    fn quantiles_are_within_the_stated_error() {
        let durations: Vec<u64> = (1..=10_000).map(|n| n * 1_000).collect();
        let quantiles = of(&durations).quantiles();
        for (found, truth) in
            [(quantiles.p50, 5_000_000.0), (quantiles.p90, 9_000_000.0), (quantiles.p99, 9_900_000.0)]
        {
            let found = found.unwrap() as f64;
            assert!((found - truth).abs() / truth <= QUANTILE_ERROR, "{found} for {truth}");
        }
        assert_eq!(quantiles.max, Some(10_000_000));
        assert_eq!(quantiles.count, 10_000);
    }

    #[test]
    fn no_quantile_exceeds_the_maximum() {
        let quantiles = of(&[1_000_000]).quantiles();
        assert!(quantiles.p99 <= quantiles.max);
    }

    #[test]
    fn merging_adds() {
        let mut left = of(&[1_000, 2_000]);
        left.merge(&of(&[4_000]));
        assert_eq!(left, of(&[1_000, 2_000, 4_000]));
    }
}
