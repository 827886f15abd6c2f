//! The accept queue overflows at a limit that the program chose.

use super::{Finding, Need, Rule, backlog_clamped, backlog_default, overflow};
use crate::model::evidence::Facts;

pub(super) const RULE: Rule = Rule {
    name: "queue-overflows",
    what: "the accept queue overflows at a limit that the program chose",
    when: "connections were refused for a full accept queue in two seconds, at a limit that is neither a known default nor \
           net.core.somaxconn. The cause is a burst if the queue is emptied in between, and overload if it stays full or its \
           acceptors run all the time",
    why: "the queue is full at limit + 1 (sk_acceptq_is_full); a client that is refused sends its SYN again after a second, and \
          each of them counts",
    remedy: "depends on the cause",
    seen: "nginx with `listen 80 backlog=64`, or any server whose backlog was set to a number of one's own",
    silent: "a full queue that refuses nobody; refusals that another rule explains",
    needs: &[Need::Signal("queue_depth"), Need::Signal("drop")],
    judge,
};

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    let of_another_rule = |member: &crate::model::evidence::Member<'_>| {
        backlog_default::chosen_by(member.listener.backlog_limit, &member.listener.comm).is_some()
            || backlog_clamped::is_clamped(member.listener)
    };
    let found = facts.places.iter().filter_map(|place| {
        let members = overflow::refusing(facts, place, |member| !of_another_rule(member));
        overflow::finding(
            facts,
            place,
            &members,
            "which the program chose, or net.core.somaxconn when it called listen(2)",
            "pass a longer backlog to listen(2), as long as the bursts; called again on an open listener it acts at once",
        )
    });
    found.collect()
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of, thread},
        *,
    };
    use crate::model::snapshot::{Listener, Snapshot, Thread};

    fn state(limit: u32, depth: u32, refused: u64, running: f64) -> Snapshot {
        let mut thread = thread(7, 10.0, 10.0, 0.0);
        thread.rates.running = Some(running);
        let listener = Listener {
            accepted: 5 + refused,
            comm: "p".to_owned(),
            overflows_between: (refused, refused),
            ..listener(1, limit, depth)
        };
        of(vec![listener], vec![Thread { accepts: 5 + refused, ..thread }])
    }

    #[test]
    fn bursts_and_overload_are_told_apart() {
        assert_eq!(
            found(&RULE, state(10, 0, 0, 0.01), state(10, 0, 21, 0.01)),
            [
                "21 attempts were refused by p/1 in the last 2.00 s at a limit of 10, which the program chose, or \
                 net.core.somaxconn when it called listen(2): more come at once than it holds, and it is emptied in between (t7/7 runs 1.0 % of the time)."
            ]
        );
        let busy = found(&RULE, state(10, 0, 0, 0.97), state(10, 0, 21, 0.97));
        assert!(busy[0].contains("it does not empty"), "{busy:?}");
        let full = found(&RULE, state(10, 11, 0, 0.01), state(10, 11, 21, 0.01));
        assert!(full[0].contains("it does not empty"), "{full:?}");
    }

    #[test]
    fn limits_of_other_rules_are_theirs() {
        assert_eq!(found(&RULE, state(128, 0, 0, 0.0), state(128, 0, 21, 0.0)).len(), 0);
        assert_eq!(found(&RULE, state(10, 0, 21, 0.0), state(10, 0, 21, 0.0)).len(), 0, "none was refused");
    }
}
