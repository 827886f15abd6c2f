//! Signal: listeners and connections that exist when the observer starts, with a process that holds them.
//!
//! Hook: the BPF iterator over all open files of all processes, which reaches every network namespace at once. What it
//! cannot see: listeners that no process holds as a descriptor (the kernel's own, or fixed files of an io_uring).

use core::ffi::c_void;

use aya_ebpf::helpers::{
    bpf_probe_read_kernel,
    generated::{bpf_get_socket_cookie, bpf_sock_from_file},
};
use observer_ebpf::{
    loss,
    record::{COMM, LeftOut, flag},
};

use super::{
    accept_late::{follow, unseen},
    listener::{Holder, watch},
};
use crate::{
    books::lost,
    constants::{self as at, exists, value},
    kernel::{
        AF_INET6, Address, TCP_CLOSE_WAIT, TCP_CLOSING, TCP_ESTABLISHED, TCP_FIN_WAIT1, TCP_FIN_WAIT2,
        TCP_LAST_ACK, TCP_LISTEN, Typed, flow, is_tcp, local_address, netns,
    },
    maps::{BUSY_FIRST, HELD, HOLDS, LISTENERS, OTHER_PLACES, PLACES, Place, holds},
};

/// `struct bpf_iter__task_file`.
#[repr(C)]
pub(super) struct TaskFile {
    meta: *const c_void,
    task: *const c_void,
    pub(super) descriptor: u64,
    file: *const c_void,
}

/// The `struct sock` of an open file, with the task that holds it; `None` if the file is no socket.
#[inline(always)]
pub(super) fn held(ctx: *const TaskFile) -> Option<(Typed, Typed)> {
    let (task, file) = unsafe { ((*ctx).task, (*ctx).file) };
    if task.is_null() || file.is_null() {
        return None;
    }
    let socket = unsafe { bpf_sock_from_file(file as *mut _) } as *const c_void;
    if socket.is_null() {
        return None;
    }
    let sock = Typed(socket).follow(&at::SOCKET_SK);
    (!sock.0.is_null()).then_some((Typed(task), sock))
}

#[inline(always)]
pub(super) fn holder(task: Typed) -> Holder {
    let comm = (task.0 as u64 + u64::from(value(&at::TASK_COMM))) as *const [u8; COMM];
    Holder {
        pid: task.load::<u32>(&at::TASK_TGID),
        tid: 0,
        comm: unsafe { bpf_probe_read_kernel(comm) }.unwrap_or([0; COMM]),
        opened_ns: 0,
    }
}

#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn existing_listeners(ctx: *const TaskFile) -> i32 {
    let Some((task, sock)) = held(ctx) else { return 0 };
    // For MPTCP the first subflow is what listens and what is watched.
    let Some(flow) = flow(sock).map(Address) else { return 0 };
    if flow.read::<u8>(&at::SKC_STATE).map(i32::from) != Some(TCP_LISTEN) {
        return 0;
    }
    if BUSY_FIRST.get(0) == Some(&1) && !is_busy(flow) {
        return 0;
    }
    let holder = holder(task);
    let cookie = if flow.0 == sock.0 as u64 {
        // Makes the cookie if there is none yet.
        unsafe { bpf_get_socket_cookie(sock.0 as *mut c_void) }
    } else {
        flow.read_or_zero(&at::SKC_COOKIE)
    };
    if cookie != 0 {
        watch(flow, cookie, &holder);
        note_place(flow, cookie, holder.pid);
    } else if HELD.insert(flow.0, LeftOut { pid: holder.pid, comm: holder.comm }, 0).is_err() {
        lost(loss::LISTENERS_FULL);
    }
    0
}

/// Something waits in its queue, or was refused.
#[inline(always)]
fn is_busy(listener: Address) -> bool {
    listener.read_or_zero::<u32>(&at::SK_ACK_BACKLOG) | listener.read_or_zero::<u32>(&at::SK_DROPS) != 0
}

/// Remembers where a listener listens, and who holds it if it is watched.
#[inline(always)]
fn note_place(sock: Address, cookie: u64, pid: u32) {
    const ONLY_IF_ABSENT: u64 = 1;
    const IS_THERE: i32 = -17;
    let place = own_place(sock);
    let holder = holds(place.netns, pid);
    if LISTENERS.get_ptr(cookie).is_some() {
        // Full: said in the map's description.
        let _ = PLACES.insert(place, 1, 0);
        if HOLDS.insert(holder, 1, ONLY_IF_ABSENT).is_err_and(|error| error != IS_THERE) {
            lost(loss::EXISTING_UNTOLD);
        }
    } else if OTHER_PLACES.insert(place, 1, 0).is_err() {
        let _ = HOLDS.insert(holder, 0, 0);
    }
}

