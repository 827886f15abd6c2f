//! Connections whose peer's window is closed: looked for when the kernel probes windows, and looked at until they are open.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::{Duration, Instant},
};

use super::{maps::Maps, probed::PER_RUN, probes::Probes};
use crate::model::event::{ClosedWindows, Event};

/// All connections are looked at no more often than this.
const APART: Duration = Duration::from_secs(1);

/// What was told last, and when all connections were last looked at.
#[derive(Debug, Default)]
pub(super) struct Windows {
    /// Some were closed: that none is any more is news too.
    told: bool,
    /// When, and how many probes had been counted then.
    searched: Option<(Instant, u64)>,
}

impl Windows {
    /// Looks at each connection whose window was closed, and forgets those whose window is open. `sent` is how many
    /// probes the watched namespaces have counted.
    pub(super) fn look(
        &mut self,
        sent: u64,
        probes: &mut Probes,
        maps: &mut Maps,
        sink: &mut impl FnMut(Event),
    ) {
        if !probes.uses("closed_window") {
            return;
        }
        let mut socks: BTreeSet<u64> = maps.closed_windows().collect();
        if !probes.has_program("closed_window", "send_probe") && self.is_to_search(sent) {
            socks.extend(maps.connection_socks());
        }
        let socks: Vec<u64> = socks.into_iter().collect();
        socks.chunks(PER_RUN).for_each(|socks| {
            probes.run("look_at_windows", socks);
        });
        let found = count(maps);
        if self.told || !found.is_empty() {
            self.told = !found.is_empty();
            sink(Event::ClosedWindows(found));
        }
    }

    /// Whether a probe was sent since all connections were last looked at, and that was not just now.
    fn is_to_search(&mut self, sent: u64) -> bool {
        let now = Instant::now();
        let due = match self.searched {
            None => sent > 0,
            Some((then, before)) => sent != before && now.duration_since(then) >= APART,
        };
        if due {
            self.searched = Some((now, sent));
        }
        due
    }
}

/// What the look found, by listener.
fn count(maps: &mut Maps) -> Vec<ClosedWindows> {
    let mut closed: BTreeMap<u64, ClosedWindows> = BTreeMap::new();
    for sock in maps.closed_windows().collect::<Vec<_>>() {
        let Some(window) = maps.closed_window(sock) else { continue };
        if window.waiting == 0 {
            maps.forget_window(sock);
        } else if window.listener != 0 {
            let fresh = ClosedWindows { since_ns: window.since_ns, ..ClosedWindows::default() };
            let sum = closed.entry(window.listener).or_insert(fresh);
            sum.listener = window.listener;
            sum.connections += 1;
            sum.bytes += u64::from(window.waiting);
            sum.since_ns = sum.since_ns.min(window.since_ns);
        }
    }
    closed.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_connections_are_looked_at_only_when_a_probe_was_sent() {
        let mut windows = Windows::default();
        assert!(!windows.is_to_search(0));
        assert!(windows.is_to_search(3));
        assert!(!windows.is_to_search(4), "that was just now");
        windows.searched = Instant::now().checked_sub(APART).map(|then| (then, 4));
        assert!(!windows.is_to_search(4));
        assert!(windows.is_to_search(5));
    }
}
