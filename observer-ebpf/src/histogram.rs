//! Log-linear buckets for durations, the same arithmetic in the kernel and in userspace.
//!
//! Eight buckets per power of two, in units of 128 ns: a value is known to within 1/8 of itself, so reporting the
//! middle of a bucket is off by at most 6.25 %. The first eight buckets are 128 ns wide each. Values past the last
//! bucket (about 2.4 hours) are counted in it; the exact maximum is kept beside the buckets.

/// Number of buckets.
pub const BUCKETS: usize = 280;
/// Sub-buckets per power of two, as a power of two.
const SUB_BITS: u32 = 3;
/// Nanoseconds per unit, as a power of two.
const UNIT_BITS: u32 = 7;

/// The bucket of a duration of `ns` nanoseconds; always less than [`BUCKETS`].
pub fn bucket(ns: u64) -> usize {
    unbounded(ns).min(BUCKETS - 1)
}

/// The bucket that a duration would have if there were enough of them. The kernel half bounds it in its own way.
#[inline(always)]
pub fn unbounded(ns: u64) -> usize {
    let units = ns >> UNIT_BITS;
    let index = if units < 1 << SUB_BITS {
        units
    } else {
        let exponent = 63 - units.leading_zeros() as u64;
        let sub = (units >> (exponent - SUB_BITS as u64)) & ((1 << SUB_BITS) - 1);
        ((exponent - SUB_BITS as u64 + 1) << SUB_BITS) + sub
    };
    index as usize
}

/// The half-open range of nanoseconds that bucket `index` counts; the last bucket has no upper end but this one.
pub fn range(index: usize) -> (u64, u64) {
    let index = index as u64;
    let (low, width) = if index < 1 << SUB_BITS {
        (index, 1)
    } else {
        let exponent = (index >> SUB_BITS) - 1;
        let sub = index & ((1 << SUB_BITS) - 1);
        (((1 << SUB_BITS) + sub) << exponent, 1 << exponent)
    };
    (low << UNIT_BITS, (low + width) << UNIT_BITS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bucket_holds_its_own_range() {
        for index in 0..BUCKETS {
            let (low, high) = range(index);
            assert_eq!(bucket(low), index, "low end of {index}");
            assert_eq!(bucket(high - 1), index, "high end of {index}");
        }
    }

    #[test]
    fn ranges_join_without_gaps() {
        for index in 1..BUCKETS {
            assert_eq!(range(index - 1).1, range(index).0);
        }
    }

    #[test]
    fn width_is_at_most_an_eighth() {
        for index in 8..BUCKETS {
            let (low, high) = range(index);
            assert!((high - low) * 8 <= low, "bucket {index}: {low}..{high}");
        }
    }

    #[test]
    fn extremes_are_clamped() {
        assert_eq!(bucket(0), 0);
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }
}
