//! What the samples of a listener tell over time: how long the head of its queue has waited, and how its limit changed.

use std::collections::VecDeque;

use observer_ebpf::record::Sample;

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
}

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
        if let Some(before) = self.limit.filter(|before| *before != sample.limit) {
            self.changed = Some(LimitChange { before, time_ns: sample.time_ns });
        }
        self.limit = Some(sample.limit);
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
    fn another_limit_is_a_change_with_its_time() {
        let mut course = Course::default();
        course.sampled(&sample(10, 0, 0, 1024));
        assert_eq!(course.changed(), None, "the first is no change");
        course.sampled(&sample(20, 0, 0, 0));
        course.sampled(&sample(30, 0, 0, 0));
        assert_eq!(course.changed(), Some(LimitChange { before: 1024, time_ns: 20 }));
    }
}
