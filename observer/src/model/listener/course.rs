//! What the samples of a listener tell over time: how long the head of its queue has waited, and how its limit changed.

use std::collections::VecDeque;

use observer_ebpf::record::Sample;

use crate::model::snapshot::Pace;

/// Most instants that are kept of a queue; with more every second one goes, which makes ages shorter, never longer.
const INSTANTS: usize = 256;

/// A change of the limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LimitChange {
    /// The limit before.
    pub(super) before: u32,
    /// When a sample first showed the new one.
    pub(super) time_ns: u64,
}

/// What was seen so far.
#[derive(Debug, Default)]
pub(super) struct Course {
    /// Connections that had come at some instant, of those instants at which somebody who still waits had.
    came: VecDeque<(u64, u64)>,
    limit: Option<u32>,
    changed: Option<LimitChange>,
    accepts: Option<Accepts>,
}

/// The last sample that showed that somebody had been accepted.
#[derive(Debug, Clone, Copy)]
struct Accepts {
    time_ns: u64,
    /// Connections accepted by then, and those that had come.
    accepted: u64,
    came: u64,
    /// Somebody has waited at every sample since.
    is_waited_for: bool,
    /// So far apart were the last of them, while somebody waited all the time, and so many were accepted at a time.
    apart_ns: [u64; PACES],
    at_a_time: [u64; PACES],
}

/// Several that accept take turns: the longest of so many times is the pace of them all.
const PACES: usize = 4;

impl Course {
    /// Takes over a sample.
    pub(super) fn sampled(&mut self, sample: &Sample) {
        let counters = &sample.counters;
        let came = counters.enqueued.saturating_add(counters.queued_at_start.into());
        if sample.accept_queue == 0 {
            self.came.clear();
        } else {
            // First in, first out: whoever has left came before all who wait.
            let left = came.saturating_sub(sample.accept_queue.into());
            while self.came.front().is_some_and(|(_, came)| *came <= left) {
                self.came.pop_front();
            }
            if self.came.back().is_none_or(|(_, last)| *last < came) {
                self.came.push_back((sample.time_ns, came));
            }
            if self.came.len() > INSTANTS {
                let mut nth = 0;
                self.came.retain(|_| {
                    nth += 1;
                    nth % 2 == 0
                });
            }
        }
        self.accepts(sample, came);
        if let Some(before) = self.limit.filter(|before| *before != sample.limit) {
            self.changed = Some(LimitChange { before, time_ns: sample.time_ns });
        }
        self.limit = Some(sample.limit);
    }

    fn accepts(&mut self, sample: &Sample, came: u64) {
        let accepted = sample.counters.accepted;
        let waits = sample.accept_queue > 0;
        match &mut self.accepts {
            Some(last) if last.accepted == accepted => last.is_waited_for &= waits,
            last => {
                let (mut apart_ns, mut at_a_time) = ([0; PACES], [0; PACES]);
                if let Some(last) = last.as_ref().filter(|last| last.is_waited_for) {
                    (apart_ns, at_a_time) = (last.apart_ns, last.at_a_time);
                    apart_ns.rotate_right(1);
                    at_a_time.rotate_right(1);
                    apart_ns[0] = sample.time_ns.saturating_sub(last.time_ns);
                    at_a_time[0] = accepted.saturating_sub(last.accepted);
                }
                let (time_ns, is_waited_for) = (sample.time_ns, waits);
                *last = Some(Accepts { time_ns, accepted, came, is_waited_for, apart_ns, at_a_time });
            }
        }
    }

    /// Connections that have come since the last accept, at least.
    pub(super) fn came_since_accept(&self, came: u64) -> u64 {
        self.accepts.map_or(0, |last| came.saturating_sub(last.came))
    }

    /// How far the last accepts were apart while somebody waited. The next is due after as much time again.
    pub(super) fn pace(&self) -> Option<Pace> {
        let last = self.accepts?;
        let apart_ns = last.apart_ns.into_iter().max().filter(|ns| *ns > 0)?;
        let due_ns = last.time_ns.saturating_add(apart_ns.saturating_mul(2));
        Some(Pace { apart_ns, due_ns, at_a_time: last.at_a_time.into_iter().max().unwrap_or(0) })
    }

    /// The head of the queue has waited for this long, at least; none if nobody waits.
    pub(super) fn oldest_waits_ns(&self, now_ns: u64) -> Option<u64> {
        self.came.front().map(|(time_ns, _)| now_ns.saturating_sub(*time_ns))
    }

    /// The last change of the limit.
    pub(super) fn changed(&self) -> Option<LimitChange> {
        self.changed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::listener::last_sample;

    fn sample(time_ns: u64, enqueued: u64, accept_queue: u32, limit: u32) -> Sample {
        let mut sample = last_sample(&crate::model::tests::entry(1), time_ns);
        (sample.accept_queue, sample.limit, sample.counters.enqueued) = (accept_queue, limit, enqueued);
        sample
    }

    #[test]
    fn the_head_is_as_old_as_the_first_look_that_it_was_there_at() {
        let mut course = Course::default();
        let mut at = |time_ns, enqueued, depth| {
            course.sampled(&sample(time_ns, enqueued, depth, 9));
            course.oldest_waits_ns(time_ns)
        };
        assert_eq!(at(10, 0, 0), None);
        assert_eq!((at(20, 3, 3), at(30, 5, 5)), (Some(0), Some(10)));
        assert_eq!(at(40, 5, 2), Some(10), "the first three are gone");
        assert_eq!(at(50, 9, 6), Some(20));
        assert_eq!((at(60, 9, 0), at(70, 10, 1)), (None, Some(0)));
    }

    #[test]
    fn many_instants_make_an_age_shorter_at_most() {
        let mut course = Course::default();
        (1..=1_000).for_each(|time| course.sampled(&sample(time, time, time as u32, 9)));
        let age = course.oldest_waits_ns(1_000);
        assert!(age > Some(900) && age <= Some(999) && course.came.len() <= INSTANTS, "{age:?}");
    }

    #[test]
    fn accepts_that_are_apart_while_somebody_waits_have_a_pace() {
        let mut course = Course::default();
        let mut at = |time_ns, enqueued, accepted, depth| {
            let mut sample = sample(time_ns, enqueued, depth, 9);
            sample.counters.accepted = accepted;
            course.sampled(&sample);
            let pace = course.pace().map(|pace| (pace.apart_ns, pace.due_ns));
            (course.came_since_accept(enqueued), pace)
        };
        assert_eq!(at(10, 5, 0, 5), (0, None));
        assert_eq!(at(20, 7, 0, 7), (2, None));
        assert_eq!(at(30, 8, 1, 7), (0, Some((20, 70))));
        assert_eq!(at(50, 9, 1, 8), (1, Some((20, 70))));
        assert_eq!(at(55, 9, 9, 0), (0, Some((25, 105))));
        assert_eq!(at(90, 12, 12, 0), (0, None), "nobody waited");
    }

    #[test]
    fn another_limit_is_a_change_with_its_time() {
        let mut course = Course::default();
        course.sampled(&sample(10, 0, 0, 1024));
        assert_eq!(course.changed(), None, "the first is no change");
        course.sampled(&sample(20, 0, 0, 0));
        course.sampled(&sample(30, 0, 0, 0));
        assert_eq!(course.changed(), Some(LimitChange { before: 1024, time_ns: 20 }));
    }
}
