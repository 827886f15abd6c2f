//! What happened between two snapshots: a pure function of both, so that each output has intervals of its own.

use std::collections::HashMap;

use observer_ebpf::record::stage;

use super::{
    histogram::{Histogram, Quantiles},
    snapshot::{Listener, Snapshot},
};

/// Durations by stage.
pub type Stages = [Histogram; stage::STAGES];

/// The time from one snapshot to a later one.
#[derive(Debug)]
pub struct Interval<'a> {
    /// When it began; 0 when nothing was before.
    pub from_ns: u64,
    /// When it ended.
    pub until_ns: u64,
    before: HashMap<u64, &'a Listener>,
}

impl<'a> Interval<'a> {
    /// What came after `before`, which is an empty snapshot if nothing was before `now`.
    pub fn between(before: &'a Snapshot, now: &Snapshot) -> Self {
        let listeners = before.listeners.iter().map(|listener| (listener.cookie, listener));
        Self { from_ns: before.time_ns, until_ns: now.time_ns, before: listeners.collect() }
    }

    /// A listener as it was when it began.
    pub fn before(&self, listener: &Listener) -> Option<&'a Listener> {
        self.before.get(&listener.cookie).copied()
    }

    /// How long it is; 0 when nothing was before.
    pub fn ns(&self) -> u64 {
        if self.from_ns == 0 { 0 } else { self.until_ns.saturating_sub(self.from_ns) }
    }

    /// Most connections in the accept queue of a listener; none if it is too long for that to be known.
    pub fn peak(&self, listener: &Listener) -> Option<u32> {
        listener.peaks.since(self.from_ns)
    }

    /// Durations of one stage at a listener, since it is watched if nothing was before.
    pub fn stage(&self, listener: &Listener, index: usize) -> Histogram {
        let (Some(now), before) = (listener.stages.get(index), self.before(listener)) else {
            return Histogram::default();
        };
        match before.and_then(|before| before.stages.get(index)) {
            Some(before) if before.total() == now.total() => Histogram::default(),
            Some(before) => now.since(before),
            None => now.clone(),
        }
    }

    /// Quantiles of the same. Nothing ends at most listeners in most intervals.
    pub fn quantiles(&self, listener: &Listener, index: usize) -> Quantiles {
        if self.is_more(listener, index) {
            self.stage(listener, index).quantiles()
        } else {
            Quantiles::default()
        }
    }

    fn is_more(&self, listener: &Listener, index: usize) -> bool {
        let before = self.before(listener).and_then(|before| before.stages.get(index));
        listener.stages.get(index).map(Histogram::total) > Some(before.map_or(0, Histogram::total))
    }

    /// Durations of all stages at a listener; none if none ended.
    pub fn stages(&self, listener: &Listener) -> Option<Box<Stages>> {
        (0..stage::STAGES).any(|index| self.is_more(listener, index)).then(|| {
            let mut stages = Box::<Stages>::default();
            for (index, stage) in stages.iter_mut().enumerate() {
                *stage = self.stage(listener, index);
            }
            stages
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::model::peaks::Peaks;

    fn at(time_ns: u64, waits: u64, peaks: &Peaks) -> Snapshot {
        let mut stages = Stages::default();
        stages[stage::ACCEPT_WAIT].add(3, waits);
        let listener =
            Listener { cookie: 7, peaks: peaks.clone(), stages: Arc::new(stages), ..Listener::default() };
        Snapshot { time_ns, listeners: vec![listener], ..Snapshot::default() }
    }

    #[test]
    fn it_is_what_one_snapshot_has_more_than_the_other() {
        let mut peaks = Peaks::default();
        let snapshots: Vec<Snapshot> = [(1, 2, 5), (2, 2, 0), (4, 9, 3)]
            .into_iter()
            .map(|(time_ns, waits, peak)| {
                peaks.note(time_ns, peak);
                at(time_ns, waits, &peaks)
            })
            .collect();
        let nothing = Snapshot::default();
        let told = |before: &Snapshot, now: &Snapshot| {
            let interval = Interval::between(before, now);
            let listener = &now.listeners[0];
            let waits = interval.stage(listener, stage::ACCEPT_WAIT).total();
            assert_eq!(interval.stages(listener).map_or(0, |all| all[stage::ACCEPT_WAIT].total()), waits);
            (interval.ns(), interval.peak(listener), waits)
        };
        let [first, second, third] = &snapshots[..] else { panic!() };
        assert_eq!(told(&nothing, first), (0, Some(5), 2), "all of before");
        assert_eq!(told(first, second), (1, Some(0), 0));
        assert_eq!(told(second, third), (2, Some(3), 7));
        // An output that takes every other one.
        assert_eq!(told(first, third), (3, Some(3), 7));
    }
}
