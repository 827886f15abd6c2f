//! Clients believe that they are connected, and the server knows nothing of them.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::evidence::{Facts, Place},
};

pub(super) const RULE: Rule = Rule {
    name: "cookie-ghosts",
    what: "cookie connections find the accept queue full: clients that only believe that they are connected",
    when: "5 or more valid cookies in two seconds, and one of ten, came back to a full accept queue",
    why: "after a SYN cookie the server has no memory of the handshake: when its last ACK finds the accept queue full \
          (tcp_get_cookie_sock), nothing is kept, no SYN-ACK is sent again, and a client that waits for the server to speak \
          first waits for ever",
    remedy: "a backlog as long as the bursts, so that no SYN needs a cookie; tcp_abort_on_overflow does not act here",
    needs: &[Need::Signal("syn_wait"), Need::Signal("drop"), Need::LastAcks, Need::AllListeners],
    judge,
};

const FEW: u64 = 5;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| ghosts(facts, place)).collect()
}

fn ghosts(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let received = facts.host(place.netns)?.cookies_received;
    // SyncookiesRecv counts a valid cookie before anybody looks at the accept queue; the listeners count those that
    // entered it.
    let here = facts.places.iter().filter(|other| other.netns == place.netns);
    let entered: u64 = here.map(|other| other.counted().cookies).sum();
    let counted = place.counted();
    let ghosts = received.saturating_sub(entered).min(counted.refused_acks);
    if ghosts < FEW || ghosts * 10 < received {
        return None;
    }
    let sentence = format!(
        "{} of {} valid SYN cookies came back to a full accept queue in the last {}: their clients believe that they are \
         connected, and the server has forgotten them.",
        figures::count(ghosts),
        figures::count(received),
        figures::duration(facts.window_ns),
    );
    let evidence = [
        ("host.cookies_received", received.into()),
        ("cookies", entered.into()),
        ("accept_queue_full_ack", counted.refused_acks.into()),
        ("refused_cookies", ghosts.into()),
    ];
    Some(Finding::at(place, ghosts as f64, sentence, evidence))
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{acks, found, host, listener, of},
        *,
    };
    use crate::model::snapshot::{Listener, Snapshot};

    fn state(received: u64, entered: u64, refused: u64) -> Snapshot {
        let listener = Listener { cookies: entered, drops: acks(refused), ..listener(1, 16, 17) };
        Snapshot { hosts: vec![host(0, 0, received)], ..of(vec![listener], Vec::new()) }
    }

    #[test]
    fn cookies_that_came_back_in_vain_are_ghosts() {
        assert_eq!(
            found(&RULE, state(0, 0, 0), state(30, 18, 12)),
            [
                "12 of 30 valid SYN cookies came back to a full accept queue in the last 2.00 s: their clients believe that \
              they are connected, and the server has forgotten them."
            ]
        );
        assert_eq!(found(&RULE, state(0, 0, 0), state(30, 26, 12)).len(), 0, "four");
        assert_eq!(found(&RULE, state(0, 0, 0), state(30, 30, 12)).len(), 0, "these had no cookie");
        assert_eq!(found(&RULE, state(0, 0, 0), state(30, 18, 0)).len(), 0, "no last ACK was refused");
    }
}
