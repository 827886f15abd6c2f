//! Signal: a connection was accepted: when, and by which thread.
//!
//! - `fexit/inet_accept(sock, newsock, ...)`: every accept, through the system calls, through io_uring and by the kernel
//!   itself. It takes the child's lock before it returns, so the record is there (see `arrival`).
//!   It does not fire for a thread that was in it already when the probes were attached.
//! - exit of accept(2) and accept4(2), which fires for those too. The descriptor is followed to its socket.
//! - `tp_btf/io_uring_complete(ctx, req, cqe)`: the same for accepts that io_uring completes with a descriptor.
//!
//! Accepts that none of these shows are known by their first read or write: see `accept_unseen`.

use aya_ebpf::{
    EbpfContext as _,
    macros::{btf_tracepoint, fexit, tracepoint},
    programs::{BtfTracePointContext, FExitContext, TracePointContext},
};
use observer_ebpf::{
    loss,
    record::{Connection, flag, stage},
};

use super::{
    accept_late::{self, Arrived},
    acceptors, followed,
};
use crate::{
    books::{add, add_signed, duration, lost, now, set_bits},
    constants as at,
    kernel::{self, Address, Typed, flow, flow_at, sock_of_descriptor, system_call_argument},
    maps::{CONNECTIONS, LISTENERS},
    threads,
};

/// How to find the listener that a connection was accepted from. It is seldom needed, and mostly dear to find.
#[derive(Clone, Copy)]
pub(crate) enum From {
    /// This socket.
    Socket(Address),
    /// The first argument of the system call.
    SystemCall,
    /// Nothing tells: an io_uring completed it.
    Ring,
}

impl From {
    /// Cookie of the listener, if it is watched.
    #[inline(always)]
    pub(crate) fn watched(self, task: Typed) -> Option<u64> {
        let listener = match self {
            Self::Socket(listener) => listener,
            Self::SystemCall => flow_at(sock_of_descriptor(task, system_call_argument(task) & 0xffff_ffff)?)?,
            Self::Ring => return None,
        };
        let cookie: u64 = listener.read(&at::SKC_COOKIE)?;
        LISTENERS.get_ptr(cookie).map(|_| cookie)
    }
}

#[fexit(function = "inet_accept")]
fn accept_returns(ctx: FExitContext) -> i32 {
    // On failure the new socket has no `struct sock`, and its protocol reads as 0.
    let child = Typed(ctx.arg(1)).follow(&at::SOCKET_SK);
    if let Some(child) = flow(child)
        && let Some(listener) = flow(Typed(ctx.arg(0)).follow(&at::SOCKET_SK))
    {
        accepted(kernel::current(), Address(child), From::Socket(Address(listener)), true);
    }
    0
}

/// Attached to the exit of accept4(2) too.
#[tracepoint(category = "syscalls", name = "sys_exit_accept")]
fn exit_accept(ctx: TracePointContext) -> u32 {
    returned(&ctx, true)
}

/// Beside `fexit/inet_accept`, for the threads that were in it.
#[tracepoint(category = "syscalls", name = "sys_exit_accept")]
fn late_exit_accept(ctx: TracePointContext) -> u32 {
    returned(&ctx, false)
}

/// `format` of the tracepoints: eight common bytes, the number of the call in eight, the result.
const RESULT: usize = 16;

#[inline(always)]
fn returned(ctx: &TracePointContext, alone: bool) -> u32 {
    let descriptor: i64 = unsafe { ctx.as_ptr().cast::<u8>().add(RESULT).cast::<i64>().read_volatile() };
    if descriptor >= 0 {
        let task = kernel::current();
        match sock_of_descriptor(task, descriptor as u64) {
            Some(sock) => accepted(task, sock, From::SystemCall, alone),
            None if alone => lost(loss::ACCEPT_UNRESOLVED),
            None => {}
        }
    } else {
        acceptors::failed(-descriptor);
    }
    0
}

/// `IORING_OP_ACCEPT`.
const ACCEPT: u8 = 13;

