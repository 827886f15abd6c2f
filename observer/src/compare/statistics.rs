//! What few repetitions can tell: exact rank tests, corrected for their number.
//!
//! Latencies and rates of a busy machine are not normal, and there are a handful of repetitions, so nothing here
//! supposes a distribution. The Mann-Whitney test asks one thing: if the two names were given out at random among
//! these very values, how often would they fall apart at least as far? That is counted, over all ways of giving them
//! out, not approximated. Its price is plain: of n and n values that do not overlap at all, p is 2 / C(2n, n), and
//! nothing makes it smaller.
//!
//! Rounds are blocks, and the test does not look at them. A drift of the machine then lies in both groups alike and
//! makes them overlap more: it can hide a difference, but not make one.

/// Chance of a false alarm that is accepted, over all comparisons of a run together.
pub const ALPHA: f64 = 0.05;

/// Two-sided p of the exact Mann-Whitney test; ties share their ranks. None if a side is empty.
pub fn mann_whitney(left: &[f64], right: &[f64]) -> Option<f64> {
    if left.is_empty() || right.is_empty() {
        return None;
    }
    let ranks = doubled_ranks(left, right);
    let seen: usize = ranks.iter().take(left.len()).sum();
    let ways = ways_to_sum(&ranks, left.len());
    // Twice the mean of a rank is n + 1.
    let mean = left.len() * (ranks.len() + 1);
    let far = seen.abs_diff(mean);
    let total: f64 = ways.iter().sum();
    let extreme: f64 = (0..)
        .zip(&ways)
        .filter(|(sum, _): &(usize, _)| sum.abs_diff(mean) >= far)
        .map(|(_, ways)| ways)
        .sum();
    Some((extreme / total).min(1.0))
}

/// Twice the rank of each value, so that the shared rank of ties is whole; those of `left` come first.
fn doubled_ranks(left: &[f64], right: &[f64]) -> Vec<usize> {
    let all: Vec<f64> = left.iter().chain(right).copied().collect();
    let below = |value: f64| all.iter().filter(|other| **other < value).count();
    let equal = |value: f64| all.iter().filter(|other| **other == value).count();
    // Ranks b + 1 to b + e have the mean b + (e + 1) / 2.
    all.iter().map(|value| 2 * below(*value) + equal(*value) + 1).collect()
}

/// For each sum, in how many ways `count` of the ranks make it.
fn ways_to_sum(ranks: &[usize], count: usize) -> Vec<f64> {
    let most: usize = ranks.iter().sum();
    let mut ways = vec![vec![0.0; most + 1]; count + 1];
    ways[0][0] = 1.0;
    for (taken, rank) in (1..).zip(ranks) {
        // Downwards, so that no rank is used twice.
        for size in (1..=count.min(taken)).rev() {
            let (smaller, larger) = ways.split_at_mut(size);
            let (Some(from), Some(to)) = (smaller.last(), larger.first_mut()) else { continue };
            for (sum, ways) in (0..).zip(from).filter(|(_, ways)| **ways > 0.0) {
                let sum: usize = sum;
                to[sum + rank] += ways;
            }
        }
    }
    ways.pop().unwrap_or_default()
}

/// The smallest p that so many values against so many can have: none of one overlaps the other.
pub fn smallest_p(left: usize, right: usize) -> f64 {
    let ways = (1..=left).fold(1.0, |ways, k| ways * (right + k) as f64 / k as f64);
    (2.0 / ways).min(1.0)
}

/// The fewest repetitions of each with which any of so many comparisons can be told from noise.
pub fn fewest_repetitions(comparisons: usize) -> u32 {
    let enough = |n: &u32| smallest_p(*n as usize, *n as usize) * comparisons as f64 <= ALPHA;
    // C(2n, n) grows by almost four with each n: sixty-four settle any number of comparisons.
    (1..64).find(enough).unwrap_or(64)
}

/// Holm's correction: with these in place of the p's, the chance that even one of all those at or below a level is
/// a false alarm is no more than that level, however the comparisons hang together.
pub fn holm(ps: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..ps.len()).collect();
    order.sort_by(|a, b| ps[*a].total_cmp(&ps[*b]));
    let mut adjusted = vec![1.0; ps.len()];
    let mut largest: f64 = 0.0;
    for (done, index) in order.into_iter().enumerate() {
        largest = largest.max(ps[index] * (ps.len() - done) as f64).min(1.0);
        adjusted[index] = largest;
    }
    adjusted
}

/// The middle value, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let half = sorted.len() / 2;
    match sorted.len() {
        0 => None,
        n if n % 2 == 1 => sorted.get(half).copied(),
        _ => Some(f64::midpoint(*sorted.get(half - 1)?, *sorted.get(half)?)),
    }
}

