//! A client that has gone keeps its place in the accept queue.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
};

use anyhow::{Context as _, Result};

use super::Lab;
use crate::{
    arena::{
        sockets::State,
        traffic::{accept, connect, listen, port, reset},
    },
    trial::{
        Trial,
        figure::{CALLS, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "dead-in-queue",
    title: "clients that gave up keep their places in the accept queue, and accept(2) returns them",
    question: "Of five clients in the accept queue, three send a request and reset the connection, and one closes. How \
               long is the queue now, what does accept(2) return, and what can be read?",
    setup: "Five clients connect to a listener that nobody accepts from. Three send five bytes and reset, one closes, \
            one stays. Then the server accepts five times and reads.",
    why: "tcp_reset() (net/ipv4/tcp_input.c) puts the child into TCP_CLOSE, but only accept(2) or the end of the \
          listener takes it out of the queue, so it counts in sk_ack_backlog until then. `ss` shows no socket in that \
          state. inet_csk_accept() (net/ipv4/inet_connection_sock.c) does not look at the state: Linux returns the \
          dead socket where other systems may say ECONNABORTED. What had arrived before the reset can still be read, \
          then comes ECONNRESET. A server under overload therefore works on requests whose clients have given up.",
    next: "A server that checks the age of a request, or peeks for the end of the stream, before it starts expensive \
           work sheds exactly these. `observer` counts them: aborted in the queue.",
    needs: &["listener", "queue_depth", "enqueue", "accept", "reset"],
    run,
};

const RESET: u64 = 3;
const CLIENTS: u64 = 5;
const REQUEST: &[u8] = b"hello";

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    let listener = listen(8)?;
    let here = port(&listener)?;
    let mut clients = (0..CLIENTS).map(|_| connect(&listener)).collect::<Result<Vec<TcpStream>>>()?;
    arena.until("all clients to be queued", || Ok(arena.sockets()?.queued(here) == CLIENTS))?;
    for mut client in clients.drain(..RESET as usize) {
        client.write_all(REQUEST).context("cannot send")?;
        reset(client)?;
    }
    drop(clients.remove(0));
    arena.until("the resets and the end to arrive", || {
        let sockets = arena.sockets()?;
        Ok((sockets.at(here, State::Established), sockets.at(here, State::CloseWait)) == (1, 1))
    })?;

    let sockets = arena.sockets()?;
    let ours = trial.listener(here)?;
    trial.exactly("places taken in the accept queue", CLIENTS, sockets.queued(here), SOCKETS);
    trial.exactly("places taken in the accept queue", CLIENTS, u64::from(ours.accept_queue), OBSERVER);
    let alive = sockets.at(here, State::Established);
    trial.exactly("connections that are alive", 1, alive, SOCKETS);
    trial.exactly("closed by the client", 1, sockets.at(here, State::CloseWait), SOCKETS);
    trial.exactly("reset while queued", RESET, ours.aborted_queued, OBSERVER);

    let (mut requests, mut resets, mut ends) = (0, 0, 0);
    for nth in 0..CLIENTS {
        let mut accepted = accept(&listener, arena)?;
        let mut text = Vec::new();
        // The one that is alive would say nothing.
        if nth < CLIENTS - 1 {
            match accepted.read_to_end(&mut text) {
                Ok(0) => ends += 1,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => resets += 1,
                _ => {}
            }
        }
        requests += u64::from(text == REQUEST);
    }
    trial.exactly("requests read from dead connections", RESET, requests, CALLS);
    trial.exactly("then ECONNRESET", RESET, resets, CALLS);
    trial.exactly("ends of the stream", 1, ends, CALLS);
    let ours = trial.listener(here)?;
    trial.exactly("accepted, dead or alive", CLIENTS, ours.accepted, OBSERVER);
    Ok(())
}
