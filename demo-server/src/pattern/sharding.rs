//! Pattern 5: several listeners on one address, one thread each.
//!
//! ```text
//!  kernel                                   process
//!         ┌─► accept queue 0 ──accept──► shard-0: pattern 1 on a listener of its own
//!  hash ──┼─► accept queue 1 ──accept──► shard-1: the same
//!         └─► accept queue 2 ──accept──► shard-2: the same
//! ```
//!
//! With `SO_REUSEPORT` the kernel chooses the listener by a hash over addresses and ports when the SYN arrives
//! (`inet_lookup_reuseport` → `reuseport_select_sock`). Nothing is shared, so nothing is contended. But the hash
//! knows nothing of load: a shard that is stuck keeps getting its share, its queue overflows, and the clients in it
//! are refused while the other shards idle.
//!
//! Shares differ by chance: of n connections over N shards each gets n/N, give or take √(n · 1/N · (1 − 1/N)).

use std::io;

use rustix::thread::{CpuSet, sched_setaffinity};

use super::{Pattern, single_thread};
use crate::event_loop::Trigger;
use crate::stage::{Role, Stage};

pub(super) const PATTERN: Pattern = Pattern {
    id: "sharding",
    number: Some(5),
    title: "Socket sharding",
    line: "N listeners on one address with SO_REUSEPORT, one thread each; the kernel deals by hash",
    real_users: "nginx with reuseport, Envoy, HAProxy (shards by-thread), Seastar, glommio, monoio",
    when: "many short connections on many cores: no shared queue, no hand-over, caches stay warm",
    cost: "the hash ignores load: one slow shard delays or refuses its share of the clients while others idle",
    watch: "N accept queues; shares within two standard deviations; with stuck-shard one is full and the rest empty",
    shards: true,
    sound: true,
    process: None,
    run,
};

static SHARD: Role = Role { name: "shard", prefix: "shard", duties: &["accept", "read", "work", "write"] };

fn run(stage: &Stage) -> io::Result<()> {
    start(stage, |_| {})
}

/// The same, with the thread of shard i bound to processor i.
pub(super) fn run_on_cpus(stage: &Stage) -> io::Result<()> {
    start(stage, |index| {
        if index < CpuSet::MAX_CPU {
            let mut cpus = CpuSet::new();
            cpus.set(index);
            // Fails where there is no such processor, or none for this process: the thread then runs anywhere.
            let _ = sched_setaffinity(None, &cpus);
        }
    })
}

fn start(stage: &Stage, prepare: fn(usize)) -> io::Result<()> {
    let inherited = stage.mailboxes(stage.listeners().len())?;
    stage.crew(|crew| {
        for (index, (listener, mailbox)) in stage.listeners().iter().zip(&inherited).enumerate() {
            crew.spawn(&SHARD, index, move |member| {
                prepare(index);
                single_thread::event_loop(member, listener, mailbox, Trigger::Level)
            })?;
        }
        Ok(())
    })
}
