//! A full accept queue refuses SYNs, and last ACKs too: two drops that look different from both ends.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use anyhow::{Context as _, Result};

use super::Lab;
use crate::{
    arena::{
        counters::Counters,
        sockets::State,
        traffic::{self, address, attempt, connect, defer_accept, listen, listen_with, port},
    },
    trial::{
        Trial,
        figure::{CALLS, NETSTAT, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "who-dropped-me",
    title: "a full accept queue drops SYNs or last ACKs, and only one of the two can the client feel",
    question: "The accept queue of a server is full. Can a client believe that it is connected while the server has \
               no connection with it?",
    setup: "First 16 clients connect, one after the other, to a listener with backlog 8. Then 16 clients connect to \
            a listener with backlog 8 and TCP_DEFER_ACCEPT, which keeps handshakes in the SYN queue until data \
            arrives; the first eight send a byte, and only then do the others connect and send theirs. At the end \
            the server accepts.",
    why: "The accept queue is looked at twice. When a SYN comes, tcp_conn_request() (net/ipv4/tcp_input.c) drops it if \
          the queue is full: the client stays in SYN_SENT. When the last ACK comes, tcp_check_req() \
          (net/ipv4/tcp_minisocks.c) calls tcp_v4_syn_recv_sock(), which refuses if the queue has become full \
          meanwhile: the ACK is dropped, the request stays in the SYN queue, and the client is in ESTABLISHED and has \
          sent data that nobody has. Both count in ListenOverflows. On loopback a handshake is complete before the \
          next one begins, so that only SYNs are dropped unless, as here, something keeps handshakes back. The \
          dropped data heal: the client sends them again, which is again a last ACK, and finds room.",
    next: "See `abort-on-overflow` for what the sysctl of that name changes in the second case, and `ghosts` for the \
           same with SYN cookies, where nothing heals by itself.",
    needs: &["listener", "queue_depth", "enqueue", "accept"],
    run,
};

const BACKLOG: u32 = 8;
const FIT: u64 = BACKLOG as u64 + 1;
const CLIENTS: u64 = 16;
const LATE: u64 = CLIENTS - FIT;

/// 16 clients of a deferring listener with backlog 8 that nobody accepts from: all are connected by their own account,
/// and for the last ACKs of the last seven there is no room.
pub(super) struct Crowded {
    pub(super) listener: TcpListener,
    pub(super) clients: Vec<TcpStream>,
    /// From before they came.
    pub(super) before: Counters,
}

/// How many of its clients found no room.
pub(super) const REFUSED: u64 = LATE;
/// How many did.
pub(super) const QUEUED: u64 = FIT;

pub(super) fn crowd(trial: &mut Trial<'_>) -> Result<Crowded> {
    let arena = trial.arena;
    let listener = listen_with(BACKLOG, defer_accept)?;
    let here = port(&listener)?;
    let before = trial.begin()?;
    let mut clients: Vec<TcpStream> = Vec::new();
    for round in 1..=2 {
        for _ in 0..BACKLOG {
            clients.push(connect(&listener)?);
        }
        arena.until("handshakes that wait for data", || {
            let sockets = arena.sockets()?;
            Ok(sockets.at(here, State::SynRecv) + sockets.queued(here) == clients.len() as u64)
        })?;
        for (nth, client) in clients.iter_mut().enumerate().skip(clients_before(round)) {
            client.write_all(b"x").context("cannot send")?;
            let queued = (nth as u64 + 1).min(FIT);
            arena.until("the accept queue to fill", || Ok(arena.sockets()?.queued(here) == queued))?;
        }
    }
    Ok(Crowded { listener, clients, before })
}

fn clients_before(round: usize) -> usize {
    (round - 1) * BACKLOG as usize
}

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    let listener = listen(BACKLOG)?;
    let here = port(&listener)?;
    let mut clients = Vec::new();
    for nth in 1..=CLIENTS {
        clients.push(attempt(address(&listener)?)?);
        arena.until("a SYN to be answered", || Ok(arena.sockets()?.queued(here) == nth.min(FIT)))?;
    }
    let sockets = arena.sockets()?;
    trial.exactly("SYNs refused: clients in SYN_SENT", LATE, sockets.towards(here, State::SynSent), SOCKETS);
    trial.exactly("SYNs refused: requests in SYN_RECV", 0, sockets.at(here, State::SynRecv), SOCKETS);
    drop((clients, listener));

    let crowded = crowd(trial)?;
    let here = port(&crowded.listener)?;
    let counted = trial.settled(&crowded.before, |counted| counted.of("ListenOverflows") >= Some(LATE))?;
    let sockets = arena.sockets()?;
    let ours = trial.listener(here)?;
    let established = sockets.towards(here, State::Established);
    trial.exactly("last ACKs refused: clients in ESTABLISHED", CLIENTS, established, SOCKETS);
    trial.exactly(
        "last ACKs refused: connections at the server",
        FIT,
        sockets.at(here, State::Established),
        SOCKETS,
    );
    trial.exactly("last ACKs refused: requests in SYN_RECV", LATE, sockets.at(here, State::SynRecv), SOCKETS);
    let again = "each client sends its byte again and is refused again";
    trial.at_least("last ACKs refused: ListenOverflows", LATE, again, counted.of("ListenOverflows"), NETSTAT);
    trial.exactly("connections in the accept queue", FIT, u64::from(ours.accept_queue), OBSERVER);
    trial.exactly("requests in the SYN queue", LATE, u64::from(ours.syn_queue), OBSERVER);
    trial.at_least("refused", LATE, again, ours.listen_drops, OBSERVER);

    let mut bytes = 0;
    for _ in 0..CLIENTS {
        // The last seven come when their clients have sent again.
        let mut accepted = traffic::accept(&crowded.listener, arena)?;
        accepted.read_exact(&mut [0]).context("cannot read the byte")?;
        bytes += 1;
    }
    trial.exactly("after accept: bytes read at the server", CLIENTS, bytes, CALLS);
    let ours = trial.listener(here)?;
    trial.exactly("after accept: accepted", CLIENTS, ours.accepted, OBSERVER);
    drop(crowded.clients);
    Ok(())
}
