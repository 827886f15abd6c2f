//! The one value that every output renders: what is known at one instant, bounded in size.
//!
//! Field names are those of the NDJSON contract, so `stream` is this module serialised line by line. Times are
//! CLOCK_MONOTONIC nanoseconds, durations nanoseconds, counts totals since the observer started, unless a field says
//! otherwise. `None` means unknown or unavailable here, never zero.

mod connection;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{
    diagnosis::Diagnosis,
    drops::{Drop, Telling},
    histogram::{Histogram, Quantiles},
};
pub use connection::{Acceptor, Connection, End, Holder, Via};
pub use observer_ebpf::record::stage;

/// Everything known at one instant.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// When it was taken.
    pub time_ns: u64,
    /// Time since the snapshot before, over which `*_interval` figures count; 0 for the first.
    pub interval_ns: u64,
    /// What does not change while the observer runs.
    pub meta: Arc<Meta>,
    /// Network namespaces with watched listeners, and the observer's own: the kernel's own counters.
    pub hosts: Vec<Host>,
    /// Watched listeners, in a stable order: by network namespace, port, address, shard, then cookie.
    pub listeners: Vec<Listener>,
    /// Threads that ever did something with a watched connection, or hold a watched listener.
    pub threads: Vec<Thread>,
    /// Most recently ended connections, newest last; at most [`RECENT`].
    pub recent: Vec<Arc<Connection>>,
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
    /// The bundled backend, when the observer was told of its control socket.
    pub demo: Option<Demo>,
}

/// Bound of [`Snapshot::recent`].
pub const RECENT: usize = 256;
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

/// How a listener is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Nothing arrived in the last second.
    #[default]
    Idle,
    /// Connections are accepted about as fast as they arrive.
    Healthy,
    /// The accept queue holds more than half of its limit.
    Filling,
    /// The accept queue is full; nothing was refused in the last second.
    Saturated,
    /// Connections have waited for a second, and none was accepted in it.
    Stranded,
    /// Connections were refused in the last second.
    Overflowing,
}

/// Events per second, over about the last second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rates {
    /// Connections that entered the accept queue.
    pub enqueued: f64,
    /// Connections that were accepted.
    pub accepted: f64,
    /// Connections that were refused.
    pub dropped: f64,
}

/// One listening socket, one shard of a group; the `listener` line.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Listener {
    /// Socket cookie, never reused; what `SO_COOKIE` and `ss -e` (sk:) show.
    pub cookie: u64,
    /// Address and port it is bound to.
    pub addr: String,
    /// Port alone.
    pub port: u16,
    /// Inode number of its network namespace.
    pub netns: u32,
    /// Process that listens.
    pub pid: u32,
    /// Its name.
    pub comm: String,
    /// Set when several sockets listen on this address (SO_REUSEPORT): the name they share.
    pub group: Option<String>,
    /// Number within the group, from 1, in order of opening; it stays while the socket lives.
    pub shard: Option<u32>,
    /// The observer was there when it opened.
    pub opened_ns: Option<u64>,
    /// It is closed; this is its last line.
    pub closed_ns: Option<u64>,
    /// How it is, in a word.
    pub state: State,
    /// `sk_max_ack_backlog`; the accept queue is full at this + 1.
    pub backlog_limit: u32,
    /// `net.core.somaxconn` of its network namespace, to which listen(2) cuts a backlog; null when unknown.
    pub somaxconn: Option<u32>,
    /// Connections in the accept queue now.
    pub accept_queue: u32,
    /// Most connections in the accept queue since the last line; exact, not sampled.
    pub accept_queue_peak: u32,
    /// Request sockets in the SYN queue now (a sample).
    pub syn_queue: u32,
    /// Those of them whose SYN-ACK was not sent again (a sample).
    pub syn_queue_young: u32,
    /// Connections that entered the accept queue.
    pub enqueued: u64,
    /// Connections accepted.
    pub accepted: u64,
    /// Part of `accepted` that went by a path which no probe sees.
    pub accepted_unseen: u64,
    /// Part of `accepted` that an io_uring completed; 0 where the hook does not show it.
    pub accepted_by_ring: u64,
    /// Connections destroyed in the accept queue.
    pub dropped_queued: u64,
    /// Connections that their peer reset while they waited in the accept queue; accept(2) returns them all the same.
    pub aborted_queued: u64,
    /// Part of `enqueued`: they came from the queue of a shard that closed.
    pub migrated: u64,
    /// Moved from its queue to another shard's when it closed.
    pub migrated_away: u64,
    /// SYNs that entered the SYN queue; 0 where the signal `request` is unavailable.
    pub requests: u64,
    /// Connections in the accept queue when watching began; they are not part of `enqueued`.
    pub queued_at_start: u32,
    /// Handshakes or SYNs refused because the accept queue was full. Null when this kernel cannot tell them from
    /// other refusals; `overflows_between` then says what is known.
    pub overflows: Option<u64>,
    /// Least and most that `overflows` can be.
    pub overflows_between: (u64, u64),
    /// Everything refused, whatever the cause.
    pub listen_drops: u64,
    /// The kernel's own counter of the socket: refusals, a refused last ACK twice, and segments that were discarded
    /// for requests that wait, such as repeated SYNs.
    pub sk_drops: u64,
    /// Refusals by cause.
    #[serde(skip)]
    pub drops: Vec<Drop>,
    /// Connections that came through a SYN cookie.
    pub cookies: u64,
    /// SYNs that were answered with a cookie; null where that is known of the network namespace alone.
    pub cookies_sent: Option<u64>,
    /// ACKs that were no valid cookie; null where that is known of the network namespace alone.
    pub cookies_failed: Option<u64>,
    /// SYN-ACKs sent again.
    pub synack_retransmits: u64,
    /// Accepted connections with data waiting that were never read, now.
    pub unread: u64,
    /// Times that the rest of a request came 5 ms or more after its beginning was read.
    pub pauses: u64,
    /// Those of them that lasted 36 to 52 ms, about as long as an ACK is delayed.
    pub pauses_as_delayed_ack: u64,
    /// Connections whose peer's window is closed while data waits for it, now; null when no hook tells.
    pub closed_windows: Option<u64>,
    /// Bytes in the send queues of those connections; null when no hook tells.
    pub closed_window_bytes: Option<u64>,
    /// The peer of one of them has taken nothing since, at least; null when there is none.
    pub closed_window_since_ns: Option<u64>,
    /// Followed connections that have ended.
    pub ended: u64,
    /// Accept-queue wait, since start.
    pub accept_wait_ns: Quantiles,
    /// Accept-queue wait of the connections accepted since the last line; here `max` is the end of a bucket, up to
    /// 12.5 % above the truth.
    pub accept_wait_interval_ns: Quantiles,
    /// Events per second.
    pub rates: Rates,
    /// All stages since start, indexed by [`stage`].
    #[serde(skip)]
    pub stages: Arc<[Histogram; stage::STAGES]>,
    /// All stages since the last snapshot, indexed by [`stage`].
    #[serde(skip)]
    pub stages_interval: Arc<[Histogram; stage::STAGES]>,
}

