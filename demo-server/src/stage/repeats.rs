//! Errors that repeat: each is written when it has come up for the first, second, fourth, eighth time, and so on. So what
//! a run writes is bounded, whatever repeats in it, and how often.

use std::collections::BTreeMap;

/// Most errors that are told apart.
const APART: usize = 16;

/// How often which error has come up.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    counts: BTreeMap<String, u64>,
    /// Of all that are not told apart.
    others: u64,
}

impl Repeats {
    /// Counts an error. Returns what is to be written of it now, if anything.
    pub(super) fn note(&mut self, what: &str) -> Option<String> {
        if !self.counts.contains_key(what) && self.counts.len() == APART {
            self.others += 1;
            let is_due = self.others.is_power_of_two();
            return is_due.then(|| format!("{what} ({} errors of other kinds so far)", self.others));
        }
        let count = self.counts.entry(what.to_owned()).or_default();
        *count += 1;
        match *count {
            1 => Some(what.to_owned()),
            count => count.is_power_of_two().then(|| format!("{what} ({count} times so far)")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_million_of_one_kind_are_twenty_lines() {
        let mut repeats = Repeats::default();
        let lines: Vec<String> = (0..1_000_000).filter_map(|_| repeats.note("no")).collect();
        assert_eq!(lines.len(), 20);
        assert_eq!(lines[..3], ["no", "no (2 times so far)", "no (4 times so far)"]);
        assert_eq!(repeats.note("another").as_deref(), Some("another"));
    }

    #[test]
    fn a_million_of_a_million_kinds_are_few_lines_too() {
        let mut repeats = Repeats::default();
        let lines = (0..1_000_000).filter_map(|number| repeats.note(&format!("no {number}"))).count();
        assert_eq!(lines, APART + 20);
        assert_eq!(repeats.counts.len(), APART);
    }
}
