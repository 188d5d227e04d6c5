//! Values for workloads that carry only counts: seeded importance and probabilities.
//!
//! The top-k engines run on real numbers; when a trace has none, these stand in. Token importance
//! is uniform (only its order matters). Probabilities are those of scores drawn from a normal
//! distribution, quantised to the datapath's unsigned fixed point, so that ties are as frequent as
//! in the hardware.

use attelier_workloads::draw::split_mix;
use attelier_workloads::request::Request;
use rand::Rng;
use rand_pcg::Pcg64Mcg;
use statrs::distribution::{ContinuousCDF, Normal};

use super::{Importance, PassId, Probabilities};
use crate::designs::spatten::plan::Job;

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

    /// Importance of `n` tokens.
    fn importance(&self, key: u64, n: usize) -> Vec<u64> {
        let mut stream = self.stream(key);
        (0..n).map(|_| u64::from(stream.next_u32())).collect()
    }

    /// Probabilities of one row of `n` scores as unsigned fixed point of `bits` bits.
    fn probabilities(&self, key: u64, n: usize, bits: u32) -> Vec<u16> {
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

/// What a draw is for; part of its key.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    Tokens,
    Heads,
    Unexplained,
    Probabilities,
}

/// A key for seeded draws: unique per request and purpose.
fn key(request: &Request, purpose: Purpose) -> u64 {
    let head = u64::from(request.layer) << 12 | u64::from(request.head & 0xfff);
    u64::from(request.iteration) << 34 | head << 4 | purpose as u64
}

impl Importance for SeededValues {
    fn decides(&self) -> bool {
        false
    }

    fn pivot_seed(&self) -> u16 {
        (split_mix(self.seed) >> 48) as u16
    }

    fn of_tokens(&self, _at: usize, request: &Request, n: usize) -> Vec<u64> {
        self.importance(key(request, Purpose::Tokens), n)
    }

    fn of_heads(&self, _at: usize, request: &Request, n: usize) -> Vec<u64> {
        self.importance(key(request, Purpose::Heads), n)
    }

    fn unexplained(&self, _at: usize, request: &Request, n: usize) -> Vec<u64> {
        self.importance(key(request, Purpose::Unexplained), n)
    }
}

/// Seeded probabilities of the passes of a plan.
#[derive(Debug)]
pub struct SeededRows<'a> {
    seeded: &'a SeededValues,
    jobs: &'a [Job],
    requests: &'a [Request],
    word_bits: u32,
    row: Vec<u16>,
}

impl<'a> SeededRows<'a> {
    /// Rows of words of `word_bits` bits for `jobs`, planned from `requests`.
    pub fn new(
        seeded: &'a SeededValues,
        jobs: &'a [Job],
        requests: &'a [Request],
        word_bits: u32,
    ) -> Self {
        Self { seeded, jobs, requests, word_bits, row: Vec::new() }
    }
}

impl Probabilities for SeededRows<'_> {
    fn repeats(&self) -> bool {
        true
    }

    fn row(&mut self, pass: PassId) -> &[u16] {
        let job = &self.jobs[pass.job as usize];
        let request = &self.requests[job.request as usize + usize::from(pass.head)];
        let key = key(request, Purpose::Probabilities) ^ u64::from(pass.query) << 40;
        self.row = self.seeded.probabilities(key, job.keys as usize, self.word_bits);
        &self.row
    }

    /// Never asked: a workload of counts tells which passes are flat.
    fn is_flat(&mut self, _pass: PassId) -> bool {
        false
    }

    fn keep(&mut self, _pass: PassId, _kept: &[u32]) {}

    fn finish(&mut self, _pass: PassId) {}
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
