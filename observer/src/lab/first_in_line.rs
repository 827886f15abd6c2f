//! Which of several idle threads gets a connection.

use std::ops::RangeInclusive;

use anyhow::Result;
use demo_server::settings::Settings;

use super::{Lab, thundering_herd::Workers};
use crate::{
    arena::traffic::ask_once,
    trial::{
        Trial,
        figure::{NETSTAT, OBSERVER},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "first-in-line",
    title: "four idle threads, and with EPOLLEXCLUSIVE one of them gets every connection",
    question: "64 clients come to four idle threads, one after the other. How many does the busiest thread get, with \
               blocking accept, with EPOLLEXCLUSIVE, with EPOLLEXCLUSIVE and a new registration after every 16 \
               accepts, and with SO_REUSEPORT?",
    setup: "demo-server runs with four threads under `shared-accept`, `epoll-exclusive`, `epoll-exclusive-readd` and \
            `sharding`. 64 clients ask once each, the next one when every thread sleeps again.",
    why: "Threads in accept(2) line up: whoever has accepted goes to the end, so the turns are exact. Entries of \
          EPOLLEXCLUSIVE stay where they were registered, and __wake_up_common() (kernel/sched/wait.c) wakes the \
          first whose thread sleeps: while the server idles, that is always the same one. Long-lived connections that \
          were opened then stay with it. nginx therefore registers anew every 16 accepts, which puts the entry at the \
          other end. SO_REUSEPORT hashes addresses and ports; what looks like imbalance there is the noise of \
          chance.",
    next: "Before you call shards unfair, look at the band of two standard deviations that the workers' screen draws. \
           Then do `stuck-shard` for what the hash costs when one thread is slow.",
    needs: &["listener", "accept"],
    run,
};

const CLIENTS: u64 = 64;

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let turns = "in turns; a thread that is still on its way back to accept(2) misses one";
    let first = "the first in line, unless it is still busy with the client before";
    let anew = "16 in turn to each";
    let chance = "16 on average; binomial, five standard deviations of 3.5";
    share(trial, "shared-accept", 16..=18, turns)?;
    share(trial, "epoll-exclusive", 60..=CLIENTS, first)?;
    share(trial, "epoll-exclusive-readd", 16..=20, anew)?;
    share(trial, "sharding", 16..=34, chance)
}

fn share(
    trial: &mut Trial<'_>,
    pattern: &str,
    busiest: RangeInclusive<u64>,
    why: &'static str,
) -> Result<()> {
    let arena = trial.arena;
    let before = arena.counters()?;
    let mut backend = arena.serve(pattern, &Settings { workers: 4, ..Settings::default() })?;
    let workers = Workers::of(arena, &mut backend)?;
    workers.wait_until_asleep()?;
    for _ in 0..CLIENTS {
        ask_once(backend.address())?;
        workers.wait_until_asleep()?;
    }
    let accepts = workers.accepts(trial)?;
    let opens = arena.counted_since(&before)?.of("PassiveOpens");
    trial.exactly(format!("{pattern}: PassiveOpens"), CLIENTS, opens, NETSTAT);
    trial.exactly(format!("{pattern}: accepts"), CLIENTS, accepts.iter().sum::<u64>(), OBSERVER);
    trial.within(
        format!("{pattern}: accepts of the busiest"),
        busiest,
        why,
        accepts.first().copied(),
        OBSERVER,
    );
    Ok(())
}
