//! Signal: accept(2) returned a connection.
//!
//! Hook: the exit of the system calls, which also fires for threads that were blocked in them before the probes were
//! attached. The descriptor is followed to its socket. What it cannot see: accepts through io_uring and by the
//! kernel itself; those show as accepted by an unseen path at their first read or write.

use aya_ebpf::{EbpfContext as _, macros::tracepoint, programs::TracePointContext};
use observer_ebpf::{
    loss,
    record::{Connection, flag, stage, via},
};

use crate::{
    books::{add, add_signed, duration, lost, now, set_bits},
    constants as at,
    kernel::{
        self, AF_INET, AF_INET6, Address, IPPROTO_TCP, Typed, sock_of_descriptor, system_call_argument,
    },
    maps::{CONNECTIONS, LISTENERS},
    threads,
};

#[tracepoint(category = "syscalls", name = "sys_exit_accept")]
fn exit_accept(ctx: TracePointContext) -> u32 {
    returned(&ctx)
}

#[tracepoint(category = "syscalls", name = "sys_exit_accept4")]
fn exit_accept4(ctx: TracePointContext) -> u32 {
    returned(&ctx)
}

/// `format` of the tracepoints: eight common bytes, the number of the call in eight, the result.
const RESULT: usize = 16;

#[inline(always)]
fn returned(ctx: &TracePointContext) -> u32 {
    let descriptor: i64 = unsafe { ctx.as_ptr().cast::<u8>().add(RESULT).cast::<i64>().read_volatile() };
    if descriptor >= 0 {
        let task = kernel::current();
        match sock_of_descriptor(task, descriptor as u64) {
            Some(sock) => accepted(task, sock),
            None => lost(loss::ACCEPT_UNRESOLVED),
        }
    }
    0
}

#[inline(always)]
fn accepted(task: Typed, sock: Address) {
    let now = now();
    let connection = match CONNECTIONS.get_ptr_mut(sock.0) {
        Some(connection) => connection,
        None => match arrived_before(task, sock) {
            Arrived::Followed(connection) => connection,
            // The listener's and the thread's figures stay exact without a record.
            Arrived::NoRoom(cookie) => {
                if let Some(entry) = LISTENERS.get_ptr_mut(cookie) {
                    unsafe { add(&raw mut (*entry).counters.accepted, 1) };
                }
                if let Some(thread) = threads::entry(task, now) {
                    unsafe { (*thread).accepts += 1 };
                }
                return;
            }
            Arrived::Unwatched => return,
        },
    };
    let (pid, tid) = threads::ids();
    let comm = threads::name();
    let (cookie, established, before) = unsafe {
        let connection = &mut *connection;
        connection.accepted_ns = now;
        connection.acceptor_pid = pid;
        connection.acceptor_tid = tid;
        connection.acceptor_comm = comm;
        let before = set_bits(&raw mut connection.flags, flag::ACCEPTED);
        (connection.listener, connection.established_ns, before)
    };
    if let Some(entry) = LISTENERS.get_ptr_mut(cookie) {
        unsafe {
            if before & flag::ACCEPTED == 0 {
                add(&raw mut (*entry).counters.accepted, 1);
                if established != 0 {
                    duration(entry, stage::ACCEPT_WAIT, now - established);
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
            (*thread).comm = comm;
        }
    }
}

/// What is known of a connection whose arrival left no record.
enum Arrived {
    /// It has a record from now on.
    Followed(*mut Connection),
    /// It came out of this watched listener, and the map is full. That was counted as lost at its arrival.
    NoRoom(u64),
    /// Its listener is not watched, or it is no TCP connection.
    Unwatched,
}

/// A record for a connection that was queued before the observer started, or that found the map full.
#[inline(always)]
fn arrived_before(task: Typed, sock: Address) -> Arrived {
    match watched_listener(task, sock) {
        Some((cookie, family)) => follow(sock, cookie, family),
        None => Arrived::Unwatched,
    }
}

/// Cookie of the watched listener that an accepted socket came out of, and the socket's family.
#[inline(always)]
fn watched_listener(task: Typed, sock: Address) -> Option<(u64, u16)> {
    let family: u16 = sock.read(&at::SKC_FAMILY)?;
    if family != AF_INET && family != AF_INET6 || sock.read::<u16>(&at::SK_PROTOCOL)? != IPPROTO_TCP {
        return None;
    }
    let listener = sock_of_descriptor(task, system_call_argument(task) & 0xffff_ffff)?;
    let cookie: u64 = listener.read(&at::SKC_COOKIE)?;
    LISTENERS.get_ptr(cookie)?;
    Some((cookie, family))
}

#[inline(always)]
fn follow(sock: Address, cookie: u64, family: u16) -> Arrived {
    let zero = [0u32; 4];
    let (local, remote): ([u32; 4], [u32; 4]) = if family == AF_INET6 {
        (sock.read(&at::SKC_V6_RCV_SADDR).unwrap_or(zero), sock.read(&at::SKC_V6_DADDR).unwrap_or(zero))
    } else {
        (
            [sock.read(&at::SKC_RCV_SADDR).unwrap_or(0), 0, 0, 0],
            [sock.read(&at::SKC_DADDR).unwrap_or(0), 0, 0, 0],
        )
    };
    let connection = Connection {
        flags: flag::ARRIVAL_UNSEEN,
        listener: cookie,
        local_address: unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(local) },
        remote_address: unsafe { core::mem::transmute::<[u32; 4], [u8; 16]>(remote) },
        local_port: sock.read(&at::SKC_NUM).unwrap_or(0),
        remote_port: u16::from_be(sock.read(&at::SKC_DPORT).unwrap_or(0)),
        family,
        via: via::UNSEEN,
        ..Connection::BLANK
    };
    // A failure shows in the lookup.
    let _ = CONNECTIONS.insert(sock.0, connection, 0);
    match CONNECTIONS.get_ptr_mut(sock.0) {
        Some(connection) => Arrived::Followed(connection),
        None => Arrived::NoRoom(cookie),
    }
}
