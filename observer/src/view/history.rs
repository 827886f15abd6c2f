//! What the screen remembers: a snapshot knows one instant, a plot needs the minutes before it.
//!
//! All of it is bounded, and fed with nothing but snapshots, so that a replay shows what live showed.
//!
//! # Layout
//! - [`closed`]: listeners that closed a moment ago
//! - [`places`]: who accepts from which listener
//! - [`samples`]: depth, peak and rates of each listener over time
//! - [`eras`]: the time between two changes of pattern, load or fault, as sums that can be compared
//! - [`frames`]: moments to step back to, and the stages of the seconds before each
//! - [`durations`]: stages, packed

pub(crate) mod closed;
pub(crate) mod durations;
pub(crate) mod eras;
pub(crate) mod frames;
pub(crate) mod places;
pub(crate) mod samples;

use std::sync::Arc;

use super::demo::Backends;
use crate::model::{interval::Interval, snapshot::Snapshot};

/// The snapshot on the screen and everything remembered of those before it.
#[derive(Debug, Default, Clone)]
pub(crate) struct History {
    /// The one that is shown: the last one, or an earlier moment.
    pub snapshot: Arc<Snapshot>,
    /// The last one, while an earlier one is shown.
    latest: Option<Arc<Snapshot>>,
    /// When the first one was taken.
    pub started_ns: u64,
    /// What backends said by then.
    pub backends: Backends,
    /// That of the last snapshot, while an earlier one is shown.
    latest_backends: Backends,
    /// See [`samples`].
    pub samples: samples::Samples,
    /// See [`eras`].
    pub eras: eras::Eras,
    /// See [`places`].
    pub places: places::Places,
    /// See [`frames`].
    pub frames: frames::Frames,
    updates: u64,
}

impl History {
    /// Adds a snapshot.
    pub(crate) fn record(&mut self, mut snapshot: Arc<Snapshot>) {
        closed::keep(&self.snapshot, &mut snapshot);
        if self.updates == 0 {
            self.started_ns = snapshot.time_ns;
        }
        self.updates += 1;
        let interval = Interval::between(&self.snapshot, &snapshot);
        self.samples.record(&snapshot, &interval);
        self.eras.record(&self.snapshot, &snapshot, &interval, &self.backends);
        self.places.record(&snapshot);
        self.frames.record(&snapshot, &interval, &self.backends);
        self.snapshot = snapshot;
    }

    /// Whether there is anything to show yet.
    pub(crate) fn is_empty(&self) -> bool {
        self.updates == 0
    }

    /// Time since the first snapshot.
    pub(crate) fn elapsed_ns(&self) -> u64 {
        self.snapshot.time_ns.saturating_sub(self.started_ns)
    }

    /// How long before the last snapshot the one that is shown was taken; none if it is the last one.
    pub(crate) fn ago_ns(&self) -> Option<u64> {
        self.latest.as_ref().map(|latest| latest.time_ns.saturating_sub(self.snapshot.time_ns))
    }

    /// How far back it can be stepped.
    pub(crate) fn reach_ns(&self) -> u64 {
        let latest = self.latest.as_ref().unwrap_or(&self.snapshot).time_ns;
        self.frames.oldest_ns().map_or(0, |oldest| latest.saturating_sub(oldest))
    }

    /// Shows another moment, so many further on or back. Stays at the first and the last one.
    pub(crate) fn step(&mut self, by: isize) {
        let count = self.frames.len();
        let newest = self.latest.as_ref().unwrap_or(&self.snapshot).time_ns;
        let here = match self.latest {
            // The last snapshot may be later than the last moment, or be the same.
            None => self.frames.at(newest.saturating_sub(1)).map_or(0, |index| index + 1),
            Some(_) => self.frames.at(self.snapshot.time_ns).unwrap_or(0),
        };
        self.show(here.saturating_add_signed(by).min(count));
    }

    fn show(&mut self, index: usize) {
        let latest = match self.latest.take() {
            Some(latest) => {
                self.backends = std::mem::take(&mut self.latest_backends);
                latest
            }
            None => Arc::clone(&self.snapshot),
        };
        let moment = self.frames.snapshot(index, &latest.meta);
        match moment.filter(|(moment, _)| moment.time_ns < latest.time_ns) {
            Some((moment, backends)) => {
                self.snapshot = Arc::new(moment);
                self.latest_backends = std::mem::replace(&mut self.backends, backends);
                self.latest = Some(latest);
            }
            None => self.snapshot = latest,
        }
        self.samples.look_from(self.snapshot.time_ns);
        self.eras.look_from(self.snapshot.time_ns);
    }
}
