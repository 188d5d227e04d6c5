//! The unified linear unit of Edge-MoE (section IV-D of the paper): all linear layers and experts.
//!
//! In each beat a block of inputs meets a block of weights. The bias is what a block of sums starts with;
//! blocks of outputs follow each other, and within one the blocks of inputs. Products of 32 by 16 bits
//! are cut to features before they are added, and so is each new sum. GELU stands behind the last beat
//! of a block. Results are stored, or weighted by the score of the gate and added to what is there.

use attelier_hw::edge_moe::formats::{FEATURE, LINEAR_BIAS, WEIGHT};

use super::edge_gelu::gelu;
use crate::datapath::fixed::Fixed;
use crate::datapath::split_dot::SplitInputs;

/// Weights and bias of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EdgeMatrix {
    /// Features in.
    pub inputs: usize,
    /// Weights, output after output: (outputs, inputs), in units of [`WEIGHT`].
    pub weights: Vec<i16>,
    /// One per output, in units of [`LINEAR_BIAS`].
    pub bias: Vec<i32>,
}

/// The unit, whose blocks have `inputs` inputs and any number of outputs side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EdgeLinear {
    /// Arithmetic.
    pub fixed: Fixed,
    /// Inputs of a block.
    pub inputs: usize,
}

impl EdgeLinear {
    /// A block of sums before its first beat.
    pub fn start(bias: i32) -> i32 {
        bias << (FEATURE.fraction - LINEAR_BIAS.fraction)
    }

    /// What one beat makes of the sum of one output.
    pub fn step(&self, sum: i32, inputs: &[i32], weights: &[i16]) -> i32 {
        self.fixed.dot(sum, inputs, weights, WEIGHT.fraction)
    }

    /// The layer of one token, with GELU or without.
    pub fn token(&self, matrix: &EdgeMatrix, token: &[i32], with_gelu: bool) -> Vec<i32> {
        let outputs = matrix.weights.chunks_exact(matrix.inputs).zip(&matrix.bias);
        let finish = |sum: i32| if with_gelu { gelu(sum) } else { sum };
        if !self.fixed.saturate {
            // Where upper bits are lost, beats do not matter.
            let token = SplitInputs::new(token);
            let sums = outputs.map(|(weights, &bias)| token.dot(Self::start(bias), weights));
            return sums.map(finish).collect();
        }
        let sum = |(weights, &bias): (&[i16], &i32)| {
            let beats = token.chunks(self.inputs).zip(weights.chunks(self.inputs));
            beats.fold(Self::start(bias), |sum, (inputs, weights)| self.step(sum, inputs, weights))
        };
        outputs.map(sum).map(finish).collect()
    }

    /// Adds results of an expert, weighted by the score of the gate, to those that are there.
    pub fn accumulate(&self, to: &mut [i32], results: &[i32], score: i32) {
        for (to, &result) in to.iter_mut().zip(results) {
            *to = self.fixed.add(*to, self.fixed.product(result, score));
        }
    }
}

#[cfg(test)]
mod tests {
    use attelier_workloads::reference;
    use ndarray::{Array1, Array2};
    use proptest::prelude::*;

    use super::*;
    use crate::datapath::fixed::{ONE, real};

    fn unit(saturate: bool) -> EdgeLinear {
        EdgeLinear { fixed: Fixed { saturate }, inputs: 16 }
    }

    /// By hand: weights 1.5 and -0.25, bias 2: 4 * 1.5 - 8 * 0.25 + 2 = 6.
    #[test]
    fn a_token_is_multiplied_and_its_bias_added() {
        let matrix = EdgeMatrix { inputs: 2, weights: vec![24_576, -4096], bias: vec![4096] };
        assert_eq!(unit(false).token(&matrix, &[4 * ONE, 8 * ONE], false), [6 * ONE]);
    }

    #[test]
    fn each_product_loses_its_own_lower_bits() {
        // Two products of three quarters of a last bit: 0 each, although their sum is more than one.
        let matrix = EdgeMatrix { inputs: 2, weights: vec![12_288; 2], bias: vec![0] };
        assert_eq!(unit(false).token(&matrix, &[1, 1], false), [0]);
        assert_eq!(unit(false).token(&matrix, &[-1, -1], false), [-2]);
    }

    /// 17 inputs are two beats: 32 products of 31.9 each fit the range only together with the second.
    #[test]
    fn sums_saturate_beat_by_beat() {
        let mut weights = vec![16_384; 17];
        weights[16] = -16_384;
        let matrix = EdgeMatrix { inputs: 17, weights, bias: vec![0] };
        let token = [33 * ONE; 17];
        assert_eq!(unit(false).token(&matrix, &token, false), [15 * 33 * ONE]);
        assert_eq!(unit(true).token(&matrix, &token, false), [i32::MAX - 33 * ONE]);
    }

    #[test]
    fn an_expert_adds_its_share() {
        let mut to = [ONE, -ONE];
        unit(false).accumulate(&mut to, &[4 * ONE, 3 * ONE], ONE / 4);
        assert_eq!(to, [2 * ONE, -ONE / 4]);
    }

    proptest! {
        /// Each product loses less than one last bit, which is all that differs from real numbers.
        #[test]
        fn outputs_are_below_the_mathematics_by_less_than_a_bit_per_product(
            token in prop::collection::vec(-8 * ONE..8 * ONE, 40),
            weights in prop::collection::vec(any::<i16>(), 3 * 40),
            bias in prop::collection::vec(-100_000i32..100_000, 3),
        ) {
            let matrix = EdgeMatrix { inputs: 40, weights, bias };
            let x = Array2::from_shape_fn((1, 40), |(_, i)| real(FEATURE, token[i]) / 64.0);
            let token: Vec<i32> = token.iter().map(|x| x >> 6).collect();
            let x = x.mapv(|x| (x * f64::from(ONE)).floor() / f64::from(ONE));
            let weight = Array2::from_shape_fn((3, 40), |(o, i)| {
                real(WEIGHT, matrix.weights[o * 40 + i].into())
            });
            let bias = Array1::from_shape_fn(3, |o| real(LINEAR_BIAS, matrix.bias[o]));
            let exact = reference::linear(x.view(), weight.view(), Some(bias.view())).unwrap();
            let found = unit(false).token(&matrix, &token, false);
            for (found, exact) in found.iter().zip(&exact) {
                let error = f64::from(*found) - exact * f64::from(ONE);
                prop_assert!((-40.01..=0.01).contains(&error), "{}", error);
            }
        }
    }
}
