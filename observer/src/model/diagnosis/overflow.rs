//! What an overflow of an accept queue comes from: bursts, or acceptors that cannot keep up. Only for the first is a
//! longer backlog of any use.

use super::{Figure, Finding, acceptor_busy, backlog_lowered, stuck};
use crate::{
    figures,
    model::evidence::{Facts, Member, Place, name},
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
            && !backlog_lowered::is_lowered(member)
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
    let running = |thread: &crate::model::snapshot::Thread| {
        thread.rates.running.map(|running| running + thread.rates.ready.unwrap_or(0.0))
    };
    let busiest = acceptors
        .iter()
        .filter_map(|thread| Some((running(thread)?, *thread)))
        .max_by(|one, other| one.0.total_cmp(&other.0));
    // Full, or nearly, at both ends: it is not emptied in between.
    let is_full = |member: &&&Member<'_>| {
        let half = member.listener.backlog_limit.div_ceil(2);
        member.depth_before > half && member.listener.accept_queue > half
    };
    let all_busy = !acceptors.is_empty() && acceptors.iter().all(|thread| running(thread) >= Some(BUSY));
    let full = members.iter().filter(is_full).count();
    let why = if all_busy || full * 2 > members.len() { Why::Overload } else { Why::Burst };
    let counted = place.counted();
    let mut evidence = vec![
        ("accepted_per_s", facts.rate(counted.accepted).into()),
        ("enqueued_per_s", facts.rate(counted.enqueued).into()),
    ];
    let who = busiest.map(|(running, thread)| {
        evidence.push(("acceptor", name(thread).into()));
        evidence.push(("running", running.into()));
        format!("{} runs {} of the time", name(thread), figures::percent(running.min(1.0)))
    });
    let text = match (why, who) {
        (Why::Burst, Some(who)) => {
            format!("more come at once than it holds, and it is emptied in between ({who})")
        }
        (Why::Burst, None) => "more come at once than it holds, and it is emptied in between".to_owned(),
        (Why::Overload, who) => format!(
            "{}/s are accepted, and it does not empty{}",
            figures::rate(facts.rate(counted.accepted)),
            who.map(|who| format!(" ({who})")).unwrap_or_default()
        ),
    };
    (why, text, evidence)
}

/// What to do when acceptors are the limit.
pub(super) const OVERLOAD: &str = "accept from more threads, or do less between two accepts: no queue is long enough for \
                                   acceptors that do not keep up";

/// A finding about the overflow of these members, `limit` being what is special about theirs.
pub(super) fn finding(
    facts: &Facts<'_>,
    place: &Place<'_>,
    members: &[&Member<'_>],
    limit: &str,
    in_bursts: &'static str,
) -> Option<Finding> {
    let refused: u64 = members.iter().map(|member| member.counted.overflows).sum();
    let worst = members.iter().max_by_key(|member| member.counted.overflows)?;
    // Of the others at the place nothing is said.
    let place = &place.with(members);
    let (why, text, evidence) = why(facts, place, members);
    if why == Why::Overload && acceptor_busy::is_it(facts, place) {
        return None;
    }
    let sentence = format!(
        "{} attempts were refused by {} in the last {} at a limit of {}, {limit}: {text}.",
        figures::count(refused),
        worst.listener.holder(),
        figures::duration(facts.window_ns),
        worst.listener.backlog_limit,
    );
    let figures = [("backlog_limit", worst.listener.backlog_limit.into()), ("overflows", refused.into())];
    let mut found = Finding::at(place, refused as f64, sentence, figures);
    found.evidence.extend(evidence);
    found.cause = Some(match why {
        Why::Burst => "burst",
        Why::Overload => "overload",
    });
    found.remedy = Some(match why {
        Why::Burst => in_bursts.into(),
        Why::Overload => OVERLOAD.into(),
    });
    Some(found)
}
