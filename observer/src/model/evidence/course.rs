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
}

impl Course {
    /// That of a listener's queue at these instants, the last of them now: time, depth, and accepted connections.
    pub(super) fn of(
        instants: impl Iterator<Item = (u64, u32, u64)>,
        listener: &Listener,
        begin_ns: u64,
    ) -> Self {
        let mut course = Self { lowest: listener.accept_queue, paused_ns: 0, unserved_ns: 0 };
        let (mut pause, mut wait) = (None, None);
        for (time_ns, depth, accepted) in instants {
            if time_ns >= begin_ns {
                course.lowest = course.lowest.min(depth);
            }
            let now = (time_ns, accepted);
            course.paused_ns = course.paused_ns.max(lasts(&mut pause, is_long(depth, listener), now));
            course.unserved_ns = course.unserved_ns.max(lasts(&mut wait, depth > 0, now));
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
            let course = Course::of(instants.iter().copied(), &listener(1, 100, 0), 2);
            (course.unserved_ns, course.paused_ns, course.lowest)
        };
        assert_eq!(of(&[(1, 0, 5), (2, 10, 5), (3, 20, 5), (4, 30, 5), (5, 40, 5), (6, 2, 43)]), (3, 1, 0));
        // Somebody is accepted in between, or nobody waits.
        assert_eq!(of(&[(1, 10, 5), (2, 10, 6), (3, 10, 7)]), (0, 0, 0));
        assert_eq!(of(&[(1, 0, 5), (2, 0, 5), (3, 0, 5)]), (0, 0, 0));
    }
}
