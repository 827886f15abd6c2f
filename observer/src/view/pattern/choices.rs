//! What can be chosen: patterns, settings, loads and faults, from the tables of the backend.

use std::ops::RangeInclusive;

use demo_server::control::{ActiveLoad, LoadRequest, Request, Settings};
use demo_server::fault::{FAULTS, FaultRow};
use demo_server::load::{PROFILES, Profile};
use demo_server::pattern::{PATTERNS, Pattern};
use demo_server::settings::{Change, LIMITS};

use crate::view::{
    Effect,
    demo::{self, Backends},
    figures,
};

/// Clients of a closed loop, at most.
const MOST_CLIENTS: u64 = 4_096;

/// A setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knob {
    Backlog,
    Workers,
    Work,
    Sleep,
    Response,
    Nodelay,
    KeepAlive,
    DeferAccept,
    FastOpen,
}

/// The settings: which, name on the screen, name on the wire, what it does.
const KNOBS: &[(Knob, &str, &str, &str)] = &[
    (
        Knob::Backlog,
        "backlog",
        "backlog",
        "Passed to listen(2): how many connections may wait to be accepted.",
    ),
    (
        Knob::Workers,
        "workers",
        "workers",
        "Threads of the kind that the pattern multiplies: readers, workers or shards.",
    ),
    (Knob::Work, "work", "work_us", "Processor time burnt for each request, in microseconds."),
    (
        Knob::Sleep,
        "sleep",
        "sleep_us",
        "Time slept for each request, in microseconds, as a call to a database would.",
    ),
    (Knob::Response, "response", "response_bytes", "Length of a response's body."),
    (Knob::Nodelay, "nodelay", "nodelay", "TCP_NODELAY: off, Nagle's algorithm holds small writes back."),
    (
        Knob::KeepAlive,
        "keep-alive",
        "keep_alive",
        "Whether a connection stays open after an answer: off, every request is a handshake and an accept.",
    ),
    (
        Knob::DeferAccept,
        "defer",
        "defer_accept_s",
        "TCP_DEFER_ACCEPT in seconds: a connection is queued once its first data are there. 0 is off.",
    ),
    (
        Knob::FastOpen,
        "fast open",
        "fast_open",
        "TCP_FASTOPEN: how many may be open before their handshake is complete. 0 is off.",
    ),
];

impl Knob {
    fn row(self) -> (&'static str, &'static str, &'static str) {
        let row = KNOBS.iter().find(|(knob, ..)| *knob == self);
        row.map_or(("", "", ""), |(_, name, wire, line)| (name, wire, line))
    }

    /// Its name in the control protocol.
    pub(super) fn wire_name(self) -> &'static str {
        self.row().1
    }

    /// Whether a number can be typed for it.
    pub(super) fn takes_number(self) -> bool {
        !self.is_switch()
    }

    /// Whether it is on or off.
    fn is_switch(self) -> bool {
        matches!(self, Self::Nodelay | Self::KeepAlive)
    }

    fn get(self, settings: &Settings) -> u64 {
        match self {
            Self::Backlog => settings.backlog.into(),
            Self::Workers => settings.workers.into(),
            Self::Work => settings.work_us,
            Self::Sleep => settings.sleep_us,
            Self::Response => settings.response_bytes.into(),
            Self::Nodelay => settings.nodelay.into(),
            Self::KeepAlive => settings.keep_alive.into(),
            Self::DeferAccept => settings.defer_accept_s.into(),
            Self::FastOpen => settings.fast_open.into(),
        }
    }

    /// The least and the most of it.
    pub(super) fn limits(self) -> RangeInclusive<u64> {
        let row = LIMITS.iter().find(|(name, _)| *name == self.wire_name());
        row.map_or(0..=1, |(_, range)| range.clone())
    }

    /// Its limits in words, and the unit in which it is typed.
    pub(super) fn range(self) -> String {
        let (least, most) = self.limits().into_inner();
        let number = |value| figures::count(value);
        match self {
            Self::Work | Self::Sleep => {
                format!("{} to {} µs, which is {}", number(least), number(most), self.show(most))
            }
            Self::Response => format!("{} to {} bytes", number(least), number(most)),
            Self::DeferAccept => format!("{} to {} seconds", number(least), number(most)),
            _ => format!("{} to {}", number(least), number(most)),
        }
    }

    /// What can be typed, and the keys for it.
    pub(super) fn prompt(self) -> String {
        format!("{}: {}. Enter sets it, Esc leaves it", self.row().0, self.range())
    }

    /// Asks for another value, within its limits.
    pub(super) fn set(self, value: u64) -> Option<Effect> {
        let (least, most) = self.limits().into_inner();
        let value = value.clamp(least, most);
        let small = u32::try_from(value).ok();
        let mut change = Change::default();
        match self {
            Self::Backlog => change.backlog = Some(small?),
            Self::Workers => change.workers = Some(small?),
            Self::Work => change.work_us = Some(value),
            Self::Sleep => change.sleep_us = Some(value),
            Self::Response => change.response_bytes = Some(small?),
            Self::Nodelay => change.nodelay = Some(value > 0),
            Self::KeepAlive => change.keep_alive = Some(value > 0),
            Self::DeferAccept => change.defer_accept_s = Some(small?),
            Self::FastOpen => change.fast_open = Some(small?),
        }
        Some(demo::set(change))
    }

    fn show(self, value: u64) -> String {
        match self {
            Self::Work | Self::Sleep if value == 0 => "none".to_owned(),
            Self::Work | Self::Sleep => figures::duration(value.saturating_mul(1_000)),
            Self::Response => figures::bytes(value),
            Self::Nodelay | Self::KeepAlive => (if value > 0 { "on" } else { "off" }).to_owned(),
            Self::DeferAccept | Self::FastOpen if value == 0 => "off".to_owned(),
            Self::DeferAccept => format!("{value} s"),
            Self::Backlog | Self::Workers | Self::FastOpen => value.to_string(),
        }
    }
}

