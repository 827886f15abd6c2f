//! What the bundled backend says of itself, and what it can be asked to do: the only file of the screen that knows
//! its protocol.

use demo_server::control::{ActiveLoad, LoadRequest, Request, Settings, State};
use demo_server::pattern::{self, PATTERNS, Pattern};
use demo_server::settings::Change;

use super::{effect::Effect, figures};
use crate::model::snapshot::{Listener, Snapshot};

/// What runs, in words.
#[derive(Debug, Clone, Default)]
pub(crate) struct Running {
    /// Id of the pattern.
    pub pattern: String,
    /// Its settings.
    pub settings: Settings,
    /// What is thrown at it; none when nothing is.
    pub load: Option<String>,
    /// What is broken on purpose.
    pub faults: Vec<String>,
}

impl Running {
    /// Number and id of the pattern: `2 acceptor-readers`.
    pub(crate) fn pattern_label(&self) -> String {
        match pattern::find(&self.pattern) {
            Some(Pattern { number: Some(number), id, .. }) => format!("{number} {id}"),
            _ => self.pattern.clone(),
        }
    }

    /// The faults in one line.
    pub(crate) fn faults_label(&self) -> String {
        if self.faults.is_empty() { "none".to_owned() } else { self.faults.join(", ") }
    }
}

/// The backend's state, when it answers.
pub(crate) fn state(snapshot: &Snapshot) -> Option<&State> {
    snapshot.demo.as_ref()?.state.as_deref()
}

/// What runs, when the backend answers.
pub(crate) fn running(snapshot: &Snapshot) -> Option<Running> {
    let state = state(snapshot)?;
    Some(Running {
        pattern: state.pattern.clone(),
        settings: state.settings,
        load: state.load.as_ref().map(load_label),
        faults: state.faults.iter().map(|fault| fault.name.clone()).collect(),
    })
}

/// The row of the pattern that runs.
pub(crate) fn current_pattern(snapshot: &Snapshot) -> Option<&'static Pattern> {
    pattern::find(&state(snapshot)?.pattern)
}

/// Changes of pattern, load and fault so far, oldest first.
pub(crate) fn changes(snapshot: &Snapshot) -> &[(u64, String)] {
    snapshot.demo.as_ref().map_or(&[], |demo| &demo.changes)
}

/// A change without what was before: `pattern sharding` for `pattern single-thread → sharding`.
pub(crate) fn short_change(change: &str) -> String {
    let short = |part: &str| match (part.split_once(' '), part.rsplit_once(" → ")) {
        (Some((what, _)), Some((_, now))) => format!("{what} {now}"),
        _ => part.to_owned(),
    };
    change.split(", ").map(short).collect::<Vec<_>>().join(", ")
}

/// Whether a listener belongs to the backend; without one, every listener counts.
pub(crate) fn concerns(snapshot: &Snapshot, listener: &Listener) -> bool {
    state(snapshot).is_none_or(|state| {
        state.pid == listener.pid || state.listeners.iter().any(|own| own.cookie == listener.cookie)
    })
}

/// Asks for another pattern.
pub(crate) fn switch_to(pattern: &Pattern) -> Effect {
    set(Change { pattern: Some(pattern.id.to_owned()), ..Change::default() })
}

/// Asks for the pattern with this number in the course.
pub(crate) fn switch_to_number(number: char) -> Option<Effect> {
    let digit = number.to_digit(10)?;
    numbered().find(|(number, _)| u32::from(*number) == digit).map(|(_, pattern)| switch_to(pattern))
}

/// Asks for other settings.
pub(crate) fn set(change: Change) -> Effect {
    Effect::Demo(Request::Set(change))
}

/// The patterns that can be named by a digit, with their digits.
pub(crate) fn numbered() -> impl Iterator<Item = (u8, &'static Pattern)> {
    PATTERNS.iter().filter_map(|pattern| pattern.number.map(|number| (number, pattern)))
}

/// A load in words: `steady 200/s`, `churn ×16`.
pub(crate) fn load_label(load: &ActiveLoad) -> String {
    match load.rate {
        Some(rate) => format!("{} {}/s", load.profile, figures::rate(rate)),
        None => format!("{} ×{}", load.profile, load.connections),
    }
}

/// A request in words.
pub(crate) fn describe(request: &Request) -> String {
    match request {
        Request::Set(change) => describe_change(change),
        Request::Fault { name, on, .. } => format!("fault {name} {}", if *on { "on" } else { "off" }),
        Request::Load(LoadRequest { profile: Some(profile), rate, connections, .. }) => {
            let rate = rate.map(|rate| format!(" {}/s", figures::rate(rate)));
            let connections = connections.map(|connections| format!(" ×{connections}"));
            format!("load {profile}{}{}", rate.unwrap_or_default(), connections.unwrap_or_default())
        }
        Request::Load(_) => "load off".to_owned(),
        Request::State {} => "its state".to_owned(),
        Request::Subscribe {} => "its changes".to_owned(),
        Request::Stop {} => "an end".to_owned(),
    }
}

fn describe_change(change: &Change) -> String {
    let number = |name: &str, value: Option<u64>| value.map(|value| format!("{name} {value}"));
    let time = |name: &str, us: Option<u64>| {
        us.map(|us| format!("{name} {}", figures::duration(us.saturating_mul(1_000))))
    };
    let parts = [
        change.pattern.as_ref().map(|pattern| format!("pattern {pattern}")),
        number("workers", change.workers.map(u64::from)),
        number("backlog", change.backlog.map(u64::from)),
        time("work", change.work_us),
        time("sleep", change.sleep_us),
        number("response bytes", change.response_bytes.map(u64::from)),
        change.nodelay.map(|nodelay| format!("nodelay {nodelay}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_change_names_what_is_now() {
        assert_eq!(
            short_change("pattern single-thread → sharding, workers 4 → 8"),
            "pattern sharding, workers 8"
        );
        assert_eq!(short_change("fault stall on"), "fault stall on");
        assert_eq!(short_change(""), "");
    }

    #[test]
    fn requests_are_put_into_words() {
        let change =
            Change { pattern: Some("sharding".to_owned()), work_us: Some(2_000), ..Change::default() };
        assert_eq!(describe(&Request::Set(change)), "pattern sharding, work 2.00 ms");
        let load = LoadRequest { rate: Some(400.0), ..LoadRequest::profile("steady") };
        assert_eq!(describe(&Request::Load(load)), "load steady 400/s");
        assert_eq!(describe(&Request::Load(LoadRequest::stop())), "load off");
    }

    #[test]
    fn digits_name_the_course_patterns() {
        for number in '1'..='5' {
            assert!(switch_to_number(number).is_some(), "{number}");
        }
        assert!(switch_to_number('0').is_none() && switch_to_number('x').is_none());
    }
}
