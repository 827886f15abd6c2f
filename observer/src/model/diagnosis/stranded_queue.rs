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
    when: "some waited at both ends of two seconds, and none was accepted in between, or from a single queue fewer than waited \
           at the beginning, so that one at least has waited all the time; meanwhile no acceptor read or wrote, or each waits for events",
    why: "an edge-triggered epoll wakes for new arrivals only: what was left in the queue at the last wake-up waits for \
          the next one (ep_poll_callback); a thread that has stopped accepting looks the same",
    remedy: "accept until EAGAIN after each wake-up; see where the acceptor is instead (its stack)",
    needs: &[Need::Signal("accept"), Need::Signal("queue_depth"), Need::Signal("read")],
    judge,
};

/// System calls that wait for any event: a thread in one of them is free, and would know of the queue if it were told.
/// Without `activity` nothing says that a thread is.
const WAITS: [&str; 8] =
    ["epoll_pwait", "epoll_pwait2", "epoll_wait", "io_uring_enter", "poll", "ppoll", "pselect6", "select"];
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
    let accepted = place.counted().accepted;
    // First in, first out: with as many accepts as waited at the beginning nobody need have waited all the time.
    // Of several queues, those that are accepted from say nothing of the one that is not: shard-stuck tells of that.
    let one_of_many = accepted > 0 && place.members.len() > 1;
    if before == 0 || now == 0 || accepted >= before.into() || one_of_many {
        return None;
    }
    let acceptors = facts.acceptors(place);
    let works = |thread: &&Thread| thread.rates.reads + thread.rates.writes > 0.0;
    let waits = |thread: &&Thread| thread.doing.as_deref().is_some_and(|doing| WAITS.contains(&doing));
    let idle = match accepted {
        0 => !acceptors.iter().any(works) || acceptors.iter().all(waits),
        _ => !acceptors.is_empty() && acceptors.iter().all(waits),
    };
    if !idle {
        return None;
    }
    let who = match acceptors.as_slice() {
        [] if facts.listens_elsewhere(place) => {
            "which thread should accept is not known, because its process listens elsewhere too".to_owned()
        }
        [] => "no thread of those that run has accepted from it".to_owned(),
        [one] if accepted > 0 => format!("{} sleeps all the same and waits for events", name(one)),
        many if accepted > 0 => {
            format!("all {} threads that accept sleep and wait for events", many.len())
        }
        [one] => format!("{} accepted before and does not now", name(one)),
        many => format!("{} threads accepted before and none does now", many.len()),
    };
    let time = figures::duration(facts.window_ns);
    let came = match accepted {
        0 => format!("none was accepted in the last {time}"),
        few => format!("of {before} that waited {time} ago only {few} were accepted"),
    };
    let wait = match now {
        1 => "1 connection waits".to_owned(),
        many => format!("{many} connections wait"),
    };
    let mut found = Finding::at(
        place,
        now.into(),
        format!("{wait} in the accept queue, and {came}: {who}."),
        [("accept_queue", now.into()), ("accept_queue_before", before.into()), ("accepted", accepted.into())],
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
        assert_eq!(
            found(&RULE, state(3, 5), state(4, 6)).len(),
            0,
            "one was accepted, by whoever is about to go on"
        );
        assert_eq!(found(&RULE, state(0, 5), state(4, 5)).len(), 0, "they have just come");
        let mut works = state(4, 5);
        works.threads[0].rates.reads = 1.0;
        assert_eq!(found(&RULE, state(3, 5), works).len(), 0, "the acceptor is at work");
    }

    #[test]
    fn who_sleeps_while_others_wait_has_not_been_told() {
        let state = |depth, accepted, doing: &str| {
            let threads = [7, 8].map(|tid| thread(tid, 1.0, 1.0, 0.0));
            let doing = Some(doing.to_owned());
            let threads = threads.map(|thread| Thread { doing: doing.clone(), ..thread });
            of(vec![Listener { accepted, ..listener(1, 64, depth) }], threads.to_vec())
        };
        let past = || state(40, 5, "epoll_wait");
        assert_eq!(
            found(&RULE, past(), state(60, 12, "epoll_wait")),
            [
                "60 connections wait in the accept queue, and of 40 that waited 2.00 s ago only 7 were accepted: all 2 \
                 threads that accept sleep and wait for events."
            ]
        );
        assert_eq!(found(&RULE, past(), state(60, 44, "epoll_wait")).len(), 1, "one has waited all the time");
        assert_eq!(found(&RULE, past(), state(60, 45, "epoll_wait")).len(), 0, "nobody need have");
        assert_eq!(found(&RULE, past(), state(60, 12, "runs")).len(), 0, "they are at work");
        assert_eq!(found(&RULE, past(), state(60, 12, "clock_nanosleep")).len(), 0, "they sleep for a time");
        assert_eq!(
            found(&RULE, past(), state(60, 5, "epoll_wait")).len(),
            1,
            "they serve others and do not accept"
        );
        assert_eq!(found(&RULE, past(), state(60, 5, "futex")).len(), 0, "they may wait for another thread");
    }
}
