//! Which diagnoses have a line to come: those that begin, change or end. One that goes on as it was has none.

use std::collections::HashMap;

use serde::Serialize;

use crate::model::diagnosis::Diagnosis;

/// A change is told when it is twice or half as bad as it was.
const MATERIAL: f64 = 2.0;

/// A rule, a namespace, a place, and the listener if it is about one of several.
type Key = (&'static str, u32, String, Option<u64>);

/// What has been told of diagnoses.
#[derive(Debug, Default)]
pub(super) struct Findings(HashMap<Key, Diagnosis>);

/// The `diagnosis` line.
#[derive(Debug, Serialize)]
pub(super) struct Line {
    event: Event,
    #[serde(flatten)]
    diagnosis: Diagnosis,
}

/// What happens to a diagnosis.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    Begins,
    Changes,
    Ends,
}

impl Findings {
    /// The lines for what is wrong now, and for what is not any more.
    pub(super) fn next(&mut self, now: &[Diagnosis]) -> Vec<Line> {
        let mut lines = Vec::new();
        let gone: Vec<_> =
            self.0.keys().filter(|key| !now.iter().any(|other| of(other) == **key)).cloned().collect();
        for diagnosis in gone.iter().filter_map(|key| self.0.remove(key)) {
            lines.push(Line { event: Event::Ends, diagnosis });
        }
        for diagnosis in now {
            let event = match self.0.get(&of(diagnosis)) {
                None => Event::Begins,
                // It ended and began anew between two sets of lines, or is about other listeners.
                Some(told)
                    if told.since_ns != diagnosis.since_ns || told.listeners != diagnosis.listeners =>
                {
                    Event::Changes
                }
                Some(told) if told.cause != diagnosis.cause => Event::Changes,
                Some(told) if is_material(told.extent, diagnosis.extent) => Event::Changes,
                Some(_) => continue,
            };
            self.0.insert(of(diagnosis), diagnosis.clone());
            lines.push(Line { event, diagnosis: diagnosis.clone() });
        }
        lines
    }
}

fn of(diagnosis: &Diagnosis) -> Key {
    (diagnosis.rule, diagnosis.netns, diagnosis.place.clone(), diagnosis.member)
}

fn is_material(before: f64, now: f64) -> bool {
    now >= before * MATERIAL || now * MATERIAL <= before
}

#[cfg(test)]
mod tests {
    use super::*;

    fn diagnosis(place: &str, extent: f64) -> Diagnosis {
        Diagnosis {
            rule: "some-rule",
            place: place.to_owned(),
            netns: 1,
            listeners: vec![7],
            since_ns: 5,
            seen_ns: 6,
            window_ns: 2,
            sentence: String::new(),
            evidence: std::iter::once(("overflows", 3_u64.into())).collect(),
            cause: None,
            remedy: "nothing".into(),
            member: None,
            extent,
        }
    }

    #[test]
    fn only_what_begins_changes_or_ends_is_told() {
        let mut findings = Findings::default();
        let mut next = |now: &[Diagnosis]| -> Vec<(Event, String)> {
            findings.next(now).into_iter().map(|line| (line.event, line.diagnosis.place)).collect()
        };
        let told = |event, place: &str| (event, place.to_owned());
        assert_eq!(next(&[diagnosis("a", 10.0)]), [told(Event::Begins, "a")]);
        assert_eq!(next(&[diagnosis("a", 19.0)]), []);
        assert_eq!(next(&[diagnosis("a", 20.0)]), [told(Event::Changes, "a")]);
        assert_eq!(next(&[diagnosis("a", 10.0)]), [told(Event::Changes, "a")]);
        assert_eq!(next(&[diagnosis("b", 1.0)]), [told(Event::Ends, "a"), told(Event::Begins, "b")]);
        assert_eq!(next(&[]), [told(Event::Ends, "b")]);
        assert_eq!(next(&[]), []);
    }

    #[test]
    fn a_line_has_its_figures_by_name() {
        let lines = Findings::default().next(&[diagnosis("a", 1.0)]);
        let json = serde_json::to_value(&lines[0]).unwrap();
        assert_eq!((&json["event"], &json["evidence"]["overflows"]), (&"begins".into(), &3.into()));
        assert_eq!((&json["rule"], &json["remedy"]), (&"some-rule".into(), &"nothing".into()));
    }
}
