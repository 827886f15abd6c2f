//! Hook `tp_btf/sk_data_ready(sk)`: a listener has a new connection, or a connection has data.
//!
//! `sock_def_readable` and its like call it before they wake anybody.

use aya_ebpf::{macros::btf_tracepoint, programs::BtfTracePointContext};

use super::{arrival, data};
use crate::{
    constants as at,
    kernel::{TCP_LISTEN, Typed, is_tcp},
};

#[btf_tracepoint(function = "sk_data_ready")]
fn data_ready(ctx: BtfTracePointContext) -> i32 {
    let sock = Typed(ctx.arg(0));
    if is_tcp(sock) {
        let state = i32::from(sock.load::<u8>(&at::SKC_STATE));
        if state == TCP_LISTEN { arrival::enqueued(sock) } else { data::queued(sock, state) }
    }
    0
}
