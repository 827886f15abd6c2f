//! Signal: a connection enters the accept queue of a listener.
//!
//! `tcp_child_process` changes the child's state to ESTABLISHED and then calls the listener's `sk_data_ready`, on one
//! processor with bottom halves off. By then `inet_csk_reqsk_queue_add` has put the child into the queue, so
//! `sk_ack_backlog` counts it. The child's spinlock is held all the while, and `inet_accept` takes it before accept(2)
//! returns: the record is in the map before any accept of it can be seen.

use aya_ebpf::helpers::generated::bpf_skc_to_tcp_sock;
use observer_ebpf::{
    loss,
    record::{COMM, Connection, ListenerEntry, NAMED_THREADS, stage, via},
};

use super::{accept_late, fast_open, gone, listener, migration};
use crate::{
    books::{CONNECTION_ENDED, add, add32, duration, lost, now, raise32},
    constants as at,
    copies::{Turn, event, mark_once, taken_over},
    kernel::{AF_INET6, Address, Typed, is_internet},
    maps::{ARRIVAL, Arrival, CONNECTIONS},
};

/// A child that waited longer than this between the two hooks may be one that was not enqueued by this softirq run: a
/// Fast Open child is established after it was enqueued, and nothing follows. Without any of those it is only a
/// processor that was taken away for a while, as a hypervisor does.
const SAME_RUN_NS: u64 = 1_000_000;

/// SYN_RECV → ESTABLISHED: remembers the child until its listener's turn comes.
#[inline(always)]
pub(crate) fn established(sock: Typed) {
    let Some(arrival) = ARRIVAL.get_ptr_mut(0) else { return };
    let arrival = unsafe { &mut *arrival };
    if is_there(arrival, sock) || fast_open::seen() && fast_open::established(sock) {
        return;
    }
    let tcp = Typed(unsafe { bpf_skc_to_tcp_sock(sock.0 as *mut _) } as *const _);
    if tcp.0.is_null() {
        return;
    }
    let family: u16 = sock.load(&at::SKC_FAMILY);
    arrival.sock = sock.0 as u64;
    let connection = &mut arrival.connection;
    begin(connection, tcp.load(&at::TCP_TOTAL_RETRANS), tcp.load::<u32>(&at::TCP_SRTT_US));
    connection.read_from = tcp.load(&at::TCP_COPIED_SEQ);
    connection.written_from = tcp.load(&at::TCP_WRITE_SEQ);
    if family == AF_INET6 {
        connection.local_address = halves(sock.load(&at::SKC_V6_RCV_SADDR));
        connection.remote_address = halves(sock.load(&at::SKC_V6_DADDR));
    } else {
        connection.local_address = halves([sock.load(&at::SKC_RCV_SADDR), 0, 0, 0]);
        connection.remote_address = halves([sock.load(&at::SKC_DADDR), 0, 0, 0]);
    }
    connection.local_port = sock.load(&at::SKC_NUM);
    connection.remote_port = u16::from_be(sock.load(&at::SKC_DPORT));
    connection.family = family;
}

/// Whether the other copy of the program has just put this child there. One that was left, because its listener was told
/// unseen, may have had the same address.
#[inline(always)]
fn is_there(arrival: &Arrival, sock: Typed) -> bool {
    arrival.sock == sock.0 as u64
        && arrival.connection.remote_port == u16::from_be(sock.load(&at::SKC_DPORT))
        && is_recent(&arrival.connection)
}

/// [`established`] of the child at the end of its listener's queue, when no program was shown that. `false` if there is
/// none that is not followed.
#[inline(always)]
fn established_unseen(sock: Address, connection: &mut Connection) -> bool {
    if CONNECTIONS.get_ptr(sock.0).is_some() {
        return false;
    }
    let Some(family) = sock.read::<u16>(&at::SKC_FAMILY).filter(|family| is_internet(*family)) else {
        return false;
    };
    let (Some(retransmits), Some(round_trip)) =
        (sock.read(&at::TCP_TOTAL_RETRANS), sock.read(&at::TCP_SRTT_US))
    else {
        return false;
    };
    begin(connection, retransmits, round_trip);
    accept_late::identify(sock, family, connection);
    true
}

