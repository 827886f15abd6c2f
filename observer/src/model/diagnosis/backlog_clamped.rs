//! The accept queue overflows at the longest limit that the system allows.

use super::{Finding, Need, Rule, overflow};
use crate::model::{
    evidence::{Facts, Place},
    snapshot::Listener,
};

pub(super) const RULE: Rule = Rule {
    name: "backlog-clamped",
    what: "the accept queue overflows at net.core.somaxconn",
    when: "connections were refused for a full accept queue whose limit is net.core.somaxconn of its network namespace. The cause is a burst or overload, as for backlog-default",
    why: "listen(2) cuts the backlog to net.core.somaxconn without a word (__sys_listen)",
    remedy: "sysctl net.core.somaxconn, then listen(2) again with the longer backlog, or restart",
    seen: "a server that asks for 65535 where net.core.somaxconn is 4096, or in an old container 128",
    silent: "the same limit without a refusal",
    needs: &[Need::Signal("queue_depth"), Need::Signal("drop")],
    judge,
};

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| overflows(facts, place)).collect()
}

/// Its limit is what listen(2) cuts a backlog to.
pub(super) fn is_clamped(listener: &Listener) -> bool {
    listener.somaxconn == Some(listener.backlog_limit)
}

fn overflows(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let members = overflow::refusing(facts, place, |member| is_clamped(member.listener));
    let limit = members.first()?.listener.backlog_limit;
    let mut found = overflow::finding(
        facts,
        place,
        &members,
        "which is net.core.somaxconn (a longer backlog is cut to it)",
        RULE.remedy,
    )?;
    found.evidence.insert("somaxconn", limit.into());
    Some(found)
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of},
        *,
    };
    use crate::model::snapshot::Snapshot;

    fn state(limit: u32, somaxconn: Option<u32>, refused: u64) -> Snapshot {
        let listener = Listener {
            somaxconn,
            accepted: refused,
            overflows_between: (refused, refused),
            comm: "p".to_owned(),
            ..listener(1, limit, 0)
        };
        of(vec![listener], Vec::new())
    }

    #[test]
    fn it_matters_only_when_it_overflows() {
        let before = || state(64, Some(64), 2);
        assert_eq!(
            found(&RULE, before(), state(64, Some(64), 9)),
            [
                "7 attempts were refused by p/1 in the last 2.00 s at a limit of 64, which is net.core.somaxconn (a longer backlog is cut \
                 to it): more come at once than it holds, and it is emptied in between."
            ]
        );
        assert_eq!(found(&RULE, before(), state(64, Some(64), 2)).len(), 0, "none was refused");
        assert_eq!(found(&RULE, before(), state(63, Some(64), 9)).len(), 0, "somebody asked for that");
        assert_eq!(found(&RULE, before(), state(64, None, 9)).len(), 0, "who knows");
    }
}
