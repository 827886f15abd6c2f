//! The accept queue is full because those who accept do other work.

use super::{Finding, Need, Rule, stuck};
use crate::{
    figures,
    model::{
        evidence::{Facts, Place, name},
        snapshot::Thread,
    },
};

pub(super) const RULE: Rule = Rule {
    name: "acceptor-busy",
    what: "the accept queue is full because its acceptors read and work",
    when: "the accept queue was full, every thread that accepts also reads or writes, and these threads spent about half of \
           their time or more between a first read and the first write",
    why: "a thread that serves a request does not call accept(2) meanwhile; connections arrive all the same, because the \
          kernel completes handshakes without the program (inet_csk_reqsk_queue_add), until the queue is full at limit + 1 \
          (sk_acceptq_is_full)",
    remedy: "accept from a thread that does nothing else, or from more threads",
    seen: "one thread that does all: classic Redis during a slow command, Node with a long computation, gunicorn with \
           one sync worker",
    silent: "a queue that is not full; acceptors that hand their connections over",
    needs: &[
        Need::Signal("accept"),
        Need::Signal("enqueue"),
        Need::Signal("read"),
        Need::Signal("write"),
        Need::Signal("close"),
    ],
    judge,
};

/// Part of their time from which it is their work that keeps them.
const BUSY: f64 = 0.5;
/// All of it, and what is counted a moment later.
const MOST: f64 = 1.2;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter(|place| place.is_saturated()).filter_map(|place| busy(facts, place)).collect()
}

/// Whether this rule tells why a queue is full.
pub(super) fn is_it(facts: &Facts<'_>, place: &Place<'_>) -> bool {
    RULE.cannot_tell(&facts.snapshot.meta).is_none() && place.is_saturated() && busy(facts, place).is_some()
}

fn busy(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let acceptors: Vec<&Thread> =
        facts.acceptors(place).into_iter().filter(|thread| thread.rates.accepts > 0.0).collect();
    let works = |thread: &&Thread| thread.rates.reads + thread.rates.writes > 0.0;
    let first = acceptors.first()?;
    if !acceptors.iter().all(works) {
        return None;
    }
    let each_ns = service_ns(facts, place, &acceptors)?;
    let sum = |of: fn(&Thread) -> f64| acceptors.iter().map(|thread| of(thread)).sum::<f64>();
    let reads = sum(|thread| thread.rates.reads);
    // Of a connection's requests only the first is timed, so the others are taken to be like it.
    let busy = each_ns as f64 / 1e9 * reads / acceptors.len() as f64;
    // More than all of its time no thread spends: those that serve many at once do not work meanwhile, and neither do those
    // that are asleep.
    let is_asleep = |thread: &&Thread| thread.looked.is_some() && stuck::is_asleep(thread);
    if !(BUSY..MOST).contains(&busy) || acceptors.iter().all(is_asleep) {
        return None;
    }
    let busy = busy.min(1.0);
    let counted = place.counted();
    let member = place.members.iter().max_by_key(|member| member.listener.accept_queue)?;
    let who = match acceptors.len() {
        1 => format!("The only acceptor, {}, spends", name(first)),
        2 => "Both acceptors spend".to_owned(),
        many => format!("All {many} acceptors spend"),
    };
    let refused = facts.rate(counted.overflows);
    let full = u64::from(member.listener.backlog_limit) + 1;
    let then = if counted.overflows > 0 {
        let came = facts.rate(counted.enqueued + counted.overflows);
        let (refused, came) = (figures::rate(refused), figures::rate(came));
        // A client that is refused sends its SYN again, and each of them counts.
        format!("{refused} of {came} attempts/s find the queue full at {full}")
    } else {
        format!("the queue is full at {full}")
    };
    let sentence = format!(
        "{who} about {} of the time between a first read and the answer ({} each, {} reads/s), so {then}.",
        figures::percent(busy),
        figures::duration(each_ns),
        figures::rate(reads),
    );
    let evidence = [
        ("acceptor", name(first).into()),
        ("acceptors", (acceptors.len() as u64).into()),
        ("role", first.role.clone().into()),
        ("accepts_per_s", sum(|thread| thread.rates.accepts).into()),
        ("reads_per_s", reads.into()),
        ("writes_per_s", sum(|thread| thread.rates.writes).into()),
        ("read_to_write_ns", each_ns.into()),
        ("busy", busy.into()),
        ("accept_queue", member.listener.accept_queue.into()),
        ("backlog_limit", member.listener.backlog_limit.into()),
        ("overflows", counted.overflows.into()),
    ];
    Some(Finding::at(place, counted.overflows.max(1) as f64, sentence, evidence))
}

/// Mean time from the first read to the first write of the connections that ended last and that acceptors served.
fn service_ns(facts: &Facts<'_>, place: &Place<'_>, acceptors: &[&Thread]) -> Option<u64> {
    let oldest = facts.snapshot.time_ns.saturating_sub(facts.window_ns);
    let is_acceptor = |tid: &u32| acceptors.iter().any(|thread| thread.tid == *tid);
    let times: Vec<u64> = facts
        .snapshot
        .recent
        .iter()
        .filter(|connection| connection.closed_ns >= Some(oldest))
        .filter(|connection| connection.readers.first().is_some_and(is_acceptor))
        .filter(|connection| connection.readers.first() == connection.writers.first())
        .filter(|connection| {
            place.members.iter().any(|member| connection.listener == Some(member.listener.cookie))
        })
        .filter_map(|connection| Some(connection.first_write_ns?.saturating_sub(connection.first_read_ns?)))
        .collect();
    times.iter().sum::<u64>().checked_div(times.len() as u64)
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of, served, thread},
        *,
    };
    use crate::model::snapshot::{Listener, Snapshot};

    fn state(refused: u64, service_ns: u64, reads: f64) -> Snapshot {
        let full = Listener {
            enqueued: 992,
            accepted: 992,
            overflows_between: (refused, refused),
            ..listener(1, 64, 64)
        };
        let threads = vec![thread(7, 496.0, reads, 0.0)];
        Snapshot { recent: vec![served(1, 7, service_ns)], ..of(vec![full], threads) }
    }

    fn before() -> Snapshot {
        of(vec![listener(1, 64, 0)], Vec::new())
    }

    #[test]
    fn the_only_acceptor_is_named_with_what_it_does() {
        assert_eq!(
            found(&RULE, before(), state(632, 2_000_000, 496.0)),
            [
                "The only acceptor, t7/7, spends about 99.2 % of the time between a first read and the answer (2.00 ms each, \
              496 reads/s), so 316 of 812 attempts/s find the queue full at 65."
            ]
        );
    }

    #[test]
    fn an_acceptor_that_does_not_work_is_not_to_blame() {
        assert_eq!(found(&RULE, before(), state(1, 1_000_000, 500.0)).len(), 1, "half of the time");
        assert_eq!(found(&RULE, before(), state(1, 1_000_000, 499.0)).len(), 0, "less than that");
        assert_eq!(found(&RULE, before(), state(0, 2_000_000, 496.0)).len(), 0, "the queue has room");
        assert_eq!(found(&RULE, before(), state(632, 2_000_000, 0.0)).len(), 0, "it only accepts");
        let mut hands_over = state(632, 2_000_000, 496.0);
        hands_over.recent = vec![served(1, 8, 2_000_000)];
        assert_eq!(found(&RULE, before(), hands_over).len(), 0, "another thread serves");
    }
}
