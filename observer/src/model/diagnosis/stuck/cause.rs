//! Why nobody accepts: what the threads that should do it have done over the whole window.

use super::{
    does::{self, Does},
    never::never,
};
use crate::{
    figures,
    model::{
        diagnosis::Figure,
        evidence::{Facts, Member, name},
        snapshot::{AcceptedBy, Listener, Thread},
    },
};

/// Why a queue is not emptied.
#[derive(Debug, Clone)]
pub(in crate::model::diagnosis) struct Cause {
    /// A stable word for it.
    pub(in crate::model::diagnosis) word: &'static str,
    /// Who does what, for a sentence.
    pub(in crate::model::diagnosis) says: String,
    /// What to do about that.
    pub(in crate::model::diagnosis) remedy: &'static str,
    /// The figures that show it.
    pub(in crate::model::diagnosis) evidence: Vec<(&'static str, Figure)>,
}

/// Why nobody accepts from a listener at which some have waited for the whole window; none if the acceptors go on, or
/// another rule tells of it.
pub(in crate::model::diagnosis) fn of(facts: &Facts<'_>, member: &Member<'_>) -> Option<Cause> {
    let listener = member.listener;
    let threads = |one: &AcceptedBy| facts.thread(one.pid, one.tid);
    let alive: Vec<(&AcceptedBy, Option<&Thread>)> = listener
        .acceptors
        .alive
        .iter()
        .filter(|one| one.accepts > 0)
        .map(|one| (one, threads(one)))
        .collect();
    if facts.fails(listener) {
        return None;
    }
    if member.counted.accepted > 0 {
        // Some are accepted: only threads that sleep beside a queue have not been told of it.
        let asleep = |(_, thread): &(&AcceptedBy, Option<&Thread>)| {
            thread.is_some_and(|thread| does::is_asleep(thread) && does::is_not_told(thread, listener.cookie))
        };
        if alive.is_empty() || !alive.iter().all(asleep) {
            return None;
        }
    }
    if alive.is_empty() {
        return Some(never(facts, listener));
    }
    let mut does: Vec<(&AcceptedBy, Option<&Thread>, Does)> =
        alive.iter().map(|(one, thread)| (*one, *thread, does::does(facts, listener, *thread))).collect();
    let count = |word: &str| does.iter().filter(|(_, _, does)| does.word == word).count();
    // The reason of most, and of those the thread that accepted last, which is first.
    let counts: Vec<usize> = does.iter().map(|(_, _, does)| count(does.word)).collect();
    let most = counts.iter().copied().max()?;
    let index = counts.iter().position(|count| *count == most)?;
    let all = does.len();
    let (one, thread, does) = does.swap_remove(index);
    let who = thread.map_or_else(|| format!("{}/{}", one.comm, one.tid), name);
    let ago = one.accepted_ns.map(|ns| facts.snapshot.time_ns.saturating_sub(ns));
    let last =
        ago.map(|ns| format!(", which accepted last {} ago,", figures::duration(ns))).unwrap_or_default();
    let rest = match (most, all) {
        (1, 1) => String::new(),
        (2, 2) => " (the same of both threads that accept)".to_owned(),
        (most, all) if most == all => format!(" (the same of all {all} threads that accept)"),
        (1, all) => format!(" (of {all} threads that accept each does something else)"),
        (most, all) => format!(" (the same of {most} of {all} threads that accept)"),
    };
    let mut evidence = evidence(facts, listener, thread, &does);
    evidence.push(("acceptor", who.clone().into()));
    evidence.push(("acceptors", (all as u64).into()));
    evidence.extend(ago.map(|ns| ("accepted_last_ns", ns.into())));
    Some(Cause {
        word: does.word,
        says: format!("{who}{last} {}{rest}", does.text),
        remedy: does.remedy,
        evidence,
    })
}

pub(super) fn evidence(
    facts: &Facts<'_>,
    listener: &Listener,
    thread: Option<&Thread>,
    does: &Does,
) -> Vec<(&'static str, Figure)> {
    let mut evidence = vec![open(listener)];
    let Some(thread) = thread else { return evidence };
    evidence.extend(thread.doing.clone().map(|doing| ("doing", doing.into())));
    evidence.extend(thread.rates.running.map(|running| ("running", running.into())));
    evidence.extend(thread.rates.ready.map(|ready| ("ready", ready.into())));
    evidence.extend(does::still_ns(facts, thread).map(|ns| ("still_ns", ns.into())));
    evidence.extend(does.waits_for.clone().map(|what| ("waits_for", what.into())));
    evidence
}

/// Connections that are open; of a listener from before the start no more than those that came since are known.
pub(super) fn open(listener: &Listener) -> (&'static str, Figure) {
    let name = if listener.opened_ns.is_some() { "open" } else { "open_at_least" };
    (name, does::open(listener).into())
}
