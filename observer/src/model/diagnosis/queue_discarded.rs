//! A listener was closed, and the connections in its queue were reset.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::evidence::{Facts, Member, Place},
};

pub(super) const RULE: Rule = Rule {
    name: "queue-discarded",
    what: "a listener was closed with connections in its accept queue, and they were reset",
    when: "a listener closed, and connections in its queue were destroyed; shown for 30 seconds",
    why: "the handshake is complete and the client believes that it is connected, but close(2) of a listener resets what it holds \
          (inet_csk_listen_stop), unless it may move to another shard",
    remedy: "accept what waits after new ones go elsewhere, and close then (a process that ends, or is killed, closes it too); of shards net.ipv4.tcp_migrate_req=1 moves what \
             waits to another one",
    seen: "a reload of workers that have a listener each (nginx with reuseport), or of a server that closes before it \
           drains",
    silent: "a listener that was closed with an empty queue; queues that moved (tcp_migrate_req)",
    needs: &[Need::Signal("listener"), Need::Signal("close"), Need::Signal("enqueue")],
    judge,
};

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.closed.iter().filter_map(|member| discarded(facts, member)).collect()
}

fn discarded(facts: &Facts<'_>, member: &Member<'_>) -> Option<Finding> {
    let (listener, lost) = (member.listener, member.counted.discarded);
    if lost == 0 {
        return None;
    }
    let what = listener.shard.map_or_else(|| "the listener".to_owned(), |shard| format!("shard {shard}"));
    let holder = listener.holder();
    // Whoever left early is counted, and not whether it was still in the queue.
    let left = (listener.aborted_queued + listener.closed_queued).min(lost);
    let clients = match (left, lost) {
        (0, 1) => "its client believed that it was connected".to_owned(),
        (0, _) => "their clients believed that they were connected".to_owned(),
        (left, _) => format!(
            "up to {} of their clients had closed or reset them before, and others believed that they were connected",
            figures::count(left)
        ),
    };
    let sentence = format!(
        "When {what} of {holder} was closed, {} in its accept queue {} reset: {clients}.",
        if lost == 1 { "1 connection".to_owned() } else { format!("{} connections", figures::count(lost)) },
        if lost == 1 { "was" } else { "were" },
    );
    let evidence = [("dropped_queued", lost.into()), ("left_before", left.into()), ("holder", holder.into())];
    let place = Place { name: &listener.addr, netns: listener.netns, members: vec![member.clone()] };
    let mut found = Finding::at(&place, lost as f64, sentence, evidence);
    // It is told with the listeners that are still there.
    let here =
        facts.places.iter().filter(|other| other.netns == listener.netns && other.name == listener.addr);
    found.listeners.extend(here.flat_map(|other| other.members.iter().map(|member| member.listener.cookie)));
    found.member = Some(listener.cookie);
    found.happened = true;
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{NOW, found, listener, of},
        *,
    };
    use crate::model::snapshot::{Listener, Snapshot};

    fn state(dropped_queued: u64, closed: bool) -> Snapshot {
        let closed_ns = closed.then_some(NOW);
        let listener = Listener { dropped_queued, closed_ns, comm: "p".to_owned(), ..listener(1, 64, 0) };
        of(vec![Listener { shard: Some(2), ..listener }], Vec::new())
    }

    #[test]
    fn what_a_close_resets_is_counted() {
        assert_eq!(
            found(&RULE, state(1, false), state(86, true)),
            [
                "When shard 2 of p/1 was closed, 85 connections in its accept queue were reset: their clients believed that they \
                 were connected."
            ]
        );
        let mut left = state(86, true);
        left.listeners[0].closed_queued = 10;
        let sentence = found(&RULE, state(1, false), left).concat();
        assert!(sentence.contains("up to 10 of their clients had closed or reset them before"), "{sentence}");
        assert_eq!(found(&RULE, state(1, false), state(1, true)).len(), 0, "its queue was empty");
        assert_eq!(found(&RULE, state(0, false), state(85, false)).len(), 0, "it is open");
    }
}
