//! Why nobody accepts: what the threads that should do it have done over the whole window.

use super::{
    does::{self, Does},
    never::never,
    told,
};
use crate::{
    figures,
    model::{
        acceptors::HOLDERS,
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

/// What acceptors do that wait for one of them.
const WAITS_FOR_ANOTHER: [&str; 2] = ["lock", "file_lock"];

/// Why nobody accepts from a listener at which some have waited for the whole window; none if the acceptors go on, or
/// another rule tells of it.
pub(in crate::model::diagnosis) fn of(facts: &Facts<'_>, member: &Member<'_>) -> Option<Cause> {
    let listener = member.listener;
    let threads = |one: &AcceptedBy| facts.thread(one.pid, one.tid);
    let alive: Vec<(&AcceptedBy, Option<&Thread>)> = listener
        .acceptors
        .alive
        .iter()
        .filter(|one| one.accepts > 0 && holds(listener, one.pid))
        .map(|one| (one, threads(one)))
        .collect();
    if facts.fails(listener) {
        return None;
    }
    if member.counted.accepted > 0 || super::goes_on(facts, member) {
        // Some are accepted: only threads that sleep beside a queue have not been told of it.
        let asleep = |(_, thread): &(&AcceptedBy, Option<&Thread>)| {
            thread.is_some_and(|thread| does::is_asleep(thread) && told::is_not_told(thread, listener.cookie))
        };
        if alive.is_empty() || !alive.iter().all(asleep) {
            return None;
        }
    }
    if alive.is_empty() {
        return Some(never(facts, listener));
    }
    let mut others: Vec<(&AcceptedBy, Option<&Thread>, Does)> =
        alive.iter().map(|(one, thread)| (*one, *thread, does::does(facts, listener, *thread))).collect();
    let count = |word: &str| others.iter().filter(|(_, _, does)| does.word == word).count();
    // The reason of most, and of those the thread that accepted last, which is first.
    let counts: Vec<usize> = others.iter().map(|(_, _, does)| count(does.word)).collect();
    let most = counts.iter().copied().max()?;
    let index = counts.iter().position(|count| *count == most)?;
    let all = others.len();
    let (one, thread, does) = others.remove(index);
    let name_of = |one: &AcceptedBy, thread: Option<&Thread>| {
        thread.map_or_else(|| format!("{}/{}", one.comm, one.tid), name)
    };
    let who = name_of(one, thread);
    let last = accepted_last(facts, one);
    let rest = match (most, all) {
        (1, 1) => String::new(),
        (2, 2) => " (the same of both threads that accept)".to_owned(),
        (most, all) if most == all => format!(" (the same of all {all} threads that accept)"),
        (1, all) => format!(" (of {all} threads that accept each does something else)"),
        (most, all) => format!(" (the same of {most} of {all} threads that accept)"),
    };
    let mut evidence = evidence(facts, listener, thread, &does);
    // Who waits for another waits perhaps for the one that does something else.
    let other =
        others.iter().find(|(_, _, other)| WAITS_FOR_ANOTHER.contains(&does.word) && other.word != does.word);
    let other = other
        .map(|(one, thread, other)| format!("{}, which accepts too, {}", name_of(one, *thread), other.text));
    evidence.extend(other.clone().map(|other| ("another", other.into())));
    let other = other.map(|other| format!("; {other}")).unwrap_or_default();
    evidence.push(("acceptor", who.clone().into()));
    evidence.push(("acceptors", (all as u64).into()));
    evidence.extend(since_accept(facts, one).map(|ns| ("accepted_last_ns", ns.into())));
    Some(Cause {
        word: does.word,
        says: format!("{who}{last} {}{rest}{other}", does.text),
        remedy: does.remedy,
        evidence,
    })
}

/// So long ago a thread accepted last.
fn since_accept(facts: &Facts<'_>, one: &AcceptedBy) -> Option<u64> {
    one.accepted_ns.map(|ns| facts.snapshot.time_ns.saturating_sub(ns))
}

/// The same for a sentence, after the thread's name; nothing if it is not known.
pub(super) fn accepted_last(facts: &Facts<'_>, one: &AcceptedBy) -> String {
    let ago = since_accept(facts, one).map(figures::duration);
    ago.map(|ago| format!(", which accepted last {ago} ago,")).unwrap_or_default()
}

/// A process still holds a listener, as far as its holders are known: who has closed it will not accept.
pub(super) fn holds(listener: &Listener, pid: u32) -> bool {
    let holders = listener.acceptors.holders.as_deref().unwrap_or_default();
    // Of very many some are not told.
    holders.is_empty() || holders.len() >= HOLDERS || holders.iter().any(|holder| holder.pid == pid)
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
