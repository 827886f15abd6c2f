//! Why a listener is as it is, and what to try: what the rules found, and where they found nothing, its state in words.
//! With a backend that can be switched, also the pattern or fault to switch.

use super::listeners::Figures;
use super::{demo, figures};
use crate::model::{
    diagnosis::Diagnosis,
    snapshot::{Listener, Snapshot, State},
};

/// What is wrong with any of these listeners, the most telling first.
pub(crate) fn diagnoses<'a>(
    snapshot: &'a Snapshot,
    listeners: &[&Listener],
) -> impl Iterator<Item = &'a Diagnosis> {
    let concerns = |diagnosis: &&Diagnosis| {
        listeners.iter().any(|listener| {
            let here = diagnosis.netns == listener.netns;
            here && (diagnosis.listeners.is_empty() || diagnosis.listeners.contains(&listener.cookie))
        })
    };
    snapshot.diagnoses.iter().filter(concerns)
}

/// Why these listeners, one or all of a group, are as they are; as many sentences as `fits`, or the first.
pub(crate) fn why(
    snapshot: &Snapshot,
    listeners: &[&Listener],
    row: &Figures,
    fits: impl Fn(&str) -> bool,
) -> String {
    let found: Vec<&str> =
        diagnoses(snapshot, listeners).map(|diagnosis| diagnosis.sentence.as_str()).collect();
    let some = |shown: usize| match found.len() - shown {
        0 => found.join(" "),
        more => format!("{} ({more} more)", found[..shown].join(" ")),
    };
    let whole = (1..=found.len()).rev().map(some).find(|text| fits(text));
    whole.or_else(|| found.first().map(|first| (*first).to_owned())).unwrap_or_else(|| state(row))
}

/// What to try next.
pub(crate) fn remedy(snapshot: &Snapshot, listeners: &[&Listener], row: &Figures) -> Option<String> {
    let running = demo::running(snapshot);
    let found = diagnoses(snapshot, listeners).next();
    if let Some(fault) = running.as_ref().and_then(|running| running.faults.first())
        && (row.state > State::Healthy || found.is_some())
    {
        return Some(format!("switch the fault {fault} off (Pattern screen)"));
    }
    let Some(found) = found else { return by_state(row) };
    let pattern = running.and_then(|running| pattern_for(found.rule, &running.pattern));
    Some(match pattern {
        Some(pattern) => format!("{pattern}; {}", found.remedy),
        None => found.remedy.to_owned(),
    })
}

/// All that can be tried, the most telling first.
pub(crate) fn remedies(snapshot: &Snapshot, listeners: &[&Listener], row: &Figures) -> Vec<String> {
    let first = remedy(snapshot, listeners, row);
    let known: Vec<&str> = diagnoses(snapshot, listeners).map(|diagnosis| diagnosis.remedy).collect();
    let is_new = |more: &&&str| first.as_ref().is_none_or(|first| !first.contains(**more));
    let more: Vec<String> = known.iter().filter(is_new).map(|more| (*more).to_owned()).collect();
    first.into_iter().chain(more).collect()
}

/// The keys of a pattern that does better.
fn pattern_for(rule: &str, pattern: &str) -> Option<&'static str> {
    match (rule, pattern) {
        ("acceptor-busy", "single-thread") => Some("p2 many readers, p5 a queue for each thread"),
        ("acceptor-busy", "acceptor-workers") => {
            Some("p2 connections instead of messages, p5 a queue for each thread")
        }
        ("acceptor-busy" | "accepted-never-read", _) => Some("more workers (Pattern screen)"),
        _ => None,
    }
}

/// The state in words, with its figures.
fn state(row: &Figures) -> String {
    match row.state {
        State::Idle => "Nothing arrived in the last second.".to_owned(),
        State::Healthy => healthy(row),
        State::Filling => filling(row),
        State::Saturated => format!(
            "The accept queue holds {} of {}: whoever comes next is refused unless one is accepted first. {} accepts/s \
             against {} arrivals/s.",
            row.depth,
            full(row),
            figures::rate(row.accepted),
            figures::rate(row.enqueued + row.dropped),
        ),
        State::Stranded => format!(
            "{} in the accept queue, and none was accepted in the last second.",
            figures::plural(row.depth as usize, "connection"),
        ),
        State::Overflowing => overflowing(row),
    }
}

/// The value at which the accept queue is full.
fn full(row: &Figures) -> u64 {
    u64::from(row.limit) + 1
}

/// It was full within the last second.
fn was_full(row: &Figures) -> bool {
    u64::from(row.peak.max(row.depth)) >= full(row)
}

fn healthy(row: &Figures) -> String {
    match (row.wait_p50_ns, row.wait_p99_ns) {
        (Some(p50), Some(p99)) => format!(
            "Accepted as fast as they arrive: half wait less than {}, 99 of 100 less than {}.",
            figures::duration(p50),
            figures::duration(p99),
        ),
        _ => "Accepted as fast as they arrive.".to_owned(),
    }
}

