//! Many SYNs, hardly any answers, and cookies keep the door open.

use super::{Finding, Need, Rule};
use crate::{figures, model::evidence::Facts};

pub(super) const RULE: Rule = Rule {
    name: "syn-flood-cookies",
    what: "SYN flood, answered with cookies",
    when: "100 or more cookies were sent in two seconds, and not half of them came back",
    why: "when the SYN queue is full the kernel answers with a cookie and keeps nothing (tcp_conn_request, \
          TCPReqQFullDoCookies): who is real gets in, without window scaling unless timestamps are on",
    remedy: "nothing in the program: real clients get in; filter upstream if the processor time matters",
    seen: "any server on the net, now and then; tcp_syncookies is 1 by default",
    silent: "a burst of real clients, whose cookies come back",
    needs: &[Need::Signal("queue_depth")],
    judge,
};

const MANY: u64 = 100;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.snapshot.hosts.iter().filter_map(|host| flood(facts, host.netns)).collect()
}

fn flood(facts: &Facts<'_>, netns: u32) -> Option<Finding> {
    let host = facts.host(netns)?;
    let (sent, received) = (host.cookies_sent, host.cookies_received);
    if sent < MANY || received * 2 >= sent {
        return None;
    }
    // The kernel counts cookies by namespace: a full SYN queue shows whose they were, if there is one.
    let here = facts.places.iter().filter(|place| place.netns == netns);
    let is_full = |queued: u32, limit: u32| limit > 0 && queued >= limit;
    let full: Vec<_> = here
        .flat_map(|place| &place.members)
        .filter(|member| is_full(member.listener.syn_queue, member.listener.backlog_limit))
        .map(|member| member.listener)
        .collect();
    let queues: u64 = full.iter().map(|listener| u64::from(listener.syn_queue)).sum();
    let place = match full.as_slice() {
        [one] => format!("; the SYN queue of {} is full with {}", one.addr, one.syn_queue),
        _ => String::new(),
    };
    let sentence = format!(
        "{} SYNs were answered with a cookie in the last {}, and {} cookies came back, as in a SYN flood{place}.",
        figures::count(sent),
        figures::duration(facts.window_ns),
        figures::count(received),
    );
    Some(Finding {
        place: format!("network namespace {netns}"),
        netns,
        listeners: full.iter().map(|listener| listener.cookie).collect(),
        sentence,
        evidence: [
            ("host.cookies_sent", sent.into()),
            ("host.cookies_received", received.into()),
            ("syn_queue", queues.into()),
        ]
        .into(),
        extent: sent as f64,
        cause: None,
        remedy: None,
        member: None,
        happened: false,
    })
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, host, listener, of},
        *,
    };
    use crate::model::snapshot::{Listener, Snapshot};

    fn state(sent: u64, received: u64) -> Snapshot {
        let listener = Listener { syn_queue: 65, ..listener(1, 64, 0) };
        Snapshot { hosts: vec![host(0, sent, received)], ..of(vec![listener], Vec::new()) }
    }

    #[test]
    fn cookies_that_nobody_brings_back_are_a_flood() {
        assert_eq!(
            found(&RULE, state(0, 0), state(1_935, 1)),
            [
                "1,935 SYNs were answered with a cookie in the last 2.00 s, and 1 cookies came back, as in a SYN flood; the \
              SYN queue of 127.0.0.1:80 is full with 65."
            ]
        );
        assert_eq!(found(&RULE, state(0, 0), state(99, 0)).len(), 0, "few");
        assert_eq!(found(&RULE, state(0, 0), state(100, 49)).len(), 1);
        assert_eq!(found(&RULE, state(0, 0), state(100, 50)).len(), 0, "clients answer");
    }
}