/// A record of which nothing is known yet but when its handshake was complete.
#[inline(always)]
fn begin(connection: &mut Connection, synack_retransmits: u32, smoothed_round_trip: u32) {
    let round_trip_us = smoothed_round_trip >> 3;
    connection.kind = CONNECTION_ENDED;
    connection.flags = 0;
    connection.listener = 0;
    connection.established_ns = now();
    connection.enqueued_ns = connection.established_ns;
    connection.accepted_ns = 0;
    connection.first_data_ns = 0;
    connection.first_read_ns = 0;
    connection.first_write_ns = 0;
    connection.closed_ns = 0;
    connection.destroyed_ns = 0;
    connection.unread_since_ns = 0;
    connection.read_unanswered_ns = 0;
    connection.longest_read_wait_ns = 0;
    connection.bytes_read = 0;
    connection.bytes_written = 0;
    connection.reads = 0;
    connection.writes = 0;
    connection.syn_wait_us = if measured(round_trip_us, synack_retransmits) { round_trip_us } else { 0 };
    connection.queue_at_arrival = 0;
    connection.read_to = 0;
    connection.written_to = 0;
    connection.acceptor_pid = 0;
    connection.acceptor_tid = 0;
    connection.acceptor_comm = [0; COMM];
    connection.readers = [0; NAMED_THREADS];
    connection.writers = [0; NAMED_THREADS];
    connection.synack_retransmits = if synack_retransmits > 255 { 255 } else { synack_retransmits as u8 };
    connection.via = via::HANDSHAKE;
}

/// Whether the first round-trip time of a child is the time since its SYN-ACK, to the microsecond.
///
/// `tcp_synack_rtt_meas` takes now − snt_synack of the request, unless the SYN-ACK was sent again (Karn) or a cookie
/// left no request. Then `tcp_ack_update_rtt` falls back to the timestamp option, which counts whole milliseconds and
/// whose echo says nothing about when the SYN came. So a whole number of milliseconds is in doubt.
#[inline(always)]
fn measured(round_trip_us: u32, synack_retransmits: u32) -> bool {
    synack_retransmits == 0 && !round_trip_us.is_multiple_of(1000)
}

/// Settles what the round-trip time left in doubt, by the request that brought the child into the queue: it is the
/// queue's tail, if no other processor has appended or taken one since. `snt_synack` is when the first SYN-ACK was sent;
/// it is 0 in the request that a cookie was turned into.
#[inline(always)]
fn settle(listener: Typed, sock: u64, connection: &mut Connection) {
    let request = tail(listener).filter(|request| request.read::<u64>(&at::REQ_SK) == Some(sock));
    match request.and_then(|request| request.read::<u64>(&at::TREQ_SNT_SYNACK)) {
        Some(0) => connection.via = via::COOKIE,
        Some(sent_us) => {
            let wait_us = (connection.established_ns / 1000).saturating_sub(sent_us);
            connection.syn_wait_us = if wait_us > u64::from(u32::MAX) { u32::MAX } else { wait_us as u32 };
        }
        // The request that a cookie is turned into is new, so its SYN-ACK was never repeated: this was a handshake.
        None if connection.synack_retransmits > 0 => {}
        None => {
            connection.via = via::UNSEEN;
            lost(loss::HANDSHAKE_UNSETTLED);
        }
    }
}

#[inline(always)]
fn halves(words: [u32; 4]) -> [u8; 16] {
    unsafe { core::mem::transmute(words) }
}

/// The request at the end of a listener's queue: the one that was appended last, unless another processor has appended or taken
/// one since. One that was taken may be another listener's by now; its memory stays one of a request (SLAB_TYPESAFE_BY_RCU).
#[inline(always)]
fn tail(listener: Typed) -> Option<Address> {
    listener.address().inner(&at::ICSK_ACCEPT_QUEUE).follow(&at::RSKQ_ACCEPT_TAIL)
}

/// The child of that request, if it is this listener's.
#[inline(always)]
fn child_at_tail(listener: Typed) -> Option<Address> {
    let request = tail(listener)?;
    let child = request.follow(&at::REQ_SK)?;
    // `rsk_listener`, which the request that a cookie is turned into has not (`cookie_tcp_reqsk_alloc`). The port would be
    // wrong for others: with TPROXY or an `sk_lookup` program a child has another one.
    let owner = request.read::<u64>(&at::SKC_LISTENER)?;
    let is_of_it = match owner {
        0 => child.read::<u16>(&at::SKC_NUM)? == listener.load::<u16>(&at::SKC_NUM),
        owner => owner == listener.0 as u64,
    };
    is_of_it.then_some(child)
}

/// Whether this child is at the end of a listener's queue.
#[inline(always)]
fn is_tail(listener: Typed, sock: u64) -> bool {
    tail(listener).and_then(|request| request.read::<u64>(&at::REQ_SK)) == Some(sock)
}

/// Whether the child that was established last on this processor is the one that its listener is told of now.
///
/// Nothing comes in between in a softirq run, so it is, unless its own listener was told unseen, or it had been queued before
/// (Fast Open). Then its port is mostly another; as the same port is no proof and another one no disproof, the request at the
/// tail decides where the port does not make it likely. That saves two reads for nearly every connection.
#[inline(always)]
fn is_told_of(listener: Typed, sock: u64, connection: &Connection) -> bool {
    if sock == 0 {
        return false;
    }
    let is_likely = connection.local_port == listener.load::<u16>(&at::SKC_NUM)
        && (!fast_open::seen() || is_recent(connection));
    is_likely || is_tail(listener, sock)
}

