//! The figures: what is measured, in which unit, and within which budget.

use serde::Serialize;

use super::bpf_time::BpfTime;

/// One figure: the median of its samples.
#[derive(Debug, Serialize)]
pub(super) struct Figure {
    /// Its name for machines, which stays.
    name: &'static str,
    /// What it is.
    what: &'static str,
    /// The median.
    pub(super) value: f64,
    /// Smallest and largest sample.
    range: (f64, f64),
    /// How many samples there were.
    samples: usize,
    /// Its unit.
    unit: &'static str,
    /// What it must keep to, if there is such a thing.
    budget: Option<Budget>,
    /// How it does.
    verdict: Option<Verdict>,
}

/// A bound that a figure must keep to, and one that would be good.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Budget {
    /// At most `must`; `goal` would be good.
    AtMost { must: f64, goal: f64 },
    /// At least `must`; `goal` would be good.
    AtLeast { must: f64, goal: f64 },
}

/// How a figure stands to its budget.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Verdict {
    /// The goal is reached.
    Goal,
    /// What must be is, and the goal is not reached.
    Kept,
    /// What must be is not.
    Missed,
}

impl Budget {
    fn verdict(self, value: f64) -> Verdict {
        let (kept, reached) = match self {
            Self::AtMost { must, goal } => (value <= must, value <= goal),
            Self::AtLeast { must, goal } => (value >= must, value >= goal),
        };
        match (kept, reached) {
            (true, true) => Verdict::Goal,
            (true, false) => Verdict::Kept,
            (false, _) => Verdict::Missed,
        }
    }

    fn shown(self) -> String {
        match self {
            Self::AtMost { must, goal } => format!("at most {must}, goal {goal}"),
            Self::AtLeast { must, goal } => format!("at least {must}, goal {goal}"),
        }
    }
}

impl Figure {
    fn new(
        name: &'static str,
        what: &'static str,
        unit: &'static str,
        mut samples: Vec<f64>,
        budget: Option<Budget>,
    ) -> Self {
        samples.sort_by(f64::total_cmp);
        let value = median(&samples);
        let range = (samples.first().copied().unwrap_or(value), samples.last().copied().unwrap_or(value));
        let verdict = budget.map(|budget| budget.verdict(value));
        Self { name, what, value, range, samples: samples.len(), unit, budget, verdict }
    }

    /// The cells of its row in a table.
    pub(super) fn cells(&self) -> [String; 6] {
        let verdict = match self.verdict {
            None => "",
            Some(Verdict::Goal) => "goal reached",
            Some(Verdict::Kept) => "kept",
            Some(Verdict::Missed) => "MISSED",
        };
        [
            self.what.to_owned(),
            number(self.value),
            self.unit.to_owned(),
            format!("{} to {}", number(self.range.0), number(self.range.1)),
            self.budget.map(Budget::shown).unwrap_or_default(),
            verdict.to_owned(),
        ]
    }
}

/// The middle of sorted samples; NaN of none.
fn median(sorted: &[f64]) -> f64 {
    match (sorted.len(), sorted.len() / 2) {
        (0, _) => f64::NAN,
        (length, half) if length % 2 == 1 => sorted[half],
        (_, half) => f64::midpoint(sorted[half - 1], sorted[half]),
    }
}

/// The middle of samples in any order; NaN of none.
pub(super) fn median_of(samples: &[f64]) -> f64 {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    median(&sorted)
}

/// Three digits, or all before the point.
fn number(value: f64) -> String {
    let digits = if value.abs() >= 100.0 {
        0
    } else if value.abs() >= 10.0 {
        1
    } else {
        3
    };
    format!("{value:.digits$}")
}

pub(super) fn throughput_without(samples: Vec<f64>) -> Figure {
    Figure::new("throughput_without", "connections without the observer", "/s", samples, None)
}

pub(super) fn throughput_with(samples: Vec<f64>) -> Figure {
    Figure::new("throughput_with", "connections with the observer", "/s", samples, None)
}

pub(super) fn throughput_ratio(samples: Vec<f64>) -> Figure {
    let budget = Budget::AtLeast { must: 0.95, goal: 0.99 };
    Figure::new("throughput_ratio", "with : without, by pairs", "", samples, Some(budget))
}

