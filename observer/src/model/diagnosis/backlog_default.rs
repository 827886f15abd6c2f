//! The accept queue overflows at a limit that probably nobody chose.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::evidence::{Facts, Place},
};

pub(super) const RULE: Rule = Rule {
    name: "backlog-default",
    what: "the accept queue overflows at 128, which libraries choose",
    when: "connections were refused for a full accept queue whose limit is 128",
    why: "128 was SOMAXCONN before Linux 5.4, and is still what Rust's standard library and others pass to listen(2); since then \
          net.core.somaxconn is 4096",
    remedy: "pass a longer backlog to listen(2); called again on an open listener it acts at once",
    needs: &[Need::Signal("queue_depth"), Need::Signal("drop")],
    judge,
};

const DEFAULT: u32 = 128;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| overflows(facts, place)).collect()
}

fn overflows(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let at_default = place.members.iter().filter(|member| member.listener.backlog_limit == DEFAULT);
    let refused: u64 = at_default.map(|member| member.counted.overflows).sum();
    if refused == 0 {
        return None;
    }
    let sentence = format!(
        "{} attempts were refused in the last {} at a limit of {DEFAULT}, the default of many libraries.",
        figures::count(refused),
        figures::duration(facts.window_ns),
    );
    let evidence = [("backlog_limit", DEFAULT.into()), ("overflows", refused.into())];
    Some(Finding::at(place, refused as f64, sentence, evidence))
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of},
        *,
    };
    use crate::model::snapshot::{Listener, Snapshot};

    fn state(limit: u32, refused: u64) -> Snapshot {
        of(vec![Listener { overflows_between: (refused, refused + 7), ..listener(1, limit, 0) }], Vec::new())
    }

    #[test]
    fn it_matters_only_when_it_overflows() {
        assert_eq!(
            found(&RULE, state(128, 10), state(128, 31)),
            ["21 attempts were refused in the last 2.00 s at a limit of 128, the default of many libraries."]
        );
        assert_eq!(found(&RULE, state(128, 10), state(128, 10)).len(), 0, "nothing was refused for certain");
        assert_eq!(found(&RULE, state(127, 10), state(127, 31)).len(), 0, "somebody chose that");
    }
}
