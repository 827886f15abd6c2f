//! The lines of `observer stream` that the comparison reads, as far as it reads them.

use std::collections::BTreeMap;

use serde::Deserialize;

/// One line.
#[derive(Debug, Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum Line {
    /// A listener's totals.
    Listener(Listener),
    /// A connection that has ended.
    Connection(Connection),
    /// A thread's totals.
    Thread(Thread),
    /// Refusals with a cause.
    Drop(Drop),
    /// A check of the books.
    Ledger(Ledger),
    /// What was lost.
    Loss(Loss),
    /// Anything else, now or in a later version.
    #[serde(other)]
    Other,
}

/// See the schema for the fields.
#[derive(Debug, Deserialize)]
pub(super) struct Listener {
    pub(super) cookie: u64,
    pub(super) accept_queue_peak: u64,
    pub(super) accepted: u64,
    pub(super) listen_drops: u64,
}

/// See the schema for the fields.
#[derive(Debug, Deserialize)]
pub(super) struct Connection {
    pub(super) established_ns: Option<u64>,
    pub(super) accepted_ns: Option<u64>,
}

/// See the schema for the fields.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Thread {
    pub(super) tid: u32,
    pub(super) comm: String,
    pub(super) accepts: u64,
    pub(super) reads: u64,
}

/// See the schema for the fields.
#[derive(Debug, Deserialize)]
pub(super) struct Drop {
    pub(super) cause: String,
    pub(super) count: u64,
}

/// See the schema for the fields.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Ledger {
    pub(super) scope: String,
    pub(super) listener: Option<u64>,
    pub(super) check: String,
    pub(super) ours: i64,
    pub(super) kernel: i64,
    pub(super) difference: i64,
    pub(super) reason: Option<String>,
}

/// See the schema for the fields.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Loss {
    pub(super) total: u64,
    pub(super) counters: BTreeMap<String, u64>,
}
