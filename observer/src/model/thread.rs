//! Threads in the model, and the roles that follow from what they did.

use std::collections::{HashMap, HashSet, VecDeque};

use observer_ebpf::record::{ThreadEntry, ThreadKey, UNCOUNTED};

use super::{
    bounds, name,
    snapshot::{Thread, ThreadRates},
};
use crate::visible::visible;

/// Rates are taken over at least this long.
const RATE_WINDOW_NS: u64 = 1_000_000_000;

/// What a thread had done at one instant.
#[derive(Debug, Clone, Copy)]
struct Totals {
    time_ns: u64,
    accepts: u64,
    reads: u64,
    writes: u64,
    wakeups: Option<u64>,
    spent: Option<Spent>,
}

/// How a thread has spent its time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Spent {
    /// Nanoseconds that it ran.
    pub(super) run_ns: u64,
    /// Nanoseconds that it was ready and waited for a processor.
    pub(super) ready_ns: u64,
}

/// One thread.
#[derive(Debug, Default)]
struct Known {
    comm: String,
    accepts: u64,
    reads: u64,
    writes: u64,
    /// Part of them: to connections of which nobody had read anything.
    unasked: u64,
    bytes_read: u64,
    bytes_written: u64,
    /// Voluntary switches when it was first seen, and now, from /proc.
    switches: Option<(u64, u64)>,
    /// The same, counted by a probe from its first deed on.
    sleeps: Option<u64>,
    /// When it was first seen, and now.
    spent: Option<(Spent, Spent)>,
    doing: Option<String>,
    exited: bool,
    past: VecDeque<Totals>,
}

/// All threads, by process and thread id. A thread id that is used again continues where the last one ended only if
/// /proc never showed it gone: the kernel half keeps them apart by start time, and its totals begin at zero, which
/// starts a new one here.
#[derive(Debug, Default)]
pub(super) struct Threads {
    known: HashMap<(u32, u32), Known>,
    started: HashMap<(u32, u32), u64>,
    /// What the threads that are gone had accepted, by process, while that has others.
    gone: HashMap<u32, u64>,
    /// Most that are known at one time; none if the kernel sees to that.
    most: Option<usize>,
    left_out: u64,
}

impl Threads {
    /// At most so many at one time.
    pub(super) fn bounded(most: usize) -> Self {
        Self { most: Some(most), ..Self::default() }
    }

    /// Readings of threads for which there was no room.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Whether a thread is known, or there is room for it; counts it if not.
    fn has_room(&mut self, ids: (u32, u32)) -> bool {
        let has_room = self.most.is_none_or(|most| self.known.len() < most) || self.known.contains_key(&ids);
        if !has_room {
            self.left_out = self.left_out.saturating_add(1);
        }
        has_room
    }

    /// Takes over what the kernel counted for a thread.
    pub(super) fn counted(&mut self, key: ThreadKey, entry: &ThreadEntry) {
        let ids = (key.pid, key.tid);
        if !self.has_room(ids) {
            return;
        }
        match self.started.get(&ids) {
            // An older thread with the same id: the newer one is what is shown.
            Some(started) if *started > key.started_ns => return,
            Some(started) if *started == key.started_ns => {}
            _ => {
                self.started.insert(ids, key.started_ns);
                if let Some(known) = self.known.get_mut(&ids)
                    && known.accepts + known.reads + known.writes > 0
                {
                    *self.gone.entry(key.pid).or_default() += known.accepts;
                    *known = Known::default();
                }
            }
        }
        let known = self.known.entry(ids).or_default();
        // What /proc said before its first deed may be the name of whoever made it.
        if known.comm.is_empty() || known.accepts + known.reads + known.writes == 0 {
            known.comm = name::spelled(&entry.comm);
        }
        known.accepts = entry.accepts;
        known.reads = entry.reads;
        known.writes = entry.writes;
        known.unasked = entry.unasked;
        known.bytes_read = entry.bytes_read;
        known.bytes_written = entry.bytes_written;
        known.sleeps = (entry.sleeps != UNCOUNTED).then_some(entry.sleeps);
    }

