//! The books: our figures against the kernel's.

use super::{
    host::Host,
    listener::Watched,
    snapshot::{Filters, LedgerCheck},
};

/// For one listener: what went in and did not come out is what is in the queue.
pub(super) fn listener(watched: &Watched) -> Option<LedgerCheck> {
    let sample = watched.sample()?;
    if watched.is_closed() {
        return None;
    }
    let counters = &sample.counters;
    let ours = i64::from(counters.queued_at_start) + counters.enqueued as i64
        - counters.accepted as i64
        - counters.dropped_queued as i64;
    let kernel = i64::from(sample.accept_queue);
    let difference = ours - kernel;
    let reason = (difference != 0).then(|| {
        if difference > 0 && counters.accepted_unseen > 0 {
            format!("{difference} were accepted by a path that no probe sees, and are not read yet")
        } else if difference > 0 && counters.queued_at_start > 0 {
            format!(
                "{difference} are on their way out of accept(2), or were queued before the start and dropped"
            )
        } else if difference > 0 {
            format!(
                "{difference} left the queue and are on their way out of accept(2), or went an unseen path"
            )
        } else {
            "arrivals of this instant, or of the instant when watching began".to_owned()
        }
    });
    Some(LedgerCheck {
        scope: "listener",
        listener: Some(watched.identity().cookie),
        netns: watched.identity().netns,
        check: "accept_queue",
        ours,
        kernel,
        difference,
        reason,
    })
}

/// For one network namespace: the sum over its listeners is what the kernel counted. It is a check only when every
/// listener is watched.
pub(super) fn host<'a>(
    netns: u32,
    host: &Host,
    listeners: impl Iterator<Item = &'a Watched>,
    gone: Gone,
    filters: &Filters,
) -> Vec<LedgerCheck> {
    if *filters != Filters::default() {
        return Vec::new();
    }
    let (mut dropped, mut enqueued) = (gone.dropped, gone.enqueued);
    for watched in listeners {
        dropped += watched.dropped();
        enqueued += watched.sample().map_or(0, |sample| sample.counters.enqueued);
    }
    let check = |check: &'static str, ours: u64, kernel: u64, why: &str| LedgerCheck {
        scope: "host",
        listener: None,
        netns,
        check,
        ours: ours as i64,
        kernel: kernel as i64,
        difference: ours as i64 - kernel as i64,
        reason: (ours != kernel).then(|| why.to_owned()),
    };
    vec![
        check(
            "listen_drops",
            dropped,
            host.drops(),
            "repeated SYNs (in sk_drops alone), listeners that are not watched, or refusals between two readings",
        ),
        check(
            "passive_opens",
            enqueued,
            host.passive_opens(),
            "listeners that are not watched, arrivals between two readings, or children that were never queued",
        ),
    ]
}

/// Figures of listeners that are closed, by network namespace: the kernel's counters still hold them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gone {
    pub(super) dropped: u64,
    pub(super) enqueued: u64,
}
