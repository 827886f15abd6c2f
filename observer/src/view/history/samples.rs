//! Depth, peak and rates of each listener over the last quarter of an hour.

use std::collections::{HashMap, VecDeque};

use crate::model::{
    interval::Interval,
    snapshot::{Listener, Snapshot, stage},
};
use crate::view::widget::plot::Point;

/// How far back samples go: the oldest moment that can be stepped back to has a past of its own on its plot.
const SPAN_NS: u64 = 900_000_000_000;
/// Samples of all listeners together, some 16 MB: with many busy listeners each one's past is shorter.
const MOST: usize = 240_000;
/// Samples that a listener may always keep.
const LEAST_EACH: usize = 60;
/// How long the peak and the wait of a moment stay on the screen: long enough to be read, and a little longer than the
/// second over which rates count, so that a refusal is never seen without the full queue that caused it.
const HELD_NS: u64 = 1_500_000_000;

/// What a listener was like in an interval of time. Intervals in which nothing changed are one sample.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sample {
    from_ns: u64,
    until_ns: u64,
    depth: u32,
    peak: u32,
    wait_p50_ns: Option<u64>,
    wait_p99_ns: Option<u64>,
}

/// The past of every listener.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples {
    listeners: HashMap<u64, VecDeque<Sample>>,
    now_ns: u64,
}

impl Samples {
    /// Adds what `snapshot` says of each listener, and forgets the listeners that it no longer knows.
    pub(crate) fn record(&mut self, snapshot: &Snapshot, interval: &Interval<'_>) {
        self.now_ns = snapshot.time_ns;
        let most = (MOST / snapshot.listeners.len().max(1)).max(LEAST_EACH);
        if self.listeners.len() > snapshot.listeners.len() {
            let known: std::collections::HashSet<u64> =
                snapshot.listeners.iter().map(|listener| listener.cookie).collect();
            self.listeners.retain(|cookie, _| known.contains(cookie));
        }
        for listener in &snapshot.listeners {
            let samples = self.listeners.entry(listener.cookie).or_default();
            let since_ns = snapshot.time_ns.saturating_sub(interval.ns());
            // One that has closed has no depth any more.
            if listener.closed_ns.is_none_or(|closed_ns| closed_ns >= since_ns) {
                add(samples, Sample::of(listener, since_ns, interval));
            }
            let oldest = snapshot.time_ns.saturating_sub(SPAN_NS);
            while samples.len() > most || samples.front().is_some_and(|sample| sample.until_ns < oldest) {
                samples.pop_front();
            }
        }
    }

    /// Answers as it would have at this time.
    pub(super) fn look_from(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    /// The most connections in the accept queue over the last second.
    pub(crate) fn peak(&self, cookie: u64) -> u32 {
        self.held(cookie).map(|sample| sample.peak).max().unwrap_or(0)
    }

    /// Half and 99 of 100 waits in the accept queue (p50, p99), from the last interval in which anything was
    /// accepted; none if that was more than a second ago.
    pub(crate) fn wait(&self, cookie: u64) -> (Option<u64>, Option<u64>) {
        self.held(cookie)
            .find(|sample| sample.wait_p99_ns.is_some())
            .map_or((None, None), |sample| (sample.wait_p50_ns, sample.wait_p99_ns))
    }

    /// Samples of the last second, newest first.
    fn held(&self, cookie: u64) -> impl Iterator<Item = &Sample> {
        let samples = self.listeners.get(&cookie).into_iter().flatten().rev();
        let samples = samples.skip_while(|sample| sample.from_ns >= self.now_ns);
        samples.take_while(|sample| sample.until_ns + HELD_NS > self.now_ns)
    }

    /// `columns` points of the `span_ns` before `now_ns`, oldest first; of several listeners the fullest.
    ///
    /// Columns begin at whole multiples of their width, so that a plot moves on column by column and never
    /// shimmers.
    pub(crate) fn points(
        &self,
        cookies: &[u64],
        now_ns: u64,
        span_ns: u64,
        columns: usize,
    ) -> Vec<Option<Point>> {
        let mut points = vec![None; columns];
        let axis = Axis::new(now_ns, span_ns, columns);
        for sample in cookies.iter().filter_map(|cookie| self.listeners.get(cookie)).flatten() {
            if sample.from_ns >= now_ns {
                continue;
            }
            let until_ns = sample.until_ns.min(now_ns);
            let Some((first, last)) = axis.columns(sample.from_ns + 1, until_ns) else { continue };
            for point in &mut points[first..=last] {
                let point = point.get_or_insert(Point { value: 0, peak: 0 });
                point.value = point.value.max(sample.depth);
                point.peak = point.peak.max(sample.peak);
            }
        }
        points
    }
}

impl Sample {
    fn of(listener: &Listener, from_ns: u64, interval: &Interval<'_>) -> Self {
        let waits = interval.quantiles(listener, stage::ACCEPT_WAIT);
        Self {
            from_ns,
            until_ns: interval.until_ns,
            depth: listener.accept_queue,
            peak: interval.peak(listener).unwrap_or(0).max(listener.accept_queue),
            wait_p50_ns: waits.p50,
            wait_p99_ns: waits.p99,
        }
    }
}

fn add(samples: &mut VecDeque<Sample>, sample: Sample) {
    match samples.back_mut() {
        Some(last) if Sample { from_ns: last.from_ns, until_ns: last.until_ns, ..sample } == *last => {
            last.until_ns = sample.until_ns;
        }
        _ => samples.push_back(sample),
    }
}

/// Time as columns of a plot.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Axis {
    width_ns: u64,
    first: u64,
    columns: usize,
}

