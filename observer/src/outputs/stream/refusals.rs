//! Which refusals of a listener are told in lines, so that the counts of all lines add up.
//!
//! What could have one of several causes often has one when the counters are read the next time, because they are not
//! read at one instant. So a count without a certain cause waits for one more reading, and what was told without one is
//! not told again with it.

use std::collections::HashMap;

use crate::model::drops::Drop;

/// What was told of one listener.
#[derive(Debug, Default)]
pub(super) struct Told {
    told: HashMap<&'static str, u64>,
    /// Counts without a certain cause at the last reading that were not told.
    waiting: HashMap<&'static str, u64>,
}

impl Told {
    /// What is to be told now: cause, count, and total of that cause. With `last` nothing waits any more.
    pub(super) fn next(&mut self, drops: &[Drop], last: bool) -> Vec<(&'static str, u64, u64)> {
        let sum: u64 = drops.iter().map(|drop| drop.count).sum();
        let mut left = sum.saturating_sub(self.told.values().sum());
        let waited = std::mem::take(&mut self.waiting);
        let mut lines = Vec::new();
        let certain = |drop: &&Drop| !drop.cause.contains("_or_");
        for drop in drops.iter().filter(certain).chain(drops.iter().filter(|drop| !certain(drop))) {
            let told = self.told.entry(drop.cause).or_default();
            let new = drop.count.saturating_sub(*told);
            let now = if last || certain(&drop) {
                new
            } else {
                new.min(waited.get(drop.cause).copied().unwrap_or(0))
            };
            let now = now.min(left);
            self.waiting.insert(drop.cause, new - now);
            if now > 0 {
                *told += now;
                left -= now;
                lines.push((drop.cause, now, *told));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SURE: &str = "accept_queue_full_syn";
    const UNSURE: &str = "accept_queue_full_syn_or_other";

    fn drops(sure: u64, unsure: u64) -> Vec<Drop> {
        vec![Drop { cause: SURE, count: sure }, Drop { cause: UNSURE, count: unsure }]
    }

    #[test]
    fn what_becomes_certain_is_told_once() {
        let mut told = Told::default();
        assert_eq!(told.next(&drops(5, 2), false), [(SURE, 5, 5)], "two wait");
        assert_eq!(told.next(&drops(7, 0), false), [(SURE, 2, 7)]);
        assert_eq!(told.next(&drops(7, 3), false), []);
        assert_eq!(told.next(&drops(7, 4), false), [(UNSURE, 3, 3)], "the fourth waits");
        assert_eq!(told.next(&drops(11, 0), false), [(SURE, 1, 8)], "three were told without a cause");
        assert_eq!(told.next(&drops(11, 2), true), [(SURE, 2, 10)], "and these are the last two");
        assert_eq!(told.next(&drops(11, 3), true), [(SURE, 1, 11)]);
        assert_eq!(told.next(&drops(11, 6), true), [(UNSURE, 3, 6)], "the last lines hold nothing back");
    }
}
