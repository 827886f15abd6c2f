//! Source and model together.

use std::{sync::Arc, time::Duration};

use anyhow::{Result, bail};
use observer_ebpf::record;

use crate::{
    kernel::{choice::Outcome, clock::now_ns, probes::Options, source::Source},
    model::{
        Model, connection,
        event::Event,
        snapshot::{Connection, Meta, Snapshot},
    },
    recording::recorder::{Recorder, Target},
    run::meta,
};

/// Between two emptyings of the event ring. The kernel half never wakes anybody: an ended connection waits at most
/// this long, and the ring of 4 MiB takes 300,000 connections per second at this pace.
pub const DRAIN: Duration = Duration::from_millis(50);
/// Between two readings of threads and /proc, which cost more than queue depths.
const DETAIL: Duration = Duration::from_secs(1);

/// Attached probes and what is known through them.
pub struct Session {
    source: Source,
    intake: Intake,
    meta: Arc<Meta>,
    begun_ns: u64,
    detailed_ns: u64,
}

/// The model, and the recording of all that it is told.
struct Intake {
    model: Model,
    recorder: Option<Recorder>,
    /// Why recording ended, until somebody asks.
    failure: Option<anyhow::Error>,
}

impl Intake {
    fn apply(&mut self, event: Event) -> Option<Arc<Connection>> {
        self.record(|recorder| recorder.event(&event));
        self.model.apply(event)
    }

    fn snapshot(&mut self, time_ns: u64) -> Snapshot {
        self.record(|recorder| recorder.snapshot(time_ns));
        self.model.snapshot(time_ns)
    }

    /// A recording that cannot go on ends; everything else does.
    fn record(&mut self, take: impl FnOnce(&mut Recorder) -> Result<()>) {
        if let Some(recorder) = &mut self.recorder
            && let Err(error) = take(recorder)
        {
            self.recorder = None;
            self.failure = Some(error);
        }
    }
}

impl Session {
    /// Attaches the probes. When this returns, they are at work.
    ///
    /// # Errors
    /// As [`Source::start`].
    pub fn start(options: &Options) -> Result<Self> {
        Self::start_with(options, None)
    }

    /// The same, and with a target everything from the first event on is recorded.
    ///
    /// # Errors
    /// As [`Source::start`]; or the recording cannot begin.
    pub fn start_with(options: &Options, target: Option<Target>) -> Result<Self> {
        // The model wants the description first, and the description is known only when the probes are attached.
        let mut early = Vec::new();
        let source = Source::start(options, &mut |event| early.push(event))?;
        let meta = Arc::new(meta::of(source.outcomes(), &options.filters));
        let begun_ns = now_ns()?;
        let recorder = target.map(|target| Recorder::begin(target, &meta, begun_ns, None)).transpose()?;
        let mut intake = Intake { model: Model::new(Arc::clone(&meta)), recorder, failure: None };
        for event in early {
            intake.apply(event);
        }
        Ok(Self { source, intake, meta, begun_ns, detailed_ns: 0 })
    }

    /// What does not change.
    pub fn meta(&self) -> &Arc<Meta> {
        &self.meta
    }

    /// When the probes were attached.
    pub fn begun_ns(&self) -> u64 {
        self.begun_ns
    }

    /// What became of each signal.
    pub fn outcomes(&self) -> &[Outcome] {
        self.source.outcomes()
    }

    /// Tells the model something that does not come from the kernel.
    pub fn tell(&mut self, event: Event) {
        self.intake.apply(event);
    }

    /// Begins a recording in the middle: with everything that is there now, and the number of what ended before.
    ///
    /// # Errors
    /// The recording cannot begin.
    pub fn record(&mut self, target: Target) -> Result<()> {
        let mut recorder = Recorder::begin(target, &self.meta, now_ns()?, Some(self.begun_ns))?;
        recorder.event(&Event::Unrecorded(self.intake.model.delivered()))?;
        if let Some(demo) = self.intake.model.demo() {
            recorder.event(&Event::Demo(Box::new(demo.clone())))?;
        }
        let Self { source, intake, .. } = self;
        intake.recorder = Some(recorder);
        source.retell(&mut |event| {
            intake.apply(event);
        });
        // With the next snapshot also what costs more to read.
        self.detailed_ns = 0;
        Ok(())
    }

    /// The recording that goes on, if one does.
    pub fn recorder(&self) -> Option<&Recorder> {
        self.intake.recorder.as_ref()
    }

    /// Why the recording ended by itself; said once.
    pub fn recording_failed(&mut self) -> Option<anyhow::Error> {
        self.intake.failure.take()
    }

    /// Ends the recording, with the connections that were open at `time_ns`. Returns its size; none if there is none.
    ///
    /// # Errors
    /// It could not be written to its end, or ended before.
    pub fn end_recording(&mut self, time_ns: u64, open: &[record::Connection]) -> Result<Option<u64>> {
        if let Some(error) = self.recording_failed() {
            return Err(error);
        }
        self.intake.recorder.take().map(|recorder| recorder.end(time_ns, open)).transpose()
    }

    /// Takes what has piled up, and hands each ended connection on.
    pub fn drain(&mut self, ended: &mut impl FnMut(&Connection) -> Result<()>) -> Result<()> {
        let Self { source, intake, .. } = self;
        let mut outcome = Ok(());
        source.drain(&mut |event| {
            if let Some(connection) = intake.apply(event)
                && outcome.is_ok()
            {
                outcome = ended(&connection);
            }
        });
        outcome
    }

    /// Reads the queues and makes a snapshot. With `all`, also what costs more to read; without, that is read only
    /// every second.
    pub fn snapshot(&mut self, all: bool) -> Result<Snapshot> {
        let Self { source, intake, .. } = self;
        let mut sink = |event| {
            intake.apply(event);
        };
        let time_ns = now_ns()?;
        source.tick(&mut sink)?;
        if all || time_ns.saturating_sub(self.detailed_ns) >= DETAIL.as_nanos() as u64 {
            source.detail(time_ns, &mut sink);
            self.detailed_ns = time_ns;
        }
        // The instant before the first reading: whatever happened by then is in it.
        Ok(intake.snapshot(time_ns))
    }

    /// Fails once what is watched cannot come back: everything that was seen of it has been told.
    ///
    /// # Errors
    /// The selected network namespace is gone, and its number was given to another one.
    pub fn check(&self) -> Result<()> {
        if !self.source.namespace_is_gone() {
            return Ok(());
        }
        let netns = self.meta.filters.netns.unwrap_or(0);
        bail!(
            "the network namespace that --netns selected is gone, and its number {netns} was given to another one; \
             start again to watch that one"
        )
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> impl Iterator<Item = Connection> {
        self.source.open_connections().map(|record| connection::of(&record, true))
    }

    /// The same as the kernel half knows them.
    pub fn open_records(&self) -> Vec<record::Connection> {
        self.source.open_connections().collect()
    }
}
