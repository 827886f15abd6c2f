//! What the source keeps of each listener between two readings.

use observer_ebpf::record::{ListenerCounters, Sample};

/// A listener that so many readings in a row do not find by its cookie is gone: its end was shown to no program.
const MOST_MISSED: u8 = 3;
const TCP_LISTEN: u16 = 10;

/// What had happened at a listener when its histograms were last read.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Activity {
    enqueued: u64,
    accepted: u64,
    ended: u64,
}

impl Activity {
    pub(super) fn of(counters: &ListenerCounters) -> Self {
        Self { enqueued: counters.enqueued, accepted: counters.accepted, ended: counters.ended }
    }

    /// Connections are open, so something may happen without a change of these figures.
    fn goes_on(&self) -> bool {
        self.enqueued != self.ended
    }
}

/// A listener that is sampled.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sampled {
    /// Inode number of its network namespace.
    pub(super) netns: u32,
    /// It listened when it was last read.
    pub(super) listens: bool,
    activity: Activity,
    missed: u8,
}

impl Sampled {
    /// One that was not read yet.
    pub(super) fn new(netns: u32) -> Self {
        Self { netns, listens: true, activity: Activity::default(), missed: 0 }
    }

    /// Takes over a reading. Returns whether its histograms may have changed.
    pub(super) fn read(&mut self, sample: &Sample) -> bool {
        self.listens = sample.state == TCP_LISTEN;
        self.missed = 0;
        let now = Activity::of(&sample.counters);
        let changed = now != self.activity || now.goes_on();
        self.activity = now;
        changed
    }

    /// A reading begins; what it finds calls [`Self::read`]. Returns whether those before it have found nothing.
    pub(super) fn asked(&mut self) -> bool {
        let is_gone = self.missed >= MOST_MISSED;
        self.missed = self.missed.saturating_add(1);
        is_gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_readings_without_it_are_the_end() {
        let mut listener = Sampled::new(1);
        assert!(!(0..3).any(|_| listener.asked()), "it may be there still");
        assert!(listener.asked());
        let mut sample = Sample { state: TCP_LISTEN, ..blank() };
        assert!(!listener.read(&sample) && !listener.asked());
        sample.state = 7;
        sample.counters.enqueued = 1;
        assert!(listener.read(&sample) && !listener.listens);
        sample.counters.ended = 1;
        assert!(listener.read(&sample), "the end is a change");
        assert!(!listener.read(&sample));
    }

    fn blank() -> Sample {
        Sample {
            kind: 0,
            state: 0,
            port: 0,
            cookie: 0,
            time_ns: 0,
            accept_queue: 0,
            limit: 0,
            syn_queue: 0,
            syn_queue_young: 0,
            drops: 0,
            peak: 0,
            somaxconn: 0,
            device: 0,
            deferring: 0,
            reserved: 0,
            reuseport: 0,
            counters: ListenerCounters::BLANK,
        }
    }
}
