//! A recording and the model that it feeds: the same events and instants as live, so the same snapshots.

use std::{path::Path, sync::Arc};

use anyhow::{Result, anyhow, bail};
use demo_server::visible::Shown;

use super::{
    file::{End, Indexed, Recording},
    format::{Description, Kind},
};
use crate::model::{
    Model, SLOWEST_FOR_NS,
    bounds::{Bounds, LeftOut},
    connection,
    event::Event,
    snapshot::{Connection, Meta, RECENT, Snapshot},
};

/// A recording at an instant.
#[derive(Debug)]
pub struct Player {
    recording: Recording,
    meta: Arc<Meta>,
    bounds: Bounds,
    model: Model,
    /// The frame that comes next.
    next: usize,
    /// When the last snapshot was made.
    now_ns: u64,
    /// Times of the first and the last snapshot.
    span_ns: (u64, u64),
}

impl Player {
    /// Opens a recording, at its beginning, to hold as much of it as live does by default.
    ///
    /// # Errors
    /// As [`Self::open_within`].
    pub fn open(path: &Path) -> Result<Self> {
        Self::open_within(path, Bounds::default())
    }

    /// Opens a recording, at its beginning, to hold at most so much of it at one time.
    ///
    /// # Errors
    /// As [`Recording::open`]; or no snapshot is in it.
    pub fn open_within(path: &Path, bounds: Bounds) -> Result<Self> {
        let recording = Recording::open(path)?;
        let mut snapshots = recording.frames().iter().filter_map(|indexed| indexed.frame.snapshot_ns());
        let Some(first) = snapshots.next() else {
            match recording.end() {
                End::Damaged(at, why) => bail!("cannot replay {}: byte {at}: {why}", Shown(path)),
                End::Cut(at) => {
                    bail!("cannot replay {}: it is cut at byte {at}, before the first snapshot", Shown(path))
                }
                _ => bail!("cannot replay {}: nothing was recorded in it", Shown(path)),
            }
        };
        let span_ns = (first, snapshots.next_back().unwrap_or(first));
        let meta = Arc::new(recording.description().meta.clone());
        let model = Model::bounded(Arc::clone(&meta), bounds);
        Ok(Self { recording, meta, bounds, model, next: 0, now_ns: first, span_ns })
    }

    /// What does not change throughout.
    pub fn description(&self) -> &Description {
        self.recording.description()
    }

    /// Times of the first and the last snapshot.
    pub fn span_ns(&self) -> (u64, u64) {
        self.span_ns
    }

    /// When the last snapshot was made.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// When the next snapshot is due; none at the end.
    pub fn next_ns(&self) -> Option<u64> {
        self.ahead().iter().find_map(|indexed| indexed.frame.snapshot_ns())
    }

    /// When the snapshot before the last one was made; none at the beginning.
    pub fn previous_ns(&self) -> Option<u64> {
        let played = self.recording.frames().get(..self.next).unwrap_or_default();
        let mut snapshots = played.iter().rev().filter_map(|indexed| indexed.frame.snapshot_ns());
        snapshots.find(|then| *then < self.now_ns)
    }

