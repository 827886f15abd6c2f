//! What is wrong, why, and what to do: rules over snapshots, a file each and a row each in [`RULES`].
//!
//! A rule is a pure function: facts in, findings out. It says no more than its figures do, and where a signal that it
//! needs is missing it says nothing. What a rule finds is shown when it has been so for a second, and goes when it has
//! not been so for three: a figure that swings about a threshold must not make sentences flicker.

use std::{borrow::Cow, collections::BTreeMap};

use serde::Serialize;

use super::{
    evidence::{Facts, Past, Place},
    snapshot::{Meta, Snapshot},
};

mod accept_fails;
mod accepted_never_read;
mod acceptor_busy;
mod backlog_clamped;
mod backlog_default;
mod backlog_lowered;
mod clients_gave_up;
mod closed_unread;
mod cookie_ghosts;
mod delayed_ack_stall;
mod exclusive_pile_up;
mod load_generator_limit;
mod nagle_at_server;
mod overflow;
mod queue_discarded;
mod queue_overflows;
mod ring_hides_queue;
mod shard_stuck;
mod slow_accept;
mod slow_reader;
mod stranded_queue;
mod stuck;
mod syn_flood_cookies;
mod syn_flood_refused;
mod thundering_herd;
mod unwatched_refuses;

/// A finding is shown once it has been so for this long.
const BEGINS_NS: u64 = 1_000_000_000;
/// It goes when it has not been so for this long.
const ENDS_NS: u64 = 3_000_000_000;
/// What has happened once is shown at once, for this long.
const HAPPENED_NS: u64 = 30_000_000_000;

/// Every rule, those first that explain most.
pub static RULES: &[Rule] = &[
    accept_fails::RULE,
    backlog_lowered::RULE,
    stranded_queue::RULE,
    shard_stuck::RULE,
    queue_discarded::RULE,
    closed_unread::RULE,
    acceptor_busy::RULE,
    slow_accept::RULE,
    ring_hides_queue::RULE,
    accepted_never_read::RULE,
    syn_flood_refused::RULE,
    cookie_ghosts::RULE,
    clients_gave_up::RULE,
    backlog_clamped::RULE,
    backlog_default::RULE,
    queue_overflows::RULE,
    slow_reader::RULE,
    nagle_at_server::RULE,
    delayed_ack_stall::RULE,
    syn_flood_cookies::RULE,
    thundering_herd::RULE,
    exclusive_pile_up::RULE,
    load_generator_limit::RULE,
    unwatched_refuses::RULE,
];

/// One rule.
#[derive(Debug)]
pub struct Rule {
    /// Its name, in kebab case.
    pub name: &'static str,
    /// What it finds, in a few words.
    pub what: &'static str,
    /// The condition, with its thresholds.
    pub when: &'static str,
    /// Why that is so in the kernel.
    pub why: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// A real server that has it.
    pub seen: &'static str,
    /// What looks like it and is left alone.
    pub silent: &'static str,
    /// What it cannot do without.
    pub needs: &'static [Need],
    judge: fn(&Facts<'_>) -> Vec<Finding>,
}

/// Something that a rule cannot do without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// This signal.
    Signal(&'static str),
    /// The hook for `accept` shows which connections an io_uring accepted.
    Rings,
    /// All listeners of a network namespace are watched, so that its counters can be compared with theirs.
    AllListeners,
}

impl Need {
    /// What is missing; none when it is there.
    fn missing(self, meta: &Meta) -> Option<String> {
        let filters = &meta.filters;
        match self {
            Self::Signal(name) => (!meta.has(name)).then(|| format!("signal {name} unavailable")),
            Self::Rings => {
                let hook = meta.signals.get("accept").and_then(Option::as_deref).unwrap_or_default();
                let told = hook.contains("io_uring_complete");
                (!told).then(|| "the hook for signal accept does not show accepts by io_uring".to_owned())
            }
            Self::AllListeners => {
                let all = filters.ports.is_empty() && filters.pid.is_none() && filters.cgroup.is_none();
                (!all).then(|| "not all listeners are watched (--port, --pid or --cgroup)".to_owned())
            }
        }
    }
}

impl Rule {
    /// Why it cannot tell here; none when it can.
    pub fn cannot_tell(&self, meta: &Meta) -> Option<String> {
        let missing: Vec<String> = self.needs.iter().filter_map(|need| need.missing(meta)).collect();
        (!missing.is_empty()).then(|| missing.join(", "))
    }
}

/// One figure of the evidence.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Figure {
    /// A count, exact.
    Count(u64),
    /// Per second, or a part of one.
    Rate(f64),
    /// A name.
    Name(String),
}

impl From<u64> for Figure {
    fn from(count: u64) -> Self {
        Self::Count(count)
    }
}

impl From<u32> for Figure {
    fn from(count: u32) -> Self {
        Self::Count(count.into())
    }
}

impl From<f64> for Figure {
    fn from(rate: f64) -> Self {
        // Three digits after the point; more would be noise.
        Self::Rate((rate * 1000.0).round() / 1000.0)
    }
}

impl From<String> for Figure {
    fn from(name: String) -> Self {
        Self::Name(name)
    }
}

/// Name → figure.
pub type Evidence = BTreeMap<&'static str, Figure>;

