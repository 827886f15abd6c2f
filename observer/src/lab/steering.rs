//! Choosing the shard by processor instead of by hash.

use std::ops::RangeInclusive;

use anyhow::{Context as _, Result};
use demo_server::settings::Settings;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::Lab;
use crate::{
    arena::{traffic::ask_once, watch::listeners},
    kernel::origin,
    trial::{
        CannotRun, Trial,
        figure::{NETSTAT, OBSERVER},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "steering",
    title: "shards chosen by processor: a classic BPF program, SO_INCOMING_CPU, and the hash",
    question: "Two SO_REUSEPORT shards, and all 40 clients run on processor 0. How many does the first shard get, with \
               the hash, with a BPF program that returns the processor's number, and with SO_INCOMING_CPU?",
    setup: "The clients' thread is bound to processor 0. demo-server runs two shards under `sharding`, `sharding-cpu` \
            and `sharding-incoming-cpu`.",
    why: "reuseport_select_sock() (net/core/sock_reuseport.c) runs the program of SO_ATTACH_REUSEPORT_CBPF if there is \
          one, else it takes a hash over addresses and ports. The processor is the one that handles the packet: on \
          loopback the sender's, on a network card the one its interrupt went to. SO_INCOMING_CPU was ignored in \
          groups from Linux 4.6 on, until reuseport_select_sock_by_hash() learned to prefer it in 6.2.",
    next: "Steering keeps a connection's data in one processor's caches, and gives fairness away: one busy queue of \
           the card is one busy shard. See `stuck-shard`.",
    needs: &["listener", "enqueue"],
    run,
};

const CLIENTS: u64 = 40;

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let allowed = sched_getaffinity(None).context("cannot read the allowed processors")?;
    if !(allowed.is_set(0) && allowed.is_set(1)) {
        return Err(CannotRun("it needs the processors 0 and 1".into()).into());
    }
    let mut first = CpuSet::new();
    first.set(0);
    // Children inherit it: the backend is started before. The arena's thread ends with the lab.
    let chance = "20 on average; binomial, five standard deviations of 3.2";
    steer(trial, "sharding", 4..=36, chance, &first, &allowed)?;
    steer(trial, "sharding-cpu", CLIENTS..=CLIENTS, "", &first, &allowed)?;
    let (expected, why) = match has_incoming_cpu() {
        true => (CLIENTS..=CLIENTS, ""),
        false => {
            (0..=CLIENTS, "before Linux 6.2 the option is ignored in groups, unless the fix was backported")
        }
    };
    steer(trial, "sharding-incoming-cpu", expected, why, &first, &allowed)
}

fn steer(
    trial: &mut Trial<'_>,
    pattern: &str,
    expected: RangeInclusive<u64>,
    why: &'static str,
    clients: &CpuSet,
    allowed: &CpuSet,
) -> Result<()> {
    let arena = trial.arena;
    let before = arena.counters()?;
    let backend = arena.serve(pattern, &Settings { workers: 2, ..Settings::default() })?;
    let bind = |set| sched_setaffinity(None, set).context("cannot bind the clients to a processor");
    bind(clients)?;
    for _ in 0..CLIENTS {
        ask_once(backend.address())?;
    }
    bind(allowed)?;
    let opens = arena.counted_since(&before)?.of("PassiveOpens");
    let snapshot = trial.watch.look()?;
    let mut shards: Vec<_> = listeners(&snapshot, backend.address().port()).collect();
    shards.sort_by_key(|listener| listener.shard);
    let first = shards.first().map(|listener| listener.enqueued);
    trial.exactly(format!("{pattern}: PassiveOpens"), CLIENTS, opens, NETSTAT);
    let in_all = shards.iter().map(|listener| listener.enqueued).sum::<u64>();
    trial.exactly(format!("{pattern}: came to both shards"), CLIENTS, in_all, OBSERVER);
    let what = format!("{pattern}: came to the first shard");
    if expected.start() == expected.end() {
        trial.exactly(what, *expected.start(), first, OBSERVER);
    } else {
        trial.within(what, expected, why, first, OBSERVER);
    }
    Ok(())
}

/// Linux 6.2 or later.
fn has_incoming_cpu() -> bool {
    let release = origin::release();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (6, 2)
}
