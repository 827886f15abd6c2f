//! Connections queue inside the program: accepted, data there, never read.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::{
        evidence::{Facts, Place},
        snapshot::{Listener, are_left_unread},
    },
};

pub(super) const RULE: Rule = Rule {
    name: "accepted-never-read",
    what: "accepted connections have data that nobody has read",
    when: "8 or more of them, and more than those threads begin to read in 100 ms",
    why: "accept(2) empties the kernel's queue whether or not somebody will read; from then on neither the backlog nor ss -l \
          shows who waits",
    remedy: "see first whether the program reads by a path that the hook for `read` does not see, such as splice (observer doctor); \
             more readers or workers; or accept no more than can be read, so that the backlog tells again",
    seen: "a server whose event loop is blocked after it accepted everything that waited, such as Node with a long \
           computation",
    silent: "clients that have sent nothing, since there is nothing to read; data that waits no longer than the \
             threads' usual work",
    needs: &[Need::Signal("accept"), Need::Signal("data_queued"), Need::Signal("read")],
    judge,
};

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| unread(facts, place)).collect()
}

/// Unread connections, and how many are read for the first time per second; none unless that is too few.
pub(super) fn waiting(facts: &Facts<'_>, place: &Place<'_>) -> Option<(u64, f64)> {
    let unread: u64 = place.members.iter().map(|member| member.listener.unread).sum();
    let begun = facts.rate(place.counted().first_reads);
    are_left_unread(unread, begun).then_some((unread, begun))
}

/// Most of what was ever accepted here was accepted by an io_uring.
pub(super) fn is_by_ring(place: &Place<'_>) -> bool {
    let all = |of: fn(&Listener) -> u64| place.members.iter().map(|member| of(member.listener)).sum::<u64>();
    all(|listener| listener.accepted_by_ring) * 2 > all(|listener| listener.accepted)
}

fn unread(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let (unread, begun) = waiting(facts, place)?;
    // Those have a rule of their own.
    if is_by_ring(place) {
        return None;
    }
    let queued: u32 = place.members.iter().map(|member| member.listener.accept_queue).sum();
    let pace = pace(facts, unread, begun);
    let sentence = format!(
        "{} accepted connections have data that nobody has read, and the accept queue holds {queued}: they wait inside \
         the program; {pace}.",
        figures::count(unread),
    );
    let evidence = [
        ("unread", unread.into()),
        ("first_reads_per_s", begun.into()),
        ("accepted_per_s", facts.rate(place.counted().accepted).into()),
        ("accept_queue", queued.into()),
    ];
    Some(Finding::at(place, unread as f64, sentence, evidence))
}

/// How long those who wait will wait.
pub(super) fn pace(facts: &Facts<'_>, unread: u64, begun: f64) -> String {
    if begun > 0.0 {
        let wait = figures::duration((unread as f64 / begun * 1e9) as u64);
        format!("{} are begun per second, so the last of them waits about {wait}", figures::rate(begun))
    } else {
        format!("none was begun in the last {}", figures::duration(facts.window_ns))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{
        super::tests::{found, listener, of},
        *,
    };
    use crate::model::{
        histogram::Histogram,
        snapshot::{Snapshot, stage},
    };

    fn state(unread: u64, begun: u64) -> Snapshot {
        let mut stages: [Histogram; stage::STAGES] = Default::default();
        stages[stage::ACCEPT_TO_READ].add(1, begun);
        let stages = Arc::new(stages);
        of(vec![Listener { unread, accepted: begun + unread, stages, ..listener(1, 64, 0) }], Vec::new())
    }

    #[test]
    fn the_queue_inside_the_program_has_a_length_and_a_wait() {
        assert_eq!(
            found(&RULE, state(0, 0), state(138, 200)),
            [
                "138 accepted connections have data that nobody has read, and the accept queue holds 0: they wait inside the \
              program; 100 are begun per second, so the last of them waits about 1.38 s."
            ]
        );
        assert!(found(&RULE, state(0, 0), state(8, 0))[0].ends_with("none was begun in the last 2.00 s."));
    }

    #[test]
    fn what_is_under_way_does_not_wait() {
        assert_eq!(found(&RULE, state(0, 0), state(7, 0)).len(), 0);
        assert_eq!(found(&RULE, state(0, 0), state(10, 200)).len(), 0, "100 ms of what is begun");
        assert_eq!(found(&RULE, state(0, 0), state(11, 200)).len(), 1);
    }

    #[test]
    fn what_an_io_uring_accepted_is_told_otherwise() {
        let mut ring = state(138, 200);
        ring.listeners[0].accepted_by_ring = 170;
        assert_eq!(found(&RULE, state(0, 0), ring.clone()).len(), 0);
        ring.listeners[0].accepted_by_ring = 169;
        assert_eq!(found(&RULE, state(0, 0), ring).len(), 1, "half of them");
    }
}
