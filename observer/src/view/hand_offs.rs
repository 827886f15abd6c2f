//! Who hands connections to whom, read from the connections that ended last.

use std::collections::BTreeMap;

use crate::model::snapshot::Snapshot;

/// One step from thread to thread.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HandOff {
    /// The thread that had the connection before.
    pub from: u32,
    /// The threads that had it after, and how many connections, the most first.
    pub to: Vec<(u32, usize)>,
}

impl HandOff {
    /// Connections that went this way.
    pub(crate) fn total(&self) -> usize {
        self.to.iter().map(|(_, count)| count).sum()
    }

    /// Whether all of them stayed with the thread that had them.
    pub(crate) fn stays(&self) -> bool {
        self.to.iter().all(|(to, _)| *to == self.from)
    }
}

/// From the thread that accepted to the thread that first read.
pub(crate) fn accept_to_read(snapshot: &Snapshot) -> Vec<HandOff> {
    collect(
        snapshot
            .recent
            .iter()
            .filter_map(|connection| Some((connection.acceptor.as_ref()?.tid, *connection.readers.first()?))),
    )
}

/// From the thread that first read to the thread that first wrote.
pub(crate) fn read_to_write(snapshot: &Snapshot) -> Vec<HandOff> {
    collect(
        snapshot
            .recent
            .iter()
            .filter_map(|connection| Some((*connection.readers.first()?, *connection.writers.first()?))),
    )
}

fn collect(steps: impl Iterator<Item = (u32, u32)>) -> Vec<HandOff> {
    let mut counts: BTreeMap<u32, BTreeMap<u32, usize>> = BTreeMap::new();
    for (from, to) in steps {
        *counts.entry(from).or_default().entry(to).or_default() += 1;
    }
    let mut found: Vec<HandOff> = counts
        .into_iter()
        .map(|(from, to)| {
            let mut to: Vec<(u32, usize)> = to.into_iter().collect();
            to.sort_by_key(|(tid, count)| (std::cmp::Reverse(*count), *tid));
            HandOff { from, to }
        })
        .collect();
    found.sort_by_key(|step| (std::cmp::Reverse(step.total()), step.from));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_way_comes_first() {
        let steps = [(1, 2), (1, 3), (1, 3), (7, 7)];
        let found = collect(steps.into_iter());
        assert_eq!(found[0], HandOff { from: 1, to: vec![(3, 2), (2, 1)] });
        assert!(!found[0].stays());
        assert!(found[1].stays());
    }
}
