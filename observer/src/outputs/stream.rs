//! NDJSON: one object a line, each with `type` and `time_ns`; docs/stream.md describes them.

mod findings;
pub mod line_type;
mod refusals;
pub mod stdout;

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use anyhow::{Context as _, Result};
use serde::Serialize;

use findings::Findings;
use line_type::LineType;
use refusals::Told;

use super::Output;
use crate::model::{
    histogram::Quantiles,
    interval::Interval,
    listening::Unwatched,
    mark::{Mark, What},
    snapshot::{Connection, Listener, Meta, Snapshot, Thread, stage},
};

/// Writes lines, to be taken from here.
pub struct Stream {
    out: Vec<u8>,
    only: Vec<LineType>,
    /// Deeds of each thread at the last line, its wake-ups among them, to leave out those that did nothing since.
    deeds: HashMap<(u32, u32), [u64; 4]>,
    /// Refusals of each listener that were told.
    refused: HashMap<u64, Told>,
    /// What is known to be wrong by whoever reads the lines.
    findings: Findings,
    /// What was known at the last lines.
    before: Arc<Snapshot>,
    /// When the last change of the backend that was written happened.
    changed_ns: u64,
}

/// A line: its type and time before its fields.
#[derive(Serialize)]
struct Line<'a, T: Serialize> {
    r#type: &'a str,
    time_ns: u64,
    #[serde(flatten)]
    fields: &'a T,
}

#[derive(Serialize)]
struct Refusals {
    listener: u64,
    cause: &'static str,
    /// Since the last line.
    count: u64,
    /// Since start.
    total: u64,
}

#[derive(Serialize)]
struct Watched<'a> {
    #[serde(flatten)]
    listener: &'a Listener,
    /// Most connections in the accept queue since the last line; exact, not sampled. Null where that is too long ago.
    accept_queue_peak: Option<u32>,
    /// Accept-queue wait of the connections accepted since the last line; `max` is exact if none has waited longer before,
    /// and otherwise the end of a bucket, up to 12.5 % above the truth.
    accept_wait_interval_ns: Quantiles,
}

#[derive(Serialize)]
struct NotWatched<'a> {
    #[serde(flatten)]
    listener: &'a Unwatched,
    reason: &'static str,
}

#[derive(Serialize)]
struct Pattern<'a> {
    change: &'a str,
    what: What,
    name: &'a str,
    from: &'a Option<String>,
    to: &'a Option<String>,
}

impl Stream {
    /// Writes lines of the types in `only`, or of all types if it is empty.
    pub fn new(only: Vec<LineType>) -> Self {
        Self {
            out: Vec::new(),
            only,
            deeds: HashMap::new(),
            refused: HashMap::new(),
            findings: Findings::default(),
            before: Arc::default(),
            changed_ns: 0,
        }
    }

    /// The first line.
    pub fn meta(&mut self, time_ns: u64, meta: &Meta) -> Result<()> {
        self.write("meta", time_ns, meta)
    }

    /// A connection that is still open, at the end.
    pub fn open(&mut self, time_ns: u64, connection: &Connection) -> Result<()> {
        if self.wants(LineType::Connection) { self.write("connection", time_ns, connection) } else { Ok(()) }
    }

    /// Whether any lines are there to be taken.
    pub fn has_lines(&self) -> bool {
        !self.out.is_empty()
    }

    /// The lines that were written since this was last called.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }

    fn wants(&self, line: LineType) -> bool {
        self.only.is_empty() || self.only.contains(&line)
    }

