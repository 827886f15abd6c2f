//! Queues that nobody empties, each judged alone: which they are, and how a sentence tells of them. What keeps their
//! acceptors is in [`mod@cause`].

mod cause;
mod does;
mod ends;
mod lock;
mod never;
mod told;
mod waits;

#[cfg(test)]
mod tests;

use super::{Figure, Finding, backlog_lowered, overflow};
use crate::{
    figures,
    model::evidence::{Facts, Member, Place},
};
pub(super) use cause::{Cause, of as cause};
pub(super) use does::{is_asleep, is_starved, sleeps_beside};

/// Nothing is said of less than this.
const LONG_NS: u64 = 1_500_000_000;
/// Fewer arrivals tell no share.
const FEW: u64 = 10;
/// Others that the evidence names.
const NAMED: usize = 3;

/// A queue that is not emptied, and why.
pub(super) struct Stuck<'a> {
    member: &'a Member<'a>,
    cause: Cause,
}

/// Whether somebody has waited at a listener for the whole window: some waited at both ends of it, and none was
/// accepted in between, or fewer than waited at its beginning, so that one at least has waited all the time.
fn has_waited(member: &Member<'_>) -> bool {
    let (before, now) = (u64::from(member.depth_before), member.listener.accept_queue);
    before > 0 && now > 0 && member.counted.accepted < before
}

/// It accepts, more slowly than a window is long, and the next is not overdue: the last accepts were as far apart.
pub(super) fn goes_on(facts: &Facts<'_>, member: &Member<'_>) -> bool {
    let pace = member.listener.pace;
    pace.is_some_and(|pace| pace.apart_ns * 3 >= facts.window_ns * 2 && facts.snapshot.time_ns < pace.due_ns)
}

/// The stuck members of a place.
fn at<'a>(facts: &Facts<'_>, place: &'a Place<'a>) -> Vec<Stuck<'a>> {
    let is_it = |member: &&Member<'_>| has_waited(member) && !backlog_lowered::is_all(facts, member);
    let waited = place.members.iter().filter(is_it);
    let judged = waited.filter_map(|member| Some(Stuck { member, cause: cause(facts, member)? }));
    judged.collect()
}

/// What is stuck: all listeners of a place (`whole`), or some while others are not.
pub(super) fn findings(facts: &Facts<'_>, whole: bool) -> Vec<Finding> {
    if facts.window_ns < LONG_NS {
        return Vec::new();
    }
    let mut found = Vec::new();
    for place in &facts.places {
        let stuck = at(facts, place);
        if stuck.is_empty() || (stuck.len() == place.members.len()) != whole {
            continue;
        }
        // Those of one process that are so for one reason are one finding.
        let mut groups: Vec<Vec<Stuck<'_>>> = Vec::new();
        for one in stuck {
            let same = |other: &&mut Vec<Stuck<'_>>| {
                other.first().is_some_and(|first| {
                    first.cause.word == one.cause.word && first.member.listener.pid == one.member.listener.pid
                })
            };
            match groups.iter_mut().find(same) {
                Some(group) => group.push(one),
                None => groups.push(vec![one]),
            }
        }
        found.extend(groups.iter().filter_map(|group| finding(facts, place, group)));
    }
    found
}

/// Whether a listener is stuck, so that other rules say nothing of it.
pub(super) fn is_stuck(facts: &Facts<'_>, member: &Member<'_>) -> bool {
    facts.window_ns >= LONG_NS && is_stuck_now(facts, member)
}

fn is_stuck_now(facts: &Facts<'_>, member: &Member<'_>) -> bool {
    has_waited(member) && cause(facts, member).is_some()
}

