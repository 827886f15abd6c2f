//! Signal: a listener refused a SYN, or the last ACK of a handshake, and why.
//!
//! Two sets of hooks; `sk_drops`, which the sampler reads, counts all refusals in any case.
//!
//! - `fentry/tcp_conn_request`, `fentry/tcp_v4_syn_recv_sock`, `fentry/tcp_v6_syn_recv_sock`: each asks at its
//!   beginning whether the accept queue is full, and refuses then; the same question is asked here, a moment before.
//!   6.1 attaches to functions of at most six parameters, and the last two have seven: there a kprobe does it.
//! - `tp_btf/kfree_skb(skb, location, reason, rx_sk)`, which names the listener since 6.11 and an overflow by the last ACK
//!   since about 6.15. A refused SYN does not pass here: it is consumed, not dropped with a reason.
//!
//! `sk_drops` also counts segments that are no refusals: those that `discard_and_relse` in `tcp_v4_rcv` discards, for a
//! request that waits or by a filter or policy, and those that `tcp_rcv_state_process` discards when they reach the
//! listener itself. So a refused ACK is in there twice, a SYN that is repeated while its request waits once, and a stray
//! RST once. They pass `kfree_skb`, which tells them by their reason.

use aya_ebpf::{
    macros::{btf_tracepoint, fentry, kprobe},
    programs::{BtfTracePointContext, FEntryContext, ProbeContext},
};
use observer_ebpf::record::ListenerEntry;

use crate::{
    books::add,
    constants::{self as at, value},
    kernel::{Address, TCP_LISTEN, Typed},
    maps::LISTENERS,
};

/// `ETH_P_IP` in network byte order.
const ETH_P_IP: u16 = 0x0800u16.to_be();

/// `tcp_conn_request(rsk_ops, af_ops, sk, skb)`: every SYN that reaches a listener.
#[fentry(function = "tcp_conn_request")]
fn conn_request(ctx: FEntryContext) -> i32 {
    let listener = Typed(ctx.arg(2));
    let Some(entry) = watched(listener) else { return 0 };
    let limit: u32 = listener.load(&at::SK_MAX_ACK_BACKLOG);
    let queue = listener.address().inner(&at::ICSK_ACCEPT_QUEUE);
    let requests: u32 = queue.read_or_zero(&at::RSKQ_QLEN);
    // inet_csk_reqsk_queue_is_full comes first, and refuses only without cookies. Whether it says so at the limit or
    // above it depends on the kernel; at exactly the limit the accept queue is asked alone.
    let cookies = || {
        let net = listener.address().follow(&at::SKC_NET)?;
        net.inner(&at::NET_IPV4).read::<u8>(&at::IPV4_SYNCOOKIES)
    };
    if requests > limit && cookies() == Some(0) {
        unsafe { add(&raw mut (*entry).counters.refused_syn_queue, 1) };
    } else if listener.load::<u32>(&at::SK_ACK_BACKLOG) > limit {
        unsafe { add(&raw mut (*entry).counters.refused_syn, 1) };
    }
    0
}

/// `tcp_v4_syn_recv_sock(sk, skb, req, dst, req_unhash, own_req)`: the last ACK of a handshake, or of a cookie.
#[fentry(function = "tcp_v4_syn_recv_sock")]
fn syn_recv_sock_v4(ctx: FEntryContext) -> i32 {
    last_ack(Address(ctx.arg(0)))
}

/// See [`syn_recv_sock_v4`].
#[kprobe]
fn probe_syn_recv_sock_v4(ctx: ProbeContext) -> u32 {
    if let Some(listener) = ctx.arg(0) {
        last_ack(Address(listener));
    }
    0
}

/// The same for IPv6. An IPv4 packet for an IPv6 listener is handed on to the function above.
#[fentry(function = "tcp_v6_syn_recv_sock")]
fn syn_recv_sock_v6(ctx: FEntryContext) -> i32 {
    last_ack_v6(Address(ctx.arg(0)), Address(ctx.arg(1)))
}

/// See [`syn_recv_sock_v6`].
#[kprobe]
fn probe_syn_recv_sock_v6(ctx: ProbeContext) -> u32 {
    if let Some(listener) = ctx.arg(0)
        && let Some(packet) = ctx.arg(1)
    {
        last_ack_v6(Address(listener), Address(packet));
    }
    0
}

