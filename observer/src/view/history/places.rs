//! Which processes accept from which listeners, learned from the connections that ended: a listener knows who opened
//! it, but the children of a prefork server accept from a socket that their parent opened.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::model::snapshot::Snapshot;

/// What was learned so far.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// Process → cookies of the listeners that it was seen to accept from.
    from: HashMap<u32, BTreeSet<u64>>,
}

impl Places {
    /// Adds what the connections of a snapshot tell, and forgets who is gone.
    pub(super) fn record(&mut self, snapshot: &Snapshot) {
        let listeners: HashSet<u64> = snapshot.listeners.iter().map(|listener| listener.cookie).collect();
        let processes: HashSet<u32> = snapshot.threads.iter().map(|thread| thread.pid).collect();
        self.from.retain(|pid, cookies| {
            cookies.retain(|cookie| listeners.contains(cookie));
            processes.contains(pid) && !cookies.is_empty()
        });
        for connection in &snapshot.recent {
            if let (Some(acceptor), Some(cookie)) = (&connection.acceptor, connection.listener)
                && listeners.contains(&cookie)
                && processes.contains(&acceptor.pid)
            {
                self.from.entry(acceptor.pid).or_default().insert(cookie);
            }
        }
    }

    /// Whether a process was seen to accept from a listener.
    pub(crate) fn accepts_from(&self, pid: u32, cookie: u64) -> bool {
        self.from.get(&pid).is_some_and(|cookies| cookies.contains(&cookie))
    }
}
