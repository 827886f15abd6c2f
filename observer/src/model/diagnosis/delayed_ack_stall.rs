//! Requests that come in two parts, with a delayed ACK in between.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::evidence::{Facts, Place},
};

pub(super) const RULE: Rule = Rule {
    name: "delayed-ack-stall",
    what: "clients stall for about 40 ms within a request: Nagle and a delayed ACK",
    when: "10 or more times in two seconds the rest of a request came 36 to 52 ms after its beginning was read, that is four of \
           five of all such pauses of 5 ms or more, and as many ACKs were delayed in the network namespace",
    why: "a client that writes twice and then reads holds its second small segment back until the first is acknowledged \
          (tcp_nagle_check), and this side delays that ACK by 40 ms in the hope of data to send it with (TCP_DELACK_MIN)",
    remedy: "one write for the whole request, or TCP_NODELAY, at the client; TCP_QUICKACK before each read here",
    seen: "a client that writes head and body of a request apart, as old HTTP libraries do, to a server that \
           keeps connections",
    silent: "the time between two requests; pauses of any other length; a single write for each request",
    needs: &[Need::Signal("data_queued"), Need::Signal("read"), Need::Signal("write")],
    judge,
};

const FEW: u64 = 10;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| stalls(facts, place)).collect()
}

fn stalls(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let counted = place.counted();
    let (stalls, pauses) = (counted.pauses_as_delayed_ack, counted.pauses);
    let delayed = facts.host(place.netns)?.delayed_acks;
    if stalls < FEW || stalls * 5 < pauses * 4 || delayed < stalls {
        return None;
    }
    let sentence = format!(
        "{} requests came in two parts with about 40 ms in between in the last {}, as long as the kernel delays an ACK, and \
         {} ACKs were delayed: that is how it looks when the clients' Nagle waits for them.",
        figures::count(stalls),
        figures::duration(facts.window_ns),
        figures::count(delayed),
    );
    let evidence = [
        ("pauses_as_delayed_ack", stalls.into()),
        ("pauses", pauses.into()),
        ("host.delayed_acks", delayed.into()),
    ];
    Some(Finding::at(place, stalls as f64, sentence, evidence))
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, host, listener, of},
        *,
    };
    use crate::model::snapshot::{Host, Listener, Snapshot};

    fn state(stalls: u64, pauses: u64, delayed_acks: u64) -> Snapshot {
        let listener = Listener { pauses, pauses_as_delayed_ack: stalls, ..listener(1, 64, 0) };
        let hosts = vec![Host { delayed_acks, ..host(0, 0, 0) }];
        Snapshot { hosts, ..of(vec![listener], Vec::new()) }
    }

    #[test]
    fn pauses_as_long_as_a_delayed_ack_are_told() {
        let before = || state(0, 0, 0);
        assert_eq!(
            found(&RULE, before(), state(38, 40, 39)),
            [
                "38 requests came in two parts with about 40 ms in between in the last 2.00 s, as long as the kernel delays an \
              ACK, and 39 ACKs were delayed: that is how it looks when the clients' Nagle waits for them."
            ]
        );
        assert_eq!(found(&RULE, before(), state(9, 9, 9)).len(), 0, "few");
        assert_eq!(found(&RULE, before(), state(12, 15, 20)).len(), 1, "four of five");
        assert_eq!(found(&RULE, before(), state(12, 16, 20)).len(), 0, "slow clients pause as they like");
        assert_eq!(found(&RULE, before(), state(12, 12, 11)).len(), 0, "no ACK was delayed for one of them");
    }
}
