//! Moments of the last ten minutes, to step back to: what the snapshot said, once a second.
//!
//! A moment is a snapshot without what is large: of its connections the newest few and the slowest are kept, and the
//! stages of its listeners only as what was added since the moment before. Listeners, threads and checks that did not
//! change are shared with the moment before, so that idle ones cost a pointer.
//!
//! All moments together take at most [`MOST_BYTES`]. When they would take more, each two neighbours become one, and
//! from then on they are twice as far apart: the past is always all there, only coarser.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use super::durations::{Durations, Stages};
use crate::model::interval::Interval;
use crate::model::listening::Unwatched;
use crate::model::snapshot::{Connection, LedgerCheck, Listener, Meta, Snapshot, Thread};
use crate::view::demo::Backends;

/// How far back they reach: ten minutes, and a little more.
const SPAN_NS: u64 = 605_000_000_000;
/// Time between two moments at first.
const STEP_NS: u64 = 1_000_000_000;
/// Memory for all of them.
const MOST_BYTES: usize = 16 << 20;
/// The newest connections of a moment.
const RECENT: usize = 8;
/// How far the stages of a moment look back.
const WINDOW_NS: u64 = 10_000_000_000;

/// One moment.
#[derive(Debug, Clone)]
struct Frame {
    since_ns: u64,
    time_ns: u64,
    /// What is not kept for each listener, thread or connection.
    rest: Box<Snapshot>,
    backends: Backends,
    listeners: Vec<Arc<Listener>>,
    threads: Vec<Arc<Thread>>,
    ledger: Vec<Arc<LedgerCheck>>,
    recent: Vec<Arc<Connection>>,
    slowest: Vec<Arc<Connection>>,
    /// Cookie → what its stages had more than the moment before.
    stages: HashMap<u64, Durations>,
    bytes: usize,
}

/// The moments, oldest first.
#[derive(Debug, Clone)]
pub(crate) struct Frames {
    frames: VecDeque<Arc<Frame>>,
    step_ns: u64,
    most_bytes: usize,
    /// What came since the last moment.
    pending: HashMap<u64, Durations>,
    pending_since_ns: u64,
    latest_ns: u64,
}

impl Default for Frames {
    fn default() -> Self {
        Self::with_room(MOST_BYTES)
    }
}

impl Frames {
    /// Moments that take at most so much memory.
    fn with_room(most_bytes: usize) -> Self {
        Self {
            frames: VecDeque::new(),
            step_ns: STEP_NS,
            most_bytes,
            pending: HashMap::new(),
            pending_since_ns: 0,
            latest_ns: 0,
        }
    }

    /// Adds a snapshot.
    pub(super) fn record(&mut self, snapshot: &Snapshot, interval: &Interval<'_>, backends: &Backends) {
        if self.latest_ns == 0 {
            self.pending_since_ns = snapshot.time_ns.saturating_sub(interval.ns());
        }
        self.latest_ns = snapshot.time_ns;
        for listener in &snapshot.listeners {
            if let Some(stages) = interval.stages(listener) {
                self.pending.entry(listener.cookie).or_default().add(&stages);
            }
        }
        if snapshot.time_ns < self.pending_since_ns.saturating_add(self.step_ns) {
            return;
        }
        let stages = std::mem::take(&mut self.pending);
        let before = self.frames.back().map(Arc::as_ref);
        self.frames.push_back(Arc::new(Frame::new(
            self.pending_since_ns,
            snapshot,
            backends,
            stages,
            before,
        )));
        self.pending_since_ns = snapshot.time_ns;
        let oldest = snapshot.time_ns.saturating_sub(SPAN_NS);
        while self.frames.front().is_some_and(|frame| frame.time_ns < oldest) {
            self.frames.pop_front();
        }
        if self.frames.iter().map(|frame| frame.bytes).sum::<usize>() > self.most_bytes {
            self.thin_out();
        }
    }

