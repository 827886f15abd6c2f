//! Shares of the accepts, and whether chance alone explains them.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::chance::Band;
use crate::model::snapshot::{Snapshot, Thread};
use crate::view::screen::Context;

/// Shares of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Process {
    accepts: u64,
    acceptors: usize,
    shards: usize,
}

/// Shares of all processes since the last change.
#[derive(Debug, Default)]
pub(super) struct Shares {
    processes: BTreeMap<u32, Process>,
}

impl Shares {
    /// Sums up what the threads did.
    pub(super) fn of(context: &Context<'_>, threads: &[&Thread]) -> Self {
        let mut processes: BTreeMap<u32, Process> = BTreeMap::new();
        for thread in threads {
            let accepts = context.history.eras.since_change(thread).accepts;
            let process = processes.entry(thread.pid).or_default();
            process.accepts += accepts;
            process.acceptors += usize::from(accepts > 0);
        }
        for (pid, process) in &mut processes {
            process.shards = shards(context.snapshot(), *pid);
        }
        Self { processes }
    }

    /// The share of a thread that accepted so many; none if its process accepted nothing.
    pub(super) fn share(&self, pid: u32, accepts: u64) -> Option<f64> {
        let process = self.processes.get(&pid)?;
        (process.accepts > 0).then(|| accepts as f64 / process.accepts as f64)
    }

    /// The band, where chance decides: all listeners of the process are shards of one group, a thread to each.
    pub(super) fn band(&self, pid: u32) -> Option<Band> {
        let process = self.processes.get(&pid)?;
        let dealt = process.shards > 1 && process.acceptors <= process.shards && process.accepts > 0;
        dealt.then(|| Band::new(process.accepts, process.shards))
    }
}

/// Shards of the one group that a process listens on; zero if it listens on anything else, too.
fn shards(snapshot: &Snapshot, pid: u32) -> usize {
    let own = || snapshot.listeners.iter().filter(|listener| listener.pid == pid);
    let groups: BTreeSet<_> = own().map(|listener| listener.group.as_deref()).collect();
    match (groups.len(), groups.first()) {
        (1, Some(Some(_))) => own().count(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::Listener;

    #[test]
    fn only_a_group_alone_is_dealt_by_chance() {
        let listener =
            |group: Option<&str>| Listener { pid: 1, group: group.map(str::to_owned), ..Listener::default() };
        let of = |listeners| Snapshot { listeners, ..Snapshot::default() };
        assert_eq!(shards(&of(vec![listener(Some("a")), listener(Some("a"))]), 1), 2);
        assert_eq!(shards(&of(vec![listener(Some("a")), listener(Some("a")), listener(None)]), 1), 0);
        assert_eq!(shards(&of(vec![listener(None)]), 1), 0);
    }
}
