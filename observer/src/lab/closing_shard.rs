//! Closing one of several listeners resets the clients in its queue, unless they are moved.

use std::{
    io::{ErrorKind, Read as _},
    net::{TcpListener, TcpStream},
};

use anyhow::{Context as _, Result};

use super::Lab;
use crate::{
    arena::{
        Arena,
        traffic::{connect, listen_beside, listen_shared, port},
        watch::listeners,
    },
    trial::{
        Trial,
        figure::{CALLS, NETSTAT, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "closing-shard",
    title: "a shard that closes resets the clients in its queue; tcp_migrate_req moves them instead",
    question: "Four SO_REUSEPORT listeners share a port, and 100 clients wait in their queues. One of the listeners is \
               closed, as at every rolling restart. What becomes of the clients in its queue? And with \
               net.ipv4.tcp_migrate_req=1?",
    setup: "100 clients connect to four shards that nobody accepts from; the second shard closes. Once as the kernel \
            does it by default, once with tcp_migrate_req=1. Then everything is accepted.",
    why: "The kernel has chosen a shard for each SYN by a hash over addresses and ports (reuseport_select_sock() in \
          net/core/sock_reuseport.c), and a connection belongs to its listener until it is accepted. \
          inet_csk_listen_stop() (net/ipv4/inet_connection_sock.c) resets every child in the queue of a listener that \
          closes. With tcp_migrate_req, which Linux has since 5.14, it first asks reuseport_migrate_sock() for \
          another listener of the group and puts the child into its queue, counted in TCPMigrateReqSuccess.",
    next: "Drain before you close: take the shard out of the group (a classic BPF program that never chooses it), \
           accept what is left, then close. `demo-server serve --pattern sharding` does so when it switches.",
    needs: &["listener", "queue_depth", "enqueue", "accept"],
    run,
};

const SHARDS: usize = 4;
const CLIENTS: u64 = 100;
/// The binomial distribution has a standard deviation of 4.3 here.
const SHARE: std::ops::RangeInclusive<u64> = 4..=46;
const WHY: &str = "a hash over addresses and ports chooses the shard: 25 of 100 on average, five standard deviations \
                   either way";

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    let (waiting, mut group) = crowd(arena)?;
    let here = port(&group.shards[0])?;
    let before = arena.counters()?;
    let doomed = close_one(trial, here, &mut group, SHARE)?;
    let rest = CLIENTS - doomed;
    let reset = resets(arena, &waiting, doomed)?;
    let counted = arena.counted_since(&before)?;
    trial.exactly("by default: clients that are reset, of those", doomed, reset, CALLS);
    // `OutRsts` would count resets of other kinds too, and there are none here.
    trial.exactly("by default: OutRsts", doomed, counted.of("OutRsts"), NETSTAT);
    trial.exactly("by default: left in the other queues", rest, arena.sockets()?.queued(here), SOCKETS);
    let snapshot = trial.watch.look()?;
    let gone = snapshot.listeners.iter().filter(|one| one.port == here && one.closed_ns.is_some());
    trial.exactly(
        "by default: dropped while queued",
        doomed,
        gone.map(|one| one.dropped_queued).sum::<u64>(),
        OBSERVER,
    );
    drop((waiting, group));

    arena.set("ipv4.tcp_migrate_req", "1")?;
    let (waiting, mut group) = crowd(arena)?;
    let here = port(&group.shards[0])?;
    let before = arena.counters()?;
    let moved = close_one(trial, here, &mut group, SHARE)?;
    let counted = trial.settled(&before, |counted| counted.of("TCPMigrateReqSuccess") == Some(moved))?;
    trial.exactly("migrating: TCPMigrateReqSuccess", moved, counted.of("TCPMigrateReqSuccess"), NETSTAT);
    trial.exactly("migrating: clients that are reset", 0, resets(arena, &waiting, 0)?, CALLS);
    trial.exactly("migrating: in the other queues", CLIENTS, arena.sockets()?.queued(here), SOCKETS);
    let snapshot = trial.watch.look()?;
    let migrated = listeners(&snapshot, here).map(|one| one.migrated).sum::<u64>();
    trial.exactly("migrating: came from the closed shard", moved, migrated, OBSERVER);
    let mut accepted = 0;
    for shard in &group.shards {
        shard.set_nonblocking(true).context("cannot set O_NONBLOCK")?;
        while shard.accept().is_ok() {
            accepted += 1;
        }
    }
    trial.exactly("migrating: accepted in the end", CLIENTS, accepted, CALLS);
    Ok(())
}

/// Listeners on one address.
struct Group {
    shards: Vec<TcpListener>,
}

/// A new group with all clients in its queues.
fn crowd(arena: &Arena) -> Result<(Vec<TcpStream>, Group)> {
    let first = listen_shared(128)?;
    let here = port(&first)?;
    let mut shards = vec![first];
    for _ in 1..SHARDS {
        shards.push(listen_beside(&shards[0], 128).context("cannot add a listener to the group")?);
    }
    let clients = (0..CLIENTS).map(|_| connect(&shards[0])).collect::<Result<Vec<_>>>()?;
    arena.until("all clients to be queued", || Ok(arena.sockets()?.queued(here) == CLIENTS))?;
    Ok((clients, Group { shards }))
}

/// Closes the second shard and returns how many clients were in its queue.
fn close_one(
    trial: &mut Trial<'_>,
    here: u16,
    group: &mut Group,
    expected: std::ops::RangeInclusive<u64>,
) -> Result<u64> {
    let snapshot = trial.watch.look()?;
    let cookie = socket2::SockRef::from(&group.shards[1]).cookie().context("cannot read SO_COOKIE")?;
    let queued =
        listeners(&snapshot, here).find(|one| one.cookie == cookie).map(|one| u64::from(one.accept_queue));
    let in_all = listeners(&snapshot, here).map(|one| u64::from(one.accept_queue)).sum::<u64>();
    trial.exactly("queued in all shards", CLIENTS, in_all, OBSERVER);
    trial.within("queued in the shard that closes", expected, WHY, queued, OBSERVER);
    group.shards.remove(1);
    queued.context("the observer does not show the shard that is to close")
}

/// Waits for so many resets and counts them.
fn resets(arena: &Arena, clients: &[TcpStream], expected: u64) -> Result<u64> {
    let mut count = 0;
    arena.until("the clients to be reset", || {
        for mut client in clients {
            client.set_nonblocking(true).context("cannot set O_NONBLOCK")?;
            if client.read(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::ConnectionReset) {
                count += 1;
            }
        }
        Ok(count >= expected)
    })?;
    Ok(count)
}
