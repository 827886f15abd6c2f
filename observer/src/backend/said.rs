//! What a backend said last, and what of that is for the model: changes, and the load that is offered.

use demo_server::control::{ActiveLoad, State};
use serde::{Deserialize, Serialize};

use crate::{
    figures,
    model::{
        mark::{Mark, What},
        offered::Offered,
    },
};

/// What a backend says of itself. The model takes it for nothing but news that outputs want.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Said {
    /// Number of the backend, in the order in which they were named.
    pub backend: u32,
    /// Its last state, if it answered.
    pub state: Option<Box<State>>,
    /// Why there is none.
    pub error: Option<String>,
}

/// A load in words: `steady 200/s`, `churn ×16`.
pub fn load_label(load: &ActiveLoad) -> String {
    match load.rate {
        Some(rate) => format!("{} {}/s", load.profile, figures::rate(rate)),
        None => format!("{} ×{}", load.profile, load.connections),
    }
}

/// What it offers to its own listeners.
pub(super) fn offered(state: &State) -> Option<Offered> {
    let load = state.load.as_ref()?;
    Some(Offered {
        pid: load.pid,
        rate: load.rate,
        connections: load.connections,
        is_even: matches!(load.profile.as_str(), "steady" | "poisson") && load.requests_per_connection == 1,
        listeners: state.listeners.iter().map(|listener| listener.cookie).collect(),
    })
}

/// What changed from one state to the next, which was told of with these words.
pub(super) fn changes(before: &State, now: &State, reason: &str, time_ns: u64) -> Vec<Mark> {
    let mut marks = Vec::new();
    let mut compare = |what, name: &str, from: Option<String>, to: Option<String>| {
        if from != to {
            marks.push(Mark { time_ns, what, name: name.to_owned(), from, to });
        }
    };
    compare(What::Pattern, "", Some(before.pattern.clone()), Some(now.pattern.clone()));
    for ((name, from), (_, to)) in before.settings.shown().into_iter().zip(now.settings.shown()) {
        compare(What::Setting, name, Some(from), Some(to));
    }
    let load = |state: &State| state.load.as_ref().map(load_label);
    compare(What::Load, "", load(before), load(now));
    let on = |state: &State, name: &str| {
        state.faults.iter().any(|fault| fault.name == name).then(|| "on".to_owned())
    };
    for fault in &now.faults {
        compare(What::Fault, &fault.name, on(before, &fault.name), Some("on".to_owned()));
    }
    for fault in before.faults.iter().filter(|fault| on(now, &fault.name).is_none()) {
        compare(What::Fault, &fault.name, None, Some("off".to_owned()));
    }
    if marks.is_empty() {
        // Such as a fault that is over as soon as it has happened.
        marks.push(Mark { time_ns, what: What::Other, name: reason.to_owned(), from: None, to: None });
    }
    marks
}