fn filling(row: &Figures) -> String {
    let growth = row.enqueued - row.accepted;
    let room = full(row).saturating_sub(u64::from(row.depth));
    let course = if row.shards == 1 && growth >= 1.0 {
        format!("full in about {}", figures::duration((room as f64 / growth * 1e9) as u64))
    } else if row.shards == 1 && growth <= -1.0 {
        "it is draining".to_owned()
    } else {
        "it neither grows nor drains".to_owned()
    };
    format!(
        "The accept queue holds {} of {}: {} accepts/s against {} arrivals/s, {course}.",
        row.depth,
        full(row),
        figures::rate(row.accepted),
        figures::rate(row.enqueued),
    )
}

fn overflowing(row: &Figures) -> String {
    let dropped = figures::rate(row.dropped);
    if !was_full(row) {
        return format!(
            "{dropped}/s are refused although the accept queue has room (peak {} of {}): a full SYN queue, lack of \
             memory or a filter.",
            row.peak,
            full(row),
        );
    }
    // A client that is refused sends its SYN again, and each of them counts.
    format!(
        "{} of {} attempts/s are accepted. The queue is full at {}, so {dropped}/s are refused; their clients try again \
         after about 1 s.",
        figures::rate(row.accepted),
        figures::rate(row.enqueued + row.dropped),
        full(row),
    )
}

/// What a longer queue is good for while these rates last, or where to look.
fn by_state(row: &Figures) -> Option<String> {
    if row.state == State::Overflowing && !was_full(row) {
        let text = "see DROPS for the cause: a full SYN queue wants tcp_syncookies=1 or a longer backlog";
        return Some(text.to_owned());
    }
    let surplus = row.enqueued + row.dropped - row.accepted;
    if row.state < State::Filling || surplus < 1.0 || row.limit == 0 {
        return None;
    }
    let buys = figures::duration((f64::from(row.limit) / surplus * 1e9) as u64);
    Some(format!("accept faster, or from more threads; twice the backlog lasts {buys} longer"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(state: State, depth: u32, rates: (f64, f64, f64)) -> Figures {
        Figures {
            state,
            shards: 1,
            depth,
            peak: depth,
            limit: 64,
            enqueued: rates.0,
            accepted: rates.1,
            dropped: rates.2,
            ..Figures::default()
        }
    }

    fn found(rule: &'static str, listeners: &[u64]) -> Diagnosis {
        Diagnosis {
            rule,
            place: "a".to_owned(),
            netns: 0,
            listeners: listeners.to_vec(),
            since_ns: 0,
            seen_ns: 0,
            window_ns: 1,
            sentence: format!("This is {rule}."),
            evidence: Default::default(),
            remedy: "do something",
            extent: 1.0,
        }
    }

    #[test]
    fn what_the_rules_found_comes_before_the_state() {
        let listener = Listener { cookie: 7, ..Listener::default() };
        let diagnoses = vec![found("x", &[7]), found("y", &[8]), found("z", &[])];
        let snapshot = Snapshot { diagnoses, ..Snapshot::default() };
        let row = row(State::Overflowing, 65, (500.0, 500.0, 320.0));
        assert_eq!(why(&snapshot, &[&listener], &row, |_| true), "This is x. This is z.");
        assert_eq!(why(&snapshot, &[&listener], &row, |text| text.len() < 20), "This is x. (1 more)");
        assert_eq!(why(&snapshot, &[&listener], &row, |_| false), "This is x.");
        assert_eq!(remedy(&snapshot, &[&listener], &row).as_deref(), Some("do something"));
        let none = "500 of 820 attempts/s are accepted. The queue is full at 65, so 320/s are refused; their clients try \
                    again after about 1 s.";
        assert_eq!(why(&Snapshot::default(), &[&listener], &row, |_| true), none);
    }

    #[test]
    fn a_refusal_with_room_in_the_queue_is_not_laid_to_the_queue() {
        assert_eq!(
            state(&row(State::Overflowing, 3, (5.0, 5.0, 40.0))),
            "40/s are refused although the accept queue has room (peak 3 of 65): a full SYN queue, lack of memory or a \
             filter.",
        );
    }

    #[test]
    fn growth_says_when_it_is_full() {
        assert_eq!(
            state(&row(State::Filling, 45, (110.0, 100.0, 0.0))),
            "The accept queue holds 45 of 65: 100 accepts/s against 110 arrivals/s, full in about 2.00 s.",
        );
    }

    #[test]
    fn a_longer_queue_is_put_into_seconds() {
        assert_eq!(
            by_state(&row(State::Overflowing, 65, (500.0, 500.0, 320.0))).as_deref(),
            Some("accept faster, or from more threads; twice the backlog lasts 200 ms longer")
        );
        assert_eq!(by_state(&row(State::Healthy, 0, (5.0, 5.0, 0.0))), None);
    }
}
