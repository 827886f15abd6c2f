//! Every arrival wakes all of those who could accept it.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::{
        evidence::{Facts, Place, name},
        snapshot::Thread,
    },
};

pub(super) const RULE: Rule = Rule {
    name: "thundering-herd",
    what: "thundering herd: several wake-ups for each accept",
    when: "3 or more threads accept from the only listener of their process, none waits in accept(2) itself, 10 or more connections/s, and for each accept there is a wake-up or \
           more after which the woken thread neither accepted nor read nor wrote, but for no thread more than 1.25",
    why: "without EPOLLEXCLUSIVE each epoll instance that watches the listener is woken for each arrival \
          (ep_poll_callback); one thread finds the connection, the others sleep again within epoll_wait(2), so the program \
          sees nothing of it",
    remedy: "EPOLLEXCLUSIVE, a blocking accept(2), or a listener for each thread (SO_REUSEPORT)",
    needs: &[Need::Signal("wakeups"), Need::Signal("accept"), Need::Signal("read"), Need::Signal("write")],
    judge,
};

const HERD: usize = 3;
const ACCEPTS_PER_S: f64 = 10.0;
/// Wake-ups without a deed for each accept.
const IN_VAIN: f64 = 1.0;
/// What one thread of a herd can have of those for each accept; a little more, as not all is counted at one instant.
const OFTEN: f64 = 1.25;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts
        .places
        .iter()
        .filter(|place| place.members.len() == 1 && !facts.listens_elsewhere(place))
        .filter_map(|place| herd(facts, place))
        .collect()
}

fn herd(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let threads = facts.acceptors(place);
    // A blocking accept(2) wakes one: such threads sleep for reasons of their own.
    if threads.iter().any(|thread| thread.doing.as_deref().is_some_and(|doing| doing.starts_with("accept"))) {
        return None;
    }
    let accepts: f64 = threads.iter().map(|thread| thread.rates.accepts).sum();
    if threads.len() < HERD || accepts < ACCEPTS_PER_S {
        return None;
    }
    let wakeups: f64 = threads.iter().map(|thread| thread.rates.wakeups).sum::<Option<f64>>()?;
    // A thread does one thing or more after a wake-up that was not in vain, so this is no more than there were.
    let in_vain = |thread: &&Thread| {
        let rates = thread.rates;
        (rates.wakeups.unwrap_or(0.0) - rates.accepts - rates.reads - rates.writes).max(0.0)
    };
    // An arrival wakes a thread once; one that is woken more often has other reasons, such as a timer.
    if threads.iter().map(in_vain).any(|in_vain| in_vain > accepts * OFTEN) {
        return None;
    }
    let in_vain: f64 = threads.iter().map(in_vain).sum();
    if in_vain < accepts * IN_VAIN {
        return None;
    }
    let sentence = format!(
        "{:.1} wake-ups for each accept: {} threads accept from the same listener, {} wake-ups/s for {} accepts/s, and \
         after {} of them or more nothing was done.",
        wakeups / accepts,
        threads.len(),
        figures::rate(wakeups),
        figures::rate(accepts),
        figures::rate(in_vain),
    );
    let evidence = [
        ("acceptors", (threads.len() as u64).into()),
        ("acceptor", threads.first().map(|thread| name(thread)).unwrap_or_default().into()),
        ("wakeups_per_s", wakeups.into()),
        ("accepts_per_s", accepts.into()),
        ("wakeups_per_accept", (wakeups / accepts).into()),
        ("in_vain_per_s", in_vain.into()),
    ];
    Some(Finding::at(place, wakeups / accepts, sentence, evidence))
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of, thread},
        *,
    };
    use crate::model::snapshot::Snapshot;

    /// Four threads, each with a quarter of 100 connections/s and so many wake-ups.
    fn state(threads: u32, wakeups: f64) -> Snapshot {
        let threads = (1..=threads).map(|tid| thread(tid, 25.0, 25.0, wakeups)).collect();
        of(vec![listener(1, 64, 0)], threads)
    }

    #[test]
    fn wakeups_without_a_deed_are_a_herd() {
        assert_eq!(
            found(&RULE, state(4, 100.0), state(4, 125.0)),
            [
                "5.0 wake-ups for each accept: 4 threads accept from the same listener, 500 wake-ups/s for 100 accepts/s, and \
              after 200 of them or more nothing was done."
            ]
        );
        assert_eq!(found(&RULE, state(4, 0.0), state(4, 100.0)).len(), 1, "one in vain for each accept");
        assert_eq!(found(&RULE, state(4, 0.0), state(4, 99.0)).len(), 0, "less");
        assert_eq!(found(&RULE, state(2, 0.0), state(2, 1_000.0)).len(), 0, "two are no herd");
        assert_eq!(
            found(&RULE, state(4, 0.0), state(4, 200.0)).len(),
            1,
            "each thread once and a quarter for each"
        );
        assert_eq!(
            found(&RULE, state(4, 0.0), state(4, 201.0)).len(),
            0,
            "more often than anybody arrives: a timer"
        );
        let mut blind = state(4, 125.0);
        blind.threads[2].rates.wakeups = None;
        assert_eq!(found(&RULE, state(4, 0.0), blind).len(), 0, "one's wake-ups are unknown");
    }
}
