//! One of several shards does not work, and the kernel goes on to send clients there.

use anyhow::Result;
use demo_server::{load::Overrides, settings::Settings};

use super::Lab;
use crate::{
    arena::watch::listeners,
    trial::{
        Trial,
        figure::{BACKEND, LOAD, NETSTAT, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "stuck-shard",
    title: "one of four shards hangs, and a quarter of the clients with it, while three idle",
    question: "Four SO_REUSEPORT listeners share a port; the thread of one hangs. 100 clients come. How many are \
               served, and what does the kernel do when the stuck queue is full?",
    setup: "demo-server runs four shards with backlog 8 under the fault `stuck-shard`. 100 clients ask once each, at 50 \
            per second.",
    why: "reuseport_select_sock() (net/core/sock_reuseport.c) chooses by a hash over addresses and ports and knows \
          nothing of queues. The stuck shard's queue fills to backlog + 1; after that tcp_conn_request() drops the \
          SYNs that hash to it, again at each repetition, since the same addresses and ports make the same hash. The \
          other shards have room and are never asked. With one shared queue (`shared-accept`) three threads would \
          have served everybody.",
    next: "Try `demo-server serve --pattern shared-accept` with the fault `slow-worker`, and the same with `sharding`. \
           Then see what happens to queued clients when a shard closes: `closing-shard`.",
    needs: &["listener", "queue_depth", "enqueue", "accept"],
    run,
};

const CLIENTS: u64 = 100;
const BACKLOG: u32 = 8;
const FIT: u64 = BACKLOG as u64 + 1;

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    let settings = Settings { workers: 4, backlog: BACKLOG, ..Settings::default() };
    let mut backend = arena.serve("sharding", &settings)?;
    let here = backend.address().port();
    backend.fault("stuck-shard", true, Some(1), None)?;
    let before = trial.begin()?;
    let parameters = Overrides {
        rate: Some(50.0),
        total_connections: Some(CLIENTS),
        duration: Some("2500ms".into()),
        ..Overrides::default()
    };
    let load = arena.load(backend.address(), "steady", &parameters)?;
    let report = trial.run_load(load, |_| {})?;
    let counted = arena.counted_since(&before)?;

    let unserved = CLIENTS.saturating_sub(report.responses);
    let chance = "a hash chooses: 25 of 100 on average, five standard deviations of 4.3 either way";
    trial.within("clients that are not served", FIT..=46, chance, unserved, LOAD);
    trial.exactly("clients that are served", CLIENTS - unserved, backend.state()?.counters.requests, BACKEND);
    let mut queues = arena.sockets()?.accept_queues(here);
    queues.sort_unstable();
    trial.exactly("longest accept queue", FIT, queues.last().copied(), SOCKETS);
    trial.exactly("in the other three queues", 0, queues.iter().rev().skip(1).sum::<u64>(), SOCKETS);
    let late = unserved.saturating_sub(FIT);
    let overflows = counted.of("ListenOverflows");
    let first = overflows.zip(counted.of("TCPSynRetrans")).map(|(all, again)| all.saturating_sub(again));
    trial.exactly("ListenOverflows − SYNs sent again", late, first, NETSTAT);

    let snapshot = trial.watch.look()?;
    let full = |one: &&crate::model::snapshot::Listener| one.accept_queue > one.backlog_limit;
    let stuck = listeners(&snapshot, here).find(full);
    let others = listeners(&snapshot, here).filter(|one| !full(one));
    trial.exactly("in the queue of the stuck shard", FIT, stuck.map(|one| one.accept_queue.into()), OBSERVER);
    let refused = stuck.map(|one| one.listen_drops);
    trial.exactly(
        "refused by the stuck shard, each SYN that was sent again included",
        overflows.unwrap_or(0),
        refused,
        OBSERVER,
    );
    let (accepted, refused) =
        others.fold((0, 0), |sum, one| (sum.0 + one.accepted, sum.1 + one.listen_drops));
    trial.exactly("accepted by the other three", CLIENTS - unserved, accepted, OBSERVER);
    trial.exactly("refused by the other three", 0, refused, OBSERVER);
    Ok(())
}
