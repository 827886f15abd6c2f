//! Engines that are asked by code, and do not run by themselves.

use std::{path::Path, sync::Arc};

use anyhow::Result;

use super::{Engine, Stepped};
use crate::{
    kernel::{choice::Outcome, probes::Options},
    model::{
        bounds::Bounds,
        connection,
        snapshot::{Connection, Snapshot},
    },
    outputs::Output,
    source::{
        Source as _,
        live::{Live, Pace},
        recorded::Recorded,
    },
};

impl Engine<Live> {
    /// Attaches the probes. When this returns, they are at work.
    ///
    /// # Errors
    /// As [`Live::start`].
    pub fn attach(options: &Options) -> Result<Self> {
        Live::start(options, Pace::default()).map(Self::new)
    }

    /// What became of each signal.
    pub fn outcomes(&self) -> &[Outcome] {
        self.source.outcomes()
    }

    /// Takes what has piled up, and hands each ended connection on.
    ///
    /// # Errors
    /// An output cannot go on.
    pub fn drain(&mut self, ended: &mut dyn FnMut(&Connection)) -> Result<()> {
        let Self { source, model, outlets, .. } = self;
        source.drain(&mut |event| outlets.take(model, event, ended));
        self.outlets.check()
    }

    /// Takes what has piled up, reads everything, and returns what is known now.
    ///
    /// # Errors
    /// As [`Engine::step`].
    pub fn look(&mut self, ended: &mut dyn FnMut(&Connection)) -> Result<Arc<Snapshot>> {
        // It always can be read.
        Ok(self.read(false, ended)?.unwrap_or_default())
    }

    /// Connections that are open now.
    ///
    /// # Errors
    /// They cannot be read.
    pub fn open_connections(&mut self) -> Result<Vec<Connection>> {
        let mut open = Vec::new();
        self.source.open(&mut |_, record| {
            open.push(connection::of(record, true));
            Ok(())
        })?;
        Ok(open)
    }
}

/// A recording and the model that it feeds.
pub type Player = Engine<Recorded>;

impl Player {
    /// Opens a recording, at its beginning, to hold as much of it as live does by default.
    ///
    /// # Errors
    /// As [`Recorded::open_within`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_within(path, Bounds::default())
    }

    /// Opens a recording, at its beginning, to hold at most so much of it at one time.
    ///
    /// # Errors
    /// As [`Recorded::open_within`].
    pub fn open_within(path: &Path, bounds: Bounds) -> Result<Self> {
        Recorded::open_within(path, bounds).map(Self::new)
    }

    /// Plays up to the next snapshot and hands each ended connection on. None at the end.
    ///
    /// # Errors
    /// The recording is damaged: how, and where.
    pub fn advance(&mut self, ended: &mut dyn FnMut(&Connection)) -> Result<Option<Arc<Snapshot>>> {
        loop {
            match self.step(ended)? {
                Stepped::Events => {}
                Stepped::Known(snapshot) => return Ok(Some(snapshot)),
                Stepped::End => return self.damage.take().map_or(Ok(None), Err),
            }
        }
    }

    /// Plays to the end, for an output that stays.
    ///
    /// # Errors
    /// As [`Self::advance`]; or the output cannot go on.
    pub fn play(&mut self, output: &mut impl Output) -> Result<()> {
        let mut failure = Ok(());
        let mut ended = |output: &mut dyn Output, connection: &Connection| {
            if failure.is_ok() {
                failure = output.connection(connection);
            }
        };
        while let Some(snapshot) = self.advance(&mut |connection| ended(output, connection))? {
            output.snapshot(&snapshot, self.source.ends_at(snapshot.time_ns))?;
        }
        failure
    }
}