#[inline(always)]
fn place(sock: Address, address: [u32; 4]) -> Place {
    Place { netns: netns(sock), port: sock.read_or_zero::<u16>(&at::SKC_NUM).into(), address }
}

/// The place of its own address.
#[inline(always)]
fn own_place(sock: Address) -> Place {
    place(sock, local_address(sock, sock.read_or_zero(&at::SKC_FAMILY)))
}

/// Whether it could have come out of a listener from before the start: one of its own address, or of any.
#[inline(always)]
fn is_at_a_listener(sock: Address) -> bool {
    PLACES.get_ptr(own_place(sock)).is_some() || PLACES.get_ptr(place(sock, [0; 4])).is_some()
}

/// Whether it came out of a listener of its process that has another port: TPROXY and `sk_lookup` programs give a listener
/// what was sent to other ports, and a child keeps the port that its client chose.
///
/// The kernel notes in a child the interface that its handshake came by (`tcp_v4_syn_recv_sock`, `tcp_v6_syn_recv_sock`); in a
/// socket that was connected from here there is none. A listener of before that is closed by now, and had another port, looks
/// the same.
#[inline(always)]
fn is_of_another_port(sock: Typed, pid: u32) -> bool {
    if !came_in(sock.address(), sock.load(&at::SKC_FAMILY)) {
        return false;
    }
    let own = own_place(sock.address());
    let any = place(sock.address(), [0; 4]);
    if OTHER_PLACES.get_ptr(own).is_some() || OTHER_PLACES.get_ptr(any).is_some() {
        return false;
    }
    match HOLDS.get_ptr(holds(own.netns, pid)).map(|holds| unsafe { *holds }) {
        None => false,
        Some(0) => {
            lost(loss::EXISTING_UNTOLD);
            false
        }
        Some(_) => true,
    }
}

/// Whether its handshake came from the other side, as far as this kernel shows it.
#[inline(always)]
fn came_in(sock: Address, family: u16) -> bool {
    let interface: u32 = if family != AF_INET6 {
        if !exists(&at::INET_MC_INDEX) {
            return false;
        }
        sock.read_or_zero(&at::INET_MC_INDEX)
    } else {
        if !exists(&at::INET_PINET6) || !exists(&at::PINET6_MCAST_OIF) {
            return false;
        }
        sock.follow(&at::INET_PINET6).map_or(0, |own| own.read_or_zero(&at::PINET6_MCAST_OIF))
    };
    interface != 0
}

/// Runs after the other. Which shard a connection came out of is not to be known any more, nor whether a listener of
/// before had the same place; that somebody holds it is.
#[unsafe(no_mangle)]
#[unsafe(link_section = "iter/task_file")]
fn existing_connections(ctx: *const TaskFile) -> i32 {
    let Some((task, sock)) = held(ctx) else { return 0 };
    if !is_tcp(sock) || !is_open(i32::from(sock.load::<u8>(&at::SKC_STATE))) {
        return 0;
    }
    let holder = holder(task);
    if !is_at_a_listener(sock.address()) && !is_of_another_port(sock, holder.pid) {
        return 0;
    }
    let mut record = unseen(sock.address(), 0, sock.load(&at::SKC_FAMILY));
    record.flags = flag::ARRIVAL_UNSEEN | flag::ACCEPTED | flag::ACCEPT_UNSEEN | flag::HELD;
    record.acceptor_pid = holder.pid;
    record.acceptor_comm = holder.comm;
    // The file is held while this runs, so its socket cannot be destroyed before the record is there.
    if follow(sock.address(), &record).is_none() {
        lost(loss::CONNECTIONS_FULL);
    }
    0
}

/// The handshake is complete and the socket is not yet closed.
#[inline(always)]
fn is_open(state: i32) -> bool {
    matches!(
        state,
        TCP_ESTABLISHED | TCP_FIN_WAIT1 | TCP_FIN_WAIT2 | TCP_CLOSE_WAIT | TCP_LAST_ACK | TCP_CLOSING
    )
}