#[inline(always)]
fn last_ack_v6(listener: Address, packet: Address) -> i32 {
    if packet.read::<u16>(&at::SKB_PROTOCOL) == Some(ETH_P_IP) { 0 } else { last_ack(listener) }
}

#[inline(always)]
fn last_ack(listener: Address) -> i32 {
    // sk_acceptq_is_full
    if let Some(depth) = listener.read::<u32>(&at::SK_ACK_BACKLOG)
        && let Some(limit) = listener.read::<u32>(&at::SK_MAX_ACK_BACKLOG)
        && depth > limit
        && let Some(cookie) = listener.read::<u64>(&at::SKC_COOKIE)
        && let Some(entry) = LISTENERS.get_ptr_mut(cookie)
    {
        unsafe { add(&raw mut (*entry).counters.refused_ack, 1) };
    }
    0
}

#[inline(always)]
fn watched(listener: Typed) -> Option<*mut ListenerEntry> {
    LISTENERS.get_ptr_mut(listener.load::<u64>(&at::SKC_COOKIE))
}

#[btf_tracepoint(function = "kfree_skb")]
fn packet_dropped(ctx: BtfTracePointContext) -> i32 {
    let listener = Typed(ctx.arg(3));
    if listener.0.is_null() || i32::from(listener.load::<u8>(&at::SKC_STATE)) != TCP_LISTEN {
        return 0;
    }
    let Some(entry) = watched(listener) else { return 0 };
    let reason: u32 = ctx.arg(2);
    let packet = Typed(ctx.arg(0));
    let segments = segments(packet);
    let counters = unsafe { &raw mut (*entry).counters };
    unsafe {
        if reason == value(&at::REASON_LISTEN_OVERFLOW) {
            add(&raw mut (*counters).refused_ack, 1);
        }
        match in_drops(reason, packet) {
            Some(true) => add(&raw mut (*counters).discarded, segments),
            Some(false) => {}
            None => add(&raw mut (*counters).discarded_other, segments),
        }
    }
    0
}

/// Whether a packet that was discarded at a listener for this reason is in its `sk_drops`; none where that is not known.
#[inline(always)]
fn in_drops(reason: u32, packet: Typed) -> Option<bool> {
    let is = |enumerator| reason == value(enumerator);
    if is(&at::REASON_FLAGS) {
        // tcp_rcv_state_process answers what has an ACK with a RST, and discards what has nothing that means anything.
        return has_ack(packet).map(|ack| !ack);
    }
    // From tcp_check_req, for a request that waits, or before anything was asked of the listener.
    if is(&at::REASON_NOT_SPECIFIED)
        || is(&at::REASON_LISTEN_OVERFLOW)
        || is(&at::REASON_WINDOW)
        || is(&at::REASON_TIMESTAMP)
        || is(&at::REASON_ECHO)
        || is(&at::REASON_RESET)
        || is(&at::REASON_SOCKET_FILTER)
        || is(&at::REASON_POLICY)
    {
        return Some(true);
    }
    // cookie_v4_check, where no connection came of a cookie: if that was refused, tcp_listendrop has counted it. And
    // csum_error of tcp_v4_rcv.
    (is(&at::REASON_NO_SOCKET) || is(&at::REASON_CHECKSUM)).then_some(false)
}

/// Whether its TCP header has the flag ACK.
#[inline(always)]
fn has_ack(packet: Typed) -> Option<bool> {
    const FLAGS: u32 = 13;
    const ACK: u8 = 16;
    let header = packet.load::<u64>(&at::SKB_HEAD) + u64::from(packet.load::<u16>(&at::SKB_TRANSPORT_HEADER));
    Address(header).read::<u8>(&FLAGS).map(|flags| flags & ACK != 0)
}

/// What `sk_drops_skbadd` adds: `skb_shinfo(skb)->gso_segs`, at least one.
#[inline(always)]
fn segments(packet: Typed) -> u64 {
    let end = packet.load::<u64>(&at::SKB_HEAD) + u64::from(packet.load::<u32>(&at::SKB_END));
    let segments: u16 = Address(end).read_or_zero(&at::SHINFO_GSO_SEGS);
    if segments == 0 { 1 } else { segments.into() }
}
