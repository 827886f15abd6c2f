//! The time between two changes of pattern, load or fault, as sums: what was before a switch, and what is after.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use crate::model::histogram::Histogram;
use crate::model::interval::Interval;
use crate::model::mark::Mark;
use crate::model::snapshot::{Listener, Snapshot, Thread, stage};
use crate::view::demo::{self, Backends};

/// Eras that are remembered.
const MOST: usize = 32;

/// One stretch of time without a change.
#[derive(Debug, Clone, Default)]
pub(crate) struct Era {
    /// When it began.
    pub since_ns: u64,
    /// The last snapshot in it.
    pub until_ns: u64,
    /// What changed at its beginning; none for the first.
    pub change: Option<String>,
    /// What ran, as the backend said.
    pub running: demo::Running,
    /// Connections that entered the accept queue.
    pub enqueued: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused.
    pub dropped: u64,
    /// Most connections in one accept queue.
    pub peak: u32,
    /// Waits in the accept queue.
    pub wait: Histogram,
    /// What each thread, by process and id, had done when it began.
    baseline: Arc<HashMap<(u32, u32), Done>>,
}

impl Era {
    /// How long it has lasted.
    pub(crate) fn span_ns(&self) -> u64 {
        self.until_ns.saturating_sub(self.since_ns)
    }

    /// A total of this era per second.
    pub(crate) fn per_second(&self, total: u64) -> f64 {
        match self.span_ns() {
            0 => 0.0,
            span => total as f64 * 1e9 / span as f64,
        }
    }
}

/// What a thread had done when an era began.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Done {
    /// Connections accepted.
    pub accepts: u64,
    /// Reads.
    pub reads: u64,
    /// Writes.
    pub writes: u64,
    /// Wake-ups.
    pub wakeups: u64,
}

impl Done {
    fn of(thread: &Thread) -> Self {
        Self {
            accepts: thread.accepts,
            reads: thread.reads,
            writes: thread.writes,
            wakeups: thread.wakeups.unwrap_or(0),
        }
    }
}

/// The eras so far, oldest first; the last one is now.
#[derive(Debug, Clone, Default)]
pub(crate) struct Eras {
    eras: VecDeque<Era>,
    now_ns: u64,
}

impl Eras {
    /// Adds what happened between two snapshots.
    pub(crate) fn record(
        &mut self,
        before: &Snapshot,
        now: &Snapshot,
        interval: &Interval<'_>,
        backends: &Backends,
    ) {
        self.now_ns = now.time_ns;
        if self.eras.is_empty() {
            // What was counted before the first snapshot belongs to no era.
            self.begin(now.time_ns, None, now);
            return;
        }
        let last = self.eras.back().map_or(0, |era| era.since_ns);
        let fresh: Vec<&Mark> = now.marks.iter().filter(|mark| mark.time_ns > last).collect();
        if let Some(mark) = fresh.last() {
            // What changed between two snapshots cannot be told apart, so it is one change.
            let causes: Vec<String> = fresh.iter().map(ToString::to_string).collect();
            self.begin(mark.time_ns, Some(causes.join(", ")), before);
        }
        let Some(era) = self.eras.back_mut() else { return };
        era.until_ns = now.time_ns.max(era.since_ns);
        if let Some(running) = demo::running(backends) {
            era.running = running;
        }
        let new = Listener::default();
        for listener in now.listeners.iter().filter(|listener| demo::concerns(backends, listener)) {
            // A listener that was there before the observer brings a past that does not belong to this era.
            let then = match interval.before(listener) {
                Some(then) => then,
                None if listener.opened_ns.is_some() => &new,
                None => listener,
            };
            era.enqueued += listener.enqueued.saturating_sub(then.enqueued);
            era.accepted += listener.accepted.saturating_sub(then.accepted);
            era.dropped += listener.listen_drops.saturating_sub(then.listen_drops);
            era.peak = era.peak.max(interval.peak(listener).unwrap_or(0)).max(listener.accept_queue);
            era.wait.merge(&interval.stage(listener, stage::ACCEPT_WAIT));
        }
    }

    fn begin(&mut self, since_ns: u64, change: Option<String>, before: &Snapshot) {
        let baseline = before.threads.iter().map(|thread| ((thread.pid, thread.tid), Done::of(thread)));
        let baseline = Arc::new(baseline.collect());
        self.eras.push_back(Era { since_ns, until_ns: since_ns, change, baseline, ..Era::default() });
        if self.eras.len() > MOST {
            self.eras.pop_front();
        }
    }

    /// Answers as it would have at this time, but for the sums of the era that it lies in: they are of the whole era.
    pub(super) fn look_from(&mut self, now_ns: u64) {
        self.now_ns = now_ns;
    }

    /// All of them, newest first.
    pub(crate) fn newest_first(&self) -> impl ExactSizeIterator<Item = &Era> {
        let begun = self.eras.partition_point(|era| era.since_ns <= self.now_ns);
        self.eras.range(..begun).rev()
    }

    /// What a thread has done since the last change.
    pub(crate) fn since_change(&self, thread: &Thread) -> Done {
        let era = self.newest_first().next();
        let then = era.and_then(|era| era.baseline.get(&(thread.pid, thread.tid))).copied();
        let then = then.unwrap_or_default();
        let now = Done::of(thread);
        Done {
            accepts: now.accepts.saturating_sub(then.accepts),
            reads: now.reads.saturating_sub(then.reads),
            writes: now.writes.saturating_sub(then.writes),
            wakeups: now.wakeups.saturating_sub(then.wakeups),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mark::What;

    fn mark(time_ns: u64, what: &str) -> Mark {
        Mark { time_ns, what: What::Other, name: what.to_owned(), from: None, to: None }
    }

    fn snapshot(time_ns: u64, enqueued: u64, changes: &[(u64, &str)]) -> Snapshot {
        Snapshot {
            time_ns,
            listeners: vec![Listener { cookie: 1, enqueued, opened_ns: Some(1), ..Listener::default() }],
            threads: vec![Thread { pid: 1, tid: 2, accepts: enqueued, ..Thread::default() }],
            marks: Arc::new(changes.iter().map(|(time_ns, what)| mark(*time_ns, what)).collect()),
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_change_begins_an_era() {
        let states = [
            snapshot(10, 5, &[]),
            snapshot(20, 8, &[]),
            snapshot(30, 18, &[(25, "pattern 1 to 2")]),
            snapshot(40, 20, &[(25, "pattern 1 to 2")]),
        ];
        let mut eras = Eras::default();
        let mut before = Snapshot::default();
        for state in states {
            eras.record(&before, &state, &Interval::between(&before, &state), &Backends::default());
            before = state;
        }
        let found: Vec<&Era> = eras.newest_first().collect();
        let (now, earlier) = (found[0], found[1]);
        assert_eq!((earlier.enqueued, earlier.change.as_deref()), (3, None));
        assert_eq!((now.enqueued, now.since_ns, now.span_ns()), (12, 25, 15));
        assert_eq!(eras.newest_first().len(), 2);
        assert_eq!(eras.since_change(&before.threads[0]).accepts, 12);
    }

    #[test]
    fn changes_of_before_the_start_are_no_eras() {
        let mut eras = Eras::default();
        let first = snapshot(60, 9, &[(25, "old")]);
        let nothing = Snapshot::default();
        eras.record(&nothing, &first, &Interval::between(&nothing, &first), &Backends::default());
        eras.record(&first, &first, &Interval::between(&first, &first), &Backends::default());
        assert_eq!(eras.newest_first().len(), 1);
    }
}