pub(super) fn cpu(samples: Vec<f64>) -> Figure {
    let budget = Budget::AtMost { must: 10.0, goal: 2.0 };
    Figure::new(
        "cpu_per_1000",
        "observer's CPU per 1,000 connections, totals only",
        "ms",
        samples,
        Some(budget),
    )
}

pub(super) fn cpu_every_connection(value: f64) -> Figure {
    let budget = Budget::AtMost { must: 10.0, goal: 2.0 };
    let what = "observer's CPU per 1,000 connections, each one written";
    Figure::new("cpu_per_1000_every_connection", what, "ms", vec![value], Some(budget))
}

pub(super) fn start(samples: Vec<f64>) -> Figure {
    let budget = Budget::AtMost { must: 300.0, goal: 100.0 };
    Figure::new("start", "start to first line", "ms", samples, Some(budget))
}

pub(super) fn resident(samples: Vec<f64>) -> Figure {
    let budget = Budget::AtMost { must: 40.0, goal: 40.0 };
    Figure::new("resident", "observer's resident memory, most", "MiB", samples, Some(budget))
}

pub(super) fn kernel_memory(samples: Vec<f64>) -> Figure {
    Figure::new("kernel_memory", "its maps and programs in the kernel", "MiB", samples, None)
}

pub(super) fn bpf_time(bpf: &BpfTime) -> Figure {
    Figure::new(
        "bpf_per_connection",
        "BPF time per connection, gross",
        "ns",
        bpf.ns_per_connection.clone(),
        None,
    )
}

pub(super) fn frame_drawn(samples: Vec<f64>) -> Figure {
    let budget = Budget::AtMost { must: 4.0, goal: 2.0 };
    Figure::new("frame_drawn", "a frame drawn, the screen that takes longest", "ms", samples, Some(budget))
}

pub(super) fn frame(samples: Vec<f64>) -> Figure {
    let budget = Budget::AtMost { must: 4.0, goal: 2.0 };
    let what = "the same, and what the screen remembers of the snapshot";
    Figure::new("frame", what, "ms", samples, Some(budget))
}

pub(super) fn painted(samples: Vec<f64>) -> Figure {
    let budget = Budget::AtMost { must: 50.0, goal: 50.0 };
    Figure::new("key_to_paint", "from a key to the changed screen", "ms", samples, Some(budget))
}

pub(super) fn painted_late(value: f64) -> Figure {
    let budget = Budget::AtMost { must: 50.0, goal: 50.0 };
    let what = "the same, 99 of 100 keys";
    Figure::new("key_to_paint_p99", what, "ms", vec![value], Some(budget))
}

pub(super) fn screen_cpu_idle(samples: Vec<f64>) -> Figure {
    let budget = Budget::AtMost { must: 2.0, goal: 2.0 };
    Figure::new("screen_cpu_idle", "the screen's CPU without load", "% of a core", samples, Some(budget))
}

pub(super) fn screen_cpu_loaded(samples: Vec<f64>) -> Figure {
    let budget = Budget::AtMost { must: 2.0, goal: 2.0 };
    Figure::new("screen_cpu_loaded", "the screen's CPU under load", "% of a core", samples, Some(budget))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_middle() {
        assert_eq!(median(&[1.0, 2.0, 9.0]), 2.0);
        assert_eq!(median(&[1.0, 2.0, 4.0, 9.0]), 3.0);
        assert!(median(&[]).is_nan());
    }

    #[test]
    fn budgets_are_kept_or_missed() {
        assert_eq!(throughput_ratio(vec![0.9, 0.99, 1.0]).cells()[5], "goal reached");
        assert_eq!(throughput_ratio(vec![0.9, 0.96, 1.0]).cells()[5], "kept");
        assert_eq!(throughput_ratio(vec![0.9, 0.94, 1.0]).cells()[5], "MISSED");
        assert_eq!(start(vec![301.0]).cells()[5], "MISSED");
        assert_eq!(
            start(vec![10.0, 20.0]).cells(),
            ["start to first line", "15.0", "ms", "10.0 to 20.0", "at most 300, goal 100", "goal reached"]
        );
    }
}
