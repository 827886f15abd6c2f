//! Clients wait for seconds until they are accepted.

use super::{Figure, Finding, Need, Rule, overflow, stuck};
use crate::{
    figures,
    model::{
        evidence::{Facts, Member, Place, name},
        snapshot::{Pace, Thread},
    },
};

pub(super) const RULE: Rule = Rule {
    name: "slow-accept",
    what: "clients wait for seconds in the accept queue, although it has room",
    when: "some are accepted, but the head of the queue has waited for a second or longer, or half of those accepted in the last \
           second or two had. Whether the acceptors are at work, get no processor or sleep beside the queue is told apart",
    why: "how full a queue is says little of how long it takes: with net.core.somaxconn at 4096 it can hold minutes, and clients \
          leave before; a place that they leave is accepted all the same",
    remedy: "more threads that accept, or less work for each connection; a shorter queue or a deadline turns away at once those who \
             would leave anyway",
    seen: "gunicorn with few sync workers, PHP-FPM, anything that serves one client at a time and is asked more than \
           it can",
    silent: "waits of less than a second, however full the queue is",
    needs: &[Need::Signal("accept"), Need::Signal("enqueue"), Need::Signal("queue_depth")],
    judge,
};

/// Who waits for so long feels it.
const LONG_NS: u64 = 1_000_000_000;

fn judge(facts: &Facts<'_>) -> Vec<Finding> {
    facts.places.iter().filter_map(|place| slow(facts, place)).collect()
}

/// Part of the time from which an acceptor is short of it.
const BUSY: f64 = 0.5;
/// Looks at a thread after which something is known of it.
const LOOKS: usize = 3;
/// What to do about acceptors that are not short of time.
const WAITS: &str = "see what the threads that accept wait for between two accepts (NOW on Workers), and keep that out of them";

/// What somebody feels at a listener.
fn felt(member: &Member<'_>) -> Option<u64> {
    member.listener.oldest_waits_ns.max(member.listener.recent_wait_ns)
}

fn slow(facts: &Facts<'_>, place: &Place<'_>) -> Option<Finding> {
    let is_slow = |member: &&Member<'_>| {
        let accepts = member.counted.accepted > 0 && member.listener.rates.accepted > 0.0;
        (accepts || stuck::goes_on(facts, member))
            && felt(member) >= Some(LONG_NS)
            && !stuck::is_stuck(facts, member)
            && !facts.fails(member.listener)
            // What waited while nobody came is accepted now, and was told of.
            && !member.was_stranded()
    };
    let members: Vec<&Member<'_>> = place.members.iter().filter(is_slow).collect();
    let worst = members.iter().max_by_key(|member| felt(member))?;
    // Of the others at the place nothing is said.
    let place = &place.with(&members);
    let sum = |of: fn(&Member<'_>) -> u64| members.iter().map(|member| of(member)).sum::<u64>();
    let (come, accepted) = (sum(|member| member.counted.enqueued), sum(|member| member.counted.accepted));
    // Somebody who waited long was just accepted, and nobody waits any more.
    if waits_of(&members) == 0 && come < accepted {
        return None;
    }
    let gave_up = sum(|member| member.counted.gave_up);
    let waits = waits_of(&members);
    let oldest = worst.listener.oldest_waits_ns.filter(|ns| *ns >= LONG_NS);
    let p50 = worst.listener.recent_wait_ns.filter(|p50| *p50 >= LONG_NS);
    let paced = worst.listener.pace.filter(|_| accepted == 0);
    let pace = match paced {
        Some(Pace { apart_ns, at_a_time: 0 | 1, .. }) => {
            format!("one is accepted every {}", figures::duration(apart_ns))
        }
        Some(Pace { apart_ns, at_a_time, .. }) => {
            format!("up to {} are accepted every {}", figures::count(at_a_time), figures::duration(apart_ns))
        }
        None => format!("{}/s are accepted", figures::rate(facts.rate(accepted))),
    };
    let refused = sum(|member| member.counted.overflows);
    let (come_to, turned) = match refused {
        0 => ("come to", String::new()),
        _ => ("get into the queue of", format!(" ({})", overflow::refused(refused))),
    };
    let mut text = format!(
        "{}/s {come_to} {}{turned} and {pace}, and clients wait for seconds",
        figures::rate(facts.rate(come)),
        worst.listener.holder(),
    );
    if let Some(oldest) = oldest {
        text.push_str(&format!(
            ": the oldest of {} for {} or longer",
            figures::count(waits),
            figures::duration(oldest)
        ));
    }
    if let Some(p50) = p50 {
        let joint = if oldest.is_some() { "," } else { ":" };
        text.push_str(&format!("{joint} half of those accepted waited {} or longer", figures::duration(p50)));
    }
    let mut evidence: Vec<(&'static str, Figure)> = vec![
        ("enqueued_per_s", facts.rate(come).into()),
        ("accepted_per_s", facts.rate(accepted).into()),
        ("accept_queue", waits.into()),
        ("gave_up", gave_up.into()),
    ];
    evidence.extend(oldest.map(|ns| ("oldest_waits_ns", ns.into())));
    evidence.extend(p50.map(|ns| ("accept_wait_interval_ns.p50", ns.into())));
    if gave_up > 0 {
        text.push_str(&format!(
            "; {} closed or reset their connection after 200 ms or more in the last {}",
            figures::count(gave_up),
            figures::duration(facts.window_ns)
        ));
    }
    // One that sleeps beside a queue is not short of time.
    let waits_on = worst.depth_before > 0 && worst.listener.accept_queue > 0;
    let asleep = stuck::cause(facts, worst).filter(|_| waits_on);
    let acceptors = facts.acceptors(place);
    let is_idle = |thread: &&Thread| thread.rates.running.is_some_and(|running| running < BUSY);
    let idle = acceptors.first().copied().filter(is_idle);
    let looks = |thread: &Thread| thread.looked.as_ref().map_or(0, |looked| looked.doings.len());
    let starved = acceptors.first().and_then(|first| Some((*first, stuck::is_starved(first)?)));
    // One that hardly runs has something else to tell, after a few looks.
    let waits_now = worst.listener.accept_queue > 0;
    let tells = asleep.is_some() || starved.is_some();
    if !tells && waits_now && idle.is_some_and(|thread| looks(thread) < LOOKS) {
        return None;
    }
    // One that has just gone to sleep beside a queue of which it is not told will not come: the next seconds tell.
    let sleeps = |thread: &Thread| stuck::sleeps_beside(thread, worst.listener.cookie);
    if asleep.is_none() && waits_now && !acceptors.is_empty() && acceptors.iter().all(|thread| sleeps(thread))
    {
        return None;
    }
    if let Some(cause) = &asleep {
        text.push_str(&format!("; {}", cause.says));
        evidence.extend(cause.evidence.iter().cloned());
    } else if let Some((first, does)) = &starved {
        text.push_str(&format!("; {} {}", name(first), does.text));
        evidence.push(("acceptor", name(first).into()));
        evidence.extend(first.rates.running.map(|running| ("running", running.into())));
        evidence.extend(first.rates.ready.map(|ready| ("ready", ready.into())));
    } else if let Some(first) = acceptors.first() {
        let more = match acceptors.len() {
            1 => format!("only {} accepts", name(first)),
            many => format!("{many} threads accept, most of all {}", name(first)),
        };
        text.push_str(&format!("; {more}{}", busy(first)));
        evidence.push(("acceptor", name(first).into()));
        evidence.push(("acceptors", (acceptors.len() as u64).into()));
        evidence.extend(first.doing.clone().map(|doing| ("doing", doing.into())));
    }
    let mut found = Finding::at(place, felt(worst)? as f64 / 1e9, format!("{text}."), []);
    found.evidence.extend(evidence);
    // It empties; when somebody comes again it will be known how fast it is.
    let slower = match paced {
        _ if come < accepted && refused == 0 => "catches_up",
        // Whether they keep up shows over a longer time.
        Some(pace) if pace.at_a_time > 1 => "pauses",
        _ => "slower_than_arrivals",
    };
    let starves = starved.map(|(_, does)| (does.word, does.remedy));
    let cause = asleep.as_ref().map(|cause| (cause.word, cause.remedy)).or(starves);
    found.cause = Some(cause.map_or(slower, |(word, _)| word));
    found.remedy = match (cause, idle) {
        (Some((_, remedy)), _) => Some(remedy.into()),
        (None, Some(_)) => Some(WAITS.into()),
        (None, None) => None,
    };
    Some(found)
}

