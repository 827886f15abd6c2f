//! Every map. Sizes here are defaults; the loader sets them from the command line.

use crate::copies::{self, Mark};
use aya_ebpf::{
    macros::map,
    maps::{Array, HashMap, PerCpuArray, RingBuf},
};
use observer_ebpf::{
    loss,
    record::{
        AcceptorEntry, AcceptorKey, ClosedWindow, Connection, HolderEntry, HolderKey, LeftOut, ListenerEntry,
        ThreadEntry, ThreadKey,
    },
};

/// A connection between its SYN_RECV → ESTABLISHED and its listener's `sk_data_ready`, which follows in the same
/// softirq run on the same processor.
#[repr(C)]
pub(crate) struct Arrival {
    /// Address of the child's `struct sock`; 0 when the slot is free.
    pub(crate) sock: u64,
    /// Address of a child that has just moved from a shard that closed, and was counted: this listener may be told of it; 0
    /// for none.
    pub(crate) moved: u64,
    /// Its record so far.
    pub(crate) connection: Connection,
}

/// Watched listeners by cookie. Full: the listener is not watched, and counted as lost.
#[map]
pub(crate) static LISTENERS: HashMap<u64, ListenerEntry> = HashMap::with_max_entries(1024, 0);

/// Open connections by address of their `struct sock`. Full: not followed, counted as lost; the listener's own
/// counters still count its arrival.
#[map]
pub(crate) static CONNECTIONS: HashMap<u64, Connection> = HashMap::with_max_entries(65536, 0);

/// Connections whose peer's window was closed when it was last looked at, by address of their `struct sock`. Full: not
/// counted as closed, counted as lost.
#[map]
pub(crate) static CLOSED_WINDOWS: HashMap<u64, ClosedWindow> = HashMap::with_max_entries(4096, 0);

/// Threads. Full: their activity is not counted, and counted as lost.
#[map]
pub(crate) static THREADS: HashMap<ThreadKey, ThreadEntry> = HashMap::with_max_entries(8192, 0);

/// Who accepted from which listener, or tried to. Full: counted as lost with the threads.
#[map]
pub(crate) static ACCEPTORS: HashMap<AcceptorKey, AcceptorEntry> = HashMap::with_max_entries(8192, 0);

/// Who holds which listener, as the iterator last found it. Full: the rest is not listed, and userspace says so.
#[map]
pub(crate) static HOLDERS: HashMap<HolderKey, HolderEntry> = HashMap::with_max_entries(4096, 0);

/// Processes that serve watched listeners.
#[map]
pub(crate) static SERVERS: HashMap<u32, u8> = HashMap::with_max_entries(8192, 0);

/// An address and port in a network namespace.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Place {
    /// Inode number of the namespace.
    pub(crate) netns: u32,
    /// The port; the type leaves no padding, which would be part of the key.
    pub(crate) port: u32,
    /// The address, IPv4 in the first word; zeroes for any.
    pub(crate) address: [u32; 4],
}

/// Where the watched listeners from before the start listen: an open connection at such a place came out of one of them.
/// As large as the map of listeners, so it is never full before that one is.
#[map]
pub(crate) static PLACES: HashMap<Place, u8> = HashMap::with_max_entries(1024, 0);

/// Where listeners from before the start listen that are not watched. Full: [`HOLDS`] tells of whom.
#[map]
pub(crate) static OTHER_PLACES: HashMap<Place, u8> = HashMap::with_max_entries(4096, 0);

/// Processes that held a watched listener when the observer started, by [`holds`]: 1, or 0 if they hold others that are not
/// among [`OTHER_PLACES`]. Full: counted as lost.
#[map]
pub(crate) static HOLDS: HashMap<u64, u8> = HashMap::with_max_entries(8192, 0);

/// Key of [`HOLDS`]: a process, and the network namespace of its listener.
#[inline(always)]
pub(crate) fn holds(netns: u32, pid: u32) -> u64 {
    u64::from(netns) << 32 | u64::from(pid)
}

/// MPTCP listeners from before the start whose cookie did not exist yet, by address of the subflow that listens. The
/// iterator knows that one only by its address, and cannot make its cookie: it is watched from its first connection on.
#[map]
pub(crate) static HELD: HashMap<u64, LeftOut> = HashMap::with_max_entries(256, 0);

/// Selected listeners that found no place in the map of listeners, by cookie. Full: counted as lost each time that one
/// is met, and userspace does not know who holds it.
#[map]
pub(crate) static LEFT_OUT: HashMap<u64, LeftOut> = HashMap::with_max_entries(4096, 0);

/// 1 while the iterator registers only listeners at which something waits or was refused: userspace sets it for a first
/// run where there are more listeners than places.
#[map]
pub(crate) static BUSY_FIRST: Array<u32> = Array::with_max_entries(1, 0);

/// Whether any Fast Open connection has been seen: 0 or 1. Only then need an established connection be looked up.
#[map]
pub(crate) static FAST_OPEN_SEEN: Array<u32> = Array::with_max_entries(1, 0);

/// Selected ports.
#[map]
pub(crate) static PORTS: HashMap<u16, u8> = HashMap::with_max_entries(256, 0);

/// Ended connections and listener changes. Full: counted as lost.
#[map]
pub(crate) static EVENTS: RingBuf = RingBuf::with_byte_size(4 << 20, 0);

/// Queue samples, drained right after each run of the sampler. Of listeners that are destroyed between two readings it holds
/// about a thousand.
#[map]
pub(crate) static SAMPLES: RingBuf = RingBuf::with_byte_size(256 << 10, 0);

/// The connection that is being established on this processor.
#[map]
pub(crate) static ARRIVAL: PerCpuArray<Arrival> = PerCpuArray::with_max_entries(1, 0);

/// The listener at which this processor looks for a cookie.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Checking {
    /// Address of the packet's TCP header, which both functions are given.
    pub(crate) header: u64,
    /// The listener's cookie.
    pub(crate) listener: u64,
}

/// See [`Checking`].
#[map]
pub(crate) static CHECKING: PerCpuArray<Checking> = PerCpuArray::with_max_entries(1, 0);

/// Who dealt with an event last on this processor, by [`event`](copies::event).
#[map]
pub(crate) static MARKS: PerCpuArray<Mark> = PerCpuArray::with_max_entries(copies::event::EVENTS, 0);

/// Counters of [`loss`].
#[map]
pub(crate) static COUNTERS: PerCpuArray<u64> = PerCpuArray::with_max_entries(loss::COUNTERS, 0);

/// An entry of zeroes to start a listener from: too big for the stack.
#[map]
pub(crate) static BLANK_LISTENER: Array<ListenerEntry> = Array::with_max_entries(1, 0);
