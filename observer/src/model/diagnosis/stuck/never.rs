//! A queue from which no thread that lives has accepted.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    cause::{self, Cause},
    does::{self, Does, UNKNOWN},
};
use crate::{
    figures,
    model::{
        evidence::{Facts, Member, name},
        snapshot::{AcceptedBy, Listener, Thread},
    },
};

/// What a thread does that cannot run.
const CANNOT_RUN: [&str; 5] = ["stopped", "traced", "frozen", "uninterruptible", "acceptor_gone"];
/// What the only thread of a process does not do while it only waits for work.
const TELLS: [&str; 8] = [
    "silent_client",
    "upstream",
    "slow_reader",
    "file_lock",
    "disk",
    "busy",
    "no_processor",
    "edge_triggered",
];
/// What tells of the first of several threads: the others may be at work, or wait for it, all day.
const TELLS_OF_FIRST: [&str; 4] = ["busy", "no_processor", "edge_triggered", "disarmed"];
/// What the only thread of a process may do that says nothing.
const TELLS_NOTHING: [&str; 4] = ["unknown", "not_woken", "serving", "child"];

/// Different doings that a sentence tells.
const MOST_DOINGS: usize = 3;

/// What to do about somebody who never came.
const COME: &str = "let it accept; end it if it is left over (an old process, a child that inherited the descriptor): that keeps the \
                    socket alive";

/// Why nobody accepts, as far as no thread that lives has accepted from it since it is watched.
pub(super) fn never(facts: &Facts<'_>, listener: &Listener) -> Cause {
    let seen_from_its_start = listener.opened_ns.is_some();
    let (mut word, past) = past(facts, listener);
    let mut remedy = match word {
        "acceptor_gone" => {
            "see the log of the program, and start it again; what the ended thread accepted nobody else will"
        }
        "unknown" => UNKNOWN,
        _ => COME,
    };
    // A wait from before the start may be any.
    if word == "never_accepted" && !seen_from_its_start && !sibling_goes_on(facts, listener) {
        (word, remedy) = ("unknown", UNKNOWN);
    }
    let mut says = past.clone();
    let mut evidence = Vec::new();
    if let Some((thread, does, many)) = tells(facts, listener) {
        evidence = cause::evidence(facts, listener, Some(thread), &does);
        // What was seen from listen(2) on has its reason in that; but a process that cannot run says nothing by not accepting.
        if word == "unknown" || CANNOT_RUN.contains(&does.word) {
            says = format!("{} {}{many} ({past})", name(thread), does.text);
            (word, remedy) = (does.word, does.remedy);
        } else {
            says = format!("{past}; {} {}{many}", name(thread), does.text);
        }
    } else if let Some(doings) = doings(facts, listener).filter(|_| word == "unknown") {
        says = format!("{past}; {doings}");
    }
    evidence.push(cause::open(listener));
    Cause { word, says, remedy, evidence }
}

/// What is known of who accepted before.
fn past(facts: &Facts<'_>, listener: &Listener) -> (&'static str, String) {
    let holders = listener.acceptors.holders.as_deref().unwrap_or_default();
    let ago = |ns: u64| figures::duration(facts.snapshot.time_ns.saturating_sub(ns));
    let many = holders.len() > 1;
    if let Some(gone) = &listener.acceptors.gone {
        let when = gone.accepted_ns.map(|ns| format!(", which accepted last {} ago,", ago(ns)));
        let failed = match &gone.errno {
            Some(errno) => format!(" after accept(2) had failed with {errno}"),
            None => String::new(),
        };
        let own = |gone: &AcceptedBy| holders.iter().any(|holder| holder.pid == gone.pid);
        let others = if own(gone) { "no other thread has accepted" } else { "nobody else has accepted" };
        let when = when.unwrap_or_default();
        let text = format!("{}/{}{when} has ended{failed}, and {others}", gone.comm, gone.tid);
        return ("acceptor_gone", text);
    }
    if listener.accepted > 0 {
        return ("unknown", "who accepted before is not known".to_owned());
    }
    let text = match (listener.opened_ns, many) {
        (Some(opened), false) => format!("it has never accepted in the {} since listen(2)", ago(opened)),
        (Some(opened), true) => {
            format!("none of them has ever accepted in the {} since listen(2)", ago(opened))
        }
        (None, false) => "it has not accepted since it has been watched".to_owned(),
        (None, true) => "none of them has accepted since they have been watched".to_owned(),
    };
    ("never_accepted", text)
}