    /// What is to be said of the recording besides what is in it.
    pub fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        match self.recording.end() {
            End::Complete | End::Damaged(..) => {}
            End::Unended => remarks.push(
                "the recording was not ended: its recorder was killed, or could not write on".to_owned(),
            ),
            End::Cut(at) => remarks.push(format!(
                "the recording is cut at byte {at}, in the middle of a frame; it is replayed up to there"
            )),
        }
        if !self.description().connections {
            remarks.push(
                "the recording was made without connections: they are counted, and none is shown".to_owned(),
            );
        }
        remarks
    }

    /// What was left out by now because it is more than is held at one time.
    pub fn left_out(&self) -> Vec<String> {
        self.model.left_out().remarks(self.bounds)
    }

    /// Plays up to the next snapshot and hands each ended connection on. None at the end.
    ///
    /// # Errors
    /// The recording is damaged: how, and where. Or what `ended` says.
    pub fn advance(&mut self, ended: &mut dyn FnMut(&Connection) -> Result<()>) -> Result<Option<Snapshot>> {
        self.play(0, ended)
    }

    /// Plays to the last snapshot that is not after `time_ns`, from the beginning if that is in the past, and hands the
    /// snapshots in between on, the last one included.
    ///
    /// Ended connections of long ago are passed over where nothing of them is left at that time. So among the slowest may
    /// then be one which, played, had been pushed off the list by one that has left it since.
    ///
    /// # Errors
    /// As [`Self::advance`].
    pub fn seek(&mut self, time_ns: u64, shown: &mut dyn FnMut(Snapshot)) -> Result<()> {
        let time_ns = time_ns.clamp(self.span_ns.0, self.span_ns.1);
        if time_ns < self.now_ns || self.next == 0 {
            self.model = Model::bounded(Arc::clone(&self.meta), self.bounds);
            self.next = 0;
        }
        let needed = self.needed(time_ns);
        while self.next_ns().is_some_and(|next| next <= time_ns) {
            if let Some(snapshot) = self.play(needed, &mut |_| Ok(()))? {
                shown(snapshot);
            }
        }
        Ok(())
    }

    /// Connections that are open at the end, as outputs show them, and when they were read. Returns what of them was left
    /// out.
    ///
    /// # Errors
    /// The recording is damaged.
    pub fn open_connections(
        &self,
        open: &mut dyn FnMut(u64, &Connection) -> Result<()>,
    ) -> Result<Vec<String>> {
        let (mut shown, mut left_out) = (0, LeftOut::default());
        let those = self.recording.frames().iter().filter(|indexed| indexed.frame.kind == Kind::Open);
        for indexed in those {
            self.recording.events(indexed, |event| match event {
                Event::Connection(_) if shown == self.bounds.connections => {
                    left_out.connections += 1;
                    Ok(())
                }
                Event::Connection(record) => {
                    shown += 1;
                    open(indexed.frame.time_ns, &connection::of(&record, true))
                }
                _ => Ok(()),
            })?;
        }
        Ok(left_out.remarks(self.bounds))
    }

    fn ahead(&self) -> &[Indexed] {
        self.recording.frames().get(self.next..).unwrap_or_default()
    }

    /// The first frame whose connections are still to be seen at this time: among the slowest, or the most recent.
    fn needed(&self, time_ns: u64) -> usize {
        let frames = self.recording.frames();
        let after = |indexed: &Indexed| indexed.frame.snapshot_ns().is_some_and(|then| then > time_ns);
        let until = frames.iter().position(after).unwrap_or(frames.len());
        let since_ns = time_ns.saturating_sub(SLOWEST_FOR_NS);
        let mut connections = 0_u64;
        for (index, Indexed { frame, .. }) in frames.iter().enumerate().take(until).rev() {
            let old = frame.snapshot_ns().is_some_and(|then| then < since_ns);
            if old && connections >= RECENT as u64 {
                return index;
            }
            connections += u64::from(frame.connections);
        }
        0
    }

    /// Plays up to the next snapshot; of connections before frame `needed` only the number.
    fn play(
        &mut self,
        needed: usize,
        ended: &mut dyn FnMut(&Connection) -> Result<()>,
    ) -> Result<Option<Snapshot>> {
        while let Some(indexed) = self.ahead().first().copied() {
            let frame = indexed.frame;
            match frame.kind {
                Kind::Connections if self.next < needed => {
                    self.model.apply(Event::Unrecorded(frame.connections.into()));
                }
                Kind::Connections | Kind::State => {
                    let model = &mut self.model;
                    self.recording.events(&indexed, |event| match model.apply(event) {
                        Some(connection) => ended(&connection),
                        None => Ok(()),
                    })?;
                }
                Kind::Open | Kind::End => {}
            }
            self.next += 1;
            if let Some(time_ns) = frame.snapshot_ns() {
                self.now_ns = time_ns;
                return Ok(Some(self.model.snapshot(time_ns)));
            }
        }
        match self.recording.end() {
            End::Damaged(at, why) => Err(anyhow!("the recording is damaged at byte {at}: {why}")),
            _ => Ok(None),
        }
    }
}
