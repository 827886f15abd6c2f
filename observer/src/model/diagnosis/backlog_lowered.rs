//! The program has made its own queue shorter, and refuses clients by it.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::evidence::{Facts, Member, Place},
};

pub(super) const RULE: Rule = Rule {
    name: "backlog-lowered",
    what: "the program called listen(2) again with a shorter backlog, and clients are refused",
    when: "connections were refused for a full accept queue in two seconds, at a limit that was higher before it last changed",
    why: "listen(2) on an open listener sets a new limit at once (inet_csk_listen_start is not run again, sk_max_ack_backlog is \
          written); what waits stays, and newcomers are refused until fewer wait than that. Programs do it to stop accepting \
          without closing the listener",
    remedy: "raise the program's own limit of connections (memcached -c, maxconns), or let it close idle ones; it sets its backlog \
             back when some have left",
    seen: "memcached at its -c: it calls listen(2) with a backlog of 0 until a client leaves",
    silent: "a backlog that was lowered and refuses nobody",
    needs: &[Need::Signal("queue_depth"), Need::Signal("drop")],
    judge,
};

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| lowered(facts, place)).collect()
}

/// Its limit was higher before.
pub(super) fn is_lowered(member: &Member<'_>) -> bool {
    member.listener.backlog_before > Some(member.listener.backlog_limit)
}

fn lowered(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let refuses = |member: &&Member<'_>| is_lowered(member) && member.counted.overflows > 0;
    let member = place.members.iter().filter(refuses).max_by_key(|member| member.counted.overflows)?;
    let listener = member.listener;
    let (before, limit) = (listener.backlog_before?, listener.backlog_limit);
    let ago = facts.snapshot.time_ns.saturating_sub(listener.backlog_changed_ns?);
    let refused = member.counted.overflows;
    let who = format!("{}/{}", listener.comm, listener.pid);
    let waits = match listener.accept_queue {
        0 => "none waits".to_owned(),
        1 => "1 waits".to_owned(),
        many => format!("{many} wait"),
    };
    let sentence = format!(
        "{who} called listen(2) again with a backlog of {limit} (it was {before}) {} ago: {} attempts were refused in the last \
         {}, while {waits} in the accept queue.",
        figures::duration(ago),
        figures::count(refused),
        figures::duration(facts.window_ns),
    );
    let evidence = [
        ("backlog_limit", limit.into()),
        ("backlog_before", before.into()),
        ("backlog_changed_ago_ns", ago.into()),
        ("overflows", refused.into()),
        ("accept_queue", listener.accept_queue.into()),
        ("holder", who.into()),
    ];
    Some(Finding::at(place, refused as f64, sentence, evidence))
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{NOW, SECOND, found, listener, of},
        *,
    };
    use crate::model::snapshot::{Listener, Snapshot};

    fn state(refused: u64, before: Option<u32>) -> Snapshot {
        let listener = Listener {
            comm: "p".to_owned(),
            overflows_between: (refused, refused),
            backlog_before: before,
            backlog_changed_ns: before.map(|_| NOW - 8 * SECOND),
            ..listener(1, 0, 5)
        };
        of(vec![listener], Vec::new())
    }

    #[test]
    fn the_old_value_the_new_one_and_when() {
        assert_eq!(
            found(&RULE, state(0, None), state(9, Some(1024))),
            [
                "p/1 called listen(2) again with a backlog of 0 (it was 1024) 8.00 s ago: 9 attempts were refused in the last \
                 2.00 s, while 5 wait in the accept queue."
            ]
        );
        assert_eq!(found(&RULE, state(9, None), state(9, Some(1024))).len(), 0, "none was refused");
        assert_eq!(found(&RULE, state(0, None), state(9, None)).len(), 0, "it was so from the beginning");
    }
}