    /// Takes over what /proc says of a thread.
    pub(super) fn looked_up(&mut self, pid: u32, tid: u32, task: Option<(String, Option<u64>)>) {
        match task {
            None => {
                if let Some(known) = self.known.get_mut(&(pid, tid)) {
                    known.exited = true;
                }
            }
            Some(_) if !self.has_room((pid, tid)) => {}
            Some((comm, switches)) => {
                let known = self.known.entry((pid, tid)).or_default();
                // Live it is a spelling already; a recording can hold anything.
                known.comm = visible(&comm);
                known.switches = switches.map(|now| (known.switches.map_or(now, |(first, _)| first), now));
            }
        }
    }

    /// Takes over how a thread has spent its time, and what it does now.
    pub(super) fn spent(&mut self, ids: (u32, u32), now: Spent, doing: Option<String>) {
        if !self.has_room(ids) {
            return;
        }
        let known = self.known.entry(ids).or_default();
        known.spent = Some((known.spent.map_or(now, |(first, _)| first), now));
        known.doing = doing;
    }

    /// All threads have been read at this time: that is an instant to take rates between.
    pub(super) fn read(&mut self, time_ns: u64) {
        for known in self.known.values_mut() {
            let totals = known.totals(time_ns);
            bounds::keep(&mut known.past, totals);
            while known.past.get(1).is_some_and(|next| time_ns.saturating_sub(next.time_ns) >= RATE_WINDOW_NS)
            {
                known.past.pop_front();
            }
        }
    }

    /// The threads now, by process and thread id.
    pub(super) fn snapshot(&mut self) -> Vec<Thread> {
        let mut accepts_of = self.gone.clone();
        for ((pid, _), known) in &self.known {
            *accepts_of.entry(*pid).or_default() += known.accepts;
        }
        let mut threads: Vec<Thread> = self
            .known
            .iter()
            .map(|((pid, tid), known)| {
                let all = accepts_of.get(pid).copied().unwrap_or(0);
                known.snapshot(*pid, *tid, all)
            })
            .collect();
        threads.sort_by_key(|thread| (thread.pid, thread.tid));
        // One that has exited is shown once more, with its last figures.
        for ((pid, _), known) in self.known.extract_if(|_, known| known.exited) {
            *self.gone.entry(pid).or_default() += known.accepts;
        }
        if !self.gone.is_empty() {
            let there: HashSet<u32> = self.known.keys().map(|(pid, _)| *pid).collect();
            self.gone.retain(|pid, _| there.contains(pid));
        }
        self.started.retain(|ids, _| self.known.contains_key(ids));
        threads
    }
}

impl Known {
    fn wakeups(&self) -> Option<u64> {
        self.sleeps.or_else(|| self.switches.map(|(first, now)| now.saturating_sub(first)))
    }

    fn totals(&self, time_ns: u64) -> Totals {
        Totals {
            time_ns,
            accepts: self.accepts,
            reads: self.reads,
            writes: self.writes,
            wakeups: self.wakeups(),
            spent: self.spent.map(|(_, now)| now),
        }
    }

    fn snapshot(&self, pid: u32, tid: u32, accepts_of_process: u64) -> Thread {
        Thread {
            pid,
            tid,
            comm: self.comm.clone(),
            role: role(self.accepts, self.reads, self.writes, self.unasked),
            accepts: self.accepts,
            reads: self.reads,
            writes: self.writes,
            bytes_read: self.bytes_read,
            bytes_written: self.bytes_written,
            wakeups: self.wakeups(),
            run_ns: self.spent.map(|(first, now)| now.run_ns.saturating_sub(first.run_ns)),
            ready_ns: self.spent.map(|(first, now)| now.ready_ns.saturating_sub(first.ready_ns)),
            doing: self.doing.clone().filter(|_| !self.exited),
            accept_failures: 0,
            accept_failed_ns: None,
            accept_errno: None,
            looked: None,
            exited: self.exited,
            accept_share: (accepts_of_process > 0).then(|| self.accepts as f64 / accepts_of_process as f64),
            rates: match (self.past.front(), self.past.back()) {
                (Some(first), Some(last)) => rates(first, last),
                _ => ThreadRates::default(),
            },
        }
    }
}

