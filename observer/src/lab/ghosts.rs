//! Connections that exist at one end only: SYN cookies and a full accept queue.

use std::io::Write as _;

use anyhow::{Context as _, Result};
use socket2::Socket;

use super::Lab;
use crate::{
    arena::{
        sockets::State,
        traffic::{accept, address, attempt_with, defer_accept, listen, port},
    },
    trial::{
        Trial,
        figure::{CALLS, NETSTAT, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "ghosts",
    title: "SYN cookies and a full accept queue: clients are connected to a server that knows nothing of them",
    question: "A SYN cookie keeps no state at the server. If the last ACK with the cookie finds the accept queue \
               full, what is left of the connection at each end, and who repairs it?",
    setup: "The server answers every SYN with a cookie (tcp_syncookies=2; by default it does so when the SYN queue is \
            full), and tcp_abort_on_overflow is 1. 21 clients get their SYN-ACKs while the accept queue, with backlog 8, is empty, and send their \
            last ACKs together. Then the server accepts all there is. Six of the twelve that found no room send a \
            byte; the other six wait for the server to speak first.",
    why: "cookie_v4_check() (net/ipv4/syncookies.c) rebuilds the request out of the ACK, and tcp_get_cookie_sock() \
          makes the connection; if the accept queue is full, tcp_v4_syn_recv_sock() refuses and the request is freed. \
          With an ordinary handshake the request would still be in the SYN queue, and its timer would send the \
          SYN-ACK again. Here nothing is left, and tcp_abort_on_overflow is not looked at, so nobody tells the \
          client. Data that it sends carry the cookie once more and let it in, if there is room within two minutes; \
          one that waits for the server waits for ever. Clients hold their last ACK back here with TCP_DEFER_ACCEPT, \
          which on a client's socket means that data will follow soon (tcp_rcv_synsent_state_process()).",
    next: "This is how a burst larger than the backlog becomes a pile of hanging clients. In `observer live` look for \
           cookies above zero together with refusals. Raise the backlog first; then think about cookies.",
    needs: &["listener", "queue_depth", "enqueue", "accept"],
    run,
};

const BACKLOG: u32 = 8;
const FIT: u64 = BACKLOG as u64 + 1;
const CLIENTS: u64 = 21;
const GHOSTS: u64 = CLIENTS - FIT;
const TALKERS: u64 = 6;

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    arena.set("ipv4.tcp_syncookies", "2")?;
    arena.set("ipv4.tcp_abort_on_overflow", "1")?;
    let listener = listen(BACKLOG)?;
    let here = port(&listener)?;
    let before = trial.begin()?;
    let to = address(&listener)?;
    let clients = (0..CLIENTS).map(|_| attempt_with(to, defer_accept)).collect::<Result<Vec<Socket>>>()?;
    // Their last ACKs come 200 ms later (TCP_DELACK_MAX).
    let counted = trial.settled(&before, |counted| {
        counted.of("SyncookiesRecv") == Some(CLIENTS) && counted.of("ListenOverflows") == Some(GHOSTS)
    })?;
    let sockets = arena.sockets()?;
    trial.exactly("SyncookiesSent", CLIENTS, counted.of("SyncookiesSent"), NETSTAT);
    trial.exactly("SyncookiesRecv", CLIENTS, counted.of("SyncookiesRecv"), NETSTAT);
    trial.exactly("ListenOverflows", GHOSTS, counted.of("ListenOverflows"), NETSTAT);
    trial.exactly("resets sent, in spite of tcp_abort_on_overflow", 0, counted.of("OutRsts"), NETSTAT);
    trial.exactly("clients in ESTABLISHED", CLIENTS, sockets.towards(here, State::Established), SOCKETS);
    trial.exactly("connections at the server", FIT, sockets.at(here, State::Established), SOCKETS);
    trial.exactly("requests at the server", 0, sockets.at(here, State::SynRecv), SOCKETS);
    let ours = trial.listener(here)?;
    trial.exactly("connections in the accept queue", FIT, u64::from(ours.accept_queue), OBSERVER);
    trial.exactly("came through a cookie", FIT, ours.cookies, OBSERVER);
    trial.exactly("refused", GHOSTS, ours.listen_drops, OBSERVER);

    let mut accepted = (0..FIT).map(|_| accept(&listener, arena)).collect::<Result<Vec<_>>>()?;
    let known: Vec<_> = accepted.iter().filter_map(|stream| stream.peer_addr().ok()).collect();
    let is_ghost = |client: &&Socket| {
        let own = client.local_addr().ok().and_then(|address| address.as_socket());
        own.is_some_and(|own| !known.contains(&own))
    };
    for mut ghost in clients.iter().filter(is_ghost).take(TALKERS as usize) {
        ghost.write_all(b"x").context("a ghost cannot send")?;
    }
    for _ in 0..TALKERS {
        accepted.push(accept(&listener, arena)?);
    }
    let in_all = FIT + TALKERS;
    trial.exactly(
        "after accept: accepted, with those that sent a byte",
        in_all,
        accepted.len() as u64,
        CALLS,
    );
    let ours = trial.listener(here)?;
    trial.exactly("after accept: came through a cookie", in_all, ours.cookies, OBSERVER);
    let sockets = arena.sockets()?;
    let lost = sockets.towards(here, State::Established) - sockets.at(here, State::Established);
    trial.exactly("clients that wait for ever", GHOSTS - TALKERS, lost, SOCKETS);
    Ok(())
}
