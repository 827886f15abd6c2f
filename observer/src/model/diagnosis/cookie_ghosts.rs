//! Clients believe that they are connected, and the server knows nothing of them.

use super::{Finding, Need, Rule, overflow};
use crate::{
    figures,
    model::evidence::{Facts, Place},
};

pub(super) const RULE: Rule = Rule {
    name: "cookie-ghosts",
    what: "cookie connections find the accept queue full: clients that only believe that they are connected",
    when: "of the valid cookies that came back in two seconds, 5 or more and one of ten did not enter an accept queue, one queue \
           was full, ListenOverflows counts as many, and so many more were sent than have entered",
    why: "after a SYN cookie the server has no memory of the handshake: when its last ACK finds the accept queue full \
          (tcp_get_cookie_sock), nothing is kept, no SYN-ACK is sent again, and a client that waits for the server to speak \
          first waits for ever",
    remedy: "a backlog as long as the bursts, so that no SYN needs a cookie; tcp_abort_on_overflow does not act here",
    seen: "any server at the default of tcp_syncookies in a burst that fills both of its queues",
    silent: "cookies that come back and enter; cookies of other listeners of the namespace where theirs are told apart",
    needs: &[Need::Signal("syn_wait"), Need::Signal("queue_depth"), Need::AllListeners],
    judge,
};

const FEW: u64 = 5;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| ghosts(facts, place)).collect()
}

fn ghosts(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let host = facts.host(place.netns)?;
    let received = host.cookies_received;
    let here = || facts.places.iter().filter(|other| other.netns == place.netns);
    // The kernel counts valid cookies by namespace: with two full queues nobody knows whose they were.
    if !place.is_saturated() || here().filter(|other| other.is_saturated()).count() > 1 {
        return None;
    }
    // SyncookiesRecv counts a valid cookie before anybody looks at the accept queue; the listeners count those that
    // entered it, but for those of which it was not settled how they came.
    let entered: u64 = here().map(|other| other.counted().cookies).sum();
    let unsettled = facts.snapshot.loss.counters.get("handshake_unsettled").copied().unwrap_or(0);
    // A client that sends its data again sends its cookie again; no more clients were left out than cookies were sent.
    let total = facts.snapshot.hosts.iter().find(|total| total.netns == place.netns)?;
    let in_all: u64 = here().flat_map(|other| &other.members).map(|member| member.listener.cookies).sum();
    let ghosts = received
        .saturating_sub(entered + unsettled)
        .min(host.listen_overflows)
        .min(total.cookies_sent.saturating_sub(in_all));
    if ghosts < FEW || ghosts * 10 < received {
        return None;
    }
    let member = place.members.iter().max_by_key(|member| member.listener.accept_queue)?;
    let sentence = format!(
        "Valid SYN cookies came back {} times in the last {}, and the accept queue was full at {}: up to {} clients believe \
         that they are connected, and the server has forgotten them.",
        figures::count(received),
        figures::duration(facts.window_ns),
        u64::from(member.listener.backlog_limit) + 1,
        figures::count(ghosts),
    );
    let evidence = [
        ("host.cookies_received", received.into()),
        ("host.listen_overflows", host.listen_overflows.into()),
        ("cookies", entered.into()),
        ("refused_cookies", ghosts.into()),
        ("backlog_limit", member.listener.backlog_limit.into()),
    ];
    let mut found = Finding::at(place, ghosts as f64, sentence, evidence);
    let full: Vec<_> = place.members.iter().filter(|member| member.is_saturated()).collect();
    if overflow::why(facts, place, &full).0 == overflow::Why::Overload {
        found.remedy = Some(overflow::OVERLOAD.into());
    }
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, host, listener, of},
        *,
    };
    use crate::model::snapshot::{Listener, Snapshot};

    fn state(received: u64, entered: u64, depth: u32) -> Snapshot {
        let listener = Listener { cookies: entered, ..listener(1, 16, depth) };
        let mut host = host(0, received, received);
        host.listen_overflows = received;
        Snapshot { hosts: vec![host], ..of(vec![listener], Vec::new()) }
    }

    #[test]
    fn cookies_that_came_back_in_vain_are_ghosts() {
        assert_eq!(
            found(&RULE, state(0, 0, 0), state(30, 18, 17)),
            [
                "Valid SYN cookies came back 30 times in the last 2.00 s, and the accept queue was full at 17: up to 12 \
              clients believe that they are connected, and the server has forgotten them."
            ]
        );
        assert_eq!(found(&RULE, state(0, 0, 0), state(30, 25, 17)).len(), 1, "five");
        assert_eq!(found(&RULE, state(0, 0, 0), state(30, 26, 17)).len(), 0, "four");
        assert_eq!(found(&RULE, state(0, 0, 0), state(51, 46, 17)).len(), 0, "less than one of ten");
        assert_eq!(found(&RULE, state(0, 0, 0), state(30, 18, 16)).len(), 0, "the queue has room");
        let mut resent = state(30, 18, 17);
        resent.hosts[0].cookies_sent = 22;
        assert_eq!(
            found(&RULE, state(0, 0, 0), resent).len(),
            0,
            "cookies that come back again are no other clients"
        );
        let mut unsettled = state(30, 18, 17);
        unsettled.loss.counters.insert("handshake_unsettled".to_owned(), 8);
        assert_eq!(found(&RULE, state(0, 0, 0), unsettled).len(), 0, "eight may have entered");
        let mut two = state(30, 18, 17);
        two.listeners.push(Listener { addr: "127.0.0.1:81".to_owned(), ..listener(2, 16, 17) });
        let mut before = state(0, 0, 0);
        before.listeners.push(Listener { addr: "127.0.0.1:81".to_owned(), ..listener(2, 16, 0) });
        assert_eq!(found(&RULE, before, two).len(), 0, "whose were they?");
    }
}