/// How many wait at these.
fn waits_of(members: &[&Member<'_>]) -> u64 {
    members.iter().map(|member| u64::from(member.listener.accept_queue)).sum()
}

fn busy(thread: &Thread) -> String {
    let running = thread.rates.running.map(|running| figures::percent(running.min(1.0)));
    running.map(|running| format!(", which runs {running} of the time")).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{
        super::tests::{SECOND, found, listener, of, thread},
        *,
    };
    use crate::model::snapshot::{Listener, Rates, Snapshot};

    fn state(enqueued: u64, accepted: u64, oldest: u64) -> Snapshot {
        let listener = Listener {
            enqueued,
            accepted,
            oldest_waits_ns: Some(oldest * SECOND / 10),
            rates: Rates { accepted: 10.0, ..Rates::default() },
            comm: "p".to_owned(),
            ..listener(1, 4096, (enqueued - accepted) as u32)
        };
        of(vec![listener], vec![thread(7, 10.0, 10.0, 0.0)])
    }

    #[test]
    fn seconds_of_waiting_are_told_however_much_room_there_is() {
        assert_eq!(
            found(&RULE, state(50, 46, 30), state(100, 66, 42)),
            [
                "25/s come to p/1 and 10/s are accepted, and clients wait for seconds: the oldest of 34 for 4.20 s or longer; only \
                 t7/7 accepts."
            ]
        );
        assert_eq!(found(&RULE, state(50, 46, 30), state(100, 66, 9)).len(), 0, "0.9 s");
    }

    #[test]
    fn who_gets_no_processor_is_said_to_wait_for_one() {
        let mut starved = state(100, 66, 42);
        (starved.threads[0].rates.running, starved.threads[0].rates.ready) = (Some(0.04), Some(0.95));
        let sentence = found(&RULE, state(50, 46, 30), starved).concat();
        assert!(
            sentence.contains("t7/7 is ready and waits for a processor 95.0 % of the time"),
            "{sentence}"
        );
    }

    #[test]
    fn who_is_refused_does_not_come_into_the_queue() {
        let mut full = state(100, 90, 42);
        (full.listeners[0].overflows_between, full.listeners[0].listen_drops) = ((70, 70), 70);
        let sentence = found(&RULE, state(50, 46, 30), full).concat();
        assert!(
            sentence.starts_with("25/s get into the queue of p/1 (70 attempts were refused) and"),
            "{sentence}"
        );
    }
}
