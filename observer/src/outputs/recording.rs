//! A recording: every event, and the instants at which snapshots were made.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

use anyhow::Result;
use observer_ebpf::record;

use super::{Later, Output};
use crate::{
    figures,
    kernel::clock::now_ns,
    model::{
        event::Event,
        snapshot::{Meta, Snapshot},
    },
    recording::recorder::{Recorder, Target},
    visible::Shown,
};

/// A recording that goes on.
pub struct Recording {
    recorder: Recorder,
    /// It stands beside another output.
    beside: bool,
}

impl Recording {
    /// A recording of everything from the start on, which is all that is wanted.
    ///
    /// # Errors
    /// As [`Recorder::begin`].
    pub fn alone(target: Target, meta: &Meta, begun_ns: u64) -> Result<Self> {
        Ok(Self { recorder: Recorder::begin(target, meta, begun_ns, None)?, beside: false })
    }

    /// The same beside another output, which goes on without it.
    ///
    /// # Errors
    /// As [`Recorder::begin`].
    pub fn beside(target: Target, meta: &Meta, begun_ns: u64) -> Result<Self> {
        Ok(Self { beside: true, ..Self::alone(target, meta, begun_ns)? })
    }

    /// A new file in the working directory, named after the time.
    ///
    /// # Errors
    /// As [`Target::create`].
    pub fn here() -> Result<Target> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
        Target::create(&PathBuf::from(format!("observer-{since}.rec")), true, false)
    }

    /// Begins in the middle, with what is there by now; the source must retell the rest.
    ///
    /// # Errors
    /// As [`Recorder::begin`].
    pub fn in_the_middle(
        target: Target,
        meta: &Meta,
        observed_since_ns: u64,
        there: &[Event],
    ) -> Result<Self> {
        let mut recorder = Recorder::begin(target, meta, now_ns()?, Some(observed_since_ns))?;
        there.iter().try_for_each(|event| recorder.event(event))?;
        Ok(Self { recorder, beside: true })
    }

    /// The file, as it may be shown.
    pub fn name(&self) -> String {
        Shown(self.recorder.path()).to_string()
    }
}

impl Output for Recording {
    fn event(&mut self, event: &Event) -> Result<()> {
        self.recorder.event(event)
    }

    fn snapshot(&mut self, snapshot: &Arc<Snapshot>, _last: bool) -> Result<()> {
        self.recorder.snapshot(snapshot.time_ns)
    }

    fn wants_open(&self) -> bool {
        true
    }

    fn open(&mut self, time_ns: u64, connection: &record::Connection) -> Result<()> {
        self.recorder.open(time_ns, connection)
    }

    fn recorded(&self) -> Option<u64> {
        Some(self.recorder.written())
    }

    fn is_beside(&self) -> bool {
        self.beside
    }

    fn end(self: Box<Self>) -> Later<'static, Result<Option<String>>> {
        let name = self.name();
        let ended = self.recorder.end();
        Box::pin(async move {
            // Short enough for 80 columns with the path.
            Ok(Some(format!("{} in {name}; observer replay shows them", figures::bytes(ended?))))
        })
    }
}
