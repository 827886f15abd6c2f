//! A listener has a new connection, or a connection has data: `sk_data_ready` of a `struct sock`.
//!
//! Hook `tp_btf/sk_data_ready(sk)`, which `sock_def_readable` and its like pass before they wake anybody. Hook
//! `fentry/sock_def_readable(sk)` for kernels before 6.3, which lack the tracepoint: the same function, so it sees the
//! same, but for sockets whose callback was replaced (MPTCP, kTLS, sockmap).

use aya_ebpf::{
    macros::{btf_tracepoint, fentry},
    programs::{BtfTracePointContext, FEntryContext},
};

use super::{arrival, data};
use crate::{
    constants as at,
    copies::Turn,
    kernel::{TCP_LISTEN, Typed, is_tcp},
};

#[btf_tracepoint(function = "sk_data_ready")]
fn data_ready(ctx: BtfTracePointContext) -> i32 {
    ready(Typed(ctx.arg(0)), Turn::First)
}

#[btf_tracepoint(function = "sk_data_ready")]
fn data_ready_2(ctx: BtfTracePointContext) -> i32 {
    ready(Typed(ctx.arg(0)), Turn::Again)
}

#[fentry(function = "sock_def_readable")]
fn def_readable(ctx: FEntryContext) -> i32 {
    ready(Typed(ctx.arg(0)), Turn::First)
}

#[inline(always)]
fn ready(sock: Typed, turn: Turn) -> i32 {
    if is_tcp(sock) {
        let state = i32::from(sock.load::<u8>(&at::SKC_STATE));
        if state == TCP_LISTEN { arrival::enqueued(sock, turn) } else { data::queued(sock, state, turn) }
    }
    0
}
