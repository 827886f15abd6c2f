//! What a listener refused, by cause, as far as this kernel lets the causes be told apart.
//!
//! `sk_drops` counts every refusal, and besides each segment that was discarded for a request that waits. The
//! namespace's counters know the causes, but not the listeners. What the hooks tell lies between.

use observer_ebpf::record::ListenerCounters;
use serde::{Deserialize, Serialize};

use super::host::Host;

/// How far the hook for the signal `drop` tells causes apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Telling {
    /// Each refusal for a full queue is seen, with its cause.
    Each,
    /// Each refused last ACK is seen, and what was discarded for requests that wait.
    LastAck,
    /// Only `sk_drops` is read.
    #[default]
    Nothing,
}

/// Refusals of one cause, or of causes that cannot be told apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Drop {
    /// `accept_queue_full_syn`, `accept_queue_full_ack`, `syn_queue_full`, `other`, or several joined by `_or_`.
    pub cause: &'static str,
    /// How many.
    pub count: u64,
}

/// Everything refused by one listener.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Refused {
    /// `sk_drops` since watching began.
    pub(super) drops: u64,
    /// SYNs for which the accept queue was full, where each is seen.
    syn: u64,
    /// Last ACKs for which the accept queue was full, where each is seen.
    ack: u64,
    /// SYNs for which the SYN queue was full, where each is seen.
    syn_queue: u64,
    /// Segments in `sk_drops` that were no refusals.
    discarded: u64,
    /// Segments that may be in `sk_drops` and were no refusals.
    discarded_other: u64,
}

/// What is known of a listener's refusals.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Causes {
    /// Least and most refusals for a full accept queue.
    pub(super) overflows: (u64, u64),
    /// All of them, by cause.
    pub(super) drops: Vec<Drop>,
}

/// What was once certain of a listener's refusals. They only grow, so whatever is certain stays so, though later
/// refusals of others may blur what can be told anew.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Certain {
    /// Refused for a full accept queue, beside the last ACKs that were seen.
    overflows: u64,
    /// Refused for something else.
    rest: u64,
}

impl Refused {
    pub(super) fn new(drops: u64, counters: &ListenerCounters) -> Self {
        Self {
            drops,
            syn: counters.refused_syn,
            ack: counters.refused_ack,
            syn_queue: counters.refused_syn_queue,
            discarded: counters.discarded,
            discarded_other: counters.discarded_other,
        }
    }

    /// Most refusals that the kernel can have counted in ListenDrops.
    pub(super) fn most(&self) -> u64 {
        self.drops.saturating_sub(self.discarded).max(self.seen())
    }

    /// Refusals for full queues that were seen.
    pub(super) fn seen(&self) -> u64 {
        self.syn + self.ack + self.syn_queue
    }

    /// Refusals of any cause, as exactly as they are known: what rates are made of.
    pub(super) fn counted(&self, telling: Telling) -> u64 {
        match telling {
            Telling::Each => self.seen(),
            Telling::LastAck => self.most(),
            Telling::Nothing => self.drops,
        }
    }

    /// Refusals for a full accept queue that were seen.
    pub(super) fn overflows_seen(&self) -> u64 {
        self.syn + self.ack
    }

    /// Refusals for a full SYN queue that were seen.
    pub(super) fn syn_queue_seen(&self) -> u64 {
        self.syn_queue
    }

    fn least(&self) -> u64 {
        self.most().saturating_sub(self.discarded_other).max(self.seen())
    }

    /// The causes. `before_host`: refused before the namespace's counters were first read, of which nothing is known;
    /// `others`: what the other watched listeners of the namespace refused at most; `certain`: what was certain before,
    /// and is kept up.
    pub(super) fn causes(
        &self,
        telling: Telling,
        before_host: Option<u64>,
        others: u64,
        host: Option<&Host>,
        certain: &mut Certain,
    ) -> Causes {
        match telling {
            Telling::Each => self.each(host),
            Telling::LastAck | Telling::Nothing => self.bounded(telling, before_host, others, host, certain),
        }
    }

    fn each(&self, host: Option<&Host>) -> Causes {
        // Of the rest it is only known that it was nothing else than what the namespace counted beside full queues.
        let rest = self.most() - self.seen();
        let other = host.map_or(rest, |host| rest.min(host.other_drops()));
        let overflows = self.overflows_seen();
        Causes {
            overflows: (overflows, overflows),
            drops: known([
                ("accept_queue_full_syn", self.syn),
                ("accept_queue_full_ack", self.ack),
                ("syn_queue_full", self.syn_queue),
                ("other", other),
            ]),
        }
    }

