//! How a queue was in the last seconds.

use crate::model::snapshot::Listener;

/// How short a queue was, and for how long nobody accepted from it.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::model) struct Course {
    /// Its lowest depth at an instant since counting began.
    pub(super) lowest: u32,
    /// The longest time, of the instants that are kept, in which it was over a quarter full and nobody accepted.
    pub(in crate::model) paused_ns: u64,
    /// The same in which anybody waited.
    pub(super) unserved_ns: u64,
    /// It was short, refused somebody, and was short again.
    pub(in crate::model) recovered: bool,
}

/// A queue at an instant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Instant {
    pub(super) time_ns: u64,
    pub(super) depth: u32,
    /// Connections accepted by then.
    pub(super) accepted: u64,
    /// Attempts refused by then because it was full.
    pub(super) refused: u64,
}

impl Course {
    /// That of a listener's queue at these instants, the last of them now.
    pub(super) fn of(instants: impl Iterator<Item = Instant>, listener: &Listener, begin_ns: u64) -> Self {
        let mut course = Self { lowest: listener.accept_queue, ..Self::default() };
        let (mut pause, mut wait, mut refused) = (None, None, None);
        let mut was_short = false;
        for instant in instants {
            let is_long = is_long(instant.depth, listener);
            if instant.time_ns >= begin_ns {
                course.lowest = course.lowest.min(instant.depth);
                let before = *refused.get_or_insert(instant.refused);
                was_short |= instant.refused == before && !is_long;
                course.recovered |= was_short && instant.refused > before && !is_long;
            }
            let now = (instant.time_ns, instant.accepted);
            course.paused_ns = course.paused_ns.max(lasts(&mut pause, is_long, now));
            course.unserved_ns = course.unserved_ns.max(lasts(&mut wait, instant.depth > 0, now));
        }
        course
    }
}

/// For how long nobody has accepted from a queue that is so: since when, and how many had been accepted then, is kept.
fn lasts(pause: &mut Option<(u64, u64)>, is_so: bool, (time_ns, accepted): (u64, u64)) -> u64 {
    let begun = pause.filter(|(_, then)| *then == accepted).unwrap_or((time_ns, accepted));
    *pause = is_so.then_some(begun);
    pause.map_or(0, |(since, _)| time_ns.saturating_sub(since))
}

/// A queue of this depth is over a quarter full.
pub(super) fn is_long(depth: u32, listener: &Listener) -> bool {
    u64::from(depth) * 4 > u64::from(listener.backlog_limit)
}

#[cfg(test)]
mod tests {
    use super::{super::super::diagnosis::tests::listener, *};

    #[test]
    fn a_pause_is_as_long_as_nobody_accepts_and_somebody_waits() {
        let of = |instants: &[(u64, u32, u64)]| {
            let instants = instants.iter().map(|(time_ns, depth, accepted)| Instant {
                time_ns: *time_ns,
                depth: *depth,
                accepted: *accepted,
                refused: 0,
            });
            let course = Course::of(instants, &listener(1, 100, 0), 2);
            (course.unserved_ns, course.paused_ns, course.lowest)
        };
        assert_eq!(of(&[(1, 0, 5), (2, 10, 5), (3, 20, 5), (4, 30, 5), (5, 40, 5), (6, 2, 43)]), (3, 1, 0));
        // Somebody is accepted in between, or nobody waits.
        assert_eq!(of(&[(1, 10, 5), (2, 10, 6), (3, 10, 7)]), (0, 0, 0));
        assert_eq!(of(&[(1, 0, 5), (2, 0, 5), (3, 0, 5)]), (0, 0, 0));
    }

    #[test]
    fn a_queue_that_was_short_only_before_it_refused_somebody_is_not_emptied_in_between() {
        let of = |instants: [(u32, u64); 3]| {
            let instants = (1..).zip(instants);
            let instants =
                instants.map(|(time_ns, (depth, refused))| Instant { time_ns, depth, accepted: 5, refused });
            Course::of(instants, &listener(1, 10, 0), 1).recovered
        };
        assert!(!of([(0, 7), (11, 9), (11, 12)]), "it has filled up");
        assert!(of([(1, 7), (11, 9), (1, 9)]));
        assert!(!of([(11, 7), (11, 9), (1, 9)]), "it was full for long, and nobody comes any more");
        assert!(!of([(11, 7), (11, 7), (1, 7)]), "nobody was refused");
    }
}
