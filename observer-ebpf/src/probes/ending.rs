//! Signal: a connection's state became CLOSE. What it was before tells who closed first.

use observer_ebpf::{loss, record::flag};

use super::{followed, read_unseen, read_unseen::is_layered};
use crate::{
    books::{lost, now, set_bits},
    constants::{self as at, value},
    copies::{Turn, event, mark_once, taken_over},
    kernel::{
        ETIMEDOUT, TCP_CLOSE_WAIT, TCP_CLOSING, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2, TCP_LAST_ACK,
        TCP_SYN_RECV, Typed, is_exiting, is_tcp, netns,
    },
};

/// any state → CLOSE. LAST_ACK: the peer's FIN came first. FIN_WAIT2, CLOSING: ours went first and theirs followed
/// (`tcp_time_wait` hands the rest to another object and closes this one).
#[inline(always)]
pub(crate) fn closed(sock: Typed, old: i32, turn: Turn) {
    let Some(connection) = followed::record(sock.address()) else {
        if old == TCP_SYN_RECV {
            never_queued(sock, turn);
        }
        return;
    };
    if turn == Turn::Again {
        if unsafe { (*connection).closed_ns } != 0 {
            return;
        }
        taken_over();
    }
    let mut bits = match old {
        TCP_LAST_ACK => flag::FIN,
        TCP_FIN_WAIT2 | TCP_CLOSING => flag::FIN | flag::CLOSED_FIRST,
        _ => 0,
    };
    let error: i32 = sock.load(&at::SK_ERR);
    if error == ETIMEDOUT {
        bits |= flag::TIMED_OUT;
    }
    // With unread data close(2) resets, in the context of who calls it. The peer's reset and a timeout set an error, and come in
    // anybody's.
    if error == 0 && matches!(old, TCP_ESTABLISHED | TCP_CLOSE_WAIT) && is_exiting() {
        bits |= flag::AT_EXIT;
    }
    let fin_sent = matches!(old, TCP_FIN_WAIT1 | TCP_FIN_WAIT2 | TCP_CLOSING | TCP_LAST_ACK);
    let written_to: u32 = sock.address().read_or_zero(&at::TCP_WRITE_SEQ);
    unsafe {
        // Of another layer's socket these say nothing, and so claim nothing.
        (*connection).read_to = (*connection).read_from;
        (*connection).written_to = (*connection).written_from;
        if !is_layered(sock.address()) {
            (*connection).read_to = read_unseen::read_to(sock.address()).unwrap_or((*connection).read_from);
            (*connection).written_to = written_to.wrapping_sub(fin_sent.into());
        }
        (*connection).closed_ns = now();
        set_bits(&raw mut (*connection).flags, bits);
    }
}

/// SYN_RECV → CLOSE of a socket that was in no queue. `tcp_create_openreq_child` has counted it in `PassiveOpens`, and
/// then it was given up: because another CPU had made the socket of the same request first (`inet_ehash_nolisten`), its
/// port could not be inherited (`tcp_v4_syn_recv_sock`), or its listener had closed (`inet_csk_reqsk_queue_add`).
///
/// A client's socket comes here too, when both ends connect at once; but that one has a `struct socket`.
#[inline(always)]
fn never_queued(sock: Typed, turn: Turn) {
    if !is_tcp(sock) || sock.load::<u64>(&at::SK_SOCKET) != 0 {
        return;
    }
    if !mark_once(event::NEVER_QUEUED, sock.0 as u64, turn) {
        return;
    }
    let wanted = value(&at::FILTER_NETNS);
    if wanted == 0 || wanted == netns(sock.address()) {
        lost(loss::NEVER_QUEUED);
    }
}
