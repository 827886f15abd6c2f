//! One network namespace in the model: the kernel's own counters since the observer first read them.

use super::{event::HostCounters, snapshot};

/// Counters at the first reading, and now.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Host {
    first: Option<HostCounters>,
    now: HostCounters,
}

impl Host {
    /// Takes over a reading.
    pub(super) fn read(&mut self, counters: HostCounters) {
        self.first.get_or_insert(counters);
        self.now = counters;
    }

    /// Overflows since the first reading.
    pub(super) fn overflows(&self) -> u64 {
        self.since(|counters| counters.listen_overflows)
    }

    /// Listen drops since the first reading, whatever the cause.
    pub(super) fn drops(&self) -> u64 {
        self.since(|counters| counters.listen_drops)
    }

    /// SYNs refused for a full SYN queue since the first reading.
    pub(super) fn syn_queue_drops(&self) -> u64 {
        self.since(|counters| counters.syn_queue_full_drops)
    }

    /// Cookies sent since the first reading.
    pub(super) fn cookies_sent(&self) -> u64 {
        self.since(|counters| counters.cookies_sent)
    }

    /// ACKs since the first reading that were no valid cookie.
    pub(super) fn cookies_failed(&self) -> u64 {
        self.since(|counters| counters.cookies_failed)
    }

    /// Whether a connection has come by a cookie since the first reading.
    pub(super) fn has_cookies(&self) -> bool {
        self.since(|counters| counters.cookies_received) > 0
    }

    /// Handshakes that were reset since the first reading.
    pub(super) fn embryonic_resets(&self) -> u64 {
        self.since(|counters| counters.embryonic_resets)
    }

    /// Bare ACKs since the first reading that TCP_DEFER_ACCEPT ignored.
    pub(super) fn deferred_acks(&self) -> u64 {
        self.since(|counters| counters.deferred_acks)
    }

    /// Listen drops since the first reading that were for no full queue.
    pub(super) fn other_drops(&self) -> u64 {
        self.drops().saturating_sub(self.overflows()).saturating_sub(self.syn_queue_drops())
    }

    /// Whether any connection was ever moved between shards in it.
    pub(super) fn has_migrated(&self) -> bool {
        self.now.migrations > 0
    }

    /// Everything since the first reading.
    pub(super) fn snapshot(&self, netns: u32) -> snapshot::Host {
        snapshot::Host {
            netns,
            listen_overflows: self.overflows(),
            listen_drops: self.drops(),
            syn_queue_full_drops: self.syn_queue_drops(),
            cookies_wanted: self.since(|counters| counters.cookies_wanted),
            cookies_sent: self.cookies_sent(),
            cookies_received: self.since(|counters| counters.cookies_received),
            cookies_failed: self.cookies_failed(),
            passive_opens: self.passive_opens(),
            migrations: self.since(|counters| counters.migrations),
            migration_failures: self.since(|counters| counters.migration_failures),
            embryonic_resets: self.embryonic_resets(),
            deferred_acks: self.deferred_acks(),
            delayed_acks: self.since(|counters| counters.delayed_acks),
            window_probes: self.since(|counters| counters.window_probes),
        }
    }

    /// Passive opens since the first reading.
    pub(super) fn passive_opens(&self) -> u64 {
        self.since(|counters| counters.passive_opens)
    }

    fn since(&self, counter: impl Fn(&HostCounters) -> u64) -> u64 {
        self.first.map_or(0, |first| counter(&self.now).saturating_sub(counter(&first)))
    }
}
