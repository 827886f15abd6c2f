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
    when: "3 or more threads accept from the only listener of their process, none waits in accept(2) itself, and for each \
           accept there is a wake-up or more after which the woken thread neither accepted nor read nor wrote, but for no \
           thread more than 1.25; 2,000 of those in a second or more, which is about a hundredth of a processor: fewer are \
           nothing to mend, and the Workers screen counts them all the same (WK/ACC)",
    why: "without EPOLLEXCLUSIVE each epoll instance that watches the listener is woken for each arrival \
          (ep_poll_callback); one thread finds the connection, the others sleep again within epoll_wait(2), so the program \
          sees nothing of it",
    remedy: "EPOLLEXCLUSIVE, a blocking accept(2), or a listener for each thread (SO_REUSEPORT)",
    seen: "several event loops on one socket without EPOLLEXCLUSIVE: gunicorn with async workers, uvicorn with several",
    silent: "threads that wait in accept(2) itself; EPOLLEXCLUSIVE; fewer needless wake-ups than cost a hundredth of a \
             processor",
    needs: &[Need::Signal("wakeups"), Need::Signal("accept"), Need::Signal("read"), Need::Signal("write")],
    judge,
};

const HERD: usize = 3;
/// Wake-ups without a deed in a second from which they are worth a sentence. One costs the woken thread 2 µs or so, and its
/// waker about as much (measured with 16 threads at 500 connections/s: 97 µs of the server's time for each, against 65
/// without the 15.5 in vain).
const WORTH_SAYING: f64 = 2_000.0;
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
    if threads.len() < HERD {
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
    if in_vain < accepts * IN_VAIN || in_vain < WORTH_SAYING {
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

    /// Threads, each with a quarter of 2,000 connections/s, as many reads and writes, and so many wake-ups.
    fn state(threads: u32, wakeups: f64) -> Snapshot {
        let threads = (1..=threads).map(|tid| thread(tid, 500.0, 500.0, wakeups)).collect();
        of(vec![listener(1, 64, 0)], threads)
    }

    #[test]
    fn wakeups_without_a_deed_are_a_herd() {
        assert_eq!(
            found(&RULE, state(4, 0.0), state(4, 2_500.0)),
            [
                "5.0 wake-ups for each accept: 4 threads accept from the same listener, 10.0k wake-ups/s for 2.0k accepts/s, \
                 and after 4.0k of them or more nothing was done."
            ]
        );
        assert_eq!(found(&RULE, state(4, 0.0), state(4, 2_000.0)).len(), 1, "one in vain for each accept");
        assert_eq!(found(&RULE, state(4, 0.0), state(4, 1_999.0)).len(), 0, "less");
        assert_eq!(found(&RULE, state(2, 0.0), state(2, 9_000.0)).len(), 0, "two are no herd");
        assert_eq!(
            found(&RULE, state(4, 0.0), state(4, 4_000.0)).len(),
            1,
            "each thread once and a quarter for each"
        );
        assert_eq!(
            found(&RULE, state(4, 0.0), state(4, 4_001.0)).len(),
            0,
            "more often than anybody arrives: a timer"
        );
        let mut blind = state(4, 2_500.0);
        blind.threads[2].rates.wakeups = None;
        assert_eq!(found(&RULE, state(4, 0.0), blind).len(), 0, "one's wake-ups are unknown");
    }

    #[test]
    fn a_herd_that_costs_next_to_nothing_is_no_finding() {
        // Two wake-ups in vain for each of 10 accepts/s, of 999 and of 1,000.
        for (each, count) in [(2.5, 0), (249.75, 0), (250.0, 1)] {
            let threads = (1..=4).map(|tid| thread(tid, each, each, each * 5.0)).collect();
            let now = of(vec![listener(1, 64, 0)], threads);
            assert_eq!(found(&RULE, state(4, 0.0), now).len(), count, "{each}");
        }
    }
}
