//! tcp_abort_on_overflow turns a silent drop into a reset, where there is a request to reset.

use std::io::{ErrorKind, Read as _};

use anyhow::Result;

use super::{
    Lab,
    who_dropped_me::{QUEUED, REFUSED, crowd},
};
use crate::{
    arena::{sockets::State, traffic::port},
    trial::{
        Trial,
        figure::{CALLS, NETSTAT, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "abort-on-overflow",
    title: "with tcp_abort_on_overflow a refused last ACK is answered with a reset",
    question: "A last ACK finds the accept queue full. With net.ipv4.tcp_abort_on_overflow=1, does the client learn \
               of it? And would it, if its SYN had been refused?",
    setup: "As in `who-dropped-me`, seven of 16 last ACKs come when the accept queue has become full, this time with \
            tcp_abort_on_overflow=1.",
    why: "At the label listen_overflow in tcp_check_req() (net/ipv4/tcp_minisocks.c) the kernel either marks the \
          request as acked and forgets the ACK, or, with the sysctl, goes on to embryonic_reset: it sends a RST and \
          removes the request, which counts in EmbryonicRsts. The client's next call fails with ECONNRESET. A \
          refused SYN is dropped elsewhere, in tcp_conn_request(), which does not look at this sysctl; nor does the \
          path of SYN cookies.",
    next: "A reset that comes at once lets clients turn to another server, and hides a burst that 200 ms of patience \
           would have absorbed. Compare with `ghosts`, where the sysctl changes nothing.",
    needs: &["listener", "queue_depth", "enqueue"],
    run,
};

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    arena.set("ipv4.tcp_abort_on_overflow", "1")?;
    let mut crowded = crowd(trial)?;
    let here = port(&crowded.listener)?;
    let mut reset = 0;
    for client in crowded.clients.iter_mut().skip(QUEUED as usize) {
        // It waits for what the server sends: nothing, or the reset.
        match client.read(&mut [0]) {
            Err(error) if error.kind() == ErrorKind::ConnectionReset => reset += 1,
            _ => {}
        }
    }
    let counted = arena.counted_since(&crowded.before)?;
    let sockets = arena.sockets()?;
    let ours = trial.listener(here)?;
    trial.exactly("clients that get ECONNRESET", REFUSED, reset, CALLS);
    trial.exactly("EmbryonicRsts", REFUSED, counted.of("EmbryonicRsts"), NETSTAT);
    trial.exactly("ListenOverflows", REFUSED, counted.of("ListenOverflows"), NETSTAT);
    trial.exactly("requests left in SYN_RECV", 0, sockets.at(here, State::SynRecv), SOCKETS);
    trial.exactly("connections in the accept queue", QUEUED, sockets.queued(here), SOCKETS);
    trial.exactly("connections in the accept queue", QUEUED, u64::from(ours.accept_queue), OBSERVER);
    trial.exactly("refused", REFUSED, ours.listen_drops, OBSERVER);
    Ok(())
}
