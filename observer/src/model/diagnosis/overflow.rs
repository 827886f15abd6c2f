//! What an overflow of an accept queue comes from: bursts, or acceptors that cannot keep up. Only for the first is a
//! longer backlog of any use.

use super::{Figure, Finding, acceptor_busy, backlog_lowered, stuck};
use crate::{
    figures,
    model::{
        evidence::{Facts, Member, Place, name},
        snapshot::Thread,
    },
};

/// Part of the time from which an acceptor is busy.
const BUSY: f64 = 0.8;

/// Why a queue overflows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    /// It is short for what comes at once, and is emptied in between.
    Burst,
    /// Whoever accepts is slower than the clients come.
    Overload,
    /// It is emptied, and then nobody accepts for a second or longer.
    Pauses,
}

/// So long nobody accepts from a queue that is not short before that is a pause.
const PAUSE_NS: u64 = 1_000_000_000;

/// "1 attempt was refused", "7 attempts were refused".
pub(super) fn refused(count: u64) -> String {
    match count {
        1 => "1 attempt was refused".to_owned(),
        many => format!("{} attempts were refused", figures::count(many)),
    }
}

/// Members of a place that refused somebody for a full queue at a limit of this kind. Those whose limit was lowered, and
/// those that nobody empties, have rules of their own, which tell of it.
pub(super) fn refusing<'a>(
    facts: &Facts<'_>,
    place: &'a Place<'a>,
    is_it: impl Fn(&Member<'_>) -> bool,
) -> Vec<&'a Member<'a>> {
    let refuses = |member: &&Member<'_>| {
        member.counted.overflows > 0
            // Where nobody accepts, that is what is wrong.
            && member.counted.accepted > 0
            && !backlog_lowered::is_lowered(facts, member)
            && !facts.fails(member.listener)
            && !member.was_stranded()
            && !stuck::is_stuck(facts, member)
    };
    place.members.iter().filter(|member| is_it(member)).filter(refuses).collect()
}

/// What keeps the acceptors of a place, in a sentence of its own, with figures.
pub(super) fn why(
    facts: &Facts<'_>,
    place: &Place<'_>,
    members: &[&Member<'_>],
) -> (Why, String, Vec<(&'static str, Figure)>) {
    let acceptors = facts.acceptors(place);
    let running = |thread: &Thread| thread.rates.running;
    let ready = |thread: &Thread| thread.rates.ready.unwrap_or(0.0);
    let busiest = acceptors
        .iter()
        .filter_map(|thread| Some((running(thread)?, *thread)))
        .max_by(|one, other| one.0.total_cmp(&other.0));
    let is_busy = |thread: &&Thread| running(thread).is_some_and(|running| running + ready(thread) >= BUSY);
    let all_busy = !acceptors.is_empty() && acceptors.iter().all(is_busy);
    let full = members.iter().filter(|member| member.was_never_short()).count();
    let paused_ns = members.iter().map(|member| member.course.paused_ns).max().unwrap_or(0);
    let why = match (all_busy, full * 2 > members.len()) {
        (false, _) if paused_ns >= PAUSE_NS => Why::Pauses,
        (false, false) => Why::Burst,
        _ => Why::Overload,
    };
    let counted = place.counted();
    let mut evidence = vec![
        ("accepted_per_s", facts.rate(counted.accepted).into()),
        ("enqueued_per_s", facts.rate(counted.enqueued).into()),
    ];
    let who = busiest.map(|(running, thread)| {
        evidence.push(("acceptor", name(thread).into()));
        evidence.push(("running", running.into()));
        evidence.push(("ready", ready(thread).into()));
        format!(" ({} runs {} of the time)", name(thread), figures::percent(running))
    });
    let who = who.unwrap_or_default();
    let text = match why {
        Why::Burst => format!("more come at once than it holds, and it is emptied in between{who}"),
        Why::Pauses => {
            evidence.push(("paused_ns", paused_ns.into()));
            format!(
                "nobody accepted for {} or longer while clients waited{who}",
                figures::duration(paused_ns)
            )
        }
        Why::Overload => format!(
            "{}/s are accepted, and it does not empty{who}",
            figures::rate(facts.rate(counted.accepted))
        ),
    };
    (why, text, evidence)
}

/// What to do when acceptors are the limit.
pub(super) const OVERLOAD: &str = "accept from more threads, or do less between two accepts: no queue is long enough for \
                                   acceptors that do not keep up";

/// What to do when acceptors pause.
const PAUSES: &str =
    "see what the threads that accept do meanwhile (NOW on Workers), and keep that out of them";

/// A finding about the overflow of these members, `limit` being what is special about theirs.
pub(super) fn finding(
    facts: &Facts<'_>,
    place: &Place<'_>,
    members: &[&Member<'_>],
    limit: &str,
    in_bursts: &'static str,
) -> Option<Finding> {
    let count: u64 = members.iter().map(|member| member.counted.overflows).sum();
    let worst = members.iter().max_by_key(|member| member.counted.overflows)?;
    // Of the others at the place nothing is said.
    let place = &place.with(members);
    let (why, text, evidence) = why(facts, place, members);
    if why == Why::Overload && acceptor_busy::is_it(facts, place) {
        return None;
    }
    // One that has just filled up may be a burst, or the end of all accepting: the next seconds tell.
    if why == Why::Burst && !members.iter().any(|member| member.course.recovered) {
        return None;
    }
    let sentence = format!(
        "{} by {} in the last {} at a limit of {}, {limit}: {text}.",
        refused(count),
        worst.listener.holder(),
        figures::duration(facts.window_ns),
        worst.listener.backlog_limit,
    );
    let figures = [("backlog_limit", worst.listener.backlog_limit.into()), ("overflows", count.into())];
    let mut found = Finding::at(place, count as f64, sentence, figures);
    found.evidence.extend(evidence);
    found.cause = Some(match why {
        Why::Burst => "burst",
        Why::Overload => "overload",
        Why::Pauses => "pauses",
    });
    found.remedy = Some(match why {
        Why::Burst => in_bursts.into(),
        Why::Overload => OVERLOAD.into(),
        Why::Pauses => PAUSES.into(),
    });
    Some(found)
}
