//! Connections of the scenes, as one would be that was served at once.

use std::net::SocketAddr;

use observer::model::histogram::Histogram;
use observer::model::snapshot::{Connection, End, Listener, Via, stage};
use observer_ebpf::histogram::bucket;

/// One that was served: its number makes its port.
pub(crate) fn connection(listener: &Listener, time_ns: u64, number: u64, wait_ns: u64) -> Connection {
    let accepted = time_ns - 2_400_000 - number % 1_000 * 1_000;
    let established = accepted - wait_ns;
    let remote: SocketAddr = format!("127.0.0.1:{}", 32_768 + number % 28_000).parse().expect("an address");
    Connection {
        local: listener.addr.parse().unwrap_or_else(|_| "127.0.0.1:1".parse().expect("an address")),
        remote,
        listener: Some(listener.cookie),
        migrated: false,
        syn_ns: Some(established - 61_000),
        enqueued_ns: Some(established),
        established_ns: Some(established),
        accepted_ns: Some(accepted),
        first_data_ns: Some(established + 40_000),
        first_read_ns: Some(accepted + 55_000),
        first_write_ns: Some(accepted + 2_110_000),
        closed_ns: Some(accepted + 2_300_000),
        unseen: Vec::new(),
        queue_at_arrival: Some(listener.accept_queue.max(1)),
        synack_retransmits: 0,
        via: Via::Handshake,
        acceptor: None,
        holder: None,
        readers: Vec::new(),
        writers: Vec::new(),
        more_threads: false,
        reads: 1,
        writes: 1,
        bytes_read: 61,
        bytes_written: 204,
        held_writes: 0,
        longest_read_wait_ns: wait_ns + 15_000,
        end: End::Fin,
        closed_first: Some(true),
        at_exit: false,
    }
}

/// Adds what it took to the histograms of the stages.
pub(crate) fn count(stages: &mut [Histogram; stage::STAGES], connection: &Connection) {
    let mut add = |index: usize, from: Option<u64>, to: Option<u64>| {
        if let (Some(from), Some(to)) = (from, to) {
            let ns = to.saturating_sub(from);
            stages[index].add(bucket(ns), 1);
            stages[index].raise_longest(ns);
        }
    };
    add(stage::SYN_WAIT, connection.syn_ns, connection.established_ns);
    add(stage::ACCEPT_WAIT, connection.established_ns, connection.accepted_ns);
    add(stage::ACCEPT_TO_READ, connection.accepted_ns, connection.first_read_ns);
    add(stage::DATA_TO_READ, connection.first_data_ns, connection.first_read_ns);
    add(stage::READ_TO_WRITE, connection.first_read_ns, connection.first_write_ns);
    add(stage::LIFETIME, connection.established_ns, connection.closed_ns);
}
