//! Handshakes that nobody completes fill the SYN queue, and there are no cookies.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::evidence::{Facts, Member, Place},
};

pub(super) const RULE: Rule = Rule {
    name: "syn-flood-refused",
    what: "SYN flood without cookies: real clients are refused",
    when: "the SYN queue is full, and 20 or more SYNs were refused for that in two seconds. Where its handshakes are completed as \
           fast as it fills, and hardly any is a second old, it is no flood but a queue with fewer places than clients come in a \
           round trip, and that is said instead",
    why: "without cookies a SYN that meets a full SYN queue is dropped (tcp_conn_request, TCPReqQFullDrop), whoever sent it; \
          a handshake that nobody completes keeps its place for a minute and more (tcp_synack_retries)",
    remedy: "sysctl net.ipv4.tcp_syncookies=1; fewer tcp_synack_retries free places sooner",
    seen: "a server with tcp_syncookies=0",
    silent: "a full SYN queue that refuses nobody",
    needs: &[Need::Signal("queue_depth")],
    judge,
};

const FEW: u64 = 20;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| flood(facts, place)).collect()
}

fn flood(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    // The queue is full at the limit or, on newer kernels, at one more (inet_csk_reqsk_queue_is_full).
    let is_full = |queued: u32, limit: u32| limit > 0 && queued >= limit;
    let member = place
        .members
        .iter()
        .find(|member| is_full(member.listener.syn_queue, member.listener.backlog_limit))?;
    // By namespace, because not every kernel tells it by listener.
    let refused = facts.host(place.netns)?.syn_queue_full_drops;
    if refused < FEW {
        return None;
    }
    let listener = member.listener;
    if are_completed(member) {
        return Some(too_short(facts, place, member, refused));
    }
    let sentence = format!(
        "{} SYNs were refused in the last {}: the SYN queue is full with {} handshakes that are not completed (limit \
         {}), and SYN cookies are off.",
        figures::count(refused),
        figures::duration(facts.window_ns),
        listener.syn_queue,
        listener.backlog_limit,
    );
    let evidence = [
        ("syn_queue", listener.syn_queue.into()),
        ("syn_queue_young", listener.syn_queue_young.into()),
        ("backlog_limit", listener.backlog_limit.into()),
        ("host.syn_queue_full_drops", refused.into()),
    ];
    Some(Finding::at(place, refused as f64, sentence, evidence))
}

/// Handshakes are completed as fast as they fill the queue, and hardly any has waited for a second: no flood holds it.
fn are_completed(member: &Member<'_>) -> bool {
    let listener = member.listener;
    u64::from(listener.syn_queue_young) * 10 >= u64::from(listener.syn_queue) * 9
        && member.counted.enqueued >= u64::from(listener.syn_queue)
}

/// It has fewer places than there are handshakes under way.
fn too_short(facts: &Facts<'_>, place: &Place<'_>, member: &Member<'_>, refused: u64) -> Finding {
    let listener = member.listener;
    let completed = member.counted.enqueued;
    let sentence = format!(
        "{} SYNs were refused in the last {}: the SYN queue of {} is full with {} handshakes (limit {}), of which {} are under way \
         for less than a second, while {} were completed: it has fewer places than clients come in a round trip, and SYN cookies \
         are off.",
        figures::count(refused),
        figures::duration(facts.window_ns),
        listener.holder(),
        listener.syn_queue,
        listener.backlog_limit,
        listener.syn_queue_young,
        figures::count(completed),
    );
    let evidence = [
        ("syn_queue", listener.syn_queue.into()),
        ("syn_queue_young", listener.syn_queue_young.into()),
        ("backlog_limit", listener.backlog_limit.into()),
        ("enqueued", completed.into()),
        ("host.syn_queue_full_drops", refused.into()),
    ];
    let mut found = Finding::at(place, refused as f64, sentence, evidence);
    found.cause = Some("short_queue");
    found.remedy = Some(
        "a longer backlog, which is the limit of both queues (listen(2), net.core.somaxconn); net.ipv4.tcp_syncookies=1 helps \
         whoever comes meanwhile"
            .into(),
    );
    found
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, host, listener, of},
        *,
    };
    use crate::model::snapshot::{Listener, Snapshot};

    fn state(queued: u32, refused: u64) -> Snapshot {
        let listener = Listener { syn_queue: queued, ..listener(1, 64, 0) };
        Snapshot { hosts: vec![host(refused, 0, 0)], ..of(vec![listener], Vec::new()) }
    }

    #[test]
    fn a_full_syn_queue_that_refuses_is_told() {
        assert_eq!(
            found(&RULE, state(65, 0), state(65, 1_935)),
            [
                "1,935 SYNs were refused in the last 2.00 s: the SYN queue is full with 65 handshakes that are not completed \
              (limit 64), and SYN cookies are off."
            ]
        );
        assert_eq!(found(&RULE, state(65, 0), state(64, 20)).len(), 1, "older kernels take one less");
        assert_eq!(found(&RULE, state(65, 0), state(63, 20)).len(), 0, "it has room");
        assert_eq!(found(&RULE, state(65, 0), state(65, 19)).len(), 0, "few");
    }

    #[test]
    fn handshakes_that_are_completed_are_no_flood() {
        let now = |young, completed| {
            let mut now = state(8, 89);
            let listener = now.listeners.first_mut().unwrap();
            listener.comm = "p".to_owned();
            (listener.backlog_limit, listener.syn_queue_young, listener.enqueued) = (8, young, completed);
            now
        };
        assert_eq!(
            found(&RULE, state(8, 0), now(8, 160)),
            [
                "89 SYNs were refused in the last 2.00 s: the SYN queue of p/1 is full with 8 handshakes (limit 8), of which 8 are \
                 under way for less than a second, while 160 were completed: it has fewer places than clients come in a round \
                 trip, and SYN cookies are off."
            ]
        );
        for flood in [now(2, 160), now(8, 3)] {
            assert!(found(&RULE, state(8, 0), flood).concat().contains("that are not completed"));
        }
    }
}
