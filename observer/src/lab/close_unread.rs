//! Closing with unread data sends a reset.

use std::io::{ErrorKind, Read as _, Write as _};

use anyhow::{Context as _, Result};

use super::Lab;
use crate::{
    arena::traffic::{listen, pair, port},
    model::snapshot::End,
    trial::{
        Trial,
        figure::{CALLS, NETSTAT, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "close-unread",
    title: "close(2) with unread data resets the connection, and the answer may be lost with it",
    question: "A server answers with an error as soon as it has seen the head of a request, and closes, while the rest \
               of the request waits unread. What does the client get?",
    setup: "A client sends five bytes. The server closes without reading them; then, on a second connection, it reads \
            them first.",
    why: "tcp_close() (net/ipv4/tcp.c) looks for unread data: if there are any, the peer must learn that they were \
          lost (RFC 2525, section 2.17), so it sends a RST in place of a FIN and counts TCPAbortOnClose. At the client \
          the RST makes the next call fail with ECONNRESET, and may throw away an answer that had already \
          arrived and was not read yet.",
    next: "Answer, shutdown(2) for writing, read until the end of the stream or a deadline, then close: a lingering \
           close. `demo-server` has the fault `close-unread` to see it under load.",
    needs: &["listener", "enqueue", "accept", "data_queued", "read", "close"],
    run,
};

const SENT: &[u8] = b"hello";

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    for reads in [false, true] {
        let listener = listen(8)?;
        let here = port(&listener)?;
        let before = arena.counters()?;
        let (mut client, mut server) = pair(&listener)?;
        client.write_all(SENT).context("cannot send")?;
        arena.until("the bytes to arrive", || Ok(arena.sockets()?.unread(here) == SENT.len() as u64))?;
        let what = |text: &str| format!("{}: {text}", if reads { "read first" } else { "unread" });
        if reads {
            server.read_exact(&mut [0; SENT.len()]).context("cannot read")?;
        }
        trial.exactly(
            what("bytes waiting at close"),
            if reads { 0 } else { SENT.len() as u64 },
            arena.sockets()?.unread(here),
            SOCKETS,
        );
        drop(server);
        let outcome = client.read(&mut [0]);
        let reset = outcome.as_ref().is_err_and(|error| error.kind() == ErrorKind::ConnectionReset);
        let ended = matches!(outcome, Ok(0));
        trial.exactly(what("the client gets ECONNRESET"), u64::from(!reads), u64::from(reset), CALLS);
        trial.exactly(
            what("the client gets the end of the stream"),
            u64::from(reads),
            u64::from(ended),
            CALLS,
        );
        drop(client);
        let counted = arena.counted_since(&before)?;
        trial.exactly(what("TCPAbortOnClose"), u64::from(!reads), counted.of("TCPAbortOnClose"), NETSTAT);
        let ended = trial.watch.wait_for_ended(1)?;
        let ends = |end| ended.iter().filter(|one| one.end == end).count() as u64;
        trial.exactly(what("ended by a reset of the server"), u64::from(!reads), ends(End::RstOut), OBSERVER);
        trial.exactly(what("ended in order"), u64::from(reads), ends(End::Fin), OBSERVER);
    }
    Ok(())
}
