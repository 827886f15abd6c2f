//! The load generator does not offer what it was told to, and the server is not why.

use demo_server::control::ActiveLoad;

use super::{Finding, Need, Rule};
use crate::{
    figures,
    model::evidence::{Facts, Place},
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
    let demo = facts.snapshot.demo.as_ref()?;
    let state = demo.state.as_ref()?;
    let load = state.load.as_ref().filter(|load| is_even(load))?;
    let wanted = load.rate?;
    let own = |cookie: u64| state.listeners.iter().any(|listener| listener.cookie == cookie);
    if !place.members.iter().all(|member| own(member.listener.cookie)) {
        return None;
    }
    // Right after a change there is less than a whole window of the new load.
    let begun = facts.snapshot.time_ns.saturating_sub(facts.window_ns);
    if demo.changes.last().is_some_and(|(changed_ns, _)| *changed_ns >= begun) {
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

/// Its rate is the same all the time, and each request is a connection.
fn is_even(load: &ActiveLoad) -> bool {
    matches!(load.profile.as_str(), "steady" | "poisson") && load.requests_per_connection == 1
}

#[cfg(test)]
mod tests {
    use demo_server::{
        control::{Counters, ListenerState, Settings, State},
        load::Mode,
    };

    use super::{
        super::tests::{found, listener, of},
        *,
    };
    use crate::model::snapshot::{Demo, Listener, Snapshot};

    /// A load of 100 connections/s of which so many have come.
    fn state(profile: &str, enqueued: u64, ended: u64) -> Snapshot {
        let listen = "127.0.0.1:80".parse().unwrap();
        let load = ActiveLoad {
            profile: profile.to_owned(),
            mode: Mode::Open,
            pid: 9,
            rate: Some(100.0),
            connections: 50,
            requests_per_connection: 1,
            duration: "1h".to_owned(),
            total_connections: None,
            poisson: false,
            seed: 1,
        };
        let state = State {
            version: String::new(),
            pid: 1,
            listen,
            pattern: "sharding".to_owned(),
            settings: Settings::default(),
            backlog_effective: 64,
            faults: Vec::new(),
            load: Some(load),
            last_load: None,
            threads: Vec::new(),
            listeners: vec![ListenerState { shard: 0, cookie: 1, local: listen }],
            counters: Counters::default(),
            changes: 1,
        };
        let demo = Demo { state: Some(Box::new(state)), error: None, changes: vec![(5, "load".to_owned())] };
        let listener = Listener { enqueued, ended, ..listener(1, 64, 0) };
        Snapshot { demo: Some(demo), ..of(vec![listener], Vec::new()) }
    }

    #[test]
    fn a_generator_behind_its_schedule_is_named() {
        let before = || state("steady", 0, 0);
        assert_eq!(
            found(&RULE, before(), state("steady", 140, 138)),
            [
                "The load wants 100 connections/s and 70 come, though none is refused and 2 of at most 50 are open: the \
              generator (process 9) does not keep up with its own schedule."
            ]
        );
        assert_eq!(found(&RULE, before(), state("steady", 144, 144)).len(), 0, "within four deviations");
        assert_eq!(
            found(&RULE, before(), state("steady", 140, 100)).len(),
            0,
            "40 of 50 are open: the server is slow"
        );
        assert_eq!(found(&RULE, before(), state("ramp", 140, 138)).len(), 0, "its rate is not even");
        let mut changed = state("steady", 140, 138);
        changed.demo.as_mut().unwrap().changes.push((u64::MAX, "load".to_owned()));
        assert_eq!(found(&RULE, before(), changed).len(), 0, "it has just begun");
    }
}