/// One row of the choices.
#[derive(Debug, Clone)]
pub(super) enum Choice {
    /// A title, which cannot be chosen.
    Title(&'static str),
    /// A pattern, and whether it runs.
    Pattern(&'static Pattern, bool),
    /// A setting and its value.
    Setting(Knob, u64),
    /// A load, and the one that runs if it is this.
    Load(&'static Profile, Option<ActiveLoad>),
    /// A fault, and whether it is on.
    Fault(&'static FaultRow, bool),
}

/// All rows.
pub(super) fn choices(backends: &Backends) -> Vec<Choice> {
    let state = backends.state();
    let current = demo::current_pattern(backends).map(|pattern| pattern.id);
    let mut choices = vec![Choice::Title("PATTERN")];
    choices.extend(PATTERNS.iter().map(|pattern| Choice::Pattern(pattern, current == Some(pattern.id))));
    if let Some(state) = state {
        choices.push(Choice::Title("SETTINGS"));
        choices.extend(KNOBS.iter().map(|(knob, ..)| Choice::Setting(*knob, knob.get(&state.settings))));
        choices.push(Choice::Title("LOAD"));
        choices.extend(PROFILES.iter().map(|profile| {
            let active = state.load.clone().filter(|load| load.profile == profile.name);
            Choice::Load(profile, active)
        }));
        choices.push(Choice::Title("FAULTS"));
        choices.extend(
            FAULTS
                .iter()
                .map(|row| Choice::Fault(row, state.faults.iter().any(|fault| fault.name == row.name))),
        );
    }
    choices
}

impl Choice {
    /// Its name.
    pub(super) fn label(&self) -> String {
        match self {
            Self::Title(title) => (*title).to_owned(),
            Self::Pattern(pattern, _) => match pattern.number {
                Some(number) => format!("{number} {}", pattern.id),
                None => format!("  {}", pattern.id),
            },
            Self::Setting(knob, _) => knob.row().0.to_owned(),
            Self::Load(profile, _) => profile.name.to_owned(),
            Self::Fault(row, _) => row.name.to_owned(),
        }
    }

    /// Its value.
    pub(super) fn value(&self) -> String {
        match self {
            Self::Setting(knob, value) => knob.show(*value),
            Self::Load(_, Some(load)) => match load.rate {
                Some(rate) => format!("{}/s", figures::rate(rate)),
                None => format!("×{}", load.connections),
            },
            _ => String::new(),
        }
    }

    /// Whether it runs or is on.
    pub(super) fn is_on(&self) -> bool {
        matches!(self, Self::Pattern(_, true) | Self::Load(_, Some(_)) | Self::Fault(_, true))
    }

    /// Whether it is a fault.
    pub(super) fn is_fault(&self) -> bool {
        matches!(self, Self::Fault(..))
    }

    /// Whether it is this setting.
    pub(super) fn is_knob(&self, knob: Knob) -> bool {
        matches!(self, Self::Setting(own, _) if *own == knob)
    }

    /// What Enter asks for.
    pub(super) fn enter(&self) -> Option<Effect> {
        match self {
            Self::Title(_) | Self::Pattern(_, true) => None,
            Self::Pattern(pattern, false) => Some(demo::switch_to(pattern)),
            Self::Setting(knob, value) if knob.is_switch() => knob.set(u64::from(*value == 0)),
            Self::Setting(..) => None,
            Self::Load(_, Some(_)) => Some(Effect::Demo(Request::Load(LoadRequest::stop()))),
            Self::Load(profile, None) => Some(start(LoadRequest::profile(profile.name))),
            Self::Fault(row, on) => Some(Effect::Demo(Request::Fault {
                name: row.name.to_owned(),
                on: !on,
                index: None,
                ms: None,
            })),
        }
    }

    /// What less or more asks for.
    pub(super) fn step(&self, more: bool) -> Option<Effect> {
        match self {
            Self::Setting(knob, _) if knob.is_switch() => knob.set(u64::from(more)),
            Self::Setting(knob, value) => {
                let next = stepped(*value, more);
                let effect = knob.set(next);
                (next != *value).then_some(effect)?
            }
            Self::Load(profile, Some(load)) => Some(start(LoadRequest {
                rate: load.rate.map(|rate| stepped_rate(rate, more)),
                connections: Some(match load.rate {
                    Some(_) => load.connections,
                    None => stepped(load.connections.into(), more).clamp(1, MOST_CLIENTS) as u32,
                }),
                requests_per_connection: Some(load.requests_per_connection),
                poisson: Some(load.poisson),
                ..LoadRequest::profile(profile.name)
            })),
            _ => None,
        }
    }

    /// What it is, in titled paragraphs.
    pub(super) fn story(&self) -> Vec<(&'static str, String)> {
        let of = |title, text: &str| (title, text.to_owned());
        match self {
            Self::Title(_) => Vec::new(),
            Self::Pattern(pattern, _) => vec![
                ("WHAT", format!("{}: {}", pattern.title, pattern.line)),
                of("WHO", pattern.real_users),
                of("WHEN", pattern.when),
                of("COST", pattern.cost),
                of("WATCH", pattern.watch),
            ],
            Self::Setting(knob, _) => vec![of("WHAT", knob.row().2)],
            Self::Load(profile, active) => vec![
                ("WHAT", format!("{}: {}", profile.name, profile.line)),
                of("Enter", if active.is_some() { "stops it" } else { "starts it, in place of what runs" }),
            ],
            Self::Fault(row, on) => vec![
                ("WHAT", format!("{}: {}", row.name, row.line)),
                of("Enter", if *on { "mends it" } else { "breaks it" }),
            ],
        }
    }
}

/// Asks for a load that runs until it is stopped, or for the hour that is the most a load may take.
fn start(request: LoadRequest) -> Effect {
    Effect::Demo(Request::Load(LoadRequest { duration: Some("1h".to_owned()), ..request }))
}

/// Half or twice as much.
fn stepped(value: u64, more: bool) -> u64 {
    match (value, more) {
        (0, true) => 1,
        (value, true) => value.saturating_mul(2),
        (value, false) => value / 2,
    }
}

/// A quarter more of a rate, or a fifth less; of a slow one, as bursts have, half or twice.
fn stepped_rate(rate: f64, more: bool) -> f64 {
    if rate < 20.0 {
        return if more { rate * 2.0 } else { (rate / 2.0).max(0.125) };
    }
    (if more { rate * 1.25 } else { rate / 1.25 }).round()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_go_both_ways_and_end() {
        assert_eq!((stepped(0, true), stepped(1, false), stepped(64, true)), (1, 0, 128));
        assert_eq!((stepped_rate(200.0, true), stepped_rate(200.0, false)), (250.0, 160.0));
        assert_eq!((stepped_rate(0.5, true), stepped_rate(0.5, false)), (1.0, 0.25));
        assert_eq!(stepped_rate(0.125, false), 0.125);
    }
}