    /// Makes one moment of each two: the later one, with the stages of both.
    fn thin_out(&mut self) {
        self.step_ns *= 2;
        let mut frames = std::mem::take(&mut self.frames).into_iter().rev().peekable();
        while let Some(later) = frames.next() {
            let mut later = Arc::unwrap_or_clone(later);
            if let Some(earlier) = frames.next() {
                later.since_ns = earlier.since_ns;
                for (cookie, stages) in &earlier.stages {
                    later.stages.entry(*cookie).or_default().merge(stages);
                }
                later.bytes = later.own_bytes(frames.peek().map(Arc::as_ref));
            }
            self.frames.push_front(Arc::new(later));
        }
    }

    /// How many moments there are.
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// When the oldest moment was.
    pub(crate) fn oldest_ns(&self) -> Option<u64> {
        self.frames.front().map(|frame| frame.time_ns)
    }

    /// The moment at this place, as a snapshot, and what backends had said by then.
    pub(super) fn snapshot(&self, index: usize, meta: &Arc<Meta>) -> Option<(Snapshot, Backends)> {
        self.frames.get(index).map(|frame| (frame.snapshot(meta), frame.backends.clone()))
    }

    /// The place of the last moment that is not after this time.
    pub(super) fn at(&self, time_ns: u64) -> Option<usize> {
        self.frames.partition_point(|frame| frame.time_ns <= time_ns).checked_sub(1)
    }

    /// Stages of these listeners over the ten seconds before a time, and the time that they cover.
    pub(crate) fn stages(&self, cookies: &[u64], now_ns: u64) -> (u64, Box<Stages>) {
        let mut sum: Box<Stages> = Box::default();
        let mut add = |stages: &HashMap<u64, Durations>| {
            for durations in cookies.iter().filter_map(|cookie| stages.get(cookie)) {
                durations.add_to(&mut sum);
            }
        };
        let mut since = None;
        let looks_back = WINDOW_NS + self.step_ns;
        for frame in self.frames.iter().rev().skip_while(|frame| frame.time_ns > now_ns) {
            if frame.since_ns + looks_back <= now_ns {
                break;
            }
            add(&frame.stages);
            since = Some(frame.since_ns);
        }
        if now_ns >= self.latest_ns {
            add(&self.pending);
            since = since.or(Some(self.pending_since_ns));
        }
        (since.map_or(0, |since| now_ns.saturating_sub(since)), sum)
    }
}

impl Frame {
    fn new(
        since_ns: u64,
        snapshot: &Snapshot,
        backends: &Backends,
        stages: HashMap<u64, Durations>,
        before: Option<&Self>,
    ) -> Self {
        let none = Vec::new();
        let listeners = before.map_or(&none, |before| &before.listeners);
        let rest = Snapshot {
            time_ns: snapshot.time_ns,
            interval_ns: snapshot.interval_ns,
            hosts: snapshot.hosts.clone(),
            listening: snapshot.listening.clone(),
            loss: snapshot.loss.clone(),
            diagnoses: snapshot.diagnoses.clone(),
            marks: Arc::clone(&snapshot.marks),
            probes: snapshot.probes.clone(),
            ..Snapshot::default()
        };
        let mut frame = Self {
            since_ns,
            time_ns: snapshot.time_ns,
            rest: Box::new(rest),
            backends: backends.clone(),
            listeners: share(&snapshot.listeners, listeners, |listener| listener.cookie, same, thin),
            threads: share(
                &snapshot.threads,
                before.map_or(&Vec::new(), |before| &before.threads),
                |thread| (thread.pid, thread.tid),
                PartialEq::eq,
                Clone::clone,
            ),
            ledger: share(
                &snapshot.ledger,
                before.map_or(&Vec::new(), |before| &before.ledger),
                |check| (check.listener, check.netns, check.check),
                PartialEq::eq,
                Clone::clone,
            ),
            recent: snapshot.recent.iter().rev().take(RECENT).rev().cloned().collect(),
            slowest: snapshot.slowest.clone(),
            stages,
            bytes: 0,
        };
        frame.bytes = frame.own_bytes(before);
        frame
    }