fn rates(first: &Totals, last: &Totals) -> ThreadRates {
    let seconds = last.time_ns.saturating_sub(first.time_ns) as f64 / 1e9;
    if seconds <= 0.0 {
        return ThreadRates::default();
    }
    let rate = |from: u64, to: u64| to.saturating_sub(from) as f64 / seconds;
    // The kernel adds to these when a thread is switched, which may be for what was before.
    let part = |from: u64, to: u64| (rate(from, to) / 1e9).min(1.0);
    let running = first.spent.zip(last.spent).map(|(from, to)| part(from.run_ns, to.run_ns));
    let ready = first.spent.zip(last.spent).map(|(from, to)| part(from.ready_ns, to.ready_ns));
    ThreadRates {
        accepts: rate(first.accepts, last.accepts),
        reads: rate(first.reads, last.reads),
        writes: rate(first.writes, last.writes),
        wakeups: first.wakeups.zip(last.wakeups).map(|(from, to)| rate(from, to)),
        running,
        ready: ready.zip(running).map(|(ready, running)| ready.min(1.0 - running)),
    }
}

/// What a thread is, from what it did.
fn role(accepts: u64, reads: u64, writes: u64, unasked: u64) -> String {
    match (accepts > 0, reads > 0, writes > 0) {
        (false, false, false) => "idle".into(),
        (false, false, true) if unasked < writes => "worker".into(),
        (accepts, reads, writes) => [("acceptor", accepts), ("reader", reads), ("writer", writes)]
            .iter()
            .filter(|(_, does)| *does)
            .map(|(name, _)| *name)
            .collect::<Vec<_>>()
            .join("+"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(accepts: u64) -> ThreadEntry {
        ThreadEntry {
            accepts,
            reads: 0,
            writes: 0,
            unasked: 0,
            bytes_read: 0,
            bytes_written: 0,
            sleeps: UNCOUNTED,
            last_ns: 0,
            comm: [0; observer_ebpf::record::COMM],
        }
    }

    #[test]
    fn roles_follow_from_deeds() {
        for (deeds, expected) in [
            ((0, 0, 0, 0), "idle"),
            ((1, 0, 0, 0), "acceptor"),
            ((0, 1, 1, 0), "reader+writer"),
            ((1, 1, 0, 0), "acceptor+reader"),
            ((1, 1, 1, 1), "acceptor+reader+writer"),
            ((0, 0, 1, 0), "worker"),
            ((0, 0, 2, 1), "worker"),
            ((0, 0, 2, 2), "writer"),
        ] {
            assert_eq!(role(deeds.0, deeds.1, deeds.2, deeds.3), expected);
        }
    }

    #[test]
    fn a_reused_thread_id_is_another_thread() {
        let mut threads = Threads::default();
        threads.counted(ThreadKey { pid: 1, tid: 2, started_ns: 10 }, &entry(5));
        threads.counted(ThreadKey { pid: 1, tid: 2, started_ns: 20 }, &entry(1));
        threads.counted(ThreadKey { pid: 1, tid: 2, started_ns: 10 }, &entry(5));
        assert_eq!(threads.snapshot()[0].accepts, 1);
    }

    #[test]
    fn a_share_is_one_of_all_that_the_process_accepted() {
        let mut threads = Threads::default();
        for (tid, accepts) in [(2, 5), (3, 4)] {
            threads.counted(ThreadKey { pid: 1, tid, started_ns: 10 }, &entry(accepts));
        }
        threads.looked_up(1, 2, None);
        assert_eq!(threads.snapshot()[1].accept_share, Some(4.0 / 9.0));
        assert_eq!(threads.snapshot()[0].accept_share, Some(4.0 / 9.0), "those that are gone count");
        threads.counted(ThreadKey { pid: 1, tid: 3, started_ns: 20 }, &entry(1));
        assert_eq!(threads.snapshot()[0].accept_share, Some(0.1), "so do those whose number is used again");
        threads.looked_up(1, 3, None);
        threads.snapshot();
        threads.counted(ThreadKey { pid: 1, tid: 4, started_ns: 30 }, &entry(1));
        assert_eq!(threads.snapshot()[0].accept_share, Some(1.0), "the process is another one");
    }

    #[test]
    fn wakeups_count_from_the_first_look() {
        let mut threads = Threads::default();
        threads.looked_up(1, 2, Some(("a".into(), Some(100))));
        threads.looked_up(1, 2, Some(("a".into(), Some(130))));
        let snapshot = threads.snapshot();
        assert_eq!(snapshot[0].wakeups, Some(30));
        threads.looked_up(1, 2, None);
        assert!(threads.snapshot()[0].exited);
        assert!(threads.snapshot().is_empty());
    }
}
