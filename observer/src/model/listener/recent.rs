//! Waits in the accept queue of the last moments, whoever looks how often.

use crate::model::histogram::Histogram;

/// They are counted over this long at least, and twice as long at most.
const WINDOW_NS: u64 = 1_000_000_000;

/// All waits as they were at two instants: the earlier is a window ago or longer, once one has passed.
#[derive(Debug, Default)]
pub(super) struct Recent {
    /// None while nobody was accepted.
    marks: Option<Box<[(u64, Histogram); 2]>>,
}

impl Recent {
    /// Takes over all waits until now, and returns those of the last window.
    pub(super) fn of(&mut self, time_ns: u64, all: &Histogram) -> Histogram {
        if all.total() == 0 {
            return Histogram::default();
        }
        let marks = self.marks.get_or_insert_with(Box::default);
        if time_ns.saturating_sub(marks[1].0) >= WINDOW_NS {
            marks.swap(0, 1);
            marks[1] = (time_ns, all.clone());
        }
        all.since(&marks[0].1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waited_long_ago_does_not_count() {
        let (mut recent, mut all) = (Recent::default(), Histogram::default());
        let mut told = Vec::new();
        for (tick, accepted) in (20..32).zip([4, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]) {
            all.add(5, accepted);
            told.push(recent.of(tick * WINDOW_NS / 4, &all).total());
        }
        assert_eq!(told, [4, 4, 4, 4, 2, 2, 2, 2, 0, 0, 0, 0]);
    }
}
