//! The kernel as a source: probes, emptied often and read at a pace.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, bail};
use observer_ebpf::record;
use tokio::time::Instant;

use super::{Due, Sink, Source, Step};
use crate::{
    kernel::{choice::Outcome, clock::now_ns, meta, probed::Probed, probes::Options},
    model::{event::Event, snapshot::Meta},
};

/// Between two emptyings of the event ring. The kernel half never wakes anybody: an ended connection waits at most
/// this long, and the ring of 4 MiB takes 300,000 connections per second at this pace.
const DRAIN: Duration = Duration::from_millis(50);
/// Between two readings of threads and /proc, which cost more than queue depths.
const DETAIL: Duration = Duration::from_secs(1);
/// Who comes later than this to a reading has missed it, and the next one is a whole pace away.
const LATE: Duration = Duration::from_millis(5);

/// How often the kernel is read.
#[derive(Debug, Clone, Copy, Default)]
pub struct Pace {
    /// Between two readings.
    pub every: Duration,
    /// Until the first.
    pub first: Duration,
    /// Each of them reads threads and /proc as well; otherwise that is done once a second.
    pub all: bool,
}

/// Attached probes.
pub struct Live {
    probed: Probed,
    /// What was found when they were attached, and is not handed on yet.
    early: Vec<Event>,
    meta: Arc<Meta>,
    begun_ns: u64,
    detailed_ns: u64,
    pace: Pace,
    next_drain: Instant,
    next_reading: Instant,
}

impl Live {
    /// Attaches the probes. When this returns, they are at work.
    ///
    /// # Errors
    /// As [`Probed::start`].
    pub fn start(options: &Options, pace: Pace) -> Result<Self> {
        let mut early = Vec::new();
        let probed = Probed::start(options, &mut |event| early.push(event))?;
        let meta = Arc::new(meta::of(probed.outcomes(), &options.filters));
        let now = Instant::now();
        Ok(Self {
            probed,
            early,
            meta,
            begun_ns: now_ns()?,
            detailed_ns: 0,
            pace,
            next_drain: now + DRAIN,
            next_reading: now + pace.first,
        })
    }

    /// What became of each signal.
    pub fn outcomes(&self) -> &[Outcome] {
        self.probed.outcomes()
    }

    /// Hands on what has piled up.
    pub fn drain(&mut self, mut sink: Sink<'_>) {
        self.early.drain(..).for_each(&mut *sink);
        self.probed.drain(&mut sink);
        self.next_drain = Instant::now() + DRAIN;
    }

    /// Reads the queues; with `all`, also what costs more to read. Returns the instant of it.
    fn reading(&mut self, all: bool, mut sink: Sink<'_>) -> Result<u64> {
        self.drain(sink);
        // The instant before the first reading: whatever happened by then is in it.
        let time_ns = now_ns()?;
        self.probed.tick(&mut sink)?;
        if all || time_ns.saturating_sub(self.detailed_ns) >= DETAIL.as_nanos() as u64 {
            self.probed.detail(time_ns, &mut sink);
            self.detailed_ns = time_ns;
        }
        Ok(time_ns)
    }
}

impl Source for Live {
    fn meta(&self) -> &Arc<Meta> {
        &self.meta
    }

    fn begun_ns(&self) -> u64 {
        self.begun_ns
    }

    fn due(&self) -> Due {
        Due::At(self.next_drain.min(self.next_reading))
    }

    fn step(&mut self, sink: Sink<'_>) -> Result<Step> {
        let now = Instant::now();
        if now < self.next_reading {
            self.drain(sink);
            return Ok(Step::Events);
        }
        let missed = now.duration_since(self.next_reading) > LATE;
        self.next_reading = if missed { now } else { self.next_reading } + self.pace.every;
        self.reading(self.pace.all, sink).map(Step::Instant)
    }

    fn read(&mut self, sink: Sink<'_>) -> Result<Option<u64>> {
        self.reading(true, sink).map(Some)
    }

    fn retell(&mut self, mut sink: Sink<'_>) {
        self.probed.retell(&mut sink);
        // With the next reading also what costs more to read.
        self.detailed_ns = 0;
    }

    fn open(&mut self, sink: &mut dyn FnMut(u64, &record::Connection) -> Result<()>) -> Result<Vec<String>> {
        // After the last reading, in a recording as well: nothing in it is older than what stands before.
        let time_ns = now_ns()?;
        self.probed.open_connections().try_for_each(|record| sink(time_ns, &record))?;
        Ok(Vec::new())
    }

    fn check(&self) -> Result<()> {
        if !self.probed.namespace_is_gone() {
            return Ok(());
        }
        let netns = self.meta.filters.netns.unwrap_or(0);
        bail!(
            "the network namespace that --netns selected is gone, and its number {netns} was given to another one; \
             start again to watch that one"
        )
    }
}
