//! The program has made its own queue shorter, and refuses clients by it.

use super::{Finding, Need, Rule, backlog_clamped, overflow};
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

/// A limit that is older is how the program runs.
const RECENT_NS: u64 = 60_000_000_000;
/// A limit of no more than this is no queue: the program wants nobody.
const SHUT: u32 = 1;
/// What to do about a limit that is one.
const AGAIN: &str = "see who calls listen(2) a second time: a library that is given a listening socket does, with a default of its own \
                     (backlog= of asyncio); give it the longer one";

/// Its limit was higher before, lately or so that nobody is wanted; and it is the program that wanted it lower.
pub(super) fn is_lowered(facts: &Facts<'_>, member: &Member<'_>) -> bool {
    let listener = member.listener;
    let age = listener.backlog_changed_ns.map(|ns| facts.snapshot.time_ns.saturating_sub(ns));
    listener.backlog_before > Some(listener.backlog_limit)
        && !backlog_clamped::is_clamped(listener)
        && (listener.backlog_limit <= SHUT || age.is_some_and(|age| age < RECENT_NS))
}

/// This rule tells of it.
fn is_told(facts: &Facts<'_>, member: &Member<'_>) -> bool {
    is_lowered(facts, member) && member.counted.overflows > 0
}

/// This rule alone tells of it. Where it is not to be shut and nobody accepts, that is what is wrong.
pub(super) fn is_all(facts: &Facts<'_>, member: &Member<'_>) -> bool {
    is_told(facts, member) && (member.counted.accepted > 0 || member.listener.backlog_limit <= SHUT)
}

fn lowered(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let member = place
        .members
        .iter()
        .filter(|member| is_told(facts, member))
        .max_by_key(|member| member.counted.overflows)?;
    let listener = member.listener;
    let (before, limit) = (listener.backlog_before?, listener.backlog_limit);
    let ago = facts.snapshot.time_ns.saturating_sub(listener.backlog_changed_ns?);
    let refused = member.counted.overflows;
    let attempts = overflow::refused(refused);
    let who = listener.holder();
    let waits = match listener.accept_queue {
        0 => "none waits".to_owned(),
        1 => "1 waits".to_owned(),
        many => format!("{many} wait"),
    };
    let sentence = format!(
        "listen(2) was called again on the listener of {who}, with a backlog of {limit} (it was {before}), {} ago: {attempts} in the \
         last {}, while {waits} in the accept queue.",
        figures::duration(ago),
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
    let mut found = Finding::at(place, refused as f64, sentence, evidence);
    found.remedy = (limit > SHUT).then(|| AGAIN.into());
    Some(found)
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
                "listen(2) was called again on the listener of p/1, with a backlog of 0 (it was 1024), 8.00 s ago: 9 attempts were \
                 refused in the last 2.00 s, while 5 wait in the accept queue."
            ]
        );
        assert_eq!(found(&RULE, state(9, None), state(9, Some(1024))).len(), 0, "none was refused");
        assert_eq!(found(&RULE, state(0, None), state(9, None)).len(), 0, "it was so from the beginning");
    }
}
