//! Signal: a listener answered a SYN with a cookie, or got an ACK that was none.
//!
//! - `fentry/tcp_make_synack(sk, dst, req, foc, synack_type, syn_skb)`: every SYN-ACK of IPv4 and IPv6, with its kind and
//!   the listener that it is for.
//! - `fentry/cookie_v4_check(sk, skb)` and its like for IPv6: an ACK without a request comes to a listener. If a SYN queue
//!   has overflowed of late, it asks `__cookie_v4_check(iph, th, ...)` for what the cookie says: 0 if it is none, which
//!   the kernel counts in `SyncookiesFailed`. That function does not know the listener; both know the header.
//!   It lost its third parameter in 6.8, and the result stands behind the parameters: hence two programs for each.
//!
//! Cookies that were valid are known from the connections that came of them: see `arrival`.

use aya_ebpf::{
    macros::{fentry, fexit},
    programs::{FEntryContext, FExitContext},
};

use crate::{
    books::add,
    constants as at,
    kernel::Typed,
    maps::{CHECKING, LISTENERS},
};

/// `TCP_SYNACK_COOKIE`
const COOKIE: i32 = 2;

#[fentry(function = "tcp_make_synack")]
fn make_synack(ctx: FEntryContext) -> i32 {
    let kind: i32 = ctx.arg(4);
    if kind == COOKIE
        && let Some(entry) = LISTENERS.get_ptr_mut(Typed(ctx.arg(0)).load::<u64>(&at::SKC_COOKIE))
    {
        unsafe { add(&raw mut (*entry).counters.cookies_sent, 1) };
    }
    0
}

#[fentry(function = "cookie_v4_check")]
fn check_cookie_v4(ctx: FEntryContext) -> i32 {
    check(Typed(ctx.arg(0)), Typed(ctx.arg(1)))
}

#[fentry(function = "cookie_v6_check")]
fn check_cookie_v6(ctx: FEntryContext) -> i32 {
    check(Typed(ctx.arg(0)), Typed(ctx.arg(1)))
}

#[inline(always)]
fn check(listener: Typed, packet: Typed) -> i32 {
    if let Some(checking) = CHECKING.get_ptr_mut(0) {
        let header = u64::from(packet.load::<u16>(&at::SKB_TRANSPORT_HEADER));
        unsafe {
            (*checking).header = packet.load::<u64>(&at::SKB_HEAD) + header;
            (*checking).listener = listener.load(&at::SKC_COOKIE);
        }
    }
    0
}

#[fexit(function = "__cookie_v4_check")]
fn cookie_checked_v4(ctx: FExitContext) -> i32 {
    checked(ctx.arg(1), ctx.arg(2))
}

#[fexit(function = "__cookie_v6_check")]
fn cookie_checked_v6(ctx: FExitContext) -> i32 {
    checked(ctx.arg(1), ctx.arg(2))
}

/// As [`cookie_checked_v4`], with the third parameter.
#[fexit(function = "__cookie_v4_check")]
fn cookie_checked_by_3_v4(ctx: FExitContext) -> i32 {
    checked(ctx.arg(1), ctx.arg(3))
}

/// See [`cookie_checked_by_3_v4`].
#[fexit(function = "__cookie_v6_check")]
fn cookie_checked_by_3_v6(ctx: FExitContext) -> i32 {
    checked(ctx.arg(1), ctx.arg(3))
}

#[inline(always)]
fn checked(header: u64, result: i32) -> i32 {
    if result == 0
        && let Some(checking) = CHECKING.get_ptr(0)
        && unsafe { (*checking).header } == header
        && let Some(entry) = LISTENERS.get_ptr_mut(unsafe { (*checking).listener })
    {
        unsafe { add(&raw mut (*entry).counters.cookies_failed, 1) };
    }
    0
}