    fn write(&mut self, r#type: &str, time_ns: u64, fields: &impl Serialize) -> Result<()> {
        let line = Line { r#type, time_ns, fields };
        serde_json::to_writer(&mut self.out, &line).context("cannot write a line")?;
        self.out.push(b'\n');
        Ok(())
    }

    fn threads(&mut self, snapshot: &Snapshot) -> Result<()> {
        for thread in &snapshot.threads {
            let deeds = [thread.accepts, thread.reads, thread.writes, thread.wakeups.unwrap_or(0)];
            let changed = self.deeds.insert((thread.pid, thread.tid), deeds) != Some(deeds);
            if thread.looked.is_some() || deeds != [0; 4] && (changed || thread.exited || is_busy(thread)) {
                self.write("thread", snapshot.time_ns, thread)?;
            }
        }
        let gone = |thread: &&Thread| thread.exited;
        for thread in snapshot.threads.iter().filter(gone) {
            self.deeds.remove(&(thread.pid, thread.tid));
        }
        Ok(())
    }

    fn drops(&mut self, time_ns: u64, listener: &Listener, last: bool) -> Result<()> {
        let last = last || listener.closed_ns.is_some();
        let told = self.refused.entry(listener.cookie).or_default().next(&listener.drops, last);
        for (cause, count, total) in told {
            self.write("drop", time_ns, &Refusals { listener: listener.cookie, cause, count, total })?;
        }
        Ok(())
    }

    /// Forgets what was told of listeners that are gone. One that has shut down is closed, and is there still.
    fn forget_gone(&mut self, snapshot: &Snapshot) {
        if self.refused.len() > snapshot.listeners.len() {
            let there: HashSet<u64> = snapshot.listeners.iter().map(|listener| listener.cookie).collect();
            self.refused.retain(|cookie, _| there.contains(cookie));
        }
    }
}

/// Part of the time from which an acceptor has a line in each interval, though it accepts nobody.
const BUSY: f64 = 0.1;

/// An acceptor runs, or waits for a processor.
fn is_busy(thread: &Thread) -> bool {
    let rates = &thread.rates;
    thread.accepts + thread.accept_failures > 0
        && rates.running.unwrap_or(0.0) + rates.ready.unwrap_or(0.0) >= BUSY
}

impl Output for Stream {
    fn connection(&mut self, connection: &Connection) -> Result<()> {
        if self.wants(LineType::Connection) {
            let time_ns = connection.closed_ns.unwrap_or(0);
            self.write("connection", time_ns, connection)?;
        }
        Ok(())
    }

    /// In the last set of lines nothing is held back.
    fn snapshot(&mut self, snapshot: &Arc<Snapshot>, last: bool) -> Result<()> {
        let time_ns = snapshot.time_ns;
        if self.wants(LineType::Listener) {
            let before = std::mem::replace(&mut self.before, Arc::clone(snapshot));
            let interval = Interval::between(&before, snapshot);
            for listener in &snapshot.listeners {
                let accept_queue_peak = interval.peak(listener);
                let accept_wait_interval_ns = interval.quantiles(listener, stage::ACCEPT_WAIT);
                let watched = Watched { listener, accept_queue_peak, accept_wait_interval_ns };
                self.write("listener", time_ns, &watched)?;
            }
        }
        if self.wants(LineType::Unwatched) {
            for listener in snapshot.unwatched() {
                let reason = listener.cause.reason();
                self.write("unwatched", time_ns, &NotWatched { listener, reason })?;
            }
        }
        if self.wants(LineType::Thread) {
            self.threads(snapshot)?;
        }
        if self.wants(LineType::Drop) {
            for listener in &snapshot.listeners {
                self.drops(time_ns, listener, last)?;
            }
            self.forget_gone(snapshot);
        }
        if self.wants(LineType::Host) {
            for host in &snapshot.hosts {
                self.write("host", time_ns, host)?;
            }
        }
        if self.wants(LineType::Ledger) {
            for check in &snapshot.ledger {
                self.write("ledger", time_ns, check)?;
            }
        }
        if self.wants(LineType::Loss) {
            self.write("loss", time_ns, &snapshot.loss)?;
        }
        if self.wants(LineType::Probe) {
            for probe in &snapshot.probes {
                self.write("probe", time_ns, probe)?;
            }
        }
        if self.wants(LineType::Diagnosis) {
            for line in self.findings.next(&snapshot.diagnoses) {
                self.write("diagnosis", time_ns, &line)?;
            }
        }
        if self.wants(LineType::Pattern) {
            let told_ns = self.changed_ns;
            for mark in snapshot.marks.iter().filter(|mark| mark.time_ns > told_ns) {
                let Mark { what, name, from, to, .. } = mark;
                let line = Pattern { change: &mark.to_string(), what: *what, name, from, to };
                self.write("pattern", mark.time_ns, &line)?;
                self.changed_ns = mark.time_ns;
            }
        }
        Ok(())
    }
}
