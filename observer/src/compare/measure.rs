//! One run of one pattern under one load: in a network namespace of its own, with a server, a load and an observation
//! that nothing else has touched, so nothing of it is left for the next.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Result, ensure};

use super::{
    outcome::{Depth, Distribution, Kernel, Repetition, Worker},
    plan::{Plan, Run},
};
use crate::{
    arena::{self, Arena, watch::Watch},
    kernel::{processor, tasks},
    model::{
        histogram::Histogram,
        snapshot::{Listener, Meta, Snapshot, Thread, stage},
    },
};

/// How long what should happen at once may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two looks while the load runs: the width of an interval of [`Kernel::queue`].
const LOOK: Duration = Duration::from_millis(100);

/// How often the books are looked at again if they do not balance at the end.
const LOOKS_FOR_BALANCE: usize = 200;
/// Signals of the plan whose lack leaves figures out of a comparison.
const SIGNALS: [&str; 5] = ["enqueue", "accept", "read", "drop", "queue_depth"];

/// What one run has shown.
#[derive(Debug)]
pub struct Measured {
    /// Its figures.
    pub repetition: Repetition,
    /// Signals that this kernel does not give, and why.
    pub unavailable: BTreeMap<String, String>,
}

/// Runs it, unless and until `stop` is set.
///
/// # Errors
/// When there is no namespace, no server, no load or no observation to be had, or it was stopped.
pub fn repetition(plan: &Plan, run: &Run, stop: &AtomicBool) -> Result<Measured> {
    arena::run(PATIENCE, |arena| within(arena, plan, run, stop))
}

fn within(arena: &Arena, plan: &Plan, run: &Run, stop: &AtomicBool) -> Result<Measured> {
    let mut watch = Watch::start(arena)?;
    let mut backend = arena.serve(run.pattern.id, &plan.settings)?;
    // Workers that are processes may be unseen until they do something: only who listens is looked up before.
    let own = tasks::threads_of(backend.pid());
    let threads: Vec<u32> =
        backend.state()?.threads.iter().filter_map(|thread| u32::try_from(thread.tid).ok()).collect();
    let before = watch.wait_for("the server's listeners and threads", |seen| {
        let known: BTreeSet<u32> = seen.threads.iter().map(|thread| thread.tid).collect();
        let all = threads.iter().filter(|tid| own.contains(tid)).all(|tid| known.contains(tid));
        Ok(all && seen.listeners.len() >= run.pattern.listeners(plan.settings.workers))
    })?;
    let mut book = Book::new(&before);
    let idle = processor::used_ns(backend.pid());
    let begun = Instant::now();
    let mut load = arena.load(backend.address(), run.profile.name, &plan.load())?;
    let client = loop {
        thread::sleep(LOOK);
        ensure!(!stop.load(Ordering::Relaxed), "interrupted");
        let seen = watch.look()?;
        book.take(begun.elapsed(), &seen);
        // They are counted; each by itself is not needed.
        watch.take_ended();
        if let Some(report) = load.poll()? {
            break report;
        }
    };
    // Whatever was answered was accepted and read before; this look is the first after the last answer.
    let mut last = watch.look()?;
    // A record on its way is a difference of the books for a moment.
    for _ in 0..LOOKS_FOR_BALANCE {
        if last.ledger.iter().all(|check| check.difference == 0) {
            break;
        }
        thread::sleep(arena::LOOK);
        last = watch.look()?;
    }
    book.take(begun.elapsed(), &last);
    let server_cpu_ns =
        processor::used_ns(backend.pid()).zip(idle).map(|(now, idle)| now.saturating_sub(idle));
    let (round, place) = (run.round, run.place);
    let repetition = Repetition {
        round,
        place,
        client,
        kernel: book.close(&last),
        server_cpu_ns,
        figures: BTreeMap::new(),
    };
    Ok(Measured { repetition: repetition.figured(), unavailable: unavailable(watch.meta()) })
}

fn unavailable(meta: &Meta) -> BTreeMap<String, String> {
    let why =
        |signal: &str| meta.signal_notes.get(signal).cloned().unwrap_or_else(|| "no hook for it".into());
    let missing = SIGNALS.iter().filter(|signal| meta.signals.get(**signal).is_none_or(Option::is_none));
    missing.map(|signal| ((*signal).to_owned(), why(signal))).collect()
}

/// What the snapshots of a run come to.
#[derive(Debug, Default)]
struct Book {
    /// The last that was seen of each; a closed one is not in later snapshots.
    listeners: BTreeMap<u64, Listener>,
    threads: BTreeMap<(u32, u32), Thread>,
    /// Wake-ups of each thread that was there before the load.
    idle: BTreeMap<(u32, u32), Option<u64>>,
    /// Threads that have ended.
    ended: Vec<Worker>,
    queue: Vec<Depth>,
    peak: u32,
    /// When it was last looked at.
    taken_ns: u64,
}

impl Book {
    fn new(before: &Snapshot) -> Self {
        let idle = before.threads.iter().map(|thread| ((thread.pid, thread.tid), thread.wakeups));
        Self { idle: idle.collect(), taken_ns: before.time_ns, ..Self::default() }
    }

