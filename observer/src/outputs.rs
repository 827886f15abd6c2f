//! Outputs: each renders the same snapshots, and any number of them run on one source.
//!
//! # Layout
//! - [`Output`]: what every output can do
//! - [`screen`]: the terminal
//! - [`stream`]: lines of JSON, by way of a [`pipe`]
//! - [`recording`]: a file to replay; [`progress`]: how large it is by now
//! - [`report`]: a page
//! - [`doctor`]: what the kernel gives
//!
//! A new output is a file here, and the command that asks for it.

pub mod doctor;
pub mod pipe;
pub mod progress;
pub mod recording;
pub mod report;
pub mod screen;
pub mod stream;

use std::{future::pending, pin::Pin, sync::Arc};

use anyhow::Result;
use observer_ebpf::record;

use crate::{
    backend::Request,
    model::{
        event::Event,
        snapshot::{Connection, Snapshot},
    },
    source::{Control, Origin},
};

/// What an output waits for.
pub type Later<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Something that renders what is known.
pub trait Output {
    /// Something happened, or was read, that the model learns next.
    ///
    /// # Errors
    /// The output cannot go on. So it is for all that follow.
    fn event(&mut self, _event: &Event) -> Result<()> {
        Ok(())
    }

    /// A connection ended.
    ///
    /// # Errors
    /// As [`Self::event`].
    fn connection(&mut self, _connection: &Connection) -> Result<()> {
        Ok(())
    }

    /// What is known now; with `last`, nothing comes after it.
    ///
    /// # Errors
    /// As [`Self::event`].
    fn snapshot(&mut self, snapshot: &Arc<Snapshot>, last: bool) -> Result<()>;

    /// Whether it wants the connections that are open at the end.
    fn wants_open(&self) -> bool {
        false
    }

    /// A connection that is open at the end.
    ///
    /// # Errors
    /// As [`Self::event`].
    fn open(&mut self, _time_ns: u64, _connection: &record::Connection) -> Result<()> {
        Ok(())
    }

    /// Something besides what is known.
    ///
    /// # Errors
    /// As [`Self::event`].
    fn hear(&mut self, _news: &News<'_>) -> Result<()> {
        Ok(())
    }

    /// All that is due was handed over: what was put off is due.
    ///
    /// # Errors
    /// As [`Self::event`].
    fn flush(&mut self) -> Result<()> {
        Ok(())
    }

    /// Whether the source must wait until [`Self::wish`] has come to something.
    fn is_full(&self) -> bool {
        false
    }

    /// Waits until it asks for something. Safe to cancel.
    fn wish(&mut self) -> Later<'_, Result<Wish>> {
        Box::pin(pending())
    }

    /// Bytes of the file that it writes, if a replay can show them again.
    fn recorded(&self) -> Option<u64> {
        None
    }

    /// It stands beside another output, which goes on without it.
    fn is_beside(&self) -> bool {
        false
    }

    /// Ends it. Returns what is to be said of that.
    fn end(self: Box<Self>) -> Later<'static, Result<Option<String>>> {
        Box::pin(async { Ok(None) })
    }
}

/// What an output asks for.
#[derive(Debug)]
pub enum Wish {
    /// Nothing: it has room again.
    Room,
    /// The end.
    Quit,
    /// A recording from now on, or its end.
    Record,
    /// The place in a recording.
    Control(Control),
    /// Something of the first backend.
    Backend(Request),
}

/// What an output hears besides what is known.
#[derive(Debug)]
pub enum News<'a> {
    /// Where the snapshots come from, and how far that is.
    Origin(Origin),
    /// What was known is of another time.
    Anew,
    /// The process is to stop until it is continued.
    Stop,
    /// What came of something that was not asked of the backend.
    Done(&'a Result<String, String>),
    /// What came of the oldest [`Wish::Backend`].
    Reply(&'a Result<(), String>),
    /// The backend cannot be reached.
    NoBackend(&'a str),
    /// A recording beside this output has ended by itself.
    NotRecorded(&'a str),
}
