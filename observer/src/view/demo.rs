//! What the bundled backend says of itself, and what it can be asked to do.

use std::sync::Arc;

use demo_server::control::{LoadRequest, Request, Settings, State};
use demo_server::pattern::{self, PATTERNS, Pattern};
use demo_server::settings::Change;

use super::{effect::Effect, figures};
use crate::{
    backend::{Said, load_label},
    model::snapshot::Listener,
};

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

/// What each backend said last, by its number.
#[derive(Debug, Clone, Default)]
pub(crate) struct Backends(Vec<Arc<Said>>);

/// Backends of which something is shown.
const MOST: usize = 16;

impl Backends {
    /// Takes over what one says.
    pub(crate) fn learn(&mut self, said: Said) {
        let there = self.0.len();
        match self.0.iter_mut().find(|known| known.backend == said.backend) {
            Some(known) => *known = Arc::new(said),
            None if there < MOST => self.0.push(Arc::new(said)),
            None => {}
        }
    }

    /// The state of the first that answers.
    pub(crate) fn state(&self) -> Option<&State> {
        self.0.iter().find_map(|said| said.state.as_deref())
    }

    /// Why none answers.
    pub(crate) fn error(&self) -> Option<&str> {
        self.0.iter().find_map(|said| said.error.as_deref()).filter(|_| self.state().is_none())
    }
}

/// What runs, when the backend answers.
pub(crate) fn running(backends: &Backends) -> Option<Running> {
    let state = backends.state()?;
    Some(Running {
        pattern: state.pattern.clone(),
        settings: state.settings,
        load: state.load.as_ref().map(load_label),
        faults: state.faults.iter().map(|fault| fault.name.clone()).collect(),
    })
}

/// The row of the pattern that runs.
pub(crate) fn current_pattern(backends: &Backends) -> Option<&'static Pattern> {
    pattern::find(&backends.state()?.pattern)
}

/// Whether a listener belongs to the backend; without one, every listener counts.
pub(crate) fn concerns(backends: &Backends, listener: &Listener) -> bool {
    backends.state().is_none_or(|state| {
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
