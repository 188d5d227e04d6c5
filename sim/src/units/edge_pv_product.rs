//! Probabilities times values of Edge-MoE (sections IV-A and IV-B of the paper).
//!
//! Scores come as the product of queries and keys left them, in the same staggered order. At the first
//! word of a value each slot turns the score of every head into a probability: exponential of the
//! distance to the largest score, times the reciprocal of the sum. Each product of probability and value
//! is cut to a feature and added to the output of the slot.

use attelier_hw::edge_moe::formats::FEATURE;

use super::edge_softmax::SoftmaxInfo;
use crate::datapath::fixed::Fixed;

/// The product for one query.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgePvProduct {
    /// Arithmetic.
    pub fixed: Fixed,
    /// Features of a head.
    pub head_width: usize,
}

impl EdgePvProduct {
    /// Adds one value to the output of a query, given the scores of all heads and what the softmax
    /// kept of their rows.
    pub fn step(&self, output: &mut [i32], scores: &[i32], info: &[SoftmaxInfo], value: &[i32]) {
        let heads = output.chunks_mut(self.head_width).zip(value.chunks(self.head_width));
        for ((output, value), (&score, info)) in heads.zip(scores.iter().zip(info)) {
            let probability = info.probability(self.fixed, score);
            for (output, &value) in output.iter_mut().zip(value) {
                let product = self.fixed.multiply(value, probability, FEATURE.fraction);
                *output = self.fixed.add(*output, product);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::datapath::fixed::ONE;
    use crate::units::edge_softmax::RunningSoftmax;

    /// Equal scores in the first head; the second one's is 40 above, so that only one value counts.
    #[test]
    fn values_are_mixed_head_by_head() {
        let unit = EdgePvProduct { fixed: Fixed::default(), head_width: 2 };
        let scores = [[ONE, 0], [ONE, 40 * ONE]];
        let mut rows = [RunningSoftmax::new(unit.fixed); 2];
        for scores in scores {
            rows.iter_mut().zip(scores).for_each(|(row, score)| row.push(score));
        }
        let info = rows.map(|row| row.info());
        let mut output = [0; 4];
        unit.step(&mut output, &scores[0], &info, &[2 * ONE, -6 * ONE, 7 * ONE, 8 * ONE]);
        unit.step(&mut output, &scores[1], &info, &[4 * ONE, 2 * ONE, 3 * ONE, -ONE]);
        assert_eq!(output, [3 * ONE, -2 * ONE, 3 * ONE, -ONE]);
    }
}
