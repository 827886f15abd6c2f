//! The stages of a moment, packed: of some 1,700 buckets a listener fills a few dozen in a second.

use observer_ebpf::histogram::{BUCKETS, range};

use crate::model::histogram::Histogram;
use crate::model::snapshot::stage::STAGES;

/// Histograms of all stages, indexed as in [`stage`](crate::model::snapshot::stage).
pub(crate) type Stages = [Histogram; STAGES];

/// The buckets that are not empty, in order: stage and bucket as one number, and how many.
#[derive(Debug, Clone, Default)]
pub(super) struct Durations(Vec<(u16, u32)>);

impl Durations {
    /// Adds what is in these histograms.
    pub(super) fn add(&mut self, stages: &Stages) {
        let mut more = Vec::new();
        for (index, stage) in stages.iter().enumerate().filter(|(_, stage)| stage.total() > 0) {
            let place = |bucket: usize| (index * BUCKETS + bucket) as u16;
            let pack = |(bucket, count)| (place(bucket), u32::try_from(count).unwrap_or(u32::MAX));
            more.extend(stage.filled().map(pack));
        }
        self.merge(&Self(more));
    }

    /// Adds another's.
    pub(super) fn merge(&mut self, other: &Self) {
        self.0.extend_from_slice(&other.0);
        // Two runs in order, one after the other: a sort that sees that only merges them.
        self.0.sort_by_key(|(place, _)| *place);
        self.0.dedup_by(|(place, count), (into, sum)| {
            let same = place == into;
            if same {
                *sum = sum.saturating_add(*count);
            }
            same
        });
    }

    /// Adds them to these histograms. The longest of a bucket is known to the bucket's end.
    pub(super) fn add_to(&self, stages: &mut Stages) {
        for (place, count) in &self.0 {
            let (index, bucket) = (usize::from(*place) / BUCKETS, usize::from(*place) % BUCKETS);
            if let Some(stage) = stages.get_mut(index) {
                stage.add(bucket, u64::from(*count));
                stage.raise_longest(range(bucket).1);
            }
        }
    }

    /// Memory that it takes.
    pub(super) fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<(u16, u32)>()
    }
}

#[cfg(test)]
mod tests {
    use observer_ebpf::histogram::bucket;

    use super::*;

    #[test]
    fn what_is_packed_comes_out_again() {
        let mut stages = Stages::default();
        for (index, ns, count) in [(0, 90, 3), (1, 5_000, 7), (1, 90_000_000, 1), (5, u64::MAX, 2)] {
            stages[index].add(bucket(ns), count);
            stages[index].raise_longest(range(bucket(ns)).1);
        }
        let mut packed = Durations::default();
        packed.add(&stages);
        packed.add(&stages);
        assert_eq!(packed.0.len(), 4);
        let mut twice = stages.clone();
        twice.iter_mut().zip(&stages).for_each(|(sum, stage)| sum.merge(stage));
        let mut out = Stages::default();
        packed.add_to(&mut out);
        assert_eq!(out, twice);
    }
}
