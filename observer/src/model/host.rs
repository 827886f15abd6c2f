//! One network namespace in the model: the kernel's own counters since the observer first read them.

use super::event::HostCounters;

/// Counters at the first reading, and now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Host {
    first: Option<HostCounters>,
    now: HostCounters,
}

impl Host {
    /// Takes over a reading.
    pub(super) fn read(&mut self, counters: HostCounters) {
        self.first.get_or_insert(counters);
        self.now = counters;
    }

    /// Overflows since the first reading.
    pub(super) fn overflows(&self) -> u64 {
        self.since(|counters| counters.listen_overflows)
    }

    /// Listen drops since the first reading, whatever the cause.
    pub(super) fn drops(&self) -> u64 {
        self.since(|counters| counters.listen_drops)
    }

    /// Listen drops since the first reading that were no overflows.
    pub(super) fn other_drops(&self) -> u64 {
        self.drops().saturating_sub(self.overflows())
    }

    /// Passive opens since the first reading.
    pub(super) fn passive_opens(&self) -> u64 {
        self.since(|counters| counters.passive_opens)
    }

    fn since(&self, counter: impl Fn(&HostCounters) -> u64) -> u64 {
        self.first.map_or(0, |first| counter(&self.now).saturating_sub(counter(&first)))
    }
}