/// What a rule found in one snapshot.
#[derive(Debug, Clone, PartialEq)]
struct Finding {
    place: String,
    netns: u32,
    listeners: Vec<u64>,
    sentence: String,
    evidence: Evidence,
    /// How bad it is; twice or half of it is a change worth telling.
    extent: f64,
    /// A stable word for why it is so, where a rule knows several reasons.
    cause: Option<&'static str>,
    /// What to do about this cause; otherwise what the rule says.
    remedy: Option<Cow<'static, str>>,
    /// It is about one of several listeners of its place, known by this cookie.
    member: Option<u64>,
    /// It has happened, and does not go on.
    happened: bool,
}

impl Finding {
    /// One about all listeners of a place.
    fn at<const N: usize>(
        place: &Place<'_>,
        extent: f64,
        sentence: String,
        evidence: [(&'static str, Figure); N],
    ) -> Self {
        Self {
            place: place.name.to_owned(),
            netns: place.netns,
            listeners: place.members.iter().map(|member| member.listener.cookie).collect(),
            sentence,
            evidence: evidence.into(),
            extent,
            cause: None,
            remedy: None,
            member: None,
            happened: false,
        }
    }
}

/// What is wrong at one place; the `diagnosis` line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Diagnosis {
    /// Name of the rule.
    pub rule: &'static str,
    /// The address on which its listeners listen, or the network namespace.
    pub place: String,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// Cookies of the listeners that it is about; none when it is about the namespace.
    pub listeners: Vec<u64>,
    /// It has been so since.
    pub since_ns: u64,
    /// It was so when last looked at: the figures are of then.
    pub seen_ns: u64,
    /// The counts in it were taken over this long.
    pub window_ns: u64,
    /// What is wrong, with the figures.
    pub sentence: String,
    /// The figures.
    pub evidence: Evidence,
    /// A stable word for why it is so; null for a rule that knows but one reason.
    pub cause: Option<&'static str>,
    /// What to do.
    pub remedy: Cow<'static, str>,
    /// The listener that it is about, if others at its place have findings of their own by the same rule.
    #[serde(skip)]
    pub member: Option<u64>,
    /// How bad it is, in the unit of the rule.
    #[serde(skip)]
    pub extent: f64,
}

/// Which rule, where, and at which listener if it is about one of several.
type Key = (usize, u32, String, Option<u64>);

/// What has been found, and since when.
#[derive(Debug, Default)]
pub struct Diagnoses {
    past: Past,
    courses: BTreeMap<Key, Course>,
    /// When the bundled backend last changed what it does.
    changed_ns: Option<u64>,
}

/// A finding over time.
#[derive(Debug)]
struct Course {
    diagnosis: Diagnosis,
    shown: bool,
    /// It goes when it has not been so for this long.
    ends_ns: u64,
}

impl Diagnoses {
    /// Judges a snapshot by what came before it.
    pub fn judge(&mut self, snapshot: &Snapshot) -> Vec<Diagnosis> {
        let now = snapshot.time_ns;
        let changed_ns = snapshot.marks.last().map(|mark| mark.time_ns);
        if changed_ns > self.changed_ns {
            // Neither what was found nor what was counted is about what runs now.
            *self = Self { changed_ns, ..Self::default() };
        }
        let facts = self.past.facts(snapshot);
        // A finding is about the time since the snapshot before.
        let begun = now.saturating_sub(snapshot.interval_ns.min(facts.window_ns));
        for (index, rule) in RULES.iter().enumerate() {
            if facts.window_ns == 0 || rule.cannot_tell(&snapshot.meta).is_some() {
                continue;
            }
            for found in (rule.judge)(&facts) {
                let key = (index, found.netns, found.place.clone(), found.member);
                let since_ns = self.courses.get(&key).map_or(begun, |course| course.diagnosis.since_ns);
                let shown = self.courses.get(&key).is_some_and(|course| course.shown);
                let course = Course {
                    shown: shown || found.happened || now.saturating_sub(since_ns) >= BEGINS_NS,
                    ends_ns: if found.happened { HAPPENED_NS } else { ENDS_NS },
                    diagnosis: found.diagnosis(rule, since_ns, now, facts.window_ns),
                };
                self.courses.insert(key, course);
            }
        }
        self.past.keep(snapshot);
        // What was never shown ends at once.
        self.courses.retain(|_, course| {
            let seen = course.diagnosis.seen_ns;
            seen == now || course.shown && now.saturating_sub(seen) < course.ends_ns
        });
        let shown = self.courses.values().filter(|course| course.shown);
        shown.map(|course| course.diagnosis.clone()).collect()
    }
}

impl Finding {
    fn diagnosis(self, rule: &Rule, since_ns: u64, seen_ns: u64, window_ns: u64) -> Diagnosis {
        Diagnosis {
            rule: rule.name,
            place: self.place,
            netns: self.netns,
            listeners: self.listeners,
            since_ns,
            seen_ns,
            window_ns,
            sentence: self.sentence,
            evidence: self.evidence,
            cause: self.cause,
            remedy: self.remedy.unwrap_or(Cow::Borrowed(rule.remedy)),
            member: self.member,
            extent: self.extent,
        }
    }
}

#[cfg(test)]
pub(super) mod tests;
