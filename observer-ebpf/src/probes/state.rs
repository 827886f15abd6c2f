//! Hook `tp_btf/inet_sock_set_state(sk, old, new)`: every change of state of every TCP socket.
//!
//! Leaves at once for the changes that mean nothing here, which are most of them.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};
use aya_log_ebpf::debug;

use super::{arrival, destroy, ending, endings, listener};
use crate::{
    constants as at,
    copies::Turn,
    kernel::{TCP_CLOSE, TCP_CLOSE_WAIT, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_LISTEN, TCP_SYN_RECV, Typed},
};

#[btf_tracepoint(function = "inet_sock_set_state")]
fn set_state(ctx: BtfTracePointContext) -> i32 {
    changed(ctx, Turn::First)
}

#[btf_tracepoint(function = "inet_sock_set_state")]
fn set_state_2(ctx: BtfTracePointContext) -> i32 {
    changed(ctx, Turn::Again)
}

#[inline(always)]
fn changed(ctx: BtfTracePointContext, turn: Turn) -> i32 {
    let old: i32 = ctx.arg(1);
    let new: i32 = ctx.arg(2);
    let sock = Typed(ctx.arg(0));
    match new {
        TCP_ESTABLISHED if old == TCP_SYN_RECV => arrival::established(sock),
        TCP_CLOSE if old != TCP_LISTEN => ending::closed(sock, old, turn),
        TCP_CLOSE_WAIT if old == TCP_ESTABLISHED => endings::peer_closed(sock),
        TCP_FIN_WAIT1 if old == TCP_ESTABLISHED => endings::closed_here(sock),
        TCP_LISTEN => {
            // The level is a constant that is 0 unless logging was asked for, and the verifier then drops this.
            debug!(&ctx, "listener opens on port {}", sock.load::<u16>(&at::SKC_NUM));
            // It may have been a connection before: connect(2) with AF_UNSPEC makes a socket as good as new.
            destroy::connection(sock);
            listener::opened(sock);
        }
        _ => {}
    }
    0
}