/// Whether it was established in this softirq run, as far as time tells.
#[inline(always)]
fn is_recent(connection: &Connection) -> bool {
    now() - connection.established_ns <= SAME_RUN_NS
}

/// What became of the record of a new socket.
#[derive(PartialEq)]
enum Put {
    /// It is in the map.
    There,
    /// It was there already: another processor, which was not shown a change of state, took this child for its own.
    Taken,
    /// The map is full.
    NoRoom,
}

/// Puts the record of a new socket into the map. One that is there is of a socket that lay at this address before, and
/// whose end was missed; or it was made an instant ago.
#[inline(always)]
fn put(sock: u64, connection: &Connection) -> Put {
    const ANY: u64 = 0;
    const ONLY_IF_ABSENT: u64 = 1;
    const IS_THERE: i32 = -17;
    let inserted = match CONNECTIONS.insert(sock, connection, ONLY_IF_ABSENT) {
        Ok(()) => true,
        Err(IS_THERE) => {
            if let Some(before) = CONNECTIONS.get_ptr_mut(sock) {
                let (peer, time) = unsafe { ((*before).remote_port, (*before).established_ns) };
                if peer == connection.remote_port
                    && connection.established_ns.saturating_sub(time) < SAME_RUN_NS
                {
                    return Put::Taken;
                }
                gone::end(before);
            }
            CONNECTIONS.insert(sock, connection, ANY).is_ok()
        }
        Err(_) => false,
    };
    if !inserted {
        return Put::NoRoom;
    }
    lost(loss::FOLLOWED);
    Put::There
}

/// `sk_data_ready` of a listener: the child before it is now in this listener's queue.
#[inline(always)]
pub(crate) fn enqueued(listener: Typed, turn: Turn) {
    let Some(arrival) = ARRIVAL.get_ptr_mut(0) else { return };
    let arrival = unsafe { &mut *arrival };
    let mut sock = arrival.sock;
    let is_first = mark_once(event::ARRIVAL, listener.0 as u64, turn);
    if turn == Turn::Again {
        // Whoever was shown this has taken the child.
        if !is_first && sock == 0 {
            return;
        }
        taken_over();
    }
    // Taken whatever becomes of it: left there, it would be taken for the next one.
    arrival.sock = 0;
    let moved = core::mem::take(&mut arrival.moved);
    if moved != 0 && is_tail(listener, moved) {
        return;
    }
    // An acceptor that is awake may have taken it out already, and waits for its lock.
    let depth = listener.load::<u32>(&at::SK_ACK_BACKLOG).max(1);
    let Some((cookie, entry)) = listener::watched(listener, depth) else { return };
    unsafe {
        add(&raw mut (*entry).counters.enqueued, 1);
        raise32(&raw mut (*entry).counters.peak, depth);
    }
    let connection = &mut arrival.connection;
    if !is_told_of(listener, sock, connection) {
        let child = child_at_tail(listener);
        if child.is_some_and(|child| {
            fast_open::enqueued(child, cookie, depth) || migration::moved(child, cookie, entry)
        }) {
            return;
        }
        // One of another port that was established just now: another processor has changed the queue since. In another
        // network namespace it is what a listener left here that was told unseen.
        let is_raced = sock != 0
            && connection.local_port != listener.load::<u16>(&at::SKC_NUM)
            && is_recent(connection)
            && Address(sock).read::<u64>(&at::SKC_NET) == Some(listener.load::<u64>(&at::SKC_NET));
        if !is_raced {
            match child.filter(|child| established_unseen(*child, connection)) {
                Some(child) => sock = child.0,
                None => return unlinked(entry),
            }
        }
    }
    connection.listener = cookie;
    connection.queue_at_arrival = depth;
    if connection.syn_wait_us == 0 {
        settle(listener, sock, connection);
    }
    match put(sock, connection) {
        Put::There => {}
        Put::Taken => return unlinked(entry),
        Put::NoRoom => {
            lost(loss::CONNECTIONS_FULL);
            unsafe { add32(&raw mut (*entry).counters.unrecorded, 1) };
        }
    }
    if connection.via == via::COOKIE {
        unsafe { add(&raw mut (*entry).counters.cookies, 1) };
    } else if connection.syn_wait_us != 0 {
        unsafe { duration(entry, stage::SYN_WAIT, u64::from(connection.syn_wait_us) * 1000) };
    }
}

/// Counts an arrival whose own socket cannot be told.
#[inline(always)]
fn unlinked(entry: *mut ListenerEntry) {
    lost(loss::ENQUEUE_UNLINKED);
    unsafe { add32(&raw mut (*entry).counters.unrecorded, 1) };
}
