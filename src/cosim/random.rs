//! Seeded choices of model drivers.

use rand::{RngExt, SeedableRng};
use rand_pcg::Pcg64Mcg;

/// A seeded source of choices.
#[derive(Debug, Clone)]
pub struct Random(Pcg64Mcg);

impl Random {
    /// A stream of choices of its own for every seed and purpose.
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self(Pcg64Mcg::seed_from_u64(seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }

    /// A number of `width` bits, at most 64.
    pub fn bits(&mut self, width: u32) -> u64 {
        self.0.random::<u64>() >> (64 - width.clamp(1, 64))
    }

    /// A number from 0 to `bound - 1`.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.0.random_range(0..bound.max(1))
    }

    /// True in `numerator` of `denominator` cases.
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator
    }
}

/// When one end of a stream is willing: bursts at full speed, gaps, and everything between.
#[derive(Debug, Clone)]
pub struct Pace {
    random: Random,
    /// Willing in so many of eight cycles.
    eighths: u64,
    cycles: u64,
}

impl Pace {
    /// A pace of its own for every seed and purpose.
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self { random: Random::new(seed, purpose), eighths: 8, cycles: 0 }
    }

    /// Whether this end is willing in the next cycle.
    pub fn willing(&mut self) -> bool {
        if self.cycles == 0 {
            self.cycles = 1 + self.random.below(100);
            self.eighths = [1, 4, 7, 8, 8][self.random.below(5) as usize];
        }
        self.cycles -= 1;
        self.random.chance(self.eighths, 8)
    }
}
