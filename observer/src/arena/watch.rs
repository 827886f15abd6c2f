//! The observer's own view of an arena: the same session that feeds the screen, asked by code.

use std::{
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};

use super::Arena;
use crate::{
    kernel::probes::Options,
    model::snapshot::{Connection, Filters, Listener, Meta, Snapshot},
    run::session::Session,
};

/// Between two looks: a snapshot reads every thread of the backend in /proc.
const LOOK: Duration = Duration::from_millis(20);

/// A running observation of the listeners in one arena.
pub struct Watch {
    session: Session,
    ended: Vec<Connection>,
    patience: Duration,
}

impl Watch {
    /// Attaches the probes. When this returns, they are at work.
    ///
    /// # Errors
    /// As [`Session::start`].
    pub fn start(arena: &Arena) -> Result<Self> {
        let filters = Filters { netns: Some(arena.netns()), ..Filters::default() };
        let session = Session::start(&Options { filters, ..Options::default() })?;
        Ok(Self { session, ended: Vec::new(), patience: arena.patience() })
    }

    /// What does not change: signals, and the hooks that give them.
    pub fn meta(&self) -> &Meta {
        self.session.meta()
    }

    /// Takes what has piled up in the event ring. Whoever does something else for seconds calls it now and then.
    pub fn drain(&mut self) -> Result<()> {
        let Self { session, ended, .. } = self;
        session.drain(&mut |connection| {
            ended.push(connection.clone());
            Ok(())
        })
    }

    /// What is known now.
    pub fn look(&mut self) -> Result<Snapshot> {
        self.drain()?;
        self.session.snapshot(true)
    }

    /// Looks until it is so, and returns what was seen then.
    pub fn wait_for(
        &mut self,
        what: &str,
        mut is_so: impl FnMut(&Snapshot) -> Result<bool>,
    ) -> Result<Snapshot> {
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
    pub fn open(&self) -> Vec<Connection> {
        self.session.open_connections().collect()
    }
}

/// The open listeners on a port, in the order of the snapshot: one, or one for each shard.
pub fn listeners(snapshot: &Snapshot, port: u16) -> impl Iterator<Item = &Listener> {
    snapshot.listeners.iter().filter(move |listener| listener.port == port && listener.closed_ns.is_none())
}
