//! The stages of the chosen listener over the last seconds: what is true now, not since the observer started.

use std::collections::VecDeque;

use crate::model::histogram::Histogram;
use crate::model::snapshot::{Snapshot, stage::STAGES};

/// How far it looks back.
const SPAN_NS: u64 = 10_000_000_000;
/// Steps in which it moves on.
const STEP_NS: u64 = 1_000_000_000;

/// Histograms of all stages, indexed as in [`stage`](crate::model::snapshot::stage).
pub(crate) type Stages = [Histogram; STAGES];

#[derive(Debug, Clone)]
struct Slot {
    since_ns: u64,
    until_ns: u64,
    stages: Box<Stages>,
}

/// Histograms of the last ten seconds of some listeners.
#[derive(Debug, Clone, Default)]
pub(crate) struct Window {
    cookies: Vec<u64>,
    slots: VecDeque<Slot>,
}

impl Window {
    /// Looks at these listeners from now on. Starts from nothing when they are others than before.
    pub(crate) fn watch(&mut self, cookies: Vec<u64>) {
        if self.cookies != cookies {
            self.cookies = cookies;
            self.slots.clear();
        }
    }

    /// Adds what a snapshot says of the last interval.
    pub(crate) fn record(&mut self, snapshot: &Snapshot) {
        let now = snapshot.time_ns;
        while self.slots.front().is_some_and(|slot| slot.since_ns + SPAN_NS + STEP_NS <= now) {
            self.slots.pop_front();
        }
        if self.slots.back().is_none_or(|slot| slot.since_ns + STEP_NS <= now) {
            let since_ns = now.saturating_sub(snapshot.interval_ns);
            self.slots.push_back(Slot { since_ns, until_ns: now, stages: Box::default() });
        }
        let Some(slot) = self.slots.back_mut() else { return };
        slot.until_ns = now;
        for listener in snapshot.listeners.iter().filter(|listener| self.cookies.contains(&listener.cookie)) {
            for (sum, stage) in slot.stages.iter_mut().zip(listener.stages_interval.iter()) {
                sum.merge(stage);
            }
        }
    }

    /// The time that it covers, and the sums over it.
    pub(crate) fn sum(&self) -> (u64, Box<Stages>) {
        let mut sum: Box<Stages> = Box::default();
        for slot in &self.slots {
            for (sum, stage) in sum.iter_mut().zip(slot.stages.iter()) {
                sum.merge(stage);
            }
        }
        let since = self.slots.front().map_or(0, |slot| slot.since_ns);
        let until = self.slots.back().map_or(0, |slot| slot.until_ns);
        (until.saturating_sub(since), sum)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::snapshot::Listener;

    #[test]
    fn old_seconds_fall_out() {
        let mut stages = Stages::default();
        stages[1].add(10, 1);
        let stages = Arc::new(stages);
        let mut window = Window::default();
        window.watch(vec![3]);
        for tick in 1..=200_u64 {
            let listener = Listener { cookie: 3, stages_interval: stages.clone(), ..Listener::default() };
            window.record(&Snapshot {
                time_ns: tick * 250_000_000,
                interval_ns: 250_000_000,
                listeners: vec![listener],
                ..Snapshot::default()
            });
        }
        let (span, sum) = window.sum();
        assert!((10_000_000_000..=11_000_000_000).contains(&span), "{span}");
        assert_eq!(sum[1].total(), span / 250_000_000);
        window.watch(vec![4]);
        assert_eq!(window.sum().1[1].total(), 0);
    }
}
