//! One thread, as outputs show it.

use std::sync::Arc;

use serde::Serialize;

use super::Looked;

/// What a thread did, as far as the kernel saw; the `thread` line.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Thread {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Its name.
    pub comm: String,
    /// Derived from what it did: `acceptor`, `reader`, `writer`, joined with `+`; `worker` for one that writes to
    /// connections that another thread reads; `idle`.
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
    /// Its calls of accept(2) that failed, EAGAIN and interrupted ones apart.
    pub accept_failures: u64,
    /// The last of them.
    pub accept_failed_ns: Option<u64>,
    /// Its error.
    pub accept_errno: Option<String>,
    /// A closer look, while somebody waits in a queue that it should empty.
    #[serde(skip)]
    pub looked: Option<Arc<Looked>>,
    /// It has exited.
    pub exited: bool,
    /// Its share of all accepts of its process, those of threads that are gone included, 0 to 1; null when there were none.
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
