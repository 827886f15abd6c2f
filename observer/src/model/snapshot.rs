//! The one value that every output renders: what is known at one instant, bounded in size.
//!
//! Field names are those of the NDJSON contract, so `stream` is this module serialised line by line. Times are
//! CLOCK_MONOTONIC nanoseconds, durations nanoseconds, counts totals since the observer started, unless a field says
//! otherwise. `None` means unknown or unavailable here, never zero.

mod acceptor;
mod connection;
mod listener;
mod thread;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{diagnosis::Diagnosis, drops::Telling, listening::Listening, mark::Mark, offered::Offered};
pub use acceptor::{AcceptedBy, Acceptors, Looked};
pub use connection::{Acceptor, Connection, End, Holder, Via};
pub(in crate::model) use listener::are_left_unread;
pub use listener::{EndedBy, Listener, Pace, Rates, State};
pub use observer_ebpf::record::stage;
pub use thread::{Thread, ThreadRates};

/// Everything known at one instant.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// When it was taken.
    pub time_ns: u64,
    /// Time since the model's snapshot before; 0 for the first. What happened since an output's own is an
    /// [`Interval`](super::interval::Interval).
    pub interval_ns: u64,
    /// What does not change while the observer runs.
    pub meta: Arc<Meta>,
    /// Network namespaces with watched listeners, and the observer's own: the kernel's own counters.
    pub hosts: Vec<Host>,
    /// Watched listeners, in a stable order: by network namespace, port, address, shard, then cookie.
    pub listeners: Vec<Listener>,
    /// The listeners that the kernel lists, by network namespace, and those of them that are not watched.
    pub listening: Vec<Listening>,
    /// Threads that ever did something with a watched connection, or hold a watched listener.
    pub threads: Vec<Thread>,
    /// Most recently ended connections, newest last; at most [`RECENT`].
    pub recent: Vec<Arc<Connection>>,
    /// Accepted connections that are open, the oldest first; at most [`OLDEST`]. As they were when last looked at, a few
    /// seconds ago at most unless there are very many.
    pub open: Vec<Arc<Connection>>,
    /// Ended connections of the last minutes with the longest accept-queue wait, slowest first; at most [`SLOWEST`].
    pub slowest: Vec<Arc<Connection>>,
    /// The books: every check that the observer makes of its own figures.
    pub ledger: Vec<LedgerCheck>,
    /// What could not be recorded.
    pub loss: Loss,
    /// What is wrong, and why, the most telling first: see [`diagnosis`](super::diagnosis).
    pub diagnoses: Vec<Diagnosis>,
    /// What the probes cost, if the kernel counts it (`kernel.bpf_stats_enabled`) and how often they ran.
    pub probes: Vec<ProbeCost>,
    /// What backends changed so far, the newest last; at most [`MARKS`].
    pub marks: Arc<Vec<Mark>>,
    /// What load generators say that they offer.
    pub offered: Vec<Offered>,
}

/// Bound of [`Snapshot::recent`].
pub const RECENT: usize = 256;
/// Bound of [`Snapshot::open`].
pub const OLDEST: usize = 64;
/// Bound of [`Snapshot::marks`].
pub const MARKS: usize = 64;
/// Bound of [`Snapshot::slowest`].
pub const SLOWEST: usize = 32;

/// What does not change while the observer runs; the `meta` line.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Meta {
    /// Version of the schema of the lines.
    pub schema: u32,
    /// Version of observer.
    pub version: String,
    /// Kernel release.
    pub kernel: String,
    /// Unix time of CLOCK_MONOTONIC's zero.
    pub boot_time_unix_ns: u64,
    /// Signal → name of the hook in use; null when this kernel gives none.
    pub signals: BTreeMap<String, Option<String>>,
    /// Signal → why it is unavailable, or what the hook in use cannot see.
    pub signal_notes: BTreeMap<String, String>,
    /// What is selected; empty lists and nulls mean everything.
    pub filters: Filters,
    /// Largest relative error of a quantile (the maximum is exact).
    pub quantile_error: f64,
    /// How far the causes of refusals can be told apart here.
    #[serde(skip)]
    pub telling: Telling,
    /// What is known here of each listener's cookies.
    #[serde(skip)]
    pub cookies: CookiesTold,
}

