//! How a queue was in the last seconds.

use crate::model::snapshot::Listener;

/// How short a queue was, and for how long nobody accepted from it.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::model) struct Course {
    /// Its lowest depth at an instant since counting began.
    pub(super) lowest: u32,
    /// The longest time, of the instants that are kept, in which it was over a quarter full and nobody accepted.
    pub(in crate::model) paused_ns: u64,
}

impl Course {
    /// That of a listener's queue at these instants, the last of them now: time, depth, and accepted connections.
    pub(super) fn of(
        instants: impl Iterator<Item = (u64, u32, u64)>,
        listener: &Listener,
        begin_ns: u64,
    ) -> Self {
        let mut course = Self { lowest: listener.accept_queue, paused_ns: 0 };
        let mut pause: Option<(u64, u64)> = None;
        for (time_ns, depth, accepted) in instants {
            if time_ns >= begin_ns {
                course.lowest = course.lowest.min(depth);
            }
            let is_long = is_long(depth, listener);
            pause = match pause {
                Some((since, then)) if is_long && then == accepted => {
                    course.paused_ns = course.paused_ns.max(time_ns.saturating_sub(since));
                    Some((since, then))
                }
                _ => is_long.then_some((time_ns, accepted)),
            };
        }
        course
    }
}

/// A queue of this depth is over a quarter full.
pub(super) fn is_long(depth: u32, listener: &Listener) -> bool {
    u64::from(depth) * 4 > u64::from(listener.backlog_limit)
}
