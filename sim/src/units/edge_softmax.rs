//! Softmax of one pass of Edge-MoE (section IV-B of the paper).
//!
//! A row of scores passes once. The unit keeps the largest score so far and the sum of exponentials of
//! the distances to it; a new largest score scales the sum down. What is left for the reader of the scores is
//! one exponential and one product: exp(score - largest) times the reciprocal of the sum. Exponents are
//! never positive, so no exponential exceeds one.
//!
//! The first score meets a maximum of -512, and its sum of 0 makes whatever the exponential gives
//! harmless. The order of scores matters for the last bits.

use attelier_hw::edge_moe::formats::FEATURE;

use crate::datapath::fixed::{Fixed, ONE};
use crate::datapath::fixed_functions::{divide, exp_negative, reciprocal};

/// The state of one row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RunningSoftmax {
    fixed: Fixed,
    /// Largest score so far.
    maximum: i32,
    /// Sum of exponentials relative to it.
    sum: i32,
}

/// What is kept of a row: 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftmaxInfo {
    /// One over the sum of exponentials.
    pub factor: i32,
    /// Largest score.
    pub maximum: i32,
}

impl RunningSoftmax {
    /// The state before the first score.
    pub fn new(fixed: Fixed) -> Self {
        Self { fixed, maximum: i32::MIN, sum: 0 }
    }

    /// One score: one exponential and at most one product.
    pub fn push(&mut self, score: i32) {
        let exponential = exp_negative(score.abs_diff(self.maximum));
        if score > self.maximum {
            self.sum = self.fixed.fit(scaled(self.sum, exponential) + i64::from(ONE));
            self.maximum = score;
        } else {
            self.sum = self.fixed.add(self.sum, exponential);
        }
    }

    /// What is kept after the last score.
    pub fn info(&self) -> SoftmaxInfo {
        SoftmaxInfo { factor: reciprocal(self.fixed, self.sum), maximum: self.maximum }
    }

    /// Probability of one score of the row by a division of its own, as the gate takes it.
    pub fn probability(&self, score: i32) -> i32 {
        divide(self.fixed, distance(score, self.maximum), self.sum)
    }
}

impl SoftmaxInfo {
    /// Probability of one score of the row by the product with [`SoftmaxInfo::factor`].
    pub fn probability(&self, fixed: Fixed, score: i32) -> i32 {
        fixed.product(distance(score, self.maximum), self.factor)
    }
}

/// Exponential of how far a score is below the largest.
fn distance(score: i32, maximum: i32) -> i32 {
    exp_negative(maximum.abs_diff(score))
}

fn scaled(sum: i32, exponential: i32) -> i64 {
    (i64::from(sum) * i64::from(exponential)) >> FEATURE.fraction
}

#[cfg(test)]
mod tests {
    use attelier_workloads::reference;
    use proptest::prelude::*;

    use super::*;
    use crate::datapath::fixed::{quantise, real};

    const WRAP: Fixed = Fixed { saturate: false };

    fn row(scores: &[i32]) -> RunningSoftmax {
        let mut row = RunningSoftmax::new(WRAP);
        scores.iter().for_each(|&score| row.push(score));
        row
    }

    #[test]
    fn equal_scores_share() {
        for score in [0, 5 * ONE, i32::MAX, i32::MIN + 1] {
            let row = row(&[score; 4]);
            assert_eq!(row.info(), SoftmaxInfo { factor: ONE / 4, maximum: score });
            assert_eq!(row.probability(score), ONE / 4);
            assert_eq!(row.info().probability(WRAP, score), ONE / 4);
        }
    }

    /// ln 2 rounds down to 2,907,269 units: exponentials of 1/2 but for the last bits.
    #[test]
    fn a_later_maximum_scales_the_sum() {
        let row = row(&[0, 2_907_269]);
        assert_eq!(row.maximum, 2_907_269);
        assert!((row.sum - 3 * ONE / 2).abs() <= 2, "{}", row.sum);
        assert!((row.probability(0) - ONE / 3).abs() <= 2);
    }

    proptest! {
        /// Each of the 129 terms of a sum of at least 1 loses less than 2 u when it comes and 1 u with
        /// each new maximum; a probability takes over that share and three cuts of its own.
        #[test]
        fn probabilities_are_close_to_the_mathematics(
            scores in prop::collection::vec(-12.0f64..12.0, 1..129),
        ) {
            let fixed: Vec<i32> = scores.iter().map(|&s| quantise(FEATURE, s, false)).collect();
            let scores: Vec<f64> = fixed.iter().map(|&s| real(FEATURE, s)).collect();
            let row = row(&fixed);
            let info = row.info();
            for (score, expected) in fixed.iter().zip(reference::softmax(&scores)) {
                let bound = (4.0 + 4.0 * scores.len() as f64 * expected) / f64::from(ONE);
                for found in [row.probability(*score), info.probability(WRAP, *score)] {
                    prop_assert!((real(FEATURE, found) - expected).abs() <= bound);
                }
            }
        }
    }
}
