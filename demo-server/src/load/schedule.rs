//! When requests are due, fixed in advance.

use std::time::Duration;

use super::plan::Plan;
use super::profile::{Mode, Shape};

/// The times at which requests are due, as distances from the start of the run, in order.
#[derive(Debug)]
pub(super) struct Schedule {
    /// Mean arrivals per second.
    rate: f64,
    /// Length of the run in seconds.
    length: f64,
    shape: Shape,
    /// Requests due at each arrival.
    batch: u32,
    random: Option<SplitMix>,
    /// Arrivals that the mean rate makes due until the next one: a whole number of them, or random steps.
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
        let length = plan.duration.as_secs_f64();
        let mut schedule = Self { rate: plan.rate, length, shape: plan.shape, batch, random, next: 0.0 };
        if schedule.random.is_some() {
            schedule.advance();
        }
        Some(schedule)
    }

    /// When the next requests are due.
    pub(super) fn due(&self) -> Duration {
        // The inverse of the arrivals expected by a time. It serves random arrivals as well: a Poisson process of any
        // rate is one of rate 1 on another clock.
        let even = self.next / self.rate;
        let seconds = match self.shape {
            Shape::Flat => even,
            Shape::Ramp => (even * self.length).sqrt(),
            Shape::Step if even < self.length / 4.0 => even * 2.0,
            Shape::Step => self.length / 2.0 + (even - self.length / 4.0) / 1.5,
        };
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX)
    }

    /// How many are due then; and on to the next time.
    pub(super) fn take(&mut self) -> u32 {
        self.advance();
        self.batch
    }

    fn advance(&mut self) {
        self.next += match &mut self.random {
            // Exponential gaps make a Poisson process: the inverse of the distribution at a uniform point.
            Some(random) => -random.unit().ln(),
            None => 1.0,
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
    fn shapes_have_the_mean_rate_and_their_own_course() {
        // 100 a second for the default 10 seconds: 1000 in all, the last of them due just at the end.
        let ramp = times(&mut schedule("ramp", false, 1), 1001);
        assert!((ramp[1000] - 10.0).abs() < 1e-6, "{}", ramp[1000]);
        assert!((ramp[250] - 5.0).abs() < 1e-6, "a quarter in the first half: {}", ramp[250]);
        let step = times(&mut schedule("step", false, 1), 1001);
        assert!((step[1000] - 10.0).abs() < 1e-6, "{}", step[1000]);
        assert!((step[250] - 5.0).abs() < 1e-6, "{}", step[250]);
        assert!((step[100] - 2.0).abs() < 1e-6 && (step[400] - 6.0).abs() < 1e-6, "50, then 150 a second");
    }

    #[test]
    fn a_burst_is_due_at_once() {
        let mut burst = schedule("burst", false, 1);
        assert_eq!(burst.take(), 200);
        assert!((burst.due().as_secs_f64() - 0.01).abs() < 1e-9);
    }
}
