//! Signal: the window of a connection's peer is closed, and data waits for it.
//!
//! A peer that does not read closes its window, and this side's kernel probes it by a timer: `fentry/tcp_send_probe0(sk)`
//! tells which connections that happens to. That a window has opened again has no hook, so userspace runs
//! `look_at_windows` over those connections. Where the function takes no program, the namespace's count of probes tells
//! userspace when to run it over all connections that are followed.

use aya_ebpf::{
    macros::{fentry, raw_tracepoint},
    programs::{FEntryContext, RawTracePointContext},
};
use observer_ebpf::{loss, record::ClosedWindow};

use super::sample::arguments;
use crate::{
    books::{lost, now},
    constants as at,
    kernel::Address,
    maps::{CLOSED_WINDOWS, CONNECTIONS},
};

#[fentry(function = "tcp_send_probe0")]
fn send_probe(ctx: FEntryContext) -> i32 {
    look(Address(ctx.arg(0)));
    0
}

/// Never attached: userspace runs it with the addresses of up to twelve sockets, and reads in the map what it found.
#[raw_tracepoint(tracepoint = "sys_enter")]
fn look_at_windows(ctx: RawTracePointContext) -> i32 {
    for sock in arguments(&ctx) {
        if sock != 0 {
            look(Address(sock));
        }
    }
    0
}

#[inline(always)]
fn look(sock: Address) {
    let acknowledged: u32 = sock.read_or_zero(&at::TCP_SND_UNA);
    let waiting = waiting(sock, acknowledged).unwrap_or(0);
    // The record goes before the socket's memory does: if it is still there, what was read is the connection's.
    let listener = CONNECTIONS.get_ptr(sock.0).map(|connection| unsafe { (*connection).listener });
    let waiting = if listener.is_some() { waiting } else { 0 };
    let listener = listener.unwrap_or(0);
    if let Some(window) = CLOSED_WINDOWS.get_ptr_mut(sock.0) {
        unsafe {
            if (*window).acknowledged != acknowledged || (*window).listener != listener {
                (*window).acknowledged = acknowledged;
                (*window).listener = listener;
                (*window).since_ns = now();
            }
            (*window).waiting = waiting;
        }
    } else if waiting != 0 {
        let window = ClosedWindow { listener, since_ns: now(), acknowledged, waiting };
        if CLOSED_WINDOWS.insert(sock.0, window, 0).is_err() {
            lost(loss::WINDOWS_FULL);
        }
    }
}

/// What waits for the window to open; none when it is open.
#[inline(always)]
fn waiting(sock: Address, acknowledged: u32) -> Option<u32> {
    let window: u32 = sock.read(&at::TCP_SND_WND)?;
    let written: u32 = sock.read(&at::TCP_WRITE_SEQ)?;
    (window == 0).then(|| written.wrapping_sub(acknowledged))
}