impl Meta {
    /// Whether a hook gives a signal.
    pub fn has(&self, signal: &str) -> bool {
        self.signals.get(signal).is_some_and(Option::is_some)
    }
}

/// Which of a listener's cookies are counted on this kernel.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CookiesTold {
    /// Those that were sent.
    pub sent: bool,
    /// Those that failed.
    pub failed: bool,
}

/// What is selected in the kernel.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filters {
    /// Listening ports.
    pub ports: Vec<u16>,
    /// Process that holds the listener.
    pub pid: Option<u32>,
    /// Inode number of the network namespace.
    pub netns: Option<u32>,
    /// Inode number of the cgroup of the socket.
    pub cgroup: Option<u64>,
}

/// Counters of one network namespace since the observer first read them; the `host` line. On loopback they count both
/// ends of a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Host {
    /// Inode number of the namespace.
    pub netns: u32,
    /// `ListenOverflows`.
    pub listen_overflows: u64,
    /// `ListenDrops`.
    pub listen_drops: u64,
    /// `TCPReqQFullDrop`: SYNs refused because a SYN queue was full and cookies are off.
    pub syn_queue_full_drops: u64,
    /// `TCPReqQFullDoCookies`: SYNs to be answered with a cookie.
    pub cookies_wanted: u64,
    /// `SyncookiesSent`.
    pub cookies_sent: u64,
    /// `SyncookiesRecv`: valid cookies that came back.
    pub cookies_received: u64,
    /// `SyncookiesFailed`: ACKs that were no valid cookie.
    pub cookies_failed: u64,
    /// `PassiveOpens`.
    pub passive_opens: u64,
    /// `TCPMigrateReqSuccess`: connections and requests moved from a closed listener to another shard.
    pub migrations: u64,
    /// `TCPMigrateReqFailure`.
    pub migration_failures: u64,
    /// `EmbryonicRsts`: handshakes that were reset before they were complete.
    pub embryonic_resets: u64,
    /// `TCPDeferAcceptDrop`: bare ACKs that TCP_DEFER_ACCEPT ignored.
    pub deferred_acks: u64,
    /// `DelayedACKs`: ACKs that were sent late, because there was no data to send them with.
    pub delayed_acks: u64,
    /// `TCPWinProbe`: probes of a closed window.
    pub window_probes: u64,
}

/// One check of our figures against the kernel's; the `ledger` line.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LedgerCheck {
    /// `listener`, `host` (one network namespace) or `ring` (the observer itself).
    pub scope: &'static str,
    /// The listener's cookie, for `listener`.
    pub listener: Option<u64>,
    /// Inode number of the network namespace.
    pub netns: u32,
    /// What is compared: `accept_queue` (enqueued − accepted − dropped = depth now), `passive_opens`, `listen_drops`,
    /// `listen_overflows`, `syn_queue_full`, `listeners` (watched + listed as not watched), `records` (produced = delivered + lost).
    pub check: &'static str,
    /// Our figure.
    pub ours: i64,
    /// The kernel's figure.
    pub kernel: i64,
    /// ours − kernel.
    pub difference: i64,
    /// Why they differ, as far as is known. When they do not it is null, or says what was taken into account.
    pub reason: Option<String>,
    /// Since when every snapshot has differed in this direction; null when they do not differ.
    pub since_ns: Option<u64>,
}

/// What could not be recorded; the `loss` line.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Loss {
    /// Records of ended connections that the kernel side produced.
    pub produced: u64,
    /// Those of them that arrived here.
    pub delivered: u64,
    /// Events that a program was not shown, and a copy of it was: nothing of them is missing.
    pub taken_over: u64,
    /// Name → count, for every loss counter, zero or not.
    pub counters: BTreeMap<String, u64>,
    /// Sum of `counters`: zero means that nothing was lost.
    pub total: u64,
}

/// One program's own cost.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProbeCost {
    /// Name of the program.
    pub program: String,
    /// Times it ran; null when `kernel.bpf_stats_enabled` is off.
    pub runs: Option<u64>,
    /// Nanoseconds it ran for, all in all; null when `kernel.bpf_stats_enabled` is off.
    pub run_time_ns: Option<u64>,
    /// Times it was skipped because it was already running on that processor.
    pub recursion_misses: u64,
}
