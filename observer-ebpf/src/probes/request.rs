//! Signal: a SYN got a request socket, and so entered the SYN queue.
//!
//! Hook `fentry/inet_csk_reqsk_queue_hash_add(sk, req, timeout)`, which `tcp_conn_request` calls for every SYN that is
//! neither refused nor answered with a cookie. No tracepoint is passed here: the state NEW_SYN_RECV is set without
//! one. (BPF_SOCK_OPS_TIMEOUT_INIT fires at the same place, but does not tell of which listener.)

use aya_ebpf::{macros::fentry, programs::FEntryContext};

use crate::{books::add, constants as at, kernel::Typed, maps::LISTENERS};

#[fentry(function = "inet_csk_reqsk_queue_hash_add")]
fn request_added(ctx: FEntryContext) -> i32 {
    let cookie: u64 = Typed(ctx.arg(0)).load(&at::SKC_COOKIE);
    if let Some(entry) = LISTENERS.get_ptr_mut(cookie) {
        unsafe { add(&raw mut (*entry).counters.requests, 1) };
    }
    0
}
