//! What came out: a repetition, all repetitions of a pattern under a load, and all of that together. The JSON output
//! is this, as it is; docs/compare.md describes it.

use std::collections::BTreeMap;

use demo_server::load::Report;
use serde::Serialize;

use super::{
    figure::{FIGURES, Figure},
    plan::Plan,
    verdict::Verdicts,
};
use crate::model::{
    histogram::{Histogram, Quantiles},
    snapshot::LedgerCheck,
};

/// Version of the JSON output. Fields are added within a version, and never renamed.
pub const VERSION: u32 = 1;

/// Everything that a comparison has shown.
#[derive(Debug, Serialize)]
pub struct Comparison {
    /// See [`VERSION`].
    pub version: u32,
    /// Version of the observer.
    pub observer: String,
    /// Kernel release.
    pub kernel: String,
    /// Processors that were online.
    pub processors: usize,
    /// When it ended, Unix time.
    pub taken_unix_s: u64,
    /// What was run, and in which order.
    pub plan: Plan,
    /// What this kernel does not tell: signal, and why.
    pub unavailable: BTreeMap<String, String>,
    /// What each figure is.
    pub figures: &'static [Figure],
    /// Each pattern under each load: by profile, then pattern, in the order of the plan.
    pub cells: Vec<Cell>,
    /// What differs, and what is noise.
    pub verdicts: Verdicts,
}

/// One pattern under one load.
#[derive(Debug, Serialize)]
pub struct Cell {
    /// Name of the profile.
    pub profile: &'static str,
    /// Id of the pattern.
    pub pattern: &'static str,
    /// In the order of the rounds.
    pub repetitions: Vec<Repetition>,
}

/// One run of one pattern under one load.
#[derive(Debug, Serialize)]
pub struct Repetition {
    /// From 1.
    pub round: u32,
    /// Place within the round, from 1.
    pub place: u32,
    /// What the load generator measured.
    pub client: Report,
    /// What the observer counted.
    pub kernel: Kernel,
    /// Processor time of the server and its children while the load ran; null when /proc does not tell.
    pub server_cpu_ns: Option<u64>,
    /// The figures that are compared, by name; null when one is not known.
    pub figures: BTreeMap<&'static str, Option<f64>>,
}

/// What the observer counted in one repetition.
#[derive(Debug, Default, Serialize)]
pub struct Kernel {
    /// Listeners that the server opened.
    pub listeners: usize,
    /// What the backlog came to; the accept queue is full at one more.
    pub backlog_limit: u32,
    /// Connections that entered an accept queue.
    pub enqueued: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Everything refused.
    pub listen_drops: u64,
    /// Refusals by cause.
    pub drops: BTreeMap<&'static str, u64>,
    /// Most connections in one accept queue.
    pub accept_queue_peak: u32,
    /// Time in the accept queue.
    pub accept_wait_ns: Distribution,
    /// From accept(2) to the first read.
    pub first_read_wait_ns: Distribution,
    /// What the server's threads did, those of one name together; those of a kind that came or went under
    /// load, as `conn-*`.
    pub workers: Vec<Worker>,
    /// Times that a thread of the server slept and was woken; null when threads came or went meanwhile, since what
    /// /proc counts goes with the thread.
    pub wakeups: Option<u64>,
    /// The accept queue over time.
    pub queue: Vec<Depth>,
    /// Checks of the books, and those of them that did not balance.
    pub checks: usize,
    /// See `checks`.
    pub differences: Vec<LedgerCheck>,
    /// What could not be recorded: each counter of losses that is not zero.
    pub lost: BTreeMap<String, u64>,
}

/// Threads of one name.
#[derive(Debug, Default, Clone, PartialEq, Eq, Serialize)]
pub struct Worker {
    /// Their name.
    pub comm: String,
    /// How many.
    pub threads: usize,
    /// Connections they accepted.
    pub accepts: u64,
    /// Their reads that returned bytes.
    pub reads: u64,
    /// Their writes that took bytes.
    pub writes: u64,
}

/// The deepest accept queue within an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Depth {
    /// End of the interval, since the load began.
    pub time_ms: u64,
    /// Most connections in one accept queue during it; exact, not a sample.
    pub peak: u32,
}

/// Durations in nanoseconds. The quantiles are middles of buckets, at most 6.25 % off; the maximum is exact.
#[derive(Debug, Default, Clone, PartialEq, Serialize)]
pub struct Distribution {
    /// The usual quantiles.
    #[serde(flatten)]
    pub quantiles: Quantiles,
    /// Buckets that are not empty: lower end, upper end, count.
    pub buckets: Vec<(u64, u64, u64)>,
}

impl From<&Histogram> for Distribution {
    fn from(histogram: &Histogram) -> Self {
        Self { quantiles: histogram.quantiles(), buckets: histogram.buckets().collect() }
    }
}

impl Comparison {
    /// One pattern under one load.
    pub fn cell(&self, profile: &str, pattern: &str) -> Option<&Cell> {
        self.cells.iter().find(|cell| cell.profile == profile && cell.pattern == pattern)
    }
}

impl Repetition {
    /// Works the figures out.
    #[must_use]
    pub fn figured(mut self) -> Self {
        self.figures = FIGURES.iter().map(|figure| (figure.name, (figure.of)(&self))).collect();
        self
    }
}

impl Cell {
    /// Part of the connections that waited no longer, over all repetitions: upper ends of buckets, and the share.
    pub fn cumulated(&self, of: fn(&Kernel) -> &Distribution) -> Vec<(f64, f64)> {
        let mut counts: BTreeMap<u64, u64> = BTreeMap::new();
        for (_, upper, count) in self.repetitions.iter().flat_map(|one| &of(&one.kernel).buckets) {
            *counts.entry(*upper).or_default() += count;
        }
        let total: u64 = counts.values().sum();
        let mut seen = 0;
        let share = |(upper, count): (&u64, &u64)| {
            seen += count;
            (*upper as f64, seen as f64 / total as f64)
        };
        counts.iter().map(share).collect()
    }

    /// What the threads did over all repetitions, those of one name together, by name.
    pub fn workers(&self) -> Vec<Worker> {
        let mut sums: BTreeMap<&str, Worker> = BTreeMap::new();
        for worker in self.repetitions.iter().flat_map(|one| &one.kernel.workers) {
            sums.entry(&worker.comm).or_default().add(worker);
        }
        // `rd-10` comes after `rd-9`.
        let mut workers: Vec<Worker> = sums.into_values().collect();
        workers.sort_by(|a, b| (a.comm.len(), &a.comm).cmp(&(b.comm.len(), &b.comm)));
        workers
    }
}

impl Worker {
    /// Adds what another thread, or the same in another repetition, did.
    pub fn add(&mut self, other: &Self) {
        self.comm.clone_from(&other.comm);
        self.threads += other.threads;
        self.accepts += other.accepts;
        self.reads += other.reads;
        self.writes += other.writes;
    }

    /// What its name has in common with those of its kind: `rd-` of `rd-1`.
    pub fn kind(&self) -> &str {
        self.comm.trim_end_matches(|c: char| c.is_ascii_digit() || c == '*')
    }
}
