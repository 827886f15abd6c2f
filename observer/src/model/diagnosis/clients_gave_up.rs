//! Clients did not wait until they were accepted.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::evidence::{Facts, Place},
};

pub(super) const RULE: Rule = Rule {
    name: "clients-gave-up",
    what: "clients reset their connection while it waited in the accept queue",
    when: "5 or more in two seconds, and one of 20 of those that were queued",
    why: "a connection that its client reset keeps its place in the queue, and accept(2) returns it all the same \
          (tcp_reset leaves sk_ack_backlog alone)",
    remedy: "if the wait in the queue is long, accept sooner; a health check that only looks whether the port answers resets at \
             once, and is no harm",
    needs: &[Need::Signal("enqueue"), Need::Signal("reset")],
    judge,
};

const FEW: u64 = 5;
/// One of so many.
const PART: u64 = 20;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| gave_up(facts, place)).collect()
}

fn gave_up(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let counted = place.counted();
    let queued =
        counted.enqueued + place.members.iter().map(|member| u64::from(member.depth_before)).sum::<u64>();
    if counted.aborted < FEW || counted.aborted * PART < queued {
        return None;
    }
    let sentence = format!(
        "{} of {} clients reset their connection in the last {} while it waited in the accept queue; each keeps its \
         place, and is accepted for nobody.",
        figures::count(counted.aborted),
        figures::count(queued),
        figures::duration(facts.window_ns),
    );
    let waits = place.members.iter().filter_map(|member| member.listener.accept_wait_interval_ns.p50).max();
    let evidence = [("aborted_queued", counted.aborted.into()), ("queued", queued.into())];
    let mut found = Finding::at(place, counted.aborted as f64, sentence, evidence);
    if let Some(wait) = waits {
        found.evidence.insert("accept_wait_interval_ns.p50", wait.into());
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of},
        *,
    };
    use crate::model::snapshot::{Listener, Snapshot};

    fn state(enqueued: u64, aborted_queued: u64) -> Snapshot {
        of(vec![Listener { enqueued, aborted_queued, ..listener(1, 64, 0) }], Vec::new())
    }

    #[test]
    fn those_who_left_are_counted() {
        assert_eq!(
            found(&RULE, state(0, 0), state(100, 5)),
            [
                "5 of 100 clients reset their connection in the last 2.00 s while it waited in the accept queue; each keeps \
              its place, and is accepted for nobody."
            ]
        );
        assert_eq!(found(&RULE, state(0, 0), state(101, 5)).len(), 0, "less than one of 20");
        assert_eq!(found(&RULE, state(0, 0), state(4, 4)).len(), 0, "too few");
        assert_eq!(found(&RULE, state(10, 5), state(110, 9)).len(), 0, "what was before does not count");
    }
}
