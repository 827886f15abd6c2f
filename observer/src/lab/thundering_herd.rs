//! How many threads one connection wakes.

use std::{collections::BTreeMap, ops::RangeInclusive};

use anyhow::{Context as _, Result};
use demo_server::settings::Settings;

use super::Lab;
use crate::{
    arena::{Arena, backend::Backend, traffic::ask_once},
    kernel::tasks,
    trial::{
        Trial,
        figure::{BACKEND, OBSERVER, TASKS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "thundering-herd",
    title: "eight threads watch one listener with epoll, and each connection wakes all of them",
    question: "Eight threads wait for connections on one listener. Each client comes alone, when all threads sleep. How \
               many threads wake up for each of 40 clients, if they wait in accept(2), in epoll_wait(2), or with \
               EPOLLEXCLUSIVE?",
    setup: "demo-server runs with eight threads under the patterns `shared-accept`, `epoll-herd` and \
            `epoll-exclusive`. 40 clients ask once each, the next one when every thread sleeps again.",
    why: "Whoever sleeps in accept(2) waits exclusively (prepare_to_wait_exclusive() in inet_csk_wait_for_connect(), \
          net/ipv4/inet_connection_sock.c), so an arrival wakes one. Each epoll set has an entry of its own on the \
          listener, not exclusive, so __wake_up_common() calls ep_poll_callback() (fs/eventpoll.c) of all eight and \
          wakes their threads; ep_send_events() asks the listener again, seven find nothing, and most of them go \
          back to sleep inside epoll_wait(2): no EAGAIN tells of them. EPOLLEXCLUSIVE makes the entries exclusive. \
          A wake-up is counted as a voluntary context switch; the thread that serves also sleeps for the request and \
          for the end of the connection.",
    next: "Wake-ups per accept is a column of the workers' screen in `observer live`. Then see who gets the \
           connections: `first-in-line`.",
    needs: &["listener", "accept", "wakeups"],
    run,
};

const WORKERS: u64 = 8;
const CLIENTS: u64 = 40;

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let all = "all eight for each client, and the one that serves for request and end of the connection";
    let one = "the one that serves, at most also for request and end of the connection";
    for (pattern, expected, why) in [
        ("shared-accept", CLIENTS..=4 * CLIENTS, one),
        ("epoll-herd", WORKERS * CLIENTS * 9 / 10..=(WORKERS + 3) * CLIENTS, all),
        ("epoll-exclusive", CLIENTS..=4 * CLIENTS, one),
    ] {
        herd(trial, pattern, expected, why)?;
    }
    Ok(())
}

fn herd(
    trial: &mut Trial<'_>,
    pattern: &str,
    expected: RangeInclusive<u64>,
    why: &'static str,
) -> Result<()> {
    let arena = trial.arena;
    let mut backend = arena.serve(pattern, &Settings { workers: WORKERS as u32, ..Settings::default() })?;
    let workers = Workers::of(arena, &mut backend)?;
    ask_once(backend.address())?;
    workers.wait_until_asleep()?;
    let (before, seen_before) = (workers.wakeups()?, workers.seen(trial)?);
    for _ in 0..CLIENTS {
        ask_once(backend.address())?;
        workers.wait_until_asleep()?;
    }
    let woken = workers.wakeups()? - before;
    let (seen_wakeups, seen_accepts) = workers.seen(trial)?;
    let answered = backend.state()?.counters.requests - 1;
    trial.exactly(format!("{pattern}: clients served"), CLIENTS, answered, BACKEND);
    trial.exactly(format!("{pattern}: accepts"), CLIENTS, seen_accepts - seen_before.1, OBSERVER);
    trial.within(format!("{pattern}: wake-ups"), expected.clone(), why, woken, TASKS);
    trial.within(format!("{pattern}: wake-ups"), expected, why, seen_wakeups - seen_before.0, OBSERVER);
    Ok(())
}

/// The threads of a backend's pattern.
pub(super) struct Workers<'a> {
    arena: &'a Arena,
    pid: u32,
    tids: Vec<u32>,
}

impl<'a> Workers<'a> {
    pub(super) fn of(arena: &'a Arena, backend: &mut Backend) -> Result<Self> {
        let threads = backend.state()?.threads;
        let tids = threads.iter().map(|thread| thread.tid.cast_unsigned()).collect();
        Ok(Self { arena, pid: backend.pid(), tids })
    }

    /// Whoever an arrival has woken is not asleep before it has been to see: the wake-up is part of the arrival.
    pub(super) fn wait_until_asleep(&self) -> Result<()> {
        self.arena.until("the backend's threads to sleep", || {
            Ok(self.tids.iter().all(|tid| tasks::state(self.pid, *tid) == Some('S')))
        })
    }

    /// Wake-ups of all since they began.
    fn wakeups(&self) -> Result<u64> {
        let read = |tid: &u32| tasks::read(self.pid, *tid).ok().flatten().map(|task| task.voluntary_switches);
        let all = self.tids.iter().map(read).collect::<Option<Vec<u64>>>();
        Ok(all.context("a thread of the backend has ended")?.iter().sum())
    }

    /// Wake-ups and accepts of all, as the observer sees them.
    fn seen(&self, trial: &mut Trial<'_>) -> Result<(u64, u64)> {
        let snapshot = trial.watch.look()?;
        let threads = snapshot.threads.iter().filter(|thread| self.tids.contains(&thread.tid));
        let sums = threads.map(|thread| (thread.wakeups.unwrap_or(0), thread.accepts));
        Ok(sums.fold((0, 0), |sum, one| (sum.0 + one.0, sum.1 + one.1)))
    }

    /// Accepts of each, as the observer sees them; the busiest first.
    pub(super) fn accepts(&self, trial: &mut Trial<'_>) -> Result<Vec<u64>> {
        let snapshot = trial.watch.look()?;
        let known: BTreeMap<u32, u64> = snapshot.threads.iter().map(|one| (one.tid, one.accepts)).collect();
        let mut accepts: Vec<u64> =
            self.tids.iter().map(|tid| known.get(tid).copied().unwrap_or(0)).collect();
        accepts.sort_unstable_by(|one, other| other.cmp(one));
        Ok(accepts)
    }
}
