//! What had been counted when a recording began in the middle. It is no part of the recording, and is taken off.

use std::{collections::HashMap, sync::Arc};

use crate::model::snapshot::{Listener, Snapshot, Thread, stage};

/// Totals at the beginning.
#[derive(Debug, Default)]
pub(super) struct Before {
    listeners: HashMap<u64, Listener>,
    /// Accepts, reads, writes.
    threads: HashMap<(u32, u32), [u64; 3]>,
    /// Connections that had ended.
    pub(super) delivered: u64,
}

impl Before {
    pub(super) fn of(first: &Snapshot) -> Self {
        let threads = first.threads.iter();
        Self {
            listeners: first.listeners.iter().map(|listener| (listener.cookie, listener.clone())).collect(),
            threads: threads
                .map(|thread| ((thread.pid, thread.tid), [thread.accepts, thread.reads, thread.writes]))
                .collect(),
            delivered: first.loss.delivered,
        }
    }

    /// Takes off what a listener had counted: of the figures that a report shows.
    pub(super) fn leave_listener(&self, listener: &mut Listener) {
        let Some(before) = self.listeners.get(&listener.cookie) else { return };
        listener.enqueued = listener.enqueued.saturating_sub(before.enqueued);
        listener.accepted = listener.accepted.saturating_sub(before.accepted);
        for drop in &mut listener.drops {
            let known = before.drops.iter().find(|before| before.cause == drop.cause);
            drop.count = drop.count.saturating_sub(known.map_or(0, |known| known.count));
        }
        listener.drops.retain(|drop| drop.count > 0);
        listener.listen_drops = listener.listen_drops.saturating_sub(before.listen_drops);
        let stages = Arc::make_mut(&mut listener.stages);
        for (now, before) in stages.iter_mut().zip(before.stages.iter()) {
            *now = now.since(before);
        }
        listener.accept_wait_ns = listener.stages[stage::ACCEPT_WAIT].quantiles();
    }

    /// Takes off what a thread had done.
    pub(super) fn leave_thread(&self, thread: &mut Thread) {
        let Some([accepts, reads, writes]) = self.threads.get(&(thread.pid, thread.tid)) else { return };
        thread.accepts = thread.accepts.saturating_sub(*accepts);
        thread.reads = thread.reads.saturating_sub(*reads);
        thread.writes = thread.writes.saturating_sub(*writes);
    }
}

#[cfg(test)]
mod tests {
    use observer_ebpf::histogram::bucket;

    use super::*;
    use crate::model::{drops::Drop, histogram::Histogram};

    fn listener(accepted: u64, syn: u64, waits: &[u64]) -> Listener {
        let mut histogram = Histogram::default();
        for ns in waits {
            histogram.add(bucket(*ns), 1);
            histogram.raise_longest(*ns);
        }
        let mut stages: [Histogram; stage::STAGES] = Default::default();
        stages[stage::ACCEPT_WAIT] = histogram;
        Listener {
            cookie: 1,
            accepted,
            enqueued: accepted,
            listen_drops: syn,
            drops: vec![Drop { cause: "accept_queue_full_syn", count: syn }],
            stages: Arc::new(stages),
            ..Listener::default()
        }
    }

    #[test]
    fn only_what_came_since_is_left() {
        let slow = 140_000_000;
        let first = Snapshot { listeners: vec![listener(2, 9, &[slow, 1_000])], ..Snapshot::default() };
        let before = Before::of(&first);
        let mut now = listener(5, 9, &[slow, 1_000, 2_000, 2_000, 3_000]);
        before.leave_listener(&mut now);
        assert_eq!((now.accepted, now.enqueued, now.listen_drops), (3, 3, 0));
        assert!(now.drops.is_empty());
        assert_eq!(now.accept_wait_ns.count, 3);
        let longest = now.accept_wait_ns.max.unwrap();
        assert!((3_000..4_000).contains(&longest), "{longest}: the upper end of the last bucket");
        let mut other = Listener { cookie: 2, ..listener(5, 1, &[]) };
        before.leave_listener(&mut other);
        assert_eq!((other.accepted, other.listen_drops), (5, 1), "it opened since");
    }
}
