//! A queue from which no thread that lives has accepted.

use std::{cmp::Reverse, collections::BTreeMap};

use super::{
    cause::{self, Cause},
    does::{self, Does, UNKNOWN},
    ends, told,
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
/// What a thread does that waits for a client, or serves it.
const AT_CLIENT: [&str; 3] = ["silent_client", "slow_reader", "serving"];
/// What a thread does that is known to wait for clients.
const WATCHES: [&str; 2] = ["edge_triggered", "disarmed"];
/// What a thread does for which others of its process wait.
const WORKS: [&str; 2] = ["busy", "no_processor"];
/// What tells why none of several processes accepts, if all of their threads do it.
const TELLS: [&str; 9] = [
    "silent_client",
    "upstream",
    "slow_reader",
    "file_lock",
    "disk",
    "busy",
    "no_processor",
    "edge_triggered",
    "sleep",
];
/// What all threads of a process may do that says nothing.
const TELLS_NOTHING: [&str; 5] = ["unknown", "not_woken", "serving", "child", "signal"];

/// Different doings that a sentence tells.
const MOST_DOINGS: usize = 3;

/// What to do about somebody who never came.
const COME: &str = "let it accept; end it if it is left over (an old process, a child that inherited the descriptor): that keeps the \
                    socket alive";

/// What to do where the process that accepted is gone and others hold the listener: its parent, or what it left behind.
const LEFT_OVER: &str = "see the log of what ended; whoever holds the listener has to accept, or to start another that does: if it is left \
                         over (a child that inherited the descriptor), end it, because it keeps the address from a new start";

/// The same, of one that has only begun to listen.
const STARTS: &str = "see whether it is still starting: it has not come to accept(2) since listen(2)";
/// So long after listen(2) a program may still be starting.
const START_NS: u64 = 15_000_000_000;

/// Why nobody accepts, as far as no thread that lives has accepted from it since it is watched.
pub(super) fn never(facts: &Facts<'_>, listener: &Listener) -> Cause {
    let seen_from_its_start = listener.opened_ns.is_some();
    let (mut word, past) = past(facts, listener);
    let mut remedy = match word {
        "acceptor_gone" if is_held_by_others(facts, listener) => LEFT_OVER,
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
            let age = |ns| facts.snapshot.time_ns.saturating_sub(ns);
            let is_young = listener.opened_ns.is_some_and(|ns| age(ns) < START_NS);
            if word == "never_accepted" && is_young && WORKS.contains(&does.word) {
                remedy = STARTS;
            }
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
        let failed = match &gone.errno {
            Some(errno) => format!(" after accept(2) had failed with {errno}"),
            None => String::new(),
        };
        let own = |gone: &AcceptedBy| holders.iter().any(|holder| holder.pid == gone.pid);
        let others = if own(gone) { "no other thread has accepted" } else { "nobody else has accepted" };
        let when = cause::accepted_last(facts, gone);
        let text = format!("{}/{}{when} has ended{failed}, and {others}", gone.comm, gone.tid);
        return ("acceptor_gone", text);
    }
    let left =
        listener.acceptors.alive.iter().find(|one| one.accepts > 0 && !cause::holds(listener, one.pid));
    if let Some(left) = left {
        let when = cause::accepted_last(facts, left);
        let (word, what) = match facts.thread(left.pid, left.tid) {
            Some(_) => ("handed_over", "holds it no more"),
            None => ("acceptor_gone", "has ended"),
        };
        return (word, format!("{}/{}{when} {what}, and nobody else has accepted", left.comm, left.tid));
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

/// None of those who hold it is the process that accepted.
fn is_held_by_others(facts: &Facts<'_>, listener: &Listener) -> bool {
    let acceptors = &listener.acceptors;
    let holders = acceptors.holders.as_deref().unwrap_or_default();
    let accepted =
        acceptors.gone.as_deref().into_iter().chain(acceptors.alive.iter().filter(|one| one.accepts > 0));
    let mut accepted = accepted.map(|one| one.pid);
    let lives = |pid: u32| facts.snapshot.threads.iter().any(|thread| thread.pid == pid && !thread.exited);
    !accepted.any(|pid| holders.iter().any(|holder| holder.pid == pid))
        && holders.iter().any(|holder| lives(holder.pid))
}

/// Somebody has accepted from another listener of its group.
fn sibling_goes_on(facts: &Facts<'_>, listener: &Listener) -> bool {
    let has = |cookie: u64| move |member: &Member<'_>| member.listener.cookie == cookie;
    let mut own = facts.places.iter().filter(|place| place.members.iter().any(has(listener.cookie)));
    own.any(|place| place.members.iter().any(|member| member.listener.accepted > 0))
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
///
/// Any of them may be the one that accepts. Who waits for a client of this listener is: it accepted it. Of the others one
/// that cannot run is told, and else a wait that all of them share.
fn tells<'a>(facts: &Facts<'a>, listener: &Listener) -> Option<(&'a Thread, Does, String)> {
    let threads = of_holders(facts, listener);
    let all: Vec<(&Thread, Does)> =
        threads.iter().map(|thread| (*thread, does::does(facts, listener, Some(thread)))).collect();
    let accepts = |(thread, does): &&(&Thread, Does)| {
        let is_at_client = ends::is_at_client(thread, listener) && AT_CLIENT.contains(&does.word);
        is_at_client || WATCHES.contains(&does.word) && told::watches(thread, listener.cookie)
    };
    let lives = |pid: u32| all.iter().any(|(thread, does)| thread.pid == pid && does.word != "acceptor_gone");
    let cannot_run = |(thread, does): &&(&Thread, Does)| {
        let is_first = thread.tid == thread.pid || is_alone(&threads, thread);
        // A first thread may end before the others (pthread_exit(3)).
        let is_over = does.word == "acceptor_gone" && lives(thread.pid);
        CANNOT_RUN.contains(&does.word) && is_first && !is_over
    };
    let mut found: Vec<&(&Thread, Does)> = all.iter().filter(accepts).collect();
    if found.is_empty() {
        found = all.iter().filter(cannot_run).collect();
    }
    if found.is_empty() {
        found = alike(listener, &threads, &all);
    }
    let same = |word: &str| found.iter().filter(|(_, does)| does.word == word).count();
    let count = found.iter().map(|(_, does)| same(does.word)).max()?;
    let (thread, does) = found.iter().find(|(_, does)| same(does.word) == count)?;
    let many = if count > 1 { format!(" (the same of {count} threads)") } else { String::new() };
    Some((thread, does.clone(), many))
}

fn is_alone(threads: &[&Thread], thread: &Thread) -> bool {
    threads.iter().filter(|other| other.pid == thread.pid).count() == 1
}

/// The threads that could accept, if all of them do the same and that tells why they do not.
fn alike<'a, 'b>(
    listener: &Listener,
    threads: &[&Thread],
    all: &'b [(&'a Thread, Does)],
) -> Vec<&'b (&'a Thread, Does)> {
    // Whoever waits for a child or a signal does nothing else. Threads that wait for work wait for the first thread, if that is at work.
    let first_works = |pid: u32| {
        let is_it = |(thread, does): &(&Thread, Does)| {
            thread.pid == pid && thread.tid == pid && WORKS.contains(&does.word)
        };
        all.iter().any(is_it)
    };
    let could = |(thread, does): &&(&Thread, Does)| match does.word {
        "child" | "signal" => false,
        "lock" => !first_works(thread.pid),
        _ => true,
    };
    let could: Vec<&(&Thread, Does)> = all.iter().filter(could).collect();
    let Some((first, does)) = could.first().copied() else { return Vec::new() };
    let same = could.iter().all(|(_, other)| other.word == does.word);
    let one_process = threads.iter().all(|thread| thread.pid == first.pid);
    let tells = match does.word {
        "stopped_accepting" => {
            let nobody_watches = !threads.iter().any(|thread| told::watches(thread, listener.cookie));
            one_process && nobody_watches && told::is_not_told(first, listener.cookie)
        }
        word if TELLS.contains(&word) => true,
        word => one_process && !TELLS_NOTHING.contains(&word),
    };
    if same && tells { could } else { Vec::new() }
}
