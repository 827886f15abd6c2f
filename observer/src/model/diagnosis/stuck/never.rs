//! A queue from which no thread that lives has accepted.

use super::{
    cause::{self, Cause},
    does::{UNKNOWN, does, open},
};
use crate::{
    figures,
    model::{
        evidence::{Facts, name},
        snapshot::{Listener, Thread},
    },
};

/// What a thread does that cannot run.
const CANNOT_RUN: [&str; 4] = ["stopped", "traced", "frozen", "uninterruptible"];

/// No thread that lives has accepted from it since it is watched.
pub(super) fn never(facts: &Facts<'_>, listener: &Listener) -> Cause {
    let holders = listener.acceptors.holders.as_deref().unwrap_or_default();
    let pid = holders.first().map_or(listener.pid, |holder| holder.pid);
    let of_it: Vec<&Thread> =
        facts.snapshot.threads.iter().filter(|thread| thread.pid == pid && !thread.exited).collect();
    // With one process and one thread there is no doubt about who should accept.
    let only = match of_it.as_slice() {
        [one] if holders.len() <= 1 => Some(*one),
        _ => of_it.iter().copied().find(|thread| thread.tid == pid && holders.len() <= 1),
    };
    let is_single = of_it.len() == 1 && holders.len() <= 1;
    let seen_from_its_start = listener.opened_ns.is_some();
    // What the first thread of several does, mostly to wait for the others, is no reason for anything; that it cannot run
    // is.
    let does = only
        .map(|thread| does(facts, listener, Some(thread)))
        .filter(|does| is_single || CANNOT_RUN.contains(&does.word));
    let (it, has, accepted) = match holders.len() {
        0 | 1 => ("it", "has", "it has"),
        _ => ("they", "have", "none of them has"),
    };
    let (word, past) = match &listener.acceptors.gone {
        Some(gone) => {
            let ago = gone.accepted_ns.map_or(0, |ns| facts.snapshot.time_ns.saturating_sub(ns));
            let gone = format!(
                "{}/{}, which accepted last {} ago, has ended, and {accepted} never accepted from it",
                gone.comm,
                gone.tid,
                figures::duration(ago)
            );
            ("acceptor_gone", gone)
        }
        None if seen_from_its_start && listener.accepted == 0 => {
            let since = listener.opened_ns.map_or(0, |ns| facts.snapshot.time_ns.saturating_sub(ns));
            let been = figures::duration(since);
            ("never_accepted", format!("{accepted} never accepted in the {been} since listen(2)"))
        }
        None if listener.accepted == 0 => {
            ("never_accepted", format!("{accepted} not accepted since {it} {has} been watched"))
        }
        None => ("unknown", "who accepted before is not known".to_owned()),
    };
    let remedy = "end that process, or let it accept; a descriptor that a child or an old process has inherited keeps the \
                  socket alive";
    let (mut evidence, mut says) = (Vec::new(), past);
    let (mut word, mut remedy) = (word, if word == "unknown" { UNKNOWN } else { remedy });
    if let (Some(thread), Some(does)) = (only, does) {
        evidence = cause::evidence(facts, listener, Some(thread), &does);
        if does.word != "unknown" {
            let who =
                if is_single { "its only thread".to_owned() } else { format!("its thread {}", name(thread)) };
            says = format!("{says}; {who} {}", does.text);
        }
        // A process that cannot run says nothing by not accepting. What was not seen from its start may be as any other.
        let cannot = CANNOT_RUN.contains(&does.word);
        let may_have =
            is_single && !seen_from_its_start && !["unknown", "not_woken", "sleep"].contains(&does.word);
        if cannot || may_have || word == "unknown" {
            (word, remedy) = (does.word, does.remedy);
        }
    }
    evidence.push(("open", open(listener).into()));
    Cause { word, says, remedy, evidence }
}
