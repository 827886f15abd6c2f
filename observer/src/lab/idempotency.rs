//! A retry after a timeout is executed twice, unless the server knows the request again.

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use anyhow::{Context as _, Result};

use super::Lab;
use crate::{
    arena::{
        Arena,
        sockets::State,
        traffic::{accept, connect, listen, port},
    },
    trial::{
        Trial,
        figure::{CALLS, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "idempotency",
    title: "a client that times out and retries pays twice, because its first request was only waiting",
    question: "A client orders a payment, has no answer after its timeout, closes the connection and tries again. The \
               server was merely slow to accept. How often is the payment made?",
    setup: "A client sends an order to a server that does not accept at the moment, gives up and closes, and sends the \
            same order on a new connection. Then the server accepts and carries out what it reads: once every order, \
            once only those whose key it has not seen.",
    why: "Giving up is an act of the client alone. Its order was acknowledged by the server's kernel and lies in the \
          receive buffer of a connection in the accept queue; FIN behind it changes nothing about that. accept(2) \
          (inet_csk_accept() in net/ipv4/inet_connection_sock.c) hands it out in order, read(2) returns it, and the \
          server works for somebody who has gone. Retries then come on top of the load that caused the timeout. With \
          a key that the client chooses once per order and repeats with each attempt, the server can tell a retry \
          from a second order.",
    next: "Retry with the same key, with a limit and with growing, random pauses; on the server let the key and the \
           result be stored in the same transaction as the effect. See `dead-in-queue` for how to notice that the \
           client has gone.",
    needs: &["listener", "queue_depth", "enqueue", "accept", "read"],
    run,
};

const ORDER: &[u8] = b"pay 100, key 7\n";
const ATTEMPTS: u64 = 2;

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    for (what, expected, knows_keys) in [("without a key", ATTEMPTS, false), ("with a key", 1, true)] {
        let listener = listen(8)?;
        let here = port(&listener)?;
        let last = order_twice(arena, &listener)?;
        let sockets = arena.sockets()?;
        let gone = sockets.at(here, State::CloseWait);
        trial.exactly(format!("{what}: orders whose client has gone"), 1, gone, SOCKETS);
        let queued = trial.listener(here)?.accept_queue;
        trial.exactly(format!("{what}: orders in the accept queue"), ATTEMPTS, u64::from(queued), OBSERVER);

        let mut seen = BTreeSet::new();
        let mut payments = 0;
        for _ in 0..ATTEMPTS {
            let mut accepted = accept(&listener, arena)?;
            let mut order = vec![0; ORDER.len()];
            accepted.read_exact(&mut order).context("cannot read an order")?;
            if !knows_keys || seen.insert(order) {
                payments += 1;
            }
            // The first client has gone; whether this fails is of no consequence.
            let _ = accepted.write_all(b"paid\n");
        }
        let mut answer = String::new();
        let mut client = last;
        client.read_to_string(&mut answer).context("the client cannot read its answer")?;
        trial.exactly(format!("{what}: payments made"), expected, payments, CALLS);
        trial.exactly(
            format!("{what}: answers that the client got"),
            1,
            answer.lines().count() as u64,
            CALLS,
        );
        drop(client);
        let read =
            trial.watch.wait_for_ended(ATTEMPTS as usize)?.iter().map(|one| one.bytes_read).sum::<u64>();
        trial.exactly(format!("{what}: bytes of orders read"), ATTEMPTS * ORDER.len() as u64, read, OBSERVER);
    }
    Ok(())
}

/// The client's first attempt, which it gives up, and the second.
fn order_twice(arena: &Arena, listener: &TcpListener) -> Result<TcpStream> {
    let here = port(listener)?;
    let attempt = || -> Result<TcpStream> {
        let mut client = connect(listener)?;
        client.write_all(ORDER).context("cannot send an order")?;
        Ok(client)
    };
    drop(attempt()?);
    arena.until("the end of the first attempt", || Ok(arena.sockets()?.at(here, State::CloseWait) == 1))?;
    let second = attempt()?;
    arena.until("the second attempt", || Ok(arena.sockets()?.unread(here) == ORDER.len() as u64))?;
    Ok(second)
}
