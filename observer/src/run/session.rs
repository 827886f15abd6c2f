//! Source and model together.

use std::{sync::Arc, time::Duration};

use anyhow::Result;

use crate::{
    kernel::{
        choice::Outcome,
        probes::Options,
        source::{Source, now_ns},
    },
    model::{
        Model, connection,
        event::Event,
        snapshot::{Connection, Meta, Snapshot},
    },
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
    model: Model,
    meta: Arc<Meta>,
    detailed_ns: u64,
}

impl Session {
    /// Attaches the probes. When this returns, they are at work.
    ///
    /// # Errors
    /// As [`Source::start`].
    pub fn start(options: &Options) -> Result<Self> {
        // The model wants the description first, and the description is known only when the probes are attached.
        let mut early = Vec::new();
        let source = Source::start(options, &mut |event| early.push(event))?;
        let meta = Arc::new(meta::of(source.outcomes(), &options.filters));
        let mut model = Model::new(Arc::clone(&meta));
        for event in early {
            model.apply(event);
        }
        Ok(Self { source, model, meta, detailed_ns: 0 })
    }

    /// What does not change.
    pub fn meta(&self) -> &Arc<Meta> {
        &self.meta
    }

    /// What became of each signal.
    pub fn outcomes(&self) -> &[Outcome] {
        self.source.outcomes()
    }

    /// Tells the model something that does not come from the kernel.
    pub fn tell(&mut self, event: Event) {
        self.model.apply(event);
    }

    /// Takes what has piled up, and hands each ended connection on.
    pub fn drain(&mut self, ended: &mut impl FnMut(&Connection) -> Result<()>) -> Result<()> {
        let Self { source, model, .. } = self;
        let mut outcome = Ok(());
        source.drain(&mut |event| {
            if let Some(connection) = model.apply(event)
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
        let Self { source, model, .. } = self;
        let mut sink = |event| {
            model.apply(event);
        };
        let time_ns = now_ns()?;
        source.tick(&mut sink)?;
        if all || time_ns.saturating_sub(self.detailed_ns) >= DETAIL.as_nanos() as u64 {
            source.detail(time_ns, &mut sink);
            self.detailed_ns = time_ns;
        }
        // The instant before the first reading: whatever happened by then is in it.
        Ok(model.snapshot(time_ns))
    }

    /// Connections that are open now.
    pub fn open_connections(&self) -> impl Iterator<Item = Connection> {
        self.source.open_connections().map(|record| connection::of(&record, true))
    }
}
