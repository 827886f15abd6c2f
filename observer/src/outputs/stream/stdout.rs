//! Lines on their way to stdout: nothing more is read while nobody takes them.

use std::{future::pending, sync::Arc};

use anyhow::Result;
use observer_ebpf::record;

use super::Stream;
use crate::{
    model::{
        connection,
        snapshot::{Connection, Snapshot},
    },
    outputs::{Later, News, Output, Wish, pipe::Pipe},
    visible::say,
};

/// Lines, and the pipe that takes them.
pub struct Stdout {
    lines: Stream,
    pipe: Pipe,
    /// At the end, also a line for each connection that is open then.
    open: bool,
}

impl Stdout {
    /// Begins with what these lines hold by now.
    ///
    /// # Errors
    /// As [`Pipe::to_stdout`].
    pub fn new(lines: Stream, open: bool) -> Result<Self> {
        Ok(Self { lines, pipe: Pipe::to_stdout()?, open })
    }
}

impl Output for Stdout {
    fn connection(&mut self, connection: &Connection) -> Result<()> {
        self.lines.connection(connection)
    }

    fn snapshot(&mut self, snapshot: &Arc<Snapshot>, last: bool) -> Result<()> {
        self.lines.snapshot(snapshot, last)
    }

    fn wants_open(&self) -> bool {
        self.open
    }

    fn open(&mut self, time_ns: u64, connection: &record::Connection) -> Result<()> {
        if self.open { self.lines.open(time_ns, &connection::of(connection, true)) } else { Ok(()) }
    }

    fn hear(&mut self, news: &News<'_>) -> Result<()> {
        match news {
            News::NoBackend(error) => say(format_args!("observer: no pattern lines for now: {error}")),
            News::NotRecorded(why) => say(format_args!("observer: no recording from here on: {why}")),
            _ => {}
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        self.lines.has_lines()
    }

    fn wish(&mut self) -> Later<'_, Result<Wish>> {
        Box::pin(async {
            if !self.lines.has_lines() {
                return pending().await;
            }
            self.pipe.room().await?.send(self.lines.take());
            Ok(Wish::Room)
        })
    }

    fn end(mut self: Box<Self>) -> Later<'static, Result<Option<String>>> {
        let last = self.lines.take();
        Box::pin(async move { self.pipe.finish(last).await.map(|()| None) })
    }
}
