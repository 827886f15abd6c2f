//! connect(2) says nothing about the server.

use std::io::{Read as _, Write as _};

use anyhow::{Context as _, Result};

use super::Lab;
use crate::{
    arena::traffic::{accept, connect, fill, listen, port},
    trial::{
        Trial,
        figure::{CALLS, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "connected-not-accepted",
    title: "a client connects, sends and gets its ACKs, and the server has not called accept",
    question: "A server listens and never calls accept(2). How far does a client get: connect, write, acknowledged, \
               and how many bytes?",
    setup: "A client connects to a listener that nobody accepts from, sends a request of 18 bytes, and then as much as \
            the kernel takes. At the end the server accepts and reads.",
    why: "The kernel completes the handshake by itself: tcp_v4_syn_recv_sock() (net/ipv4/tcp_ipv4.c) makes a whole \
          socket, which waits in the accept queue, receives data into its own buffer (tcp_data_queue() in \
          net/ipv4/tcp_input.c) and acknowledges them, as any other does. accept(2) only hands over a descriptor. So \
          the time to connect is no measure of a server's health; the time to the first byte is. What the client can \
          push is bounded by tcp_rmem at the server and tcp_wmem at the client.",
    next: "Pause a server (`kill -STOP`) and look at `ss -ltn` and `observer live`: the queue fills with clients that \
           believe themselves served. Then do `dead-in-queue`.",
    needs: &["listener", "queue_depth", "enqueue", "accept", "read"],
    run,
};

const REQUEST: &[u8] = b"GET / HTTP/1.1\r\n\r\n";

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    let listener = listen(8)?;
    let here = port(&listener)?;
    let mut client = connect(&listener)?;
    let own = client.local_addr().context("cannot ask the client for its address")?.port();
    client.write_all(REQUEST).context("cannot send the request")?;
    let length = REQUEST.len() as u64;
    arena.until("the request to be acknowledged", || {
        let sockets = arena.sockets()?;
        Ok(sockets.unread(here) == length && sockets.unacknowledged(own) == 0)
    })?;
    let sockets = arena.sockets()?;
    trial.exactly("bytes received for a socket that nobody has", length, sockets.unread(here), SOCKETS);
    trial.exactly("bytes of the client not acknowledged", 0, sockets.unacknowledged(own), SOCKETS);
    let ours = trial.listener(here)?;
    trial.exactly("connections in the accept queue", 1, u64::from(ours.accept_queue), OBSERVER);
    trial.exactly("accepted", 0, ours.accepted, OBSERVER);

    let pushed = length + fill(arena, &client)?;
    let why = "buffers grow with the traffic, within tcp_rmem and tcp_wmem";
    trial.at_least("bytes that the kernel took from the client", 50_000, why, pushed, CALLS);
    let sockets = arena.sockets()?;
    let held = sockets.unread(here) + sockets.unacknowledged(own);
    trial.exactly("of them in the two kernels' buffers", pushed, held, SOCKETS);

    drop(client);
    let mut accepted = accept(&listener, arena)?;
    let read = accepted.read_to_end(&mut Vec::new()).context("cannot read")?;
    trial.exactly("after accept: bytes read at the server", pushed, read as u64, CALLS);
    drop(accepted);
    let bytes = trial.watch.wait_for_ended(1)?.iter().map(|one| one.bytes_read).sum::<u64>();
    trial.exactly("after accept: bytes read at the server", pushed, bytes, OBSERVER);
    Ok(())
}
