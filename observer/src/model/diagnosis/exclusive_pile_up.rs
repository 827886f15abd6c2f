//! One of several acceptors has taken nearly every connection, because it is always asked first, and now has more to do
//! than it can while the others sleep.
//!
//! That one takes everything is no harm by itself: while it is busy the next is asked, so short connections spread as soon
//! as there is work. What stays is the harm: connections that were opened while the server idled and then come alive.

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
    what: "connections have piled up on one of several acceptors, and it is busy while the others idle",
    when: "2 or more threads have accepted from the only listener of their process, one of them 20 or more connections and \
           nine of ten; it does nine of ten of their reads and writes, and runs or waits for a processor half of the time or \
           more, none of the others a tenth of it",
    why: "an exclusive wake-up goes to the first waiter in the queue of the listener (EPOLLEXCLUSIVE, __wake_up_common), so \
          an idle server gives every connection to the same thread, and a connection stays with the thread that accepted \
          it; short connections cost nothing so, for while the first is busy the next is woken",
    remedy: "add the listener to epoll anew every few accepts, or a listener for each thread (SO_REUSEPORT); connections that \
             are there already move only when they are opened anew",
    seen: "nginx with several workers on one listener and long-lived connections that came while it was idle",
    silent: "short connections; threads that add the listener anew; one connection that is busier than the others",
    needs: &[Need::Signal("accept"), Need::Signal("read"), Need::Signal("write"), Need::Signal("activity")],
    judge,
};

const ACCEPTS: u64 = 20;
/// Of the accepts, and of the reads and writes.
const SHARE: f64 = 0.9;
/// Part of its time from which one is busy.
const BUSY: f64 = 0.5;
/// And below which one idles.
const IDLE: f64 = 0.1;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts
        .places
        .iter()
        .filter(|place| place.members.len() == 1 && !facts.listens_elsewhere(place))
        .filter_map(|place| pile(facts, place))
        .collect()
}

/// Part of the time in which a thread had something to do.
fn busy(thread: &Thread) -> Option<f64> {
    Some(thread.rates.running? + thread.rates.ready?)
}

fn deeds(thread: &Thread) -> f64 {
    thread.rates.reads + thread.rates.writes
}

fn pile(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let threads = facts.acceptors(place);
    let first = threads.iter().max_by_key(|thread| thread.accepts)?;
    let others: Vec<_> = threads.iter().filter(|thread| thread.tid != first.tid).collect();
    let accepts: u64 = threads.iter().map(|thread| thread.accepts).sum();
    let share = first.accepts as f64 / accepts as f64;
    if others.is_empty() || first.accepts < ACCEPTS || share < SHARE {
        return None;
    }
    let all: f64 = threads.iter().map(|thread| deeds(thread)).sum();
    let busiest = others.iter().map(|thread| busy(thread)).collect::<Option<Vec<f64>>>()?;
    let busy = busy(first)?.min(1.0);
    if deeds(first) < all * SHARE || busy < BUSY || busiest.iter().any(|part| *part >= IDLE) {
        return None;
    }
    let sentence = format!(
        "{} has taken {} of {} connections and is busy {} of the time, and of the same listener's acceptors {}: connections \
         have piled up on it.",
        name(first),
        figures::percent(share),
        figures::count(accepts),
        figures::percent(busy),
        match others.len() {
            1 => "the other idles".to_owned(),
            many => format!("the other {many} idle"),
        },
    );
    let evidence = [
        ("acceptor", name(first).into()),
        ("acceptors", (threads.len() as u64).into()),
        ("accepts", accepts.into()),
        ("share", share.into()),
        ("even_share", (1.0 / threads.len() as f64).into()),
        ("busy", busy.into()),
    ];
    Some(Finding::at(place, busy, sentence, evidence))
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of, thread},
        *,
    };
    use crate::model::snapshot::{Snapshot, ThreadRates};

    /// One thread and two others: what they have accepted, read per second, and how busy they are.
    fn state(accepts: [u64; 3], reads: [f64; 3], busy: [f64; 3]) -> Snapshot {
        let thread = |nth: usize| {
            let idle = thread(nth as u32 + 1, 0.0, reads[nth], 0.0);
            let rates =
                ThreadRates { running: Some(busy[nth] / 2.0), ready: Some(busy[nth] / 2.0), ..idle.rates };
            Thread { accepts: accepts[nth], rates, ..idle }
        };
        of(vec![listener(1, 64, 0)], (0..3).map(thread).collect())
    }

    fn count(now: Snapshot) -> usize {
        found(&RULE, of(vec![listener(1, 64, 0)], Vec::new()), now).len()
    }

    const PILED: [u64; 3] = [97, 2, 1];
    const READS: [f64; 3] = [900.0, 9.0, 0.0];
    const BUSY_ONE: [f64; 3] = [0.98, 0.02, 0.0];

    #[test]
    fn one_is_busy_with_what_it_took_while_others_idle() {
        assert_eq!(
            found(&RULE, of(vec![listener(1, 64, 0)], Vec::new()), state(PILED, READS, BUSY_ONE)),
            [
                "t1/1 has taken 97.0 % of 100 connections and is busy 98.0 % of the time, and of the same listener's acceptors \
                 the other 2 idle: connections have piled up on it."
            ]
        );
        assert_eq!(count(state([90, 5, 5], READS, BUSY_ONE)), 1);
        assert_eq!(count(state([89, 6, 5], READS, BUSY_ONE)), 0, "a little more even");
        assert_eq!(count(state([19, 1, 0], READS, BUSY_ONE)), 0, "too few to tell");
        assert_eq!(count(state([97, 0, 0], READS, BUSY_ONE)), 0, "the others never accepted");
    }

    #[test]
    fn a_pile_that_costs_nothing_is_no_finding() {
        assert_eq!(count(state(PILED, READS, [0.49, 0.02, 0.0])), 0, "it has time left");
        assert_eq!(count(state(PILED, READS, [0.98, 0.1, 0.0])), 0, "another has something to do too");
        assert_eq!(count(state(PILED, [900.0, 101.0, 0.0], BUSY_ONE)), 0, "another reads");
        let mut blind = state(PILED, READS, BUSY_ONE);
        blind.threads[1].rates.ready = None;
        assert_eq!(count(blind), 0, "whether another idles is not known");
    }
}
