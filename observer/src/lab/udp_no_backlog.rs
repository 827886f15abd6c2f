//! UDP, and so QUIC, has no backlog.

use std::net::{Ipv4Addr, UdpSocket};

use anyhow::{Context as _, Result};

use super::Lab;
use crate::trial::{
    Trial,
    figure::{CALLS, OBSERVER},
};

pub(super) const LAB: Lab = Lab {
    name: "udp-no-backlog",
    title: "a UDP server has one buffer for everybody, and overload is a silent drop",
    question: "A server over UDP, such as one for QUIC, does not read for a moment while 2000 datagrams of 1200 bytes \
               arrive. What is its backlog, and what do the clients learn?",
    setup: "2000 datagrams of 1200 bytes are sent to a UDP socket of default size that nobody reads. Then it is read \
            empty.",
    why: "There is no listener and no queue of connections: everything for a port goes into one receive buffer. \
          __udp_enqueue_schedule_skb() (net/ipv4/udp.c) drops what does not fit into sk_rcvbuf, which counts the \
          memory of the packet, not its bytes, so that net.core.rmem_default holds some dozens of datagrams. Drops \
          count in RcvbufErrors and in the socket's sk_drops; the sender hears nothing. With TCP the kernel \
          would have said stop: a full window, a SYN that is not answered.",
    next: "Raise SO_RCVBUF (net.core.rmem_max), read in batches with recvmmsg(2), and watch `nstat UdpRcvbufErrors`. \
           The observer follows connections, and here there are none.",
    needs: &[],
    run,
};

const SENT: u64 = 2000;
const LENGTH: usize = 1200;
const FROM: &str = "/proc/net/snmp";

fn run(trial: &mut Trial<'_>) -> Result<()> {
    let arena = trial.arena;
    let bind = || UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).context("cannot bind a UDP socket");
    let (server, client) = (bind()?, bind()?);
    let to = server.local_addr().context("cannot ask a UDP socket for its address")?;
    let before = arena.counters()?;
    let mut sent = 0;
    for _ in 0..SENT {
        sent += u64::from(client.send_to(&[0; LENGTH], to).is_ok());
    }
    server.set_nonblocking(true).context("cannot set O_NONBLOCK")?;
    let mut read = 0;
    let mut dropped = None;
    arena.until("every datagram to be read or dropped", || {
        while server.recv(&mut [0; LENGTH]).is_ok() {
            read += 1;
        }
        dropped = arena.counted_since(&before)?.of("Udp:RcvbufErrors");
        Ok(dropped.is_none_or(|dropped| dropped + read >= SENT))
    })?;
    trial.exactly("sends that succeed", SENT, sent, CALLS);
    let why = "each datagram costs more memory than its bytes, and how much depends on the kernel";
    trial.within("datagrams that fitted into the buffer", 20..=400, why, read, CALLS);
    trial.exactly("read + RcvbufErrors", SENT, dropped.map(|dropped| dropped + read), FROM);
    let listeners = trial.watch.look()?.listeners.len();
    trial.exactly("listeners with a queue to look at", 0, listeners as u64, OBSERVER);
    Ok(())
}