/// What a thread did, as far as the kernel saw; the `thread` line.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Thread {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Its name.
    pub comm: String,
    /// Derived from what it did: `acceptor`, `reader`, `writer`, joined with `+`; `worker` for one that writes what
    /// another thread read; `idle`.
    pub role: String,
    /// Connections it accepted.
    pub accepts: u64,
    /// Its reads that returned bytes.
    pub reads: u64,
    /// Its writes that took bytes.
    pub writes: u64,
    /// Bytes that its reads returned.
    pub bytes_read: u64,
    /// Bytes that its writes took.
    pub bytes_written: u64,
    /// Times it slept and was woken (voluntary context switches) since the observer first saw it; null when
    /// nothing tells.
    pub wakeups: Option<u64>,
    /// Nanoseconds that it ran since the observer first saw it; null when nothing tells.
    pub run_ns: Option<u64>,
    /// Nanoseconds that it was ready and waited for a processor since then; null when nothing tells.
    pub ready_ns: Option<u64>,
    /// The system call that it waited in when it was last looked at, or `runs`; null when nothing tells. A sample, one a
    /// second.
    pub doing: Option<String>,
    /// It has exited.
    pub exited: bool,
    /// Its share of the accepts of its process's listeners, 0 to 1; null when there were none.
    pub accept_share: Option<f64>,
    /// Accepts, reads and writes per second over about the last second.
    pub rates: ThreadRates,
}

/// What a thread does per second.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct ThreadRates {
    /// Accepts.
    pub accepts: f64,
    /// Reads.
    pub reads: f64,
    /// Writes.
    pub writes: f64,
    /// Wake-ups; null when unknown.
    pub wakeups: Option<f64>,
    /// Part of the time in which it ran, 0 to 1; null when unknown.
    pub running: Option<f64>,
    /// Part of the time in which it was ready and waited for a processor, 0 to 1; null when unknown.
    pub ready: Option<f64>,
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
    /// `listen_overflows`, `syn_queue_full`, `records` (produced = delivered + lost).
    pub check: &'static str,
    /// Our figure.
    pub ours: i64,
    /// The kernel's figure.
    pub kernel: i64,
    /// ours − kernel.
    pub difference: i64,
    /// Why they differ, as far as is known; null when they do not.
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

/// What demo-server says of itself.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Demo {
    /// Its last state, if it answered.
    pub state: Option<Box<demo_server::control::State>>,
    /// Why there is none.
    pub error: Option<String>,
    /// Changes of pattern, load or fault seen so far: when, and what; newest last, at most 64.
    pub changes: Vec<(u64, String)>,
}
