//! The books: our figures against the kernel's.

use std::collections::HashMap;

use observer_ebpf::loss;

use super::{
    drops::Telling,
    event::Followed,
    host::Host,
    listener::Watched,
    snapshot::{Filters, LedgerCheck, Meta},
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
        - counters.dropped_queued as i64
        - counters.moved_away as i64;
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
            "arrivals of this instant, or that no probe saw: those count from their accept on; if it stays, of the \
             instant when watching began"
                .to_owned()
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
        since_ns: None,
    })
}

/// For one network namespace: the sum over its listeners is what the kernel counted. It is a check only when every
/// listener of it is watched. `never_queued` are the connections that the kernel made and no queue ever held, less those
/// that other namespaces' books account for.
pub(super) fn host(
    netns: u32,
    host: &Host,
    sum: Gone,
    meta: &Meta,
    never_queued: &mut u64,
) -> Vec<LedgerCheck> {
    if meta.filters != (Filters { netns: meta.filters.netns, ..Filters::default() }) {
        return Vec::new();
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
        since_ns: None,
    };
    let unwatched = "listeners that are not watched, or refusals between two readings";
    // Each of them was seen, so each accounts for one, and no more than were seen for any.
    let known = host.passive_opens().saturating_sub(sum.enqueued).min(*never_queued);
    *never_queued -= known;
    let mut opens = check(
        "passive_opens",
        sum.enqueued.saturating_add(known),
        host.passive_opens(),
        "listeners that are not watched, or arrivals between two readings",
    );
    if opens.difference == 0 && known > 0 {
        opens.reason = Some(format!(
            "{known} of them were made and given up before any queue held them, as when two CPUs take up one request"
        ));
    }
    let mut checks = vec![opens];
    match meta.telling {
        Telling::Each => checks.extend([
            check("listen_overflows", sum.overflows, host.overflows(), unwatched),
            check("syn_queue_full", sum.syn_queue, host.syn_queue_drops(), unwatched),
            check(
                "listen_drops",
                sum.seen,
                host.drops(),
                "refusals for no full queue (no memory, no route), or listeners that are not watched",
            ),
        ]),
        Telling::LastAck => checks.push(check(
            "listen_drops",
            sum.refused,
            host.drops(),
            "refusals between two readings, segments in sk_drops alone that no probe saw, or listeners that are not \
             watched",
        )),
        Telling::Nothing => checks.push(check(
            "listen_drops",
            sum.refused,
            host.drops(),
            "segments discarded for requests that wait (in sk_drops alone), listeners that are not watched, or \
             refusals between two readings",
        )),
    }
    let at_unwatched = "listeners that are not watched, or what came between two readings";
    if meta.cookies.sent {
        checks.push(check("cookies_sent", sum.cookies_sent, host.cookies_sent(), at_unwatched));
    }
    if meta.cookies.failed {
        checks.push(check("cookies_failed", sum.cookies_failed, host.cookies_failed(), at_unwatched));
    }
    checks
}

/// The event ring: what the kernel half produced was delivered or is counted as lost.
pub(super) fn ring(counters: [u64; loss::COUNTERS as usize], delivered: u64) -> LedgerCheck {
    let ours = delivered + counters[loss::RING_CONNECTION as usize];
    let kernel = counters[loss::PRODUCED as usize];
    LedgerCheck {
        scope: "ring",
        listener: None,
        netns: 0,
        check: "records",
        ours: ours as i64,
        kernel: kernel as i64,
        difference: ours as i64 - kernel as i64,
        reason: (ours != kernel)
            .then(|| "records on their way, or taken out since the counters were read".to_owned()),
        since_ns: None,
    }
}

/// The records: what was begun has ended or is there. `meanwhile` are those that the count may have missed or counted twice,
/// so a difference is what they cannot account for.
pub(super) fn followed(followed: Followed) -> LedgerCheck {
    let Followed { begun, ended, open, meanwhile } = followed;
    let counted = ended as i64 + open as i64 - begun as i64;
    let difference = counted.signum() * (counted.abs() - meanwhile as i64).max(0);
    LedgerCheck {
        scope: "ring",
        listener: None,
        netns: 0,
        check: "connections",
        ours: begun as i64 + difference,
        kernel: begun as i64,
        difference,
        reason: (difference != 0)
            .then(|| "connections that are not followed any more, and whose end was not told".to_owned()),
        since_ns: None,
    }
}

