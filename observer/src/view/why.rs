//! Why a listener is as it is, and what to try: what the rules found, and where they found nothing, its state in words.
//! With a backend that can be switched, also the pattern or fault to switch.

use super::demo::{self, Backends};
use super::figures;
use super::listeners::Figures;
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
pub(crate) fn remedy(
    snapshot: &Snapshot,
    backends: &Backends,
    listeners: &[&Listener],
    row: &Figures,
) -> Option<String> {
    let running = demo::running(backends);
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
        None => found.remedy.to_string(),
    })
}

/// Each thing that was found with what to try about it, the most telling first; or the state in words.
pub(crate) fn pairs(
    snapshot: &Snapshot,
    backends: &Backends,
    listeners: &[&Listener],
    row: &Figures,
) -> Vec<(String, Option<String>)> {
    let first = remedy(snapshot, backends, listeners, row);
    let mut found = diagnoses(snapshot, listeners);
    let Some(worst) = found.next() else { return vec![(state(row), first)] };
    let mut pairs = vec![(worst.sentence.clone(), first)];
    pairs.extend(found.map(|more| (more.sentence.clone(), Some(more.remedy.to_string()))));
    pairs
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
        State::Idle => idle(row),
        State::Healthy => healthy(row),
        State::Filling => filling(row),
        State::Waiting => waiting(row),
        State::Unread => unread(row),
        State::TurningAway => turning_away(row),
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

/// Who waits for longer was not accepted as fast as it came.
const AT_ONCE_NS: u64 = 100_000_000;

fn idle(row: &Figures) -> String {
    let mut sentences = Vec::new();
    if row.reset_early > 0.0 {
        sentences.push(format!(
            "{}/s are reset by their client before they are complete: health checks or scanners; no harm.",
            figures::rate(row.reset_early),
        ));
    }
    if row.deferred > 0 {
        let deferred = figures::count(row.deferred);
        sentences.push(format!("{deferred} connected and sent nothing yet (TCP_DEFER_ACCEPT)."));
    }
    match (sentences.is_empty(), row.open) {
        (false, _) => sentences.join(" "),
        (true, 0) => "Nothing arrived in the last second.".to_owned(),
        (true, open) => {
            format!("No new connections; {} open, and nothing happens on them.", figures::count(open))
        }
    }
}

fn healthy(row: &Figures) -> String {
    if row.enqueued == 0.0 && row.accepted == 0.0 {
        let does = match row.reads {
            0.0 => "written to".to_owned(),
            reads => format!("{} reads/s", figures::rate(reads)),
        };
        return format!("No new connections; {} open, {does}.", figures::count(row.open));
    }
    let waits = match (row.wait_p50_ns, row.wait_p99_ns) {
        (Some(p50), Some(p99)) => format!(
            ": half wait less than {}, 99 of 100 less than {}.",
            figures::duration(p50),
            figures::duration(p99),
        ),
        _ => ".".to_owned(),
    };
    // As many within a tenth, or one.
    let keeps_up = (row.enqueued - row.accepted).abs() <= (row.enqueued / 10.0).max(1.0);
    let waited = row.oldest_ns.max(row.wait_p99_ns);
    if keeps_up && waited < Some(AT_ONCE_NS) {
        return format!("Accepted as fast as they arrive{waits}");
    }
    format!("{} arrivals/s and {} accepts/s{waits}", figures::rate(row.enqueued), figures::rate(row.accepted),)
}

fn unread(row: &Figures) -> String {
    format!(
        "{} with data that nobody has read, for a second or longer: they wait inside the program. {} accepts/s.",
        figures::plural(row.unread as usize, "accepted connection"),
        figures::rate(row.accepted)
    )
}

fn turning_away(row: &Figures) -> String {
    format!("{} accepts/s, and the program closes half of them or more unread.", figures::rate(row.accepted))
}

fn waiting(row: &Figures) -> String {
    let oldest = row.oldest_ns.map(|ns| format!(", the oldest for {} or longer", figures::duration(ns)));
    let accepted = row
        .wait_p50_ns
        .map(|p50| format!("; half of those accepted waited {} or longer", figures::duration(p50)));
    format!(
        "{} in the accept queue{}{}. {} accepts/s against {} arrivals/s.",
        figures::plural(row.depth as usize, "connection"),
        oldest.unwrap_or_default(),
        accepted.unwrap_or_default(),
        figures::rate(row.accepted),
        figures::rate(row.enqueued),
    )
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
        "{dropped} of {} attempts/s are refused, because the queue is full at {}; their clients try again after about 1 s.",
        figures::rate(row.enqueued + row.dropped),
        full(row),
    )
}

