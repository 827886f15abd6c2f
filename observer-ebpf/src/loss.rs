//! Every place where the observer can fail to record something. Each has a counter in the kernel, and each is
//! shown: nothing is dropped silently.

/// One counter of [`TABLE`]: its name in the output, and what was lost when it is not zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Name in the `loss` lines.
    pub name: &'static str,
    /// What is missing from the figures, and what helps.
    pub meaning: &'static str,
}

/// Connection records produced: delivered + [`RING_CONNECTION`] losses.
pub const PRODUCED: u32 = 0;
/// A record of an ended connection found the ring buffer full.
pub const RING_CONNECTION: u32 = 1;
/// The notice that a listener opened or closed found the ring buffer full.
pub const RING_LISTENER: u32 = 2;
/// A sample of a listener's queues found its ring buffer full.
pub const RING_SAMPLE: u32 = 3;
/// The map of open connections was full.
pub const CONNECTIONS_FULL: u32 = 4;
/// The map of listeners was full.
pub const LISTENERS_FULL: u32 = 5;
/// The map of threads was full.
pub const THREADS_FULL: u32 = 6;
/// A connection entered an accept queue and its own socket could not be told.
pub const ENQUEUE_UNLINKED: u32 = 7;
/// accept(2) returned a descriptor whose socket could not be followed.
pub const ACCEPT_UNRESOLVED: u32 = 8;
/// A maximum lost a race against other processors several times over.
pub const MAXIMUM_CONTENDED: u32 = 9;
/// The request of a connection was gone before it could tell a handshake from a cookie.
pub const HANDSHAKE_UNSETTLED: u32 = 10;
/// The map of closed windows was full.
pub const WINDOWS_FULL: u32 = 11;
/// A connection was accepted whose arrival no probe saw.
pub const ARRIVAL_MISSED: u32 = 12;
/// The socket of a followed connection was found to be gone: its end was shown to no program.
pub const END_MISSED: u32 = 13;
/// A connection was made and never queued. Not a loss, as [`PRODUCED`] is none: the kernel counts it in `PassiveOpens`.
pub const NEVER_QUEUED: u32 = 14;
/// A listener of a namespace that has the number of the selected one, and is another: that one is gone. No loss either.
pub const OTHER_NAMESPACE: u32 = 15;
/// Records of connections begun: ended + open. No loss.
pub const FOLLOWED: u32 = 16;
/// A copy of a program dealt with an event that those before it were not shown. No loss: that is what it is for.
pub const TAKEN_OVER: u32 = 17;
/// A connection from before the start came out of a listener, and it is not known whether out of a watched one.
pub const EXISTING_UNTOLD: u32 = 18;
/// Number of counters.
pub const COUNTERS: u32 = 19;

/// Whether a counter tells of something that is missing from the figures.
pub fn is_loss(counter: u32) -> bool {
    !matches!(counter, PRODUCED | NEVER_QUEUED | OTHER_NAMESPACE | FOLLOWED | TAKEN_OVER)
}

/// Name and meaning of every counter, at its index; see [`is_loss`].
pub const TABLE: [Loss; COUNTERS as usize] = [
    Loss { name: "produced", meaning: "connection records that the kernel side produced" },
    Loss {
        name: "ring_connection",
        meaning: "records of ended connections that found the ring buffer full; totals and histograms stay exact",
    },
    Loss {
        name: "ring_listener",
        meaning: "notices of listeners opening or closing that found the ring buffer full; the next reading looks at all",
    },
    Loss {
        name: "ring_sample",
        meaning: "queue samples that found their ring buffer full; the next one replaces them",
    },
    Loss {
        name: "connections_full",
        meaning: "connections that were not followed because the map was full: counted by their listener and acceptor, but without \
                  record, reads and writes; raise --max-connections",
    },
    Loss {
        name: "listeners_full",
        meaning: "listeners that are not watched because the map was full; raise --max-listeners or filter",
    },
    Loss {
        name: "threads_full",
        meaning: "thread activity not counted because the map was full; raise --max-threads or filter",
    },
    Loss {
        name: "enqueue_unlinked",
        meaning: "connections counted in their listener's queue but without a record of their own: another processor \
                  changed the queue at the same instant (TCP Fast Open), or their state change was not seen",
    },
    Loss {
        name: "accept_unresolved",
        meaning: "accepted descriptors whose socket was gone before it could be followed (closed by another thread)",
    },
    Loss {
        name: "maximum_contended",
        meaning: "a maximum may be lower than the truth; counts and quantiles are not",
    },
    Loss {
        name: "handshake_unsettled",
        meaning: "connections of which it is not known whether they came by a handshake or by a cookie: they were \
                  accepted before their request could be read",
    },
    Loss {
        name: "windows_full",
        meaning: "probes of closed windows whose connections were not counted because the map was full; more are closed \
                  than the figures say",
    },
    Loss {
        name: "arrival_missed",
        meaning: "connections whose arrival the kernel showed to no probe: counted as arrived when they were accepted, and \
                  followed from there; neither their wait nor the queue that they found is known",
    },
    Loss {
        name: "end_missed",
        meaning: "connections whose end the kernel showed to no probe: their sockets were found to be gone, so when and how \
                  they ended is not known",
    },
    Loss {
        name: "never_queued",
        meaning: "connections that the kernel made, counted and dropped before any queue held them",
    },
    Loss {
        name: "other_namespace",
        meaning: "listeners of a namespace that was given the number of the selected one",
    },
    Loss { name: "followed", meaning: "connection records that were begun" },
    Loss { name: "taken_over", meaning: "events that a program was not shown, and a copy of it was" },
    Loss {
        name: "existing_untold",
        meaning: "connections accepted before the start that are not followed, because their process holds more listeners than \
                  could be noted, so that it is not known whether they came out of a watched one",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        for (index, loss) in TABLE.iter().enumerate() {
            assert!(TABLE.iter().skip(index + 1).all(|other| other.name != loss.name), "{}", loss.name);
        }
    }
}