/// Since when checks have differed in one direction, without a break: what stays is no matter of one instant.
#[derive(Debug, Default)]
pub(super) struct Standing(HashMap<(Option<u64>, u32, &'static str), (i64, u64)>);

impl Standing {
    /// Notes which checks differ at `time_ns`, and tells each since when.
    pub(super) fn note(&mut self, checks: &mut [LedgerCheck], time_ns: u64) {
        let mut standing = HashMap::new();
        for check in checks.iter_mut().filter(|check| check.difference != 0) {
            let key = (check.listener, check.netns, check.check);
            let direction = check.difference.signum();
            let before = self.0.get(&key).filter(|(before, _)| *before == direction);
            let since_ns = before.map_or(time_ns, |(_, since_ns)| *since_ns);
            check.since_ns = Some(since_ns);
            standing.insert(key, (direction, since_ns));
        }
        self.0 = standing;
    }
}

/// Sums over listeners; those of closed ones are kept, because the kernel's counters still hold them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Gone {
    /// Refusals at most, of any cause.
    pub(super) refused: u64,
    enqueued: u64,
    overflows: u64,
    syn_queue: u64,
    seen: u64,
    cookies_sent: u64,
    cookies_failed: u64,
}

impl Gone {
    /// The sums over some listeners.
    pub(super) fn of<'a>(listeners: impl Iterator<Item = &'a Watched>) -> Self {
        Self::default().with(listeners)
    }

    /// These, and those over some more listeners.
    pub(super) fn with<'a>(mut self, listeners: impl Iterator<Item = &'a Watched>) -> Self {
        listeners.for_each(|watched| self.add(watched));
        self
    }

    /// What was added since.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            refused: self.refused.saturating_sub(before.refused),
            enqueued: self.enqueued.saturating_sub(before.enqueued),
            overflows: self.overflows.saturating_sub(before.overflows),
            syn_queue: self.syn_queue.saturating_sub(before.syn_queue),
            seen: self.seen.saturating_sub(before.seen),
            cookies_sent: self.cookies_sent.saturating_sub(before.cookies_sent),
            cookies_failed: self.cookies_failed.saturating_sub(before.cookies_failed),
        }
    }

    pub(super) fn add(&mut self, watched: &Watched) {
        let refused = watched.refused();
        // A recording can claim anything, so nothing is too much.
        let sum = |total: &mut u64, more: u64| *total = total.saturating_add(more);
        sum(&mut self.refused, refused.most());
        sum(&mut self.overflows, refused.overflows_seen());
        sum(&mut self.syn_queue, refused.syn_queue_seen());
        sum(&mut self.seen, refused.seen());
        if let Some(sample) = watched.sample() {
            let counters = &sample.counters;
            // What was moved from another listener was enqueued there already.
            sum(&mut self.enqueued, counters.enqueued.saturating_sub(counters.migrated));
            sum(&mut self.cookies_sent, counters.cookies_sent);
            sum(&mut self.cookies_failed, counters.cookies_failed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_begun_has_ended_or_is_open() {
        let difference = |ended, open, meanwhile| {
            let check = followed(Followed { begun: 100, ended, open, meanwhile });
            assert_eq!((check.kernel, check.ours - check.kernel), (100, check.difference));
            assert_eq!(check.reason.is_some(), check.difference != 0);
            check.difference
        };
        assert_eq!(difference(60, 40, 0), 0);
        assert_eq!(difference(60, 39, 0), -1);
        assert_eq!(difference(60, 41, 0), 1);
        // What came or went while it was counted is no difference; more than that is.
        assert_eq!(difference(60, 37, 3), 0);
        assert_eq!(difference(60, 36, 3), -1);
        assert_eq!(difference(60, 44, 3), 1);
    }
}