/// How far `right` lies above `left`: the median of all differences between one of each (Hodges and Lehmann).
pub fn shift(left: &[f64], right: &[f64]) -> Option<f64> {
    let differences: Vec<f64> =
        right.iter().flat_map(|right| left.iter().map(move |left| right - left)).collect();
    median(&differences)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn near(found: f64, expected: f64) {
        assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
    }

    fn p(left: &[f64], right: &[f64]) -> f64 {
        mann_whitney(left, right).unwrap()
    }

    #[test]
    fn apart_altogether_is_the_smallest_p() {
        // 2 / C(2n, n): 2/6, 2/20, 2/70, 2/252, 2/924.
        for (n, expected) in [(2, 1.0 / 3.0), (3, 0.1), (4, 2.0 / 70.0), (5, 2.0 / 252.0), (6, 2.0 / 924.0)] {
            let left: Vec<f64> = (0..n).map(f64::from).collect();
            let right: Vec<f64> = (0..n).map(|k| f64::from(k) + 100.0).collect();
            near(p(&left, &right), expected);
            near(p(&right, &left), expected);
            near(smallest_p(left.len(), right.len()), expected);
        }
    }

    #[test]
    fn known_values() {
        // U = 1 of 3 and 3: sums 6 and 7 of {1..6} in 1 + 1 of 20 ways, and the mirror images.
        near(p(&[1.0, 2.0, 4.0], &[3.0, 5.0, 6.0]), 0.2);
        // Tables of the rank-sum test: 4 and 5 values, U = 2: 4 of 126 ways on one side.
        near(p(&[1.0, 2.0, 3.0, 6.0], &[4.0, 5.0, 7.0, 8.0, 9.0]), 8.0 / 126.0);
        // In the middle: nothing could be less surprising.
        near(p(&[1.0, 4.0], &[2.0, 3.0]), 1.0);
    }

    #[test]
    fn ties_are_counted_exactly() {
        near(p(&[5.0, 5.0, 5.0], &[5.0, 5.0, 5.0]), 1.0);
        // Of the C(4, 2) = 6 ways to choose two of {1, 2, 2, 3} (ranks 1, 2.5, 2.5, 4), the sums 3.5, 3.5, 5, 5, 6.5, 6.5
        // are 1.5, 0 and 1.5 away from the mean 5.
        near(p(&[1.0, 2.0], &[2.0, 3.0]), 4.0 / 6.0);
    }

    #[test]
    fn every_p_is_honest() {
        // Under chance, p ≤ x in at most x of all ways; here all C(8, 4) = 70 of them.
        let values: Vec<f64> = (0..8).map(f64::from).collect();
        let mut ps = Vec::new();
        for mask in (0_u32..256).filter(|mask| mask.count_ones() == 4) {
            let side = |wanted: bool| -> Vec<f64> {
                let chosen = |k: &usize| (mask >> k & 1 == 1) == wanted;
                (0..8).filter(chosen).map(|k| values[k]).collect()
            };
            ps.push(p(&side(true), &side(false)));
        }
        assert_eq!(ps.len(), 70);
        for level in &ps {
            let share = ps.iter().filter(|p| *p <= level).count() as f64 / 70.0;
            near(share, *level);
        }
    }

    #[test]
    fn nothing_is_compared_with_nothing() {
        assert_eq!(mann_whitney(&[], &[1.0]), None);
        assert_eq!(shift(&[], &[1.0]), None);
        assert_eq!(median(&[]), None);
        assert_eq!(holm(&[]), Vec::<f64>::new());
    }

    #[test]
    fn holm_steps_down() {
        // The textbook's example: 0.01, 0.04, 0.03, 0.005 become 0.03, 0.06, 0.06, 0.02.
        let adjusted = holm(&[0.01, 0.04, 0.03, 0.005]);
        for (found, expected) in adjusted.iter().zip([0.03, 0.06, 0.06, 0.02]) {
            near(*found, expected);
        }
        assert!(holm(&[0.9, 0.8]).iter().all(|p| *p == 1.0));
    }

    #[test]
    fn fewer_repetitions_would_tell_nothing() {
        for (comparisons, expected) in [(1, 4), (11, 6), (44, 7), (132, 8)] {
            let n = fewest_repetitions(comparisons);
            assert_eq!(n, expected, "{comparisons}");
            let fewer = (n - 1) as usize;
            assert!(smallest_p(fewer, fewer) * comparisons as f64 > ALPHA);
        }
    }

    #[test]
    fn medians_and_shifts() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!(shift(&[1.0, 2.0, 3.0], &[11.0, 12.0, 13.0]), Some(10.0));
        // One wild value moves a mean, not this.
        assert_eq!(shift(&[1.0, 2.0, 3.0], &[11.0, 12.0, 1e9]), Some(10.0));
    }

    #[test]
    fn many_repetitions_are_still_counted_exactly() {
        let left: Vec<f64> = (0..30).map(f64::from).collect();
        let right: Vec<f64> = (0..30).map(|k| f64::from(k) + 0.5).collect();
        let p = p(&left, &right);
        assert!((0.5..1.0).contains(&p), "{p}");
    }
}
