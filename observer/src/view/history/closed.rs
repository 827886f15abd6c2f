//! Listeners that have closed stay on the screen for a while: the snapshot has a last line of theirs and then nothing,
//! and a row that vanishes within a frame is a row that nobody has seen.

use std::collections::HashSet;
use std::sync::Arc;

use crate::model::snapshot::{Listener, Rates, Snapshot};

/// How long they stay.
pub(crate) const KEPT_NS: u64 = 60_000_000_000;
/// Most of them; of more, the ones that closed last.
const MOST: usize = 32;

/// Adds to `now` the closed listeners that `before` had and `now` does not have any more, with their last totals.
///
/// A closed one is no part of its group: what is left of the group is judged by those that still listen.
pub(super) fn keep(before: &Snapshot, now: &mut Arc<Snapshot>) {
    let known: HashSet<u64> = now.listeners.iter().map(|listener| listener.cookie).collect();
    let recent = |listener: &&Listener| {
        listener.closed_ns.is_some_and(|closed_ns| closed_ns.saturating_add(KEPT_NS) > now.time_ns)
    };
    let gone = before.listeners.iter().filter(|listener| !known.contains(&listener.cookie));
    let mut kept: Vec<Listener> = gone.filter(recent).cloned().collect();
    if kept.is_empty() && now.listeners.iter().all(|listener| listener.closed_ns.is_none()) {
        return;
    }
    if kept.len() > MOST {
        kept.sort_by_key(|listener| std::cmp::Reverse(listener.closed_ns));
        kept.truncate(MOST);
        kept.sort_by_key(|listener| listener.cookie);
    }
    for listener in &mut kept {
        // What counts for a moment is over.
        listener.rates = Rates::default();
        listener.recent_wait_ns = None;
    }
    let now = Arc::make_mut(now);
    now.listeners.extend(kept);
    for listener in now.listeners.iter_mut().filter(|listener| listener.closed_ns.is_some()) {
        listener.group = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(time_s: u64, listeners: &[(u64, Option<u64>)]) -> Arc<Snapshot> {
        let listener = |(cookie, closed_s): &(u64, Option<u64>)| Listener {
            cookie: *cookie,
            closed_ns: closed_s.map(|closed_s| closed_s * 1_000_000_000),
            group: Some("g".to_owned()),
            enqueued: 7,
            rates: Rates { enqueued: 3.0, ..Rates::default() },
            ..Listener::default()
        };
        let listeners = listeners.iter().map(listener).collect();
        Arc::new(Snapshot { time_ns: time_s * 1_000_000_000, listeners, ..Snapshot::default() })
    }

    fn cookies(snapshot: &Snapshot) -> Vec<u64> {
        snapshot.listeners.iter().map(|listener| listener.cookie).collect()
    }

    #[test]
    fn a_closed_one_stays_a_minute_with_its_totals_and_without_rates() {
        let mut last = at(100, &[(1, None), (2, Some(100))]);
        keep(&Snapshot::default(), &mut last);
        assert_eq!((last.listeners[0].group.is_some(), last.listeners[1].group.is_some()), (true, false));
        let mut later = at(101, &[(1, None)]);
        keep(&last, &mut later);
        assert_eq!(cookies(&later), [1, 2]);
        let kept = &later.listeners[1];
        assert_eq!((kept.enqueued, kept.rates), (7, Rates::default()));
        let mut much_later = at(161, &[(1, None)]);
        keep(&later, &mut much_later);
        assert_eq!(cookies(&much_later), [1]);
    }

    #[test]
    fn one_that_vanished_without_closing_is_not_called_closed() {
        let mut now = at(2, &[]);
        keep(&at(1, &[(1, None)]), &mut now);
        assert!(now.listeners.is_empty());
    }

    #[test]
    fn there_are_never_more_than_can_be_read() {
        let many: Vec<(u64, Option<u64>)> = (1..=100).map(|cookie| (cookie, Some(cookie))).collect();
        let mut now = at(101, &[]);
        let last = Snapshot { time_ns: 0, ..(*at(100, &many)).clone() };
        keep(&last, &mut now);
        assert_eq!(cookies(&now), (69..=100).collect::<Vec<_>>());
    }
}
