//! The queue is in a completion ring, where no tool looks.

use super::{
    Finding, Need, Rule,
    accepted_never_read::{is_by_ring, pace, waiting},
};
use crate::{
    figures,
    model::evidence::{Facts, Place},
};

pub(super) const RULE: Rule = Rule {
    name: "ring-hides-queue",
    what: "the queue is hidden in the completion ring of an io_uring",
    when: "as accepted-never-read, and io_uring accepted most connections of the listener",
    why: "a multishot accept takes connections out of the accept queue as task work of the ring's thread, whatever that thread \
          is doing (io_accept): they wait in the completion ring, and the accept queue is empty however far the program is \
          behind",
    remedy: "a ring with IORING_SETUP_DEFER_TASKRUN accepts only when the thread asks, and the backlog tells again",
    seen: "an io_uring server with a multishot accept and without IORING_SETUP_DEFER_TASKRUN, while its thread works",
    silent: "the same with IORING_SETUP_DEFER_TASKRUN; a thread that keeps up",
    needs: &[Need::Signal("accept"), Need::Rings, Need::Signal("data_queued"), Need::Signal("read")],
    judge,
};

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter(|place| is_by_ring(place)).filter_map(|place| hidden(facts, place)).collect()
}

fn hidden(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let (unread, begun) = waiting(facts, place)?;
    let queued: u32 = place.members.iter().map(|member| member.listener.accept_queue).sum();
    let sentence = format!(
        "{} connections that io_uring accepted have data that nobody has read, while the accept queue holds {queued}: they \
         wait in the completion ring or behind it, where ss and the backlog do not see them; {}.",
        figures::count(unread),
        pace(facts, unread, begun),
    );
    let accepted = place.counted().accepted_by_ring;
    let evidence = [
        ("unread", unread.into()),
        ("first_reads_per_s", begun.into()),
        ("accepted_by_ring_per_s", facts.rate(accepted).into()),
        ("accept_queue", queued.into()),
    ];
    Some(Finding::at(place, unread as f64, sentence, evidence))
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of},
        *,
    };
    use crate::model::snapshot::{Listener, Snapshot};

    fn state(unread: u64, by_ring: u64) -> Snapshot {
        let listener = Listener { unread, accepted: 100, accepted_by_ring: by_ring, ..listener(1, 128, 0) };
        of(vec![listener], Vec::new())
    }

    #[test]
    fn what_io_uring_accepted_and_nobody_reads_is_hidden() {
        assert_eq!(
            found(&RULE, state(0, 0), state(40, 100)),
            [
                "40 connections that io_uring accepted have data that nobody has read, while the accept queue holds 0: they \
              wait in the completion ring or behind it, where ss and the backlog do not see them; none was begun in the \
              last 2.00 s."
            ]
        );
        assert_eq!(found(&RULE, state(0, 0), state(7, 100)).len(), 0, "a few are under way");
        assert_eq!(found(&RULE, state(0, 0), state(40, 50)).len(), 0, "as many were accepted otherwise");
    }
}
