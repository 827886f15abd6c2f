//! Who accepts from a listener and who holds it, as outputs show it.

use std::sync::Arc;

use serde::{Serialize, Serializer};

use crate::model::look::{Descriptors, Holding, Look};

/// Acceptors that a line has of one listener.
const SHOWN: usize = 8;

/// Who accepts from a listener, and who holds it.
#[derive(Debug, Clone, Serialize)]
pub struct Acceptors {
    /// Threads that have accepted from it or tried to since it is watched, who accepted last first; a line has eight.
    #[serde(rename = "acceptors", serialize_with = "first")]
    pub alive: Arc<[AcceptedBy]>,
    /// The last of those that have ended.
    #[serde(rename = "acceptor_gone", serialize_with = "shared")]
    pub gone: Option<Arc<AcceptedBy>>,
    /// Processes that hold it; null while nobody had to ask.
    #[serde(serialize_with = "shared_list")]
    pub holders: Option<Arc<[Holding]>>,
}

impl Default for Acceptors {
    fn default() -> Self {
        Self { alive: Arc::new([]), gone: None, holders: None }
    }
}

/// A thread's accepts from one listener.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AcceptedBy {
    /// Process.
    pub pid: u32,
    /// Thread.
    pub tid: u32,
    /// Its name.
    pub comm: String,
    /// Connections that it accepted.
    pub accepts: u64,
    /// Its last accept.
    pub accepted_ns: Option<u64>,
    /// Calls of accept(2) that failed, EAGAIN and interrupted ones apart.
    pub failures: u64,
    /// The first of them since its last accept; null while it succeeds.
    pub failing_since_ns: Option<u64>,
    /// The last of them.
    pub failed_ns: Option<u64>,
    /// Its error.
    pub errno: Option<String>,
    /// Descriptors of its process, while accept(2) fails.
    pub descriptors: Option<Descriptors>,
}

/// A closer look at a thread, and for how long it has been so.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Looked {
    /// The last look.
    pub look: Look,
    /// It has not run since, at least.
    pub still_since_ns: Option<u64>,
    /// What it did at the last readings, one a second.
    pub doings: Vec<Option<String>>,
}

fn first<S: Serializer>(all: &Arc<[AcceptedBy]>, to: S) -> Result<S::Ok, S::Error> {
    all.get(..SHOWN).unwrap_or(all).serialize(to)
}

fn shared<S: Serializer>(one: &Option<Arc<AcceptedBy>>, to: S) -> Result<S::Ok, S::Error> {
    one.as_deref().serialize(to)
}

fn shared_list<S: Serializer>(list: &Option<Arc<[Holding]>>, to: S) -> Result<S::Ok, S::Error> {
    list.as_deref().serialize(to)
}