/// Where to look.
fn by_state(row: &Figures) -> Option<String> {
    if row.state == State::Overflowing && !was_full(row) {
        let text = "see DROPS for the cause: a full SYN queue wants tcp_syncookies=1 or a longer backlog";
        return Some(text.to_owned());
    }
    match row.state {
        State::Overflowing | State::Saturated => Some(
            "see whether its acceptors are busy (Workers, RUNS): then more of them; if they idle, bursts are longer than the queue"
                .to_owned(),
        ),
        State::Filling | State::Waiting if row.enqueued - row.accepted >= 1.0 => {
            Some("see what its acceptors do (Workers, NOW and RUNS): more of them, or less work for each".to_owned())
        }
        State::Stranded => Some("see what its acceptors do (Workers, NOW)".to_owned()),
        State::Unread => Some("see what its threads do (Workers, NOW and RUNS)".to_owned()),
        State::TurningAway => {
            Some("see the program's own limit of connections, or what stands behind it".to_owned())
        }
        _ => None,
    }
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
            cause: None,
            remedy: "do something".into(),
            member: None,
            extent: 1.0,
        }
    }

    #[test]
    fn what_the_rules_found_comes_before_the_state() {
        let listener = Listener { cookie: 7, ..Listener::default() };
        let diagnoses = vec![found("x", &[7]), found("y", &[8]), found("z", &[])];
        let snapshot = Snapshot { diagnoses, ..Snapshot::default() };
        let (row, none) = (row(State::Overflowing, 65, (500.0, 500.0, 320.0)), Backends::default());
        assert_eq!(why(&snapshot, &[&listener], &row, |_| true), "This is x. This is z.");
        assert_eq!(why(&snapshot, &[&listener], &row, |text| text.len() < 20), "This is x. (1 more)");
        assert_eq!(why(&snapshot, &[&listener], &row, |_| false), "This is x.");
        assert_eq!(remedy(&snapshot, &none, &[&listener], &row).as_deref(), Some("do something"));
        let pair = |rule: &str| (format!("This is {rule}."), Some("do something".to_owned()));
        assert_eq!(pairs(&snapshot, &none, &[&listener], &row), [pair("x"), pair("z")]);
        let none = "320 of 820 attempts/s are refused, because the queue is full at 65; their clients try again after about 1 s.";
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
    fn no_longer_queue_is_advised_where_acceptors_may_be_the_limit() {
        for state in [State::Filling, State::Waiting, State::Saturated, State::Stranded, State::Overflowing] {
            let advice = by_state(&row(state, 65, (500.0, 300.0, 320.0))).unwrap_or_default();
            assert!(advice.contains("acceptors") && !advice.contains("backlog"), "{state:?}: {advice}");
        }
        assert_eq!(by_state(&row(State::Healthy, 0, (5.0, 5.0, 0.0))), None);
    }

    #[test]
    fn seconds_of_waiting_are_not_as_fast_as_they_arrive() {
        let calm = Figures { wait_p99_ns: Some(5_000_000), ..row(State::Healthy, 0, (5.0, 5.0, 0.0)) };
        assert!(state(&calm).starts_with("Accepted as fast as they arrive"));
        for slow in [
            Figures { wait_p99_ns: Some(200_000_000), ..calm.clone() },
            Figures { oldest_ns: Some(200_000_000), ..calm.clone() },
            Figures { accepted: 2.0, ..calm.clone() },
        ] {
            assert!(state(&slow).contains("arrivals/s and"), "{}", state(&slow));
        }
    }

    #[test]
    fn idle_is_where_nothing_happens_on_open_connections_either() {
        let quiet = Figures { reads: 22.0, open: 1, ..row(State::Healthy, 0, (0.0, 0.0, 0.0)) };
        assert_eq!(state(&quiet), "No new connections; 1 open, 22 reads/s.");
        let pushes = Figures { reads: 0.0, written: true, ..quiet };
        assert_eq!(state(&pushes), "No new connections; 1 open, written to.");
        let idle = row(State::Idle, 0, (0.0, 0.0, 0.0));
        assert_eq!(state(&idle), "Nothing arrived in the last second.");
        let open = Figures { open: 3, ..idle };
        assert_eq!(state(&open), "No new connections; 3 open, and nothing happens on them.");
    }

    #[test]
    fn handshakes_that_come_to_nothing_are_told() {
        let idle = row(State::Idle, 0, (0.0, 0.0, 0.0));
        assert_eq!(
            state(&Figures { reset_early: 40.0, ..idle.clone() }),
            "40/s are reset by their client before they are complete: health checks or scanners; no harm."
        );
        assert_eq!(
            state(&Figures { deferred: 6, ..idle }),
            "6 connected and sent nothing yet (TCP_DEFER_ACCEPT)."
        );
    }
}
