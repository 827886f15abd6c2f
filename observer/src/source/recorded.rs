//! A recording as a source, as fast as it is read: the same events and instants as live, so the same snapshots.

use std::{path::Path, sync::Arc};

use anyhow::{Result, bail};
use observer_ebpf::record;

use super::{Due, Sink, Source, Step};
use crate::{
    model::{
        SLOWEST_FOR_NS,
        bounds::{Bounds, LeftOut},
        event::Event,
        snapshot::{Meta, RECENT},
    },
    recording::{
        file::{End, Events, Indexed, Recording},
        format::{Description, Kind},
    },
    visible::Shown,
};

/// Events of a step: outputs hold what comes of them until they can write.
const AT_ONCE: usize = 1024;

/// A recording, and how far it was read.
#[derive(Debug)]
pub struct Recorded {
    recording: Recording,
    meta: Arc<Meta>,
    bounds: Bounds,
    /// The frame that comes next.
    next: usize,
    /// What is left of it, if it was begun.
    events: Option<Events>,
    /// The first frame whose connections are wanted; of those before it, only their number.
    needed: usize,
    /// The last instant that was handed on.
    now_ns: u64,
    /// The first instant and the last.
    span_ns: (u64, u64),
}

impl Recorded {
    /// Opens a recording, at its beginning, to hold at most so much of it at one time.
    ///
    /// # Errors
    /// As [`Recording::open`]; or no snapshot is in it.
    pub fn open_within(path: &Path, bounds: Bounds) -> Result<Self> {
        let recording = Recording::open(path)?;
        let mut instants = recording.frames().iter().filter_map(|indexed| indexed.frame.snapshot_ns());
        let Some(first) = instants.next() else {
            match recording.end() {
                End::Damaged(at, why) => bail!("cannot replay {}: byte {at}: {why}", Shown(path)),
                End::Cut(at) => {
                    bail!("cannot replay {}: it is cut at byte {at}, before the first snapshot", Shown(path))
                }
                _ => bail!("cannot replay {}: nothing was recorded in it", Shown(path)),
            }
        };
        let span_ns = (first, instants.next_back().unwrap_or(first));
        let meta = Arc::new(recording.description().meta.clone());
        Ok(Self { recording, meta, bounds, next: 0, events: None, needed: 0, now_ns: first, span_ns })
    }

    /// What does not change throughout.
    pub fn description(&self) -> &Description {
        self.recording.description()
    }

    /// The first instant and the last.
    pub fn span_ns(&self) -> (u64, u64) {
        self.span_ns
    }

    /// The last instant that was handed on; before that, the first.
    pub fn now_ns(&self) -> u64 {
        self.now_ns
    }

    /// The next instant; none at the end.
    pub fn next_ns(&self) -> Option<u64> {
        self.ahead().iter().find_map(|indexed| indexed.frame.snapshot_ns())
    }

    /// The instant before the last one that was handed on; none at the beginning.
    pub fn previous_ns(&self) -> Option<u64> {
        let played = self.recording.frames().get(..self.next).unwrap_or_default();
        let mut instants = played.iter().rev().filter_map(|indexed| indexed.frame.snapshot_ns());
        instants.find(|then| *then < self.now_ns)
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

    /// Makes ready for the last instant that is not after `time_ns`. Returns whether that is in the past: it begins anew
    /// then.
    ///
    /// Ended connections of long ago are passed over where nothing of them is left at that time. So among the slowest may
    /// then be one which, played, had been pushed off the list by one that has left it since.
    pub fn seek(&mut self, time_ns: u64) -> bool {
        let is_past = time_ns < self.now_ns || self.next == 0;
        if is_past {
            (self.next, self.events) = (0, None);
        }
        self.needed = self.needed_at(time_ns);
        is_past
    }

    /// Hands on some events of a frame. Returns whether these were the last.
    fn some_of(&mut self, indexed: &Indexed, sink: Sink<'_>) -> Result<bool> {
        let mut events = match self.events.take() {
            Some(events) => events,
            None => self.recording.events(indexed)?,
        };
        for _ in 0..AT_ONCE {
            match events.take()? {
                Some(event) => sink(event),
                None => return Ok(true),
            }
        }
        self.events = Some(events);
        Ok(false)
    }

    fn ahead(&self) -> &[Indexed] {
        self.recording.frames().get(self.next..).unwrap_or_default()
    }

    /// The first frame whose connections are still to be seen at this time: among the slowest, or the most recent.
    fn needed_at(&self, time_ns: u64) -> usize {
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
}

impl Source for Recorded {
    fn meta(&self) -> &Arc<Meta> {
        &self.meta
    }

    fn begun_ns(&self) -> u64 {
        self.description().begun_ns
    }

    fn bounds(&self) -> Option<Bounds> {
        Some(self.bounds)
    }

    fn due(&self) -> Due {
        Due::Now
    }

    fn step(&mut self, sink: Sink<'_>) -> Result<Step> {
        let Some(indexed) = self.ahead().first().copied() else {
            return Ok(match self.recording.end() {
                End::Damaged(at, why) => {
                    Step::Damaged(anyhow::anyhow!("the recording is damaged at byte {at}: {why}"))
                }
                _ => Step::End,
            });
        };
        let frame = indexed.frame;
        match frame.kind {
            Kind::Connections if self.next < self.needed => {
                sink(Event::Unrecorded(frame.connections.into()));
            }
            Kind::Connections | Kind::State => match self.some_of(&indexed, sink) {
                Ok(true) => self.events = None,
                Ok(false) => return Ok(Step::Events),
                Err(error) => return Ok(Step::Damaged(error)),
            },
            Kind::Open | Kind::End => {}
        }
        self.next += 1;
        Ok(match frame.snapshot_ns() {
            Some(time_ns) => {
                self.now_ns = time_ns;
                Step::Instant(time_ns)
            }
            None => Step::Events,
        })
    }

    /// The last instant of a recording was one of its steps.
    fn read(&mut self, _sink: Sink<'_>) -> Result<Option<u64>> {
        Ok(None)
    }

    /// It has told everything.
    fn retell(&mut self, _sink: Sink<'_>) {}

    fn open(&mut self, sink: &mut dyn FnMut(u64, &record::Connection) -> Result<()>) -> Result<Vec<String>> {
        let (mut shown, mut left_out) = (0, LeftOut::default());
        let those = self.recording.frames().iter().filter(|indexed| indexed.frame.kind == Kind::Open);
        for indexed in those {
            let mut events = self.recording.events(indexed)?;
            while let Some(event) = events.take()? {
                match event {
                    Event::Connection(_) if shown == self.bounds.connections => left_out.connections += 1,
                    Event::Connection(record) => {
                        shown += 1;
                        sink(indexed.frame.time_ns, &record)?;
                    }
                    _ => {}
                }
            }
        }
        Ok(left_out.remarks(self.bounds))
    }

    fn ends_at(&self, time_ns: u64) -> bool {
        time_ns == self.span_ns.1
    }
}
