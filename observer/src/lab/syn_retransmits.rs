//! When a SYN that was not answered is sent again.

use std::{ops::RangeInclusive, time::Instant};

use anyhow::Result;

use super::Lab;
use crate::{
    arena::traffic::{accept, address, attempt, listen, port},
    trial::{
        Trial,
        figure::{CALLS, NETSTAT, OBSERVER},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "syn-retransmits",
    title: "a refused client tries again after one second and then by a table: latencies come in steps",
    question: "A SYN is dropped because the accept queue is full. When is it sent again, and what does that make of the \
               latencies of a burst?",
    setup: "The accept queue, with backlog 0, holds its one connection. One more client sends its SYN, and the time is \
            taken until it has sent it twice more. Then the place becomes free.",
    why: "The client's timer starts with TCP_TIMEOUT_INIT, one second, since no round trip is known. \
          tcp_retransmit_timer() (net/ipv4/tcp_timer.c) doubles it each time, so that SYNs leave after 1, 3, 7, 15 \
          seconds; since Linux 6.5 the first tcp_syn_linear_timeouts (4) repetitions come a second apart. Nothing \
          in between: a server that has been free again after 50 ms is asked after one second. So refused clients \
          show as heaps at whole seconds in the time to connect, and all that were refused together come back \
          together.",
    next: "Look at the time to connect apart from the time to the first byte; `demo-server load` prints both. Then \
           find the burst that the backlog has to hold: `backlog-off-by-one`.",
    needs: &["listener", "queue_depth", "enqueue"],
    run,
};

const LINEAR: RangeInclusive<u64> = 1900..=2900;
const DOUBLING: RangeInclusive<u64> = 2900..=3900;
const SETTING: &str = "ipv4.tcp_syn_linear_timeouts";

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    let listener = listen(0)?;
    let here = port(&listener)?;
    let _first = attempt(address(&listener)?)?;
    arena.until("the only place to be taken", || Ok(arena.sockets()?.queued(here) == 1))?;
    let before = trial.begin()?;
    let start = Instant::now();
    let second = attempt(address(&listener)?)?;
    let mut times = Vec::new();
    for nth in 1..=2 {
        arena.until("the SYN to be sent again", || {
            Ok(arena.counted_since(&before)?.of("TCPSynRetrans") >= Some(nth))
        })?;
        times.push(start.elapsed().as_millis() as u64);
    }
    let late = "a timer never ends early by more than a tick, and late on a busy machine";
    let (expected, why) = match arena.setting(SETTING) {
        Some(_) => {
            (LINEAR, "this kernel has tcp_syn_linear_timeouts: after 1 s and 2 s, late on a busy machine")
        }
        None => (DOUBLING, "this kernel is older than 6.5: after 1 s and 3 s, late on a busy machine"),
    };
    trial.within("sent again, ms after the first", 950..=1900, late, times.first().copied(), CALLS);
    trial.within("sent for the third time, ms after the first", expected, why, times.last().copied(), CALLS);
    let counted = trial.settled(&before, |counted| counted.of("ListenOverflows") == Some(3))?;
    trial.exactly("ListenOverflows, one for each", 3, counted.of("ListenOverflows"), NETSTAT);
    let ours = trial.listener(here)?;
    trial.exactly("refused", 3, ours.listen_drops, OBSERVER);

    let _accepted = accept(&listener, arena)?;
    // The client is connected with its SYN-ACK; what it sends then must have come, too.
    arena.until("the second client to get in", || {
        Ok(second.peer_addr().is_ok() && arena.sockets()?.queued(here) == 1)
    })?;
    let ours = trial.listener(here)?;
    trial.exactly(
        "entered the accept queue, the second client with its next SYN",
        2,
        ours.enqueued,
        OBSERVER,
    );
    Ok(())
}
