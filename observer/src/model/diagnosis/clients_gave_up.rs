//! Clients did not wait until they were accepted.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::evidence::{Facts, Member, Place},
};

pub(super) const RULE: Rule = Rule {
    name: "clients-gave-up",
    what: "clients closed or reset their connection while it waited in the accept queue",
    when: "in two seconds 5 or more did so (by a FIN or by a RST) after 200 ms or more in the queue, and one of 20 of those that \
           were queued; who leaves sooner did not leave because it waited",
    why: "a connection that its client has left keeps its place in the queue, and accept(2) returns it all the same \
          (tcp_reset and tcp_fin leave sk_ack_backlog alone)",
    remedy: "accept sooner; a shorter queue turns away at once those who would leave anyway; ask whether the client is still \
             there before the work",
    seen: "a proxy or a browser with a timeout before a server that takes seconds to accept",
    silent: "the loser of two connections (happy eyeballs) and health checks that reset at once: who leaves within 200 \
             ms did not leave because it waited",
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
    let members: Vec<&Member<'_>> =
        place.members.iter().filter(|member| member.counted.gave_up > 0).collect();
    let worst = members.iter().max_by_key(|member| member.counted.gave_up)?;
    // Of the others at the place nothing is said.
    let place = &place.with(&members);
    let counted = place.counted();
    let queued =
        counted.enqueued + place.members.iter().map(|member| u64::from(member.depth_before)).sum::<u64>();
    if counted.gave_up < FEW || counted.gave_up * PART < queued {
        return None;
    }
    let sentence = format!(
        "{} of {} clients that were queued at {} in the last {} closed (wholly, or their half) or reset their connection \
         after 200 ms or more in the accept queue, where each keeps its place.",
        figures::count(counted.gave_up),
        figures::count(queued),
        worst.listener.holder(),
        figures::duration(facts.window_ns),
    );
    let waits = place.members.iter().filter_map(|member| member.listener.recent_wait_ns).max();
    let evidence = [
        ("gave_up", counted.gave_up.into()),
        ("aborted_queued", counted.aborted.into()),
        ("queued", queued.into()),
    ];
    let mut found = Finding::at(place, counted.gave_up as f64, sentence, evidence);
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

    fn state(enqueued: u64, gave_up: u64) -> Snapshot {
        of(
            vec![Listener {
                enqueued,
                gave_up,
                aborted_queued: 90,
                comm: "p".to_owned(),
                ..listener(1, 64, 0)
            }],
            Vec::new(),
        )
    }

    #[test]
    fn those_who_left_are_counted() {
        assert_eq!(
            found(&RULE, state(0, 0), state(100, 5)),
            [
                "5 of 100 clients that were queued at p/1 in the last 2.00 s closed (wholly, or their half) or reset \
                 their connection after 200 ms or more in the accept queue, where each keeps its place."
            ]
        );
        assert_eq!(found(&RULE, state(0, 0), state(101, 5)).len(), 0, "less than one of 20");
        assert_eq!(found(&RULE, state(0, 0), state(4, 4)).len(), 0, "too few");
        assert_eq!(found(&RULE, state(10, 5), state(110, 9)).len(), 0, "what was before does not count");
    }
}