impl Axis {
    /// The axis whose last column holds `now_ns`.
    pub(crate) fn new(now_ns: u64, span_ns: u64, columns: usize) -> Self {
        let width_ns = (span_ns / columns.max(1) as u64).max(1);
        let first = (now_ns / width_ns + 1).saturating_sub(columns as u64);
        Self { width_ns, first, columns }
    }

    /// The column of an instant, if it is on the axis.
    pub(crate) fn column(&self, time_ns: u64) -> Option<usize> {
        let column = usize::try_from((time_ns / self.width_ns).checked_sub(self.first)?).ok()?;
        (column < self.columns).then_some(column)
    }

    /// First and last column of an interval, as far as it is on the axis.
    fn columns(&self, from_ns: u64, until_ns: u64) -> Option<(usize, usize)> {
        let last = self.column(until_ns)?;
        Some((self.column(from_ns).unwrap_or(0).min(last), last))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::peaks::Peaks;

    const SECOND: u64 = 1_000_000_000;

    /// Records these one after the other.
    fn record(samples: &mut Samples, snapshots: impl Iterator<Item = Snapshot>) {
        let mut before = Snapshot::default();
        for snapshot in snapshots {
            samples.record(&snapshot, &Interval::between(&before, &snapshot));
            before = snapshot;
        }
    }

    fn snapshot(time_s: u64, depth: u32, peak: u32) -> Snapshot {
        let time_ns = time_s * SECOND;
        let mut peaks = Peaks::default();
        peaks.note(time_ns, peak);
        let listener = Listener { cookie: 7, accept_queue: depth, peaks, ..Listener::default() };
        Snapshot { time_ns, listeners: vec![listener], ..Snapshot::default() }
    }

    #[test]
    fn a_spike_between_two_snapshots_is_in_the_plot() {
        let mut samples = Samples::default();
        record(&mut samples, (0..=10).map(|second| snapshot(second, 0, if second == 4 { 9 } else { 0 })));
        let points = samples.points(&[7], 10_000_000_000, 10_000_000_000, 10);
        let peaks: Vec<_> = points.iter().map(|point| point.map(|point| point.peak)).collect();
        // The interval of the spike reaches from the third second into the fourth: two columns.
        assert_eq!(peaks, [1, 1, 9, 9, 1, 1, 1, 1, 1, 1].map(|peak| Some(if peak == 9 { 9 } else { 0 })));
    }

    #[test]
    fn an_idle_listener_costs_one_sample() {
        let mut samples = Samples::default();
        record(&mut samples, (0..=1_000).map(|second| snapshot(second, 0, 0)));
        assert_eq!(samples.listeners[&7].len(), 1);
        record(&mut samples, std::iter::once(Snapshot::default()));
        assert!(samples.listeners.is_empty());
    }

    #[test]
    fn memory_is_bounded() {
        let mut samples = Samples::default();
        record(&mut samples, (1..=2_000).map(|second| snapshot(second, second as u32, 0)));
        assert!(samples.listeners[&7].len() <= 901);
    }

    #[test]
    fn the_peak_of_a_moment_stays_long_enough_to_be_read() {
        let mut samples = Samples::default();
        let mut before = snapshot(0, 0, 0);
        before.time_ns = 3 * SECOND / 4;
        for (tick, peak) in [(4, 3), (5, 9), (6, 0), (8, 0), (10, 0), (11, 0), (12, 0)] {
            let mut snapshot = snapshot(0, 0, 0);
            snapshot.time_ns = tick * SECOND / 4;
            snapshot.listeners[0].peaks.note(snapshot.time_ns, peak);
            samples.record(&snapshot, &Interval::between(&before, &snapshot));
            before = snapshot;
            assert_eq!(
                samples.peak(7),
                if tick == 4 {
                    3
                } else if tick < 11 {
                    9
                } else {
                    0
                },
                "tick {tick}"
            );
        }
    }
}
