//! What the screen remembers: a snapshot knows one instant, a plot needs the minutes before it.
//!
//! All of it is bounded, and fed with nothing but snapshots, so that a replay shows what live showed.
//!
//! # Layout
//! - [`closed`]: listeners that closed a moment ago
//! - [`places`]: who accepts from which listener
//! - [`samples`]: depth, peak and rates of each listener over time
//! - [`eras`]: the time between two changes of pattern, load or fault, as sums that can be compared
//! - [`window`]: the stages of the chosen listener over the last seconds

pub(crate) mod closed;
pub(crate) mod eras;
pub(crate) mod places;
pub(crate) mod samples;
pub(crate) mod window;

use std::sync::Arc;

use crate::model::snapshot::Snapshot;

/// The snapshot on the screen and everything remembered of those before it.
#[derive(Debug, Default, Clone)]
pub(crate) struct History {
    /// The last one.
    pub snapshot: Arc<Snapshot>,
    /// When the first one was taken.
    pub started_ns: u64,
    /// See [`samples`].
    pub samples: samples::Samples,
    /// See [`eras`].
    pub eras: eras::Eras,
    /// See [`places`].
    pub places: places::Places,
    /// See [`window`].
    pub window: window::Window,
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
        self.samples.record(&snapshot);
        self.eras.record(&self.snapshot, &snapshot);
        self.places.record(&snapshot);
        self.window.record(&snapshot);
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
}
