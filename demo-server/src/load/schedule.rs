//! When requests are due, fixed in advance.

use std::time::Duration;

use super::plan::Plan;
use super::profile::Mode;

/// The times at which requests are due, as distances from the start of the run, in order.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Mean distance between two arrivals, in seconds.
    gap: f64,
    /// Requests due at each arrival.
    batch: u32,
    random: Option<SplitMix>,
    next: f64,
}

impl Schedule {
    /// The schedule of a plan; None for a closed loop.
    pub(super) fn of(plan: &Plan) -> Option<Self> {
        let batch = match plan.mode {
            Mode::Open => 1,
            Mode::Burst => plan.connections,
            Mode::Closed => return None,
        };
        let random = plan.poisson.then_some(SplitMix(plan.seed));
        let mut schedule = Self { gap: 1.0 / plan.rate, batch, random, next: 0.0 };
        if schedule.random.is_some() {
            schedule.advance();
        }
        Some(schedule)
    }

    /// When the next requests are due.
    pub(super) fn due(&self) -> Duration {
        Duration::try_from_secs_f64(self.next).unwrap_or(Duration::MAX)
    }

    /// How many are due then; and on to the next time.
    pub(super) fn take(&mut self) -> u32 {
        self.advance();
        self.batch
    }

    fn advance(&mut self) {
        self.next += match &mut self.random {
            // Exponential gaps make a Poisson process: the inverse of the distribution at a uniform point.
            Some(random) => -random.unit().ln() * self.gap,
            None => self.gap,
        };
    }
}

/// The generator SplitMix64 (Steele, Lea, Flood 2014): a few lines, and the same numbers everywhere for one seed.
#[derive(Debug)]
struct SplitMix(u64);

impl SplitMix {
    /// A number in (0, 1].
    fn unit(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        #[expect(clippy::cast_precision_loss, reason = "53 bits are what a float holds")]
        let unit = ((bits >> 11) + 1) as f64 / (1_u64 << 53) as f64;
        unit
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Overrides, Plan};

    fn schedule(profile: &str, poisson: bool, seed: u64) -> Schedule {
        let overrides = Overrides {
            rate: Some(100.0),
            poisson: poisson.then_some(true),
            seed: Some(seed),
            ..Overrides::default()
        };
        Schedule::of(&Plan::new("127.0.0.1:80".parse().unwrap(), profile, &overrides).unwrap()).unwrap()
    }

    fn times(schedule: &mut Schedule, count: usize) -> Vec<f64> {
        (0..count)
            .map(|_| {
                let due = schedule.due().as_secs_f64();
                schedule.take();
                due
            })
            .collect()
    }

    #[test]
    fn a_fixed_rate_is_equidistant_from_zero() {
        let times = times(&mut schedule("steady", false, 1), 1001);
        assert_eq!(times[0], 0.0);
        assert!((times[1000] - 10.0).abs() < 1e-6, "{}", times[1000]);
    }

    #[test]
    fn random_arrivals_have_the_rate_and_repeat_with_the_seed() {
        let first = times(&mut schedule("steady", true, 7), 10_000);
        // 10,000 exponential gaps of 10 ms have the mean within 1 ms, ten standard deviations.
        assert!((first[9_999] - 100.0).abs() < 10.0, "{}", first[9_999]);
        assert!(first.windows(2).all(|pair| pair[0] <= pair[1]));
        assert_eq!(first, times(&mut schedule("steady", true, 7), 10_000));
        assert_ne!(first, times(&mut schedule("steady", true, 8), 10_000));
    }

    #[test]
    fn a_burst_is_due_at_once() {
        let mut burst = schedule("burst", false, 1);
        assert_eq!(burst.take(), 200);
        assert!((burst.due().as_secs_f64() - 0.01).abs() < 1e-9);
    }
}
