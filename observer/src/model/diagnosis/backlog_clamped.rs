//! The accept queue overflows at the longest limit that the system allows.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::{
        evidence::{Facts, Place},
        snapshot::Listener,
    },
};

pub(super) const RULE: Rule = Rule {
    name: "backlog-clamped",
    what: "the accept queue overflows at net.core.somaxconn",
    when: "connections were refused for a full accept queue whose limit is net.core.somaxconn of its network namespace",
    why: "listen(2) cuts the backlog to net.core.somaxconn without a word (__sys_listen)",
    remedy: "sysctl net.core.somaxconn, then listen(2) again with the longer backlog, or restart",
    needs: &[Need::Signal("queue_depth"), Need::Signal("drop")],
    judge,
};

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| overflows(facts, place)).collect()
}

fn overflows(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let is_clamped = |listener: &Listener| listener.somaxconn == Some(listener.backlog_limit);
    let members = || place.members.iter().filter(|member| is_clamped(member.listener));
    let limit = members().next()?.listener.backlog_limit;
    let refused: u64 = members().map(|member| member.counted.overflows).sum();
    if refused == 0 {
        return None;
    }
    let sentence = format!(
        "{} attempts were refused in the last {} at a limit of {limit}, which is net.core.somaxconn: a longer backlog is cut \
         to it.",
        figures::count(refused),
        figures::duration(facts.window_ns),
    );
    let evidence =
        [("backlog_limit", limit.into()), ("somaxconn", limit.into()), ("overflows", refused.into())];
    Some(Finding::at(place, refused as f64, sentence, evidence))
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of},
        *,
    };
    use crate::model::snapshot::Snapshot;

    fn state(limit: u32, somaxconn: Option<u32>, refused: u64) -> Snapshot {
        let listener = Listener { somaxconn, overflows_between: (refused, refused), ..listener(1, limit, 0) };
        of(vec![listener], Vec::new())
    }

    #[test]
    fn it_matters_only_when_it_overflows() {
        let before = || state(64, Some(64), 2);
        assert_eq!(
            found(&RULE, before(), state(64, Some(64), 9)),
            [
                "7 attempts were refused in the last 2.00 s at a limit of 64, which is net.core.somaxconn: a longer backlog is \
              cut to it."
            ]
        );
        assert_eq!(found(&RULE, before(), state(64, Some(64), 2)).len(), 0, "none was refused");
        assert_eq!(found(&RULE, before(), state(63, Some(64), 9)).len(), 0, "somebody asked for that");
        assert_eq!(found(&RULE, before(), state(64, None, 9)).len(), 0, "who knows");
    }
}
