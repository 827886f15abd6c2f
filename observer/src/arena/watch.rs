//! The observer's own view of an arena: the same engine that feeds the screen, asked by code.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::Arena;
use crate::{
    engine::Engine,
    kernel::probes::Options,
    model::snapshot::{Connection, Filters, Listener, Meta, Snapshot},
    source::live::Live,
};

/// Between two looks: a snapshot reads every thread of the backend in /proc.
const LOOK: Duration = Duration::from_millis(20);

/// A running observation of the listeners in one arena.
pub struct Watch {
    engine: Engine<Live>,
    ended: Vec<Connection>,
    patience: Duration,
}

impl Watch {
    /// Attaches the probes. When this returns, they are at work.
    ///
    /// # Errors
    /// As [`Engine::attach`].
    pub fn start(arena: &Arena) -> Result<Self> {
        let filters = Filters { netns: Some(arena.netns()), ..Filters::default() };
        let engine = Engine::attach(&Options { filters, ..Options::default() })?;
        Ok(Self { engine, ended: Vec::new(), patience: arena.patience() })
    }

    /// What does not change: signals, and the hooks that give them.
    pub fn meta(&self) -> &Meta {
        self.engine.meta()
    }

    /// Takes what has piled up in the event ring. Whoever does something else for seconds calls it now and then.
    pub fn drain(&mut self) -> Result<()> {
        let Self { engine, ended, .. } = self;
        engine.drain(&mut |connection| ended.push(connection.clone()))
    }

    /// What is known now.
    pub fn look(&mut self) -> Result<Arc<Snapshot>> {
        let Self { engine, ended, .. } = self;
        engine.look(&mut |connection| ended.push(connection.clone()))
    }

    /// Looks until it is so, and returns what was seen then.
    pub fn wait_for(
        &mut self,
        what: &str,
        mut is_so: impl FnMut(&Snapshot) -> Result<bool>,
    ) -> Result<Arc<Snapshot>> {
        let deadline = Instant::now() + self.patience;
        loop {
            let seen = self.look()?;
            if is_so(&seen)? {
                return Ok(seen);
            }
            if Instant::now() > deadline {
                bail!("the observer waited {} s in vain for {what}", self.patience.as_secs());
            }
            thread::sleep(LOOK);
        }
    }

    /// Connections that have ended since the last time this was asked.
    pub fn take_ended(&mut self) -> Vec<Connection> {
        std::mem::take(&mut self.ended)
    }

    /// Waits until so many connections have ended since the last time this was asked, and takes them.
    pub fn wait_for_ended(&mut self, count: usize) -> Result<Vec<Connection>> {
        let deadline = Instant::now() + self.patience;
        loop {
            self.drain()?;
            if self.ended.len() >= count {
                return Ok(self.take_ended());
            }
            if Instant::now() > deadline {
                let seen = self.ended.len();
                bail!("the observer saw {seen} of {count} connections end in {} s", self.patience.as_secs());
            }
            thread::sleep(LOOK);
        }
    }

    /// Connections that are open now.
    pub fn open(&mut self) -> Result<Vec<Connection>> {
        self.engine.open_connections()
    }
}

/// The open listeners on a port, in the order of the snapshot: one, or one for each shard.
pub fn listeners(snapshot: &Snapshot, port: u16) -> impl Iterator<Item = &Listener> {
    snapshot.listeners.iter().filter(move |listener| listener.port == port && listener.closed_ns.is_none())
}
