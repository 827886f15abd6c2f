//! How far from even chance alone takes shares.
//!
//! With SO_REUSEPORT the kernel picks a shard by the hash of the addresses, so the number of connections that a shard
//! gets is binomial: of n connections over k shards, n/k on average, with a standard deviation of √(n·p·(1−p)).

/// The share that is even, and the band around it.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize)]
pub struct Band {
    /// The even share.
    pub even: f64,
    /// Two standard deviations.
    pub two_sd: f64,
}

impl Band {
    /// The band of `accepts` connections dealt over `shards` by chance.
    pub fn new(accepts: u64, shards: usize) -> Self {
        let even = 1.0 / shards.max(1) as f64;
        Self { even, two_sd: 2.0 * (even * (1.0 - even) / accepts.max(1) as f64).sqrt() }
    }

    /// Whether chance explains a share.
    pub fn holds(&self, share: f64) -> bool {
        (share - self.even).abs() <= self.two_sd
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_band_is_binomial() {
        // 1000 over 4: 250 ± 27.4, that is 25 % ± 2.74 %.
        let band = Band::new(1_000, 4);
        assert!((band.even - 0.25).abs() < 1e-9 && (band.two_sd - 0.02739).abs() < 1e-4);
        assert!(band.holds(0.263) && band.holds(0.225) && !band.holds(0.29));
    }
}
