//! One of several acceptors gets nearly everything, because it is always asked first.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::{
        evidence::{Facts, Place, name},
        snapshot::Thread,
    },
};

pub(super) const RULE: Rule = Rule {
    name: "exclusive-pile-up",
    what: "connections pile up on one of several acceptors",
    when: "2 or more threads have accepted from the only listener of their process, 20 or more connections/s come, and one thread takes nine of ten \
           of them while the others do next to nothing",
    why: "an exclusive wake-up goes to the first waiter in the queue of the listener (EPOLLEXCLUSIVE, __wake_up_common), so \
          an idle server gives every connection to the same thread",
    remedy: "add the listener to epoll anew every few accepts, or a listener for each thread (SO_REUSEPORT)",
    needs: &[Need::Signal("accept"), Need::Signal("read"), Need::Signal("write")],
    judge,
};

const ACCEPTS_PER_S: f64 = 20.0;
const SHARE: f64 = 0.9;
/// What the others do, as a part of what the first does.
const IDLE: f64 = 0.1;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts
        .places
        .iter()
        .filter(|place| place.members.len() == 1 && !facts.listens_elsewhere(place))
        .filter_map(|place| pile(facts, place))
        .collect()
}

fn pile(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let threads = facts.acceptors(place);
    let (first, others) = threads.split_first()?;
    let all: f64 = threads.iter().map(|thread| thread.rates.accepts).sum();
    let share = first.rates.accepts / all;
    if others.is_empty() || all < ACCEPTS_PER_S || share < SHARE {
        return None;
    }
    let deeds = |thread: &&Thread| thread.rates.reads + thread.rates.writes;
    if others.iter().map(deeds).sum::<f64>() > deeds(first) * IDLE {
        return None;
    }
    let sentence = format!(
        "{} takes {} of {} accepts/s, and of the same listener's acceptors {} next to idle: connections pile up on it.",
        name(first),
        figures::percent(share),
        figures::rate(all),
        match others.len() {
            1 => "the other is".to_owned(),
            many => format!("the other {many} are"),
        },
    );
    let evidence = [
        ("acceptor", name(first).into()),
        ("acceptors", (threads.len() as u64).into()),
        ("accepts_per_s", all.into()),
        ("share", share.into()),
        ("even_share", (1.0 / threads.len() as f64).into()),
    ];
    Some(Finding::at(place, share, sentence, evidence))
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of, thread},
        *,
    };
    use crate::model::snapshot::Snapshot;

    fn state(first: f64, others: f64, reads: f64) -> Snapshot {
        let threads =
            vec![thread(1, first, first, 0.0), thread(2, others, reads, 0.0), thread(3, 0.0, 0.0, 0.0)];
        of(vec![listener(1, 64, 0)], threads)
    }

    #[test]
    fn one_takes_all_while_others_idle() {
        assert_eq!(
            found(&RULE, state(0.0, 0.0, 0.0), state(99.0, 1.0, 1.0)),
            [
                "t1/1 takes 99.0 % of 100 accepts/s, and of the same listener's acceptors the other 2 are next to idle: \
              connections pile up on it."
            ]
        );
        assert_eq!(found(&RULE, state(0.0, 0.0, 0.0), state(90.0, 10.0, 1.0)).len(), 1);
        assert_eq!(
            found(&RULE, state(0.0, 0.0, 0.0), state(89.0, 11.0, 1.0)).len(),
            0,
            "less than nine of ten"
        );
        assert_eq!(found(&RULE, state(0.0, 0.0, 0.0), state(19.0, 0.0, 0.0)).len(), 0, "too few to tell");
        assert_eq!(found(&RULE, state(0.0, 0.0, 0.0), state(99.0, 1.0, 99.0)).len(), 0, "the other is busy");
        let mut hands_over = state(99.0, 0.0, 0.0);
        hands_over.threads.iter_mut().skip(1).for_each(|thread| thread.accepts = 0);
        assert_eq!(found(&RULE, state(0.0, 0.0, 0.0), hands_over).len(), 0, "the others never accepted");
    }
}