/// Somebody accepts from another listener of its group.
fn sibling_goes_on(facts: &Facts<'_>, listener: &Listener) -> bool {
    let has = |cookie: u64| move |member: &Member<'_>| member.listener.cookie == cookie;
    let mut own = facts.places.iter().filter(|place| place.members.iter().any(has(listener.cookie)));
    own.any(|place| place.members.iter().any(|member| member.counted.accepted > 0))
}

/// Threads of those who hold it.
fn of_holders<'a>(facts: &Facts<'a>, listener: &Listener) -> Vec<&'a Thread> {
    let holders = listener.acceptors.holders.as_deref().unwrap_or_default();
    let is_holder = |pid: u32| match holders {
        [] => pid == listener.pid,
        some => some.iter().any(|holder| holder.pid == pid),
    };
    facts.snapshot.threads.iter().filter(|thread| is_holder(thread.pid) && !thread.exited).collect()
}

/// What those threads do, when none of them tells why nobody accepts.
fn doings(facts: &Facts<'_>, listener: &Listener) -> Option<String> {
    let threads = of_holders(facts, listener);
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for doing in threads.iter().filter_map(|thread| thread.doing.as_deref()) {
        *counts.entry(doing).or_default() += 1;
    }
    let mut counts: Vec<(&str, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| Reverse(*count));
    let told: Vec<String> = counts
        .into_iter()
        .take(MOST_DOINGS)
        .map(|(doing, count)| match doing {
            "runs" | "stopped" | "traced" => format!("{count} {doing}"),
            call => format!("{count} in {call}(2)"),
        })
        .collect();
    let noun = if threads.len() == 1 { "thread" } else { "threads" };
    (!told.is_empty()).then(|| format!("of {} {noun} {}", threads.len(), figures::listed(&told)))
}

/// A thread of the holders whose wait or work tells why nobody accepts, and how many are like it.
fn tells<'a>(facts: &Facts<'a>, listener: &Listener) -> Option<(&'a Thread, Does, String)> {
    let threads = of_holders(facts, listener);
    let is_alone = |thread: &Thread| threads.iter().filter(|other| other.pid == thread.pid).count() == 1;
    let only_process =
        threads.iter().all(|thread| Some(thread.pid) == threads.first().map(|first| first.pid));
    let nobody_watches = !threads.iter().any(|thread| does::watches(thread, listener.cookie));
    // The less it could be what a helper or a parent does all day, the more it tells.
    let rank = |thread: &Thread, does: &Does| match does.word {
        "stopped_accepting" if only_process && nobody_watches => {
            does::is_not_told(thread, listener.cookie).then_some(3)
        }
        "stopped_accepting" => None,
        word if CANNOT_RUN.contains(&word) => (is_alone(thread) || thread.tid == thread.pid).then_some(0),
        word if !is_alone(thread) => {
            let is_it = thread.tid == thread.pid || does::watches(thread, listener.cookie);
            (is_it && TELLS_OF_FIRST.contains(&word)).then_some(1)
        }
        word if TELLS.contains(&word) => Some(1),
        "sleep" => Some(2),
        word => (only_process && !TELLS_NOTHING.contains(&word)).then_some(2),
    };
    let mut ranked: Vec<(i32, &Thread, Does)> = threads
        .iter()
        .filter_map(|thread| {
            let does = does::does(facts, listener, Some(thread));
            Some((rank(thread, &does)?, *thread, does))
        })
        .collect();
    let best = ranked.iter().map(|(rank, ..)| *rank).min()?;
    ranked.retain(|(rank, ..)| *rank == best);
    let alike = |word: &str| ranked.iter().filter(|(.., does)| does.word == word).count();
    let count = ranked.iter().map(|(.., does)| alike(does.word)).max()?;
    let index = ranked.iter().position(|(.., does)| alike(does.word) == count)?;
    let many = if count > 1 { format!(" (the same of {count} threads)") } else { String::new() };
    let (_, thread, does) = ranked.swap_remove(index);
    Some((thread, does, many))
}
