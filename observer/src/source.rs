//! Where events come from: the kernel, or a recording of what came from it. The engine takes all of them alike.
//!
//! # Layout
//! - [`Source`]: what every source can do
//! - [`live`]: the kernel, read at a pace
//! - [`recorded`]: a recording, as fast as it is read
//! - [`playback`]: a recording, as fast as it was, and back and forth
//!
//! A new source is a file here, and the command that chooses it.

pub mod live;
pub mod playback;
pub mod recorded;

use std::sync::Arc;

use anyhow::{Error, Result};
use observer_ebpf::record;
use tokio::time::Instant;

use crate::model::{bounds::Bounds, event::Event, snapshot::Meta};

/// What a source hands events to.
pub type Sink<'a> = &'a mut dyn FnMut(Event);

/// A source of events.
pub trait Source {
    /// What does not change while it is read.
    fn meta(&self) -> &Arc<Meta>;

    /// When watching began.
    fn begun_ns(&self) -> u64;

    /// How much of it may be held at one time; none where the kernel half is bounded already.
    fn bounds(&self) -> Option<Bounds> {
        None
    }

    /// When it should be asked for its next step.
    fn due(&self) -> Due;

    /// Hands on what comes next.
    ///
    /// # Errors
    /// It cannot go on.
    fn step(&mut self, sink: Sink<'_>) -> Result<Step>;

    /// Hands on all that is to be had right now, and returns the instant of it; none if nothing is left after its last step.
    ///
    /// # Errors
    /// It cannot be read.
    fn read(&mut self, sink: Sink<'_>) -> Result<Option<u64>>;

    /// Hands on what is there already, for somebody who begins to listen now.
    fn retell(&mut self, sink: Sink<'_>);

    /// Hands on the connections that are open at the end, each with the time of that. Returns what of them was left out.
    ///
    /// # Errors
    /// They cannot be read.
    fn open(&mut self, sink: &mut dyn FnMut(u64, &record::Connection) -> Result<()>) -> Result<Vec<String>>;

    /// Whether nothing comes after this instant.
    fn ends_at(&self, _time_ns: u64) -> bool {
        false
    }

    /// Fails once what is watched cannot come back: everything that was seen of it has been handed on.
    ///
    /// # Errors
    /// Why it cannot.
    fn check(&self) -> Result<()> {
        Ok(())
    }

    /// Whether it comes from the kernel or from a recording, and how far that is.
    fn origin(&self) -> Origin {
        Origin::Live
    }

    /// Does what the user of a replay asks for.
    fn control(&mut self, _control: Control) {}
}

/// When a source has something more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Due {
    /// It has.
    Now,
    /// Then.
    At(Instant),
    /// Not until it is controlled.
    Never,
}

/// What a step of a source came to.
#[derive(Debug)]
pub enum Step {
    /// Events were handed on, or none.
    Events,
    /// And with them all that is known of this instant.
    Instant(u64),
    /// What comes next is of another time: all that was handed on is to be forgotten.
    Anew,
    /// It cannot be read any further, and why; what was handed on is right.
    Damaged(Error),
    /// There is no more.
    End,
}

/// Where snapshots come from, if not live from the kernel and no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Origin {
    /// Live from the kernel.
    #[default]
    Live,
    /// Live, and recorded: so many bytes by now.
    Recorded(u64),
    /// From a recording.
    Replayed(Position),
}

/// Where in a recording a replay is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Time since the first snapshot of the recording.
    pub position_ns: u64,
    /// Time from its first snapshot to its last.
    pub length_ns: u64,
    /// Times as fast as it was.
    pub speed: u16,
    /// It plays by itself.
    pub plays: bool,
}

impl Position {
    /// Whether nothing comes any more.
    pub fn is_at_end(&self) -> bool {
        !self.plays && self.position_ns >= self.length_ns
    }
}

/// What the user of a replay can ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// Play, or stand still.
    Play,
    /// One snapshot back.
    StepBack,
    /// One snapshot on.
    StepOn,
    /// So many seconds on, or back.
    Move(i64),
    /// Half as fast.
    Slower,
    /// Twice as fast.
    Faster,
}
