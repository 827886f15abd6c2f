//! The load generator does not offer what it was told to, and the server is not why.

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::{
        evidence::{Facts, Place},
        offered::Offered,
    },
};

pub(super) const RULE: Rule = Rule {
    name: "load-generator-limit",
    what: "the load generator is the bottleneck",
    when: "demo-server's own load is an open loop of even rate with one request per connection, fewer than four of five of \
           them came (and chance does not explain it), none was refused, and so few are open that its limit of connections is not the reason",
    why: "an open loop that falls behind its schedule measures itself: the server is asked less than the screen says",
    remedy: "a processor of its own for the generator, a lower rate, or more requests per connection",
    seen: "demo-server's own load on a machine with few processors",
    silent: "a load whose number varies by chance; one that the server refuses",
    needs: &[Need::Signal("enqueue"), Need::Signal("close"), Need::Signal("queue_depth")],
    judge,
};

/// Part of the wanted rate.
const SHORT: f64 = 0.8;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| short(facts, place)).collect()
}

fn short(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let is_all =
        |load: &&Offered| place.members.iter().all(|member| load.listeners.contains(&member.listener.cookie));
    let load = facts.snapshot.offered.iter().find(is_all).filter(|load| load.is_even)?;
    let wanted = load.rate?;
    // Right after a change there is less than a whole window of the new load.
    let begun = facts.snapshot.time_ns.saturating_sub(facts.window_ns);
    if facts.snapshot.marks.last().is_some_and(|mark| mark.time_ns >= begun) {
        return None;
    }
    let counted = place.counted();
    let came = facts.rate(counted.enqueued);
    let expected = wanted * facts.window_ns as f64 / 1e9;
    // Four standard deviations of what comes by chance, as with the profile poisson.
    let by_chance = counted.enqueued as f64 + 4.0 * expected.sqrt() >= expected;
    let open: u64 = place
        .members
        .iter()
        .map(|member| {
            let listener = member.listener;
            (u64::from(listener.queued_at_start) + listener.enqueued).saturating_sub(listener.ended)
        })
        .sum();
    let limited = open as f64 >= f64::from(load.connections) * SHORT;
    if came == 0.0 || came >= wanted * SHORT || by_chance || limited || place.is_saturated() {
        return None;
    }
    let sentence = format!(
        "The load wants {} connections/s and {} come, though none is refused and {} of at most {} are open: the generator \
         (process {}) does not keep up with its own schedule.",
        figures::rate(wanted),
        figures::rate(came),
        figures::count(open),
        load.connections,
        load.pid,
    );
    let evidence = [
        ("wanted_per_s", wanted.into()),
        ("enqueued_per_s", came.into()),
        ("open", open.into()),
        ("connections", load.connections.into()),
        ("generator_pid", load.pid.into()),
    ];
    Some(Finding::at(place, wanted / came, sentence, evidence))
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{found, listener, of},
        *,
    };
    use crate::model::{
        mark::{Mark, What},
        snapshot::{Listener, Snapshot},
    };

    /// A load of 100 connections/s of which so many have come.
    fn state(is_even: bool, enqueued: u64, ended: u64) -> Snapshot {
        let load = Offered { pid: 9, rate: Some(100.0), connections: 50, is_even, listeners: vec![1] };
        let listener = Listener { enqueued, ended, ..listener(1, 64, 0) };
        Snapshot { offered: vec![load], marks: vec![mark(5)].into(), ..of(vec![listener], Vec::new()) }
    }

    fn mark(time_ns: u64) -> Mark {
        Mark { time_ns, what: What::Load, name: String::new(), from: None, to: Some("steady".to_owned()) }
    }

    #[test]
    fn a_generator_behind_its_schedule_is_named() {
        let before = || state(true, 0, 0);
        assert_eq!(
            found(&RULE, before(), state(true, 140, 138)),
            [
                "The load wants 100 connections/s and 70 come, though none is refused and 2 of at most 50 are open: the \
              generator (process 9) does not keep up with its own schedule."
            ]
        );
        assert_eq!(found(&RULE, before(), state(true, 144, 144)).len(), 0, "within four deviations");
        assert_eq!(
            found(&RULE, before(), state(true, 140, 100)).len(),
            0,
            "40 of 50 are open: the server is slow"
        );
        assert_eq!(found(&RULE, before(), state(false, 140, 138)).len(), 0, "its rate is not even");
        let mut changed = state(true, 140, 138);
        changed.marks = vec![mark(5), mark(u64::MAX)].into();
        assert_eq!(found(&RULE, before(), changed).len(), 0, "it has just begun");
    }
}