    /// Memory that it takes and does not share with the moment before it, roughly: texts count as a few words.
    fn own_bytes(&self, before: Option<&Self>) -> usize {
        const TEXTS: usize = 96;
        let rest = &self.rest;
        let base = 512 + rest.probes.len() * 64 + rest.hosts.len() * 128 + rest.diagnoses.len() * 1024;
        let unwatched = rest.unwatched().count() * (size_of::<Unwatched>() + TEXTS);
        base + unwatched
            + own(&self.listeners, before.map(|before| &before.listeners), TEXTS)
            + own(&self.threads, before.map(|before| &before.threads), TEXTS)
            + own(&self.ledger, before.map(|before| &before.ledger), TEXTS)
            + own(&self.recent, before.map(|before| &before.recent), TEXTS)
            + own(&self.slowest, before.map(|before| &before.slowest), TEXTS)
            + self.stages.values().map(|stages| stages.bytes() + TEXTS).sum::<usize>()
    }

    fn snapshot(&self, meta: &Arc<Meta>) -> Snapshot {
        Snapshot {
            meta: Arc::clone(meta),
            listeners: self.listeners.iter().map(|listener| (**listener).clone()).collect(),
            threads: self.threads.iter().map(|thread| (**thread).clone()).collect(),
            ledger: self.ledger.iter().map(|check| (**check).clone()).collect(),
            recent: self.recent.clone(),
            slowest: self.slowest.clone(),
            ..(*self.rest).clone()
        }
    }
}

/// Takes each thing over, or the one of before if it is the same.
fn share<T, Key: Eq + std::hash::Hash>(
    now: &[T],
    before: &[Arc<T>],
    key: impl Fn(&T) -> Key,
    same: impl Fn(&T, &T) -> bool,
    take: impl Fn(&T) -> T,
) -> Vec<Arc<T>> {
    let known: HashMap<Key, &Arc<T>> = before.iter().map(|thing| (key(thing), thing)).collect();
    now.iter()
        .map(|thing| match known.get(&key(thing)) {
            Some(shared) if same(shared, thing) => Arc::clone(shared),
            _ => Arc::new(take(thing)),
        })
        .collect()
}

fn own<T>(now: &[Arc<T>], before: Option<&Vec<Arc<T>>>, texts: usize) -> usize {
    let shared: HashSet<*const T> = before.into_iter().flatten().map(Arc::as_ptr).collect();
    let fresh = now.iter().filter(|thing| !shared.contains(&Arc::as_ptr(thing))).count();
    size_of_val(now) + fresh * (size_of::<T>() + texts)
}

/// A listener without its histograms, which are packed.
fn thin(listener: &Listener) -> Listener {
    Listener { stages: Arc::clone(&EMPTY), ..listener.clone() }
}

/// All thin listeners share these.
static EMPTY: std::sync::LazyLock<Arc<Stages>> = std::sync::LazyLock::new(Arc::default);

/// Whether nothing has happened at a listener: what these do not show does not change by itself.
fn same(one: &Listener, two: &Listener) -> bool {
    let figures = |listener: &Listener| {
        (
            (listener.enqueued, listener.accepted, listener.sk_drops, listener.ended, listener.requests),
            (listener.accept_queue, listener.syn_queue, listener.unread),
            (listener.state, listener.closed_ns, listener.backlog_limit, listener.shard),
            (listener.dropped_queued, listener.aborted_queued, listener.cookies, listener.synack_retransmits),
        )
    };
    figures(one) == figures(two)
        && one.rates == two.rates
        && (&one.addr, one.pid, &one.comm) == (&two.addr, two.pid, &two.comm)
        && one.group == two.group
        && one.drops == two.drops
        && one.recent_wait_ns == two.recent_wait_ns
        && one.peaks == two.peaks
}

#[cfg(test)]
mod tests;