    fn take(&mut self, since: Duration, snapshot: &Snapshot) {
        let since_ns = std::mem::replace(&mut self.taken_ns, snapshot.time_ns);
        let peaks = snapshot.listeners.iter().filter_map(|listener| listener.peaks.since(since_ns));
        let peak = peaks.max().unwrap_or(0);
        let time_ms = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        self.queue.push(Depth { time_ms, peak });
        self.peak = self.peak.max(peak);
        for listener in &snapshot.listeners {
            self.listeners.insert(listener.cookie, listener.clone());
        }
        for thread in &snapshot.threads {
            let ids = (thread.pid, thread.tid);
            // It is in no later snapshot, and its id may come again.
            if thread.exited {
                self.threads.remove(&ids);
                self.ended.push(worker(thread));
            } else {
                self.threads.insert(ids, thread.clone());
            }
        }
    }

    fn close(self, last: &Snapshot) -> Kernel {
        let sum = |of: fn(&Listener) -> u64| self.listeners.values().map(of).sum();
        let mut drops: BTreeMap<&'static str, u64> = BTreeMap::new();
        for drop in self.listeners.values().flat_map(|listener| &listener.drops) {
            *drops.entry(drop.cause).or_default() += drop.count;
        }
        let differences = last.ledger.iter().filter(|check| check.difference != 0);
        let lost = last.loss.counters.iter().filter(|(_, count)| **count > 0);
        Kernel {
            listeners: self.listeners.len(),
            backlog_limit: self.listeners.values().map(|listener| listener.backlog_limit).max().unwrap_or(0),
            enqueued: sum(|listener| listener.enqueued),
            accepted: sum(|listener| listener.accepted),
            listen_drops: sum(|listener| listener.listen_drops),
            drops,
            accept_queue_peak: self.peak,
            accept_wait_ns: self.stage(stage::ACCEPT_WAIT),
            first_read_wait_ns: self.stage(stage::ACCEPT_TO_READ),
            wakeups: self.wakeups(),
            checks: last.ledger.len(),
            differences: differences.cloned().collect(),
            lost: lost.map(|(name, count)| (name.clone(), *count)).collect(),
            workers: self.workers(),
            queue: self.queue,
        }
    }

    /// All shards together.
    fn stage(&self, stage: usize) -> Distribution {
        let mut all = Histogram::default();
        for listener in self.listeners.values() {
            if let Some(histogram) = Arc::as_ref(&listener.stages).get(stage) {
                all.merge(histogram);
            }
        }
        Distribution::from(&all)
    }

    /// None unless every thread was there from before the load to its end: what /proc counts begins and ends with
    /// the thread.
    fn wakeups(&self) -> Option<u64> {
        let same = self.ended.is_empty() && self.threads.keys().all(|ids| self.idle.contains_key(ids));
        let woken = |(ids, thread): (_, &Thread)| {
            let idle = self.idle.get(ids).copied().flatten()?;
            Some(thread.wakeups?.saturating_sub(idle))
        };
        same.then(|| self.threads.iter().map(woken).sum::<Option<u64>>()).flatten()
    }

    /// By name; threads that came or went have one for each kind, since there may be one for each connection.
    fn workers(&self) -> Vec<Worker> {
        let passing = |mut one: Worker| {
            one.comm = format!("{}*", one.kind());
            one
        };
        let there = self.threads.iter().map(|(ids, thread)| match self.idle.contains_key(ids) {
            true => worker(thread),
            false => passing(worker(thread)),
        });
        let mut workers: BTreeMap<String, Worker> = BTreeMap::new();
        for one in there.chain(self.ended.iter().cloned().map(passing)) {
            workers.entry(one.comm.clone()).or_default().add(&one);
        }
        workers.into_values().collect()
    }
}

fn worker(thread: &Thread) -> Worker {
    Worker {
        comm: thread.comm.clone(),
        threads: 1,
        accepts: thread.accepts,
        reads: thread.reads,
        writes: thread.writes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::plan;

    #[test]
    fn the_signals_are_of_the_plan() {
        assert!(SIGNALS.iter().all(|signal| plan::signal(signal).is_some()));
    }

    fn thread(tid: u32, wakeups: u64) -> Thread {
        Thread { pid: 1, tid, comm: "rd-0".into(), accepts: 3, wakeups: Some(wakeups), ..Thread::default() }
    }

    fn of(threads: &[Thread]) -> Snapshot {
        Snapshot { threads: threads.to_vec(), ..Snapshot::default() }
    }

    #[test]
    fn wakeups_before_the_load_do_not_count() {
        let mut book = Book::new(&of(&[thread(1, 10), thread(2, 5)]));
        book.take(LOOK, &of(&[thread(1, 17), thread(2, 5)]));
        assert_eq!(book.close(&Snapshot::default()).wakeups, Some(7));
    }

    #[test]
    fn a_thread_that_came_or_went_leaves_wakeups_unknown_and_its_deeds_counted() {
        let mut came = Book::new(&of(&[thread(1, 10)]));
        came.take(LOOK, &of(&[thread(1, 17), thread(2, 5)]));
        assert_eq!(came.close(&Snapshot::default()).wakeups, None);

        let mut went = Book::new(&of(&[thread(1, 10), thread(2, 5)]));
        went.take(LOOK, &of(&[thread(1, 17), Thread { exited: true, ..thread(2, 6) }]));
        went.take(LOOK, &of(&[thread(1, 17)]));
        let kernel = went.close(&Snapshot::default());
        assert_eq!(kernel.wakeups, None);
        let names: Vec<_> =
            kernel.workers.iter().map(|worker| (worker.comm.as_str(), worker.accepts)).collect();
        assert_eq!(names, [("rd-*", 3), ("rd-0", 3)]);
    }
}
