//! Nagle's algorithm and delayed ACKs wait for each other.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    time::Instant,
};

use anyhow::{Context as _, Result};

use super::Lab;
use crate::{
    arena::traffic::{listen, pair},
    trial::{
        Trial,
        figure::{CALLS, NETSTAT, OBSERVER},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "nagle",
    title: "write, write, read: 40 ms per request, and none with TCP_NODELAY",
    question: "A client writes the head of a request and its body with two calls and then reads the answer, on \
               loopback, where a round trip takes less than 0.1 ms. How long does a request take?",
    setup: "20 requests of two writes of 100 bytes each, answered with two bytes; then the same with TCP_NODELAY at \
            the client.",
    why: "Nagle's algorithm (tcp_nagle_check() in net/ipv4/tcp_output.c) holds a small segment back while another is \
          not acknowledged. The server cannot answer half a request, so there is nothing for the ACK to ride on, and \
          tcp_send_delayed_ack() waits for TCP_DELACK_MIN, 40 ms, in the hope that there will be (DelayedACKs). Each \
          end waits for the other until the timer ends it. The first rounds are quicker: a connection starts by \
          acknowledging at once. TCP_NODELAY sends the second segment without waiting; one writev(2) of both parts \
          would be better still, with one segment and one wake-up.",
    next: "Look for a heap of requests at 40 to 44 ms in any latency histogram of yours. Then look for two writes per \
           request: `observer` counts a connection's reads and writes.",
    needs: &["listener", "enqueue", "accept", "read"],
    run,
};

const ROUNDS: u64 = 20;
const PART: usize = 100;

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    let mut median = 0;
    for nodelay in [false, true] {
        let listener = listen(8)?;
        let (client, server) = pair(&listener)?;
        client.set_nodelay(nodelay).context("cannot set TCP_NODELAY")?;
        let before = arena.counters()?;
        let mut times = rounds(client, server)?;
        let counted = arena.counted_since(&before)?;
        times.sort_unstable();
        let now = times.get(times.len() / 2).copied().unwrap_or(0);
        let what = |text: &str| format!("{}: {text}", if nodelay { "TCP_NODELAY" } else { "by default" });
        let delayed = counted.of("DelayedACKs");
        if nodelay {
            let why = "no timer is waited for: less than half of the time before, however slow the machine";
            trial.within(what("median of a request, µs"), 0..=median / 2, why, now, CALLS);
            let why = "a slow machine may reach the timer all the same";
            trial.within(what("DelayedACKs"), 0..=ROUNDS / 2, why, delayed, NETSTAT);
        } else {
            median = now;
            let why = "the timer ends after 40 ms, a tick more or less, and later on a busy machine";
            trial.at_least(what("median of a request, µs"), 36_000, why, now, CALLS);
            let why = "the first rounds are acknowledged at once";
            trial.within(what("DelayedACKs"), ROUNDS * 3 / 4..=ROUNDS + 1, why, delayed, NETSTAT);
        }
        let ended = trial.watch.wait_for_ended(1)?;
        let bytes = ended.iter().map(|one| one.bytes_read).sum::<u64>();
        trial.exactly(what("bytes read by the server"), ROUNDS * 2 * PART as u64, bytes, OBSERVER);
        let reads = ended.iter().map(|one| u64::from(one.reads)).sum::<u64>();
        if nodelay {
            let why = "both parts are there when the server reads, unless the machine is busy";
            trial.within(what("reads by the server"), ROUNDS..=ROUNDS * 3 / 2, why, reads, OBSERVER);
        } else {
            let why = "two for each request, but for the first ones";
            trial.within(what("reads by the server"), ROUNDS * 3 / 2..=ROUNDS * 2, why, reads, OBSERVER);
        }
    }
    Ok(())
}

/// Microseconds from the first write to the answer, for each request.
fn rounds(mut client: TcpStream, mut server: TcpStream) -> Result<Vec<u64>> {
    let mut one = || -> std::io::Result<u64> {
        let start = Instant::now();
        client.write_all(&[0; PART])?;
        client.write_all(&[0; PART])?;
        server.read_exact(&mut [0; 2 * PART])?;
        server.write_all(b"ok")?;
        client.read_exact(&mut [0; 2])?;
        Ok(start.elapsed().as_micros() as u64)
    };
    (0..ROUNDS).map(|_| one().context("a request failed")).collect()
}
