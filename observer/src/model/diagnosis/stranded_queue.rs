//! Connections wait, and whoever accepted does not come.

use super::{Figure, Finding, Need, Rule};
use crate::{
    figures,
    model::{
        evidence::{Facts, Place, name},
        snapshot::Thread,
    },
};

pub(super) const RULE: Rule = Rule {
    name: "stranded-queue",
    what: "connections wait in the accept queue, and nobody accepts",
    when: "some waited at both ends of two seconds, none was accepted in between, and no acceptor read or wrote",
    why: "an edge-triggered epoll wakes for new arrivals only: what was left in the queue at the last wake-up waits for \
          the next one (ep_poll_callback); a thread that has stopped accepting looks the same",
    remedy: "accept until EAGAIN after each wake-up; see where the acceptor is instead (its stack)",
    needs: &[Need::Signal("accept"), Need::Signal("queue_depth"), Need::Signal("read")],
    judge,
};

/// Nothing is said of less than this.
const LONG_NS: u64 = 1_500_000_000;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    if facts.window_ns < LONG_NS {
        return Vec::new();
    }
    facts.places.iter().filter_map(|place| stranded(facts, place)).collect()
}

fn stranded(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let waits =
        |depth: fn(&crate::model::evidence::Member<'_>) -> u32| place.members.iter().map(depth).sum::<u32>();
    let (before, now) = (waits(|member| member.depth_before), waits(|member| member.listener.accept_queue));
    if before == 0 || now == 0 || place.counted().accepted > 0 {
        return None;
    }
    let acceptors = facts.acceptors(place);
    let works = |thread: &&Thread| thread.rates.reads + thread.rates.writes > 0.0;
    if acceptors.iter().any(works) {
        return None;
    }
    let who = match acceptors.as_slice() {
        [] if facts.listens_elsewhere(place) => {
            "which thread should accept is not known, because its process listens elsewhere too".to_owned()
        }
        [] => "no thread of those that run has accepted from it".to_owned(),
        [one] => format!("{} accepted before and does not now", name(one)),
        many => format!("{} threads accepted before and none does now", many.len()),
    };
    let sentence = format!(
        "{} in the accept queue, and none was accepted in the last {}: {who}.",
        match now {
            1 => "1 connection waits".to_owned(),
            many => format!("{many} connections wait"),
        },
        figures::duration(facts.window_ns),
    );
    let mut found = Finding::at(
        place,
        now.into(),
        sentence,
        [("accept_queue", now.into()), ("accept_queue_before", before.into()), ("accepted", 0_u64.into())],
    );
    if let Some(first) = acceptors.first() {
        found.evidence.insert("acceptor", Figure::Name(name(first)));
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of, thread},
        *,
    };
    use crate::model::snapshot::Listener;

    #[test]
    fn who_waited_all_the_time_is_stranded() {
        let idle = || vec![thread(7, 0.0, 0.0, 0.0)];
        let state = |depth, accepted| of(vec![Listener { accepted, ..listener(1, 64, depth) }], idle());
        assert_eq!(
            found(&RULE, state(3, 5), state(4, 5)),
            [
                "4 connections wait in the accept queue, and none was accepted in the last 2.00 s: t7/7 accepted before \
              and does not now."
            ]
        );
        assert_eq!(found(&RULE, state(3, 5), state(4, 6)).len(), 0, "one was accepted");
        assert_eq!(found(&RULE, state(0, 5), state(4, 5)).len(), 0, "they have just come");
        let mut works = state(4, 5);
        works.threads[0].rates.reads = 1.0;
        assert_eq!(found(&RULE, state(3, 5), works).len(), 0, "the acceptor is at work");
    }
}
