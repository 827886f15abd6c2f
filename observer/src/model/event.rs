//! What the model is told. Live, replay and tests differ only in where these come from.

use observer_ebpf::{
    loss,
    record::{Connection, ListenerEntry, Sample, ThreadEntry, ThreadKey},
};

use super::snapshot::{Demo, ProbeCost};

/// One thing that happened, or that was read.
#[derive(Debug, Clone)]
pub enum Event {
    /// A listener is watched from now on, or its histograms were read again.
    Listener(Box<ListenerEntry>),
    /// A listener's socket is gone; these are its last figures.
    ListenerClosed(Box<ListenerEntry>),
    /// Queue depths of a listener.
    Sample(Sample),
    /// A connection ended.
    Connection(Box<Connection>),
    /// What a thread did so far.
    Thread(ThreadKey, ThreadEntry),
    /// What /proc tells of a thread; `None` when it is gone.
    Task {
        /// Process.
        pid: u32,
        /// Thread.
        tid: u32,
        /// Name and voluntary context switches.
        task: Option<(String, u64)>,
    },
    /// All threads have been read.
    ThreadsRead {
        /// When.
        time_ns: u64,
    },
    /// The kernel's own counters of a network namespace.
    Host {
        /// Inode number of the namespace.
        netns: u32,
        /// The counters.
        counters: HostCounters,
    },
    /// Loss counters of the kernel half.
    Loss([u64; loss::COUNTERS as usize]),
    /// What the probes cost.
    Probes(Vec<ProbeCost>),
    /// News of the bundled backend.
    Demo(Box<Demo>),
}

/// Counters of `/proc/PID/net/netstat` and `snmp` since the namespace was made. On loopback they count both ends of a
/// connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct HostCounters {
    /// `LINUX_MIB_LISTENOVERFLOWS`.
    pub listen_overflows: u64,
    /// `LINUX_MIB_LISTENDROPS`.
    pub listen_drops: u64,
    /// `TCP_MIB_PASSIVEOPENS`.
    pub passive_opens: u64,
}
