//! The accept queue holds one more than the backlog.

use anyhow::Result;

use super::Lab;
use crate::{
    arena::{
        counters::Counters,
        sockets::State,
        traffic::{address, attempt, listen, listen_again, port},
    },
    trial::{
        Trial,
        figure::{CALLS, NETSTAT, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "backlog-off-by-one",
    title: "listen(8) lets nine connections wait, and can be changed while they do",
    question: "A server calls listen(fd, 8) and never accepts. 30 clients connect, one after the other. How many are \
               connected, and what does the kernel tell the others?",
    setup: "30 clients connect to a listener with backlog 8 that nobody accepts from. Then listen(2) is called \
               once more on the same socket, with 64. Two more listeners ask for 0 and for a million.",
    why: "sk_acceptq_is_full() in include/net/sock.h compares with `>`, so that a backlog of 0 still lets one in: the \
          queue is full at backlog + 1. A SYN that finds it full is dropped in tcp_conn_request() \
          (net/ipv4/tcp_input.c) and counted in ListenOverflows; the kernel says nothing to the client, which sends \
          its SYN again after a second and is counted again. inet_listen() (net/ipv4/af_inet.c) takes a new backlog \
          for a socket that listens already, so the next SYN of each client finds room. The backlog is clamped to \
          net.core.somaxconn without a word.",
    next: "Run `observer live` beside a server of yours and compare its limit with the backlog in its source: a limit \
           of 128 or 4096 is often the library's or the system's choice. Then see `who-dropped-me`.",
    needs: &["listener", "queue_depth", "enqueue"],
    run,
};

const BACKLOG: u32 = 8;
const CLIENTS: u64 = 30;
const FIT: u64 = BACKLOG as u64 + 1;
const LATE: u64 = CLIENTS - FIT;

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    let listener = listen(BACKLOG)?;
    let here = port(&listener)?;
    let before = trial.begin()?;
    let mut clients = Vec::new();
    for nth in 1..=CLIENTS {
        clients.push(attempt(address(&listener)?)?);
        // Each only when it is known what became of the one before.
        arena.until("a SYN to be answered or refused", || {
            let refused = arena.counted_since(&before)?.of("ListenOverflows");
            Ok(arena.sockets()?.queued(here) == nth.min(FIT) && refused >= Some(nth.saturating_sub(FIT)))
        })?;
    }
    let counted = trial.settled(&before, |counted| refusals(counted) == Some(LATE))?;
    let sockets = arena.sockets()?;
    let ours = trial.listener(here)?;
    trial.exactly("connections in the accept queue", FIT, sockets.queued(here), SOCKETS);
    trial.exactly("connections in the accept queue", FIT, u64::from(ours.accept_queue), OBSERVER);
    trial.exactly("limit", u64::from(BACKLOG), u64::from(ours.backlog_limit), OBSERVER);
    trial.exactly("clients that still send SYNs", LATE, sockets.towards(here, State::SynSent), SOCKETS);
    trial.exactly("handshakes in the SYN queue", 0, sockets.at(here, State::SynRecv), SOCKETS);
    trial.exactly("ListenOverflows − SYNs sent again", LATE, refusals(&counted), NETSTAT);
    let least = "each SYN that is sent again is refused again";
    trial.at_least("refused", LATE, least, ours.listen_drops, OBSERVER);

    listen_again(&listener, 64)?;
    arena.until("the waiting clients to get in", || Ok(arena.sockets()?.queued(here) == CLIENTS))?;
    let ours = trial.listener(here)?;
    trial.exactly("after listen(64): in the accept queue", CLIENTS, u64::from(ours.accept_queue), OBSERVER);
    trial.exactly("after listen(64): entered it in all", CLIENTS, ours.enqueued, OBSERVER);
    let connected = clients.iter().filter(|client| client.peer_addr().is_ok()).count();
    trial.exactly("after listen(64): clients connected", CLIENTS, connected as u64, CALLS);

    let none = listen(0)?;
    let _clients = [attempt(address(&none)?)?, attempt(address(&none)?)?];
    let here = port(&none)?;
    arena.until("the only place to be taken", || Ok(arena.sockets()?.queued(here) == 1))?;
    let ours = trial.listener(here)?;
    trial.exactly("listen(0): in the accept queue", 1, u64::from(ours.accept_queue), OBSERVER);
    let huge = listen(1_000_000)?;
    let somaxconn = arena.setting("core.somaxconn").and_then(|value| value.parse().ok()).unwrap_or(0);
    let limit = trial.listener(port(&huge)?)?.backlog_limit;
    trial.exactly("listen(1000000): limit, which is somaxconn", somaxconn, u64::from(limit), OBSERVER);
    Ok(())
}

/// Clients that were refused at least once: each SYN that was sent again was refused once more.
fn refusals(counted: &Counters) -> Option<u64> {
    Some(counted.of("ListenOverflows")?.saturating_sub(counted.of("TCPSynRetrans")?))
}
