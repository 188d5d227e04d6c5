//! Values for workloads that carry only counts: seeded importance and probabilities.
//!
//! The top-k engines run on real numbers; when a trace has none, these stand in. Token importance
//! is uniform (only its order matters). Probabilities are those of scores drawn from a normal
//! distribution, quantised to the datapath's unsigned fixed point, so that ties are as frequent as
//! in the hardware.

use attelier_workloads::draw::split_mix;
use rand::Rng;
use rand_pcg::Pcg64Mcg;
use statrs::distribution::{ContinuousCDF, Normal};

/// Standard deviation of the scores that seeded probabilities come from.
pub const SCORE_DEVIATION: f64 = 1.0;

const QUANTILES: usize = 4096;

/// A seeded source of values. Every draw is a function of the seed and its key alone.
#[derive(Debug, Clone)]
pub struct SeededValues {
    seed: u64,
    /// `exp(score)` over its mean, at equally likely scores.
    exponentials: Vec<f32>,
}

impl SeededValues {
    /// Values of `seed`.
    pub fn new(seed: u64) -> Self {
        let normal = Normal::new(0.0, SCORE_DEVIATION).expect("a positive standard deviation");
        let scores =
            (0..QUANTILES).map(|i| normal.inverse_cdf((i as f64 + 0.5) / QUANTILES as f64));
        let exponentials: Vec<f64> = scores.map(f64::exp).collect();
        let mean = exponentials.iter().sum::<f64>() / QUANTILES as f64;
        Self { seed, exponentials: exponentials.iter().map(|e| (e / mean) as f32).collect() }
    }

    fn stream(&self, key: u64) -> Pcg64Mcg {
        Pcg64Mcg::new(
            u128::from(split_mix(self.seed)) << 64 | u128::from(split_mix(key ^ self.seed)),
        )
    }

    /// A start value for the pivot generator.
    pub fn pivot_seed(&self) -> u16 {
        (split_mix(self.seed) >> 48) as u16
    }

    /// Importance of `n` tokens.
    pub fn importance(&self, key: u64, n: usize) -> Vec<u32> {
        let mut stream = self.stream(key);
        (0..n).map(|_| stream.next_u32()).collect()
    }

    /// Probabilities of one row of `n` scores as unsigned fixed point of `bits` bits.
    pub fn probabilities(&self, key: u64, n: usize, bits: u32) -> Vec<u16> {
        let mut stream = self.stream(key);
        let one = (1u32 << bits) as f32;
        let scale = one / n as f32;
        let mut row = Vec::with_capacity(n);
        while row.len() < n {
            let mut random = stream.next_u64();
            for _ in 0..5.min(n - row.len()) {
                let exponential = self.exponentials[random as usize % QUANTILES];
                random >>= 12;
                row.push((exponential * scale).min(one - 1.0) as u16);
            }
        }
        row
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn probabilities_sum_to_about_one() {
        let row = SeededValues::new(7).probabilities(3, 1000, 12);
        let sum: f64 = row.iter().map(|&p| f64::from(p) / 4096.0).sum();
        // Truncation loses half a unit per element: 1000 / 2 / 4096 = 0.12.
        assert!((0.8..1.0).contains(&sum), "{sum}");
    }

    #[test]
    fn draws_depend_on_seed_and_key_only() {
        let values = SeededValues::new(7);
        assert_eq!(values.importance(1, 9), values.importance(1, 9));
        assert_ne!(values.importance(1, 9), values.importance(2, 9));
        assert_ne!(values.importance(1, 9), SeededValues::new(8).importance(1, 9));
    }
}