    fn bounded(
        &self,
        telling: Telling,
        before: Option<u64>,
        others: u64,
        host: Option<&Host>,
        certain: &mut Certain,
    ) -> Causes {
        let (least, most) = (self.least(), self.most());
        let overflows = match (host, before) {
            (Some(host), Some(before)) => {
                let since = most.saturating_sub(before);
                let upper = since.min(host.overflows());
                let lower = least
                    .saturating_sub(before)
                    .saturating_sub(host.other_drops() + host.syn_queue_drops())
                    .min(host.overflows().saturating_sub(others))
                    .min(upper);
                (lower, before + upper)
            }
            _ => (0, most),
        };
        // Repeated SYNs are no refusals: the namespace bounds what is left.
        let bound = host.map_or(u64::MAX, |host| host.other_drops() + host.syn_queue_drops());
        let highest = overflows.1.max(self.ack);
        certain.overflows = certain.overflows.max(overflows.0.saturating_sub(self.ack));
        certain.rest = certain.rest.max(least.saturating_sub(highest).min(bound));
        let lowest = certain.overflows + self.ack;
        let overflows = (lowest, highest.min(most.saturating_sub(certain.rest)).max(lowest));
        // What is left may be the SYN queue's only if the namespace knows of any such.
        let (rest, doubtful) = match host.map(|host| (host.syn_queue_drops(), host.other_drops())) {
            Some((0, _)) => {
                ("other", ["accept_queue_full_syn_or_other", "accept_queue_full_syn_or_ack_or_other"])
            }
            Some((_, 0)) => (
                "syn_queue_full",
                ["accept_queue_full_syn_or_syn_queue_full", "accept_queue_full_syn_or_ack_or_syn_queue_full"],
            ),
            _ => (
                "syn_queue_full_or_other",
                [
                    "accept_queue_full_syn_or_syn_queue_full_or_other",
                    "accept_queue_full_syn_or_ack_or_syn_queue_full_or_other",
                ],
            ),
        };
        // A last ACK that brings a cookie is refused without a word.
        let each_ack = telling == Telling::LastAck && !host.is_some_and(Host::has_cookies);
        let doubtful = doubtful[usize::from(!each_ack)];
        Causes {
            overflows,
            drops: known([
                (
                    if each_ack { "accept_queue_full_syn" } else { "accept_queue_full_syn_or_ack" },
                    certain.overflows,
                ),
                ("accept_queue_full_ack", self.ack),
                (doubtful, overflows.1 - overflows.0),
                (rest, certain.rest),
            ]),
        }
    }
}

fn known<const N: usize>(causes: [(&'static str, u64); N]) -> Vec<Drop> {
    causes.into_iter().filter(|(_, count)| *count > 0).map(|(cause, count)| Drop { cause, count }).collect()
}

#[cfg(test)]
mod tests {
    use super::{super::event::HostCounters, *};

    fn host(listen_overflows: u64, listen_drops: u64, syn_queue_full_drops: u64) -> Host {
        let mut host = Host::default();
        host.read(HostCounters::default());
        host.read(HostCounters {
            listen_overflows,
            listen_drops,
            syn_queue_full_drops,
            ..HostCounters::default()
        });
        host
    }

    fn drops(drops: u64) -> Refused {
        Refused { drops, ..Refused::default() }
    }

    #[test]
    fn overflows_are_exact_only_when_nothing_else_was_refused() {
        let overflows = |refused: Refused, before, others, host: Option<&Host>| {
            refused.causes(Telling::Nothing, before, others, host, &mut Certain::default()).overflows
        };
        assert_eq!(overflows(drops(7), Some(0), 0, Some(&host(7, 7, 0))), (7, 7));
        assert_eq!(overflows(drops(7), Some(0), 0, Some(&host(7, 10, 0))), (4, 7));
        assert_eq!(
            overflows(drops(7), Some(0), 7, Some(&host(7, 10, 0))),
            (0, 7),
            "another may have had them"
        );
        assert_eq!(overflows(drops(7), None, 0, None), (0, 7));
        assert_eq!(overflows(drops(11), Some(0), 0, Some(&host(0, 0, 0))), (0, 0), "repeated SYNs");
    }

    #[test]
    fn what_each_refusal_tells_is_taken_as_it_is() {
        let refused = Refused { drops: 12, syn: 3, ack: 4, syn_queue: 1, ..Refused::default() };
        let causes = refused.causes(Telling::Each, Some(0), 0, Some(&host(7, 8, 1)), &mut Certain::default());
        assert_eq!(causes.overflows, (7, 7));
        let expected = [("accept_queue_full_syn", 3), ("accept_queue_full_ack", 4), ("syn_queue_full", 1)];
        assert_eq!(causes.drops, known(expected), "four discarded segments are no refusals");
    }

    #[test]
    fn a_refused_ack_is_in_sk_drops_twice() {
        let refused = Refused { drops: 9, ack: 3, discarded: 4, ..Refused::default() };
        let causes =
            refused.causes(Telling::LastAck, Some(0), 0, Some(&host(5, 5, 0)), &mut Certain::default());
        assert_eq!(causes.overflows, (5, 5));
        assert_eq!(causes.drops, known([("accept_queue_full_syn", 2), ("accept_queue_full_ack", 3)]));
    }

    #[test]
    fn without_cookies_the_syn_queue_refuses() {
        let causes =
            drops(5).causes(Telling::LastAck, Some(0), 0, Some(&host(0, 5, 5)), &mut Certain::default());
        assert_eq!(causes.overflows, (0, 0));
        assert_eq!(causes.drops, known([("syn_queue_full", 5)]));
    }

    #[test]
    fn what_was_certain_stays_so() {
        let mut certain = Certain::default();
        let mut causes = |count, host: &Host| {
            drops(count).causes(Telling::LastAck, Some(0), 0, Some(host), &mut certain).drops
        };
        assert_eq!(causes(5, &host(5, 5, 0)), known([("accept_queue_full_syn", 5)]));
        let blurred = [("accept_queue_full_syn", 5), ("accept_queue_full_syn_or_other", 2)];
        assert_eq!(causes(7, &host(9, 12, 0)), known(blurred), "any of the three others may be among these");
    }

    #[test]
    fn what_cannot_be_told_apart_is_named_so() {
        let causes =
            drops(5).causes(Telling::LastAck, Some(0), 0, Some(&host(3, 7, 0)), &mut Certain::default());
        assert_eq!(causes.overflows, (1, 3));
        let expected = [("accept_queue_full_syn", 1), ("accept_queue_full_syn_or_other", 2), ("other", 2)];
        assert_eq!(causes.drops, known(expected));
    }
}
