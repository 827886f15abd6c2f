//! Answers in two parts, the second of which waits for the client's delayed ACK.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::evidence::{Facts, Place},
};

pub(super) const RULE: Rule = Rule {
    name: "nagle-at-server",
    what: "the server holds the rest of its answers back: Nagle and the clients' delayed ACKs",
    when: "10 or more writes of a listener's connections in two seconds were held back until an ACK came, and 10 of them for 36 \
           to 52 ms, or all of them for 5 ms or more on average",
    why: "a small segment is not sent while one that was small is on its way (tcp_nagle_test), so a server that writes head and \
          body apart waits for the client's ACK, and a client that waits for the body delays that by 40 ms (TCP_DELACK_MIN)",
    remedy: "one write for head and body (writev, or a buffer that is flushed once), or TCP_NODELAY, at the server",
    seen: "a server that writes head and body of an answer apart and leaves TCP_NODELAY off, as Python's http.server does",
    silent: "one write for each answer; TCP_NODELAY; answers of many segments, which wait for the window",
    needs: &[Need::Signal("held_write"), Need::Signal("write"), Need::Signal("data_queued")],
    judge,
};

const FEW: u64 = 10;
/// An ACK that comes sooner was not delayed, and costs a round trip.
const LONG_NS: u64 = 5_000_000;
/// Threads that a sentence names.
const NAMED: usize = 3;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| held(facts, place)).collect()
}

fn held(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let counted = place.counted();
    let (held, as_delayed) = (counted.held_writes, counted.held_as_delayed_ack);
    let mean_ns = counted.held_ns.checked_div(held)?;
    if held < FEW || as_delayed < FEW && mean_ns < LONG_NS {
        return None;
    }
    let rate = facts.rate(held);
    let delayed = facts.host(place.netns).map_or(0, |host| host.delayed_acks);
    // Of a client elsewhere the ACKs are counted there.
    let agrees = if delayed >= as_delayed && as_delayed >= FEW {
        format!(" {} ACKs were delayed in this network namespace meanwhile.", figures::count(delayed))
    } else {
        String::new()
    };
    let sentence = format!(
        "{} holds {} writes/s back for {} on average (Nagle): the rest of an answer waits until the client acknowledges its \
         beginning.{agrees}",
        writers(facts, place),
        figures::rate(rate),
        figures::duration(mean_ns),
    );
    let evidence = [
        ("held_writes", held.into()),
        ("held_writes_as_delayed_ack", as_delayed.into()),
        ("held_writes_ns", counted.held_ns.into()),
        ("host.delayed_acks", delayed.into()),
    ];
    Some(Finding::at(place, rate, sentence, evidence))
}

/// Who writes: the threads of the processes that hold the listener or accept from it, else who holds it.
fn writers(facts: &Facts<'_>, place: &Place<'_>) -> String {
    let serves = |pid: u32| {
        place.members.iter().any(|member| {
            let listener = member.listener;
            listener.pid == pid || listener.acceptors.alive.iter().any(|one| one.pid == pid)
        })
    };
    let threads = &facts.snapshot.threads;
    let mut found: Vec<_> =
        threads.iter().filter(|one| !one.exited && one.rates.writes > 0.0 && serves(one.pid)).collect();
    found.sort_by(|one, other| other.rates.writes.total_cmp(&one.rates.writes));
    let mut names: Vec<String> =
        found.iter().take(NAMED).map(|one| crate::model::evidence::name(one)).collect();
    if facts.listens_elsewhere(place) || names.is_empty() {
        names = place.members.iter().take(NAMED).map(|member| member.listener.holder()).collect();
        names.dedup();
    }
    format!("{} at {}", figures::listed(&names), place.name)
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, host, listener, of, thread},
        *,
    };
    use crate::model::snapshot::{Host, Listener, Snapshot};

    fn state(held: u64, as_delayed: u64, milliseconds: u64, delayed_acks: u64) -> Snapshot {
        let listener = Listener {
            held_writes: Some(held),
            held_writes_as_delayed_ack: Some(as_delayed),
            held_writes_ns: Some(held * milliseconds * 1_000_000),
            ..listener(1, 64, 0)
        };
        let hosts = vec![Host { delayed_acks, ..host(0, 0, 0) }];
        Snapshot { hosts, ..of(vec![listener], vec![thread(7, 0.0, 22.0, 22.0)]) }
    }

    #[test]
    fn answers_held_for_a_delayed_ack_are_told() {
        let before = || state(0, 0, 0, 0);
        assert_eq!(
            found(&RULE, before(), state(44, 44, 41, 44)),
            [
                "t7/7 at 127.0.0.1:80 holds 22 writes/s back for 41.0 ms on average (Nagle): the rest of an answer waits until \
                 the client acknowledges its beginning. 44 ACKs were delayed in this network namespace meanwhile."
            ]
        );
        let remote = found(&RULE, before(), state(44, 0, 200, 0));
        assert!(
            remote[0].ends_with("acknowledges its beginning."),
            "counted where the client is: {remote:?}"
        );
        assert_eq!(found(&RULE, before(), state(9, 9, 41, 9)).len(), 0, "few");
        assert_eq!(found(&RULE, before(), state(500, 9, 1, 500)).len(), 0, "a round trip each");
        assert_eq!(
            found(&RULE, before(), state(500, 10, 1, 500)).len(),
            1,
            "those that wait are told nonetheless"
        );
    }

    #[test]
    fn nothing_is_told_where_nothing_was_held() {
        assert_eq!(found(&RULE, state(0, 0, 0, 0), state(0, 0, 0, 99)).len(), 0);
    }
}
