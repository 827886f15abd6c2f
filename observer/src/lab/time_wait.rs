//! Who closes first keeps the port.

use std::{io::Read as _, net::TcpStream};

use anyhow::{Context as _, Result};

use super::Lab;
use crate::{
    arena::{
        sockets::State,
        traffic::{listen, pair, port},
    },
    trial::{
        Trial,
        figure::{OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "time-wait",
    title: "TIME_WAIT is at the end that closes first, and so is what it costs",
    question: "30 short connections end. At which end do 30 sockets stay in TIME_WAIT for a minute: the client's, the \
               server's, or both?",
    setup: "30 connections on which the client closes first, then 30 on which the server does.",
    why: "The end that sends the first FIN also has to answer the last one, perhaps more than once, so it waits: \
          tcp_time_wait() (net/ipv4/tcp_minisocks.c) puts a small socket in the place of the old one for \
          TCP_TIMEWAIT_LEN, 60 s. A client then cannot use that pair of addresses and ports again, so many short \
          connections to one server from one address run out of ports (28,232 by default). A server has one port for \
          all and only pays some memory.",
    next: "Keep connections open; that is what saves most. Let a client connect from several addresses, or set \
           tcp_tw_reuse. SO_LINGER with 0 avoids TIME_WAIT with a reset, which loses data: see `close-unread`.",
    needs: &["listener", "enqueue", "accept", "close"],
    run,
};

const CONNECTIONS: u64 = 30;

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    for server_first in [false, true] {
        let listener = listen(64)?;
        let here = port(&listener)?;
        for _ in 0..CONNECTIONS {
            let (client, server) = pair(&listener)?;
            let (first, second) = if server_first { (server, client) } else { (client, server) };
            drop(first);
            close_second(second)?;
        }
        let waiting = || -> Result<(u64, u64)> {
            let sockets = arena.sockets()?;
            Ok((sockets.at(here, State::TimeWait), sockets.towards(here, State::TimeWait)))
        };
        arena.until("the connections to end", || Ok(waiting()?.0 + waiting()?.1 == CONNECTIONS))?;
        let (server, client) = waiting()?;
        let what =
            |text: &str| format!("{} closes first: {text}", if server_first { "server" } else { "client" });
        let expected = if server_first { (CONNECTIONS, 0) } else { (0, CONNECTIONS) };
        trial.exactly(what("TIME_WAIT at the server"), expected.0, server, SOCKETS);
        trial.exactly(what("TIME_WAIT at the client"), expected.1, client, SOCKETS);
        let ended = trial.watch.wait_for_ended(CONNECTIONS as usize)?;
        let by_server = ended.iter().filter(|one| one.closed_first == Some(true)).count();
        trial.exactly(what("ended in order"), CONNECTIONS, ended.len() as u64, OBSERVER);
        trial.exactly(what("the server had closed first"), expected.0, by_server as u64, OBSERVER);
    }
    Ok(())
}

/// Closes once the peer's FIN has come.
fn close_second(mut stream: TcpStream) -> Result<()> {
    stream.read(&mut [0]).map(drop).context("cannot read the end of the stream")
}
