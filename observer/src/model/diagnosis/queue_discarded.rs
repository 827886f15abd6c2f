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
    remedy: "accept what waits after new ones go elsewhere, and close then; of shards net.ipv4.tcp_migrate_req=1 moves what \
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
    let what = listener.shard.map_or_else(|| "its listener".to_owned(), |shard| format!("shard {shard}"));
    let sentence = format!(
        "When {}/{} closed {what}, {} in its accept queue {} reset: {} connected.",
        listener.comm,
        listener.pid,
        if lost == 1 { "1 connection".to_owned() } else { format!("{} connections", figures::count(lost)) },
        if lost == 1 { "was" } else { "were" },
        if lost == 1 { "its client believed that it was" } else { "their clients believed that they were" },
    );
    let evidence =
        [("dropped_queued", lost.into()), ("holder", format!("{}/{}", listener.comm, listener.pid).into())];
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
                "When p/1 closed shard 2, 85 connections in its accept queue were reset: their clients believed that they were \
                 connected."
            ]
        );
        assert_eq!(found(&RULE, state(1, false), state(1, true)).len(), 0, "its queue was empty");
        assert_eq!(found(&RULE, state(0, false), state(85, false)).len(), 0, "it is open");
    }
}