fn finding(facts: &Facts<'_>, place: &Place<'_>, group: &[Stuck<'_>]) -> Option<Finding> {
    let first = group.iter().max_by_key(|stuck| stuck.member.listener.accept_queue)?;
    let sum = |of: fn(&Member<'_>) -> u64| group.iter().map(|stuck| of(stuck.member)).sum::<u64>();
    let now = sum(|member| member.listener.accept_queue.into());
    let before = sum(|member| member.depth_before.into());
    let accepted = sum(|member| member.counted.accepted);
    let oldest = group.iter().filter_map(|stuck| stuck.member.listener.oldest_waits_ns).max();
    let wait = match now {
        1 => "1 connection waits".to_owned(),
        many => format!("{} connections wait", figures::count(many)),
    };
    let time = figures::duration(facts.window_ns);
    let came = match accepted {
        0 => format!("none was accepted in the last {time}"),
        few => format!("of {before} that waited {time} ago only {few} were accepted"),
    };
    let age =
        oldest.map(|ns| format!(", the oldest for {} or longer", figures::duration(ns))).unwrap_or_default();
    let holder = first.member.listener.holder();
    let place_of = match place.members.len() {
        1 => "in the accept queue".to_owned(),
        _ => format!("at {}", shards(group.iter().map(|stuck| stuck.member))),
    };
    let refused = sum(|member| member.counted.overflows);
    let turned = match refused {
        0 => String::new(),
        _ => format!(" ({} meanwhile)", overflow::refused(refused)),
    };
    // Where somebody was accepted it may have been one of those.
    let left = sum(|member| match member.listener.accepted {
        0 => member.listener.aborted_queued + member.listener.closed_queued,
        _ => 0,
    });
    let left = left.min(now);
    // A FIN may be of a client that only sends no more.
    let closed = group.iter().any(|stuck| stuck.member.listener.closed_queued > 0);
    let how = if closed { "closed, wholly or their half" } else { "left" };
    let gone = match left {
        0 => String::new(),
        left if left == now => format!(" (whose clients have all {how})"),
        left => format!(" ({} of their clients have {how})", figures::count(left)),
    };
    let mut sentence =
        format!("{wait} {place_of} of {holder}{gone}{age}, and {came}{turned}: {}.", first.cause.says);
    let mut evidence: Vec<(&'static str, Figure)> = vec![
        ("accept_queue", now.into()),
        ("accept_queue_before", before.into()),
        ("accepted", accepted.into()),
        ("overflows", refused.into()),
        ("holder", holder.into()),
    ];
    evidence.extend((left > 0).then(|| ("left", left.into())));
    evidence.extend(oldest.map(|ns| ("oldest_waits_ns", ns.into())));
    if let Some((others, more)) = others(facts, place, group) {
        sentence.push_str(&others);
        evidence.extend(more);
    }
    evidence.extend(first.cause.evidence.iter().cloned());
    let mut found = Finding::at(place, now as f64, sentence, []);
    found.evidence.extend(evidence);
    found.cause = Some(first.cause.word);
    found.remedy = Some(first.cause.remedy.into());
    if group.len() < place.members.len() {
        found.listeners = group.iter().map(|stuck| stuck.member.listener.cookie).collect();
        found.member = found.listeners.first().copied();
    }
    Some(found)
}

/// "shard 1", "shards 1, 3 and 5".
fn shards<'a>(members: impl Iterator<Item = &'a Member<'a>>) -> String {
    let numbers: Vec<String> = members.map(|member| member.listener.shard.unwrap_or(0).to_string()).collect();
    let noun = if numbers.len() == 1 { "shard" } else { "shards" };
    if numbers.len() > 8 {
        format!("{} shards", numbers.len())
    } else {
        format!("{noun} {}", figures::listed(&numbers))
    }
}

/// Which part of the clients comes to the stuck ones, and who accepts the rest.
fn others(
    facts: &Facts<'_>,
    place: &Place<'_>,
    group: &[Stuck<'_>],
) -> Option<(String, Vec<(&'static str, Figure)>)> {
    let is_stuck =
        |member: &&Member<'_>| group.iter().any(|one| one.member.listener.cookie == member.listener.cookie);
    let rest: Vec<&Member<'_>> = place.members.iter().filter(|member| !is_stuck(member)).collect();
    if rest.is_empty() {
        return None;
    }
    // Of few nothing follows: then of all that came since they are watched.
    let few = place.counted().enqueued < FEW || group.iter().all(|stuck| stuck.member.counted.enqueued == 0);
    let came = |member: &Member<'_>| if few { member.listener.enqueued } else { member.counted.enqueued };
    let here: u64 = group.iter().map(|stuck| came(stuck.member)).sum();
    let all: u64 = here + rest.iter().map(|member| came(member)).sum::<u64>();
    let goes_on = |member: &&Member<'_>| member.listener.accepted > 0 && !is_stuck_now(facts, member);
    let accepts: Vec<&Member<'_>> = rest.iter().copied().filter(goes_on).collect();
    let mut text = String::new();
    let mut evidence = Vec::new();
    let it = if group.len() == 1 { "It gets" } else { "They get" };
    // Who was refused came as well, nobody knows how many they are: each tries again and again.
    let refused: u64 = group.iter().map(|stuck| stuck.member.counted.overflows).sum();
    if all > 0 && refused == 0 {
        let share = here as f64 / all as f64;
        text = format!(" {it} {} of the clients", figures::percent(share));
        evidence.push(("share", share.into()));
    }
    if !accepts.is_empty() && all > 0 {
        let verb = if accepts.len() == 1 { "accepts" } else { "accept" };
        let others = shards(accepts.iter().copied());
        match text.is_empty() {
            true => text = format!(" Of the others, {others} {verb}"),
            false => text.push_str(&format!("; {others} {verb} the rest")),
        }
        let mut names: Vec<String> = accepts.iter().map(|member| member.listener.holder()).collect();
        names.dedup();
        names.truncate(NAMED);
        evidence.push(("accepts_the_rest", figures::listed(&names).into()));
    }
    if accepts.is_empty() && !text.is_empty() {
        text.push_str("; no other accepts either");
    }
    if !text.is_empty() {
        text.push('.');
    }
    Some((text, evidence))
}
