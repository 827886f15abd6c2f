//! A SYN flood, and what cookies do about it.

use std::net::{Ipv4Addr, SocketAddrV4};

use anyhow::{Context as _, Result};
use demo_server::{namespace::Silence, segment};

use super::Lab;
use crate::{
    arena::{
        Arena,
        sockets::State,
        traffic::{accept, address, attempt, listen, port},
    },
    trial::{
        Trial,
        figure::{CALLS, NETSTAT, OBSERVER, SOCKETS},
    },
};

pub(super) const LAB: Lab = Lab {
    name: "syn-flood",
    title: "half-open connections fill the SYN queue, and cookies let real clients in without it",
    question: "500 SYNs come from addresses that never answer, to a listener with backlog 64 of which \
               tcp_max_syn_backlog would allow 2048. How many half-open connections does the kernel keep, and can a \
               real client still connect with tcp_syncookies at 0, 1 and 2?",
    setup: "The namespace keeps 127.0.0.1 and makes the upper half of 127.0.0.0/8 a place that does not answer. A raw \
            socket sends 500 SYNs from there to a new listener for each of the three settings; then a real client \
            connects.",
    why: "Each SYN makes a request in the SYN queue, which tcp_conn_request() (net/ipv4/tcp_input.c) fills up to the \
          backlog of listen(2) (inet_csk_reqsk_queue_is_full()). Then, without cookies, SYNs are dropped and counted \
          in TCPReqQFullDrop, those of real clients too, until requests expire after a minute of repeated SYN-ACKs. \
          With cookies the SYN-ACK's sequence number holds all that is needed (cookie_v4_init_sequence() in \
          net/ipv4/syncookies.c), no request is kept, and a real client's ACK brings it back. With 2 there is never \
          a request. The price: options that do not fit into a cookie are lost without timestamps, and nothing \
          sends a SYN-ACK again.",
    next: "An empty SYN queue is no sign of peace: with cookies it does not grow. In `observer live` look at the \
           cookies sent. Then do `ghosts`, where cookies meet a full accept queue.",
    needs: &["listener", "queue_depth", "enqueue"],
    run,
};

const BACKLOG: u32 = 64;
const SYNS: u16 = 500;
const ALL: u64 = SYNS as u64;
/// By kernel version.
const BOUND: std::ops::RangeInclusive<u64> = BACKLOG as u64..=BACKLOG as u64 + 1;
const WHY: &str = "the SYN queue is full at the backlog, or at one more since the kernel's commit 3479c7549fb1 of \
                   2025 and its backports";

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    let _silence = Silence::begin().context("cannot change the routes of loopback")?;
    arena.set("ipv4.tcp_max_syn_backlog", "2048")?;

    arena.set("ipv4.tcp_syncookies", "0")?;
    let listener = listen(BACKLOG)?;
    let before = trial.begin()?;
    let (here, kept) = flood(arena, &listener)?;
    let counted = trial.settled(&before, |counted| counted.of("TCPReqQFullDrop") == Some(ALL - kept))?;
    let ours = trial.listener(here)?;
    trial.within("no cookies: half-open connections", BOUND, WHY, kept, SOCKETS);
    trial.within("no cookies: requests in the SYN queue", BOUND, WHY, u64::from(ours.syn_queue), OBSERVER);
    trial.exactly(
        "no cookies: kept + TCPReqQFullDrop",
        ALL,
        counted.of("TCPReqQFullDrop").map(|n| n + kept),
        NETSTAT,
    );
    trial.exactly("no cookies: kept + refused", ALL, ours.listen_drops + kept, OBSERVER);
    let client = attempt(address(&listener)?)?;
    trial.settled(&before, |counted| counted.of("TCPReqQFullDrop") > Some(ALL - kept))?;
    trial.exactly("no cookies: a real client connects", 0, u64::from(client.peer_addr().is_ok()), CALLS);
    drop((client, listener));

    for (setting, kept_expected) in [("1", BOUND), ("2", 0..=0)] {
        arena.set("ipv4.tcp_syncookies", setting)?;
        let listener = listen(BACKLOG)?;
        let before = trial.begin()?;
        let (here, kept) = flood(arena, &listener)?;
        let counted = trial.settled(&before, |counted| counted.of("SyncookiesSent") == Some(ALL - kept))?;
        let what = |text: &str| format!("cookies {setting}: {text}");
        trial.within(what("half-open connections"), kept_expected, WHY, kept, SOCKETS);
        trial.exactly(
            what("kept + SyncookiesSent"),
            ALL,
            counted.of("SyncookiesSent").map(|n| n + kept),
            NETSTAT,
        );
        let client = attempt(address(&listener)?)?;
        let _accepted = accept(&listener, arena)?;
        trial.exactly(what("a real client connects"), 1, u64::from(client.peer_addr().is_ok()), CALLS);
        let counted = arena.counted_since(&before)?;
        trial.exactly(what("SyncookiesRecv"), 1, counted.of("SyncookiesRecv"), NETSTAT);
        let ours = trial.listener(here)?;
        trial.exactly(what("came through a cookie"), 1, ours.cookies, OBSERVER);
        trial.exactly(what("refused"), 0, ours.listen_drops, OBSERVER);
    }
    Ok(())
}

/// Sends the SYNs; returns the listener's port, and how many requests the kernel keeps.
fn flood(arena: &Arena, listener: &std::net::TcpListener) -> Result<(u16, u64)> {
    let here = port(listener)?;
    let before = arena.counters()?;
    segment::send_each(SocketAddrV4::new(Ipv4Addr::LOCALHOST, here), SYNS, segment::SYN)
        .context("cannot send SYNs")?;
    let mut kept = 0;
    arena.until("every SYN to be answered or refused", || {
        kept = arena.sockets()?.at(here, State::SynRecv);
        let counted = arena.counted_since(&before)?;
        let others = ["TCPReqQFullDrop", "SyncookiesSent"].iter().filter_map(|name| counted.of(name));
        Ok(kept + others.sum::<u64>() >= ALL)
    })?;
    Ok((here, kept))
}
