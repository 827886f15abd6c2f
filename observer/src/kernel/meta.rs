//! What does not change while the observer runs.

use std::{
    collections::BTreeMap,
    time::{SystemTime, UNIX_EPOCH},
};

use super::{choice::Outcome, clock::now_ns, origin, tasks};
use crate::model::{
    drops::Telling,
    histogram::QUANTILE_ERROR,
    snapshot::{CookiesTold, Filters, Meta},
};

/// Version of the lines: fields are added without a new one, never renamed.
const SCHEMA: u32 = 1;

/// Describes a session.
pub fn of(outcomes: &[Outcome], filters: &Filters) -> Meta {
    let mut signals = BTreeMap::new();
    let mut signal_notes = BTreeMap::new();
    for outcome in outcomes {
        let name = outcome.signal.name.to_owned();
        signals.insert(name.clone(), outcome.hook.map(|hook| hook.name.to_owned()));
        if let Some(note) = note(outcome) {
            signal_notes.insert(name, note);
        }
    }
    if !tasks::ids_are_the_hosts() {
        let note = "the observer runs in a PID namespace, and ids of processes and threads here are the host's: \
                    wake-ups and exits of threads are unknown, and --pid takes the host's id";
        signal_notes.insert("wakeups".to_owned(), note.to_owned());
        signals.insert("wakeups".to_owned(), None);
    }
    Meta {
        schema: SCHEMA,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        kernel: origin::release(),
        boot_time_unix_ns: boot_time(),
        signals,
        signal_notes,
        filters: filters.clone(),
        quantile_error: QUANTILE_ERROR,
        telling: telling(outcomes),
        cookies: cookies(outcomes),
    }
}

/// What the hook in use cannot see, and why it is not a better one; or why there is none.
fn note(outcome: &Outcome) -> Option<String> {
    let reasons: Vec<String> =
        outcome.refused.iter().map(|(hook, refusal)| format!("{}: {refusal}", hook.name)).collect();
    let reasons = reasons.join("; ");
    match outcome.hook {
        None => Some(format!("unavailable: {reasons}; {}", outcome.signal.without)),
        Some(hook) => {
            let blind = hook.blind.map(|blind| format!("cannot see: {blind}"));
            let better = (!reasons.is_empty()).then(|| format!("better ones are refused: {reasons}"));
            let both: Vec<String> = blind.into_iter().chain(better).collect();
            (!both.is_empty()).then(|| both.join("; "))
        }
    }
}

/// The programs that give a signal.
fn programs(outcomes: &[Outcome], signal: &str) -> &'static [&'static str] {
    let outcome = outcomes.iter().find(|outcome| outcome.signal.name == signal);
    outcome.and_then(|outcome| outcome.hook).map_or(&[], |hook| hook.programs)
}

/// What the hook for refusals tells of their causes.
fn telling(outcomes: &[Outcome]) -> Telling {
    let programs = programs(outcomes, "drop");
    if programs.contains(&"conn_request") {
        Telling::Each
    } else if programs.contains(&"packet_dropped") {
        Telling::LastAck
    } else {
        Telling::Nothing
    }
}

/// What the hook for cookies tells of each listener's.
fn cookies(outcomes: &[Outcome]) -> CookiesTold {
    let programs = programs(outcomes, "cookie");
    CookiesTold {
        sent: programs.contains(&"make_synack"),
        failed: programs.iter().any(|program| program.starts_with("cookie_checked")),
    }
}

/// Unix time at which CLOCK_MONOTONIC was zero.
fn boot_time() -> u64 {
    let unix = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as u64);
    unix.saturating_sub(now_ns().unwrap_or(0))
}
