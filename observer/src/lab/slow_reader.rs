//! A client that does not read fills the server's send buffer.

use std::io::Read as _;

use anyhow::{Context as _, Result};

use super::Lab;
use crate::{
    arena::traffic::{accept, address, attempt_with, fill, listen, port},
    trial::{
        Trial,
        figure::{CALLS, NETSTAT, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "slow-reader",
    title: "a client that does not read: megabytes in the server's kernel, then the window is zero",
    question: "A client with a receive buffer of 4 KiB asks for something long and does not read. When does the \
               server's write(2) block, and what does the kernel do then?",
    setup: "A client with SO_RCVBUF 4096 connects and does not read. The server writes without blocking until the \
            kernel takes no more and has probed the window. Then the client reads all of it.",
    why: "The client's kernel advertises what is left of its buffer, at last zero (tcp_select_window() in \
          net/ipv4/tcp_output.c, TCPToZeroWindowAdv). The server's kernel keeps what cannot be sent and lets the send \
          buffer grow within tcp_wmem (tcp_sndbuf_expand()), so write(2) succeeds long after the client has stopped. \
          Then it probes with growing distances (tcp_send_probe0(), TCPWinProbe), for as long as the client \
          answers: for ever. A thread that writes and blocks is lost to everybody else, and each such client \
          holds megabytes.",
    next: "Set TCP_USER_TIMEOUT or a deadline of your own for writing, and bound the buffer with SO_SNDBUF or \
           TCP_NOTSENT_LOWAT. `demo-server load --profile slow-readers` makes such clients.",
    needs: &["listener", "enqueue", "accept", "write"],
    run,
};

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    let listener = listen(8)?;
    let here = port(&listener)?;
    let before = arena.counters()?;
    let mut client = attempt_with(address(&listener)?, |socket| socket.set_recv_buffer_size(4096))?;
    let accepted = accept(&listener, arena)?;
    let taken = fill(arena, &accepted)?;
    let counted = arena.counted_since(&before)?;
    let own =
        client.local_addr().ok().and_then(|address| address.as_socket()).context("a client's address")?;
    let sockets = arena.sockets()?;
    let grows = "the send buffer grows within tcp_wmem";
    let again = "probes go on, and the window may open and close";
    trial.at_least("bytes that write(2) took", 30_000, grows, taken, CALLS);
    trial.within(
        "of them at the client",
        1..=8192,
        "4096 is doubled, and covers overhead",
        sockets.unread(own.port()),
        SOCKETS,
    );
    let held = sockets.unread(own.port()) + sockets.unacknowledged(here);
    trial.exactly("at the client + in the server's send queue", taken, held, SOCKETS);
    trial.at_least("TCPToZeroWindowAdv", 1, again, counted.of("TCPToZeroWindowAdv"), NETSTAT);
    trial.at_least("TCPWinProbe", 1, again, counted.of("TCPWinProbe"), NETSTAT);
    let open = trial.watch.open()?.iter().map(|one| one.bytes_written).sum::<u64>();
    trial.exactly("bytes written by the server", taken, open, OBSERVER);

    client.set_nonblocking(false).context("cannot clear O_NONBLOCK")?;
    drop(accepted);
    let read = client.read_to_end(&mut Vec::new()).context("the client cannot read")?;
    trial.exactly("bytes that the client reads in the end", taken, read as u64, CALLS);
    Ok(())
}
