//! What the model is told. Live, replay and tests differ only in where these come from.

use observer_ebpf::{
    loss,
    record::{Connection, ListenerEntry, Sample, ThreadEntry, ThreadKey},
};
use serde::{Deserialize, Deserializer, Serialize};

use super::{
    listening::Listening,
    look::{Acceptance, Descriptors, Holding, Look},
    mark::Mark,
    offered::Offered,
    snapshot::ProbeCost,
};
use crate::backend::Said;

/// One thing that happened, or that was read. The kernel's records are recorded as they are, all else by serde.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum Event {
    /// A listener is watched from now on, or its histograms were read again.
    #[serde(skip)]
    Listener(Box<ListenerEntry>),
    /// A listener's socket is gone; these are its last figures.
    #[serde(skip)]
    ListenerClosed(Box<ListenerEntry>),
    /// Queue depths of a listener.
    #[serde(skip)]
    Sample(Sample),
    /// A connection ended.
    #[serde(skip)]
    Connection(Box<Connection>),
    /// A connection that is open: one of the oldest that were accepted. [`Event::Followed`] comes after the last of them.
    #[serde(skip)]
    Open(Box<Connection>),
    /// What a thread did so far.
    #[serde(skip)]
    Thread(ThreadKey, ThreadEntry),
    /// What /proc tells of a thread; `None` when it is gone.
    Task {
        /// Process.
        pid: u32,
        /// Thread.
        tid: u32,
        /// Name, and voluntary context switches unless they come with [`Event::Thread`].
        task: Option<(String, Option<u64>)>,
    },
    /// How a thread has spent its time so far, and what it does now.
    Activity {
        /// Process.
        pid: u32,
        /// Thread.
        tid: u32,
        /// Nanoseconds that it ran.
        run_ns: u64,
        /// Nanoseconds that it was ready and waited for a processor.
        ready_ns: u64,
        /// The system call that it waits in, or `runs`.
        doing: Option<String>,
    },
    /// All threads have been read.
    ThreadsRead {
        /// When.
        time_ns: u64,
    },
    /// What a thread's calls of accept(2) on a listener came to so far.
    Acceptance(Box<Acceptance>),
    /// A closer look at a thread; `None` when it is not looked at any more.
    Look {
        /// Process.
        pid: u32,
        /// Thread.
        tid: u32,
        /// What it does.
        look: Option<Box<Look>>,
    },
    /// Who holds a listener.
    Holders {
        /// Its cookie.
        listener: u64,
        /// Every process that does, by pid.
        holders: Vec<Holding>,
    },
    /// The process of a listener has another name.
    Owner {
        /// Cookie of the listener.
        listener: u64,
        /// The process.
        pid: u32,
        /// Its name now.
        comm: String,
    },
    /// Descriptors of a process whose accept(2) fails.
    Descriptors {
        /// Process.
        pid: u32,
        /// How many are open, and may be.
        descriptors: Descriptors,
    },
    /// The kernel's own counters of a network namespace.
    Host {
        /// Inode number of the namespace.
        netns: u32,
        /// The counters.
        counters: HostCounters,
    },
    /// Name of an interface that a listener is bound to.
    Device {
        /// Inode number of its network namespace.
        netns: u32,
        /// Its index in there.
        index: u32,
        /// Its name.
        name: String,
    },
    /// A network namespace without watched listeners: nobody reads its counters any more.
    HostGone {
        /// Inode number of the namespace.
        netns: u32,
    },
    /// The listeners that the kernel lists, of every network namespace that can be asked.
    Listening(Vec<Listening>),
    /// Followed connections, counted.
    Followed(Followed),
    /// Listeners with connections whose peer's window is closed; the others have none.
    ClosedWindows(Vec<ClosedWindows>),
    /// So many connections ended, and that is all that a recording tells of them.
    Unrecorded(u64),
    /// Loss counters of the kernel half.
    Loss(#[serde(deserialize_with = "as_many_as_there_were")] [u64; loss::COUNTERS as usize]),
    /// What the probes cost.
    Probes(Vec<ProbeCost>),
    /// A backend changed something.
    Mark(Box<Mark>),
    /// What the load generator of a backend offers; `None` when it offers nothing.
    Offered {
        /// Number of the backend.
        backend: u32,
        /// What.
        offered: Option<Box<Offered>>,
    },
    /// What a backend says of itself. The model leaves it to the outputs.
    Backend(Box<Said>),
}

/// A counter that was not there yet had counted nothing.
fn as_many_as_there_were<'de, const N: usize, D: Deserializer<'de>>(from: D) -> Result<[u64; N], D::Error> {
    let mut counters = [0; N];
    let there = Vec::<u64>::deserialize(from)?;
    counters.iter_mut().zip(there).for_each(|(counter, count)| *counter = count);
    Ok(counters)
}

/// The connections that are followed, counted one by one, and what should be the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Followed {
    /// Records begun before the count.
    pub begun: u64,
    /// Records ended before it, those whose end was not seen among them.
    pub ended: u64,
    /// Records counted.
    pub open: u64,
    /// Records begun and ended while it was counted.
    pub meanwhile: u64,
}

/// A listener's connections whose peer's window is closed while data waits for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClosedWindows {
    /// Cookie of the listener.
    pub listener: u64,
    /// So many connections.
    pub connections: u64,
    /// Bytes in their send queues.
    pub bytes: u64,
    /// The peer of one of them has taken nothing since, at least.
    pub since_ns: u64,
}

/// Counters of `/proc/PID/net/netstat` and `snmp` since the namespace was made. On loopback they count both ends of a
/// connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct HostCounters {
    /// `LINUX_MIB_LISTENOVERFLOWS`.
    pub listen_overflows: u64,
    /// `LINUX_MIB_LISTENDROPS`.
    pub listen_drops: u64,
    /// `TCP_MIB_PASSIVEOPENS`.
    pub passive_opens: u64,
    /// `LINUX_MIB_TCPREQQFULLDROP`: SYNs refused because a SYN queue was full and cookies are off.
    pub syn_queue_full_drops: u64,
    /// `LINUX_MIB_TCPREQQFULLDOCOOKIES`: SYNs that met a full SYN queue (or `tcp_syncookies=2`) and were to be answered
    /// with a cookie.
    pub cookies_wanted: u64,
    /// `LINUX_MIB_SYNCOOKIESSENT`.
    pub cookies_sent: u64,
    /// `LINUX_MIB_SYNCOOKIESRECV`: valid cookies that came back.
    pub cookies_received: u64,
    /// `LINUX_MIB_SYNCOOKIESFAILED`: ACKs that were no valid cookie.
    pub cookies_failed: u64,
    /// `LINUX_MIB_TCPMIGRATEREQSUCCESS`: connections moved from a closed listener to another shard.
    pub migrations: u64,
    /// `LINUX_MIB_TCPMIGRATEREQFAILURE`.
    pub migration_failures: u64,
    /// `LINUX_MIB_EMBRYONICRSTS`: handshakes that were reset before they were complete.
    pub embryonic_resets: u64,
    /// `LINUX_MIB_TCPDEFERACCEPTDROP`: bare ACKs that TCP_DEFER_ACCEPT ignored.
    pub deferred_acks: u64,
    /// `LINUX_MIB_DELAYEDACKS`: ACKs that were sent late because there was no data to send them with.
    pub delayed_acks: u64,
    /// `LINUX_MIB_TCPWINPROBE`: probes of a closed window.
    pub window_probes: u64,
}