/// A completion. One of a multishot request names no request; its result may be a number of bytes. But only a
/// connection that was accepted has a descriptor, so one that is not known to be accepted was accepted by this.
#[btf_tracepoint(function = "io_uring_complete")]
fn ring_completes(ctx: BtfTracePointContext) -> i32 {
    // A `void *` in the kernel, so no type that the verifier could know.
    let request = Address(ctx.arg(1));
    if request.0 != 0 && request.read::<u8>(&at::KIOCB_OPCODE) != Some(ACCEPT) {
        return 0;
    }
    let result: i32 = Typed(ctx.arg(2)).load(&at::CQE_RES);
    if result < 0 {
        return 0;
    }
    let task = kernel::current();
    if let Some(child) = sock_of_descriptor(task, result as u64).and_then(flow_at)
        && CONNECTIONS.get_ptr(child.0).is_some()
    {
        accepted(task, child, From::Ring, true);
    }
    0
}

/// The record of an accepted socket; without one, the TCP socket that it is about, if it is about one.
#[inline(always)]
fn record_of(sock: Address) -> Result<*mut Connection, Option<Address>> {
    if let Some(connection) = followed::record(sock) {
        return Ok(connection);
    }
    let Some(flow) = flow_at(sock) else { return Err(None) };
    match followed::record(flow) {
        Some(connection) => Ok(connection),
        None => Err(Some(flow)),
    }
}

/// Without a record the accept is still counted, if no other hook does so (`alone`).
///
/// Every case comes to the same end, which is written once: the verifier goes through it again for each way that leads
/// there with something else in hand.
#[inline(always)]
fn accepted(task: Typed, sock: Address, from: From, alone: bool) {
    let now = now();
    let (connection, cookie, late) = match record_of(sock) {
        // Another hook has seen it.
        Ok(connection) if unsafe { (*connection).accepted_ns } != 0 => return,
        Ok(connection) => (Some(connection), unsafe { (*connection).listener }, false),
        Err(None) => return,
        Err(Some(flow)) => match accept_late::arrived_before(task, flow, from) {
            Arrived::Followed(connection) => (Some(connection), unsafe { (*connection).listener }, true),
            // The listener's and the thread's figures stay exact without a record.
            Arrived::NoRoom(cookie) if alone => (None, cookie, true),
            Arrived::NoRoom(_) | Arrived::Unwatched => return,
        },
    };
    let (enqueued, before) = connection.map_or((0, 0), |connection| unsafe { note(connection, now) });
    let mut listener = 0;
    if let Some(entry) = LISTENERS.get_ptr_mut(cookie) {
        unsafe {
            if before & flag::ACCEPTED == 0 {
                listener = cookie;
                if late {
                    // Before the accept, so that no reading has more accepted than arrived.
                    accept_late::account(entry);
                }
                add(&raw mut (*entry).counters.accepted, 1);
                if matches!(from, From::Ring) {
                    add(&raw mut (*entry).counters.accepted_by_ring, 1);
                }
                if enqueued != 0 {
                    duration(entry, stage::ACCEPT_WAIT, now.saturating_sub(enqueued));
                }
            }
            if before & (flag::DATA | flag::READ | flag::ACCEPTED) == flag::DATA {
                add_signed(&raw mut (*entry).counters.unread, 1);
            }
        }
    }
    if let Some(thread) = threads::entry(task, now) {
        unsafe {
            (*thread).accepts += 1;
            (*thread).comm = threads::name();
        }
    }
    acceptors::accepted(listener, task, now);
}

/// Notes in a connection's record who accepted it. Returns when it was enqueued, and its flags before.
#[inline(always)]
unsafe fn note(connection: *mut Connection, now: u64) -> (u64, u32) {
    let (pid, tid) = threads::ids();
    unsafe {
        let connection = &mut *connection;
        connection.accepted_ns = now;
        connection.acceptor_pid = pid;
        connection.acceptor_tid = tid;
        connection.acceptor_comm = threads::name();
        let before = set_bits(&raw mut connection.flags, flag::ACCEPTED);
        (connection.enqueued_ns, before)
    }
}
