//! A recording as a source, as fast as it was or some times as fast, and back and forth.

use std::{sync::Arc, time::Duration};

use anyhow::Result;
use observer_ebpf::record;
use tokio::time::Instant;

use super::{Control, Due, Origin, Position, Sink, Source, Step, recorded::Recorded};
use crate::model::{bounds::Bounds, snapshot::Meta};

/// Between two looks at what is due.
const LOOK: Duration = Duration::from_millis(50);
/// The most time that one look makes up for, so that a slow terminal makes a replay slower and never stuck.
const MOST: Duration = Duration::from_millis(200);
/// The fastest.
const MOST_SPEED: u16 = 256;
const SECOND_NS: i64 = 1_000_000_000;

/// A recording that is played.
#[derive(Debug)]
pub struct Playback {
    recorded: Recorded,
    /// The time that is shown: instants up to here are due.
    due_ns: u64,
    speed: u16,
    plays: bool,
    /// It was sought back: what was handed on is of another time.
    anew: bool,
    /// Nothing comes after what was handed on, or nothing that can be read.
    ended: bool,
    /// When it was last looked at what is due.
    looked: Instant,
}

impl Playback {
    /// Stands at the first instant, and plays from there on unless it is to stand still.
    pub fn new(recorded: Recorded, speed: u16, plays: bool) -> Self {
        let due_ns = recorded.now_ns();
        Self { recorded, due_ns, speed, plays, anew: false, ended: false, looked: Instant::now() }
    }

    /// Instants that are due were not handed on yet. Behind the last one may stand what makes no sense.
    fn is_behind(&self) -> bool {
        let next_ns = self.recorded.next_ns();
        !self.ended && next_ns.map_or(self.plays, |next_ns| next_ns <= self.due_ns)
    }

    /// Shows the last instant that is not after this one.
    pub fn seek(&mut self, time_ns: u64) {
        let (first, last) = self.recorded.span_ns();
        self.due_ns = time_ns.clamp(first, last);
        if self.recorded.seek(self.due_ns) {
            (self.anew, self.ended) = (true, false);
        }
    }

    /// Stands still, for good if it was not sought back.
    fn end(&mut self) {
        (self.plays, self.ended) = (false, true);
    }
}

impl Source for Playback {
    fn meta(&self) -> &Arc<Meta> {
        self.recorded.meta()
    }

    fn begun_ns(&self) -> u64 {
        self.recorded.begun_ns()
    }

    fn bounds(&self) -> Option<Bounds> {
        self.recorded.bounds()
    }

    fn due(&self) -> Due {
        if self.anew || self.is_behind() {
            Due::Now
        } else if self.plays {
            Due::At(self.looked + LOOK)
        } else {
            Due::Never
        }
    }

    fn step(&mut self, sink: Sink<'_>) -> Result<Step> {
        if std::mem::take(&mut self.anew) {
            return Ok(Step::Anew);
        }
        if !self.is_behind() {
            let now = Instant::now();
            let elapsed = now.duration_since(self.looked).min(MOST);
            self.looked = now;
            if self.plays {
                let passed = elapsed.as_nanos() as u64 * u64::from(self.speed);
                self.due_ns = self.due_ns.saturating_add(passed).min(self.recorded.span_ns().1);
            }
            return Ok(Step::Events);
        }
        let step = self.recorded.step(sink)?;
        match step {
            Step::Instant(time_ns) => self.due_ns = self.due_ns.max(time_ns),
            Step::Damaged(_) => self.end(),
            Step::End => {
                self.end();
                return Ok(Step::Events);
            }
            _ => {}
        }
        Ok(step)
    }

    fn read(&mut self, _sink: Sink<'_>) -> Result<Option<u64>> {
        Ok(None)
    }

    fn retell(&mut self, _sink: Sink<'_>) {}

    fn open(&mut self, sink: &mut dyn FnMut(u64, &record::Connection) -> Result<()>) -> Result<Vec<String>> {
        self.recorded.open(sink)
    }

    fn origin(&self) -> Origin {
        let (first, last) = self.recorded.span_ns();
        Origin::Replayed(Position {
            position_ns: self.due_ns.saturating_sub(first),
            length_ns: last.saturating_sub(first),
            speed: self.speed,
            plays: self.plays,
        })
    }

    fn control(&mut self, control: Control) {
        match control {
            Control::Play => {
                let at_end = self.recorded.next_ns().is_none();
                if at_end && !self.plays {
                    self.seek(0);
                }
                self.plays = !self.plays;
                self.looked = Instant::now();
            }
            Control::StepOn => {
                self.plays = false;
                self.due_ns = self.recorded.next_ns().unwrap_or(self.due_ns);
            }
            Control::StepBack => {
                self.plays = false;
                if let Some(previous) = self.recorded.previous_ns() {
                    self.seek(previous);
                }
            }
            Control::Move(seconds) => {
                self.seek(self.due_ns.saturating_add_signed(seconds * SECOND_NS));
            }
            Control::Slower => self.speed = (self.speed / 2).max(1),
            Control::Faster => self.speed = self.speed.saturating_mul(2).min(MOST_SPEED),
        }
    }
}
